"""Sections 5.1 and 5.2 of the protocol: the tar of a BagIt bag with its manifest, written and judged."""

import io
import os
import tarfile

from . import merkle
from .plain import canonical, demand, digest, read_canonical, read_stamp, stamp

BIG = 8 << 30


def _block(kind, prefix, name, size, seconds):
    """One header of 512 bytes."""
    fields = [
        (name, 100), (b"0000644", 8), (b"0000000", 8), (b"0000000", 8), (b"%011o" % size, 12), (b"%011o" % seconds, 12),
        (b" " * 8, 8), (kind, 1), (b"", 100), (b"ustar\x0000", 8), (b"", 64), (b"0000000", 8), (b"0000000", 8),
        (prefix, 155), (b"", 12),
    ]  # fmt: skip
    block = b"".join(value.ljust(length, b"\0") for value, length in fields)
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _record(key, value):
    """A pax record, whose length counts itself."""
    bare = len(key) + len(value) + 3
    length = bare + len(str(bare))
    length += len(str(length)) - len(str(bare))
    return b"%d %s=%s\n" % (length, key, value)


def _parts(path):
    """Prefix and name of a path, and whether a header can hold it."""
    if path.isascii() and len(path) <= 100:
        return "", path, True
    for at, letter in enumerate(path):
        if path.isascii() and letter == "/" and 1 <= at <= 155 and 1 <= len(path) - at - 1 <= 100:
            return path[:at], path[at + 1 :], True
    return "", "".join(letter if letter.isascii() else "_" for letter in path)[:100], False


def head(path, size, seconds):
    """All that stands before the content of an entry."""
    prefix, name, fits = _parts(path)
    records = b"" if fits else _record(b"path", path.encode())
    if size >= BIG:
        records += _record(b"size", b"%d" % size)
    pax = b""
    if records:
        pax = _block(b"x", b"", b"././@PaxHeader", len(records), 0) + records + bytes(-len(records) % 512)
    return pax + _block(b"0", prefix.encode(), name.encode(), 0 if size >= BIG else size, seconds)


def _tags(manifest, raw):
    """The tag files that follow from a manifest, in the order of the tar, without the index."""
    items = manifest["items"]
    total = sum(item["size"] for item in items)
    info = f"Bagging-Date: {manifest['created'][:10]}\nPayload-Oxum: {total}.{len(items)}\n"
    listed = "".join(f"{item['sha256']}  data/{item['path']}\n" for item in items)
    return {
        "bagit.txt": b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n",
        "bag-info.txt": info.encode(),
        "manifest-sha256.txt": listed.encode(),
        "rogatory/manifest.json": raw,
    }


def _item(path, content, offset, performer, created):
    """What the manifest says of one file."""
    return {
        "path": path, "size": len(content), "offset": offset, "sha256": digest(content), "salt": os.urandom(16).hex(),
        "media_type": "application/octet-stream",
        "custody": [{"action": "sealed", "performer": performer, "time": created}],
    }  # fmt: skip


class _Tar:
    """A tar that grows."""

    def __init__(self, seconds):
        self.parts, self.length, self.seconds = [], 0, seconds

    def add(self, path, content):
        """Appends a file; the result is where its content begins."""
        start = head(path, len(content), self.seconds)
        offset = self.length + len(start)
        for part in (start, content, bytes(-len(content) % 512)):
            self.parts.append(part)
            self.length += len(part)
        return offset


def write(files, about, performer):
    """The tar of some files with `about` (from, to, case, terms …), its manifest, and the manifest's bytes."""
    created = stamp()
    tar = _Tar(int(read_stamp(created).timestamp()))
    manifest = {"v": 1, "created": created, **about, "items": []}
    tar.add("bagit.txt", _tags(manifest, b"")["bagit.txt"])
    for path, content in files.items():
        offset = tar.add(f"data/{path}", content)
        manifest["items"].append(_item(path, content, offset, performer, created))
    raw = canonical(manifest)
    tags = _tags(manifest, raw)
    for name in ("bag-info.txt", "manifest-sha256.txt"):
        tar.add(name, tags[name])
    tags["rogatory/index"] = _index(tar.add("rogatory/manifest.json", raw), len(raw))
    tar.add("tagmanifest-sha256.txt", _tag_manifest(tags))
    tar.add("rogatory/index", tags["rogatory/index"])
    return b"".join(tar.parts) + bytes(1024), manifest, raw


def _index(offset, length):
    return f"rogatory/index/v1\noffset {offset:020}\nlength {length:020}\n".encode()


def _tag_manifest(tags):
    names = ("bag-info.txt", "bagit.txt", "manifest-sha256.txt", "rogatory/index", "rogatory/manifest.json")
    return "".join(f"{digest(tags[name])}  {name}\n" for name in names).encode()


def item_root(manifest):
    """The Merkle root over the items."""
    return merkle.root([merkle.leaf(canonical(item)) for item in manifest["items"]]).hex()


def _same_head(built, found):
    """Whether a header is the one that follows from path and size, but for the time, which no rule compares."""
    at = len(built) - 512
    known = built[:at] + built[at : at + 136] + found[at + 136 : at + 148]
    rest = known + b" " * 8 + built[at + 156 :]
    total = sum(rest[at:])
    return found == known + b"%06o\0 " % total + built[at + 156 :]


def _find_manifest(tar):
    """The manifest, found from the end of a tar."""
    demand(len(tar) % 512 == 0 and tar[-1024:] == bytes(1024), "tar", "its end")
    index = tar[-1536:-1462].decode("ascii", "replace").split("\n")
    demand(len(index) == 4 and index[0] == "rogatory/index/v1", "tag-file", "index")
    offset, length = (int(line.split(" ")[1]) for line in index[1:3])
    raw = tar[offset : offset + length]
    return read_canonical(raw), raw, offset


def read(tar):
    """The manifest, its bytes and the contents by path of a tar that follows from the manifest byte for byte."""
    manifest, raw, offset = _find_manifest(tar)
    tags = _tags(manifest, raw)
    tags["rogatory/index"] = _index(offset, len(raw))
    tags["tagmanifest-sha256.txt"] = _tag_manifest(tags)
    at, files = 0, {}

    def entry(path, size, code):
        nonlocal at
        built = head(path, size, 0)
        demand(_same_head(built, tar[at : at + len(built)]), "tar", f"the head of {path}")
        start = at + len(built)
        at = start + size + -size % 512
        demand(not any(tar[start + size : at]), "tar", f"the padding of {path}")
        return start, tar[start : start + size]

    def tag(name):
        demand(entry(name, len(tags[name]), "tag-file")[1] == tags[name], "tag-file", name)

    tag("bagit.txt")
    for item in manifest["items"]:
        start, content = entry(f"data/{item['path']}", item["size"], "item")
        demand((start, digest(content)) == (item["offset"], item["sha256"]), "item", item["path"])
        files[item["path"]] = content
    for name in ("bag-info.txt", "manifest-sha256.txt", "rogatory/manifest.json", "tagmanifest-sha256.txt", "rogatory/index"):
        tag(name)
    demand(at + 1024 == len(tar), "tar", "something stands after the end")
    return manifest, raw, files


def unpack(tar, folder):
    """Writes a bag to a folder, as any tar would."""
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
        opened.extractall(folder, filter="data")
