//! A rule, and its answer.

use crate::policy::denial::Denial;
use crate::policy::facts::Facts;
use crate::policy::parameters::Parameters;

/// The answer of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
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
    pub(super) judge: fn(Parameters, &Facts<'_>) -> Verdict,
}
