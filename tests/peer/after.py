"""Section 11 of the protocol, after the handover: what is said of a package that is held, and the answers."""

import asyncio

from . import receipts
from .plain import demand

BY_SENDER = ("restriction-changed", "withdrawn", "expired", "consent-given", "consent-refused")
WITH_WORDS = ("consent-asked", "consent-given", "consent-refused", "onward")


async def tell(session, exchange, note, words=None):
    """Says a statement on a stream of its own; the result is the answer."""
    stream = session.link.open()
    stream.say("receipt", note.first)
    if words is not None:
        stream.say("disclosures", words)
    name, body = await asyncio.wait_for(stream.hear(), 60)
    stream.finish()
    if name == "receipt":
        both = receipts.read(body)
        demand(both.text == note.text or both.json["kind"] == "destroyed", "answer", "another statement")
        before = next(one for one in exchange.notes if one.digest == both.json["prev"])
        receipts.check(both, before, session.me.verifiers())
        demand(len(both.lines) == 2, "answer", "one signature")
        session.me.take(both, exchange)
        return {"ended": "receipt", "kind": both.json["kind"]}
    exchange.told = [*exchange.told, note.digest] if name == "done" else exchange.told
    exchange.save()
    return {"ended": name, **(body if isinstance(body, dict) else {})}


async def told(session, stream, raw):
    """Takes what the other side says of a package, and answers."""
    me, note = session.me, receipts.read(raw)
    kind = note.json.get("kind")
    exchange = me.exchanges.get(note.json.get("xid"))
    demand(exchange and exchange.notes and exchange.peer == session.peer.card.id, "exchange-unknown")
    demand((exchange.role == "receiver") == (kind in BY_SENDER), "told-by-the-wrong-side", str(kind))
    before = next((one for one in exchange.notes if one.digest == note.json.get("prev")), None)
    demand(before, "receipt-prev", "we do not hold what it follows")
    receipts.check(note, before, me.verifiers())
    me.check_heads(note)
    if kind in WITH_WORDS:
        name, listed = await stream.hear()
        demand(name == "disclosures", "disclosures-missing")
        receipts.read_disclosures(listed, note.json.get("sd", []))
    if kind == "destroyed":
        both = me.sign_too(note, exchange)
        exchange.ended = "destroyed"
        exchange.save()
        stream.say("receipt", both.raw, True)
        return
    me.take(note, exchange)
    if kind in ("withdrawn", "expired"):
        exchange.ended = kind
        exchange.payload.unlink(missing_ok=True)
        exchange.save()
    stream.say("done", end=True)


def restrict(me, exchange, **changes):
    """A new statement of stricter terms."""
    terms = {**exchange.tip.json["terms"], **changes}
    reason = {"clause": "", "code": "sender-changed-terms"}
    return me.issue("restriction-changed", exchange, terms=terms, reason=reason)


def destroy(me, exchange, code="by-order"):
    """Removes header and payload of a package that is held, and states it."""
    exchange.header = None
    exchange.payload.unlink(missing_ok=True)
    return me.issue("destroyed", exchange, reason={"clause": "", "code": code})


def permits(exchange, purpose, today):
    """Whether the terms in force let somebody open a package."""
    terms = exchange.tip.json["terms"]
    demand(purpose in terms["purposes"], "purpose", purpose)
    demand(today <= min(terms["retain_until"], terms.get("sunset", "9999")), "over")
