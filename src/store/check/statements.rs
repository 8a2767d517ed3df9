//! Statements, and the log that commits to them.

use rusqlite::Row;

use super::report::{Check, Fix};
use crate::base::{Digest, len_u64};
use crate::identity::keys::Role;
use crate::identity::statement::Note;
use crate::receipt::{Party, Receipt};
use crate::store::rows::StatementRow;
use crate::store::{StoreFault, reader, sql, sums};
use crate::tlog::{Checkpoint, Frontier};
use crate::{receipt, tlog};

/// A statement with its checksum and the commitment that the log holds of it.
struct Kept {
    row: StatementRow,
    sum: Option<i64>,
    commitment: Option<Digest>,
    /// The number of its exchange, as it says and as it is.
    numbers: (Option<i64>, Option<i64>),
}

fn kept(row: &Row<'_>) -> rusqlite::Result<Kept> {
    let commitment: Option<[u8; 32]> = row.get(11)?;
    Ok(Kept {
        row: reader::statement(row)?,
        sum: row.get(10)?,
        commitment: commitment.map(Digest::from_bytes),
        numbers: (row.get(12)?, row.get(13)?),
    })
}

/// Every statement has its digest, its checksum, good signatures, and columns that say what it says.
pub(super) fn statements(check: &mut Check<'_>) -> Result<(), StoreFault> {
    let db = check.db;
    let mut query = db.prepare(sql::STATEMENTS_CHECK)?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        super::report::tally(&mut check.report.statements, 1);
        match kept(row) {
            Ok(kept) => one(check, &kept),
            Err(e) => check.damage(
                "row-unreadable",
                "table statement",
                "values of their types",
                e,
            ),
        }
    }
    Ok(())
}

fn one(check: &mut Check<'_>, kept: &Kept) {
    let row = &kept.row;
    let place = || format!("statement {}", row.seq);
    let digest = Digest::of(&row.note);
    if digest != row.digest {
        check.damage("statement-digest", place(), digest, row.digest);
    }
    let wanted = sums::kept(row.seq, &row.digest, row.at, row.leaf, row.r.as_ref());
    if kept.sum != Some(wanted) {
        check.damage(
            "statement-checksum",
            place(),
            wanted,
            format!("{:?}", kept.sum),
        );
    }
    let (found, wanted) = kept.numbers;
    if found != wanted {
        let told = (format!("{wanted:?}"), format!("{found:?}"));
        check.repairable(Fix::Numbers, "statement-number", place(), told);
    }
    let read = Note::parse(&row.note).map_err(|e| e.to_string());
    let read = read.and_then(|note| match receipt::open(&note) {
        Ok(receipt) => Ok((note, receipt)),
        Err(e) => Err(e.to_string()),
    });
    let (note, receipt) = match read {
        Ok(read) => read,
        Err(e) => return check.damage("statement-note", place(), "a receipt", e),
    };
    columns(check, row, &note, &receipt);
    signatures(check, row, &note, &receipt);
    let own = note
        .signatures()
        .iter()
        .any(|line| line.name.authority() == check.own);
    if own != row.leaf.is_some() {
        let found = format!("leaf {:?}", row.leaf);
        let expected = if own {
            "a leaf, for this authority signed it"
        } else {
            "no leaf"
        };
        check.damage("statement-leaf", place(), expected, found);
    }
    let (Some(leaf), Some(r)) = (row.leaf, row.r) else {
        return;
    };
    let commitment = tlog::commitment(&r, &digest);
    if kept.commitment != Some(commitment) {
        let found = kept
            .commitment
            .map_or_else(|| "none".to_owned(), |found| found.to_string());
        check.repairable(
            Fix::Log,
            "leaf",
            format!("leaf {leaf}"),
            (commitment, found),
        );
    }
}

fn columns(check: &mut Check<'_>, row: &StatementRow, note: &Note, receipt: &Receipt) {
    let issuer = note.issuer().name.authority();
    let fields = [
        (
            "xid",
            format!("{:?}", receipt.xid),
            format!("{:?}", row.xid),
        ),
        ("kind", receipt.kind.as_str().to_owned(), row.kind.clone()),
        ("issuer", issuer.to_string(), row.issuer.to_string()),
        (
            "signatures",
            note.signatures().len().to_string(),
            row.signatures.to_string(),
        ),
    ];
    for (column, wanted, found) in fields {
        if wanted != found {
            let place = format!("statement {}, column {column}", row.seq);
            check.damage("statement-column", place, wanted, found);
        }
    }
}

/// Verifies with the keys of the cards that are here, each signature by the key of its card.
fn signatures(check: &mut Check<'_>, row: &StatementRow, note: &Note, receipt: &Receipt) {
    let count = len_u64(note.signatures().len());
    let keys = |party: Option<&Party>| {
        let party = party?;
        let keys = check.parties.get(&party.id)?;
        keys.find(party).map(|_| keys)
    };
    let from = keys(receipt.from.as_ref());
    let verified = if receipt.kind.is_exchange() {
        let (Some(from), Some(to)) = (from, keys(receipt.to.as_ref())) else {
            super::report::tally(&mut check.report.unverified, count);
            return;
        };
        receipt::verify(note, receipt, from, to, count > 1)
    } else {
        let Some(from) = from else {
            super::report::tally(&mut check.report.unverified, count);
            return;
        };
        receipt::verify_own(note, receipt, from)
    };
    match verified {
        Ok(()) => super::report::tally(&mut check.report.signatures, count),
        Err(e) => check.damage(
            "statement-signature",
            format!("statement {}", row.seq),
            "good signatures",
            e,
        ),
    }
}

/// The leaves are without gaps, give the stored frontier, and at its size the root that the last checkpoint signs.
pub(super) fn log(check: &mut Check<'_>) -> Result<(), StoreFault> {
    let (size, peaks, note): (u64, Vec<u8>, Option<Vec<u8>>) =
        check.db.query_row(sql::LOG, [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    let checkpoint = note.as_deref().and_then(|note| signed(check, note));
    let signed_size = checkpoint.as_ref().map(|last| last.size);
    let (tree, at_checkpoint) = leaves(check, signed_size)?;
    check.report.leaves = tree.size();
    let (wanted, wanted_peaks) = tree.parts();
    let wanted_peaks: Vec<u8> = wanted_peaks
        .iter()
        .flat_map(|peak| *peak.as_bytes())
        .collect();
    if (size, &peaks) != (wanted, &wanted_peaks) {
        let expected = format!("{wanted} leaves, frontier {}", hex::encode(&wanted_peaks));
        let found = format!("{size} leaves, frontier {}", hex::encode(&peaks));
        check.repairable(Fix::Log, "log-frontier", "table log", (expected, found));
    }
    if let Some(last) = &checkpoint
        && at_checkpoint != Some(last.root)
    {
        let found =
            at_checkpoint.map_or_else(|| format!("{wanted} leaves only"), |root| root.to_string());
        let expected = format!(
            "root {} of {} leaves, which the last checkpoint signs",
            last.root, last.size
        );
        check.damage("log-root", "table leaf", expected, found);
    }
    let unowned: u64 = check
        .db
        .query_row(sql::LEAVES_UNOWNED, [], |row| row.get(0))?;
    if unowned > 0 {
        let found = format!("{unowned} leaves without one");
        let expected = "a statement for each leaf";
        check.damage("leaf-unowned", "table leaf", expected, found);
    }
    Ok(())
}

/// The tree of the stored leaves up to the first gap, and its root at this size.
fn leaves(
    check: &mut Check<'_>,
    size: Option<u64>,
) -> Result<(Frontier, Option<Digest>), StoreFault> {
    let mut tree = Frontier::new();
    let mut root = size.filter(|size| *size == 0).map(|_| tree.root());
    let db = check.db;
    let mut query = db.prepare(sql::LEAVES_ALL)?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let place = format!("leaf {}", tree.size());
        let index: rusqlite::Result<u64> = row.get(0);
        let commitment = match (index, reader::digest(row, 1)) {
            (Ok(index), Ok(commitment)) if index == tree.size() => commitment,
            (Ok(index), Ok(_)) => {
                let told = ("a leaf", format!("the next is {index}"));
                check.repairable(Fix::Log, "leaf", place, told);
                break;
            }
            (Err(e), _) | (_, Err(e)) => {
                check.repairable(Fix::Log, "row-unreadable", place, ("a commitment", e));
                break;
            }
        };
        tree.append(tlog::leaf_hash(&tlog::leaf_entry(&commitment)));
        if size == Some(tree.size()) {
            root = Some(tree.root());
        }
    }
    Ok((tree, root))
}

/// The last checkpoint, if the own log key signed it.
fn signed(check: &mut Check<'_>, note: &[u8]) -> Option<Checkpoint> {
    let keys: Vec<_> = check
        .keys
        .values()
        .filter(|key| key.name().role() == Role::Log && key.name().authority() == check.own)
        .cloned()
        .collect();
    let mut fault = "no log key of this authority is known".to_owned();
    for key in keys {
        match Checkpoint::open(note, &key) {
            Ok(checkpoint) => return Some(checkpoint),
            Err(e) => fault = e.to_string(),
        }
    }
    check.damage(
        "checkpoint",
        "table log",
        "a checkpoint signed by this authority's log key",
        fault,
    );
    None
}
