//! Privilege: what a court has still to look at is read by nobody.

use crate::policy::action::Action;
use crate::policy::denial::{Denial, ReasonCode};
use crate::policy::facts::Facts;
use crate::policy::instrument;
use crate::policy::parameters::Parameters;
use crate::policy::terms::Restriction;
use crate::policy::verdict::Verdict;

pub(super) const ID: &str = "privilege";

/// Denies to open and to pass on while privilege or immunity is under review.
pub(super) fn judge(_: Parameters, facts: &Facts<'_>) -> Verdict {
    let restriction = Restriction::UnderPrivilegeReview;
    match facts.action {
        Action::Open | Action::Export | Action::Forward
            if facts.terms.restrictions.contains(&restriction) =>
        {
            Verdict::Denies(Denial {
                rule: ID.into(),
                detail: None,
                term: format!("restrictions={restriction}"),
                reason: ReasonCode::UnderPrivilegeReview,
                clause: instrument::BY_TERMS.to_owned(),
                text: format!(
                    "cannot {} this package: privilege or immunity is under review; wait for the decision, after which {} sends it again under other terms",
                    facts.action, facts.from
                ),
            })
        }
        Action::Send
        | Action::Admit
        | Action::Open
        | Action::Export
        | Action::Forward
        | Action::Keep
        | Action::Erase => Verdict::Silent,
    }
}
