//! The rules, one a file. Each looks at the facts alone and permits, denies or is silent.

mod direction;
mod handling;
mod purpose;
mod retention;
mod sunset;

use crate::policy::decide::Denial;
use crate::policy::decide::PolicySet;
use crate::policy::facts::Facts;

/// What one rule says.
pub(super) enum Verdict {
    /// It has nothing to say.
    Silent,
    /// It speaks for it.
    Permits,
    /// It forbids it, whatever the others say.
    Denies(Denial),
}

/// A rule: a name, a version that changes with its meaning, and its judgement.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) id: &'static str,
    pub(super) version: u32,
    pub(super) judge: fn(&PolicySet, &Facts<'_>) -> Verdict,
}

/// Every rule, in the order in which they are asked: where several deny, the first is the one named.
pub(super) const ALL: &[Rule] = &[
    Rule {
        id: direction::ID,
        version: 1,
        judge: direction::judge,
    },
    Rule {
        id: retention::ID,
        version: 1,
        judge: retention::judge,
    },
    Rule {
        id: sunset::ID,
        version: 1,
        judge: sunset::judge,
    },
    Rule {
        id: purpose::ID,
        version: 1,
        judge: purpose::judge,
    },
    Rule {
        id: handling::ID,
        version: 1,
        judge: handling::judge,
    },
];
