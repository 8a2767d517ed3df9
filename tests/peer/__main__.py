"""An authority for tests: `python3 -m peer --help`.

`serve` runs one until its socket is told `stop`; the other commands ask it over that socket, one line of JSON each way.
"""

import argparse
import asyncio
import json
import pathlib
import socket
import sys

from .authority import Authority
from .control import Control


def _ask(folder, words):
    """Sends a command to the one that serves, and prints its answer."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(120)
        line.connect(str(pathlib.Path(folder) / "control"))
        line.sendall(json.dumps(words).encode() + b"\n")
        answer = json.loads(line.makefile().readline())
    print(json.dumps(answer, ensure_ascii=False, sort_keys=True))
    return 1 if "refused" in answer else 0


def _init(folder, arguments):
    port = arguments.listen.rpartition(":")[2]
    if not port.isdigit():
        sys.exit("--listen is HOST:PORT")
    me = Authority.make(
        folder, id=arguments.authority, alias=arguments.alias, name=arguments.name, country=arguments.country, endpoint=arguments.listen
    )
    print(me.words())


def _accept(folder, arguments):
    me = Authority(folder)
    card = pathlib.Path(arguments.card)
    peer = me.accept(card.read_bytes(), card.with_suffix(".crl").read_bytes())
    print(me.words(peer.card.note))


def _keys(folder, arguments):
    del arguments
    me = Authority(folder)
    for card in (me.card, *(peer.card for peer in me.peers.values())):
        print("\n".join(key.vkey for key in card.keys.values()))


def main():
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="peer", description=__doc__)
    parser.add_argument("folder")
    commands = parser.add_subparsers(dest="command", required=True)
    init = commands.add_parser("init")
    for name in ("authority", "alias", "name", "country", "listen"):
        init.add_argument(f"--{name}", required=True)
    commands.add_parser("accept").add_argument("card")
    commands.add_parser("keys")
    commands.add_parser("serve")
    ask = commands.add_parser("ask")
    ask.add_argument("words", nargs="+", help="see control.py")
    arguments = parser.parse_args()
    if arguments.command == "serve":
        return asyncio.run(Control(Authority(arguments.folder)).serve())
    if arguments.command == "ask":
        return _ask(arguments.folder, arguments.words)
    return {"init": _init, "accept": _accept, "keys": _keys}[arguments.command](arguments.folder, arguments)


if __name__ == "__main__":
    sys.exit(main())
