//! Role: people send, open and pass on as officers or supervisors. A package is admitted from a peer, where no person acts.

use crate::policy::decide::{Denial, PolicySet, ReasonCode};
use crate::policy::facts::Facts;
use crate::policy::instrument;
use crate::policy::permit::Action;
use crate::policy::role::Role;
use crate::policy::role::Roles;
use crate::policy::rules::Verdict;

pub(super) const ID: &str = "role";

/// Who may send, open and pass on.
const EVIDENCE: Roles = Roles::of(&[Role::Officer, Role::Supervisor]);

pub(super) fn judge(_: &PolicySet, facts: &Facts<'_>) -> Verdict {
    let Facts { actor, roles, .. } = *facts;
    match facts.action {
        // A peer sends, and this authority itself keeps and destroys: who may order that is asked where it is ordered.
        Action::Admit | Action::Keep | Action::Erase => Verdict::Silent,
        Action::Send | Action::Open | Action::Forward if roles.meets(EVIDENCE) => Verdict::Silent,
        Action::Send | Action::Open | Action::Forward => Verdict::Denies(Denial {
            rule: ID,
            term: format!("roles={roles}"),
            reason: ReasonCode::RoleNotPermitted,
            clause: instrument::BY_CONFIGURATION.to_owned(),
            text: format!(
                "to {} a package takes the role {}, {actor} has {roles}; ask somebody who has it, or whoever configures [roles] here",
                facts.action,
                EVIDENCE.alternatives()
            ),
        }),
    }
}
