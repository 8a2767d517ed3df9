//! Examinations under way, and of late.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, watch};

use crate::api::server::Caller;
use crate::api::types::Examination;
use crate::base::Xid;
use crate::daemon::packages::openings::PermittedOpening;

/// Examinations whose end is remembered.
const REMEMBERED_MAX: usize = 64;
/// Examinations under way and of late.
pub(crate) struct Examinations {
    /// By the opening that they were reported from.
    pub(crate) all: Mutex<HashMap<String, One>>,
    pub(crate) turn: Semaphore,
}

/// The examination of a package, as far as it is not withheld from who has reported.
pub(crate) struct One {
    pub(crate) xid: Xid,
    pub(crate) withheld: Arc<[Range<u64>]>,
    pub(crate) caller: Caller,
    pub(crate) state: watch::Receiver<Examination>,
}

impl One {
    pub(crate) fn is_running(&self) -> bool {
        matches!(*self.state.borrow(), Examination::Running)
    }
}

impl Default for Examinations {
    fn default() -> Self {
        Self {
            all: Mutex::default(),
            turn: Semaphore::new(1),
        }
    }
}

impl Examinations {
    /// The examination that answers this report; if none does, one to be made.
    pub(crate) fn join(
        &self,
        held: &PermittedOpening,
        (opening, caller): (&str, &Caller),
    ) -> Result<watch::Receiver<Examination>, watch::Sender<Examination>> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = |it: &&One| (it.xid, &it.withheld) == (held.xid, &held.withheld);
        let running = all.values().find(|it| is_same(it) && it.is_running());
        let (state, to) = if let Some(one) = running {
            (one.state.clone(), None)
        } else {
            let (to, state) = watch::channel(Examination::Running);
            (state, Some(to))
        };
        let one = One {
            xid: held.xid,
            withheld: Arc::clone(&held.withheld),
            caller: caller.clone(),
            state: state.clone(),
        };
        if all.len() >= REMEMBERED_MAX {
            all.retain(|_, one| one.is_running());
        }
        all.insert(opening.to_owned(), one);
        to.map_or(Ok(state), Err)
    }

    /// The examination that answered this caller when it reported from this opening, which may have ended meanwhile.
    pub(crate) fn of(
        &self,
        opening: &str,
        caller: &Caller,
    ) -> Option<watch::Receiver<Examination>> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let one = all.get(opening).filter(|one| one.caller == *caller)?;
        // One that could not be made says nothing of the package: it may be made again.
        let is_made = !matches!(*one.state.borrow(), Examination::Unreadable { .. });
        is_made.then(|| one.state.clone())
    }

    /// How many of this account's reports wait for their answer.
    pub(crate) fn waiting(&self, caller: &Caller) -> usize {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let own = all.values().filter(|one| one.caller.uid == caller.uid);
        own.filter(|one| one.is_running()).count()
    }
}
