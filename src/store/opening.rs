//! Opening the ledger: lock, schema, and the checks that must hold before anything is written.

use std::fs::File;
use std::path::Path;

use rusqlite::{Connection, params};

use crate::base::{Digest, Timestamp};
use crate::identity::keys::SecretKey;
use crate::store::durable::DiskFault;
use crate::store::index::Index;
use crate::store::journal::Journal;
use crate::store::layout::{DATABASE, SLOTS};
use crate::store::reserve::Reserve;
use crate::store::settlement::Settled;
use crate::store::slots::Slots;
use crate::store::writer::{SignedHead, execute};
use crate::store::{StoreFault, digests, durable, reader, replay, sql, sums};
use crate::tlog::{Checkpoint, Frontier};

const LOCK: &str = "lock";

/// The findings of opening.
pub(crate) struct Opened {
    pub(crate) lock: File,
    pub(crate) db: Connection,
    pub(crate) slots: Slots,
    pub(crate) reserve: Reserve,
    pub(crate) index: Index,
    pub(crate) tree: Frontier,
    pub(crate) seq: i64,
    pub(crate) no: i64,
    pub(crate) found: i64,
    pub(crate) signed: Option<SignedHead>,
    pub(crate) journal: Option<Journal>,
    pub(crate) settled: Settled,
}

/// Opens the ledger in this folder, which is made if it is missing. What the journal says is destroyed is so before
/// this returns.
pub(crate) fn open(
    folder: &Path,
    key: &SecretKey,
    journal: Option<&Path>,
) -> Result<Opened, StoreFault> {
    durable::create_dir(folder)?;
    let lock = lock(folder)?;
    let path = folder.join(DATABASE);
    // Made here so that SQLite gives its two companions the same narrow permissions.
    drop(durable::open_or_create(&path)?);
    durable::sync_dir(folder)?;
    let mut reserve = Reserve::open(folder)?;
    let mut index = Index::open(folder)?;
    reserve.lend(|| index.take())?;
    let db = Connection::open(&path)?;
    db.set_prepared_statement_cache_capacity(128);
    db.execute_batch(sql::WRITER)?;
    fold_all(&db)?;
    // Only now has SQLite certainly opened the index.
    reserve.lend(|| index.take())?;
    migrate(&db)?;
    // SQLite flushes the name of its log too, but does not mind if that fails.
    durable::sync_dir(folder)?;
    let (tree, signed) = log(&db, key)?;
    let seq = db.query_row(sql::STATEMENT_LAST, [], |row| row.get(0))?;
    let no = db.query_row(sql::EXCHANGE_LAST, [], |row| row.get(0))?;
    let found = digests::until(&db)?;
    let journal = journal.map(|path| Journal::open(path, key.name().authority()));
    let mut journal = journal.transpose()?;
    let settled = match &mut journal {
        Some(journal) => replay::settle(&db, journal)?,
        None => Settled::default(),
    };
    db.execute(sql::HEADERS_SPENT, [])?;
    // Every cell that no header has any more is overwritten here.
    let used = reader::rows(&db, sql::HEADER_SLOTS, [], |row| row.get(0))?;
    let slots = Slots::open(&folder.join(SLOTS), &used)?;
    Ok(Opened {
        lock,
        db,
        slots,
        reserve,
        index,
        tree,
        seq,
        no,
        found,
        signed,
        journal,
        settled,
    })
}

/// The one right to the folder, held while the file is open.
pub(crate) fn lock(folder: &Path) -> Result<File, StoreFault> {
    let path = folder.join(LOCK);
    let file = durable::open_or_create(&path)?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(StoreFault::Locked {
            folder: folder.to_owned(),
        }),
        Err(e) => Err(DiskFault::of("lock", &path, &e.into()).into()),
    }
}

/// Writes again what an earlier process left in the write-ahead log, and flushes it: it may have ended before its
/// flush, or because that failed, and then the kernel shows bytes that the disk does not have. Only on a full disk the
/// log stays.
fn fold_all(db: &Connection) -> Result<(), StoreFault> {
    match db.query_row(sql::FOLD_ALL, [], |_| Ok(())) {
        Err(e) if e.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull) => {
            tracing::warn!("no space to fold the ledger's log into its database at the start");
            Ok(())
        }
        folded => Ok(folded?),
    }
}

/// Brings the schema up to this program's.
pub(crate) fn migrate(db: &Connection) -> Result<(), StoreFault> {
    db.execute(sql::MIGRATION_TABLE, [])?;
    let found: i64 = db.query_row(sql::MIGRATION_LAST, [], |row| row.get(0))?;
    let known = i64::try_from(sql::MIGRATIONS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(StoreFault::Newer { found, known });
    }
    for (no, (name, steps)) in (1_i64..).zip(sql::MIGRATIONS) {
        if no <= found {
            continue;
        }
        execute(db, sql::BEGIN)?;
        let done = db
            .execute_batch(steps)
            .and_then(|()| match *name {
                sql::CHECKSUMS => sums::fill(db),
                sql::LOG_CHECKSUMS => sums::fill_logs(db),
                _ => Ok(()),
            })
            .and_then(|()| db.execute(sql::MIGRATION_DONE, params![no, name]))
            .and_then(|_| execute(db, sql::COMMIT));
        if let Err(error) = done {
            if !db.is_autocommit() {
                execute(db, sql::ROLLBACK)?;
            }
            return Err(error.into());
        }
    }
    db.execute(sql::LOG_NEW, [[0_u8; 0].as_slice()])?;
    Ok(())
}

/// The log's frontier and last checkpoint, if they agree with the leaves and with each other.
fn log(db: &Connection, key: &SecretKey) -> Result<(Frontier, Option<SignedHead>), StoreFault> {
    let damaged = |what: &str| StoreFault::Damaged(what.to_owned());
    let ((size, peaks, note), signed_at) = db.query_row(sql::LOG, [], |row| {
        let parts: (u64, Vec<u8>, Option<Vec<u8>>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let signed_at: Option<i64> = row.get(3)?;
        Ok((parts, signed_at))
    })?;
    let (peaks, rest) = peaks.as_chunks::<32>();
    let peaks = peaks.iter().map(|&peak| Digest::from_bytes(peak)).collect();
    let tree = Frontier::from_parts(size, peaks).filter(|_| rest.is_empty());
    let tree = tree.ok_or_else(|| damaged("the log's frontier does not fit its size"))?;
    let leaves: u64 = db.query_row(sql::LEAF_COUNT, [], |row| row.get(0))?;
    if leaves != size {
        return Err(damaged("the log's size is not its number of leaves"));
    }
    let Some(note) = note else {
        return Ok((tree, None));
    };
    let checkpoint = Checkpoint::open(&note, &key.public())
        .map_err(|fault| StoreFault::Damaged(format!("its last checkpoint: {fault}")))?;
    if checkpoint.size > size {
        return Err(damaged(
            "a checkpoint was signed for more leaves than there are",
        ));
    }
    if checkpoint.size == size && checkpoint.root != tree.root() {
        return Err(damaged(
            "the last checkpoint has another root than the leaves",
        ));
    }
    let signed = SignedHead {
        checkpoint,
        note: note.into(),
        at: signed_at.map(Timestamp::from_millis),
    };
    Ok((tree, Some(signed)))
}
