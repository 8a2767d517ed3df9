//! The messages of a [`Sender`](crate::transfer::Sender), its events, and its requests.

use zeroize::Zeroizing;

use crate::base::{Ranges, Xid};
use crate::identity::statement::Note;
use crate::transfer::Outcome;
use crate::wire::Frame;

/// How far the exchange had come when this attempt begins; notes are stored bytes.
#[derive(Debug)]
pub enum Progress {
    /// Only the dispatch exists.
    Dispatched,
    /// The receiver's `consigned` is countersigned.
    Consigned(Note),
    /// The receiver's `handover` or `handover-failed` is countersigned; only its "done" is missing.
    Answered {
        /// The countersigned `consigned`.
        consigned: Note,
        /// The countersigned last receipt.
        last: Note,
    },
    /// We ended it (`expired`, `withdrawn`), and the receiver should hear of it.
    Lapsed(Note),
}

/// The package that is sent.
#[derive(Debug)]
pub struct Consignment {
    /// The exchange.
    pub xid: Xid,
    /// The signed dispatch.
    pub dispatch: Note,
    /// Disclosures that the receiver's rules need.
    pub disclosures: Vec<String>,
    /// The age header; absent once it is shredded.
    pub header: Option<Zeroizing<Vec<u8>>>,
    /// Segments of the payload.
    pub segments: u64,
    /// Whether the payload follows the offer unasked.
    pub inline: bool,
}

/// An event for a sender.
#[derive(Debug)]
pub enum SenderInput {
    /// The stream is open.
    Opened,
    /// A frame came.
    Frame(Frame),
    /// Payload bytes moved.
    Moved,
    /// The last commit is durable.
    Committed,
    /// Nothing happened for too long.
    Timeout,
}

/// A step to make durable in one commit: log the note as it stands, move the exchange on.
#[derive(Debug)]
pub enum SenderCommit {
    /// `consigned`, countersigned.
    Consigned(Note),
    /// `handover`, countersigned; the header is to be shredded.
    Delivered(Note),
    /// `handover-failed`, countersigned; the header is to be shredded.
    Failed(Note),
    /// `rejected`, as the receiver signed it; the header is to be shredded.
    Rejected(Note),
    /// The receiver holds everything: nothing is left to do.
    Closed,
    /// The receiver has heard that we ended it.
    Told,
}

/// A request of a sender to its driver.
#[derive(Debug)]
pub enum SenderOutput {
    /// Send this frame on the exchange's stream.
    Send(Frame),
    /// Send the list of segment hashes on a stream of its own.
    SendList,
    /// Send these segments.
    SendSegments(Ranges),
    /// Make this durable, then say [`SenderInput::Committed`].
    Commit(SenderCommit),
    /// Over.
    Close(Outcome),
}
