//! The bodies of frames that are JSON.

use serde::{Deserialize, Serialize};

use crate::base::{Digest, Timestamp, limits};

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
    /// The sender's newest revocation lists, one of each CA, ascending by CA, at most [`limits::CRLS_MAX`].
    pub crls: Vec<ListNumber>,
    /// Number of the newest card of the receiving side that the sender holds; 0 for none.
    pub peer_card: u64,
    /// The newest revocation lists of the receiving side that the sender holds, in the same form.
    pub peer_crls: Vec<ListNumber>,
}

/// A revocation list by its CA and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListNumber {
    /// The CA that signed it, see [`crate::identity::ca_id`].
    pub ca: Digest,
    /// Its number (RFC 5280 §5.2.3). Numbers are compared among the lists of one CA alone.
    pub number: u64,
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
    /// Of a revocation list, its CA, see [`ListNumber`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ca: Option<Digest>,
    /// The kind of document that was announced.
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
pub struct FaultMessage {
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
        if !ascending {
            return Some("protocol versions must ascend");
        }
        let lists = [&self.crls, &self.peer_crls];
        if lists.iter().any(|lists| lists.len() > limits::CRLS_MAX) {
            return Some("at most 8 revocation lists are allowed");
        }
        let ascend = |lists: &[ListNumber]| {
            let mut pairs = lists.windows(2);
            pairs.all(|pair| matches!(pair, [a, b] if a.ca < b.ca))
        };
        let ascending = lists.iter().all(|lists| ascend(lists));
        (!ascending).then_some("revocation lists must ascend by their CAs")
    }
}

impl Ack {
    /// A card is committed.
    pub const fn card(number: u64) -> Self {
        Self {
            ca: None,
            what: Announced::Card,
            number,
        }
    }

    /// A revocation list is committed.
    pub const fn crl(ListNumber { ca, number }: ListNumber) -> Self {
        Self {
            ca: Some(ca),
            what: Announced::Crl,
            number,
        }
    }

    pub(crate) fn rule_broken(&self) -> Option<&'static str> {
        let names_ca = match self.what {
            Announced::Card => false,
            Announced::Crl => true,
        };
        (self.ca.is_some() != names_ca)
            .then_some("a revocation list is acknowledged with its CA, and nothing else is")
    }
}

impl Later {
    pub(crate) fn rule_broken(&self) -> Option<&'static str> {
        code_broken(&self.code)
    }
}

impl FaultMessage {
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
