from peer.notes import countersign
b.log; 
ex = a.exchange(x.xid)
def mk(me, kind, before, **more):
    return receipts.make(kind, before, me.keys["receipts"], me.policy, me.heads("a.example.org" if me is b else "b.example.org"), **more)
ses = "ab"*32
try:
    cons = countersign(mk(b, "consigned", d, ses=ses), a.keys["receipts"])
    ho = countersign(mk(b, "handover", cons, ses=ses), a.keys["receipts"])
    r = {"clause": "", "code": "retention-over"}
    d1 = mk(b, "destroyed", ho, reason=r); time.sleep(1.1); d2 = mk(b, "destroyed", ho, reason=r)
    (w/"d1.note").write_bytes(d1.raw); (w/"d2.note").write_bytes(d2.raw)
except Exception as e:
    import traceback; traceback.print_exc()
