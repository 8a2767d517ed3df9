//! Frames and data heads on QUIC streams, each with its limit and its time.

use std::time::Duration;

use quinn::{
    ConnectionError, ReadError, ReadExactError, RecvStream, SendStream, VarInt, WriteError,
};

use crate::wire::{DataHead, Frame, HEAD_BYTES, WireFault};

/// From the first to the last byte of a frame, in either direction.
pub const FRAME_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a frame could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameFault {
    /// The peer sent, or we were about to send, what is no frame.
    #[error(transparent)]
    Wire(#[from] WireFault),
    /// The stream ended in the middle of a frame.
    #[error("the peer ended the stream in the middle of a frame")]
    Truncated,
    /// A frame took longer than its time.
    #[error("a frame took more than {} s", FRAME_TIMEOUT.as_secs())]
    Slow,
    /// The peer gave up sending or receiving on this stream.
    #[error("the peer gave the stream up with code {0}")]
    Abandoned(u64),
    /// The connection is gone.
    #[error("connection lost: {0}")]
    Lost(ConnectionError),
    /// The stream was already finished on our side.
    #[error("the stream is already closed here")]
    Closed,
}

impl FrameFault {
    /// The cause as a stable kebab-case word.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Wire(fault) => fault.code(),
            Self::Truncated => "frame-truncated",
            Self::Slow => "frame-slow",
            Self::Abandoned(_) => "stream-abandoned",
            Self::Lost(_) => "connection-lost",
            Self::Closed => "stream-closed",
        }
    }

    /// Whether the peer broke the protocol, as against a connection that failed.
    pub const fn is_peers_fault(&self) -> bool {
        match self {
            Self::Wire(_) | Self::Truncated | Self::Slow => true,
            Self::Abandoned(_) | Self::Lost(_) | Self::Closed => false,
        }
    }
}

impl From<ReadError> for FrameFault {
    fn from(fault: ReadError) -> Self {
        match fault {
            ReadError::Reset(code) => Self::Abandoned(code.into_inner()),
            ReadError::ConnectionLost(lost) => Self::Lost(lost),
            ReadError::ClosedStream
            | ReadError::IllegalOrderedRead
            | ReadError::ZeroRttRejected => Self::Closed,
        }
    }
}

impl From<ReadExactError> for FrameFault {
    fn from(fault: ReadExactError) -> Self {
        match fault {
            ReadExactError::FinishedEarly(_) => Self::Truncated,
            ReadExactError::ReadError(fault) => fault.into(),
        }
    }
}

impl From<WriteError> for FrameFault {
    fn from(fault: WriteError) -> Self {
        match fault {
            WriteError::Stopped(code) => Self::Abandoned(VarInt::into_inner(code)),
            WriteError::ConnectionLost(lost) => Self::Lost(lost),
            WriteError::ClosedStream | WriteError::ZeroRttRejected => Self::Closed,
        }
    }
}

/// The next frame; `None` where the peer finished the stream between two frames. Waits for the first byte as long as
/// the connection lives; the rest must follow within [`FRAME_TIMEOUT`]. Not cancel-safe: a dropped call loses bytes.
pub async fn read_frame(from: &mut RecvStream) -> Result<Option<Frame>, FrameFault> {
    let mut head = [0; HEAD_BYTES];
    let Some(first) = first_byte(from).await? else {
        return Ok(None);
    };
    head[0] = first;
    let rest = async {
        from.read_exact(&mut head[1..]).await?;
        let head = Frame::head(&head)?;
        let mut body = vec![0; head.length];
        from.read_exact(&mut body).await?;
        Ok(Frame::decode(head.kind, &body)?)
    };
    in_time(rest).await.map(Some)
}

/// Writes one frame, if the other side would take it. Not cancel-safe: a dropped call leaves half a frame.
pub async fn write_frame(to: &mut SendStream, frame: &Frame) -> Result<(), FrameFault> {
    let bytes = frame.encode();
    if let Some(head) = bytes.first_chunk() {
        Frame::head(head)?;
    }
    in_time(async { Ok(to.write_all(&bytes).await?) }).await
}

/// The head of a unidirectional stream that the peer opened.
pub async fn read_data_head(from: &mut RecvStream) -> Result<DataHead, FrameFault> {
    let mut bytes = [0; DataHead::BYTES_MAX];
    let read = async {
        from.read_exact(&mut bytes[..1]).await?;
        let length = DataHead::length(bytes[0])?;
        let head = bytes.get_mut(..length).unwrap_or_default();
        if let Some((_kind, rest)) = head.split_first_mut() {
            from.read_exact(rest).await?;
        }
        Ok(DataHead::decode(head)?)
    };
    in_time(read).await
}

/// Starts a unidirectional stream.
pub async fn write_data_head(to: &mut SendStream, head: &DataHead) -> Result<(), FrameFault> {
    in_time(async { Ok(to.write_all(&head.encode()).await?) }).await
}

async fn first_byte(from: &mut RecvStream) -> Result<Option<u8>, FrameFault> {
    let mut byte = [0];
    loop {
        match from.read(&mut byte).await? {
            None => return Ok(None),
            Some(0) => {}
            Some(_) => return Ok(Some(byte[0])),
        }
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, FrameFault>>) -> Result<T, FrameFault> {
    match tokio::time::timeout(FRAME_TIMEOUT, work).await {
        Ok(done) => done,
        Err(_) => Err(FrameFault::Slow),
    }
}
