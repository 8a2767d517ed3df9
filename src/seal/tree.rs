//! A new folder that is filled beside its name and gets it when it is whole. Nothing is ever written outside of it: every name is
//! opened beneath it without following links (`openat2`, `RESOLVE_BENEATH`, `RESOLVE_NO_SYMLINKS`).

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, ResolveFlags, Timespec, Timestamps};
use rustix::io::Errno;

use crate::seal::fault::UnpackError;

/// The folder under way: `NAME.partial`, removed when this is dropped before [`Tree::finish`].
pub(super) struct Tree {
    out: PathBuf,
    name: OsString,
    partial: OsString,
    parent: OwnedFd,
    root: OwnedFd,
    /// The folder of the last file.
    last: Option<(String, OwnedFd)>,
    finished: bool,
}

impl Tree {
    /// Makes `OUT.partial`; refuses if it or `out` exists.
    pub(super) fn create(out: &Path) -> Result<Self, UnpackError> {
        let name = out
            .file_name()
            .ok_or_else(|| UnpackError::Out(out.to_owned()))?;
        let mut partial = name.to_owned();
        partial.push(".partial");
        let above = match out.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            Some(_) | None => Path::new("."),
        };
        let failed = |e: Errno| write_error(&out.display().to_string(), e.into());
        let folder = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let parent = rustix::fs::open(above, folder, Mode::empty()).map_err(failed)?;
        if exists(&parent, name).map_err(failed)? {
            return Err(UnpackError::Exists(out.to_owned()));
        }
        rustix::fs::mkdirat(&parent, &partial, Mode::RWXU).map_err(|e| match e {
            Errno::EXIST => UnpackError::PartialExists(above.join(&partial)),
            other => failed(other),
        })?;
        let root = beneath(&parent, &partial, folder).map_err(failed)?;
        Ok(Self {
            name: name.to_owned(),
            partial,
            parent,
            root,
            last: None,
            finished: false,
            out: out.to_owned(),
        })
    }

    /// A new file at this path, with the folders above it. The path was checked: relative, no `.` or `..`.
    pub(super) fn file(&mut self, path: &str) -> Result<File, UnpackError> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let folder = self
            .folder(folder)
            .map_err(|e| write_error(path, e.into()))?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = beneath(folder, name, flags).map_err(|e| write_error(path, e.into()))?;
        Ok(file.into())
    }

    fn folder(&mut self, path: &str) -> rustix::io::Result<&OwnedFd> {
        if path.is_empty() {
            return Ok(&self.root);
        }
        let last = match self.last.take() {
            Some((known, folder)) if known == path => folder,
            Some(_) | None => self.walk(path)?,
        };
        Ok(&self.last.insert((path.to_owned(), last)).1)
    }

    fn walk(&self, path: &str) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let mut inner: Option<OwnedFd> = None;
        for part in path.split('/') {
            let above = inner.as_ref().unwrap_or(&self.root);
            let next = match beneath(above, part, flags) {
                Err(Errno::NOENT) => {
                    rustix::fs::mkdirat(above, part, Mode::RWXU)?;
                    beneath(above, part, flags)?
                }
                other => other?,
            };
            inner = Some(next);
        }
        inner.ok_or(Errno::INVAL)
    }

    /// Makes everything durable and gives the folder its name.
    pub(super) fn finish(mut self) -> Result<(), UnpackError> {
        let shown = self.out.display().to_string();
        self.publish().map_err(|e| match e {
            Errno::EXIST | Errno::NOTEMPTY => UnpackError::Exists(self.out.clone()),
            other => write_error(&shown, other.into()),
        })?;
        self.finished = true;
        rustix::fs::fsync(&self.parent).map_err(|e| write_error(&shown, e.into()))
    }

    fn publish(&self) -> rustix::io::Result<()> {
        rustix::fs::syncfs(&self.root)?;
        let (parent, partial, name) = (&self.parent, &self.partial, &self.name);
        match rustix::fs::renameat_with(parent, partial, parent, name, RenameFlags::NOREPLACE) {
            // Some network file systems cannot promise it.
            Err(Errno::INVAL | Errno::NOSYS) if !exists(parent, name)? => {
                rustix::fs::renameat(parent, partial, parent, name)
            }
            other => other,
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if !self.finished {
            // What cannot be removed is refused by name at the next attempt.
            fs::remove_dir_all(self.out.with_file_name(&self.partial)).ok();
        }
    }
}

fn exists(folder: &OwnedFd, name: &OsStr) -> rustix::io::Result<bool> {
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(other) => Err(other),
    }
}

fn beneath(
    folder: &OwnedFd,
    name: impl AsRef<OsStr>,
    flags: OFlags,
) -> rustix::io::Result<OwnedFd> {
    let mode = if flags.contains(OFlags::CREATE) {
        Mode::RUSR | Mode::WUSR
    } else {
        Mode::empty()
    };
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(folder, name.as_ref(), flags, mode, within)
}

/// Gives a written file the modification time of the item, in whole seconds since 1970.
pub(super) fn set_mtime(file: &File, seconds: u64) -> io::Result<()> {
    let time = Timespec {
        tv_sec: i64::try_from(seconds).unwrap_or(0),
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    Ok(rustix::fs::futimens(file, &times)?)
}

/// A failure to write, full file systems told apart.
pub(super) fn write_error(path: &str, source: io::Error) -> UnpackError {
    let path = path.to_owned();
    let full = matches!(
        source.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    );
    if full {
        UnpackError::NoSpace { path }
    } else {
        UnpackError::Write { path, source }
    }
}
