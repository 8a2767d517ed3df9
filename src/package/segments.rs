//! The payload of a package as segments of 1 MiB: how many, how long, and the root over their hashes (RFC 6962 §2.1).

use std::io::{self, Read};

use crate::base::limits::SEGMENT_BYTES;
use crate::base::{Digest, len_u64};
use crate::tlog;

/// The root over the hashes of segments, fed one at a time in memory that does not grow with the payload. The root of
/// all of them is the package's `body`.
pub type ListRoot = tlog::Frontier;

/// How many segments a payload of this many bytes has.
pub const fn count(len: u64) -> u64 {
    len.div_ceil(SEGMENT_BYTES)
}

/// How many bytes segment `index` of a payload of `len` bytes has: 1 MiB, less for the last one, 0 past it.
pub const fn length_of(index: u64, len: u64) -> u64 {
    let rest = len.saturating_sub(index.saturating_mul(SEGMENT_BYTES));
    if rest < SEGMENT_BYTES {
        rest
    } else {
        SEGMENT_BYTES
    }
}

/// The hash of a segment: SHA-256 of a zero byte and the segment, the leaf hash of RFC 6962.
pub fn segment_hash(segment: &[u8]) -> Digest {
    tlog::leaf_hash(segment)
}

/// The root over these hashes, in order.
pub fn root_of(hashes: impl IntoIterator<Item = Digest>) -> Digest {
    let mut root = ListRoot::new();
    for hash in hashes {
        root.append(hash);
    }
    root.root()
}

/// The root over the segments of what is read to its end, and how long that is; one segment in memory.
pub fn read_root(mut from: impl Read) -> io::Result<(Digest, u64)> {
    let (mut root, mut len) = (ListRoot::new(), 0_u64);
    let mut segment = Vec::new();
    loop {
        segment.clear();
        let read = from
            .by_ref()
            .take(SEGMENT_BYTES)
            .read_to_end(&mut segment)?;
        if read == 0 {
            return Ok((root.root(), len));
        }
        root.append(segment_hash(&segment));
        len = len.saturating_add(len_u64(read));
    }
}

/// Plaintext bytes of an age payload of this length: 16 bytes of nonce, then chunks of 64 KiB with 16 bytes of tag.
pub const fn plaintext_bytes(payload: u64) -> u64 {
    let chunks = payload.saturating_sub(16);
    let tags = chunks.div_ceil((64 << 10) + 16).saturating_mul(16);
    chunks.saturating_sub(tags)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn segments_of_known_lengths() {
        for (len, segments, last) in [
            (0, 0, 0),
            (1, 1, 1),
            (SEGMENT_BYTES - 1, 1, SEGMENT_BYTES - 1),
            (SEGMENT_BYTES, 1, SEGMENT_BYTES),
            (SEGMENT_BYTES + 1, 2, 1),
            (u64::MAX, 1 << 44, SEGMENT_BYTES - 1),
        ] {
            assert_eq!(count(len), segments, "{len}");
            if let Some(index) = segments.checked_sub(1) {
                assert_eq!(length_of(index, len), last, "{len}");
            }
            assert_eq!(length_of(segments, len), 0, "{len}");
        }
        assert_eq!(root_of([]), Digest::of(b""));
        assert_eq!(root_of([segment_hash(b"x")]), Digest::of(b"\0x"));
    }

    proptest! {
        #[test]
        fn the_lengths_of_all_segments_add_up(len in 0..100 * SEGMENT_BYTES) {
            let sum: u64 = (0..count(len)).map(|index| length_of(index, len)).sum();
            prop_assert_eq!(sum, len);
        }
    }

    #[test]
    fn plaintext_is_what_age_leaves_of_a_payload() {
        for (payload, plain) in [
            (32, 0),
            (33, 1),
            (16 + 65_552, 65_536),
            (16 + 65_552 + 17, 65_537),
            (16 + 2 * 65_552, 131_072),
        ] {
            assert_eq!(plaintext_bytes(payload), plain, "{payload}");
        }
    }
}
