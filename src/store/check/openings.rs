//! Openings that are not stated yet: what a process that was killed left, and the next start states.

use super::report::Check;
use crate::exchange::Phase;
use crate::store::{StoreFault, reader, sql, sums};

/// Each row has its checksum, and is about a package that is held here.
pub(super) fn openings(check: &mut Check<'_>) -> Result<(), StoreFault> {
    let db = check.db;
    let mut query = db.prepare(sql::OPENINGS_CHECK)?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let read = reader::opening(row);
        let read = read.and_then(|opening| Ok((opening, row.get(5)?, row.get(6)?)));
        let (opening, sum, phase): (_, i64, Option<String>) = match read {
            Ok(read) => read,
            Err(e) => {
                let expected = "values of their types";
                check.damage("row-unreadable", "table opening", expected, e);
                continue;
            }
        };
        let place = format!("opening {}", hex::encode(opening.id));
        let wanted = sums::opening(&opening);
        if sum != wanted {
            check.damage("opening-checksum", place, wanted, sum);
        } else if phase.as_deref() != Some(Phase::Held.as_str()) {
            let found = phase.unwrap_or_else(|| "no package".to_owned());
            check.damage("opening-package", place, "a package that is held", found);
        } else {
            let found = format!(
                "at most {} bytes have left of {}",
                opening.bound, opening.xid
            );
            check.leftover(None, "opening-unstated", place, &found);
        }
    }
    Ok(())
}
