//! The decision: every rule is asked, deny overrides, silence denies.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::base::Digest;
use crate::policy::code::{Code, vocabulary};
use crate::policy::description::{self, Configured, RuleDescription};
use crate::policy::facts::Facts;
use crate::policy::instrument;
use crate::policy::national::Restrict;
use crate::policy::permit::Permit;
use crate::policy::rules::{self, Rule, Verdict};
use crate::policy::terms::{Handling, Terms};

vocabulary! {
    /// Why something is denied.
    ReasonCode: "reason of a denial" {
        /// The case has no team, and somebody must need to know.
        CaseWithoutTeam = "case-without-team",
        /// The condition of the sender prevails over what the instrument permits beyond the stated purposes.
        ConditionsPrevail = "conditions-prevail",
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
        /// A national rule forbids it; which, and why, is said beside this.
        NationalRule = "national-rule",
        /// A national rule cannot be evaluated.
        NationalRuleFailed = "national-rule-failed",
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
        /// The day of its review has passed, and no review is on record.
        ReviewDue = "review-due",
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
    pub rule: Cow<'static, str>,
    /// The reason that a national rule gives.
    pub detail: Option<Box<Code>>,
    /// The term that it stands on, with its value: `purposes=prosecution,trial`.
    pub term: String,
    /// The reason, for machines.
    pub reason: ReasonCode,
    /// The clause of law or of the terms; at most 128 printable ASCII characters.
    pub clause: String,
    /// The whole of it for people: what was refused, what is permitted, what to do next.
    pub text: String,
}

impl Denial {
    /// The reason for machines, in one word: [`Self::reason`], and after a dot what a national rule adds to it.
    pub fn code(&self) -> String {
        let detail = self.detail.as_ref();
        detail.map_or_else(
            || self.reason.to_string(),
            |detail| format!("{}.{detail}", self.reason),
        )
    }
}

/// The policy in force: the rules and their parameters, and the national rules.
#[derive(Debug, Clone)]
pub struct PolicySet {
    dual_control: BTreeSet<String>,
    national: Option<Arc<dyn Restrict>>,
    rules: &'static [Rule],
    pub(super) handling_max: Option<Handling>,
    pub(super) keep_after_sunset: bool,
    pub(super) need_to_know: bool,
}

impl PolicySet {
    /// All rules, with the highest handling code that this authority gives and takes (`None`: any).
    pub const fn new(handling_max: Option<Handling>) -> Self {
        Self {
            dual_control: BTreeSet::new(),
            national: None,
            rules: rules::ALL,
            handling_max,
            keep_after_sunset: false,
            need_to_know: false,
        }
    }

    /// The same policy, in which only the team of its case may use a package.
    #[must_use]
    pub const fn needing_to_know(mut self, need_to_know: bool) -> Self {
        self.need_to_know = need_to_know;
        self
    }

    /// The same policy, in which a package is kept until the end of its retention where its use ends before. Otherwise
    /// it is due for destruction when nobody may use it any more (Directive (EU) 2016/680 art. 4(1)(e)).
    #[must_use]
    pub const fn keeping_after_sunset(mut self, keep_after_sunset: bool) -> Self {
        self.keep_after_sunset = keep_after_sunset;
        self
    }

    /// The same policy, with these national rules.
    #[must_use]
    pub fn restricted_by(mut self, national: Option<Arc<impl Restrict + 'static>>) -> Self {
        self.national = national.map(|rules| -> Arc<dyn Restrict> { rules });
        self
    }

    /// The same policy, which takes two persons for these.
    #[must_use]
    pub fn under_dual_control<T: ToString>(mut self, verbs: impl IntoIterator<Item = T>) -> Self {
        self.dual_control = verbs.into_iter().map(|verb| verb.to_string()).collect();
        self
    }

    /// Whether this takes two persons.
    pub fn takes_two(&self, verb: &str) -> bool {
        self.dual_control.contains(verb)
    }

    /// The texts of the national rules, each with its digest.
    pub fn national_texts(&self) -> impl Iterator<Item = (Digest, &str)> {
        let national = self.national.iter();
        national.flat_map(|it| it.texts())
    }

    /// The same rules with other parameters, where they are given.
    pub(super) fn with(
        &self,
        handling_max: Option<Handling>,
        keep_after_sunset: Option<bool>,
        need_to_know: Option<bool>,
    ) -> Self {
        Self {
            handling_max: handling_max.or(self.handling_max),
            keep_after_sunset: keep_after_sunset.unwrap_or(self.keep_after_sunset),
            need_to_know: need_to_know.unwrap_or(self.need_to_know),
            ..self.clone()
        }
    }

    /// The policy as one line of canonical JSON (RFC 8785): format version, rules with their versions, parameters.
    pub fn description(&self) -> String {
        let rules = self.rules.iter().map(|rule| RuleDescription {
            id: rule.id,
            version: rule.version,
        });
        description::text(&self.configured(), rules.collect())
    }

    /// The configured part of it.
    pub fn configured(&self) -> Configured {
        Configured {
            dual_control: self.dual_control.clone(),
            handling_max: self.handling_max,
            national: self
                .national
                .as_ref()
                .map_or_else(Vec::new, |it| it.files()),
            keep_after_sunset: self.keep_after_sunset,
            need_to_know: self.need_to_know,
        }
    }

    /// SHA-256 of the description: what `pol` of a receipt holds.
    pub fn digest(&self) -> Digest {
        Digest::of(self.description().as_bytes())
    }
}

/// The words of each rule of the core, in the order in which they are asked; [`decide`] follows the first that denies.
fn core(set: &PolicySet, facts: &Facts<'_>) -> impl Iterator<Item = (&'static str, Verdict)> {
    set.rules
        .iter()
        .map(move |rule| (rule.id, (rule.judge)(set, facts)))
}

/// The words of each rule: those of the core, then each national rule that denies. Whether a national rule denies says
/// nothing of what is denied before.
pub fn verdicts(set: &PolicySet, facts: &Facts<'_>) -> Vec<(Cow<'static, str>, Verdict)> {
    let national = set.national.as_ref().map(|it| it.denials(facts));
    let national = national.unwrap_or_default().into_iter();
    let national = national.map(|denial| (denial.rule.clone(), Verdict::Denies(denial)));
    let core = core(set, facts).map(|(rule, says)| (rule.into(), says));
    core.chain(national).collect()
}

/// Decides: permitted if at least one rule of the core permits, none denies, and no national rule does. The same facts
/// always get the same answer.
pub fn decide(set: &PolicySet, facts: &Facts<'_>) -> Result<Permit, Denial> {
    let mut permitted = None;
    for (rule, verdict) in core(set, facts) {
        match verdict {
            Verdict::Denies(denial) => return Err(denial),
            Verdict::Permits => permitted = permitted.or(Some(rule)),
            Verdict::Silent => {}
        }
    }
    let rule = permitted.ok_or_else(|| silence(facts))?;
    let denied = set
        .national
        .as_ref()
        .and_then(|it| it.denials(facts).into_iter().next());
    denied.map_or_else(|| Ok(Permit::grant(facts, rule)), Err)
}

/// As [`decide`], for a package with items that are under terms of their own: each of these has to permit it too.
///
/// # Errors
/// The first denial, and the place of its terms among those of the items; `None` for those of the package.
pub fn decide_all<'a>(
    set: &PolicySet,
    facts: &Facts<'_>,
    items: impl IntoIterator<Item = &'a Terms>,
) -> Result<Permit, Box<(Option<usize>, Denial)>> {
    let mut permit = decide(set, facts).map_err(|denial| Box::new((None, denial)))?;
    for (at, terms) in items.into_iter().enumerate() {
        let facts = Facts { terms, ..*facts };
        let item = decide(set, &facts).map_err(|denial| Box::new((Some(at), denial)))?;
        permit = permit.within(&item);
    }
    Ok(permit)
}

fn silence(facts: &Facts<'_>) -> Denial {
    Denial {
        rule: "silence".into(),
        detail: None,
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
