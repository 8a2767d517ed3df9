//! Fingerprints that people compare by telephone: six words, eleven bits each.

use crate::base::Digest;

/// How many words a fingerprint has: 66 bits.
pub const COUNT: usize = 6;

/// The 2,048 English words of BIP-39: short, common, no two alike in their first four letters.
const LIST: &str = include_str!("words.txt");

/// The first 66 bits of a digest as six words, joined by hyphens.
pub fn words(digest: &Digest) -> String {
    let head = digest.as_bytes().iter().take(16);
    let mut bits = head.fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
    let chosen: Vec<&str> = (0..COUNT)
        .filter_map(|_| {
            bits = bits.rotate_left(11);
            let [.., high, low] = bits.to_be_bytes();
            let index = u16::from_be_bytes([high, low]) & 0x7ff;
            LIST.lines().nth(index.into())
        })
        .collect();
    chosen.join("-")
}

/// Whether these are the six words of this digest, in whatever case and however separated.
#[must_use]
pub fn matches(given: &str, digest: &Digest) -> bool {
    let given: Vec<String> = given
        .split(|c: char| c.is_whitespace() || c.is_ascii_punctuation())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .take(COUNT + 1)
        .collect();
    given.join("-") == words(digest)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_list_is_that_of_bip39() {
        assert_eq!(
            Digest::of(LIST.as_bytes()).to_string(),
            "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda"
        );
        let heads: BTreeSet<_> = LIST
            .lines()
            .map(|word| &word[..word.len().min(4)])
            .collect();
        assert_eq!(heads.len(), 2048);
    }

    #[test]
    fn words_are_eleven_bits_each() {
        let zero = Digest::from_bytes([0; 32]);
        assert_eq!(words(&zero), ["abandon"; 6].join("-"));
        assert_eq!(words(&Digest::from_bytes([0xff; 32])), ["zoo"; 6].join("-"));
        let mut one = [0; 32];
        one[8] = 0b0100_0000;
        assert_eq!(
            words(&Digest::from_bytes(one)),
            "abandon-abandon-abandon-abandon-abandon-ability"
        );
        one[8] = 0b0010_0000;
        assert_eq!(words(&Digest::from_bytes(one)), words(&zero));
    }

    #[test]
    fn people_may_write_them_as_they_like() {
        let digest = Digest::of(b"card");
        let good = words(&digest);
        for (given, same) in [
            (good.clone(), true),
            (good.to_uppercase(), true),
            (good.replace('-', " "), true),
            (format!("  {}\n", good.replace('-', ", ")), true),
            (good[1..].to_owned(), false),
            (format!("{good}-zoo"), false),
            (good.rsplit_once('-').unwrap().0.to_owned(), false),
            (String::new(), false),
            (words(&Digest::of(b"another")), false),
        ] {
            assert_eq!(matches(&given, &digest), same, "{given:?}");
        }
    }
}
