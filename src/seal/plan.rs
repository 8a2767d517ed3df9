//! The plan of a package to be sealed, and the result.

use crate::base::{AuthorityId, Digest, Timestamp};
use crate::package::item_terms::ItemTerms;
use crate::package::manifest::Manifest;
use crate::package::path::ItemPath;
use crate::policy::Terms;

/// The package's words about itself, and its recipients.
#[derive(Debug, Clone)]
pub struct SealPlan {
    /// The sender.
    pub from: AuthorityId,
    /// The receiver.
    pub to: AuthorityId,
    /// The sender's reference of the case.
    pub case: String,
    /// The request that it answers.
    pub request: Option<String>,
    /// A title for people.
    pub title: Option<String>,
    /// The terms that bind it.
    pub terms: Terms,
    /// Items and folders under terms of their own.
    pub item_terms: Vec<(ItemPath, Terms)>,
    /// Now.
    pub created: Timestamp,
    /// Who seals: the performer of the first custody event.
    pub actor: String,
    /// The age recipients of the receiver's card.
    pub recipients: Vec<String>,
}

/// The sealed package.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// The manifest, as it lies in the package.
    pub manifest: Manifest,
    /// Its digest.
    pub manifest_digest: Digest,
    /// The root over its items.
    pub item_root: Digest,
    /// Which bytes of the plaintext are under terms of their own.
    pub item_terms: Vec<ItemTerms>,
    /// How many items.
    pub items: u64,
    /// The bytes of all items together.
    pub plaintext_bytes: u64,
}
