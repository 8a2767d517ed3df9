"""Tells lies to a daemon: `python3 -m peer.hostile FOLDER --alias ie --pid PID --log FILE -- rogatory --home …`.

One line for each lie: `ok`, `KNOWN` or `FAIL`, a tab, what was tried, a tab, what the daemon answered. After each one the daemon
must live as the same process. Ends with 1 if a lie was believed that is not listed in KNOWN.
"""

import argparse
import asyncio
import importlib
import json
import os
import pathlib
import re
import subprocess
import sys
import traceback

from . import sender
from .authority import Authority
from .receipts import read
from .session import Session
from .wire import Gone, dial, listen

# Lies that the daemon believes, as is known. Each stays here until it is mended; a lie that is not believed any more must leave.
KNOWN = set()
LIES = []
REFUSED = r"fault|closed|rejected|reset"


def lie(what, expected=REFUSED):
    """Registers a lie: what is tried, and what the verdict must begin with."""

    def register(function):
        LIES.append((what, expected, function))
        return function

    return register


class Liar(Session):
    """A connection on which offers are caught, and nothing is answered by itself but the witness's part."""

    def __init__(self, me, link, dialled):
        super().__init__(me, link, dialled)
        self.offers, self.words, self.watching = asyncio.Queue(), asyncio.Queue(), True
        self.known = set(me.exchanges)

    def _say_watching(self):
        if self.watching:
            super()._say_watching()

    async def _talk(self, stream):
        name, body = await stream.hear()
        if name == "offer" and read(body).json["xid"] not in self.known:
            self.known.add(read(body).json["xid"])
            self.offers.put_nowait((stream, body))
        elif name == "receipt":
            self.words.put_nowait((stream, read(body)))
        else:
            stream.reset(0)


class Field:
    """The two sides: our keys, and the daemon with its command line, process and log."""

    def __init__(self, arguments):
        self.folder, self.alias, self.pid = arguments.folder, arguments.alias, arguments.pid
        self.log, self.command = pathlib.Path(arguments.log), arguments.command
        self.links, self.caught, self.old = [], set(), None
        self.me = Authority(self.folder)
        self.peer = next(peer for peer in self.me.peers.values() if peer.card.alias == self.alias)

    def alive(self):
        """Whether the same process runs, and is no zombie."""
        try:
            return pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
        except FileNotFoundError:
            return False

    def ask(self, *words):
        """The command line of the daemon with --json."""
        done = subprocess.run([*self.command, *words, "--json"], capture_output=True, text=True, timeout=30, check=False)
        return done.stdout

    def state(self, xid):
        """In which state the daemon has a package; `absent` if it does not know it."""
        listed = json.loads(self.ask("package", "list") or "[]")
        return next((one["state"] for one in listed if one["id"] == xid), "absent")

    async def line(self, watching=True):
        """A new connection that is up."""
        session = Liar(self.me, await dial(self.me, self.peer.card), True)
        session.watching = watching
        session.known |= self.caught
        self.links.append(session)
        await asyncio.wait_for(session.begin(), 10)
        return session

    def seal(self, size=2000, **more):
        """A package to offer."""
        return sender.seal(self.me, self.peer, {"a.bin": os.urandom(size)}, "XX-LIES", more.pop("terms", None), more or None)

    async def offered(self, size=2000):
        """A connection on which the daemon has offered a new package: session, stream, dispatch, disclosures."""
        session = await self.line()
        path = self.me.folder / "for-lies.bin"
        path.write_bytes(os.urandom(size))
        words = "--case LIES --instrument EIO --purpose trial --retain-until 2031-12-31 --onward prohibited".split()
        sent = self.ask("package", "send", "--to", self.me.alias, *words, str(path))
        xid = json.loads(sent.strip().split("\n")[-1])["id"]
        while True:
            stream, raw = await asyncio.wait_for(session.offers.get(), 20)
            if read(raw).json["xid"] == xid:
                break
            stream.reset(0)
        self.caught.add(xid)
        _, listed = await stream.hear()
        return session, stream, read(raw), listed

    def clean(self):
        """Closes what a lie has left open."""
        for session in self.links:
            if not session.link.closed.is_set():
                session.close()
        self.links = []

    async def lives(self):
        """Refuses to go on unless the daemon answers on a new connection."""
        await asyncio.wait_for((await self.line()).link.ping(), 10)


def _closed(link):
    return "closed " + re.sub(r"^closed with ", "", link.reason or "")


async def cosigned(session):
    """Waits until the daemon has cosigned our log, which it does unless that has forked."""
    for _ in range(250):
        if session.cosigned:
            return
        await asyncio.sleep(0.02)


async def verdict(stream, seconds=8, past=("accept",)):
    """What the daemon says to a lie on this stream or connection, in a few words."""
    try:
        return await asyncio.wait_for(_hear(stream, past), seconds)
    except (TimeoutError, asyncio.TimeoutError):
        return "silence"
    except Gone as gone:
        return _closed(stream.link) if stream.link.closed.is_set() else f"reset: {gone}"


async def _hear(stream, past):
    while True:
        name, body = await stream.hear()
        if name in past:
            continue
        if name is None:
            await asyncio.sleep(0.1)
            return _closed(stream.link) if stream.link.closed.is_set() else "end of stream"
        if name == "receipt":
            fields = read(body).json
            return f"{fields['kind']} {fields.get('reason', {}).get('code', '')}".strip()
        return f"{name} {body.get('code', '')}: {body.get('text', '')}" if isinstance(body, dict) else name


async def closing(session, seconds=8):
    """How the daemon closes a connection, or what it says on the control stream."""
    for _ in range(int(seconds * 50)):
        if session.link.closed.is_set():
            return _closed(session.link)
        said = [fault.removeprefix("they say ") for fault in session.faults if fault.startswith("they say ")]
        if said:
            return f"fault {said[0]}"
        await asyncio.sleep(0.02)
    return "silence"


async def _try(field, what, expected, function):
    """Tells one lie and judges the answer."""
    try:
        answer = await asyncio.wait_for(function(field), 60)
    except Gone as gone:
        answer = str(gone)
    except Exception as fault:  # noqa: BLE001 – a lie that could not be told is a failure of the test
        traceback.print_exc()
        answer = f"broken: {fault!r}"
    field.clean()
    await asyncio.sleep(0)
    good = re.match(expected, answer) is not None
    if not field.alive():
        good, answer = False, f"{answer}; the daemon is dead"
    if good and what in KNOWN:
        good, answer = False, f"not believed any more, and still listed as known: {answer}"
        KNOWN.discard(what)
    verdict_word = "ok" if good else "KNOWN" if what in KNOWN else "FAIL"
    print(f"{verdict_word}\t{what}\t{answer[:160]}", flush=True)
    return verdict_word


async def run(field, chosen):
    """All lies, or those whose name has `chosen` in it. Who calls us is turned away, and need not wait for an answer."""
    port = int(field.me.endpoint.rpartition(":")[2])
    await listen(field.me, port, lambda link: link.close(1, "busy"))
    words = [await _try(field, *one) for one in LIES if chosen in one[0]]
    return 1 if "FAIL" in words or not words else 0


def main():
    """Reads the command line."""
    for name in ("sender", "order", "after", "receiver", "line"):
        importlib.import_module(f"peer.lies_{name}")  # they register themselves, in this order

    parser = argparse.ArgumentParser(prog="hostile", description=__doc__)
    parser.add_argument("folder")
    for name in ("alias", "log"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--pid", type=int, required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    return asyncio.run(run(Field(arguments), arguments.only))


if __name__ == "__main__":
    from peer import hostile  # the module that the lies import, and not this copy of it

    sys.exit(hostile.main())
