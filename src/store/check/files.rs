//! Payload files, segment lists and the slot file.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::project::Projected;
use super::report::{Check, Fix};
use crate::base::{Digest, Range, Xid, len_u64, limits};
use crate::exchange::{Direction, Phase};
use crate::package::segments;
use crate::store::durable::DiskFault;
use crate::store::rows::Exchange;
use crate::store::{StoreFault, reader, slots, sql};

const HASH_BYTES: u64 = 32;

/// The root over the segments of a payload in memory.
pub(super) fn root_of(bytes: &[u8]) -> Digest {
    let segment = usize::try_from(limits::SEGMENT_BYTES).unwrap_or(usize::MAX);
    segments::root_of(bytes.chunks(segment).map(segments::segment_hash))
}

/// A payload that has files of its own.
pub(super) fn payload(check: &mut Check<'_>, row: &Exchange, wanted: &Projected) {
    let path = |folder: &str, ending: &str| {
        check
            .folder
            .join(folder)
            .join(format!("{}{ending}", row.xid))
    };
    let complete = path("blobs", "");
    if complete.is_file() {
        let list = path("blobs", ".list");
        return whole(check, &complete, &list, wanted);
    }
    let (part, list) = (path("incoming", ""), path("incoming", ".list"));
    if row.phase == Phase::Receiving && !row.have.is_empty() {
        return arriving(check, &part, &list, row, wanted);
    }
    let must = wanted.payload == Some(true)
        && (row.direction == Direction::In || row.phase == Phase::Dispatched);
    if must {
        let place = complete.display().to_string();
        check.damage(
            "payload-missing",
            place,
            format!("{} bytes", wanted.pkg.len),
            "no file",
        );
    }
}

/// All segments, against the list and the root.
fn whole(check: &mut Check<'_>, path: &Path, list: &Path, wanted: &Projected) {
    let place = path.display().to_string();
    let hashes = match hashes_of(path) {
        Ok(hashes) => hashes,
        Err(e) => return check.damage("payload-unreadable", place, "bytes", e),
    };
    super::report::tally(&mut check.report.payloads, 1);
    super::report::tally(&mut check.report.payload_bytes, hashes.len);
    let root = segments::root_of(hashes.segments.iter().copied());
    let is_whole = (root, hashes.len) == (wanted.pkg.body, wanted.pkg.len);
    if !is_whole {
        let expected = format!("{} bytes, root {}", wanted.pkg.len, wanted.pkg.body);
        let at = differing(list, &hashes.segments);
        let found = format!("{} bytes, root {root}{at}", hashes.len);
        check.damage("payload-digest", place, expected, found);
    }
    let listed: Vec<u8> = hashes
        .segments
        .iter()
        .flat_map(|hash| *hash.as_bytes())
        .collect();
    let matches = std::fs::read(list).is_ok_and(|bytes| bytes == listed);
    if is_whole && !matches {
        let told = (
            "the hashes of the payload's segments",
            "other bytes, or no file",
        );
        let place = list.display().to_string();
        check.repairable(Fix::List(path.to_owned()), "payload-list", place, told);
    }
}

/// Which segments are not those of the list, where the list can tell.
fn differing(list: &Path, hashes: &[Digest]) -> String {
    let Ok(listed) = std::fs::read(list) else {
        return String::new();
    };
    let (listed, _) = listed.as_chunks::<32>();
    let bad: Vec<_> = (0_u64..)
        .zip(listed.iter().zip(hashes))
        .filter(|(_, (listed, hash))| *listed != hash.as_bytes())
        .map(|(at, _)| at.to_string())
        .take(8)
        .collect();
    if bad.is_empty() {
        return String::new();
    }
    format!("; segments {} are not those of its list", bad.join(", "))
}

pub(super) struct Hashes {
    pub(super) len: u64,
    pub(super) segments: Vec<Digest>,
}

/// The hashes of a file's segments.
pub(super) fn hashes_of(path: &Path) -> io::Result<Hashes> {
    let mut file = File::open(path)?;
    let mut hashes = Hashes {
        len: 0,
        segments: Vec::new(),
    };
    let mut segment = Vec::new();
    loop {
        segment.clear();
        let read = (&mut file)
            .take(limits::SEGMENT_BYTES)
            .read_to_end(&mut segment)?;
        if read == 0 {
            return Ok(hashes);
        }
        hashes.len = hashes.len.saturating_add(len_u64(read));
        hashes.segments.push(segments::segment_hash(&segment));
    }
}

/// The segments that are recorded as durable, against the list, and the list against the root.
fn arriving(check: &mut Check<'_>, part: &Path, list: &Path, row: &Exchange, wanted: &Projected) {
    let listed = match std::fs::read(list) {
        Ok(listed) => listed,
        Err(e) => {
            return check.damage(
                "payload-list",
                list.display().to_string(),
                "the list of what is arriving",
                e,
            );
        }
    };
    let (hashes, _) = listed.as_chunks::<32>();
    let hashes: Vec<_> = hashes
        .iter()
        .map(|hash| Digest::from_bytes(*hash))
        .collect();
    let right = len_u64(listed.len()) == wanted.segments().saturating_mul(HASH_BYTES)
        && segments::root_of(hashes.iter().copied()) == wanted.pkg.body;
    if !right {
        let place = list.display().to_string();
        return check.damage(
            "payload-list",
            place,
            format!("the root {}", wanted.pkg.body),
            "another",
        );
    }
    let place = part.display().to_string();
    let file = match File::open(part) {
        Ok(file) => file,
        Err(e) => {
            return check.damage(
                "payload-missing",
                place,
                "the segments that are recorded",
                e,
            );
        }
    };
    super::report::tally(&mut check.report.payloads, 1);
    for run in row.have.runs() {
        for segment in looked_at(*run, wanted.segments()) {
            let length = segments::length_of(segment, wanted.pkg.len);
            let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
            let read =
                file.read_exact_at(&mut bytes, segment.saturating_mul(limits::SEGMENT_BYTES));
            let wanted = usize::try_from(segment).ok().and_then(|at| hashes.get(at));
            let found = segments::segment_hash(&bytes);
            super::report::tally(&mut check.report.payload_bytes, length);
            if read.is_err() || wanted != Some(&found) {
                let expected =
                    wanted.map_or_else(|| "no such segment".to_owned(), Digest::to_string);
                let found = read.map_or_else(|e| e.to_string(), |()| found.to_string());
                check.damage(
                    "payload-segment",
                    format!("{place}, segment {segment}"),
                    expected,
                    found,
                );
            }
        }
    }
}

/// The segments of a recorded run that are in a payload of so many, and the first that is not: a row that is damaged
/// can name any number of them.
fn looked_at(run: Range, count: u64) -> std::ops::Range<u64> {
    let most = run.first.max(count).saturating_add(1);
    run.first..run.end().min(most)
}

/// Cells in use end in zeros; cells not in use are zeros.
pub(super) fn slots(check: &mut Check<'_>) -> Result<(), StoreFault> {
    let path = check.folder.join(crate::store::layout::SLOTS);
    let used: Vec<u32> = reader::rows(check.db, sql::HEADER_SLOTS, [], |row| row.get(0))?;
    let used: HashSet<_> = used.into_iter().collect();
    let mut file = match File::open(&path) {
        Ok(file) => io::BufReader::new(file),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(DiskFault::of("open", &path, &e).into()),
    };
    let mut cell = [0; slots::CELL_BYTES];
    for number in 0_u32.. {
        match file.read_exact(&mut cell) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(e) => return Err(DiskFault::of("read", &path, &e).into()),
        }
        let place = || format!("slots, cell {number}");
        if !used.contains(&number) && cell != [0; slots::CELL_BYTES] {
            let found = "bytes that belong to no header: perhaps a key that is to be overwritten";
            check.leftover(Some(Fix::Cell(number)), "slot-unused", place(), found);
        }
        let (_, rest) = cell.split_at(slots::KEY_BYTES + slots::CHECK_BYTES);
        if used.contains(&number) && rest.iter().any(|&byte| byte != 0) {
            check.damage(
                "slot-padding",
                place(),
                "zeros after key and checksum",
                hex::encode(rest),
            );
        }
    }
    Ok(())
}

/// Files that belong to no exchange.
pub(super) fn folders(check: &mut Check<'_>) -> Result<(), StoreFault> {
    for name in ["blobs", "incoming", "spool"] {
        for path in entries(&check.folder.join(name))? {
            let place = path.display().to_string();
            let xid = path
                .file_name()
                .and_then(|name| name.to_str()?.split('.').next()?.parse::<Xid>().ok());
            let known = match &xid {
                Some(xid) if name != "spool" => {
                    let no = reader::row(check.db, sql::EXCHANGE_NO, [xid.as_bytes()], |row| {
                        row.get::<_, i64>(0)
                    })?;
                    no.is_some()
                }
                Some(_) | None => false,
            };
            if known {
                continue;
            }
            let ours = xid.is_some() || name == "spool";
            let fix = ours.then_some(Fix::File(path));
            check.leftover(fix, "file-orphaned", place, "a file of no exchange");
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, StoreFault> {
    let fault = |e: io::Error| DiskFault::of("list", folder, &e);
    let mut paths = Vec::new();
    let listed = match std::fs::read_dir(folder) {
        Ok(listed) => listed,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(paths),
        Err(e) => return Err(fault(e).into()),
    };
    for entry in listed {
        paths.push(entry.map_err(fault)?.path());
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_row_is_looked_at_to_its_first_segment_that_is_none() {
        for (run, count, segments) in [
            ((0, 3), 3, 0..3),
            ((1, 5), 3, 1..4),
            ((7, 5), 3, 7..8),
            ((0, u64::MAX), 3, 0..4),
            ((u64::MAX - 1, 1), 3, u64::MAX - 1..u64::MAX),
        ] {
            assert_eq!(looked_at(Range::from(run), count), segments, "{run:?}");
        }
    }
}
