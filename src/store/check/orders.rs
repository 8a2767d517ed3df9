//! Orders of people here, holds for example: the record of each order is there, and the newest one about something is
//! in force.

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde::Deserialize;
use serde_json::Value;

use super::report::Check;
use crate::base::{Digest, json};
use crate::identity::statement::Note;
use crate::receipt;
use crate::receipt::Kind;
use crate::store::{StoreFault, reader, rows, sql};

/// The fields of a record that are compared.
#[derive(Deserialize)]
struct Record {
    /// The key of the named value that it is about.
    subject: String,
    /// The value.
    record: Value,
}

/// Each order that is stated has its record, and what it put in force is in force, unless a later one changed it.
pub(super) fn orders(check: &mut Check<'_>) -> Result<(), StoreFault> {
    let db = check.db;
    let mut newest: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut query = db.prepare(sql::STATEMENTS_OF_KIND)?;
    let mut rows = query.query([Kind::Order.as_str()])?;
    while let Some(row) = rows.next()? {
        // What cannot be read is told with its statement.
        let (Ok(seq), Ok(note)) = (row.get::<_, i64>(0), row.get::<_, Vec<u8>>(1)) else {
            continue;
        };
        let read = Note::parse(&note).ok();
        let read = read.and_then(|note| receipt::open(&note).ok());
        let Some(subject) = read.and_then(|receipt| receipt.subject) else {
            continue;
        };
        let kept = value(db, &rows::order_key(&subject))?;
        let kept = kept.filter(|kept| Digest::of(kept) == subject);
        let record = kept.and_then(|kept| serde_json::from_slice::<Record>(&kept).ok());
        if let Some(it) = record {
            newest.insert(it.subject, json::canonical(&it.record));
        } else {
            let place = format!("the record of statement {seq}");
            check.damage("order-record", place, subject, "no record with that digest");
        }
    }
    for (key, wanted) in newest {
        let found = value(db, &key)?;
        if found.as_ref() != Some(&wanted) {
            let found = found.unwrap_or_else(|| b"nothing".to_vec());
            let (wanted, found) = (shown(&wanted), shown(&found));
            check.damage(
                "order-not-in-force",
                format!("named value {key}"),
                wanted,
                found,
            );
        }
    }
    Ok(())
}

fn value(db: &Connection, key: &str) -> Result<Option<Vec<u8>>, StoreFault> {
    Ok(reader::row(db, sql::META, [key], |row| row.get(0))?)
}

fn shown(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}
