//! The log: its state, who watches it, what is wrong with others, and proofs.

use serde::{Deserialize, Serialize};

use crate::base::{AuthorityId, Digest, Timestamp};

/// `GET /v1/log`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LogStatus {
    /// The log's name.
    pub origin: String,
    /// Leaves committed.
    pub size: u64,
    /// Leaves under the last signed checkpoint.
    pub checkpoint_size: u64,
    /// Its root.
    pub checkpoint_root: Digest,
    /// When it was signed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub checkpoint_at: Option<Timestamp>,
    /// The newest cosignature of each peer.
    #[serde(default)]
    pub cosigned: Vec<CosignedView>,
    /// Logs of peers with checkpoints that do not go together.
    #[serde(default)]
    pub alarms: Vec<AlarmView>,
    /// Present while nothing is signed, because this state is older than the log that others hold.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub recovering: Option<RecoveringView>,
}

/// A peer's cosignature on a checkpoint of this log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CosignedView {
    /// The peer.
    pub by: AuthorityId,
    /// Leaves under the checkpoint.
    pub size: u64,
    /// When it cosigned, by its own clock.
    pub at: Timestamp,
}

/// Two checkpoints of a peer's log that do not go together.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AlarmView {
    /// Whose log.
    pub of: AuthorityId,
    /// `fork`: one size, two roots, a proof by itself. `unproved`: its owner has not proved that one continues the
    /// other.
    pub kind: String,
    /// When it was found.
    pub at: Timestamp,
    /// The checkpoint that was known first, a signed note; empty if there was none.
    pub earlier: String,
    /// The one that does not go with it, a signed note.
    pub later: String,
    /// The folder in which both lie as files.
    pub files: String,
}

/// The checkpoint of this log that somebody holds and that this state does not contain.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecoveringView {
    /// Its leaves.
    pub size: u64,
    /// Its root.
    pub root: Digest,
}

/// `GET /v1/log/proofs/{receipt or package}`: one statement in this authority's log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProofView {
    /// Its number in this ledger.
    pub seq: i64,
    /// The kind of statement.
    pub kind: String,
    /// SHA-256 of the note.
    pub receipt: Digest,
    /// Its place in the log.
    pub index: u64,
    /// The random value of its commitment, hex.
    pub r: Digest,
    /// The hash of its leaf.
    pub leaf_hash: Digest,
    /// Leaves under the checkpoint in the proof.
    pub size: u64,
    /// Who has cosigned that checkpoint.
    pub cosigned: Vec<AuthorityId>,
    /// The proof, a C2SP tlog-proof file.
    pub proof: String,
}
