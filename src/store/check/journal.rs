//! The journal of destructions, compared with the exchanges. What the next start settles by itself is no damage.

use std::fs::File;
use std::io;

use super::report::Check;
use crate::store::durable::DiskFault;
use crate::store::journal::{JournalFault, Sound};
use crate::store::{StoreFault, journal, replay};

/// Every line is what was written; every destruction has its entry, and nothing that has one is readable.
pub(super) fn journal(check: &mut Check<'_>) -> Result<(), StoreFault> {
    let (path, own) = (check.journal, check.own);
    let place = path.display().to_string();
    let file = match File::open(path) {
        Ok(file) => Some(file),
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(DiskFault::of("open", path, &e).into()),
    };
    let sound = match file.map(|file| journal::read(file, own, |_| {})) {
        None => None,
        Some(Ok(sound)) => Some(sound),
        Some(Err(fault @ (JournalFault::Damaged(_) | JournalFault::Foreign(_)))) => {
            check.damage("journal", place, "the lines that were written", fault);
            return Ok(());
        }
        Some(Err(fault @ JournalFault::Unreadable(_))) => return Err(fault.of(path)),
    };
    check.report.destructions = sound.map_or(0, |sound| sound.entries);
    if sound.is_some_and(|sound| sound.torn) {
        let found = "a last line that was cut short";
        check.leftover(None, "journal-torn", place.clone(), found);
    }
    let read = |each: &mut dyn FnMut(&journal::JournalEntry)| match sound {
        Some(Sound { bytes: 1.., .. }) => {
            let file = File::open(path).map_err(|e| DiskFault::of("open", path, &e))?;
            let read = journal::read(file, own, each);
            read.map(drop).map_err(|fault| fault.of(path))
        }
        Some(_) | None => Ok(()),
    };
    let owed = match replay::owed(check.db, read) {
        Ok(owed) => owed,
        // Rows that cannot be read were found before.
        Err(StoreFault::Sql(_)) => return Ok(()),
        Err(fault) => return Err(fault),
    };
    for xid in owed.missing {
        let found = format!("no line of {xid}, which is destroyed");
        check.leftover(None, "journal-entry-missing", place.clone(), &found);
    }
    for xid in owed.readable {
        let place = format!("exchange {xid}");
        let found = "a key, though the journal says that the package was destroyed";
        check.leftover(None, "journal-not-followed", place, found);
    }
    Ok(())
}
