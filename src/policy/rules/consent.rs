//! Consent: the sender has permitted a use that its terms do not name.

use crate::base::Timestamp;
use crate::policy::action::Action;
use crate::policy::consent::{Consented, Standing, standing};
use crate::policy::denial::ReasonCode;
use crate::policy::facts::Facts;
use crate::policy::parameters::Parameters;
use crate::policy::verdict::Verdict;

pub(in crate::policy) const ID: &str = "consent";

/// Permits what was consented to; that there is no consent is for the rule that needs one to say.
pub(super) fn judge(_: Parameters, facts: &Facts<'_>) -> Verdict {
    match facts.action {
        Action::Open | Action::Export if of_use(facts).is_given() => Verdict::Permits,
        Action::Forward if of_passing_on(facts).is_given() => Verdict::Permits,
        Action::Send
        | Action::Admit
        | Action::Open
        | Action::Export
        | Action::Forward
        | Action::Keep
        | Action::Erase => Verdict::Silent,
    }
}

/// The end of the last day of the consent to what is asked for, where there is one.
pub(in crate::policy) fn end(facts: &Facts<'_>) -> Option<Timestamp> {
    let standing = match facts.action {
        Action::Open | Action::Export => of_use(facts),
        Action::Forward => of_passing_on(facts),
        Action::Send | Action::Admit | Action::Keep | Action::Erase => Standing::None,
    };
    match standing {
        Standing::Given(last) => Some(last.end_of_day()),
        Standing::Expired(_) | Standing::OtherPackage | Standing::None => None,
    }
}

/// The answer of the consents to the use that is asked for.
pub(super) fn of_use(facts: &Facts<'_>) -> Standing {
    let wish = facts.purpose.map(|purpose| Consented::Use(*purpose));
    wish.map_or(Standing::None, |wish| look(facts, &wish))
}

/// The answer of the consents to passing the package on to the authority that is asked for.
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
        Standing::Given(_) | Standing::None => None,
    }
}

fn look(facts: &Facts<'_>, wish: &Consented) -> Standing {
    let consents = facts.circumstances.consents;
    standing(consents, facts.from, &facts.package, wish, facts.now)
}
