//! Reading data streams: lists and segments, each byte counted against what was announced.

use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::base::{Digest, len_u64, limits};
use crate::net::delivery::intake::{IntakeFault, PartFile, Taken};
use crate::net::session::meter::Meter;
use crate::package::segments;
use crate::store::{Block, IncomingPayload, ListFault, ListPart, SegmentFault};
use crate::transfer::Fault;

/// Bytes must come at least this often, or the stream is given up.
const STALL: Duration = Duration::from_secs(30);

async fn tell(to: &mpsc::Sender<Taken>, what: Taken) {
    // An exchange that has ended does not listen any more.
    drop(to.send(what).await);
}

/// Packets that are taken off a stream at once.
const BATCH: usize = 32;

/// The bytes of a stream as they come, many packets at a time: a timer for each would cost a fifth of the receiver's
/// work.
struct Chunks {
    stream: quinn::RecvStream,
    batch: Vec<Bytes>,
    /// Those of the batch that were not given out yet.
    left: Range<usize>,
}

impl Chunks {
    fn new(stream: quinn::RecvStream) -> Self {
        Self {
            stream,
            batch: vec![Bytes::new(); BATCH],
            left: 0..0,
        }
    }

    /// The next bytes, at most so many; `None` at the stream's end, `Err` with nothing to tell when the connection is
    /// gone.
    async fn next(&mut self, most: usize) -> Result<Option<Bytes>, Option<Fault>> {
        if self.left.is_empty() {
            match timeout(STALL, self.stream.read_chunks(&mut self.batch)).await {
                Ok(Ok(Some(count))) => self.left = 0..count,
                Ok(Ok(None)) => return Ok(None),
                Ok(Err(_)) => return Err(None),
                Err(_) => {
                    let text = format!("no bytes for {} s", STALL.as_secs());
                    return Err(Some(Fault::new("data-stalled", text)));
                }
            }
        }
        let Some(first) = self.batch.get_mut(self.left.start) else {
            return Ok(None);
        };
        if first.len() > most {
            return Ok(Some(first.split_to(most)));
        }
        self.left.start = self.left.start.saturating_add(1);
        Ok(Some(std::mem::take(first)))
    }
}

/// Reads a whole short stream.
async fn read_short(stream: quinn::RecvStream, len: u64) -> Result<Vec<u8>, Option<Fault>> {
    let mut chunks = Chunks::new(stream);
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.next(limits::FRAME_BYTES_MAX).await? {
        let room = len.checked_sub(len_u64(bytes.len()));
        if room.is_none_or(|room| len_u64(chunk.len()) > room) {
            return Err(Some(Fault::new(
                "wrong-length",
                format!("more than the {len} bytes that were announced"),
            )));
        }
        bytes.extend_from_slice(&chunk);
    }
    if len_u64(bytes.len()) < len {
        return Err(Some(Fault::new(
            "wrong-length",
            format!("{} of the {len} bytes that were announced", bytes.len()),
        )));
    }
    Ok(bytes)
}

pub(crate) async fn small_list(stream: quinn::RecvStream, body: Digest, to: mpsc::Sender<Taken>) {
    match read_short(stream, 32).await {
        Ok(hash) if hash == body.as_bytes() => tell(&to, Taken::Listed).await,
        Ok(_) => {
            tell(
                &to,
                Taken::Bad(Fault::new(
                    "wrong-root",
                    "the list of segment hashes has another root than was signed",
                )),
            )
            .await;
        }
        Err(Some(fault)) => tell(&to, Taken::Bad(fault)).await,
        Err(None) => {}
    }
}

type Small = (Arc<Mutex<Option<Vec<u8>>>>, Digest, u64);

pub(crate) async fn small_payload(
    stream: quinn::RecvStream,
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
    match read_short(stream, len).await {
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
            .await;
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

/// Takes the list of a large payload. Its pieces are small and written as they come. A list that comes while another is
/// taken waits for that one, and is dropped if that one is right.
pub(crate) async fn list(
    stream: quinn::RecvStream,
    part: Arc<PartFile>,
    body: Digest,
    to: mpsc::Sender<Taken>,
) {
    let _one_at_a_time = part.lists.lock().await;
    if part.has_list() {
        return;
    }
    let incoming = Arc::clone(&part);
    let mut pieces: ListPart = match incoming.begin_list() {
        Ok(part) => part,
        Err(fault) => return tell(&to, Taken::Failed(fault.into())).await,
    };
    let mut chunks = Chunks::new(stream);
    loop {
        match chunks.next(limits::FRAME_BYTES_MAX).await {
            Ok(Some(chunk)) => {
                if let Err(fault) = pieces.push(&chunk) {
                    return tell(&to, list_taken(fault)).await;
                }
                tell(&to, Taken::Moved).await;
            }
            Ok(None) => break,
            Err(Some(fault)) => return tell(&to, Taken::Bad(fault)).await,
            Err(None) => return,
        }
    }
    let ended = tokio::task::spawn_blocking(move || incoming.end_list(pieces, &body)).await;
    match ended {
        Ok(Ok(())) => tell(&to, Taken::Listed).await,
        Ok(Err(fault)) => tell(&to, list_taken(fault)).await,
        Err(e) => tell(&to, Taken::Failed(IntakeFault::Thread(e.to_string()))).await,
    }
}

/// Takes segments of a large payload: this task fills one while a thread hashes and writes another.
pub(crate) async fn payload(
    stream: quinn::RecvStream,
    first: u64,
    (incoming, len): (Arc<PartFile>, u64),
    meter: Arc<Meter>,
    to: mpsc::Sender<Taken>,
) {
    let (full_to, full) = mpsc::channel::<(u64, Block)>(1);
    let (empty_to, mut empty) = mpsc::channel::<Block>(3);
    for _ in 0..2 {
        // The channel is empty and long enough.
        drop(empty_to.try_send(Block::new(
            usize::try_from(limits::SEGMENT_BYTES).unwrap_or_default(),
        )));
    }
    let writer_to = to.clone();
    let writer =
        tokio::task::spawn_blocking(move || write_segments(&incoming, full, &empty_to, &writer_to));
    let total = segments::count(len);
    let mut segment = first;
    let mut chunks = Chunks::new(stream);
    while let Some(mut buffer) = empty.recv().await {
        let wanted = if segment < total {
            segments::length_of(segment, len)
        } else {
            0
        };
        match fill(&mut chunks, &mut buffer, wanted, &meter).await {
            Ok(true) => {}
            Err(Some(fault)) => {
                tell(&to, Taken::Bad(fault)).await;
                break;
            }
            Ok(false) | Err(None) => break,
        }
        if full_to.send((segment, buffer)).await.is_err() {
            break;
        }
        segment = segment.saturating_add(1);
    }
    drop(full_to);
    if let Err(e) = writer.await {
        tell(&to, Taken::Failed(IntakeFault::Thread(e.to_string()))).await;
    }
}

/// Fills a buffer with one segment; `false` where the stream ended before it.
async fn fill(
    chunks: &mut Chunks,
    buffer: &mut Block,
    wanted: u64,
    meter: &Meter,
) -> Result<bool, Option<Fault>> {
    buffer.clear();
    let whole = usize::try_from(wanted).unwrap_or(usize::MAX);
    while buffer.len() < whole {
        let most = whole.saturating_sub(buffer.len());
        match chunks.next(most).await? {
            Some(chunk) => {
                let length = len_u64(chunk.len());
                meter.pass(length).await;
                meter.add(length);
                // No chunk is longer than what the segment lacks.
                buffer.fill(&chunk);
            }
            None if buffer.is_empty() => return Ok(false),
            None => return Err(Some(Fault::new("wrong-length", "a segment ended early"))),
        }
    }
    if wanted == 0 {
        return match chunks.next(1).await? {
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
    incoming: &IncomingPayload,
    mut full: mpsc::Receiver<(u64, Block)>,
    empty: &mpsc::Sender<Block>,
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
