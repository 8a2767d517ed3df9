"""Floods a daemon: `python3 -m peer.flood FOLDER --card ie.card --state DIR --pid PID --log FILE --seconds N … -- rogatory --home …`.

Each way to flood is an authority of its own, with a valid certificate, that the daemon has accepted. For each, one line of JSON says what
was answered, how often, and what grew at the daemon meanwhile; 77-growth.sh judges that. All the while an honest daemon sends small packages.
"""

import argparse
import asyncio
import collections
import contextlib
import importlib
import json
import os
import pathlib
import re
import sqlite3
import sys
import time

from . import receipts, sender
from .authority import Authority
from .hostile import Liar
from .notes import countersign, state
from .plain import stamp
from .wire import HASHES, INLINE, PAYLOAD, SEGMENT, Gone, data_head, dial

WAYS = []
# Exchanges, statements or streams that a flood has under way at once.
PLACES = 16
# The text of a line of the log begins so, whatever a peer has said.
LINE = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z +(?:ERROR|WARN|INFO|DEBUG) ")
RAW = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def way(what, must="", spends=False, keeps=False):
    """Registers a way to flood, and what must be among its answers. One that `spends` goes on until `status` says that the peer has used its
    account up; one that `keeps` leaves packages that are counted by the quota."""

    def register(function):
        WAYS.append({"way": what, "must": must, "spends": spends, "keeps": keeps, "flood": function})
        return function

    return register


class Flooder(Liar):
    """A connection that says nothing by itself, and keeps what is answered on its control stream."""

    def __init__(self, me, link, dialled):
        super().__init__(me, link, dialled)
        self.watching, self.answers, self.held = False, asyncio.Queue(), b""

    def _hear_ack(self, body):
        self.answers.put_nowait(f"ack {body['what']}")

    def _hear_fault(self, body):
        self.answers.put_nowait(f"fault {body['code']}")

    def _hear_held(self, raw):
        self.held = raw
        self.answers.put_nowait("held")

    def _hear_cosignature(self, line):
        self.answers.put_nowait("cosignature")

    def _hear_add_checkpoint(self, body):
        """What the daemon's own log has grown by is not looked at."""

    async def answer(self):
        """What comes next on the control stream, or how the connection ends."""
        waits = [asyncio.ensure_future(wait) for wait in (self.answers.get(), self.link.closed.wait())]
        done, _ = await asyncio.wait(waits, timeout=15, return_when=asyncio.FIRST_COMPLETED)
        for one in waits:
            one.cancel()
        if waits[0] in done:
            return waits[0].result()
        return end_of(self.link) if done else "silence"


def end_of(link):
    """How a connection ended, in a few words."""
    return re.sub(r"^closed with (\d+): ", r"closed \1 ", link.reason or "closed")[:60]


async def word(stream, past=()):
    """What the daemon says on a stream, in two words: of its frames, the first that is not among `past`."""
    try:
        while True:
            name, body = await asyncio.wait_for(stream.hear(), 15)
            if name not in past:
                return spoken(name, body)
    except (TimeoutError, asyncio.TimeoutError):
        return "silence"
    except Gone:
        return end_of(stream.link) if stream.link.closed.is_set() else "reset"
    finally:
        stream.link.streams.pop(stream.number, None)


def spoken(name, body):
    """A frame in two words."""
    if name == "receipt":
        said = receipts.read(body).json
        return f"{said['kind']} {said.get('reason', {}).get('code', '')}".strip()
    return f"{name} {body.get('code', '')}".strip() if isinstance(body, dict) else name or "end"


class Package:
    """A package that is sealed once and offered under ever new numbers."""

    def __init__(self, flood, size, wrong=None, **terms):
        self.flood = flood
        terms = {**sender.TERMS, **terms}
        about = {name: name * 8 + "\" " * 1400 for name in flood.words}
        sealed = sender.seal(flood.me, flood.peer, {"a.bin": os.urandom(size)}, "XX-FLOOD", terms, about, wrong)
        self.fields, self.disclosures, self.hashes = sealed.dispatch.json, sealed.disclosures, sealed.hashes
        self.payload, self.header = sealed.payload.read_bytes(), sealed.header

    def dispatch(self):
        """A new exchange with it."""
        return state("receipt", {**self.fields, "xid": os.urandom(16).hex(), "t": stamp()}, self.flood.me.keys["receipts"])

    def offer(self, session, note=None, unasked=True):
        """A stream with a new offer, the hashes after it, and the payload where it is small."""
        note = note or self.dispatch()
        stream = session.link.open()
        stream.say("offer", note.raw)
        stream.say("disclosures", self.disclosures)
        self.pour(session, note, HASHES, b"".join(self.hashes))
        if unasked and len(self.payload) <= INLINE:
            self.pour(session, note, PAYLOAD, self.payload, 0)
        return stream, note

    def pour(self, session, note, kind, data, first=None):
        """A one-way stream with hashes or payload."""
        stream = session.link.open(True)
        stream.write(data_head(kind, note.json["xid"], first) + data, True)
        session.link.streams.pop(stream.number)

    async def hand_over(self, session):
        """Brings a new exchange to its end: what was said last, and the last statement of both."""
        stream, note = self.offer(session)
        both = None
        while True:
            name, body = await asyncio.wait_for(stream.hear(), 60)
            if name == "accept":
                for first, count in body["missing"]:
                    self.pour(session, note, PAYLOAD, self.payload[first * SEGMENT : (first + count) * SEGMENT], first)
            elif name == "receipt" and receipts.read(body).json["kind"] != "rejected":
                both = countersign(receipts.read(body), self.flood.me.keys["receipts"])
                stream.say("receipt", both.raw)
                if both.json["kind"] == "consigned":
                    stream.say("header", self.header)
            else:
                stream.finish()
                session.link.streams.pop(stream.number, None)
                return spoken(name, body), both


class Flood:
    """One authority that floods, and for how long."""

    def __init__(self, victim, number, arguments, spends):
        self.victim, self.alias, self.spends = victim, f"flood-{number}", spends
        folder = pathlib.Path(arguments.folder) / self.alias
        self.me = Authority.make(
            folder, id=f"{self.alias}.example.org", alias=self.alias, name="A flood", country="NL", endpoint=f"127.0.0.1:{arguments.port}"
        )
        card = pathlib.Path(arguments.card)
        self.peer = self.me.accept(card.read_bytes(), card.with_suffix(".crl").read_bytes())
        self.said, self.words, self.turn, self.up = collections.Counter(), [], asyncio.Lock(), None
        self.ends = self.last = None
        self.kind, self.named = Flooder, False
        # Packages that the daemon was made to send.
        self.asked_for = 0
        self.seconds = arguments.seconds

    def begin(self):
        """From now on. One that is to use its account up goes on until it has, but not for ever."""
        self.ends = time.monotonic() + self.seconds
        self.last = self.ends + 3 * self.seconds

    def going(self):
        """Whether it is to go on."""
        now = time.monotonic()
        return now < self.ends or (self.spends and now < self.last and not self.named)

    async def watch(self):
        """Looks whether `status` names the peer, until it does."""
        while not self.named:
            await asyncio.sleep(0.5)
            self.named = "peer-quota" in await self.victim.problems(self.alias)

    def count(self, words):
        """One more answer; nothing is counted twice that both sides say of the end of a connection."""
        self.said[words] += 1

    async def line(self):
        """A new connection, or None."""
        try:
            session = self.kind(self.me, await dial(self.me, self.peer.card), True)
            await asyncio.wait_for(session.begin(), 20)
            return session
        except (Gone, TimeoutError, asyncio.TimeoutError) as gone:
            self.count(f"no connection {str(gone)[:40]}".strip())
            await asyncio.sleep(0.1)
            return None

    async def session(self):
        """The connection that is up, or a new one."""
        async with self.turn:
            while not self.up or self.up.link.closed.is_set():
                self.up = await self.line()
        return self.up

    async def many(self, step, places=PLACES):
        """Takes this step again and again, so many at once. It gives the words of the answer, or several of them."""

        async def one():
            while self.going():
                try:
                    words = await step(await self.session())
                except (TimeoutError, asyncio.TimeoutError):
                    words = "silence"
                except Gone:
                    words = end_of(self.up.link) if self.up.link.closed.is_set() else "reset"
                for said in [words] if isinstance(words, str) else words:
                    self.count(said)
                await asyncio.sleep(0)

        await asyncio.gather(*(one() for _ in range(places)))
        self.close()

    def close(self):
        """Ends the connection, if there is one."""
        if self.up and not self.up.link.closed.is_set():
            self.up.close()
        self.up = None


class Victim:
    """The daemon that is flooded: its command line, its files and its process."""

    def __init__(self, arguments):
        self.command, self.state, self.pid = arguments.command, pathlib.Path(arguments.state), arguments.pid
        self.log, self.honest = pathlib.Path(arguments.log), arguments.honest

    async def ask(self, *words):
        """The command line with --json."""
        process = await asyncio.create_subprocess_exec(
            *self.command, *words, "--json", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, err = await process.communicate()
        if not out.strip():
            raise RuntimeError(f"{words}: {err.decode()}")
        return json.loads(out.decode().strip().split("\n")[-1])

    async def trust(self, flood):
        """Takes its card and accepts it."""
        folder, alias = flood.me.folder, flood.alias
        for words in (("add", str(folder / f"{alias}.card")), ("accept", alias, "--fingerprint", flood.me.words())):
            process = await asyncio.create_subprocess_exec(
                *self.command, "peer", *words, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
            )
            _, err = await process.communicate()
            assert process.returncode == 0, err.decode()

    async def figures(self, alias):
        """What there is of everything that could grow."""
        shown, honest = [(await self.ask("peer", "show", name))["held_back"] for name in (alias, self.honest)]
        ledger = sqlite3.connect(f"file:{self.state / 'ledger.db'}?mode=ro", uri=True)
        pages, free, size = (ledger.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size"))
        ledger.close()
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        spent = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return {
            "ledger": (pages - free) * size, "wal": (self.state / "ledger.db-wal").stat().st_size,
            "leaves": (await self.ask("log", "status"))["size"], "tiles": weight(self.state / "log"),
            "payload": weight(self.state / "blobs") + weight(self.state / "incoming"),
            "log": self.log.stat().st_size, "rss": int(re.search(r"VmRSS:\s+(\d+)", status)[1]) << 10,
            "cpu": (int(spent[11]) + int(spent[12])) * 1000 // os.sysconf("SC_CLK_TCK"),
            "grown": shown["grown_bytes"], "grown_leaves": shown["grown_leaves"],
            "honest": honest["grown_bytes"], "honest_leaves": honest["grown_leaves"],
        }  # fmt: skip

    async def problems(self, alias):
        """The codes of the problems that `status` names of a peer."""
        return sorted(one["code"] for one in (await self.ask("status"))["problems"] if one["subject"] == alias)


def weight(folder):
    """The bytes of all files below a folder; some may go meanwhile."""
    sizes = 0
    for path in folder.rglob("*"):
        try:
            sizes += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return sizes


def read_lines(log, start, alias):
    """Lines of the log since then: about this peer and their bytes, about nobody that is known, and those that somebody else has begun."""
    with open(log, "rb") as file:
        file.seek(start)
        lines = file.read().split(b"\n")[:-1]
    found = collections.Counter(lines=0, line_bytes=0, others=0, forged=0)
    for line in lines:
        about = f"{alias}.example.org".encode() in line
        found.update(lines=about, line_bytes=about * (len(line) + 1), others=not about and b"bfj.example.de" not in line)
        found.update(forged=not LINE.match(line) or bool(RAW.search(line.decode(errors="replace"))))
    return dict(found)


class Honest:
    """A daemon that sends a small package every two seconds, and waits for the receipt of its handover."""

    def __init__(self, command):
        self.command, self.took, self.failed = command, [], []

    async def send(self):
        """One package."""
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *self.command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
        _, err = await process.communicate()
        self.took.append(round((time.monotonic() - began) * 1000))
        if process.returncode:
            self.failed.append(err.decode()[-300:])

    async def run(self, over):
        """Until `over` is set, and one package at least."""
        while True:
            next_at = time.monotonic() + 2
            await self.send()
            if over.is_set():
                return
            with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
                await asyncio.wait_for(over.wait(), max(0, next_at - time.monotonic()))

    def told(self):
        """How long it took, in ms, and what failed, since the last time."""
        took, failed, self.took, self.failed = sorted(self.took), self.failed, [], []
        return {"sent": len(took), "ms": took[len(took) // 2], "ms_max": took[-1], "failed": failed}


async def flooded(victim, honest, number, arguments):
    """One way from its begin to its end, and what came of it."""
    one = WAYS[number]
    flood = Flood(victim, number, arguments, one["spends"])
    await victim.trust(flood)
    before, start = await victim.figures(flood.alias), time.monotonic()
    over = asyncio.Event()
    flood.begin()
    sending, watching = asyncio.create_task(honest.run(over)), asyncio.create_task(flood.watch())
    try:
        await asyncio.wait_for(one["flood"](flood), 5 * arguments.seconds + 15)
    except (TimeoutError, asyncio.TimeoutError):
        flood.count("silence")
        flood.close()
    watching.cancel()
    over.set()
    problems = await victim.problems(flood.alias)
    await sending
    seconds = time.monotonic() - start
    after = await victim.figures(flood.alias)
    return {
        **{name: one[name] for name in ("way", "must", "spends", "keeps")}, "problems": problems, "seconds": round(seconds), "asked_for": flood.asked_for,
        "said": dict(flood.said.most_common()), "steps": sum(flood.said.values()), "before": before, "after": after,
        "grew": {name: after[name] - before[name] for name in after}, "honest": honest.told(),
        **read_lines(victim.log, before["log"], flood.alias),
    }  # fmt: skip


async def run(arguments):
    """All ways, or those whose name has `only` in it."""
    victim = Victim(arguments)
    honest = Honest(arguments.honest_command.split("\x1f"))
    for _ in range(3):
        await honest.send()
    print(json.dumps({"way": "nothing", "honest": honest.told()}), flush=True)
    for number, one in enumerate(WAYS):
        if arguments.only in one["way"]:
            print(json.dumps(await flooded(victim, honest, number, arguments)), flush=True)


def main():
    """Reads the command line."""
    for name in ("line", "exchanges"):
        importlib.import_module(f"peer.flood_{name}")  # they register themselves, in this order
    parser = argparse.ArgumentParser(prog="flood", description=__doc__)
    parser.add_argument("folder")
    for name in ("card", "state", "log", "honest", "honest-command"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("pid", "port", "seconds"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("command", nargs="+")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    from peer import flood  # the module that the ways import, and not this copy of it

    sys.exit(flood.main())
