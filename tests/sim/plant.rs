//! Faults that are built in on purpose: what the checkers must find.

use rogatory::policy::terms::Handling;

use crate::ledger::{Ledger, Op};
use crate::world::World;

/// A planted fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plant {
    /// The receiver says `consigned` before its commit is durable.
    AckBeforeCommit,
    /// A flush answers without having flushed.
    LyingFlush,
    /// A receiver that has signed signs again instead of repeating its bytes.
    SignsAgain,
    /// A power cut loses the last commit, though it was answered.
    CommitNotDurable,
    /// The header is sent before the countersigned receipt is durable.
    HeaderBeforeCommit,
    /// The sender keeps its header.
    KeepsHeader,
    /// Segments are recorded before they are flushed.
    RecordBeforeFlush,
    /// The list of hashes gets its name before its bytes are flushed.
    ListUnflushed,
    /// An attempt that failed is never repeated.
    GivesUp,
    /// The receiver's policy has no ceiling.
    NoCeiling,
    /// A sender that has ended an exchange does not tell the receiver.
    EndsUntold,
    /// An exchange is free for the next attempt while threads of the last still work on its files.
    TurnWithoutThreads,
    /// An exchange is free for the next attempt while a commit of the last is still under way.
    TurnWithoutCommits,
    /// A courier that cannot record when to try again tries again at once.
    NoRest,
}

impl Plant {
    /// All of them.
    pub(crate) const ALL: [Self; 14] = [
        Self::AckBeforeCommit,
        Self::LyingFlush,
        Self::SignsAgain,
        Self::CommitNotDurable,
        Self::HeaderBeforeCommit,
        Self::KeepsHeader,
        Self::RecordBeforeFlush,
        Self::ListUnflushed,
        Self::GivesUp,
        Self::NoCeiling,
        Self::EndsUntold,
        Self::TurnWithoutThreads,
        Self::TurnWithoutCommits,
        Self::NoRest,
    ];

    /// The seed to begin with: what is rarely seen is looked for where it is.
    pub(crate) const fn first_seed(self) -> u64 {
        match self {
            Self::TurnWithoutCommits => 1_001,
            Self::AckBeforeCommit
            | Self::LyingFlush
            | Self::SignsAgain
            | Self::CommitNotDurable
            | Self::HeaderBeforeCommit
            | Self::KeepsHeader
            | Self::RecordBeforeFlush
            | Self::ListUnflushed
            | Self::GivesUp
            | Self::NoCeiling
            | Self::EndsUntold
            | Self::TurnWithoutThreads
            | Self::NoRest => 1,
        }
    }
}

/// The highest handling code that an authority takes.
pub(crate) fn ceiling(plant: Option<Plant>) -> Option<Handling> {
    Some(Handling::H2).filter(|_| plant != Some(Plant::NoCeiling))
}

impl World {
    /// Remembers what a power cut will go back to.
    pub(crate) fn plant_before_group(&mut self, node: usize) {
        if self.plant == Some(Plant::CommitNotDurable) {
            let ledger = self.nodes[node].ledger.clone();
            self.shadows.insert(node, ledger);
        }
    }

    /// The writes that a power cut loses and must not.
    pub(crate) fn plant_at_power_cut(&mut self, node: usize) {
        let shadow: Option<Ledger> = self.shadows.remove(&node);
        if let Some(ledger) = shadow {
            self.nodes[node].ledger = ledger;
        }
    }

    /// The changes that are really made.
    pub(crate) fn planted_ops(&self, ops: &[Op]) -> Vec<Op> {
        let keeps = self.plant == Some(Plant::KeepsHeader);
        let ops = ops
            .iter()
            .filter(|op| !keeps || !matches!(op, Op::Shred(_)));
        ops.cloned().collect()
    }
}
