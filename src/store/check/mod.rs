//! `fsck`: whether what is stored is what was written, and what the statements say.
//!
//! Everything is compared with something else: exchanges with the statements they are a projection of, statements with
//! their digests and signatures, the log with the statements it commits to and with the last checkpoint, payloads with
//! the digests that were signed, headers with theirs, what is known of logs with the checkpoints and cosignatures it
//! came from, columns that no statement holds with their checksums, the schema with the one this program makes. Reading
//! changes nothing; the folder's lock is held meanwhile.

mod database;
mod digests;
mod exchanges;
mod files;
mod journal;
mod logs;
mod openings;
mod orders;
mod peers;
mod project;
mod repair;
mod report;
mod statements;
mod wal;

use std::collections::HashMap;
use std::path::Path;

use crate::identity::card::Card;
use crate::store::{StoreFault, opening};

pub use repair::repair;
pub use report::{Difference, Report, Severity};

use report::{Check, Fix};

/// Compares everything in this state folder of the authority whose card this is, and its journal of destructions, and
/// changes nothing. The daemon must not be running.
///
/// # Errors
/// [`StoreFault::Locked`] while another process has the folder; any other if it cannot be read far enough to compare.
pub fn check(folder: &Path, journal: &Path, card: &Card) -> Result<Report, StoreFault> {
    let _lock = locked(folder)?;
    look(folder, journal, card).map(|(report, _)| report)
}

/// The folder's lock, if there is a ledger in it.
fn locked(folder: &Path) -> Result<std::fs::File, StoreFault> {
    let path = folder.join(crate::store::layout::DATABASE);
    if !path.is_file() {
        let why = format!("there is no {}", path.display());
        return Err(StoreFault::Damaged(why));
    }
    opening::lock(folder)
}

fn look(folder: &Path, journal: &Path, card: &Card) -> Result<(Report, Vec<Fix>), StoreFault> {
    let mut report = Report::default();
    let tail = database::header(folder, &mut report)?;
    let db = database::open(folder, tail)?;
    let mut check = Check {
        db: &db,
        folder,
        journal,
        own: &card.id,
        keys: HashMap::new(),
        parties: HashMap::new(),
        report,
        fixes: Vec::new(),
    };
    check.trust(card);
    everything(&mut check)?;
    let Check { report, fixes, .. } = check;
    Ok((report, fixes))
}

fn everything(check: &mut Check<'_>) -> Result<(), StoreFault> {
    database::schema(check)?;
    database::integrity(check)?;
    peers::cards(check)?;
    peers::crls(check)?;
    peers::peers(check)?;
    peers::named_values(check)?;
    statements::statements(check)?;
    statements::log(check)?;
    digests::found(check)?;
    logs::logs(check)?;
    orders::orders(check)?;
    openings::openings(check)?;
    exchanges::exchanges(check)?;
    journal::journal(check)?;
    files::slots(check)?;
    files::folders(check)
}
