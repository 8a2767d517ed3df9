//! Exculpatory: what speaks for an accused person may be given to that person, and the sender is told.

use crate::policy::denial::{Denial, ReasonCode};
use crate::policy::exception::Ground;
use crate::policy::facts::Facts;
use crate::policy::instrument;
use crate::policy::parameters::Parameters;
use crate::policy::purpose::Purpose;
use crate::policy::rules::{consent, exception};
use crate::policy::terms::Restriction;
use crate::policy::verdict::Verdict;

pub(super) const ID: &str = "exculpatory";

/// Permits the declared exception (UNTOC art. 18(19), UNCAC art. 46(19)); where the sender wants to be told first, such
/// a use is denied unless it is declared or consented to.
pub(super) fn judge(_: Parameters, facts: &Facts<'_>) -> Verdict {
    let is_use = facts.opened_for() == Some(Purpose::ExculpatoryDisclosure);
    let notify = Restriction::NotifyExculpatory;
    let must_tell = facts.terms.restrictions.contains(&notify);
    let clause = instrument::beyond(&facts.terms.instrument).exculpatory;
    let declared = facts.circumstances.exception.as_ref();
    if let Some(declared) = declared.filter(|it| it.ground == Ground::Exculpatory) {
        let by_terms = must_tell && facts.terms_name(Purpose::ExculpatoryDisclosure);
        let clause = clause.or_else(|| by_terms.then_some(instrument::BY_TERMS));
        return exception::judge(ID, facts, declared, is_use, clause);
    }
    if !is_use || !must_tell || consent::of_use(facts).is_given() {
        return Verdict::Silent;
    }
    Verdict::Denies(Denial {
        rule: ID.into(),
        detail: None,
        term: format!("restrictions={notify}"),
        reason: ReasonCode::NoticeMissing,
        clause: clause.unwrap_or(instrument::BY_TERMS).to_owned(),
        text: format!(
            "{} must be told before exculpatory information is disclosed: declare the exception exculpatory, which tells it, or ask for consent",
            facts.from
        ),
    })
}
