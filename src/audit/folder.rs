//! Reading a bundle: plain files in known folders, within limits, no link followed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::io::Read;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};

use crate::base::{len_u64, limits};

/// The files of a bundle: path within it, content.
pub type Files = BTreeMap<String, Vec<u8>>;

/// The folders that a bundle has.
const FOLDERS: &[&str] = &["keys", "log", "receipts", "signatures", "texts"];

/// Why a folder is no bundle, or cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FolderFault {
    /// The disk or the rights.
    #[error("{} cannot be read: {cause}", path.display())]
    Unreadable {
        /// Which file or folder.
        path: PathBuf,
        /// The error of the system.
        cause: io::Error,
    },
    /// Something that no bundle holds: a link, a device, an unknown folder, a name that is not plain.
    #[error("{0}: {1}")]
    Foreign(String, &'static str),
    /// More, or longer files than a bundle may have.
    #[error("{0}: {1}")]
    TooMuch(String, &'static str),
}

/// The progress of reading a folder.
struct Reading {
    root: PathBuf,
    files: Files,
    bytes: u64,
}

/// Reads all files below this folder.
pub fn read(root: &Path) -> Result<Files, FolderFault> {
    let mut reading = Reading {
        root: root.to_owned(),
        files: Files::new(),
        bytes: 0,
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(root, flags, Mode::empty())
        .map_err(|e| reading.unreadable("", e.into()))?;
    reading.folder(&File::from(folder), "")?;
    Ok(reading.files)
}

impl Reading {
    fn unreadable(&self, path: &str, cause: io::Error) -> FolderFault {
        let path = self.root.join(path);
        FolderFault::Unreadable { path, cause }
    }

    fn folder(&mut self, folder: &File, within: &str) -> Result<(), FolderFault> {
        let listed =
            rustix::fs::Dir::read_from(folder).map_err(|e| self.unreadable(within, e.into()))?;
        for entry in listed {
            let entry = entry.map_err(|e| self.unreadable(within, e.into()))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name == "." || name == ".." {
                continue;
            }
            let path = if within.is_empty() {
                name.clone()
            } else {
                format!("{within}/{name}")
            };
            if !is_plain(&name) {
                return Err(FolderFault::Foreign(
                    path,
                    "a name that no file of a bundle has",
                ));
            }
            self.entry(folder, &name, path, within)?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        folder: &File,
        name: &str,
        path: String,
        within: &str,
    ) -> Result<(), FolderFault> {
        let about = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| self.unreadable(&path, e.into()))?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match FileType::from_raw_mode(about.st_mode) {
            FileType::Directory if within.is_empty() && FOLDERS.contains(&name) => {
                let inner =
                    rustix::fs::openat(folder, name, flags | OFlags::DIRECTORY, Mode::empty())
                        .map_err(|e| self.unreadable(&path, e.into()))?;
                let before = self.files.len();
                self.folder(&File::from(inner), &path)?;
                if self.files.len() == before {
                    return Err(FolderFault::Foreign(path, "an empty folder"));
                }
                Ok(())
            }
            FileType::Directory => Err(FolderFault::Foreign(path, "a folder that no bundle has")),
            FileType::RegularFile => {
                let file = rustix::fs::openat(folder, name, flags, Mode::empty())
                    .map_err(|e| self.unreadable(&path, e.into()))?;
                self.file(File::from(file), path)
            }
            FileType::Symlink => Err(FolderFault::Foreign(path, "a symbolic link")),
            FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => Err(FolderFault::Foreign(path, "not a plain file")),
        }
    }

    fn file(&mut self, file: File, path: String) -> Result<(), FolderFault> {
        if self.files.len() >= limits::BUNDLE_FILES_MAX {
            return Err(FolderFault::TooMuch(
                path,
                "more files than a bundle may have",
            ));
        }
        if !file.metadata().is_ok_and(|about| about.is_file()) {
            return Err(FolderFault::Foreign(path, "not a plain file"));
        }
        let room = limits::BUNDLE_BYTES_MAX.saturating_sub(self.bytes);
        let most = limits::BUNDLE_FILE_BYTES_MAX.min(room);
        let mut content = Vec::new();
        let read = file.take(most.saturating_add(1)).read_to_end(&mut content);
        read.map_err(|e| self.unreadable(&path, e))?;
        let length = len_u64(content.len());
        if length > most {
            return Err(FolderFault::TooMuch(
                path,
                "longer than a file of a bundle may be",
            ));
        }
        self.bytes = self.bytes.saturating_add(length);
        self.files.insert(path, content);
        Ok(())
    }
}

fn is_plain(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    name.len() <= 255 && name.bytes().all(plain)
}

/// Reads one file of at most so many bytes, without following a link.
pub fn read_file(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a plain file"));
    }
    let mut content = Vec::new();
    file.take(most.saturating_add(1))
        .read_to_end(&mut content)?;
    if len_u64(content.len()) > most {
        return Err(io::Error::other(format!("it is longer than {most} bytes")));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_files_in_known_folders_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        std::fs::create_dir(root.join("keys")).unwrap();
        std::fs::write(root.join("keys/a.pem"), b"x").unwrap();
        std::fs::write(root.join("VERIFY.txt"), b"y").unwrap();
        let files = read(root).unwrap();
        let names: Vec<_> = files.keys().map(String::as_str).collect();
        assert_eq!(names, ["VERIFY.txt", "keys/a.pem"]);
        let foreign = |root: &Path| match read(root) {
            Err(FolderFault::Foreign(path, _)) => path,
            other => panic!("{other:?}"),
        };
        std::os::unix::fs::symlink("VERIFY.txt", root.join("link")).unwrap();
        assert_eq!(foreign(root), "link");
        std::fs::remove_file(root.join("link")).unwrap();
        std::fs::create_dir(root.join("more")).unwrap();
        assert_eq!(foreign(root), "more");
        std::fs::remove_dir(root.join("more")).unwrap();
        std::fs::create_dir(root.join("keys/log")).unwrap();
        assert_eq!(foreign(root), "keys/log");
        std::fs::remove_dir(root.join("keys/log")).unwrap();
        std::fs::write(root.join("a b"), b"").unwrap();
        assert_eq!(foreign(root), "a b");
        std::fs::remove_file(root.join("a b")).unwrap();
        let long = File::create(root.join("long")).unwrap();
        long.set_len(limits::BUNDLE_FILE_BYTES_MAX + 1).unwrap();
        assert!(matches!(read(root), Err(FolderFault::TooMuch(..))));
        assert!(matches!(
            read(&root.join("none")),
            Err(FolderFault::Unreadable { .. })
        ));
        assert!(read_file(&root.join("VERIFY.txt"), 0).is_err());
        assert_eq!(read_file(&root.join("VERIFY.txt"), 1).unwrap(), b"y");
    }
}
