//! Names of files in the state folder.

/// The database.
pub(crate) const DATABASE: &str = "ledger.db";
/// The keys that can be shredded.
pub(crate) const SLOTS: &str = "slots";
