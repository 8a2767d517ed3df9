//! Review: once the day has passed on which somebody had to look whether a package is still needed, it is used again
//! only after somebody has looked.

use crate::policy::action::Action;
use crate::policy::denial::{Denial, ReasonCode};
use crate::policy::facts::Facts;
use crate::policy::instrument;
use crate::policy::parameters::Parameters;
use crate::policy::verdict::Verdict;

pub(super) const ID: &str = "review";

/// Denies use after the day of the terms, unless a review on that day or later is on record. Keeping is not denied:
/// nothing is destroyed for want of a review.
pub(super) fn judge(_: Parameters, facts: &Facts<'_>) -> Verdict {
    let Some(day) = facts.terms.review else {
        return Verdict::Silent;
    };
    let is_use = match facts.action {
        Action::Open | Action::Export | Action::Forward => true,
        Action::Send | Action::Admit | Action::Keep | Action::Erase => false,
    };
    let was_reviewed = facts.circumstances.reviewed.is_some_and(|it| it >= day);
    if !is_use || was_reviewed || facts.now <= day.end_of_day() {
        return Verdict::Silent;
    }
    let clause = instrument::retention_clause(&facts.terms.instrument);
    Verdict::Denies(Denial {
        rule: ID.into(),
        detail: None,
        term: format!("review={day}"),
        reason: ReasonCode::ReviewDue,
        clause: clause.to_owned(),
        text: format!(
            "cannot {} this package: the terms ask for a review of whether it is still needed on {day}, which is past, and none on that day or later is on record ({clause}); a supervisor records it with: rogatory package review",
            facts.action
        ),
    })
}
