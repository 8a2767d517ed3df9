//! The Merkle log (RFC 6962, C2SP tlog-tiles): commitments, leaves, tree heads, checkpoints.

pub mod checkpoint;
pub mod tree;

pub use checkpoint::{Checkpoint, CheckpointFault};
pub use tree::{Frontier, commitment, leaf_entry, leaf_hash, node_hash};
