//! One connection to one peer: hello, newest papers, exchanges in both directions.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::base::AuthorityId;
use crate::base::Instant;
use crate::base::Timestamp;
use crate::base::Xid;
use crate::base::limits;
use crate::net::Link;
use crate::net::control;
use crate::net::control::Control;
use crate::net::control::News;
use crate::net::control::Papers;
use crate::net::frames::FrameFault;
use crate::net::frames::read_data_head;
use crate::net::frames::write_frame;
use crate::net::inbound;
use crate::net::inbox::{Arrival, Inbox, WAIT};
use crate::net::outbound;
use crate::net::outbound::Attempt;
use crate::net::reader::FrameReader;
use crate::net::station::Station;
use crate::receipt::{Head, PartyKeys, Receipt};
use crate::store::Ahead;
use crate::store::{self, Commit, CommitFault, Exchange, Op};
use crate::transfer::{Fault, Other};
use crate::wire::{Frame, Hello};

/// The one version of the protocol that is spoken.
pub const VERSION: u64 = 1;
/// How long the other side may take to say hello.
const HELLO_WAIT: Duration = Duration::from_secs(10);
/// How long a connection is kept that ends because of the clocks, or of a new card: what was said last has to arrive.
const HELLO_GRACE: Duration = Duration::from_millis(200);
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
    pub(crate) share: Arc<crate::net::share::Share>,
    peer_keys: Arc<PartyKeys>,
    clock_ms: i64,
    head: Arc<Mutex<Option<Head>>>,
    last_heard: Arc<AtomicU64>,
    /// Which newest cards are still to be adopted or refused: until then not both know by which keys the other signs.
    unsettled: Arc<watch::Sender<Unsettled>>,
}

/// The numbers of the newest cards of the two sides, as far as these are still to be adopted or refused.
#[derive(Debug)]
struct Unsettled {
    theirs: Option<u64>,
    ours: Option<u64>,
}

/// An exchange's place and streams.
type Begun = (
    Option<OwnedSemaphorePermit>,
    quinn::SendStream,
    quinn::RecvStream,
);

/// Why a connection did not come up, after the handshake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {text}")]
pub struct HelloFault {
    /// Stable kebab-case word.
    pub code: &'static str,
    /// The fault.
    pub text: String,
}

/// Says hello in both directions; the connection counts as up when this returns.
pub async fn open(
    station: Arc<Station>,
    link: Link,
    papers: Papers,
) -> Result<(Session, Control), HelloFault> {
    let fault = |code: &'static str, text: String| HelloFault { code, text };
    let hello = timeout(HELLO_WAIT, greet(&station, &link, &papers));
    let (send, frames, theirs) = match hello.await {
        Ok(Ok(greeted)) => greeted,
        Ok(Err(e)) => return Err(fault("no-hello", e)),
        Err(_) => {
            return Err(fault(
                "no-hello",
                format!("no hello within {} s", HELLO_WAIT.as_secs()),
            ));
        }
    };
    if !theirs.versions.contains(&VERSION) {
        link.close(CLOSE_FAULT, "no-common-version");
        return Err(fault(
            "no-common-version",
            format!(
                "the peer speaks versions {:?}, not {VERSION}",
                theirs.versions
            ),
        ));
    }
    station.clock.compare(theirs.now, link.peer.id());
    let now = station.clock();
    if now.distance_ms(theirs.now) > limits::CLOCK_SKEW_MS_MAX {
        // Our hello gets there first: it may tell the peer that its clock is wrong.
        tokio::time::sleep(HELLO_GRACE).await;
        link.close(CLOSE_FAULT, "clock-skew");
        let text = format!(
            "its clock says {}, ours {now}: more than 5 minutes apart; set the clock that is wrong",
            theirs.now
        );
        return Err(fault("clock-skew", text));
    }
    let (ledger, known) = (&station.ledger, &station.countersigning);
    known.remember(ledger, link.peer.id(), link.session).await;
    let share = station.share(link.peer.id());
    let used = ledger.meta(&store::growth_key(link.peer.id())).await;
    let used = used.map_err(|e| fault("storage", e.to_string()))?;
    share.growth.resume(station.micros(), now, used.as_deref());
    let session = Session {
        share,
        link,
        inbox: Arc::default(),
        peer_keys: Arc::clone(&papers.peer_keys),
        clock_ms: theirs.now.millis().saturating_sub(now.millis()),
        head: Arc::default(),
        last_heard: Arc::new(AtomicU64::new(station.instant().0)),
        unsettled: Arc::new(watch::Sender::new(Unsettled {
            theirs: Some(theirs.card).filter(|card| *card > papers.peer_card),
            ours: Some(papers.card_number()).filter(|card| *card > theirs.peer_card),
        })),
        station,
    };
    Ok((
        session,
        Control {
            send,
            frames,
            papers,
            theirs,
        },
    ))
}

async fn greet(
    station: &Station,
    link: &Link,
    papers: &Papers,
) -> Result<(quinn::SendStream, FrameReader, Hello), String> {
    let streams = if link.inbound {
        link.connection.accept_bi().await
    } else {
        link.connection.open_bi().await
    };
    let (mut send, recv) = streams.map_err(|e| e.to_string())?;
    let hello = Frame::Hello(Hello {
        versions: vec![VERSION],
        now: station.clock(),
        card: papers.card_number(),
        crls: papers.list_numbers(),
        peer_card: papers.peer_card,
        peer_crls: papers.peer_crls.clone(),
    });
    write_frame(&mut send, &hello)
        .await
        .map_err(|e| e.to_string())?;
    let mut frames = FrameReader::new(recv);
    match frames.next().await {
        Ok(Some(Frame::Hello(theirs))) => Ok((send, frames, theirs)),
        Ok(Some(other)) => Err(format!("{} came in place of hello", other.kind())),
        Ok(None) => Err("the control stream was closed".to_owned()),
        Err(e) => Err(e.to_string()),
    }
}

impl Session {
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
        let ops = self.share.counted(&self.station, self.peer_id(), ops);
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

    /// One attempt at sending a package; what was read `ahead` of it need not be read again.
    pub async fn send(&self, exchange: &Exchange, ahead: Option<Ahead>) -> Attempt {
        self.settled().await;
        outbound::run(self, exchange, ahead).await
    }

    /// Serves what the peer opens until the connection ends; every finished incoming attempt is reported.
    pub async fn serve(
        self,
        control: Control,
        news: mpsc::Sender<News>,
        ended: mpsc::Sender<Ended>,
    ) -> quinn::ConnectionError {
        let mut tasks = JoinSet::new();
        tasks.spawn(control::run(self.clone(), control, news));
        tasks.spawn(data_loop(self.clone()));
        let lost = self.exchange_loop(&ended).await;
        tasks.abort_all();
        lost
    }

    async fn exchange_loop(&self, ended: &mpsc::Sender<Ended>) -> quinn::ConnectionError {
        let mut exchanges = JoinSet::new();
        self.settled().await;
        loop {
            tokio::select! {
                begun = self.begun() => match begun {
                    Ok((place, send, recv)) => {
                        let (session, ended) = (self.clone(), ended.clone());
                        // In a box, so that the large future is not moved again.
                        exchanges.spawn(Box::pin(async move {
                            let end = inbound::run(&session, send, recv).await;
                            drop(place);
                            // The daemon that wants to know may be gone already.
                            drop(ended.send(end).await);
                        }));
                    }
                    Err(lost) => {
                        // The daemon hears also of what was committed as the connection ended; all else ends by itself.
                        exchanges.detach_all();
                        return lost;
                    }
                },
                Some(_) = exchanges.join_next() => {}
            }
        }
    }

    /// The next exchange that the peer begins, once there is a place for it: until then it waits unread, in QUIC's
    /// windows.
    async fn begun(&self) -> Result<Begun, quinn::ConnectionError> {
        let connection = &self.link.connection;
        let place = tokio::select! {
            place = self.share.exchange() => place,
            lost = connection.closed() => return Err(lost),
        };
        let (send, recv) = connection.accept_bi().await?;
        Ok((place, send, recv))
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

/// Data streams: read their heads, sort them to their exchanges.
async fn data_loop(session: Session) {
    let mut heads = JoinSet::new();
    let mut stale = tokio::time::interval(WAIT.checked_div(2).unwrap_or(WAIT));
    loop {
        tokio::select! {
            _ = stale.tick() => session.inbox.drop_stale(),
            stream = session.link.connection.accept_uni() => {
                let Ok(mut stream) = stream else { return };
                let session = session.clone();
                heads.spawn(async move {
                    match read_data_head(&mut stream).await {
                        Ok(head) => session.inbox.deliver(Arrival { head, stream }),
                Err(FrameFault::Wire(e)) => session.refuse(&Fault::new(e.code(), e.to_string())),
                // Given up before its head was said: an exchange that ended meanwhile, or a probe.
                Err(_) => {}
                    }
                });
            }
            Some(_) = heads.join_next() => {}
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
