//! Commitments, leaves and the root over them (RFC 6962 §2.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::base::{Digest, Hasher};

/// The commitment to a note that the log shows: SHA-256("rogatory/commit/v1", 0x00, `r`, the note's digest); `r` are 32
/// random bytes that only a holder of the note knows.
pub fn commitment(r: &[u8; 32], note: &Digest) -> Digest {
    let mut hasher = Hasher::new();
    hasher.update(b"rogatory/commit/v1\0");
    hasher.update(r);
    hasher.update(note.as_bytes());
    hasher.finish()
}

/// The leaf entry of a commitment: `rogatory/leaf/v1`, newline, padded base64, newline.
pub fn leaf_entry(commitment: &Digest) -> Vec<u8> {
    format!(
        "rogatory/leaf/v1\n{}\n",
        STANDARD.encode(commitment.as_bytes())
    )
    .into_bytes()
}

/// The commitment in a leaf entry; none if it is not one.
pub fn parse_leaf_entry(entry: &[u8]) -> Option<Digest> {
    let text = entry
        .strip_prefix(b"rogatory/leaf/v1\n")?
        .strip_suffix(b"\n")?;
    let bytes = STANDARD.decode(text).ok()?;
    Some(Digest::from_bytes(bytes.try_into().ok()?))
}

/// The hash of a leaf: SHA-256(0x00, entry).
pub fn leaf_hash(entry: &[u8]) -> Digest {
    let mut hasher = Hasher::new();
    hasher.update(&[0]);
    hasher.update(entry);
    hasher.finish()
}

/// The hash of an inner node: SHA-256(0x01, left, right).
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    let mut hasher = Hasher::new();
    hasher.update(&[1]);
    hasher.update(left.as_bytes());
    hasher.update(right.as_bytes());
    hasher.finish()
}

/// A growing tree, held as the roots of its perfect subtrees: one digest for each bit set in its size, the largest
/// subtree first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Digest>,
}

impl Frontier {
    /// The empty tree.
    pub const fn new() -> Self {
        Self {
            size: 0,
            peaks: Vec::new(),
        }
    }

    /// Adds the hash of the next leaf.
    pub fn append(&mut self, leaf_hash: Digest) {
        let mut node = leaf_hash;
        for _ in 0..self.size.trailing_ones() {
            // One peak for each bit set in the size.
            let left = self.peaks.pop();
            node = left.map_or(node, |left| node_hash(&left, &node));
        }
        self.peaks.push(node);
        self.size = self.size.saturating_add(1);
    }

    /// How many leaves there are.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root; of the empty tree SHA-256 of nothing.
    pub fn root(&self) -> Digest {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else {
            return Digest::of(b"");
        };
        peaks.fold(*last, |right, left| node_hash(left, &right))
    }

    /// Size and peaks, for storing.
    pub fn parts(&self) -> (u64, Vec<Digest>) {
        (self.size, self.peaks.clone())
    }

    /// The tree of these parts, if their numbers fit.
    pub fn from_parts(size: u64, peaks: Vec<Digest>) -> Option<Self> {
        let fits = u32::try_from(peaks.len()).is_ok_and(|count| count == size.count_ones());
        fits.then_some(Self { size, peaks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_those_of_an_independent_tree() {
        let mut frontier = Frontier::new();
        let mut oracle =
            ct_merkle::mem_backed_tree::MemoryBackedTree::<sha2::Sha256, Vec<u8>>::new();
        for index in 0..300_u32 {
            let root = oracle.root();
            assert_eq!(
                frontier.root().as_bytes()[..],
                root.as_bytes()[..],
                "{index}"
            );
            let (size, peaks) = frontier.parts();
            assert_eq!((size, oracle.len()), (u64::from(index), u64::from(index)));
            assert_eq!(Frontier::from_parts(size, peaks).as_ref(), Some(&frontier));
            let entry = leaf_entry(&Digest::of(&index.to_be_bytes()));
            frontier.append(leaf_hash(&entry));
            oracle.push(entry);
        }
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let peak = Digest::of(b"");
        for (size, peaks, good) in [
            (0, 0, true),
            (0, 1, false),
            (3, 2, true),
            (3, 1, false),
            (4, 2, false),
        ] {
            assert_eq!(
                Frontier::from_parts(size, vec![peak; peaks]).is_some(),
                good
            );
        }
    }

    #[test]
    fn known_values() {
        assert_eq!(
            leaf_hash(b"").to_string(),
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
        );
        let digest = Digest::from_bytes([0; 32]);
        assert_eq!(
            leaf_entry(&digest),
            b"rogatory/leaf/v1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
        );
        let mut bytes = b"rogatory/commit/v1".to_vec();
        bytes.extend([0; 1 + 32 + 32]);
        assert_eq!(commitment(&[0; 32], &digest), Digest::of(&bytes));
    }
}
