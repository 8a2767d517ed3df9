//! Where a [`Receiver`](crate::transfer::Receiver) is: each stage holds what it has, and nothing else.

use crate::base::{Digest, Ranges};
use crate::receipt::Signed;
use crate::transfer::Outcome;
use crate::wire::Frame;

/// The stages of an incoming exchange on one connection.
#[derive(Debug)]
pub(crate) enum State {
    AwaitOffer,
    AwaitDisclosures(Signed),
    AwaitKnown {
        offer: Signed,
        disclosures: Vec<String>,
    },
    AwaitAdmission(Offer),
    AwaitList {
        offer: Offer,
        have: Ranges,
    },
    Collect(Offer),
    Settling(Offer),
    AwaitCountersigned {
        dispatch: Box<Signed>,
        held: Signed,
    },
    /// It was said again, for the header does not open the payload.
    AwaitCountersignedAgain {
        consigned: Signed,
        hdr: Digest,
    },
    AwaitHeader {
        consigned: Signed,
        hdr: Digest,
        /// Whether it came before, and did not open the payload.
        again: bool,
    },
    CheckingHeader {
        consigned: Signed,
        header: Vec<u8>,
        again: bool,
    },
    AwaitAnswerCountersigned(Signed),
    Committing {
        then: Vec<Frame>,
        next: Box<Self>,
    },
    Closing(Outcome),
    Closed,
}

/// The verified dispatch.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) dispatch: Signed,
    pub(crate) segments: u64,
    pub(crate) inline: bool,
}

impl State {
    /// The name of the stage, for a fault.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::AwaitOffer => "an offer is awaited",
            Self::AwaitDisclosures(_) => "disclosures are awaited",
            Self::AwaitKnown { .. } | Self::AwaitAdmission(_) => "the offer is being looked at",
            Self::AwaitList { .. } => "the list of segments is awaited",
            Self::Collect(_) => "segments are awaited",
            Self::Settling(_) | Self::Committing { .. } | Self::CheckingHeader { .. } => {
                "something is being made durable"
            }
            Self::AwaitCountersigned { .. } | Self::AwaitCountersignedAgain { .. } => {
                "the countersigned consigned receipt is awaited"
            }
            Self::AwaitHeader { .. } => "the age header is awaited",
            Self::AwaitAnswerCountersigned(_) => "the countersigned handover receipt is awaited",
            Self::Closing(_) | Self::Closed => "the exchange is closed",
        }
    }
}
