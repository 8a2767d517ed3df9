//! From the network to the disk: the payload of one incoming exchange.
//!
//! Data streams are read by tasks, segments are hashed and written on blocking threads, one a stream, with two segments
//! between them; nothing else is buffered here, the rest waits in QUIC's windows.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::base::Digest;
use crate::base::Ranges;
use crate::base::limits;
use crate::net::inbox::Arrival;
use crate::net::station::Meter;
use crate::net::station::Station;
use crate::package::segments;
use crate::store::DiskFault;
use crate::store::Exchange;
use crate::store::Incoming;
use crate::store::ListFault;
use crate::store::ListPart;
use crate::store::SegmentFault;
use crate::transfer::Fault;
use crate::wire::DataHead;

/// Bytes must come at least this often, or the stream is given up.
const STALL: Duration = Duration::from_secs(30);
/// How long a payload waits for a place among those that are written.
const PLACE_WAIT: Duration = Duration::from_secs(20);

/// What a data stream has come to.
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
    },
    /// A large one.
    File {
        incoming: Arc<Incoming>,
        body: Digest,
        len: u64,
        _place: OwnedSemaphorePermit,
    },
}

/// The payload of one exchange, being received.
pub(crate) struct Intake {
    /// Segments that are there and right.
    pub(crate) have: Ranges,
    recorded: u64,
    listed: bool,
    place: Place,
    tasks: JoinSet<()>,
}

impl Intake {
    /// Makes ready to receive; opens the part file again if there is one.
    pub(crate) async fn open(
        station: &Arc<Station>,
        exchange: &Exchange,
    ) -> Result<Self, IntakeFault> {
        let (body, len, xid) = (exchange.body, exchange.len, exchange.xid);
        if exchange.inline {
            if !station.blobs.room_for(len) {
                return Err(DiskFault::Full {
                    path: "state directory".into(),
                }
                .into());
            }
            let place = Place::Memory {
                bytes: Arc::default(),
                body,
                len,
            };
            return Ok(Self {
                have: Ranges::empty(),
                recorded: 0,
                listed: false,
                place,
                tasks: JoinSet::new(),
            });
        }
        let places = Arc::clone(&station.writers).acquire_owned();
        let held = timeout(PLACE_WAIT, places)
            .await
            .ok()
            .and_then(Result::ok)
            .ok_or(IntakeFault::NoPlace)?;
        let (station, recorded) = (Arc::clone(station), exchange.have.clone());
        let opened = tokio::task::spawn_blocking(move || {
            let incoming = station.blobs.incoming(&xid, len)?;
            let have = incoming.held(&recorded)?;
            Ok::<_, DiskFault>((incoming, have))
        });
        let (incoming, have) = joined(opened.await)??;
        let listed = incoming.has_list();
        let place = Place::File {
            incoming: Arc::new(incoming),
            body,
            len,
            _place: held,
        };
        Ok(Self {
            recorded: have.len(),
            have,
            listed,
            place,
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
            (Place::Memory { bytes, body, len }, DataHead::Segments { first, .. }) => {
                self.tasks.spawn(small_payload(
                    stream,
                    first,
                    (Arc::clone(bytes), *body, *len),
                    meter,
                    to,
                ));
            }
            // A resumed exchange has its list already, and the sender could not know.
            (Place::File { .. }, DataHead::List { .. }) if self.listed => drop(stream),
            (Place::File { incoming, body, .. }, DataHead::List { .. }) => {
                self.tasks
                    .spawn(list(stream, Arc::clone(incoming), *body, to));
            }
            (Place::File { incoming, len, .. }, DataHead::Segments { first, .. }) => {
                self.tasks.spawn(payload(
                    stream,
                    first,
                    (Arc::clone(incoming), *len),
                    meter,
                    to,
                ));
            }
        }
    }

    /// The segments to record, if enough have come since the last time.
    pub(crate) fn due_progress(&mut self) -> Option<Ranges> {
        if matches!(self.place, Place::Memory { .. })
            || self.have.len() - self.recorded < limits::PROGRESS_SEGMENTS
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
    pub(crate) fn inline_bytes(&mut self) -> Option<Vec<u8>> {
        match &self.place {
            Place::Memory { bytes, .. } => bytes
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .clone(),
            Place::File { .. } => None,
        }
    }

    /// The attempt is over: flushes what was written and records it, so that the next goes on from there.
    pub(crate) async fn abandon(mut self, station: &Station, xid: crate::base::Xid) {
        self.tasks.shutdown().await;
        if matches!(self.place, Place::Memory { .. }) || self.have.len() == self.recorded {
            return;
        }
        let have = self.have.clone();
        if self.sync().await.is_ok() {
            // If it cannot be recorded, these segments are sent again.
            drop(
                station
                    .ledger
                    .commit(vec![crate::store::Op::Have { xid, have }])
                    .await,
            );
        }
    }

    /// Drops payload and list.
    pub(crate) async fn discard(
        mut self,
        station: &Arc<Station>,
        xid: crate::base::Xid,
    ) -> Result<(), IntakeFault> {
        self.tasks.shutdown().await;
        let station = Arc::clone(station);
        Ok(joined(
            tokio::task::spawn_blocking(move || station.blobs.remove(&xid)).await,
        )??)
    }
}

fn joined<T>(outcome: Result<T, tokio::task::JoinError>) -> Result<T, IntakeFault> {
    outcome.map_err(|e| IntakeFault::Thread(e.to_string()))
}

async fn tell(to: &mpsc::Sender<Taken>, what: Taken) {
    // An exchange that has ended does not listen any more.
    drop(to.send(what).await);
}

/// Reads the next bytes; `None` at the stream's end, `Err` with nothing to tell when the connection is gone.
async fn next_chunk(
    stream: &mut quinn::RecvStream,
    most: usize,
) -> Result<Option<bytes::Bytes>, Option<Fault>> {
    match timeout(STALL, stream.read_chunk(most, true)).await {
        Ok(Ok(Some(chunk))) => Ok(Some(chunk.bytes)),
        Ok(Ok(None)) => Ok(None),
        Ok(Err(_)) => Err(None),
        Err(_) => Err(Some(Fault::new(
            "data-stalled",
            format!("no bytes for {} s", STALL.as_secs()),
        ))),
    }
}

/// Reads a whole short stream.
async fn read_short(stream: &mut quinn::RecvStream, len: u64) -> Result<Vec<u8>, Option<Fault>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = next_chunk(stream, limits::FRAME_BYTES_MAX).await? {
        if (bytes.len() + chunk.len()) as u64 > len {
            return Err(Some(Fault::new(
                "wrong-length",
                format!("more than the {len} bytes that were announced"),
            )));
        }
        bytes.extend_from_slice(&chunk);
    }
    if (bytes.len() as u64) < len {
        return Err(Some(Fault::new(
            "wrong-length",
            format!("{} of the {len} bytes that were announced", bytes.len()),
        )));
    }
    Ok(bytes)
}

async fn small_list(mut stream: quinn::RecvStream, body: Digest, to: mpsc::Sender<Taken>) {
    match read_short(&mut stream, 32).await {
        Ok(hash) if hash == body.as_bytes() => tell(&to, Taken::Listed).await,
        Ok(_) => {
            tell(
                &to,
                Taken::Bad(Fault::new(
                    "wrong-root",
                    "the list of segment hashes has another root than was signed",
                )),
            )
            .await
        }
        Err(Some(fault)) => tell(&to, Taken::Bad(fault)).await,
        Err(None) => {}
    }
}

type Small = (Arc<std::sync::Mutex<Option<Vec<u8>>>>, Digest, u64);

async fn small_payload(
    mut stream: quinn::RecvStream,
    first: u64,
    (place, body, len): Small,
    meter: Arc<Meter>,
    to: mpsc::Sender<Taken>,
) {
    if first != 0 {
        return tell(
            &to,
            Taken::Bad(Fault::new(
                "segment-outside",
                format!("segment {first} is not within the payload"),
            )),
        )
        .await;
    }
    match read_short(&mut stream, len).await {
        Ok(bytes) if segments::segment_hash(&bytes) == body => {
            meter.add(len);
            *place
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(bytes);
            tell(&to, Taken::Segment(0)).await;
        }
        Ok(_) => {
            tell(
                &to,
                Taken::Bad(Fault::new(
                    "wrong-hash",
                    "segment 0 does not have the hash that was signed",
                )),
            )
            .await
        }
        Err(Some(fault)) => tell(&to, Taken::Bad(fault)).await,
        Err(None) => {}
    }
}

fn list_taken(fault: ListFault) -> Taken {
    match fault {
        ListFault::WrongCount { .. } => Taken::Bad(Fault::new("wrong-count", fault.to_string())),
        ListFault::WrongRoot { .. } => Taken::Bad(Fault::new("wrong-root", fault.to_string())),
        ListFault::Source(e) => Taken::Bad(Fault::new("list-cut", e.to_string())),
        ListFault::Disk(fault) => Taken::Failed(fault.into()),
    }
}

/// Takes the list of a large payload. Its pieces are small and written as they come.
async fn list(
    mut stream: quinn::RecvStream,
    incoming: Arc<Incoming>,
    body: Digest,
    to: mpsc::Sender<Taken>,
) {
    let mut part: ListPart = match incoming.begin_list() {
        Ok(part) => part,
        Err(fault) => return tell(&to, Taken::Failed(fault.into())).await,
    };
    loop {
        match next_chunk(&mut stream, limits::FRAME_BYTES_MAX).await {
            Ok(Some(chunk)) => {
                if let Err(fault) = part.push(&chunk) {
                    return tell(&to, list_taken(fault)).await;
                }
                tell(&to, Taken::Moved).await;
            }
            Ok(None) => break,
            Err(Some(fault)) => return tell(&to, Taken::Bad(fault)).await,
            Err(None) => return,
        }
    }
    let ended = tokio::task::spawn_blocking(move || incoming.end_list(part, &body)).await;
    match ended {
        Ok(Ok(())) => tell(&to, Taken::Listed).await,
        Ok(Err(fault)) => tell(&to, list_taken(fault)).await,
        Err(e) => tell(&to, Taken::Failed(IntakeFault::Thread(e.to_string()))).await,
    }
}

/// Takes segments of a large payload: this task fills one while a thread hashes and writes another.
async fn payload(
    mut stream: quinn::RecvStream,
    first: u64,
    (incoming, len): (Arc<Incoming>, u64),
    meter: Arc<Meter>,
    to: mpsc::Sender<Taken>,
) {
    let (full_to, full) = mpsc::channel::<(u64, Vec<u8>)>(1);
    let (empty_to, mut empty) = mpsc::channel::<Vec<u8>>(3);
    for _ in 0..2 {
        // The channel is empty and long enough.
        drop(empty_to.try_send(Vec::with_capacity(
            usize::try_from(limits::SEGMENT_BYTES).unwrap_or_default(),
        )));
    }
    let writer_to = to.clone();
    let writer =
        tokio::task::spawn_blocking(move || write_segments(&incoming, full, &empty_to, &writer_to));
    let total = segments::count(len);
    let mut segment = first;
    while let Some(mut buffer) = empty.recv().await {
        let wanted = if segment < total {
            segments::length_of(segment, len)
        } else {
            0
        };
        match fill(&mut stream, &mut buffer, wanted, &meter).await {
            Ok(true) => {}
            Ok(false) => break,
            Err(Some(fault)) => {
                tell(&to, Taken::Bad(fault)).await;
                break;
            }
            Err(None) => break,
        }
        if full_to.send((segment, buffer)).await.is_err() {
            break;
        }
        segment += 1;
    }
    drop(full_to);
    if let Err(e) = writer.await {
        tell(&to, Taken::Failed(IntakeFault::Thread(e.to_string()))).await;
    }
}

/// Fills a buffer with one segment; `false` where the stream ended before it.
async fn fill(
    stream: &mut quinn::RecvStream,
    buffer: &mut Vec<u8>,
    wanted: u64,
    meter: &Meter,
) -> Result<bool, Option<Fault>> {
    buffer.clear();
    while (buffer.len() as u64) < wanted {
        let most = usize::try_from(wanted).unwrap_or(usize::MAX) - buffer.len();
        match next_chunk(stream, most).await? {
            Some(chunk) => {
                meter.add(chunk.len() as u64);
                buffer.extend_from_slice(&chunk);
            }
            None if buffer.is_empty() => return Ok(false),
            None => return Err(Some(Fault::new("wrong-length", "a segment ended early"))),
        }
    }
    if wanted == 0 {
        return match next_chunk(stream, 1).await? {
            Some(_) => Err(Some(Fault::new(
                "segment-outside",
                "bytes came beyond the end of the payload",
            ))),
            None => Ok(false),
        };
    }
    Ok(true)
}

fn write_segments(
    incoming: &Incoming,
    mut full: mpsc::Receiver<(u64, Vec<u8>)>,
    empty: &mpsc::Sender<Vec<u8>>,
    to: &mpsc::Sender<Taken>,
) {
    while let Some((segment, buffer)) = full.blocking_recv() {
        let taken = match incoming.write_segment(segment, &buffer) {
            Ok(()) => Taken::Segment(segment),
            Err(SegmentFault::Io(fault)) => Taken::Failed(fault.into()),
            Err(fault @ SegmentFault::WrongHash(_)) => {
                Taken::Bad(Fault::new("wrong-hash", fault.to_string()))
            }
            Err(fault @ SegmentFault::OutOfRange(_)) => {
                Taken::Bad(Fault::new("segment-outside", fault.to_string()))
            }
            Err(fault @ SegmentFault::WrongLength { .. }) => {
                Taken::Bad(Fault::new("wrong-length", fault.to_string()))
            }
            Err(fault @ SegmentFault::NoList) => {
                Taken::Bad(Fault::new("no-list", fault.to_string()))
            }
            Err(fault @ SegmentFault::Complete) => {
                Taken::Bad(Fault::new("already-complete", fault.to_string()))
            }
        };
        let last = !matches!(taken, Taken::Segment(_));
        if to.blocking_send(taken).is_err() || last {
            return;
        }
        // The reader of the stream may have ended; then nobody needs the buffer.
        drop(empty.try_send(buffer));
    }
}
