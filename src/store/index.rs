//! Disk space for the index of the write-ahead log (`ledger.db-shm`), taken before SQLite needs it.
//!
//! SQLite maps this file into memory and lengthens it by writing one byte into each 4 KiB. Where the file system's
//! blocks are smaller than that, the rest of each page is a hole, and to touch it on a full disk ends the process with
//! SIGBUS: no error code, nothing in the log. Space that is allocated beforehand has no holes. A full disk is then
//! found by this call, which reports it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::FallocateFlags;

use crate::store::durable;
use crate::store::durable::DiskFault;
use crate::store::layout::DATABASE;

/// Bytes of the index that SQLite maps at once (`WALINDEX_PGSZ`).
const REGION_BYTES: u64 = 32 << 10;
/// Frames of the write-ahead log that one region counts; the first counts fewer, because of its header.
const REGION_FRAMES: u64 = 4_096;
/// A page of the database and what precedes it in the log.
const FRAME_BYTES: u64 = 4_096 + 24;
/// Regions beyond those that the log has filled. With one group 32 MiB of log can be added; on a disk that has less
/// space than that the log itself meets the end first.
const AHEAD: u64 = 3;

/// An open handle of the index. Whoever has a connection keeps one for longer than that: to close any handle of a file
/// gives up all locks that the process has on it (POSIX), those of SQLite included.
pub(crate) type Handle = Arc<File>;

/// The index, opened beside SQLite.
pub(crate) struct Index {
    file: Handle,
    path: PathBuf,
    log: PathBuf,
    held: u64,
}

impl Index {
    /// Opens or makes the file; its space is not taken yet.
    pub(crate) fn open(folder: &Path) -> Result<Self, DiskFault> {
        let path = folder.join(format!("{DATABASE}-shm"));
        let file = Arc::new(durable::open_or_create(&path)?);
        let log = folder.join(format!("{DATABASE}-wal"));
        Ok(Self {
            file,
            path,
            log,
            held: 0,
        })
    }

    /// For whoever has a connection.
    pub(crate) fn handle(&self) -> Handle {
        Arc::clone(&self.file)
    }

    /// Takes the space for its beginning: before SQLite opens it, which shows that it is there, and again afterwards,
    /// because the first connection shortens the file.
    pub(crate) fn take(&mut self) -> Result<(), DiskFault> {
        self.held = 0;
        self.cover()
    }

    /// Takes the space that the next group of changes may need, given how long the write-ahead log is.
    pub(crate) fn cover(&mut self) -> Result<(), DiskFault> {
        let log = std::fs::metadata(&self.log).map_or(0, |about| about.len());
        let wanted = regions(log).saturating_mul(REGION_BYTES);
        if wanted <= self.held {
            return Ok(());
        }
        match rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, wanted) {
            // Without allocation a file system promises nothing; then it is as SQLite has it.
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => self.held = wanted,
            Err(e) => return Err(DiskFault::of("allocate", &self.path, &e.into())),
        }
        Ok(())
    }
}

/// How many regions a log of so many bytes needs, with those ahead.
const fn regions(log: u64) -> u64 {
    (log / FRAME_BYTES / REGION_FRAMES).saturating_add(AHEAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_log_of_some_length_needs() {
        for (frames, want) in [(0, 3), (4_062, 3), (4_096, 4), (8_191, 4), (40_960, 13)] {
            assert_eq!(regions(32 + frames * FRAME_BYTES), want, "{frames}");
        }
    }
}
