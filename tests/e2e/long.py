"""Many calls of the local API for 26-long.sh: `long.py SOCKET FUNCTION ARGUMENTS…`."""

import base64
import itertools
import json
import os
import subprocess
import sys
import threading

from api import Api

WORK, BIN = os.environ["WORK"], os.environ["BIN"]
SOCKET = sys.argv[1]
AT_ONCE = 8
LIST_ITEMS_MAX = 1_000


def each(items, work):
    """Does `work(api, item)` for all, several at once; the first fault counts."""
    items, faults, lock = iter(list(items)), [], threading.Lock()

    def run():
        api = Api(SOCKET)
        while not faults:
            with lock:
                item = next(items, None)
            if item is None:
                return
            try:
                work(api, item)
            except Exception as fault:  # it is raised below
                faults.append(fault)

    threads = [threading.Thread(target=run) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]


def parts(api, path, limit=LIST_ITEMS_MAX):
    """The parts of a list, each with whether there are more."""
    mark = "&" if "?" in path else "?"
    after = ""
    while True:
        page = api.good("GET", f"{path}{mark}limit={limit}{after}")
        assert set(page) <= {"items", "more"}, page.keys()
        yield page["items"], "more" in page
        if "more" not in page:
            return
        after = f"&after={page['more']}"


def sealed(api):
    """The age file of the first package, with what only its sealer knows."""
    receiver = f"{WORK}/de"
    first = api.good("GET", "/v1/packages")["items"][-1]["id"]
    age = f"{WORK}/first.age"
    if not os.path.exists(age):
        export = [BIN, "--home", receiver, "package", "export", first, "--age", age, "--purpose", "prosecution",
                  "--justification", "a copy"]
        subprocess.run(export, check=True, stdout=subprocess.DEVNULL)
    said = {}
    for line in disclosures(api, first):
        _, name, value = json.loads(base64.urlsafe_b64decode(line + "=" * (-len(line) % 4)))
        said[name] = value
    with open(age, "rb") as file:
        return file.read(), said["manifest"], said["item-root"]


def disclosures(api, package):
    api.request("GET", f"/v1/packages/{package}/bundle")
    for line in api.getresponse().read().splitlines():
        file = json.loads(line)
        if file["path"] == "disclosures.txt":
            return base64.b64decode(file["content"]).decode().split()
    raise AssertionError("no disclosures")


def send(count, to, first_case=1):
    """Sends so many packages, each of a case of its own."""
    age, manifest, item_root = sealed(Api(SOCKET))
    terms = {"instrument": "EIO", "purposes": ["prosecution", "trial"], "retain_until": "2031-12-31", "onward": "prohibited",
             "use_report": False}

    def one(api, number):
        wish = {"to": to, "case": f"IE-2026-{number:06}", "terms": terms}
        grant = api.good("POST", "/v1/seals", wish)["grant"]
        api.good("PUT", f"/v1/seals/{grant}/whole?manifest={manifest}&item_root={item_root}&items=1", age)

    each(range(first_case, first_case + count), one)


def refused(package, count):
    """Asks so often to open a package for a purpose that its terms do not permit."""
    wish = {"purpose": "crime-prevention", "justification": "curiosity"}

    def one(api, _):
        status, answer = api.ask("POST", f"/v1/packages/{package}/openings", wish)
        assert answer.get("error") == "purpose-not-permitted", f"{status} {answer}"

    each(range(count), one)


def wishes(count):
    """Asks for one more use of so many packages."""
    held = itertools.chain.from_iterable(items for items, _ in parts(Api(SOCKET), "/v1/packages?state=held"))
    wish = {"purpose": "extradition", "justification": "another proceeding"}
    each([it["id"] for it in held][:count], lambda api, package: api.good("POST", f"/v1/packages/{package}/ask", wish))


def lists(count):
    """Every list is whole, and its parts say that they are parts."""
    api = Api(SOCKET)
    for path, key, least in (
        ("/v1/packages", "id", count),
        ("/v1/receipts", "seq", count),
        ("/v1/consents", "id", count),
        ("/v1/cases", "case", count if "/de/" in SOCKET else 0),
        ("/v1/onward", "onward", 0),
        ("/v1/transfers", "id", 0),
    ):
        whole = []
        for items, more in parts(api, path):
            assert len(items) <= LIST_ITEMS_MAX and (len(items) == LIST_ITEMS_MAX or not more), f"{path}: {len(items)}"
            whole += [item[key] for item in items]
        assert len(whole) >= least, f"{path}: {len(whole)} items"
        assert len(set(whole)) == len(whole), f"{path}: some stand twice"
        small = [item[key] for items, _ in parts(api, path, limit=999) for item in items]
        assert small == whole, f"{path}: other parts give another list"
        for bad in ("after=x", "after=", "after=1&after=2", "limit=x", "limit=-1"):
            status, answer = api.ask("GET", f"{path}?{bad}")
            assert status == 400, f"{path}?{bad}: {status} {answer}"
        print(f"        {path}: {len(whole)}")


function, arguments = sys.argv[2], sys.argv[3:]
if function == "send":
    send(int(arguments[0]), arguments[1])
elif function == "queue":
    send(int(arguments[0]), arguments[1], first_case=500_000)
elif function == "refused":
    refused(arguments[0], int(arguments[1]))
elif function == "wishes":
    wishes(int(arguments[0]))
elif function == "lists":
    lists(int(arguments[0]))
else:
    sys.exit(f"{function} is no function of this")
