//! A new folder that is filled beside its name and gets it when it is whole. Nothing is ever written outside of it:
//! every name is opened beneath it without following links (`openat2`, `RESOLVE_BENEATH`, `RESOLVE_NO_SYMLINKS`).

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{
    AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, RenameFlags, ResolveFlags, Timespec,
    Timestamps,
};
use rustix::io::Errno;

use crate::base::Digest;
use crate::package::bag::Measure;
use crate::package::manifest::Item;
use crate::seal::fault::UnpackError;

const FOLDER: OFlags = OFlags::DIRECTORY
    .union(OFlags::RDONLY)
    .union(OFlags::CLOEXEC);

/// The file that marks the folder under way as one of an opening: locked by the process that fills it, it names the
/// package.
const MARK: &str = ".rogatory-opening";
/// The longest mark that is read.
const MARK_BYTES_MAX: u64 = 256;

/// The folder under way: `NAME.partial`, which gets its name when it is whole. Before that it is removed when this is
/// dropped, unless it is to be kept for another attempt. What an attempt that was killed has left is known by its mark;
/// a folder without one is never touched.
#[derive(Debug)]
pub struct Target {
    out: PathBuf,
    name: OsString,
    partial: OsString,
    parent: OwnedFd,
    root: OwnedFd,
    /// Locked as long as it is open.
    mark: File,
    /// The folder of the last file.
    last: Option<(String, OwnedFd)>,
    /// Files that are there already and as they should be, with their digests.
    whole: BTreeMap<String, Digest>,
    is_left_over: bool,
    is_kept: bool,
    is_finished: bool,
}

impl Target {
    /// Makes `OUT.partial`, or takes over what an attempt that was killed has left there.
    ///
    /// # Errors
    /// `out` exists, something else is in the way, or the folder cannot be written.
    pub fn create(out: &Path) -> Result<Self, UnpackError> {
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
        let parent = rustix::fs::open(above, FOLDER, Mode::empty()).map_err(failed)?;
        if exists(&parent, name).map_err(failed)? {
            return Err(UnpackError::Exists(out.to_owned()));
        }
        // A folder without anything in it is nobody's loss.
        rustix::fs::unlinkat(&parent, &partial, AtFlags::REMOVEDIR).ok();
        let path = above.join(&partial);
        let is_left_over = match rustix::fs::mkdirat(&parent, &partial, Mode::RWXU) {
            Ok(()) => false,
            Err(Errno::EXIST) => true,
            Err(other) => return Err(failed(other)),
        };
        let foreign = |_| UnpackError::PartialExists(path.clone());
        let root = beneath(&parent, &partial, FOLDER);
        let root = if is_left_over {
            root.map_err(foreign)?
        } else {
            root.map_err(failed)?
        };
        let open = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mark = if is_left_over {
            let mark = beneath(&root, MARK, open | OFlags::NONBLOCK).map_err(foreign)?;
            if !is_private(&root, FileType::Directory).map_err(failed)?
                || !is_private(&mark, FileType::RegularFile).map_err(failed)?
            {
                return Err(UnpackError::PartialExists(path));
            }
            mark
        } else {
            let made = beneath(&root, MARK, open | OFlags::CREATE | OFlags::EXCL);
            made.map_err(failed)?
        };
        match rustix::fs::flock(&mark, FlockOperation::NonBlockingLockExclusive) {
            // Whoever had it may have finished or removed it a moment ago.
            Ok(()) if is_still(&parent, &partial, &root, &mark).map_err(failed)? => {}
            Ok(()) | Err(Errno::WOULDBLOCK) => return Err(UnpackError::PartialBusy(path)),
            Err(other) => return Err(failed(other)),
        }
        Ok(Self {
            name: name.to_owned(),
            partial,
            parent,
            root,
            mark: mark.into(),
            last: None,
            whole: BTreeMap::new(),
            is_left_over,
            is_kept: false,
            is_finished: false,
            out: out.to_owned(),
        })
    }

    /// Keeps what is whole for another attempt, should this one end early.
    pub const fn keep(&mut self) {
        self.is_kept = true;
    }

    /// Bytes that can be written where it lies.
    pub fn room(&self) -> Option<u64> {
        let about = rustix::fs::fstatvfs(&self.parent).ok()?;
        Some(about.f_bavail.saturating_mul(about.f_frsize))
    }

    /// Says for what it is. Whether an earlier attempt for the same has left something of use in it; anything else
    /// goes.
    pub fn claim(&mut self, what: &str) -> Result<bool, UnpackError> {
        self.claimed(what)
            .map_err(|e| write_error(&self.out.display().to_string(), e))
    }

    fn claimed(&mut self, what: &str) -> io::Result<bool> {
        let mut before = String::new();
        let read = (&self.mark)
            .take(MARK_BYTES_MAX)
            .read_to_string(&mut before);
        let is_same = self.is_kept && self.is_left_over && read.is_ok() && before == what;
        if self.is_left_over && !is_same {
            self.clear(&mut |_, _| Ok(false))?;
        }
        self.mark.set_len(0)?;
        self.mark.write_all_at(what.as_bytes(), 0)?;
        Ok(is_same)
    }

    /// Removes every file but those that `stays` says are whole.
    fn clear(&mut self, stays: &mut dyn FnMut(&str, File) -> io::Result<bool>) -> io::Result<()> {
        let root = rustix::io::dup(&self.root)?;
        clear(&root, "", stays)
    }

    /// Finds which of these items an earlier attempt has left whole, and removes everything else.
    pub(super) fn check_left_over<'i>(
        &mut self,
        wanted: impl Iterator<Item = (String, &'i Item)>,
    ) -> Result<(), UnpackError> {
        let wanted: BTreeMap<String, &Item> = wanted.collect();
        let mut whole = BTreeMap::new();
        let mut check = |path: &str, mut file: File| {
            let Some(item) = wanted.get(path) else {
                return Ok(false);
            };
            if file.metadata()?.len() != item.size {
                return Ok(false);
            }
            let mut measure = Measure::default();
            io::copy(&mut file, &mut measure)?;
            let is_whole = measure.digest() == item.sha256;
            if is_whole {
                whole.insert(path.to_owned(), item.sha256);
            }
            Ok(is_whole)
        };
        let cleared = self.clear(&mut check);
        cleared.map_err(|e| write_error(&self.out.display().to_string(), e))?;
        self.whole = whole;
        Ok(())
    }

    /// The digest of the file at this path, if it is there and whole; asked once.
    pub(super) fn take_whole(&mut self, path: &str) -> Option<Digest> {
        self.whole.remove(path)
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
        let mut inner: Option<OwnedFd> = None;
        for part in path.split('/') {
            let above = inner.as_ref().unwrap_or(&self.root);
            let next = match beneath(above, part, FOLDER) {
                Err(Errno::NOENT) => {
                    rustix::fs::mkdirat(above, part, Mode::RWXU)?;
                    beneath(above, part, FOLDER)?
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
        self.is_finished = true;
        // Only now: a folder of an opening has its mark until it is whole.
        let unmarked = rustix::fs::unlinkat(&self.root, MARK, AtFlags::empty());
        unmarked.map_err(|e| write_error(&shown, e.into()))?;
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

impl Drop for Target {
    fn drop(&mut self) {
        if !self.is_finished && !self.is_kept {
            // What cannot be removed keeps its mark, if only that can: the next attempt removes it.
            drop(self.clear(&mut |_, _| Ok(false)));
            fs::remove_dir_all(self.out.with_file_name(&self.partial)).ok();
        }
    }
}

/// Whether this name still is that of the open folder, and its mark is in it.
fn is_still(
    parent: &OwnedFd,
    name: &OsStr,
    root: &OwnedFd,
    mark: &OwnedFd,
) -> rustix::io::Result<bool> {
    let open = rustix::fs::fstat(root)?;
    let is_marked = rustix::fs::fstat(mark)?.st_nlink > 0;
    match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(named) => Ok(is_marked && (named.st_dev, named.st_ino) == (open.st_dev, open.st_ino)),
        Err(Errno::NOENT) => Ok(false),
        Err(other) => Err(other),
    }
}

/// Whether it is of this kind, and nobody else can have made it or can change it.
fn is_private(file: &OwnedFd, kind: FileType) -> rustix::io::Result<bool> {
    let stat = rustix::fs::fstat(file)?;
    let is_own = stat.st_uid == rustix::process::geteuid().as_raw();
    let is_closed = !Mode::from_raw_mode(stat.st_mode).intersects(Mode::RWXG | Mode::RWXO);
    let is_kind = FileType::from_raw_mode(stat.st_mode) == kind;
    let has_one_name = kind == FileType::Directory || stat.st_nlink == 1;
    Ok(is_own && is_closed && is_kind && has_one_name)
}

/// Removes beneath a folder every file but its mark and those that stay, and every folder that is empty then.
fn clear(
    folder: &OwnedFd,
    above: &str,
    stays: &mut dyn FnMut(&str, File) -> io::Result<bool>,
) -> io::Result<()> {
    let entries = Dir::read_from(folder)?;
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_bytes().to_vec()));
    // Read first: a folder that is left open for each level would be many.
    for name in names.collect::<Result<Vec<_>, _>>()? {
        let is_mark = above.is_empty() && name == MARK.as_bytes();
        if is_mark || name == b"." || name == b".." {
            continue;
        }
        let name = OsStr::from_bytes(&name);
        if let Ok(inner) = beneath(folder, name, FOLDER) {
            let path = name.to_str().map(|name| format!("{above}{name}/"));
            clear(&inner, path.as_deref().unwrap_or("?/"), stays)?;
            // It stays where something in it does.
            match rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOTEMPTY | Errno::EXIST) => continue,
                Err(other) => return Err(other.into()),
            }
        }
        let file = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let path = name.to_str().map(|name| format!("{above}{name}"));
        let stays = match (path, beneath(folder, name, file)) {
            (Some(path), Ok(file)) => stays(&path, file.into())?,
            (_, _) => false,
        };
        if !stays {
            rustix::fs::unlinkat(folder, name, AtFlags::empty())?;
        }
    }
    Ok(())
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
