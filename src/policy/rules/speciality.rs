//! Speciality: evidence for a surrender or an extradition is used for the offences of that alone.

use crate::policy::denial::{Denial, ReasonCode};
use crate::policy::facts::Facts;
use crate::policy::parameters::Parameters;
use crate::policy::rules::beyond::beyond_terms;
use crate::policy::terms::Restriction;
use crate::policy::verdict::Verdict;

pub(super) const ID: &str = "speciality";
const CLAUSE: &str = "ETS 24 art. 14";

/// Denies what the terms do not name, whatever is declared: only consent lifts it. What speaks for the person protected
/// is left to the rule about that.
pub(super) fn judge(_: Parameters, facts: &Facts<'_>) -> Verdict {
    let bound = facts.terms.restrictions.contains(&Restriction::Speciality)
        || facts.terms.instrument.as_str() == "Extradition-1957";
    let Some(purpose) = beyond_terms(facts).filter(|_| bound) else {
        return Verdict::Silent;
    };
    Verdict::Denies(Denial {
        rule: ID.into(),
        detail: None,
        term: format!("restrictions={}", Restriction::Speciality),
        reason: ReasonCode::Speciality,
        clause: CLAUSE.to_owned(),
        text: format!(
            "speciality binds this package ({CLAUSE}): permitted use is {}, and {purpose} needs the consent of {}; no declaration replaces it",
            facts.terms.purposes_text(),
            facts.from
        ),
    })
}
