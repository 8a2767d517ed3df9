//! The rules, one a file. Each looks at the facts alone and permits, denies or is silent.

mod conditions;
pub(super) mod consent;
mod direction;
mod exception;
mod exculpatory;
mod handling;
mod hold;
mod onward;
mod privilege;
mod purpose;
mod related;
mod retention;
mod review;
mod role;
mod speciality;
mod sunset;
mod team;
mod threat;

#[cfg(feature = "shell")]
pub(crate) use role::lacking;

use crate::policy::decide::Denial;
use crate::policy::decide::PolicySet;
use crate::policy::facts::Facts;
use crate::policy::purpose::Purpose;

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
    pub(super) judge: fn(&PolicySet, &Facts<'_>) -> Verdict,
}

/// Every rule, in the order in which they are asked: where several deny, the first is the one named.
pub(super) const ALL: &[Rule] = &[
    Rule {
        id: direction::ID,
        version: 3,
        judge: direction::judge,
    },
    Rule {
        id: role::ID,
        version: 2,
        judge: role::judge,
    },
    Rule {
        id: team::ID,
        version: 2,
        judge: team::judge,
    },
    Rule {
        id: retention::ID,
        version: 3,
        judge: retention::judge,
    },
    Rule {
        id: sunset::ID,
        version: 3,
        judge: sunset::judge,
    },
    Rule {
        id: review::ID,
        version: 1,
        judge: review::judge,
    },
    Rule {
        id: privilege::ID,
        version: 2,
        judge: privilege::judge,
    },
    Rule {
        id: hold::ID,
        version: 1,
        judge: hold::judge,
    },
    Rule {
        id: speciality::ID,
        version: 1,
        judge: speciality::judge,
    },
    Rule {
        id: conditions::ID,
        version: 1,
        judge: conditions::judge,
    },
    Rule {
        id: related::ID,
        version: 1,
        judge: related::judge,
    },
    Rule {
        id: exculpatory::ID,
        version: 1,
        judge: exculpatory::judge,
    },
    Rule {
        id: threat::ID,
        version: 2,
        judge: threat::judge,
    },
    Rule {
        id: consent::ID,
        version: 2,
        judge: consent::judge,
    },
    Rule {
        id: purpose::ID,
        version: 3,
        judge: purpose::judge,
    },
    Rule {
        id: handling::ID,
        version: 3,
        judge: handling::judge,
    },
    Rule {
        id: onward::ID,
        version: 1,
        judge: onward::judge,
    },
];

/// Whether the terms name this purpose.
fn names(facts: &Facts<'_>, purpose: Purpose) -> bool {
    facts.terms.purposes.contains(&purpose)
}

/// The purpose, where it is one that the terms do not name, that no consent covers, and that does not speak for the
/// person protected.
fn beyond_terms(facts: &Facts<'_>) -> Option<Purpose> {
    let is_for_the_person = |it: &Purpose| *it == Purpose::ExculpatoryDisclosure;
    let consented = consent::of_use(facts).is_given();
    let purpose = facts.opened_for().filter(|it| !is_for_the_person(it));
    purpose.filter(|it| !consented && !names(facts, *it))
}

/// Whether something beyond the terms speaks for it: consent, related proceedings or a declared exception.
fn is_lifted(set: &PolicySet, facts: &Facts<'_>) -> bool {
    [
        consent::judge,
        related::judge,
        exculpatory::judge,
        threat::judge,
    ]
    .iter()
    .any(|judge| matches!(judge(set, facts), Verdict::Permits))
}
