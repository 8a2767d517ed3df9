//! Statements by their digest.
//!
//! Digests are random: an index of them that grows with each statement has another page to write for each. So it is
//! written in large parts, sorted, and what came after the last part is looked through.

use rusqlite::Connection;

use crate::base::Digest;
use crate::store::{reader, sql};

/// Statements that are not in the index before all of them are put there, together.
pub(crate) const TOGETHER: i64 = 4_096;

/// The first 8 bytes of a digest.
pub(crate) fn key(digest: &Digest) -> i64 {
    let first = digest.as_bytes().iter().take(8);
    first.fold(0, |key, byte| key << 8 | i64::from(*byte))
}

/// The last statement that is in the index.
pub(crate) fn until(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row(sql::FOUND_UNTIL, [], |row| row.get(0))
}

/// Puts the statements after `from` up to `to` into the index; within a transaction.
pub(crate) fn fill(db: &Connection, from: i64, to: i64) -> rusqlite::Result<()> {
    let mut keys = reader::rows(db, sql::DIGESTS, [from, to], |row| {
        let seq: i64 = row.get(1)?;
        Ok((key(&reader::digest(row, 0)?), seq))
    })?;
    keys.sort_unstable();
    let mut put = db.prepare_cached(sql::FOUND_PUT)?;
    for (key, seq) in keys {
        put.execute([key, seq])?;
    }
    db.prepare_cached(sql::FOUND_UNTIL_PUT)?
        .execute([to])
        .map(|_| ())
}
