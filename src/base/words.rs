//! Closed sets of words that are stored and shown.

/// Why a stored word is none of ours: the database was changed by something else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a {1}")]
pub struct WordFault(String, &'static str);

impl WordFault {
    /// This text is no such word.
    pub(crate) fn new(text: &str, what: &'static str) -> Self {
        Self(text.chars().take(40).collect(), what)
    }
}

/// An enum whose variants are stable words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$note:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name { $($(#[$note])* $variant,)* }

        impl $name {
            /// Every value, in the order of its declaration.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The word it is stored and shown as.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::base::WordFault;

            fn from_str(text: &str) -> Result<Self, $crate::base::WordFault> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    other => Err($crate::base::WordFault::new(other, $what)),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

pub(crate) use words;
