//! The values that the ledger keeps: exchanges, statements, peers.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::base::words::words;
use crate::base::{Alias, AuthorityId, Digest, Ranges, Timestamp, Xid};
use crate::exchange::{Direction, Phase};
use crate::policy::Terms;
use crate::store::due::terms_in;

/// The named value that says whether the sender of a package is to be told of this statement: [`DUE`] or [`TOLD`].
pub fn tell_key(note: &Digest) -> String {
    format!("tell/{note}")
}

/// The named value with a statement of the other side that excludes one of its own that is kept of this package.
pub fn fork_key(peer: &AuthorityId, package: &Xid) -> String {
    let keys = fork_keys(peer);
    format!("{}{package}", keys.start)
}

/// All [`fork_key`]s of a peer: each begins with the start.
pub fn fork_keys(peer: &AuthorityId) -> Range<String> {
    // `0` follows on `/`.
    format!("fork/{peer}/")..format!("fork/{peer}0")
}

/// The named value with what a peer has used of its account of what it makes grow.
pub fn growth_key(peer: &AuthorityId) -> String {
    format!("growth/{peer}")
}

/// The named value with the disclosures of a statement, which go with it at most in part.
pub fn disclosures_key(note: &Digest) -> String {
    format!("disclosures/{note}")
}

/// The named value with the record of an order, by the subject of its statement.
pub fn order_key(subject: &Digest) -> String {
    format!("order/{subject}")
}

/// It is to be told.
pub const DUE: &[u8] = b"due";
/// It was told, and acknowledged.
pub const TOLD: &[u8] = b"told";

/// The named value that says that a package was made unreadable though its row does not say that it is destroyed: its
/// destruction is still to be stated ([`crate::store::unstated`]), or was stated in a time that a restored backup does
/// not know.
pub fn unreadable_key(xid: &Xid) -> String {
    format!("unreadable/{xid}")
}

words! {
    /// This authority's decision about a peer.
    PeerState, "state of a peer" {
        /// The card is stored, nobody has compared its fingerprint.
        Added = "added",
        /// The fingerprint was compared; exchanges are allowed.
        Accepted = "accepted",
        /// Accepted, but no exchange is begun or admitted for now.
        Paused = "paused",
        /// Never to be connected with again.
        Revoked = "revoked",
    }
}

words! {
    /// A fault of another authority's log.
    AlarmKind, "kind of alarm" {
        /// Two checkpoints of one size with different roots, both signed by the log's key: a proof by itself.
        Fork = "fork",
        /// Two checkpoints, both signed, and the owner has not proved that the log with the one continues that with the
        /// other.
        Unproved = "unproved",
    }
}

/// The newest checkpoint of another authority's log that was cosigned here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessedRow {
    /// Whose log.
    pub of: AuthorityId,
    /// How many leaves.
    pub size: u64,
    /// The root over them.
    pub root: Digest,
    /// The checkpoint, verbatim.
    pub note: Vec<u8>,
    /// When it was cosigned.
    pub at: Timestamp,
}

/// Two checkpoints of another authority's log that do not go together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlarmRow {
    /// Whose log.
    pub of: AuthorityId,
    /// The fault.
    pub kind: AlarmKind,
    /// The checkpoint that was known first, verbatim.
    pub earlier: Vec<u8>,
    /// The one that does not go with it, verbatim.
    pub later: Vec<u8>,
    /// When that was found.
    pub at: Timestamp,
}

/// A cosignature on a checkpoint of the own log: the newest of each witness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CosignedRow {
    /// The witness.
    pub by: AuthorityId,
    /// How many leaves the checkpoint is over.
    pub size: u64,
    /// The checkpoint with our signature alone.
    pub note: Vec<u8>,
    /// The witness's signature line, with its newline.
    pub line: String,
    /// When it cosigned, by its own clock.
    pub at: Timestamp,
}

/// The last thing that went wrong, kept for the operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFault {
    /// A stable kebab-case code.
    pub code: String,
    /// The event and the next step, for a person.
    pub text: String,
}

/// One exchange as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Its id.
    pub xid: Xid,
    /// Sent or received.
    pub direction: Direction,
    /// The other authority.
    pub peer: AuthorityId,
    /// How far it has come.
    pub phase: Phase,
    /// When it was begun here.
    pub created: Timestamp,
    /// When its phase last changed.
    pub updated: Timestamp,
    /// RFC 6962 root over the payload's segments.
    pub body: Digest,
    /// SHA-256 of the age header.
    pub hdr: Digest,
    /// Payload length in bytes.
    pub len: u64,
    /// Number of segments of the payload.
    pub segments: u64,
    /// The terms, canonical JSON.
    pub terms: String,
    /// The case reference, if this authority may know it.
    pub case_ref: Option<String>,
    /// The request reference, if this authority may know it.
    pub request_ref: Option<String>,
    /// The package's title, if this authority may know it.
    pub title: Option<String>,
    /// Items in the package; 0 where not known.
    pub items: u64,
    /// Encoded disclosures that travel beside the offer.
    pub disclosures: Vec<String>,
    /// In: the segments that are durable here.
    pub have: Ranges,
    /// Whether the payload lives in the ledger.
    pub inline: bool,
    /// Failed attempts since the last progress.
    pub attempts: u32,
    /// Not to be tried before this time.
    pub next_try: Option<Timestamp>,
    /// The reason why the last attempt failed.
    pub fault: Option<StoredFault>,
    /// The newest statement of the exchange's chain, verbatim.
    pub last_note: Vec<u8>,
    /// How many statements the chain has had.
    pub steps: u32,
    /// Out: goes before packages that are not; a hint of the sender's own.
    pub urgent: bool,
}

impl Exchange {
    /// The bytes of its texts.
    pub(crate) fn weight(&self) -> usize {
        let disclosed = self.disclosures.iter().map(String::len);
        let texts = [self.last_note.len(), self.terms.len()].into_iter();
        texts.chain(disclosed).fold(0, usize::saturating_add)
    }

    /// The terms in force of a package that was handed over, as its newest statement repeats them; not verified again.
    pub fn terms_now(&self) -> Option<Terms> {
        terms_in(&self.last_note)
    }

    /// Forgets what was disclosed beside the dispatch.
    pub(crate) fn undisclosed(&mut self) {
        (self.case_ref, self.request_ref) = (None, None);
        self.disclosures.clear();
    }
}

/// How far an exchange has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// The exchange.
    pub xid: Xid,
    /// Its phase.
    pub phase: Phase,
    /// The reason why it is held up or failed.
    pub fault: Option<StoredFault>,
    /// The note that has ended it, where one of its sender or receiver has.
    pub ended_by: Option<Vec<u8>>,
}

/// One statement as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementRow {
    /// Its number in this ledger, ascending in order of commit.
    pub seq: i64,
    /// The exchange it belongs to, if any.
    pub xid: Option<Xid>,
    /// Its kind, as in the statement.
    pub kind: String,
    /// Who signed first.
    pub issuer: AuthorityId,
    /// The signed note, verbatim.
    pub note: Vec<u8>,
    /// SHA-256 of the note.
    pub digest: Digest,
    /// When it was signed or received, by the clock of this authority.
    pub at: Timestamp,
    /// Index of its leaf in this authority's log, if it is logged.
    pub leaf: Option<u64>,
    /// The randomness of its commitment, if it is logged.
    pub r: Option<[u8; 32]>,
    /// How many signatures it has.
    pub signatures: u8,
}

/// An opening under which bytes leave, or have left, and that is not stated yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpeningRow {
    /// Names it.
    pub id: [u8; 16],
    /// The package.
    pub xid: Xid,
    /// When the first byte could leave.
    pub began: Timestamp,
    /// No more bytes than this have left.
    pub bound: u64,
    /// The facts to state of it, in the caller's own form.
    pub record: Vec<u8>,
}

/// One card of an authority: this one's, a peer's, or a former peer's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardRow {
    /// Whose card.
    pub authority: AuthorityId,
    /// The digest of its text.
    pub digest: Digest,
    /// Its number.
    pub number: u64,
    /// The card, a signed note, verbatim.
    pub note: Vec<u8>,
    /// When it came here.
    pub came: Timestamp,
    /// When it was adopted; `None` for one that nobody has accepted.
    pub adopted: Option<Timestamp>,
}

/// The newest revocation list of one CA of an authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrlRow {
    /// Whose CA it is.
    pub authority: AuthorityId,
    /// The CA, see [`crate::identity::ca_id`].
    pub ca: Digest,
    /// The number of the list (RFC 5280 §5.2.3).
    pub number: u64,
    /// The list and the certificates that say whose it is, see [`crate::identity::RevocationList::bytes`].
    pub list: Vec<u8>,
    /// When it came here.
    pub came: Timestamp,
}

/// One peer as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerRow {
    /// The authority.
    pub id: AuthorityId,
    /// Its local short name, unique here.
    pub alias: Alias,
    /// Its card, a signed note, verbatim.
    pub card: Vec<u8>,
    /// The number of that card.
    pub number: u64,
    /// The decision about it.
    pub state: PeerState,
    /// Whether the operator allows a handshake without post-quantum key exchange.
    pub classic: bool,
    /// When its card was added.
    pub added: Timestamp,
    /// When its fingerprint was accepted.
    pub accepted: Option<Timestamp>,
    /// When it was last connected.
    pub last_seen: Option<Timestamp>,
    /// The newest head of its log that was seen, as given with [`crate::store::Op::PeerHead`].
    pub head: Option<Vec<u8>>,
    /// The reason why the last connection failed.
    pub fault: Option<StoredFault>,
}

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::str::FromStr;

    use super::*;
    use crate::base::WordFault;

    fn check<T>(all: &[T], word: fn(T) -> &'static str)
    where
        T: Copy + fmt::Debug + PartialEq + FromStr<Err = WordFault> + Serialize,
    {
        for &value in all {
            assert_eq!(word(value).parse::<T>().unwrap(), value);
            let json = serde_json::to_string(&value).unwrap();
            assert_eq!(json, format!("\"{}\"", word(value)));
        }
        assert!("Held".parse::<T>().is_err());
    }

    #[test]
    fn a_word_is_stored_as_it_is_shown() {
        check(Direction::ALL, Direction::as_str);
        check(Phase::ALL, Phase::as_str);
        check(PeerState::ALL, PeerState::as_str);
        check(AlarmKind::ALL, AlarmKind::as_str);
    }
}
