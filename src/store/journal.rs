//! The journal of destructions: which packages were destroyed here, in a file outside the state folder, so that a state
//! restored from a backup does not bring them back.
//!
//! Text. The first line names the form, its version and the authority. Each further line is an entry of [`LINE_BYTES`]
//! bytes: the exchange, SHA-256 of the statement that says so, when, and a check, in hex the first 16 bytes of SHA-256
//! over a label, the check of the line before (for the first entry, the digest of the first line) and the entry. So a
//! line that was changed, removed or put in shows. A last line that a crash or a full disk cut short shows too, and is
//! taken away: nobody was told of what it stood for. The check needs no key; it finds accidents and slips, not forgery.
//!
//! An entry is written after the ledger has committed the destruction and its key is overwritten, and before anybody is
//! told. What a crash in between left out is written at the next start ([`super::replay`]).

use std::fs::File;
use std::io;
use std::io::{BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, FlockOperation};

use crate::base::{AuthorityId, Digest, Hasher, Timestamp, Xid, len_u64};
use crate::store::durable::DiskFault;
use crate::store::{StoreFault, durable};

const FORM: &str = "rogatory destroyed 1";
const LABEL: &[u8] = b"rogatory/destroyed/v1\0";
const CHECK_BYTES: usize = 16;
/// 32 hex digits, 64 hex digits, a time, 32 hex digits, three spaces, a newline.
pub(crate) const LINE_BYTES: usize = 32 + 64 + 24 + 32 + 3 + 1;
/// Space that is allocated ahead of the entries, so that a disk that fills up is met before a destruction, not after
/// it.
const AHEAD_BYTES: u64 = 64 << 10;

type Check = [u8; CHECK_BYTES];

/// One destruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalEntry {
    /// The exchange whose package was destroyed.
    pub xid: Xid,
    /// SHA-256 of the statement, as its receiver alone signed it.
    pub statement: Digest,
    /// When.
    pub at: Timestamp,
}

/// The content of a journal as far as it is sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sound {
    /// Bytes of whole lines; 0 while not even the first is written.
    pub bytes: u64,
    /// Entries.
    pub entries: u64,
    /// When the last of them was written.
    pub last: Option<Timestamp>,
    /// Whether a line follows that was cut short.
    pub torn: bool,
    check: Check,
}

/// Why a journal cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum JournalFault {
    /// The system refused.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// It is not of this form and version, or not of this authority.
    #[error(
        "does not begin with «{0}»: it is of another authority, of another version, or something else"
    )]
    Foreign(String),
    /// A line is not what was written.
    #[error("line {0} is not what was written, or a line before it is missing")]
    Damaged(u64),
}

impl JournalFault {
    /// The same with the file, and what to do.
    pub(crate) fn of(self, path: &Path) -> StoreFault {
        StoreFault::Journal(format!(
            "{} {self}. Packages that were destroyed may have come back with a restored state: keep a copy of the file and \
             put the newest sound one in its place. Only if no older state was restored, move it away: it is written anew \
             from the ledger",
            path.display()
        ))
    }
}

/// The file, with the one right to write it.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
    authority: AuthorityId,
    bytes: u64,
    check: Check,
    /// Up to where space is allocated.
    held: u64,
    is_new: bool,
}

/// Makes the file, with the folder it is in, if it is missing; an empty one holds nothing. Call it before the process
/// gives up the right to make files there.
pub fn prepare(path: &Path) -> Result<(), DiskFault> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    if !folder.as_os_str().is_empty() {
        durable::create_dir(folder)?;
    }
    drop(durable::open_or_create(path)?);
    durable::sync_dir(folder)
}

/// Reads a journal from its beginning, an entry at a time.
pub fn read(
    from: impl Read,
    authority: &AuthorityId,
    mut each: impl FnMut(&JournalEntry),
) -> Result<Sound, JournalFault> {
    let mut from = BufReader::with_capacity(64 << 10, from);
    let first = first_line(authority);
    let mut line = Vec::with_capacity(LINE_BYTES);
    let mut sound = Sound {
        bytes: 0,
        entries: 0,
        last: None,
        torn: false,
        check: [0; CHECK_BYTES],
    };
    next(&mut from, first.len(), &mut line)?;
    if line != first.as_bytes() {
        let begun = written(&line);
        sound.torn = !line.is_empty();
        if begun.len() < first.len() && first.as_bytes().starts_with(begun) && is_blank(&mut from)?
        {
            return Ok(sound);
        }
        return Err(JournalFault::Foreign(first.trim_end().to_owned()));
    }
    sound.bytes = len_u64(first.len());
    sound.check = beginning(&first);
    loop {
        next(&mut from, LINE_BYTES, &mut line)?;
        if line.is_empty() {
            return Ok(sound);
        }
        if let Some((entry, check)) = parsed(&line, &sound.check) {
            each(&entry);
            sound.bytes = sound.bytes.saturating_add(len_u64(LINE_BYTES));
            sound.entries = sound.entries.saturating_add(1);
            sound.last = Some(entry.at);
            sound.check = check;
            continue;
        }
        if is_begun(written(&line)) && is_blank(&mut from)? {
            sound.torn = true;
            return Ok(sound);
        }
        // The first line is of no entry.
        return Err(JournalFault::Damaged(sound.entries.saturating_add(2)));
    }
}

impl Journal {
    /// Opens the file for the one process that may write it, verifies all of it, and mends its end.
    pub(crate) fn open(path: &Path, authority: &AuthorityId) -> Result<Self, StoreFault> {
        let file = durable::open_or_create(path)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let folder = path.to_owned();
                return Err(StoreFault::Locked { folder });
            }
            Err(e) => return Err(DiskFault::of("lock", path, &e.into()).into()),
        }
        let sound = read(&file, authority, |_| {}).map_err(|fault| fault.of(path))?;
        let mut journal = Self {
            file,
            path: path.to_owned(),
            authority: authority.clone(),
            bytes: sound.bytes,
            check: sound.check,
            held: 0,
            is_new: sound.bytes == 0,
        };
        if sound.torn {
            let path = path.display();
            tracing::warn!("{path}: its last line was cut short, and is taken away");
            journal.mend()?;
        }
        if journal.is_new {
            let first = first_line(authority);
            journal.write(first.as_bytes())?;
            journal.check = beginning(&first);
        }
        Ok(journal)
    }

    /// Reads every entry again, in order.
    pub(crate) fn each(&self, each: impl FnMut(&JournalEntry)) -> Result<(), StoreFault> {
        let from = Positioned {
            file: &self.file,
            at: 0,
        };
        let read = read(from, &self.authority, each);
        read.map(drop).map_err(|fault| fault.of(&self.path))
    }

    /// Whether nothing of it was there when it was opened.
    pub(crate) const fn is_new(&self) -> bool {
        self.is_new
    }

    /// Takes the space for so many entries. Without it none of them may come to be.
    pub(crate) fn room(&mut self, entries: usize) -> Result<(), DiskFault> {
        let new = len_u64(entries.saturating_mul(LINE_BYTES));
        let wanted = self.bytes.saturating_add(new);
        if entries == 0 || wanted <= self.held {
            return Ok(());
        }
        let length = new.saturating_add(AHEAD_BYTES);
        match rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, self.bytes, length) {
            Ok(()) => self.held = self.bytes.saturating_add(length),
            // Without allocation a file system promises nothing: a full disk is then met too late, and ends the
            // process.
            Err(rustix::io::Errno::OPNOTSUPP) => self.held = wanted,
            Err(e) => return Err(DiskFault::of("allocate", &self.path, &e.into())),
        }
        Ok(())
    }

    /// Writes entries, all with one flush; then they are on the disk. After an error the process must end.
    pub(crate) fn append(&mut self, entries: &[JournalEntry]) -> Result<(), DiskFault> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut lines = Vec::with_capacity(entries.len().saturating_mul(LINE_BYTES));
        let mut check = self.check;
        for entry in entries {
            let text = text(entry);
            check = checked(&check, text.as_bytes());
            lines.extend_from_slice(text.as_bytes());
            lines.extend_from_slice(hex::encode(check).as_bytes());
            lines.push(b'\n');
        }
        self.write(&lines)?;
        self.check = check;
        Ok(())
    }

    fn write(&mut self, lines: &[u8]) -> Result<(), DiskFault> {
        let written = self.file.write_all_at(lines, self.bytes);
        written.map_err(|e| DiskFault::of("write", &self.path, &e))?;
        durable::sync_data(&self.file, &self.path)?;
        self.bytes = self.bytes.saturating_add(len_u64(lines.len()));
        Ok(())
    }

    fn mend(&self) -> Result<(), DiskFault> {
        let shortened = self.file.set_len(self.bytes);
        shortened.map_err(|e| DiskFault::of("shorten", &self.path, &e))?;
        durable::sync_data(&self.file, &self.path)
    }
}

/// A file read from a place of its own.
struct Positioned<'a> {
    file: &'a File,
    at: u64,
}

impl Read for Positioned<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(into, self.at)?;
        self.at = self.at.saturating_add(len_u64(read));
        Ok(read)
    }
}

fn first_line(authority: &AuthorityId) -> String {
    format!("{FORM} {authority}\n")
}

fn beginning(first: &str) -> Check {
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&Digest::of(first.as_bytes()).as_bytes()[..CHECK_BYTES]);
    check
}

/// An entry up to its check, with the space before that.
fn text(entry: &JournalEntry) -> String {
    format!("{} {} {} ", entry.xid, entry.statement, entry.at)
}

fn checked(before: &Check, text: &[u8]) -> Check {
    let mut hasher = Hasher::new();
    hasher.update(LABEL);
    hasher.update(before);
    hasher.update(text);
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&hasher.finish().as_bytes()[..CHECK_BYTES]);
    check
}

/// The entry of a line, if the line is exactly what would be written for it here.
fn parsed(line: &[u8], before: &Check) -> Option<(JournalEntry, Check)> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let mut parts = line.split(' ');
    let entry = JournalEntry {
        xid: parts.next()?.parse().ok()?,
        statement: Digest::parse(parts.next()?)?,
        at: parts.next()?.parse().ok()?,
    };
    let text = text(&entry);
    let check = checked(before, text.as_bytes());
    (line == format!("{text}{}", hex::encode(check))).then_some((entry, check))
}

/// Reads so many bytes, or what is left.
fn next(from: &mut impl Read, bytes: usize, line: &mut Vec<u8>) -> io::Result<()> {
    line.clear();
    from.take(len_u64(bytes)).read_to_end(line).map(drop)
}

/// The written part of a line; after a crash a file may end in zeros that were not.
fn written(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|byte| *byte != 0);
    end.and_then(|last| line.get(..=last)).unwrap_or_default()
}

/// Whether this can be the beginning of a line.
fn is_begun(part: &[u8]) -> bool {
    let of_lines = |byte: &u8| byte.is_ascii_hexdigit() || b" -:.TZ".contains(byte);
    part.len() < LINE_BYTES && part.iter().all(of_lines)
}

/// Whether nothing but zeros is left.
fn is_blank(from: &mut impl Read) -> io::Result<bool> {
    let mut piece = [0; 4 << 10];
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok(true),
            Ok(read) if piece.iter().take(read).all(|byte| *byte == 0) => {}
            Ok(_) => return Ok(false),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
mod tests;
