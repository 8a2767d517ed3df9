//! Packages that were destroyed before a restore, and those that are unreadable and not yet stated so.

use crate::base::{Timestamp, Xid};
use crate::exchange::Phase;
use crate::store::ledger::Ledger;
use crate::store::replay::{UNREADABLE, Unstated, unstated_reason};
use crate::store::{StoreFault, reader, sql};

impl Ledger {
    /// When this package was destroyed, if that was before the state that is here was restored from a backup. What the
    /// ledger says of it otherwise is older than that.
    pub fn destroyed_before(&self, xid: &Xid) -> Option<Timestamp> {
        let at = self.settled.gone.binary_search_by_key(xid, |it| it.xid);
        at.ok()
            .and_then(|at| self.settled.gone.get(at))
            .map(|it| it.at)
    }

    /// The packages of which [`Self::destroyed_before`] knows, by id.
    pub fn all_destroyed_before(&self) -> impl Iterator<Item = Xid> {
        self.settled.gone.iter().map(|it| it.xid)
    }

    /// The packages that are unreadable and not yet stated as destroyed.
    pub async fn unstated(&self) -> Result<Vec<Unstated>, StoreFault> {
        self.read(|db| {
            let marked = reader::rows(db, sql::METAS_BETWEEN, UNREADABLE, |row| {
                let (key, value): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
                let xid = key.strip_prefix(UNREADABLE[0]).map(str::parse);
                let xid = xid.and_then(Result::ok);
                Ok(xid.zip(unstated_reason(&value)))
            })?;
            let mut unstated = Vec::new();
            for (xid, reason) in marked.into_iter().flatten() {
                let xid: Xid = xid;
                let phase = reader::row(db, sql::EXCHANGE_STATE, [xid.as_bytes()], |row| {
                    reader::word::<Phase>(row, 1)
                })?;
                if matches!(phase, Some(Phase::HandoverSigned | Phase::Held)) {
                    unstated.push(Unstated { xid, reason });
                }
            }
            Ok(unstated)
        })
        .await
    }

    /// Whether the journal of destructions had been missing when this ledger was opened, and was written anew.
    pub fn has_new_journal(&self) -> bool {
        self.settled.is_rebuilt
    }

    /// How many packages are held by what the ledger says and cannot be read, because they were destroyed before.
    pub async fn held_in_name(&self) -> Result<u64, StoreFault> {
        if self.settled.gone.is_empty() {
            return Ok(0);
        }
        let counted = self.read(|db| reader::row(db, sql::HELD_IN_NAME, [], |row| row.get(0)));
        Ok(counted.await?.unwrap_or_default())
    }
}
