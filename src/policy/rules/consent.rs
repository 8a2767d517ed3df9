//! Consent: the sender has permitted a use that its terms do not name.

use crate::policy::consent::{Consented, Standing, standing};
use crate::policy::decide::{PolicySet, ReasonCode};
use crate::policy::facts::Facts;
use crate::policy::permit::Action;
use crate::policy::rules::Verdict;

pub(in crate::policy) const ID: &str = "consent";

/// Permits what was consented to; that there is no consent is for the rule that needs one to say.
pub(super) fn judge(_: &PolicySet, facts: &Facts<'_>) -> Verdict {
    match facts.action {
        Action::Open | Action::Export if of_use(facts) == Standing::Given => Verdict::Permits,
        Action::Forward if of_passing_on(facts) == Standing::Given => Verdict::Permits,
        Action::Send
        | Action::Admit
        | Action::Open
        | Action::Export
        | Action::Forward
        | Action::Keep
        | Action::Erase => Verdict::Silent,
    }
}

/// What the consents say about the use that is asked for.
pub(super) fn of_use(facts: &Facts<'_>) -> Standing {
    let wish = facts.purpose.map(|purpose| Consented::Use(*purpose));
    wish.map_or(Standing::None, |wish| look(facts, &wish))
}

/// What the consents say about passing the package on to the authority that is asked for.
pub(super) fn of_passing_on(facts: &Facts<'_>) -> Standing {
    let third = facts.circumstances.third.cloned().map(Consented::Onward);
    third.map_or(Standing::None, |wish| look(facts, &wish))
}

/// Why the consents at hand do not do, where there are some; for whoever needs one to say.
pub(super) fn lack(facts: &Facts<'_>, standing: Standing) -> Option<(ReasonCode, String)> {
    let from = facts.from;
    match standing {
        Standing::Expired(last) => Some((
            ReasonCode::ConsentExpired,
            format!("the consent of {from} ended with {last}"),
        )),
        Standing::OtherPackage => Some((
            ReasonCode::ConsentOtherPackage,
            format!("{from} has consented for another package only"),
        )),
        Standing::Given | Standing::None => None,
    }
}

fn look(facts: &Facts<'_>, wish: &Consented) -> Standing {
    let consents = facts.circumstances.consents;
    standing(consents, facts.from, &facts.package, wish, facts.now)
}
