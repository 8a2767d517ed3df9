"""Lies of a receiver: answers to what the daemon offers, and false words about packages that it has sent."""

import asyncio
import os
import struct

from . import receipts
from .hostile import lie, verdict
from .lies_sender import ANOTHER
from .notes import Statement, countersign
from .plain import canonical
from .wire import frame


def issue(field, kind, before, session=None, key=None, **changes):
    """A receipt of the receiver that follows `before`, with other fields where told."""
    fields = {"ses": session.ses if session and kind in receipts.IN_SESSION else None, **changes}
    heads = fields.pop("heads", None) or field.me.heads(field.peer.card.id)
    return receipts.make(kind, before, key or field.me.keys["receipts"], field.me.policy, heads, **fields)


def answered(what, make, expected="fault|closed"):
    """Registers an answer to an offer; `make` gets field, session and dispatch, and gives bytes."""

    async def told(field):
        session, stream, note, _ = await field.offered()
        stream.write(make(field, session, note))
        answer = await verdict(stream, past=())
        left = field.state(note.json["xid"])
        return answer if left == "dispatched" else f"believed, the package is {left}: {answer}"

    lie(f"answer to an offer: {what}", expected)(told)


def consigned(what, expected="fault|closed", **changes):
    """Registers a `consigned` with other fields."""

    def make(field, session, note):
        values = {name: value(field, session, note) if callable(value) else value for name, value in changes.items()}
        return frame("receipt", issue(field, "consigned", note, session, **values).raw)

    answered(f"consigned {what}", make, expected)


def _head(field, size, root="ab" * 32):
    return [{"origin": f"{field.peer.card.id}/log", "root": root, "size": size}]


consigned("with a wrong prev", prev="00" * 32)
consigned("with a wrong step", step=3)
consigned("with a wrong ses", ses="00" * 32)
consigned("without a ses", ses=None)
consigned("of another package", pkg=lambda field, session, note: {**note.json["pkg"], "len": 7})
consigned("on looser terms", terms=lambda field, session, note: {**note.json["terms"], "onward": "with-consent"})
consigned("on stricter terms", terms=lambda field, session, note: {**note.json["terms"], "retain_until": "2030-12-31"})
consigned("with other disclosures", sd=["00" * 32])
consigned("of another exchange", xid="0" * 32)
consigned(
    "with the parties exchanged", **{"from": lambda field, session, note: note.json["to"], "to": lambda field, session, note: note.json["from"]}
)
consigned("signed by another key", key=ANOTHER)
consigned("signed by the witness key", key=lambda field, session, note: field.me.keys["witness"])
consigned("with a root of its own log that the daemon never had", heads=lambda field, session, note: _head(field, 1))
consigned("with another root of its log than it has named itself", heads=lambda field, session, note: _head(field, note.json["heads"][0]["size"]))
consigned("with a head of its own log that is larger than the log", heads=lambda field, session, note: _head(field, 1 << 40))
consigned("with a time far ahead", t="2099-01-01T00:00:00.000Z")


def _old(field, kind):
    """A complete receipt of an exchange that is over."""
    return next(one.find(kind) for one in field.me.exchanges.values() if one.role == "receiver" and one.find(kind))


answered("consigned of an exchange that is over", lambda field, session, note: frame("receipt", _old(field, "consigned").first))
answered("handover of an exchange that is over", lambda field, session, note: frame("receipt", _old(field, "handover").first))
answered(
    "consigned that we have countersigned ourselves",
    lambda field, session, note: frame("receipt", countersign(issue(field, "consigned", note, session), ANOTHER).raw),
)
answered("a handover that follows the dispatch", lambda field, session, note: frame("receipt", issue(field, "handover", note, session).raw))
answered("its own dispatch as a receipt", lambda field, session, note: frame("receipt", note.raw))
answered("destroyed", lambda field, session, note: frame("receipt", issue(field, "destroyed", note, reason={"clause": "", "code": "x"}).raw))
answered("rejected without a reason", lambda field, session, note: frame("receipt", issue(field, "rejected", note, session).raw))
answered(
    "rejected with a wrong prev",
    lambda field, session, note: frame("receipt", issue(field, "rejected", note, session, prev="00" * 32, reason={"clause": "", "code": "x"}).raw),
)
answered("done at once", lambda field, session, note: frame("done"))
answered("an offer", lambda field, session, note: frame("offer", note.raw))
answered("a header", lambda field, session, note: frame("header", b"age-encryption.org/v1\n"))
answered("hello", lambda field, session, note: frame("ack", {"number": 1, "what": "card"}))
answered("an unknown frame", lambda field, session, note: struct.pack(">BI", 24, 0))
answered("a receipt that is no note", lambda field, session, note: frame("receipt", os.urandom(200)))
answered("an empty receipt", lambda field, session, note: frame("receipt", b""))


def accept(what, missing, expected="fault|closed"):
    """Registers an `accept` for a package of three segments and a bit."""

    async def told(field):
        session, stream, note, _ = await field.offered(3 << 20)
        body = missing if isinstance(missing, bytes) else canonical({"missing": missing})
        stream.write(struct.pack(">BI", 18, len(body)) + body)
        return await verdict(stream, past=())

    lie(f"accept: {what}", expected)(told)


accept("a segment beyond the end", [[4, 1]])
accept("more than there are", [[0, 5]])
accept("2^53 - 1 of them", [[0, (1 << 53) - 1]])
accept("the segment 2^53 - 1", [[(1 << 53) - 1, 1]])
accept("both ends together beyond 2^64", b'{"missing":[[9007199254740991,9007199254740991]]}')
accept("the segment 2^63 - 1", b'{"missing":[[9223372036854775807,1]]}')
accept("the segment -2^63", b'{"missing":[[-9223372036854775808,1]]}')
accept("the segment -1", [[-1, 1]])
accept("1e308 of them", b'{"missing":[[0,1e308]]}')
accept("none of them", [[0, 0]])
accept("in descending order", [[2, 1], [0, 1]])
accept("runs that touch", [[0, 1], [1, 1]])
accept("runs that overlap", [[0, 2], [1, 2]])
accept("1,025 runs", [[at * 2, 1] for at in range(1025)])
accept("a text", b'{"missing":"all"}')
accept("something beside it", b'{"also":1,"missing":[[0,1]]}')
accept("nested 30,000 deep", b'{"missing":' + b"[" * 30000 + b"]" * 30000 + b"}")
accept("bytes that are not UTF-8", b'{"missing":[[0,1]],"\xff":1}')


def told_off(what, name, body, expected="fault|closed|end of stream|reset"):
    """Registers a `later` or `fault` that is not well-formed."""

    async def told(field):
        session, stream, note, _ = await field.offered()
        stream.write(struct.pack(">BI", {"later": 21, "fault": 23}[name], len(body)) + body)
        answer = await verdict(stream, 3, past=())
        await asyncio.sleep(0.2)
        if b"\x1b" in field.log.read_bytes() or b"\n2026-01-01" in field.log.read_bytes():
            return f"raw text in the log: {answer}"
        left = field.state(note.json["xid"])
        return answer if left == "dispatched" else f"believed, {left}"

    lie(f"{name}: {what}", expected)(told)


told_off("in 2^53 - 1 seconds", "later", b'{"after_s":9007199254740991,"code":"busy"}')
told_off("in -1 seconds", "later", b'{"after_s":-1,"code":"busy"}')
told_off("in 2^63 seconds", "later", b'{"after_s":9223372036854775808,"code":"busy"}')
told_off("with a code of control characters", "later", b'{"after_s":1,"code":"a\\u001b[2J\\n2026-01-01"}')
told_off("with a text of control characters", "fault", b'{"code":"x","text":"a\\u001b[2J\\n2026-01-01 INFO all is well"}')
told_off("with a text that turns around", "fault", '{"code":"x","text":"a\u202eb"}'.encode())
told_off("with a text of 60,000 bytes", "fault", b'{"code":"x","text":"' + b"a" * 60000 + b'"}')


async def signed_consigned(field):
    """An exchange of the daemon's up to the countersigned `consigned` and the header."""
    session, stream, note, _ = await field.offered()
    mine = issue(field, "consigned", note, session)
    stream.say("receipt", mine.raw)
    name, both = await asyncio.wait_for(stream.hear(), 10)
    assert name == "receipt", (name, both)
    name, header = await asyncio.wait_for(stream.hear(), 10)
    assert name == "header", (name, header)
    return session, stream, note, Statement(both), header


def handed(what, make, expected="fault|closed"):
    """Registers an answer to the header; `make` gets field, session, dispatch and consigned."""

    async def told(field):
        session, stream, note, both, _ = await signed_consigned(field)
        stream.write(make(field, session, note, both))
        answer = await verdict(stream, past=())
        left = field.state(note.json["xid"])
        return answer if left not in ("closed", "delivered", "destroyed") else f"believed, {left}: {answer}"

    lie(f"answer to the header: {what}", expected)(told)


handed("handover with a wrong prev", lambda field, session, note, both: frame("receipt", issue(field, "handover", both, session, prev="00" * 32).raw))
handed("handover that follows the dispatch", lambda field, session, note, both: frame("receipt", issue(field, "handover", note, session).raw))
handed("handover with a wrong ses", lambda field, session, note, both: frame("receipt", issue(field, "handover", both, session, ses="00" * 32).raw))
handed(
    "handover of another package",
    lambda field, session, note, both: frame("receipt", issue(field, "handover", both, session, pkg={**note.json["pkg"], "hdr": "00" * 32}).raw),
)
handed("handover signed by another key", lambda field, session, note, both: frame("receipt", issue(field, "handover", both, session, ANOTHER).raw))
handed(
    "rejected after consigned",
    lambda field, session, note, both: frame("receipt", issue(field, "rejected", note, session, reason={"clause": "", "code": "x"}).raw),
)
handed("another consigned", lambda field, session, note, both: frame("receipt", issue(field, "consigned", note, session).raw), "fault|closed|silence")
handed("done without handover", lambda field, session, note, both: frame("done"))
handed("handover-failed without a reason", lambda field, session, note, both: frame("receipt", issue(field, "handover-failed", both, session).raw))


async def again(field, xid):
    """The daemon's next attempt at an exchange, over a new connection: session, stream."""
    field.caught.discard(xid)
    session = await field.line()
    while True:
        stream, raw = await asyncio.wait_for(session.offers.get(), 50)
        if receipts.read(raw).json["xid"] == xid:
            await stream.hear()
            return session, stream
        stream.reset(0)


@lie("a second, different consigned on the next attempt", "fault|closed")
async def two_consigned(field):
    session, stream, note, both, _ = await signed_consigned(field)
    session.close()
    session, stream = await again(field, note.json["xid"])
    other = issue(field, "consigned", note, session, clk=51)
    stream.say("receipt", other.raw)
    return await verdict(stream, past=())


async def handed_over(field):
    """An exchange of the daemon's up to the complete `handover`."""
    session, stream, note, both, header = await signed_consigned(field)
    mine = issue(field, "handover", both, session)
    stream.say("receipt", mine.raw)
    name, raw = await asyncio.wait_for(stream.hear(), 10)
    assert name == "receipt", (name, raw)
    return session, stream, note, both, Statement(raw)


@lie("a second, different handover on the next attempt", "fault|closed")
async def two_handovers(field):
    session, stream, note, both, _ = await handed_over(field)
    session.close()
    session, stream = await again(field, note.json["xid"])
    stream.say("receipt", issue(field, "handover", both, session, clk=51).raw)
    return await verdict(stream, past=())


@lie("a second, different handover on the same stream", "fault|closed")
async def two_handovers_at_once(field):
    session, stream, note, both, _ = await handed_over(field)
    stream.say("receipt", issue(field, "handover", both, session, clk=51).raw)
    return await verdict(stream, past=())


@lie("handover-failed after handover", "fault|closed")
async def failed_after_all(field):
    session, stream, note, both, _ = await handed_over(field)
    stream.say("receipt", issue(field, "handover-failed", both, session, reason={"clause": "", "code": "x"}).raw)
    return await verdict(stream, past=())


@lie("every message of a receiver twice", "fault|closed|end of stream|silence|consigned after receipt, header")
async def all_twice(field):
    session, stream, note, _ = await field.offered()
    raw = issue(field, "consigned", note, session).raw
    stream.say("receipt", raw)
    stream.say("receipt", raw)
    heard = [(await asyncio.wait_for(stream.hear(), 10))[0] for _ in range(2)]
    return f"{await verdict(stream, 2)} after {', '.join(map(str, heard))}"


def later(what, make, expected="fault|closed", words=None):
    """Registers what a receiver says falsely of a package after its handover."""

    async def told(field):
        session, stream, note, both, handover = await handed_over(field)
        stream.say("done", end=True)
        await asyncio.sleep(0.1)
        stream = session.link.open()
        said = make(field, note, handover)
        for one in said if isinstance(said, list) else [said]:
            stream = session.link.open()
            stream.say("receipt", one.raw)
            if words is not None:
                stream.say("disclosures", words)
            answer = await verdict(stream)
        return answer

    lie(f"after our handover: {what}", expected)(told)


WHY = {"reason": {"clause": "", "code": "by-order"}}
later("destroyed with a wrong prev", lambda field, note, handover: issue(field, "destroyed", handover, prev="00" * 32, **WHY))
later("destroyed with the prev of the dispatch", lambda field, note, handover: issue(field, "destroyed", note, **WHY))
later("destroyed without a reason", lambda field, note, handover: issue(field, "destroyed", handover))
later(
    "destroyed with a reason of control characters",
    lambda field, note, handover: issue(field, "destroyed", handover, reason={"clause": "a\nb", "code": "x"}),
)
later(
    "destroyed on other terms",
    lambda field, note, handover: issue(field, "destroyed", handover, terms={**note.json["terms"], "purposes": ["prosecution"]}, **WHY),
)
later("destroyed signed by another key", lambda field, note, handover: issue(field, "destroyed", handover, key=ANOTHER, **WHY))
later("destroyed with both signatures by us", lambda field, note, handover: countersign(issue(field, "destroyed", handover, **WHY), ANOTHER))
later(
    "two different destroyed",
    lambda field, note, handover: [issue(field, "destroyed", handover, **WHY), issue(field, "destroyed", handover, clk=51, **WHY)],
    "destroyed by-order",
)
later(
    "destroyed, and then a report of use",
    lambda field, note, handover: [issue(field, "destroyed", handover, **WHY), issue(field, "use-report", handover)],
    "fault|closed|done",
)
later(
    "restriction-changed, said by the receiver",
    lambda field, note, handover: issue(field, "restriction-changed", handover, terms={**note.json["terms"], "onward": "prohibited"}, **WHY),
)
later("withdrawn, said by the receiver", lambda field, note, handover: issue(field, "withdrawn", handover, **WHY))
later("an access without an exception", lambda field, note, handover: issue(field, "access", handover, purpose="trial", released=10))
later("a wish for consent to nothing", lambda field, note, handover: issue(field, "consent-asked", handover), words=[])
later(
    "a wish for a use and for passing on",
    lambda field, note, handover: issue(field, "consent-asked", handover, purpose="civil-claim", third="x.example"),
    words=[],
)
later(
    "a consent that the receiver gives itself",
    lambda field, note, handover: issue(field, "consent-given", handover, purpose="civil-claim", until="2031-01-01"),
    words=[],
)
later("passed on to nobody", lambda field, note, handover: issue(field, "onward", handover, subject="00" * 32, third="x.example"), words=[])


def broken_off(what, phase, action, expected="reset|end of stream|closed|fault|silence"):
    """Registers a stream that is given up in some phase; afterwards a new connection must still be served."""

    async def told(field):
        if phase == "offered":
            session, stream, *_ = await field.offered(3 << 20)
        elif phase == "accepted":
            session, stream, *_ = await field.offered(3 << 20)
            stream.say("accept", {"missing": [[0, 4]]})
            one_way = await asyncio.wait_for(_payload_stream(session), 10)
            action(one_way) if what.startswith("STOP") else None
        elif phase == "consigned":
            session, stream, *_ = await signed_consigned(field)
        else:
            session, stream, *_ = await handed_over(field)
        action(stream)
        answer = await verdict(stream, 0.3, past=("receipt", "header", "done"))
        await (await field.line()).link.ping()
        return answer

    lie(f"{what} when {phase}", expected)(told)


async def _payload_stream(session):
    while True:
        for arrivals in list(session.data.values()):
            while not arrivals.empty():
                kind, _, stream = arrivals.get_nowait()
                if kind == 2:
                    return stream
        await asyncio.sleep(0.02)


for name in ("offered", "accepted", "consigned", "handed over"):
    broken_off("RESET", name, lambda stream: None if stream.one_way else stream.reset(7))
    broken_off("STOP_SENDING", name, lambda stream: stream.stop(7))
    broken_off(
        "RESET and STOP_SENDING with the largest code",
        name,
        lambda stream: (None if stream.one_way else stream.reset((1 << 62) - 1), stream.stop((1 << 62) - 1)),
    )
