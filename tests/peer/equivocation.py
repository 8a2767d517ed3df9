"""Says everything twice, out of its order, and in two versions, to two daemons: `python3 -m peer.equivocation FOLDER … -- rogatory`.

Rows are the kinds of messages, as the protocol's page, its schemas and the code have them: one that is not known here ends the run. Columns
are the four ways. One line for each cell: `ok`, `void` or `FAIL`, then with tabs between: kind, way, what was done, what was answered, and who
holds which proof. After each cell, each daemon must live, have one story of each package, and accuse nobody without proof.
"""

import argparse
import asyncio
import importlib
import json
import pathlib
import re
import shutil
import subprocess
import sys
import time
import traceback

from . import receipts
from .authority import Authority
from .flood import Flooder
from .hostile import Field
from .notes import Statement
from .plain import ROOT, demand
from .wire import FRAMES, Gone, dial

WAYS = ("twice", "reordered", "two versions", "apart")
CASES, VOID = {}, {}
DAEMONS = ("ie", "de")
# Frames that are nothing but their statement: their rows are those of the statements.
CARRY = {"offer", "receipt"}
STREAMS = {"LIST": "hashes", "SEGMENTS": "payload"}
# What `status` says when somebody is accused.
ACCUSED = {"card-conflict", "follow-conflict", "log-forked", "log-recovering", "log-unproved"}
# Of what is signed after one statement, its issuer signs one.
EXCLUSIVE = {
    "consigned": "answer", "rejected": "answer", "handover": "answer", "handover-failed": "answer", "expired": "end", "withdrawn": "end",
    "restriction-changed": "terms", "destroyed": "destroyed", "consent-given": "consent", "consent-refused": "consent",
}  # fmt: skip


def case(kind, way, what, expected, alone=False):
    """Registers what is done in a cell of the table, and what the answers begin with; `alone`: by an authority that does nothing else."""

    def register(function):
        CASES.setdefault((kind, way), []).append((what, expected, function, alone))
        return function

    return register


def void(kind, why, *ways):
    """Says why there is nothing to do in cells of the table."""
    for way in ways or WAYS:
        VOID[kind, way] = why


def kinds():
    """Every kind of message, by what documents and code say; both must say the same."""
    page = (ROOT / "docs/protocol/README.md").read_text()
    ten = page.partition("\n## 10 ")[2].partition("\n## 11 ")[0]
    told = {name: int(number) for number, name in re.findall(r"^\| (\d+) \| `([a-z-]+)` \|", ten, re.M)}
    coded = re.findall(r'^    \w+ = (\d+) "([a-z-]+)", \d', (ROOT / "src/wire/frame.rs").read_text(), re.M)
    demand(told == {name: int(number) for number, name in coded}, "frames", "the page and src/wire/frame.rs differ")
    demand(told == {name: number for name, (number, _) in FRAMES.items()}, "frames", "wire.py has others than the page")
    streams = re.findall(r"^const ([A-Z_]+): u8 = \d+;", (ROOT / "src/wire/data.rs").read_text(), re.M)
    demand(set(streams) == set(STREAMS), "streams", str(streams))
    schema = json.loads((ROOT / "docs/protocol/receipt.schema.json").read_text())["properties"]["kind"]["enum"]
    code = re.findall(r'^        [A-Z]\w+ = "([a-z-]+)",', (ROOT / "src/receipt/kind.rs").read_text(), re.M)
    demand(sorted(schema) == sorted(code), "statements", "the schema and src/receipt/kind.rs differ")
    return [name for name in told if name not in CARRY] + list(STREAMS.values()) + schema


class Voice(Flooder):
    """A connection that says nothing by itself, and keeps what comes on its control stream."""

    def __init__(self, me, link, dialled):
        super().__init__(me, link, dialled)
        self.shown = b""

    def _hear_add_checkpoint(self, body):
        self.shown = body
        self.answers.put_nowait("add-checkpoint")

    async def until(self, *names):
        """The next answer that begins with one of these, or the end."""
        while True:
            said = await self.answer()
            if said.startswith((*names, "closed", "silence")):
                return said


class Side(Field):
    """One of the two daemons, as one of our authorities sees it."""

    def __init__(self, two, alias, me):
        more = {"alias": alias, "pid": two.pids[alias], "log": f"{two.work}/{alias}.log", "command": [two.binary, "--home", f"{two.work}/{alias}"]}
        super().__init__(argparse.Namespace(folder=me.folder, **more))
        self.two, self.me, self.home = two, me, two.work / alias
        self.peer = next(peer for peer in me.peers.values() if peer.card.alias == alias)

    def run(self, *words):
        """The command line with --json: exit code, and the last value that it printed."""
        done = subprocess.run([*self.command, *words, "--json"], capture_output=True, text=True, timeout=60, check=False)
        lines = (done.stdout or done.stderr).strip().split("\n")
        return done.returncode, json.loads(lines[-1]) if lines[-1].startswith(("{", "[")) else lines[-1]

    async def voice(self, hello=True):
        """A connection on which nothing is said that a case does not say."""
        voice = Voice(self.me, await dial(self.me, self.peer.card), True)
        self.links.append(voice)
        if hello:
            await asyncio.wait_for(voice.begin(), 10)
            await voice.until("held")
        return voice

    def accused(self):
        """The problems in `status`: code and subject."""
        return {(one["code"], one["subject"]) for one in self.run("status")[1]["problems"] if one["code"] in ACCUSED}

    def touch(self, xid):
        """This package must be one story here, from now on."""
        self.two.touched[self.alias, xid] = self

    def export(self, xid):
        """The receipts of a package in a folder, or None where there is no such package."""
        folder = self.two.work / "exports" / self.alias / xid
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        code, said = self.run("receipt", "export", xid, "--out", str(folder))
        demand(code in (0, 8), "export", str(said))
        return folder if code == 0 else None


class Two:
    """The two daemons, and everything that was done to them."""

    def __init__(self, arguments):
        self.folder, self.work = pathlib.Path(arguments.folder), pathlib.Path(arguments.work)
        self.binary, self.auditor = arguments.binary, arguments.audit
        self.pids = dict(zip(DAEMONS, arguments.pids, strict=True))
        self.count, self.touched, self.proofs, self.expected = 0, {}, [], set()
        self.me, self.sides = None, []

    def newcomer(self):
        """An authority that both daemons accept: itself, and its two sides."""
        self.count += 1
        alias = f"m{self.count}"
        about = {"id": f"{alias}.example.org", "alias": alias, "name": "Two voices", "country": "NL", "endpoint": "127.0.0.1:9"}
        me = Authority.make(self.folder / alias, **about)
        for name in DAEMONS:
            me.accept((self.work / name / f"{name}.card").read_bytes(), (self.work / name / f"{name}.crl").read_bytes())
        sides = [Side(self, name, me) for name in DAEMONS]
        for side in sides:
            for words in (("add", str(me.folder / f"{alias}.card")), ("accept", alias, "--fingerprint", me.words())):
                code, said = side.run("peer", *words)
                demand(code == 0, "peer", str(said))
        return sides

    def keys(self):
        """The keys that an auditor has."""
        vkeys = {one["vkey"] for name in DAEMONS for one in self._keys(name)}
        path = self.work / "equivocation-keys.txt"
        path.write_text("\n".join(sorted(vkeys)) + "\n")
        return str(path)

    def _keys(self, name):
        done = subprocess.run([self.binary, "--home", str(self.work / name), "log", "keys", "--json"], capture_output=True, check=True)
        return json.loads(done.stdout)

    def audit(self, *words):
        """The auditor's program: exit code and what it printed."""
        done = subprocess.run([self.auditor, *words, "--keys", self.keys(), "--json"], capture_output=True, text=True, check=False)
        return done.returncode, [json.loads(line) for line in done.stdout.strip().split("\n") if line]

    def prove(self, who, holds):
        """Registers a proof: who holds it, and a function that gives an empty text once it is there, or what is missing."""
        self.proofs.append((who, holds))

    def story(self, side, xid):
        """The faults in a daemon's statements about a package; an empty text if they are one story, and an auditor agrees."""
        listed = [one for one in side.run("package", "list")[1] if one["id"] == xid]
        folder = side.export(xid)
        if not listed or not folder:
            return "" if not listed and not folder else f"{len(listed)} packages, and {folder}"
        named = ("follow-conflict", xid) in self.expected_of(side)
        doubled = contradictions(folder)
        code, said = self.audit("verify", str(folder))
        rules = sorted({fault["rule"] for fault in said[-1]["faults"]})
        if named:
            return "" if (code, rules) == (7, ["receipts-exclude"]) and len(doubled) == 1 else f"{code} {rules} {doubled}"
        if len(listed) != 1 or doubled or code:
            return f"{len(listed)} packages, {doubled}, the auditor says {code}: {said[-1]['faults']}"
        code, said = side.run("package", "verify", xid) if listed[0]["state"] == "held" else (0, "")
        return "" if code == 0 else f"package verify: {said}"

    def expected_of(self, side):
        """Whom this daemon may accuse, and of what."""
        return {(code, subject) for name, code, subject in self.expected if name == side.alias}


def contradictions(folder):
    """The pairs of statements in an export that exclude each other."""
    seen, found = {}, []
    for path in sorted((folder / "receipts").glob("*.note")):
        note = Statement(path.read_bytes())
        fields = note.json
        place = fields["xid"] if fields["kind"] == "dispatch" else fields.get("prev")
        group = "dispatch" if fields["kind"] == "dispatch" else EXCLUSIVE.get(fields["kind"])
        if not group:
            continue
        before = seen.setdefault((place, group, receipts.parties(fields)[0]["id"]), note)
        if before.text != note.text:
            found.append((before.json["kind"], fields["kind"]))
    return found


def in_package(side, xid, first, second):
    """A proof that one daemon holds: two statements about a package, in `status`, in its export, and named by the auditor's program."""
    two, issuer = side.two, side.me.id
    two.expected.add((side.alias, "follow-conflict", xid))

    def holds():
        if ("follow-conflict", xid) not in side.accused():
            return "status does not name the package"
        folder = side.export(xid)
        texts = {Statement(path.read_bytes()).text for path in (folder / "receipts").glob("*.note")}
        if not {first.text, second.text} <= texts:
            return "the export does not hold both"
        code, said = two.audit("verify", str(folder))
        faults = [fault for fault in said[-1]["faults"] if fault["rule"] == "receipts-exclude" and issuer in fault["meaning"]]
        return "" if code == 7 and len(faults) == 1 else f"the auditor says {code}, {said[-1]['faults']}"

    two.prove(side.alias, holds)


async def _patient(holds, seconds=60):
    """An empty text once it holds, or what is still missing after so long."""
    end = time.monotonic() + seconds
    while True:
        missing = await asyncio.to_thread(holds)
        if not missing or time.monotonic() > end:
            return missing
        await asyncio.sleep(0.3)


async def _judge(two, sides):
    """The faults after a case: a daemon that is gone, two stories, or an accusation without proof."""
    for side in sides:
        if not side.alive():
            return f"{side.alias} is dead"
    for (_, xid), side in two.touched.items():
        wrong = await asyncio.to_thread(two.story, side, xid)
        if wrong:
            return f"{side.alias} has not one story of {xid}: {wrong}"
    for side in sides:
        wrong = await asyncio.to_thread(side.accused) - two.expected_of(side)
        if wrong:
            return f"{side.alias} accuses without proof: {sorted(wrong)}"
    return ""


async def _do(two, expected, function, alone):
    """One case: whether it went well, the answers, and who holds proof."""
    two.touched, two.proofs = {}, []
    sides = await asyncio.to_thread(two.newcomer) if alone else two.sides
    try:
        answer = await asyncio.wait_for(function(*sides), 120)
    except Gone as gone:
        answer = str(gone)
    except Exception as fault:  # noqa: BLE001 – a case that could not be done is a failure of the test
        traceback.print_exc()
        answer = f"broken: {fault!r}"
    for side in sides:
        side.clean()
    await asyncio.sleep(0)
    missing = [f"{who}: {wrong}" for who, holds in two.proofs for wrong in [await _patient(holds)] if wrong]
    wrong = "; ".join(missing) or await _judge(two, sides)
    good = re.fullmatch(expected, answer) is not None and not wrong
    return good, f"{answer}; {wrong}" if wrong else answer, " and ".join(who for who, _ in two.proofs)


async def run(two, only):
    """All cells of the table."""
    two.sides, failed = await asyncio.to_thread(two.newcomer), 0
    for kind in kinds():
        for way in WAYS:
            if only not in f"{kind} {way}":
                continue
            if (kind, way) not in CASES:
                why = VOID.get((kind, way))
                failed += why is None
                print("\t".join(["void" if why else "FAIL", kind, way, why or "nobody has said what to do", "-", "-"]), flush=True)
            for what, expected, function, alone in CASES.get((kind, way), []):
                good, answer, proof = await _do(two, expected, function, alone)
                failed += not good
                print("\t".join(["ok" if good else "FAIL", kind, way, what, answer[:400].replace("\t", " ").replace("\n", " "), proof or "-"]), flush=True)
    strange = {kind for kind, _ in [*CASES, *VOID]} - set(kinds())
    demand(not strange, "kinds", f"nobody knows {strange}")
    return 1 if failed else 0


def main():
    """Reads the command line."""
    for name in ("control", "sender", "receiver", "onward"):
        importlib.import_module(f"peer.twofold_{name}")  # they register themselves
    parser = argparse.ArgumentParser(prog="equivocation", description=__doc__)
    parser.add_argument("folder")
    for name in ("work", "binary", "audit"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--pids", type=int, nargs=2, required=True)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    return asyncio.run(run(Two(arguments), arguments.only))


if __name__ == "__main__":
    from peer import equivocation  # the module that the cases import, and not this copy of it

    sys.exit(equivocation.main())
