//! Bodies: up from a thread that writes, down to a thread that reads, each through a bounded channel.

use std::fmt;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::SendRequest;
use tokio::sync::{mpsc, watch};

use crate::api::client::CallFault;
use crate::base::len_u64;

/// Bytes gathered before they are handed to the connection.
const PIECE_BYTES: usize = 256 << 10;
/// Pieces in flight between the two sides.
const PIECES_MAX: usize = 4;

/// A piece of a body, or its true end: a channel that just closes means that the writer gave up.
pub(super) enum Piece {
    Bytes(Bytes),
    End,
}

/// The body of a request.
pub(super) enum Outgoing {
    Once(Option<Bytes>),
    Pieces(mpsc::Receiver<Piece>),
    Ended,
}

impl Outgoing {
    pub(super) const fn empty() -> Self {
        Self::Once(None)
    }

    pub(super) fn once(bytes: Vec<u8>) -> Self {
        Self::Once(Some(bytes.into()))
    }

    pub(super) const fn content_type(&self) -> &'static str {
        match self {
            Self::Once(_) | Self::Ended => "application/json",
            Self::Pieces(_) => "application/octet-stream",
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut *self {
            Self::Once(bytes) => Poll::Ready(bytes.take().map(Frame::data).map(Ok)),
            Self::Ended => Poll::Ready(None),
            Self::Pieces(from) => match from.poll_recv(context) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Some(Piece::Bytes(bytes))) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Poll::Ready(Some(Piece::End)) => {
                    *self = Self::Ended;
                    Poll::Ready(None)
                }
                Poll::Ready(None) => {
                    *self = Self::Ended;
                    let fault = "its writer stopped before the end";
                    Poll::Ready(Some(Err(io::Error::other(fault))))
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Once(None) | Self::Ended)
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Once(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |b| len_u64(b.len())))
            }
            Self::Ended => SizeHint::with_exact(0),
            Self::Pieces(_) => SizeHint::default(),
        }
    }
}

/// The end of an upload that the connection reads.
pub struct Upload(mpsc::Receiver<Piece>);

impl Upload {
    pub(super) fn into_body(self) -> Outgoing {
        Outgoing::Pieces(self.0)
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upload")
    }
}

/// The end of an upload that a thread outside the runtime writes.
/// Dropped without [`UploadWriter::finish`], it makes the request fail: half a package never looks whole.
pub struct UploadWriter {
    to: mpsc::Sender<Piece>,
    pending: BytesMut,
}

/// A new upload: at most about 1 MiB is between its two ends.
pub fn upload() -> (UploadWriter, Upload) {
    let (to, from) = mpsc::channel(PIECES_MAX);
    let pending = BytesMut::with_capacity(PIECE_BYTES);
    (UploadWriter { to, pending }, Upload(from))
}

impl UploadWriter {
    /// Sends what is left and the end of the body.
    pub fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.hand_over(Piece::End)
    }

    /// Whether the other end is gone: then the answer to the request says why.
    pub fn is_refused(&self) -> bool {
        self.to.is_closed()
    }

    fn hand_over(&self, piece: Piece) -> io::Result<()> {
        self.to.blocking_send(piece).map_err(|_| {
            io::Error::new(
                io::ErrorKind::BrokenPipe,
                "the daemon no longer takes the package",
            )
        })
    }
}

impl Write for UploadWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = PIECE_BYTES.saturating_sub(self.pending.len());
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.pending.extend_from_slice(taken);
        if self.pending.len() >= PIECE_BYTES {
            self.flush()?;
            self.pending.reserve(PIECE_BYTES);
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let piece = self.pending.split().freeze();
        self.hand_over(Piece::Bytes(piece))
    }
}

impl fmt::Debug for UploadWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UploadWriter({} pending)", self.pending.len())
    }
}

/// Says when reading is to stop. Clones say the same.
#[derive(Debug, Clone)]
pub struct StopSign(watch::Receiver<bool>);

impl StopSign {
    /// Returns the sender that says so, and the `StopSign` that hears it.
    pub fn new() -> (watch::Sender<bool>, Self) {
        let (say, hear) = watch::channel(false);
        (say, Self(hear))
    }

    /// Returns when it was said.
    pub async fn asked(&self) {
        let mut hear = self.0.clone();
        if hear.wait_for(|stop| *stop).await.is_err() {
            // Nobody can say so any more.
            std::future::pending::<()>().await;
        }
    }
}

/// An answer that is read while it comes.
pub struct Download {
    body: Incoming,
    // Dropping it would close the connection under the body.
    _connection: SendRequest<Outgoing>,
}

impl Download {
    pub(super) const fn new(body: Incoming, connection: SendRequest<Outgoing>) -> Self {
        Self {
            body,
            _connection: connection,
        }
    }

    /// How many bytes are still to come, where the daemon said so.
    pub fn remaining(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    /// The next piece; `None` at the true end of the answer.
    pub async fn next(&mut self) -> Result<Option<Bytes>, CallFault> {
        loop {
            let frame = match self.body.frame().await {
                None => return Ok(None),
                Some(Err(e)) => return Err(CallFault::Broken(e.to_string())),
                Some(Ok(frame)) => frame,
            };
            if let Ok(bytes) = frame.into_data() {
                return Ok(Some(bytes));
            }
        }
    }

    /// Hands the answer to a thread outside the runtime; it breaks off when `stop` says so. Must be called inside the
    /// runtime.
    pub fn into_reader(mut self, stop: StopSign) -> DownloadReader {
        let (to, from) = mpsc::channel(PIECES_MAX);
        tokio::spawn(async move {
            loop {
                let next = tokio::select! {
                    next = self.next() => next,
                    () = stop.asked() => Err(CallFault::Broken("it was stopped".to_owned())),
                };
                let (piece, last) = match next {
                    Ok(Some(bytes)) => (Ok(Piece::Bytes(bytes)), false),
                    Ok(None) => (Ok(Piece::End), true),
                    Err(fault) => (Err(fault.to_string()), true),
                };
                if to.send(piece).await.is_err() || last {
                    return;
                }
            }
        });
        DownloadReader {
            from,
            current: Bytes::new(),
            ended: false,
        }
    }
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Download")
    }
}

/// The end of a download that a thread outside the runtime reads. An answer that breaks off is an error, never an end.
pub struct DownloadReader {
    from: mpsc::Receiver<Result<Piece, String>>,
    current: Bytes,
    ended: bool,
}

impl Read for DownloadReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.ended {
            match self.from.blocking_recv() {
                Some(Ok(Piece::Bytes(bytes))) => self.current = bytes,
                Some(Ok(Piece::End)) => self.ended = true,
                Some(Err(fault)) => return Err(io::Error::other(fault)),
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        (&mut self.current).reader().read(into)
    }
}

impl fmt::Debug for DownloadReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DownloadReader")
    }
}
