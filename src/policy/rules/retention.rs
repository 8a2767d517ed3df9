//! Retention: what may no longer be kept is neither sent, nor taken in, nor opened.

use crate::policy::decide::{Denial, PolicySet, ReasonCode};
use crate::policy::facts::Facts;
use crate::policy::instrument;
use crate::policy::permit::Action;
use crate::policy::rules::Verdict;

pub(super) const ID: &str = "retention";

pub(super) fn judge(_: &PolicySet, facts: &Facts<'_>) -> Verdict {
    let last = facts.terms.retain_until;
    if facts.now <= last.end_of_day() {
        return Verdict::Silent;
    }
    let from = facts.from;
    let clause = instrument::retention_clause(&facts.terms.instrument);
    let next = match facts.action {
        Action::Send => {
            "it would have to be destroyed on arrival: name a later retain-until".to_owned()
        }
        Action::Admit => format!("ask {from} to send it again under a later retain-until"),
        Action::Open => {
            format!("it is due for destruction; if it is still needed, ask {from} to send it again")
        }
    };
    Verdict::Denies(Denial {
        rule: ID,
        term: format!("retain_until={last}"),
        reason: ReasonCode::RetentionEnded,
        clause: clause.to_owned(),
        text: format!(
            "cannot {} this package: the terms let it be kept until {last}, end of day UTC, which is past ({clause}); {next}",
            facts.action
        ),
    })
}
