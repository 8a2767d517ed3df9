//! Kinds of receipts, and the profile of each.

use crate::identity::statement::Context;
use crate::policy::code::vocabulary;

vocabulary! {
    /// The kind of a receipt.
    Kind: "kind of receipt" {
        /// The receiver opened a package, or items of it, for a purpose that its terms permit.
        Access = "access",
        /// The receiver's policy refused to open a package.
        AccessDenied = "access-denied",
        /// A second person approved or rejected what takes two.
        Approval = "approval",
        /// A peer's card was accepted, or a newer one taken.
        CardAdopted = "card-adopted",
        /// The clock of an authority was set by more than its uncertainty.
        ClockStep = "clock-step",
        /// The receiver asks to be permitted a use, or to pass the package on, beyond its terms.
        ConsentAsked = "consent-asked",
        /// The sender permits what it was asked for, until the end of a day.
        ConsentGiven = "consent-given",
        /// The sender does not permit what it was asked for.
        ConsentRefused = "consent-refused",
        /// The receiver holds the payload, durably; it has not received the header, so it cannot read it yet.
        Consigned = "consigned",
        /// What was in a package is not what its manifest says.
        ContentMismatch = "content-mismatch",
        /// The receiver has destroyed its copies of the package: the key of its header is overwritten, the payload
        /// removed.
        Destroyed = "destroyed",
        /// The sender sealed a package for the receiver.
        Dispatch = "dispatch",
        /// The sender gave up before the receiver held the payload: a term of the package ended.
        Expired = "expired",
        /// The receiver holds payload and header, durably: it can read the package.
        Handover = "handover",
        /// The header that came does not open the payload that came.
        HandoverFailed = "handover-failed",
        /// An authority's keys came into use.
        KeyAnnounce = "key-announce",
        /// The receiver has passed the package on to a third authority, as the sender had consented; of what the third
        /// authority has signed, it goes with a copy.
        Onward = "onward",
        /// The receiver's policy refused to pass the package on.
        OnwardRefused = "onward-refused",
        /// A person ordered what the issuer's own records alone show: a hold, its end, a review, the team of a case.
        Order = "order",
        /// A policy came into force.
        PolicyAdopted = "policy-adopted",
        /// An authority works again on a restored ledger.
        Recovered = "recovered",
        /// The receiver does not take the package.
        Rejected = "rejected",
        /// The sender binds a package that was handed over by stricter terms than before.
        RestrictionChanged = "restriction-changed",
        /// What was done with the package at the receiver, as its log has it.
        UseReport = "use-report",
        /// The sender took the package back before the receiver held the payload.
        Withdrawn = "withdrawn",
    }
}

/// Who issues a receipt, and so signs it first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Issuer {
    /// The authority that the package is from.
    Sender,
    /// The authority that the package is for.
    Receiver,
    /// The authority itself, outside any exchange.
    Own,
}

/// The rules of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// Who signs first.
    pub issuer: Issuer,
    /// Whether the other side signs the same note after that.
    pub countersigned: bool,
    /// Whether it says that something was not done.
    pub negative: bool,
    /// The kinds that it may follow in its exchange; none for the first receipt and outside exchanges.
    pub follows: &'static [Kind],
    /// The evidence event of ETSI EN 319 522-3 that it corresponds to.
    pub event: Option<&'static str>,
    /// Whether it may be issued while connected, and then names the session.
    pub(super) connected: bool,
}

/// A profile in which nothing is set that a kind has to claim.
const PLAIN: Profile = Profile {
    issuer: Issuer::Own,
    countersigned: false,
    negative: false,
    follows: &[],
    event: None,
    connected: false,
};

/// The kinds that may precede a receipt about access: those that both sides hold, and other receipts about access.
const HELD: &[Kind] = &[
    Kind::Handover,
    Kind::RestrictionChanged,
    Kind::Access,
    Kind::AccessDenied,
    Kind::ContentMismatch,
];

/// The kinds that both sides hold of a package that was handed over. Receipts about access are a branch of the
/// receiver's own.
const SHARED: &[Kind] = &[Kind::Handover, Kind::RestrictionChanged];

const ACCESS: Profile = Profile {
    issuer: Issuer::Receiver,
    follows: HELD,
    event: Some("http://uri.etsi.org/19522/Event/ContentAccessTracking"),
    ..PLAIN
};

const DESTROYED: Profile = Profile {
    issuer: Issuer::Receiver,
    countersigned: true,
    follows: SHARED,
    ..PLAIN
};

const USE_REPORT: Profile = Profile {
    issuer: Issuer::Receiver,
    follows: SHARED,
    ..PLAIN
};

const ONWARD: Profile = USE_REPORT;

const ONWARD_REFUSED: Profile = Profile {
    negative: true,
    ..ONWARD
};

const CONSENT_ASKED: Profile = Profile {
    issuer: Issuer::Receiver,
    follows: SHARED,
    ..PLAIN
};

const CONSENT_GIVEN: Profile = Profile {
    issuer: Issuer::Sender,
    follows: &[Kind::ConsentAsked],
    ..PLAIN
};

const CONSENT_REFUSED: Profile = Profile {
    negative: true,
    ..CONSENT_GIVEN
};

const RESTRICTION_CHANGED: Profile = Profile {
    issuer: Issuer::Sender,
    follows: SHARED,
    ..PLAIN
};

impl Kind {
    /// The rules of this kind.
    pub const fn profile(self) -> Profile {
        match self {
            Self::Dispatch => Profile {
                issuer: Issuer::Sender,
                event: Some("http://uri.etsi.org/19522/Event/SubmissionAcceptance"),
                ..PLAIN
            },
            Self::Rejected => Profile {
                issuer: Issuer::Receiver,
                negative: true,
                follows: &[Self::Dispatch],
                event: Some("http://uri.etsi.org/19522/Event/RelayRejection"),
                connected: true,
                ..PLAIN
            },
            Self::Consigned => Profile {
                issuer: Issuer::Receiver,
                countersigned: true,
                follows: &[Self::Dispatch],
                event: Some("http://uri.etsi.org/19522/Event/ContentConsignment"),
                connected: true,
                ..PLAIN
            },
            Self::Handover => Profile {
                issuer: Issuer::Receiver,
                countersigned: true,
                follows: &[Self::Consigned],
                event: Some("http://uri.etsi.org/19522/Event/ContentHandover"),
                connected: true,
                ..PLAIN
            },
            Self::HandoverFailed => Profile {
                issuer: Issuer::Receiver,
                countersigned: true,
                negative: true,
                follows: &[Self::Consigned],
                event: Some("http://uri.etsi.org/19522/Event/ContentHandoverFailure"),
                connected: true,
            },
            Self::Expired | Self::Withdrawn => Profile {
                issuer: Issuer::Sender,
                negative: true,
                follows: &[Self::Dispatch],
                event: Some("http://uri.etsi.org/19522/Event/RelayFailure"),
                ..PLAIN
            },
            Self::Access => ACCESS,
            Self::AccessDenied | Self::ContentMismatch => Profile {
                negative: true,
                ..ACCESS
            },
            Self::Destroyed => DESTROYED,
            Self::UseReport => USE_REPORT,
            Self::Onward => ONWARD,
            Self::OnwardRefused => ONWARD_REFUSED,
            Self::ConsentAsked => CONSENT_ASKED,
            Self::ConsentGiven => CONSENT_GIVEN,
            Self::ConsentRefused => CONSENT_REFUSED,
            Self::RestrictionChanged => RESTRICTION_CHANGED,
            Self::Approval
            | Self::CardAdopted
            | Self::ClockStep
            | Self::KeyAnnounce
            | Self::Order
            | Self::PolicyAdopted
            | Self::Recovered => PLAIN,
        }
    }

    /// The subject of its statements.
    pub const fn context(self) -> Context {
        if self.is_consent() {
            Context::Consent
        } else {
            Context::Receipt
        }
    }

    /// Whether it asks for a consent, or answers that.
    pub const fn is_consent(self) -> bool {
        matches!(self, Self::ConsentAsked) || self.is_answer()
    }

    /// Whether the sender answers with it what it was asked for.
    pub const fn is_answer(self) -> bool {
        matches!(self, Self::ConsentGiven | Self::ConsentRefused)
    }

    /// Whether it is about passing a package on.
    pub const fn is_onward(self) -> bool {
        matches!(self, Self::Onward | Self::OnwardRefused)
    }

    /// Whether it is about an exchange, and so holds its id, its parties, its package and its terms.
    pub const fn is_exchange(self) -> bool {
        match self.profile().issuer {
            Issuer::Sender | Issuer::Receiver => true,
            Issuer::Own => false,
        }
    }

    /// Whether it holds a reason: each negative one, and what changes or ends the receiver's possession.
    pub fn is_reasoned(self) -> bool {
        self.profile().negative || matches!(self, Self::Destroyed | Self::RestrictionChanged)
    }

    /// Whether it is about what was handed over, and so has disclosures of its own instead of the exchange's.
    pub const fn is_after_handover(self) -> bool {
        match self {
            Self::Access
            | Self::AccessDenied
            | Self::ConsentAsked
            | Self::ConsentGiven
            | Self::ConsentRefused
            | Self::ContentMismatch
            | Self::Destroyed
            | Self::Onward
            | Self::OnwardRefused
            | Self::RestrictionChanged
            | Self::UseReport => true,
            Self::Approval
            | Self::CardAdopted
            | Self::ClockStep
            | Self::Consigned
            | Self::Dispatch
            | Self::Expired
            | Self::Handover
            | Self::HandoverFailed
            | Self::KeyAnnounce
            | Self::Order
            | Self::PolicyAdopted
            | Self::Recovered
            | Self::Rejected
            | Self::Withdrawn => false,
        }
    }

    /// Whether an exchange starts with it.
    pub const fn is_first(self) -> bool {
        self.is_exchange() && self.profile().follows.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_word_and_a_profile_that_makes_sense() {
        assert!(Kind::ALL.is_sorted());
        for kind in Kind::ALL {
            let profile = kind.profile();
            assert_eq!(Kind::parse(kind.as_str()), Ok(*kind));
            let has_event =
                kind.is_exchange() && (!kind.is_after_handover() || HELD.contains(kind));
            let has_event = has_event && *kind != Kind::RestrictionChanged;
            assert_eq!(has_event, profile.event.is_some(), "{kind}");
            assert_eq!(kind.is_first(), *kind == Kind::Dispatch);
            assert!(kind.is_exchange() || profile == PLAIN, "{kind}");
            assert!(profile.follows.iter().all(|before| before.is_exchange()));
            assert!(!profile.countersigned || profile.issuer == Issuer::Receiver);
        }
    }
}
