//! The result of settling the journal of destructions with the ledger at the start.

use crate::store::journal::JournalEntry;

/// The work and the findings of settling.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Settled {
    /// The exchanges destroyed before this state was restored, now or at an earlier start.
    pub(crate) gone: Vec<JournalEntry>,
    /// How many of them were readable until now.
    pub(crate) again: usize,
    /// Entries that the journal lacked.
    pub(crate) missing: usize,
    /// Whether it was not there at all, though the ledger is not new.
    pub(crate) is_rebuilt: bool,
}
