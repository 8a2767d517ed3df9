"""Sections 2 and 3 of the protocol: keys, signed notes, statements, checkpoints and cosignatures."""

import hashlib
import re
import struct

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from .plain import WHOLE, Refused, b64, canonical, demand, digest, read_canonical, sha256, unb64

SIGNED, COSIGNED = 1, 4
FIELD = (1 << 255) - 19
ORDER = (1 << 252) + 27742317777372353535851937790883648493
CURVE = -121665 * pow(121666, FIELD - 2, FIELD) % FIELD
LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
LAST = rf"(?=[a-z]){LABEL}"
AUTHORITY = re.compile(rf"(?:{LABEL}\.)+{LAST}")
NAME = re.compile(rf"(?:{LABEL}\.)+{LAST}/(?:receipts|log|witness|card)")
SMALL = [
    0,
    1,
    FIELD - 1,
    2707385501144840649318225287225658788936804267575313519463743609750303402022,
    55188659117513257062467267217118295137698188065244968500265048394206261417927,
]


def _on_curve(height):
    """Whether some point of edwards25519 has this y (RFC 8032 section 5.1.3)."""
    square = height * height % FIELD
    below = (-121665 * pow(121666, FIELD - 2, FIELD) * square + 1) % FIELD
    value = (square - 1) * pow(below, FIELD - 2, FIELD) % FIELD
    return value == 0 or pow(value, (FIELD - 1) // 2, FIELD) == 1


def _double(point):
    """Twice a point in extended coordinates (RFC 8032 section 5.1.4)."""
    x, y, z, _ = point
    a, b, c = x * x, y * y, 2 * z * z
    h, g = a + b, a - b
    e, f = h - (x + y) ** 2, c + g
    return e * f % FIELD, g * h % FIELD, f * g % FIELD, e * h % FIELD


def _add(one, other):
    """The sum of two points in extended coordinates (RFC 8032 section 5.1.4)."""
    a = (one[1] - one[0]) * (other[1] - other[0])
    b = (one[1] + one[0]) * (other[1] + other[0])
    c, d = one[3] * 2 * CURVE * other[3], one[2] * 2 * other[2]
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % FIELD, g * h % FIELD, f * g % FIELD, e * h % FIELD


def _of_prime_order(height):
    """Whether ORDER times a point with this y is the neutral element: no point of small order is mixed in."""
    square = (height * height - 1) * pow(CURVE * height * height + 1, FIELD - 2, FIELD) % FIELD
    x = pow(square, (FIELD + 3) // 8, FIELD)
    if x * x % FIELD != square:
        x = x * pow(2, (FIELD - 1) // 4, FIELD) % FIELD
    point, product = (x, height, 1, x * height % FIELD), (0, 1, 1, 0)
    for bit in f"{ORDER:b}":
        product = _double(product)
        if bit == "1":
            product = _add(product, point)
    return product[0] == 0 and product[1] == product[2]


def key_id(name, public, kind=SIGNED):
    """The four bytes by which a signature names its key."""
    return sha256(name.encode() + b"\n" + bytes([kind]) + public)[:4]


class Verifier:
    """A public key with its name."""

    def __init__(self, name, public):
        demand(NAME.fullmatch(name) and len(name) <= 262, "key-name", name)
        height = int.from_bytes(public, "little") & ((1 << 255) - 1)
        demand(len(public) == 32 and height < FIELD and height not in SMALL and _on_curve(height), "key-weak", name)
        demand(_of_prime_order(height), "key-mixed-order", name)
        self.name, self.public = name, public
        self.id = key_id(name, public)

    @property
    def vkey(self):
        """The key as cards and auditors write it."""
        return f"{self.name}+{self.id.hex()}+{b64(bytes([SIGNED]) + self.public)}"

    def good(self, signature, text):
        """Whether this key made this signature."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except InvalidSignature:
            return False
        height = int.from_bytes(signature[:32], "little") & ((1 << 255) - 1)
        return height < FIELD and height not in SMALL


def read_vkey(text):
    """A key from its written form."""
    parts = text.split("+", 2)
    demand(len(parts) == 3, "vkey")
    blob = unb64(parts[2], "vkey")
    demand(len(blob) == 33 and blob[0] == SIGNED, "vkey")
    key = Verifier(parts[0], blob[1:])
    demand(key.id.hex() == parts[1], "vkey", "its id is another")
    return key


class Signer(Verifier):
    """A secret key with its name."""

    def __init__(self, name, seed):
        self.seed = seed
        self.secret = Ed25519PrivateKey.from_private_bytes(seed)
        super().__init__(name, self.secret.public_key().public_bytes_raw())

    def line(self, text):
        """The signature line over a text."""
        return f"— {self.name} {b64(self.id + self.secret.sign(text))}\n".encode()

    def cosign(self, text, seconds):
        """The line of a witness over a checkpoint's text."""
        signature = self.secret.sign(f"cosignature/v1\ntime {seconds}\n".encode() + text)
        blob = key_id(self.name, self.public, COSIGNED) + struct.pack(">Q", seconds) + signature
        return f"— {self.name} {b64(blob)}\n".encode()


def read_line(line, lengths=(64,)):
    """Name, key id and signature of one signature line without its newline."""
    parts = line.split(" ")
    demand(len(parts) == 3 and parts[0] == "—", "signature-line")
    demand(NAME.fullmatch(parts[1]), "signature-line", "name")
    blob = unb64(parts[2], "signature-line")
    demand(len(blob) - 4 in lengths, "signature-line", "length")
    return parts[1], blob[:4], blob[4:]


class Note:
    """A signed note: the bytes as they came, taken apart by the rules of section 3."""

    def __init__(self, raw, lines_of_text=2, lengths=(64,), signatures=8):
        demand(len(raw) <= 16384, "note-too-long")
        try:
            whole = raw.decode()
        except UnicodeDecodeError as fault:
            raise Refused("note-not-utf8") from fault
        demand(not re.search(r"[\x00-\x09\x0b-\x1f]", whole), "note-control-character")
        demand(whole.endswith("\n"), "note-end")
        text, gap, rest = whole.rpartition("\n\n")
        demand(gap and text.count("\n") == lines_of_text - 1 and rest, "note-lines")
        self.raw, self.text = raw, (text + "\n").encode()
        self.lines = [read_line(line, lengths) for line in rest[:-1].split("\n")]
        demand(1 <= len(self.lines) <= signatures, "note-signatures")
        demand(len({(name, key) for name, key, _ in self.lines}) == len(self.lines), "note-signed-twice")

    @property
    def digest(self):
        """The text digest: the same when a signature is added."""
        return digest(self.text)

    @property
    def first(self):
        """The same note with its first signature alone."""
        end = self.raw.index(b"\n", len(self.text) + 1) + 1
        return self.raw[:end]

    def signed_by(self, place, key):
        """Whether the signature line there is good and by this key."""
        if place >= len(self.lines):
            return False
        name, used, signature = self.lines[place]
        return (name, used) == (key.name, key.id) and key.good(signature[-64:], self.text)


class Statement(Note):
    """A note whose second line is canonical JSON."""

    def __init__(self, raw):
        super().__init__(raw)
        head, line = self.text.decode().split("\n")[:2]
        found = re.fullmatch(r"rogatory/(receipt|card|request|consent|key|log)/v1", head)
        demand(found, "statement-context", head[:40])
        self.context, self.json = found[1], read_canonical(line.encode())
        demand(isinstance(self.json, dict), "statement-not-an-object")


def state(context, fields, key):
    """A new statement with the issuer's signature."""
    text = f"rogatory/{context}/v1\n".encode() + canonical(fields) + b"\n"
    return Statement(text + b"\n" + key.line(text))


def countersign(note, key):
    """The same statement with one more signature."""
    return Statement(note.raw + key.line(note.text))


class Checkpoint(Note):
    """The signed head of a log."""

    def __init__(self, raw):
        super().__init__(raw, 3, (64, 72), 64)
        origin, size, top = self.text.decode().split("\n")[:3]
        demand(NAME.fullmatch(origin) and origin.endswith("/log"), "checkpoint-origin")
        demand(re.fullmatch(r"0|[1-9][0-9]{0,15}", size) and int(size) <= WHOLE, "checkpoint-size")
        self.origin, self.size, self.root = origin, int(size), unb64(top, "checkpoint-root")
        demand(len(self.root) == 32, "checkpoint-root")

    @property
    def head(self):
        """As it stands in `heads` of a receipt."""
        return {"origin": self.origin, "root": self.root.hex(), "size": self.size}


def sign_checkpoint(key, size, top):
    """A checkpoint of the log whose key this is."""
    text = f"{key.name}\n{size}\n{b64(top)}\n".encode()
    return Checkpoint(text + b"\n" + key.line(text))


def check_cosignature(line, checkpoint, witness):
    """The time of a witness's line over a checkpoint, if the line is good."""
    demand(line.endswith(b"\n"), "cosignature")
    name, used, blob = read_line(line[:-1].decode(), (72,))
    demand((name, used) == (witness.name, key_id(witness.name, witness.public, COSIGNED)), "cosignature-key")
    seconds = struct.unpack(">Q", blob[:8])[0]
    text = f"cosignature/v1\ntime {seconds}\n".encode() + checkpoint.text
    demand(witness.good(blob[8:], text), "cosignature")
    return seconds


def fingerprint(note, words):
    """The first 66 bits of the text digest as six words."""
    bits = int.from_bytes(hashlib.sha256(note.text).digest(), "big") >> (256 - 66)
    return "-".join(words[(bits >> (55 - 11 * place)) & 0x7FF] for place in range(6))
