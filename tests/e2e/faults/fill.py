"""Disks that are filled up: see ../61-fill.sh."""

import errno
import os
import sys
import time

import pair
from pair import COUNT, EVERY, STORAGE, Pair, need, until

# What is left free, in KiB; the rest of a range is drawn.
LEVELS = [0, 0, 4, 16, 64, 256, 1024, 4096]


class Fills:
    """One series: the file system of one side is filled before or during an exchange, and freed again."""

    def __init__(self, victim, seed):
        self.pair = Pair(seed)
        self.victim = getattr(self.pair, victim)
        self.filler = os.path.join(self.victim.home, "filler")
        self.points = self.refused = self.stated = self.accepted = 0
        self.slowest_ms = 0

    def free(self):
        disk = os.statvfs(self.victim.home)
        return disk.f_bavail * disk.f_frsize

    def fill(self, leave):
        """Takes all space but so many bytes."""
        with open(self.filler, "ab", buffering=0) as out:
            while (more := self.free() - leave) > 0:
                try:
                    out.write(bytes(max(1, min(more, 1 << 20))))
                except OSError as fault:
                    need(fault.errno == errno.ENOSPC, f"filling: {fault}")
                    break
            os.fsync(out.fileno())

    def point(self, bytes_):
        """Fills the disk at some moment of an exchange, looks what is said, and frees it."""
        pair_, control = self.pair, self.victim.control
        leave = pair_.random.choice(LEVELS) << 10
        leave = leave and pair_.random.randrange(leave // 2, leave)
        moment = pair_.random.choice([0, 0, pair_.random.randrange(1, 60)])
        if moment == 0:
            self.fill(leave)
        control.arm(COUNT, 0, EVERY)
        began = time.monotonic()
        sending = pair_.ie.send("de", pair_.file(bytes_))
        if moment:
            end = time.monotonic() + 5
            while control.count < moment and time.monotonic() < end:
                time.sleep(0.0005)
            self.fill(leave)
        until(30, "the answer of a sending", sending.poll)
        xid = pair_.collect(sending)
        if xid is None:
            need(sending.code == STORAGE, f"a sending to a full disk ended with {sending.code}: {sending.err.decode()}")
            self.refused += 1
            self.slowest_ms = max(self.slowest_ms, int((time.monotonic() - began) * 1000))
        else:
            self.accepted += 1
        time.sleep(0.2)
        need(self.victim.process.poll() is None, f"{self.victim.name} ended by itself with {self.victim.process.poll()} on a full disk")
        self.what_is_still_done()
        os.remove(self.filler)
        self.victim.ask("POST", "/v1/log/checkpoint")
        if self.free() > (6 << 20):
            until(5, "the reserve of the ledger is set aside again",
                  lambda: os.stat(os.path.join(self.victim.home, "state", "reserve")).st_blocks * 512 >= (4 << 20))
        self.points += 1

    def what_is_still_done(self):
        """However full the disk is, the daemon answers, says so, and the log takes statements."""
        size = self.victim.get("/v1/log")["size"]
        problems = self.victim.get("/v1/status")["problems"]
        if self.free() < (3 << 20):
            need(any(problem["code"] == "storage-full" for problem in problems), f"status does not say it: {problems}")
        held = self.pair.random.choice(sorted(self.pair.contents) or [None])
        if held is None or self.victim is self.pair.ie or self.pair.de.state(held) != "held":
            return
        # An opening that is refused is stated, and the statement is logged.
        code = self.pair.open_for(held, "civil-claim")
        need(code == 4, f"a refusal on a full disk ended with {code}")
        need(self.victim.get("/v1/log")["size"] > size, "a refused opening was not stated on a full disk")
        self.stated += 1


def campaign():
    """fill.py VICTIM SEED POINTS"""
    victim, seed, points = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    series = Fills(victim, seed)
    series.pair.up()
    for _ in range(points):
        series.point(series.pair.random.choice([10_000, 10_000, 100_000, 400_000]))
    opened = series.pair.close(40)
    print(f"  ok  disk of {victim}: filled at {series.points} points; {series.accepted} packages acknowledged and handed over, "
          f"{series.refused} refused after at most {series.slowest_ms} ms, {series.stated} statements logged while it was full, "
          f"{opened} packages opened and compared")
    with open(os.path.join(pair.WORK, f"figures.{victim}"), "w") as out:
        print(series.points, series.accepted, series.refused, series.stated, file=out)


pair.main(campaign)
