//! The faults of receipts.

use crate::base::AuthorityId;
use crate::identity::statement::StatementFault;
use crate::policy::TermsFault;
use crate::receipt::kind::Kind;

/// Why a note is not the receipt that belongs here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptFault {
    /// Not a statement, not one about an exchange, unknown or missing fields, or a bad signature.
    #[error(transparent)]
    Statement(#[from] StatementFault),
    /// Another version of the format.
    #[error("receipt of version {0}, only version 1 is understood; update rogatory")]
    Version(u64),
    /// A field that the kind needs is missing.
    #[error("{kind} receipt without {field}")]
    Missing {
        /// The kind.
        kind: Kind,
        /// The field.
        field: &'static str,
    },
    /// A field that the kind does not have.
    #[error("{kind} receipt with {field}, which does not belong there")]
    NotAllowed {
        /// The kind.
        kind: Kind,
        /// The field.
        field: &'static str,
    },
    /// A field whose value breaks its rule.
    #[error("receipt's {field}: {why}")]
    Value {
        /// The field.
        field: &'static str,
        /// The rule.
        why: &'static str,
    },
    /// The terms break a rule of theirs.
    #[error(transparent)]
    Terms(#[from] TermsFault),
    /// The key is not the one that the receipt names for this party.
    #[error("receipt names another receipts key for {party} than the key {key}")]
    WrongKey {
        /// The authority named in the receipt.
        party: AuthorityId,
        /// The name of the key at hand.
        key: String,
    },
    /// No card of the authority that is known here names the key.
    #[error(
        "no card of {party} that is known here has number {card} and names the key of this receipt"
    )]
    UnknownKey {
        /// The authority named in the receipt.
        party: AuthorityId,
        /// The card named in the receipt.
        card: u64,
    },
    /// Our own key that the receipt names is no longer here.
    #[error(
        "the receipts key of our card number {card} is needed to sign this, and is no longer here"
    )]
    KeyGone {
        /// This authority.
        party: AuthorityId,
        /// The card that names the key.
        card: u64,
    },
    /// The value and the note are not the same receipt.
    #[error("the receipt at hand is not what the note says")]
    NotTheNote,
    /// A field that stays the same through an exchange changed.
    #[error("receipt changes {0} of its exchange")]
    Changed(&'static str),
    /// It does not name the receipt before it.
    #[error("receipt does not follow the one before it: prev or step is another's")]
    WrongPrev,
    /// A kind that may not follow the one before it.
    #[error("a {next} receipt may not follow a {before} receipt")]
    MayNotFollow {
        /// The kind before.
        before: Kind,
        /// The kind that came.
        next: Kind,
    },
}

impl ReceiptFault {
    /// A stable name of the fault.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Statement(fault) => fault.code(),
            Self::Version(_) => "receipt-version",
            Self::Missing { .. } => "receipt-field-missing",
            Self::NotAllowed { .. } => "receipt-field-not-allowed",
            Self::Value { .. } => "receipt-field-value",
            Self::Terms(_) => "receipt-terms",
            Self::WrongKey { .. } | Self::UnknownKey { .. } => "receipt-wrong-key",
            Self::KeyGone { .. } => "receipt-key-gone",
            Self::NotTheNote => "receipt-not-the-note",
            Self::Changed(_) => "receipt-changed",
            Self::WrongPrev => "receipt-wrong-prev",
            Self::MayNotFollow { .. } => "receipt-may-not-follow",
        }
    }
}
