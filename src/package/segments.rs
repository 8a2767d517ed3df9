//! The payload of a package as segments of 1 MiB: how many, how long, and the root over their hashes (RFC 6962 §2.1).

use crate::base::limits::SEGMENT_BYTES;
use crate::base::{Digest, Hasher};

/// How many segments a payload of this many bytes has.
pub const fn count(len: u64) -> u64 {
    len.div_ceil(SEGMENT_BYTES)
}

/// How many bytes segment `index` of a payload of `len` bytes has: 1 MiB, less for the last one, 0 past it.
pub const fn length_of(index: u64, len: u64) -> u64 {
    let rest = len.saturating_sub(index.saturating_mul(SEGMENT_BYTES));
    if rest < SEGMENT_BYTES { rest } else { SEGMENT_BYTES }
}

/// The hash of a segment: SHA-256 of a zero byte and the segment, the leaf hash of RFC 6962.
pub fn segment_hash(segment: &[u8]) -> Digest {
    let mut hasher = Hasher::new();
    hasher.update(&[0]);
    hasher.update(segment);
    hasher.finish()
}
