//! The bytes of an opening on their way out: each piece is counted before it leaves.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::daemon::Daemon;
use crate::daemon::packages::openings::PermittedOpening;

/// The bytes that an opening gives, on their way out.
pub(crate) struct Pieces {
    from: mpsc::Receiver<io::Result<Bytes>>,
    daemon: Arc<Daemon>,
    held: PermittedOpening,
    /// Where the next piece begins.
    at: u64,
    end: u64,
}

impl Pieces {
    /// Of this part of what the opening gives.
    pub(crate) fn new(
        daemon: &Arc<Daemon>,
        held: PermittedOpening,
        range: Range<u64>,
        from: mpsc::Receiver<io::Result<Bytes>>,
    ) -> Self {
        held.release.streams.fetch_add(1, Ordering::AcqRel);
        Self {
            from,
            daemon: Arc::clone(daemon),
            at: range.start,
            end: range.end.min(held.release.total),
            held,
        }
    }

    /// The next piece, once it is durable that it leaves; an error if the opening has ended.
    pub(crate) async fn next(&mut self) -> Option<io::Result<Bytes>> {
        let piece = match self.from.recv().await {
            Some(Ok(piece)) => piece,
            Some(Err(e)) => {
                // Whoever reads has more to say of that.
                self.end = self.at;
                return Some(Err(e));
            }
            None => {
                self.end = self.at;
                return None;
            }
        };
        let end = self.at.saturating_add(piece.len() as u64);
        let released = self.daemon.count(&self.held, self.at..end).await;
        self.at = end;
        Some(released.map(|()| piece))
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        self.held.release.streams.fetch_sub(1, Ordering::AcqRel);
        self.held.release.touch();
        if self.at >= self.end {
            return;
        }
        // Whoever read has gone.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (daemon, held) = (Arc::clone(&self.daemon), self.held.clone());
            runtime.spawn(async move { drop(daemon.end(&held).await) });
        }
    }
}
