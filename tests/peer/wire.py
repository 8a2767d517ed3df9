"""Sections 9 and 10 of the protocol: QUIC with certificates on both sides, the exporter, streams and frames."""

import asyncio
import contextlib
import os
import ssl
import struct
import sys

from aioquic import tls
from aioquic.asyncio import QuicConnectionProtocol
from aioquic.asyncio.server import QuicServer
from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.packet import QuicProtocolVersion
from cryptography.hazmat.primitives import hashes

from . import hybrid
from .plain import canonical, demand, read_canonical, sha256

ALPN = "rogatory/1"
LABEL = b"EXPORTER-rogatory-1"
SEGMENT = 1 << 20
INLINE = 262144
HASHES, PAYLOAD = 1, 2
FRAMES = {
    "hello": (1, 65536), "card": (2, 16384), "crl": (3, 1 << 20), "ack": (4, 65536), "held": (5, 16384),
    "add-checkpoint": (6, 20480), "cosignature": (7, 1024), "knows": (8, 8192), "gossip": (9, 16384), "offer": (16, 16384),
    "disclosures": (17, 65536), "accept": (18, 65536), "receipt": (19, 16384), "header": (20, 16384), "later": (21, 65536),
    "done": (22, 0), "fault": (23, 65536),
}  # fmt: skip
JSON = {"hello", "ack", "disclosures", "accept", "later", "fault"}
hybrid.use(hybrid.HYBRID)
BY_NUMBER = {number: name for name, (number, _) in FRAMES.items()}


class Gone(Exception):
    """The stream or connection ended before what was to come."""


def frame(name, body=b""):
    """A frame as bytes; the body of a JSON frame is a value."""
    raw = canonical(body) if name in JSON else body
    return struct.pack(">BI", FRAMES[name][0], len(raw)) + raw


def trace(way, stream, name, body):
    """With PEER_TRACE set, writes what is said to standard error."""
    if os.environ.get("PEER_TRACE"):
        print(way, stream.number, name, body if isinstance(body, (list, dict)) else body[:90], file=sys.stderr, flush=True)


def export(schedule, master):
    """The exporter value of RFC 8446 section 7.5, from the exporter master secret."""
    empty = hashes.Hash(schedule.algorithm).finalize()
    size = schedule.algorithm.digest_size
    secret = tls.hkdf_expand_label(schedule.algorithm, master, LABEL, empty, size)
    return tls.hkdf_expand_label(schedule.algorithm, secret, b"exporter", empty, 32)


def prepare(quic):
    """Has a connection ask for the client's certificate, offer one group, and keep the exporter's value, which aioquic does not."""
    begin = quic._initialize

    def initialize(peer_cid):
        begin(peer_cid)
        context = quic.tls
        context._request_client_certificate = True
        context._supported_groups = [tls.Group.X25519]
        protect = context._setup_traffic_protection

        def setup(direction, epoch, label):
            protect(direction, epoch, label)
            if label == b"s ap traffic":
                # The transcript ends with the server's Finished here, at either side.
                schedule = context.key_schedule
                quic.exported = export(schedule, schedule.derive_secret(b"exp master"))

        context._setup_traffic_protection = setup

    quic._initialize = initialize


class Stream:
    """One stream: what came, and what came to its end."""

    def __init__(self, link, number):
        self.link, self.number = link, number
        self.buffer, self.ended, self.error, self.stopped = bytearray(), False, None, None
        self.moved = asyncio.Event()

    @property
    def one_way(self):
        """Whether it has one direction."""
        return bool(self.number & 2)

    def note(self, data=b"", ended=False, error=None):
        """Something came."""
        self.buffer += data
        self.ended |= ended
        self.error = self.error or error
        self.moved.set()

    async def _more(self):
        if self.error:
            raise Gone(self.error)
        self.moved.clear()
        await self.moved.wait()

    async def exactly(self, count):
        """So many bytes, or Gone."""
        while len(self.buffer) < count:
            if self.ended:
                raise Gone(f"stream {self.number} ended after {len(self.buffer)} of {count} bytes")
            await self._more()
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    async def at_end(self):
        """Whether nothing follows."""
        while not self.buffer and not self.ended:
            await self._more()
        return not self.buffer

    async def up_to(self, count):
        """So many bytes, or fewer at the end of the stream."""
        while len(self.buffer) < count and not self.ended:
            await self._more()
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def write(self, data, end=False):
        """Sends bytes; to one who has stopped listening, nothing."""
        if not self.link.closed.is_set() and self.stopped is None:
            self.link._quic.send_stream_data(self.number, data, end)
            self.link._transmit_soon()

    def say(self, name, body=b"", end=False):
        """Sends a frame."""
        trace(">", self, name, body)
        self.write(frame(name, body), end)

    def finish(self):
        """Nothing more will be sent."""
        self.write(b"", True)

    def reset(self, code=0):
        """Gives up sending."""
        with contextlib.suppress(ValueError):  # it is over already
            self.link._quic.reset_stream(self.number, code)
        self.link.transmit()

    def stop(self, code=0):
        """Asks the other side to give up sending."""
        with contextlib.suppress(ValueError):
            self.link._quic.stop_stream(self.number, code)
        self.link.transmit()

    async def hear(self):
        """The next frame: its name and body, a value where it is JSON; None at the end of the stream."""
        if await self.at_end():
            return None, None
        number, length = struct.unpack(">BI", await self.exactly(5))
        demand(number in BY_NUMBER, "frame-type", str(number))
        name = BY_NUMBER[number]
        demand(length <= FRAMES[name][1], "frame-length", f"{name} of {length}")
        body = await self.exactly(length)
        trace("<", self, name, body)
        return name, read_canonical(body) if name in JSON else body


class Link(QuicConnectionProtocol):
    """A connection with its streams."""

    def __init__(self, quic, stream_handler=None):
        super().__init__(quic, stream_handler)
        prepare(quic)
        self.streams, self.incoming = {}, asyncio.Queue()
        self.ready, self.closed, self.reason = asyncio.Event(), asyncio.Event(), None
        self.on_ready = None

    @property
    def chain(self):
        """The certificates that the other side showed."""
        context = self._quic.tls
        return [context._peer_certificate, *context._peer_certificate_chain] if context._peer_certificate else []

    @property
    def ses(self):
        """The digest of the exporter value, raw."""
        return sha256(self._quic.exported)

    def open(self, one_way=False):
        """A new stream of our own."""
        number = self._quic.get_next_available_stream_id(one_way)
        self._quic.send_stream_data(number, b"")
        self.streams[number] = Stream(self, number)
        return self.streams[number]

    def _find(self, number):
        if number not in self.streams:
            self.streams[number] = Stream(self, number)
            self.incoming.put_nowait(self.streams[number])
        return self.streams[number]

    def quic_event_received(self, event):
        """Sorts what came to its stream."""
        if isinstance(event, events.StreamDataReceived):
            self._find(event.stream_id).note(event.data, event.end_stream)
        elif isinstance(event, events.StreamReset):
            self._find(event.stream_id).note(error=f"reset with {event.error_code}")
        elif isinstance(event, events.StopSendingReceived):
            stream = self._find(event.stream_id)
            stream.stopped = event.error_code
            stream.moved.set()
        elif isinstance(event, events.HandshakeCompleted):
            self.ready.set()
            if self.on_ready:
                self.on_ready(self)
        elif isinstance(event, events.ConnectionTerminated):
            self.reason = f"closed with {event.error_code}: {event.reason_phrase!r}"
            self.closed.set()
            self.ready.set()
            for stream in self.streams.values():
                stream.note(error=self.reason)

    def drop(self):
        """Cuts the line: nothing more is sent or heard, and the other side is not told."""
        self.transmit = lambda: None
        self._transmit_soon = lambda: None
        self.datagram_received = lambda data, addr: None
        self.quic_event_received(events.ConnectionTerminated(0, None, "dropped here"))


def configuration(me, client, name=None):
    """What aioquic has to know."""
    made = QuicConfiguration(
        alpn_protocols=[ALPN], is_client=client, server_name=name, verify_mode=ssl.CERT_NONE, idle_timeout=60.0,
        supported_versions=[QuicProtocolVersion.VERSION_1], max_data=8 << 20, max_stream_data=4 << 20,
    )  # fmt: skip
    made.certificate, made.private_key = me.tls.leaf, me.tls.key
    return made


async def dial(me, card):
    """A connection to the authority of a card."""
    quic = QuicConnection(configuration=configuration(me, True, card.id))
    loop = asyncio.get_running_loop()
    link = (await loop.create_datagram_endpoint(lambda: Link(quic), local_addr=("127.0.0.1", 0)))[1]
    link.connect(card.address)
    await asyncio.wait_for(link.ready.wait(), 20)
    if link.closed.is_set():
        raise Gone(link.reason)
    return link


async def listen(me, port, on_ready):
    """Takes connections; `on_ready` is called with each whose handshake is complete."""

    def make(quic, stream_handler=None):
        link = Link(quic, stream_handler)
        link.on_ready = on_ready
        return link

    loop = asyncio.get_running_loop()
    server = lambda: QuicServer(configuration=configuration(me, False), create_protocol=make)  # noqa: E731
    return (await loop.create_datagram_endpoint(server, local_addr=("127.0.0.1", port)))[1]


def data_head(kind, xid, first=None):
    """The first bytes of a one-way stream."""
    return bytes([kind]) + bytes.fromhex(xid) + (b"" if first is None else struct.pack(">Q", first))


async def read_data_head(stream):
    """Kind, exchange and first segment of a one-way stream."""
    head = await stream.exactly(17)
    demand(head[0] in (HASHES, PAYLOAD), "stream-type", str(head[0]))
    first = struct.unpack(">Q", await stream.exactly(8))[0] if head[0] == PAYLOAD else None
    return head[0], head[1:].hex(), first
