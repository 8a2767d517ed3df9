#!/usr/bin/env python3
"""Floods a QUIC port from thousands of loopback addresses, and counts what comes back.

    flood.py initials PORT SECONDS RATE     first packets that nobody ever continues, and random bytes among them
    flood.py half-open PORT SECONDS COUNT   handshakes that prove their address (Retry) and then stop

Lasts that long at least, and until SIGTERM. Prints one line of JSON. Every Initial has a connection id of its own, is protected as RFC 9001 demands and carries the
first part of a ClientHello whose rest never comes.
"""
import hashlib
import hmac
import json
import os
import resource
import select
import signal
import socket
import sys
import time

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SALT = bytes.fromhex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a")  # RFC 9001 section 5.2
DATAGRAM = 1200


def expand(secret, label, length):
    label = b"tls13 " + label
    text = length.to_bytes(2, "big") + bytes([len(label)]) + label + b"\0\1"
    return hmac.digest(secret, text, hashlib.sha256)[:length]


def varint(number):
    return number.to_bytes(1, "big") if number < 64 else (number | 0x4000).to_bytes(2, "big")


def initial(dcid, token=b""):
    """A client's first packet: 1,000 bytes of a ClientHello that says it has 1,500."""
    secret = expand(hmac.digest(SALT, dcid, hashlib.sha256), b"client in", 32)
    key, iv, hp = (expand(secret, b"quic " + name, size) for name, size in ((b"key", 16), (b"iv", 12), (b"hp", 16)))
    hello = b"\1\0\5\xdc\3\3" + os.urandom(32) + b"\0\0\2\x13\x02\1\0" + b"\5\0" + bytes(700)
    frame = b"\6\0" + varint(len(hello)) + hello
    head = b"\xc3\0\0\0\1" + bytes([len(dcid)]) + dcid + b"\x08" + os.urandom(8) + varint(len(token)) + token
    number = bytes(4)
    plain = frame + bytes(DATAGRAM - len(head) - 2 - 4 - 16 - len(frame))
    head += (4 + len(plain) + 16 | 0x4000).to_bytes(2, "big") + number
    sealed = AESGCM(key).encrypt(iv, plain, head)
    mask = Cipher(algorithms.AES(hp), modes.ECB()).encryptor().update(sealed[:16])
    at = len(head) - 4
    masked = bytes(a ^ b for a, b in zip(number, mask[1:5]))
    return bytes([head[0] ^ mask[0] & 0x0F]) + head[1:at] + masked + sealed


def retried(packet):
    """The connection id and token of a Retry packet, or None."""
    if len(packet) < 40 or packet[0] & 0xF0 != 0xF0:
        return None
    at = 6 + packet[5]
    size = packet[at]
    return packet[at + 1 : at + 1 + size], packet[at + 1 + size : -16]


class Sources:
    """Sockets, each with an address of its own in 127.0.0.0/8, and what each has sent and got."""

    def __init__(self, port, count):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 64), hard))
        self.sockets, self.out, self.back = [], [0] * count, [0] * count
        self.poll, self.by_fd = select.epoll(), {}
        for number in range(count):
            one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            one.setblocking(False)
            one.bind((f"127.{10 + number % 200}.{number // 200 % 250}.{1 + number % 250}", 0))
            one.connect(("127.0.0.1", port))
            self.by_fd[one.fileno()] = number
            self.poll.register(one, select.EPOLLIN)
            self.sockets.append(one)

    def send(self, number, packet):
        try:
            self.out[number] += self.sockets[number].send(packet)
        except OSError:
            pass

    def answers(self, wait=0):
        for fd, _ in self.poll.poll(wait, 512):
            number = self.by_fd[fd]
            try:
                packet = self.sockets[number].recv(2048)
            except OSError:
                continue
            self.back[number] += len(packet)
            yield number, packet

    def worst(self):
        return max((back / out for out, back in zip(self.out, self.back) if out), default=0)


class Time:
    """Until SIGTERM, and at least so many seconds."""

    def __init__(self, seconds):
        self.seconds, self.is_over = seconds, False
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "is_over", True))
        print("ready", file=sys.stderr, flush=True)
        self.began = time.monotonic()

    @property
    def elapsed(self):
        return time.monotonic() - self.began

    def goes_on(self):
        return not self.is_over or self.elapsed < self.seconds


def initials(port, seconds, rate):
    sources = Sources(port, 2000)
    packets = [initial(os.urandom(8)) for _ in range(12000)]
    for at in range(0, len(packets), 6):
        packets[at] = os.urandom(DATAGRAM)
    there, sent = Time(seconds), 0
    while there.goes_on():
        due = min(int(there.elapsed * rate) - sent, 500)
        for _ in range(due):
            sources.send(sent % 2000, packets[sent % len(packets)])
            sent += 1
        for _ in sources.answers(0 if due else 0.001):
            pass
    return {"sent": sent, "per_second": int(sent / there.elapsed), "ratio": round(sources.worst(), 3), "seconds": int(there.elapsed)}


def half_open(port, seconds, count):
    sources = Sources(port, count)
    there, sent, proven = Time(seconds), 0, 0
    while there.goes_on() or sent < count:
        while sent < min(count, int(there.elapsed * count / seconds * 1.1)):
            sources.send(sent, initial(os.urandom(8)))
            sent += 1
        for number, packet in sources.answers(0.001):
            if (retry := retried(packet)) is not None:
                proven += 1
                sources.send(number, initial(*retry))
    return {"sent": sent, "proven": proven, "ratio": round(sources.worst(), 3), "seconds": int(there.elapsed)}


def main():
    what, port, seconds, number = sys.argv[1], *map(int, sys.argv[2:5])
    run = {"initials": initials, "half-open": half_open}[what]
    print(json.dumps(run(port, seconds, number)))


main()
