//! Peers, and the cards by which they are known.

use serde::{Deserialize, Serialize};

use crate::api::types::HeldBack;
use crate::base::{Alias, AuthorityId, Digest, Timestamp};

/// A peer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PeerView {
    /// Its id.
    pub id: AuthorityId,
    /// Its short name here.
    pub alias: Alias,
    /// Its name as its card gives it.
    pub name: String,
    /// Its country.
    pub country: String,
    /// `added` (fingerprint not yet compared), `accepted`, `paused`, `revoked`.
    pub state: String,
    /// The six words of its card.
    pub fingerprint: String,
    /// Where it listens.
    pub endpoints: Vec<String>,
    /// The number of its card.
    pub card_number: u64,
    /// The card, as it was signed; only in the answer to `GET /v1/peers/{peer}`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub card: Option<String>,
    /// Whether a connection is up now.
    pub connected: bool,
    /// When it was last heard.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_seen: Option<Timestamp>,
    /// When the first of its revocation lists ends, of those of CAs of the card in use; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub crl_expires: Option<Timestamp>,
    /// Its revocation lists, one of each CA.
    #[serde(default)]
    pub lists: Vec<ListView>,
    /// Lists that were brought and not taken, for a newer one of their CA is held; only in the answer to `POST
    /// /v1/peers`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub older_lists: Vec<ListView>,
    /// Why the last attempt to reach it failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fault: Option<FaultView>,
    /// Cards that nobody has accepted, beside the one in use.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub waiting_cards: Vec<WaitingCard>,
    /// Its use of its budgets, and how often its limits have held, since the daemon started.
    #[serde(default)]
    pub held_back: HeldBack,
}

/// The newest revocation list of a CA.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct ListView {
    /// The CA, as its certificate names it.
    pub ca: String,
    /// The CA's id: SHA-256 of its name and key.
    pub ca_id: Digest,
    /// The number of the list.
    pub number: u64,
    /// When it was issued.
    pub begins: Timestamp,
    /// When it must be replaced by a newer one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires: Option<Timestamp>,
    /// Whether its CA is on the card in use, or below one that is.
    pub in_use: bool,
}

/// Why something does not go on at the moment.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct FaultView {
    /// Stable kebab-case word: `unreachable`, `refused-by-peer`, `peer-storage-full`, the code of a trust refusal …
    pub code: String,
    /// The exact cause.
    pub text: String,
}

/// `GET /v1/card`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CardView {
    /// The authority.
    pub id: AuthorityId,
    /// Its short name.
    pub alias: Alias,
    /// Number of the card.
    pub number: u64,
    /// The six words.
    pub fingerprint: String,
    /// The card itself, a signed note.
    pub card: String,
}

/// `POST /v1/peers`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddPeer {
    /// The card, a signed note.
    pub card: String,
    /// The revocation lists of its CAs: a file in DER (one list) or PEM (lists, and certificates of CAs between those
    /// that signed them and the card's), in padded base64.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub crl: Option<String>,
}

/// `POST /v1/peers/{alias}/accept`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptPeer {
    /// The six words, as read on the telephone.
    pub fingerprint: String,
}

/// `POST /v1/peers/{alias}/pause`, `resume`, `revoke`, `remove`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecidePeer {
    /// Why: kept here, its digest is stated.
    pub justification: String,
}

/// A card of a peer that nobody has accepted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WaitingCard {
    /// Its number.
    pub number: u64,
    /// Its six words.
    pub fingerprint: String,
    /// When it came.
    pub came: Timestamp,
    /// Whether it proves that the peer's card key has signed two cards of one number.
    pub conflicts: bool,
    /// The card, as it was signed; only in the answer to `GET /v1/peers/{peer}`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub card: Option<String>,
}

/// `POST /v1/peers/{alias}/ping`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ping {
    /// The peer.
    pub id: AuthorityId,
    /// The address that answered.
    pub address: String,
    /// Handshake and hello together, in microseconds.
    pub connect_us: u64,
    /// Round trip as QUIC measures it, in microseconds.
    pub rtt_us: u64,
    /// Its clock minus ours, in milliseconds.
    pub clock_ms: i64,
    /// When its certificate ends.
    pub certificate_expires: Timestamp,
}
