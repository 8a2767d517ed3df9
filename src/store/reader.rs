//! Reading the ledger: a few connections that never wait for the writer.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use rusqlite::types::Type;
use rusqlite::{Connection, OpenFlags, Row};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::base::{AuthorityId, Digest, Ranges, Timestamp, Xid};
use crate::store::index::Handle;
use crate::store::rows::{
    AlarmRow, CardRow, CosignedRow, CrlRow, Exchange, OpeningRow, PeerRow, Reached, StatementRow,
    StoredFault, WitnessedRow,
};
use crate::store::slots::{SlotFault, SlotKeys};
use crate::store::sql;

/// The result of decrypting a header.
pub(crate) type Unwrapped = Result<Option<Zeroizing<Vec<u8>>>, SlotFault>;

/// Connections for reading, at most: each costs about a megabyte of cache.
const CONNECTIONS: usize = 4;

/// The connections that are not in use, and the right to use one.
pub(crate) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    turns: Semaphore,
    /// Closed after the connections.
    _index: Handle,
}

impl Readers {
    pub(crate) fn new(path: &Path, index: Handle) -> Self {
        Self {
            path: path.to_owned(),
            idle: Mutex::new(Vec::new()),
            turns: Semaphore::new(CONNECTIONS),
            _index: index,
        }
    }

    /// Waits until one of the connections is free for [`Self::read`].
    pub(crate) async fn turn(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        self.turns.acquire().await.ok()
    }

    /// Reads on one of the connections; blocks.
    pub(crate) fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = idle().pop();
        let connection = match taken {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let answer = query(&connection)?;
        let mut idle = idle();
        if idle.len() < CONNECTIONS {
            idle.push(connection);
        }
        Ok(answer)
    }

    /// Another connection for reading.
    pub(crate) fn connect(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.set_prepared_statement_cache_capacity(64);
        connection.execute_batch(sql::READER)?;
        Ok(connection)
    }
}

/// All rows of a query, read by `as_row`.
pub(crate) fn rows<T>(
    db: &Connection,
    query: &'static str,
    values: impl rusqlite::Params,
    as_row: fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    let mut statement = db.prepare_cached(query)?;
    let found = statement.query_map(values, as_row)?;
    found.collect()
}

/// The only row of a query, or none.
pub(crate) fn row<T>(
    db: &Connection,
    query: &'static str,
    values: impl rusqlite::Params,
    as_row: fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Option<T>> {
    use rusqlite::OptionalExtension;
    db.prepare_cached(query)?
        .query_row(values, as_row)
        .optional()
}

/// The age header of an exchange, decrypted; nothing in it if its key was shredded.
pub(crate) fn header(
    db: &Connection,
    keys: &SlotKeys,
    xid: &Xid,
) -> rusqlite::Result<Option<Unwrapped>> {
    let found = row(db, sql::HEADER, [xid.as_bytes()], |row| {
        let (slot, wrapped): (u32, Vec<u8>) = (row.get(0)?, row.get(1)?);
        Ok((slot, wrapped))
    })?;
    Ok(found.map(|(slot, wrapped)| keys.unwrap(slot, xid, &wrapped)))
}

/// An exchange from the columns of the queries in [`sql`].
pub(crate) fn exchange(row: &Row<'_>) -> rusqlite::Result<Exchange> {
    Ok(Exchange {
        xid: xid(row, 0)?,
        direction: word(row, 1)?,
        peer: word(row, 2)?,
        phase: word(row, 3)?,
        created: time(row, 4)?,
        updated: time(row, 5)?,
        body: digest(row, 6)?,
        hdr: digest(row, 7)?,
        len: row.get(8)?,
        segments: row.get(9)?,
        terms: row.get(10)?,
        case_ref: row.get(11)?,
        request_ref: row.get(12)?,
        title: row.get(13)?,
        items: row.get(14)?,
        disclosures: from_json(row, 15)?,
        have: from_json::<Ranges>(row, 16)?,
        inline: row.get::<_, i64>(17)? != 0,
        attempts: row.get(18)?,
        next_try: maybe_time(row, 19)?,
        fault: fault(row, 20)?,
        last_note: row.get(22)?,
        steps: row.get(23)?,
        urgent: row.get::<_, i64>(24)? != 0,
    })
}

/// An exchange with its number, which comes after the columns of [`exchange`].
pub(crate) fn numbered_exchange(row: &Row<'_>) -> rusqlite::Result<(i64, Exchange)> {
    Ok((row.get(25)?, exchange(row)?))
}

/// A statement with its number.
pub(crate) fn numbered_statement(row: &Row<'_>) -> rusqlite::Result<(i64, StatementRow)> {
    let statement = statement(row)?;
    Ok((statement.seq, statement))
}

/// How far an exchange has come, from the columns of the query in [`sql`].
pub(crate) fn reached(row: &Row<'_>) -> rusqlite::Result<Reached> {
    Ok(Reached {
        xid: xid(row, 0)?,
        phase: word(row, 1)?,
        fault: fault(row, 2)?,
        ended_by: row.get(4)?,
    })
}

/// A statement from the columns of the queries in [`sql`].
pub(crate) fn statement(row: &Row<'_>) -> rusqlite::Result<StatementRow> {
    let xid: Option<[u8; 16]> = row.get(1)?;
    Ok(StatementRow {
        seq: row.get(0)?,
        xid: xid.map(Xid::from_bytes),
        kind: row.get(2)?,
        issuer: word(row, 3)?,
        note: row.get(4)?,
        digest: digest(row, 5)?,
        at: time(row, 6)?,
        leaf: row.get(7)?,
        r: row.get(8)?,
        signatures: row.get(9)?,
    })
}

/// A peer from the columns of the queries in [`sql`].
pub(crate) fn peer(row: &Row<'_>) -> rusqlite::Result<PeerRow> {
    Ok(PeerRow {
        id: word(row, 0)?,
        alias: word(row, 1)?,
        card: row.get(2)?,
        number: row.get(3)?,
        state: word(row, 4)?,
        classic: row.get::<_, i64>(5)? != 0,
        added: time(row, 6)?,
        accepted: maybe_time(row, 7)?,
        last_seen: maybe_time(row, 8)?,
        head: row.get(9)?,
        fault: fault(row, 10)?,
    })
}

/// A card from the columns of the queries in [`sql`].
pub(crate) fn card(row: &Row<'_>) -> rusqlite::Result<CardRow> {
    Ok(CardRow {
        authority: word(row, 0)?,
        digest: digest(row, 1)?,
        number: row.get(2)?,
        note: row.get(3)?,
        came: time(row, 4)?,
        adopted: maybe_time(row, 5)?,
    })
}

/// A revocation list from the columns of the query in [`sql`].
pub(crate) fn crl(row: &Row<'_>) -> rusqlite::Result<CrlRow> {
    Ok(CrlRow {
        authority: word(row, 0)?,
        ca: digest(row, 1)?,
        number: row.get(2)?,
        list: row.get(3)?,
        came: time(row, 4)?,
    })
}

/// A cosigned head from the columns of the queries in [`sql`].
pub(crate) fn witnessed(row: &Row<'_>) -> rusqlite::Result<WitnessedRow> {
    Ok(WitnessedRow {
        of: word(row, 0)?,
        size: row.get(1)?,
        root: digest(row, 2)?,
        note: row.get(3)?,
        at: time(row, 4)?,
    })
}

/// The own log's last checkpoint and when it was signed, from the columns of the query in [`sql`].
pub(crate) fn signed(row: &Row<'_>) -> rusqlite::Result<(Option<Vec<u8>>, Option<Timestamp>)> {
    Ok((row.get(0)?, maybe_time(row, 1)?))
}

/// A head that was heard of, from the columns of the query in [`sql`]: whose, the note, when.
pub(crate) fn heard(row: &Row<'_>) -> rusqlite::Result<(AuthorityId, Vec<u8>, Timestamp)> {
    Ok((word(row, 0)?, row.get(1)?, time(row, 2)?))
}

/// An alarm from the columns of the queries in [`sql`].
pub(crate) fn alarm(row: &Row<'_>) -> rusqlite::Result<AlarmRow> {
    Ok(AlarmRow {
        of: word(row, 0)?,
        kind: word(row, 1)?,
        earlier: row.get(2)?,
        later: row.get(3)?,
        at: time(row, 4)?,
    })
}

/// A cosignature from the columns of the queries in [`sql`].
pub(crate) fn cosigned(row: &Row<'_>) -> rusqlite::Result<CosignedRow> {
    Ok(CosignedRow {
        by: word(row, 0)?,
        size: row.get(1)?,
        note: row.get(2)?,
        line: row.get(3)?,
        at: time(row, 4)?,
    })
}

/// An opening from the columns of the queries in [`sql`].
pub(crate) fn opening(row: &Row<'_>) -> rusqlite::Result<OpeningRow> {
    Ok(OpeningRow {
        id: row.get(0)?,
        xid: xid(row, 1)?,
        began: time(row, 2)?,
        bound: row.get(3)?,
        record: row.get(4)?,
    })
}

/// An exchange id from this column.
pub(crate) fn xid(row: &Row<'_>, column: usize) -> rusqlite::Result<Xid> {
    row.get(column).map(Xid::from_bytes)
}

/// A digest from this column.
pub(crate) fn digest(row: &Row<'_>, column: usize) -> rusqlite::Result<Digest> {
    row.get(column).map(Digest::from_bytes)
}

/// A name or word from this column.
pub(crate) fn word<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text: String = row.get(column)?;
    text.parse().map_err(|e| unreadable(column, e))
}

fn from_json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|e| unreadable(column, e))
}

fn unreadable(
    column: usize,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    row.get(column).map(Timestamp::from_millis)
}

fn maybe_time(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    let millis: Option<i64> = row.get(column)?;
    Ok(millis.map(Timestamp::from_millis))
}

fn fault(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<StoredFault>> {
    let code: Option<String> = row.get(column)?;
    let text: Option<String> = row.get(column.saturating_add(1))?;
    Ok(code.map(|code| StoredFault {
        code,
        text: text.unwrap_or_default(),
    }))
}
