//! Tables of cases: facts, and the decision that is expected of them; read from a file, judged by the policy in force.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::base::{AuthorityId, Date, Digest};
use crate::policy::action::Action;
use crate::policy::code::vocabulary;
use crate::policy::consent::{Consent, Consented};
use crate::policy::decide::{PolicySet, decide};
use crate::policy::denial::ReasonCode;
use crate::policy::exception::{Exception, Ground};
use crate::policy::facts::{Circumstances, Facts, Team};
use crate::policy::purpose::Purpose;
use crate::policy::role::{Role, Roles};
use crate::policy::terms::{Handling, Terms, TermsFault};

/// This authority, where a case does not name it.
const OWN: &str = "own.example";
/// The other authority, where a case does not name it.
const PEER: &str = "peer.example";
/// Who acts, where a case does not say.
const ACTOR: &str = "officer";

vocabulary! {
    /// The outcome of a question.
    Outcome: "decision" {
        /// It may be done.
        Permit = "permit",
        /// It is refused.
        Deny = "deny",
    }
}

/// A table: named terms, and cases about packages that are bound by them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionTable {
    /// Terms by the name that cases use.
    pub terms: BTreeMap<String, Terms>,
    /// The cases.
    pub cases: Vec<Case>,
}

/// One case. What is not set is as in the ordinary exchange: this authority sends what it sends, and has received
/// everything else from its peer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The name of the terms.
    pub terms: String,
    /// The act that somebody wants to do.
    pub action: Action,
    /// To open and to export: for what.
    #[serde(rename = "use", default)]
    pub purpose: Option<Purpose>,
    /// The day; its last millisecond, UTC, is the time of the question.
    pub on: Date,
    /// Who wants it.
    #[serde(default)]
    pub actor: Option<String>,
    /// The roles of that person; `officer` if not set.
    #[serde(default)]
    pub roles: Option<Vec<Role>>,
    /// This authority.
    #[serde(default)]
    pub own: Option<AuthorityId>,
    /// The sender.
    #[serde(default)]
    pub from: Option<AuthorityId>,
    /// The receiver.
    #[serde(default)]
    pub to: Option<AuthorityId>,
    /// To forward: the third authority.
    #[serde(default)]
    pub third: Option<AuthorityId>,
    /// The sender's consents.
    #[serde(default)]
    pub consents: Vec<ConsentOfCase>,
    /// Whether the proceedings are declared to be directly related ones.
    #[serde(default)]
    pub related: bool,
    /// A declared exception.
    #[serde(default)]
    pub exception: Option<ExceptionOfCase>,
    /// The last day of a hold.
    #[serde(default)]
    pub hold: Option<Date>,
    /// The day on which somebody last found that it is still needed.
    #[serde(default)]
    pub reviewed: Option<Date>,
    /// The highest handling code of this authority, in place of the configured one.
    #[serde(default)]
    pub handling_max: Option<Handling>,
    /// How that person stands to the team of the case; if not set, it has no team.
    #[serde(default)]
    pub team: Option<Team>,
    /// Whether a package is kept until the end of its retention where its use ends before, in place of what is
    /// configured.
    #[serde(default)]
    pub keep_after_sunset: Option<bool>,
    /// Whether only the team of a case may use its packages, in place of what is configured.
    #[serde(default)]
    pub need_to_know: Option<bool>,
    /// The expected outcome.
    pub decision: Outcome,
    /// The rule that must permit or deny; any if not set.
    #[serde(default)]
    pub rule: Option<String>,
    /// The reason that a denial must have; any if not set.
    #[serde(default)]
    pub reason: Option<ReasonCode>,
    /// The clause that a denial must cite; any if not set.
    #[serde(default)]
    pub clause: Option<String>,
}

/// A consent in a case: to a use or to passing on.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsentOfCase {
    /// The purpose that is consented to.
    #[serde(rename = "use", default)]
    pub purpose: Option<Purpose>,
    /// The authority to which passing on is consented to.
    #[serde(default)]
    pub onward: Option<AuthorityId>,
    /// Its last day.
    pub until: Date,
    /// Who gave it; the sender if not set.
    #[serde(default)]
    pub by: Option<AuthorityId>,
    /// Whether it is for another package.
    #[serde(default)]
    pub other_package: bool,
}

/// A declared exception in a case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExceptionOfCase {
    /// Why.
    pub ground: Ground,
    /// Who confirms it; whoever acts has declared it.
    #[serde(default)]
    pub confirmed_by: Option<String>,
}

/// The actual outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// Permitted or denied.
    pub decision: Outcome,
    /// The rule that permitted or denied it.
    pub rule: String,
    /// The term that a denial stands on.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub term: Option<String>,
    /// The reason of a denial.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<ReasonCode>,
    /// The clause of a denial.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub clause: Option<String>,
    /// The denial for people.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub text: Option<String>,
}

/// Why a case cannot be judged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaseFault {
    /// It names terms that the table does not have.
    #[error("there are no terms {0:?} in this table: add [terms.{0}], or correct the name")]
    NoTerms(String),
    /// Its terms are no terms.
    #[error("terms {0}: {1}")]
    Terms(String, TermsFault),
    /// A consent is neither to a use nor to passing on, or to both.
    #[error("a consent is either to a use or to passing on: name one of `use` and `onward`")]
    Consent,
}

impl Case {
    /// Whether what came of it is what is expected.
    pub fn is_met(&self, judged: &Judged) -> bool {
        let rule = self.rule.as_ref().is_none_or(|want| *want == judged.rule);
        let reason = self.reason.is_none() || self.reason == judged.reason;
        let clause = self.clause.is_none() || self.clause == judged.clause;
        self.decision == judged.decision && rule && reason && clause
    }

    /// Asks the policy.
    pub fn judge(&self, table: &DecisionTable, set: &PolicySet) -> Result<Judged, CaseFault> {
        let terms = table.terms.get(&self.terms);
        let terms = terms.ok_or_else(|| CaseFault::NoTerms(self.terms.clone()))?;
        terms
            .check()
            .map_err(|fault| CaseFault::Terms(self.terms.clone(), fault))?;
        let package = Digest::of(b"package");
        let (own, from, to) = self.parties();
        let consents: Result<Vec<_>, _> = self
            .consents
            .iter()
            .map(|consent| consent.of(&from, package))
            .collect();
        let consents = consents?;
        let actor = self.actor.as_deref().unwrap_or(ACTOR);
        let exception = self.exception.as_ref().map(|declared| Exception {
            ground: declared.ground,
            declared_by: actor,
            confirmed_by: declared.confirmed_by.as_deref(),
        });
        let facts = Facts {
            action: self.action,
            own: &own,
            from: &from,
            to: &to,
            actor,
            roles: self
                .roles
                .as_deref()
                .map_or(Roles::of(&[Role::Officer]), Roles::of),
            purpose: self.purpose.as_ref(),
            terms,
            package,
            now: self.on.end_of_day(),
            circumstances: Circumstances {
                team: self.team,
                first: None,
                third: self.third.as_ref(),
                consents: &consents,
                related: self.related,
                exception,
                hold: self.hold,
                reviewed: self.reviewed,
            },
        };
        Ok(judged(
            &set.with(self.handling_max, self.keep_after_sunset, self.need_to_know),
            &facts,
        ))
    }

    fn parties(&self) -> (AuthorityId, AuthorityId, AuthorityId) {
        #[expect(clippy::expect_used, reason = "a constant of ours is an id")]
        let id = |set: &Option<AuthorityId>, other: &'static str| {
            set.clone()
                .unwrap_or_else(|| other.parse().expect("a constant of ours is an id"))
        };
        let (from, to) = match self.action {
            Action::Send => (OWN, PEER),
            Action::Admit
            | Action::Open
            | Action::Export
            | Action::Forward
            | Action::Keep
            | Action::Erase => (PEER, OWN),
        };
        (id(&self.own, OWN), id(&self.from, from), id(&self.to, to))
    }
}

impl ConsentOfCase {
    fn of(&self, from: &AuthorityId, package: Digest) -> Result<Consent, CaseFault> {
        let to = match (self.purpose, &self.onward) {
            (Some(purpose), None) => Consented::Use(purpose),
            (None, Some(third)) => Consented::Onward(third.clone()),
            (None, None) | (Some(_), Some(_)) => return Err(CaseFault::Consent),
        };
        let other = Digest::of(b"another package");
        Ok(Consent {
            by: self.by.clone().unwrap_or_else(|| from.clone()),
            package: if self.other_package { other } else { package },
            to,
            until: self.until,
        })
    }
}

/// Asks the policy, and gives its answer as data.
pub fn judged(set: &PolicySet, facts: &Facts<'_>) -> Judged {
    match decide(set, facts) {
        Ok(permit) => Judged {
            decision: Outcome::Permit,
            rule: permit.rule().to_owned(),
            term: None,
            reason: None,
            clause: None,
            text: None,
        },
        Err(denial) => Judged {
            decision: Outcome::Deny,
            rule: denial.rule.to_string(),
            term: Some(denial.term),
            reason: Some(denial.reason),
            clause: Some(denial.clause),
            text: Some(denial.text),
        },
    }
}

#[cfg(test)]
mod tests;
