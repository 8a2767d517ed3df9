"""Reads docs/protocol/vectors with this implementation: `python3 -m peer.vectors`. Ends with 1 if something is read otherwise."""

import json
import sys

from . import age, bag, merkle, receipts, wire
from .card import Card
from .notes import Checkpoint, Note, Statement, check_cosignature, fingerprint, read_vkey
from .plain import ROOT, Refused, demand, digest, sha256, unb64

FOLDER = ROOT / "docs/protocol/vectors"


def _listed(name):
    return json.loads((FOLDER / name).read_text())


def _read(name):
    return (FOLDER / name).read_bytes()


def _keys(role):
    """The keys of a role by authority."""
    found = [read_vkey(one["vkey"]) for one in _listed("keys.json")]
    return {key.name.split("/")[0]: key for key in found if key.name.endswith("/" + role)}


def statements():
    """Every statement, its digests, and the receipts with what they follow."""
    keys, read = _keys("receipts"), {}
    for entry in _listed("statements.json"):
        note = read[entry["file"]] = Statement(_read(entry["file"]))
        yield entry["file"], (note.digest, digest(note.raw)) == (entry["text_digest"], entry["note_digest"])
        if note.context == "card":
            Card(note.raw)
        elif "xid" in note.json:
            receipts.check(note, read.get(entry.get("follows")), keys)
    words = (ROOT / "src/identity/words.txt").read_text().split()
    for entry in _listed("fingerprints.json"):
        yield f"words of {entry['file']}", fingerprint(read[entry["file"]], words) == entry["words"]
    for entry in _listed("disclosures.json"):
        values = receipts.read_disclosures([entry["encoded"]], read[entry["receipt"]].json["sd"])
        yield f"disclosure {entry['name']}", values == {entry["name"]: entry["value"]}


def package():
    """The age file, the tar in it and its manifest; heads of tar entries."""
    summary = _listed("package.json")
    secret = next(one["secret"] for one in _listed("age-keys.json") if one["authority"] == summary["age"]["recipient"])
    header, payload = age.split(_read("package/package.age"))
    tar = age.unseal(payload, age.open_header(header, age.Identity(bytes.fromhex(secret))))
    yield "the tar", tar == _read("package/package.tar")
    manifest, raw, _ = bag.read(tar)
    yield "the manifest", (digest(raw), bag.item_root(manifest)) == (summary["manifest_digest"], summary["item_root"])
    for entry in _listed("tar-heads.json"):
        yield f"tar head: {entry['what']}", bag.head(entry["path"], entry["size"], entry["mtime"]).hex() == entry["bytes"]


def logs():
    """Checkpoints, proofs of consistency and cosignatures."""
    for log in _listed("logs.json"):
        hashes = [merkle.leaf(entry["entry"].encode()) for entry in log["leaves"]]
        top = Checkpoint(_read(log["checkpoint"]))
        yield log["origin"], top.signed_by(0, _keys("log")[top.origin.split("/")[0]]) and top.root == merkle.root(hashes)
        for size, root in enumerate(log["roots_by_size"]):
            proof = merkle.consistency(size, hashes)
            merkle.check_consistency(size, bytes.fromhex(root), len(hashes), top.root, proof)
    note = Note(_read("proofs/bfj.example.de-0.tlog-proof").partition(b"\n\n")[2], 3, (64, 72))
    witness = _keys("witness")["mla.example.ie"]
    line = note.raw.splitlines(keepends=True)[-1]
    yield "cosignature", check_cosignature(line, note, witness) == _listed("proofs.json")["cosigned_at_s"]


def frames():
    """Frames with JSON bodies, heads of streams, and the session."""
    for entry in _listed("frames.json"):
        if "body" in entry:
            yield f"frame {entry['frame']}", wire.frame(entry["frame"], entry["body"]).hex() == entry["bytes"]
    for entry in _listed("data-heads.json"):
        yield f"head of type {entry['type']}", wire.data_head(entry["type"], entry["xid"], entry.get("first")).hex() == entry["bytes"]
    session = _listed("session.json")
    yield "session", digest(bytes.fromhex(session["exporter_value"])) == session["ses"]
    knows = sha256(b"rogatory/knows/v1\0" + bytes.fromhex(session["ses"]) + b"mla.example.ie")
    yield "knows", wire.frame("knows", knows).hex() == next(one["bytes"] for one in _listed("frames.json") if one["frame"] == "knows")


def _judge(vector):
    """Reads a negative vector as what it is called; it must be refused."""
    raw, keys = unb64(vector["bytes"]), _keys("receipts")
    if vector["of"] == "vkey":
        read_vkey(raw.decode())
    elif vector["of"] == "card":
        Card(raw)
    elif vector["of"] == "checkpoint":
        _judge_checkpoint(Checkpoint(raw))
    elif vector["of"] == "header":
        age.read_header(raw, 1)
    elif vector["of"] == "disclosures":
        listed = json.loads(raw)
        receipts.read_disclosures(listed, Statement(_read("statements/dispatch.note")).json["sd"])
    elif vector["of"] == "statement":
        note = receipts.read(raw)
        demand(len(note.lines) == 1 and note.signed_by(0, keys["bfj.example.de"]), "signature")
    elif vector["of"] == "receipt":
        before = Statement(_read(vector["follows"])) if vector.get("follows") else None
        receipts.check(receipts.read(raw), before, keys)
    else:
        return False
    return True


def _judge_checkpoint(note):
    key = _keys("log")["bfj.example.de"]
    demand(note.origin == key.name and note.signed_by(0, key), "checkpoint")


def negative():
    """What must be refused, but for frames, which are read from streams alone."""
    for vector in _listed("negative.json"):
        try:
            believed = _judge(vector)
        except Refused:
            believed = False
        yield f"negative: {vector['of']}: {vector['what']}", not believed


def main():
    """Goes through all of them."""
    results = [one for part in (statements, package, logs, frames, negative) for one in part()]
    for what, good in results:
        if not good:
            print(f"FAILED: {what}")
    print(f"{len(results)} vectors read by the second implementation")
    return 0 if all(good for _, good in results) else 1


if __name__ == "__main__":
    sys.exit(main())
