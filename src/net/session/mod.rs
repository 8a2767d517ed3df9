//! A connection that is up, what its peer may take of this machine, and what exchanges on it stand on.

pub mod attempt;
pub(crate) mod contradiction;
pub(crate) mod countersign;
pub mod growth;
pub(crate) mod inbox;
pub mod meter;
pub(crate) mod noise;
pub mod pace;
pub(crate) mod quota;
pub(crate) mod sessions;
pub mod share;
pub mod station;
pub(crate) mod third_party;

pub use attempt::Attempt;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::base::{AuthorityId, Instant, Timestamp, Xid};
use crate::net::Link;
use crate::net::session::inbox::Inbox;
use crate::net::session::station::Station;
use crate::receipt::{Head, PartyKeys, Receipt};
use crate::store::{Commit, CommitFault, Op};
use crate::transfer::{Fault, Other};

/// How long the other side may take to say hello.
pub(crate) const HELLO_WAIT: Duration = Duration::from_secs(10);
/// How long a connection is kept that ends because of the clocks, or of a new card: what was said last has to arrive.
pub(crate) const HELLO_GRACE: Duration = Duration::from_millis(200);
/// The longest wait of a machine without a timer, in milliseconds.
const WAIT_MS_MAX: u64 = 60 * 60 * 1_000;
/// Close code: we are going away, nothing is wrong.
pub const CLOSE_GOING: u32 = 0;
/// Close code: the other side broke the protocol.
pub const CLOSE_FAULT: u32 = 1;

/// The end of one incoming stream.
#[derive(Debug)]
pub struct Ended {
    /// Who began it.
    pub peer: AuthorityId,
    /// The exchange, if it came so far as to have a name.
    pub xid: Option<Xid>,
    /// How it ended.
    pub attempt: Attempt,
}

/// A connection that is up: both sides have said hello.
#[derive(Debug, Clone)]
pub struct Session {
    pub(crate) station: Arc<Station>,
    pub(crate) link: Link,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) share: Arc<share::Share>,
    peer_keys: Arc<PartyKeys>,
    clock_ms: i64,
    head: Arc<Mutex<Option<Head>>>,
    last_heard: Arc<AtomicU64>,
    /// Which newest cards are still to be adopted or refused: until then not both know by which keys the other signs.
    unsettled: Arc<watch::Sender<Unsettled>>,
}

/// The numbers of the newest cards of the two sides, as far as these are still to be adopted or refused.
#[derive(Debug)]
pub(crate) struct Unsettled {
    pub(crate) theirs: Option<u64>,
    pub(crate) ours: Option<u64>,
}

impl Session {
    /// A connection on which both have said hello: with the peer's keys as of its card that is held here, its clock
    /// minus ours in milliseconds, and the newest cards of both that are still to be settled.
    pub(crate) fn new(
        station: Arc<Station>,
        link: Link,
        peer_keys: Arc<PartyKeys>,
        clock_ms: i64,
        unsettled: Unsettled,
    ) -> Self {
        Self {
            share: station.share(link.peer.id()),
            link,
            inbox: Arc::default(),
            peer_keys,
            clock_ms,
            head: Arc::default(),
            last_heard: Arc::new(AtomicU64::new(station.instant().0)),
            unsettled: Arc::new(watch::Sender::new(unsettled)),
            station,
        }
    }

    /// Who is at the other end.
    pub fn peer_id(&self) -> &AuthorityId {
        self.link.peer.id()
    }

    /// The peer's clock minus ours at hello, in milliseconds.
    pub fn clock_ms(&self) -> i64 {
        self.clock_ms
    }

    /// The connection itself.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Makes these changes, which the peer has caused, and counts what grows by them.
    pub(crate) async fn commit(&self, ops: Vec<Op>) -> Result<Commit, CommitFault> {
        self.commit_holding(ops, ()).await
    }

    /// The same, and lets go of what is held only then.
    pub(crate) async fn commit_holding(
        &self,
        ops: Vec<Op>,
        held: impl Send + 'static,
    ) -> Result<Commit, CommitFault> {
        let now = (self.station.micros(), self.station.clock());
        let ops = self.share.counted(now, self.peer_id(), ops);
        self.station.ledger.commit_holding(ops, held).await
    }

    /// Whether the connection still stands.
    pub fn is_up(&self) -> bool {
        self.link.connection.close_reason().is_none()
    }

    /// Whether both are the same connection.
    pub fn is_same(&self, other: &Self) -> bool {
        self.link.connection.stable_id() == other.link.connection.stable_id()
    }

    /// Makes the other end answer: one that restarted and no longer knows this connection resets it at once, where
    /// silence would last until the next keep-alive.
    pub fn probe(&self) {
        let connection = self.link.connection.clone();
        tokio::spawn(async move {
            if let Ok(mut stream) = connection.open_uni().await {
                // A stream that is gone already needs no reset.
                drop(stream.reset(0_u32.into()));
            }
        });
    }

    /// The certificates that the peer showed, its own first.
    pub fn certificates(&self) -> Vec<rustls_pki_types::CertificateDer<'static>> {
        let shown = self.link.connection.peer_identity();
        shown
            .and_then(|any| {
                any.downcast::<Vec<rustls_pki_types::CertificateDer<'static>>>()
                    .ok()
            })
            .map_or_else(Vec::new, |certs| *certs)
    }

    /// When something was last heard of the peer, for lists.
    pub fn last_heard(&self) -> Instant {
        Instant(self.last_heard.load(Ordering::Relaxed))
    }

    pub(crate) fn other(&self) -> Other {
        Other {
            id: self.peer_id().clone(),
            keys: Arc::clone(&self.peer_keys),
            session: Some(self.link.session),
        }
    }

    /// Whether the peer's signatures are judged by these keys on this connection.
    pub(crate) fn goes_by(&self, keys: &Arc<PartyKeys>) -> bool {
        Arc::ptr_eq(&self.peer_keys, keys) || self.peer_keys == *keys
    }

    pub(crate) fn peer_head(&self) -> Option<Head> {
        self.head
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The peer has said something, or taken what was sent.
    pub(crate) fn hears(&self) {
        let now = self.station.instant();
        self.last_heard.store(now.0, Ordering::Relaxed);
    }

    /// The moment of a machine's timeout, on the runtime's clock.
    pub(crate) fn deadline(&self, at: Option<Instant>) -> tokio::time::Instant {
        let now = self.station.instant();
        let wait = at.map_or(WAIT_MS_MAX, |at| at.0.saturating_sub(now.0));
        let wait = Duration::from_millis(self.station.bounds.hurried(wait));
        let now = tokio::time::Instant::now();
        now.checked_add(wait).unwrap_or(now)
    }

    /// The peer's cards up to this number were adopted or refused here.
    pub(crate) fn settle_theirs(&self, number: u64) {
        let settle = |it: &mut Unsettled| it.theirs = it.theirs.filter(|card| *card > number);
        self.unsettled.send_modify(settle);
    }

    /// Our cards up to this number were adopted or refused there.
    pub(crate) fn settle_ours(&self, number: u64) {
        let settle = |it: &mut Unsettled| it.ours = it.ours.filter(|card| *card > number);
        self.unsettled.send_modify(settle);
    }

    /// Ends the connection once what is being answered on it has arrived; no exchange begins on it any more.
    pub(crate) fn end_soon(&self, why: &'static str) {
        self.unsettled.send_modify(|it| it.theirs = Some(u64::MAX));
        let link = self.link.clone();
        tokio::spawn(async move {
            tokio::time::sleep(HELLO_GRACE).await;
            link.close(CLOSE_GOING, why);
        });
    }

    /// Waits until both sides know by which keys the other signs: a card with other keys ends the connection, and the
    /// next one is by these. Who announces a newer card and does not send it, or does not answer ours, is waited for no
    /// longer than for a hello.
    pub(crate) async fn settled(&self) {
        let mut unsettled = self.unsettled.subscribe();
        let settled = unsettled.wait_for(|it| it.theirs.is_none() && it.ours.is_none());
        tokio::select! {
            waited = timeout(HELLO_WAIT, settled) => drop(waited.map(drop)),
            _ = self.link.connection.closed() => {}
        }
    }

    /// Closes the connection, for a reason that the other end hears.
    pub(crate) fn refuse(&self, fault: &Fault) {
        tracing::warn!(peer = %self.peer_id(), code = %fault.code, "closing the connection: {}", fault.text);
        self.link.close(CLOSE_FAULT, &fault.code);
    }

    /// Remembers the peer's newest head, as a receipt of its own tells it; the receipt has been verified.
    pub(crate) fn heard(&self, receipt: &Receipt) {
        let origin = format!("{}/log", self.peer_id());
        if let Some(head) = receipt.heads.iter().find(|head| head.origin == origin) {
            *self.head.lock().unwrap_or_else(PoisonError::into_inner) = Some(head.clone());
        }
    }
}

/// When a peer was last heard, on the civil clock.
pub fn heard_at(station: &Station, session: &Session) -> Timestamp {
    let ago = station.instant().0.saturating_sub(session.last_heard().0);
    station
        .clock()
        .plus_millis(0_i64.saturating_sub_unsigned(ago))
}
