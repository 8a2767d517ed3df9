#!/usr/bin/env python3
"""Checks docs/protocol/vectors/ without any code of rogatory: Python's standard library and the openssl program.

Usage: check_vectors.py [folder]
"""

import base64
import hashlib
import hmac
import io
import json
import pathlib
import struct
import subprocess
import sys
import tarfile
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDER = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs/protocol/vectors"
WORDS = (ROOT / "src/identity/words.txt").read_text().split()
SEGMENT = 1 << 20
FRAMES = {
    "hello": 1, "card": 2, "crl": 3, "ack": 4, "held": 5, "add-checkpoint": 6,
    "cosignature": 7, "knows": 8, "gossip": 9, "offer": 16, "disclosures": 17, "accept": 18,
    "receipt": 19, "header": 20, "later": 21, "done": 22, "fault": 23,
}  # fmt: skip
FOLLOWS = {
    "rejected": ["dispatch"], "consigned": ["dispatch"], "expired": ["dispatch"],
    "withdrawn": ["dispatch"], "handover": ["consigned"], "handover-failed": ["consigned"],
}  # fmt: skip
ACCESS = ["access", "access-denied", "content-mismatch"]
SHARED = ["handover", "restriction-changed"]
FOLLOWS |= {"restriction-changed": SHARED, "destroyed": SHARED, "use-report": SHARED, "consent-asked": SHARED}
FOLLOWS |= {"onward": SHARED, "onward-refused": SHARED}
FOLLOWS |= {"consent-given": ["consent-asked"], "consent-refused": ["consent-asked"]}
CONSENT = ["consent-asked", "consent-given", "consent-refused"]
ONWARD = ["onward", "onward-refused"]
BY_RECEIVER = ["rejected", "consigned", "handover", "handover-failed", "destroyed", "use-report", "consent-asked", *ONWARD, *ACCESS]
BOTH_SIGN = ["consigned", "handover", "handover-failed", "destroyed"]
passed = 0
failed = 0


def check(what, good):
    global passed, failed
    if good:
        passed += 1
    else:
        failed += 1
        print(f"FAILED: {what}")


def same(what, wanted, got):
    check(f"{what}: expected {wanted!r}, got {got!r}", wanted == got)


def read(name):
    return (FOLDER / name).read_bytes()


def listed(name):
    return json.loads(read(name))


def sha256(data):
    return hashlib.sha256(data).digest()


def canonical(value):
    """RFC 8785 for values without fractions and without characters beyond U+FFFF in keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def merkle(leaf_hashes):
    """RFC 6962 section 2.1, recursively as it is written there."""
    count = len(leaf_hashes)
    if count == 0:
        return sha256(b"")
    if count == 1:
        return leaf_hashes[0]
    split = 1
    while split * 2 < count:
        split *= 2
    return sha256(b"\x01" + merkle(leaf_hashes[:split]) + merkle(leaf_hashes[split:]))


def leaf(data):
    return sha256(b"\x00" + data)


def openssl(*arguments, data=None):
    return subprocess.run(["openssl", *map(str, arguments)], input=data, capture_output=True, check=False)


def signature_is_good(pem, text, signature):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "key.pem").write_text(pem)
        (folder / "text").write_bytes(text)
        (folder / "signature").write_bytes(signature)
        arguments = ["-pubin", "-inkey", folder / "key.pem", "-sigfile", folder / "signature"]
        done = openssl("pkeyutl", "-verify", "-rawin", *arguments, "-in", folder / "text")
        return done.returncode == 0


def split_note(note):
    text, rest = note.rsplit(b"\n\n", 1)
    lines = []
    for line in rest.decode().splitlines():
        dash, name, blob = line.split(" ")
        assert dash == "\u2014"
        blob = base64.b64decode(blob, validate=True)
        lines.append((name, blob[:4].hex(), blob[4:]))
    return text + b"\n", lines


def check_keys():
    keys = {}
    for key in listed("keys.json"):
        name = key["name"]
        seed, public = bytes.fromhex(key["seed"]), bytes.fromhex(key["public"])
        same(f"{name}: seed", seed, sha256(key["seed_is_sha256_of"].encode()))
        key_id = sha256(name.encode() + b"\n\x01" + public)[:4].hex()
        same(f"{name}: key id", key["id"], key_id)
        vkey = f"{name}+{key_id}+{base64.b64encode(bytes([1]) + public).decode()}"
        same(f"{name}: vkey", key["vkey"], vkey)
        made = openssl("pkey", "-pubout", data=key["pkcs8_pem"].encode()).stdout.decode()
        same(f"{name}: the public PEM that openssl makes of the secret one", key["spki_pem"], made)
        der = openssl("pkey", "-outform", "DER", data=key["pkcs8_pem"].encode()).stdout
        same(f"{name}: the seed in the PEM", seed, der[-32:])
        der = openssl("pkey", "-pubin", "-pubout", "-outform", "DER", data=key["spki_pem"].encode())
        same(f"{name}: the key in the PEM", public, der.stdout[-32:])
        keys[name] = key
    check("the ids of all keys differ", len({key["id"] for key in keys.values()}) == len(keys))
    return keys


def check_signatures(what, text, lines, keys):
    for name, key_id, signature in lines:
        same(f"{what}: key id of {name}", keys[name]["id"], key_id)
        good = signature_is_good(keys[name]["spki_pem"], text, signature)
        check(f"{what}: signature of {name}", good)
        bad = signature_is_good(keys[name]["spki_pem"], text + b"x", signature)
        check(f"{what}: signature of {name} over another text", not bad)


def check_statements(keys):
    statements = {}
    for entry in listed("statements.json"):
        file = entry["file"]
        note = read(file)
        text, lines = split_note(note)
        same(f"{file}: text digest", entry["text_digest"], sha256(text).hex())
        same(f"{file}: note digest", entry["note_digest"], sha256(note).hex())
        context, body, end = text.split(b"\n")
        same(f"{file}: context", entry["context"], context.decode())
        same(f"{file}: nothing after the JSON", b"", end)
        fields = json.loads(body)
        same(f"{file}: canonical JSON", body, canonical(fields))
        same(f"{file}: signers", entry["signed_by"], [line[0] for line in lines])
        check(f"{file}: at most 16 KiB", len(note) <= 16384)
        rebuilt = text + b"\n"
        for name, key_id, signature in lines:
            blob = base64.b64encode(bytes.fromhex(key_id) + signature).decode()
            rebuilt += f"\u2014 {name} {blob}\n".encode()
        same(f"{file}: the note written again", note, rebuilt)
        check_signatures(file, text, lines, keys)
        statements[file] = (fields, text, lines, entry)
    return statements


def check_receipts(statements):
    for file, (fields, _, lines, entry) in statements.items():
        if entry["context"] not in ("rogatory/receipt/v1", "rogatory/consent/v1"):
            continue
        kind = fields["kind"]
        same(f"{file}: context of {kind}", kind in CONSENT, entry["context"] == "rogatory/consent/v1")
        same(f"{file}: a use or passing on", kind in CONSENT, kind in CONSENT and ("purpose" in fields) != ("third" in fields))
        same(f"{file}: kind", entry["kind"], kind)
        same(f"{file}: bytes have left", kind == "access", fields.get("released", 0) >= 1)
        if "xid" not in fields:
            same(f"{file}: signer", [fields["from"]["id"] + "/receipts"], entry["signed_by"])
            same(f"{file}: key", fields["from"]["key"], lines[0][1])
            continue
        issuer, other = fields["from"], fields["to"]
        if kind in BY_RECEIVER:
            issuer, other = other, issuer
        signers = [issuer["id"] + "/receipts"]
        if kind in BOTH_SIGN and len(lines) == 2:
            signers.append(other["id"] + "/receipts")
        same(f"{file}: who signs", signers, entry["signed_by"])
        same(f"{file}: the issuer's key", issuer["key"], lines[0][1])
        check(f"{file}: sd ascends", fields.get("sd", []) == sorted(set(fields.get("sd", []))))
        if kind == "dispatch":
            check(f"{file}: it is the first", fields["step"] == 1 and "prev" not in fields)
            continue
        before, before_text, _, _ = statements[entry["follows"]]
        same(f"{file}: prev", sha256(before_text).hex(), fields["prev"])
        same(f"{file}: step", before["step"] + 1, fields["step"])
        may_follow = FOLLOWS.get(kind, [*SHARED, *ACCESS])
        check(f"{file}: {kind} after {before['kind']}", before["kind"] in may_follow)
        for name in ["xid", "from", "to", "pkg", "terms"]:
            if (name, kind) == ("terms", "restriction-changed"):
                check(f"{file}: terms are stricter", within(fields[name], before[name]))
                continue
            same(f"{file}: {name} is kept", before[name], fields[name])
        if kind in CONSENT[1:]:
            same(f"{file}: what was asked", [before.get(name) for name in ("purpose", "third")], [fields.get(name) for name in ("purpose", "third")])
        if kind not in [*ACCESS, *SHARED[1:], "destroyed", "use-report", *CONSENT, *ONWARD]:
            same(f"{file}: sd is kept", before["sd"], fields["sd"])
    for name in BOTH_SIGN:
        one, two = (read(f"statements/{name}-{number}.note") for number in (1, 2))
        check(f"{name}: the second signature is only added", two.startswith(one) and one != two)


def within(terms, before):
    """Terms that permit nothing which those before them forbid, and something less."""
    kept = [name for name in ("instrument", "legal_basis", "handling", "evaluation") if terms.get(name) != before.get(name)]
    dates = all(terms[name] <= before[name] for name in ("retain_until", "sunset", "review") if name in before)
    fewer = set(terms["purposes"]) <= set(before["purposes"])
    more = set(before.get("restrictions", [])) <= set(terms.get("restrictions", []))
    onward = terms["onward"] in (before["onward"], "prohibited")
    return not kept and dates and fewer and more and onward and terms != before


def check_fingerprints(statements):
    for entry in listed("fingerprints.json"):
        digest = sha256(statements[entry["file"]][1])
        same(f"{entry['file']}: digest", entry["text_digest"], digest.hex())
        bits = int.from_bytes(digest, "big") >> (256 - 66)
        words = [WORDS[(bits >> (55 - 11 * place)) & 0x7FF] for place in range(6)]
        same(f"{entry['file']}: fingerprint", entry["words"], "-".join(words))


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def check_disclosures(statements):
    for entry in listed("disclosures.json"):
        name = entry["name"]
        salt = base64url(bytes.fromhex(entry["salt"]))
        encoded = base64url(canonical([salt, name, entry["value"]]))
        same(f"disclosure {name}: encoded", entry["encoded"], encoded)
        digest = sha256(encoded.encode()).hex()
        same(f"disclosure {name}: digest", entry["digest"], digest)
        check(f"disclosure {name}: in its receipt", digest in statements[entry["receipt"]][0]["sd"])


def check_onward(statements, keys):
    """What goes along when a package is passed on: the first dispatch with the second, the third authority's receipt with `onward`."""
    beside = {(entry["receipt"], entry["name"]): entry["value"] for entry in listed("disclosures.json")}
    origin_text, origin_lines = split_note(beside["statements/onward-dispatch.note", "origin"].encode())
    copy_text, copy_lines = split_note(beside["statements/onward.note", "receipt"].encode())
    check_signatures("origin", origin_text, origin_lines, keys)
    check_signatures("copy", copy_text, copy_lines, keys)
    origin, copy = (json.loads(text.split(b"\n")[1]) for text in (origin_text, copy_text))
    second, onward = (statements[f"statements/{name}.note"][0] for name in ("onward-dispatch", "onward"))
    same("origin: kind and parties", ("dispatch", second["from"]["id"]), (origin["kind"], origin["to"]["id"]))
    check("origin: terms", within(second["terms"], origin["terms"]) and second["terms"]["onward"] == "prohibited")
    same("copy: subject", onward["subject"], sha256(copy_text).hex())
    same("copy: parties", [onward["to"]["id"], onward["third"]], [copy["from"]["id"], copy["to"]["id"]])
    same("copy: signers", [copy["to"]["id"] + "/receipts", copy["from"]["id"] + "/receipts"], [line[0] for line in copy_lines])
    for one in (origin, second, onward, copy):
        same("the payload is the same", [one["pkg"][name] for name in ("body", "len")], [origin["pkg"][name] for name in ("body", "len")])
    check("the header is another", origin["pkg"]["hdr"] != second["pkg"]["hdr"])


def check_frames():
    seen = set()
    for entry in listed("frames.json"):
        name = entry["frame"]
        seen.add(name)
        raw = bytes.fromhex(entry["bytes"])
        kind, length = struct.unpack(">BI", raw[:5])
        body = raw[5:]
        same(f"frame {name}: type", (FRAMES[name], FRAMES[name]), (kind, entry["type"]))
        same(f"frame {name}: length", (entry["length"], entry["length"]), (length, len(body)))
        if "body" in entry:
            same(f"frame {name}: body", canonical(entry["body"]), body)
        if "body_is_in" in entry:
            check(f"frame {name}: body", read(entry["body_is_in"]).startswith(body))
        if name == "knows":
            session = bytes.fromhex(listed("session.json")["ses"])
            same("frame knows: body", sha256(b"rogatory/knows/v1\x00" + session + b"mla.example.ie"), body)
    same("every frame is there", set(FRAMES), seen)
    for entry in listed("data-heads.json"):
        raw = bytes([entry["type"]]) + bytes.fromhex(entry["xid"])
        if entry["type"] == 2:
            raw += struct.pack(">Q", entry["first"])
        same(f"data head of type {entry['type']}", entry["bytes"], raw.hex())


def segments(payload):
    return [leaf(payload[at : at + SEGMENT]) for at in range(0, len(payload), SEGMENT)]


def check_segments():
    cycle = bytes(range(251))
    for case in listed("segments.json")["cases"]:
        length = case["length"]
        payload = (cycle * (length // 251 + 1))[:length]
        hashes = segments(payload)
        same(f"{length} bytes: hashes", case["hashes"], [one.hex() for one in hashes])
        same(f"{length} bytes: root", case["root"], merkle(hashes).hex())


def check_heads(statements):
    roots = {log["origin"]: log["roots_by_size"] for log in listed("logs.json")}
    for file, (fields, _, _, _) in statements.items():
        for head in fields.get("heads", []):
            root = roots[head["origin"]][head["size"]]
            same(f"{file}: head of {head['origin']}", root, head["root"])


def check_logs(keys):
    for log in listed("logs.json"):
        origin, hashes = log["origin"], []
        same(f"{origin}: root of nothing", log["roots_by_size"][0], merkle([]).hex())
        for entry in log["leaves"]:
            what = f"{origin}: {entry['file']}"
            note = sha256(read(entry["file"]))
            same(f"{what}: note digest", entry["note_digest"], note.hex())
            commitment = sha256(b"rogatory/commit/v1\x00" + bytes.fromhex(entry["r"]) + note)
            same(f"{what}: commitment", entry["commitment"], commitment.hex())
            text = f"rogatory/leaf/v1\n{base64.b64encode(commitment).decode()}\n"
            same(f"{what}: entry", entry["entry"], text)
            hashes.append(leaf(text.encode()))
            same(f"{what}: leaf hash", entry["leaf_hash"], hashes[-1].hex())
            size = len(hashes)
            same(f"{what}: root", log["roots_by_size"][size], merkle(hashes).hex())
        text, lines = split_note(read(log["checkpoint"]))
        root = base64.b64encode(merkle(hashes)).decode()
        same(f"{origin}: checkpoint", f"{origin}\n{len(hashes)}\n{root}\n", text.decode())
        same(f"{origin}: signer", [origin], [line[0] for line in lines])
        check_signatures(f"{origin}: checkpoint", text, lines, keys)


def inclusion_path(at, hashes):
    """RFC 6962 section 2.1.1."""
    if len(hashes) == 1:
        return []
    split = 1 << ((len(hashes) - 1).bit_length() - 1)
    if at < split:
        return inclusion_path(at, hashes[:split]) + [merkle(hashes[split:])]
    return inclusion_path(at - split, hashes[split:]) + [merkle(hashes[:split])]


def consistency_path(old, hashes, whole=True):
    """RFC 6962 section 2.1.2."""
    if old == len(hashes):
        return [] if whole else [merkle(hashes)]
    split = 1 << ((len(hashes) - 1).bit_length() - 1)
    if old <= split:
        return consistency_path(old, hashes[:split], whole) + [merkle(hashes[split:])]
    return consistency_path(old - split, hashes[split:], False) + [merkle(hashes[:split])]


def check_proofs(keys):
    proofs = listed("proofs.json")
    [log] = [log for log in listed("logs.json") if log["origin"] == proofs["origin"]]
    hashes = [bytes.fromhex(entry["leaf_hash"]) for entry in log["leaves"]]
    for one in proofs["inclusion"]:
        index, size = one["index"], one["size"]
        path = [one.hex() for one in inclusion_path(index, hashes[:size])]
        same(f"inclusion of {index} in {size}", one["hashes"], path)
    for one in proofs["consistency"]:
        old, new = one["old"], one["new"]
        path = [one.hex() for one in consistency_path(old, hashes[:new])] if old else []
        same(f"consistency of {old} and {new}", one["hashes"], path)
    entries = b"".join(struct.pack(">H", len(e["entry"])) + e["entry"].encode() for e in log["leaves"])
    tiles = {f"tile/entries/000.p/{len(hashes)}": entries.hex(), f"tile/0/000.p/{len(hashes)}": b"".join(hashes).hex()}
    same("tiles", tiles, {one["path"]: one["bytes"] for one in proofs["tiles"]})
    cosigner, seconds = proofs["cosigner"], proofs["cosigned_at_s"]
    name, key_id, blob = proofs["cosigner_vkey"].split("+", 2)
    blob = base64.b64decode(blob, validate=True)
    same("cosigner: name", cosigner, name)
    same("cosigner: id", sha256(name.encode() + b"\n" + blob)[:4].hex(), key_id)
    same("cosigner: type", 4, blob[0])
    for index, entry in enumerate(log["leaves"]):
        what = f"proof file of {index}"
        head, _, note = read(f"proofs/{proofs['origin'].split('/')[0]}-{index}.tlog-proof").partition(b"\n\n")
        lines = head.decode().split("\n")
        same(f"{what}: head", ["c2sp.org/tlog-proof@v1", f"index {index}"], lines[:2])
        path = [base64.b64decode(line, validate=True) for line in lines[2:]]
        same(f"{what}: path", inclusion_path(index, hashes), path)
        text, signatures = split_note(note)
        check(f"{what}: checkpoint", read(log["checkpoint"]) == note[: len(read(log["checkpoint"]))])
        same(f"{what}: signers", [proofs["origin"], cosigner], [one[0] for one in signatures])
        _, line_id, cosignature = signatures[1]
        same(f"{what}: cosigner's id", key_id, line_id)
        same(f"{what}: time", seconds, struct.unpack(">Q", cosignature[:8])[0])
        message = f"cosignature/v1\ntime {seconds}\n".encode() + text
        good = signature_is_good(keys[cosigner]["spki_pem"], message, cosignature[8:])
        check(f"{what}: cosignature", good)


def tar_block(kind, prefix, name, size, mtime):
    """A header block, as docs/protocol section 5.1 lists its fields."""
    fields = [(name, 100), (b"0000644", 8), (b"0000000", 8), (b"0000000", 8), (b"%011o" % size, 12), (b"%011o" % mtime, 12),
              (b" " * 8, 8), (kind, 1), (b"", 100), (b"ustar\x0000", 8), (b"", 64), (b"0000000", 8), (b"0000000", 8), (prefix, 155), (b"", 12)]
    block = b"".join(text.ljust(length, b"\0") for text, length in fields)
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def tar_head(path, size, mtime):
    """The bytes before the content of an entry, from the page alone."""
    prefix, name, records = "", path, b""
    if len(path) > 100 or not path.isascii():
        splits = [at for at, c in enumerate(path) if c == "/" and 0 < at <= 155 and 0 < len(path) - at - 1 <= 100]
        if path.isascii() and splits:
            prefix, name = path[: splits[0]], path[splits[0] + 1 :]
        else:
            name = "".join(c if c.isascii() else "_" for c in path)[:100]
            records += pax_record(b"path", path.encode())
    if size >= 8 << 30:
        records += pax_record(b"size", b"%d" % size)
    pax = b""
    if records:
        pax = tar_block(b"x", b"", b"././@PaxHeader", len(records), 0) + records + bytes(-len(records) % 512)
    return pax + tar_block(b"0", prefix.encode(), name.encode(), 0 if size >= 8 << 30 else size, mtime)


def pax_record(key, value):
    length = next(n for n in range(1, 2000) if n == len(b"%d %s=%s\n" % (n, key, value)))
    return b"%d %s=%s\n" % (length, key, value)


def check_tar_heads():
    for entry in listed("tar-heads.json"):
        built = tar_head(entry["path"], entry["size"], entry["mtime"])
        same(f"tar head: {entry['what']}: bytes", entry["bytes"], built.hex())
        with tarfile.open(fileobj=io.BytesIO(bytes.fromhex(entry["bytes"]) + bytes(1024))) as tar:
            head = tar.next()
            got = (head.name, head.size, head.mtime, head.mode, head.uid, head.gid)
        same(f"tar head: {entry['what']}", (entry["path"], entry["size"], entry["mtime"], 0o644, 0, 0), got)


def check_package(statements):
    summary = listed("package.json")
    whole, tar_bytes, manifest_json = (read(f"package/{name}") for name in ("package.age", "package.tar", "manifest.json"))
    split = whole.index(b"\n", whole.index(b"\n--- ") + 1) + 1
    header, payload = whole[:split], whole[split:]
    same("header length", summary["age"]["header_bytes"], len(header))
    pkg = {"alg": "sha-256", "seg": SEGMENT, "hdr": sha256(header).hex(), "len": len(payload)}
    pkg["body"] = merkle(segments(payload)).hex()
    same("pkg", summary["pkg"], pkg)
    same("pkg of the dispatch", statements["statements/dispatch.note"][0]["pkg"], pkg)
    manifest = json.loads(manifest_json)
    same("manifest: canonical JSON", manifest_json, canonical(manifest))
    same("manifest: digest", summary["manifest_digest"], sha256(manifest_json).hex())
    leaves = [leaf(canonical(item)) for item in manifest["items"]]
    same("manifest: item leaves", summary["item_leaves"], [one.hex() for one in leaves])
    same("manifest: item root", summary["item_root"], merkle(leaves).hex())
    disclosed = {entry["name"]: entry["value"] for entry in listed("disclosures.json")}
    same("disclosed manifest digest", disclosed["manifest"], summary["manifest_digest"])
    same("disclosed item root", disclosed["item-root"], summary["item_root"])
    check_tar(summary, tar_bytes, manifest_json, manifest)
    check_age(summary["age"], header, payload, tar_bytes)


def check_tar(summary, tar_bytes, manifest_json, manifest):
    same("tar: length", summary["tar_bytes"], len(tar_bytes))
    with tarfile.open(fileobj=io.BytesIO(tar_bytes)) as tar:
        files = {head.name: tar.extractfile(head).read() for head in tar}
    items = [f"data/{item['path']}" for item in manifest["items"]]
    at = 1024
    for item in manifest["items"]:
        at += len(tar_head(f"data/{item['path']}", item["size"], 0))
        same(f"item {item['path']}: offset", item["offset"], at)
        at += item["size"] + -item["size"] % 512
    tags = ["bag-info.txt", "manifest-sha256.txt", "rogatory/manifest.json", "tagmanifest-sha256.txt", "rogatory/index"]
    same("tar: entries in order", ["bagit.txt", *items, *tags], list(files))
    for name in ["bagit.txt", *tags]:
        same(f"tar: {name}", read(f"package/{name.removeprefix('rogatory/')}"), files[name])
    for item in manifest["items"]:
        content = tar_bytes[item["offset"] : item["offset"] + item["size"]]
        same(f"item {item['path']}: content", files[f"data/{item['path']}"], content)
        same(f"item {item['path']}: digest", item["sha256"], sha256(content).hex())
    for name in ["manifest-sha256.txt", "tagmanifest-sha256.txt"]:
        for line in files[name].decode().splitlines():
            digest, path = line.split("  ", 1)
            same(f"{name}: {path}", digest, sha256(files[path]).hex())
    total = sum(item["size"] for item in manifest["items"])
    info = f"Bagging-Date: {manifest['created'][:10]}\nPayload-Oxum: {total}.{len(items)}\n"
    same("bag-info.txt", info.encode(), files["bag-info.txt"])
    offset = tar_bytes.index(manifest_json)
    index = f"rogatory/index/v1\noffset {offset:020}\nlength {len(manifest_json):020}\n"
    same("index", index.encode(), files["rogatory/index"])
    same("index lies 1,024 bytes before the two zero blocks", index.encode(), tar_bytes[-1536:][: len(index)])


def hkdf(salt, secret, label):
    pseudorandom = hmac.digest(salt or bytes(32), secret, "sha256")
    return hmac.digest(pseudorandom, label + b"\x01", "sha256")


def chacha20(key, nonce, text, counter=1):
    """RFC 8439 section 2.4: the cipher alone, without its tag."""

    def quarter(s, a, b, c, d):
        for x, y, z, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[x] = (s[x] + s[y]) & 0xFFFFFFFF
            mixed = s[z] ^ s[x]
            s[z] = ((mixed << turn) | (mixed >> (32 - turn))) & 0xFFFFFFFF

    out = bytearray()
    for block in range(0, len(text), 64):
        first = [*struct.unpack("<4I", b"expand 32-byte k"), *struct.unpack("<8I", key)]
        first += [counter + block // 64, *struct.unpack("<3I", nonce)]
        state = first[:]
        for _ in range(10):
            for at in range(4):
                quarter(state, at, at + 4, at + 8, at + 12)
            for at in range(4):
                quarter(state, at, 4 + (at + 1) % 4, 8 + (at + 2) % 4, 12 + (at + 3) % 4)
        stream = struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(state, first)))
        out += bytes(a ^ b for a, b in zip(text[block : block + 64], stream))
    return bytes(out)


def x25519(secret, public):
    """The shared secret, by openssl."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "key").write_bytes(bytes.fromhex("302e020100300506032b656e04220420") + secret)
        (folder / "peer").write_bytes(bytes.fromhex("302a300506032b656e032100") + public)
        arguments = ["-keyform", "DER", "-inkey", folder / "key", "-peerform", "DER", "-peerkey", folder / "peer"]
        return openssl("pkeyutl", "-derive", *arguments).stdout


def check_age(age, header, payload, tar_bytes):
    recipients = {key["authority"]: key for key in listed("age-keys.json")}
    to = recipients[age["recipient"]]
    base_point = bytes([9]) + bytes(31)
    for key in recipients.values():
        same("age key: seed", key["secret"], sha256(key["secret_is_sha256_of"].encode()).hex())
        same("age key: point", key["public"], x25519(bytes.fromhex(key["secret"]), base_point).hex())
    lines = header.decode().splitlines()
    unpadded = lambda text: base64.b64decode(text + "=" * (-len(text) % 4))
    share, wrapped = unpadded(lines[1].split(" ")[2]), unpadded(lines[2])
    shared = x25519(bytes.fromhex(to["secret"]), share)
    wrap = hkdf(share + bytes.fromhex(to["public"]), shared, b"age-encryption.org/v1/X25519")
    file_key = chacha20(wrap, bytes(12), wrapped[:16])
    same("age: file key", age["file_key"], file_key.hex())
    covered = header[: header.index(b"\n--- ") + 4]
    mac = hmac.digest(hkdf(b"", file_key, b"header"), covered, "sha256")
    same("age: MAC of the header", mac, unpadded(lines[-1].removeprefix("--- ")))
    nonce, chunk = payload[:16], payload[16:]
    same("age: nonce", age["payload_nonce"], nonce.hex())
    check("age: one chunk", len(chunk) <= 65536 + 16)
    key = hkdf(nonce, file_key, b"payload")
    plain = chacha20(key, bytes(11) + b"\x01", chunk[:-16])
    check("age: the payload is the tar", plain == tar_bytes)


def check_session(statements):
    session = listed("session.json")
    same("exporter label", "EXPORTER-rogatory-1", session["exporter_label"])
    same("session", session["ses"], sha256(bytes.fromhex(session["exporter_value"])).hex())
    same("session of consigned", session["ses"], statements["statements/consigned-2.note"][0]["ses"])


def check_negative(keys):
    """What can be seen from outside: the list is complete in form, and signatures called bad are bad."""
    for vector in listed("negative.json"):
        raw = base64.b64decode(vector["bytes"], validate=True)
        if vector["code"] == "statement-bad-signature" and b"\n\n" in raw:
            text, lines = split_note(raw)
            for name, _, signature in lines:
                good = signature_is_good(keys[name]["spki_pem"], text, signature)
                check(f"negative: {vector['what']}", not good)


def main():
    keys = check_keys()
    statements = check_statements(keys)
    check_receipts(statements)
    check_fingerprints(statements)
    check_disclosures(statements)
    check_onward(statements, keys)
    check_frames()
    check_segments()
    check_logs(keys)
    check_proofs(keys)
    check_heads(statements)
    check_tar_heads()
    check_package(statements)
    check_session(statements)
    check_negative(keys)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
