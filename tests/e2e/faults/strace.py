"""Reads what strace has written of several threads: see inject.py. Run by itself, it checks itself."""

import collections
import re

Call = collections.namedtuple("Call", "begins ends text")


def calls(lines):
    """Each call, with the numbers of the lines where it begins and ends; the end of one under way is the last line."""
    begun, found, number = {}, [], 0
    for number, line in enumerate(lines):
        task, _, text = line.strip().partition(" ")
        text = text.strip()
        resumed = re.match(r"<\.\.\. \w+ resumed>", text)
        if text.endswith("<unfinished ...>"):
            begun[task] = number, text.removesuffix("<unfinished ...>")
        elif resumed:
            began, before = begun.pop(task, (number, ""))
            found.append(Call(began, number, before + text[resumed.end():]))
        else:
            found.append(Call(number, number, text))
    return found + [Call(began, number, text) for began, text in begun.values()]


def again(lines):
    """The file whose flush strace made fail, and the calls on it that begin after that."""
    every = calls(lines)
    failed = min((call for call in every if "INJECTED" in call.text), key=lambda call: call.ends)
    file = re.search(r"\(\d+<([^>]*)>", failed.text)
    if not file:
        raise ValueError(f"strace says: {failed.text}")
    return file[1], [call.text for call in every if call.begins > failed.ends and f"<{file[1]}>" in call.text]


def check():
    """A failing call of one thread, with and without another's between its beginning and its end."""
    fails = "= -1 EIO (Input/output error) (INJECTED)"
    whole = [f"14 fsync(9</s/wal>) {fails}"]
    cut = ["14 fsync(9</s/wal> <unfinished ...>", "15 fdatasync(7</s/slots>) = 0", f"14 <... fsync resumed>) {fails}"]
    late = ["15 fsync(9</s/wal> <unfinished ...>", *whole, "15 <... fsync resumed>) = 0"]
    for lines, then in ((whole, []), (cut, []), (late, []), (whole, ["15 fsync(9</s/wal>) = 0"]),
                        (cut, ["15 fsync(9</s/wal> <unfinished ...>", "15 <... fsync resumed>) = 0"])):
        file, after = again([*lines, "14 fsync(8</s/other>) = 0", *then])
        assert (file, len(after)) == ("/s/wal", bool(then)), (lines, then, file, after)


if __name__ == "__main__":
    check()
