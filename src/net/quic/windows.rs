//! Memory for the windows of all connections. Each connection has a small window for itself; what makes it larger comes
//! from one budget, so that many long lines at once cannot take the machine's memory.

use std::sync::{Arc, Mutex, PoisonError};

/// A connection takes at most this part of what is left, so that something is left for the next.
const PART: u64 = 8;

/// The memory that is left for windows, in bytes.
#[derive(Debug)]
pub(crate) struct Windows {
    left: Mutex<u64>,
}

/// The part of it that one connection has until it ends.
#[derive(Debug)]
pub(crate) struct WindowShare {
    windows: Arc<Windows>,
    bytes: u64,
}

impl Windows {
    pub(crate) fn new(bytes: u64) -> Arc<Self> {
        Arc::new(Self {
            left: Mutex::new(bytes),
        })
    }

    /// Takes as much as there is, up to `most`.
    pub(crate) fn take(self: &Arc<Self>, most: u64) -> WindowShare {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = most.min(*left / PART);
        *left = left.saturating_sub(bytes);
        WindowShare {
            windows: Arc::clone(self),
            bytes,
        }
    }
}

impl WindowShare {
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for WindowShare {
    fn drop(&mut self) {
        let left = self.windows.left.lock();
        let mut left = left.unwrap_or_else(PoisonError::into_inner);
        *left = left.saturating_add(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_never_exceed_the_budget_and_come_back() {
        let windows = Windows::new(1_000);
        let mut shares: Vec<_> = (0..100).map(|_| windows.take(50)).collect();
        let taken = || -> u64 { 1_000 - *windows.left.lock().unwrap() };
        assert_eq!(shares.iter().map(WindowShare::bytes).sum::<u64>(), taken());
        // The first have all that they asked for, the last nothing.
        assert_eq!((shares[0].bytes(), shares[99].bytes()), (50, 0));
        shares.truncate(3);
        assert_eq!(taken(), 150);
        shares.clear();
        assert_eq!(taken(), 0);
    }
}
