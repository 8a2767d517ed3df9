import sys; sys.path.insert(0, "/tmp/w/att/tests")
import pathlib, time
from peer.authority import Authority
from peer import sender, receipts
from peer.notes import countersign
w = pathlib.Path("/tmp/w/cmp")
a = Authority.make(w/"a", id="a.example.org", alias="a", name="A", country="NL", endpoint="127.0.0.1:1000")
b = Authority.make(w/"b", id="b.example.org", alias="b", name="B", country="NL", endpoint="127.0.0.1:1001")
b.accept(a.card.note.raw, a.tls.crl); pb = a.accept(b.card.note.raw, b.tls.crl)
d = sender.seal(a, pb, {"f": b"x"}, "XX-1", sender.TERMS, {}, None).dispatch
def mk(kind, before, **more):
    return receipts.make(kind, before, b.keys["receipts"], b.policy, b.heads("a.example.org"), **more)
ses = "ab"*32
cons = countersign(mk("consigned", d, ses=ses), a.keys["receipts"])
ho = countersign(mk("handover", cons, ses=ses), a.keys["receipts"])
r = {"clause": "", "code": "retention-over"}
d1 = mk("destroyed", ho, reason=r); time.sleep(1.1); d2 = mk("destroyed", ho, reason=r)
(w/"d1.note").write_bytes(d1.raw); (w/"d2.note").write_bytes(d2.raw)
