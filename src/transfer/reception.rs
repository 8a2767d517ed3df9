//! The events and requests of a [`Receiver`](crate::transfer::Receiver).

use crate::base::{Ranges, Xid};
use crate::identity::statement::Note;
use crate::policy::Permit;
use crate::receipt::{Pkg, Reason, Receipt};
use crate::transfer::{Fault, Outcome};
use crate::wire::Frame;

/// How far a known exchange has come here; notes are stored bytes.
#[derive(Debug, Clone)]
pub enum Standing {
    /// Admitted; these segments are durable.
    Receiving(Ranges),
    /// `consigned` is signed by us.
    Consigned(Note),
    /// `handover` or `handover-failed` is signed by us.
    Answered(Note),
    /// That is countersigned, or the sender has ended the exchange: nothing is left to do.
    Settled,
    /// `rejected` is signed by us.
    Rejected(Note),
}

/// An exchange as the ledger knows it.
#[derive(Debug, Clone)]
pub struct KnownOffer {
    /// The dispatch that came first.
    pub dispatch: Note,
    /// How far it has come.
    pub standing: Standing,
}

/// An admitted offer, to be recorded before anything is asked for.
#[derive(Debug)]
pub struct Admission {
    /// The signed dispatch.
    pub dispatch: Note,
    /// The receipt in it.
    pub receipt: Receipt,
    /// The payload, as the dispatch describes it.
    pub pkg: Pkg,
    /// The exchange.
    pub xid: Xid,
    /// The disclosures beside it.
    pub disclosures: Vec<String>,
    /// The decision to take it in.
    pub permit: Permit,
}

/// An event for a receiver.
#[derive(Debug)]
pub enum ReceiverInput {
    /// A frame came.
    Frame(Frame),
    /// The ledger's answer to [`ReceiverOutput::Lookup`].
    Known(Option<Box<KnownOffer>>),
    /// The exchange id belongs to an exchange with somebody else, or to one of ours.
    Foreign,
    /// The answer to [`ReceiverOutput::Admit`]: recorded, space promised.
    Admitted,
    /// Something outside the exchange speaks against it; nothing was recorded.
    Refused(Reason),
    /// There is no room now; nothing was recorded.
    NoRoom {
        /// Why.
        code: String,
    },
    /// The list of segment hashes is durable, and its root is the body.
    Listed,
    /// These segments are there and right; durable where the shell has recorded them.
    Stored(Ranges),
    /// Bytes came that the list does not allow.
    BadData(Fault),
    /// Payload and list are durable.
    Durable,
    /// The header's MAC and first chunk are right, or why not.
    HeaderChecked(Result<(), String>),
    /// The last commit is durable.
    Committed,
    /// Payload bytes moved.
    Moved,
    /// Nothing happened for too long.
    Timeout,
}

/// A step to make durable in one commit.
#[derive(Debug)]
pub enum ReceiverCommit {
    /// Our `rejected`: the offer is remembered, so that it is answered with the same bytes for ever.
    Rejected {
        /// The offer.
        dispatch: Note,
        /// Our answer.
        note: Note,
    },
    /// Our `consigned`.
    Consigned(Note),
    /// The countersigned `consigned`, the header, and our `handover`.
    Handover {
        /// `consigned`, signed by both.
        consigned: Note,
        /// The age header.
        header: Vec<u8>,
        /// Our `handover`.
        note: Note,
    },
    /// The countersigned `consigned` and our `handover-failed`.
    HandoverFailed {
        /// `consigned`, signed by both.
        consigned: Note,
        /// Our `handover-failed`.
        note: Note,
    },
    /// `handover`, signed by both.
    Held(Note),
    /// `handover-failed`, signed by both.
    Failed(Note),
    /// The sender's `expired` or `withdrawn`: what was received is dropped.
    Lapsed(Note),
}

/// A request of a receiver to its driver.
#[derive(Debug)]
pub enum ReceiverOutput {
    /// Send this frame on the exchange's stream.
    Send(Frame),
    /// Look this exchange up in the ledger.
    Lookup(Xid),
    /// Record this and promise the space; make ready for list and segments.
    Admit(Box<Admission>),
    /// Make ready again for list and segments of a recorded exchange.
    Resume(Ranges),
    /// Make payload and list durable, then say [`ReceiverInput::Durable`].
    Settle,
    /// Check header, MAC and first chunk with the age identity, where it is here.
    CheckHeader(Vec<u8>),
    /// Make this durable, then say [`ReceiverInput::Committed`].
    Commit(ReceiverCommit),
    /// Over.
    Close(Outcome),
}
