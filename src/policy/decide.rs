//! The decision: every rule is asked, deny overrides, silence denies.

use serde::Serialize;

use crate::base::Digest;
use crate::base::json;
use crate::policy::code::vocabulary;
use crate::policy::facts::Facts;
use crate::policy::instrument;
use crate::policy::permit::Permit;
use crate::policy::rules::{self, Rule, Verdict};
use crate::policy::terms::Handling;

vocabulary! {
    /// Why something is denied.
    ReasonCode: "reason of a denial" {
        /// The case has no team, and somebody must need to know.
        CaseWithoutTeam = "case-without-team",
        /// The consent to it is no longer valid.
        ConsentExpired = "consent-expired",
        /// The consent to it is for another package.
        ConsentOtherPackage = "consent-other-package",
        /// The instrument knows no such exception.
        ExceptionNotProvided = "exception-not-provided",
        /// The exception is for another use than the one asked for.
        ExceptionOtherUse = "exception-other-use",
        /// The terms carry a higher handling code than this authority takes or gives.
        HandlingAboveCeiling = "handling-above-ceiling",
        /// The handling code forbids this use, or contradicts the purposes.
        HandlingForbidsUse = "handling-forbids-use",
        /// No rule speaks for it.
        NoRulePermits = "no-rule-permits",
        /// Another team needs to know.
        NotInTeam = "not-in-team",
        /// This authority is not the one that the package is for.
        NotTheReceiver = "not-the-receiver",
        /// This authority is not the one that the package is from.
        NotTheSender = "not-the-sender",
        /// Its sender wants to be told before.
        NoticeMissing = "notice-missing",
        /// A hold keeps it from being destroyed.
        OnHold = "on-hold",
        /// To pass it on needs the consent of its sender.
        OnwardNeedsConsent = "onward-needs-consent",
        /// The terms prohibit to pass it on.
        OnwardProhibited = "onward-prohibited",
        /// To open, a purpose must be named.
        PurposeMissing = "purpose-missing",
        /// The terms do not permit this purpose.
        PurposeNotPermitted = "purpose-not-permitted",
        /// The terms name no purpose at all.
        PurposesEmpty = "purposes-empty",
        /// To pass it on, an authority must be named.
        RecipientMissing = "recipient-missing",
        /// The instrument does not permit use in related proceedings, or this use is none.
        RelatedNotProvided = "related-not-provided",
        /// The day until which it may be kept is over.
        RetentionEnded = "retention-ended",
        /// It takes a role that this person does not have.
        RoleNotPermitted = "role-not-permitted",
        /// Sender and receiver are the same authority.
        SameAuthority = "same-authority",
        /// An exception needs two persons.
        SecondPersonMissing = "second-person-missing",
        /// Speciality: not without consent.
        Speciality = "speciality",
        /// The day until which it may be used is over.
        SunsetPassed = "sunset-passed",
        /// Privilege or immunity is under review.
        UnderPrivilegeReview = "under-privilege-review",
    }
}

/// Why something may not be done: which rule, which term, which clause, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Denial {
    /// The rule that denies, as [`verdicts`] names it; `silence` if none permits.
    pub rule: &'static str,
    /// The term that it stands on, with its value: `purposes=prosecution,trial`.
    pub term: String,
    /// The reason, for machines.
    pub reason: ReasonCode,
    /// The clause of law or of the terms; at most 128 printable ASCII characters.
    pub clause: String,
    /// The whole of it for people: what was refused, what is permitted, what to do next.
    pub text: String,
}

/// The policy in force: the rules and their parameters.
#[derive(Debug, Clone)]
pub struct PolicySet {
    rules: &'static [Rule],
    pub(super) handling_max: Option<Handling>,
    pub(super) need_to_know: bool,
}

/// What a digest of the policy is taken over.
#[derive(Serialize)]
struct Description {
    v: u64,
    rules: Vec<RuleDescription>,
    #[serde(skip_serializing_if = "Option::is_none")]
    handling_max: Option<Handling>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    need_to_know: bool,
}

#[derive(Serialize)]
struct RuleDescription {
    id: &'static str,
    version: u32,
}

impl PolicySet {
    /// All rules, with the highest handling code that this authority gives and takes (`None`: any).
    pub const fn new(handling_max: Option<Handling>) -> Self {
        Self {
            rules: rules::ALL,
            handling_max,
            need_to_know: false,
        }
    }

    /// The same policy, in which only the team of its case may use a package.
    #[must_use]
    pub const fn needing_to_know(mut self, need_to_know: bool) -> Self {
        self.need_to_know = need_to_know;
        self
    }

    /// The same rules with other parameters, where they are given.
    pub(super) fn with(&self, handling_max: Option<Handling>, need_to_know: Option<bool>) -> Self {
        Self {
            rules: self.rules,
            handling_max: handling_max.or(self.handling_max),
            need_to_know: need_to_know.unwrap_or(self.need_to_know),
        }
    }

    /// The policy as one line of canonical JSON (RFC 8785): format version, rules with their versions, parameters.
    pub fn description(&self) -> String {
        let rules = self.rules.iter().map(|rule| RuleDescription {
            id: rule.id,
            version: rule.version,
        });
        let description = Description {
            v: 1,
            rules: rules.collect(),
            handling_max: self.handling_max,
            need_to_know: self.need_to_know,
        };
        String::from_utf8_lossy(&json::canonical(&description)).into_owned()
    }

    /// SHA-256 of the description: what `pol` of a receipt holds.
    pub fn digest(&self) -> Digest {
        Digest::of(self.description().as_bytes())
    }
}

/// What each rule says, in the order in which they are asked; [`decide`] follows the first that denies.
pub fn verdicts(
    set: &PolicySet,
    facts: &Facts<'_>,
) -> impl Iterator<Item = (&'static str, Verdict)> {
    set.rules
        .iter()
        .map(move |rule| (rule.id, (rule.judge)(set, facts)))
}

/// Decides: permitted if at least one rule permits and none denies. The same facts always get the same answer.
pub fn decide(set: &PolicySet, facts: &Facts<'_>) -> Result<Permit, Denial> {
    let mut permitted = None;
    for (rule, verdict) in verdicts(set, facts) {
        match verdict {
            Verdict::Denies(denial) => return Err(denial),
            Verdict::Permits => permitted = permitted.or(Some(rule)),
            Verdict::Silent => {}
        }
    }
    match permitted {
        Some(rule) => Ok(Permit::grant(facts, rule)),
        None => Err(silence(facts)),
    }
}

fn silence(facts: &Facts<'_>) -> Denial {
    Denial {
        rule: "silence",
        term: format!("instrument={}", facts.terms.instrument),
        reason: ReasonCode::NoRulePermits,
        clause: instrument::BY_TERMS.to_owned(),
        text: format!(
            "no rule of the policy in force permits to {} this package, and what is not permitted is refused; ask whoever configures the policy here",
            facts.action
        ),
    }
}

#[cfg(test)]
mod tests;
