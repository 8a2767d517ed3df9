"""Sections 6 to 8 of the protocol: terms, receipts and disclosures, made and judged."""

import os
import re

from .notes import Statement, state
from .plain import Refused, b64url, canonical, demand, digest, is_digest, read_canonical, read_stamp, stamp, unb64url

SHARED = ("handover", "restriction-changed")
ACCESS = ("access", "access-denied", "content-mismatch")
FOLLOWS = {
    "dispatch": (), "rejected": ("dispatch",), "consigned": ("dispatch",), "expired": ("dispatch",), "withdrawn": ("dispatch",),
    "handover": ("consigned",), "handover-failed": ("consigned",), "restriction-changed": SHARED, "destroyed": SHARED,
    "use-report": SHARED, "onward": SHARED, "onward-refused": SHARED, "consent-asked": SHARED,
    "consent-given": ("consent-asked",), "consent-refused": ("consent-asked",),
    "access": SHARED + ACCESS, "access-denied": SHARED + ACCESS, "content-mismatch": SHARED + ACCESS,
}  # fmt: skip
BY_SENDER = ("dispatch", "expired", "withdrawn", "restriction-changed", "consent-given", "consent-refused")
COUNTERSIGNED = ("consigned", "handover", "handover-failed", "destroyed")
IN_SESSION = ("consigned", "handover", "handover-failed", "rejected")
WITH_REASON = (
    "rejected", "handover-failed", "expired", "withdrawn", "destroyed", "restriction-changed", "access-denied", "content-mismatch",
    "consent-refused", "onward-refused",
)  # fmt: skip
ALWAYS = {"v", "kind", "xid", "step", "from", "to", "pkg", "terms", "pol", "t", "clk"}
MAY = {"sd", "heads"}
SAME = ("xid", "from", "to", "pkg")
PKG = {"alg", "body", "hdr", "len", "seg"}
PURPOSES = {
    "administrative-proceedings", "asset-recovery", "civil-claim", "civil-proceedings", "crime-prevention",
    "enforcement-of-sentence", "exculpatory-disclosure", "extradition", "investigation", "prosecution", "public-security",
    "service-of-documents", "supervision", "trial",
}  # fmt: skip
TERMS = {"instrument", "onward", "purposes", "retain_until", "use_report"}
TERMS_MAY = {"evaluation", "handling", "legal_basis", "restrictions", "review", "sunset"}
RESTRICTIONS = {
    "confidential", "delete-after-use", "item-terms", "no-automated-decision", "no-notice-to-subject", "notify-exculpatory", "return",
    "special-categories", "speciality", "stated-purposes-only", "under-privilege-review", "vulnerable-persons",
}  # fmt: skip
WORD = re.compile(r"(?=.{1,64}$)[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
DAY = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")
BESIDE = {
    "manifest", "item-root", "case", "request", "title", "necessity", "proportionality", "justification", "offences", "persons",
    "item-terms", "origin",
}  # fmt: skip


def check_terms(terms):
    """Refuses terms that do not follow their schema."""
    demand(isinstance(terms, dict) and TERMS <= set(terms) <= TERMS | TERMS_MAY, "terms-fields")
    purposes, more = terms["purposes"], terms.get("restrictions", ["return"])
    for listed in (purposes, more):
        demand(isinstance(listed, list) and 1 <= len(listed) <= 32 and listed == sorted(set(listed)), "terms-list")
    demand(set(purposes) <= PURPOSES, "terms-purposes")
    demand(terms["onward"] in ("prohibited", "with-consent") and isinstance(terms["use_report"], bool), "terms-onward")
    for name in ("retain_until", "review", "sunset"):
        day = terms.get(name, terms["retain_until"])
        demand(isinstance(day, str) and DAY.fullmatch(day) and day <= terms["retain_until"], "terms-date", name)
        read_stamp(f"{day}T00:00:00.000Z", "terms-date")
    _check_words(terms)


def _check_words(terms):
    """The words that terms may hold beside purposes and dates."""
    demand(set(terms.get("restrictions", [])) <= RESTRICTIONS, "terms-restrictions")
    demand(isinstance(terms["instrument"], str) and WORD.fullmatch(terms["instrument"]), "terms-instrument")
    basis = terms.get("legal_basis", "http://x")
    demand(len(basis) <= 256 and re.fullmatch(r"https?://[A-Za-z0-9./:_~()-]+", basis), "terms-legal-basis")
    demand(terms.get("handling", "H0") in ("H0", "H1", "H2", "H3"), "terms-handling")
    evaluation = terms.get("evaluation", {"information": 1, "source": "A"})
    demand(set(evaluation) == {"information", "source"} and evaluation["source"] in ("A", "B", "C", "X"), "terms-evaluation")
    demand(evaluation["information"] in (1, 2, 3, 4), "terms-evaluation")


def within(terms, before):
    """Whether terms permit nothing that those before them forbid."""
    same = all(terms.get(name) == before.get(name) for name in ("instrument", "legal_basis", "handling", "evaluation"))
    dates = all(name not in before or terms.get(name, "9999") <= before[name] for name in ("retain_until", "sunset", "review"))
    fewer = set(terms["purposes"]) <= set(before["purposes"])
    more = set(before.get("restrictions", [])) <= set(terms.get("restrictions", []))
    return same and dates and fewer and more and terms["onward"] in (before["onward"], "prohibited") and terms["use_report"] >= before["use_report"]


def parties(fields):
    """Issuer and other party of a receipt."""
    sides = (fields["from"], fields["to"])
    return sides if fields["kind"] in BY_SENDER else sides[::-1]


def context_of(kind):
    """The context of statements of a kind."""
    return "consent" if kind.startswith("consent-") else "receipt"


def _needed(kind):
    """Fields that a kind has beyond those of all."""
    more = set() if kind == "dispatch" else {"prev"}
    more |= {"reason"} if kind in WITH_REASON else set()
    more |= {"purpose", "released"} if kind == "access" else set()
    more |= {"third"} if kind.startswith("onward") else set()
    more |= {"subject"} if kind == "onward" else set()
    return more | ({"until"} if kind == "consent-given" else set())


def _possible(kind):
    """Fields that a kind may have beyond those that it needs."""
    more = set(MAY) | ({"ses"} if kind in IN_SESSION else set())
    more |= {"reason"} if kind == "access" else set()
    more |= {"uses"} if kind == "use-report" else set()
    more |= {"purpose", "third"} if context_of(kind) == "consent" else set()
    more |= {"purpose"} if kind == "access-denied" else set()
    return more | ({"conditions"} if kind == "consent-given" else set())


def check_fields(note):
    """Refuses a receipt of an exchange that does not follow the schema; the result is its JSON."""
    try:
        return _check_fields(note)
    except (TypeError, AttributeError, KeyError, IndexError) as fault:
        raise Refused("receipt-type", str(fault)) from fault


def _check_fields(note):
    """The same for values that have the right types."""
    fields = note.json
    kind = fields.get("kind")
    demand(kind in FOLLOWS, "receipt-kind", str(kind)[:40])
    demand(note.context == context_of(kind), "receipt-context", note.context)
    needed = ALWAYS | _needed(kind)
    demand(needed <= set(fields) <= needed | _possible(kind), "receipt-fields", str(sorted(set(fields) ^ needed)))
    demand(fields["v"] == 1 and re.fullmatch(r"[0-9a-f]{32}", fields["xid"]), "receipt-fields", "v or xid")
    demand(fields["from"]["id"] != fields["to"]["id"], "receipt-parties", "to itself")
    pkg = fields["pkg"]
    demand(set(pkg) == PKG and pkg["alg"] == "sha-256" and pkg["seg"] == 1 << 20, "receipt-pkg")
    demand(is_digest(pkg["body"]) and is_digest(pkg["hdr"]) and 1 <= pkg["len"] <= 1 << 41, "receipt-pkg")
    check_terms(fields["terms"])
    sd = fields.get("sd", ["0"])
    demand(1 <= len(sd) <= 64 and sd == sorted(set(sd)), "receipt-sd")
    read_stamp(fields["t"])
    demand(isinstance(fields["clk"], int) and fields["clk"] >= 0, "receipt-clk")
    return fields


def check_heads(fields):
    """The heads of a receipt are of the logs of its two parties, one each."""
    origins = [head["origin"] for head in fields.get("heads", [])]
    allowed = {fields[side]["id"] + "/log" for side in ("from", "to")}
    demand(len(set(origins)) == len(origins) and set(origins) <= allowed, "receipt-heads")


def check(note, before, keys):
    """Judges a receipt by section 7: against the one before it, and its signatures by keys named `<id>/receipts`."""
    fields = check_fields(note)
    check_heads(fields)
    kind = fields["kind"]
    if before is None:
        demand(kind == "dispatch" and fields["step"] == 1, "receipt-first")
    else:
        _check_step(fields, before)
    issuer, other = parties(fields)
    demand(len(note.lines) <= (2 if kind in COUNTERSIGNED else 1), "receipt-signatures")
    for place, side in enumerate([issuer, other][: len(note.lines)]):
        key = keys.get(side["id"])
        demand(key and key.id.hex() == side["key"], "receipt-key", side["id"])
        demand(note.signed_by(place, key), "receipt-signature", side["id"])
    return fields


def _check_step(fields, before):
    """Refuses a receipt that does not follow the one before it."""
    kind, old = fields["kind"], before.json
    demand(old["kind"] in FOLLOWS[kind], "receipt-order", f"{kind} after {old['kind']}")
    demand(fields["prev"] == before.digest and fields["step"] == old["step"] + 1, "receipt-prev")
    demand(all(fields[name] == old[name] for name in SAME), "receipt-same")
    if kind == "restriction-changed":
        demand(within(fields["terms"], old["terms"]), "receipt-looser")
    else:
        demand(fields["terms"] == old["terms"], "receipt-terms")
    if old["kind"] in ("dispatch", "consigned"):
        demand(fields.get("sd") == old.get("sd"), "receipt-disclosures")
    if kind in ("consent-given", "consent-refused"):
        demand(all(fields.get(name) == old.get(name) for name in ("purpose", "third")), "receipt-wish")


def make(kind, before, key, policy, heads, **more):
    """A receipt that follows `before`, signed by its issuer; without `before`, `more` has all that a dispatch has."""
    fields = {name: before.json[name] for name in (*SAME, "terms")} if before else {"step": 1}
    if before:
        fields |= {"step": before.json["step"] + 1, "prev": before.digest}
        if before.json["kind"] in ("dispatch", "consigned") and "sd" in before.json:
            fields["sd"] = before.json["sd"]
    fields |= {"v": 1, "kind": kind, "pol": policy, "t": stamp(), "clk": 50, "heads": heads}
    fields |= more
    return state(context_of(kind), {name: value for name, value in fields.items() if value is not None}, key)


def disclose(name, value):
    """A new disclosure, encoded."""
    return b64url(canonical([b64url(os.urandom(16)), name, value]))


def read_disclosures(listed, digests):
    """Values by name of encoded disclosures; each one's digest was signed. Others that were signed may stay behind."""
    demand(isinstance(listed, list) and len(listed) <= 64 and all(isinstance(one, str) for one in listed), "disclosures")
    made = [digest(one.encode()) for one in listed]
    demand(len(set(made)) == len(made) and set(made) <= set(digests), "disclosures", f"{len(made)} for {len(digests)} digests")
    values = {}
    for one in listed:
        demand(len(one) <= 8192, "disclosures", "length")
        parts = read_canonical(unb64url(one, "disclosures"))
        demand(isinstance(parts, list) and len(parts) == 3 and len(unb64url(parts[0])) == 16, "disclosures", "form")
        demand(parts[1] not in values, "disclosures", "a name stands twice")
        values[parts[1]] = parts[2]
    return values


def check_beside_offer(values):
    """Refuses what may not, or what must, stand beside an offer; the code is that of the rejection."""
    for name in ("manifest", "item-root", "case"):
        demand(name in values, f"{name}-missing")
    demand(set(values) <= BESIDE, "disclosure-unexpected")
    for name in ("manifest", "item-root"):
        demand(is_digest(values[name]), f"{name}-malformed")
    demand(isinstance(values["case"], str) and values["case"].strip(), "case-malformed")
    return values


def read(raw):
    """A statement of context receipt or consent from its bytes."""
    note = Statement(raw)
    demand(note.context in ("receipt", "consent"), "receipt-context", note.context)
    return note
