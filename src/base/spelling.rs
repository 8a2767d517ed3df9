//! How far apart two words are, for "did you mean".

use std::{iter, mem};

/// Insertions, deletions, replacements and swaps of neighbours between two words (optimal string alignment).
pub fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    // Two rows of the table of distances, one row for each beginning of `a`.
    let (mut before, mut last) = (Vec::new(), (0..=b.len()).collect::<Vec<_>>());
    let mut previous = None;
    for (row, from) in (1..).zip(a.chars()) {
        let mut left = row;
        let mut next = vec![left];
        let swaps = before.iter().zip(&b).map(Some);
        let swaps = iter::once(None).chain(swaps).chain(iter::repeat(None));
        for ((&[corner, above], to), swap) in last.array_windows().zip(&b).zip(swaps) {
            let replaced = corner.saturating_add(usize::from(from != *to));
            left = replaced.min(above.min(left).saturating_add(1));
            if let Some((far, earlier)) = swap
                && (*earlier, previous) == (from, Some(*to))
            {
                left = left.min(usize::saturating_add(*far, 1));
            }
            next.push(left);
        }
        before = mem::replace(&mut last, next);
        previous = Some(from);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_as_far_apart_as_letters_are_to_change() {
        for (one, other, want) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "abc", 0),
            ("abc", "abd", 1),
            ("abc", "bc", 1),
            ("abc", "acb", 1),
            ("abcd", "badc", 2),
            ("ca", "abc", 3),
            ("kitten", "sitting", 3),
            ("trial", "lairt", 4),
            ("prosecution", "prosecutoin", 1),
            ("é", "e", 1),
        ] {
            assert_eq!(edits(one, other), want, "{one} {other}");
            assert_eq!(edits(other, one), want, "{other} {one}");
        }
    }
}
