//! How each change becomes rows, inside the transaction of its group.

mod logs;

use rusqlite::Connection;
use rusqlite::OptionalExtension;
use rusqlite::Params;
use rusqlite::ffi;
use rusqlite::params;

use crate::base::AuthorityId;
use crate::base::Digest;
use crate::base::Timestamp;
use crate::base::Xid;
use crate::base::json;
use crate::store::durable::DiskFault;
use crate::store::op::Commit;
use crate::store::op::CommitFault;
use crate::store::op::Op;
use crate::store::reader;
use crate::store::rows::Direction;
use crate::store::rows::Exchange;
use crate::store::rows::Fault;
use crate::store::rows::PeerRow;
use crate::store::rows::PeerState;
use crate::store::rows::Phase;
use crate::store::slots::Slots;
use crate::store::sql;
use crate::store::sums;
use crate::tlog;

/// Why a change was not made, and whom it concerns.
pub(crate) enum Stop {
    /// The one batch it was in.
    Batch(CommitFault),
    /// The whole group: the disk is full.
    Full,
    /// Everything: the disk failed.
    Broken(String),
}

impl From<rusqlite::Error> for Stop {
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

/// What SQLite could not do.
const fn could_not(extended_code: i32) -> &'static str {
    match extended_code {
        ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC => "cannot be flushed",
        ffi::SQLITE_IOERR_WRITE | ffi::SQLITE_IOERR_TRUNCATE => "cannot be written",
        ffi::SQLITE_IOERR_READ | ffi::SQLITE_IOERR_SHORT_READ => "cannot be read",
        _ => "cannot be used",
    }
}

impl From<DiskFault> for Stop {
    fn from(fault: DiskFault) -> Self {
        match fault {
            DiskFault::Full { .. } => Self::Full,
            DiskFault::Broken { .. } => Self::Broken(fault.to_string()),
        }
    }
}

impl From<CommitFault> for Stop {
    fn from(fault: CommitFault) -> Self {
        Self::Batch(fault)
    }
}

const UNKNOWN: CommitFault = CommitFault::Conflict { current: None };

/// One group on its way to the disk.
pub(crate) struct Group<'a> {
    /// The connection, within a transaction.
    pub(crate) db: &'a Connection,
    /// Where the keys of headers go.
    pub(crate) slots: &'a mut Slots,
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
}

impl Group<'_> {
    /// Makes all changes of a batch or none.
    pub(crate) fn batch(&mut self, ops: &[Op]) -> Result<Commit, Stop> {
        for op in ops {
            op.check()?;
        }
        let tree = self.tree.clone();
        let (fresh, spent) = (self.fresh.len(), self.spent.len());
        self.run(sql::SAVE, [])?;
        match ops.iter().try_for_each(|op| self.apply(op)) {
            Ok(()) => {
                self.run(sql::SAVE_KEEP, [])?;
                let size = self.tree.size();
                Ok(Commit { size })
            }
            Err(Stop::Batch(fault)) => {
                self.run(sql::SAVE_UNDO, [])?;
                self.run(sql::SAVE_KEEP, [])?;
                self.tree = tree;
                self.spent.truncate(spent);
                self.slots.doom(self.fresh.drain(fresh..));
                Err(Stop::Batch(fault))
            }
            Err(stop) => Err(stop),
        }
    }

    fn apply(&mut self, op: &Op) -> Result<(), Stop> {
        match op {
            Op::Statement { .. } => self.statement(op),
            Op::Open(exchange) => self.open(exchange),
            Op::Advance { .. } => self.advance(op),
            Op::Payload { xid, bytes } => {
                let no = self.number(xid)?;
                self.one(sql::PAYLOAD_PUT, params![no, bytes])
            }
            Op::Header { xid, header } => self.header(xid, header),
            Op::Shred { xid } => {
                let no = self.number(xid)?;
                self.shred(no)?;
                self.run(sql::PAYLOAD_DROP, [no])?;
                Ok(())
            }
            Op::Have { xid, have } => {
                let sum = sums::had(xid, have);
                let have = String::from_utf8(json::canonical(have)).expect("JSON is UTF-8");
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
            Op::DropIncoming { xid } => self.drop_incoming(xid),
            Op::PeerPut(_)
            | Op::PeerState { .. }
            | Op::PeerCrl { .. }
            | Op::PeerSeen { .. }
            | Op::PeerHead { .. }
            | Op::PeerFault { .. } => self.of_peer(op),
            Op::Meta { key, value } => {
                let sum = sums::named(key, value);
                self.one(sql::META_PUT, params![key, value, sum])
            }
            Op::Witnessed(_) | Op::Heard { .. } | Op::Alarm(_) | Op::Cosigned(_) => {
                self.of_logs(op)
            }
        }
    }

    /// A change of what is known of a peer, and the checksum of its row as it is then.
    fn of_peer(&mut self, op: &Op) -> Result<(), Stop> {
        let id = match op {
            Op::PeerPut(peer) => {
                self.peer(peer)?;
                &peer.id
            }
            Op::PeerState { id, state, at } => {
                match state {
                    PeerState::Accepted => {
                        self.one(sql::PEER_ACCEPTED, params![at.millis(), id.as_str()])?;
                    }
                    PeerState::Added | PeerState::Paused | PeerState::Revoked => {
                        self.one(sql::PEER_STATE, params![state.as_str(), id.as_str()])?;
                    }
                }
                id
            }
            Op::PeerCrl { id, crl, number } => {
                self.one(sql::PEER_CRL, params![crl, number, id.as_str()])?;
                id
            }
            Op::PeerSeen { id, at } => {
                self.one(sql::PEER_SEEN, params![at.millis(), id.as_str()])?;
                id
            }
            Op::PeerHead { id, head } => {
                self.one(sql::PEER_HEAD, params![head, id.as_str()])?;
                id
            }
            Op::PeerFault { id, fault } => {
                self.peer_fault(id, fault.as_ref())?;
                id
            }
            Op::Statement { .. }
            | Op::Open(_)
            | Op::Advance { .. }
            | Op::Payload { .. }
            | Op::Header { .. }
            | Op::Shred { .. }
            | Op::Have { .. }
            | Op::Retry { .. }
            | Op::DropIncoming { .. }
            | Op::Witnessed(_)
            | Op::Heard { .. }
            | Op::Alarm(_)
            | Op::Cosigned(_)
            | Op::Meta { .. } => return Ok(()),
        };
        let row = reader::row(self.db, sql::PEER, [id.as_str()], reader::peer)?.ok_or(UNKNOWN)?;
        self.one(sql::PEER_SUM, params![sums::peer(&row), id.as_str()])
    }

    fn statement(&mut self, op: &Op) -> Result<(), Stop> {
        let Op::Statement {
            xid,
            kind,
            issuer,
            note,
            at,
            logged,
            signatures,
        } = op
        else {
            return Ok(());
        };
        let digest = Digest::of(note);
        let r = logged.then(random).transpose()?;
        let leaf = logged.then_some(self.tree.size());
        let sum = sums::kept(self.seq + 1, &digest, *at, leaf, r.as_ref());
        let stored = self.run(
            sql::STATEMENT_PUT,
            params![
                self.seq + 1,
                digest.as_bytes(),
                xid.as_ref().map(Xid::as_bytes),
                kind,
                issuer.as_str(),
                note,
                at.millis(),
                leaf,
                r,
                signatures,
                sum
            ],
        )?;
        if stored == 0 {
            return Ok(());
        }
        self.seq += 1;
        if let (Some(r), Some(leaf)) = (r, leaf) {
            let commitment = tlog::commitment(&r, &digest);
            self.one(sql::LEAF_PUT, params![leaf, commitment.as_bytes()])?;
            let entry = tlog::leaf_entry(&commitment);
            self.tree.append(tlog::leaf_hash(&entry));
        }
        Ok(())
    }

    fn open(&mut self, exchange: &Exchange) -> Result<(), Stop> {
        let (code, text) = parts(exchange.fault.as_ref());
        let fault = exchange.fault.as_ref();
        let tried = sums::tried(&exchange.xid, exchange.attempts, exchange.next_try, fault);
        let disclosures = json::canonical(&exchange.disclosures);
        let have = json::canonical(&exchange.have);
        let stored = self.run(
            sql::EXCHANGE_PUT,
            params![
                self.no + 1,
                exchange.xid.as_bytes(),
                exchange.direction.as_str(),
                exchange.peer.as_str(),
                exchange.phase.as_str(),
                exchange.created.millis(),
                exchange.updated.millis(),
                exchange.body.as_bytes(),
                exchange.hdr.as_bytes(),
                exchange.len,
                exchange.segments,
                exchange.terms,
                exchange.case_ref,
                exchange.request_ref,
                exchange.title,
                exchange.items,
                String::from_utf8(disclosures).expect("JSON is UTF-8"),
                String::from_utf8(have).expect("JSON is UTF-8"),
                i64::from(exchange.inline),
                exchange.attempts,
                exchange.next_try.map(Timestamp::millis),
                code,
                text,
                exchange.last_note,
                exchange.steps,
                sums::opened(self.no + 1, exchange),
                sums::stepped(&exchange.xid, exchange.phase, exchange.updated),
                sums::had(&exchange.xid, &exchange.have),
                tried,
                i64::from(exchange.urgent)
            ],
        )?;
        if stored == 0 {
            let (_, current, _) = self.state(&exchange.xid)?;
            let current = Some(current);
            return Err(CommitFault::Conflict { current }.into());
        }
        self.no += 1;
        Ok(())
    }

    fn advance(&mut self, op: &Op) -> Result<(), Stop> {
        let Op::Advance {
            xid,
            from,
            to,
            last_note,
            at,
        } = op
        else {
            return Ok(());
        };
        let (no, current, _) = self.state(xid)?;
        if !from.contains(&current) {
            let current = Some(current);
            return Err(CommitFault::Conflict { current }.into());
        }
        let sum = sums::stepped(xid, *to, *at);
        let (to, at) = (to.as_str(), at.millis());
        match last_note {
            Some(note) => self.one(sql::EXCHANGE_STEP, params![to, at, sum, note, no]),
            None => self.one(sql::EXCHANGE_PHASE, params![to, at, sum, no]),
        }
    }

    fn header(&mut self, xid: &Xid, header: &[u8]) -> Result<(), Stop> {
        let no = self.number(xid)?;
        self.shred(no)?;
        let (slot, wrapped) = self.slots.wrap(xid, header)?;
        self.fresh.push(slot);
        self.one(sql::HEADER_PUT, params![no, slot, wrapped])
    }

    fn shred(&mut self, no: i64) -> Result<(), Stop> {
        let mut drop = self.db.prepare_cached(sql::HEADER_DROP)?;
        let slot: Option<u32> = drop.query_row([no], |row| row.get(0)).optional()?;
        self.spent.extend(slot);
        Ok(())
    }

    fn drop_incoming(&mut self, xid: &Xid) -> Result<(), Stop> {
        let (no, current, direction) = self.state(xid)?;
        if (direction, current) != (Direction::In, Phase::Receiving) {
            let current = Some(current);
            return Err(CommitFault::Conflict { current }.into());
        }
        self.shred(no)?;
        self.run(sql::PAYLOAD_DROP, [no])?;
        self.one(sql::EXCHANGE_DROP, [no])
    }

    fn peer(&mut self, peer: &PeerRow) -> Result<(), Stop> {
        let (code, text) = parts(peer.fault.as_ref());
        self.one(
            sql::PEER_PUT,
            params![
                peer.id.as_str(),
                peer.alias.as_str(),
                peer.card,
                peer.number,
                peer.crl,
                peer.crl_number,
                peer.state.as_str(),
                i64::from(peer.classic),
                peer.added.millis(),
                peer.accepted.map(Timestamp::millis),
                peer.last_seen.map(Timestamp::millis),
                peer.head,
                code,
                text
            ],
        )
    }

    fn peer_fault(&mut self, id: &AuthorityId, fault: Option<&Fault>) -> Result<(), Stop> {
        let (code, text) = parts(fault);
        self.one(sql::PEER_FAULT, params![code, text, id.as_str()])
    }

    fn state(&self, xid: &Xid) -> Result<(i64, Phase, Direction), Stop> {
        let mut find = self.db.prepare_cached(sql::EXCHANGE_STATE)?;
        let found = find.query_row([xid.as_bytes()], |row| {
            let (phase, direction): (String, String) = (row.get(1)?, row.get(2)?);
            Ok((row.get(0)?, phase, direction))
        });
        let (no, phase, direction) = found.optional()?.ok_or(UNKNOWN)?;
        match (phase.parse(), direction.parse()) {
            (Ok(phase), Ok(direction)) => Ok((no, phase, direction)),
            (Err(fault), _) | (_, Err(fault)) => Err(Stop::Broken(fault.to_string())),
        }
    }

    fn number(&self, xid: &Xid) -> Result<i64, Stop> {
        let mut find = self.db.prepare_cached(sql::EXCHANGE_NO)?;
        let found = find.query_row([xid.as_bytes()], |row| row.get(0));
        Ok(found.optional()?.ok_or(UNKNOWN)?)
    }

    fn run(&self, statement: &'static str, values: impl Params) -> Result<usize, Stop> {
        Ok(self.db.prepare_cached(statement)?.execute(values)?)
    }

    /// Changes exactly one row; none means that whom it is about is not known.
    fn one(&self, statement: &'static str, values: impl Params) -> Result<(), Stop> {
        match self.run(statement, values)? {
            0 => Err(UNKNOWN.into()),
            _ => Ok(()),
        }
    }
}

fn parts(fault: Option<&Fault>) -> (Option<&str>, Option<&str>) {
    fault.map_or((None, None), |fault| {
        (Some(fault.code.as_str()), Some(fault.text.as_str()))
    })
}

fn random() -> Result<[u8; 32], Stop> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Stop::Broken("the system's random generator failed".to_owned()))?;
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
            match Stop::from(error) {
                Stop::Full => assert!(is_full, "{code}"),
                Stop::Broken(why) => assert!(!is_full && why.contains(says), "{code}: {why}"),
                Stop::Batch(fault) => panic!("{code}: {fault}"),
            }
        }
    }
}
