"""Section 4 of the protocol, and what a card vouches for: keys, certificates and the revocation list of an authority."""

import datetime
import re

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from . import age
from .notes import AUTHORITY, Statement, read_vkey, state
from .plain import Refused, b64, demand, digest, now, stamp, unb64

FIELDS = {"age", "alias", "country", "created", "endpoints", "id", "keys", "name", "number", "tls_cas", "v"}
ENDPOINT = re.compile(r"(?:[a-z0-9.-]{1,253}|\[[0-9a-fA-F:.]{2,45}\]):[1-9][0-9]{0,4}")
INVISIBLE = re.compile("[\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
ROLES = ("card", "log", "receipts", "witness")


def write(me, number=1):
    """The card of an authority that has an id, keys, an age identity and a CA."""
    fields = {
        "v": 1, "number": number, "id": me.id, "alias": me.alias, "name": me.name, "country": me.country,
        "endpoints": [me.endpoint], "tls_cas": [b64(me.tls.ca.public_bytes(serialization.Encoding.DER))],
        "keys": {role: me.keys[role].vkey for role in ROLES}, "age": [me.identity.recipient], "created": stamp(),
    }  # fmt: skip
    return state("card", fields, me.keys["card"])


class Card:
    """What another authority says of itself."""

    def __init__(self, raw):
        self.note = Statement(raw)
        said = self.note.json
        demand(self.note.context == "card" and set(said) == FIELDS and said["v"] == 1, "card-fields")
        self.id, self.number, self.alias = said["id"], said["number"], said["alias"]
        demand(AUTHORITY.fullmatch(self.id) and self.number >= 1 and re.fullmatch(r"[a-z0-9-]{1,32}", self.alias), "card-names")
        demand(set(said["keys"]) == set(ROLES), "card-keys")
        self.keys = {role: read_vkey(text) for role, text in said["keys"].items()}
        demand(all(key.name == f"{self.id}/{role}" for role, key in self.keys.items()), "card-keys")
        demand(len({key.public for key in self.keys.values()}) == 4, "card-keys", "two are one")
        demand(len(self.note.lines) == 1 and self.note.signed_by(0, self.keys["card"]), "card-signature")
        demand(1 <= len(said["age"]) <= 4 and 1 <= len(said["tls_cas"]) <= 4 and 1 <= len(said["endpoints"]) <= 8, "card-lists")
        demand(re.fullmatch(r"[A-Z]{2}", said["country"]), "card-country")
        demand(not INVISIBLE.search(said["name"]) and 1 <= len(said["name"].encode()) <= 256, "card-name")
        for listed in (said["age"], said["tls_cas"], said["endpoints"]):
            demand(len(set(listed)) == len(listed), "card-lists", "something stands twice")
        demand(all(ENDPOINT.fullmatch(one) for one in said["endpoints"]), "card-endpoints")
        self.recipients = said["age"]
        for one in self.recipients:
            age.read_recipient(one)
        try:
            self.cas = [x509.load_der_x509_certificate(unb64(one, "card-ca")) for one in said["tls_cas"]]
        except ValueError as fault:
            raise Refused("card-ca") from fault
        host, _, port = said["endpoints"][0].rpartition(":")
        self.address = (host.strip("[]"), int(port))


def ca_id(ca):
    """Names a CA by its name and its key."""
    key = ca.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return digest(ca.subject.public_bytes() + key)


def _values(der):
    """The DER values in these bytes, one after the other."""
    while der:
        demand(len(der) >= 2, "crl-bytes")
        head, length = 2, der[1]
        if length & 0x80:
            head += length & 0x7F
            length = int.from_bytes(der[2:head], "big")
        demand(head <= 6 and head + length <= len(der), "crl-bytes")
        yield der[: head + length]
        der = der[head + length :]


def read_crl(raw, card):
    """A revocation list, if a CA of the card or one below it, whose certificate comes with it, signed it; that CA; its number."""
    first, *rest = _values(raw)
    crl = x509.load_der_x509_crl(first)
    path = [x509.load_der_x509_certificate(one) for one in rest]
    demand(len(path) <= 3 and not any(one in card.cas for one in path), "crl-path")
    tops = [ca for ca in card.cas if ca.subject == (path[-1] if path else crl).issuer]
    signers = path[:1] or tops
    signer = next((ca for ca in signers if ca.subject == crl.issuer and crl.is_signature_valid(ca.public_key())), None)
    demand(signer is not None, "crl-signature")
    for at, below in enumerate(path):
        demand(any(_issued(below, ca) for ca in path[at + 1 : at + 2] or tops), "crl-path")
    return crl, ca_id(signer), crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def _issued(certificate, ca):
    try:
        certificate.verify_directly_issued_by(ca)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _names(certificate):
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return extension.value.get_values_for_type(x509.DNSName)


def check_chain(chain, card, crl, use):
    """Refuses a certificate chain that does not lead from the authority's name to a CA of its card."""
    demand(1 <= len(chain) <= 4, "tls-chain")
    leaf = chain[0]
    demand(_names(leaf) == [card.id], "tls-name")
    at = leaf
    for above in [*chain[1:], *(ca for ca in card.cas if ca.subject == chain[-1].issuer)][: len(chain)]:
        demand(at.not_valid_before_utc <= now() <= at.not_valid_after_utc, "tls-time")
        try:
            at.verify_directly_issued_by(above)
        except (InvalidSignature, ValueError, TypeError) as fault:
            demand(False, "tls-chain", type(fault).__name__)
        at = above
    demand(any(at == ca for ca in card.cas), "tls-chain", "no CA of the card")
    demand(use in leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value, "tls-use")
    demand(crl is not None and crl.next_update_utc > now() and crl.issuer == leaf.issuer, "tls-crl")
    demand(crl.get_revoked_certificate_by_serial_number(leaf.serial_number) is None, "tls-revoked")


def _pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _builder(subject, issuer, key, days):
    """What every certificate made here has."""
    start = now() - datetime.timedelta(hours=1)
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in (subject, issuer)]
    built = x509.CertificateBuilder().subject_name(names[0]).issuer_name(names[1]).public_key(key.public_key())
    return built.serial_number(x509.random_serial_number()).not_valid_before(start).not_valid_after(start + datetime.timedelta(days=days))


def _usage(**given):
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign",
        "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: given.get(name, False) for name in names})


def make_ca(name):
    """A CA's key and its certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    built = _builder(f"{name} CA", f"{name} CA", key, 3650).add_extension(x509.BasicConstraints(True, None), True)
    built = built.add_extension(_usage(key_cert_sign=True, crl_sign=True), True)
    built = built.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    return key, built.sign(key, hashes.SHA256())


def make_leaf(name, ca_key):
    """The key and certificate of an authority's daemon."""
    key = ec.generate_private_key(ec.SECP256R1())
    built = _builder(name, f"{name} CA", key, 90).add_extension(x509.BasicConstraints(False, None), True)
    built = built.add_extension(_usage(digital_signature=True), True)
    built = built.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), False)
    both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    built = built.add_extension(both, False)
    built = built.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), False)
    return key, built.sign(ca_key, hashes.SHA256())


def make_crl(name, ca_key, number=1, revoked=()):
    """A revocation list, DER."""
    start = now() - datetime.timedelta(hours=1)
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} CA")])
    built = x509.CertificateRevocationListBuilder().issuer_name(issuer).last_update(start)
    built = built.next_update(start + datetime.timedelta(days=30)).add_extension(x509.CRLNumber(number), False)
    built = built.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), False)
    for serial in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(start).build()
        built = built.add_revoked_certificate(entry)
    return built.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


class Tls:
    """Keys, certificates and revocation list of this authority, kept in a folder."""

    def __init__(self, folder, name):
        if not (folder / "tls.pem").exists():
            self._make(folder, name)
        self.ca = x509.load_pem_x509_certificate((folder / "tls-ca.pem").read_bytes())
        self.ca_key = serialization.load_pem_private_key((folder / "tls-ca.key").read_bytes(), None)
        self.leaf = x509.load_pem_x509_certificate((folder / "tls.pem").read_bytes())
        self.key = serialization.load_pem_private_key((folder / "tls.key").read_bytes(), None)
        self.crl = (folder / "crl").read_bytes()
        listed = x509.load_der_x509_crl(self.crl).extensions
        self.crl_number = listed.get_extension_for_class(x509.CRLNumber).value.crl_number
        self.folder, self.name = folder, name

    @property
    def lists(self):
        """The revocation lists as `hello` names them."""
        return [{"ca": ca_id(self.ca), "number": self.crl_number}]

    def renew(self):
        """A new certificate, and a list with the old one on it; the old one and its key stay in files of their own."""
        for file in ("tls.pem", "tls.key"):
            (self.folder / f"revoked-{file}").write_bytes((self.folder / file).read_bytes())
        key, leaf = make_leaf(self.name, self.ca_key)
        (self.folder / "tls.key").write_bytes(_pem(key))
        (self.folder / "tls.pem").write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
        crl = make_crl(self.name, self.ca_key, self.crl_number + 1, [self.leaf.serial_number])
        (self.folder / "crl").write_bytes(crl)
        return Tls(self.folder, self.name)

    @staticmethod
    def _make(folder, name):
        ca_key, ca = make_ca(name)
        key, leaf = make_leaf(name, ca_key)
        parts = {"tls-ca.key": _pem(ca_key), "tls.key": _pem(key), "crl": make_crl(name, ca_key)}
        parts |= {"tls-ca.pem": ca.public_bytes(serialization.Encoding.PEM), "tls.pem": leaf.public_bytes(serialization.Encoding.PEM)}
        for file, content in parts.items():
            (folder / file).write_bytes(content)
