//! Inclusion and consistency proofs (RFC 6962 §2.1.1 and §2.1.2; verified as RFC 9162 §2.1.3.2 and §2.1.4.2 say).

use crate::base::{Digest, limits};
use crate::tlog::tree;

/// Why a proof cannot be made or does not prove what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofFault {
    /// No such leaf or no such tree.
    #[error("{at} is outside a log of {size} leaves")]
    Outside {
        /// The index of the leaf, or the size of the older tree.
        at: u64,
        /// How many leaves the tree has.
        size: u64,
    },
    /// A hash that the proof needs is not there.
    #[error("the hash of subtree {index} at level {level} is not there")]
    Missing {
        /// The height of the subtree.
        level: u8,
        /// Its index at that level.
        index: u64,
    },
    /// More hashes than a proof may have.
    #[error("the proof has {0} hashes, at most {max} are allowed", max = limits::PROOF_HASHES_MAX)]
    TooLong(usize),
    /// Not the number of hashes that a proof for these sizes has.
    #[error("the proof does not have the number of hashes that one for these sizes has")]
    Length,
    /// The hashes lead to another root than that of the older tree.
    #[error("the proof does not lead to the root of the older tree")]
    OldRoot,
    /// The hashes lead to another root than that of the tree.
    #[error("the proof does not lead to the root of the tree")]
    Root,
}

impl ProofFault {
    /// A stable name of the fault.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Outside { .. } => "proof-outside",
            Self::Missing { .. } => "proof-missing-hash",
            Self::TooLong(_) => "proof-too-long",
            Self::Length => "proof-length",
            Self::OldRoot => "proof-old-root",
            Self::Root => "proof-root",
        }
    }
}

/// Where hashes of complete subtrees come from: of the 2^`level` leaves from `index` · 2^`level` on.
pub trait Subtrees {
    /// The hash of that subtree; none if it is not known.
    fn hash(&self, level: u8, index: u64) -> Option<Digest>;
}

impl<F: Fn(u8, u64) -> Option<Digest>> Subtrees for F {
    fn hash(&self, level: u8, index: u64) -> Option<Digest> {
        self(level, index)
    }
}

/// The proof that leaf `index` is in the tree of `size` leaves: from the leaf's sibling up to the root's child.
pub fn inclusion(
    size: u64,
    index: u64,
    subtrees: &impl Subtrees,
) -> Result<Vec<Digest>, ProofFault> {
    if index >= size {
        return Err(ProofFault::Outside { at: index, size });
    }
    let (mut start, mut end) = (0, size);
    let mut path = Vec::new();
    while let Some(middle) = split(start, end) {
        if index < middle {
            path.push(range(middle, end, subtrees)?);
            end = middle;
        } else {
            path.push(range(start, middle, subtrees)?);
            start = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The proof that the tree of `old` leaves is the beginning of the tree of `new` leaves; empty if `old` is 0 or `new`.
pub fn consistency(
    old: u64,
    new: u64,
    subtrees: &impl Subtrees,
) -> Result<Vec<Digest>, ProofFault> {
    if old > new {
        return Err(ProofFault::Outside { at: old, size: new });
    }
    if old == 0 || old == new {
        return Ok(Vec::new());
    }
    let (mut start, mut end) = (0, new);
    let mut path = Vec::new();
    while let Some(middle) = split(start, end).filter(|_| end != old) {
        if old <= middle {
            path.push(range(middle, end, subtrees)?);
            end = middle;
        } else {
            path.push(range(start, middle, subtrees)?);
            start = middle;
        }
    }
    if start != 0 {
        path.push(range(start, end, subtrees)?);
    }
    path.reverse();
    Ok(path)
}

/// The root of the tree of the first `size` leaves; of none SHA-256 of nothing.
pub fn root(size: u64, subtrees: &impl Subtrees) -> Result<Digest, ProofFault> {
    match size {
        0 => Ok(Digest::of(b"")),
        _ => range(0, size, subtrees),
    }
}

/// Where RFC 6962 splits the tree over these leaves: after the largest power of two smaller than their number. One leaf
/// is not split.
fn split(start: u64, end: u64) -> Option<u64> {
    let but_one = end.checked_sub(start)?.checked_sub(1)?;
    start.checked_add(1 << but_one.checked_ilog2()?)
}

/// The hash over the leaves from `start` to before `end`: at least one, and `start` a multiple of a power of two not
/// smaller than their number.
fn range(start: u64, end: u64, subtrees: &impl Subtrees) -> Result<Digest, ProofFault> {
    let mut left = Vec::new();
    let mut start = start;
    let is_complete = |start: u64| end.saturating_sub(start).is_power_of_two();
    while let Some(middle) = split(start, end).filter(|_| !is_complete(start)) {
        left.push(complete(start, middle, subtrees)?);
        start = middle;
    }
    let last = complete(start, end, subtrees)?;
    let joined = left.iter().rev();
    Ok(joined.fold(last, |right, left| tree::node_hash(left, &right)))
}

fn complete(start: u64, end: u64, subtrees: &impl Subtrees) -> Result<Digest, ProofFault> {
    // A logarithm of 64 bits takes one byte.
    let level = end.saturating_sub(start).checked_ilog2();
    let [level, ..] = level.unwrap_or_default().to_le_bytes();
    let index = start >> level;
    subtrees
        .hash(level, index)
        .ok_or(ProofFault::Missing { level, index })
}

/// Whether the leaf with this hash is the one at `index` of the tree of `size` leaves with this root.
pub fn verify_inclusion(
    leaf_hash: &Digest,
    index: u64,
    size: u64,
    proof: &[Digest],
    root: &Digest,
) -> Result<(), ProofFault> {
    let last = size.checked_sub(1).filter(|last| index <= *last);
    let Some(mut last) = last else {
        return Err(ProofFault::Outside { at: index, size });
    };
    bounded(proof)?;
    let mut at = index;
    let mut hash = *leaf_hash;
    for sibling in proof {
        if last == 0 {
            return Err(ProofFault::Length);
        }
        if at & 1 == 1 || at == last {
            hash = tree::node_hash(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            hash = tree::node_hash(&hash, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    if last != 0 {
        Err(ProofFault::Length)
    } else if hash != *root {
        Err(ProofFault::Root)
    } else {
        Ok(())
    }
}

/// Whether the tree of `old` (size and root) is the beginning of the tree of `new`. The proof of an empty or the same
/// tree is empty.
pub fn verify_consistency(
    old: (u64, &Digest),
    new: (u64, &Digest),
    proof: &[Digest],
) -> Result<(), ProofFault> {
    let ((old, old_root), (new, new_root)) = (old, new);
    if old > new {
        return Err(ProofFault::Outside { at: old, size: new });
    }
    bounded(proof)?;
    if old == 0 || old == new {
        return match proof {
            [] if old == 0 && *old_root != Digest::of(b"") => Err(ProofFault::OldRoot),
            [] if old == new && old_root != new_root => Err(ProofFault::Root),
            [] => Ok(()),
            [_, ..] => Err(ProofFault::Length),
        };
    }
    let (old_last, new_last) = (old.saturating_sub(1), new.saturating_sub(1));
    let shift = old_last.trailing_ones();
    let (mut at, mut last) = (old_last >> shift, new_last >> shift);
    let (first, rest) = if old.is_power_of_two() {
        (old_root, proof)
    } else {
        proof.split_first().ok_or(ProofFault::Length)?
    };
    let (mut older, mut newer) = (*first, *first);
    for hash in rest {
        if last == 0 {
            return Err(ProofFault::Length);
        }
        if at & 1 == 1 || at == last {
            older = tree::node_hash(hash, &older);
            newer = tree::node_hash(hash, &newer);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            newer = tree::node_hash(&newer, hash);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    if last != 0 {
        Err(ProofFault::Length)
    } else if older != *old_root {
        Err(ProofFault::OldRoot)
    } else if newer != *new_root {
        Err(ProofFault::Root)
    } else {
        Ok(())
    }
}

fn bounded(proof: &[Digest]) -> Result<(), ProofFault> {
    if proof.len() > limits::PROOF_HASHES_MAX {
        return Err(ProofFault::TooLong(proof.len()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ct_merkle::mem_backed_tree::MemoryBackedTree;
    use proptest::prelude::*;

    fn entry(number: u64) -> Vec<u8> {
        tree::leaf_entry(&Digest::of(&number.to_be_bytes()))
    }

    /// Hashes of complete subtrees of a log whose leaf `i` is `entry(i)`, computed from the leaves each time.
    fn subtree(level: u8, index: u64) -> Option<Digest> {
        Some(if level == 0 {
            tree::leaf_hash(&entry(index))
        } else {
            let left = subtree(level - 1, 2 * index)?;
            tree::node_hash(&left, &subtree(level - 1, 2 * index + 1)?)
        })
    }

    fn bytes(proof: &[Digest]) -> Vec<u8> {
        proof.iter().flat_map(|hash| *hash.as_bytes()).collect()
    }

    const SIZES: u64 = 70;

    /// Roots and every proof of the trees of up to [`SIZES`] leaves, by another implementation.
    fn oracles() -> Vec<MemoryBackedTree<sha2::Sha256, Vec<u8>>> {
        let mut trees = Vec::new();
        for size in 0..=SIZES {
            let mut tree = MemoryBackedTree::new();
            (0..size).for_each(|number| tree.push(entry(number)));
            trees.push(tree);
        }
        trees
    }

    #[test]
    fn all_proofs_of_small_trees_are_those_of_an_independent_tree() {
        let trees = oracles();
        let roots: Vec<Digest> = (0..=SIZES).map(|n| root(n, &subtree).unwrap()).collect();
        for (size, oracle) in (0..).zip(&trees) {
            let root = &roots[usize::try_from(size).unwrap()];
            assert_eq!(root.as_bytes()[..], oracle.root().as_bytes()[..]);
            for index in 0..size {
                let proof = inclusion(size, index, &subtree).unwrap();
                let wanted = oracle.prove_inclusion(usize::try_from(index).unwrap());
                assert_eq!(bytes(&proof), wanted.as_bytes(), "{index} in {size}");
                let leaf = subtree(0, index).unwrap();
                assert_eq!(verify_inclusion(&leaf, index, size, &proof, root), Ok(()));
            }
            for old in 0..=size {
                let proof = consistency(old, size, &subtree).unwrap();
                if (1..size).contains(&old) {
                    let wanted = oracle.prove_consistency(usize::try_from(size - old).unwrap());
                    assert_eq!(bytes(&proof), wanted.as_bytes(), "{old} to {size}");
                } else {
                    assert_eq!(proof, []);
                }
                let before = (old, &roots[usize::try_from(old).unwrap()]);
                assert_eq!(verify_consistency(before, (size, root), &proof), Ok(()));
            }
        }
    }

    #[test]
    fn what_cannot_be_proved() {
        let outside = |at, size| Err(ProofFault::Outside { at, size });
        assert_eq!(inclusion(3, 3, &subtree), outside(3, 3));
        assert_eq!(inclusion(0, 0, &subtree), outside(0, 0));
        assert_eq!(consistency(4, 3, &subtree), outside(4, 3));
        let nothing = |_: u8, _: u64| None;
        let missing = |level, index| Err(ProofFault::Missing { level, index });
        assert_eq!(inclusion(5, 4, &nothing), missing(2, 0));
        assert_eq!(consistency(3, 7, &nothing), missing(1, 2));
        assert_eq!(
            root(u64::MAX, &nothing),
            Err(ProofFault::Missing {
                level: 63,
                index: 0
            })
        );
        assert_eq!(root(0, &nothing), Ok(Digest::of(b"")));
    }

    #[test]
    fn changed_proofs_are_refused() {
        let (old, new) = (root(5, &subtree).unwrap(), root(13, &subtree).unwrap());
        let leaf = subtree(0, 6).unwrap();
        let included = inclusion(13, 6, &subtree).unwrap();
        let consistent = consistency(5, 13, &subtree).unwrap();
        let check = |included: &[Digest], consistent: &[Digest], codes: [&str; 2]| {
            let first = verify_inclusion(&leaf, 6, 13, included, &new);
            let second = verify_consistency((5, &old), (13, &new), consistent);
            let code = |got: Result<(), ProofFault>| got.map_or_else(|f| f.code(), |()| "good");
            assert_eq!([code(first), code(second)], codes);
        };
        check(&included, &consistent, ["good", "good"]);
        check(&[], &[], ["proof-length", "proof-length"]);
        check(
            &included[1..],
            &consistent[1..],
            ["proof-length", "proof-length"],
        );
        let longer = |proof: &[Digest]| [proof, &[new]].concat();
        check(
            &longer(&included),
            &longer(&consistent),
            ["proof-length", "proof-length"],
        );
        let many = vec![new; limits::PROOF_HASHES_MAX + 1];
        check(&many, &many, ["proof-too-long", "proof-too-long"]);
        for at in 0..included.len() {
            let mut changed = included.clone();
            changed[at] = new;
            check(&changed, &consistent, ["proof-root", "good"]);
        }
        for at in 0..consistent.len() {
            let mut changed = consistent.clone();
            changed[at] = new;
            let got = verify_consistency((5, &old), (13, &new), &changed);
            assert!(
                matches!(got, Err(ProofFault::OldRoot | ProofFault::Root)),
                "{at}"
            );
        }
        let empty = Digest::of(b"");
        let verify = verify_consistency;
        assert_eq!(verify((13, &old), (13, &new), &[]), Err(ProofFault::Root));
        assert_eq!(
            verify((13, &new), (13, &new), &[new]),
            Err(ProofFault::Length)
        );
        assert_eq!(
            verify((0, &empty), (13, &new), &[new]),
            Err(ProofFault::Length)
        );
        assert_eq!(verify((0, &old), (13, &new), &[]), Err(ProofFault::OldRoot));
        assert_eq!(
            verify((14, &old), (13, &new), &[]).unwrap_err().code(),
            "proof-outside"
        );
        assert_eq!(
            verify_inclusion(&leaf, 13, 13, &[], &new)
                .unwrap_err()
                .code(),
            "proof-outside"
        );
    }

    proptest! {
        #[test]
        fn proofs_of_any_size_verify_and_for_nothing_else(
            new in 1_u64..700, a in 0_u64..700, b in 0_u64..700, other in 0_u64..700,
        ) {
            let (old, index) = (a % new, b % new);
            let top = root(new, &subtree).unwrap();
            let path = inclusion(new, index, &subtree).unwrap();
            let leaf = subtree(0, index).unwrap();
            prop_assert_eq!(verify_inclusion(&leaf, index, new, &path, &top), Ok(()));
            if other != index {
                prop_assert!(verify_inclusion(&leaf, other, new, &path, &top).is_err());
            }
            let before = root(old, &subtree).unwrap();
            let path = consistency(old, new, &subtree).unwrap();
            prop_assert_eq!(verify_consistency((old, &before), (new, &top), &path), Ok(()));
            if old != 0 {
                let fork = Digest::of(b"fork");
                prop_assert!(verify_consistency((old, &fork), (new, &top), &path).is_err());
                prop_assert!(verify_consistency((old, &before), (new, &fork), &path).is_err());
            }
        }

        #[test]
        fn no_input_panics(
            sizes in any::<[u64; 3]>(), hashes in proptest::collection::vec(any::<[u8; 32]>(), 0..70),
        ) {
            let proof: Vec<Digest> = hashes.into_iter().map(Digest::from_bytes).collect();
            let any = Digest::of(b"any");
            let [a, b, c] = sizes;
            prop_assert!(verify_inclusion(&any, a, b, &proof, &any).is_err() || b == 1);
            prop_assert!(verify_consistency((a, &any), (c, &any), &proof).is_err() || a == c);
        }
    }
}
