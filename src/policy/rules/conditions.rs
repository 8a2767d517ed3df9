//! Conditions: where the sender has said that the stated purposes are all, its condition prevails over what the instrument
//! permits beyond them.

use crate::policy::consent::Standing;
use crate::policy::decide::{Denial, PolicySet, ReasonCode};
use crate::policy::facts::Facts;
use crate::policy::permit::Action;
use crate::policy::rules::Verdict;
use crate::policy::rules::{beyond_terms, consent};
use crate::policy::terms::Restriction;

pub(super) const ID: &str = "conditions";

const CLAUSE: &str = "MLA Convention 2000 art. 23(4)";

/// Denies what only a declaration would permit, related proceedings or an exception: only consent lifts it. What speaks for
/// the person protected is left to the rule about that.
pub(super) fn judge(_: &PolicySet, facts: &Facts<'_>) -> Verdict {
    let condition = Restriction::StatedPurposesOnly;
    let is_beyond = match facts.action {
        Action::Open | Action::Export => beyond_terms(facts).is_some(),
        Action::Forward => {
            let declared = facts.circumstances.exception.is_some();
            declared && consent::of_passing_on(facts) != Standing::Given
        }
        Action::Send | Action::Admit | Action::Keep | Action::Erase => false,
    };
    if !is_beyond || !facts.terms.restrictions.contains(&condition) {
        return Verdict::Silent;
    }
    Verdict::Denies(Denial {
        rule: ID.into(),
        detail: None,
        term: format!("restrictions={condition}"),
        reason: ReasonCode::ConditionsPrevail,
        clause: CLAUSE.to_owned(),
        text: format!(
            "{} gave this package for {} only, and its condition prevails over what the instrument permits beyond that ({CLAUSE}); ask {} for consent, no declaration replaces it",
            facts.from,
            facts.terms.purposes_text(),
            facts.from
        ),
    })
}
