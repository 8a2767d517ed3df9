"""An authority on disk: keys, card, peers, its log, and the exchanges with their statements and payloads."""

import json
import os
import pathlib
import time

from . import age, card, merkle, receipts
from .notes import Checkpoint, Signer, Statement, countersign, fingerprint, sign_checkpoint
from .plain import ROOT, b64, canonical, demand, digest, sha256

WORDS = ROOT / "src/identity/words.txt"


def write_durably(path, data):
    """Replaces a file so that it is old or new after a crash."""
    new = path.with_suffix(path.suffix + ".new")
    with open(new, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)


class Log:
    """The append-only Merkle log of section 12."""

    def __init__(self, path, key):
        self.path, self.key = path, key
        self.entries = json.loads(path.read_text()) if path.exists() else []
        self.hashes = [self._hash(one["r"], one["note"].encode()) for one in self.entries]
        self._sign()

    @staticmethod
    def _hash(r, note):
        commitment = sha256(b"rogatory/commit/v1\0" + bytes.fromhex(r) + sha256(note))
        return merkle.leaf(f"rogatory/leaf/v1\n{b64(commitment)}\n".encode())

    def _sign(self):
        self.checkpoint = sign_checkpoint(self.key, len(self.hashes), merkle.root(self.hashes))

    def commit(self, *notes):
        """Adds notes, durably, and signs the new head."""
        for note in notes:
            r = os.urandom(32).hex()
            self.entries.append({"r": r, "note": note.raw.decode()})
            self.hashes.append(self._hash(r, note.raw))
        write_durably(self.path, json.dumps(self.entries).encode())
        self._sign()

    def had(self, head):
        """Whether this log had such a head once."""
        return head["size"] <= len(self.hashes) and merkle.root(self.hashes[: head["size"]]).hex() == head["root"]

    def submission(self, old):
        """The body of `add-checkpoint` for a witness that holds the head of this size."""
        proof = "".join(b64(one) + "\n" for one in merkle.consistency(old, self.hashes))
        return f"old {old}\n{proof}\n".encode() + self.checkpoint.raw


class Exchange:
    """What is held of one exchange: its statements in order, disclosures, header and payload."""

    def __init__(self, folder):
        self.folder, self.path = folder, folder / "state.json"
        kept = json.loads(self.path.read_text()) if self.path.exists() else {}
        self.xid = folder.name
        self.role, self.peer, self.ended = kept.get("role"), kept.get("peer"), kept.get("ended")
        self.notes = [Statement(text.encode()) for text in kept.get("notes", [])]
        self.disclosures, self.have = kept.get("disclosures", []), set(kept.get("have", []))
        self.hashes = [bytes.fromhex(one) for one in kept.get("hashes", [])]
        self.header = kept["header"].encode() if kept.get("header") else None
        self.sessions = kept.get("sessions", [])
        self.told, self.asked = kept.get("told", []), kept.get("asked", [])

    def save(self):
        """Makes all of it durable but the payload."""
        self.folder.mkdir(parents=True, exist_ok=True)
        kept = {name: getattr(self, name) for name in ("role", "peer", "ended", "disclosures", "sessions", "told", "asked")}
        kept |= {"notes": [note.raw.decode() for note in self.notes], "have": sorted(self.have)}
        kept |= {"hashes": [one.hex() for one in self.hashes], "header": self.header.decode() if self.header else None}
        write_durably(self.path, json.dumps(kept).encode())

    @property
    def payload(self):
        """The file of the payload."""
        return self.folder / "payload"

    @property
    def dispatch(self):
        """The first statement."""
        return self.notes[0]

    def find(self, kind):
        """The last statement of a kind, or None."""
        return next((note for note in reversed(self.notes) if note.json["kind"] == kind), None)

    def put(self, note):
        """Adds a statement, or puts one with more signatures in the place of the same text."""
        for place, old in enumerate(self.notes):
            if old.text == note.text:
                self.notes[place] = note
                return
        self.notes.append(note)

    @property
    def tip(self):
        """The statement that the next one between the two parties follows."""
        kept = [note for note in self.notes if note.json["kind"] in ("dispatch", "consigned", *receipts.SHARED)]
        return kept[-1]

    def segments(self):
        """How many segments the payload has."""
        return -(-self.dispatch.json["pkg"]["len"] // (1 << 20))


class Peer:
    """Another authority whose card was accepted."""

    def __init__(self, raw_card, raw_crl):
        self.card = card.Card(raw_card)
        self.raw_crl = raw_crl
        self.crl, self.crl_ca, self.crl_number = card.read_crl(raw_crl, self.card) if raw_crl else (None, None, 0)

    @property
    def lists(self):
        """The revocation lists as `hello` names them; of this peer, that of one CA is kept."""
        return [{"ca": self.crl_ca, "number": self.crl_number}] if self.crl_ca else []

    @property
    def receipts_key(self):
        """The key that signs its receipts."""
        return self.card.keys["receipts"]


class Authority:
    """All of it, in a folder."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        about = json.loads((self.folder / "me.json").read_text())
        self.id, self.alias, self.name, self.country, self.endpoint = (about[name] for name in ("id", "alias", "name", "country", "endpoint"))
        self.keys = {role: Signer(f"{self.id}/{role}", bytes.fromhex(about["seeds"][role])) for role in card.ROLES}
        self.identity = age.Identity(bytes.fromhex(about["seeds"]["age"]))
        self.tls = card.Tls(self.folder, self.id)
        path = self.folder / f"{self.alias}.card"
        if not path.exists():
            path.write_bytes(card.write(self).raw)
            (self.folder / f"{self.alias}.crl").write_bytes(self.tls.crl)
        self.card = card.Card(path.read_bytes())
        self.log = Log(self.folder / "log.json", self.keys["log"])
        self.peers, self.exchanges = {}, {}
        self._load()
        # What a test sets: the code by which every offer is rejected, and after how many segments the line is cut.
        self.refuse = self.cut_after = None
        self.cut = lambda: None
        self.policy = digest(canonical({"rules": "takes what the peer offers", "v": 1}))

    @staticmethod
    def make(folder, **about):
        """A new authority with fresh keys."""
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True)
        about["seeds"] = {role: os.urandom(32).hex() for role in (*card.ROLES, "age")}
        (folder / "me.json").write_text(json.dumps(about))
        return Authority(folder)

    def renew(self):
        """A new card and a new certificate."""
        self.tls = self.tls.renew()
        note = card.write(self, self.card.number + 1)
        write_durably(self.folder / f"{self.alias}.card", note.raw)
        write_durably(self.folder / f"{self.alias}.crl", self.tls.crl)
        self.card = card.Card(note.raw)

    def _load(self):
        for path in sorted((self.folder / "peers").glob("*.card")):
            crl = path.with_suffix(".crl")
            peer = Peer(path.read_bytes(), crl.read_bytes() if crl.exists() else None)
            self.peers[peer.card.id] = peer
        for path in sorted((self.folder / "exchanges").glob("*/state.json")):
            exchange = Exchange(path.parent)
            self.exchanges[exchange.xid] = exchange
        path = self.folder / "witnessed.json"
        kept = json.loads(path.read_text()) if path.exists() else {}
        self.witnessed = {origin: Checkpoint(text.encode()) for origin, text in kept.items()}

    def accept(self, raw_card, raw_crl):
        """Trusts a card whose words somebody compared."""
        peer = Peer(raw_card, raw_crl)
        (self.folder / "peers").mkdir(exist_ok=True)
        write_durably(self.folder / "peers" / f"{peer.card.alias}.card", raw_card)
        if raw_crl:
            write_durably(self.folder / "peers" / f"{peer.card.alias}.crl", raw_crl)
        self.peers[peer.card.id] = peer
        return peer

    def words(self, note=None):
        """The six words of a card."""
        return fingerprint(note or self.card.note, WORDS.read_text().split())

    def exchange(self, xid):
        """The exchange with this id; a new one where there is none."""
        if xid not in self.exchanges:
            self.exchanges[xid] = Exchange(self.folder / "exchanges" / xid)
        return self.exchanges[xid]

    def heads(self, other):
        """Our last checkpoint, and the last one that we saw of the other party."""
        seen = self.witnessed.get(f"{other}/log")
        return [self.log.checkpoint.head] + ([seen.head] if seen else [])

    def check_heads(self, note):
        """Refuses heads that our log never had, or that contradict what we witnessed."""
        for head in note.json.get("heads", []):
            if head["origin"] == self.keys["log"].name:
                demand(self.log.had(head), "heads", "our log never had this head")
            seen = self.witnessed.get(head["origin"])
            same = not seen or seen.size != head["size"] or seen.root.hex() == head["root"]
            demand(same, "heads", "two roots of one size")

    def verifiers(self):
        """The receipts keys of everybody known, by id."""
        keys = {name: peer.receipts_key for name, peer in self.peers.items()}
        return keys | {self.id: self.keys["receipts"]}

    def issue(self, kind, exchange, ses=None, before=None, **more):
        """Signs and commits a statement of an exchange."""
        other = exchange.peer
        before = before or exchange.tip
        note = receipts.make(kind, before, self.keys["receipts"], self.policy, self.heads(other), ses=ses, **more)
        exchange.put(note)
        self.log.commit(note)
        exchange.save()
        return note

    def sign_too(self, note, exchange):
        """Countersigns the other side's statement and commits it; one that is held with both signatures is not signed again."""
        held = next((one for one in exchange.notes if one.text == note.text and len(one.lines) == 2), None)
        if held:
            return held
        both = countersign(note, self.keys["receipts"])
        exchange.put(both)
        self.log.commit(both)
        exchange.save()
        return both

    def take(self, note, exchange):
        """Stores a statement of the other side; our own, when it is complete, goes to the log once more."""
        mine = receipts.parties(note.json)[0]["id"] == self.id
        known = any(one.raw == note.raw for one in exchange.notes)
        exchange.put(note)
        if mine and not known:
            self.log.commit(note)
        exchange.save()

    def witness(self, checkpoint):
        """Keeps the newest head of another log, durably, and gives our line for it."""
        self.witnessed[checkpoint.origin] = checkpoint
        kept = {origin: one.raw.decode() for origin, one in self.witnessed.items()}
        write_durably(self.folder / "witnessed.json", json.dumps(kept).encode())
        return self.keys["witness"].cosign(checkpoint.text, int(time.time()))
