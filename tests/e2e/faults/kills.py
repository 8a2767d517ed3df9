"""SIGKILL of either daemon while packages are on their way: see ../20-kills.sh."""

import sys
import time

import pair
from pair import Pair, Patience, need, until

SERVING_MS_MAX = 1_000
RESENT_BYTES_MAX = 64 << 20
IN_FLIGHT_MAX = 12
LARGE_EVERY = 20
SMALL = (10_000, 10_000, 100_000)


class Kills:
    """One campaign."""

    def __init__(self, seed, large):
        self.pair = Pair(seed)
        self.large = large
        self.open = []  # ids that are not known to have ended
        self.kills = {"ie": 0, "de": 0}
        self.missed = 0
        self.most_resent = 0
        self.ms_per_mib = 10.0

    def measure(self):
        """How long an undisturbed transfer takes after `send` came back: the kills fall into that time."""
        pair_ = self.pair
        xid = pair_.collect(pair_.ie.send("de", pair_.file(self.large)))
        began = time.monotonic()
        until(60, "a transfer", lambda: pair_.ie.state(xid) == "closed", 0.005)
        self.ms_per_mib = (time.monotonic() - began) * 1000 / (self.large >> 20)

    def transfer(self, side, xid, field):
        status, body = side.ask("GET", f"/v1/transfers/{xid}")
        return (body.get(field) or 0) if status == 200 else 0

    def round(self, number):
        """Several packages on their way, one kill, the restart."""
        pair_, random = self.pair, self.pair.random
        is_large = number % LARGE_EVERY == 0
        bytes_ = self.large if is_large else random.randrange(1 << 20, 8 << 20)
        first = pair_.collect(pair_.ie.send("de", pair_.file(bytes_)))
        need(first, "a sending failed without a kill")
        sendings = [pair_.ie.send("de", pair_.file(size)) for size in SMALL]
        victim, survivor = random.choice([(pair_.ie, pair_.de), (pair_.de, pair_.ie)])
        time.sleep(random.random() * (self.ms_per_mib * (bytes_ >> 20) + 20) / 1000)
        victim.kill()
        # What the survivor knows says whether the transfer was under way, and how much of it had arrived.
        before = survivor.state(first)
        arrived = self.transfer(pair_.de, first, "done_bytes") if survivor is pair_.de else 0
        began = self.transfer(pair_.ie, first, "sent_bytes") if survivor is pair_.ie else 0
        victim.up()
        if victim is pair_.de:
            # What it has recorded says what is missing; what was under way when it was killed has to come again.
            arrived = self.transfer(pair_.de, first, "done_bytes")
        took = victim.serving_ms[-1]
        need(took <= SERVING_MS_MAX, f"{victim.name} served again only after {took} ms")
        if before in ("closed", "held"):
            self.missed += 1
            self.ms_per_mib = self.ms_per_mib * 0.95 + 0.1
        else:
            self.kills[victim.name] += 1
        survivor.nudge(victim.name)
        self.open.append(first)
        self.open += [xid for xid in map(pair_.collect, sendings) if xid]
        if is_large:
            self.count_resent(first, arrived, began)
        self.settle(IN_FLIGHT_MAX)

    def count_resent(self, xid, arrived, began):
        """Bytes sent since the restart beyond those that were missing then; before it, so many had been sent."""
        sent = 0
        patience = Patience(90, f"{xid} is closed after a kill")
        while True:
            closed = self.pair.ie.state(xid) == "closed"
            sent = max(sent, self.transfer(self.pair.ie, xid, "sent_bytes"))
            if closed:
                break
            patience.hold()
            time.sleep(0.02)
        length = self.pair.ie.get(f"/v1/packages/{xid}")["len"]
        resent = max(0, sent - began - (length - arrived))
        self.most_resent = max(self.most_resent, resent)
        need(resent <= RESENT_BYTES_MAX, f"{resent} bytes of {xid} were sent that had arrived")

    def settle(self, most):
        """Waits until at most so many packages are still on their way."""
        while len(self.open) > most:
            xid = self.open.pop(0)
            until(90, f"{xid} is handed over", lambda: self.pair.settled(xid), 0.02)


def campaign():
    """kills.py SEED KILLS LARGE_BYTES"""
    seed, kills, large = (int(word) for word in sys.argv[1:])
    series = Kills(seed, large)
    series.pair.up()
    series.measure()
    number = 0
    while sum(series.kills.values()) < kills:
        number += 1
        need(series.missed <= 2 * kills, f"{series.missed} kills came after their transfer had ended")
        series.round(number)
        if number % 25 == 0:
            print(f"  ok  {sum(series.kills.values())} kills, {len(series.pair.contents)} packages acknowledged", flush=True)
    acknowledged, lost = len(series.pair.contents), series.pair.unacknowledged
    opened = series.pair.close(120)
    times = sorted(series.pair.ie.serving_ms[1:] + series.pair.de.serving_ms[1:])
    print(f"  ok  {acknowledged} acknowledged packages are held once, whole, with one handover receipt signed by both; "
          f"{opened} opened and compared; {lost} sendings ended with their daemon")
    with open(f"{pair.WORK}/figures", "w") as out:
        print(f"{sum(series.kills.values())} kills in a transfer (sender {series.kills['ie']}, receiver {series.kills['de']}) "
              f"and {series.missed} after it, {acknowledged} packages acknowledged, violations 0; serving again after "
              f"p99 {times[int(len(times) * 0.99)]} ms, max {times[-1]} ms; at most {series.most_resent >> 20} MiB sent that had arrived", file=out)


pair.main(campaign)
