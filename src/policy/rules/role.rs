//! Role: people send and open as officers or supervisors. A package is admitted from a peer, where no person acts.

use crate::policy::decide::{Denial, PolicySet, ReasonCode};
use crate::policy::facts::Facts;
use crate::policy::instrument;
use crate::policy::permit::Action;
use crate::policy::role::Role;
use crate::policy::role::Roles;
use crate::policy::rules::Verdict;

pub(super) const ID: &str = "role";

/// Who may send and open.
const EVIDENCE: Roles = Roles::of(&[Role::Officer, Role::Supervisor]);

pub(super) fn judge(_: &PolicySet, facts: &Facts<'_>) -> Verdict {
    let Facts { actor, roles, .. } = *facts;
    match facts.action {
        Action::Admit => Verdict::Silent,
        Action::Send | Action::Open if roles.meets(EVIDENCE) => Verdict::Silent,
        Action::Send | Action::Open => Verdict::Denies(Denial {
            rule: ID.into(),
            detail: None,
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
