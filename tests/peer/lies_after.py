"""Lies of a sender about packages that were handed over: terms, consents, and what only receivers may say."""

import asyncio

from . import after, receipts
from .hostile import lie, verdict
from .lies_sender import ANOTHER, complete


def later(what, make, expected="fault|closed"):
    """Registers what is said falsely of a package after its handover."""

    async def told(field):
        exchange = field.seal()
        session = await complete(field, exchange)
        stream = session.link.open()
        note = make(field, exchange)
        stream.say("receipt", note.raw)
        if note.context == "consent":
            stream.say("disclosures", [])
        return await verdict(stream)

    lie(f"after the handover: {what}", expected)(told)


def _restriction(field, exchange, before=None, key=None, terms=None, **more):
    before = before or exchange.tip
    values = {"reason": {"clause": "", "code": "narrower"}, "terms": {**before.json["terms"], **(terms or {"purposes": ["trial"]})}, **more}
    return receipts.make("restriction-changed", before, key or field.me.keys["receipts"], field.me.policy, None, **values)


later("looser terms", lambda field, exchange: _restriction(field, exchange, terms={"purposes": ["investigation", "prosecution", "trial"]}))
later("a later date", lambda field, exchange: _restriction(field, exchange, terms={"retain_until": "2099-12-31"}))
later("a wrong prev", lambda field, exchange: _restriction(field, exchange, prev="00" * 32))
later("a wrong step", lambda field, exchange: _restriction(field, exchange, step=9))
later("the prev of consigned", lambda field, exchange: _restriction(field, exchange, before=exchange.find("consigned")))
later("signed by another key", lambda field, exchange: _restriction(field, exchange, key=ANOTHER))
later("another package under the same number", lambda field, exchange: _restriction(field, exchange, pkg={**exchange.dispatch.json["pkg"], "len": 7}))
later("a number that nobody knows", lambda field, exchange: _restriction(field, exchange, xid="0" * 32))
later(
    "destroyed, said by the sender",
    lambda field, exchange: receipts.make(
        "destroyed", exchange.tip, field.me.keys["receipts"], field.me.policy, None, reason={"clause": "", "code": "x"}
    ),
)
later(
    "a consent that nobody asked for",
    lambda field, exchange: receipts.make(
        "consent-given", exchange.tip, field.me.keys["receipts"], field.me.policy, None, purpose="civil-claim", until="2031-01-01"
    ),
)
later(
    "an access, said by the sender",
    lambda field, exchange: receipts.make("access", exchange.tip, field.me.keys["receipts"], field.me.policy, None, purpose="trial", released=1),
)
later("the dispatch once more as a receipt", lambda field, exchange: exchange.dispatch)


@lie("after the handover: two different restrictions in one place", "fault")
async def two_restrictions(field):
    exchange = field.seal()
    session = await complete(field, exchange)
    before = exchange.tip
    for purposes in (["trial"], ["prosecution"]):
        stream = session.link.open()
        stream.say("receipt", _restriction(field, exchange, before, terms={"purposes": purposes}).raw)
        answer = await verdict(stream)
    return answer


@lie("after the handover: one restriction twice", "done")
async def one_restriction_twice(field):
    exchange = field.seal()
    session = await complete(field, exchange)
    note = after.restrict(field.me, exchange, purposes=["trial"])
    for _ in range(2):
        stream = session.link.open()
        stream.say("receipt", note.raw)
        answer = await verdict(stream)
    return answer


def wish(what, answers, expected="fault|closed"):
    """Registers answers to a wish for one more use, of which the last is false; `answers` gives kinds and changes of fields."""

    async def told(field):
        exchange = field.seal()
        session = await complete(field, exchange)
        field.ask("package", "ask-use", exchange.xid, "--use", "civil-claim", "--justification", "claim")
        while True:
            stream, asked = await asyncio.wait_for(session.words.get(), 10)
            if asked.json["kind"] == "consent-asked" and asked.json["xid"] == exchange.xid:
                break
        stream.say("done", end=True)
        for kind, changes in answers:
            more = {"until": "2031-01-01"} if kind == "consent-given" else {"reason": {"clause": "", "code": "no"}}
            values = {"purpose": "civil-claim", **more, **changes}
            stream = session.link.open()
            stream.say("receipt", receipts.make(kind, asked, field.me.keys["receipts"], field.me.policy, None, **values).raw)
            stream.say("disclosures", [])
            answer = await verdict(stream)
        return answer

    lie(f"a wish is answered {what}", expected)(told)


wish("for another use", [("consent-given", {"purpose": "extradition"})])
wish("without a last day", [("consent-given", {"until": None})])
wish("for passing on", [("consent-given", {"purpose": None, "third": "third.example.org"})])
wish(
    "on other terms",
    [
        (
            "consent-given",
            {"terms": {"instrument": "EIO", "onward": "with-consent", "purposes": ["trial"], "retain_until": "2031-12-31", "use_report": False}},
        )
    ],
)
wish("twice, the second time with no", [("consent-given", {}), ("consent-refused", {})])
wish("twice, the second time for longer", [("consent-given", {}), ("consent-given", {"until": "2031-06-01"})])
