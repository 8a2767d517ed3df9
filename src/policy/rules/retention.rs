//! Retention: what may no longer be kept is neither sent, nor taken in, nor opened.

use crate::policy::action::Action;
use crate::policy::denial::{Denial, ReasonCode};
use crate::policy::facts::Facts;
use crate::policy::instrument;
use crate::policy::parameters::Parameters;
use crate::policy::rules::hold;
use crate::policy::verdict::Verdict;

pub(super) const ID: &str = "retention";

pub(super) fn judge(_: Parameters, facts: &Facts<'_>) -> Verdict {
    let last = facts.terms.retain_until;
    let is_held = facts.action == Action::Keep && hold::in_force(facts).is_some();
    if facts.now <= last.end_of_day() || facts.action == Action::Erase || is_held {
        return Verdict::Silent;
    }
    let from = facts.from;
    let clause = instrument::retention_clause(&facts.terms.instrument);
    let next = match facts.action {
        Action::Send => {
            "it would have to be destroyed on arrival: name a later retain-until".to_owned()
        }
        Action::Admit => format!("ask {from} to send it again under a later retain-until"),
        Action::Open | Action::Export => {
            format!("it is due for destruction; if it is still needed, ask {from} to send it again")
        }
        Action::Forward => format!("ask {from} to send it to the third authority itself"),
        Action::Keep => "destroy it, or set a hold on it if a proceeding needs it".to_owned(),
        Action::Erase => String::new(),
    };
    Verdict::Denies(Denial {
        rule: ID.into(),
        detail: None,
        term: format!("retain_until={last}"),
        reason: ReasonCode::RetentionEnded,
        clause: clause.to_owned(),
        text: format!(
            "cannot {} this package: the terms let it be kept until {last}, end of day UTC, which is past ({clause}); {next}",
            facts.action
        ),
    })
}
