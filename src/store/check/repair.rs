//! Setting right what the statements determine, and what checkpoints and cosignatures say of themselves. Statements,
//! notes of logs, peers and named values are never written.

use std::collections::BTreeSet;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rusqlite::{Connection, params};

use super::project::Projected;
use super::report::{Check, Fix, Report};
use super::{exchanges, files, project};
use crate::base::{Digest, Ranges, json};
use crate::exchange::Phase;
use crate::identity::card::Card;
use crate::store::durable::DiskFault;
use crate::store::rows::Exchange;
use crate::store::writer::execute;
use crate::store::{StoreFault, digests, durable, reader, slots, sql, sums};
use crate::tlog;
use crate::tlog::Frontier;

/// Compares everything, as [`super::check`] does, sets right what can be set right from the statements, and compares
/// again: what was found before, and what is left. Columns of an exchange that no statement holds (title, number of
/// items, attempts) are emptied where their checksum is wrong, and times become those of its statements.
pub fn repair(folder: &Path, journal: &Path, card: &Card) -> Result<(Report, Report), StoreFault> {
    let lock = super::locked(folder)?;
    let (before, fixes) = super::look(folder, journal, card)?;
    if fixes.is_empty() {
        return Ok((before.clone(), before));
    }
    let db = Connection::open(folder.join(crate::store::layout::DATABASE))?;
    db.execute_batch(sql::WRITER)?;
    execute(&db, sql::BEGIN)?;
    let done =
        rows(&db, (folder, journal), card, &fixes).and_then(|()| Ok(execute(&db, sql::COMMIT)?));
    if let Err(fault) = done {
        if !db.is_autocommit() {
            execute(&db, sql::ROLLBACK)?;
        }
        return Err(fault);
    }
    db.query_row(sql::FOLD_ALL, [], |_| Ok(()))?;
    drop(db);
    for fix in &fixes {
        file(folder, fix)?;
    }
    let (after, _) = super::look(folder, journal, card)?;
    drop(lock);
    Ok((before, after))
}

fn rows(
    db: &Connection,
    (folder, journal): (&Path, &Path),
    card: &Card,
    fixes: &[Fix],
) -> Result<(), StoreFault> {
    if fixes.iter().any(|fix| matches!(fix, Fix::Indexes)) {
        db.execute_batch(sql::REINDEX)?;
    }
    if fixes.iter().any(|fix| matches!(fix, Fix::Numbers)) {
        db.execute(sql::STATEMENTS_NUMBER, [])?;
    }
    if fixes.iter().any(|fix| matches!(fix, Fix::Found)) {
        db.execute(sql::FOUND_CLEAR, [])?;
        let last = db.query_row(sql::STATEMENT_LAST, [], |row| row.get(0))?;
        digests::fill(db, 0, last)?;
    }
    if fixes.iter().any(|fix| matches!(fix, Fix::Log)) {
        log(db)?;
    }
    for fix in fixes {
        heads(db, fix)?;
    }
    let numbers: BTreeSet<i64> = fixes
        .iter()
        .filter_map(|fix| match fix {
            Fix::Exchange(no) => Some(*no),
            Fix::Log
            | Fix::Witnessed(_)
            | Fix::Cosigned(_)
            | Fix::Indexes
            | Fix::Numbers
            | Fix::Found
            | Fix::List(_)
            | Fix::File(_)
            | Fix::Cell(_) => None,
        })
        .collect();
    let check = Check {
        db,
        folder,
        journal,
        own: &card.id,
        keys: std::collections::HashMap::new(),
        parties: std::collections::HashMap::new(),
        report: Report::default(),
        fixes: Vec::new(),
    };
    for no in numbers {
        exchange(&check, no)?;
    }
    Ok(())
}

/// Writes what is known of a log as the signed notes in its row say.
fn heads(db: &Connection, fix: &Fix) -> Result<(), StoreFault> {
    match fix {
        Fix::Witnessed(row) => {
            let values = params![row.size, row.root.as_bytes(), row.of.as_str()];
            db.execute(sql::WITNESSED_REWRITE, values)?;
        }
        Fix::Cosigned(row) => {
            let sum = sums::cosigned(row);
            let values = params![row.size, row.at.millis(), sum, row.by.as_str()];
            db.execute(sql::COSIGNED_REWRITE, values)?;
        }
        Fix::Exchange(_)
        | Fix::Log
        | Fix::Indexes
        | Fix::Numbers
        | Fix::Found
        | Fix::List(_)
        | Fix::File(_)
        | Fix::Cell(_) => {}
    }
    Ok(())
}

/// Writes leaves and frontier as the statements give them.
fn log(db: &Connection) -> Result<(), StoreFault> {
    let mut tree = Frontier::new();
    let logged = reader::rows(db, sql::STATEMENTS_LOGGED, [], |row| {
        let logged: (u64, [u8; 32], [u8; 32]) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(logged)
    })?;
    if (0..).zip(&logged).any(|(at, (leaf, _, _))| at != *leaf) {
        let why = "the statements do not give every leaf of the log";
        return Err(StoreFault::Damaged(why.to_owned()));
    }
    db.execute(sql::LEAVES_CLEAR, [])?;
    for (leaf, r, digest) in logged {
        let commitment = tlog::commitment(&r, &Digest::from_bytes(digest));
        db.prepare_cached(sql::LEAF_PUT)?
            .execute(params![leaf, commitment.as_bytes()])?;
        tree.append(tlog::leaf_hash(&tlog::leaf_entry(&commitment)));
    }
    let (size, peaks) = tree.parts();
    let frontier: Vec<u8> = peaks.iter().flat_map(|peak| *peak.as_bytes()).collect();
    db.execute(sql::LOG_GROW, params![size, frontier])?;
    Ok(())
}

/// Writes the row of an exchange as its statements give it. Where they give none, nothing is written.
fn exchange(check: &Check<'_>, no: i64) -> Result<(), StoreFault> {
    let Some(xid) = exchanges::xid_of(check, no)? else {
        return Ok(());
    };
    let values = [xid.as_bytes()];
    let statements = reader::rows(check.db, sql::STATEMENTS, values, reader::statement)?;
    let Ok(wanted) = project::project(check.own, &statements) else {
        return Ok(());
    };
    let kept = exchanges::find(check, no).ok().flatten();
    let old = kept.as_ref().map(|kept| {
        let right = exchanges::wanted_sums(no, &kept.row)
            .iter()
            .zip(kept.sums)
            .map(|((_, wanted), found)| found == Some(*wanted))
            .collect::<Vec<_>>();
        (&kept.row, right)
    });
    let row = rebuilt(xid, &wanted, old);
    check.db.execute(
        sql::EXCHANGE_REWRITE,
        params![
            row.direction.as_str(),
            row.peer.as_str(),
            row.phase.as_str(),
            row.created.millis(),
            row.updated.millis(),
            row.body.as_bytes(),
            row.hdr.as_bytes(),
            row.len,
            row.segments,
            row.terms,
            row.case_ref,
            row.request_ref,
            row.title,
            row.items,
            String::from_utf8(json::canonical(&row.disclosures)).unwrap_or_default(),
            String::from_utf8(json::canonical(&row.have)).unwrap_or_default(),
            i64::from(row.inline),
            row.attempts,
            row.next_try.map(crate::base::Timestamp::millis),
            row.fault.as_ref().map(|fault| &fault.code),
            row.fault.as_ref().map(|fault| &fault.text),
            row.last_note,
            row.steps,
            i64::from(row.urgent),
            exchanges::wanted_due(&row),
            no
        ],
    )?;
    Ok(sums::exchange(check.db, no, &row)?)
}

/// The statements' row; what they do not hold is taken from the old one where its checksum was right.
fn rebuilt(
    xid: crate::base::Xid,
    wanted: &Projected,
    old: Option<(&Exchange, Vec<bool>)>,
) -> Exchange {
    let phase = wanted.phases.first().copied().unwrap_or(Phase::Failed);
    let mut row = Exchange {
        xid,
        direction: wanted.direction,
        peer: wanted.peer.clone(),
        phase,
        created: wanted.created,
        updated: wanted.updated,
        body: wanted.pkg.body,
        hdr: wanted.pkg.hdr,
        len: wanted.pkg.len,
        segments: wanted.segments(),
        terms: wanted.terms.clone(),
        case_ref: None,
        request_ref: None,
        title: None,
        items: 0,
        disclosures: Vec::new(),
        have: Ranges::empty(),
        inline: wanted.is_inline(),
        attempts: 0,
        next_try: None,
        fault: None,
        last_note: wanted.last_note.clone(),
        steps: wanted.steps,
        urgent: false,
    };
    if let Some((old, right)) = old {
        let right = |at: usize| right.get(at).copied().unwrap_or(false);
        row.disclosures = old
            .disclosures
            .iter()
            .filter(|text| wanted.sd.contains(&Digest::of(text.as_bytes())))
            .cloned()
            .collect();
        if right(0) {
            row.created = old.created;
            row.title.clone_from(&old.title);
            row.items = old.items;
            row.urgent = old.urgent;
        }
        if right(1) && wanted.phases.contains(&old.phase) {
            (row.phase, row.updated) = (old.phase, old.updated);
        }
        if right(2) {
            row.have = old.have.clone();
        }
        if right(3) {
            (row.attempts, row.next_try) = (old.attempts, old.next_try);
            row.fault.clone_from(&old.fault);
        }
    }
    [row.case_ref, row.request_ref] = exchanges::references(&row, wanted);
    row
}

/// The fixes that concern files.
fn file(folder: &Path, fix: &Fix) -> Result<(), StoreFault> {
    match fix {
        Fix::Exchange(_)
        | Fix::Log
        | Fix::Witnessed(_)
        | Fix::Cosigned(_)
        | Fix::Indexes
        | Fix::Numbers
        | Fix::Found => Ok(()),
        Fix::File(path) => Ok(durable::remove(path)?),
        Fix::List(payload) => {
            let hashes =
                files::hashes_of(payload).map_err(|e| DiskFault::of("read", payload, &e))?;
            let list: Vec<u8> = hashes
                .segments
                .iter()
                .flat_map(|hash| *hash.as_bytes())
                .collect();
            Ok(durable::write_new(&payload.with_extension("list"), &list)?)
        }
        Fix::Cell(number) => {
            let path = folder.join(crate::store::layout::SLOTS);
            let file = durable::open_or_create(&path)?;
            file.write_all_at(&[0; slots::CELL_BYTES], slots::offset(*number))
                .map_err(|e| DiskFault::of("overwrite", &path, &e))?;
            Ok(durable::sync_data(&file, &path)?)
        }
    }
}
