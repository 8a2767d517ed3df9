"""X25519MLKEM768 for aioquic, which has only X25519: the shares and secrets of both, ML-KEM first, as one group of TLS 1.3.

A client's share is the ML-KEM key (1,184 bytes) and the X25519 key (32); a server's is the ciphertext (1,088) and its X25519 key.
"""

import contextlib
import enum
import types

from aioquic import tls
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey

KEY, CIPHERTEXT, CURVE = 1184, 1088, 32


class Group(enum.IntEnum):
    """What aioquic takes for X25519 is both."""

    SECP256R1 = 0x0017
    SECP384R1 = 0x0018
    SECP521R1 = 0x0019
    X25519 = 0x11EC
    X448 = 0x001E
    GREASE = 0xAAAA


class Share:
    """What one side sends."""

    def __init__(self, raw):
        self.raw = raw

    @staticmethod
    def from_public_bytes(raw):
        """A share as it came."""
        if len(raw) not in (KEY + CURVE, CIPHERTEXT + CURVE):
            raise ValueError("the length of a share")
        return Share(raw)

    def public_bytes(self, *_):
        """A share as it goes."""
        return self.raw


class Secret:
    """What one side keeps."""

    def __init__(self):
        self.kem, self.curve = MLKEM768PrivateKey.generate(), x25519.X25519PrivateKey.generate()
        self.share = Share(self.kem.public_key().public_bytes_raw() + self.curve.public_key().public_bytes_raw())

    generate = classmethod(lambda kind: kind())

    def public_key(self):
        """The share; a server's is known only after `exchange`."""
        return self.share

    def exchange(self, other):
        """The shared secret of both kinds."""
        kem, curve = other.raw[:-CURVE], other.raw[-CURVE:]
        if len(kem) == KEY:
            secret, ciphertext = MLKEM768PublicKey.from_public_bytes(kem).encapsulate()
            self.share.raw = ciphertext + self.curve.public_key().public_bytes_raw()
        else:
            secret = self.kem.decapsulate(kem)
        return secret + self.curve.exchange(x25519.X25519PublicKey.from_public_bytes(curve))


CLASSIC = (tls.Group, tls.x25519)
HYBRID = (Group, types.SimpleNamespace(X25519PublicKey=Share, X25519PrivateKey=Secret))


def use(kind):
    """Has aioquic exchange keys in this way from now on."""
    tls.Group, tls.x25519 = kind


@contextlib.contextmanager
def classic():
    """X25519 alone, for a while."""
    use(CLASSIC)
    try:
        yield
    finally:
        use(HYBRID)
