"""Ten years of retention, with crashes: see ../24-decade.sh.

A model of what every package's terms ask for goes along with two real daemons, whose calendar is libfaketime's. The days
on which they run are drawn around the last days of terms: the day before, that day, the day after. On each of them a
daemon may be killed at a system call (point.c), starting or working; then everything is compared with the model.
"""

import collections
import dataclasses
import datetime
import json
import os
import random
import re
import subprocess
import sys
import time

import pair
from pair import BIN, EVERY, FLUSHES, FREEZE, NAMES, WORK, Pair, Violation, need, until

DAY = datetime.timedelta(days=1)
UTC = datetime.timezone.utc
# A CA of the program's own ends after 3653 days: ten years with three leap days.
LAST = datetime.date(2037, 1, 1)
# Days that calendars get wrong: terms end on them.
ODD_DAYS = [datetime.date(2028, 2, 29), datetime.date(2031, 12, 31), datetime.date(2032, 2, 28), datetime.date(2036, 2, 29)]
# A revocation list is current for 30 days and renewed when 10 are left: after a longer absence people bring the newest.
LIST_DAYS = 9
SWEEP_S = 60  # the daemon looks 10 s after its start
CELL_BYTES, KEY_BYTES = 64, 32
REFUSED, NO_SUCH, NOTHING = 4, 8, 9
SIZES = [900, 20_000, 200_000, 200_000, 400_000, 1_200_000]


@dataclasses.dataclass
class Package:
    """What must be true of one package."""

    xid: str
    bytes: int
    retain: datetime.date  # the last day on which it may be kept, as the receiver knows it
    sunset: datetime.date | None = None
    purposes: tuple = ("prosecution", "trial")
    state: str = "sent"  # sent, held, destroyed, expired
    hold: datetime.date | None = None
    changed: str | None = None  # why the sender has changed its terms
    untold: dict = dataclasses.field(default_factory=dict)  # a change that the receiver may not know yet
    ordered: bool = False  # destroyed by order, before its time
    attested: bool = False
    key: bytes | None = None
    header: list = dataclasses.field(default_factory=list)  # parts of its age header, as text

    def held_back(self, today):
        return self.hold is not None and self.hold >= today

    @property
    def until(self):
        """The last day on which it is kept: when nobody may use it any more, it is due."""
        return min(self.retain, self.sunset or self.retain)

    def due(self, today):
        """It may no longer be kept."""
        return self.state == "held" and self.until < today and not self.held_back(today)

    def usable(self, today):
        return self.state == "held" and today <= self.until


def forget_clocks():
    """Removes what libfaketime leaves behind of processes that are gone: others of the same number could not use it."""
    for name in os.listdir("/dev/shm"):
        if name.startswith(("faketime_shm_", "sem.faketime_sem_")) and not os.path.exists("/proc/" + name.rsplit("_", 1)[1]):
            try:
                os.remove(f"/dev/shm/{name}")
            except OSError:
                pass


class Decade:
    """One campaign."""

    def __init__(self, seed, library, begin, anchors, sweeps):
        self.seed, self.sweeps = seed, sweeps
        self.begin = begin
        self.pair = Pair(seed)
        self.ie, self.de = self.pair.ie, self.pair.de
        for side in (self.ie, self.de):
            side.env.update(LD_PRELOAD=library, DONT_FAKE_MONOTONIC="1")
        self.all = {}
        self.figures = collections.Counter()
        self.kinds = collections.Counter()
        self.contact = begin
        self.ie_is_up = False
        self.away = begin  # the day until which ie stays away
        self.anchors = self.days_of_terms(anchors)
        self.offset = 0

    # ---- the calendar --------------------------------------------------------------------------------------------

    def days_of_terms(self, count):
        """The days on which most terms end, spread over the years."""
        chance = random.Random(f"{self.seed}/days")
        span = (LAST - self.begin).days
        days = [self.begin + DAY * round(span * (at + chance.uniform(0.2, 0.8)) / count) for at in range(count)]
        for odd in chance.sample(ODD_DAYS, min(count // 3, len(ODD_DAYS))):
            days[min(range(count), key=lambda at: abs(days[at] - odd))] = odd
        days[-1] = LAST
        return sorted(set(days))

    def steps(self):
        """The moments at which the daemons are started, each with a word for it."""
        chance = random.Random(f"{self.seed}/steps")
        moments = [(self.begin + 2 * DAY, datetime.time(9), "first")]
        midnight = chance.randrange(1, len(self.anchors))
        for at, day in enumerate(self.anchors):
            noon = datetime.time(chance.randrange(6, 20), chance.randrange(60))
            if chance.random() < 0.5:
                moments.append((day - DAY, noon, "before"))
            if at == midnight:
                moments.append((day, datetime.time(23, 59, 52), "midnight"))
            else:
                moments.append((day, datetime.time(23, 40), "last"))
                moments.append((day + DAY, datetime.time(0, 0, 2), "after"))
            if chance.random() < 0.3 and at + 1 < len(self.anchors):
                between = (self.anchors[at + 1] - day).days // 2
                moments.append((day + between * DAY, noon, "between"))
        return sorted({moment[0]: moment for moment in moments}.values())

    def set_clock(self, day, moment):
        wanted = datetime.datetime.combine(day, moment, UTC).timestamp()
        self.offset = round(wanted - time.time())
        for side in (self.ie, self.de):
            side.env["FAKETIME"] = f"{self.offset:+d}s"
        self.today = day

    def now(self):
        return datetime.datetime.fromtimestamp(time.time() + self.offset, UTC)

    # ---- starts, kills, commands ---------------------------------------------------------------------------------

    def arm(self, side, most):
        """It will stand still before one of its next calls: one of all, of those that flush or change names, or that flush."""
        chance = self.pair.random
        classes, part = chance.choice([(EVERY, 1), (FLUSHES | NAMES, 3), (FLUSHES, 4)])
        side.control.arm(FREEZE, chance.randrange(1, 1 + max(2, most // part)), classes)

    def disarmed(self, side):
        """Whether it stands still. It may have come to its call until the last moment."""
        side.control.disarm()
        return bool(side.control.hit)

    def killed(self, side, doing):
        """SIGKILL, at the call that its last thread to write stands before."""
        self.figures["kills"] += 1
        self.kinds[f"{side.name}, {doing}: {side.control.where.replace(side.home + '/', '')}"] += 1
        self.down(side)
        side.control.disarm()

    def down(self, side, gently=False):
        (side.stop if gently else side.kill)()
        forget_clocks()

    def up(self, side, often=0.0):
        """Starts it; often enough it is killed while it starts, and started again."""
        chance = self.pair.random
        control = side.control
        while chance.random() < often:
            self.arm(side, chance.choice([12, 60]))
            self.begin_life(side)
            until(pair.SERVING_S * 3, f"{side.name} starts", lambda: control.hit or side.serves(0.2))
            self.figures["starts"] += 1
            if not self.disarmed(side):
                self.confirm(side)
                return
            self.killed(side, "starting")
            often /= 2
        control.disarm()
        self.begin_life(side)
        side.wait_serving()
        self.confirm(side)
        self.figures["starts"] += 1

    def confirm(self, side):
        """An operator says that the clock is right, where it is days after the last run."""
        status, said = side.ask("POST", "/v1/clock/confirm", 60)
        need(status == 200 and said["sure"] or said["error"] == "not-doubtful", f"the clock of {side.name} is not confirmed: {said}")

    def begin_life(self, side):
        """Starts it. In a part of its lives, only what it does to keys and payloads counts as a call."""
        state = os.path.join(side.home, "state")
        narrow = f"{state}/slots:{state}/blobs"
        side.env["FAULT_DIR"] = narrow if self.pair.random.random() < self.narrow else side.home
        side.start()

    def restart(self, side, doing):
        self.killed(side, doing)
        self.up(side, 0.3)
        if self.ie_is_up and self.de.process.poll() is None:
            self.meet()

    def run(self, side, *words, allowed=(0,), fault=None):
        """A command of this side. While it runs, `fault`, a side, may be killed: then it is given again, if it was not
        carried out; what was done already is done."""
        if fault:
            self.arm(fault, 14)
        command = subprocess.Popen([BIN, "--home", side.home, *words, "--json"], stdin=subprocess.DEVNULL, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=side.env)
        if fault:
            until(60, f"{words} ends", lambda: fault.control.hit or command.poll() is not None)
            if self.disarmed(fault):
                # What was said to be done must not be there to do again.
                is_done = command.poll() == 0 and words[1] != "hold"
                self.restart(fault, f"package {words[1]}")
                until(60, f"{words} ends after a kill", lambda: command.poll() is not None)
                command.communicate()
                return self.run(side, *words, allowed=(NOTHING,) if is_done else (*allowed, NOTHING))
        out, err = command.communicate()
        need(command.returncode in allowed, f"{side.name}: {' '.join(words)}: exit code {command.returncode}: {out}{err}")
        return out

    def meet(self):
        """Both have each other's newest revocation list, as operators see to it, and are connected."""
        if (self.today - self.contact).days > LIST_DAYS:
            for side, other in ((self.ie, self.de), (self.de, self.ie)):
                card = os.path.join(other.home, f"{other.name}.card")
                crl = os.path.join(other.home, "state/renewed", f"{other.name}.crl")
                self.run(side, "peer", "add", card, "--crl", crl)
        until(90, "ie and de meet", lambda: self.ie.reaches("de"), 0.2)
        self.contact = self.today

    def fault(self, often):
        """A side to be killed, or none."""
        chance = self.pair.random
        running = [side for side in (self.de, self.de, self.ie) if side.process and side.process.poll() is None]
        sides = running if self.ie_is_up else [self.de]
        return chance.choice(sides) if chance.random() < often else None

    def some(self, packages, most):
        packages = list(packages)
        return self.pair.random.sample(packages, min(most, len(packages)))

    def held(self):
        return [one for one in self.all.values() if one.state == "held"]

    # ---- what people do ------------------------------------------------------------------------------------------

    def term(self):
        """A last day: mostly one around which the daemons will run."""
        chance = self.pair.random
        coming = [day for day in self.anchors if day > self.today] or [LAST + 400 * DAY]
        near = coming[:4]
        draw = chance.random()
        if draw < 0.65:
            return chance.choice(near if draw < 0.4 else coming) + chance.choice([0, 0, 0, -1, 1]) * DAY
        if draw < 0.9:
            return self.today + DAY * chance.randrange(1, max(2, (LAST - self.today).days))
        return LAST + DAY * chance.randrange(10, 900)

    def send(self, fault=None, last=None):
        """One package. Where a daemon is to be killed, says whether it was: then the package may or may not be there."""
        chance = self.pair.random
        retain, size = last or max(self.term(), self.today), chance.choice(SIZES)
        sunset = self.today + (retain - self.today) * chance.random() if not last and chance.random() < 0.2 else None
        words = ["--case", "IE-2027-0117", "--instrument", "EIO", "--purpose", "prosecution,trial",
                 "--retain-until", str(retain)] + (["--sunset", str(sunset)] if sunset else [])
        path = self.pair.file(size)
        digest = self.pair.files[path]
        sending = self.ie.send("de", path, words)
        is_hit = False
        if fault:
            # It goes on after it was acknowledged: the kill may come then.
            until(60, "a sending comes to its end or its daemon to a call",
                  lambda: fault.control.hit or (sending.poll() and self.is_over()))
            is_hit = self.disarmed(fault)
            if is_hit:
                self.killed(fault, "sending")
        xid = self.pair.collect(sending)
        need(xid or is_hit, f"a package was not taken: {sending.err.decode()}")
        if xid:
            self.all[xid] = Package(xid, size, retain, sunset)
        else:
            self.unsure.append((digest, size, retain, sunset))
        return is_hit

    def is_over(self):
        """Nothing is on its way."""
        return not {"dispatched", "consigned", "delivered"} & set(self.ie.packages().values())

    def cut(self):
        """The sender goes away in the middle of an exchange, and stays away until the term of the package has ended."""
        chance = self.pair.random
        coming = [day for day in self.anchors if day > self.today]
        if not coming:
            return
        for _ in range(6):
            self.ie.control.arm(FREEZE, chance.randrange(4, 9), FLUSHES)
            known = set(self.de.packages())
            is_hit = self.send(self.ie, coming[0])
            if is_hit and "handover-signed" in [state for xid, state in self.de.packages().items() if xid not in known]:
                self.figures["cut"] += 1
                self.ie_is_up, self.away = False, coming[0]
                return
            if is_hit:
                self.back(self.ie)

    def back(self, side):
        """After a kill."""
        self.up(side, 0.3)
        self.meet()
        self.adopt(set(self.ie.packages()))

    def adopt(self, xids):
        """Packages that were taken, though nobody was told."""
        strange = xids - set(self.all)
        need(len(strange) <= len(self.unsure) <= 1, f"packages that nobody has sent: {strange}, {self.unsure} may be there")
        for xid, (digest, *about) in zip(strange, self.unsure):
            self.pair.contents[xid] = digest
            self.all[xid] = Package(xid, *about)
        self.unsure = []

    def order(self, package, *words, side=None, often=0.35):
        self.run(side or self.de, "package", *words, fault=self.fault(often))
        self.figures[words[0]] += 1

    def change(self, package):
        """The sender makes the terms of a package stricter, or takes it back."""
        chance = self.pair.random
        why = ["--justification", "order of the court"]
        kind = chance.choice(["retain", "retain", "sunset", "purpose", "withdraw"])
        if kind == "retain" and package.retain <= self.today:
            kind = "withdraw"
        if kind == "withdraw":
            change, words = {"retain": self.today - DAY, "changed": "withdrawn"}, ["withdraw"]
        else:
            span = max(1, (package.retain - self.today).days)
            last = self.today + DAY * chance.randrange(0, span)
            change, words = {
                "retain": ({"retain": last}, ["restrict", "--retain-until", str(last)]),
                "sunset": ({"sunset": min(last, package.sunset or last)}, ["restrict", "--sunset", str(last)]),
                "purpose": ({"purposes": ("trial",)}, ["restrict", "--purpose", "trial"]),
            }[kind]
            change["changed"] = "restricted"
        can_be_so = () if kind in ("withdraw", "retain") else (NOTHING,)
        self.run(self.ie, "package", words[0], package.xid, *words[1:], *why, allowed=(0, *can_be_so), fault=self.fault(0.35))
        if kind == "sunset" and package.sunset and package.sunset <= last or kind == "purpose" and package.purposes == ("trial",):
            return  # It was as strict as that.
        self.figures[words[0]] += 1
        package.untold = change

    def work(self, kind):
        """What happens on one day, both sides up."""
        chance, figures = self.pair.random, self.figures
        for _ in range(chance.randrange(1, 6) if self.ie_is_up else 0):
            fault = self.fault(0.25)
            if fault:
                self.arm(fault, 25)
            if self.send(fault):
                self.back(fault)
        if self.ie_is_up:
            self.settle()
            for one in self.some((one for one in self.held() if one.until >= self.today and not one.untold), chance.randrange(0, 2)):
                self.change(one)
            self.settle()
        if self.ie_is_up and chance.random() < (1 if kind == "first" else 0.15):
            self.cut()
        for one in self.some((one for one in self.held() if one.held_back(self.today)), chance.randrange(0, 2)):
            self.order(one, "release", one.xid)
            one.hold = None
        ending = sorted((one for one in self.held() if not one.due(self.today)), key=lambda one: one.until)[:6]
        for one in self.some(ending, chance.randrange(0, 2)):
            until_ = chance.choice([day for day in self.anchors if day >= self.today] + [LAST + 40 * DAY])
            self.order(one, "hold", one.xid, "--until", str(until_), "--authority", "Landgericht", "--reason", "appeal")
            one.hold = until_
        free = (one for one in self.held() if one.key and not one.held_back(self.today) and one.until >= self.today)
        for one in self.some(free, chance.random() < 0.25):
            self.order(one, "purge", one.xid, "--justification", "sent to us by mistake", "--yes")
            one.ordered = True
            self.gone([one])
        for one in self.some((one for one in self.held() if one.held_back(self.today)), 1):
            self.run(self.de, "package", "purge", one.xid, "--justification", "no", "--yes", allowed=(REFUSED,))
            figures["kept by a hold"] += 1

    # ---- what must follow ----------------------------------------------------------------------------------------

    def settle(self):
        """What the two sides have to tell each other is told."""
        until(180, "the sides agree", self.settled, 0.03)

    def settled(self):
        sent, received = self.ie.packages(), self.de.packages()
        open_ = False
        for one in self.all.values():
            ours, theirs = sent.get(one.xid), received.get(one.xid)
            if one.state == "sent":
                if ours in ("closed", "destroyed") and theirs in ("held", "destruction-signed", "destroyed"):
                    self.arrived(one)
                elif ours in ("expired", "rejected") and theirs in (None, "lapsed", "refused"):
                    one.state = "expired"
                    self.figures["expired"] += 1
                else:
                    open_ = True
            open_ = open_ or one.state == "held" and not one.untold and ours not in ("closed", "destroyed")
            if one.untold:
                if ours in ("closed", "destroyed"):
                    # What was destroyed before it was told is told no more.
                    for name, value in one.untold.items() if one.state == "held" else ():
                        setattr(one, name, value)
                    one.untold = {}
                else:
                    open_ = True
            if one.state == "destroyed" and not one.attested:
                if (ours, theirs) == ("destroyed", "destroyed"):
                    self.attest(one)
                else:
                    open_ = True
        return not open_

    def notice(self):
        """What arrived, whatever its sender knows of that."""
        received = self.de.packages()
        for one in self.all.values():
            if one.state == "sent" and received.get(one.xid) == "held":
                self.arrived(one)

    def arrived(self, one):
        one.state = "held"
        self.figures["packages"] += 1
        if not one.usable(self.today):
            return
        path = os.path.join(WORK, "exported.age")
        over = (REFUSED,) if self.now().date() > self.today else ()
        self.run(self.de, "package", "export", one.xid, "--age", path, "--purpose", "trial", "--justification", "its header", allowed=(0, *over))
        if not os.path.exists(path):
            return
        with open(path, "rb") as file:
            header = file.read(4096).split(b"\n--- ")
        os.remove(path)
        share, wrapped = re.search(rb"-> X25519 (\S{43})\n(\S{43})", header[0]).groups()
        one.header = [share, wrapped, header[1][:43]]

    def attest(self, one):
        """Both hold one receipt of the destruction, signed by both; it says why, and came no earlier than it may."""
        held = []
        for side in (self.ie, self.de):
            rows = [row for row in side.list(f"/v1/receipts?package={one.xid}") if row["kind"] == "destroyed" and row["countersigned"]]
            need(len(rows) == 1, f"{side.name} holds {len(rows)} receipts of the destruction of {one.xid}")
            held.append(rows[0])
        need(held[0]["digest"] == held[1]["digest"], f"the receipts of the destruction of {one.xid} differ")
        # A package that nobody could use any more, and that a hold kept until its retention ended, is destroyed for that.
        ended = ("sunset-passed", "retention-ended") if one.until < one.retain else ("retention-ended",)
        may_be = ("ordered",) if one.ordered else (one.changed,) if one.changed else ended
        reason = held[0]["reason"]
        need(reason in may_be, f"{one.xid} was destroyed as {reason}, not {' or '.join(may_be)}")
        need(one.ordered or held[0]["t"][:10] > str(one.until), f"{one.xid} was destroyed on {held[0]['t']}, may be kept until {one.until}")
        one.attested = True
        self.figures[f"destroyed, {reason}"] += 1

    def gone(self, packages):
        """They are destroyed, as far as the receiver is concerned."""
        for one in packages:
            one.state = "destroyed"
            self.figures["destroyed"] += 1

    def first_look(self):
        """As soon as the clock is sure, what is due is unreadable, and nothing else is."""
        self.notice()
        received = self.de.packages()
        for one in self.all.values():
            there = received.get(one.xid)
            shown = self.de.get(f"/v1/packages/{one.xid}")["header_held"] if there else False
            if one.state == "sent":
                need(not shown or one.until >= self.today, f"{one.xid} is {there}, its term ended on {one.until}, its header is here")
            elif one.state == "held" and not one.due(self.today):
                need(there == "held" and shown, f"{one.xid} is {there}, its header is {'' if shown else 'not '}here; its term ends on {one.until}")
            elif one.state in ("held", "destroyed"):
                need(not shown, f"{one.xid} is {there} and its header here; its term ended on {one.retain}, hold {one.hold}")
        due = [one for one in self.all.values() if one.due(self.today)]
        never_answered = [one for one in self.all.values() if one.state == "sent" and one.until < self.today]
        self.search(due + never_answered, [])
        for one in self.some(due, 2):
            self.refused(one)

    def refused(self, one):
        allowed = (NO_SUCH,) if one.state == "destroyed" else (REFUSED,)
        if one.due(self.today):
            allowed = (REFUSED, NO_SUCH)  # It may be destroyed while this is asked.
        code = self.pair.open_for(one.xid, "trial")
        need(code in allowed, f"an opening of {one.xid} ended with {code}: {one}")
        self.figures["refused"] += 1

    def ends(self):
        """Everything that is due is destroyed, by itself or by order."""
        chance = self.pair.random
        by_order = chance.random() >= self.sweeps
        self.notice()
        for attempt in range(4):
            due = [one for one in self.held() if one.due(self.today)]
            if not due:
                return
            fault = self.fault(0.7) if attempt < 2 else None
            if by_order or attempt > 1:
                self.run(self.de, "package", "purge", "--due", "--yes", allowed=(0, NOTHING), fault=fault)
                self.figures["orders"] += 1
            elif not self.swept(due, fault):
                continue
            left = [one.xid for one in due if self.de.state(one.xid) not in ("destruction-signed", "destroyed")]
            need(not left, f"due, and not destroyed: {left}")
            self.gone(due)
        need(not any(one.due(self.today) for one in self.held()), "what is due is not destroyed")

    def swept(self, due, fault):
        """Whether they were destroyed without being ordered, before the kill."""
        if fault:
            self.arm(fault, 4 + 8 * len(due))
        wanted = ("destruction-signed", "destroyed")
        is_hit = lambda: bool(fault) and bool(fault.control.hit)
        until(SWEEP_S, f"{[one.xid for one in due]} are destroyed by themselves",
              lambda: is_hit() or all(self.de.state(one.xid) in wanted for one in due), 0.03)
        self.figures["sweeps"] += 1
        if fault and self.disarmed(fault):
            self.restart(fault, "destroying")
            return fault is self.ie and all(self.de.state(one.xid) in wanted for one in due)
        return True

    def midnight(self):
        """A term ends while the daemons run."""
        ending = [one for one in self.held() if one.until == self.today and not one.held_back(self.today + DAY) and one.usable(self.today)]
        for one in ending[:1]:
            code = self.pair.open_for(one.xid, "trial")
            need(code == 0 or self.now().date() > self.today, f"an opening of {one.xid} before its last midnight ended with {code}")
            subprocess.run(["rm", "-rf", os.path.join(WORK, "refused")], check=True)
        tomorrow = self.today + DAY
        until(60, "midnight", lambda: self.now().date() == tomorrow)
        time.sleep(0.01)
        self.today = tomorrow
        for one in self.some(ending, 2):
            self.refused(one)
        self.figures["midnights"] += bool(ending)

    # ---- comparing -----------------------------------------------------------------------------------------------

    def compare(self):
        """Everything that can be asked is as the model has it."""
        received = self.de.packages()
        for one in self.all.values():
            there = received.get(one.xid)
            if one.state == "held":
                need(there == "held", f"{one.xid} is {there}, its term ends on {one.until}, hold {one.hold}")
            elif one.state == "destroyed":
                wanted = ("destroyed",) if self.ie_is_up else ("destruction-signed", "destroyed")
                need(there in wanted, f"{one.xid} is {there} after its destruction")
        if self.ie_is_up:
            strange = set(self.ie.packages()) | set(received)
            strange -= set(self.all)
            need(not strange, f"packages that nobody has sent: {strange}")
            self.abroad()
        today = self.today
        if today > LAST - 300 * DAY:
            warned = {problem["subject"] for problem in self.de.get("/v1/status")["problems"]}
            need({"own CA", "CA of ie"} <= warned, f"nobody is warned that the CAs end: {warned}")
        self.run(self.de, "package", "purge", "--due", "--yes", allowed=(NOTHING,))
        for one in self.some((one for one in self.held() if one.usable(today)), 2):
            self.pair.same_content(one.xid)
            self.figures["opened"] += 1
            if one.purposes == ("trial",):
                code = self.pair.open_for(one.xid, "prosecution")
                need(code == REFUSED, f"an opening of {one.xid} for a purpose that was taken away ended with {code}")
        for one in self.some((one for one in self.held() if not one.usable(today)), 1):
            self.refused(one)
        for one in self.some((one for one in self.all.values() if one.state == "destroyed"), 1):
            self.refused(one)

    def abroad(self):
        """The sender sees what is held, and as overdue what a hold keeps and nothing else."""
        rows = {row["id"]: row for row in json.loads(self.run(self.ie, "package", "list", "--abroad"))}
        held = {one.xid: one for one in self.held()}
        need(set(rows) == set(held), f"held abroad as the sender sees it: {set(rows) ^ set(held)} differ")
        for xid, row in rows.items():
            one = held[xid]
            need(row["overdue"] == (one.retain < self.today), f"{xid}, until {one.retain}, is overdue: {row['overdue']}")
            need(row["terms"]["retain_until"] == str(one.retain), f"{xid}: {row['terms']}, expected until {one.retain}")

    def files(self, side):
        """Every file of the state folder, whole."""
        found = {}
        for folder, _, names in os.walk(os.path.join(side.home, "state")):
            for name in names:
                path = os.path.join(folder, name)
                try:
                    with open(path, "rb") as file:
                        found[os.path.relpath(path, side.home)] = file.read()
                except FileNotFoundError:
                    pass
        self.figures["bytes searched"] += sum(map(len, found.values()))
        return found

    def search(self, gone, live):
        """No file holds the key of what is gone, and no file of either side the header of anything; a living key is in
        its slot and nowhere else."""
        files = self.files(self.de)
        for one in gone:
            for path, content in files.items():
                need(not one.key or one.key not in content, f"{path} holds the key of {one.xid}, which may not be kept: {one}")
                need(one.xid not in path or one.state != "destroyed", f"{path} is still there, {one.xid} is destroyed")
        for one in live:
            places = [path for path, content in files.items() if one.key and one.key in content]
            need(places == ["state/slots"] or not one.key, f"the key of {one.xid} is in {places}")
        for one in [*gone, *live]:
            self.figures["needles"] += len(one.header) + bool(one.key)
            for path, content in files.items():
                need(not any(part in content for part in one.header), f"{path} holds a part of the header of {one.xid}")

    def at_rest(self, gone, live):
        """The daemon of de does not run: keys are noted, and what is destroyed is searched for."""
        rows, payloads, headers = self.de.select(
            "SELECT lower(hex(xid)), slot FROM exchange JOIN header USING (no) WHERE direction = 'in'",
            "SELECT lower(hex(xid)) FROM exchange JOIN payload USING (no)",
            "SELECT lower(hex(xid)) FROM exchange JOIN header USING (no)")
        with open(os.path.join(self.de.home, "state/slots"), "rb") as file:
            cells = file.read()
        for xid, slot in rows:
            one = self.all.get(xid)
            if one and not one.key:
                key = cells[slot * CELL_BYTES:slot * CELL_BYTES + KEY_BYTES]
                need(any(key), f"the slot of {xid} is empty")
                one.key = key
        there = {xid for (xid,) in payloads + headers}
        for one in self.all.values():
            need(one.state != "destroyed" or one.xid not in there, f"rows of {one.xid} are there after its destruction")
        self.search(gone, live)
        used = sum(any(cells[at:at + CELL_BYTES]) for at in range(0, len(cells), CELL_BYTES))
        need(used == len(rows), f"{used} cells hold something, {len(rows)} are in use")

    # ---- the years -----------------------------------------------------------------------------------------------

    def step(self, number, day, moment, kind):
        chance = self.pair.random = random.Random(f"{self.seed}/{number}")
        self.set_clock(day, moment)
        self.unsure, self.ie_is_up = [], False
        self.narrow = 0 if kind == "first" else 0.3
        before = {one.xid for one in self.all.values() if one.state == "destroyed"}
        self.up(self.de, 0.0 if kind == "midnight" else 0.6)
        if self.now().date() == self.today:
            self.first_look()
        if kind == "first" or self.today > self.away and chance.random() < 0.85:
            self.up(self.ie, 0.25 if kind != "midnight" else 0.0)
            self.ie_is_up = True
            self.meet()
            self.settle()
        if kind == "midnight":
            self.midnight()
        else:
            if kind == "first":
                for _ in range(12):
                    self.send()
            self.work(kind)
        self.ends()
        if self.ie_is_up:
            self.settle()
        self.compare()
        self.end_of_day(self.de, 0.3 if self.ie_is_up else 0.8)  # One that looks for the other takes its time to end.
        if self.ie_is_up:
            self.alone()
            self.end_of_day(self.ie, 0.8)
        need(self.now().date() == self.today, "the day has ended before its step")
        new = [one for one in self.all.values() if one.state == "destroyed" and one.xid not in before]
        old = self.some((self.all[xid] for xid in sorted(before)), 4)
        self.at_rest(new + old, self.some(self.held(), 4))
        if self.unsure:
            [rows] = self.ie.select("SELECT lower(hex(xid)) FROM exchange WHERE direction = 'out'")
            self.adopt({xid for (xid,) in rows})

    def alone(self):
        """What the sender does while the receiver is away: it is told at another day, or never."""
        chance = self.pair.random
        if chance.random() < 0.3:
            self.send()
        free = [one for one in self.held() if one.until >= self.today and not one.untold]
        if chance.random() < 0.3:
            # It stays away until they are destroyed: then both sides have something to tell of the same packages.
            self.away = min((day for day in self.anchors if day > self.today), default=LAST)
            free = [one for one in free if one.until <= self.away]
            for one in self.some(free, 4):
                self.change(one)
        for one in self.some((one for one in free if not one.untold), chance.random() < 0.3):
            self.change(one)

    def end_of_day(self, side, often):
        if self.pair.random.random() < often:
            self.figures["kills"] += 1
            self.kinds[f"{side.name}, at the end of a day"] += 1
            self.down(side)
        else:
            self.down(side, gently=True)

    def last_words(self):
        """All of it once more, at the end, with both daemons stopped."""
        gone = [one for one in self.all.values() if one.state == "destroyed"]
        self.at_rest(gone, self.held())
        for side in (self.ie, self.de):
            side.database_is_sound()
            done = subprocess.run([BIN, "--home", side.home, "fsck"], capture_output=True, text=True, env=side.env,
                                  stdin=subprocess.DEVNULL)
            need(done.returncode == 0, f"fsck of {side.name}: {done.stdout}{done.stderr}")
        files = self.files(self.ie)
        for one in self.all.values():
            for path, content in files.items():
                need(not any(part in content for part in one.header), f"{path} of ie holds a part of the header of {one.xid}")


def campaign():
    """decade.py SEED LIBRARY BEGIN ANCHORS SWEEPS: so many days on which terms end, this share of destructions waited for"""
    seed, library, begin, anchors, sweeps = sys.argv[1:]
    years = Decade(int(seed), library, datetime.date.fromisoformat(begin), int(anchors), float(sweeps))
    steps = years.steps()
    for number, (day, moment, kind) in enumerate(steps, 1):
        began = time.monotonic()
        try:
            years.step(number, day, moment, kind)
        except Violation as broken:
            raise Violation(f"seed {seed}, step {number} of {len(steps)}, {day} ({kind}): {broken}") from broken
        states = collections.Counter(one.state for one in years.all.values())
        print(f"  ok  step {number}, {day} {kind}: {states['held']} held, {states['destroyed']} destroyed, {years.figures['kills']} kills, "
              f"{time.monotonic() - began:.1f} s", flush=True)
    years.last_words()
    figures = years.figures
    for where, times in sorted(years.kinds.items()):
        print(f"      {times:4} × {where}")
    kinds = ", ".join(f"{name[11:]} {figures[name]}" for name in sorted(figures) if name.startswith("destroyed, "))
    with open(os.path.join(WORK, "figures"), "w") as out:
        print(f"{len(steps)} steps in {(steps[-1][0] - years.begin).days} days, {figures['packages']} packages held, {figures['kills']} kills, "
              f"{figures['starts']} starts, {figures['destroyed']} destroyed ({kinds}; {figures['sweeps']} sweeps, {figures['orders']} orders), "
              f"{figures['opened']} opened and compared, {figures['refused']} refused, {figures['hold']} holds, {figures['expired']} expired, "
              f"{figures['needles']} searches for keys and parts of headers in {figures['bytes searched'] >> 20} MiB, violations 0", file=out)


pair.main(campaign)
