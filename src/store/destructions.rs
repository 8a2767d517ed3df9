//! Questions by day and digest: what is due, what was destroyed before a restore, a statement by its bytes.

use rusqlite::params;

use crate::base::{Digest, Timestamp, Xid, limits};
use crate::exchange::Phase;
use crate::store::ledger::Ledger;
use crate::store::replay::{UNREADABLE, Unstated, unstated_reason};
use crate::store::rows::{Exchange, StatementRow};
use crate::store::{StoreFault, digests, reader, sql};

/// Where a page of what is due has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueMark {
    due: i64,
    no: i64,
}

/// Some of what is due, and where the next page begins; `None` after the last.
pub type DuePage = (Vec<Exchange>, Option<DueMark>);

impl Ledger {
    /// Packages here that may be due for something now: whose day of review, or last day of use or of keeping, is over.
    /// The longest due first. What is done about it is for the caller to decide.
    pub async fn due(&self, now: Timestamp, after: Option<DueMark>) -> Result<DuePage, StoreFault> {
        self.read(move |db| {
            let start = DueMark {
                due: i64::MIN,
                no: 0,
            };
            let DueMark { due, no } = after.unwrap_or(start);
            let values = params![now.millis(), due, no, limits::LEDGER_ROWS_MAX];
            let rows = reader::rows(db, sql::EXCHANGES_DUE, values, |row| {
                let (due, no) = (row.get(25)?, row.get(26)?);
                Ok((reader::exchange(row)?, DueMark { due, no }))
            })?;
            let next = rows.last().map(|(_, mark)| *mark);
            let rows = rows.into_iter().map(|(exchange, _)| exchange);
            Ok((rows.collect(), next))
        })
        .await
    }
}

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

impl Ledger {
    /// The statement whose bytes have this digest.
    pub async fn statement(&self, digest: &Digest) -> Result<Option<StatementRow>, StoreFault> {
        let digest = *digest;
        self.read(move |db| {
            // What is not in the index is looked through first: meanwhile it may come to be there.
            let recent = [digest.as_bytes()];
            let recent = reader::row(db, sql::STATEMENT_RECENT, recent, reader::statement)?;
            if recent.is_some() {
                return Ok(recent);
            }
            let values = params![digests::key(&digest), digest.as_bytes()];
            reader::row(db, sql::STATEMENT_FOUND, values, reader::statement)
        })
        .await
    }
}
