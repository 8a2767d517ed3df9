//! Grants to send: each for one package, one caller, and once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::api::server::{ApiFailure, Caller};
use crate::api::types::SealRequest;
use crate::base::{Timestamp, Xid};
use crate::daemon::packages::age_file::SpooledAgeFile;
use crate::daemon::peers::roster::KnownPeer;
use crate::policy::Permit;

/// Grants that may wait for their bytes at once.
pub(crate) const GRANTS_MAX: usize = 256;
/// How long a grant lives without being used, in milliseconds.
pub(crate) const GRANT_MS: u64 = 60 * 60 * 1_000;

/// A granted sending, under way.
pub(crate) struct Grant {
    pub(crate) permit: Permit,
    pub(crate) caller: Caller,
    pub(crate) request: SealRequest,
    pub(crate) xid: Xid,
    pub(crate) peer: Arc<KnownPeer>,
    pub(crate) made: Timestamp,
    pub(crate) spooled: Option<SpooledAgeFile>,
}

/// The grants that are out.
#[derive(Default)]
pub(crate) struct Seals(pub(crate) Mutex<HashMap<String, Grant>>);

impl Seals {
    pub(crate) fn take(&self, grant: &str, caller: &Caller) -> Result<Grant, ApiFailure> {
        let mut grants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match grants.get(grant) {
            Some(found) if found.caller == *caller => {}
            Some(_) | None => {
                return Err(ApiFailure::missing(
                    "no-such-grant",
                    "there is no such grant; it may have ended",
                )
                .next("start the sending again"));
            }
        }
        grants
            .remove(grant)
            .ok_or_else(|| ApiFailure::missing("no-such-grant", "the grant is in use"))
    }

    pub(crate) fn put(&self, name: String, grant: Grant) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name, grant);
    }

    /// Drops what nobody used in time; answers the payloads to remove.
    pub(crate) fn sweep(&self, now: Timestamp) -> Vec<Xid> {
        let mut grants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let stale: Vec<_> = grants
            .iter()
            .filter(|(_, grant)| grant.made.distance_ms(now) > GRANT_MS)
            .map(|(name, _)| name.clone())
            .collect();
        stale
            .iter()
            .filter_map(|name| grants.remove(name))
            .filter(|grant| grant.spooled.is_some())
            .map(|grant| grant.xid)
            .collect()
    }
}
