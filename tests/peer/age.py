"""age v1 files for X25519 recipients (C2SP age), as section 5.3 of the protocol restricts them."""

import base64
import hmac
import os
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .plain import Refused, demand

CHUNK = 1 << 16
LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def _checksum(values):
    """The polynomial of Bech32."""
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, part in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= part if top >> bit & 1 else 0
    return check


def _regroup(values, old, new, pad):
    """The same bits in groups of another length."""
    bits = "".join(format(value, f"0{old}b") for value in values)
    if pad:
        bits += "0" * (-len(bits) % new)
    return [int(bits[at : at + new], 2) for at in range(0, len(bits) - new + 1, new)], bits[len(bits) // new * new :]


def bech32(prefix, data):
    """Data as Bech32 with a prefix."""
    spread = [ord(letter) >> 5 for letter in prefix] + [0] + [ord(letter) & 31 for letter in prefix]
    values = _regroup(data, 8, 5, True)[0]
    check = _checksum(spread + values + [0] * 6) ^ 1
    values += [check >> 5 * (5 - at) & 31 for at in range(6)]
    return prefix + "1" + "".join(LETTERS[value] for value in values)


def read_recipient(text):
    """The public key of a recipient."""
    prefix, _, rest = text.rpartition("1")
    demand(prefix == "age" and len(rest) == 58 and all(letter in LETTERS for letter in rest), "age-recipient")
    data, left = _regroup([LETTERS.index(letter) for letter in rest[:-6]], 5, 8, False)
    demand("1" not in left and bech32("age", data) == text, "age-recipient")
    return bytes(data)


class Identity:
    """A secret age key."""

    def __init__(self, seed):
        self.seed, self.secret = seed, X25519PrivateKey.from_private_bytes(seed)
        self.public = self.secret.public_key().public_bytes_raw()

    @property
    def recipient(self):
        """The public key as cards have it."""
        return bech32("age", self.public)

    @property
    def text(self):
        """The secret key as the age program reads it."""
        return bech32("age-secret-key-", self.seed).upper()


def _hkdf(salt, secret, label):
    return HKDF(hashes.SHA256(), 32, salt, label).derive(secret)


def _short(data):
    """Base64 without padding, as age headers have it."""
    return base64.b64encode(data).rstrip(b"=").decode()


def _unshort(text):
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError as fault:
        raise Refused("header", "base64") from fault
    demand(_short(data) == text, "header", "base64")
    return data


def _stanza(public, file_key):
    """The file key, wrapped for one recipient."""
    once = X25519PrivateKey.generate()
    share = once.public_key().public_bytes_raw()
    shared = once.exchange(X25519PublicKey.from_public_bytes(public))
    wrap = _hkdf(share + public, shared, b"age-encryption.org/v1/X25519")
    return f"-> X25519 {_short(share)}\n{_short(ChaCha20Poly1305(wrap).encrypt(bytes(12), file_key, None))}\n"


def _mac(file_key, covered):
    return hmac.digest(_hkdf(None, file_key, b"header"), covered, "sha256")


def make_header(file_key, recipients, grease=""):
    """A header with one stanza for each recipient, and after them what is told: a stanza that means nothing."""
    head = "age-encryption.org/v1\n" + "".join(_stanza(read_recipient(one), file_key) for one in recipients) + grease + "---"
    return f"{head} {_short(_mac(file_key, head.encode()))}\n".encode()


def make_long_header(file_key, recipients):
    """A header that is almost as long as may be."""
    return make_header(file_key, recipients, "-> x-grease\n" + ("A" * 64 + "\n") * 240 + "AAAA\n")


def read_header(raw, recipients):
    """The stanzas of a header and its MAC; there must be one for each recipient, at most one of grease, and no other."""
    demand(len(raw) <= 16384 and raw.endswith(b"\n"), "header", "length")
    try:
        lines = raw.decode("ascii").split("\n")[:-1]
    except UnicodeDecodeError as fault:
        raise Refused("header", "not ASCII") from fault
    demand(lines[0] == "age-encryption.org/v1" and lines[-1].startswith("--- "), "header", "first or last line")
    stanzas = []
    for line in lines[1:-1]:
        if line.startswith("-> "):
            stanzas.append((line.split(" ")[1:], []))
        else:
            demand(stanzas, "header", "a body without a stanza")
            stanzas[-1][1].append(line)
    ours = [(words[1], "".join(body)) for words, body in stanzas if words[0] == "X25519" and len(words) == 2]
    grease = [words for words, _ in stanzas if words[0].endswith("-grease")]
    demand(len(ours) == recipients and len(ours) + len(grease) == len(stanzas) and len(grease) <= 1, "header", "stanzas")
    wrapped, mac = [(_unshort(share), _unshort(body)) for share, body in ours], _unshort(lines[-1][4:])
    demand(len(mac) == 32 and all((len(share), len(body)) == (32, 32) for share, body in wrapped), "header", "lengths")
    return wrapped, mac


def open_header(raw, identity, recipients=1):
    """The file key, if the header is for this identity and its MAC is right."""
    stanzas, mac = read_header(raw, recipients)
    for share, body in stanzas:
        shared = identity.secret.exchange(X25519PublicKey.from_public_bytes(share))
        wrap = _hkdf(share + identity.public, shared, b"age-encryption.org/v1/X25519")
        try:
            file_key = ChaCha20Poly1305(wrap).decrypt(bytes(12), body, None)
        except InvalidTag:
            continue
        demand(hmac.compare_digest(mac, _mac(file_key, raw[: raw.rindex(b"\n--- ") + 4])), "header", "MAC")
        return file_key
    raise Refused("header", "no stanza is for this identity")


def _nonce(place, last):
    return struct.pack(">3xQ?", place, last)


def seal(plain, recipients, header=make_header):
    """Header and payload of a new file, and its file key."""
    file_key, nonce = os.urandom(16), os.urandom(16)
    cipher = ChaCha20Poly1305(_hkdf(nonce, file_key, b"payload"))
    starts = range(0, max(len(plain), 1), CHUNK)
    chunks = [cipher.encrypt(_nonce(at // CHUNK, at == starts[-1]), plain[at : at + CHUNK], None) for at in starts]
    return header(file_key, recipients), nonce + b"".join(chunks), file_key


def unseal(payload, file_key):
    """The plaintext of a payload."""
    cipher = ChaCha20Poly1305(_hkdf(payload[:16], file_key, b"payload"))
    starts = range(16, len(payload), CHUNK + 16)
    demand(len(starts), "payload", "no chunk")
    try:
        chunks = [cipher.decrypt(_nonce(at // (CHUNK + 16), at == starts[-1]), payload[at : at + CHUNK + 16], None) for at in starts]
    except InvalidTag as fault:
        raise Refused("payload", "a chunk does not decrypt") from fault
    demand(len(chunks) == 1 or chunks[-1], "payload", "an empty last chunk")
    return b"".join(chunks)


def split(raw):
    """Header and payload of a whole file."""
    end = raw.index(b"\n", raw.index(b"\n--- ") + 1) + 1
    return raw[:end], raw[end:]


def first_chunk(payload, file_key):
    """Refuses a payload whose first chunk the key does not open."""
    chunk = payload[16 : 16 + CHUNK + 16]
    cipher = ChaCha20Poly1305(_hkdf(payload[:16], file_key, b"payload"))
    try:
        cipher.decrypt(_nonce(0, len(payload) <= 16 + CHUNK + 16), chunk, None)
    except InvalidTag as fault:
        raise Refused("payload", "the first chunk does not decrypt") from fault
