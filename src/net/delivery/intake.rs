//! From the network to the disk: the payload of one incoming exchange.
//!
//! Data streams are read by tasks, segments are hashed and written on blocking threads, one a stream, with two segments
//! between them; nothing else is buffered here, the rest waits in QUIC's windows.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::base::{Digest, Ranges, Xid, limits};
use crate::net::delivery::datastream::{list, payload, small_list, small_payload};
use crate::net::session::Attempt;
use crate::net::session::inbox::Arrival;
use crate::net::session::meter::Meter;
use crate::net::session::share::Share;
use crate::net::session::station::{Hold, Station};
use crate::store::{DiskFault, Exchange, IncomingPayload, Op, SegmentFault};
use crate::transfer::Fault;
use crate::wire::DataHead;

/// The result of reading a data stream.
#[derive(Debug)]
pub(crate) enum Taken {
    /// The list is durable and right.
    Listed,
    /// A segment is written and right.
    Segment(u64),
    /// Bytes move.
    Moved,
    /// The sender sent what it must not.
    Bad(Fault),
    /// The disk refused.
    Failed(IntakeFault),
}

/// Why a payload cannot be taken now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IntakeFault {
    #[error(transparent)]
    Disk(#[from] DiskFault),
    #[error("too many payloads are being received at once")]
    NoPlace,
    #[error("{0}")]
    Thread(String),
}

impl IntakeFault {
    /// Whether another attempt may find room.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Self::Disk(DiskFault::Full { .. }) | Self::NoPlace)
    }

    /// Whether the store can no longer be trusted.
    pub(crate) fn is_broken(&self) -> bool {
        matches!(self, Self::Disk(DiskFault::Broken { .. }))
    }
}

enum Place {
    /// A small payload, which becomes durable with its receipt.
    Memory {
        bytes: Arc<std::sync::Mutex<Option<Vec<u8>>>>,
        body: Digest,
        len: u64,
        _place: OwnedSemaphorePermit,
    },
    /// A large one.
    File {
        incoming: Arc<PartFile>,
        body: Digest,
        len: u64,
        _place: OwnedSemaphorePermit,
    },
}

/// A part file, kept from the exchange's next attempt for as long as anything works on it.
pub(crate) struct PartFile {
    incoming: IncomingPayload,
    /// One list at a time: each is written under the same name until it is whole.
    pub(crate) lists: tokio::sync::Mutex<()>,
    _held: Hold,
}

impl std::ops::Deref for PartFile {
    type Target = IncomingPayload;

    fn deref(&self) -> &IncomingPayload {
        &self.incoming
    }
}

/// The payload of one exchange, being received.
pub(crate) struct Intake {
    /// Segments that are there and right.
    pub(crate) have: Ranges,
    recorded: u64,
    listed: bool,
    place: Place,
    /// Streams with payload that are read at once.
    reads: Arc<Semaphore>,
    tasks: JoinSet<()>,
}

impl Intake {
    /// Makes ready to receive; opens the part file again if there is one.
    pub(crate) async fn open(
        station: &Arc<Station>,
        share: &Share,
        exchange: &Exchange,
        kept: Hold,
    ) -> Result<Self, IntakeFault> {
        let (body, len, xid) = (exchange.body, exchange.len, exchange.xid);
        let reads = usize::try_from(limits::EXCHANGE_READS_MAX).unwrap_or(1);
        let reads = Arc::new(Semaphore::new(reads));
        if exchange.inline {
            if !station.blobs.room_for(len) {
                return Err(DiskFault::Full {
                    path: "state directory".into(),
                }
                .into());
            }
            let held = share.memory(len).await.ok_or(IntakeFault::NoPlace)?;
            let place = Place::Memory {
                bytes: Arc::default(),
                body,
                len,
                _place: held,
            };
            return Ok(Self {
                have: Ranges::empty(),
                recorded: 0,
                listed: false,
                place,
                reads,
                tasks: JoinSet::new(),
            });
        }
        let held = share.writer().await.ok_or(IntakeFault::NoPlace)?;
        let (station, recorded) = (Arc::clone(station), exchange.have.clone());
        let opened = tokio::task::spawn_blocking(move || {
            let incoming = station.blobs.incoming(&xid, len)?;
            let have = incoming.held(&recorded)?;
            let part = PartFile {
                incoming,
                lists: tokio::sync::Mutex::default(),
                _held: kept,
            };
            Ok::<_, DiskFault>((part, have))
        });
        let (part, have) = joined(opened.await)??;
        let listed = part.has_list();
        let place = Place::File {
            incoming: Arc::new(part),
            body,
            len,
            _place: held,
        };
        Ok(Self {
            recorded: have.len(),
            have,
            listed,
            place,
            reads,
            tasks: JoinSet::new(),
        })
    }

    /// Whether the list of segment hashes is here.
    pub(crate) fn listed(&self) -> bool {
        self.listed
    }

    /// The list has come.
    pub(crate) fn set_listed(&mut self) {
        self.listed = true;
    }

    /// Reads a data stream of this exchange.
    pub(crate) fn take(&mut self, arrival: Arrival, meter: Arc<Meter>, to: mpsc::Sender<Taken>) {
        let Arrival { head, stream } = arrival;
        match (&self.place, head) {
            (Place::Memory { body, .. }, DataHead::List { .. }) => {
                self.tasks.spawn(small_list(stream, *body, to));
            }
            (
                Place::Memory {
                    bytes, body, len, ..
                },
                DataHead::Segments { first, .. },
            ) => {
                let place = (Arc::clone(bytes), *body, *len);
                let read = small_payload(stream, first, place, meter, to);
                // One after the other: each takes as much memory as the payload has bytes.
                let reads = Arc::clone(&self.reads);
                let all = limits::EXCHANGE_READS_MAX;
                self.tasks.spawn(async move {
                    let _turn = reads.acquire_many(all).await;
                    read.await;
                });
            }
            // A resumed exchange has its list already, and the sender could not know.
            (Place::File { .. }, DataHead::List { .. }) if self.listed => drop(stream),
            (Place::File { incoming, body, .. }, DataHead::List { .. }) => {
                self.tasks
                    .spawn(list(stream, Arc::clone(incoming), *body, to));
            }
            (Place::File { incoming, len, .. }, DataHead::Segments { first, .. }) => {
                let read = payload(stream, first, (Arc::clone(incoming), *len), meter, to);
                let reads = Arc::clone(&self.reads);
                self.tasks.spawn(async move {
                    let _turn = reads.acquire().await;
                    read.await;
                });
            }
        }
    }

    /// The segments to record, if enough have come since the last time.
    pub(crate) fn due_progress(&mut self) -> Option<Ranges> {
        if matches!(self.place, Place::Memory { .. })
            || self.have.len().saturating_sub(self.recorded) < limits::PROGRESS_SEGMENTS
        {
            return None;
        }
        self.recorded = self.have.len();
        Some(self.have.clone())
    }

    /// Flushes what was written; a future that owns what it needs, so that the exchange goes on meanwhile.
    pub(crate) fn sync(&self) -> impl Future<Output = Result<(), IntakeFault>> + Send + 'static {
        let incoming = match &self.place {
            Place::Memory { .. } => None,
            Place::File { incoming, .. } => Some(Arc::clone(incoming)),
        };
        async move {
            let Some(incoming) = incoming else {
                return Ok(());
            };
            Ok(joined(
                tokio::task::spawn_blocking(move || incoming.sync()).await,
            )??)
        }
    }

    /// All is there: makes payload and list durable.
    pub(crate) async fn settle(&mut self) -> Result<(), IntakeFault> {
        self.tasks.abort_all();
        let Place::File { incoming, .. } = &self.place else {
            return Ok(());
        };
        let incoming = Arc::clone(incoming);
        match joined(tokio::task::spawn_blocking(move || incoming.finish()).await)? {
            Ok(()) | Err(SegmentFault::Complete) => Ok(()),
            Err(SegmentFault::Io(fault)) => Err(fault.into()),
            Err(other) => Err(IntakeFault::Thread(other.to_string())),
        }
    }

    /// The bytes of a small payload, to be committed with its receipt.
    pub(crate) fn inline_bytes(&self) -> Option<Vec<u8>> {
        match &self.place {
            Place::Memory { bytes, .. } => bytes
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .clone(),
            Place::File { .. } => None,
        }
    }

    /// The attempt is over: flushes what was written and records it, so that the next goes on from there.
    pub(crate) async fn abandon(mut self, station: &Arc<Station>, xid: Xid, kept: Hold) {
        self.tasks.shutdown().await;
        if matches!(self.place, Place::Memory { .. }) || self.have.len() == self.recorded {
            return;
        }
        let have = self.have.clone();
        // If it cannot be recorded, these segments are sent again.
        drop(flush(self.sync(), Arc::clone(station), (xid, have), kept).await);
    }

    /// Drops payload and list.
    pub(crate) async fn discard(
        mut self,
        station: &Arc<Station>,
        xid: Xid,
        kept: Hold,
    ) -> Result<(), IntakeFault> {
        self.tasks.shutdown().await;
        discard_payload(station, xid, kept).await
    }
}

/// Drops payload and list of an exchange that is no longer received.
pub(crate) async fn discard_payload(
    station: &Arc<Station>,
    xid: Xid,
    kept: Hold,
) -> Result<(), IntakeFault> {
    let station = Arc::clone(station);
    let removed = tokio::task::spawn_blocking(move || {
        let removed = station.blobs.remove(&xid);
        drop(kept);
        removed
    });
    Ok(joined(removed.await)??)
}

/// Makes segments durable, then records them: a kill before that makes the sender send them again.
pub(crate) async fn flush(
    sync: impl Future<Output = Result<(), IntakeFault>>,
    station: Arc<Station>,
    (xid, have): (Xid, Ranges),
    kept: Hold,
) -> Result<(), Attempt> {
    sync.await.map_err(|e| intake_fault(&e))?;
    let ops = vec![Op::Have { xid, have }];
    station.ledger.commit_holding(ops, kept).await?;
    Ok(())
}

/// The error that ends the attempt because of it.
pub(crate) fn intake_fault(e: &IntakeFault) -> Attempt {
    if e.is_broken() {
        Attempt::Broken(e.to_string())
    } else {
        Attempt::Local(Fault::new("payload-unwritable", e.to_string()))
    }
}

fn joined<T>(outcome: Result<T, tokio::task::JoinError>) -> Result<T, IntakeFault> {
    outcome.map_err(|e| IntakeFault::Thread(e.to_string()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::base::Timestamp;
    use crate::exchange::{Direction, Phase};
    use crate::identity::keys::{KeyName, Role, SecretKey};
    use crate::policy::PolicySet;
    use crate::store::{Blobs, Ledger};
    use crate::transfer::Own;

    fn station(folder: &std::path::Path) -> Arc<Station> {
        let id: crate::base::AuthorityId = "mla.example.ie".parse().unwrap();
        let key = |role| SecretKey::from_seed(KeyName::new(id.clone(), role), &[3; 32]);
        let own = Own {
            id: id.clone(),
            keys: crate::receipt::OwnKeys::new(1, key(Role::Receipts)),
            policy: PolicySet::new(None),
            clock_uncertainty_ms: 50,
            package_max: 1 << 30,
        };
        let ledger = Ledger::open(folder, key(Role::Log)).unwrap();
        let blobs = Blobs::open(folder, 0).unwrap();
        Arc::new(Station::new(own, ledger, blobs, None, 1))
    }

    fn exchange(xid: Xid) -> Exchange {
        let now = Timestamp::from_millis(1_000);
        Exchange {
            xid,
            direction: Direction::In,
            peer: "bfj.example.de".parse().unwrap(),
            phase: Phase::Receiving,
            created: now,
            updated: now,
            body: Digest::of(b"body"),
            hdr: Digest::of(b"header"),
            len: 2 * limits::SEGMENT_BYTES,
            segments: 2,
            terms: "{}".to_owned(),
            case_ref: None,
            request_ref: None,
            title: None,
            items: 0,
            disclosures: Vec::new(),
            have: Ranges::empty(),
            inline: false,
            attempts: 0,
            next_try: None,
            fault: None,
            last_note: Vec::new(),
            steps: 1,
            urgent: false,
        }
    }

    /// A connection that breaks drops its tasks, but a thread that names or flushes a file goes on to its end.
    #[tokio::test]
    async fn an_exchange_is_not_free_while_a_thread_works_on_its_files() {
        let dir = tempfile::tempdir().unwrap();
        let station = station(dir.path());
        let xid = Xid::from_bytes([7; 16]);
        let turn = station.take_over(xid).await;
        let share = station.share(&exchange(xid).peer);
        let intake = Intake::open(&station, &share, &exchange(xid), turn.held()).await;
        let intake = intake.unwrap();
        let Place::File { incoming, .. } = &intake.place else {
            panic!("a large payload is a file");
        };
        let thread = Arc::clone(incoming);
        drop((turn, intake));
        let next = station.take_over(xid);
        tokio::pin!(next);
        let soon = timeout(Duration::from_millis(100), &mut next).await;
        assert!(soon.is_err(), "the thread still works");
        drop(thread);
        let turn = timeout(Duration::from_secs(20), next).await;
        assert!(turn.is_ok(), "the thread has ended");
    }

    /// Nor is it while a commit is under way: it may name the complete payload, which an attempt that did not see it
    /// would take back for a part.
    #[tokio::test]
    async fn an_exchange_is_not_free_before_its_last_commit_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let station = station(dir.path());
        let exchange = exchange(Xid::from_bytes([7; 16]));
        let xid = exchange.xid;
        let turn = station.take_over(xid).await;
        // Somebody else writes: the ledger has to wait.
        let other = rusqlite::Connection::open(dir.path().join("ledger.db")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let ops = vec![Op::Open(Box::new(exchange))];
        let commit = station.ledger.commit_holding(ops, turn.held());
        let soon = timeout(Duration::from_millis(100), commit).await;
        assert!(soon.is_err(), "it is under way");
        drop(turn);
        let next = station.take_over(xid);
        tokio::pin!(next);
        let soon = timeout(Duration::from_millis(100), &mut next).await;
        assert!(soon.is_err(), "nobody waits for it, but it will be made");
        other.execute_batch("ROLLBACK").unwrap();
        let turn = timeout(Duration::from_secs(20), next).await;
        assert!(turn.is_ok(), "it is made");
        let seen = station.ledger.exchange(&xid).await.unwrap();
        assert!(seen.is_some(), "and the next attempt sees it");
    }
}
