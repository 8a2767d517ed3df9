"""Calls that fail, at every point of an exchange: see ../22-inject.sh."""

import collections
import errno
import os
import re
import subprocess
import sys
import time

import pair
import strace
from pair import FAIL_FROM, FAIL_ONCE, FLUSHES, NAMES, SHORT_ONCE, STORAGE, WRITES, Pair, Patience, Violation, need, until

BROKEN_OFF = 10  # the exit code of a command whose daemon has ended
CLASSES = {"flush": FLUSHES, "write": WRITES, "name": NAMES}


class Injections:
    """One series: calls of one side fail."""

    def __init__(self, victim, seed):
        self.pair = Pair(seed)
        self.victim = getattr(self.pair, victim)
        self.injected = 0
        self.ended = 0
        self.refused = 0
        self.kinds = collections.Counter()

    def exchange(self, bytes_, injected):
        """Sends one package; waits until the fault has come, or the exchange has ended without it."""
        pair_ = self.pair
        sending = pair_.ie.send("de", pair_.file(bytes_))
        patience = Patience(40, "an exchange comes to its end or to the chosen call")
        while not injected():
            patience.hold()
            if sending.poll() and self.victim.process.poll() is None:
                xid = sending.end()
                if xid is None or pair_.settled(xid):
                    time.sleep(0.1)
                    break
            time.sleep(0.005)
        return sending

    def recorded(self, sending):
        """The id of what was sent, if that was acknowledged; if it was not, the command must have said so."""
        xid = self.pair.collect(sending)
        need(xid or sending.code not in (0, None), "a sending ended with 0 and says no id")
        if xid is None:
            self.refused += 1
        return xid

    def must_end(self, where):
        """The daemon ends with the code for storage and says why; it goes on when it is started again."""
        code = self.victim.ended()
        need(code == STORAGE, f"{self.victim.name} ended with {code} after {where} failed, not with {STORAGE}")
        said = self.victim.log_tail(4)
        need(re.search(r"store.*(trusted|failed)|error: .*(flush|write|I/O)", said), f"the reason is not in its log: {said}")
        self.ended += 1

    def after(self, sending, where):
        xid = self.recorded(sending)
        self.victim.up()
        if xid:
            need(self.victim is self.pair.de or self.victim.state(xid) != "absent",
                 f"{xid} was acknowledged although {where} had failed")
            self.victim.nudge("ie" if self.victim is self.pair.de else "de")
            self.pair.agree(xid)

    def failing(self, bytes_, class_, at, what):
        """One call fails for good: False if the exchange has not so many of them."""
        control = self.victim.control
        control.arm(FAIL_ONCE, at, CLASSES[class_], what)
        sending = self.exchange(bytes_, lambda: control.hit)
        if not control.hit:
            control.disarm()
            self.pair.agree(self.recorded(sending))
            return False
        where = control.where
        self.injected += 1
        self.kinds[f"{errno.errorcode[what]} {where}"] += 1
        # What could not be removed takes space and is removed at the next start. SQLite flushes the state folder for the
        # name of its log, which the daemon has flushed itself when it started.
        if (where.startswith("unlink") or where == "fsync state") and self.goes_on(sending):
            control.disarm()
            self.pair.agree(self.recorded(sending))
            return True
        self.must_end(where)
        need(control.retried == 0, f"{where} failed and was tried again")
        control.disarm()
        self.after(sending, where)
        return True

    def goes_on(self, sending):
        """Whether the exchange comes to its end before the daemon does."""
        until(60, "an exchange or its daemon comes to an end", lambda: self.victim.has_ended() or sending.poll() and self.is_done(sending))
        return not self.victim.has_ended()

    def is_done(self, sending):
        xid = sending.end()
        return self.pair.settled(xid) if xid else sending.code != BROKEN_OFF

    def full(self, bytes_, class_, at):
        """The disk is full from one call on, for a moment: the daemon stays, and what was acknowledged arrives."""
        control = self.victim.control
        control.arm(FAIL_FROM, at, CLASSES[class_], errno.ENOSPC)
        sending = self.exchange(bytes_, lambda: control.hit)
        hit = control.hit
        if hit:
            self.injected += 1
            self.kinds[f"ENOSPC {control.where}"] += 1
            time.sleep(0.15)
        # Closed while it was full or not: what the command says stands.
        until(30, "the answer of a sending", sending.poll)
        control.disarm()
        self.recorded(sending)
        need(not sending.code or sending.code == STORAGE, f"a sending to a full disk ended with {sending.code}: {sending.err.decode()}")
        need(self.victim.process.poll() is None, f"{self.victim.name} ended by itself on a full disk: {control.where}")
        return bool(hit)

    def short(self, bytes_, at):
        """One write takes only half of its bytes."""
        control = self.victim.control
        control.arm(SHORT_ONCE, at, WRITES)
        sending = self.exchange(bytes_, lambda: False)
        control.disarm()
        xid = self.recorded(sending)
        need(xid, f"a short write made a sending fail: {sending.err.decode()}")
        self.pair.agree(xid)
        if control.hit:
            self.injected += 1
            self.kinds[f"short {control.where}"] += 1
        return bool(control.hit)

    def traced(self, bytes_, at):
        """The flush of this number of any one thread fails, by strace: independent of point.c."""
        log, tracer = self.strace("trace=fsync,fdatasync", f"inject=fsync,fdatasync:error=EIO:when={at}")
        injected = lambda: os.path.exists(log) and "INJECTED" in open(log, errors="replace").read()
        sending = self.exchange(bytes_, injected)
        hit = injected()
        if hit:
            self.must_end("a flush under strace")
        tracer.terminate()
        tracer.wait()
        if not hit:
            xid = self.recorded(sending)
            self.pair.agree(xid)
            return False
        with open(log, errors="replace") as lines:
            file, again = strace.again(lines)
        need(not again, f"a flush of {file} failed and was tried again: {again}")
        self.injected += 1
        name = os.path.basename(file)
        self.kinds[f"EIO, by strace, {name if len(name) < 20 else 'XID'}"] += 1
        self.after(sending, file)
        return True

    def strace(self, *what):
        """Follows the daemon's calls: the log, and the process once it has every thread."""
        log = os.path.join(pair.WORK, "strace.log")
        if os.path.exists(log):
            os.remove(log)
        there = f"/proc/{self.victim.process.pid}/task"
        options = [word for one in what for word in ("-e", one)]
        tracer = subprocess.Popen(["strace", "-f", "-y", "-o", log, *options, "-p", str(self.victim.process.pid)],
                                  stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)

        def attached():
            try:
                return all(b"TracerPid:\t0\n" not in open(f"{there}/{task}/status", "rb").read() for task in os.listdir(there))
            except FileNotFoundError:
                return False  # A thread has just ended.

        until(10, f"strace follows {len(os.listdir(there))} threads", attached)
        return log, tracer

    def seen_by_strace(self, bytes_):
        """point.c sees every call on files of the state folder that strace sees."""
        log, tracer = self.strace("trace=write,writev,pwrite64,pwritev,pwritev2,ftruncate,fsync,fdatasync,sync_file_range,msync")
        control, state = self.victim.control, f"<{os.path.join(self.victim.home, 'state')}"

        def counted():
            with open(log, errors="replace") as lines:
                return sum(state in line and "resumed" not in line and "-shm>" not in line for line in lines), control.count

        def at_rest():
            """Both counts, once the daemon has written nothing for a second: neither is ahead of the other then."""
            before, since = counted(), time.monotonic()
            while time.monotonic() - since < 1:
                time.sleep(0.1)
                if (now := counted()) != before:
                    before, since = now, time.monotonic()
            return before

        # What the daemon wrote before the count began is no matter of this comparison.
        control.arm(pair.COUNT, 0, WRITES | FLUSHES)
        began = at_rest()
        self.pair.agree(self.recorded(self.pair.ie.send("de", self.pair.file(bytes_))))
        traced, seen = (after - before for before, after in zip(began, at_rest()))
        control.disarm()
        tracer.terminate()
        tracer.wait()
        need(traced == seen > 0, f"strace sees {traced} writes and flushes, point.c {seen}")
        return seen


def numbers(series, kind, rest):
    """Which calls fail: `all` up to the last, or so many of the first COUNT at random."""
    if rest == ["all"]:
        at = 1
        while kind(at):
            at += 1
        return at - 1
    most, count = (int(number) for number in rest)
    for at in sorted(series.pair.random.sample(range(1, most + 1), min(count, most))):
        kind(at)
    return min(count, most)


def campaign():
    """inject.py VICTIM SEED PART…: `eio:CLASS:BYTES:…`, `full:CLASS:BYTES:…`, `short:BYTES:…`, `strace:BYTES:…`, `seen:BYTES`;
    … is `all`, or MOST:COUNT for so many random ones of the first MOST."""
    victim, seed, *parts = sys.argv[1:]
    series = Injections(victim, int(seed))
    series.pair.up()
    for part in parts:
        began = time.monotonic()
        kind, *rest = part.split(":")
        if kind == "eio":
            class_, bytes_, *rest = rest
            done = numbers(series, lambda at: series.failing(int(bytes_), class_, at, errno.EIO), rest)
        elif kind == "full":
            class_, bytes_, *rest = rest
            done = numbers(series, lambda at: series.full(int(bytes_), class_, at), rest)
        elif kind == "short":
            bytes_, *rest = rest
            done = numbers(series, lambda at: series.short(int(bytes_), at), rest)
        elif kind == "strace":
            bytes_, *rest = rest
            done = numbers(series, lambda at: series.traced(int(bytes_), at), rest)
        elif kind == "seen":
            done = series.seen_by_strace(int(rest[0]))
        else:
            raise Violation(f"no such part: {part}")
        print(f"  ok  {victim}, {part}: {done} calls, {time.monotonic() - began:.0f} s", flush=True)
    opened = series.pair.close(60)
    for where, times in sorted(series.kinds.items()):
        print(f"      {times:4} × {where}")
    print(f"  ok  {victim}: {series.injected} injections, {series.ended} ends with exit code {STORAGE}, {series.refused} sendings refused; "
          f"{len(series.pair.contents)} acknowledged packages there, {opened} opened and compared")
    with open(os.path.join(pair.WORK, f"figures.{victim}"), "w") as out:
        print(series.injected, series.ended, len(series.pair.contents), file=out)


pair.main(campaign)
