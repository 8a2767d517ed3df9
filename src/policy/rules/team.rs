//! Team: where this authority has decided on need to know, a package is for the team of its case.

use crate::policy::action::Action;
use crate::policy::denial::{Denial, ReasonCode};
use crate::policy::facts::{Facts, Team};
use crate::policy::instrument;
use crate::policy::parameters::Parameters;
use crate::policy::verdict::Verdict;

pub(super) const ID: &str = "team";

/// Denies to open and to pass on for whoever is not in the team, a supervisor too, and for everybody while there is
/// none.
pub(super) fn judge(set: Parameters, facts: &Facts<'_>) -> Verdict {
    let Facts { actor, action, .. } = *facts;
    let team = facts.circumstances.team;
    let is_use = match action {
        Action::Open | Action::Export | Action::Forward => true,
        Action::Send | Action::Admit | Action::Keep | Action::Erase => false,
    };
    let (reason, text) = match team {
        Some(Team::Member) => return Verdict::Silent,
        None | Some(Team::Other) if !is_use || !set.need_to_know => return Verdict::Silent,
        None => (
            ReasonCode::CaseWithoutTeam,
            format!(
                "nobody can {action} this package: its case has no team yet; a supervisor gives it one with: rogatory case assign"
            ),
        ),
        Some(Team::Other) => (
            ReasonCode::NotInTeam,
            format!(
                "{actor} is not in the team of this package's case, and nobody else can {action} it; ask the team, or a supervisor"
            ),
        ),
    };
    Verdict::Denies(Denial {
        rule: ID.into(),
        detail: None,
        term: format!("team={}", team.map_or("none", Team::as_str)),
        reason,
        clause: instrument::BY_CONFIGURATION.to_owned(),
        text,
    })
}
