"""A receiver's messages twice, out of order and in two versions: answers to offers, and statements after the handover."""

import asyncio

from .equivocation import case, in_package, void
from .lies_receiver import WHY, again, handed_over, issue, signed_consigned
from .notes import state as signed
from .plain import stamp
from .twofold_sender import HERE, answer, tell

LARGE = 3 << 20


async def offered(side, size=2000):
    """The daemon has offered a new package: session, stream, dispatch."""
    session, stream, note, _ = await side.offered(size)
    side.touch(note.json["xid"])
    return session, stream, note


async def consigned(side):
    """Both have signed `consigned`, and the header is here: session, stream, dispatch, consigned."""
    session, stream, note, both, _ = await signed_consigned(side)
    side.touch(note.json["xid"])
    return session, stream, note, both


async def held(side):
    """The handover is over: dispatch, handover."""
    session, stream, note, _, handover = await handed_over(side)
    side.touch(note.json["xid"])
    stream.say("done", end=True)
    await became(side, note, "closed")
    session.close()
    return note, handover


async def became(side, note, *states):
    """The state of a package, once it is one of these, or after five seconds."""
    for _ in range(50):
        now = side.state(note.json["xid"])
        if now in states:
            return now
        await asyncio.sleep(0.1)
    return now


def failed(side, both, session, code="x"):
    """A `handover-failed`."""
    return issue(side, "handover-failed", both, session, reason={"clause": "", "code": code})


def rejection(side, note, session, code="x"):
    """A `rejected`."""
    return issue(side, "rejected", note, session, reason={"clause": "", "code": code})


async def second_attempt(side, session, note, statement):
    """Breaks the connection off, and says this on the daemon's next attempt: its answer."""
    session.close()
    session, stream = await again(side, note.json["xid"])
    stream.say("receipt", statement.raw)
    return await answer(stream, past=())


# ---- consigned, and what stands in its place --------------------------------------------------------------------


@case("consigned", "twice", "on one stream", "receipt header receipt header; consigned")
async def consigned_twice(ie, de):
    session, stream, note = await offered(ie)
    mine = issue(ie, "consigned", note, session)
    for _ in range(2):
        stream.say("receipt", mine.raw)
    heard = [(await asyncio.wait_for(stream.hear(), 10))[0] for _ in range(4)]
    return f"{' '.join(heard)}; {ie.state(note.json['xid'])}"


@case("consigned", "reordered", "after the handover, on a stream of its own", "fault unexpected-frame; closed")
async def consigned_late(ie, de):
    note, _ = await held(ie)
    session = await ie.line()
    stream = session.link.open()
    stream.say("receipt", issue(ie, "consigned", note, session).raw)
    return f"{await answer(stream)}; {ie.state(note.json['xid'])}"


@case("consigned", "two versions", "the second on the next attempt", "fault contradicts-earlier; consigned")
async def two_consigned(ie, de):
    session, _, note, both = await consigned(ie)
    other = issue(ie, "consigned", note, session, clk=51)
    in_package(ie, note.json["xid"], both, other)
    return f"{await second_attempt(ie, session, note, other)}; {ie.state(note.json['xid'])}"


@case("consigned", "two versions", "the second after the handover", "fault contradicts-earlier; delivered")
async def consigned_after_all(ie, de):
    session, _, note, both, _ = await handed_over(ie)
    ie.touch(note.json["xid"])
    other = issue(ie, "consigned", note, session, clk=51)
    in_package(ie, note.json["xid"], both, other)
    return f"{await second_attempt(ie, session, note, other)}; {ie.state(note.json['xid'])}"


def elsewhere(kind, make):
    """Registers an answer to one daemon's offer that is given to the other's offer."""

    @case(kind, "apart", "an answer to one daemon's offer, given to the other's", "fault [a-z-]+; dispatched dispatched")
    async def told(ie, de):
        session, _, note = await offered(ie)
        _, stream, other = await offered(de)
        stream.say("receipt", make(ie, note, session).raw)
        return f"{await answer(stream, past=())}; {ie.state(note.json['xid'])} {de.state(other.json['xid'])}"


elsewhere("consigned", lambda side, note, session: issue(side, "consigned", note, session))
elsewhere("rejected", rejection)
elsewhere("handover", lambda side, note, session: issue(side, "handover", issue(side, "consigned", note, session), session))
elsewhere("handover-failed", lambda side, note, session: failed(side, issue(side, "consigned", note, session), session))


@case("rejected", "twice", "on one stream", "rejected")
async def rejected_twice(ie, de):
    session, stream, note = await offered(ie)
    mine = rejection(ie, note, session)
    for _ in range(2):
        stream.say("receipt", mine.raw)
    return await became(ie, note, "rejected")


@case("rejected", "reordered", "after consigned", "fault unexpected-frame; consigned")
async def rejected_late(ie, de):
    session, stream, note, both = await consigned(ie)
    mine = rejection(ie, note, session)
    in_package(ie, note.json["xid"], both, mine)
    stream.say("receipt", mine.raw)
    return f"{await answer(stream, past=())}; {ie.state(note.json['xid'])}"


@case("rejected", "two versions", "on one stream: only the first is heard", "rejected")
async def two_rejected(ie, de):
    session, stream, note = await offered(ie)
    for code in ("x", "y"):
        stream.say("receipt", rejection(ie, note, session, code).raw)
    return await became(ie, note, "rejected")


# ---- the handover -----------------------------------------------------------------------------------------------


def _handing(kind, other, make):
    """Registers the cells of a kind that answers the header."""
    ends = {"handover": "closed", "handover-failed": "failed"}[kind]
    waits = {"handover": "delivered", "handover-failed": "failed"}[kind]

    @case(kind, "twice", "on one stream", f"receipt receipt; {ends}")
    async def twice(ie, de):
        session, stream, note, both = await consigned(ie)
        mine = make(ie, both, session)
        for _ in range(2):
            stream.say("receipt", mine.raw)
        heard = [(await asyncio.wait_for(stream.hear(), 10))[0] for _ in range(2)]
        stream.say("done", end=True)
        return f"{' '.join(heard)}; {await became(ie, note, ends)}"

    @case(kind, "reordered", "before consigned", "fault unexpected-frame; dispatched")
    async def reordered(ie, de):
        session, stream, note = await offered(ie)
        stream.say("receipt", make(ie, issue(ie, "consigned", note, session), session).raw)
        return f"{await answer(stream, past=())}; {ie.state(note.json['xid'])}"

    @case(kind, "two versions", "the second on the next attempt", f"receipt, fault contradicts-earlier; {waits}")
    async def versions(ie, de):
        session, stream, note, both = await consigned(ie)
        first, second = make(ie, both, session), make(ie, both, session, clk=51)
        stream.say("receipt", first.raw)
        said = (await asyncio.wait_for(stream.hear(), 10))[0]
        in_package(ie, note.json["xid"], first, second)
        return f"{said}, {await second_attempt(ie, session, note, second)}; {ie.state(note.json['xid'])}"

    @case(kind, "two versions", f"the second is {other}, on one stream", f"receipt, fault contradicts-earlier; {waits}")
    async def kinds_of_it(ie, de):
        session, stream, note, both = await consigned(ie)
        make_other = failing if other == "handover-failed" else handing
        first, second = make(ie, both, session), make_other(ie, both, session)
        stream.say("receipt", first.raw)
        said = (await asyncio.wait_for(stream.hear(), 10))[0]
        stream.say("receipt", second.raw)
        in_package(ie, note.json["xid"], first, second)
        return f"{said}, {await answer(stream, past=())}; {ie.state(note.json['xid'])}"


def handing(side, both, session, **more):
    """A `handover`."""
    return issue(side, "handover", both, session, **more)


def failing(side, both, session, **more):
    """A `handover-failed`."""
    return issue(side, "handover-failed", both, session, reason={"clause": "", "code": "x"}, **more)


_handing("handover", "handover-failed", handing)
_handing("handover-failed", "handover", failing)


# ---- after the handover -----------------------------------------------------------------------------------------

MISMATCH = {"reason": {"clause": "", "code": "item"}}
OPENED = {"purpose": "trial", "released": 10, "reason": {"clause": "", "code": "threat"}}
# By kind: the fields of two versions, the answer to a first, to a second one, and how many the daemon then has.
LATER = {
    "destroyed": (WHY, {**WHY, "clk": 51}, "destroyed by-order", "destroyed by-order", 1),
    "use-report": ({}, {"clk": 51}, "done", "done", 2),
    "access": (OPENED, {**OPENED, "released": 11}, "done", "done", 2),
    "content-mismatch": (MISMATCH, {"reason": {"clause": "", "code": "tar"}}, "done", "done", 2),
    "consent-asked": ({"purpose": "civil-claim"}, {"purpose": "extradition"}, "done", "done", 2),
}


def _later(kind, first, second, said, said_again, count):
    """Registers the cells of a kind that a receiver tells of a package after its handover."""
    excluded = "the first stays" if count == 1 else "they do not exclude each other"

    def listed(side, note):
        texts = {one["digest"] for one in side.run("receipt", "list", "--package", note.json["xid"])[1] if one["kind"] == kind}
        return len(texts)

    @case(kind, "twice", "after the handover", f"{said}, {said}; 1")
    async def twice(ie, de):
        note, handover = await held(ie)
        mine = issue(ie, kind, handover, **first)
        return f"{await tell(ie, mine, mine)}; {listed(ie, note)}"

    @case(kind, "reordered", "before the handover", "fault [a-z-]+; 0 consigned")
    async def reordered(ie, de):
        session, _, note, both = await consigned(ie)
        handover = issue(ie, "handover", both, session)
        return f"{await tell(ie, issue(ie, kind, handover, **first))}; {listed(ie, note)} {ie.state(note.json['xid'])}"

    @case(kind, "two versions", f"after the same handover: {excluded}", f"{said}, {said_again}; {count}")
    async def versions(ie, de):
        note, handover = await held(ie)
        return f"{await tell(ie, *(issue(ie, kind, handover, **one) for one in (first, second)))}; {listed(ie, note)}"

    @case(kind, "apart", HERE, f"{said}, fault not-handed-over; 1")
    async def apart(ie, de):
        note, handover = await held(ie)
        notes = [issue(ie, kind, handover, **one) for one in (first, second)]
        return f"{await tell(ie, notes[0])}, {await tell(de, notes[1])}; {listed(ie, note)}"


for name, cells in LATER.items():
    _later(name, *cells)


# ---- what no authority tells another ----------------------------------------------------------------------------


def _own(side, kind, number):
    """A statement of our own, of no exchange."""
    party = {"card": 1, "id": side.me.id, "key": side.me.keys["receipts"].id.hex()}
    fields = {"v": 1, "kind": kind, "from": party, "subject": f"{number:064x}", "pol": side.me.policy, "t": stamp(), "clk": 50}
    return signed("receipt", fields, side.me.keys["receipts"])


def _unsaid(kind, make):
    """Registers the cells of a kind that stays with its issuer: it is refused however it comes."""
    refused = "fault [a-z-]+"

    async def told(ie, de, *numbers):
        note, handover = await held(ie)
        sides = (ie, de) if len(numbers) == 3 else (ie, ie)
        said = [await tell(side, make(side, handover, number)) for side, number in zip(sides, numbers, strict=False)]
        return f"{', '.join(said)}; {ie.state(note.json['xid'])}"

    expected = f"{refused}, {refused}; closed"
    case(kind, "twice", "nobody says it to another: refused", expected)(lambda ie, de: told(ie, de, 1, 1))
    case(kind, "two versions", "refused", expected)(lambda ie, de: told(ie, de, 1, 2))
    case(kind, "apart", "refused by both", expected)(lambda ie, de: told(ie, de, 1, 2, 0))

    @case(kind, "reordered", "in place of an offer: refused", refused)
    async def offered_so(ie, de):
        session = await ie.line()
        stream = session.link.open()
        stream.say("offer", _own(ie, kind, 1).raw)
        stream.say("disclosures", [])
        return await answer(stream)


REFUSAL = {"reason": {"clause": "", "code": "x"}}
THIRD = {"third": "third.example.org"}
_unsaid("access-denied", lambda side, handover, number: issue(side, "access-denied", handover, clk=number, **REFUSAL))
_unsaid("onward-refused", lambda side, handover, number: issue(side, "onward-refused", handover, clk=number, **REFUSAL, **THIRD))
for name in ("approval", "card-adopted", "clock-step", "key-announce", "order", "policy-adopted", "recovered"):
    _unsaid(name, lambda side, handover, number, kind=name: _own(side, kind, number))


# ---- frames that nobody signs -----------------------------------------------------------------------------------


def answers(kind, way, what, expected, *frames, after="offer", again_with=None):
    """Registers frames that are said to an offer, or after `consigned`; the daemon's answer, and the state that the package then is in."""

    @case(kind, way, what, expected)
    async def told(ie, de):
        if after == "offer":
            session, stream, note = await offered(ie, LARGE)
        else:
            session, stream, note, *_ = await (consigned(ie) if after == "consigned" else handed_over(ie))
            ie.touch(note.json["xid"])
        for name, body in frames:
            stream.say(name, body)
        said = [await answer(stream, past=("receipt",), seconds=2)]
        for name, body in again_with or ():
            session.close()
            session, stream = await again(ie, note.json["xid"])
            stream.say(name, body)
            said.append(await answer(stream, past=("receipt",), seconds=2))
        return f"{', '.join(said)}; {await became(ie, note, 'closed') if after == 'handover' else ie.state(note.json['xid'])}"


SOME, OTHERS = ("accept", {"missing": [[0, 1]]}), ("accept", {"missing": [[1, 2]]})
WAIT, LONGER = ("later", {"after_s": 1, "code": "busy"}), ("later", {"after_s": 2, "code": "full"})
FAULT, ANOTHER = ("fault", {"code": "x", "text": "y"}), ("fault", {"code": "z", "text": "y"})
DONE = ("done", b"")
QUIET = "(end of stream|silence|reset|closed [a-z0-9 '-]+)"
answers("accept", "twice", "on one stream", "fault unexpected-frame; dispatched", SOME, SOME)
answers("accept", "reordered", "after consigned", "fault contradicts-earlier; consigned", SOME, after="consigned")
answers("accept", "two versions", "other segments on the next attempt", "silence, silence; dispatched", SOME, again_with=[OTHERS])
answers("later", "twice", "on one stream", f"{QUIET}; dispatched", WAIT, WAIT)
answers("later", "reordered", "after consigned", f"{QUIET}; consigned", WAIT, after="consigned")
answers("later", "two versions", "another one on the next attempt", f"{QUIET}, {QUIET}; dispatched", WAIT, again_with=[LONGER])
answers("fault", "twice", "on one stream", f"{QUIET}; dispatched", FAULT, FAULT)
answers("fault", "reordered", "after consigned", f"{QUIET}; consigned", FAULT, after="consigned")
answers("fault", "two versions", "another one on the next attempt", f"{QUIET}, {QUIET}; dispatched", FAULT, again_with=[ANOTHER])
answers("done", "twice", "on one stream", f"{QUIET}; closed", DONE, DONE, after="handover")
answers("done", "reordered", "before the handover", "fault unexpected-frame; consigned", DONE, after="consigned")
void("done", "it has no body", "two versions")
for name in ("accept", "later", "fault", "done"):
    void(name, "nobody signs it, and it is about the attempt of one daemon", "apart")


# ---- what we say of the daemon's own log ------------------------------------------------------------------------


def _false_heads(side, note):
    """The head of its log that the daemon has named, with another root."""
    named = next(head for head in note.json["heads"] if head["origin"] == f"{side.peer.card.id}/log")
    return [{**named, "root": "ab" * 32}]


@case("rejected", "two versions", "of a head of the daemon's own log: its export does not accuse it", "rejected")
async def rejected_with_heads(ie, de):
    session, stream, note = await offered(ie)
    reason = {"clause": "", "code": "x"}
    stream.say("receipt", issue(ie, "rejected", note, session, reason=reason, heads=_false_heads(ie, note)).raw)
    return await became(ie, note, "rejected")


@case("use-report", "two versions", "of a head of the daemon's own log: its export does not accuse it", "done; closed")
async def reported_with_heads(ie, de):
    note, handover = await held(ie)
    said = await tell(ie, issue(ie, "use-report", handover, heads=_false_heads(ie, note)))
    return f"{said}; {ie.state(note.json['xid'])}"
