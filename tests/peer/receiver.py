"""Section 11 of the protocol, the receiver's side: taking a package, signing for it, and reading it."""

import asyncio

from . import age, bag, merkle, receipts
from .plain import Refused, demand, digest
from .wire import HASHES, INLINE, PAYLOAD, SEGMENT, Gone


async def receive(session, stream, offer):
    """Answers an offer, and goes on until the handover is signed by both."""
    await Taking(session, stream).run(offer)


class Taking:
    """One attempt at an exchange, over one connection."""

    def __init__(self, session, stream):
        self.session, self.stream, self.me = session, stream, session.me
        self.exchange = self.pending = None

    def _hear(self):
        """The next frame of the stream, as a task that can be waited for more than once."""
        if not self.pending:
            self.pending = asyncio.ensure_future(self.stream.hear())
            # What became of it may be nobody's business any more.
            self.pending.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self.pending

    async def _frame(self):
        """The next frame."""
        task, self.pending = self._hear(), None
        return await asyncio.wait_for(task, 60)

    async def _arrival(self):
        """The next one-way stream of the exchange; None if the sender said something instead, which must be the end of it."""
        coming = asyncio.ensure_future(self.session.arrivals(self.exchange.xid).get())
        await asyncio.wait({coming, self._hear()}, timeout=60, return_when=asyncio.FIRST_COMPLETED)
        if coming.done():
            return coming.result()
        coming.cancel()
        demand(self._hear().done(), "silence")
        name, raw = await self._frame()
        if name is None:
            raise Gone("the stream ended")
        demand(name == "receipt", "unexpected-frame", str(name))
        self._taken_back(receipts.read(raw))
        return None

    def _taken_back(self, note):
        """The sender ended the exchange before it signed `consigned`: what was received is dropped."""
        demand(note.json["kind"] in ("withdrawn", "expired"), "unexpected-receipt", note.json["kind"])
        receipts.check(note, self.exchange.dispatch, self.me.verifiers())
        self.me.take(note, self.exchange)
        self.exchange.ended = note.json["kind"]
        self.exchange.have = set()
        self.exchange.payload.unlink(missing_ok=True)
        self.exchange.save()
        self.stream.say("done", end=True)

    async def run(self, offer):
        """From the offer to `done`."""
        note = receipts.read(offer)
        name, listed = await self._frame()
        demand(name == "disclosures", "disclosures-missing")
        if not self._known(note) and not self._admit(note, listed):
            return
        if not self.exchange.find("consigned"):
            if not await self._collect():
                return
            self.me.issue("consigned", self.exchange, self.session.ses)
        await self._go_on()

    def _known(self, note):
        """Whether this exchange is under way; the same bytes must be offered again."""
        fields = receipts.check(note, None, self.me.verifiers())
        demand(fields["to"]["id"] == self.me.id and fields["from"]["id"] == self.session.peer.card.id, "offer-parties")
        known = self.me.exchanges.get(fields["xid"])
        if known is None or not known.notes:
            return False
        demand(known.dispatch.raw == note.raw and known.role == "receiver", "another-dispatch")
        self.exchange = known
        return True

    def _admit(self, note, listed):
        """Stores a new offer, or rejects it with a signed reason."""
        values = receipts.read_disclosures(listed, note.json.get("sd", []))
        self.me.check_heads(note)
        exchange = self.exchange = self.me.exchange(note.json["xid"])
        exchange.role, exchange.peer, exchange.disclosures = "receiver", self.session.peer.card.id, listed
        exchange.put(note)
        exchange.save()
        try:
            receipts.check_beside_offer(values)
            demand(self.me.refuse is None, self.me.refuse)
        except Refused as fault:
            reason = {"clause": "", "code": fault.code}
            rejected = self.me.issue("rejected", exchange, self.session.ses, reason=reason)
            exchange.ended = "rejected"
            exchange.save()
            self.stream.say("receipt", rejected.raw, True)
            return False
        return True

    async def _collect(self):
        """Takes the segments that are missing; False if the line was cut on purpose."""
        exchange = self.exchange
        pkg = exchange.dispatch.json["pkg"]
        if not exchange.payload.exists():
            exchange.payload.write_bytes(b"")
        early = []
        while True:
            arrival = await self._arrival()
            if arrival is None:
                return False
            if arrival[0] == HASHES:
                await self._take_hashes(arrival[2], pkg)
                break
            early.append(arrival)
        for one in early:
            self.session.arrivals(exchange.xid).put_nowait(one)
        missing = self._missing()
        if missing and pkg["len"] > INLINE:
            exchange.asked.append(missing)
            self.stream.say("accept", {"missing": missing})
        while self._missing():
            arrival = await self._arrival()
            if arrival is None:
                return False
            demand(arrival[0] == PAYLOAD, "stream-type", "the hashes came twice")
            if not await self._take_segments(*arrival[1:], pkg["len"]):
                return False
        return True

    async def _take_hashes(self, stream, pkg):
        count = self.exchange.segments()
        raw = await stream.exactly(32 * count)
        demand(await stream.at_end(), "hashes-length")
        hashes = [raw[at : at + 32] for at in range(0, len(raw), 32)]
        demand(merkle.root(hashes).hex() == pkg["body"], "hashes-root")
        self.exchange.hashes = hashes
        self.exchange.save()

    def _missing(self):
        """Runs of segments that are not here: first and count."""
        runs = []
        for at in range(self.exchange.segments()):
            if at in self.exchange.have:
                continue
            if runs and sum(runs[-1]) == at:
                runs[-1][1] += 1
            else:
                runs.append([at, 1])
        return runs

    async def _take_segments(self, first, stream, length):
        at = first
        while not await stream.at_end():
            demand(at < self.exchange.segments() and at not in self.exchange.have, "segment-not-asked", str(at))
            data = await stream.up_to(min(SEGMENT, length - at * SEGMENT))
            demand(merkle.leaf(data) == self.exchange.hashes[at], "segment-hash", str(at))
            with open(self.exchange.payload, "r+b") as file:
                file.seek(at * SEGMENT)
                file.write(data)
            self.exchange.have.add(at)
            self.exchange.save()
            at += 1
            if self.me.cut_after is not None and len(self.exchange.have) >= self.me.cut_after:
                self.me.cut_after = None
                self.me.cut()
                self.session.link.close(0, "cut")
                return False
        return True

    async def _go_on(self):
        """From `consigned` to `done`: says what is signed, and takes what comes back."""
        exchange = self.exchange
        if not exchange.find("handover") and not exchange.find("handover-failed"):
            for is_last in (False, True):
                self.stream.say("receipt", exchange.find("consigned").first)
                await self._complete("consigned")
                await self._take_header()
                if self._try_header(is_last):
                    break
        kind = "handover" if exchange.find("handover") else "handover-failed"
        if len(exchange.find(kind).lines) == 1:
            self.stream.say("receipt", exchange.find(kind).raw)
            await self._complete(kind)
        exchange.ended = exchange.ended or kind
        exchange.save()
        self.stream.say("done", end=True)

    async def _complete(self, kind):
        """Our own receipt comes back with both signatures."""
        name, raw = await self._frame()
        if name is None:
            raise Gone("the stream ended")
        demand(name == "receipt", "unexpected-frame", str(name))
        note, mine = receipts.read(raw), self.exchange.find(kind)
        demand(note.text == mine.text and len(note.lines) == 2, "receipt-not-ours")
        before = self.exchange.find("consigned") if kind.startswith("handover") else self.exchange.dispatch
        receipts.check(note, before, self.me.verifiers())
        self.me.take(note, self.exchange)
        return note

    async def _take_header(self):
        name, header = await self._frame()
        demand(name == "header", "unexpected-frame", str(name))
        demand(digest(header) == self.exchange.dispatch.json["pkg"]["hdr"], "header-digest")
        self.exchange.header = header
        self.exchange.save()

    def _try_header(self, is_last):
        """Signs `handover`, or, the last time, `handover-failed` if the header does not open the payload; whether it signed."""
        try:
            key = age.open_header(self.exchange.header, self.me.identity, len(self.me.card.recipients))
            age.first_chunk(self.exchange.payload.read_bytes(), key)
        except Refused as fault:
            if is_last:
                reason = {"clause": "", "code": fault.code}
                self.me.issue("handover-failed", self.exchange, self.session.ses, reason=reason)
            return is_last
        self.me.issue("handover", self.exchange, self.session.ses)
        return True


def open_package(me, exchange):
    """Manifest, tar and files of a package that was handed over; everything that was disclosed and signed must match."""
    fields = exchange.dispatch.json
    payload = exchange.payload.read_bytes()
    hashes = [merkle.leaf(payload[at : at + SEGMENT]) for at in range(0, len(payload), SEGMENT)]
    demand(merkle.root(hashes).hex() == fields["pkg"]["body"] and len(payload) == fields["pkg"]["len"], "payload")
    tar = age.unseal(payload, age.open_header(exchange.header, me.identity))
    manifest, raw, files = bag.read(tar)
    values = receipts.read_disclosures(exchange.disclosures, fields["sd"])
    demand(values["manifest"] == digest(raw), "manifest-digest")
    demand(values["item-root"] == bag.item_root(manifest), "item-root")
    for name in ("case", "request", "title"):
        demand(name not in values or values[name] == manifest.get(name), f"manifest-{name}")
    demand((manifest["from"], manifest["to"]) == (fields["from"]["id"], fields["to"]["id"]), "manifest-parties")
    demand(manifest["terms"] == fields["terms"], "manifest-terms")
    return manifest, tar, files
