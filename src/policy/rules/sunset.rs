//! Sunset: after that day the permission to use is over, though the package may still be kept.

use crate::policy::decide::{Denial, PolicySet, ReasonCode};
use crate::policy::facts::Facts;
use crate::policy::instrument;
use crate::policy::permit::Action;
use crate::policy::rules::Verdict;

pub(super) const ID: &str = "sunset";

pub(super) fn judge(_: &PolicySet, facts: &Facts<'_>) -> Verdict {
    let Some(last) = facts.terms.sunset else {
        return Verdict::Silent;
    };
    let is_use = match facts.action {
        Action::Send | Action::Admit | Action::Open | Action::Export | Action::Forward => true,
        Action::Keep | Action::Erase => false,
    };
    if facts.now <= last.end_of_day() || !is_use {
        return Verdict::Silent;
    }
    let from = facts.from;
    let next = match facts.action {
        Action::Send => "name a later sunset, or none".to_owned(),
        Action::Admit => format!("ask {from} to send it again under a later sunset"),
        Action::Open | Action::Export | Action::Forward | Action::Keep | Action::Erase => {
            format!("ask {from} to permit its use for longer")
        }
    };
    Verdict::Denies(Denial {
        rule: ID.into(),
        detail: None,
        term: format!("sunset={last}"),
        reason: ReasonCode::SunsetPassed,
        clause: instrument::BY_TERMS.to_owned(),
        text: format!(
            "cannot {} this package: the terms let it be used until {last}, end of day UTC, which is past; {next}",
            facts.action
        ),
    })
}
