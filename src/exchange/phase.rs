//! The phases of an exchange, and the one table of the steps between them.

use Direction::{In, Out};
use Step::{Acknowledged, Countersigned, Signed};

use crate::base::words::words;
use crate::identity::statement::Note;
use crate::receipt::Kind;

words! {
    /// Which way a package goes, seen from this authority.
    Direction, "direction" {
        /// Sent by this authority.
        Out = "out",
        /// Received by this authority.
        In = "in",
    }
}

words! {
    /// How far an exchange has come.
    ///
    /// Out: dispatched → consigned → delivered → closed ⇄ restriction-signed → destroyed; or rejected, failed, expired,
    /// withdrawn.
    /// In: receiving → consigned → handover-signed → held → destruction-signed → destroyed; or refused, failed, lapsed.
    Phase, "state of a package" {
        /// Out: `dispatch` is signed, the receiver has not signed anything.
        Dispatched = "dispatched",
        /// Out: `consigned` is signed by both; the header is on its way. In: it is signed by the receiver, at least.
        Consigned = "consigned",
        /// Out: the receiver signed `handover`; its countersigned copy is not acknowledged yet.
        Delivered = "delivered",
        /// Out: over, both hold the handover receipt with both signatures.
        Closed = "closed",
        /// Out: the receiver signed `rejected`.
        Rejected = "rejected",
        /// Both ways: `handover-failed` is signed by both.
        Failed = "failed",
        /// Out: the sender signed `expired`.
        Expired = "expired",
        /// Out: the sender signed `withdrawn`.
        Withdrawn = "withdrawn",
        /// In: the offer was accepted, segments are missing.
        Receiving = "receiving",
        /// In: header and payload are durable and `handover` is signed, or `handover-failed` is; by the receiver only.
        HandoverSigned = "handover-signed",
        /// In: over, the package is held and its handover receipt has both signatures.
        Held = "held",
        /// Out: this authority signed stricter terms, or the answer to a wish, after the handover; the receiver has not
        /// acknowledged it yet.
        RestrictionSigned = "restriction-signed",
        /// In: the package is destroyed here, `destroyed` is signed by the receiver only.
        DestructionSigned = "destruction-signed",
        /// Both ways: over, the package is destroyed at the receiver, and both have signed so.
        Destroyed = "destroyed",
        /// In: this authority signed `rejected`.
        Refused = "refused",
        /// In: the sender let it expire or withdrew it.
        Lapsed = "lapsed",
    }
}

impl Phase {
    /// Whether the receiver has, or had, the package: its sender may have to be told something of it.
    pub const fn was_held(self) -> bool {
        matches!(self, Self::Held | Self::Destroyed)
    }

    /// Whether the outcome of the delivery is known: who waited for that waits no longer.
    pub const fn is_settled(self) -> bool {
        !matches!(
            self,
            Self::Dispatched | Self::Consigned | Self::Receiving | Self::HandoverSigned
        )
    }

    /// Whether the exchange is over without a handover.
    pub const fn is_over_without_handover(self) -> bool {
        matches!(
            self,
            Self::Rejected
                | Self::Refused
                | Self::Failed
                | Self::Expired
                | Self::Lapsed
                | Self::Withdrawn
        )
    }

    /// Whether both sides have signed the handover and hold it: terms may have changed since.
    pub const fn is_handed_over(self) -> bool {
        self.is_settled() && !self.is_over_without_handover() && !matches!(self, Self::Delivered)
    }

    /// Whether this authority has signed something after the handover that the other side has not acknowledged.
    pub const fn is_to_tell(self) -> bool {
        matches!(self, Self::RestrictionSigned | Self::DestructionSigned)
    }
}

/// A step of an exchange, as one of its two authorities sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A statement that one side has signed is kept.
    Signed(Kind),
    /// A statement that both sides have signed is kept.
    Countersigned(Kind),
    /// The other side has acknowledged the newest of these that this authority has told it: the handover, or stricter
    /// terms and answers after it (`restriction-changed`).
    Acknowledged(Kind),
}

impl Step {
    /// The step of keeping this statement.
    pub fn of(kind: Kind, note: &Note) -> Self {
        if note.signatures().len() > 1 {
            Self::Countersigned(kind)
        } else {
            Self::Signed(kind)
        }
    }

    /// Whether it leads to a phase that [`Phase::is_settled`].
    pub fn settles(self) -> bool {
        let mut all = TRANSITIONS.iter();
        all.any(|row| row.steps.contains(&self) && row.to.is_some_and(Phase::is_settled))
    }
}

/// One row of the table: at an authority on this side, each of these steps leads from any of these phases to that one,
/// or leaves the phase as it is.
struct Transition {
    side: Direction,
    steps: &'static [Step],
    from: &'static [Phase],
    to: Option<Phase>,
}

/// To another phase.
const fn moves(
    side: Direction,
    steps: &'static [Step],
    from: &'static [Phase],
    to: Phase,
) -> Transition {
    let to = Some(to);
    Transition {
        side,
        steps,
        from,
        to,
    }
}

/// The phase stays as it is.
const fn stays(side: Direction, steps: &'static [Step], from: &'static [Phase]) -> Transition {
    Transition {
        side,
        steps,
        from,
        to: None,
    }
}

/// Every step that an exchange can take.
const TRANSITIONS: &[Transition] = &[
    moves(
        Out,
        &[Countersigned(Kind::Consigned)],
        &[Phase::Dispatched],
        Phase::Consigned,
    ),
    moves(
        Out,
        &[Signed(Kind::Rejected)],
        &[Phase::Dispatched],
        Phase::Rejected,
    ),
    moves(
        Out,
        &[Signed(Kind::Expired)],
        &[Phase::Dispatched],
        Phase::Expired,
    ),
    moves(
        Out,
        &[Signed(Kind::Withdrawn)],
        &[Phase::Dispatched],
        Phase::Withdrawn,
    ),
    moves(
        Out,
        &[Countersigned(Kind::Handover)],
        &[Phase::Consigned],
        Phase::Delivered,
    ),
    moves(
        Out,
        &[Countersigned(Kind::HandoverFailed)],
        &[Phase::Consigned],
        Phase::Failed,
    ),
    moves(
        Out,
        &[Acknowledged(Kind::Handover)],
        &[Phase::Delivered],
        Phase::Closed,
    ),
    moves(
        Out,
        &[Acknowledged(Kind::RestrictionChanged)],
        &[Phase::RestrictionSigned],
        Phase::Closed,
    ),
    moves(
        Out,
        &[
            Signed(Kind::RestrictionChanged),
            Signed(Kind::ConsentGiven),
            Signed(Kind::ConsentRefused),
        ],
        &[Phase::Closed, Phase::RestrictionSigned],
        Phase::RestrictionSigned,
    ),
    stays(
        Out,
        &[
            Signed(Kind::Access),
            Signed(Kind::ConsentAsked),
            Signed(Kind::ContentMismatch),
            Signed(Kind::Onward),
            Signed(Kind::UseReport),
        ],
        &[
            Phase::Delivered,
            Phase::Closed,
            Phase::RestrictionSigned,
            Phase::Destroyed,
        ],
    ),
    moves(
        Out,
        &[Countersigned(Kind::Destroyed)],
        &[Phase::Delivered, Phase::Closed, Phase::RestrictionSigned],
        Phase::Destroyed,
    ),
    moves(
        In,
        &[Signed(Kind::Rejected)],
        &[Phase::Receiving],
        Phase::Refused,
    ),
    moves(
        In,
        &[Signed(Kind::Consigned)],
        &[Phase::Receiving],
        Phase::Consigned,
    ),
    moves(
        In,
        &[Signed(Kind::Expired), Signed(Kind::Withdrawn)],
        &[Phase::Receiving, Phase::Consigned],
        Phase::Lapsed,
    ),
    stays(In, &[Countersigned(Kind::Consigned)], &[Phase::Consigned]),
    moves(
        In,
        &[Signed(Kind::Handover), Signed(Kind::HandoverFailed)],
        &[Phase::Consigned],
        Phase::HandoverSigned,
    ),
    moves(
        In,
        &[Countersigned(Kind::Handover)],
        &[Phase::HandoverSigned],
        Phase::Held,
    ),
    moves(
        In,
        &[Countersigned(Kind::HandoverFailed)],
        &[Phase::HandoverSigned],
        Phase::Failed,
    ),
    stays(
        In,
        &[
            Signed(Kind::AccessDenied),
            Signed(Kind::ConsentAsked),
            Signed(Kind::ContentMismatch),
            Signed(Kind::OnwardRefused),
            Signed(Kind::UseReport),
        ],
        &[Phase::Held],
    ),
    // While a destruction is being told, nothing else is: a third authority's receipts come before or after it.
    stays(
        In,
        &[Signed(Kind::Onward)],
        &[Phase::Held, Phase::Destroyed],
    ),
    // An opening that was cut off is stated late, and the sender's statements may cross a destruction.
    stays(
        In,
        &[
            Signed(Kind::Access),
            Signed(Kind::RestrictionChanged),
            Signed(Kind::ConsentGiven),
            Signed(Kind::ConsentRefused),
        ],
        &[Phase::Held, Phase::DestructionSigned, Phase::Destroyed],
    ),
    moves(
        In,
        &[Signed(Kind::Destroyed)],
        &[Phase::Held],
        Phase::DestructionSigned,
    ),
    moves(
        In,
        &[Countersigned(Kind::Destroyed)],
        &[Phase::DestructionSigned],
        Phase::Destroyed,
    ),
];

impl Phase {
    /// The phase in which an exchange begins, with its dispatch.
    pub const fn first(side: Direction) -> Self {
        match side {
            Out => Self::Dispatched,
            In => Self::Receiving,
        }
    }

    /// The phase after this step at the authority on this side; `None` where the step may not be taken.
    pub fn after(self, side: Direction, step: Step) -> Option<Self> {
        let mut all = TRANSITIONS.iter();
        let row = all.find(|row| row.side == side && row.steps.contains(&step))?;
        row.from.contains(&self).then(|| row.to.unwrap_or(self))
    }
}
