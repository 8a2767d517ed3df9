"""Floods of packages: offered and taken back, broken, refused, kept, begun and left, and what is said of them afterwards."""

import asyncio
import datetime
import os

from . import after, receipts
from .flood import PLACES, Flooder, Package, way, word
from .plain import digest
from .session import Session
from .wire import PAYLOAD, SEGMENT, frame

MIB = 1 << 20
REASON = {"clause": "", "code": "flood"}
# Texts beside an offer that nobody has to be able to read, each as long as may be.
WORDS = ["title", "necessity", "proportionality", "justification"]


def say(flood, kind, before, **more):
    """A statement that follows another one."""
    return receipts.make(kind, before, flood.me.keys["receipts"], flood.me.policy, None, **more)


@way("offers taken back at once, with long disclosures", "terms, later quota", spends=True)
async def taken_back(flood):
    _, handover = await Package(flood, 1000).hand_over(await flood.session())
    flood.words = WORDS
    small, large = Package(flood, 1000), Package(flood, 3 * MIB)

    async def step(session):
        package = small if os.urandom(1)[0] & 1 else large
        stream, note = package.offer(session, unasked=False)
        if package is large:
            said = await word_of(stream)
            if said != "accept":
                return said
        stream.say("receipt", say(flood, "withdrawn", note, reason=REASON).raw, True)
        return await word(stream)

    await flood.many(step)
    # Whose account is used up may not say anything else that would be kept.
    terms = {**handover.json["terms"], "retain_until": "2031-01-01"}
    stream = (await flood.session()).link.open()
    stream.say("receipt", say(flood, "restriction-changed", handover, reason=REASON, terms=terms).raw)
    flood.count(f"terms, {await word(stream)}")
    flood.close()


async def word_of(stream):
    """The next word on a stream that goes on."""
    said = await word(stream)
    stream.link.streams[stream.number] = stream
    return said


@way("packages of some MiB whose header opens nothing", "handover-failed, done")
async def broken_large(flood):
    package = Package(flood, 3 * MIB, "header")

    async def step(session):
        return _with_kind(*await package.hand_over(session))

    await flood.many(step, 2)


@way("small packages whose header opens nothing", "later quota", spends=True)
async def broken_small(flood):
    package = Package(flood, 100_000, "header")

    async def step(session):
        return _with_kind(*await package.hand_over(session))

    await flood.many(step)


def _with_kind(said, both):
    return f"{both.json['kind']}, {said}" if both and said == "done" else said


@way("offers that are rejected with a signed reason", "later rate")
async def rejected(flood):
    package = Package(flood, 1000, retain_until="2026-01-01")

    async def step(session):
        return await word(package.offer(session)[0])

    await flood.many(step)


@way("packages that are kept", "later quota", keeps=True)
async def kept(flood):
    package = Package(flood, 100_000)

    async def step(session):
        return _with_kind(*await package.hand_over(session))

    await flood.many(step)


@way("large offers of which one segment comes", "later quota", keeps=True)
async def begun(flood):
    package = Package(flood, 3 * MIB)

    async def step(session):
        stream, note = package.offer(session)
        said = await word_of(stream)
        if said == "accept":
            package.pour(session, note, PAYLOAD, package.payload[:SEGMENT], 0)
            await asyncio.sleep(0.2)
            stream.reset(0)
        return said

    await flood.many(step, 4)


@way("offers whose receipt is answered with a fault", "later quota", spends=True, keeps=True)
async def unanswered(flood):
    package = Package(flood, 1000)

    async def step(session):
        stream, _ = package.offer(session)
        said = await word_of(stream)
        stream.write(frame("fault", {"code": "no", "text": "no " * 1300}), True)
        return said

    await flood.many(step)


@way("one package offered again and again", "done", keeps=True)
async def again(flood):
    package = Package(flood, 1000)
    note = package.dispatch()
    package.dispatch = lambda: note
    await package.hand_over(await flood.session())

    async def step(session):
        return await word(package.offer(session)[0])

    await flood.many(step)


@way("ever stricter terms, and others that exclude them", "done", keeps=True)
async def stricter(flood):
    package = Package(flood, 1000)
    last = datetime.date(2031, 12, 31)

    async def restrict(session, before, days):
        terms = {**before.json["terms"], "retain_until": (last - datetime.timedelta(days)).isoformat()}
        new = say(flood, "restriction-changed", before, reason=REASON, terms=terms)
        stream = session.link.open()
        stream.say("receipt", new.raw, True)
        return new, await word(stream)

    async def step(session):
        said, note = await package.hand_over(session)
        answers = [said]
        for days in range(0, 132, 2):
            if not flood.going() or said != "done":
                break
            if days % 32 == 2:
                # One that would stand where the last one stands.
                answers.append((await restrict(session, before, days + 1))[1])
            before = note
            note, said = await restrict(session, before, days)
            answers.append(said)
        return answers

    await flood.many(step)


class Receiving(Flooder):
    """A connection that takes packages."""

    async def _talk(self, stream):
        await Session._talk(self, stream)


@way("what a receiver tells: wishes, openings and reports", "done", keeps=True)
async def told(flood):
    flood.kind = Receiving
    path = flood.me.folder / "for-flood.txt"
    path.write_text("evidence\n")
    words = "--case FLOOD --instrument EIO --purpose trial --retain-until 2031-12-31 --onward prohibited".split()
    wish = [receipts.disclose("justification", "why " * 1000)]
    kinds = {
        "consent-asked": {"purpose": "civil-claim", "sd": [digest(wish[0].encode())]}, "use-report": {},
        "access": {"purpose": "trial", "released": 1, "reason": REASON}, "content-mismatch": {"reason": REASON},
    }  # fmt: skip

    async def step(session):
        flood.asked_for += 1
        sent = await flood.victim.ask("package", "send", "--to", flood.alias, *words, str(path))
        exchange = flood.me.exchange(sent["id"])
        while not exchange.find("handover") or len(exchange.find("handover").lines) < 2:
            await asyncio.sleep(0.05)
            if session.link.closed.is_set() or not flood.going():
                return "not handed over"
        answers = []
        while flood.going() and not (answers and answers[-1].endswith((" quota", "too-many-notices"))):
            kind = list(kinds)[len(answers) % len(kinds)]
            stream = session.link.open()
            stream.say("receipt", say(flood, kind, exchange.tip, **kinds[kind]).raw)
            if kind in after.WITH_WORDS:
                stream.say("disclosures", wish)
            answers.append(await word(stream))
            stream.finish()
        return answers

    await flood.many(step, PLACES // 2)


@way("packages with long headers", "handover, done", keeps=True)
async def long_headers(flood):
    package = Package(flood, 1000, "long")

    async def step(session):
        return _with_kind(*await package.hand_over(session))

    await flood.many(step, 2)
