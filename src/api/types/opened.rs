//! Opening and exporting a package.

use serde::{Deserialize, Serialize};

use crate::base::{AuthorityId, Digest, Xid};
use crate::package::ItemTerms;
use crate::policy::Ground;
use crate::policy::terms::Terms;

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

/// `POST /v1/openings/{opening}/mismatch`: what was read is not what was signed; the sender is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mismatch {
    /// What does not match, in one word.
    pub code: String,
}

/// The permitted opening; its plaintext is read at `GET /v1/openings/{opening}/plaintext`, with `Range` or whole, or its age file at
/// `GET /v1/openings/{opening}/age`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Opening {
    /// Names the opening; ends with the permission, within a day, or with `DELETE`.
    pub opening: String,
    /// The package.
    pub id: Xid,
    /// The sending authority, as signed.
    pub from: AuthorityId,
    /// The receiving authority, as signed.
    pub to: AuthorityId,
    /// The terms, as signed in the dispatch.
    pub terms: Terms,
    /// Items under terms of their own, as disclosed beside the dispatch.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub item_terms: Vec<ItemTerms>,
    /// SHA-256 of the manifest, as disclosed beside the dispatch.
    pub manifest: Digest,
    /// Plaintext bytes.
    pub plaintext_bytes: u64,
    /// Bytes that it is for: of the items that were named, or all.
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
