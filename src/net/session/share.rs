//! The share of this machine that one peer may take at once, over all its connections: others are served whatever it
//! does.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::base::bucket::Bucket;
use crate::base::{AuthorityId, Timestamp, len_u64, limits};
use crate::config::values::Limits;
use crate::net::session::growth::{self, Grown, Growth};
use crate::net::session::pace::Pace;
use crate::net::session::quota::{Admitted, Quota};
use crate::store::{Exchange, Ledger, Op, StoreFault};
use crate::transfer::{Fault, PATIENCE_MS};

/// How long a payload waits for its place.
const PLACE_WAIT: Duration = Duration::from_secs(20);

/// How long an offer that was put off is remembered, in microseconds.
const LATELY_US: u64 = 60_000_000;

/// The operator's limits for each peer, and for all of them together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes in packages that nobody has opened.
    pub quota_bytes: u64,
    /// Packages that nobody has opened.
    pub unopened: u64,
    /// Bytes of ledger and log in a day.
    pub growth: u64,
    /// Offers in a second.
    pub offers_per_second: u64,
    /// Control frames in a second.
    pub control_per_second: u64,
    /// Silence after which an attempt is given up, in milliseconds.
    pub patience_ms: u64,
    /// Payload to all peers together, in bytes a second.
    pub send: Option<u64>,
    /// Payload from all peers together, in bytes a second.
    pub receive: Option<u64>,
    /// Payload to one peer, in bytes a second.
    pub peer_send: Option<u64>,
    /// Payload from one peer, in bytes a second.
    pub peer_receive: Option<u64>,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            quota_bytes: u64::MAX,
            unopened: u64::MAX,
            growth: u64::MAX,
            offers_per_second: 5_000,
            control_per_second: 50,
            patience_ms: PATIENCE_MS,
            send: None,
            receive: None,
            peer_send: None,
            peer_receive: None,
        }
    }
}

impl From<&Limits> for Bounds {
    fn from(limits: &Limits) -> Self {
        Self {
            quota_bytes: limits.peer_quota,
            unopened: limits.peer_unopened,
            growth: limits.peer_growth,
            offers_per_second: limits.offers_per_second,
            control_per_second: limits.control_per_second,
            patience_ms: u64::try_from(limits.patience.as_millis()).unwrap_or(u64::MAX),
            send: limits.send,
            receive: limits.receive,
            peer_send: limits.peer_send,
            peer_receive: limits.peer_receive,
        }
    }
}

impl Bounds {
    /// A wait, in milliseconds, less what the operator takes off: machines are as patient as the protocol allows.
    pub(crate) const fn hurried(&self, wait_ms: u64) -> u64 {
        wait_ms.saturating_sub(PATIENCE_MS.saturating_sub(self.patience_ms))
    }
}

/// Limits on payload in both directions, where there are any.
#[derive(Debug, Clone, Default)]
pub struct Way {
    /// Payload bytes that are sent.
    pub send: Option<Arc<Pace>>,
    /// Payload bytes that are received.
    pub receive: Option<Arc<Pace>>,
}

impl Way {
    pub(crate) fn new(send: Option<u64>, receive: Option<u64>) -> Self {
        let pace = |rate: Option<u64>| rate.map(|rate| Arc::new(Pace::new(rate)));
        Self {
            send: pace(send),
            receive: pace(receive),
        }
    }

    /// How long streams that send have waited, in milliseconds, all added up.
    pub fn send_waited_ms(&self) -> u64 {
        waited_ms(self.send.as_ref())
    }

    /// How long streams that receive have waited, in milliseconds, all added up.
    pub fn receive_waited_ms(&self) -> u64 {
        waited_ms(self.receive.as_ref())
    }
}

fn waited_ms(pace: Option<&Arc<Pace>>) -> u64 {
    pace.map_or(0, |pace| pace.waited_us() / 1_000)
}

/// How often a peer was held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Offers beyond the rate.
    pub offers: u64,
    /// Offers beyond the quota.
    pub quota: u64,
    /// Control frames that had to wait.
    pub control: u64,
    /// The growth for good that it has caused.
    pub grown: Grown,
}

/// One peer's share.
#[derive(Debug)]
pub struct Share {
    paces: Way,
    offers: Mutex<Bucket>,
    control: Mutex<Bucket>,
    rejections: Mutex<Bucket>,
    /// In bytes.
    revocation_lists: Mutex<Bucket>,
    /// Its account of the growth that it causes for good.
    pub(crate) growth: Growth,
    quota: Arc<Quota>,
    offers_late: AtomicU64,
    quota_late: AtomicU64,
    /// When an offer was last put off by the quota.
    put_off_us: AtomicU64,
    control_late: AtomicU64,
    /// Exchanges that the peer has begun.
    exchanges: Arc<Semaphore>,
    /// Large payloads that are written; each takes a few segments of memory.
    writers: Arc<Semaphore>,
    /// Small payloads that are held in memory until their receipt is signed, in KiB.
    memory: Arc<Semaphore>,
    /// Runs of segments that are read from disk and sent; each reads ahead.
    readers: Arc<Semaphore>,
    /// Lists that are read from disk and sent.
    lists: Arc<Semaphore>,
}

impl Share {
    pub(crate) fn new(bounds: &Bounds) -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        let bucket = |rate: u64, burst: u64| Mutex::new(Bucket::new(rate, burst));
        Self {
            paces: Way::new(bounds.peer_send, bounds.peer_receive),
            offers: bucket(bounds.offers_per_second, bounds.offers_per_second),
            control: bucket(bounds.control_per_second, limits::CONTROL_BURST),
            rejections: bucket(1, limits::REJECTIONS_BURST),
            revocation_lists: bucket(limits::CRL_RATE, limits::CRL_BURST),
            growth: Growth::new(bounds.growth),
            quota: Arc::new(Quota::new(bounds.unopened, bounds.quota_bytes)),
            offers_late: AtomicU64::new(0),
            quota_late: AtomicU64::new(0),
            put_off_us: AtomicU64::new(0),
            control_late: AtomicU64::new(0),
            exchanges: places(limits::PEER_EXCHANGES_MAX.try_into().unwrap_or(usize::MAX)),
            writers: places(limits::PEER_WRITERS_MAX),
            memory: places(limits::PEER_MEMORY_KIB_MAX),
            readers: places(limits::PEER_READERS_MAX),
            lists: places(limits::PEER_READERS_MAX),
        }
    }

    /// The limits on this peer's payload.
    pub fn paces(&self) -> &Way {
        &self.paces
    }

    /// How often it was held back since the daemon started.
    pub fn counts(&self) -> Counts {
        Counts {
            offers: self.offers_late.load(Ordering::Relaxed),
            quota: self.quota_late.load(Ordering::Relaxed),
            control: self.control_late.load(Ordering::Relaxed),
            grown: self.growth.grown(),
        }
    }

    /// The limits up to which this peer has come at this moment, as the configuration calls them.
    pub fn spent(&self, now_us: u64) -> impl Iterator<Item = &'static str> {
        let put_off_us = self.put_off_us.load(Ordering::Relaxed);
        let lately = put_off_us > 0 && now_us.saturating_sub(put_off_us) < LATELY_US;
        let quota = lately || self.quota.is_spent();
        let growth = self.growth.is_spent(now_us);
        let quota = quota.then_some("limits.peer_quota or limits.peer_unopened");
        quota
            .into_iter()
            .chain(growth.then_some("limits.peer_growth"))
    }

    /// Whether one more offer may be looked at now, in microseconds.
    pub(crate) fn offer(&self, now_us: u64) -> bool {
        let taken = take(&self.offers, now_us, 1).is_ok();
        self.offers_late
            .fetch_add(u64::from(!taken), Ordering::Relaxed);
        taken
    }

    /// Whether one more offer may be rejected with a statement now. Every rejection costs a signature and a place in
    /// the log for ever, so a peer gets a burst of them and then one a second.
    ///
    /// # Errors
    /// The code with which the offer is put off.
    pub(crate) fn may_reject(
        &self,
        now_us: u64,
        offer: Option<&Exchange>,
    ) -> Result<(), &'static str> {
        take(&self.rejections, now_us, 1).map_err(|_| "rate")?;
        let weight = offer.map_or(0, growth::of_row);
        self.growth.take(now_us, weight).map_err(|_| "quota")
    }

    /// Counts what grows by these changes, which the peer has caused; they note that with them.
    pub(crate) fn counted(
        &self,
        (now_us, now): (u64, Timestamp),
        peer: &AuthorityId,
        mut ops: Vec<Op>,
    ) -> Vec<Op> {
        self.growth.charge(now_us, &ops);
        ops.extend(self.growth.note(peer, now_us, now));
        ops
    }

    /// Takes the cost of a revocation list that is kept.
    pub(crate) fn may_keep_list(&self, now_us: u64, bytes: usize) -> Result<(), Fault> {
        let taken = take(&self.revocation_lists, now_us, len_u64(bytes));
        let text =
            "revocation lists are renewed too often: this one is taken on a later connection";
        taken.map_err(|_| Fault::new("rate", text))
    }

    /// Waits until one more control frame may be looked at.
    pub(crate) async fn control(&self, now_us: impl Fn() -> u64) {
        while let Err(wait_us) = take(&self.control, now_us(), 1) {
            self.control_late.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_micros(wait_us)).await;
        }
    }

    /// Counts this package if it fits into what the peer may leave unopened here, and its row into what it may make
    /// grow.
    pub(crate) async fn within_quota(
        &self,
        ledger: &Ledger,
        now_us: u64,
        exchange: &Exchange,
    ) -> Result<Option<Admitted>, StoreFault> {
        let admitted = self.quota.admit(ledger, now_us / 1_000, exchange).await?;
        let Some(admitted) = admitted else {
            self.quota_late.fetch_add(1, Ordering::Relaxed);
            self.put_off_us.store(now_us, Ordering::Relaxed);
            return Ok(None);
        };
        let weight = growth::of_row(exchange);
        let grows = self.growth.take(now_us, weight);
        Ok(grows.ok().map(|()| admitted))
    }

    /// A place among the exchanges that the peer has begun; waits as long as it takes.
    pub(crate) async fn exchange(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.exchanges).acquire_owned().await.ok()
    }

    /// A place among the large payloads that are written for this peer.
    pub(crate) async fn writer(&self) -> Option<OwnedSemaphorePermit> {
        in_time(Arc::clone(&self.writers).acquire_owned()).await
    }

    /// Memory for a small payload of this many bytes.
    pub(crate) async fn memory(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let kib = u32::try_from(bytes.div_ceil(1_024)).ok()?;
        in_time(Arc::clone(&self.memory).acquire_many_owned(kib)).await
    }

    /// A place among the runs of segments that are sent to this peer; waits as long as it takes.
    pub(crate) async fn reader(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.readers).acquire_owned().await.ok()
    }

    /// A place among the lists that are sent to this peer; waits as long as it takes.
    pub(crate) async fn list(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.lists).acquire_owned().await.ok()
    }
}

fn take(bucket: &Mutex<Bucket>, now_us: u64, amount: u64) -> Result<(), u64> {
    let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
    bucket.take(now_us, amount)
}

async fn in_time<E>(
    place: impl Future<Output = Result<OwnedSemaphorePermit, E>>,
) -> Option<OwnedSemaphorePermit> {
    timeout(PLACE_WAIT, place).await.ok()?.ok()
}
