//! Counts the payload bytes of one exchange that move, and slows them down.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::base::Instant;
use crate::net::session::pace::Brake;

/// The bytes of one exchange that have moved since the daemon started.
#[derive(Debug, Default)]
pub struct Meter {
    moved: AtomicU64,
    done: AtomicU64,
    attempt_moved: AtomicU64,
    attempt_began_ms: AtomicU64,
    active: AtomicU64,
    brake: OnceLock<Brake>,
}

impl Meter {
    /// An attempt begins; it ends when the guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>, now: Instant) -> Active {
        self.attempt_moved.store(0, Ordering::Relaxed);
        self.attempt_began_ms.store(now.0, Ordering::Relaxed);
        self.active.fetch_add(1, Ordering::Relaxed);
        Active(Arc::clone(self))
    }

    /// So many payload bytes were sent or taken.
    pub(crate) fn add(&self, bytes: u64) {
        self.moved.fetch_add(bytes, Ordering::Relaxed);
        self.attempt_moved.fetch_add(bytes, Ordering::Relaxed);
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The brake on the payload, if any; set once.
    pub(crate) fn slow_by(&self, brake: Option<Brake>) {
        if let Some(brake) = brake {
            // An earlier attempt has set the same.
            drop(self.brake.set(brake));
        }
    }

    /// Waits until so many payload bytes may pass.
    pub(crate) async fn pass(&self, bytes: u64) {
        if let Some(brake) = self.brake.get() {
            brake.pass(bytes).await;
        }
    }

    /// The most bytes that should be put on the wire at once.
    pub(crate) fn piece(&self) -> usize {
        if self.brake.get().is_some() {
            16 << 10
        } else {
            usize::MAX
        }
    }

    /// So many payload bytes are at the receiver.
    pub(crate) fn set_done(&self, bytes: u64) {
        self.done.store(bytes, Ordering::Relaxed);
    }

    /// Payload bytes that went over the wire, repeats included.
    pub fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }

    /// Payload bytes at the receiver, as far as is known here.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Whether an attempt is under way.
    pub fn active(&self) -> bool {
        self.active.load(Ordering::Relaxed) > 0
    }

    /// Whether this attempt has moved payload.
    pub fn progressed(&self) -> bool {
        self.attempt_moved.load(Ordering::Relaxed) > 0
    }

    /// Bytes a second in this attempt.
    pub fn rate(&self, now: Instant) -> u64 {
        let took = now
            .0
            .saturating_sub(self.attempt_began_ms.load(Ordering::Relaxed))
            .max(1);
        if self.active() {
            self.attempt_moved
                .load(Ordering::Relaxed)
                .saturating_mul(1_000)
                .checked_div(took)
                .unwrap_or_default()
        } else {
            0
        }
    }
}

/// An attempt under way.
#[derive(Debug)]
pub(crate) struct Active(Arc<Meter>);

impl Drop for Active {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::Relaxed);
    }
}
