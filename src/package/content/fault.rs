//! Why a content was not read to its end, and whose fault that is.

use std::io;

use crate::base::AuthorityId;
use crate::package::manifest::ManifestFault;
use crate::package::path::PathFault;
use crate::package::tape::{TapeError, TapeFault};

/// A fault in the content of a package. Any such fault is the doing of whoever sealed it: the bytes are authenticated
/// by age and signed for by the sender, so nothing on the way can have caused it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentFault {
    /// A piece of the payload does not decrypt: altered before it was signed, missing, out of order, or the last one
    /// is.
    #[error("the sealed bytes do not decrypt")]
    Undecryptable,
    /// Not the tar of a package, or cut off.
    #[error("the package is malformed: {0}")]
    Tape(#[from] TapeFault),
    /// An entry whose name no item may have, or two of one name.
    #[error("the package is malformed: {0}")]
    Path(#[from] PathFault),
    /// The entries are not those of a package, in their order.
    #[error("the package is malformed: {wanted} expected, {found} found")]
    Order {
        /// The expected value.
        wanted: &'static str,
        /// The value found.
        found: String,
    },
    /// More items or bytes than a package may have.
    #[error("the package holds more than a package may hold ({0})")]
    TooLarge(&'static str),
    /// Bytes after the end.
    #[error("the package is malformed: bytes follow its end")]
    Trailing,
    /// The manifest is not the one that the receipt names.
    #[error("the manifest is not the one that the sender's receipt names")]
    ManifestDigest,
    /// The manifest is none.
    #[error("the package is malformed: {0}")]
    Manifest(#[from] ManifestFault),
    /// The manifest names another sender or receiver.
    #[error("the manifest is for an exchange from {from} to {to}, not for this one")]
    Parties {
        /// The sender that it names.
        from: AuthorityId,
        /// The receiver that it names.
        to: AuthorityId,
    },
    /// The manifest's terms are not those of the receipt.
    #[error("the terms in the manifest are not those of the sender's receipt")]
    Terms,
    /// Other items are under terms of their own than the sender has disclosed, or under other ones.
    #[error("the terms of items in the manifest are not those that the sender has disclosed")]
    ItemTerms,
    /// Case, request, title or item root are not what the sender has disclosed beside its offer.
    #[error("{0} of the manifest is not what the sender has disclosed")]
    Disclosed(&'static str),
    /// An item differs from the manifest in name, length or digest, or is missing.
    #[error("item {0:?} is not as the manifest has it")]
    Item(String),
    /// There are items that the manifest does not list.
    #[error("the package has {0} items, the manifest lists {1}")]
    Unlisted(u64, u64),
    /// A tag file of the bag does not follow from the manifest.
    #[error("{0} does not agree with the manifest")]
    Tag(&'static str),
}

impl ContentFault {
    /// Another entry than the one that must come here.
    pub fn order(wanted: &'static str, found: &str) -> Self {
        let found = found.chars().take(200).collect();
        Self::Order { wanted, found }
    }

    /// Names what does not match what was signed, in one word: the reason of a `content-mismatch`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Undecryptable => "payload",
            Self::Tape(_)
            | Self::Path(_)
            | Self::Order { .. }
            | Self::TooLarge(_)
            | Self::Trailing => "tar",
            Self::ManifestDigest => "manifest-digest",
            Self::Manifest(_) => "manifest",
            Self::Parties { .. } => "manifest-parties",
            Self::Terms => "manifest-terms",
            Self::ItemTerms => "manifest-item-terms",
            Self::Disclosed("case") => "manifest-case",
            Self::Disclosed("request") => "manifest-request",
            Self::Disclosed("title") => "manifest-title",
            Self::Disclosed(_) => "item-root",
            Self::Item(_) | Self::Unlisted(..) => "item",
            Self::Tag(_) => "tag-file",
        }
    }
}

/// Why reading stopped: whose fault it is shows in the variant.
#[derive(Debug, thiserror::Error)]
pub enum Halt<E> {
    /// The sender's: the content is not what was signed.
    #[error(transparent)]
    Content(#[from] ContentFault),
    /// Of whatever the content is read from.
    #[error("the package cannot be read on: {0}")]
    Source(io::Error),
    /// Of whatever takes the files.
    #[error("a file cannot be written")]
    Sink(E),
}

impl<E> From<TapeError> for Halt<E> {
    fn from(error: TapeError) -> Self {
        match error {
            TapeError::Fault(fault) => Self::Content(fault.into()),
            TapeError::Source(error) => Self::Source(error),
        }
    }
}

impl<E> From<TapeFault> for Halt<E> {
    fn from(fault: TapeFault) -> Self {
        Self::Content(fault.into())
    }
}
