"""Section 9 and the end of section 12 of the protocol: the control stream of a connection, and who hears what on the others."""

import asyncio
import time

from cryptography.x509.oid import ExtendedKeyUsageOID

from . import after, merkle, receiver
from .card import Card, check_chain, read_crl
from .notes import Checkpoint, check_cosignature
from .plain import Refused, demand, now, read_stamp, sha256, stamp, unb64
from .wire import Gone, dial, read_data_head

SKEW = 300


class Session:
    """One connection with a peer that is known by its certificate."""

    def __init__(self, me, link, dialled):
        self.me, self.link, self.dialled = me, link, dialled
        self.control, self.data, self.tasks, self.up = None, {}, [], asyncio.Event()
        self.peer, self.cosigned, self.faults, self.acked = None, None, [], {}

    @property
    def ses(self):
        """The session as receipts name it."""
        return self.link.ses.hex()

    def check_peer(self):
        """Finds the peer by the one name in its certificate, and judges the chain by its card."""
        chain = self.link.chain
        demand(chain, "tls-certificate", "none was shown")
        use = ExtendedKeyUsageOID.SERVER_AUTH if self.dialled else ExtendedKeyUsageOID.CLIENT_AUTH
        for peer in self.me.peers.values():
            try:
                check_chain(chain, peer.card, peer.crl, use)
            except Refused as fault:
                if fault.code != "tls-name":
                    raise
                continue
            self.peer = peer
            return
        raise Refused("tls-name", "nobody whom we know")

    async def begin(self):
        """Says hello, and serves the connection from then on."""
        self.check_peer()
        self.control = self.link.open() if self.dialled else await self.link.incoming.get()
        demand(self.control.number == 0, "control-stream")
        hello = {
            "card": self.me.card.number, "crls": self.me.tls.lists, "now": stamp(), "peer_card": self.peer.card.number,
            "peer_crls": self.peer.lists, "versions": [1],
        }  # fmt: skip
        self.control.say("hello", hello)
        name, said = await self.control.hear()
        demand(name == "hello", "hello-first", str(name))
        demand(1 in said["versions"], "hello-versions")
        demand(abs((read_stamp(said["now"]) - now()).total_seconds()) <= SKEW, "clock-skew")
        self._say_papers(said)
        self._say_watching()
        self.tasks = [asyncio.create_task(self._guard(part())) for part in (self._control, self._streams, self._grow)]
        self.up.set()

    async def _guard(self, work):
        """Runs a part of the connection; what the other side did wrong closes it."""
        try:
            await work
        except Gone:
            pass
        except Refused as fault:
            self.faults.append(str(fault))
            self.link.close(1, fault.code)

    def _say_papers(self, said):
        if said["peer_card"] < self.me.card.number:
            self.control.say("card", self.me.card.note.raw)
        held = {one["ca"]: one["number"] for one in said["peer_crls"]}
        for one in self.me.tls.lists:
            if held.get(one["ca"], -1) < one["number"]:
                self.control.say("crl", self.me.tls.crl)

    def _say_watching(self):
        held = self.me.witnessed.get(self.peer.card.keys["log"].name)
        self.control.say("held", held.raw if held else b"")
        knows = [sha256(b"rogatory/knows/v1\0" + self.link.ses + name.encode()) for name in self.me.peers]
        self.control.say("knows", b"".join(knows))

    async def _control(self):
        while True:
            name, body = await self.control.hear()
            if name is None:
                return
            handler = getattr(self, "_hear_" + name.replace("-", "_"), None)
            demand(handler, "control-frame", name)
            handler(body)

    def _hear_card(self, raw):
        new = Card(raw)
        demand(new.id == self.peer.card.id and new.number > self.peer.card.number, "card-number")
        demand(new.note.signed_by(0, self.peer.card.keys["card"]), "card-key", "people have to compare its words")
        self.peer = self.me.accept(raw, self.peer.raw_crl)
        self.control.say("ack", {"number": new.number, "what": "card"})

    def _hear_crl(self, der):
        _, ca, number = read_crl(der, self.peer.card)
        demand(ca != self.peer.crl_ca or number > self.peer.crl_number, "crl-number")
        self.peer = self.me.accept(self.peer.card.note.raw, der)
        self.control.say("ack", {"ca": ca, "number": number, "what": "crl"})

    def _hear_ack(self, body):
        mine = {"card": self.me.card.number, "crl": self.me.tls.crl_number}
        demand(body["number"] == mine.get(body["what"]), "ack")
        demand(body["what"] != "crl" or body["ca"] == self.me.tls.lists[0]["ca"], "ack")
        self.acked[body["what"]] = body["number"]

    def _hear_fault(self, body):
        self.faults.append(f"they say {body['code']}: {body['text']}")

    def _hear_knows(self, body):
        demand(len(body) % 32 == 0, "knows")

    def _hear_gossip(self, raw):
        Checkpoint(raw)

    def _hear_held(self, raw):
        old = 0
        if raw:
            held = Checkpoint(raw)
            demand(held.origin == self.me.keys["log"].name and held.signed_by(0, self.me.keys["log"]), "held")
            demand(self.me.log.had({"size": held.size, "root": held.root.hex()}), "recovering")
            old = held.size
        self.submitted = self.me.log.checkpoint
        self.control.say("add-checkpoint", self.me.log.submission(old))
        self.cosigned = self.cosigned if self.cosigned and self.cosigned.size >= old else None

    def _hear_cosignature(self, line):
        seconds = check_cosignature(line, self.submitted, self.peer.card.keys["witness"])
        demand(abs(seconds - time.time()) <= SKEW, "cosignature-time")
        self.cosigned = self.submitted

    def _hear_add_checkpoint(self, body):
        head, _, note = body.partition(b"\n\n")
        lines = head.decode().split("\n")
        demand(lines[0].startswith("old ") and lines[0][4:].isdigit(), "add-checkpoint")
        old, proof = int(lines[0][4:]), [unb64(one) for one in lines[1:]]
        new, key = Checkpoint(note), self.peer.card.keys["log"]
        demand(new.origin == key.name and new.signed_by(0, key), "checkpoint-signature")
        held = self.me.witnessed.get(key.name)
        if old != (held.size if held else 0):
            self.control.say("held", held.raw if held else b"")
            return
        merkle.check_consistency(old, held.root if held else merkle.root([]), new.size, new.root, proof)
        self.control.say("cosignature", self.me.witness(new))

    async def _grow(self):
        """Shows the peer our log when it has grown, every ten seconds at most."""
        while True:
            await asyncio.sleep(10.5)
            if self.cosigned and self.cosigned.size < len(self.me.log.hashes):
                old, self.submitted = self.cosigned.size, self.me.log.checkpoint
                self.control.say("add-checkpoint", self.me.log.submission(old))

    async def _streams(self):
        while True:
            stream = await self.link.incoming.get()
            work = self._data(stream) if stream.one_way else self._talk(stream)
            self.tasks.append(asyncio.create_task(self._guard(work)))

    async def _data(self, stream):
        kind, xid, first = await read_data_head(stream)
        self.arrivals(xid).put_nowait((kind, first, stream))

    def arrivals(self, xid):
        """The one-way streams of an exchange, as they come."""
        return self.data.setdefault(xid, asyncio.Queue())

    async def _talk(self, stream):
        """What the other side begins: an offer, or a word about a package after its handover."""
        try:
            name, body = await stream.hear()
            demand(name in ("offer", "receipt"), "stream-begins", str(name))
            await (receiver.receive if name == "offer" else after.told)(self, stream, body)
        except Refused as fault:
            self.faults.append(str(fault))
            stream.say("fault", {"code": fault.code, "text": fault.text or fault.code}, True)

    def close(self):
        """Ends the connection in peace."""
        self.link.close(0, "")
        for task in self.tasks:
            task.cancel()


async def connect(me, peer):
    """A connection to a peer that is up, or Refused or Gone."""
    session = Session(me, await dial(me, peer.card), True)
    try:
        await asyncio.wait_for(session.begin(), 20)
    except Refused as fault:
        session.link.close(1, fault.code)
        raise
    return session
