//! The state of logs: heads of others' that were cosigned here or heard of, alarms, cosignatures on the own one, and
//! when that was last signed.
//!
//! Checkpoints and cosignatures are signed, so sizes, roots and the time of a cosignature can be had again from them;
//! for when something was found or signed only the checksum speaks.

use std::fmt::Display;

use rusqlite::Row;

use super::report::{Check, Fix};
use crate::base::{AuthorityId, Timestamp};
use crate::identity::keys::{PublicKey, Role};
use crate::identity::note;
use crate::store::rows::{AlarmKind, AlarmRow, CosignedRow, WitnessedRow};
use crate::store::{StoreFault, reader, sql, sums};
use crate::tlog::{Checkpoint, CheckpointFault, cosignature};

/// One table: its name, the query of its rows, and the column that has the checksum.
struct Table(&'static str, &'static str, usize);

/// Every row about logs has its checksum, and says what the signed notes in it say.
pub(super) fn logs(check: &mut Check<'_>) -> Result<(), StoreFault> {
    let log = Table("log", sql::LOG_CHECK, 2);
    each(check, &log, reader::signed, |check, (note, at), sum| {
        let wanted = sums::signed(note.as_deref(), *at);
        let place = "table log, columns checkpoint and signed_at";
        checksum(check, "log-checksum", place, (wanted, sum));
    })?;
    let table = Table("witnessed", sql::WITNESSED_CHECK, 5);
    each(check, &table, reader::witnessed, witnessed)?;
    let table = Table("heard", sql::HEARD_CHECK, 3);
    each(check, &table, reader::heard, heard)?;
    let table = Table("alarm", sql::ALARM_CHECK, 5);
    each(check, &table, reader::alarm, alarm)?;
    let table = Table("cosigned", sql::COSIGNED_CHECK, 5);
    each(check, &table, reader::cosigned, cosigned)
}

fn each<T>(
    check: &mut Check<'_>,
    Table(table, query, sum): &Table,
    read: fn(&Row<'_>) -> rusqlite::Result<T>,
    one: fn(&mut Check<'_>, &T, Option<i64>),
) -> Result<(), StoreFault> {
    let db = check.db;
    let mut query = db.prepare(query)?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        match read(row).and_then(|found| Ok((found, row.get(*sum)?))) {
            Ok((found, sum)) => one(check, &found, sum),
            Err(e) => {
                let place = format!("table {table}");
                check.damage("row-unreadable", place, "values of their types", e);
            }
        }
    }
    Ok(())
}

fn shown<T: Display>(value: Option<T>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| value.to_string())
}

fn checksum(
    check: &mut Check<'_>,
    code: &'static str,
    place: &str,
    (wanted, found): (Option<i64>, Option<i64>),
) {
    if wanted != found {
        check.damage(code, place, shown(wanted), shown(found));
    }
}

fn keys(check: &Check<'_>, of: &AuthorityId, role: Role) -> Vec<PublicKey> {
    let named = |key: &&PublicKey| key.name().role() == role && key.name().authority() == of;
    check.keys.values().filter(named).cloned().collect()
}

/// This note as a checkpoint of the authority's log, if that log's key signed it. A key that is on no card here proves
/// nothing either way.
fn head(
    check: &mut Check<'_>,
    of: &AuthorityId,
    note: &[u8],
    (code, place): (&'static str, &str),
) -> Option<Checkpoint> {
    let mut bad = Checkpoint::parse(note).err();
    for key in keys(check, of, Role::Log) {
        match Checkpoint::open(note, &key) {
            Ok(head) => {
                super::report::tally(&mut check.report.signatures, 1);
                return Some(head);
            }
            Err(CheckpointFault::NotSigned(_)) => {}
            Err(fault) => bad = Some(fault),
        }
    }
    if let Some(fault) = bad {
        let wanted = format!("a checkpoint of the log of {of}, signed by its key");
        check.damage(code, place, wanted, fault);
    } else {
        super::report::tally(&mut check.report.unverified, 1);
    }
    None
}

fn witnessed(check: &mut Check<'_>, row: &WitnessedRow, sum: Option<i64>) {
    super::report::tally(&mut check.report.heads, 1);
    let place = format!("witnessed head of {}", row.of);
    let told = ("witnessed-note", place.as_str());
    let Some(head) = head(check, &row.of, &row.note, told) else {
        let wanted = Some(sums::witnessed(row));
        return checksum(check, "witnessed-checksum", &place, (wanted, sum));
    };
    let fields = [
        ("size", head.size.to_string(), row.size.to_string()),
        ("root", head.root.to_string(), row.root.to_string()),
    ];
    let right = WitnessedRow {
        size: head.size,
        root: head.root,
        ..row.clone()
    };
    let wanted = Some(sums::witnessed(&right));
    for (column, wanted_value, found) in fields {
        if wanted_value == found {
            continue;
        }
        let place = format!("{place}, column {column}");
        if wanted == sum {
            let fix = Fix::Witnessed(Box::new(right.clone()));
            check.repairable(fix, "witnessed-column", place, (wanted_value, found));
        } else {
            check.damage("witnessed-column", place, wanted_value, found);
        }
    }
    checksum(check, "witnessed-checksum", &place, (wanted, sum));
}

fn heard(
    check: &mut Check<'_>,
    (of, note, at): &(AuthorityId, Vec<u8>, Timestamp),
    sum: Option<i64>,
) {
    super::report::tally(&mut check.report.heads, 1);
    let place = format!("heard head of {of}");
    head(check, of, note, ("heard-note", &place));
    let wanted = Some(sums::heard(of, note, *at));
    checksum(check, "heard-checksum", &place, (wanted, sum));
}

fn alarm(check: &mut Check<'_>, row: &AlarmRow, sum: Option<i64>) {
    super::report::tally(&mut check.report.heads, 1);
    let place = format!("alarm about {}", row.of);
    let told = ("alarm-note", place.as_str());
    let may_lack = row.kind == AlarmKind::Unproved && row.earlier.is_empty();
    let earlier = if may_lack {
        None
    } else {
        head(check, &row.of, &row.earlier, told)
    };
    let later = head(check, &row.of, &row.later, told);
    if let (AlarmKind::Fork, Some(one), Some(two)) = (row.kind, &earlier, &later)
        && (one.size != two.size || one.root == two.root)
    {
        let wanted = "two checkpoints of one size with different roots";
        let found = format!(
            "{} leaves, root {}, and {} leaves, root {}",
            one.size, one.root, two.size, two.root
        );
        check.damage("alarm-heads", place.clone(), wanted, found);
    }
    let wanted = Some(sums::alarm(row));
    checksum(check, "alarm-checksum", &place, (wanted, sum));
}

fn cosigned(check: &mut Check<'_>, row: &CosignedRow, sum: Option<i64>) {
    super::report::tally(&mut check.report.heads, 1);
    let place = format!("cosignature of {}", row.by);
    let own = check.own.clone();
    let head = head(check, &own, &row.note, ("cosigned-note", &place));
    let at = head.as_ref().and_then(|head| time(check, head, row));
    let (Some(head), Some(at)) = (head, at) else {
        let wanted = Some(sums::cosigned(row));
        return checksum(check, "cosigned-checksum", &place, (wanted, sum));
    };
    let fields = [
        ("size", head.size.to_string(), row.size.to_string()),
        ("at", at.to_string(), row.at.to_string()),
    ];
    let right = CosignedRow {
        size: head.size,
        at,
        ..row.clone()
    };
    let wanted = Some(sums::cosigned(&right));
    let fix = || Fix::Cosigned(Box::new(right.clone()));
    for (column, wanted, found) in fields {
        if wanted != found {
            let place = format!("{place}, column {column}");
            check.repairable(fix(), "cosigned-column", place, (wanted, found));
        }
    }
    if wanted != sum {
        let told = (shown(wanted), shown(sum));
        check.repairable(fix(), "cosigned-checksum", place, told);
    }
}

/// When the witness cosigned, as its line says, which its key verifies.
fn time(check: &mut Check<'_>, head: &Checkpoint, row: &CosignedRow) -> Option<Timestamp> {
    let place = format!("cosignature of {}, column line", row.by);
    let whole = format!("cosignature\n\n{}", row.line);
    let line = note::split(whole.as_bytes(), 1).map(|(_, lines)| lines.into_iter().next());
    let Ok(Some(line)) = line else {
        check.damage("cosigned-line", place, "a signature line", &row.line);
        return None;
    };
    let keys = keys(check, &row.by, Role::Witness);
    let Some(key) = keys
        .iter()
        .find(|key| cosignature::cosigner_id(key) == line.id)
    else {
        super::report::tally(&mut check.report.unverified, 1);
        return None;
    };
    match cosignature::verify(head, &line, key) {
        Ok(seconds) => {
            super::report::tally(&mut check.report.signatures, 1);
            let millis = i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX);
            Some(Timestamp::from_millis(millis))
        }
        Err(e) => {
            check.damage("cosigned-line", place, "a cosignature that verifies", e);
            None
        }
    }
}
