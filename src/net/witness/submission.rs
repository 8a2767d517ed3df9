//! A checkpoint on its way to a witness, and the keys of a log.

use crate::identity::keys::PublicKey;
use crate::tlog::Checkpoint;
use crate::wire::Frame;

/// The two keys of a peer's card that matter here.
#[derive(Debug, Clone)]
pub struct LogKeys {
    /// Signs its checkpoints.
    pub log: PublicKey,
    /// Cosigns those of others.
    pub witness: PublicKey,
}

/// A checkpoint of the own log on its way to a witness.
#[derive(Debug, Clone)]
pub(crate) struct Submission {
    pub(crate) head: Checkpoint,
    pub(crate) note: Vec<u8>,
    pub(crate) frame: Frame,
}
