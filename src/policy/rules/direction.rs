//! Direction: an authority sends what is its own to give, and admits and opens what is addressed to it.

use crate::policy::action::Action;
use crate::policy::denial::{Denial, ReasonCode};
use crate::policy::facts::Facts;
use crate::policy::instrument;
use crate::policy::parameters::Parameters;
use crate::policy::verdict::Verdict;

pub(super) const ID: &str = "direction";

/// Permits to send and to admit; anything else needs another rule to speak for it.
pub(super) fn judge(_: Parameters, facts: &Facts<'_>) -> Verdict {
    let Facts { own, from, to, .. } = *facts;
    if from == to {
        let text = format!(
            "a package from {from} to itself is no exchange; name another authority as the receiver"
        );
        return deny(format!("to={to}"), ReasonCode::SameAuthority, text);
    }
    match facts.action {
        Action::Send if own != from => {
            let text = format!(
                "{own} may not send a package in the name of {from}; only {from} can send it"
            );
            deny(format!("from={from}"), ReasonCode::NotTheSender, text)
        }
        Action::Admit
        | Action::Open
        | Action::Export
        | Action::Forward
        | Action::Keep
        | Action::Erase
            if own != to =>
        {
            let text = format!(
                "this package is for {to}, {own} may not {} it; ask {from} for a package of your own",
                facts.action
            );
            deny(format!("to={to}"), ReasonCode::NotTheReceiver, text)
        }
        Action::Send | Action::Admit => Verdict::Permits,
        Action::Open | Action::Export | Action::Forward | Action::Keep | Action::Erase => {
            Verdict::Silent
        }
    }
}

fn deny(term: String, reason: ReasonCode, text: String) -> Verdict {
    Verdict::Denies(Denial {
        rule: ID.into(),
        detail: None,
        term,
        reason,
        clause: instrument::BY_TERMS.to_owned(),
        text,
    })
}
