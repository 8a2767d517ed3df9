//! How much a peer may leave unopened here: counted in the ledger from time to time, and by hand between.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::limits;
use crate::store::{Exchange, Ledger, StoreFault};

/// The amount that a peer has brought and nobody has opened, and its limit.
#[derive(Debug)]
pub(crate) struct Quota {
    packages_max: u64,
    bytes_max: u64,
    usage: Mutex<Usage>,
    /// Held while packages are counted.
    counting: tokio::sync::Mutex<()>,
}

/// Packages and their bytes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Load {
    packages: u64,
    bytes: u64,
}

impl Load {
    const fn one(bytes: u64) -> Self {
        Self { packages: 1, bytes }
    }

    const fn plus(self, other: Self) -> Self {
        Self {
            packages: self.packages.saturating_add(other.packages),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    const fn less(self, other: Self) -> Self {
        Self {
            packages: self.packages.saturating_sub(other.packages),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }
}

/// The counted amount, and the part that the ledger did not show then.
#[derive(Debug, Default)]
struct Usage {
    /// In all, as far as is known.
    total: Load,
    /// Admitted, and not known to be in the ledger.
    unrecorded: Load,
    /// The amount that a count under way may miss: what was unrecorded when it began, and what was admitted since.
    missed: Load,
    counted_ms: Option<u64>,
}

impl Usage {
    fn begin_count(&mut self) {
        self.missed = self.unrecorded;
    }

    /// Adds what the count missed: too much for a moment rather than too little.
    fn end_count(&mut self, ledger: Load, now_ms: u64) {
        self.total = ledger.plus(self.missed);
        self.counted_ms = Some(now_ms);
    }

    fn add(&mut self, one: Load) {
        self.total = self.total.plus(one);
        self.unrecorded = self.unrecorded.plus(one);
        self.missed = self.missed.plus(one);
    }
}

/// That a package was admitted; dropped as soon as the ledger counts it, or when nothing comes of it.
#[derive(Debug)]
pub(crate) struct Admitted {
    quota: Arc<Quota>,
    one: Load,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut usage = self.quota.used();
        usage.unrecorded = usage.unrecorded.less(self.one);
    }
}

impl Quota {
    pub(crate) fn new(packages_max: u64, bytes_max: u64) -> Self {
        Self {
            packages_max,
            bytes_max,
            usage: Mutex::default(),
            counting: tokio::sync::Mutex::default(),
        }
    }

    /// Counts this package if it fits into what the peer may leave unopened here.
    pub(crate) async fn admit(
        self: &Arc<Self>,
        ledger: &Ledger,
        now_ms: u64,
        exchange: &Exchange,
    ) -> Result<Option<Admitted>, StoreFault> {
        // One counts; unless nothing was counted yet, others go on with what was counted before.
        let is_first = self.used().counted_ms.is_none();
        let counting = match self.counting.try_lock() {
            Err(_) if is_first => Some(self.counting.lock().await),
            counting => counting.ok(),
        };
        if counting.is_some() && self.is_old(exchange.len, now_ms) {
            self.used().begin_count();
            let (packages, bytes) = ledger.unopened(&exchange.peer).await?;
            self.used().end_count(Load { packages, bytes }, now_ms);
        }
        drop(counting);
        Ok(self.take(exchange.len))
    }

    /// Whether not one more package fits, as far as was counted.
    pub(crate) fn is_spent(&self) -> bool {
        self.is_over(self.used().total, 1)
    }

    fn take(self: &Arc<Self>, len: u64) -> Option<Admitted> {
        let mut usage = self.used();
        if self.is_over(usage.total, len) {
            return None;
        }
        let one = Load::one(len);
        usage.add(one);
        Some(Admitted {
            quota: Arc::clone(self),
            one,
        })
    }

    /// Whether to count again: from time to time, and sooner before somebody is refused.
    fn is_old(&self, len: u64, now_ms: u64) -> bool {
        let usage = self.used();
        let most = if self.is_over(usage.total, len) {
            limits::QUOTA_COUNTED_MS / 10
        } else {
            limits::QUOTA_COUNTED_MS
        };
        let age = |at: u64| now_ms.saturating_sub(at);
        usage.counted_ms.is_none_or(|at| age(at) > most)
    }

    const fn is_over(&self, total: Load, len: u64) -> bool {
        total.packages >= self.packages_max || total.bytes.saturating_add(len) > self.bytes_max
    }

    fn used(&self) -> MutexGuard<'_, Usage> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    enum Step {
        /// A package of 10 bytes comes: whether it is admitted.
        Comes(bool),
        /// The ledger has the oldest that it had not.
        Recorded,
        BeginCount,
        /// The count ends with so many packages in the ledger.
        EndCount(u64),
    }

    fn check(what: &str, steps: &[Step]) {
        let quota = Arc::new(Quota::new(3, 1_000));
        let mut admitted = std::collections::VecDeque::new();
        for (at, step) in steps.iter().enumerate() {
            match step {
                Step::Comes(want) => {
                    let got = quota.take(10);
                    assert_eq!(got.is_some(), *want, "{what}, step {at}");
                    admitted.extend(got);
                }
                Step::Recorded => drop(admitted.pop_front()),
                Step::BeginCount => quota.used().begin_count(),
                Step::EndCount(packages) => {
                    let bytes = packages * 10;
                    let ledger = Load {
                        packages: *packages,
                        bytes,
                    };
                    quota.used().end_count(ledger, 0);
                }
            }
        }
    }

    #[test]
    fn a_count_does_not_forget_what_is_under_way() {
        use Step::{BeginCount, Comes, EndCount, Recorded};
        let three = [Comes(true), Comes(true), Comes(true), Comes(false)];
        check("three fit", &three);
        let steps = [
            Comes(true),
            Comes(true),
            BeginCount,
            EndCount(0),
            Comes(true),
            Comes(false),
        ];
        check("two are not recorded yet", &steps);
        let steps = [
            Comes(true),
            BeginCount,
            Comes(true),
            EndCount(0),
            Comes(true),
            Comes(false),
        ];
        check("one comes during the count", &steps);
        let steps = [
            Comes(true),
            BeginCount,
            Recorded,
            EndCount(1),
            Comes(true),
            Comes(false),
            BeginCount,
            EndCount(1),
            Comes(true),
            Comes(false),
        ];
        check(
            "one recorded during the count is counted twice, until the next",
            &steps,
        );
        let steps = [
            Comes(true),
            Recorded,
            Comes(true),
            Recorded,
            Comes(true),
            Recorded,
            Comes(false),
            BeginCount,
            EndCount(2),
            Comes(true),
            Comes(false),
        ];
        check("one was opened", &steps);
    }

    #[test]
    fn bytes_count_too() {
        let quota = Arc::new(Quota::new(10, 1_000));
        let first = quota.take(600).expect("fits");
        assert!(quota.take(401).is_none());
        drop(first);
        assert!(quota.take(400).is_some(), "recorded, not gone");
        assert!(quota.take(1).is_none());
        quota.used().begin_count();
        quota.used().end_count(Load::default(), 0);
        assert!(quota.take(1_000).is_some(), "all were opened");
    }
}
