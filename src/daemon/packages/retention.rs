//! Findings about packages that may no longer be kept, and why one is destroyed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::base::Xid;
use crate::receipt::Reason;

/// The findings of the last look at the packages here.
#[derive(Debug, Default)]
pub(crate) struct Retention {
    pub(crate) due: AtomicU64,
    pub(crate) unreviewed: AtomicU64,
    stale: AtomicBool,
    /// Packages that are unreadable and not yet stated as destroyed, and why they could no longer be kept.
    unstated: Mutex<BTreeMap<Xid, Reason>>,
}

impl Retention {
    /// Packages that may no longer be kept, when they were last counted.
    pub(crate) fn due(&self) -> u64 {
        self.due.load(Ordering::Relaxed)
    }

    /// Packages whose review is due, when they were last counted.
    pub(crate) fn unreviewed(&self) -> u64 {
        self.unreviewed.load(Ordering::Relaxed)
    }

    pub(crate) fn unstated(&self) -> MutexGuard<'_, BTreeMap<Xid, Reason>> {
        self.unstated.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Packages that are unreadable and not yet stated as destroyed.
    pub(crate) fn unstated_count(&self) -> usize {
        self.unstated().len()
    }

    /// Why this package is unreadable though its destruction is not stated yet.
    pub(crate) fn unstated_reason(&self, xid: &Xid) -> Option<Reason> {
        self.unstated().get(xid).cloned()
    }

    /// They are to be counted again soon.
    pub(crate) fn touch(&self) {
        self.stale.store(true, Ordering::Relaxed);
    }

    /// Whether they are to be counted again; asked once.
    pub(crate) fn take_stale(&self) -> bool {
        self.stale.swap(false, Ordering::Relaxed)
    }
}

/// Why a package is destroyed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cause<'a> {
    /// It may no longer be kept.
    Due,
    /// A person orders it.
    Order {
        /// Who.
        actor: &'a str,
        /// Why, in their own words.
        justification: &'a str,
    },
}
