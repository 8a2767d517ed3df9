//! Heads of logs that were looked at once, so that they need not be read for each receipt.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use crate::base::{AuthorityId, Digest};
use crate::store::{Ledger, StoreFault};

/// Heads of the own log that were found to be right, so that they are not computed again for each package.
const HEADS_MAX: usize = 16;

/// Size and root of a log.
type Head = (u64, Digest);

/// Heads that were seen to be so.
#[derive(Debug, Default)]
pub(crate) struct Heads {
    own: Mutex<VecDeque<Head>>,
    /// The newest head of each log that is cosigned here, as the ledger has it; `None` before the first.
    shown: Mutex<HashMap<AuthorityId, Option<Head>>>,
}

impl Heads {
    /// A head of this authority's log was cosigned here.
    pub(crate) fn shows(&self, of: &AuthorityId, head: Head) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = shown.entry(of.clone()).or_default();
        if newest.is_none_or(|newest| newest.0 <= head.0) {
            *newest = Some(head);
        }
    }

    /// The newest head of this authority's log that was cosigned here; read from the ledger once.
    pub(crate) async fn shown(
        &self,
        ledger: &Ledger,
        of: &AuthorityId,
    ) -> Result<Option<Head>, StoreFault> {
        let lock = || self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(newest) = lock().get(of) {
            return Ok(*newest);
        }
        let row = ledger.witnessed(of).await?;
        let newest = row.map(|row| (row.size, row.root));
        Ok(*lock().entry(of.clone()).or_insert(newest))
    }

    /// Whether the own log had this head.
    pub(crate) async fn is_ours(&self, ledger: &Ledger, head: Head) -> Result<bool, StoreFault> {
        let lock = || self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = ledger.head().map(|newest| (newest.size, newest.root));
        let empty = (0, Digest::of(b""));
        if newest.unwrap_or(empty) == head || lock().contains(&head) {
            return Ok(true);
        }
        if ledger.root_at(head.0).await? != Some(head.1) {
            return Ok(false);
        }
        let mut heads = lock();
        heads.push_back(head);
        while heads.len() > HEADS_MAX {
            heads.pop_front();
        }
        Ok(true)
    }
}
