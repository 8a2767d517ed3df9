//! Why something may not be done.

use std::borrow::Cow;

use crate::policy::code::{Code, vocabulary};

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
    /// The rule that denies, as [`crate::policy::verdicts`] names it; `silence` if none permits.
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
