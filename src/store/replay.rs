//! Settles at the start, before anything is read or served, what the journal of destructions and the ledger owe each
//! other.
//!
//! A package that the journal names and the ledger still has a key for has come back with a restored backup: its key,
//! and a payload in the ledger, are dropped, and a mark says so. Nothing is signed: its receiver stated the destruction
//! in the time that the backup does not know, and its sender has that. The other way round, a destruction that the
//! journal does not name gets its entry: a crash came in between, or the journal is an older one or a new one.
//!
//! Exchanges are compared a page at a time with the whole journal, so that neither has to fit into memory.

use rusqlite::{Connection, Row, params};

use crate::base::{Digest, Timestamp, Xid, json};
use crate::exchange::Phase;
use crate::receipt::Reason;
use crate::store::journal::{Journal, JournalEntry};
use crate::store::rows::unreadable_key;
use crate::store::settlement::Settled;
use crate::store::writer::execute;
use crate::store::{StoreFault, reader, sql, sums};

/// Exchanges that are compared with the journal in one reading of it.
const PAGE: u32 = 200_000;
/// Entries that are written with one flush.
const TOGETHER: usize = 1_000;

/// An exchange that was received here, as far as it matters.
struct Received {
    xid: Xid,
    no: i64,
    /// Whether its package may be readable; else it was destroyed.
    is_held: bool,
}

fn received(row: &Row<'_>) -> rusqlite::Result<Received> {
    let phase: Phase = reader::word(row, 2)?;
    Ok(Received {
        no: row.get(0)?,
        xid: reader::xid(row, 1)?,
        is_held: matches!(phase, Phase::Held | Phase::HandoverSigned),
    })
}

/// Destroys again what has come back, and completes the journal.
pub(crate) fn settle(db: &Connection, journal: &mut Journal) -> Result<Settled, StoreFault> {
    let mut marks = marks(db)?;
    let mut settled = Settled::default();
    let mut after = 0_i64;
    loop {
        let page = page(db, &mut after)?;
        if page.is_empty() {
            break;
        }
        let (back, unnamed) = compared(&page, |each| journal.each(each))?;
        let again = destroy_again(db, &mut marks, &back)?;
        settled.again = settled.again.saturating_add(again);
        let missing = complete(db, journal, &marks, &unnamed)?;
        settled.missing = settled.missing.saturating_add(missing);
    }
    let said: i64 = db.query_row(sql::STATEMENT_LAST, [], |row| row.get(0))?;
    settled.is_rebuilt = journal.is_new() && (said > 0 || settled.missing > 0);
    told(&settled);
    settled.gone = marks;
    Ok(settled)
}

fn told(settled: &Settled) {
    let (again, missing) = (settled.again, settled.missing);
    if again > 0 {
        tracing::warn!(
            packages = again,
            "this state was restored from a backup: what had been destroyed since is made unreadable again"
        );
    }
    if settled.is_rebuilt {
        tracing::warn!(
            entries = missing,
            "the journal of destructions was missing and is written anew from the ledger; if this state was restored from a \
             backup, what was destroyed after that is readable again: stop the daemon and put the newest journal in its place"
        );
    } else if missing > 0 {
        tracing::warn!(
            entries = missing,
            "the journal of destructions lacked some that the ledger knows; they are entered now"
        );
    }
}

/// Lists by exchange what a start would have to settle; for readers that change nothing.
#[derive(Debug, Default)]
pub(crate) struct Owed {
    /// Destroyed, and not in the journal.
    pub(crate) missing: Vec<Xid>,
    /// In the journal, and not marked as destroyed.
    pub(crate) readable: Vec<Xid>,
}

/// Compares without changing anything; `read` gives every entry of the journal.
pub(crate) fn owed(
    db: &Connection,
    read: impl Fn(&mut dyn FnMut(&JournalEntry)) -> Result<(), StoreFault>,
) -> Result<Owed, StoreFault> {
    let marks = marks(db)?;
    let is_marked = |xid: &Xid| marks.binary_search_by_key(xid, |it| it.xid).is_ok();
    let (mut owed, mut after) = (Owed::default(), 0);
    loop {
        let page = page(db, &mut after)?;
        if page.is_empty() {
            return Ok(owed);
        }
        let (back, unnamed) = compared(&page, &read)?;
        let back = back.iter().map(|entry| entry.xid);
        owed.readable.extend(back.filter(|xid| !is_marked(xid)));
        let unnamed = unnamed.iter();
        let missing = unnamed.filter(|it| !it.is_held || is_marked(&it.xid));
        owed.missing.extend(missing.map(|it| it.xid));
    }
}

/// The next exchanges after this number, which goes on to the last of them; by id.
fn page(db: &Connection, after: &mut i64) -> Result<Vec<Received>, StoreFault> {
    let mut page = reader::rows(db, sql::RECEIVED, params![*after, PAGE], received)?;
    *after = page.last().map_or(*after, |last| last.no);
    page.sort_unstable_by_key(|it| it.xid);
    Ok(page)
}

/// Of these exchanges, by id: the entries of those that are held, and those that the journal does not name.
fn compared(
    page: &[Received],
    read: impl FnOnce(&mut dyn FnMut(&JournalEntry)) -> Result<(), StoreFault>,
) -> Result<(Vec<JournalEntry>, Vec<&Received>), StoreFault> {
    let mut named = vec![false; page.len()];
    let mut back = Vec::new();
    read(&mut |entry| {
        let at = page.binary_search_by_key(&entry.xid, |it| it.xid);
        let found = at.ok().and_then(|at| page.get(at).zip(named.get_mut(at)));
        if let Some((it, is_named)) = found {
            if it.is_held && !*is_named {
                back.push(*entry);
            }
            *is_named = true;
        }
    })?;
    let unnamed = page.iter().zip(&named).filter(|(_, is_named)| !**is_named);
    let unnamed = unnamed.map(|(it, _)| it).collect();
    Ok((back, unnamed))
}

/// Drops keys and payloads of packages that have come back, and marks them; says how many were not marked before.
fn destroy_again(
    db: &Connection,
    marks: &mut Vec<JournalEntry>,
    back: &[JournalEntry],
) -> Result<usize, StoreFault> {
    let is_new =
        |entry: &&JournalEntry| marks.binary_search_by_key(&entry.xid, |it| it.xid).is_err();
    let new: Vec<JournalEntry> = back.iter().filter(is_new).copied().collect();
    if new.is_empty() {
        return Ok(0);
    }
    execute(db, sql::BEGIN)?;
    let done = new
        .iter()
        .try_for_each(|entry| destroy(db, entry))
        .and_then(|()| execute(db, sql::COMMIT));
    if let Err(error) = done {
        if !db.is_autocommit() {
            execute(db, sql::ROLLBACK)?;
        }
        return Err(error.into());
    }
    marks.extend(&new);
    marks.sort_unstable_by_key(|it| it.xid);
    Ok(new.len())
}

/// The cell of the key is overwritten when the slot file is opened: no header has it any more.
fn destroy(db: &Connection, entry: &JournalEntry) -> rusqlite::Result<()> {
    let xid = [entry.xid.as_bytes()];
    db.prepare_cached(sql::HEADER_OF_DROP)?.execute(xid)?;
    db.prepare_cached(sql::PAYLOAD_OF_DROP)?.execute(xid)?;
    let (key, value) = (unreadable_key(&entry.xid), mark(entry));
    let sum = sums::named(&key, &value);
    let mut put = db.prepare_cached(sql::META_PUT)?;
    put.execute(params![key, value, sum]).map(drop)
}

/// Gives destructions that the journal does not name their entries; says how many.
fn complete(
    db: &Connection,
    journal: &mut Journal,
    marks: &[JournalEntry],
    unnamed: &[&Received],
) -> Result<usize, StoreFault> {
    let mut count = 0_usize;
    for some in unnamed.chunks(TOGETHER) {
        let mut entries = Vec::new();
        for it in some {
            if it.is_held {
                let marked = marks.binary_search_by_key(&it.xid, |mark| mark.xid);
                entries.extend(marked.ok().and_then(|at| marks.get(at)));
            } else {
                entries.push(stated(db, it)?);
            }
        }
        count = count.saturating_add(entries.len());
        journal.append(&entries)?;
    }
    Ok(count)
}

fn stated(db: &Connection, it: &Received) -> Result<JournalEntry, StoreFault> {
    let stated = reader::row(db, sql::DESTROYED_FIRST, [it.no], |row| {
        Ok((reader::digest(row, 0)?, Timestamp::from_millis(row.get(1)?)))
    })?;
    let (statement, at) = stated.ok_or_else(|| {
        let what = format!("{} is destroyed, and no statement of it says so", it.xid);
        StoreFault::Damaged(what)
    })?;
    Ok(JournalEntry {
        xid: it.xid,
        statement,
        at,
    })
}

/// The value under [`unreadable_key`] of a package that was destroyed before this state was restored.
fn mark(entry: &JournalEntry) -> Vec<u8> {
    format!("{DESTROYED} {} {}", entry.statement, entry.at).into_bytes()
}

const DESTROYED: &str = "destroyed";

/// Reads such a value; none of one that only says that the destruction is still to be stated.
pub(crate) fn marked(xid: Xid, value: &[u8]) -> Option<JournalEntry> {
    let text = std::str::from_utf8(value).ok()?;
    let (word, rest) = text.split_once(' ')?;
    let (statement, at) = rest.split_once(' ')?;
    (word == DESTROYED).then_some(JournalEntry {
        xid,
        statement: Digest::parse(statement)?,
        at: at.parse().ok()?,
    })
}

/// A package that was made unreadable when it could no longer be kept, before that could be stated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unstated {
    /// The package.
    pub xid: Xid,
    /// Why it could no longer be kept.
    pub reason: Reason,
}

const RETENTION: &str = "retention";

/// The value under [`unreadable_key`] of such a package.
pub fn unstated(reason: &Reason) -> Vec<u8> {
    [RETENTION.as_bytes(), b" ", &json::canonical(reason)].concat()
}

/// Reads such a value.
pub(crate) fn unstated_reason(value: &[u8]) -> Option<Reason> {
    let text = std::str::from_utf8(value).ok()?;
    let (word, reason) = text.split_once(' ')?;
    let reason = serde_json::from_str(reason).ok()?;
    (word == RETENTION).then_some(reason)
}

/// Every package with such a mark, by exchange.
fn marks(db: &Connection) -> Result<Vec<JournalEntry>, StoreFault> {
    let found = reader::rows(db, sql::METAS_BETWEEN, UNREADABLE, |row| {
        let (key, value): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
        let xid = key.strip_prefix(UNREADABLE[0]).map(str::parse);
        Ok(xid.and_then(|xid| marked(xid.ok()?, &value)))
    })?;
    let mut marks: Vec<_> = found.into_iter().flatten().collect();
    marks.sort_unstable_by_key(|it| it.xid);
    Ok(marks)
}

/// The beginning of every name that [`unreadable_key`] gives, and the first name after them all.
pub(crate) const UNREADABLE: [&str; 2] = ["unreadable/", "unreadable0"];
