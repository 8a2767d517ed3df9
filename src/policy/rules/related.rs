//! Related: proceedings directly related to those of the request, where the instrument provides for them.

use crate::policy::denial::{Denial, ReasonCode};
use crate::policy::facts::Facts;
use crate::policy::instrument;
use crate::policy::parameters::Parameters;
use crate::policy::verdict::Verdict;

pub(super) const ID: &str = "related";

/// Permits to open for a proceeding that is declared to be directly related; denies the declaration where the
/// instrument knows no such use (MLA Convention 2000 art. 23(1)(b) is the one that does).
pub(super) fn judge(_: Parameters, facts: &Facts<'_>) -> Verdict {
    let purpose = facts.opened_for();
    let Some(purpose) = purpose.filter(|_| facts.circumstances.related) else {
        return Verdict::Silent;
    };
    if facts.terms_name(purpose) {
        return Verdict::Silent;
    }
    let code = &facts.terms.instrument;
    let asking = facts.asking();
    let Some(clause) = instrument::beyond(code).related else {
        let text = format!(
            "{code} does not permit use in related proceedings without asking; {asking} to its use for {purpose}"
        );
        return deny(
            code.as_str(),
            ReasonCode::RelatedNotProvided,
            instrument::purpose_clause(code),
            text,
        );
    };
    if purpose.is_proceeding() {
        return Verdict::Permits;
    }
    let text = format!(
        "{purpose} is no judicial or administrative proceeding, so it cannot be a related one ({clause}); {asking}"
    );
    deny(code.as_str(), ReasonCode::RelatedNotProvided, clause, text)
}

fn deny(instrument: &str, reason: ReasonCode, clause: &str, text: String) -> Verdict {
    Verdict::Denies(Denial {
        rule: ID.into(),
        detail: None,
        term: format!("instrument={instrument}"),
        reason,
        clause: clause.to_owned(),
        text,
    })
}
