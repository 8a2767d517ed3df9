//! The phases of an exchange.

use crate::base::words::words;

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
        /// Both ways: `consigned` is signed by both; the header is on its way.
        Consigned = "consigned",
        /// Out: the receiver signed `handover`; its countersigned copy is not acknowledged yet.
        Delivered = "delivered",
        /// Out: over, both hold the handover receipt with both signatures.
        Closed = "closed",
        /// Out: the receiver signed `rejected`.
        Rejected = "rejected",
        /// Both ways: `handover-failed` is signed.
        Failed = "failed",
        /// Out: the sender signed `expired`.
        Expired = "expired",
        /// Out: the sender signed `withdrawn`.
        Withdrawn = "withdrawn",
        /// In: the offer was accepted, segments are missing.
        Receiving = "receiving",
        /// In: header and payload are durable, `handover` is signed by the receiver only.
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

    /// Whether it is known what became of the delivery: who waited for that waits no longer.
    pub const fn is_settled(self) -> bool {
        !matches!(
            self,
            Self::Dispatched | Self::Consigned | Self::Receiving | Self::HandoverSigned
        )
    }
}
