//! How fast payload goes out and comes in: a bucket of bytes that all streams take from, the urgent ones first.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::base::bucket::Bucket;

/// After an urgent stream has taken something, bulk holds back for so long, in microseconds: the next piece follows.
const LINGER_US: u64 = 50_000;
/// The shortest wait, in microseconds: many short ones would keep a core busy.
const WAIT_US_MIN: u64 = 1_000;
/// Bulk that has waited so long for one piece, in microseconds, is let through with the first: nothing stands still.
const STARVED_US: u64 = 1_000_000;
/// The smallest burst, in bytes.
const BURST_MIN: u64 = 64 << 10;

/// Who goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Urgent packages, small ones, lists.
    First,
    /// Everything else.
    Bulk,
}

impl Class {
    pub(crate) const fn of(first: bool) -> Self {
        if first { Self::First } else { Self::Bulk }
    }
}

/// The limits that one payload has to pass: that of its peer, then that of all.
#[derive(Debug)]
pub(crate) struct Brake {
    paces: Vec<Arc<Pace>>,
    class: Class,
}

impl Brake {
    /// `None` where there is no limit.
    pub(crate) fn new(paces: [&Option<Arc<Pace>>; 2], class: Class) -> Option<Self> {
        let paces: Vec<_> = paces.into_iter().flatten().cloned().collect();
        (!paces.is_empty()).then_some(Self { paces, class })
    }

    /// Waits until so many bytes may pass.
    pub(crate) async fn pass(&self, bytes: u64) {
        for pace in &self.paces {
            pace.pass(bytes, self.class).await;
        }
    }
}

/// A limit on bytes a second.
#[derive(Debug)]
pub struct Pace {
    since: tokio::time::Instant,
    bucket: Mutex<Bucket>,
    first_waiting: AtomicUsize,
    first_took_us: AtomicU64,
    waited: AtomicU64,
    per_second: u64,
}

impl Pace {
    /// At most so many bytes a second, and a tenth of that at once.
    pub fn new(per_second: u64) -> Self {
        Self {
            since: tokio::time::Instant::now(),
            bucket: Mutex::new(Bucket::new(per_second, (per_second / 10).max(BURST_MIN))),
            first_waiting: AtomicUsize::new(0),
            first_took_us: AtomicU64::new(0),
            waited: AtomicU64::new(0),
            per_second,
        }
    }

    /// Bytes a second.
    pub fn per_second(&self) -> u64 {
        self.per_second
    }

    /// How long streams have waited for it, in microseconds, all added up.
    pub fn waited_us(&self) -> u64 {
        self.waited.load(Ordering::Relaxed)
    }

    /// Takes so many bytes, or says how long to wait, in microseconds.
    fn ask(&self, now_us: u64, bytes: u64, class: Class) -> Result<(), u64> {
        if class == Class::Bulk {
            let since = now_us.saturating_sub(self.first_took_us.load(Ordering::Relaxed));
            let taken = self.first_took_us.load(Ordering::Relaxed) > 0;
            if self.first_waiting.load(Ordering::Relaxed) > 0 {
                return Err(LINGER_US / 10);
            }
            let left = LINGER_US.saturating_sub(since);
            if taken && left > 0 {
                return Err(left);
            }
        }
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.take(now_us, bytes)?;
        if class == Class::First {
            self.first_took_us.store(now_us.max(1), Ordering::Relaxed);
        }
        Ok(())
    }

    /// Waits until so many bytes may pass.
    pub(crate) async fn pass(&self, bytes: u64, class: Class) {
        let clock = || u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX);
        let began = clock();
        let Err(mut wait) = self.ask(began, bytes, class) else {
            return;
        };
        let _waiting = (class == Class::First).then(|| Waiting::new(&self.first_waiting));
        loop {
            let wait_us = wait.max(WAIT_US_MIN);
            self.waited.fetch_add(wait_us, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_micros(wait_us)).await;
            let now = clock();
            let starved = now.saturating_sub(began) > STARVED_US;
            match self.ask(now, bytes, if starved { Class::First } else { class }) {
                Ok(()) => return,
                Err(again) => wait = again,
            }
        }
    }
}

/// Counts one that waits.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_urgent_go_first() {
        let pace = Pace::new(1_000_000);
        let takes = [
            (0, Class::Bulk, true),
            (1_000, Class::Bulk, true),
            (1_000, Class::Bulk, false),
            (32_000, Class::First, true),
            (110_000, Class::Bulk, true),
            (110_000, Class::First, false),
            (163_000, Class::First, true),
            // The next urgent piece may follow.
            (199_000, Class::Bulk, false),
            (230_000, Class::Bulk, true),
        ];
        for (at, class, want) in takes {
            let got = pace.ask(at, 64 << 10, class);
            assert_eq!(got.is_ok(), want, "{class:?} at {at} us: {got:?}");
        }
    }
}
