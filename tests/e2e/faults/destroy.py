"""SIGKILL around a destruction, and around the start of a state restored from before it: see ../24-restore.sh."""

import collections
import os
import pathlib
import shutil
import subprocess
import sys
import time

from pair import BIN, FREEZE, WORK, Pair, main, need, until

CELL, KEY = 64, 32
LINE = 156
PURGE_S = 30


def keys(state):
    """The keys in the cells of a state's slot file."""
    with open(os.path.join(state, "slots"), "rb") as file:
        data = file.read()
    cells = (data[at:at + CELL] for at in range(0, len(data), CELL))
    return {cell[:KEY] for cell in cells if any(cell)}


def holders(folder, key):
    """The files below a folder that hold these bytes. A daemon may rename one meanwhile: then all are read again."""
    while True:
        paths = [os.path.join(place, name) for place, _, names in os.walk(folder) for name in names]
        try:
            return [path for path in paths if os.path.isfile(path) and key in pathlib.Path(path).read_bytes()]
        except FileNotFoundError:
            continue


class Restores:
    """One series: the receiver destroys a package, is killed meanwhile, and comes back with a backup."""

    def __init__(self, seed):
        self.pair = Pair(seed)
        self.de = self.pair.de
        self.state = os.path.join(self.de.home, "state")
        self.backup = os.path.join(WORK, "backup")
        self.newest = os.path.join(WORK, "newest")
        # What a destruction and a start have to do with; not the published log.
        self.watch("ledger.db", "slots", "blobs")
        self.kills = self.replays = self.held = 0
        self.places = collections.Counter()

    def watch(self, *names):
        """From the next start on, calls count that change one of these, or the journal."""
        files = [os.path.join(self.state, name) for name in names]
        self.de.env["FAULT_DIR"] = ":".join([*files, self.state + "-destroyed"])

    def journal(self):
        """The exchanges that whole lines of the journal name."""
        path = self.state + "-destroyed/journal"
        with open(path, "rb") as file:
            file.readline()
            lines = file.read()
        whole = [lines[at:at + LINE] for at in range(0, len(lines) // LINE * LINE, LINE)]
        return {line[:32].decode() for line in whole}

    def purge(self, xid):
        return subprocess.Popen([BIN, "--home", self.de.home, "package", "purge", xid, "--justification", "order", "--yes"],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)

    def prepared(self, bytes_):
        """A package that is held, and a backup of the state that holds it."""
        xid = self.pair.collect(self.pair.ie.send("de", self.pair.file(bytes_)))
        need(xid, "a package was not taken")
        # What it holds is looked at by its key alone.
        del self.pair.contents[xid]
        until(60, f"{xid} is handed over", lambda: self.pair.settled(xid), 0.02)
        self.de.stop()
        shutil.rmtree(self.backup, ignore_errors=True)
        shutil.copytree(self.state, self.backup, symlinks=True)
        self.de.up()
        return xid

    def killed(self, xid, at):
        """Kills the receiver before its call number `at` once it is told to destroy; False if there is no such call."""
        control = self.de.control
        control.arm(FREEZE, at)
        purge = self.purge(xid)
        ended = lambda: purge.poll() is not None and self.pair.ie.state(xid) == "destroyed"
        until(PURGE_S, "a destruction comes to its end or to the chosen call", lambda: control.hit or ended(), 0.005)
        hit = control.hit
        if not hit:
            time.sleep(0.1)
            hit = control.hit
        self.de.kill()
        control.disarm()
        purge.wait()
        where = control.where if hit else "its end"
        self.places[where.rpartition("/")[2] if "journal" in where else where] += 1
        self.de.up()
        state, named = self.de.state(xid), xid in self.journal()
        need(purge.returncode != 0 or state != "held", f"killed at {where}: the destruction was answered, and is not there")
        if state == "held":
            need(not named, f"killed at {where}: {xid} is held, and the journal says that it was destroyed")
            self.held += 1
            need(self.purge(xid).wait() == 0, f"killed at {where}: {xid} cannot be destroyed any more")
        else:
            need(state in ("destruction-signed", "destroyed"), f"killed at {where}: {xid} is {state}")
            need(named, f"killed at {where}: {xid} is {state}, and the journal does not say so")
        need(xid in self.journal(), f"{xid} was destroyed, and the journal does not say so")
        self.de.nudge("ie")
        until(60, f"{xid} is destroyed on both sides",
              lambda: self.de.state(xid) == "destroyed" and self.pair.ie.state(xid) == "destroyed", 0.02)
        return bool(hit)

    def restored(self, xid, at):
        """Restores the backup, kills the daemon before its call number `at` at the start, and starts it again."""
        de, control = self.de, self.de.control
        de.stop()
        lost = keys(self.backup) - keys(self.state)
        need(len(lost) == 1, f"{len(lost)} keys were overwritten for one package")
        key, = lost
        os.rename(self.state, self.newest)
        shutil.copytree(self.backup, self.state, symlinks=True)
        need(holders(self.state, key), "the backup does not hold the key")
        control.arm(FREEZE, at)
        de.start()
        until(PURGE_S, "a start comes to its end or to the chosen call", lambda: control.hit or de.serves(), 0.005)
        hit, where = control.hit, control.where
        de.kill()
        control.disarm()
        self.replays += bool(hit)
        de.up()
        found = holders(self.state, key) + [
            path for path in (os.path.join(self.state, "blobs", xid), os.path.join(self.state, "blobs", xid + ".list"))
            if os.path.exists(path)]
        need(not found, f"killed at {where}: what was destroyed is back in {found}")
        package = de.get(f"/v1/packages/{xid}")
        said = (package["state"], package.get("fault", {}).get("code"), package["header_held"])
        need(said == ("destroyed", "destroyed-before-restore", False), f"killed at {where}: {xid} is shown as {said}")
        code = self.pair.open_for(xid, "trial")
        need(code == 8, f"killed at {where}: opening {xid} ends with {code}")
        de.kill()
        shutil.rmtree(self.state)
        os.rename(self.newest, self.state)
        de.up()
        need(de.state(xid) == "destroyed", f"{xid} is {de.state(xid)} in the newest state")
        return bool(hit)

    def series(self, bytes_, points):
        """A kill before every call of a destruction, and before every call of a start as long as there are such."""
        start_goes_on = True
        for at in range(1, points + 1):
            xid = self.prepared(bytes_)
            hit = self.killed(xid, at)
            self.kills += hit
            again = at if start_goes_on else self.pair.random.randrange(1, at)
            start_goes_on = self.restored(xid, again) and start_goes_on
            if not hit:
                return


def body():
    seed, points = int(sys.argv[1]), int(sys.argv[2])
    restores = Restores(seed)
    restores.pair.up()
    for bytes_ in (10_000, 3_000_000):
        restores.series(bytes_, points)
    # What follows the commit: on a busy machine, other commits come between and use the points up.
    restores.watch("slots", "blobs")
    restores.series(3_000_000, min(points, 10))
    for side in (restores.pair.ie, restores.de):
        side.stop()
        side.database_is_sound()
    need(restores.kills > 10 and restores.replays > 10, "too few kills came to pass")
    for file in ("ledger.db", "slots", "journal", "blobs"):
        need(any(file in place for place in restores.places), f"no kill at {file}: {dict(restores.places)}")
    need(0 < restores.held < restores.kills, "kills came on one side of the commit alone")
    with open(os.path.join(WORK, "figures"), "w") as out:
        print(restores.kills, restores.held, restores.replays, dict(restores.places), file=out)


if __name__ == "__main__":
    main(body)
