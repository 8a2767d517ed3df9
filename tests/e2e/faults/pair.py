"""Two authorities that `lib.sh` made, as daemons that can be stopped, starved and cut off at chosen system calls.

The scripts beside the folder make the authorities and set WORK and BIN; what is here starts their daemons with point.c
loaded, asks them over their local API, and holds what both sides must agree on after every fault.
"""

import faulthandler
import fcntl
import hashlib
import json
import mmap
import os
import random
import signal
import sqlite3
import shutil
import struct
import subprocess
import sys
import time

from api import Api

WORK = os.environ["WORK"]
BIN = os.environ["BIN"]
POINT = os.path.join(WORK, "point.so")
# As lib.sh has them.
TERMS = ["--case", "IE-2026-0117", "--instrument", "EIO", "--purpose", "prosecution,trial",
         "--retain-until", "2031-12-31", "--onward", "prohibited"]

OFF, COUNT, FREEZE, FAIL_ONCE, FAIL_FROM, SHORT_ONCE = range(6)
WRITES, FLUSHES, NAMES = 1, 2, 4
EVERY = WRITES | FLUSHES | NAMES

EXT4_IOC_SHUTDOWN = 0x8004587D
LOGFLUSH, NOLOGFLUSH = 1, 2

STORAGE = 11  # the exit code of a daemon whose storage cannot be written
SERVING_S = 10 # and longer where the machine is busy
ENDLESS_S = 600 # a wait in which things move, but not to what is waited for


class Violation(Exception):
    """A promise that was not kept."""


def need(holds, text):
    if not holds:
        raise Violation(text)


def moves():
    """Something else whenever a daemon has logged, stored or received anything: paths, lengths and times of their files."""
    found = set()
    for folder, _, names in os.walk(WORK):
        for name in names:
            if "/state" in folder and not name.endswith("-shm") or name.endswith(".log"):
                try:
                    about = os.stat(os.path.join(folder, name))
                except OSError:
                    continue
                found.add((folder, name, about.st_size, about.st_mtime_ns))
    return found


def standstill():
    """Where each thread of this campaign's processes stands, for somebody who wants to know why nothing moves."""
    lines = [f"load {open('/proc/loadavg').read().strip()}"]
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                command = file.read().replace(b"\0", b" ").decode(errors="replace").strip()
            if WORK not in command or int(pid) == os.getpid():
                continue
            lines.append(f"{pid} {command[:160]}")
            for task in os.listdir(f"/proc/{pid}/task"):
                there = f"/proc/{pid}/task/{task}/"
                name, state, asleep, call = (open(there + file).read() for file in ("comm", "stat", "wchan", "syscall"))
                lines.append(f"    {name.strip()}: {state.rpartition(')')[2].split()[0]} in {asleep or '-'}, call {call.strip()[:60]}")
        except OSError:
            continue
    return "\n      ".join(lines)


class Patience:
    """The end of a wait: nothing has moved for so many seconds, and for a minute at least; or something moves all the time, and
    ten minutes have not led there. A busy machine has all the time it needs, and a hang is noticed."""

    def __init__(self, seconds, what):
        self.silence, self.what = max(seconds, 60), what
        self.first = self.began = time.monotonic()
        self.before = None

    def hold(self):
        """Raises once it is at its end."""
        waited = time.monotonic() - self.began
        if self.before is None and waited > 2:
            self.before = moves()
        if waited < self.silence:
            return
        now = moves()
        whole = time.monotonic() - self.first
        need(whole < ENDLESS_S, f"{self.what}: not so after {whole:.0f} s, though things move\n      {standstill()}")
        need(now != self.before, f"{self.what}: not so, and nothing has moved for {self.silence} s\n      {standstill()}")
        self.began, self.before = time.monotonic(), now


def until(seconds, what, check, pause=0.01):
    """Repeats a check until it gives something; says what did not come."""
    patience = Patience(seconds, what)
    while not (found := check()):
        patience.hold()
        time.sleep(pause)
    return found


class Watch:
    """Milliseconds that something took, less those in which something on this machine waited for a processor, and up to a
    second of those in which something waited for the disk: for that, it may have been to blame itself."""

    def __init__(self):
        self.began = self.now()

    @staticmethod
    def now():
        stalled = []
        for what in ("cpu", "io"):
            try:
                with open(f"/proc/pressure/{what}") as file:
                    stalled.append(int(file.readline().rpartition("=")[2]) / 1000)
            except OSError:
                stalled.append(0)
        return (time.monotonic() * 1000, *stalled)

    @property
    def ms(self):
        wall, cpu, io = (after - before for before, after in zip(self.began, self.now()))
        return max(0, int(wall - max(cpu, min(io, 1_000))))


class Control:
    """The memory shared with point.c; same layout as `struct control` there."""

    FIELDS = ("mode", "at", "what", "classes", "count", "hit", "failed", "retried", "lies")

    def __init__(self, path):
        self.path = path
        with open(path, "wb") as out:
            out.write(bytes(512))
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 512)

    def __getattr__(self, name):
        at = Control.FIELDS.index(name) * 4
        return struct.unpack_from("=I", self.map, at)[0]

    def put(self, name, value):
        struct.pack_into("=I", self.map, Control.FIELDS.index(name) * 4, value)

    def arm(self, mode, at=0, classes=EVERY, what=0):
        self.put("mode", OFF)
        for name, value in (("at", at), ("what", what), ("classes", classes), ("count", 0), ("hit", 0),
                            ("failed", 0), ("retried", 0)):
            self.put(name, value)
        self.put("mode", mode)

    def disarm(self):
        self.put("mode", OFF)

    @property
    def where(self):
        """What the chosen call was: its name, and the file below the state folder with ids left out."""
        text = self.map[36:256].split(b"\0")[0].decode()
        call, _, path = text.partition(" ")
        path = (path + "/").split("/state/")[-1].rstrip("/") or "state"
        folder, _, name = path.rpartition("/")
        if folder and folder != "state":
            name = "XID" + "".join("." + end for end in name.split(".")[1:]) if len(name) > 8 else name
            return f"{call} {folder}/{name}"
        return f"{call} {name}"


class Side:
    """One authority: its home, and its daemon while it runs."""

    def __init__(self, name, env=None):
        self.name = name
        self.home = os.path.join(WORK, name)
        self.log = os.path.join(WORK, f"{name}.log")
        self.control = Control(os.path.join(WORK, f"{name}.control"))
        self.env = dict(os.environ, **(env or {}))
        self.env.update(FAULT_CONTROL=self.control.path, FAULT_DIR=os.path.join(self.home, "state"))
        self.process = None
        self.serving_ms = []

    def start(self):
        preloaded = [library for library in (self.env.get("LD_PRELOAD"), POINT) if library and os.path.exists(library)]
        with open(self.log, "ab") as log:
            env = dict(self.env, LD_PRELOAD=":".join(preloaded)) if preloaded else self.env
            self.process = subprocess.Popen([BIN, "--home", self.home, "serve"], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, env=env)
        with open(os.path.join(WORK, "pids"), "a") as pids:
            print(self.process.pid, file=pids)

    def ask(self, method, path, seconds=60):
        api = Api(os.path.join(self.home, "api.sock"), seconds)
        try:
            return api.ask(method, path)
        finally:
            api.close()

    def get(self, path):
        status, body = self.ask("GET", path)
        need(status == 200, f"{self.name}: GET {path}: {status} {body}")
        return body

    def serves(self, seconds=5):
        need(self.process.poll() is None, f"{self.name} ended by itself with {self.process.poll()}")
        try:
            return self.ask("GET", "/v1/log", seconds)[0] == 200
        except OSError:
            return False

    def wait_serving(self):
        watch = Watch()
        until(SERVING_S, f"{self.name} serves", self.serves)
        self.serving_ms.append(watch.ms)

    def up(self):
        self.start()
        self.wait_serving()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def has_ended(self):
        return self.process.poll() is not None

    def ended(self):
        """The exit code of a daemon that ends by itself."""
        until(15, f"{self.name} ends after {self.control.where} failed", self.has_ended)
        return self.process.returncode

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        until(30, f"{self.name} ends after SIGTERM", self.has_ended)
        need(self.process.returncode == 0, f"{self.name} ends with {self.process.returncode} after SIGTERM, not with 0")

    def send(self, peer, path, terms=None):
        """Starts a sending; `Sending.acknowledged` is the id once the daemon has said that it has it."""
        return Sending(self, peer, path, terms or TERMS)

    def list(self, path):
        """A list, read to its end."""
        rows, after = [], ""
        while True:
            page = self.get(path + after)
            rows += page["items"]
            if "more" not in page:
                return rows
            after = f"{'&' if '?' in path else '?'}after={page['more']}"

    def packages(self):
        return {row["id"]: row["state"] for row in self.list("/v1/packages")}

    def state(self, xid):
        try:
            status, body = self.ask("GET", f"/v1/packages/{xid}", 5)
        except OSError:
            return "unanswered"
        return body["state"] if status == 200 else "absent"

    def transfer(self, xid):
        """What is said about an exchange that is not at its end."""
        try:
            return self.ask("GET", f"/v1/transfers/{xid}", 5)[1]
        except OSError as gone:
            return str(gone)

    def receipts(self, xid):
        """(kind, digest) of the statements that both sides must hold: the dispatch, and what is signed by both."""
        status, _ = self.ask("GET", f"/v1/packages/{xid}")
        rows = self.list(f"/v1/receipts?package={xid}") if status == 200 else []
        return {(row["kind"], row["digest"]) for row in rows
                if row["kind"] == "dispatch" or row["kind"] in ("consigned", "handover") and row["countersigned"]}

    def reaches(self, peer, seconds=20):
        """Whether a connection is up; it is made now rather than when the next wait is over."""
        try:
            return self.ask("POST", f"/v1/peers/{peer}/ping", seconds)[0] == 200
        except OSError:
            return False

    def nudge(self, peer):
        self.reaches(peer, 5)

    def select(self, *query):
        """What is in the database, from a copy, while the daemon does not run."""
        copy = os.path.join(WORK, f"{self.name}.copy")
        shutil.rmtree(copy, ignore_errors=True)
        os.makedirs(copy)
        for ending in ("", "-wal"):
            file = os.path.join(self.home, "state", f"ledger.db{ending}")
            if os.path.exists(file):
                shutil.copy(file, copy)
        database = sqlite3.connect(os.path.join(copy, "ledger.db"))
        found = [database.execute(one).fetchall() for one in query]
        database.close()
        shutil.rmtree(copy)
        return found

    def database_is_sound(self):
        """SQLite's own check."""
        [[(verdict,), *_]] = self.select("PRAGMA integrity_check")
        need(verdict == "ok", f"{self.name}: integrity_check: {verdict}")

    def log_tail(self, lines=12):
        with open(self.log, errors="replace") as log:
            return "".join(log.readlines()[-lines:])


class Sending:
    """`package send` of one file, in a process of its own."""

    def __init__(self, side, peer, path, terms):
        self.path = path
        self.process = subprocess.Popen(
            [BIN, "--home", side.home, "package", "send", "--to", peer, *terms, "--json", path],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=side.env)
        self.out = self.err = None

    def poll(self):
        """Whether it has ended."""
        return self.process.poll() is not None

    def end(self, kill=False):
        """Waits for its end; gives the id if it was acknowledged."""
        if self.out is None:
            if kill:
                self.process.kill()
            until(30, f"the sending of {self.path} comes to an end", self.poll)
            self.out, self.err = self.process.communicate()
        return self.acknowledged

    @property
    def acknowledged(self):
        for line in self.out.decode().splitlines():
            said = json.loads(line)
            if said.get("type") == "summary":
                return said.get("id")
        return None

    @property
    def code(self):
        return self.process.returncode


class Pair:
    """Sender `ie` and receiver `de`, and everything that was acknowledged."""

    def __init__(self, seed, env=None):
        self.ie, self.de = Side("ie", env), Side("de", env)
        self.random = random.Random(seed)
        self.contents = {}  # id → SHA-256 of the file that was sealed
        self.files = {}  # path → the same, of what is being sent
        self.unacknowledged = 0

    def up(self):
        for side in (self.ie, self.de):
            side.up()

    def file(self, bytes_):
        """A file of so many bytes that no other equals."""
        path = os.path.join(WORK, f"item-{self.random.getrandbits(64):016x}.bin")
        content = self.random.randbytes(bytes_)
        with open(path, "wb") as out:
            out.write(content)
        self.files[path] = hashlib.sha256(content).hexdigest()
        return path

    def settled(self, xid):
        """Handed over at both ends. The sender closes an exchange when it has the receiver's receipt of that: then it is there."""
        if self.ie.state(xid) != "closed":
            return False
        there = self.de.state(xid)
        need(there != "absent", f"{xid} is closed at the sender, and the receiver does not know it")
        return there == "held"

    def agree(self, xid, promised=frozenset()):
        """The exchange comes to its end, nothing that was said before is gone, and both hold the same receipts."""
        try:
            until(60, f"{xid} is handed over", lambda: self.settled(xid), 0.02)
        except Violation as late:
            raise Violation(f"{late}; at the sender {self.ie.transfer(xid)}, at the receiver {self.de.transfer(xid)}") from late
        ours, theirs = self.ie.receipts(xid), self.de.receipts(xid)
        need(ours == theirs, f"the receipts of {xid} differ: {ours} and {theirs}")
        kinds = sorted(kind for kind, _ in ours)
        need(kinds == ["consigned", "dispatch", "handover"], f"the receipts of {xid} are {kinds}")
        need(promised <= ours, f"receipts of {xid} are gone: {promised - ours}")
        status, verdict = self.de.ask("POST", f"/v1/packages/{xid}/verify")
        need(status == 200 and verdict["ok"], f"{xid} is damaged at the receiver: {status} {verdict}")

    def collect(self, sending, kill=False):
        """Notes what a sending has come to."""
        xid = sending.end(kill)
        digest = self.files.pop(sending.path, None)
        if digest is None:
            return xid
        os.remove(sending.path)
        if xid:
            self.contents[xid] = digest
        else:
            self.unacknowledged += 1
        return xid

    def open_for(self, xid, purpose):
        """The exit code of an attempt to open a package at the receiver."""
        return subprocess.run([BIN, "--home", self.de.home, "package", "open", xid, "--purpose", purpose,
                               "--justification", "attempt", "--out", os.path.join(WORK, "refused")],
                              capture_output=True, stdin=subprocess.DEVNULL, env=self.de.env).returncode

    def same_content(self, xid):
        """The receiver opens the package and finds the file that was sealed."""
        out = os.path.join(WORK, "opened")
        shutil.rmtree(out, ignore_errors=True)
        opened = subprocess.run([BIN, "--home", self.de.home, "package", "open", xid, "--purpose", "trial",
                                 "--justification", "comparison", "--out", out],
                                capture_output=True, stdin=subprocess.DEVNULL, env=self.de.env)
        need(opened.returncode == 0, f"{xid} cannot be opened: {opened.stderr.decode()}")
        found = [os.path.join(folder, name) for folder, _, files in os.walk(os.path.join(out, "data")) for name in files]
        need(len(found) == 1, f"{xid} holds {len(found)} files")
        with open(found[0], "rb") as got:
            digest = hashlib.file_digest(got, "sha256").hexdigest()
        need(digest == self.contents[xid], f"the content of {xid} is not what was sent")
        shutil.rmtree(out)

    def close(self, contents=None):
        """Everything acknowledged is held once; what was opened equals what was sealed; both databases are sound."""
        for side in (self.ie, self.de):
            side.control.disarm()
        chosen = list(self.contents)
        if contents is not None and len(chosen) > contents:
            chosen = self.random.sample(chosen, contents)
        for xid in self.contents:
            self.agree(xid)
        for xid in chosen:
            self.same_content(xid)
        held, sent = self.de.list("/v1/packages"), self.ie.list("/v1/packages")
        for rows in (held, sent):
            ids = [row["id"] for row in rows]
            need(len(ids) == len(set(ids)), "a package is listed twice")
        need(len(held) <= len(self.contents) + self.unacknowledged, "more packages arrived than were sent")
        for side in (self.ie, self.de):
            side.stop()
            side.database_is_sound()
        return len(chosen)


def shutdown(mount, flag):
    """The power is gone from this ext4 file system: with NOLOGFLUSH its journal too, as far as it was not flushed."""
    folder = os.open(mount, os.O_RDONLY)
    try:
        fcntl.ioctl(folder, EXT4_IOC_SHUTDOWN, struct.pack("=I", flag))
    finally:
        os.close(folder)


def run(*command):
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL)
    need(done.returncode == 0, f"{' '.join(command)}: {done.stderr.decode().strip()}")


def main(body):
    """Runs a campaign; a promise that was not kept ends it with 1."""
    # Whoever stops it for taking too long is told where it stands.
    faulthandler.register(signal.SIGTERM, chain=True)
    with open(os.path.join(WORK, "campaign.pid"), "w") as out:
        print(os.getpid(), file=out)
    try:
        body()
    except Violation as broken:
        print(f"  VIOLATION  {broken}", file=sys.stderr)
        sys.exit(1)
