//! Putting payload on the wire: the list of segment hashes, runs of segments.

use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use quinn::WriteError;
use tokio::sync::mpsc;

use crate::base::{Range, Xid, len_u64, limits};
use crate::net::session::Session;
use crate::net::session::meter::Meter;
use crate::net::session::station::Station;
use crate::wire::DataHead;

/// Where payload bytes come from.
pub(crate) struct Payload {
    pub(crate) xid: Xid,
    pub(crate) len: u64,
    pub(crate) inline: Option<Bytes>,
    /// Goes before what is not.
    pub(crate) urgent: bool,
    pub(crate) meter: Arc<Meter>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum PayloadPart {
    List,
    Segments(Range),
}

pub(crate) async fn send_part(
    session: &Session,
    payload: &Payload,
    part: PayloadPart,
    moved: &mpsc::Sender<()>,
) -> io::Result<()> {
    let reset = |e: String| io::Error::new(io::ErrorKind::ConnectionReset, e);
    // A receiver may ask for a thousand runs and read none of them: what is read ahead is bounded.
    let _place = match part {
        _ if payload.urgent || payload.inline.is_some() => None,
        PayloadPart::List => session.share.list().await,
        PayloadPart::Segments(_) => session.share.reader().await,
    };
    let mut stream = session
        .link
        .connection
        .open_uni()
        .await
        .map_err(|e| reset(e.to_string()))?;
    let (head, urgency) = match part {
        PayloadPart::List => (DataHead::List { xid: payload.xid }, 1),
        PayloadPart::Segments(run) => (
            DataHead::Segments {
                xid: payload.xid,
                first: run.first,
            },
            0,
        ),
    };
    // Small and large streams share a connection: lists and small payloads go first.
    let urgency = if payload.inline.is_some() { 1 } else { urgency };
    let urgency = i32::saturating_add(urgency, if payload.urgent { 2 } else { 0 });
    drop(stream.set_priority(urgency));
    if let Err(e) = stream.write_all(&head.encode()).await {
        return unless_stopped(e);
    }
    let mut pieces = pieces(&session.station, payload, part)?;
    while let Some(piece) = pieces.recv().await {
        let mut piece = piece?;
        while !piece.is_empty() {
            let slice = piece.split_to(piece.len().min(payload.meter.piece()));
            let length = len_u64(slice.len());
            payload.meter.pass(length).await;
            if let Err(e) = stream.write_chunk(slice).await {
                return unless_stopped(e);
            }
            if matches!(part, PayloadPart::Segments(_)) {
                payload.meter.add(length);
            }
            // A full queue already tells the machine that bytes move.
            moved.try_send(()).unwrap_or_default();
        }
    }
    drop(stream.finish());
    // The stream's end must be taken before its task may be dropped.
    drop(stream.stopped().await);
    Ok(())
}

/// A receiver that stops a stream has what it carries: after a resumption the list, or a small payload. The exchange
/// goes on.
fn unless_stopped(e: WriteError) -> io::Result<()> {
    match e {
        WriteError::Stopped(_) => Ok(()),
        WriteError::ConnectionLost(_) | WriteError::ClosedStream | WriteError::ZeroRttRejected => {
            Err(io::Error::new(io::ErrorKind::ConnectionReset, e))
        }
    }
}

/// The bytes of a part, read ahead on a thread of its own for payloads that are files.
fn pieces(
    station: &Station,
    payload: &Payload,
    part: PayloadPart,
) -> io::Result<mpsc::Receiver<io::Result<Bytes>>> {
    let (to, from) = mpsc::channel(2);
    if let Some(inline) = &payload.inline {
        let bytes = match part {
            PayloadPart::List => {
                Bytes::copy_from_slice(crate::package::segments::segment_hash(inline).as_bytes())
            }
            PayloadPart::Segments(_) => inline.clone(),
        };
        // The channel is empty.
        drop(to.try_send(Ok(bytes)));
        return Ok(from);
    }
    match part {
        PayloadPart::List => {
            let file = station.blobs.list(&payload.xid)?;
            let length = file.metadata()?.len();
            tokio::task::spawn_blocking(move || {
                read_ahead((0, length), &to, |at, piece| {
                    let mut bytes = vec![0; piece];
                    file.read_exact_at(&mut bytes, at)?;
                    Ok(bytes.into())
                });
            });
        }
        PayloadPart::Segments(run) => {
            let start = run
                .first
                .saturating_mul(limits::SEGMENT_BYTES)
                .min(payload.len);
            let end = run
                .end()
                .saturating_mul(limits::SEGMENT_BYTES)
                .min(payload.len);
            let file = station.blobs.long_payload(&payload.xid)?;
            tokio::task::spawn_blocking(move || {
                read_ahead((start, end), &to, |at, piece| {
                    Ok(Bytes::from_owner(file.read_exact_at(piece, at)?))
                });
            });
        }
    }
    Ok(from)
}

/// Reads the bytes from here to there, piece by piece, until nobody wants more or the disk fails.
fn read_ahead(
    (mut at, end): (u64, u64),
    to: &mpsc::Sender<io::Result<Bytes>>,
    read: impl Fn(u64, usize) -> io::Result<Bytes>,
) {
    while at < end {
        let length = PIECE_BYTES.min(end.saturating_sub(at));
        let piece = read(at, usize::try_from(length).unwrap_or_default());
        at = at.saturating_add(length);
        let failed = piece.is_err();
        if to.blocking_send(piece).is_err() || failed {
            return;
        }
    }
}

/// Bytes read and put on the wire at a time.
const PIECE_BYTES: u64 = 256 << 10;

#[cfg(test)]
mod tests {
    use quinn::ConnectionError;

    use super::*;

    #[test]
    fn only_a_lost_connection_ends_the_attempt() {
        for (fault, goes_on) in [
            (WriteError::Stopped(0_u32.into()), true),
            (WriteError::ConnectionLost(ConnectionError::TimedOut), false),
            (WriteError::ClosedStream, false),
        ] {
            assert_eq!(unless_stopped(fault.clone()).is_ok(), goes_on, "{fault}");
        }
    }
}
