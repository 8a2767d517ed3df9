//! The openings under way.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::api::server::{ApiFailure, Caller};
use crate::base::{Timestamp, Xid};
use crate::daemon::packages::release::Release;
use crate::policy::Permit;

/// Openings at once.
pub(crate) const OPENINGS_MAX: usize = 64;
/// And of one account, so that nobody can use them all up.
pub(crate) const OPENINGS_OF_ONE_MAX: usize = 16;

/// A permitted opening.
#[derive(Clone)]
pub(crate) struct PermittedOpening {
    pub(crate) permit: Arc<Permit>,
    pub(crate) caller: Caller,
    pub(crate) xid: Xid,
    /// The bytes of items under terms of their own for which it is not permitted; in order.
    pub(crate) withheld: Arc<[Range<u64>]>,
    /// The bytes that leave under it.
    pub(crate) release: Arc<Release>,
}

/// The openings under way.
#[derive(Default)]
pub(crate) struct Openings {
    pub(crate) held: Mutex<HashMap<String, PermittedOpening>>,
    /// Names of items are looked up in one manifest at a time.
    pub(crate) look: tokio::sync::Mutex<()>,
}

impl Openings {
    pub(crate) fn held(&self) -> MutexGuard<'_, HashMap<String, PermittedOpening>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn find(
        &self,
        name: &str,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<PermittedOpening, ApiFailure> {
        let held = self.own(name, caller);
        let held = held.filter(|it| it.permit.until() >= now && !it.release.is_over());
        held.ok_or_else(no_such_opening)
    }

    /// The opening of this name and caller, over or not.
    pub(crate) fn own(&self, name: &str, caller: &Caller) -> Option<PermittedOpening> {
        let held = self.held().get(name).cloned();
        held.filter(|held| held.caller == *caller)
    }

    /// Whether there is an opening of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.held().contains_key(name)
    }

    /// Drops an opening of which nothing is left to be stated.
    pub(crate) fn forget(&self, held: &PermittedOpening) {
        self.held().remove(&held.release.name());
    }

    pub(crate) fn select(
        &self,
        which: impl Fn(&PermittedOpening) -> bool,
    ) -> Vec<PermittedOpening> {
        let held = self.held();
        held.values().filter(|it| which(it)).cloned().collect()
    }
}

pub(crate) fn no_such_opening() -> ApiFailure {
    ApiFailure::missing(
        "no-such-opening",
        "there is no such opening; it may have ended",
    )
    .next("open the package again")
}
