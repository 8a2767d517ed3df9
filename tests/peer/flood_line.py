"""Floods of the line itself: cards, revocation lists, streams, faults, checkpoints, connections, and frames of nonsense."""

import asyncio
import copy
import os

from . import card, merkle
from .flood import PLACES, way, word
from .notes import Signer, sign_checkpoint
from .plain import b64
from .wire import FRAMES, Gone, frame

# Text that would be a line of its own in a log, and turns around what follows.
NASTY = "no\n2026-01-01T00:00:00.000000Z  INFO all is well\u202e\u2028\x1b[2J\r\x00 "


async def told(flood, make, burst):
    """Says frames on the control stream, so many at once, and counts what is answered; the connection may end by it."""
    while flood.going():
        session = await flood.session()
        sent = 0
        while flood.going() and not session.link.closed.is_set():
            for _ in range(burst):
                session.control.write(make(session))
            sent += burst
            for _ in range(burst):
                said = await session.answer()
                flood.count(said)
                if session.link.closed.is_set() or said == "silence":
                    session.link.close(0, "")
                    break
    flood.close()


@way("new cards, each with the next number", "fault quota")
async def cards(flood):
    number = flood.me.card.number

    def newer(_):
        nonlocal number
        number += 1
        return frame("card", card.write(flood.me, number).raw)

    await told(flood, newer, 1)


@way("cards by ever other card keys", "fault other-card-key")
async def other_keys(flood):
    def other(_):
        another = copy.copy(flood.me)
        another.keys = {**flood.me.keys, "card": Signer(f"{flood.me.id}/card", os.urandom(32))}
        return frame("card", card.write(another, 2).raw)

    await told(flood, other, 8)


@way("new revocation lists, each with the next number", "ack crl")
async def lists(flood):
    number, key = flood.me.tls.crl_number, flood.me.tls.ca_key
    revoked = range(1, 1200)

    def newer(_):
        nonlocal number
        number += 1
        return frame("crl", card.make_crl(flood.me.id, key, number, revoked))

    await told(flood, newer, 4)


@way("empty streams in both kinds", "end")
async def streams(flood):
    async def step(session):
        opened = [session.link.open() for _ in range(8)]
        ways = [session.link.open(True) for _ in range(8)]
        for stream in opened + ways:
            stream.finish()
        answers = [await word(stream) for stream in opened]
        for stream in ways:
            session.link.streams.pop(stream.number)
        return answers + ["sent"] * len(ways)

    await flood.many(step)


@way("streams that are reset, and stopped, at once")
async def resets(flood):
    async def step(session):
        opened = [session.link.open(one_way) for one_way in (True, False) * 8]
        for stream in opened:
            stream.write(b"\x10")
            stream.reset(7)
            if not stream.one_way:
                stream.stop(7)
            session.link.streams.pop(stream.number)
        await asyncio.wait_for(session.link.ping(), 15)
        return ["sent"] * len(opened)

    await flood.many(step, 4)


@way("faults on the control stream and on streams of exchanges", "end")
async def faults(flood):
    said = frame("fault", {"code": "x" * 60, "text": "\u202e" * 1365})

    async def step(session):
        for _ in range(8):
            session.control.write(said)
        opened = session.link.open()
        opened.write(said, True)
        return [await word(opened), *["said"] * 8]

    await flood.many(step)


class History:
    """A log of ours, as far as the daemon has cosigned it, that grows by a leaf with every checkpoint."""

    def __init__(self, flood):
        self.flood, self.key, self.hashes, self.known = flood, flood.me.keys["log"], [], set()

    async def submit(self, session, fork):
        """Shows the next checkpoint, or with `fork` one of the same size and of another past: what is answered."""
        if session not in self.known:
            # The daemon begins with the head that it holds.
            self.known.add(session)
            said = await session.answer()
            return said if said != "held" else "hello"
        old, hashes = len(self.hashes), [*self.hashes, os.urandom(32)]
        top = os.urandom(32) if fork else merkle.root(hashes)
        proof = [] if fork or not old else merkle.consistency(old, hashes)
        head = f"old {old}\n" + "".join(b64(one) + "\n" for one in proof) + "\n"
        session.control.write(frame("add-checkpoint", head.encode() + sign_checkpoint(self.key, old if fork else old + 1, top).raw))
        said = await session.answer()
        if said == "cosignature" and not fork:
            self.hashes = hashes
        if said == "fault too-fast":
            session.close()  # a new connection may say as much again
        return said


@way("checkpoints of a log that grows without end", "cosignature")
async def growing(flood):
    history = History(flood)
    await flood.many(lambda session: history.submit(session, False), 1)


@way("checkpoints of a log that forks again and again", "fault log-forked")
async def forking(flood):
    history = History(flood)
    await flood.many(lambda session: history.submit(session, len(history.hashes) > 4), 1)


@way("connections that are closed after hello", "hello")
async def connections(flood):
    async def one():
        while flood.going():
            session = await flood.line()
            if session:
                flood.count("hello")
                session.link._quic.close(1, None, NASTY)
                session.link.transmit()
                await asyncio.sleep(0)

    await asyncio.gather(*(one() for _ in range(PLACES // 4)))


@way("frames of all kinds with nonsense in them", "fault frame-malformed")
async def nonsense(flood):
    names = [name for name in FRAMES if name not in ("hello", "done")]
    bodies = [NASTY.encode() * 20, b'{"code":"' + NASTY.encode() + b'","text":"x"}', b'"' + "\u202e".encode() * 300 + b'"', os.urandom(900)]
    spoken = [(name, body) for name in names for body in bodies]

    async def step(session):
        flood.turned = getattr(flood, "turned", 0) + 1
        name, body = spoken[flood.turned % len(spoken)]
        number = FRAMES[name][0]
        raw = bytes([number]) + len(body).to_bytes(4, "big") + body
        if flood.turned % 8 == 0:
            session.control.write(raw)
            return await session.answer()
        opened = session.link.open()
        opened.write(raw)
        return await word(opened)

    await flood.many(step, PLACES // 2)


@way("data streams for exchanges that nobody knows")
async def strays(flood):
    async def step(session):
        for kind in (1, 2):
            stream = session.link.open(True)
            stream.write(bytes([kind]) + os.urandom(16) + bytes(8) + bytes(60_000), True)
            session.link.streams.pop(stream.number)
        try:
            await asyncio.wait_for(session.link.ping(), 15)
        except (TimeoutError, asyncio.TimeoutError) as fault:
            raise Gone("no answer") from fault
        return ["sent", "sent"]

    await flood.many(step, 4)
