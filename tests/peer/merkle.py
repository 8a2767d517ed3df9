"""The trees of RFC 6962: roots, proofs, and the judgement of proofs."""

from .plain import demand, sha256


def leaf(data):
    """The hash of a leaf."""
    return sha256(b"\0" + data)


def node(left, right):
    """The hash of an inner node."""
    return sha256(b"\1" + left + right)


def _split(count):
    """The largest power of two below the number of leaves."""
    return 1 << ((count - 1).bit_length() - 1)


def root(hashes):
    """The root over hashes of leaves."""
    if not hashes:
        return sha256(b"")
    level = list(hashes)
    while len(level) > 1:
        pairs = [node(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
        level = pairs + level[len(pairs) * 2 :]
    return level[0]


def consistency(old, hashes, whole=True):
    """The proof that the tree over `hashes` continues the one over the first `old` of them."""
    if old in (0, len(hashes)):
        return [] if whole else [root(hashes)]
    split = _split(len(hashes))
    if old <= split:
        return consistency(old, hashes[:split], whole) + [root(hashes[split:])]
    return consistency(old - split, hashes[split:], False) + [root(hashes[:split])]


def _replay(old, new, whole, proof, old_root):
    """Follows RFC 6962 section 2.1.2 backwards: the two roots that the rest of a proof leads to."""
    if old == new:
        known = old_root if whole else proof.pop(0)
        return known, known
    split = _split(new)
    if old <= split:
        before, after = _replay(old, split, whole, proof, old_root)
        return before, node(after, proof.pop(0))
    before, after = _replay(old - split, new - split, False, proof, old_root)
    left = proof.pop(0)
    return node(left, before), node(left, after)


def check_consistency(old, old_root, new, new_root, proof):
    """Refuses a proof that does not show that the new tree continues the old one."""
    demand(old <= new and len(proof) <= 63, "log-proof", "sizes")
    if old == 0:
        demand(not proof, "log-proof", "a proof from nothing")
        return
    rest = list(proof)
    try:
        before, after = _replay(old, new, True, rest, old_root)
    except IndexError:
        before, after = None, None
    demand((before, after, rest) == (old_root, new_root, []), "log-proof", f"from {old} to {new}")
