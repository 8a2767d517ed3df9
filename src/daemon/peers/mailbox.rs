//! The mailbox of a courier: that there may be work, and, while it keeps up, the new packages themselves.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::store::Outgoing;

/// New packages that wait in memory; more are found in the outbox.
const FRESH_MAX: usize = 64;

/// Between the daemon and the courier of one peer.
#[derive(Default)]
pub(crate) struct Mailbox {
    pub(crate) bell: Notify,
    fresh: Mutex<Fresh>,
}

#[derive(Default)]
struct Fresh {
    queue: VecDeque<Outgoing>,
    urgent: VecDeque<Outgoing>,
    /// Some that are newer than what is here are in the outbox alone.
    overflowed: bool,
}

impl Mailbox {
    /// A package has just been committed to the outbox. It is forgotten here if there are too many: it is stored.
    pub(crate) fn put(&self, outgoing: Outgoing) {
        let mut fresh = self.fresh();
        if outgoing.exchange.urgent {
            // If there are too many, they are found where urgent ones are looked for now and then.
            if fresh.urgent.len() < FRESH_MAX {
                fresh.urgent.push_back(outgoing);
            }
            drop(fresh);
            return self.bell.notify_one();
        }
        fresh.overflowed |= fresh.queue.len() >= FRESH_MAX || outgoing.ahead.is_none();
        if !fresh.overflowed {
            fresh.queue.push_back(outgoing);
        }
        drop(fresh);
        self.bell.notify_one();
    }

    /// Takes what is here, oldest first.
    pub(crate) fn take(&self) -> VecDeque<Outgoing> {
        std::mem::take(&mut self.fresh().queue)
    }

    /// Takes the urgent ones that are here, oldest first.
    pub(crate) fn take_urgent(&self) -> VecDeque<Outgoing> {
        std::mem::take(&mut self.fresh().urgent)
    }

    /// Whether the outbox holds new packages that were not put here.
    pub(crate) fn has_overflowed(&self) -> bool {
        self.fresh().overflowed
    }

    /// The outbox was read to its end.
    pub(crate) fn caught_up(&self) {
        self.fresh().overflowed = false;
    }

    fn fresh(&self) -> MutexGuard<'_, Fresh> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
