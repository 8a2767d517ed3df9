//! Exchanges, compared with what their statements say.

use rusqlite::Row;

use super::project::Projected;
use super::report::{Check, Fix};
use super::{files, project};
use crate::base::{Digest, Xid, len_u64};
use crate::exchange::{Direction, Phase};
use crate::receipt::{Disclosure, disclosure};
use crate::store::due::{due_after, due_first};
use crate::store::rows::{Exchange, unreadable_key};
use crate::store::slots::SlotKeys;
use crate::store::{StoreFault, reader, replay, sql, sums};

/// A row with its number and its checksums.
pub(super) struct Kept {
    pub(super) no: i64,
    pub(super) row: Exchange,
    pub(super) sums: [Option<i64>; 4],
    due: i64,
}

pub(super) fn kept(row: &Row<'_>) -> rusqlite::Result<Kept> {
    Ok(Kept {
        row: reader::exchange(row)?,
        no: row.get(25)?,
        sums: [row.get(26)?, row.get(27)?, row.get(28)?, row.get(29)?],
        due: row.get(30)?,
    })
}

/// The checksums that a row must have, with their codes.
pub(super) fn wanted_sums(no: i64, row: &Exchange) -> [(&'static str, i64); 4] {
    let tried = sums::tried(&row.xid, row.attempts, row.next_try, row.fault.as_ref());
    [
        ("exchange-checksum-open", sums::opened(no, row)),
        (
            "exchange-checksum-step",
            sums::stepped(&row.xid, row.phase, row.updated),
        ),
        ("exchange-checksum-have", sums::had(&row.xid, &row.have)),
        ("exchange-checksum-try", tried),
    ]
}

/// The day on which somebody has to look, as the newest statement has it.
pub(super) fn wanted_due(row: &Exchange) -> i64 {
    due_after(&row.last_note).unwrap_or_else(|| due_first(&row.terms))
}

/// Every exchange is what its statements say, and holds what it must hold.
pub(super) fn exchanges(check: &mut Check<'_>) -> Result<(), StoreFault> {
    let db = check.db;
    let keys = SlotKeys::open(&check.folder.join(crate::store::layout::SLOTS)).ok();
    let mut query = db.prepare(sql::EXCHANGES_CHECK)?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        super::report::tally(&mut check.report.exchanges, 1);
        let no: i64 = row.get(25)?;
        match kept(row) {
            Ok(kept) => one(check, keys.as_ref(), &kept)?,
            Err(e) => {
                let place = format!("exchange number {no}");
                let told = ("values of their types", e);
                check.repairable(Fix::Exchange(no), "row-unreadable", place, told);
            }
        }
    }
    orphans(check)
}

/// Statements of exchanges that are not there, payloads and headers of none.
fn orphans(check: &mut Check<'_>) -> Result<(), StoreFault> {
    let xids = reader::rows(check.db, sql::STATEMENTS_ORPHANED, [], |row| {
        reader::xid(row, 0)
    })?;
    for xid in xids {
        let found = "statements, and no exchange";
        check.damage(
            "exchange-missing",
            format!("exchange {xid}"),
            "an exchange",
            found,
        );
    }
    for (query, table) in [
        (sql::PAYLOADS_ORPHANED, "payload"),
        (sql::HEADERS_ORPHANED, "header"),
    ] {
        let numbers: Vec<i64> = reader::rows(check.db, query, [], |row| row.get(0))?;
        for no in numbers {
            let place = format!("table {table}, number {no}");
            check.damage("row-orphaned", place, "an exchange of this number", "none");
        }
    }
    Ok(())
}

fn one(check: &mut Check<'_>, keys: Option<&SlotKeys>, kept: &Kept) -> Result<(), StoreFault> {
    let (no, row) = (kept.no, &kept.row);
    let place = format!("exchange {}", row.xid);
    for ((code, wanted), found) in wanted_sums(no, row).into_iter().zip(kept.sums) {
        if found != Some(wanted) {
            let found = found.map_or_else(|| "none".to_owned(), |sum| sum.to_string());
            check.repairable(Fix::Exchange(no), code, place.clone(), (wanted, found));
        }
    }
    let values = [row.xid.as_bytes()];
    let statements = match reader::rows(check.db, sql::STATEMENTS, values, reader::statement) {
        Ok(statements) => statements,
        Err(e) => {
            check.damage(
                "exchange-statements",
                place,
                "statements that can be read",
                e,
            );
            return Ok(());
        }
    };
    let mut projected = match project::project(check.own, &statements) {
        Ok(projected) => projected,
        Err(e) => {
            check.damage(
                "exchange-chain",
                place,
                "statements that follow each other",
                e,
            );
            return Ok(());
        }
    };
    columns(check, no, row, &projected);
    due(check, kept);
    // What was made unreadable though no statement here says that it was destroyed is neither missing nor there.
    let key = unreadable_key(&row.xid);
    let unreadable = reader::row(check.db, sql::META, [key], |row| row.get::<_, Vec<u8>>(0))?;
    let may_be = matches!(row.phase, Phase::HandoverSigned | Phase::Held);
    if let Some(mark) = unreadable.filter(|_| may_be) {
        super::report::tally(
            &mut check.report.unstated,
            replay::marked(row.xid, &mark).is_some().into(),
        );
        super::report::tally(
            &mut check.report.unreadable,
            u64::from(replay::unstated_reason(&mark).is_some()),
        );
        projected.header = false;
        projected.payload = None;
    }
    header(check, keys, no, row, &projected)?;
    payload(check, no, row, &projected)
}

/// The day matters until the package is gone.
fn due(check: &mut Check<'_>, kept: &Kept) {
    let (row, wanted) = (&kept.row, wanted_due(&kept.row));
    let comes_or_is_here = matches!(
        row.phase,
        Phase::Receiving | Phase::Consigned | Phase::HandoverSigned | Phase::Held
    );
    if row.direction == Direction::In && comes_or_is_here && kept.due != wanted {
        let place = format!("exchange {}, column due", row.xid);
        let told = (wanted, kept.due);
        check.repairable(Fix::Exchange(kept.no), "exchange-column", place, told);
    }
}

fn columns(check: &mut Check<'_>, no: i64, row: &Exchange, wanted: &Projected) {
    let phase = if wanted.phases.contains(&row.phase) {
        row.phase
    } else {
        wanted.phases.first().copied().unwrap_or(row.phase)
    };
    let [case_ref, request_ref] = references(row, wanted);
    let optional = |text: &Option<String>| format!("{text:?}");
    let fields = [
        (
            "direction",
            wanted.direction.to_string(),
            row.direction.to_string(),
        ),
        ("peer", wanted.peer.to_string(), row.peer.to_string()),
        ("phase", phase.to_string(), row.phase.to_string()),
        ("body", wanted.pkg.body.to_string(), row.body.to_string()),
        ("hdr", wanted.pkg.hdr.to_string(), row.hdr.to_string()),
        ("len", wanted.pkg.len.to_string(), row.len.to_string()),
        (
            "segments",
            wanted.segments().to_string(),
            row.segments.to_string(),
        ),
        ("terms", wanted.terms.clone(), row.terms.clone()),
        (
            "is_inline",
            wanted.is_inline().to_string(),
            row.inline.to_string(),
        ),
        ("steps", wanted.steps.to_string(), row.steps.to_string()),
        (
            "last_note",
            Digest::of(&wanted.last_note).to_string(),
            Digest::of(&row.last_note).to_string(),
        ),
        ("case_ref", optional(&case_ref), optional(&row.case_ref)),
        (
            "request_ref",
            optional(&request_ref),
            optional(&row.request_ref),
        ),
    ];
    for (column, wanted, found) in fields {
        if wanted != found {
            let place = format!("exchange {}, column {column}", row.xid);
            check.repairable(Fix::Exchange(no), "exchange-column", place, (wanted, found));
        }
    }
    for text in &row.disclosures {
        if !wanted.sd.contains(&Digest::of(text.as_bytes())) {
            let place = format!("exchange {}, column disclosures", row.xid);
            check.damage(
                "exchange-disclosure",
                place,
                "a digest of the dispatch",
                "another value",
            );
        }
    }
}

/// Case and request as the disclosures beside the dispatch say; what was refused discloses nothing here.
pub(super) fn references(row: &Exchange, wanted: &Projected) -> [Option<String>; 2] {
    let read: Vec<_> = row
        .disclosures
        .iter()
        .filter(|text| wanted.sd.contains(&Digest::of(text.as_bytes())))
        .filter_map(|text| Disclosure::parse(text).ok())
        .collect();
    [disclosure::CASE, disclosure::REQUEST]
        .map(|name| disclosure::text(&read, name).map(str::to_owned))
}

fn header(
    check: &mut Check<'_>,
    keys: Option<&SlotKeys>,
    no: i64,
    row: &Exchange,
    wanted: &Projected,
) -> Result<(), StoreFault> {
    let place = || format!("header of exchange {}", row.xid);
    let found = reader::row(check.db, sql::HEADER, [row.xid.as_bytes()], |row| {
        let found: (u32, Vec<u8>) = (row.get(0)?, row.get(1)?);
        Ok(found)
    })?;
    let Some((slot, wrapped)) = found else {
        if wanted.header {
            check.damage("header-missing", place(), wanted.pkg.hdr, "none");
        }
        return Ok(());
    };
    if !wanted.header {
        let found = format!("one in cell {slot}, number {no}");
        check.damage("header-not-shredded", place(), "none any more", found);
        return Ok(());
    }
    match keys.map(|keys| keys.unwrap(slot, &row.xid, &wrapped)) {
        Some(Ok(Some(header))) => {
            super::report::tally(&mut check.report.headers, 1);
            let digest = Digest::of(&header);
            if digest != wanted.pkg.hdr {
                check.damage("header-digest", place(), wanted.pkg.hdr, digest);
            }
        }
        Some(Ok(None)) => check.damage(
            "header-shredded",
            place(),
            "its key",
            format!("cell {slot} is empty"),
        ),
        Some(Err(e)) => check.damage("header-unreadable", place(), wanted.pkg.hdr, e),
        None => check.damage("header-unreadable", place(), "the slot file", "none"),
    }
    Ok(())
}

fn payload(
    check: &mut Check<'_>,
    no: i64,
    row: &Exchange,
    wanted: &Projected,
) -> Result<(), StoreFault> {
    if !wanted.is_inline() {
        files::payload(check, row, wanted);
        return Ok(());
    }
    let place = format!("payload of exchange {}", row.xid);
    let found: Option<Vec<u8>> =
        reader::row(check.db, sql::PAYLOAD, [row.xid.as_bytes()], |row| {
            row.get(0)
        })?;
    let Some(bytes) = found else {
        if wanted.payload == Some(true) && row.phase != Phase::Receiving {
            check.damage(
                "payload-missing",
                place,
                wanted.pkg.body,
                format!("none, number {no}"),
            );
        }
        return Ok(());
    };
    super::report::tally(&mut check.report.payloads, 1);
    super::report::tally(&mut check.report.payload_bytes, len_u64(bytes.len()));
    let root = files::root_of(&bytes);
    if (root, len_u64(bytes.len())) != (wanted.pkg.body, wanted.pkg.len) {
        let expected = format!("{} bytes, root {}", wanted.pkg.len, wanted.pkg.body);
        check.damage(
            "payload-digest",
            place,
            expected,
            format!("{} bytes, root {root}", bytes.len()),
        );
    }
    Ok(())
}

/// Where a row is looked for again.
pub(super) fn find(check: &Check<'_>, no: i64) -> Result<Option<Kept>, StoreFault> {
    Ok(reader::row(check.db, sql::EXCHANGE_CHECK, [no], kept)?)
}

/// The xid of a row, whatever else of it can be read.
pub(super) fn xid_of(check: &Check<'_>, no: i64) -> Result<Option<Xid>, StoreFault> {
    Ok(reader::row(check.db, sql::EXCHANGE_XID, [no], |row| {
        reader::xid(row, 0)
    })?)
}
