//! Hold: what is held for a proceeding is not destroyed, even if its term has ended.

use crate::policy::action::Action;
use crate::policy::denial::{Denial, ReasonCode};
use crate::policy::facts::Facts;
use crate::policy::parameters::Parameters;
use crate::policy::verdict::Verdict;

pub(super) const ID: &str = "hold";

/// Permits to keep within the term or under a hold, and to destroy without one.
pub(super) fn judge(_: Parameters, facts: &Facts<'_>) -> Verdict {
    match (facts.action, in_force(facts)) {
        (Action::Keep, _) | (Action::Erase, None) => Verdict::Permits,
        (Action::Erase, Some(last)) => Verdict::Denies(Denial {
            rule: ID.into(),
            detail: None,
            term: format!("hold={last}"),
            reason: ReasonCode::OnHold,
            clause: "hold of this authority".to_owned(),
            text: format!(
                "a hold until {last} keeps this package from being destroyed; release it first, or wait for its end"
            ),
        }),
        (Action::Send | Action::Admit | Action::Open | Action::Export | Action::Forward, _) => {
            Verdict::Silent
        }
    }
}

/// The last day of the hold, if it is in force.
pub(super) fn in_force(facts: &Facts<'_>) -> Option<crate::base::Date> {
    facts
        .circumstances
        .hold
        .filter(|last| facts.now <= last.end_of_day())
}
