//! The two kinds of line that the text formats of C2SP logs share: decimals and hashes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::base::{Digest, limits};

/// Reads a decimal without sign or leading zeros, of at most 2^53 − 1.
pub(super) fn decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    let fits = number <= limits::JSON_INTEGER_MAX.unsigned_abs();
    (fits && number.to_string() == text).then_some(number)
}

/// Reads 32 bytes of canonical, padded base64.
pub(super) fn hash(text: &str) -> Option<Digest> {
    let bytes = STANDARD.decode(text).ok()?;
    Some(Digest::from_bytes(bytes.try_into().ok()?))
}

/// Writes a hash, without a newline.
pub(super) fn write_hash(hash: &Digest) -> String {
    STANDARD.encode(hash.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_each() {
        for (text, number) in [
            ("0", Some(0)),
            ("9007199254740991", Some(9_007_199_254_740_991)),
            ("9007199254740992", None),
            ("", None),
            ("+1", None),
            ("-1", None),
            ("01", None),
            (" 1", None),
            ("1 ", None),
        ] {
            assert_eq!(decimal(text), number, "{text:?}");
        }
        let one = Digest::of(b"");
        let text = write_hash(&one);
        assert_eq!(hash(&text), Some(one));
        for bad in ["", "AAAA", text.trim_end_matches('='), &format!("{text}\r")] {
            assert_eq!(hash(bad), None, "{bad:?}");
        }
    }
}
