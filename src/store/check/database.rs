//! The database file itself: its header, its log, its schema, its pages.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::report::{Check, Fix, Report};
use super::wal;
use super::wal::Tail;
use crate::store::durable::DiskFault;
use crate::store::{StoreFault, opening, reader, sql};

const HEADER_BYTES: usize = 100;
/// Findings of SQLite's own check that are asked for.
const INTEGRITY_LINES_MAX: usize = 100;

/// The bytes that the header of the database file must hold
/// (<https://www.sqlite.org/fileformat2.html#the_database_header>): where, which bytes, what they are. The rest are
/// counters, page numbers and versions that are checked elsewhere or mean nothing.
const FIXED: &[(usize, &[u8], &str)] = &[
    (0, b"SQLite format 3\0", "the magic"),
    (16, &[0x10, 0x00], "the page size, 4096"),
    (18, &[2, 2], "the file format versions, 2 and 2"),
    (20, &[0, 64, 32, 32], "reserved space and payload fractions"),
    (44, &[0, 0, 0, 4], "the schema format, 4"),
    (52, &[0; 4], "auto-vacuum, off"),
    (56, &[0, 0, 0, 1], "the text encoding, UTF-8"),
    (
        60,
        &[0; 32],
        "user version, incremental vacuum, application id and what is reserved: zeros",
    ),
];

/// Looks at the first bytes of the database and at its write-ahead log.
pub(super) fn header(folder: &Path, report: &mut Report) -> Result<Tail, StoreFault> {
    let mut check = Facts(report);
    let path = folder.join(crate::store::layout::DATABASE);
    let log = folder.join(format!("{}-wal", crate::store::layout::DATABASE));
    let tail = wal::examine(&log).map_err(|e| DiskFault::of("read", &log, &e))?;
    match tail {
        Tail::None | Tail::Whole => {}
        Tail::BadHeader => check.damage(
            "wal-header",
            &log,
            "the header of a write-ahead log",
            "other bytes",
        ),
        Tail::Damaged { good } => {
            let found = format!(
                "a damaged one after {good} good ones: what was committed in it and after it is lost, unless power or process ended while it was written"
            );
            check.damage("wal-frame", &log, "frames with good checksums", &found);
        }
    }
    let mut bytes = [0; HEADER_BYTES];
    let mut file = File::open(&path).map_err(|e| DiskFault::of("open", &path, &e))?;
    if tail == Tail::Whole && file.metadata().is_ok_and(|about| about.len() == 0) {
        return Ok(tail);
    }
    file.read_exact(&mut bytes)
        .map_err(|e| DiskFault::of("read", &path, &e))?;
    for (at, wanted, what) in FIXED {
        let found = bytes.get(*at..).and_then(|rest| rest.get(..wanted.len()));
        let found = found.unwrap_or_default();
        if found != *wanted {
            check.damage("database-header", &path, what, &hex::encode(found));
        }
    }
    Ok(tail)
}

/// Findings before there is a connection.
struct Facts<'a>(&'a mut Report);

impl Facts<'_> {
    fn damage(&mut self, code: &'static str, place: &Path, expected: &str, found: &str) {
        self.0.add(super::report::Difference {
            severity: super::report::Severity::Damage,
            code,
            place: place.display().to_string(),
            expected: expected.to_owned(),
            found: found.to_owned(),
            repairable: false,
        });
    }
}

/// Opens the database for reading. Without a write-ahead log it is not even locked, so that nothing is made beside it.
pub(super) fn open(folder: &Path, tail: Tail) -> Result<Connection, StoreFault> {
    let path = folder.join(crate::store::layout::DATABASE);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = if tail == Tail::None {
        let uri = format!("file:{}?immutable=1", escaped(&path));
        Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)?
    } else {
        let db = Connection::open_with_flags(&path, flags)?;
        db.set_db_config(
            rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE,
            true,
        )?;
        db
    };
    db.execute_batch(sql::CHECKER)?;
    Ok(db)
}

/// A path within a URI: everything but letters, digits, `/`, `.`, `-` and `_` as %XX.
fn escaped(path: &Path) -> String {
    use std::fmt::Write as _;
    use std::os::unix::ffi::OsStrExt as _;
    let mut text = String::new();
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/.-_".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // A String takes everything.
            write!(text, "%{byte:02X}").ok();
        }
    }
    text
}

type Thing = (String, String, String, Option<String>);

fn things(db: &Connection) -> rusqlite::Result<Vec<Thing>> {
    reader::rows(db, sql::SCHEMA, [], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    })
}

/// The schema is the one that this program makes.
pub(super) fn schema(check: &mut Check<'_>) -> Result<(), StoreFault> {
    let known = i64::try_from(sql::MIGRATIONS.len()).unwrap_or(i64::MAX);
    let found: i64 = check
        .db
        .query_row(sql::MIGRATION_LAST, [], |row| row.get(0))?;
    if found > known {
        return Err(StoreFault::Newer { found, known });
    }
    if found < known {
        let why = format!(
            "its schema is number {found}, this program's {known}: start the daemon of this version once, then check again"
        );
        return Err(StoreFault::Damaged(why));
    }
    let fresh = Connection::open_in_memory()?;
    opening::migrate(&fresh)?;
    let (wanted, found) = (things(&fresh)?, things(check.db)?);
    for thing in &wanted {
        if !found.contains(thing) {
            let sql = thing.3.clone().unwrap_or_default();
            let place = format!("schema, {} {}", thing.0, thing.1);
            check.damage("schema", place, sql, "it is missing or another");
        }
    }
    for thing in found.iter().filter(|thing| !wanted.contains(thing)) {
        let sql = thing.3.clone().unwrap_or_default();
        let place = format!("schema, {} {}", thing.0, thing.1);
        check.damage("schema", place, "nothing of this kind", sql);
    }
    let done = |db: &Connection| {
        reader::rows(db, sql::MIGRATIONS_DONE, [], |row| {
            let done: (i64, String) = (row.get(0)?, row.get(1)?);
            Ok(done)
        })
    };
    let (wanted, found) = (done(&fresh)?, done(check.db)?);
    if wanted != found {
        check.damage(
            "schema",
            "table migration",
            format!("{wanted:?}"),
            format!("{found:?}"),
        );
    }
    Ok(())
}

/// Asks SQLite about its own pages, indexes and constraints.
pub(super) fn integrity(check: &mut Check<'_>) -> Result<(), StoreFault> {
    let lines: Vec<String> = reader::rows(check.db, sql::INTEGRITY, [], |row| row.get(0))?;
    for line in lines.into_iter().take(INTEGRITY_LINES_MAX) {
        if line == "ok" {
            continue;
        }
        let place = "ledger.db";
        if line.contains("index") {
            check.repairable(
                Fix::Indexes,
                "database-index",
                place,
                ("a sound index", line),
            );
        } else {
            check.damage("database-page", place, "sound pages", line);
        }
    }
    Ok(())
}
