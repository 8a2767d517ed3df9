//! Sunset: after that day the permission to use is over, and with it the need to keep the package, though its retention
//! may end later.

use crate::policy::action::Action;
use crate::policy::denial::{Denial, ReasonCode};
use crate::policy::facts::Facts;
use crate::policy::instrument;
use crate::policy::parameters::Parameters;
use crate::policy::rules::hold;
use crate::policy::verdict::Verdict;

pub(super) const ID: &str = "sunset";

/// Denies use after that day; and to go on keeping what nobody may use, unless the authority keeps it until the end of
/// its retention, or a hold does.
pub(super) fn judge(set: Parameters, facts: &Facts<'_>) -> Verdict {
    let Some(last) = facts.terms.sunset else {
        return Verdict::Silent;
    };
    let ends = match facts.action {
        Action::Send | Action::Admit | Action::Open | Action::Export | Action::Forward => true,
        Action::Keep => !set.keep_after_sunset && hold::in_force(facts).is_none(),
        Action::Erase => false,
    };
    if facts.now <= last.end_of_day() || !ends {
        return Verdict::Silent;
    }
    let from = facts.from;
    let next = match facts.action {
        Action::Send => "name a later sunset, or none".to_owned(),
        Action::Admit => format!("ask {from} to send it again under a later sunset"),
        Action::Open | Action::Export | Action::Forward | Action::Erase => {
            format!("ask {from} to permit its use for longer")
        }
        Action::Keep => "destroy it, or set a hold on it if a proceeding needs it".to_owned(),
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
