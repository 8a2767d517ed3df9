//! Takes mail to one peer: several exchanges at once, again and again until it is handed over or its time is over.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::base::{AuthorityId, Timestamp, Xid};
use crate::daemon::Daemon;
use crate::daemon::peers::load::{Load, UnderWay};
use crate::daemon::peers::mailbox::Mailbox;
use crate::daemon::process::run_state::draining;
use crate::exchange::Direction;
use crate::net::connection;
use crate::net::session::{Attempt, Session};
use crate::store::durable::STORAGE_FULL;
use crate::store::{Exchange, OUTBOX_PAGE, Op, Outgoing, PeerState, StoreFault, StoredFault};
use crate::transfer::{Fault, Outcome};

/// The whole outbox, and not only what is new, is looked at no more often than this: most of it is under way.
const WHOLE_EVERY: Duration = Duration::from_millis(250);
/// How often urgent ones are looked for while there is no place for others; new ones are told at once.
const URGENT_EVERY: Duration = Duration::from_secs(1);
/// The first wait after a failure, in milliseconds; doubles each time.
const BACKOFF_MS: u64 = 500;
/// The longest wait, in milliseconds.
const BACKOFF_MS_MAX: u64 = 5 * 60 * 1_000;
/// The longest wait while the own disk is full, in milliseconds: once space is freed, what waits goes on soon, however
/// often it was tried in vain.
const FULL_MS_MAX: u64 = 20 * 1_000;
/// How long nothing is begun after the ledger could not take when to try again: otherwise everything would be due at
/// once.
const REST: Duration = Duration::from_secs(5);
/// How often the outbox is looked at when nobody rings.
const LOOK_EVERY: Duration = Duration::from_secs(20);

/// The wait before attempt `attempts + 1`, in milliseconds: doubling from half a second to five minutes, less up to a
/// third by `spread` (0 to 255), so that many senders do not come back at the same moment.
pub(crate) fn backoff_ms(attempts: u64, spread: u8) -> u64 {
    let doublings = u32::try_from(attempts.min(20)).unwrap_or(20);
    let whole = BACKOFF_MS
        .saturating_mul(1 << doublings)
        .min(BACKOFF_MS_MAX);
    whole - whole / 3 * u64::from(spread) / 255
}

/// The wait after a fault of this authority's own, given that of others.
fn local_wait_ms(code: &str, usual_ms: u64) -> u64 {
    if code == STORAGE_FULL {
        usual_ms.min(FULL_MS_MAX)
    } else {
        usual_ms
    }
}

/// The courier of one peer.
pub(crate) struct Courier {
    daemon: Arc<Daemon>,
    peer: AuthorityId,
    mailbox: Arc<Mailbox>,
    failures: u64,
    under_way: UnderWay,
    /// Urgent ones, not yet begun.
    urgent: VecDeque<Outgoing>,
    /// Read and not yet begun.
    ready: VecDeque<Outgoing>,
    /// Large ones that were read, and for which there was no place.
    bulk: VecDeque<Outgoing>,
    /// The last one that was read; what is due before it is found by looking at the whole outbox.
    read_to: Option<Xid>,
    /// When the whole outbox was last looked at.
    looked: Option<tokio::time::Instant>,
    /// When urgent ones were last looked for.
    urged: Option<tokio::time::Instant>,
    attempts: JoinSet<(Box<Exchange>, Attempt)>,
    next_dial: Option<tokio::time::Instant>,
    rests_until: Option<tokio::time::Instant>,
}

impl Courier {
    pub(crate) fn new(daemon: Arc<Daemon>, peer: AuthorityId, mailbox: Arc<Mailbox>) -> Self {
        Self {
            daemon,
            peer,
            mailbox,
            failures: 0,
            under_way: UnderWay::default(),
            urgent: VecDeque::new(),
            ready: VecDeque::new(),
            bulk: VecDeque::new(),
            read_to: None,
            looked: None,
            urged: None,
            attempts: JoinSet::new(),
            next_dial: None,
            rests_until: None,
        }
    }

    /// Works until the daemon drains, then lets what is under way come to a step's end.
    pub(crate) async fn run(mut self) {
        let mut phase = self.daemon.phase();
        loop {
            let wake = self.round().await.unwrap_or(LOOK_EVERY);
            tokio::select! {
                () = self.mailbox.bell.notified() => {}
                () = tokio::time::sleep(wake) => {}
                Some(done) = self.attempts.join_next() => self.ended_all(done).await,
                () = draining(&mut phase) => break,
            }
        }
        // Whoever drains waits no longer than the configured grace.
        while let Some(done) = self.attempts.join_next().await {
            self.ended_all(done).await;
        }
    }

    /// Starts what can be started; answers when to look again.
    async fn round(&mut self) -> Option<Duration> {
        let known = self.daemon.roster.by_id(&self.peer)?;
        if known.row.state != PeerState::Accepted {
            drop((self.mailbox.take(), self.mailbox.take_urgent()));
            self.put_back();
            return None;
        }
        let rest = self.rests_until.map(|at| at - tokio::time::Instant::now());
        if let Some(rest) = rest.filter(|rest| !rest.is_zero()) {
            return Some(rest);
        }
        loop {
            let now = self.daemon.station.clock();
            let whole = match self.read(now).await {
                Ok(whole) => whole,
                Err(e) => {
                    tracing::error!(peer = %self.peer, "cannot read the outbox: {e}");
                    return None;
                }
            };
            let Some(first) = self.next() else {
                if !self.ready.is_empty() || !self.under_way.has_places() {
                    return Some(URGENT_EVERY);
                }
                if !whole {
                    return Some(self.whole_in().max(Duration::from_millis(1)));
                }
                return self.next_try(now).await;
            };
            let Some(session) = self.session().await else {
                // It may be long until the next connection: then it is read again.
                self.put_back();
                return self.next_dial.map(|at| at - tokio::time::Instant::now());
            };
            self.begin(&session, first);
            while let Some(next) = self.next() {
                self.begin(&session, next);
            }
        }
    }

    /// Forgets what was read and not begun: it is in the outbox.
    fn put_back(&mut self) {
        self.urgent.clear();
        self.ready.clear();
        self.bulk.clear();
        (self.read_to, self.urged) = (None, None);
    }

    /// How long until the whole outbox may be looked at again.
    fn whole_in(&self) -> Duration {
        match self.looked {
            Some(at) if self.read_to.is_some() => WHOLE_EVERY.saturating_sub(at.elapsed()),
            Some(_) | None => Duration::ZERO,
        }
    }

    /// Finds what is due, if nothing is ready: mostly what is new, now and then everything. Says whether it was
    /// everything.
    async fn read(&mut self, now: Timestamp) -> Result<bool, StoreFault> {
        self.read_urgent(now).await?;
        if !self.ready.is_empty() || !self.under_way.has_places() {
            return Ok(false);
        }
        let whole = self.whole_in().is_zero();
        let fresh = self.mailbox.take();
        if !whole && (!fresh.is_empty() || !self.mailbox.has_overflowed()) {
            self.sort(fresh);
            return Ok(false);
        }
        // What was taken is in the outbox, too.
        drop(fresh);
        let ledger = &self.daemon.station.ledger;
        let after = if whole {
            self.looked = Some(tokio::time::Instant::now());
            None
        } else {
            self.read_to
        };
        let known = self.known();
        let due = ledger.outbox_due(&self.peer, now, after, known).await?;
        if due.len() < OUTBOX_PAGE {
            self.mailbox.caught_up();
        }
        if let Some(last) = due.last() {
            self.read_to = Some(last.exchange.xid);
        }
        self.sort(due);
        Ok(whole)
    }

    /// Finds urgent ones: new ones at once, others now and then.
    async fn read_urgent(&mut self, now: Timestamp) -> Result<(), StoreFault> {
        let fresh = self.mailbox.take_urgent();
        self.sort(fresh);
        if self.urged.is_some_and(|at| at.elapsed() < WHOLE_EVERY) {
            return Ok(());
        }
        self.urged = Some(tokio::time::Instant::now());
        let ledger = &self.daemon.station.ledger;
        let due = ledger.outbox_urgent(&self.peer, now, self.known()).await?;
        self.sort(due);
        Ok(())
    }

    /// The exchanges that are under way or wait here, and need not be read again.
    fn known(&self) -> HashSet<Xid> {
        let waiting = self.urgent.iter().chain(&self.bulk);
        let waiting = waiting.map(|outgoing| outgoing.exchange.xid);
        self.under_way
            .loads
            .keys()
            .copied()
            .chain(waiting)
            .collect()
    }

    /// Puts what was read where it waits, unless it is known.
    fn sort(&mut self, found: impl IntoIterator<Item = Outgoing>) {
        for outgoing in found {
            let xid = outgoing.exchange.xid;
            let waits = |queue: &VecDeque<Outgoing>| {
                let mut queue = queue.iter();
                queue.any(|waiting| waiting.exchange.xid == xid)
            };
            if self.under_way.loads.contains_key(&xid) || waits(&self.urgent) || waits(&self.bulk) {
                continue;
            }
            if outgoing.exchange.urgent {
                self.urgent.push_back(outgoing);
            } else {
                self.ready.push_back(outgoing);
            }
        }
    }

    /// The next one for which there is room, urgent ones first; a large one that finds none lets others pass.
    fn next(&mut self) -> Option<Outgoing> {
        for queue in [&mut self.urgent, &mut self.bulk] {
            let first = queue.front().map(|first| Load::of(&first.exchange));
            if first.is_some_and(|load| self.under_way.has_room(load)) {
                return queue.pop_front();
            }
        }
        while let Some(outgoing) = self.ready.pop_front() {
            let load = Load::of(&outgoing.exchange);
            if self.under_way.has_room(load) {
                return Some(outgoing);
            }
            if load != Load::Bulk || !self.under_way.has_places() {
                self.ready.push_front(outgoing);
                return None;
            }
            // More of them are found in the outbox.
            if self.bulk.len() < OUTBOX_PAGE {
                self.bulk.push_back(outgoing);
            }
        }
        None
    }

    /// How long until the first exchange that waits is due.
    async fn next_try(&self, now: Timestamp) -> Option<Duration> {
        if !self.under_way.loads.is_empty() {
            return None;
        }
        let waiting = self.daemon.station.ledger.waiting().await.ok()?;
        let first = waiting
            .into_iter()
            .find(|waiting| waiting.peer == self.peer)?;
        let wait = Duration::from_millis(first.next_try.distance_ms(now))
            .clamp(Duration::from_millis(50), LOOK_EVERY);
        (first.next_try > now).then_some(wait)
    }

    fn begin(&mut self, session: &Session, outgoing: Outgoing) {
        let Outgoing { exchange, ahead } = outgoing;
        self.under_way.add(exchange.xid, Load::of(&exchange));
        let (daemon, session) = (Arc::clone(&self.daemon), session.clone());
        // In a box, so that the large future is not moved again.
        self.attempts.spawn(Box::pin(async move {
            let mut exchange = Box::new(exchange);
            if exchange.direction == Direction::In {
                session.settled().await;
                match daemon.report_owed(&exchange).await {
                    Ok(changed) => *exchange = changed.unwrap_or(*exchange),
                    Err(e) => {
                        let fault = Fault::new(&e.0.error, &e.0.message);
                        return (exchange, Attempt::Local(fault));
                    }
                }
            }
            let attempt = connection::send(&session, &exchange, ahead).await;
            (exchange, attempt)
        }));
    }

    /// A connection that is up, dialled if the last failure is long enough ago.
    async fn session(&mut self) -> Option<Session> {
        if let Some(session) = self.daemon.roster.session(&self.peer) {
            self.failures = 0;
            return Some(session);
        }
        if self
            .next_dial
            .is_some_and(|at| at > tokio::time::Instant::now())
        {
            return None;
        }
        match self.daemon.dial(&self.peer).await {
            Ok(session) => {
                self.failures = 0;
                self.next_dial = None;
                Some(session)
            }
            Err(fault) => {
                let wait = Duration::from_millis(backoff_ms(self.failures, self.daemon.spread()));
                tracing::warn!(peer = %self.peer, code = %fault.code, again_in_s = wait.as_secs(), "cannot reach the peer: {}", fault.text);
                self.failures += 1;
                self.next_dial = Some(tokio::time::Instant::now() + wait);
                None
            }
        }
    }

    async fn ended_all(&mut self, first: Result<(Box<Exchange>, Attempt), tokio::task::JoinError>) {
        let mut ops = Vec::new();
        let mut next = Some(first);
        while let Some(done) = next {
            match done {
                Ok((exchange, attempt)) => ops.extend(self.ended(&exchange, attempt)),
                Err(e) => tracing::error!(peer = %self.peer, "an attempt came to no end: {e}"),
            }
            next = self.attempts.try_join_next();
        }
        if !ops.is_empty()
            && let Err(e) = self.daemon.station.ledger.commit(ops).await
        {
            tracing::error!(peer = %self.peer, "cannot record when to try again: {e}");
            self.rests_until = Some(tokio::time::Instant::now() + REST);
        }
    }

    /// Decides what the end of an attempt means for the exchange: at most a time for the next.
    fn ended(&mut self, exchange: &Exchange, attempt: Attempt) -> Option<Op> {
        self.under_way.remove(&exchange.xid);
        let xid = exchange.xid;
        let now = self.daemon.station.clock();
        let (code, text, wait_ms) = match attempt {
            // What it was told of a package that is held here leaves the package as it is.
            Attempt::Ended(Outcome::Ended) if exchange.phase.was_held() => return None,
            Attempt::Ended(Outcome::Delivered | Outcome::Ended) => {
                self.daemon.onward.notify_one();
                self.daemon.station.forget(&xid);
                self.daemon.delivered(exchange);
                return None;
            }
            Attempt::Ended(Outcome::Later { code, after_s }) => {
                let wait = after_s.min(BACKOFF_MS_MAX / 1_000) * 1_000;
                (
                    format!("peer-{code}"),
                    "the peer asks for another attempt later".to_owned(),
                    wait,
                )
            }
            Attempt::Ended(Outcome::Faulted(fault)) => {
                (fault.code, fault.text, self.wait(exchange))
            }
            Attempt::Ended(Outcome::TimedOut) => (
                "peer-silent".to_owned(),
                "the peer fell silent in the middle of the exchange".to_owned(),
                self.wait(exchange),
            ),
            // After a cut in the middle of work the next attempt follows soon, however many came before.
            Attempt::Cut(text) if self.daemon.station.meter(xid).progressed() => {
                ("connection-lost".to_owned(), text, BACKOFF_MS / 2)
            }
            Attempt::Cut(text) => ("connection-lost".to_owned(), text, self.wait(exchange)),
            Attempt::Local(fault) => {
                let wait = local_wait_ms(&fault.code, self.wait(exchange));
                (fault.code, fault.text, wait)
            }
            Attempt::Broken(why) => {
                self.daemon.fail(why);
                return None;
            }
        };
        if code == "connection-lost" {
            // All of a connection end together, and it has a line of its own.
            tracing::debug!(%xid, peer = %self.peer, %code, "attempt ended: {}", text.escape_debug());
        } else {
            tracing::warn!(%xid, peer = %self.peer, %code, "attempt ended: {}", text.escape_debug());
        }
        // Of a package that is or was held, that there is something to tell is known by this alone.
        let has_wait = wait_ms > 0 || exchange.phase.was_held();
        let next_try = has_wait.then(|| later(now, wait_ms));
        Some(Op::Retry {
            xid,
            attempts: exchange.attempts + 1,
            next_try,
            fault: Some(StoredFault { code, text }),
        })
    }

    fn wait(&self, exchange: &Exchange) -> u64 {
        backoff_ms(u64::from(exchange.attempts) + 1, self.daemon.spread())
    }
}

fn later(now: Timestamp, millis: u64) -> Timestamp {
    now.plus_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_five_minutes_and_spread() {
        for (attempts, spread, want) in [
            (0, 0, 500),
            (1, 0, 1_000),
            (3, 0, 4_000),
            (9, 0, 256_000),
            (10, 0, 300_000),
            (99, 0, 300_000),
            (10, 255, 200_000),
        ] {
            assert_eq!(backoff_ms(attempts, spread), want, "{attempts} {spread}");
        }
    }

    #[test]
    fn a_full_disk_is_looked_at_again_soon() {
        for (code, usual, want) in [
            ("storage-full", 500, 500),
            ("storage-full", 300_000, 20_000),
            ("unreadable-offer", 300_000, 300_000),
        ] {
            assert_eq!(local_wait_ms(code, usual), want, "{code} {usual}");
        }
    }
}
