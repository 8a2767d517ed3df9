//! Codes: closed vocabularies whose words are stable text, and the open form that instruments have.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::base::{limits, spelling};

/// Why a text is not a code of its vocabulary; says which word was probably meant, or all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeFault {
    what: &'static str,
    text: String,
    nearest: Option<&'static str>,
    known: Vec<&'static str>,
}

impl CodeFault {
    pub(crate) fn new(what: &'static str, text: &str, known: Vec<&'static str>) -> Self {
        let text: String = text.chars().take(80).collect();
        let nearest = nearest(&text, &known);
        Self {
            what,
            text,
            nearest,
            known,
        }
    }

    /// The word that was probably meant.
    pub const fn suggestion(&self) -> Option<&'static str> {
        self.nearest
    }
}

impl fmt::Display for CodeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not a known {}", self.text, self.what)?;
        match self.nearest {
            Some(word) => write!(f, "; did you mean {word:?}?"),
            None if self.known.is_empty() => Ok(()),
            None => write!(f, "; known are {}", self.known.join(", ")),
        }
    }
}

impl std::error::Error for CodeFault {}

/// The known word at most a third of its length away in edits, case aside.
fn nearest(text: &str, known: &[&'static str]) -> Option<&'static str> {
    let text = text.to_ascii_lowercase();
    known
        .iter()
        .map(|word| (spelling::edits(&text, &word.to_ascii_lowercase()), *word))
        .filter(|(edits, word)| *edits <= word.len().div_ceil(3))
        .min()
        .map(|(_, word)| word)
}

/// A closed vocabulary: an enum whose variants are stable words, ordered as the words are.
macro_rules! vocabulary {
    (
        $(#[$about:meta])*
        $name:ident: $what:literal {
            $($(#[doc = $doc:literal])+ $variant:ident = $word:literal,)+
        }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[doc = $doc])+ #[doc = concat!("Written `", $word, "`.")] $variant,)+
        }

        impl $name {
            /// Every word of the vocabulary.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable word.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// The meaning of the word, for people, with its source in law where there is one.
            pub const fn means(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($doc),+).trim_ascii_start(),)+
                }
            }

            /// Reads exactly one of the words.
            pub fn parse(text: &str) -> Result<Self, $crate::policy::CodeFault> {
                Self::ALL
                    .iter()
                    .find(|known| known.as_str() == text)
                    .copied()
                    .ok_or_else(|| {
                        let known = Self::ALL.iter().map(|word| word.as_str()).collect();
                        $crate::policy::CodeFault::new($what, text, known)
                    })
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                self.as_str().cmp(other.as_str())
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::policy::CodeFault;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = String::deserialize(from)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use vocabulary;

/// A code whose vocabulary is data, not a type of ours: 1 to 64 ASCII letters, digits, inner `.` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(String);

impl Code {
    /// The code as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a text has the form of a code.
    pub fn is_well_formed(text: &str) -> bool {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
        let outer = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = text.as_bytes();
        bytes.len() <= limits::CODE_BYTES_MAX
            && bytes.iter().all(|b| inner(*b))
            && outer(bytes.first())
            && outer(bytes.last())
    }
}

impl FromStr for Code {
    type Err = CodeFault;

    fn from_str(text: &str) -> Result<Self, CodeFault> {
        Self::is_well_formed(text)
            .then(|| Self(text.to_owned()))
            .ok_or_else(|| {
                CodeFault::new(
                    "code: letters, digits, inner . and -, at most 64",
                    text,
                    Vec::new(),
                )
            })
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Purpose;

    #[test]
    fn codes_have_one_form() {
        let long = "a".repeat(65);
        for (text, good) in [
            ("EIO", true),
            ("MLA-2000", true),
            ("v1.2", true),
            ("x", true),
            ("", false),
            ("-EIO", false),
            ("EIO-", false),
            ("E IO", false),
            ("É", false),
            ("a/b", false),
            (long.as_str(), false),
        ] {
            assert_eq!(text.parse::<Code>().is_ok(), good, "{text:?}");
        }
    }

    #[test]
    fn a_wrong_word_is_answered_with_the_right_one() {
        for (text, meant) in [
            ("prosecutoin", Some("prosecution")),
            ("Trial", Some("trial")),
            ("civil-claims", Some("civil-claim")),
            ("curiosity", None),
            ("", None),
        ] {
            let fault = Purpose::parse(text).expect_err(text);
            assert_eq!(fault.suggestion(), meant, "{text:?}");
            assert!(fault.to_string().contains(meant.unwrap_or("known are ")));
        }
    }

    #[test]
    fn a_fault_says_what_is_known() {
        let none = CodeFault::new("code", "E O", Vec::new());
        assert_eq!(none.to_string(), "\"E O\" is not a known code");
        let code: Code = "EIO".parse().unwrap();
        assert_eq!(format!("{code:>5}"), "  EIO");
    }
}
