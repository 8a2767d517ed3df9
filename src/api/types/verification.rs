//! Opening and exporting a package.

use serde::{Deserialize, Serialize};

use crate::base::{Digest, Xid};
use crate::package::Expect;
use crate::policy::Ground;

/// `POST /v1/packages/{id}/openings`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenRequest {
    /// The one purpose.
    pub purpose: String,
    /// Why, in words; kept here, never sent.
    pub justification: String,
    /// Item paths, where not the whole package is opened.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub items: Vec<String>,
    /// Whether the proceedings are declared to be directly related to those of the request.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub related: bool,
    /// An exception that is declared: a second person approves it, and the sender is told.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exception: Option<Ground>,
    /// Whether its age file is to be taken away, still encrypted, in place of its plaintext.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub export: bool,
}

/// `POST /v1/openings/{opening}/mismatch`: what was read is not what was signed. The daemon examines the package for
/// itself, and answers with an [`Examination`] as of some seconds later; the same call again asks how far it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mismatch {
    /// The part that does not match, in one word.
    pub code: String,
}

/// How the daemon's own examination of a package stands that was reported not to be what its sender signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Examination {
    /// It is under way; it goes on whether anybody asks or not.
    Running,
    /// The package is not what its sender signed: that is stated, and the sender is told.
    Mismatch {
        /// Names what does not match, in one word.
        code: String,
        /// The same in a sentence.
        text: String,
        /// SHA-256 of the bytes of the statement.
        receipt: Digest,
    },
    /// It is what its sender signed: nothing is stated.
    Good,
    /// The bytes stored here are not those that were received: nothing is stated, the sender is not at fault.
    Altered {
        /// In a sentence.
        text: String,
    },
    /// Nothing can be said of it, and nothing is stated.
    Unreadable {
        /// Why.
        text: String,
    },
}

/// The permitted opening; its plaintext is read at `GET /v1/openings/{opening}/plaintext`, with `Range` or whole, or
/// its age file at `GET /v1/openings/{opening}/age`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Opening {
    /// Names the opening; ends with the permission, within a day, or with `DELETE`.
    pub opening: String,
    /// The package.
    pub id: Xid,
    /// The expected content, as signed in the dispatch and disclosed beside it.
    #[serde(flatten)]
    pub expect: Expect,
    /// Plaintext bytes.
    pub plaintext_bytes: u64,
    /// The most bytes that it is for: of the items that were named, up to the next MiB, or all.
    pub opened_bytes: u64,
}

/// `DELETE /v1/openings/{opening}`: what has left under it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Closed {
    /// SHA-256 of the bytes of the `access` receipt; none if nothing has left.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub receipt: Option<Digest>,
    /// How many bytes have left.
    pub released: u64,
}
