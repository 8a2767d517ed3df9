"""A sender's messages twice, out of order and in two versions: offers with their parts, and statements after the handover."""

import asyncio

from . import after, lies_sender, receipts
from .equivocation import case, in_package, void
from .hostile import verdict
from .lies_after import _restriction as restriction
from .plain import digest
from .sender import Delivery, seal
from .wire import HASHES, PAYLOAD, SEGMENT, data_head, frame

LARGE = 3 << 20
HERE = "a statement of one exchange, said to the other daemon too"


async def delivered(side, exchange):
    """One honest attempt, on a new connection: how it ends."""
    side.touch(exchange.xid)
    session = await side.line()
    ended = (await Delivery(session, exchange).run())["ended"]
    session.close()
    return ended


async def offered(side, exchange, note=None):
    """A new connection with an offer on a stream, nothing else: session, stream."""
    session = await side.line()
    exchange.sessions.append(session.ses)
    stream = session.link.open()
    stream.say("offer", (note or exchange.dispatch).raw)
    stream.say("disclosures", exchange.disclosures)
    side.touch(exchange.xid)
    return session, stream


async def answer(stream, past=("accept",), seconds=10):
    """The next message, in a few words."""
    said = await verdict(stream, seconds, past)
    return said.partition(":")[0].strip()


# ---- the dispatch -----------------------------------------------------------------------------------------------


@case("dispatch", "twice", "the whole exchange, and on one stream", "done, done, fault unexpected-frame")
async def dispatch_twice(ie, de):
    exchange = ie.seal()
    said = [await delivered(ie, exchange), await delivered(ie, exchange)]
    _, stream = await offered(ie, other := ie.seal())
    stream.say("offer", other.dispatch.raw)
    return ", ".join([*said, await answer(stream)])


@case("dispatch", "reordered", "after its payload, its hashes and its disclosures", "fault unexpected-frame, consigned, done")
async def dispatch_late(ie, de):
    exchange, session = ie.seal(), await ie.line()
    ie.touch(exchange.xid)
    stream = session.link.open()
    stream.say("disclosures", exchange.disclosures)
    said = [await answer(stream)]
    lies_sender.pour(session, exchange)
    await session.link.ping()
    exchange.sessions.append(session.ses)
    stream = session.link.open()
    stream.say("offer", exchange.dispatch.raw)
    stream.say("disclosures", exchange.disclosures)
    said.append(await answer(stream))
    return ", ".join([*said, await delivered(ie, exchange)])


def _other(side, exchange, **changes):
    changes = changes or {"terms": {**exchange.dispatch.json["terms"], "retain_until": "2039-12-31"}}
    return lies_sender.signed(side, exchange, **changes)


@case("dispatch", "two versions", "on looser terms, after the handover", "done, fault xid-taken, done")
async def two_dispatches(ie, de):
    exchange = ie.seal()
    said, other = [await delivered(ie, exchange)], _other(ie, exchange)
    _, stream = await offered(ie, exchange, other)
    in_package(ie, exchange.xid, exchange.dispatch, other)
    return ", ".join([*said, await answer(stream), await delivered(ie, exchange)])


@case("dispatch", "two versions", "while the payload of the first is awaited", "fault xid-taken, done")
async def two_dispatches_early(ie, de):
    exchange = ie.seal(LARGE)
    session, stream = await offered(ie, exchange)
    lies_sender.pour(session, exchange, None)
    await stream.hear()
    other = _other(ie, exchange, t="2026-01-01T00:00:00.000Z")
    _, stream = await offered(ie, exchange, other)
    in_package(ie, exchange.xid, exchange.dispatch, other)
    return ", ".join([await answer(stream), await delivered(ie, exchange)])


def together(two, *exports):
    """A proof that two exports, each a side and a package, are together, and neither is alone."""

    def holds():
        folders = [str(side.export(xid)) for side, xid in exports]
        alone = [two.audit("verify", folder)[0] for folder in folders]
        code, said = two.audit("compare", *folders)
        faults = said[-1]["faults"]
        named = [one for one in faults if one["rule"] == "receipts-exclude" and exports[0][0].me.id in one["meaning"]]
        good = (alone, code, len(named), len(faults)) == ([0, 0], 7, 1, 1)
        return "" if good else f"the auditor says {alone} of each, {code} of both: {faults}"

    two.prove(" with ".join(side.alias for side, _ in exports), holds)


@case("dispatch", "apart", "two packages under one number, one to each daemon", "done, done")
async def dispatch_apart(ie, de):
    exchange = ie.seal()
    other = seal(de.me, de.peer, {"b.bin": b"another"}, "XX-OTHER")
    other.notes = [lies_sender.signed(de, other, xid=exchange.xid)]
    other.xid = exchange.xid
    said = [await delivered(ie, exchange), await delivered(de, other)]
    together(ie.two, (ie, exchange.xid), (de, exchange.xid))
    return ", ".join(said)


@case("dispatch", "apart", "two heads of our log of one size, one named to each daemon", "done, done", alone=True)
async def heads_apart(ie, de):
    said, xids = [], []
    ie.me.log.had = lambda head: True  # the daemons name these heads in their answers
    for side, root in ((ie, "ab" * 32), (de, "cd" * 32)):
        exchange = seal(side.me, side.peer, {"a.bin": b"some"}, "XX-HEADS")
        heads = [{"origin": f"{side.me.id}/log", "root": root, "size": 1000}]
        exchange.notes = [lies_sender.signed(side, exchange, heads=heads)]
        said.append(await delivered(side, exchange))
        xids.append(exchange.xid)

    def holds():
        folders = [str(side.export(xid)) for side, xid in zip((ie, de), xids, strict=True)]
        code, told = ie.two.audit("compare", *folders)
        rules = {one["rule"] for one in told[-1]["faults"] if ie.me.id in one["meaning"]}
        return "" if (code, rules) == (7, {"log-forked"}) else f"the auditor says {code}: {told[-1]['faults']}"

    ie.two.prove("ie with de", holds)
    return ", ".join(said)


# ---- beside it --------------------------------------------------------------------------------------------------


@case("disclosures", "twice", "on one stream", "fault unexpected-frame, done")
async def disclosures_twice(ie, de):
    exchange = ie.seal(LARGE)
    _, stream = await offered(ie, exchange)
    stream.say("disclosures", exchange.disclosures)
    return f"{await answer(stream)}, {await delivered(ie, exchange)}"


@case("disclosures", "reordered", "before the offer", "fault unexpected-frame, done")
async def disclosures_early(ie, de):
    exchange, session = ie.seal(), await ie.line()
    stream = session.link.open()
    stream.say("disclosures", exchange.disclosures)
    stream.say("offer", exchange.dispatch.raw)
    return f"{await answer(stream)}, {await delivered(ie, exchange)}"


@case("disclosures", "two versions", "the second time with another case, and none", "done, fault disclosure-not-in-receipt, done")
async def two_disclosures(ie, de):
    exchange = ie.seal()
    said, session = [await delivered(ie, exchange)], await ie.line()
    for listed in ([receipts.disclose("case", "another")], []):
        stream = session.link.open()
        stream.say("offer", exchange.dispatch.raw)
        stream.say("disclosures", listed)
        said.append(await answer(stream))
    return ", ".join(said)


void("disclosures", "each is bound to its dispatch, which is to one receiver", "apart")
for kind in ("hashes", "payload", "header"):
    void(kind, "it is bound to its dispatch by digests, and the dispatch is to one receiver", "apart")


def bad_stream(kind, way, what, expected, make):
    """Registers one-way streams that are not as the daemon awaits them; the package arrives all the same in the end."""

    @case(kind, way, what, expected)
    async def told(ie, de):
        exchange = ie.seal(LARGE)
        session, stream = await offered(ie, exchange)
        make(session, exchange)
        said = await answer(stream, past=("accept",), seconds=1)
        session.close()
        return f"{said}, {await delivered(ie, exchange)}"


def _pour(session, exchange, kind, data, first=None):
    stream = session.link.open(True)
    stream.write(data_head(kind, exchange.xid, first) + data, True)


def _hashes(session, exchange, data=None):
    _pour(session, exchange, HASHES, data or b"".join(exchange.hashes))


def _segment(session, exchange, at, change=False):
    data = bytearray(exchange.payload.read_bytes()[at * SEGMENT : (at + 1) * SEGMENT])
    data[0] ^= change
    _pour(session, exchange, PAYLOAD, bytes(data), at)


# Streams overtake each other, so the right one may be read first.
ANY = "(fault [a-z-]+|closed [a-z0-9 '-]+|silence|consigned), done"
bad_stream("hashes", "twice", "the same list", ANY, lambda session, exchange: [_hashes(session, exchange) for _ in range(2)])
bad_stream("hashes", "reordered", "after a segment", ANY, lambda session, exchange: (_segment(session, exchange, 1), _hashes(session, exchange)))
bad_stream(
    "hashes", "two versions", "another list first", ANY,
    lambda session, exchange: (_hashes(session, exchange, bytes(32 * len(exchange.hashes))), _hashes(session, exchange)),
)  # fmt: skip
bad_stream("payload", "twice", "one segment", ANY, lambda session, exchange: (_hashes(session, exchange), [_segment(session, exchange, 0) for _ in range(2)]))
bad_stream(
    "payload", "reordered", "the last segment first", ANY,
    lambda session, exchange: (_hashes(session, exchange), [_segment(session, exchange, at) for at in (3, 1, 2, 0)]),
)  # fmt: skip
bad_stream(
    "payload", "two versions", "one segment with other bytes, before and after the right ones", ANY,
    lambda session, exchange: (_hashes(session, exchange), [_segment(session, exchange, 0, change) for change in (1, 0, 1)]),
)  # fmt: skip


def with_header(way, what, expected, make):
    """Registers what is said in place of the countersigned `consigned` and the header; the package arrives all the same in the end."""

    @case("header", way, what, expected)
    async def told(ie, de):
        session, stream, exchange, note = await lies_sender.consigned(ie)
        ie.touch(exchange.xid)
        both = frame("receipt", ie.me.sign_too(note, exchange).raw)
        stream.write(make(both, exchange.header))
        said = await answer(stream, past=("receipt",) if way == "twice" else ())
        session.close()
        return f"{said}, {await delivered(ie, exchange)}"


with_header("twice", "after consigned", "fault unexpected-frame, done", lambda both, header: both + frame("header", header) * 2)
with_header("reordered", "before consigned", "fault [a-z-]+, done", lambda both, header: frame("header", header) + both)
with_header(
    "two versions", "another one first", "fault header-digest-mismatch, done",
    lambda both, header: both + frame("header", header.replace(b"X25519", b"X25518")) + frame("header", header),
)  # fmt: skip


# ---- ends without a handover ------------------------------------------------------------------------------------


def _end(side, exchange, kind, code="order-annulled"):
    reason = {"clause": "", "code": code}
    return receipts.make(kind, exchange.dispatch, side.me.keys["receipts"], side.me.policy, None, reason=reason)


async def _ends(side, exchange, *notes):
    """Says ends, each on a stream of its own that begins with the offer; the answers."""
    said = []
    for note in notes:
        session, stream = await offered(side, exchange)
        stream.say("receipt", note.raw)
        said.append(await answer(stream))
        session.close()
    return ", ".join(said)


def _ending(kind):
    """Registers the cells of a kind by which a sender ends what was not consigned."""
    another = "expired" if kind == "withdrawn" else "withdrawn"

    async def begun(side):
        exchange = side.seal(LARGE)
        session, stream = await offered(side, exchange)
        lies_sender.pour(session, exchange, None)
        await stream.hear()
        return exchange

    @case(kind, "twice", "while the payload is awaited", "done, done; lapsed")
    async def twice(ie, de):
        exchange = await begun(ie)
        note = _end(ie, exchange, kind)
        return f"{await _ends(ie, exchange, note, note)}; {ie.state(exchange.xid)}"

    @case(kind, "reordered", "on a stream of its own, before its offer; and after the handover", "fault unexpected-frame, done, done; held")
    async def reordered(ie, de):
        exchange, session = ie.seal(), await ie.line()
        stream = session.link.open()
        stream.say("receipt", _end(ie, exchange, kind).raw)
        said = [await answer(stream), await delivered(ie, exchange)]
        return f"{', '.join(said)}, {await _ends(ie, exchange, _end(ie, exchange, kind))}; {ie.state(exchange.xid)}"

    @case(kind, "two versions", f"for another reason, and {another}: only the first is heard", "done, done, done; lapsed")
    async def versions(ie, de):
        exchange = await begun(ie)
        notes = _end(ie, exchange, kind), _end(ie, exchange, kind, "another-reason"), _end(ie, exchange, another)
        return f"{await _ends(ie, exchange, *notes)}; {ie.state(exchange.xid)}"

    @case(kind, "apart", HERE, "done, fault wrong-recipient; lapsed absent")
    async def apart(ie, de):
        exchange = await begun(ie)
        said = [await _ends(ie, exchange, _end(ie, exchange, kind)), await _ends(de, exchange, _end(de, exchange, kind, "another-reason"))]
        return f"{', '.join(said)}; {ie.state(exchange.xid)} {de.state(exchange.xid)}"


_ending("expired")
_ending("withdrawn")


# ---- after the handover -----------------------------------------------------------------------------------------


async def tell(side, *notes):
    """Says statements, each on a stream of its own; the answers."""
    said, session = [], await side.line()
    for note in notes:
        stream = session.link.open()
        stream.say("receipt", note.raw)
        if note.json["kind"] in after.WITH_WORDS:
            stream.say("disclosures", [])
        said.append(await answer(stream))
    session.close()
    return ", ".join(said)


def _purposes(side, exchange, before=None, purposes=("trial",)):
    return restriction(side, exchange, before, terms={"purposes": list(purposes)})


def _terms(side, exchange):
    return " ".join(side.run("package", "show", exchange.xid)[1]["terms"]["purposes"])


@case("restriction-changed", "twice", "after the handover", "done, done, done; trial")
async def restricted_twice(ie, de):
    exchange = ie.seal()
    said, note = await delivered(ie, exchange), _purposes(ie, exchange)
    return f"{said}, {await tell(ie, note, note)}; {_terms(ie, exchange)}"


@case("restriction-changed", "reordered", "before the handover, and the second before the first", "fault [a-z-]+, done, fault prev-unknown, done, done; trial")
async def restricted_early(ie, de):
    exchange = ie.seal()
    early = await tell(ie, _purposes(ie, exchange, exchange.dispatch))
    said = await delivered(ie, exchange)
    first = restriction(ie, exchange, terms={"retain_until": "2030-12-31"})
    second = _purposes(ie, exchange, first)
    return f"{early}, {said}, {await tell(ie, second, first, second)}; {_terms(ie, exchange)}"


@case("restriction-changed", "two versions", "after the same handover", "done, done, fault follow-conflict; trial")
async def two_restrictions(ie, de):
    exchange = ie.seal()
    said = await delivered(ie, exchange)
    first, second = (_purposes(ie, exchange, exchange.tip, one) for one in (["trial"], ["prosecution"]))
    in_package(ie, exchange.xid, first, second)
    return f"{said}, {await tell(ie, first, second)}; {_terms(ie, exchange)}"


@case("restriction-changed", "apart", HERE, "done, done, fault not-handed-over; trial absent")
async def restricted_apart(ie, de):
    exchange = ie.seal()
    said = await delivered(ie, exchange)
    first, second = (_purposes(ie, exchange, exchange.tip, one) for one in (["trial"], ["prosecution"]))
    return f"{said}, {await tell(ie, first)}, {await tell(de, second)}; {_terms(ie, exchange)} {de.state(exchange.xid)}"


async def asked(side, exchange):
    """The daemon asks for one more use of a package that it holds: its wish."""
    await delivered(side, exchange)
    session = await side.line()
    code, said = await asyncio.to_thread(side.run, "package", "ask-use", exchange.xid, "--use", "civil-claim", "--justification", "claim")
    assert code == 0, said
    while True:
        stream, wish = await asyncio.wait_for(session.words.get(), 20)
        stream.say("done", end=True)
        if wish.json["kind"] == "consent-asked" and wish.json["xid"] == exchange.xid:
            await session.link.ping()
            session.close()
            return wish


def answering(side, wish, kind, until="2031-01-01", code="no", **more):
    """An answer to a wish."""
    fields = {"until": until} if kind == "consent-given" else {"reason": {"clause": "", "code": code}}
    fields |= {name: wish.json[name] for name in ("purpose", "third") if name in wish.json}
    return receipts.make(kind, wish, side.me.keys["receipts"], side.me.policy, None, **fields, **more)


def _consent(side, wish):
    """The outcome of a request for consent there, and until when it holds."""
    listed = [one for one in side.run("consent", "list")[1] if digest(wish.text).startswith(one["id"])]
    return " ".join([listed[0]["state"], listed[0].get("until") or ""]).strip() if listed else "unknown"


def _answers(kind, first, second, became):
    """Registers the cells of a kind of answers to wishes."""

    @case(kind, "twice", "to one wish", f"done, done; {became}")
    async def twice(ie, de):
        wish = await asked(ie, ie.seal())
        note = answering(ie, wish, kind, **first)
        return f"{await tell(ie, note, note)}; {_consent(ie, wish)}"

    @case(kind, "reordered", "before there was a wish", f"fault prev-unknown, done; {became}")
    async def reordered(ie, de):
        exchange = ie.seal()
        await delivered(ie, exchange)
        early = receipts.make("consent-asked", exchange.tip, ie.me.keys["receipts"], ie.me.policy, None, purpose="civil-claim")
        said = await tell(ie, answering(ie, early, kind, **first))
        wish = await asked(ie, exchange)
        return f"{said}, {await tell(ie, answering(ie, wish, kind, **first))}; {_consent(ie, wish)}"

    @case(kind, "two versions", "to one wish", f"done, fault answered-already; {became}")
    async def versions(ie, de):
        wish = await asked(ie, ie.seal())
        notes = answering(ie, wish, kind, **first), answering(ie, wish, **second)
        in_package(ie, wish.json["xid"], *notes)
        return f"{await tell(ie, *notes)}; {_consent(ie, wish)}"

    @case(kind, "apart", HERE, f"done, fault not-handed-over; {became}")
    async def apart(ie, de):
        wish = await asked(ie, ie.seal())
        notes = answering(ie, wish, kind, **first), answering(ie, wish, **second)
        return f"{await tell(ie, notes[0])}, {await tell(de, notes[1])}; {_consent(ie, wish)}"


_answers("consent-given", {}, {"kind": "consent-refused"}, "given 2031-01-01")
_answers("consent-refused", {}, {"kind": "consent-given"}, "refused")
