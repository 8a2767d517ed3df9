//! The Merkle log (RFC 6962, C2SP tlog-tiles): commitments, leaves, tree heads, checkpoints, cosignatures, proofs,
//! tiles.

pub mod add_checkpoint;
pub mod checkpoint;
pub mod cosignature;
pub mod proof;
pub mod proof_file;
pub mod tile;
pub mod tree;

mod lines;

pub use add_checkpoint::{AddCheckpoint, AddFault};
pub use checkpoint::{Checkpoint, CheckpointFault};
pub use cosignature::CosignatureFault;
pub use proof::{ProofFault, Subtrees};
pub use proof_file::{ProofFile, ProofFileFault};
pub use tile::{Tile, TileFault, TileKind};
pub use tree::{Frontier, commitment, leaf_entry, leaf_hash, node_hash, parse_leaf_entry};
