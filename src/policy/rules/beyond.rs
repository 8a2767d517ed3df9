//! Uses beyond the terms, and what speaks for them.

use crate::policy::facts::Facts;
use crate::policy::parameters::Parameters;
use crate::policy::purpose::Purpose;
use crate::policy::rules::{consent, exculpatory, related, threat};
use crate::policy::verdict::Verdict;

/// The purpose, where it is one that the terms do not name, that no consent covers, and that does not speak for the
/// person protected.
pub(super) fn beyond_terms(facts: &Facts<'_>) -> Option<Purpose> {
    let is_for_the_person = |it: &Purpose| *it == Purpose::ExculpatoryDisclosure;
    let consented = consent::of_use(facts).is_given();
    let purpose = facts.opened_for().filter(|it| !is_for_the_person(it));
    purpose.filter(|it| !consented && !facts.terms_name(*it))
}

/// Whether something beyond the terms speaks for it: consent, related proceedings or a declared exception.
pub(super) fn is_lifted(set: Parameters, facts: &Facts<'_>) -> bool {
    [
        consent::judge,
        related::judge,
        exculpatory::judge,
        threat::judge,
    ]
    .iter()
    .any(|judge| matches!(judge(set, facts), Verdict::Permits))
}
