//! Purpose: a package is opened and exported for a purpose that its terms name; for another only if a rule speaks for
//! that.

use crate::policy::action::Action;
use crate::policy::denial::{Denial, ReasonCode};
use crate::policy::facts::Facts;
use crate::policy::instrument;
use crate::policy::parameters::Parameters;
use crate::policy::rules::beyond::is_lifted;
use crate::policy::rules::consent;
use crate::policy::verdict::Verdict;

pub(super) const ID: &str = "purpose";

/// Permits to open and to export for a purpose of the terms; another needs consent, related proceedings or a declared
/// exception.
pub(super) fn judge(set: Parameters, facts: &Facts<'_>) -> Verdict {
    let permitted = facts.terms.purposes_text();
    let asking = facts.asking();
    if permitted.is_empty() && facts.action != Action::Erase {
        let text = format!(
            "cannot {} this package: its terms name no purpose, so no use of it would be permitted; the terms must name at least one",
            facts.action
        );
        return deny(facts, ReasonCode::PurposesEmpty, text);
    }
    match (facts.action, facts.purpose) {
        (Action::Send | Action::Admit | Action::Forward | Action::Keep | Action::Erase, _) => {
            Verdict::Silent
        }
        (Action::Open | Action::Export, None) => {
            let text = format!(
                "to {} this package, name a purpose; permitted is {permitted}",
                facts.action
            );
            deny(facts, ReasonCode::PurposeMissing, text)
        }
        (Action::Open | Action::Export, Some(purpose))
            if facts.terms.purposes.contains(purpose) =>
        {
            Verdict::Permits
        }
        (Action::Open | Action::Export, Some(_)) if is_lifted(set, facts) => Verdict::Silent,
        (Action::Open | Action::Export, Some(purpose)) => {
            let (reason, why) = match consent::lack(facts, consent::of_use(facts)) {
                Some((reason, why)) => (reason, format!("; {why}")),
                None => (ReasonCode::PurposeNotPermitted, String::new()),
            };
            let clause = instrument::purpose_clause(&facts.terms.instrument);
            let text = format!(
                "permitted use is {permitted}, not {purpose} ({clause}){why}; open it for a permitted purpose, or {asking} to its use for {purpose}"
            );
            deny(facts, reason, text)
        }
    }
}

fn deny(facts: &Facts<'_>, reason: ReasonCode, text: String) -> Verdict {
    Verdict::Denies(Denial {
        rule: ID.into(),
        detail: None,
        term: format!(
            "purposes={}",
            facts.terms.purposes_text().replace(", ", ",")
        ),
        reason,
        clause: instrument::purpose_clause(&facts.terms.instrument).to_owned(),
        text,
    })
}
