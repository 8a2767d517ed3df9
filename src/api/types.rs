//! The values that cross the local socket, and that `--json` prints: the same types, so that both stay the same.
//!
//! Times are RFC 3339 UTC; digests and ids lower-case hex; sizes bytes. A field that is not known is absent.

mod approvals;
mod cases;
mod clock;
mod consents;
mod explanation;
mod log;
mod onward;
mod peers;
mod retention;
mod usage;
mod verification;
pub use approvals::ApprovalView;
pub use cases::{AssignTeam, CaseView};
pub use clock::{CertificateView, ClockView, RenewRequest};
pub use consents::{AskConsent, ConsentView, GrantConsent, RefuseConsent};
pub use explanation::{AdoptPolicy, Explanation, ItemSays, PolicyView, RuleSays, WaitingPolicy};
pub use log::{AlarmView, CosignedView, LogStatus, ProofView, RecoveringView};
pub use onward::{Forward, OnwardView};
pub use peers::{
    AcceptPeer, AddPeer, CardView, DecidePeer, FaultView, ListView, PeerView, Ping, WaitingCard,
};
pub use retention::{
    DestroyRequest, Destruction, DueView, HoldRequest, HoldView, Restrict, ReviewRequest,
    ReviewView, UseReport,
};
pub use usage::HeldBack;
pub use verification::{Closed, Examination, Mismatch, OpenRequest, Opening};

use serde::{Deserialize, Serialize};

use crate::base::{Alias, AuthorityId, Digest, Timestamp, Xid};
use crate::package::{ItemPath, ItemTerms};
use crate::policy::terms::Terms;

mod many;

pub use many::{GRANTS_AT_ONCE, SealMany, WAITED_AT_ONCE, WaitMany, Waited};

/// Requests and answers are JSON of at most this many bytes.
pub const BODY_BYTES_MAX: usize = 4 << 20;

/// A failed call.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct ApiError {
    /// The exit code that the command line ends with.
    pub code: u8,
    /// Stable kebab-case word for machines.
    pub error: String,
    /// The event and its subject.
    pub message: String,
    /// The next step.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<String>,
    /// The rule that refused, for code 4.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub denial: Option<DenialView>,
}

/// A refusal by policy: which rule, which term, which clause.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct DenialView {
    /// The rule, for example `purpose`.
    pub rule: String,
    /// The term it read, for example `purposes: prosecution`.
    pub term: String,
    /// Reason code, as in the signed statement.
    pub reason: String,
    /// The clause of law behind the rule.
    pub clause: String,
}

/// `GET /v1/status`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// The present faults, worst first; empty when all is well.
    pub problems: Vec<Problem>,
    /// This authority.
    pub authority: AuthorityId,
    /// Its short name.
    pub alias: Alias,
    /// The version of the daemon.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// Since when it serves.
    pub started: Timestamp,
    /// `running` or `draining`.
    pub phase: String,
    /// The UDP address it listens on.
    pub listen: String,
    /// The peers.
    pub peers: Vec<PeerView>,
    /// Outgoing packages that are not yet handed over.
    pub outgoing: u64,
    /// Incoming packages that are not yet held whole.
    pub incoming: u64,
    /// Packages held from others.
    pub held: u64,
    /// The log.
    pub log: LogStatus,
    /// Free bytes where the blobs are.
    pub store_free_bytes: u64,
    /// How long streams have waited for `limits.send_bandwidth` since the start, in milliseconds, all added up.
    #[serde(default)]
    pub send_waited_ms: u64,
    /// The same for `limits.receive_bandwidth`.
    #[serde(default)]
    pub receive_waited_ms: u64,
    /// When the own TLS certificate ends.
    pub certificate_expires: Timestamp,
    /// When the own revocation list ends.
    pub crl_expires: Timestamp,
    /// The clock, and how sure it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub clock: Option<ClockView>,
    /// The restrictions that the daemon has put on itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sandbox: Option<SandboxView>,
}

/// The layers of the daemon's sandbox: each `ok`, `in part: …` or `not available: …` with the reason.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct SandboxView {
    /// Which folders it may use, no TCP, no signals to others: landlock(7).
    pub landlock: String,
    /// Which calls it may not make, running a program among them: seccomp(2).
    pub seccomp: String,
}

/// Something an operator should know.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct Problem {
    /// `error` or `warning`.
    pub severity: String,
    /// Stable kebab-case word.
    pub code: String,
    /// The subject: a peer's alias, a file, a package.
    pub subject: String,
    /// The event and the next step.
    pub message: String,
}

/// `POST /v1/seals`: may this be sent? The answer is good for one package.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealRequest {
    /// The receiving peer: alias or id.
    pub to: String,
    /// The case, as both sides call it.
    pub case: String,
    /// The request it answers.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request: Option<String>,
    /// The title of the package.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub title: Option<String>,
    /// The offences that it is about: at most 16, each of at most 256 bytes.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub offences: Vec<String>,
    /// Why the evidence is necessary.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub necessity: Option<String>,
    /// Why sending it is proportionate.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub proportionality: Option<String>,
    /// The terms.
    pub terms: Terms,
    /// Items and folders under terms of their own, stricter than those: at most 64.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub item_terms: Vec<ItemWish>,
    /// Whether it goes before packages that are not urgent.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub urgent: bool,
}

/// An item or a folder that is to be under terms of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemWish {
    /// Its path in the package.
    pub path: ItemPath,
    /// Its terms.
    pub terms: Terms,
}

/// The daemon's answer: seal for these recipients, then hand the bytes over under this grant.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SealGrant {
    /// Names the grant; single use, ends with the connection's user or after an hour.
    pub grant: String,
    /// The package's id, if it is sent.
    pub xid: Xid,
    /// The sending authority.
    pub from: AuthorityId,
    /// The receiving authority.
    pub to: AuthorityId,
    /// age recipients of the receiving authority: these and no others.
    pub recipients: Vec<String>,
    /// Who seals, as it will stand in the manifest's chain of custody.
    pub actor: String,
    /// The daemon's time.
    pub now: Timestamp,
    /// The longest payload that will be taken.
    pub package_max: u64,
}

/// `PUT /v1/seals/{grant}/package` takes the age file as its body and answers this once it is durable.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Spooled {
    /// Payload bytes taken.
    pub len: u64,
    /// Root of its segments.
    pub body: Digest,
}

/// `POST /v1/seals/{grant}/finish`: what only the sealer knows. Answers [`PackageView`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealFinish {
    /// SHA-256 of `manifest.json`.
    pub manifest: Digest,
    /// Root over the items.
    pub item_root: Digest,
    /// How many items.
    pub items: u64,
    /// Where those lie that are under terms of their own.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub item_terms: Vec<ItemTerms>,
}

/// A package, outgoing or incoming.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PackageView {
    /// Its id.
    pub id: Xid,
    /// `out` or `in`.
    pub direction: String,
    /// Out: `dispatched`, `consigned`, `delivered`, `closed`, `restriction-signed`, `destroyed`, `rejected`, `failed`,
    /// `expired`, `withdrawn`. In: `receiving`, `consigned`, `handover-signed`, `held`, `destruction-signed`,
    /// `destroyed`, `refused`, `failed`, `lapsed`.
    pub state: String,
    /// The other authority.
    pub peer: AuthorityId,
    /// Its alias here, where it is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub peer_alias: Option<Alias>,
    /// The case.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub case: Option<String>,
    /// The request.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request: Option<String>,
    /// The title (known to the sender; a receiver reads it in the manifest).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub title: Option<String>,
    /// When it was made or first offered.
    pub created: Timestamp,
    /// When its state last changed.
    pub updated: Timestamp,
    /// Payload bytes.
    pub len: u64,
    /// Items, where known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub items: Option<u64>,
    /// The terms.
    pub terms: Terms,
    /// Why it does not go on, or why it was refused.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fault: Option<FaultView>,
}

/// `GET /v1/packages/{id}`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PackageDetail {
    /// The package.
    #[serde(flatten)]
    pub package: PackageView,
    /// Root of the payload's segments.
    pub body: Digest,
    /// SHA-256 of the age header.
    pub hdr: Digest,
    /// Segments of the payload.
    pub segments: u64,
    /// Whether the age header is here (it is shredded at the sender after handover).
    pub header_held: bool,
    /// The hold on it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hold: Option<HoldView>,
    /// The newest review of whether it is still needed here.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub review: Option<ReviewView>,
    /// Items and folders under terms of their own.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub item_terms: Vec<ItemTerms>,
    /// The grounds that its sender states; the dispatch holds digests of them alone.
    #[serde(flatten)]
    pub grounds: Grounds,
}

/// The grounds of a package as its sender states them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Grounds {
    /// The offences that it is about.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub offences: Vec<String>,
    /// Why the evidence is necessary.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub necessity: Option<String>,
    /// Why sending it is proportionate.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub proportionality: Option<String>,
}

/// `POST /v1/packages/{id}/verify`: everything is read and hashed again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Verification {
    /// The package.
    pub id: Xid,
    /// Whether all that follows holds.
    pub ok: bool,
    /// Segments whose hash is right.
    pub segments_ok: u64,
    /// Segments in all.
    pub segments: u64,
    /// The first wrong segments, at most 16.
    pub segments_wrong: Vec<u64>,
    /// Whether the header is here and has its digest; absent where it was shredded.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub header_ok: Option<bool>,
    /// Whether every receipt's signatures and chain are right.
    pub receipts_ok: bool,
    /// The fault in words.
    pub faults: Vec<String>,
}

/// A transfer under way or waiting.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TransferView {
    /// The package.
    pub id: Xid,
    /// `out` or `in`.
    pub direction: String,
    /// The other authority.
    pub peer: AuthorityId,
    /// Its alias.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub peer_alias: Option<Alias>,
    /// As in [`PackageView::state`].
    pub state: String,
    /// Whether bytes or frames move now.
    pub active: bool,
    /// Whether it goes before packages that are not urgent.
    #[serde(default)]
    pub urgent: bool,
    /// Payload bytes.
    pub len: u64,
    /// Payload bytes that the receiver is known to have.
    pub done_bytes: u64,
    /// Payload bytes put on the wire, repeats included, since the daemon started.
    pub sent_bytes: u64,
    /// Bytes a second over the last moments.
    pub rate: u64,
    /// Seconds to go at that rate.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub eta_s: Option<u64>,
    /// Attempts so far.
    pub attempts: u64,
    /// When the next attempt is due.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next_try: Option<Timestamp>,
    /// Why the last attempt ended.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fault: Option<FaultView>,
}

/// A receipt or other statement of the ledger.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReceiptView {
    /// Its number in this ledger.
    pub seq: i64,
    /// The kind of statement.
    pub kind: String,
    /// The exchange.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub xid: Option<Xid>,
    /// Its issuer.
    pub issuer: AuthorityId,
    /// Whether the other side has signed too.
    pub countersigned: bool,
    /// The issuer's time.
    pub t: Timestamp,
    /// SHA-256 of the note.
    pub digest: Digest,
    /// Its place in this authority's log, where it is logged.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub leaf: Option<u64>,
    /// Reason code of a negative one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// The ETSI EN 319 522 event, where there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub event: Option<String>,
    /// The most bytes that have left, of an opening.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub released: Option<u64>,
}

/// `GET /v1/receipts/{seq}`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReceiptDetail {
    /// The summary.
    #[serde(flatten)]
    pub receipt: ReceiptView,
    /// The signed note itself.
    pub note: String,
    /// Of an `order`: the record whose SHA-256 is its subject; it stands in no receipt.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub record: Option<String>,
}

/// `GET /v1/packages/{id}/bundle`: a file of `receipt export`, one a line; the last is the list of the others.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BundleFile {
    /// Relative path, of plain letters.
    pub path: String,
    /// Content, padded base64.
    #[serde(with = "crate::base::json::base64_bytes")]
    pub content: Vec<u8>,
}

/// `GET /v1/log/keys`: a trust anchor.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AnchorView {
    /// Whose.
    pub id: AuthorityId,
    /// `card`, `log`, `receipts`, `witness`.
    pub role: String,
    /// The C2SP verifier key.
    pub vkey: String,
    /// The same key as PEM, for openssl.
    pub pem: String,
    /// `own`, or the peer's state.
    pub state: String,
}
