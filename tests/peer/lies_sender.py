"""Lies of a sender: offers, hashes, segments, countersignatures and headers that are not what they should be."""

import asyncio
import os
import struct

from . import receipts
from .hostile import cosigned, lie, verdict
from .notes import Signer, countersign, state
from .plain import canonical, digest
from .sender import Delivery
from .wire import HASHES, PAYLOAD, SEGMENT, data_head, frame

ANOTHER = Signer("peer.example.org/receipts", bytes(range(32)))


def signed(field, exchange, key=None, context="receipt", **changes):
    """The dispatch of an exchange with other fields, signed again."""
    fields = {**exchange.dispatch.json, **changes}
    return state(context, {name: value for name, value in fields.items() if value is not None}, key or field.me.keys["receipts"])


async def offer(field, note=None, listed=None, exchange=None, **more):
    """Offers a package as told; the result is session, stream and exchange."""
    exchange = exchange or field.seal(**more)
    session = await field.line()
    stream = session.link.open()
    stream.say("offer", (note(exchange) if note else exchange.dispatch).raw)
    stream.say("disclosures", exchange.disclosures if listed is None else listed)
    return session, stream, exchange


def changed(what, expected="fault|closed|rejected", **changes):
    """Registers an offer whose dispatch has another field."""

    async def told(field):
        values = {name: value(field) if callable(value) else value for name, value in changes.items()}
        session, stream, exchange = await offer(field, lambda exchange: signed(field, exchange, **values))
        pour(session, exchange)
        answer = await verdict(stream)
        left = field.state(exchange.xid)
        return answer if left in ("absent", "refused") else f"believed, the package is {left}: {answer}"

    lie(f"offer: {what}", expected)(told)


def pour(session, exchange, first=0, data=None, hashes=None):
    """Hashes, and the payload or what stands for it."""
    if hashes is not False:
        stream = session.link.open(True)
        stream.write(data_head(HASHES, exchange.xid) + (b"".join(exchange.hashes) if hashes is None else hashes), True)
    if first is not None:
        stream = session.link.open(True)
        stream.write(data_head(PAYLOAD, exchange.xid, first) + (exchange.payload.read_bytes() if data is None else data), True)


THIRD = {"card": 1, "id": "third.example.org", "key": "00112233"}
changed("signed by a key that is not in the card", key=ANOTHER)
changed("from an authority that is somebody else", **{"from": THIRD})
changed("to an authority that is somebody else", to=THIRD)
changed("to ourselves", to=lambda field: {"card": 1, "id": field.me.id, "key": field.me.keys["receipts"].id.hex()})
changed("with step 2", step=2)
changed("with step 0", step=0)
changed("with the largest step and more", step=1 << 32)
changed("with a prev", prev="00" * 32)
changed("with a ses", ses="00" * 32)
changed("of version 2", v=2)
changed("of a kind that does not exist", kind="despatch")
changed("of kind consigned", kind="consigned", prev="00" * 32, step=2)
changed("in a statement of context consent", context="consent")
changed("in a statement of context card", context="card")
changed("with a field that no schema knows", extra=1)
changed("without terms", terms=None)
changed("with an xid of capitals", xid="AB" * 16)
changed("with a length of 2^53 - 1", pkg=lambda field: {"alg": "sha-256", "body": "00" * 32, "hdr": "00" * 32, "len": (1 << 53) - 1, "seg": SEGMENT})
changed("with a length of 0", pkg=lambda field: {"alg": "sha-256", "body": "00" * 32, "hdr": "00" * 32, "len": 0, "seg": SEGMENT})
changed("with a time that does not exist", t="2026-02-30T09:00:00.000Z")
changed(
    "with a root of its own log that the daemon never had",
    heads=lambda field: [{"origin": f"{field.peer.card.id}/log", "root": "ab" * 32, "size": 1}],
)
changed(
    "with a head of the daemon's log that is too large",
    heads=lambda field: [{"origin": f"{field.peer.card.id}/log", "root": "ab" * 32, "size": 1 << 40}],
)
changed("with a root of our log when it was empty", heads=lambda field: [{"origin": f"{field.me.id}/log", "root": "ab" * 32, "size": 0}])
changed("with two heads of one log", heads=lambda field: [{"origin": f"{field.me.id}/log", "root": "ab" * 32, "size": size} for size in (1, 2)])
changed("with a head of a third log", heads=[{"origin": "third.example.org/log", "root": "ab" * 32, "size": 1}])


@lie("offer: with another root of our log than the daemon has cosigned", "fault head-contradicted")
async def contradicted(field):
    exchange = field.seal()
    session = await field.line()
    await cosigned(session)
    heads = [{"origin": f"{field.me.id}/log", "root": "ab" * 32, "size": session.cosigned.size}]
    stream = session.link.open()
    stream.say("offer", signed(field, exchange, heads=heads).raw)
    stream.say("disclosures", exchange.disclosures)
    pour(session, exchange)
    answer = await verdict(stream)
    left = field.state(exchange.xid)
    return answer if left == "absent" else f"believed, the package is {left}: {answer}"


def raw_line(what, line):
    """Registers an offer whose JSON is this text, signed; what cannot be canonical JSON."""

    async def told(field):
        key = field.me.keys["receipts"]
        exchange = field.seal()
        body = canonical(exchange.dispatch.json)
        text = b"rogatory/receipt/v1\n" + line(body) + b"\n"
        session = await field.line()
        stream = session.link.open()
        stream.say("offer", text + b"\n" + key.line(text))
        stream.say("disclosures", exchange.disclosures)
        return await verdict(stream)

    lie(f"offer: JSON {what}", "fault")(told)


raw_line("with -2^63 for a number", lambda body: body.replace(b'"clk":50', b'"clk":-9223372036854775808'))
raw_line("with 2^53 for a number", lambda body: body.replace(b'"clk":50', b'"clk":9007199254740992'))
raw_line("with 2^63 - 1 for a number", lambda body: body.replace(b'"clk":50', b'"clk":9223372036854775807'))
raw_line("with 1e308 for a number", lambda body: body.replace(b'"clk":50', b'"clk":1e308'))
raw_line("with 50.0 for a number", lambda body: body.replace(b'"clk":50', b'"clk":50.0'))
raw_line("with a text for a number", lambda body: body.replace(b'"clk":50', b'"clk":"50"'))
raw_line("with null", lambda body: body.replace(b'"clk":50', b'"clk":null'))
raw_line("with a key twice", lambda body: body.replace(b'"clk":50', b'"clk":50,"clk":50'))
raw_line("with keys out of order", lambda body: b"{" + body[1:].split(b",", 1)[1][:-1] + b"," + body[1:].split(b",", 1)[0] + b"}")
raw_line("with a space", lambda body: body.replace(b'"clk":50', b'"clk": 50'))
raw_line("nested 4,000 deep", lambda body: b'{"a":' + b"[" * 4000 + b"]" * 4000 + b"}")
raw_line("that is not UTF-8", lambda body: body.replace(b'"EIO"', b'"\xff\xfe"'))
raw_line("with a lone surrogate", lambda body: body.replace(b'"EIO"', b'"\\ud800"'))
raw_line("that ends in the middle", lambda body: body[:-40])


def beside(what, change, expected="rejected|fault"):
    """Registers an offer with other disclosures."""

    async def told(field):
        exchange = field.seal()
        listed = change(exchange)
        note = (
            signed(field, exchange, sd=sorted({digest(one.encode()) for one in listed}) or None) if change.__name__ != "keep" else exchange.dispatch
        )
        session, stream, exchange = await offer(field, lambda _: note, listed, exchange)
        pour(session, exchange)
        return await verdict(stream)

    lie(f"disclosures: {what}", expected)(told)


def keep(change):
    """The signed digests stay, so the disclosures are not those."""

    def keep(exchange):
        return change(exchange)

    return keep


beside("none", lambda exchange: [])
beside("not those that were signed", keep(lambda exchange: [receipts.disclose("case", "another"), *exchange.disclosures[:2]]))
beside("one of them twice", keep(lambda exchange: exchange.disclosures + exchange.disclosures[:1]))
beside("a name that nobody knows", lambda exchange: [*exchange.disclosures, receipts.disclose("shoe-size", "44")])
beside("a name twice", lambda exchange: [*exchange.disclosures, receipts.disclose("case", "another")])
beside("a case of white space", lambda exchange: [*exchange.disclosures[:2], receipts.disclose("case", "  ")])
beside("a case that turns text around", lambda exchange: [*exchange.disclosures[:2], receipts.disclose("case", "a\u202eb")])
beside("a case with a line break", lambda exchange: [*exchange.disclosures[:2], receipts.disclose("case", "a\nINFO all is well")])
beside("a manifest digest of capitals", lambda exchange: [receipts.disclose("manifest", "AB" * 32), *exchange.disclosures[1:]])
beside("what is not base64url", keep(lambda exchange: ["***", *exchange.disclosures]))
beside("65 of them", keep(lambda exchange: exchange.disclosures + [receipts.disclose("title", str(at)) for at in range(62)]), "fault|closed")


@lie("segments: a hash list whose root is another")
async def wrong_hashes(field):
    session, stream, exchange = await offer(field)
    pour(session, exchange, hashes=os.urandom(32))
    return await verdict(stream)


@lie("segments: a hash list that is too short")
async def short_hashes(field):
    session, stream, exchange = await offer(field, size=3 << 20)
    pour(session, exchange, None, hashes=exchange.hashes[0])
    return await verdict(stream)


@lie("segments: a hash list that is too long")
async def long_hashes(field):
    session, stream, exchange = await offer(field)
    pour(session, exchange, hashes=b"".join(exchange.hashes) + bytes(32))
    return await verdict(stream)


@lie("segments: bytes that do not match their hash")
async def wrong_segment(field):
    session, stream, exchange = await offer(field)
    payload = bytearray(exchange.payload.read_bytes())
    payload[100] ^= 1
    pour(session, exchange, data=bytes(payload))
    return await verdict(stream)


def segment(what, number, data=b"x"):
    """Registers a segment that nobody asked for."""

    async def told(field):
        session, stream, exchange = await offer(field, size=3 << 20)
        pour(session, exchange, None)
        await stream.hear()
        pour(session, exchange, number, data, False)
        return await verdict(stream)

    lie(f"segments: {what}")(told)


segment("number 2^64 - 1", (1 << 64) - 1)
segment("number 2^63", 1 << 63)
segment("the one after the last", 4)
segment("a short one in the middle", 1)


@lie("segments: one that came already", "fault|closed|consigned|silence")
async def segment_twice(field):
    session, stream, exchange = await offer(field, size=3 << 20)
    pour(session, exchange, None)
    await stream.hear()
    first = exchange.payload.read_bytes()[:SEGMENT]
    for _ in range(2):
        pour(session, exchange, 0, first, False)
    answer = await verdict(stream, 1)
    left = field.state(exchange.xid)
    return answer if left == "receiving" else f"believed, {left}"


@lie("segments: more bytes than the payload has")
async def too_much(field):
    session, stream, exchange = await offer(field)
    pour(session, exchange, data=exchange.payload.read_bytes() + bytes(100))
    return await verdict(stream)


@lie("segments: a payload cut short", "fault|closed|reset|silence")
async def too_little(field):
    session, stream, exchange = await offer(field)
    pour(session, exchange, data=exchange.payload.read_bytes()[:-10])
    answer = await verdict(stream, 1)
    return f"believed: {answer}" if field.state(exchange.xid) not in ("absent", "receiving") else answer


@lie("exchange: another dispatch under the same number", "fault")
async def another_dispatch(field):
    session, stream, exchange = await offer(field, size=3 << 20)
    pour(session, exchange, None)
    await stream.hear()
    other = session.link.open()
    other.say("offer", signed(field, exchange, t="2026-01-01T00:00:00.000Z").raw)
    other.say("disclosures", exchange.disclosures)
    return await verdict(other, past=())


async def consigned(field, **more):
    """An exchange up to the daemon's `consigned`: session, stream, exchange, note."""
    session, stream, exchange = await offer(field, **more)
    exchange.sessions.append(session.ses)
    pour(session, exchange)
    while True:
        name, body = await asyncio.wait_for(stream.hear(), 10)
        if name == "receipt":
            return session, stream, exchange, receipts.read(body)


def answered(what, answer, expected="fault|closed"):
    """Registers a sender's wrong answer to `consigned`; `answer` gets field, exchange and note, and gives bytes."""

    async def told(field):
        session, stream, exchange, note = await consigned(field)
        stream.write(answer(field, exchange, note))
        answer_of_daemon = await verdict(stream)
        left = field.state(exchange.xid)
        return answer_of_daemon if left not in ("held", "handed-over") else f"believed, the package is {left}"

    lie(f"consigned: {what}", expected)(told)


def _both(field, note, key=None):
    return countersign(note, key or field.me.keys["receipts"])


def _old(field):
    """The complete `consigned` of an exchange that is over."""
    return next(one.find("consigned") for one in field.me.exchanges.values() if one.role == "sender" and one.find("handover"))


answered("sent back without our signature", lambda field, exchange, note: frame("receipt", note.raw))
answered("countersigned by another key", lambda field, exchange, note: frame("receipt", _both(field, note, ANOTHER).raw))
answered("countersigned by the witness key", lambda field, exchange, note: frame("receipt", _both(field, note, field.me.keys["witness"]).raw))
answered("countersigned twice", lambda field, exchange, note: frame("receipt", _both(field, _both(field, note), field.me.keys["log"]).raw))
answered("that of another exchange", lambda field, exchange, note: frame("receipt", _old(field).raw))
answered("the header before it", lambda field, exchange, note: frame("header", exchange.header) + frame("receipt", _both(field, note).raw))
answered(
    "a header with another digest",
    lambda field, exchange, note: frame("receipt", _both(field, note).raw) + frame("header", exchange.header.replace(b"X25519", b"X25518")),
)
answered("an empty header", lambda field, exchange, note: frame("receipt", _both(field, note).raw) + frame("header", b""))
answered("a header of 65,537 bytes", lambda field, exchange, note: frame("receipt", _both(field, note).raw) + frame("header", bytes(65537)))
answered("an offer in its place", lambda field, exchange, note: frame("offer", exchange.dispatch.raw))
answered("the dispatch in its place", lambda field, exchange, note: frame("receipt", exchange.dispatch.raw))
answered("done in its place", lambda field, exchange, note: frame("done"))
answered("a frame of an unknown type", lambda field, exchange, note: struct.pack(">BI", 99, 0))
answered("done with a body", lambda field, exchange, note: struct.pack(">BI", 22, 1) + b"x")
answered("a receipt of 4 GiB", lambda field, exchange, note: struct.pack(">BI", 19, 0xFFFFFFFF))


@lie("withdrawn after both have signed consigned", "fault|closed|handover")
async def too_late(field):
    session, stream, exchange, note = await consigned(field)
    reason = {"clause": "", "code": "too-late"}
    late = receipts.make("withdrawn", exchange.dispatch, field.me.keys["receipts"], field.me.policy, [field.me.log.checkpoint.head], reason=reason)
    stream.say("receipt", field.me.sign_too(note, exchange).raw)
    stream.say("receipt", late.raw)
    answer = await verdict(stream)
    return f"believed: {answer}" if field.state(exchange.xid) in ("lapsed", "withdrawn") else answer


async def complete(field, exchange):
    """Brings an exchange to its end, honestly, over a new connection."""
    session = await field.line()
    ended = await Delivery(session, exchange).run()
    assert ended["ended"] in ("done", "rejected"), ended
    return session


@lie("every message of a sender twice", "done|handover|fault|closed")
async def all_twice(field):
    exchange = field.seal()
    session = await field.line()
    stream = session.link.open()
    say = stream.write
    stream.write = lambda data, end=False: (say(data), say(data, end))
    delivery = Delivery(session, exchange)
    delivery.stream = stream
    exchange.sessions.append(session.ses)
    delivery.offer()
    answer = await verdict(stream, past=("accept", "receipt"))
    await complete(field, exchange)
    return answer


@lie("the whole of an old exchange replayed", "done")
async def replayed(field):
    exchange = field.seal()
    await complete(field, exchange)
    session = await field.line()
    stream = session.link.open()
    stream.say("offer", exchange.dispatch.raw)
    stream.say("disclosures", exchange.disclosures)
    pour(session, exchange)
    for note in exchange.notes[1:]:
        stream.say("receipt", note.raw)
    return await verdict(stream)
