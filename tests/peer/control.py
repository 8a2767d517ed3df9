"""What a test can ask of an authority that serves. Each `do_…` is a command; its arguments are words, its answer an object."""

import asyncio
import json
import os
import pathlib
import traceback

from . import after, bag, receipts, receiver, sender
from .plain import Refused, digest, now
from .session import Session, connect
from .wire import Gone, listen


class Control:
    """An authority that serves, and its socket for commands."""

    def __init__(self, me):
        self.me, self.sessions, self.over = me, [], asyncio.Event()
        self.refusals, self.server, self.deaf = [], None, False

    async def serve(self):
        """Until `stop`."""
        port = int(self.me.endpoint.rpartition(":")[2])
        self.server = await listen(self.me, port, lambda link: asyncio.ensure_future(self._welcome(link)))
        path = self.me.folder / "control"
        path.unlink(missing_ok=True)
        control = await asyncio.start_unix_server(self._command, path)
        await self.over.wait()
        control.close()
        for session in self.sessions:
            session.close()
        await asyncio.sleep(0.2)
        path.unlink(missing_ok=True)

    async def _welcome(self, link):
        session = Session(self.me, link, False)
        if self.deaf:
            link.close(1, "deaf")
            return
        try:
            await asyncio.wait_for(session.begin(), 20)
        except (Refused, Gone, TimeoutError, asyncio.TimeoutError) as fault:
            self.refusals.append(str(fault))
            link.close(1, "refused")
            return
        self.sessions.append(session)

    async def _command(self, reader, writer):
        words = json.loads(await reader.readline())
        try:
            answer = await getattr(self, "do_" + words[0].replace("-", "_"))(*words[1:])
        except (Refused, Gone) as fault:
            answer = {"refused": str(fault)}
        except Exception as fault:  # noqa: BLE001 – a test wants to see what it was
            traceback.print_exc()
            answer = {"refused": repr(fault)}
        writer.write(json.dumps(answer).encode() + b"\n")
        writer.close()

    async def _reach(self, peer):
        """A connection to a peer that is up: one of those that are there, or a new one."""
        for session in self.sessions:
            if session.up.is_set() and not session.link.closed.is_set() and session.peer.card.id == peer.card.id:
                return session
        session = await connect(self.me, peer)
        self.sessions.append(session)
        return session

    def _peer(self, alias):
        return next(peer for peer in self.me.peers.values() if peer.card.alias == alias)

    def _exchange(self, xid):
        return self.me.exchanges[xid]

    async def do_stop(self):
        """Ends the process."""
        self.over.set()
        return {}

    async def do_ping(self, alias):
        """Connects, if there is no connection."""
        session = await self._reach(self._peer(alias))
        return {"ses": session.ses, "dialled": session.dialled}

    async def do_drop(self):
        """Cuts all connections."""
        for session in self.sessions:
            session.link.drop()
        self.sessions = []
        return {}

    async def do_close(self):
        """Ends all connections in peace."""
        for session in self.sessions:
            session.close()
        self.sessions = []
        return {}

    async def do_seal(self, alias, size, terms="{}", wrong=None):
        """A package of some files, one of this size; `wrong` is a fault that it has, `header` or `item`."""
        files = {"notes/Übersicht.txt": "overview\n".encode(), "phone/clip.bin": os.urandom(int(size)), "marked.txt": b"marked " * 600, "empty": b""}
        files["long/" * 24 + "name.txt"] = b"a path that a header has to split"
        exchange = sender.seal(self.me, self._peer(alias), files, "XX-2026-0001", {**sender.TERMS, **json.loads(terms)}, wrong=wrong)
        folder = self.me.folder / "sealed" / exchange.xid
        for path, content in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        return {"xid": exchange.xid, "segments": exchange.segments(), "len": exchange.dispatch.json["pkg"]["len"]}

    async def do_deliver(self, xid, cut_after=None, how="quietly"):
        """Offers a package and goes on to its end, or cuts the line after so many segments: quietly, or so that the peer knows."""
        exchange = self._exchange(xid)
        session = await self._reach(self.me.peers[exchange.peer])
        delivery = sender.Delivery(session, exchange, None if cut_after is None else int(cut_after), how == "quietly")
        answer = await delivery.run()
        return {"runs": delivery.sent, **answer}

    async def do_cut_next(self, count, deaf="no"):
        """The next package that comes is cut off after so many segments; with `yes`, nobody is let in after that."""
        self.me.cut_after = int(count)
        self.me.cut = lambda: setattr(self, "deaf", deaf == "yes")
        return {}

    async def do_deaf(self, answer):
        """With `yes`, connections are closed as soon as they are there, and those that are there at once."""
        self.deaf = answer == "yes"
        return await self.do_close() if self.deaf else {}

    async def do_refuse(self, code):
        """Offers are rejected with this code, or with `no` taken again."""
        self.me.refuse = None if code == "no" else code
        return {}

    async def do_list(self):
        """All exchanges."""
        return {xid: {"role": one.role, "ended": one.ended, "have": len(one.have)} for xid, one in self.me.exchanges.items()}

    async def do_show(self, xid):
        """One exchange, with what was said of it."""
        one = self._exchange(xid)
        said = [{"kind": note.json["kind"], "signatures": len(note.lines), "digest": digest(note.raw)} for note in one.notes]
        reasons = {note.json["kind"]: note.json["reason"]["code"] for note in one.notes if "reason" in note.json}
        return {
            "role": one.role, "ended": one.ended, "said": said, "reasons": reasons, "terms": one.tip.json["terms"],
            "asked": one.asked, "header": one.header is not None, "payload": one.payload.exists(), "sessions": sorted({note.json["ses"] for note in one.notes if "ses" in note.json}),
        }  # fmt: skip

    async def do_open(self, xid, purpose, folder):
        """Decrypts a package that was received, judges it, and writes the bag."""
        exchange = self._exchange(xid)
        after.permits(exchange, purpose, now().strftime("%Y-%m-%d"))
        manifest, tar, files = receiver.open_package(self.me, exchange)
        bag.unpack(tar, pathlib.Path(folder))
        return {"items": sorted(files), "case": manifest["case"]}

    async def do_export(self, xid, path, identity):
        """Writes a package as an age file, and our age identity, for the program age."""
        exchange = self._exchange(xid)
        pathlib.Path(path).write_bytes(exchange.header + exchange.payload.read_bytes())
        pathlib.Path(identity).write_text(self.me.identity.text + "\n")
        return {}

    async def do_ask(self, xid, purpose, why):
        """Asks the sender for one more use."""
        exchange = self._exchange(xid)
        words = [receipts.disclose("justification", why)]
        note = self.me.issue("consent-asked", exchange, purpose=purpose, sd=[digest(words[0].encode())])
        return await self._tell(exchange, note, words)

    async def do_answer(self, xid, kind, until):
        """Gives or refuses what was asked last."""
        exchange = self._exchange(xid)
        asked = exchange.find("consent-asked")
        more = {"until": until} if kind == "consent-given" else {"reason": {"clause": "", "code": "not-within-the-order"}}
        note = self.me.issue(kind, exchange, before=asked, purpose=asked.json["purpose"], **more)
        return await self._tell(exchange, note, [])

    async def do_restrict(self, xid, changes):
        """Binds a package by stricter terms, and says so."""
        exchange = self._exchange(xid)
        return await self._tell(exchange, after.restrict(self.me, exchange, **json.loads(changes)))

    async def do_destroy(self, xid):
        """Destroys a package that is held, and says so until the sender has signed it too."""
        exchange = self._exchange(xid)
        return await self._tell(exchange, after.destroy(self.me, exchange))

    async def do_end(self, xid, kind, code):
        """Ends an exchange that was not consigned: `withdrawn` or `expired`."""
        exchange = self._exchange(xid)
        if exchange.find("consigned"):
            raise Refused("too-late")
        self.me.issue(kind, exchange, reason={"clause": "", "code": code})
        exchange.ended = kind
        exchange.save()
        return await self.do_deliver(xid)

    async def do_issue(self, kind, xid, more="{}"):
        """Signs a statement and says it."""
        exchange = self._exchange(xid)
        return await self._tell(exchange, self.me.issue(kind, exchange, **json.loads(more)))

    async def do_repeat(self, xid, kind):
        """Says a statement once more, as it is stored."""
        exchange = self._exchange(xid)
        return await self._tell(exchange, exchange.find(kind))

    async def _tell(self, exchange, note, words=None):
        session = await self._reach(self.me.peers[exchange.peer])
        return await after.tell(session, exchange, note, words)

    async def do_renew(self, alias):
        """A new card and a new certificate, the old one revoked; the peer is told of both on a new connection."""
        self.me.renew()
        self.server._configuration.certificate, self.server._configuration.private_key = self.me.tls.leaf, self.me.tls.key
        session = await connect(self.me, self._peer(alias))
        self.sessions.append(session)
        for _ in range(200):
            if len(session.acked) == 2:
                break
            await asyncio.sleep(0.05)
        return {"acked": session.acked}

    async def do_papers(self, alias):
        """The numbers of a peer's newest card and list that we hold."""
        peer = self._peer(alias)
        return {"card": peer.card.number, "crl": peer.crl_number}

    async def do_log(self):
        """The own log, what peers have cosigned of it, and what we have cosigned of theirs."""
        cosigned = {session.peer.card.id: session.cosigned.size for session in self.sessions if session.peer and session.cosigned}
        seen = {origin: one.size for origin, one in self.me.witnessed.items()}
        return {"size": len(self.me.log.hashes), "cosigned": cosigned, "seen": seen}

    async def do_faults(self):
        """What went wrong on connections."""
        return {"refused": [], "faults": [fault for session in self.sessions for fault in session.faults] + self.refusals}
