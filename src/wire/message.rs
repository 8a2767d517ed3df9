//! The bodies of frames that are JSON.

use serde::{Deserialize, Serialize};

use crate::base::Timestamp;
use crate::base::limits;

/// The first frame of each side on the control stream: who speaks what, and which papers are the newest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// Protocol versions that the sender speaks, ascending, 1 to 16 of them.
    pub versions: Vec<u64>,
    /// The sender's clock.
    pub now: Timestamp,
    /// Number of the sender's newest card.
    pub card: u64,
    /// Number of the sender's newest revocation list.
    pub crl: u64,
    /// Number of the newest card of the receiving side that the sender holds; 0 for none.
    pub peer_card: u64,
    /// Number of the newest revocation list of the receiving side that the sender holds; 0 for none.
    pub peer_crl: u64,
}

/// A paper that is announced over the control stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Announced {
    /// An authority's card.
    Card,
    /// A revocation list.
    Crl,
}

/// The announced paper is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ack {
    /// What was announced.
    pub what: Announced,
    /// Its number.
    pub number: u64,
}

/// Not now: nothing was decided, the sender should try again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Later {
    /// Why, as a kebab-case word of at most 64 bytes.
    pub code: String,
    /// After how many seconds to try again.
    pub after_s: u64,
}

/// The last frame on a stream whose sender gives it up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Why, as a kebab-case word of at most 64 bytes.
    pub code: String,
    /// The same for people: at most 4,096 bytes, no control characters.
    pub text: String,
}

/// Protocol versions in one `hello`.
const VERSIONS_MAX: usize = 16;
/// A reason code, in bytes.
const CODE_BYTES_MAX: usize = 64;

impl Hello {
    pub(crate) fn rule_broken(&self) -> Option<&'static str> {
        if self.versions.is_empty() || self.versions.len() > VERSIONS_MAX {
            return Some("1 to 16 protocol versions are allowed");
        }
        let ascending = self
            .versions
            .windows(2)
            .all(|pair| matches!(pair, [a, b] if a < b));
        (!ascending).then_some("protocol versions must ascend")
    }
}

impl Later {
    pub(crate) fn rule_broken(&self) -> Option<&'static str> {
        code_broken(&self.code)
    }
}

impl Fault {
    /// A fault whose text is fit to be sent: control characters become spaces, what is too long is cut.
    pub fn new(code: &str, text: &str) -> Self {
        let mut clean = String::new();
        for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
            if c.len_utf8() > limits::TEXT_BYTES_MAX.saturating_sub(clean.len()) {
                break;
            }
            clean.push(c);
        }
        Self {
            code: code.to_owned(),
            text: clean,
        }
    }

    pub(crate) fn rule_broken(&self) -> Option<&'static str> {
        if self.text.len() > limits::TEXT_BYTES_MAX {
            return Some("text longer than 4096 bytes");
        }
        if self.text.chars().any(char::is_control) {
            return Some("control character in the text");
        }
        code_broken(&self.code)
    }
}

fn code_broken(code: &str) -> Option<&'static str> {
    let word = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    let good = (1..=CODE_BYTES_MAX).contains(&code.len()) && code.bytes().all(word);
    (!good).then_some("a code is 1 to 64 of a-z, 0-9 and -")
}
