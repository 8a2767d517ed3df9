//! Faults of a configuration, with the known key that was probably meant.

use std::fmt;

use serde::Serialize;

use crate::base::spelling::edits;

/// One fault of a configuration. A load reports all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigFault {
    /// The line in the configuration file, from 1; absent for the environment and for files that the configuration
    /// names.
    pub line: Option<u32>,
    /// The key (`section.key`), environment variable or file at fault.
    pub key: String,
    /// The fault and the next step.
    pub text: String,
    /// The key that was probably meant.
    pub suggestion: Option<String>,
}

impl ConfigFault {
    /// A fault without a place in the file and without a suggestion.
    pub fn of(key: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            line: None,
            key: key.into(),
            text: text.into(),
            suggestion: None,
        }
    }
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.text)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; did you mean {suggestion}?"),
            None => Ok(()),
        }
    }
}

/// The candidate that `word` most probably stands for: at most one edit for short words, two, or a third of a long
/// word.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // Longer words are no misspelling of ours; this also bounds the work.
    if word.len() > 64 {
        return None;
    }
    let word = word.to_lowercase();
    let limit = (word.len() / 3).max(usize::from(word.len() > 1));
    candidates
        .into_iter()
        .map(|candidate| (edits(&word, candidate), candidate))
        .filter(|(edits, _)| *edits <= limit)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word() {
        let words = ["authority", "listen", "limits", "id", "alias", "level"];
        for (word, expected) in [
            ("authorty", Some("authority")),
            ("auhtority", Some("authority")),
            ("listne", Some("listen")),
            ("limit", Some("limits")),
            ("LEVEL", Some("level")),
            ("ids", Some("id")),
            ("completely-else", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, words), expected, "{word}");
        }
        assert_eq!(nearest(&"a".repeat(100_000), words), None);
    }
}
