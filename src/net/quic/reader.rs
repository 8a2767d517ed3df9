//! Frames of one stream, read by a task of their own, so that waiting for one can be given up without losing bytes.

use quinn::RecvStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::net::quic::frames::{FrameFault, read_frame};
use crate::transfer::Fault;
use crate::wire::Frame;

/// The frames of one stream, in order. One frame is read ahead, no more: a peer that floods is held back by QUIC.
#[derive(Debug)]
pub(crate) struct FrameReader {
    frames: mpsc::Receiver<Result<Option<Frame>, FrameFault>>,
    peeked: Option<Result<Option<Frame>, FrameFault>>,
    task: JoinHandle<()>,
}

impl FrameReader {
    pub(crate) fn new(mut stream: RecvStream) -> Self {
        let (to, frames) = mpsc::channel(1);
        let task = tokio::spawn(async move {
            loop {
                let frame = read_frame(&mut stream).await;
                let last = !matches!(frame, Ok(Some(_)));
                if to.send(frame).await.is_err() || last {
                    return;
                }
            }
        });
        Self {
            frames,
            peeked: None,
            task,
        }
    }

    /// The next frame; `None` where the peer has finished the stream. May be given up and called again.
    pub(crate) async fn next(&mut self) -> Result<Option<Frame>, FrameFault> {
        match self.peeked.take() {
            Some(frame) => frame,
            None => self.frames.recv().await.unwrap_or(Ok(None)),
        }
    }

    /// The same, without taking it: the next call of [`Self::next`] gives it again.
    pub(crate) async fn peek(&mut self) -> &Result<Option<Frame>, FrameFault> {
        let next = self.next().await;
        self.peeked.insert(next)
    }
}

impl Drop for FrameReader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The fault that the peer should hear of, where it broke the protocol.
pub(crate) fn peers_fault(fault: &FrameFault) -> Option<Fault> {
    fault
        .is_peers_fault()
        .then(|| Fault::new(fault.code(), fault.to_string()))
}
