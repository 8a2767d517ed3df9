//! The index of statements by digest.

use super::report::{Check, Fix};
use crate::store::{StoreFault, digests, reader, sql};

/// Every statement up to the last that is in the index is there under its digest, and nothing else.
pub(crate) fn found(check: &mut Check<'_>) -> Result<(), StoreFault> {
    let db = check.db;
    let until = digests::until(db)?;
    let last: i64 = db.query_row(sql::STATEMENT_LAST, [], |row| row.get(0))?;
    let entries: u64 = db.query_row(sql::FOUND_COUNT, [], |row| row.get(0))?;
    let (mut wanted, mut right) = (0_u64, 0_u64);
    let mut query = db.prepare(sql::DIGESTS)?;
    let mut rows = query.query([0, until])?;
    while let Some(row) = rows.next()? {
        wanted = wanted.saturating_add(1);
        // A digest that cannot be read is told with its statement.
        let (Ok(digest), Ok(seq)) = (reader::digest(row, 0), row.get::<_, i64>(1)) else {
            continue;
        };
        let values = [digests::key(&digest), seq];
        let entry = reader::row(db, sql::FOUND_IS, values, |row| row.get::<_, i64>(0))?;
        right = right.saturating_add(entry.is_some().into());
    }
    if (right, entries) == (wanted, wanted) && (0..=last).contains(&until) {
        return Ok(());
    }
    let expected = format!("{wanted} entries, up to statement {last} at most");
    let told = format!("{entries} entries up to statement {until}, {right} of them right");
    check.repairable(
        Fix::Found,
        "statement-found",
        "table found",
        (expected, told),
    );
    Ok(())
}
