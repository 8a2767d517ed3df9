"""Section 1 of the protocol: hashes, canonical JSON, time, base64; and the one exception that refuses something."""

import base64
import datetime
import hashlib
import json
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
WHOLE = (1 << 53) - 1
NESTING = 16


class Refused(Exception):
    """The other side broke a rule. The code is the word that names the rule."""

    def __init__(self, code, text=""):
        super().__init__(f"{code}: {text}" if text else code)
        self.code, self.text = code, text


def demand(holds, code, text=""):
    """Refuses unless it holds."""
    if not holds:
        raise Refused(code, text)


def sha256(data):
    """The hash of the protocol, raw."""
    return hashlib.sha256(data).digest()


def digest(data):
    """The hash as it stands in JSON."""
    return sha256(data).hex()


def _plain(value, depth=1):
    """Whether a value may stand in canonical JSON: no fraction, no null, no large integer, not too deep."""
    demand(depth <= NESTING or not isinstance(value, (dict, list)), "json-too-deep")
    if isinstance(value, dict):
        for key, inner in value.items():
            demand(isinstance(key, str), "json-key")
            _plain(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _plain(inner, depth + 1)
    elif isinstance(value, int):
        demand(-WHOLE <= value <= WHOLE, "json-integer")
    else:
        demand(isinstance(value, str), "json-type", type(value).__name__)


def _ordered(value):
    """The same value with its keys in the order of RFC 8785: by their UTF-16 code units."""
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))}
    return [_ordered(inner) for inner in value] if isinstance(value, list) else value


def canonical(value):
    """The one spelling of a value."""
    _plain(value)
    return json.dumps(_ordered(value), separators=(",", ":"), ensure_ascii=False).encode()


def read_canonical(raw):
    """The value of bytes that are its one spelling; others are refused."""
    try:
        value = json.loads(raw.decode())
        demand(canonical(value) == raw, "json-not-canonical")
    except (ValueError, RecursionError) as fault:
        raise Refused("json-malformed", type(fault).__name__) from fault
    return value


def b64(data):
    """Padded base64."""
    return base64.b64encode(data).decode()


def unb64(text, code="base64"):
    """The bytes of the one padded spelling."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as fault:
        raise Refused(code, "not base64") from fault
    demand(b64(data) == text, code, "not canonical base64")
    return data


def b64url(data):
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64url(text, code="base64url"):
    """The bytes of the one unpadded spelling."""
    demand(re.fullmatch(r"[A-Za-z0-9_-]*", text), code)
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError as fault:
        raise Refused(code) from fault
    demand(b64url(data) == text, code)
    return data


def now():
    """The time of this machine, UTC."""
    return datetime.datetime.now(datetime.timezone.utc)


def stamp(when=None):
    """A time as it is written: milliseconds and Z."""
    return (when or now()).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def read_stamp(text, code="time"):
    """A time that is written so."""
    demand(isinstance(text, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text), code)
    try:
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as fault:
        raise Refused(code) from fault


def is_digest(text):
    """Whether a value is a digest as JSON holds it."""
    return isinstance(text, str) and re.fullmatch(r"[0-9a-f]{64}", text) is not None
