"""Power cuts at the system calls of an exchange: see ../21-power.sh."""

import collections
import os
import sys
import time

import pair
from pair import EVERY, FLUSHES, FREEZE, LOGFLUSH, NOLOGFLUSH, Pair, Patience, Violation, need, until


class Cuts:
    """One series: the power of one side's disk is cut while the other goes on."""

    def __init__(self, victim, device, seed):
        self.pair = Pair(seed)
        self.victim = getattr(self.pair, victim)
        self.survivor = self.pair.de if victim == "ie" else self.pair.ie
        self.device = device
        self.cuts = 0
        self.in_restart = 0
        self.kinds = collections.Counter()

    def cut(self, flag):
        """The power goes, and comes back: the journal is replayed, nothing else is left."""
        pair.shutdown(self.victim.home, flag)
        self.victim.kill()
        pair.run("umount", self.victim.home)
        pair.run("mount", "-t", "ext4", self.device, self.victim.home)
        self.cuts += 1

    def restart(self, often):
        """Starts again; often enough the power goes a second time while the daemon starts."""
        control = self.victim.control
        if self.pair.random.random() < often:
            control.arm(FREEZE, self.pair.random.randrange(1, 16))
            self.victim.start()
            until(pair.SERVING_S, "a start", lambda: control.hit or self.victim.serves())
            if control.hit:
                self.kinds["start: " + control.where] += 1
                self.cut(NOLOGFLUSH)
                self.in_restart += 1
            else:
                control.disarm()
                return
        control.disarm()
        self.victim.up()

    def reach(self, bytes_, at, classes=EVERY):
        """Sends a package until the call of this number is about to be made: its sending, and its id if that was answered;
        nothing if the exchange has not so many."""
        pair_, control = self.pair, self.victim.control
        sending = pair_.ie.send("de", pair_.file(bytes_))
        control.arm(FREEZE, at, classes)
        patience = Patience(40, f"an exchange of {bytes_} bytes comes to its end or to cut {at}")
        xid = None
        while not control.hit:
            patience.hold()
            if xid is None and sending.poll():
                xid = pair_.collect(sending)
                need(xid, f"a sending failed without a cut: {sending.err.decode()}")
            if xid and pair_.settled(xid):
                # What is left to tidy up comes after the end.
                time.sleep(0.1)
                if not control.hit:
                    control.disarm()
                    return None
            time.sleep(0.005)
        if xid is None and (self.victim is pair_.de or sending.poll()):
            xid = pair_.collect(sending)
            need(xid, "the sender failed with the power of the receiver")
        return sending, xid

    def one(self, bytes_, at, flag=NOLOGFLUSH, again=0.0):
        """One exchange with a cut before the call of this number; False if it has not so many."""
        reached = self.reach(bytes_, at)
        if reached is None:
            return False
        sending, xid = reached
        where = self.victim.control.where
        self.cut(flag)
        xid = xid or self.pair.collect(sending, kill=True)
        self.kinds[where] += 1
        promised = self.promised(xid)
        self.restart(again)
        self.hold(xid, promised, where)
        return True

    def stale(self, bytes_, at):
        """The process alone dies before a flush, so that the next one finds bytes that the disk does not have; it goes on
        with them, and then the power goes."""
        reached = self.reach(bytes_, at, FLUSHES)
        if reached is None:
            return
        sending, xid = reached
        where = self.victim.control.where
        self.victim.kill()
        xid = xid or self.pair.collect(sending, kill=True)
        control = self.victim.control
        control.arm(FREEZE, self.pair.random.randrange(1, 60))
        self.victim.start()
        end = time.monotonic() + 1.5
        while not control.hit and time.monotonic() < end:
            if self.victim.serves():
                if xid and self.pair.settled(xid):
                    break
                self.victim.nudge(self.survivor.name)
            time.sleep(0.05)
        self.cut(NOLOGFLUSH)
        self.kinds[f"killed before {where}, and a cut after the restart"] += 1
        promised = self.promised(xid)
        self.restart(0)
        self.hold(xid, promised, where)

    def promised(self, xid):
        """What the other side holds now: everything that was ever said to it."""
        return {name: self.survivor.receipts(name) for name in ([xid] if xid else self.survivor.packages())}

    def hold(self, xid, promised, where):
        """What was acknowledged and said is there."""
        self.victim.nudge(self.survivor.name)
        if xid:
            need(self.victim is self.pair.de or self.victim.state(xid) != "absent",
                 f"{xid} was acknowledged and is gone after a cut at {where}")
        for name, receipts in promised.items():
            self.pair.agree(name, receipts)

    def sweep(self, bytes_, most=10_000):
        """A cut before every call of an exchange, and one after the last."""
        at = 1
        while at <= most and self.one(bytes_, at):
            at += 1
        return at - 1

    def count(self, bytes_):
        """How many calls an exchange has that is left alone."""
        self.victim.control.arm(pair.COUNT)
        xid = self.pair.collect(self.pair.ie.send("de", self.pair.file(bytes_)))
        self.pair.agree(xid)
        time.sleep(0.1)
        self.victim.control.disarm()
        return self.victim.control.count

    def sample(self, bytes_, cuts):
        """Cuts at random calls, some with a journal that got out in time, some followed by another at the start."""
        calls = self.count(bytes_)
        for _ in range(cuts):
            flag = self.pair.random.choice([LOGFLUSH, NOLOGFLUSH, NOLOGFLUSH])
            self.one(bytes_, self.pair.random.randrange(1, calls + 1), flag, 0.5)
        return calls


def lying(series, cuts):
    """The disk says that it has flushed, and has not: if these cuts went unnoticed, the others would prove nothing."""
    series.victim.control.put("lies", 1)
    try:
        series.sample(3_000_000, cuts)
    except Violation as noticed:
        print(f"  ok  a disk that does not flush is noticed at cut {series.cuts}: {str(noticed)[:120]}")
        return
    raise Violation(f"a disk that does not flush goes unnoticed through {cuts} cuts")


def campaign():
    """power.py VICTIM DEVICE SEED PART…: each part is `sweep:BYTES`, `sample:BYTES:CUTS`, `stale:BYTES:CUTS` or, alone,
    `lying:CUTS`."""
    victim, device, seed, *parts = sys.argv[1:]
    series = Cuts(victim, device, int(seed))
    series.pair.up()
    if parts[0].startswith("lying:"):
        lying(series, int(parts[0].partition(":")[2]))
        return
    for part in parts:
        kind, bytes_, *cuts = part.split(":")
        began = time.monotonic()
        if kind == "sweep":
            done = f"a cut at each of {series.sweep(int(bytes_))} calls"
        elif kind == "stale":
            for _ in range(int(cuts[0])):
                series.stale(int(bytes_), series.pair.random.randrange(1, 8))
            done = f"{cuts[0]} kills before a flush, each with a cut after the restart"
        else:
            calls = series.sample(int(bytes_), int(cuts[0]))
            done = f"{cuts[0]} cuts at random ones of {calls} calls"
        print(f"  ok  power of {victim}, package of {bytes_} bytes: {done}, {time.monotonic() - began:.0f} s", flush=True)
    opened = series.pair.close(60)
    served = sorted(series.victim.serving_ms)
    for where, times in sorted(series.kinds.items()):
        print(f"      {times:4} × {where}")
    print(f"  ok  {victim}: {series.cuts} cuts, {series.in_restart} of them in a restart; {len(series.pair.contents)} "
          f"acknowledged packages there, {opened} opened and compared; served after at most {served[-1]} ms")
    with open(os.path.join(pair.WORK, f"figures.{victim}"), "w") as out:
        print(series.cuts, len(series.pair.contents), file=out)


pair.main(campaign)
