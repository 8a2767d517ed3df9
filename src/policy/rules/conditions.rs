//! Conditions: where the sender has said that the stated purposes are all, its condition prevails over what the
//! instrument permits beyond them.

use crate::policy::action::Action;
use crate::policy::denial::{Denial, ReasonCode};
use crate::policy::facts::Facts;
use crate::policy::instrument;
use crate::policy::parameters::Parameters;
use crate::policy::rules::beyond::beyond_terms;
use crate::policy::rules::consent;
use crate::policy::terms::Restriction;
use crate::policy::verdict::Verdict;

pub(super) const ID: &str = "conditions";

/// The convention that says so.
const MLA_2000: &str = "MLA-2000";
const CLAUSE: &str = "MLA Convention 2000 art. 23(4)";

/// Denies what a declaration would permit, related proceedings or an exception: only consent lifts it. What speaks for
/// the person protected is left to the rule about that.
pub(super) fn judge(_: Parameters, facts: &Facts<'_>) -> Verdict {
    let condition = Restriction::StatedPurposesOnly;
    let declared = facts.circumstances.related || facts.circumstances.exception.is_some();
    let is_beyond = match facts.action {
        Action::Open | Action::Export => beyond_terms(facts).is_some(),
        Action::Forward => !consent::of_passing_on(facts).is_given(),
        Action::Send | Action::Admit | Action::Keep | Action::Erase => false,
    };
    if !declared || !is_beyond || !facts.terms.restrictions.contains(&condition) {
        return Verdict::Silent;
    }
    let clause = if facts.terms.instrument.as_str() == MLA_2000 {
        CLAUSE
    } else {
        instrument::BY_TERMS
    };
    Verdict::Denies(Denial {
        rule: ID.into(),
        detail: None,
        term: format!("restrictions={condition}"),
        reason: ReasonCode::ConditionsPrevail,
        clause: clause.to_owned(),
        text: format!(
            "{} gave this package for {} only, and its condition prevails over what may be declared beyond that ({clause}); {}, no declaration replaces it",
            facts.from,
            facts.terms.purposes_text(),
            facts.asking()
        ),
    })
}
