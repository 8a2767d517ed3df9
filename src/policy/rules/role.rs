//! Role: people send, open and pass on as officers or supervisors. A package is admitted from a peer, where no person
//! acts.

use crate::policy::action::Action;
use crate::policy::denial::{Denial, ReasonCode};
use crate::policy::facts::Facts;
use crate::policy::instrument;
use crate::policy::parameters::Parameters;
use crate::policy::role::Roles;
use crate::policy::verdict::Verdict;

pub(super) const ID: &str = "role";

pub(super) fn judge(_: Parameters, facts: &Facts<'_>) -> Verdict {
    let Facts { actor, roles, .. } = *facts;
    match facts.action {
        // A peer sends, and this authority itself keeps and destroys: who may order that is asked where it is ordered.
        Action::Admit | Action::Keep | Action::Erase => Verdict::Silent,
        Action::Send | Action::Open | Action::Export | Action::Forward
            if roles.meets(Roles::EVIDENCE) =>
        {
            Verdict::Silent
        }
        Action::Send | Action::Open | Action::Export | Action::Forward => {
            let what = format!("to {} a package", facts.action);
            Verdict::Denies(lacking(&what, actor, roles, Roles::EVIDENCE))
        }
    }
}

/// The refusal of something for which this person does not have the role.
pub(crate) fn lacking(what: &str, actor: &str, has: Roles, takes: Roles) -> Denial {
    Denial {
        rule: ID.into(),
        detail: None,
        term: format!("roles={has}"),
        reason: ReasonCode::RoleNotPermitted,
        clause: instrument::BY_CONFIGURATION.to_owned(),
        text: format!(
            "{what} takes the role {}, {actor} has {has}; ask somebody who has it, or whoever configures [roles] here",
            takes.alternatives()
        ),
    }
}
