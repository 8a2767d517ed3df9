//! Conversions between numbers that lose nothing.

/// A length in memory as a number of bytes or entries: as on disk and on the wire.
#[expect(
    clippy::as_conversions,
    reason = "a usize has at most 64 bits; `u64::from` does not know that, and `try_from` is not const"
)]
pub const fn len_u64(len: usize) -> u64 {
    len as u64
}
