//! Handling: the codes that the configuration allows, and the use in court that H1 forbids.
//!
//! H0 restricts no more than the purposes do. H1 is judged here: without permission of the sender there is no
//! disclosure in judicial proceedings, so terms that name such a purpose contradict it. H2 forbids to pass on without
//! permission, which the onward rule demands of every package. H3 means restrictions that only people can weigh; a
//! ceiling of H2 keeps such packages out.

use crate::policy::action::Action;
use crate::policy::denial::{Denial, ReasonCode};
use crate::policy::facts::Facts;
use crate::policy::parameters::Parameters;
use crate::policy::purpose::{self, Purpose};
use crate::policy::rules::consent;
use crate::policy::terms::Handling;
use crate::policy::verdict::Verdict;

pub(super) const ID: &str = "handling";

pub(super) fn judge(set: Parameters, facts: &Facts<'_>) -> Verdict {
    let Some(handling) = facts.terms.handling else {
        return Verdict::Silent;
    };
    match facts.action {
        Action::Send | Action::Admit => {
            if let Some(ceiling) = set.handling_max.filter(|ceiling| handling > *ceiling) {
                return above(facts, handling, ceiling);
            }
        }
        Action::Open | Action::Export | Action::Forward | Action::Keep | Action::Erase => {}
    }
    match (facts.action, handling) {
        (Action::Send, Handling::H1) => {
            let judicial: Vec<Purpose> = facts
                .terms
                .purposes
                .iter()
                .copied()
                .filter(|it| it.is_judicial())
                .collect();
            if judicial.is_empty() {
                return Verdict::Silent;
            }
            let text = format!(
                "handling code H1 forbids disclosure in judicial proceedings, but the terms permit {}; leave out one or the other",
                purpose::list(&judicial)
            );
            deny(handling, ReasonCode::HandlingForbidsUse, text)
        }
        (Action::Open | Action::Export, Handling::H1) => {
            match facts.purpose.filter(|it| it.is_judicial()) {
                Some(_) if consent::of_use(facts).is_given() => Verdict::Silent,
                Some(purpose) => {
                    let text = format!(
                        "handling code H1 forbids use for {purpose}, which is a disclosure in judicial proceedings; ask {} for permission first",
                        facts.from
                    );
                    deny(handling, ReasonCode::HandlingForbidsUse, text)
                }
                None => Verdict::Silent,
            }
        }
        (Action::Admit | Action::Forward | Action::Keep | Action::Erase, Handling::H1)
        | (
            Action::Send
            | Action::Admit
            | Action::Open
            | Action::Export
            | Action::Forward
            | Action::Keep
            | Action::Erase,
            Handling::H0 | Handling::H2 | Handling::H3,
        ) => Verdict::Silent,
    }
}

fn above(facts: &Facts<'_>, handling: Handling, ceiling: Handling) -> Verdict {
    let next = match facts.action {
        Action::Send => "send it under a lower code, or have policy.handling_max raised here",
        Action::Admit => "agree on a lower code with the receiver, or on another way of delivery",
        Action::Open | Action::Export | Action::Forward | Action::Keep | Action::Erase => {
            "ask whoever configures the policy here"
        }
    };
    let text = format!(
        "{} does not {} packages of handling code {handling}, its highest is {ceiling} (policy.handling_max); {next}",
        facts.own, facts.action
    );
    deny(handling, ReasonCode::HandlingAboveCeiling, text)
}

fn deny(handling: Handling, reason: ReasonCode, text: String) -> Verdict {
    Verdict::Denies(Denial {
        rule: ID.into(),
        detail: None,
        term: format!("handling={handling}"),
        reason,
        clause: format!("Europol handling code {handling} (Regulation (EU) 2016/794)"),
        text,
    })
}
