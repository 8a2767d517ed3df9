//! How exchanges and their statements become rows.

use rusqlite::{OptionalExtension, params};

use crate::base::{Digest, Timestamp, Xid, json};
use crate::exchange::{Direction, Phase, Step};
use crate::receipt::Kind;
use crate::store::apply::{CommitGroup, GroupStop, UNKNOWN, parts, random};
use crate::store::journal::JournalEntry;
use crate::store::op::{CommitFault, Op};
use crate::store::recent::{KeyCell, RecentExchange};
use crate::store::rows::Exchange;
use crate::store::{due, reader, sql, sums};
use crate::tlog;

/// An exchange that a batch begins: its row is written when the batch has said all of it.
pub(super) struct Opening<'o> {
    no: i64,
    row: &'o Exchange,
    phase: Phase,
    updated: Timestamp,
    last_note: &'o [u8],
    steps: u32,
}

/// The number after this one, which rows that are damaged can have made the last.
fn following(number: i64) -> Result<i64, GroupStop> {
    let next = number.checked_add(1);
    next.ok_or_else(|| GroupStop::Broken("the numbers of its rows have run out".to_owned()))
}

impl CommitGroup<'_> {
    pub(super) fn open<'o>(&mut self, row: &'o Exchange) -> Result<Opening<'o>, GroupStop> {
        if let Some(known) = self.find(&row.xid)? {
            let current = Some(known.phase);
            return Err(CommitFault::Conflict { current }.into());
        }
        self.no = following(self.no)?;
        let no = self.no;
        // Statements of it may have come before, or be left of an exchange that was dropped.
        let xid = row.xid.as_bytes();
        let is_any = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
        let alone = reader::row(self.db, sql::STATEMENTS_ALONE, [xid], is_any)?;
        let statements = if alone.is_none() {
            Vec::new()
        } else {
            self.run(sql::STATEMENTS_PLACE, params![no, xid])?;
            self.digests(no)?
        };
        let known = RecentExchange {
            no,
            phase: row.phase,
            direction: row.direction,
            statements,
            cell: KeyCell::None,
        };
        self.known.put(row.xid, known);
        Ok(Opening {
            no,
            row,
            phase: row.phase,
            updated: row.updated,
            last_note: &row.last_note,
            steps: row.steps,
        })
    }

    pub(super) fn payload(
        &mut self,
        xid: &Xid,
        bytes: &[u8],
        opening: Option<&Opening<'_>>,
    ) -> Result<(), GroupStop> {
        let no = self.number(xid)?;
        if opening.is_none_or(|opening| opening.no != no) {
            self.run(sql::PAYLOAD_DROP, [no])?;
        }
        self.one(sql::PAYLOAD_PUT, params![no, bytes])
    }

    /// Writes the row of an exchange that was begun.
    pub(super) fn settle(&mut self, opening: Option<Opening<'_>>) -> Result<(), GroupStop> {
        let Some(opening) = opening else {
            return Ok(());
        };
        let Opening { no, row, .. } = opening;
        let (phase, updated) = (opening.phase, opening.updated);
        let (code, text) = parts(row.fault.as_ref());
        let tried = sums::tried(&row.xid, row.attempts, row.next_try, row.fault.as_ref());
        let disclosures = json::canonical_text(&row.disclosures);
        let have = json::canonical_text(&row.have);
        let (note, last) = self.last(&row.xid, opening.last_note)?;
        self.one(
            sql::EXCHANGE_PUT,
            params![
                no,
                row.xid.as_bytes(),
                row.direction.as_str(),
                row.peer.as_str(),
                phase.as_str(),
                row.created.millis(),
                updated.millis(),
                row.body.as_bytes(),
                row.hdr.as_bytes(),
                row.len,
                row.segments,
                row.terms,
                row.case_ref,
                row.request_ref,
                row.title,
                row.items,
                disclosures,
                have,
                i64::from(row.inline),
                row.attempts,
                row.next_try.map(Timestamp::millis),
                code,
                text,
                note,
                opening.steps,
                sums::opened(no, row),
                sums::stepped(&row.xid, phase, updated),
                sums::had(&row.xid, &row.have),
                tried,
                i64::from(row.urgent),
                last,
                due::due_first(&row.terms)
            ],
        )
    }

    /// The kept form of the newest statement: its number, or its bytes if it is not among the statements.
    fn last<'n>(
        &mut self,
        xid: &Xid,
        note: &'n [u8],
    ) -> Result<(&'n [u8], Option<i64>), GroupStop> {
        let digest = Digest::of(note);
        let known = self.find(xid)?.ok_or(UNKNOWN)?;
        let mut newest_first = known.statements.iter().rev();
        Ok(match newest_first.find(|(of, _)| *of == digest) {
            Some((_, seq)) => (&[], Some(*seq)),
            None => (note, None),
        })
    }

    /// Whether the exchange is as far as it was.
    pub(super) fn unmoved(&mut self, xid: &Xid, steps: u32) -> Result<(), GroupStop> {
        let known = self.find(xid)?.ok_or(UNKNOWN)?;
        let current = Some(known.phase);
        let row = reader::row(self.db, sql::EXCHANGE, [xid.as_bytes()], reader::exchange)?;
        if row.is_some_and(|row| row.steps == steps) {
            Ok(())
        } else {
            Err(CommitFault::Conflict { current }.into())
        }
    }

    pub(super) fn advance<'o>(
        &mut self,
        op: &'o Op,
        opening: Option<&mut Opening<'o>>,
    ) -> Result<(), GroupStop> {
        let Op::Advance {
            xid,
            step,
            last_note,
            at,
        } = op
        else {
            return Ok(());
        };
        let known = self.find(xid)?.ok_or(UNKNOWN)?;
        let current = Some(known.phase);
        let Some(to) = known.phase.after(known.direction, *step) else {
            return Err(CommitFault::Conflict { current }.into());
        };
        let was_held = known.phase == Phase::Held;
        known.phase = to;
        let (no, direction) = (known.no, known.direction);
        let destroyed = Step::Signed(Kind::Destroyed);
        if let (Direction::In, true, Some(note)) = (direction, *step == destroyed, last_note) {
            self.destroyed.push(JournalEntry {
                xid: *xid,
                statement: Digest::of(note),
                at: *at,
            });
        }
        if let Some(opening) = opening.filter(|opening| opening.row.xid == *xid) {
            (opening.phase, opening.updated) = (to, *at);
            if let Some(note) = last_note {
                opening.last_note = note;
                opening.steps = opening.steps.saturating_add(1);
            }
            return Ok(());
        }
        let sum = sums::stepped(xid, to, *at);
        let (to, at) = (to.as_str(), at.millis());
        let Some(note) = last_note else {
            return self.one(sql::EXCHANGE_PHASE, params![to, at, sum, no]);
        };
        // Until the handover the terms are those of the dispatch.
        let due = was_held.then(|| due::due_after(note)).flatten();
        let (note, last) = self.last(xid, note)?;
        let values = params![to, at, sum, note, last, due, no];
        self.one(sql::EXCHANGE_STEP, values)
    }

    pub(super) fn statement(&mut self, op: &Op) -> Result<(), GroupStop> {
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
        let (no, is_kept) = self.place(xid.as_ref(), &digest)?;
        if is_kept {
            return Ok(());
        }
        let r = logged.then(random).transpose()?;
        let leaf = logged.then_some(self.tree.size());
        self.seq = following(self.seq)?;
        let seq = self.seq;
        let sum = sums::kept(seq, &digest, *at, leaf, r.as_ref());
        self.one(
            sql::STATEMENT_PUT,
            params![
                seq,
                digest.as_bytes(),
                xid.as_ref().map(Xid::as_bytes),
                no,
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
        if let Some(xid) = xid {
            self.known.add(xid, digest, seq);
        }
        if let (Some(r), Some(leaf)) = (r, leaf) {
            let commitment = tlog::commitment(&r, &digest);
            self.one(sql::LEAF_PUT, params![leaf, commitment.as_bytes()])?;
            let entry = tlog::leaf_entry(&commitment);
            self.tree.append(tlog::leaf_hash(&entry));
        }
        Ok(())
    }

    /// The number of the exchange that a statement is of, if that is here, and whether the statement is here already.
    fn place(
        &mut self,
        xid: Option<&Xid>,
        digest: &Digest,
    ) -> Result<(Option<i64>, bool), GroupStop> {
        let Some(xid) = xid else {
            let values = [digest.as_bytes()];
            let found = reader::row(self.db, sql::STATEMENT_OWN, values, |row| {
                row.get::<_, i64>(0)
            })?;
            return Ok((None, found.is_some()));
        };
        if let Some(known) = self.find(xid)? {
            let is_kept = known.statements.iter().any(|(of, _)| of == digest);
            return Ok((Some(known.no), is_kept));
        }
        let values = params![xid.as_bytes(), digest.as_bytes()];
        let found = reader::row(self.db, sql::STATEMENT_ALONE, values, |row| {
            row.get::<_, i64>(0)
        })?;
        Ok((None, found.is_some()))
    }

    /// The state of an exchange; none if it is not here.
    pub(super) fn find(&mut self, xid: &Xid) -> Result<Option<&mut RecentExchange>, GroupStop> {
        if self.known.get(xid).is_none() {
            let Some(known) = self.look(xid)? else {
                return Ok(None);
            };
            self.known.put(*xid, known);
        }
        Ok(self.known.get(xid))
    }

    fn look(&self, xid: &Xid) -> Result<Option<RecentExchange>, GroupStop> {
        let mut find = self.db.prepare_cached(sql::EXCHANGE_STATE)?;
        let found = find.query_row([xid.as_bytes()], |row| {
            let (phase, direction): (String, String) = (row.get(1)?, row.get(2)?);
            Ok((row.get(0)?, phase, direction))
        });
        let Some((no, phase, direction)) = found.optional()? else {
            return Ok(None);
        };
        match (phase.parse(), direction.parse()) {
            (Ok(phase), Ok(direction)) => Ok(Some(RecentExchange {
                no,
                phase,
                direction,
                statements: self.digests(no)?,
                cell: KeyCell::Unread,
            })),
            (Err(fault), _) | (_, Err(fault)) => Err(GroupStop::Broken(fault.to_string())),
        }
    }

    fn digests(&self, no: i64) -> Result<Vec<(Digest, i64)>, GroupStop> {
        let read = |row: &rusqlite::Row<'_>| Ok((reader::digest(row, 0)?, row.get(1)?));
        Ok(reader::rows(self.db, sql::STATEMENTS_OF, [no], read)?)
    }

    pub(super) fn number(&mut self, xid: &Xid) -> Result<i64, GroupStop> {
        Ok(self.find(xid)?.ok_or(UNKNOWN)?.no)
    }

    pub(super) fn header(&mut self, xid: &Xid, header: &[u8]) -> Result<(), GroupStop> {
        let no = self.number(xid)?;
        self.shred(xid)?;
        let (slot, wrapped) = self.slots.wrap(xid, header)?;
        self.fresh.push(slot);
        self.one(sql::HEADER_PUT, params![no, slot, wrapped])?;
        self.find(xid)?.ok_or(UNKNOWN)?.cell = KeyCell::At(slot);
        Ok(())
    }

    /// Drops the header of an exchange; the cell of its key is overwritten once that is committed.
    pub(super) fn shred(&mut self, xid: &Xid) -> Result<(), GroupStop> {
        let known = self.find(xid)?.ok_or(UNKNOWN)?;
        let no = known.no;
        match std::mem::replace(&mut known.cell, KeyCell::None) {
            KeyCell::None => {}
            KeyCell::At(cell) => {
                self.one(sql::HEADER_CLEAR, [no])?;
                self.spent.push(cell);
            }
            KeyCell::Unread => {
                let mut drop = self.db.prepare_cached(sql::HEADER_DROP)?;
                let slot: Option<u32> = drop.query_row([no], |row| row.get(0)).optional()?;
                self.spent.extend(slot);
            }
        }
        Ok(())
    }

    pub(super) fn drop_disclosed(&mut self, xid: &Xid) -> Result<(), GroupStop> {
        let row = reader::row(self.db, sql::EXCHANGE, [xid.as_bytes()], reader::exchange)?;
        let mut row = row.ok_or(UNKNOWN)?;
        row.undisclosed();
        let no = self.number(xid)?;
        self.run(sql::PAYLOAD_DROP, [no])?;
        self.one(
            sql::EXCHANGE_UNDISCLOSED,
            params![sums::opened(no, &row), no],
        )
    }
}
