//! The rules of durability: what must be flushed before it is relied on, and what a failure means.
//!
//! A file counts when its bytes, then its name, then its folder are on the disk. A write that finds the disk full has
//! changed nothing that anyone relies on and may be tried again later. A flush (fsync) that fails has lost bytes that
//! the kernel had already accepted; a second attempt would report success without them. It is therefore never
//! repeated: the process ends and reads the disk afresh.

use std::fs::{File, OpenOptions};
use std::io;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Permission bits of every folder made here: the owner alone.
const FOLDER_MODE: u32 = 0o700;
/// Permission bits of every file made here: the owner alone.
const FILE_MODE: u32 = 0o600;

/// The code under which a full disk is reported, to people and to peers.
pub const STORAGE_FULL: &str = "storage-full";

/// A failure of the disk.
#[derive(Debug, thiserror::Error)]
pub enum DiskFault {
    /// No space or quota left (ENOSPC, EDQUOT). Nothing that was relied on has changed; try again when there is space.
    #[error("no space left for {}; free some and it goes on by itself", path.display())]
    Full {
        /// The file that could not grow.
        path: PathBuf,
    },
    /// Any other failure, and every failed flush. The process must end and start again; the call is not repeated.
    #[error("cannot {doing} {}: {cause}; check the disk, then start again", path.display())]
    Broken {
        /// The act that was attempted.
        doing: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// The system's words.
        cause: String,
    },
}

impl DiskFault {
    /// The meaning of a failed system call that was not a flush.
    pub fn of(doing: &'static str, path: &Path, cause: &io::Error) -> Self {
        let path = path.to_owned();
        let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
        if full.contains(&cause.kind()) {
            return Self::Full { path };
        }
        let cause = cause.to_string();
        Self::Broken { doing, path, cause }
    }

    /// The meaning of a failed flush: always fatal, a full disk included.
    fn flush(path: &Path, cause: &io::Error) -> Self {
        Self::Broken {
            doing: "flush",
            path: path.to_owned(),
            cause: cause.to_string(),
        }
    }
}

/// Makes a folder (and those above it) that only the owner can enter, and flushes the one above.
pub fn create_dir(path: &Path) -> Result<(), DiskFault> {
    if path.is_dir() {
        return Ok(());
    }
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(path)
        .map_err(|e| DiskFault::of("create", path, &e))?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Flushes the bytes of a file and what is needed to read them back (fdatasync).
pub fn sync_data(file: &File, path: &Path) -> Result<(), DiskFault> {
    file.sync_data().map_err(|e| DiskFault::flush(path, &e))
}

/// Flushes the names in a folder: after a file was made, renamed or removed in it.
pub fn sync_dir(path: &Path) -> Result<(), DiskFault> {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    let folder = File::open(path).map_err(|e| DiskFault::of("open", path, &e))?;
    folder.sync_all().map_err(|e| DiskFault::flush(path, &e))
}

/// Creates a file that must not exist yet, readable and writable by the owner alone.
pub fn create_new(path: &Path) -> Result<File, DiskFault> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)
        .map_err(|e| DiskFault::of("create", path, &e))
}

/// Opens a file for reading and writing, making it (for the owner alone) if it is missing.
pub fn open_or_create(path: &Path) -> Result<File, DiskFault> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(path)
        .map_err(|e| DiskFault::of("open", path, &e))
}

/// Gives a file its final name. The folder must be flushed afterwards.
pub fn rename(from: &Path, to: &Path) -> Result<(), DiskFault> {
    std::fs::rename(from, to).map_err(|e| DiskFault::of("rename", from, &e))
}

/// Gives a file that is not written any more a second name. The folder must be flushed afterwards.
pub fn link(from: &Path, to: &Path) -> Result<(), DiskFault> {
    std::fs::hard_link(from, to).map_err(|e| DiskFault::of("link", to, &e))
}

/// Removes a file; one that is not there is no fault.
pub fn remove(path: &Path) -> Result<(), DiskFault> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(DiskFault::of("remove", path, &e)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Replaces a small file in one step: written beside it, flushed, renamed, folder flushed. A reader sees the old bytes
/// or the new ones, whenever the power fails.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), DiskFault> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    remove(&beside)?;
    let mut file = create_new(&beside)?;
    let written = file
        .write_all(bytes)
        .map_err(|e| DiskFault::of("write", &beside, &e))
        .and_then(|()| sync_data(&file, &beside))
        .and_then(|()| rename(&beside, path));
    if let Err(fault) = written {
        remove(&beside)?;
        return Err(fault);
    }
    path.parent().map_or(Ok(()), sync_dir)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a/b");
        create_dir(&folder).unwrap();
        let path = folder.join("x");
        for bytes in [&b"one"[..], b"second"] {
            write_new(&path, bytes).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), bytes);
        }
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&folder), 0o700);
        remove(&path).unwrap();
        remove(&path).unwrap();
    }

    #[test]
    fn only_a_write_may_find_the_disk_full() {
        let full = || io::Error::from_raw_os_error(28);
        let path = Path::new("x");
        assert!(matches!(
            DiskFault::of("write", path, &full()),
            DiskFault::Full { .. }
        ));
        assert!(matches!(
            DiskFault::flush(path, &full()),
            DiskFault::Broken { .. }
        ));
        let broken = io::Error::from_raw_os_error(5);
        assert!(matches!(
            DiskFault::of("write", path, &broken),
            DiskFault::Broken { .. }
        ));
    }
}
