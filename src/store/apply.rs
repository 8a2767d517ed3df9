//! How each change becomes rows, inside the transaction of its group.

mod exchanges;
mod logs;
mod openings;
mod peers;

use rusqlite::{Connection, Params, ffi, params};

use crate::base::{Timestamp, json};
use crate::store::apply::exchanges::Opening;
use crate::store::durable::DiskFault;
use crate::store::journal::JournalEntry;
use crate::store::op::{Commit, CommitFault, Op};
use crate::store::recent::RecentExchanges;
use crate::store::rows::StoredFault;
use crate::store::slots::Slots;
use crate::store::{sql, sums};
use crate::tlog;

/// Why a change was not made, and whom it concerns.
pub(crate) enum GroupStop {
    /// The one batch it was in.
    Batch(CommitFault),
    /// The whole group: the disk is full.
    Full,
    /// Everything: the disk failed.
    Broken(String),
}

impl From<rusqlite::Error> for GroupStop {
    fn from(error: rusqlite::Error) -> Self {
        /// The shared-memory index could not grow: nothing of it is durable, so this is a full disk and no more.
        const INDEX_FULL: i32 = ffi::SQLITE_IOERR_SHMSIZE;
        let unfit = [
            rusqlite::ErrorCode::ConstraintViolation,
            rusqlite::ErrorCode::TooBig,
        ];
        let is_number = matches!(error, rusqlite::Error::ToSqlConversionFailure(_));
        match error.sqlite_error() {
            Some(code) if code.code == rusqlite::ErrorCode::DiskFull => Self::Full,
            Some(code) if code.extended_code == INDEX_FULL => Self::Full,
            Some(code) if unfit.contains(&code.code) => {
                Self::Batch(CommitFault::Unfit(error.to_string()))
            }
            None if is_number => Self::Batch(CommitFault::Unfit(error.to_string())),
            Some(code) => Self::Broken(format!(
                "the ledger's database {}: {error}",
                could_not(code.extended_code)
            )),
            None => Self::Broken(format!("the ledger's database: {error}")),
        }
    }
}

/// The failure of SQLite.
const fn could_not(extended_code: i32) -> &'static str {
    match extended_code {
        ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC => "cannot be flushed",
        ffi::SQLITE_IOERR_WRITE | ffi::SQLITE_IOERR_TRUNCATE => "cannot be written",
        ffi::SQLITE_IOERR_READ | ffi::SQLITE_IOERR_SHORT_READ => "cannot be read",
        _ => "cannot be used",
    }
}

impl From<DiskFault> for GroupStop {
    fn from(fault: DiskFault) -> Self {
        match fault {
            DiskFault::Full { .. } => Self::Full,
            DiskFault::Broken { .. } => Self::Broken(fault.to_string()),
        }
    }
}

impl From<CommitFault> for GroupStop {
    fn from(fault: CommitFault) -> Self {
        Self::Batch(fault)
    }
}

const UNKNOWN: CommitFault = CommitFault::Conflict { current: None };

/// One group on its way to the disk.
pub(crate) struct CommitGroup<'a> {
    /// The connection, within a transaction.
    pub(crate) db: &'a Connection,
    /// Where the keys of headers go.
    pub(crate) slots: &'a mut Slots,
    /// The exchanges that need not be read.
    pub(crate) known: &'a mut RecentExchanges,
    /// The log with the leaves of this group.
    pub(crate) tree: tlog::Frontier,
    /// The last statement number given.
    pub(crate) seq: i64,
    /// The last exchange number given.
    pub(crate) no: i64,
    /// Cells written for this group: worthless if it fails.
    pub(crate) fresh: Vec<u32>,
    /// Cells to shred once the group is committed.
    pub(crate) spent: Vec<u32>,
    /// The entries that the journal needs then.
    pub(crate) destroyed: Vec<JournalEntry>,
}

impl CommitGroup<'_> {
    /// Makes all changes of a batch. After a fault the transaction must be rolled back.
    pub(crate) fn batch(&mut self, ops: &[Op]) -> Result<Commit, GroupStop> {
        for op in ops {
            op.check()?;
        }
        let mut opening = None;
        for op in ops {
            self.apply(op, &mut opening)?;
        }
        self.settle(opening)?;
        let size = self.tree.size();
        Ok(Commit { size })
    }

    /// Makes all changes of a batch or none. Costs a copy of every page that is changed.
    pub(crate) fn batch_or_none(&mut self, ops: &[Op]) -> Result<Commit, GroupStop> {
        let (tree, seq, no) = (self.tree.clone(), self.seq, self.no);
        let (fresh, spent) = (self.fresh.len(), self.spent.len());
        let destroyed = self.destroyed.len();
        self.run(sql::SAVE, [])?;
        match self.batch(ops) {
            Ok(commit) => {
                self.run(sql::SAVE_KEEP, [])?;
                Ok(commit)
            }
            Err(GroupStop::Batch(fault)) => {
                self.run(sql::SAVE_UNDO, [])?;
                self.run(sql::SAVE_KEEP, [])?;
                self.known.clear();
                (self.tree, self.seq, self.no) = (tree, seq, no);
                self.spent.truncate(spent);
                self.destroyed.truncate(destroyed);
                self.slots.doom(self.fresh.drain(fresh..));
                Err(GroupStop::Batch(fault))
            }
            Err(stop) => Err(stop),
        }
    }

    fn apply<'o>(
        &mut self,
        op: &'o Op,
        opening: &mut Option<Opening<'o>>,
    ) -> Result<(), GroupStop> {
        match op {
            Op::Statement { .. } => self.statement(op),
            Op::Open(exchange) => {
                self.settle(opening.take())?;
                *opening = Some(self.open(exchange)?);
                Ok(())
            }
            Op::Advance { .. } => self.advance(op, opening.as_mut()),
            Op::Unmoved { xid, steps } => {
                self.settle(opening.take())?;
                self.unmoved(xid, *steps)
            }
            Op::Payload { xid, bytes } => self.payload(xid, bytes, opening.as_ref()),
            Op::Header { xid, header } => self.header(xid, header),
            Op::Shred { xid } => {
                let no = self.number(xid)?;
                self.shred(xid)?;
                self.run(sql::PAYLOAD_DROP, [no])?;
                Ok(())
            }
            Op::Have { .. } | Op::Retry { .. } | Op::DropDisclosed { .. } => {
                self.settle(opening.take())?;
                self.of_row(op)
            }
            Op::PeerPut(peer) => self.peer(peer),
            Op::PeerDrop { id } => self.peer_drop(id),
            Op::CardPut(card) => self.card(card),
            Op::CardDrop { authority, digest } => self.card_drop(authority, digest),
            Op::CrlPut(crl) => self.crl(crl),
            Op::CrlDrop { authority, ca } => self.crl_drop(authority, ca),
            Op::PeerState { id, .. }
            | Op::PeerSeen { id, .. }
            | Op::PeerHead { id, .. }
            | Op::PeerFault { id, .. } => self.of_peer(id, op),
            Op::Meta { key, value } => {
                let sum = sums::named(key, value);
                self.one(sql::META_PUT, params![key, value, sum])
            }
            Op::Witnessed(_) | Op::Heard { .. } | Op::Alarm(_) | Op::Cosigned(_) => {
                self.of_logs(op)
            }
            Op::OpeningBegin(row) => self.opening_begin(row),
            Op::OpeningRaise { id, bound } => self.opening_raise(id, *bound),
            Op::OpeningEnd { id } => self.one(sql::OPENING_END, [id]),
        }
    }

    /// A change of an exchange's row that is no step.
    fn of_row(&mut self, op: &Op) -> Result<(), GroupStop> {
        match op {
            Op::Have { xid, have } => {
                let sum = sums::had(xid, have);
                let have = json::canonical_text(have);
                self.one(sql::EXCHANGE_HAVE, params![have, sum, xid.as_bytes()])
            }
            Op::Retry {
                xid,
                attempts,
                next_try,
                fault,
            } => {
                let sum = sums::tried(xid, *attempts, *next_try, fault.as_ref());
                let next_try = next_try.map(Timestamp::millis);
                let (code, text) = parts(fault.as_ref());
                let values = params![attempts, next_try, code, text, sum, xid.as_bytes()];
                self.one(sql::EXCHANGE_RETRY, values)
            }
            Op::DropDisclosed { xid } => self.drop_disclosed(xid),
            Op::Statement { .. }
            | Op::Open(_)
            | Op::Advance { .. }
            | Op::Unmoved { .. }
            | Op::Payload { .. }
            | Op::Header { .. }
            | Op::Shred { .. }
            | Op::PeerPut(_)
            | Op::PeerDrop { .. }
            | Op::CardPut(_)
            | Op::CardDrop { .. }
            | Op::PeerState { .. }
            | Op::CrlPut(_)
            | Op::CrlDrop { .. }
            | Op::PeerSeen { .. }
            | Op::PeerHead { .. }
            | Op::PeerFault { .. }
            | Op::Meta { .. }
            | Op::OpeningBegin(_)
            | Op::OpeningRaise { .. }
            | Op::OpeningEnd { .. }
            | Op::Witnessed(_)
            | Op::Heard { .. }
            | Op::Alarm(_)
            | Op::Cosigned(_) => Ok(()),
        }
    }

    fn run(&self, statement: &'static str, values: impl Params) -> Result<usize, GroupStop> {
        Ok(self.db.prepare_cached(statement)?.execute(values)?)
    }

    /// Changes exactly one row; none means that whom it is about is not known.
    fn one(&self, statement: &'static str, values: impl Params) -> Result<(), GroupStop> {
        match self.run(statement, values)? {
            0 => Err(UNKNOWN.into()),
            _ => Ok(()),
        }
    }
}

fn parts(fault: Option<&StoredFault>) -> (Option<&str>, Option<&str>) {
    fault.map_or((None, None), |fault| {
        (Some(fault.code.as_str()), Some(fault.text.as_str()))
    })
}

fn random() -> Result<[u8; 32], GroupStop> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| GroupStop::Broken("the system's random generator failed".to_owned()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_but_a_full_disk_is_final() {
        for (code, is_full, says) in [
            (ffi::SQLITE_FULL, true, ""),
            (ffi::SQLITE_IOERR_SHMSIZE, true, ""),
            (ffi::SQLITE_IOERR_FSYNC, false, "cannot be flushed"),
            (ffi::SQLITE_IOERR_DIR_FSYNC, false, "cannot be flushed"),
            (ffi::SQLITE_IOERR_WRITE, false, "cannot be written"),
            (ffi::SQLITE_IOERR_READ, false, "cannot be read"),
            (ffi::SQLITE_CORRUPT, false, "cannot be used"),
            (ffi::SQLITE_READONLY, false, "cannot be used"),
        ] {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            match GroupStop::from(error) {
                GroupStop::Full => assert!(is_full, "{code}"),
                GroupStop::Broken(why) => assert!(!is_full && why.contains(says), "{code}: {why}"),
                GroupStop::Batch(fault) => panic!("{code}: {fault}"),
            }
        }
    }
}
