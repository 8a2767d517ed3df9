//! The conditions that both declared exceptions share: an instrument that knows them, the use they are for, and two
//! persons.

use crate::policy::denial::{Denial, ReasonCode};
use crate::policy::exception::Exception;
use crate::policy::facts::Facts;
use crate::policy::instrument;
use crate::policy::verdict::Verdict;

/// Judges a declared exception, given whether it fits what is wanted and the clause that provides for it.
pub(super) fn judge(
    rule: &'static str,
    facts: &Facts<'_>,
    exception: &Exception<'_>,
    fits: bool,
    clause: Option<&'static str>,
) -> Verdict {
    let (ground, code, asking) = (exception.ground, &facts.terms.instrument, facts.asking());
    let deny = |reason, clause: &str, text: String| {
        Verdict::Denies(Denial {
            rule: rule.into(),
            detail: None,
            term: format!("exception={ground}"),
            reason,
            clause: clause.to_owned(),
            text,
        })
    };
    if !fits {
        let text = format!(
            "the exception {ground} does not fit: to {} for this use is something else; name the use that it is for, or {asking}",
            facts.action
        );
        let clause = clause.unwrap_or(instrument::BY_TERMS);
        return deny(ReasonCode::ExceptionOtherUse, clause, text);
    }
    let Some(clause) = clause else {
        let text = format!("{code} knows no exception {ground}; {asking}");
        let clause = instrument::purpose_clause(code);
        return deny(ReasonCode::ExceptionNotProvided, clause, text);
    };
    if exception.has_two_persons() {
        return Verdict::Permits;
    }
    let text = format!(
        "the exception {ground}, declared by {}, needs a second person to confirm it ({clause}); have it approved by somebody else",
        exception.declared_by
    );
    deny(ReasonCode::SecondPersonMissing, clause, text)
}
