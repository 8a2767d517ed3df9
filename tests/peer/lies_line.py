"""Lies on the line: handshakes, hello, control frames, checkpoints, streams, and the end of a connection."""

import asyncio
import datetime
import os
import struct

from aioquic.quic.configuration import QuicConfiguration
from cryptography.hazmat.primitives import serialization

from . import hybrid, merkle, wire
from .card import make_ca, make_crl, make_leaf
from .hostile import Liar, closing, cosigned, lie, verdict
from .notes import Note
from .plain import b64, canonical, now, stamp
from .wire import Gone, dial, frame


def shaken(what, change, expected="closed"):
    """Registers a handshake that must fail; `change` alters what aioquic is told."""

    async def told(field):
        made = wire.configuration

        def configuration(*arguments):
            result: QuicConfiguration = made(*arguments)
            change(field, result)
            return result

        wire.configuration = configuration
        try:
            link = await dial(field.me, field.peer.card)
        finally:
            wire.configuration = made
        session = Liar(field.me, link, True)
        field.links.append(session)
        control = link.open()
        control.say("hello", hello(field))
        answer = await closing(session, 15)
        return answer

    lie(f"handshake: {what}", expected)(told)


def _certificate(name, own_ca):
    """A certificate for some name, by a new CA or by ours."""

    def change(field, configuration):
        key = field.me.tls.ca_key if own_ca else make_ca(field.me.id)[0]
        configuration.private_key, configuration.certificate = make_leaf(name or field.me.id, key)

    return change


def _set(**values):
    return lambda field, configuration: [setattr(configuration, name, value) for name, value in values.items()]


def _revoked(field, configuration):
    """The certificate that `renew` has put on our list."""
    configuration.load_cert_chain(field.me.folder / "revoked-tls.pem", field.me.folder / "revoked-tls.key")


@lie("handshake: a key exchange without post-quantum protection", "closed")
async def classic(field):
    with hybrid.classic():
        await dial(field.me, field.peer.card)
    return "believed"


shaken("our certificate that we have revoked", _revoked)
shaken("another ALPN", _set(alpn_protocols=["rogatory/2"]))
shaken("no ALPN", _set(alpn_protocols=None))
shaken("no certificate", _set(certificate=None, private_key=None))
shaken("a certificate by a CA that is not in the card", _certificate(None, False))
shaken("our certificate for another name", _certificate("third.example.org", True))
shaken("our certificate for the daemon's own name", _certificate("mla.example.ie", True))


def hello(field, **changes):
    """What we would say."""
    said = {
        "card": 1, "crls": field.me.tls.lists, "now": wire_time(), "peer_card": field.peer.card.number, "peer_crls": field.peer.lists,
        "versions": [1],
    }  # fmt: skip
    return {**said, **changes}


def wire_time(shift=0):
    """The time of this machine, and so many seconds."""
    return stamp(now() + datetime.timedelta(seconds=shift))


def first(what, make, expected="closed"):
    """Registers a first word on the control stream; `make` gives bytes."""

    async def told(field):
        link = await dial(field.me, field.peer.card)
        session = Liar(field.me, link, True)
        field.links.append(session)
        control = link.open()
        control.write(make(field))
        answer = await closing(session, 15)
        await field.lives()
        return answer

    lie(f"hello: {what}", expected)(told)


def _body(kind, body):
    return struct.pack(">BI", kind, len(body)) + body


def _number(text):
    return lambda field: _body(1, canonical(hello(field)).replace(b'"card":1', b'"card":' + text, 1))


first("an hour ahead", lambda field: frame("hello", hello(field, now=wire_time(3600))))
first("an hour behind", lambda field: frame("hello", hello(field, now=wire_time(-3600))))
first("at a time that does not exist", lambda field: frame("hello", hello(field, now="2026-02-30T25:00:00.000Z")))
first("of version 2 only", lambda field: frame("hello", hello(field, versions=[2])))
first("of no version", lambda field: frame("hello", hello(field, versions=[])))
first("of versions that descend", lambda field: frame("hello", hello(field, versions=[2, 1])))
first("with -2^63", _number(b"-9223372036854775808"))
first("with -1", _number(b"-1"))
first("with 2^53", _number(b"9007199254740992"))
first("with 2^63 - 1", _number(b"9223372036854775807"))
first("with 1e308", _number(b"1e308"))
first("with 1.0", _number(b"1.0"))
first("with a number of 20,000 digits", _number(b"9" * 20000))
first("with true for a number", _number(b"true"))
first("with a field more", lambda field: frame("hello", hello(field, name="x")))
first("that is empty", lambda field: _body(1, b""))
first("that is an array", lambda field: _body(1, b"[]"))
first("nested 30,000 deep", lambda field: _body(1, b"[" * 30000 + b"]" * 30000))
first("that is not UTF-8", lambda field: _body(1, b'{"card":"\xc0\xaf"}'))
first("of 65,537 bytes", lambda field: _body(1, b" " * 65537))
first("of a length of 4 GiB", lambda field: struct.pack(">BI", 1, 0xFFFFFFFF))
first("an offer in its place", lambda field: frame("offer", b"x"))
first("an unknown frame in its place", lambda field: struct.pack(">BI", 0, 0))
first("random bytes in its place", lambda field: os.urandom(64))


def control(what, make, expected="closed|fault", seconds=15):
    """Registers what is said on the control stream after hello; `make` gives bytes."""

    async def told(field):
        session = await field.line()
        await cosigned(session)
        session.control.write(make(field))
        answer = await closing(session, seconds)
        session.close()
        await field.lives()
        return answer

    lie(f"control: {what}", expected)(told)


def _submission(field, old, size, root, proof=(), key=None):
    """`add-checkpoint`, whatever it says."""
    text = f"{field.me.id}/log\n{size}\n{b64(root)}\n".encode()
    note = Note(text + b"\n" + (key or field.me.keys["log"]).line(text), 3)
    return frame("add-checkpoint", f"old {old}\n".encode() + b"".join(b64(one).encode() + b"\n" for one in proof) + b"\n" + note.raw)


def _der(certificate):
    return certificate.public_bytes(serialization.Encoding.DER)


def _forged(field):
    text = f"{field.peer.card.id}/log\n3\n{b64(bytes(32))}\n".encode()
    return text + b"\n" + field.me.keys["log"].line(text)


control("hello once more", lambda field: frame("hello", hello(field)))
control("an offer", lambda field: frame("offer", b"x"))
control("a receipt", lambda field: frame("receipt", b"x"))
control("done", lambda field: frame("done"))
control("a card that is nobody's", lambda field: frame("card", field.me.exchanges[next(iter(field.me.exchanges))].dispatch.raw))
control("the daemon's own card", lambda field: frame("card", field.peer.card.note.raw))
control("a revocation list by another CA", lambda field: frame("crl", make_crl(field.me.id, make_ca(field.me.id)[0], 9)))
control("a revocation list and a certificate that it does not need", lambda field: frame("crl", field.me.tls.crl + _der(field.me.tls.ca)))
control("a revocation list and bytes", lambda field: frame("crl", field.me.tls.crl + b"x"))
control("a revocation list that is none", lambda field: frame("crl", os.urandom(300)))
control("a revocation list of 1 MiB and a byte", lambda field: struct.pack(">BI", 3, (1 << 20) + 1))
control("held that is no checkpoint", lambda field: frame("held", b"x"))
control("held, a checkpoint of its log that it never signed", lambda field: frame("held", _forged(field)))
control("a checkpoint with a proof that is wrong", lambda field: _submission(field, *_next(field), [bytes(32)]))
control("a checkpoint without a proof", lambda field: _submission(field, *_next(field)))
control("a checkpoint with a proof of 64 hashes", lambda field: _submission(field, *_next(field), [bytes(32)] * 64))
control("a checkpoint of a log that shrinks", lambda field: _submission(field, _held(field), max(_held(field) - 1, 0), bytes(32)))
control("a checkpoint from a size beyond 2^53", lambda field: _submission(field, 1 << 60, 1, bytes(32)))
control("a checkpoint signed by another key", lambda field: _submission(field, *_next(field), (), field.me.keys["witness"]))
control("a checkpoint that is no note", lambda field: frame("add-checkpoint", b"old 0\n\nx"))
control("a cosignature that nobody asked for", lambda field: frame("cosignature", field.me.keys["witness"].cosign(b"x\n", 1)))
control("a cosignature that is no line", lambda field: frame("cosignature", b"x" * 1024))
control("knows of 33 bytes", lambda field: frame("knows", bytes(33)))
control("knows of 257 authorities", lambda field: _body(8, bytes(32 * 257)))
control("gossip that is no checkpoint", lambda field: frame("gossip", b"x"))
control(
    "gossip of an authority that nobody knows",
    lambda field: frame("gossip", _forged(field).replace(b"mla.example.ie", b"xyz.example.ie")),
    "closed|fault|silence",
    1,
)
control("300 frames at once", lambda field: frame("held") * 300)


def _held(field):
    """The size of our log, which the daemon has cosigned."""
    return len(field.me.log.hashes)


def _next(field):
    """A log of one leaf more, with another past."""
    size = _held(field)
    return size, size + 1, merkle.root([bytes(32)] * (size + 1))


def stream(what, make, expected="closed|reset|fault|silence"):
    """Registers a stream that is opened and begins with something; afterwards the daemon serves."""

    async def told(field):
        session = await field.line()
        opened = make(field, session)
        answer = await (verdict(opened, 1) if not opened.one_way else closing(session, 0.5))
        session.close()
        await field.lives()
        return answer

    lie(f"stream: {what}", expected)(told)


def _one_way(data, end=True):
    def make(field, session):
        opened = session.link.open(True)
        opened.write(data, end)
        return opened

    return make


def _both_ways(data, end=False):
    def make(field, session):
        opened = session.link.open()
        opened.write(data, end)
        return opened

    return make


stream("one way, of type 0", _one_way(bytes(25)))
stream("one way, of type 3", _one_way(b"\x03" + bytes(24)))
stream("one way, of type 255", _one_way(b"\xff" * 40))
stream("one way, empty", _one_way(b""))
stream("one way, that ends in its head", _one_way(b"\x02" + bytes(10)))
stream("one way, for an exchange that nobody knows", _one_way(b"\x02" + bytes(24) + b"x" * 5000))
stream("one way, hashes for an exchange that nobody knows", _one_way(b"\x01" + bytes(16) + b"x" * 5000))
stream("both ways, empty", _both_ways(b"", True), "closed|reset|fault|silence|end of stream")
stream("both ways, half a frame", _both_ways(b"\x10\0\0", True))
stream("both ways, an offer of 16,385 bytes", _both_ways(struct.pack(">BI", 16, 16385)), "closed|fault")
stream("both ways, a frame of an unknown type", _both_ways(struct.pack(">BI", 200, 5)), "closed|fault")
stream("both ways, hello", lambda field, session: _both_ways(frame("hello", hello(field)))(field, session), "closed|fault")
stream("both ways, done", _both_ways(frame("done")), "closed|fault")
stream("both ways, fault", _both_ways(frame("fault", {"code": "x", "text": "y"})), "closed|fault|silence|end of stream")
stream("both ways, random bytes", _both_ways(b"\x77" + os.urandom(100)), "closed|fault")


@lie("stream: as many as the daemon permits, opened and left", "refused the next one")
async def opened_and_left(field):
    session = await field.line()
    quic = session.link._quic
    limits = quic._remote_max_streams_bidi, quic._remote_max_streams_uni
    for one_way, limit in zip((False, True), limits, strict=True):
        for _ in range(limit - (0 if one_way else 1)):
            session.link.open(one_way).write(b"\x10" if not one_way else b"\x02")
    await session.link.ping()
    await field.lives()
    beyond = session.link.open()
    blocked = quic._streams[beyond.number].is_blocked
    return f"{'refused' if blocked else 'took'} the next one, of {limits[0]} and {limits[1]}"


@lie("stream: 3,000 of them, each reset at once", "silence|closed|served")
async def many_resets(field):
    session = await field.line()
    for _ in range(3000):
        opened = session.link.open(True)
        opened.write(b"\x02")
        session.link._quic.reset_stream(opened.number, 3)
        if opened.number % 64 == 2:
            session.link.transmit()
            await asyncio.sleep(0)
    await asyncio.sleep(1)
    await field.lives()
    return "served"


def ended(what, code, reason, frame_type=None):
    """Registers a close whose reason must not become a line of the log; with a frame type, a close of the transport."""

    async def told(field):
        session = await field.line()
        before = field.log.stat().st_size
        session.link._quic.close(code, frame_type, reason)
        session.link.transmit()
        await asyncio.sleep(0.3)
        with open(field.log, "rb") as log:
            log.seek(before)
            new = log.read()
        await field.lives()
        if b"\x1b" in new or b"\r" in new or "\u202e".encode() in new or any(line.startswith(b"2026-01-01") for line in new.split(b"\n")):
            return f"raw text in the log: {new!r}"
        return "quoted"

    lie(f"close: {what}", "quoted")(told)


ended("a reason with a line of its own", 1, "x\n2026-01-01T00:00:00Z  INFO all is well\n")
ended("a reason with a line of its own, of the transport", 10, "x\n2026-01-01T00:00:00Z  INFO all is well\n", 0)
ended("a reason with escapes", 1, "x\x1b[2J\x1b[31m\r\x07")
ended("a reason that turns around", 1, "a\u202eb")
ended("a reason of 900 bytes", 1, "z" * 900)
ended("the largest code", (1 << 62) - 1, "")


@lie("close: in the middle of a frame", "served")
async def middle(field):
    session = await field.line()
    opened = session.link.open()
    opened.write(struct.pack(">BI", 16, 5000) + b"x" * 100)
    session.link.close(7, "")
    await field.lives()
    return "served"


@lie("connections: a fifth one beside four", "closed|served")
async def fifth(field):
    for _ in range(4):
        await field.line()
    try:
        last = await field.line()
    except Gone as gone:
        return str(gone)
    return await closing(last, 15)


@lie("log: another history of our log, signed by our key", "fault log-forked|closed log-forked")
async def forked(field):
    session = await field.line()
    await cosigned(session)
    held = session.cosigned
    assert held, "the daemon has not cosigned our log yet"
    text = f"{held.origin}\n{held.size}\n{b64(os.urandom(32))}\n".encode()
    key = field.me.keys["log"]
    other = Note(text + b"\n" + key.line(text), 3)
    session.control.say("add-checkpoint", f"old {held.size}\n\n".encode() + other.raw)
    return await closing(session, 15)
