//! The compound fields of receipts: parties, package, heads of logs, reason.

use serde::{Deserialize, Serialize};

use crate::base::{AuthorityId, Digest, KeyId, Timestamp, limits};
use crate::identity::keys::{PublicKey, Role};
use crate::identity::statement::Note;
use crate::policy::{Code, Denial, Purpose};
use crate::receipt::body::Receipt;
use crate::receipt::fault::ReceiptFault;
use crate::receipt::kind::Kind;
use crate::tlog::Checkpoint;

/// An authority in a receipt, with the receipts key it signs with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// The number of its card that names the key.
    pub card: u64,
    /// The authority.
    pub id: AuthorityId,
    /// The id of its receipts key.
    pub key: KeyId,
}

impl Party {
    /// The owner of a receipts key, which its card with this number names.
    pub fn of(card: u64, key: &PublicKey) -> Self {
        Self {
            card,
            id: key.name().authority().clone(),
            key: key.id(),
        }
    }

    /// Whether this is the party's receipts key.
    pub fn owns(&self, key: &PublicKey) -> bool {
        key.name().role() == Role::Receipts
            && self.key == key.id()
            && self.id == *key.name().authority()
    }
}

/// The package of an exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pkg {
    /// The digest algorithm; always `sha-256`.
    pub alg: String,
    /// RFC 6962 root over the hashes of the payload's segments.
    pub body: Digest,
    /// SHA-256 of the age header.
    pub hdr: Digest,
    /// Bytes of the payload.
    pub len: u64,
    /// Bytes of a segment; always 1,048,576.
    pub seg: u64,
}

impl Pkg {
    /// A package with this payload root, header digest and payload length.
    pub fn new(body: Digest, hdr: Digest, len: u64) -> Self {
        Self {
            alg: "sha-256".to_owned(),
            seg: limits::SEGMENT_BYTES,
            body,
            hdr,
            len,
        }
    }

    pub(super) fn check(&self) -> Result<(), ReceiptFault> {
        let fault = |why| ReceiptFault::Value { field: "pkg", why };
        if self.alg != "sha-256" {
            return Err(fault("alg is not sha-256"));
        }
        if self.seg != limits::SEGMENT_BYTES {
            return Err(fault("seg is not 1048576"));
        }
        if self.len == 0 || self.len > limits::PAYLOAD_BYTES_MAX {
            return Err(fault("len is 0 or larger than any payload"));
        }
        Ok(())
    }
}

/// The head of an authority's log as the issuer last signed or saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// `<authority id>/log`.
    pub origin: String,
    /// The RFC 6962 root over them.
    pub root: Digest,
    /// Leaves in the log.
    pub size: u64,
}

impl From<&Checkpoint> for Head {
    fn from(checkpoint: &Checkpoint) -> Self {
        Self {
            origin: checkpoint.origin.clone(),
            size: checkpoint.size,
            root: checkpoint.root,
        }
    }
}

/// One use of a package in a report: which statement of the receiver, when, for what, with which outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Used {
    /// The time of the statement.
    pub at: Timestamp,
    /// `access`, `access-denied`, `content-mismatch`, `onward` or `onward-refused`.
    pub kind: Kind,
    /// For what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Purpose>,
    /// The code of the statement's reason, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Code>,
    /// SHA-256 of the text of the statement.
    pub receipt: Digest,
}

impl Used {
    /// The use of its package that this statement is about; `None` if it is about something else.
    pub fn of(receipt: &Receipt, note: &Note) -> Option<Self> {
        Self::is_use(receipt.kind).then(|| Self {
            at: receipt.t,
            kind: receipt.kind,
            purpose: receipt.purpose,
            reason: receipt.reason.as_ref().and_then(|it| it.code.parse().ok()),
            receipt: note.text_digest(),
        })
    }

    pub(super) const fn is_use(kind: Kind) -> bool {
        matches!(
            kind,
            Kind::Access
                | Kind::AccessDenied
                | Kind::ContentMismatch
                | Kind::Onward
                | Kind::OnwardRefused
        )
    }
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// The clause of law or of the terms: at most 128 printable ASCII characters; empty where the reason is technical.
    pub clause: String,
    /// A stable word of at most 64 letters, digits, inner `.` and `-`.
    pub code: String,
}

impl Reason {
    /// A reason that no clause of law or of the terms gives.
    pub fn technical(code: &str) -> Self {
        Self {
            code: code.to_owned(),
            clause: String::new(),
        }
    }

    pub(super) fn check(&self) -> Result<(), ReceiptFault> {
        let field = "reason";
        if !Code::is_well_formed(&self.code) {
            let why = "its code is not 1 to 64 letters, digits, inner . and -";
            return Err(ReceiptFault::Value { field, why });
        }
        let printable = self.clause.bytes().all(|b| (b' '..=b'~').contains(&b));
        if self.clause.len() > limits::CLAUSE_BYTES_MAX || !printable {
            let why = "its clause is not at most 128 printable ASCII characters";
            return Err(ReceiptFault::Value { field, why });
        }
        Ok(())
    }
}

impl From<&Denial> for Reason {
    fn from(denial: &Denial) -> Self {
        Self {
            code: denial.code(),
            clause: denial.clause.clone(),
        }
    }
}
