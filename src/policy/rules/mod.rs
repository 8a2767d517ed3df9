//! The rules, one a file. Each looks at the facts alone and permits, denies or is silent.

mod beyond;
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

use crate::policy::verdict::Rule;

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
