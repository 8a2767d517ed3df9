//! The changes that can be asked of the ledger, and its answers.

use zeroize::Zeroizing;

use crate::base::{AuthorityId, Digest, Ranges, Timestamp, Xid, limits};
use crate::exchange::{Phase, Step};
use crate::store::rows::{
    AlarmRow, CardRow, CosignedRow, CrlRow, Exchange, OpeningRow, PeerRow, PeerState, StoredFault,
    WitnessedRow,
};

/// One change. The changes of one [`crate::store::Ledger::commit`] happen together or not at all.
pub enum Op {
    /// Keeps a statement. The same bytes again change nothing, whatever else is said of them.
    Statement {
        /// The exchange it belongs to, if any; it need not be stored.
        xid: Option<Xid>,
        /// Its kind.
        kind: String,
        /// Who signed first.
        issuer: AuthorityId,
        /// The signed note, at most [`limits::STATEMENT_BYTES_MAX`].
        note: Vec<u8>,
        /// When it was signed or received.
        at: Timestamp,
        /// Whether a commitment to it becomes a leaf of this authority's log.
        logged: bool,
        /// How many signatures it has.
        signatures: u8,
    },
    /// Begins an exchange. Conflicts if its xid is known.
    Open(Box<Exchange>),
    /// Moves an exchange on. Conflicts if it is in no phase in which this step may be taken ([`Phase::after`]).
    Advance {
        /// Which exchange.
        xid: Xid,
        /// The step.
        step: Step,
        /// The newest statement of its chain, if there is a new one; counts as one step.
        last_note: Option<Vec<u8>>,
        /// When.
        at: Timestamp,
    },
    /// Changes nothing. Conflicts if the chain of the exchange has had another number of statements.
    Unmoved {
        /// Which exchange.
        xid: Xid,
        /// How many statements its chain has had.
        steps: u32,
    },
    /// Keeps a small payload, at most [`limits::INLINE_PAYLOAD_BYTES_MAX`]; replaces the one that is there.
    Payload {
        /// Whose payload.
        xid: Xid,
        /// The payload.
        bytes: Vec<u8>,
    },
    /// Keeps an age header, at most [`limits::HEADER_BYTES_MAX`], wrapped under a key of its own in a shreddable slot.
    Header {
        /// Whose header.
        xid: Xid,
        /// The header.
        header: Zeroizing<Vec<u8>>,
    },
    /// Makes the header unreadable for good, as soon as the rest is committed, and drops a payload that lives in the
    /// ledger, which nobody can read without it. Without either nothing happens.
    Shred {
        /// Whose header.
        xid: Xid,
    },
    /// Records the segments that are durable.
    Have {
        /// Of which exchange.
        xid: Xid,
        /// All of them, not only the new ones.
        have: Ranges,
    },
    /// Records attempts and when to try next.
    Retry {
        /// Of which exchange.
        xid: Xid,
        /// Failed attempts since the last progress.
        attempts: u32,
        /// Not before this time.
        next_try: Option<Timestamp>,
        /// The reason why the last one failed.
        fault: Option<StoredFault>,
    },
    /// Forgets what was disclosed beside the dispatch of an exchange, and a payload that lives in the ledger.
    DropDisclosed {
        /// Which exchange.
        xid: Xid,
    },
    /// Adds a peer or replaces what is known of it. A `head` of `None` leaves the stored one.
    PeerPut(Box<PeerRow>),
    /// Forgets a peer. Its cards stay, so that its signatures can be verified.
    PeerDrop {
        /// Which peer.
        id: AuthorityId,
    },
    /// Keeps a card, or records that it was adopted.
    CardPut(Box<CardRow>),
    /// Forgets a card that nobody has accepted.
    CardDrop {
        /// Whose card.
        authority: AuthorityId,
        /// The digest of its text.
        digest: Digest,
    },
    /// Records a decision about a peer.
    PeerState {
        /// Which peer.
        id: AuthorityId,
        /// The decision.
        state: PeerState,
        /// When; becomes the time of acceptance if the decision is to accept.
        at: Timestamp,
    },
    /// Records a revocation list of one CA of an authority, at most [`limits::CRL_BYTES_MAX`], in place of that CA's
    /// other one.
    CrlPut(Box<CrlRow>),
    /// Forgets the revocation list of one CA of an authority.
    CrlDrop {
        /// Which authority.
        authority: AuthorityId,
        /// Which CA.
        ca: Digest,
    },
    /// Records that a peer was connected; clears its fault.
    PeerSeen {
        /// Which peer.
        id: AuthorityId,
        /// When.
        at: Timestamp,
    },
    /// Records the newest head seen of a peer's log.
    PeerHead {
        /// Which peer.
        id: AuthorityId,
        /// The head, in the caller's own form.
        head: Vec<u8>,
    },
    /// Records what the last connection to a peer failed of.
    PeerFault {
        /// Which peer.
        id: AuthorityId,
        /// The fault, or none.
        fault: Option<StoredFault>,
    },
    /// Records the newest checkpoint of another authority's log that is cosigned; a smaller one than is kept changes
    /// nothing. Ends an alarm that it was not proved, if no other head waits for a proof.
    Witnessed(Box<WitnessedRow>),
    /// Keeps a checkpoint of another authority's log that was heard of and is to be proved, unless one waits already;
    /// `None` forgets it, and the alarm that it is not proved.
    Heard {
        /// Whose log.
        of: AuthorityId,
        /// The checkpoint, verbatim, at most [`limits::STATEMENT_BYTES_MAX`].
        note: Option<Vec<u8>>,
        /// When.
        at: Timestamp,
    },
    /// Keeps two checkpoints that do not go together. The first pair stays, but a fork replaces what is only unproved.
    Alarm(Box<AlarmRow>),
    /// Keeps a cosignature on a checkpoint of the own log; an older one than is kept changes nothing.
    Cosigned(Box<CosignedRow>),
    /// Bytes begin to leave under an opening. Conflicts if it is known.
    OpeningBegin(Box<OpeningRow>),
    /// More bytes may leave under an opening. Conflicts if it is over.
    OpeningRaise {
        /// Which opening.
        id: [u8; 16],
        /// No more bytes than this will have left.
        bound: u64,
    },
    /// An opening is over. Conflicts if it is already.
    OpeningEnd {
        /// Which opening.
        id: [u8; 16],
    },
    /// Keeps a small named value.
    Meta {
        /// Its name.
        key: String,
        /// The value.
        value: Vec<u8>,
    },
}

/// An answer: everything asked for is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// Leaves in this authority's log after these changes.
    pub size: u64,
}

/// Why what was asked for did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitFault {
    /// Something else happened to the exchange (or peer) first, or it is not known.
    #[error("the exchange {}", described(*current))]
    Conflict {
        /// The phase the exchange is in; `None`: not known.
        current: Option<Phase>,
    },
    /// A value cannot be kept: longer than its limit, a number beyond 2^63 − 1, an alias that another peer has.
    #[error("this cannot be kept: {0}")]
    Unfit(String),
    /// A peer, or our own published log, holds a checkpoint of our log that is larger than what is committed here or
    /// has another root: the state was restored from a backup. Nothing is signed until a newer one is.
    #[error(
        "nothing is signed: this state is older than the log that was already shown to others; restore the newest state"
    )]
    Recovering,
    /// The disk is full. Everything was rolled back; try again when there is space.
    #[error("no space left for the ledger; free some and it goes on by itself")]
    Full,
    /// The disk failed. Nothing is written any more; the process must end. Whether these changes were kept shows after
    /// the next start.
    #[error("the ledger can no longer be written: {0}; check the disk, then start again")]
    Broken(String),
}

fn described(current: Option<Phase>) -> String {
    current.map_or_else(
        || "is not known here".to_owned(),
        |phase| format!("is already {phase}"),
    )
}

impl Op {
    /// Nothing of this exchange is to be tried again, and nothing has failed.
    pub const fn calm(xid: Xid) -> Self {
        Self::Retry {
            xid,
            attempts: 0,
            next_try: None,
            fault: None,
        }
    }

    /// The exchange that is settled by this, or forgotten: who waits for what becomes of it looks again.
    pub(crate) fn settles(&self) -> Option<Xid> {
        if let Self::Advance { xid, step, .. } = self {
            step.settles().then_some(*xid)
        } else {
            None
        }
    }

    /// The bytes this change holds in memory, roughly.
    pub(crate) fn weight(&self) -> usize {
        const FIXED: usize = 256;
        let variable = match self {
            Self::Statement { note, .. } => note.len(),
            Self::Open(exchange) => exchange.weight(),
            Self::Advance { last_note, .. } => last_note.as_ref().map_or(0, Vec::len),
            Self::Payload { bytes, .. } => bytes.len(),
            Self::Header { header, .. } => header.len(),
            Self::Have { have, .. } => have.runs().len().saturating_mul(24),
            Self::PeerPut(peer) => peer.card.len(),
            Self::CardPut(card) => card.note.len(),
            Self::CrlPut(crl) => crl.list.len(),
            Self::PeerHead { head, .. } => head.len(),
            Self::Meta { key, value } => key.len().saturating_add(value.len()),
            Self::Witnessed(row) => row.note.len(),
            Self::Heard { note, .. } => note.as_ref().map_or(0, Vec::len),
            Self::Alarm(row) => row.earlier.len().saturating_add(row.later.len()),
            Self::Cosigned(row) => row.note.len().saturating_add(row.line.len()),
            Self::OpeningBegin(row) => row.record.len(),
            Self::Shred { .. }
            | Self::Unmoved { .. }
            | Self::Retry { .. }
            | Self::DropDisclosed { .. }
            | Self::PeerDrop { .. }
            | Self::CardDrop { .. }
            | Self::CrlDrop { .. }
            | Self::PeerState { .. }
            | Self::PeerSeen { .. }
            | Self::PeerFault { .. }
            | Self::OpeningRaise { .. }
            | Self::OpeningEnd { .. } => 0,
        };
        FIXED.saturating_add(variable)
    }

    /// Refuses a change that holds more than its limit.
    pub(crate) fn check(&self) -> Result<(), CommitFault> {
        let inline_max = usize::try_from(limits::INLINE_PAYLOAD_BYTES_MAX).unwrap_or(usize::MAX);
        let (what, length, limit) = match self {
            Self::Open(exchange) => (
                "statement",
                exchange.last_note.len(),
                limits::STATEMENT_BYTES_MAX,
            ),
            Self::Statement { note, .. }
            | Self::Advance {
                last_note: Some(note),
                ..
            } => ("statement", note.len(), limits::STATEMENT_BYTES_MAX),
            Self::Heard {
                note: Some(note), ..
            } => ("checkpoint", note.len(), limits::STATEMENT_BYTES_MAX),
            Self::Witnessed(row) => ("checkpoint", row.note.len(), limits::STATEMENT_BYTES_MAX),
            Self::Alarm(row) => (
                "checkpoint",
                row.earlier.len().max(row.later.len()),
                limits::STATEMENT_BYTES_MAX,
            ),
            Self::Cosigned(row) => ("cosignature", row.line.len(), limits::COSIGNATURE_BYTES_MAX),
            Self::Payload { bytes, .. } => ("payload", bytes.len(), inline_max),
            Self::Header { header, .. } => ("header", header.len(), limits::HEADER_BYTES_MAX),
            Self::CrlPut(crl) => ("revocation list", crl.list.len(), limits::CRL_BYTES_MAX),
            Self::OpeningBegin(row) => ("opening", row.record.len(), limits::CRL_BYTES_MAX),
            Self::Meta { value, .. } => ("named value", value.len(), limits::CRL_BYTES_MAX),
            Self::PeerPut(peer) => ("card", peer.card.len(), limits::STATEMENT_BYTES_MAX),
            Self::CardPut(card) => ("card", card.note.len(), limits::STATEMENT_BYTES_MAX),
            Self::Advance {
                last_note: None, ..
            }
            | Self::Heard { note: None, .. }
            | Self::Unmoved { .. }
            | Self::Shred { .. }
            | Self::Have { .. }
            | Self::Retry { .. }
            | Self::DropDisclosed { .. }
            | Self::PeerDrop { .. }
            | Self::CardDrop { .. }
            | Self::CrlDrop { .. }
            | Self::PeerState { .. }
            | Self::PeerSeen { .. }
            | Self::PeerHead { .. }
            | Self::PeerFault { .. }
            | Self::OpeningRaise { .. }
            | Self::OpeningEnd { .. } => return Ok(()),
        };
        if length <= limit {
            return Ok(());
        }
        let fault = format!("a {what} of {length} bytes, at most {limit} are allowed");
        Err(CommitFault::Unfit(fault))
    }
}

impl std::fmt::Debug for Op {
    /// Names the change and nothing of its content: a header is secret and a payload long.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Statement { .. } => "Statement",
            Self::Open(_) => "Open",
            Self::Advance { .. } => "Advance",
            Self::Unmoved { .. } => "Unmoved",
            Self::Payload { .. } => "Payload",
            Self::Header { .. } => "Header",
            Self::Shred { .. } => "Shred",
            Self::Have { .. } => "Have",
            Self::Retry { .. } => "Retry",
            Self::DropDisclosed { .. } => "DropDisclosed",
            Self::PeerPut(_) => "PeerPut",
            Self::PeerDrop { .. } => "PeerDrop",
            Self::CardPut(_) => "CardPut",
            Self::CardDrop { .. } => "CardDrop",
            Self::PeerState { .. } => "PeerState",
            Self::CrlPut(_) => "CrlPut",
            Self::CrlDrop { .. } => "CrlDrop",
            Self::PeerSeen { .. } => "PeerSeen",
            Self::PeerHead { .. } => "PeerHead",
            Self::PeerFault { .. } => "PeerFault",
            Self::Witnessed(_) => "Witnessed",
            Self::Heard { .. } => "Heard",
            Self::Alarm(_) => "Alarm",
            Self::Cosigned(_) => "Cosigned",
            Self::OpeningBegin(_) => "OpeningBegin",
            Self::OpeningRaise { .. } => "OpeningRaise",
            Self::OpeningEnd { .. } => "OpeningEnd",
            Self::Meta { .. } => "Meta",
        })
    }
}
