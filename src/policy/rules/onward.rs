//! Onward: a package is passed on with the consent of its sender, to the authority that was named, and never where the
//! terms prohibit it.

use crate::policy::action::Action;
use crate::policy::denial::{Denial, ReasonCode};
use crate::policy::facts::Facts;
use crate::policy::instrument;
use crate::policy::parameters::Parameters;
use crate::policy::rules::beyond::is_lifted;
use crate::policy::rules::consent;
use crate::policy::terms::Onward;
use crate::policy::verdict::Verdict;

pub(super) const ID: &str = "onward";

/// Denies what has no consent; the consent rule or a declared threat speaks for the rest.
pub(super) fn judge(set: Parameters, facts: &Facts<'_>) -> Verdict {
    if facts.action != Action::Forward {
        return Verdict::Silent;
    }
    let (own, from) = (facts.own, facts.from);
    let Some(third) = facts.circumstances.third else {
        let text = "to pass this package on, name the authority that is to receive it".to_owned();
        return deny(facts, ReasonCode::RecipientMissing, text);
    };
    if third == own || third == from {
        let text = format!("{third} has this package already; name another authority");
        return deny(facts, ReasonCode::SameAuthority, text);
    }
    if facts.terms.onward == Onward::Prohibited {
        let text = format!(
            "the terms prohibit passing this package on; {from} would have to send it again with --onward with-consent before {third} can have it"
        );
        return deny(facts, ReasonCode::OnwardProhibited, text);
    }
    if is_lifted(set, facts) {
        return Verdict::Silent;
    }
    let lack = consent::lack(facts, consent::of_passing_on(facts));
    let (reason, why) = lack.unwrap_or_else(|| {
        let why = format!("{from} has not consented");
        (ReasonCode::OnwardNeedsConsent, why)
    });
    let text =
        format!("to pass this package on to {third} needs consent, and {why}; ask {from} for it");
    deny(facts, reason, text)
}

fn deny(facts: &Facts<'_>, reason: ReasonCode, text: String) -> Verdict {
    Verdict::Denies(Denial {
        rule: ID.into(),
        detail: None,
        term: format!("onward={}", facts.terms.onward),
        reason,
        clause: instrument::beyond(&facts.terms.instrument)
            .onward
            .to_owned(),
        text,
    })
}
