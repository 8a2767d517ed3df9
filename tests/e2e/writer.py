"""A second writer of packages, made from docs/protocol alone: Python's own tarfile, JSON and the age command.

    writer.py SOCKET PEER          sends the packages of PACKAGES from the daemon behind SOCKET to PEER, broken ones among them
                                   (whoever seals is not to be trusted, however honest the daemon); prints a line of JSON for each
"""

import copy
import hashlib
import json
import os
import subprocess
import sys
import tarfile

from api import Api

SEALED = "2026-11-23T09:00:00.000Z"
SECONDS = 1795424400
TERMS = {"instrument": "EIO", "onward": "prohibited", "purposes": ["prosecution"], "retain_until": "2031-12-31", "use_report": False}
CASE = "IE-2026-0117"
CHUNK = (64 << 10) + 16


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sha256(data):
    return hashlib.sha256(data).digest()


def root(leaves):
    """The Merkle root of RFC 6962 over these entries."""
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0])
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return sha256(b"\1" + root(leaves[:half]) + root(leaves[half:]))


def fits_ustar(path):
    if not path.isascii():
        return False
    slashes = [at for at, c in enumerate(path) if c == "/"]
    return len(path) <= 100 or any(0 < at <= 155 and 0 < len(path) - at - 1 <= 100 for at in slashes)


def head(path, size, mtime=SECONDS):
    info = tarfile.TarInfo(path)
    info.size, info.mtime, info.mode = size, mtime, 0o644
    plain = fits_ustar(path) and size < 8 << 30
    return info.tobuf(tarfile.USTAR_FORMAT if plain else tarfile.PAX_FORMAT, "utf-8", "strict")


def entry(path, content, mtime=SECONDS):
    return head(path, len(content), mtime) + content + bytes(-len(content) % 512)


class Package:
    """Entries of the tar by name, and what is said of them; `change` may break any of it before it is sealed."""

    def __init__(self, grant, items):
        self.entries = [("bagit.txt", b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n")]
        self.manifest = {"v": 1, "from": grant["from"], "to": grant["to"], "case": CASE, "created": SEALED, "terms": TERMS, "items": []}
        at = 1024
        for path, content in items:
            begins = at + len(head("data/" + path, len(content)))
            sealed = {"action": "sealed", "performer": "a second writer", "time": SEALED}
            self.manifest["items"].append({
                "path": path, "size": len(content), "offset": begins, "sha256": sha256(content).hex(),
                "salt": os.urandom(16).hex(), "media_type": "application/octet-stream", "custody": [sealed],
            })
            at = begins + len(content) + -len(content) % 512
            self.entries.append(("data/" + path, content))
        self.end = bytes(1024)
        self.disclosed = {}
        self.json = None
        self.payload = lambda payload: payload
        self.tar = lambda tar: tar

    def close(self):
        """The tag files that follow from the manifest as it stands."""
        items = self.manifest["items"]
        self.json = self.json or canonical(self.manifest)
        total = sum(item["size"] for item in items)
        info = f"Bagging-Date: {SEALED[:10]}\nPayload-Oxum: {total}.{len(items)}\n".encode()
        digests = "".join(f"{item['sha256']}  data/{item['path']}\n" for item in items).encode()
        before = sum(len(entry(*one)) for one in self.entries)
        offset = before + len(entry("x", info)) + len(entry("x", digests)) + 512
        index = f"rogatory/index/v1\noffset {offset:020}\nlength {len(self.json):020}\n".encode()
        tags = [("bag-info.txt", info), ("bagit.txt", self.entries[0][1]), ("manifest-sha256.txt", digests),
                ("rogatory/index", index), ("rogatory/manifest.json", self.json)]
        listed = "".join(f"{sha256(content).hex()}  {name}\n" for name, content in tags).encode()
        self.entries += [tags[0], tags[2], tags[4], ("tagmanifest-sha256.txt", listed), tags[3]]
        self.said = {
            "manifest": sha256(self.json).hex(),
            "item_root": root([canonical(item) for item in items]).hex() if items else "0" * 64,
            "items": len(items),
        }

    def bytes(self):
        return self.tar(b"".join(entry(*one) for one in self.entries) + self.end)


def names():
    """Names that are hard to write: the first is not ASCII, others are long, each in another way."""
    return [
        ("Žádost/Übersicht.txt", "příloha\n".encode()),
        ("日本語/" + "長" * 80 + ".csv", b"1,2\n"),
        ("n" * 95, b""),
        ("n" * 96, b"x"),
        ("p" * 150 + "/" + "n" * 100, b"y" * 511),
        ("p" * 151 + "/" + "n" * 100, b"y" * 512),
        ("/".join(["folder"] * 30) + "/x", b"z" * 513),
        ("q" * 200 + "/é/" + "r" * 200, os.urandom(200_000)),
        ("emoji \N{BAR CHART}.bin", b"\0" * 1000),
    ]


def at_entry(number, change):
    """Changes the bytes of an entry's name or content after the tag files were made."""
    def broken(package):
        package.entries[number] = change(*package.entries[number])
    return broken


def manifest(change):
    """Changes what the manifest says; the tag files follow it."""
    def broken(package):
        change(package.manifest)
    return broken


def said(**values):
    """Says something else beside the offer than the manifest does."""
    def broken(package):
        package.disclosed.update(values)
    return broken


def tar(change):
    def broken(package):
        package.tar = change
    return broken


def payload(change):
    def broken(package):
        package.payload = change
    return broken


def flip(at):
    return payload(lambda data: data[:at] + bytes([data[at] ^ 1]) + data[at + 1:])


def without_chunk(number):
    at = 16 + number * CHUNK
    return payload(lambda data: data[:at] + data[at + CHUNK:])


ITEMS = [("d/a", b"aaaa"), ("d/b", bytes(150_000)), ("d/é", b"e")]
DOUBLE = '"v":1,"v":1'
# What is done, before or after the tag files are made, and the reason that the receiver states; none is good.
PACKAGES = [
    ("names that are hard to write", None, None, None),
    ("a tar cut before its end blocks", "after", tar(lambda data: data[:-1024]), "tar"),
    ("a tar with one end block", "after", tar(lambda data: data[:-512]), "tar"),
    ("a tar cut inside an item", "after", tar(lambda data: data[:60_000]), "tar"),
    ("a tar cut inside a header", "after", tar(lambda data: data[:1_300]), "tar"),
    ("an empty tar", "after", tar(lambda data: b""), "tar"),
    ("bytes after the end", "after", tar(lambda data: data + b"x"), "tar"),
    ("a stray byte between entries", "after", tar(lambda data: data[:1_023] + b"x" + data[1_024:]), "tar"),
    ("a chunk flipped", "after", flip(16 + CHUNK + 9), "payload"),
    ("the last chunk flipped", "after", payload(lambda data: data[:-1] + bytes([data[-1] ^ 1])), "payload"),
    ("a chunk missing", "after", without_chunk(1), "payload"),
    ("the last chunk missing", "after", without_chunk(2), "payload"),
    ("an item of other bytes", "after", at_entry(1, lambda name, data: (name, b"bbbb")), "item"),
    ("an item of another name", "after", at_entry(1, lambda name, data: ("data/d/c", data)), "item"),
    ("an item outside", "after", at_entry(1, lambda name, data: ("data/../c", data)), "tar"),
    ("a file that no package has", "after", lambda package: package.entries.insert(1, ("x", b"")), "tar"),
    ("an item that is not listed", "after", lambda package: package.entries.insert(4, ("data/z", b"")), "item"),
    ("an item missing", "after", lambda package: package.entries.pop(3), "item"),
    ("no declaration", "after", lambda package: package.entries.pop(0), "tar"),
    ("another bag-info", "after", at_entry(4, lambda name, data: (name, data[:-2] + b"9\n")), "tag-file"),
    ("another list of digests", "after", at_entry(5, lambda name, data: (name, data.replace(b"a", b"b"))), "tag-file"),
    ("another manifest", "after", at_entry(6, lambda name, data: (name, data.replace(b"2026-0117", b"2026-0118"))), "manifest-digest"),
    ("another index", "after", at_entry(8, lambda name, data: (name, data.replace(b"offset 0", b"offset 1"))), "tag-file"),
    ("a manifest that is not canonical", "before", lambda package: setattr(package, "json", canonical(package.manifest) + b"\n"), "manifest"),
    ("a manifest with a field twice", "before",
     lambda package: setattr(package, "json", canonical(package.manifest).replace(b'"v":1', DOUBLE.encode())), "manifest"),
    ("a manifest without items", "before", manifest(lambda it: it["items"].clear()), "item|manifest"),
    ("an offset that is not so", "before", manifest(lambda it: it["items"][1].update(offset=512)), "manifest"),
    ("a digest that is not so", "before", manifest(lambda it: it["items"][1].update(sha256="ab" * 32)), "item"),
    ("another sender", "before", manifest(lambda it: it.update({"from": "other.example.ie"})), "manifest-parties"),
    ("other terms", "before", manifest(lambda it: it["terms"].update(purposes=["civil-claim", "prosecution"])), "manifest-terms"),
    ("another case", "before", manifest(lambda it: it.update(case="C-1")), "manifest-case"),
    ("a request that is not disclosed", "before", manifest(lambda it: it.update(request="R-1")), "manifest-request"),
    ("another item root", "after", said(item_root="0" * 64), "item-root"),
    ("another manifest digest", "after", said(manifest="0" * 64), "manifest-digest"),
]


def sealed(package, recipient):
    """The age file, its payload changed as the package has it."""
    whole = subprocess.run(["age", "-r", recipient], input=package.bytes(), capture_output=True, check=True).stdout
    split = whole.index(b"\n", whole.index(b"\n--- ") + 1) + 1
    return whole[:split] + package.payload(whole[split:])


def send(call, peer, row):
    what, when, change, code = row
    grant = call("POST", "/v1/seals", {"to": peer, "terms": TERMS, "case": CASE})
    package = copy.deepcopy(Package(grant, ITEMS if change else names()))
    if when == "before":
        change(package)
    package.close()
    if when == "after":
        change(package)
    seal = f"/v1/seals/{grant['grant']}"
    call("PUT", f"{seal}/package", sealed(package, grant["recipients"][0]))
    answer = call("POST", f"{seal}/finish", {**package.said, **package.disclosed})
    print(json.dumps({"what": what, "id": answer["id"], "code": code}), flush=True)


def main():
    path, peer = sys.argv[1:]
    for row in PACKAGES:
        send(Api(path).good, peer, row)


if __name__ == "__main__":
    main()
