"""Packages that pass through three hands: ours, which one daemon passes on to the other, and one daemon's, which we pass on to the other."""

import asyncio
import os

from . import age, lies_sender, receipts
from .equivocation import case, in_package
from .lies_after import _restriction as restriction
from .lies_receiver import issue
from .notes import Statement, countersign
from .plain import digest
from .sender import TERMS, Delivery, seal
from .twofold_sender import HERE, answer, answering, delivered, offered, tell, together
from .wire import HASHES

WHY = ("--justification", "joint proceedings")


async def cli(side, *words):
    """The command line, which must succeed."""
    code, said = await asyncio.to_thread(side.run, *words)
    assert code == 0, said
    return said


async def until(holds):
    """Waits until it holds, for ten seconds at most; whether it does."""
    for _ in range(100):
        if await asyncio.to_thread(holds):
            return True
        await asyncio.sleep(0.1)
    return False


def _state(side, xid, *states):
    return until(lambda: side.state(xid) in states)


async def word(session, xid, kind):
    """The next statement of this kind about a package that the daemon tells, acknowledged."""
    while True:
        stream, note = await asyncio.wait_for(session.words.get(), 20)
        stream.say("done", end=True)
        if (note.json["kind"], note.json["xid"]) == (kind, xid):
            await session.link.ping()
            return note


async def passed_on(ie, de):
    """A package of ours that one daemon has passed on to the other with our consent: our exchange, wish, consent, the other's exchange id."""
    exchange = seal(ie.me, ie.peer, {"a.bin": os.urandom(2000)}, "XX-ONWARD", {**TERMS, "onward": "with-consent"})
    assert await delivered(ie, exchange) == "done"
    session = await ie.line()
    await cli(ie, "package", "ask-onward", exchange.xid, "--to", de.peer.card.id, *WHY)
    wish = await word(session, exchange.xid, "consent-asked")
    session.close()
    given = answering(ie, wish, "consent-given")
    assert await tell(ie, given) == "done"
    forwarded = (await cli(ie, "package", "forward", exchange.xid, "--to", de.alias, *WHY))["id"]
    assert await _state(de, forwarded, "held"), "it was not passed on"
    for side in (ie, de):
        side.touch(forwarded)
    return exchange, wish, given, forwarded


def _purposes(side, xid):
    return " ".join(side.run("package", "show", xid)[1]["terms"]["purposes"])


async def _two_terms(ie, de):
    exchange, _, _, forwarded = await passed_on(ie, de)
    return exchange, forwarded, [restriction(ie, exchange, exchange.tip, terms={"purposes": [one]}) for one in ("trial", "prosecution")]


@case("restriction-changed", "two versions", "of what was passed on: the third authority hears of the first", "done, fault follow-conflict; trial trial")
async def two_terms_onward(ie, de):
    exchange, forwarded, notes = await _two_terms(ie, de)
    said = await tell(ie, *notes)
    in_package(ie, exchange.xid, *notes)
    await until(lambda: _purposes(de, forwarded) == "trial")
    return f"{said}; {_purposes(ie, exchange.xid)} {_purposes(de, forwarded)}"


@case("restriction-changed", "apart", "of what was passed on: each daemon is told another", "done, fault not-handed-over; trial trial")
async def terms_apart_onward(ie, de):
    exchange, forwarded, notes = await _two_terms(ie, de)
    said = f"{await tell(ie, notes[0])}, {await tell(de, notes[1])}"
    await until(lambda: _purposes(de, forwarded) == "trial")
    return f"{said}; {_purposes(ie, exchange.xid)} {_purposes(de, forwarded)}"


@case("restriction-changed", "reordered", "as each connection ends: the third authority hears of what was taken", "told")
async def terms_as_it_ends(ie, de):
    exchange, _, _, forwarded = await passed_on(ie, de)
    before = exchange.tip
    for day in range(31, 19, -1):
        note = restriction(ie, exchange, before, terms={"retain_until": f"2030-01-{day}"})
        session = await ie.line()
        session.link.open().say("receipt", note.raw)
        await asyncio.sleep((31 - day) / 1000)
        session.close()
        await asyncio.sleep(0.3)
        ends = lambda side, xid: side.run("package", "show", xid)[1]["terms"]["retain_until"]
        if ends(ie, exchange.xid) == f"2030-01-{day}":
            before = note
            if not await until(lambda: ends(de, forwarded) == f"2030-01-{day}"):
                return f"not told, {day}"
    return "told" if before is not exchange.tip else "none was taken"


@case("consent-given", "two versions", "to passing on, refused once it was passed on", "fault answered-already; held held")
async def consent_taken_back(ie, de):
    exchange, wish, given, forwarded = await passed_on(ie, de)
    refused = answering(ie, wish, "consent-refused")
    said = await tell(ie, refused)
    in_package(ie, exchange.xid, given, refused)
    return f"{said}; {ie.state(exchange.xid)} {de.state(forwarded)}"


@case("dispatch", "two versions", "once it was passed on", "fault xid-taken; held held")
async def dispatch_after_onward(ie, de):
    exchange, _, _, forwarded = await passed_on(ie, de)
    other = lies_sender.signed(ie, exchange, t="2026-01-01T00:00:00.000Z")
    _, stream = await offered(ie, exchange, other)
    said = await answer(stream)
    in_package(ie, exchange.xid, exchange.dispatch, other)
    return f"{said}; {ie.state(exchange.xid)} {de.state(forwarded)}"


@case("dispatch", "apart", "another one under the number of what was passed on, to the third authority itself", "done; held held held")
async def dispatch_past_onward(ie, de):
    exchange, _, _, forwarded = await passed_on(ie, de)
    other = seal(de.me, de.peer, {"b.bin": b"another"}, "XX-OTHER")
    other.notes, other.xid = [lies_sender.signed(de, other, xid=exchange.xid)], exchange.xid
    said = await delivered(de, other)
    # The third authority has both: beside what was passed on travelled the first dispatch.
    together(ie.two, (de, forwarded), (de, exchange.xid))
    return f"{said}; {ie.state(exchange.xid)} {de.state(forwarded)} {de.state(exchange.xid)}"


# ---- what we pass on --------------------------------------------------------------------------------------------


class Through:
    """A package of one daemon that we have, and pass on to the other."""

    async def take(self, ie):
        """Takes a package of the daemon as told, payload and header."""
        session = await ie.line()
        path = ie.me.folder / "onward.bin"
        path.write_bytes(os.urandom(2000))
        words = "--case ONWARD --instrument EIO --purpose trial --retain-until 2031-12-31 --onward with-consent".split()
        xid = (await cli(ie, "package", "send", "--to", ie.me.alias, *words, str(path)))["id"]
        while True:
            stream, raw = await asyncio.wait_for(session.offers.get(), 20)
            self.dispatch = receipts.read(raw)
            if self.dispatch.json["xid"] == xid:
                break
            stream.reset(0)
        _, self.disclosures = await stream.hear()
        ie.touch(xid)
        arrived = {}
        for _ in range(2):
            kind, _, data = await asyncio.wait_for(session.arrivals(xid).get(), 10)
            arrived[kind == HASHES] = await data.exactly(32 if kind == HASHES else self.dispatch.json["pkg"]["len"])
        self.hashes, self.payload = [arrived[True]], arrived[False]
        stream.say("receipt", issue(ie, "consigned", self.dispatch, session).raw)
        self.consigned = Statement((await stream.hear())[1])
        self.header = (await stream.hear())[1]
        stream.say("receipt", issue(ie, "handover", self.consigned, session).raw)
        self.handover = Statement((await stream.hear())[1])
        stream.say("done", end=True)
        assert await _state(ie, xid, "closed")
        session.close()

    async def pass_on(self, ie, de):
        """Asks the daemon, and passes the package on to the other; what that one has signed is kept."""
        note = issue(ie, "consent-asked", self.handover, third=de.peer.card.id)
        assert await tell(ie, note) == "done"
        session = await ie.line()
        wish = next(one["id"] for one in ie.run("consent", "list")[1] if digest(note.text).startswith(one["id"]))
        await cli(ie, "consent", "grant", wish, "--until", "2031-01-01", *WHY)
        await word(session, self.dispatch.json["xid"], "consent-given")
        session.close()
        me, there = ie.me, seal(de.me, de.peer, {"b.bin": b"x"}, "XX")
        there.header = age.make_header(age.open_header(self.header, me.identity, 1), de.peer.card.recipients)
        there.hashes = self.hashes
        there.payload.write_bytes(self.payload)
        there.disclosures = [*self.disclosures, receipts.disclose("origin", self.dispatch.raw.decode())]
        more = {
            "pkg": {**self.dispatch.json["pkg"], "hdr": digest(there.header)}, "terms": {**self.dispatch.json["terms"], "onward": "prohibited"},
            "sd": sorted(digest(one.encode()) for one in there.disclosures),
        }  # fmt: skip
        there.notes = [lies_sender.signed(de, there, **more)]
        de.touch(there.xid)
        session = await de.line()
        ended = await Delivery(session, there).run()
        assert ended == {"ended": "done"}, ended
        session.close()
        self.there = there
        return self

    def onward(self, ie, de, copy=None, **more):
        """Our statement about it, and its disclosures."""
        copy = copy or self.there.find("handover")
        words = [receipts.disclose("receipt", copy.raw.decode())]
        fields = {"third": de.peer.card.id, "subject": copy.digest, "sd": [digest(words[0].encode())], **more}
        return issue(ie, "onward", self.handover, **fields), words


async def through(ie, de):
    """A package of the first daemon that we have passed on to the second."""
    it = Through()
    await it.take(ie)
    return await it.pass_on(ie, de)


async def say(side, *said):
    """Says `onward`, each on a stream of its own: the answers."""
    answers, session = [], await side.line()
    for note, words in said:
        stream = session.link.open()
        stream.say("receipt", note.raw)
        stream.say("disclosures", words)
        answers.append(await answer(stream))
    session.close()
    return ", ".join(answers)


def _count(side, it):
    """How often the daemon was told of it."""
    code, listed = side.run("receipt", "list", "--package", it.dispatch.json["xid"])
    return len({one["digest"] for one in listed if one["kind"] == "onward"}) if code == 0 else 0


@case("onward", "twice", "after the third authority's handover", "done, done; 1")
async def onward_twice(ie, de):
    it = await through(ie, de)
    note = it.onward(ie, de)
    return f"{await say(ie, note, note)}; {_count(ie, it)}"


@case("onward", "reordered", "with what the third authority has signed before its handover", "fault onward-kind, done; 1")
async def onward_early(ie, de):
    it = await through(ie, de)
    return f"{await say(ie, it.onward(ie, de, it.there.find('consigned')), it.onward(ie, de))}; {_count(ie, it)}"


@case("onward", "two versions", "of one receipt, and one with a receipt that we have signed in its name", "done, done, fault [a-z-]+; 2")
async def two_onward(ie, de):
    it = await through(ie, de)
    true = it.there.find("handover")
    forged = Statement(true.text + b"\n" + ie.me.keys["receipts"].line(true.text))
    forged = countersign(forged, ie.me.keys["log"])
    return f"{await say(ie, it.onward(ie, de), it.onward(ie, de, clk=51), it.onward(ie, de, forged, clk=52))}; {_count(ie, it)}"


@case("onward", "apart", HERE, "done, fault not-handed-over; 1 0")
async def onward_apart(ie, de):
    it = await through(ie, de)
    return f"{await say(ie, it.onward(ie, de))}, {await say(de, it.onward(ie, de, clk=51))}; {_count(ie, it)} {_count(de, it)}"
