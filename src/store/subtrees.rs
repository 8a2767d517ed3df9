//! Roots of the log that are computed once.

use std::sync::Mutex;

use crate::base::Digest;

/// Roots of the full tiles of leaves, computed once: 32 bytes in memory for every 256 leaves.
#[derive(Debug, Default)]
pub(crate) struct SubtreeRoots(pub(crate) Mutex<Vec<Digest>>);
