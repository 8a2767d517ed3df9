//! One authority: what survives of it, and what lives only while its process does.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use rogatory::base::{AuthorityId, Instant, Ranges, Timestamp, Xid};
use rogatory::exchange::Phase;
use rogatory::identity::keys::{KeyName, Role, SecretKey};
use rogatory::policy::PolicySet;
use rogatory::policy::terms::Handling;
use rogatory::receipt::{Head, OwnKeys, PartyKeys};
use rogatory::transfer::{Fault, Moment, Own, Receiver, Sender};
use rogatory::wire::{DataHead, Frame};

use crate::disk::{Content, Disk, Inode};
use crate::ledger::{Ledger, Op, Row, Unmade};

/// The longest payload that anybody takes.
pub(crate) const PACKAGE_MAX: u64 = 40 << 20;
const NAMES: [&str; 4] = [
    "bfj.example.de",
    "mla.example.ie",
    "mj.example.fr",
    "min.example.pl",
];

/// A process of an authority: one that was started later is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) node: usize,
    pub(crate) boot: u32,
}

/// An authority.
#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own")]
pub(crate) struct Node {
    pub(crate) own: Arc<Own>,
    pub(crate) public: Arc<PartyKeys>,
    pub(crate) disk: Disk,
    pub(crate) ledger: Ledger,
    pub(crate) up: bool,
    pub(crate) boot: u32,
    pub(crate) booted: u64,
    pub(crate) skew: i64,
    pub(crate) drift: i64,
    /// Effects until the process ends, and whether the power goes with it.
    pub(crate) ends_after: Option<(u64, bool)>,
    pub(crate) full: bool,
    pub(crate) full_after: Option<u64>,
    pub(crate) slow: bool,
    pub(crate) flush_fails: bool,
    pub(crate) live: Live,
}

/// Who waits for a commit.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reply {
    Task(u32),
    Parcel(usize),
    Courier(usize),
    Checkpoint,
    Nobody,
}

/// One caller's changes.
#[derive(Clone)]
pub(crate) struct Batch {
    pub(crate) reply: Reply,
    /// The exchange that is not free before they are made, and under which number they hold it.
    pub(crate) holds: Option<(Xid, u32)>,
    pub(crate) ops: Vec<Op>,
}

/// The memory of a process.
#[derive(Default)]
pub(crate) struct Live {
    pub(crate) tasks: BTreeMap<u32, Task>,
    pub(crate) queue: Vec<Batch>,
    pub(crate) writing: Vec<Batch>,
    pub(crate) couriers: BTreeMap<usize, Courier>,
    pub(crate) turns: BTreeMap<Xid, Turn>,
    pub(crate) streams: BTreeMap<u32, InStream>,
    pub(crate) links: Vec<u32>,
    pub(crate) checkpoint_due: bool,
    /// Jobs under way, by exchange: threads that nobody can stop.
    pub(crate) jobs: BTreeMap<u32, Xid>,
}

/// The courier of one peer.
#[derive(Default)]
pub(crate) struct Courier {
    pub(crate) failures: u64,
    pub(crate) under_way: BTreeSet<Xid>,
    pub(crate) dialling: bool,
    pub(crate) next_dial: u64,
    pub(crate) wake: Option<u64>,
    /// Nothing is begun before that, because it could not be recorded when to.
    pub(crate) rests_until: u64,
    /// When attempts were begun, the last ones.
    pub(crate) begun: VecDeque<u64>,
}

/// Who works on an exchange.
#[derive(Default)]
pub(crate) struct Turn {
    pub(crate) newest: u32,
    pub(crate) task: Option<u32>,
    /// Threads and commits that go on without it.
    pub(crate) jobs: BTreeSet<u32>,
    pub(crate) waiting: VecDeque<u32>,
}

/// One attempt, at either end.
#[expect(clippy::struct_excessive_bools, reason = "each is an event of its own")]
pub(crate) struct Task {
    pub(crate) id: u32,
    pub(crate) link: u32,
    pub(crate) side: usize,
    pub(crate) stream: u32,
    pub(crate) bytes: Vec<u8>,
    pub(crate) fin: bool,
    pub(crate) lost: bool,
    /// Something was asked of disk or ledger; nothing else happens before it is answered.
    pub(crate) waits: bool,
    pub(crate) timer: bool,
    pub(crate) run: Run,
}

impl Task {
    pub(crate) const fn new(id: u32, link: u32, side: usize, stream: u32, run: Run) -> Self {
        Self {
            id,
            link,
            side,
            stream,
            bytes: Vec::new(),
            fin: false,
            lost: false,
            waits: false,
            timer: false,
            run,
        }
    }
}

pub(crate) enum Run {
    Out(Box<Outgoing>),
    In(Box<Arriving>),
    /// Repeats recorded frames.
    Replay,
}

pub(crate) struct Outgoing {
    pub(crate) row: Row,
    pub(crate) machine: Sender,
    pub(crate) inline: Option<Content>,
    pub(crate) moved: bool,
    pub(crate) progressed: bool,
    pub(crate) pumps: BTreeMap<u32, VecDeque<Item>>,
}

pub(crate) struct Arriving {
    pub(crate) machine: Receiver,
    pub(crate) peer: usize,
    pub(crate) work: Option<Work>,
    pub(crate) phase: Option<Phase>,
    pub(crate) taken: VecDeque<Taken>,
    pub(crate) stop: bool,
    pub(crate) then: Option<crate::inbound::Then>,
    /// Has nothing more to do than wait until the other end has taken what was said.
    pub(crate) closing: Option<Ended>,
}

pub(crate) struct Work {
    pub(crate) xid: Xid,
    pub(crate) row: Option<Row>,
    pub(crate) intake: Option<Intake>,
    pub(crate) arrivals: Vec<u32>,
}

/// A payload being received.
pub(crate) struct Intake {
    pub(crate) have: Ranges,
    pub(crate) recorded: u64,
    pub(crate) listed: bool,
    /// A list is being taken.
    pub(crate) listing: bool,
    pub(crate) place: Place,
}

#[derive(Clone)]
pub(crate) enum Place {
    Memory(Option<Content>),
    File(Rc<RefCell<Incoming>>),
}

/// An open part file.
pub(crate) struct Incoming {
    pub(crate) segments: usize,
    pub(crate) file: Inode,
    pub(crate) list: Option<Inode>,
    pub(crate) complete: bool,
}

/// The result of a data stream.
pub(crate) enum Taken {
    Listed,
    /// The only segment of a small payload.
    Small(Content),
    Segment(u64),
    Moved,
    Bad(Fault),
    Full,
    Flushed,
    /// A stream may be read on.
    Go(u32),
}

/// A unidirectional stream at the end that reads it.
pub(crate) struct InStream {
    pub(crate) link: u32,
    pub(crate) head: DataHead,
    pub(crate) since: u64,
    pub(crate) items: VecDeque<Item>,
    pub(crate) task: Option<u32>,
    pub(crate) source: Option<(Place, rogatory::base::Digest)>,
    pub(crate) busy: bool,
    pub(crate) list: Option<Inode>,
    pub(crate) contents: Vec<Content>,
    pub(crate) segment: u64,
    pub(crate) parts: u64,
    pub(crate) heard: u64,
}

/// The content of a unidirectional stream.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    Head(DataHead),
    List(Vec<Content>),
    /// A part of a segment: which of how many.
    Part(Content, u64, u64),
    Fin,
    Reset,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    Outcome(rogatory::transfer::Outcome),
    Cut(String),
    Local(String),
    Broken,
}

/// The answer to what a task asked for.
pub(crate) enum Answer {
    Committed(Result<(), Unmade>),
    Turn,
    Opened(Result<Intake, ()>),
    Settled,
    Discarded,
    Checked(Result<(), String>),
    Lingered,
}

/// A frame that was read, or why there is none.
pub(crate) enum Read {
    Frame(Frame),
    Nothing,
    Closed,
    Broken(Fault),
}

impl Node {
    /// An authority, before it was ever started.
    pub(crate) fn new(number: usize, (skew, drift): (i64, i64), ceiling: Option<Handling>) -> Self {
        let id: AuthorityId = NAMES[number].parse().expect("a good name");
        let name = KeyName::new(id.clone(), Role::Receipts);
        let seed = u8::try_from(number + 1).expect("few authorities");
        let key = SecretKey::from_seed(name, &[seed; 32]);
        let public = Arc::new(PartyKeys::new(1, key.public()));
        let own = Arc::new(Own {
            id,
            keys: OwnKeys::new(1, key),
            policy: PolicySet::new(ceiling),
            clock_uncertainty_ms: 1_000,
            package_max: PACKAGE_MAX,
        });
        Self {
            own,
            public,
            disk: Disk::default(),
            ledger: Ledger::default(),
            up: false,
            boot: 0,
            booted: 0,
            skew,
            drift,
            ends_after: None,
            full: false,
            full_after: None,
            slow: false,
            flush_fails: false,
            live: Live::default(),
        }
    }

    fn drifted(&self, ms: u64) -> i64 {
        let ms = i64::try_from(ms).unwrap_or(i64::MAX);
        ms + ms * self.drift / 1_000_000
    }

    /// Its monotonic clock.
    pub(crate) fn instant(&self, now: u64) -> Instant {
        Instant(u64::try_from(self.drifted(now.saturating_sub(self.booted))).unwrap_or(0))
    }

    /// Its civil clock.
    pub(crate) fn clock(&self, begins: i64, now: u64) -> Timestamp {
        Timestamp::from_millis(begins + self.drifted(now) + self.skew)
    }

    /// The last signed head of its log.
    pub(crate) fn head(&self) -> Head {
        self.ledger.head.clone().unwrap_or_else(|| Head {
            origin: format!("{}/log", self.own.id),
            size: 0,
            root: rogatory::base::Digest::of(b""),
        })
    }

    /// Its knowledge at this moment.
    pub(crate) fn moment(&self, begins: i64, now: u64, peer: Option<Head>) -> Moment {
        Moment {
            instant: self.instant(now),
            clock: self.clock(begins, now),
            heads: std::iter::once(self.head()).chain(peer).collect(),
        }
    }
}
