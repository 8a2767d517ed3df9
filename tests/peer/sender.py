"""Section 11 of the protocol, the sender's side: sealing a package, and bringing it to its receiver."""

import asyncio
import os

from . import age, bag, merkle, receipts
from .notes import state
from .plain import Refused, demand, digest, stamp
from .wire import HASHES, INLINE, PAYLOAD, SEGMENT, Gone, data_head

TERMS = {
    "instrument": "EIO", "onward": "prohibited", "purposes": ["prosecution", "trial"], "retain_until": "2031-12-31",
    "use_report": False,
}  # fmt: skip


def _party(card):
    return {"card": card.number, "id": card.id, "key": card.keys["receipts"].id.hex()}


def seal(me, peer, files, case, terms=None, disclosures=None, wrong=None):
    """A new exchange: the package encrypted, its dispatch signed and committed. With `wrong`, it has that fault, or a long header."""
    terms = terms or TERMS
    about = {"from": me.id, "to": peer.card.id, "case": case, "terms": terms}
    tar, manifest, raw = bag.write(files, about, "an officer")
    if wrong == "item":
        tar = tar.replace(b"marked marked", b"marred marred", 1)
    header, payload, _ = age.seal(tar, peer.card.recipients, age.make_long_header if wrong == "long" else age.make_header)
    if wrong == "header":
        header = age.make_header(os.urandom(16), peer.card.recipients)
    exchange = me.exchange(os.urandom(16).hex())
    exchange.role, exchange.peer, exchange.header = "sender", peer.card.id, header
    exchange.hashes = [merkle.leaf(payload[at : at + SEGMENT]) for at in range(0, len(payload), SEGMENT)]
    values = {"manifest": digest(raw), "item-root": bag.item_root(manifest), "case": case, **(disclosures or {})}
    exchange.disclosures = [receipts.disclose(name, value) for name, value in values.items()]
    pkg = {"alg": "sha-256", "body": merkle.root(exchange.hashes).hex(), "hdr": digest(header), "len": len(payload), "seg": SEGMENT}
    fields = {
        "v": 1, "kind": "dispatch", "xid": exchange.xid, "step": 1, "from": _party(me.card), "to": _party(peer.card),
        "pkg": pkg, "terms": terms, "sd": sorted(digest(one.encode()) for one in exchange.disclosures), "pol": me.policy,
        "t": stamp(), "clk": 50, "heads": me.heads(peer.card.id),
    }  # fmt: skip
    exchange.save()
    exchange.payload.write_bytes(payload)
    note = state("receipt", fields, me.keys["receipts"])
    exchange.put(note)
    me.log.commit(note)
    exchange.save()
    return exchange


class Delivery:
    """One attempt at an exchange, over one connection."""

    def __init__(self, session, exchange, cut_after=None, quietly=True):
        self.session, self.exchange, self.me, self.quietly = session, exchange, session.me, quietly
        self.cut_after, self.stream, self.sent = cut_after, None, []

    async def run(self):
        """Offers the package and goes on to `done`; the result says how it ended."""
        exchange = self.exchange
        if self.session.ses not in exchange.sessions:
            exchange.sessions.append(self.session.ses)
            exchange.save()
        self.stream = self.session.link.open()
        self.offer()
        while True:
            name, body = await asyncio.wait_for(self.stream.hear(), 60)
            if name is None:
                raise Gone("the stream ended before done")
            if name in ("later", "fault"):
                self.stream.finish()
                return {"ended": name, **body}
            if name == "done":
                self.stream.finish()
                return {"ended": "done"}
            ended = await getattr(self, f"_hear_{name}", self._unexpected)(body)
            if ended:
                return ended

    def offer(self):
        """Offer, disclosures, segment hashes, and a small payload at once; or that the exchange is over, if it is."""
        exchange = self.exchange
        self.stream.say("offer", exchange.dispatch.raw)
        self.stream.say("disclosures", exchange.disclosures)
        over = exchange.find("withdrawn") or exchange.find("expired")
        if over:
            self.stream.say("receipt", over.raw)
            return
        hashes = self.session.link.open(True)
        hashes.write(data_head(HASHES, exchange.xid) + b"".join(exchange.hashes), True)
        if exchange.dispatch.json["pkg"]["len"] <= INLINE:
            self._pour(0, 1)

    def _pour(self, first, count):
        """Some segments on a stream of their own."""
        stream = self.session.link.open(True)
        with open(self.exchange.payload, "rb") as file:
            file.seek(first * SEGMENT)
            stream.write(data_head(PAYLOAD, self.exchange.xid, first) + file.read(count * SEGMENT), True)
        self.sent.append([first, count])

    async def _unexpected(self, body):
        raise Refused("unexpected-frame", str(body)[:80])

    async def _hear_accept(self, body):
        if self.exchange.ended in ("withdrawn", "expired"):
            return None
        for first, count in body["missing"]:
            for one in range(first, first + count):
                if self.cut_after is not None and sum(run[1] for run in self.sent) >= self.cut_after:
                    await self._settle()
                    self.session.link.drop() if self.quietly else self.session.link.close(0, "cut")
                    return {"ended": "cut", "sent": self.sent}
                self._pour(one, 1)
        return None

    async def _settle(self):
        """Waits until what was written has gone out and was acknowledged."""
        quic = self.session.link._quic
        for _ in range(600):
            if not any(not stream.sender.is_finished for number, stream in quic._streams.items() if number & 3 == 2 + (not self.session.dialled)):
                return
            await asyncio.sleep(0.05)

    async def _hear_receipt(self, raw):
        note = receipts.read(raw)
        kind = note.json.get("kind")
        demand(kind in ("rejected", "consigned", "handover", "handover-failed"), "unexpected-receipt", str(kind))
        self._judge(note)
        if kind == "rejected":
            self.me.take(note, self.exchange)
            self.exchange.ended = "rejected"
            self.exchange.save()
            self.stream.finish()
            return {"ended": "rejected", **note.json["reason"]}
        both = self.me.sign_too(note, self.exchange)
        if kind != "consigned":
            self.exchange.header = None
            self.exchange.ended = kind
            self.exchange.save()
        self.stream.say("receipt", both.raw)
        if kind == "consigned":
            self.stream.say("header", self.exchange.header)
        return None

    def _judge(self, note):
        """A receipt of the receiver: what it follows, who signed, on which connection, and whose heads it names."""
        kind = note.json["kind"]
        before = self.exchange.find("consigned") if kind.startswith("handover") else self.exchange.dispatch
        demand(before is not None, "receipt-order", kind)
        receipts.check(note, before, self.me.verifiers())
        demand(len(note.lines) == 1, "receipt-signatures")
        demand(note.json.get("ses") in self.exchange.sessions, "receipt-ses")
        self.me.check_heads(note)
