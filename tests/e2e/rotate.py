"""Gives an authority a new receipts key and the card that names it, by hand: rotate.py HOME ALIAS [FIELD=VALUE…]

The key that was in use stays beside it as receipts.key.N, N being the number of the card that names it. A FIELD sets
something else on the card, `number=2` for example; `ca=FILE` adds a CA, whose certificate is in this PEM; `keep` leaves the receipts key as it is; `to=FILE` writes the card there and
changes nothing else.
"""

import base64
import hashlib
import json
import os
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def raw(key):
    """The 32 bytes of the public key."""
    return key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def key_id(name, key):
    """The key id of a signed note (C2SP signed-note): 4 bytes."""
    return hashlib.sha256(name.encode() + b"\n\x01" + raw(key)).digest()[:4]


def vkey(name, key):
    """The verifier key of a signed note."""
    blob = base64.b64encode(b"\x01" + raw(key)).decode()
    return f"{name}+{key_id(name, key).hex()}+{blob}"


def signed(card, key):
    """The card as a signed note."""
    line = json.dumps(card, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    text = f"rogatory/card/v1\n{line}\n".encode()
    name = f"{card['id']}/card"
    blob = base64.b64encode(key_id(name, key) + key.sign(text)).decode()
    return text + f"\n— {name} {blob}\n".encode()


def main(home, alias, *fields):
    home = Path(home)
    path, keys = home / f"{alias}.card", home / "keys"
    card = json.loads(path.read_text().splitlines()[1])
    card_key = serialization.load_pem_private_key((keys / "card.key").read_bytes(), None)
    fields = list(fields)
    target, keep = path, "keep" in fields
    earlier = card["number"]
    card["number"] += 1
    for field in fields:
        name, _, value = field.partition("=")
        if name == "to":
            target, keep = Path(value), True
        elif name == "number":
            card[name] = int(value)
        elif name == "ca":
            der = x509.load_pem_x509_certificate(Path(value).read_bytes()).public_bytes(serialization.Encoding.DER)
            card["tls_cas"].append(base64.b64encode(der).decode())
        elif name != "keep":
            card[name] = value
    if not keep:
        new = Ed25519PrivateKey.generate()
        card["keys"]["receipts"] = vkey(f"{card['id']}/receipts", new)
        in_use = keys / "receipts.key"
        in_use.rename(keys / f"receipts.key.{earlier}")
        pem = new.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        with open(os.open(in_use, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
    target.write_bytes(signed(card, card_key))


main(*sys.argv[1:])
