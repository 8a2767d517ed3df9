//! The ground that every exchange on this machine stands on: own identity, ledger, blobs, clock, and a count of what
//! moves.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;

use crate::base::clock::Judge;
use crate::base::{AuthorityId, Digest, Instant, Timestamp, Xid};
use crate::identity::statement::Note;
use crate::net::clock::Clock;
use crate::net::session::meter::Meter;
use crate::net::session::noise::Noise;
use crate::net::session::pace::{Brake, Class};
use crate::net::session::sessions::Sessions;
use crate::net::session::share::{Bounds, Share, Way};
use crate::net::witness::watch::Watch;
use crate::receipt::{Head, Kind};
use crate::seal;
use crate::store::{Blobs, Ledger, Op};
use crate::transfer::{Moment, Own};

/// Who works on an exchange: how to stop it, and the lock that it holds.
type Claim = (CancellationToken, Arc<tokio::sync::Mutex<()>>);

/// The ground that sessions and exchanges share.
pub struct Station {
    /// Who we are.
    pub own: Arc<Own>,
    /// Statements, exchanges, peers.
    pub ledger: Ledger,
    /// Payloads.
    pub blobs: Blobs,
    /// The age identity, where the daemon holds it.
    pub identity: Option<seal::Identity>,
    /// age recipients on the own card: a header names each of them.
    pub recipients: usize,
    /// Whose logs are watched.
    pub watch: Arc<Watch>,
    shares: Mutex<HashMap<AuthorityId, Arc<Share>>>,
    pub(crate) bounds: Bounds,
    paces: Way,
    pub(crate) noise: Noise,
    pub(crate) sessions: Sessions,
    meters: Mutex<HashMap<Xid, Arc<Meter>>>,
    takeovers: Mutex<HashMap<Xid, Claim>>,
    started: std::time::Instant,
    /// Tells the time, and how sure it is.
    pub clock: Clock,
}

impl fmt::Debug for Station {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Station({})", self.own.id)
    }
}

impl Station {
    /// A station of this authority on this store.
    #[expect(clippy::disallowed_methods, reason = "the shell reads the clock")]
    pub fn new(
        own: Own,
        ledger: Ledger,
        blobs: Blobs,
        identity: Option<seal::Identity>,
        recipients: usize,
    ) -> Self {
        let clock = Clock::start(Judge::new(None, None));
        let watch = Watch::new(own.id.clone(), ledger.clone(), clock.clone());
        Self {
            own: Arc::new(own),
            ledger,
            blobs,
            identity,
            recipients,
            watch: Arc::new(watch),
            shares: Mutex::default(),
            bounds: Bounds::default(),
            paces: Way::default(),
            noise: Noise::default(),
            sessions: Sessions::default(),
            meters: Mutex::default(),
            takeovers: Mutex::default(),
            started: std::time::Instant::now(),
            clock,
        }
    }

    /// With this clock in place of one that remembers nothing.
    #[must_use]
    pub fn timed_by(mut self, clock: Clock) -> Self {
        let watch = Watch::new(self.own.id.clone(), self.ledger.clone(), clock.clone());
        self.watch = Arc::new(watch);
        self.clock = clock;
        self
    }

    /// With these bounds in place of the defaults.
    #[must_use]
    pub fn within(mut self, bounds: Bounds) -> Self {
        self.paces = Way::new(bounds.send, bounds.receive);
        self.bounds = bounds;
        self
    }

    /// The limits on payload of all peers together.
    pub fn paces(&self) -> &Way {
        &self.paces
    }

    /// The brake on a payload that is sent to this peer, if there is a limit.
    pub(crate) fn brake_out(&self, share: &Share, class: Class) -> Option<Brake> {
        Brake::new([&share.paces().send, &self.paces.send], class)
    }

    /// The brake on a payload that is received: here nobody knows what is urgent to the sender.
    pub(crate) fn brake_in(&self, share: &Share) -> Option<Brake> {
        let paces = [&share.paces().receive, &self.paces.receive];
        Brake::new(paces, Class::Bulk)
    }

    /// Microseconds since this station was made.
    pub fn micros(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// The time to go by. It is the machine's as long as that is not in doubt.
    pub fn clock(&self) -> Timestamp {
        self.clock.now().at
    }

    /// Now, and what is known now, for a machine.
    pub(crate) fn moment(&self, peer_head: Option<Head>) -> Moment {
        let heads = std::iter::once(self.own_head()).chain(peer_head).collect();
        Moment {
            instant: self.instant(),
            clock: self.clock(),
            heads,
        }
    }

    /// Now, and what is known now, for a statement outside a session.
    pub fn own_moment(&self) -> Moment {
        self.moment(None)
    }

    /// The last signed head of the own log; the empty tree before the first.
    pub fn own_head(&self) -> Head {
        match self.ledger.head() {
            Some(head) => Head {
                origin: head.origin,
                size: head.size,
                root: head.root,
            },
            None => Head {
                origin: format!("{}/log", self.own.id),
                size: 0,
                root: Digest::of(b""),
            },
        }
    }

    /// Milliseconds since this station was made.
    pub fn instant(&self) -> Instant {
        Instant(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// A note for the ledger, of an exchange or of none. Only what this authority has signed becomes a leaf of its log.
    pub(crate) fn statement(&self, kind: Kind, note: &Note, xid: Option<Xid>, logged: bool) -> Op {
        Op::Statement {
            xid,
            kind: kind.as_str().to_owned(),
            issuer: note.issuer().name.authority().clone(),
            signatures: u8::try_from(note.signatures().len()).unwrap_or(u8::MAX),
            note: note.bytes().to_vec(),
            at: self.clock(),
            logged,
        }
    }

    /// The share of the machine that this peer may take at once.
    pub fn share(&self, peer: &AuthorityId) -> Arc<Share> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Arc::new(Share::new(&self.bounds));
        Arc::clone(shares.entry(peer.clone()).or_insert_with(fresh))
    }

    /// The meter of an exchange, made if there is none.
    pub fn meter(&self, xid: Xid) -> Arc<Meter> {
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(meters.entry(xid).or_default())
    }

    /// The meter of an exchange, if bytes of it have moved since the start.
    pub fn metered(&self, xid: &Xid) -> Option<Arc<Meter>> {
        self.meters
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(xid)
            .cloned()
    }

    /// Forgets the meter of an exchange that is over.
    pub fn forget(&self, xid: &Xid) {
        self.meters
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(xid);
    }

    /// Forgets the meter of an exchange of which nothing is kept, unless another attempt at it is under way.
    pub(crate) fn forget_idle(&self, xid: &Xid) {
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        if meters.get(xid).is_some_and(|meter| !meter.active()) {
            meters.remove(xid);
        }
    }

    /// Makes one incoming stream the only one that works on this exchange: an older one is told to stop, and waited
    /// for. The newest wins, because a peer that was killed offers again while its old connection still seems alive
    /// here.
    pub(crate) async fn take_over(&self, xid: Xid) -> Turn {
        let stop = CancellationToken::new();
        let lock = {
            let mut takeovers = self
                .takeovers
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            takeovers.retain(|_, (_, lock)| Arc::strong_count(lock) > 1);
            let (earlier, lock) = takeovers.entry(xid).or_default();
            std::mem::replace(earlier, stop.clone()).cancel();
            Arc::clone(lock)
        };
        let held = lock.lock_owned().await;
        let held = Hold(Arc::new(held));
        Turn { stop, held }
    }
}

/// The right to work on an exchange, until a newer stream asks for it.
#[derive(Debug)]
pub(crate) struct Turn {
    /// Somebody newer has come.
    pub(crate) stop: CancellationToken,
    held: Hold,
}

/// Keeps an exchange from the next stream that asks for it. Whatever still works on the exchange has one: a thread goes
/// on with its files, and the ledger with a commit, after the task that began it was dropped.
#[derive(Debug, Clone)]
pub(crate) struct Hold(#[expect(dead_code, reason = "held, not used")] Arc<OwnedMutexGuard<()>>);

impl Turn {
    /// For the threads that work on the exchange's files, and for its commits.
    pub(crate) fn held(&self) -> Hold {
        self.held.clone()
    }
}
