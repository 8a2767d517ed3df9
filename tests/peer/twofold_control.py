"""The messages of the control stream twice, out of order and in two versions: hello, cards, lists and log heads."""

import asyncio
import sqlite3
import time

from . import card, lies_line, merkle
from .equivocation import case
from .notes import Checkpoint, sign_checkpoint
from .plain import b64, demand, sha256
from .wire import frame

# So many leaves are the same on every branch of a log.
COMMON = 2


def before_hello(kind, make):
    """Registers a frame that comes before hello."""

    @case(kind, "reordered", "before hello", "closed 1 .*")
    async def told(ie, de):
        said = []
        for side in (ie, de):
            voice = await side.voice(hello=False)
            voice.link.open().write(frame(kind, make(side)))
            await voice.link.closed.wait()
            said.append("closed" + voice.link.reason.removeprefix("closed with").replace(":", ""))
        return said[0]


def unsigned(kind, first, second, expected):
    """Registers a frame that nobody signs: twice, in two versions on one connection, and one version to each daemon. What it says binds nothing:
    both connections answer afterwards."""

    async def told(ie, de, *bodies):
        said = []
        for side, body in zip((ie, de), bodies[::-1], strict=True):
            voice = await side.voice()
            voice.control.say(kind, body(side))
            voice.control.say(kind, bodies[0](side))
            voice.control.say("held", b"")
            said.append(await voice.until("add-checkpoint", "fault"))
        return ", ".join(said)

    case(kind, "twice", "the same on one connection", expected)(lambda ie, de: told(ie, de, first, first))
    case(kind, "two versions", "on one connection", expected)(lambda ie, de: told(ie, de, first, second))
    case(kind, "apart", "each daemon hears another first", expected)(lambda ie, de: told(ie, de, second, first))


# ---- hello and ack ----------------------------------------------------------------------------------------------

before_hello("ack", lambda side: {"number": 1, "what": "card"})
before_hello("held", lambda side: b"")
before_hello("knows", lambda side: bytes(32))
before_hello("card", lambda side: side.me.card.note.raw)
before_hello("crl", lambda side: side.me.tls.crl)
unsigned("ack", lambda side: {"number": 1, "what": "card"}, lambda side: {"number": 9, "what": "card"}, "add-checkpoint, add-checkpoint")
unsigned("knows", lambda side: bytes(32), lambda side: sha256(side.me.id.encode()), "add-checkpoint, add-checkpoint")


@case("hello", "twice", "on one connection", "closed 1 'unexpected-frame'")
async def hello_twice(ie, de):
    voice = await ie.voice()
    voice.control.say("hello", lies_line.hello(ie))
    return await voice.until("fault")


@case("hello", "reordered", "after what is said of logs", "closed 1 '.*'")
async def hello_late(ie, de):
    voice = await ie.voice(hello=False)
    control = voice.link.open()
    control.say("held", b"")
    control.say("hello", lies_line.hello(ie))
    await voice.link.closed.wait()
    return await voice.answer()


@case("hello", "two versions", "on two connections, with other numbers of papers", "1 0")
async def two_hellos(ie, de):
    return await _hellos(ie, ie)


@case("hello", "apart", "each daemon hears other numbers of papers", "1 0")
async def hello_apart(ie, de):
    return await _hellos(ie, de)


async def _hellos(*sides):
    for side, number in zip(sides, (1, 7), strict=True):
        voice = await side.voice(hello=False)
        lists = [{**one, "number": number} for one in side.me.tls.lists]
        control = voice.link.open()
        control.say("hello", lies_line.hello(side, card=number, crls=lists))
        demand((await control.hear())[0] == "hello", "hello")
        await voice.link.ping()
    shown = sides[0].run("peer", "show", sides[0].me.alias)[1]
    return f"{shown['card_number']} {len(shown.get('waiting_cards', []))}"


# ---- cards and revocation lists ---------------------------------------------------------------------------------


def _card(side, number, name="Two voices"):
    side.me.name = name
    return card.write(side.me, number)


async def _say(side, kind, *papers):
    """Says papers one after the other, each on a connection that is up; the answers. A card that is adopted ends those that are."""
    said, voice = [], None
    for paper in papers:
        answer = "closed 0 'card-changed'"
        while answer == "closed 0 'card-changed'":
            if voice is None or voice.link.closed.is_set():
                voice = await side.voice()
            voice.control.say(kind, paper)
            answer = await voice.until("ack", "fault")
        said.append(answer)
    return ", ".join(said)


def _number(side):
    return side.run("peer", "show", side.me.alias)[1]["card_number"]


@case("card", "twice", "number 2", "ack card, ack card; 2", alone=True)
async def card_twice(ie, de):
    raw = _card(ie, 2).raw
    return f"{await _say(ie, 'card', raw, raw)}; {_number(ie)}"


@case("card", "reordered", "number 3, then number 2", "ack card, ack card; 3", alone=True)
async def card_late(ie, de):
    return f"{await _say(ie, 'card', _card(ie, 3).raw, _card(ie, 2).raw)}; {_number(ie)}"


@case("card", "two versions", "of number 2", "ack card, (fault card-conflict|closed 1 'unknown-authority'); 2", alone=True)
async def two_cards(ie, de):
    first, second = (_card(ie, 2, name) for name in ("One", "Other"))
    said = await _say(ie, "card", first.raw, second.raw)
    _in_cards(ie, first, second)
    return f"{said}; {_number(ie)}"


@case("card", "apart", "number 2 in two versions; then the first daemon hears the other's", "ack card, ack card, fault card-conflict; 2 2", alone=True)
async def cards_apart(ie, de):
    first, second = (_card(ie, 2, name) for name in ("One", "Other"))
    said = [await _say(ie, "card", first.raw), await _say(de, "card", second.raw)]
    # Somebody compares what the two daemons have of us, and takes the one to the other.
    texts = [side.run("peer", "show", side.me.alias)[1]["card"] for side in (ie, de)]
    demand(texts == [first.raw.decode(), second.raw.decode()], "card", "not what was said")
    path = ie.me.folder / "other.card"
    path.write_text(texts[1])
    _, told = ie.run("peer", "add", str(path))
    _in_cards(ie, first, second)
    return f"{', '.join(said)}, fault {told['error']}; {_number(ie)} {_number(de)}"


def _in_cards(side, first, second):
    """Both cards are kept, `status` says so, and the auditor's program."""
    alias, two = side.me.alias, side.two
    two.expected.add((side.alias, "card-conflict", alias))

    def holds():
        shown = side.run("peer", "show", alias)[1]
        kept = [shown["card"], *(one["card"] for one in shown.get("waiting_cards", []) if one["conflicts"])]
        if shown["state"] != "paused" or kept != [first.raw.decode(), second.raw.decode()]:
            return f"{shown['state']}, {len(kept)} cards"
        if ("card-conflict", alias) not in side.accused():
            return "status does not say so"
        return compared(two, "cards-exclude", side.me.id, *kept)

    two.prove(side.alias, holds)


def compared(two, rule, issuer, *texts):
    """An empty text if the auditor's program finds that two files are a proof against their issuer; else its answer."""
    paths = [two.work / "exports" / f"{number}.note" for number in range(len(texts))]
    paths[0].parent.mkdir(exist_ok=True)
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    code, said = two.audit("compare", *map(str, paths))
    named = [fault for fault in said[-1]["faults"] if fault["rule"] == rule and issuer in fault["meaning"]]
    return "" if (code, len(named), len(said[-1]["faults"])) == (7, 1, 1) else f"the auditor says {code}: {said}"


def _list(side, number, revoked=()):
    return card.make_crl(side.me.id, side.me.tls.ca_key, number, revoked)


def _lists(side):
    return [one["number"] for one in side.run("peer", "show", side.me.alias)[1]["lists"]]


@case("crl", "twice", "number 2", r"ack crl, ack crl; \[2\]", alone=True)
async def crl_twice(ie, de):
    raw = _list(ie, 2)
    return f"{await _say(ie, 'crl', raw, raw)}; {_lists(ie)}"


@case("crl", "reordered", "number 3, then number 2, which revokes our certificate", r"ack crl, ack crl; \[3\] add-checkpoint", alone=True)
async def crl_late(ie, de):
    said = await _say(ie, "crl", _list(ie, 3), _list(ie, 2, [ie.me.tls.leaf.serial_number]))
    return f"{said}; {_lists(ie)} {await _answers(ie)}"


@case(
    "crl", "two versions", "of number 2, the second of which revokes our certificate: the first is in force",
    r"ack crl, ack crl; \[2\] add-checkpoint", alone=True,
)  # fmt: skip
async def two_crls(ie, de):
    said = await _say(ie, "crl", _list(ie, 2), _list(ie, 2, [ie.me.tls.leaf.serial_number]))
    return f"{said}; {_lists(ie)} {await _answers(ie)}"


@case(
    "crl", "apart", "of number 2, one of which revokes our certificate: each daemon goes by the one it has",
    r"ack crl; add-checkpoint, refused; \[2\] \[2\], two lists", alone=True,
)  # fmt: skip
async def crls_apart(ie, de):
    said = await _say(ie, "crl", _list(ie, 2))
    # The connection on which our own certificate is revoked ends.
    voice = await de.voice()
    voice.control.say("crl", _list(de, 2, [de.me.tls.leaf.serial_number]))
    await voice.until("ack")
    voice.close()
    held = {_kept_list(side) for side in (ie, de)}
    return f"{said}; {await _answers(ie)}, {await _answers(de)}; {_lists(ie)} {_lists(de)}, {'two lists' if len(held) == 2 else 'one list'}"


def _kept_list(side):
    """The list of ours that a daemon has, as it came."""
    with sqlite3.connect(f"file:{side.home}/state/ledger.db?mode=ro", uri=True) as ledger:
        return ledger.execute("SELECT list FROM crl WHERE authority = ?", (side.me.id,)).fetchone()[0]


async def _answers(side):
    """Whether a new connection of ours is served."""
    try:
        voice = await side.voice()
    except Exception:  # noqa: BLE001 – refused in whichever way
        return "refused"
    voice.control.say("held", b"")
    said = await voice.until("add-checkpoint")
    return said if said == "add-checkpoint" else "refused"


# ---- logs -------------------------------------------------------------------------------------------------------


def _leaves(branch, size):
    return [merkle.leaf(f"{'common' if at < COMMON else branch} {at}".encode()) for at in range(size)]


def head(me, branch, size):
    """A head of one branch of our log, signed."""
    return sign_checkpoint(me.keys["log"], size, merkle.root(_leaves(branch, size)))


def submission(me, old, branch, size):
    """`add-checkpoint` with the head of a branch, and an honest proof from `old`."""
    proof = "".join(b64(one) + "\n" for one in merkle.consistency(old, _leaves(branch, size)))
    return f"old {old}\n{proof}\n".encode() + head(me, branch, size).raw


async def submit(side, *submissions, voice=None):
    """Submits heads one after the other on one connection; the answers."""
    voice, said = voice or await side.voice(), []
    for one in submissions:
        voice.control.say("add-checkpoint", one)
        said.append(await voice.until("cosignature", "held", "fault"))
    return ", ".join(said)


def forked(side, me, first, second):
    """Both heads are kept by a daemon as an alarm and as files, `status` says so, and the auditor's program."""
    two = side.two
    two.expected.add((side.alias, "log-forked", me.alias))

    def holds():
        alarms = [one for one in side.run("log", "status")[1]["alarms"] if one["of"] == me.id]
        if [one["kind"] for one in alarms] != ["fork"]:
            return f"{len(alarms)} alarms about {me.id}: {[one['kind'] for one in alarms]}"
        kept = [alarms[0]["earlier"], alarms[0]["later"]]
        if {text.split("\n\n")[0] for text in kept} != {one.raw.decode().split("\n\n")[0] for one in (first, second)}:
            return "other heads are kept"
        if ("log-forked", me.alias) not in side.accused():
            return f"status does not say so: {side.accused()}"
        return compared(two, "log-forked", me.id, *kept)

    two.prove(side.alias, holds)


def _cosigned(side):
    """The size of our log that a daemon holds."""
    with sqlite3.connect(f"file:{side.home}/state/ledger.db?mode=ro", uri=True) as ledger:
        row = ledger.execute("SELECT size FROM witnessed WHERE origin IN (?, ?)", (side.me.id, f"{side.me.id}/log")).fetchone()
        return row[0] if row else None


@case("add-checkpoint", "twice", "the same submission", "cosignature, held; 3", alone=True)
async def submitted_twice(ie, de):
    one = submission(ie.me, 0, "one", 3)
    return f"{await submit(ie, one, one)}; {_cosigned(ie)}"


@case("add-checkpoint", "reordered", "the larger one first", "cosignature, held; 5", alone=True)
async def submitted_late(ie, de):
    return f"{await submit(ie, submission(ie.me, 0, 'one', 5), submission(ie.me, 0, 'one', 3))}; {_cosigned(ie)}"


@case("add-checkpoint", "two versions", "of one size", "cosignature, cosignature, fault log-forked, fault log-forked; 5", alone=True)
async def submitted_forked(ie, de):
    said = await submit(ie, *(submission(ie.me, *one) for one in ((0, "one", 3), (3, "one", 5), (3, "two", 5), (5, "one", 6))))
    forked(ie, ie.me, head(ie.me, "one", 5), head(ie.me, "two", 5))
    return f"{said}; {_cosigned(ie)}"


@case("add-checkpoint", "apart", "of one size: the two daemons tell each other", "cosignature, cosignature; 4 4", alone=True)
async def submitted_apart(ie, de):
    said = [await submit(ie, submission(ie.me, 0, "one", 4)), await submit(de, submission(de.me, 0, "two", 4))]
    for side in (ie, de):
        forked(side, side.me, head(side.me, "one", 4), head(side.me, "two", 4))
    return f"{', '.join(said)}; {_cosigned(ie)} {_cosigned(de)}"


def _theirs(voice):
    """The head of the daemon's log that it has shown."""
    return Checkpoint(voice.shown.partition(b"\n\n")[2])


async def _shows(side):
    voice = await side.voice()
    voice.control.say("held", b"")
    await voice.until("add-checkpoint")
    return voice, _theirs(voice)


@case("held", "twice", "nothing", "add-checkpoint, add-checkpoint")
async def held_twice(ie, de):
    voice, said = await ie.voice(), []
    for _ in range(2):
        voice.control.say("held", b"")
        said.append(await voice.until("add-checkpoint", "fault"))
    return ", ".join(said)


@case("held", "two versions", "nothing, and a head of its own", "add-checkpoint from [1-9].*")
async def held_two(ie, de):
    voice, shown = await _shows(ie)
    voice.control.say("held", shown.raw)
    await voice.until("add-checkpoint", "fault")
    return f"add-checkpoint from {voice.shown.split()[1].decode()}"


@case("held", "apart", "a head of the first daemon's log, shown to both", "add-checkpoint, fault checkpoint-wrong-origin")
async def held_apart(ie, de):
    voice, shown = await _shows(ie)
    voice.control.say("held", shown.raw)
    other = await de.voice()
    other.control.say("held", shown.raw)
    return f"{await voice.until('add-checkpoint', 'fault')}, {await other.until('fault')}"


def _cosign(side, shown, ahead=0):
    return side.me.keys["witness"].cosign(shown.text, int(time.time()) + ahead)


def _rows(side):
    """Our cosignatures that the daemon keeps."""
    listed = [one for one in side.run("log", "status")[1]["cosigned"] if one["by"] == side.me.id]
    return len(listed)


@case("cosignature", "twice", "the same line", "fault cosignature-unasked; 1", alone=True)
async def cosigned_twice(ie, de):
    voice, shown = await _shows(ie)
    for _ in range(2):
        voice.control.say("cosignature", _cosign(ie, shown))
    return f"{await voice.until('fault')}; {_rows(ie)}"


@case("cosignature", "reordered", "before anything was submitted", "fault cosignature-unasked; 0", alone=True)
async def cosigned_early(ie, de):
    _, shown = await _shows(ie)
    voice = await ie.voice()
    voice.control.say("cosignature", _cosign(ie, shown))
    return f"{await voice.until('fault')}; {_rows(ie)}"


@case("cosignature", "two versions", "of two times: the first counts", "fault cosignature-unasked; 1", alone=True)
async def cosigned_two_times(ie, de):
    voice, shown = await _shows(ie)
    for ahead in (0, 2):
        voice.control.say("cosignature", _cosign(ie, shown, ahead))
    return f"{await voice.until('fault')}; {_rows(ie)}"


@case("cosignature", "two versions", "one of them on a root that its log never had", "fault cosignature-[a-z-]+; 1", alone=True)
async def cosigned_two_roots(ie, de):
    voice, shown = await _shows(ie)
    text = f"{shown.origin}\n{shown.size}\n{b64(bytes(32))}\n".encode()
    voice.control.say("cosignature", ie.me.keys["witness"].cosign(text, int(time.time())))
    said = await voice.until("fault")
    voice.control.say("cosignature", _cosign(ie, shown))
    await voice.link.ping()
    await asyncio.sleep(0.3)
    return f"{said}; {_rows(ie)}"


@case("cosignature", "apart", "on one daemon's head, given to both", "fault cosignature-[a-z-]+; 1 0", alone=True)
async def cosigned_apart(ie, de):
    voice, shown = await _shows(ie)
    other, _ = await _shows(de)
    for one in (voice, other):
        one.control.say("cosignature", _cosign(ie, shown))
    said = await other.until("fault")
    return f"{said}; {_rows(ie)} {_rows(de)}"


def _third(side):
    """One more authority that both daemons accept: what we pass on is of its log."""
    return side.two.newcomer()


async def _pass_on(side, *heads):
    voice = await side.voice()
    for one in heads:
        voice.control.say("gossip", one.raw)
    voice.control.say("held", b"")
    return await voice.until("add-checkpoint", "fault")


@case("gossip", "reordered", "before hello", "closed 1 .*")
async def gossip_early(ie, de):
    voice = await ie.voice(hello=False)
    voice.link.open().say("gossip", head(ie.me, "one", 3).raw)
    await voice.link.closed.wait()
    return await voice.answer()


@case("gossip", "twice", "one head of a third log", "add-checkpoint, cosignature; 3")
async def gossip_twice(ie, de):
    third, _ = await asyncio.to_thread(_third, ie)
    said = await _pass_on(ie, *[head(third.me, "one", 3)] * 2)
    answer = f"{said}, {await submit(third, submission(third.me, 0, 'one', 3))}; {_cosigned(third)}"
    third.clean()
    return answer


@case("gossip", "reordered", "the larger head first, and its owner proves both", "add-checkpoint, cosignature, cosignature; 5")
async def gossip_late(ie, de):
    third, _ = await asyncio.to_thread(_third, ie)
    said = await _pass_on(ie, head(third.me, "one", 5), head(third.me, "one", 3))
    answer = f"{said}, {await submit(third, submission(third.me, 0, 'one', 3), submission(third.me, 3, 'one', 5))}; {_cosigned(third)}"
    third.clean()
    return answer


@case("gossip", "two versions", "two heads of one size of a third log", "add-checkpoint")
async def gossip_forked(ie, de):
    third, _ = await asyncio.to_thread(_third, ie)
    heads = [head(third.me, branch, 4) for branch in ("one", "two")]
    forked(ie, third.me, *heads)
    return await _pass_on(ie, *heads)


@case("gossip", "two versions", "two heads of our own log", "add-checkpoint", alone=True)
async def gossip_of_ours(ie, de):
    heads = [head(ie.me, branch, 4) for branch in ("one", "two")]
    forked(ie, ie.me, *heads)
    return await _pass_on(ie, *heads)


@case("gossip", "apart", "each daemon hears another head of a third log, whose owner comes to one of them", "add-checkpoint, add-checkpoint, cosignature")
async def gossip_apart(ie, de):
    third, other = await asyncio.to_thread(_third, ie)
    heads = [head(third.me, branch, 4) for branch in ("one", "two")]
    said = [await _pass_on(side, one) for side, one in zip((ie, de), heads, strict=True)]
    said.append(await submit(third, submission(third.me, 0, "one", 4)))
    forked(de, third.me, *heads)
    third.clean()
    return ", ".join(said)


before_hello("add-checkpoint", lambda side: submission(side.me, 0, "one", 3))
before_hello("cosignature", lambda side: side.me.keys["witness"].cosign(b"x\n", 1))
