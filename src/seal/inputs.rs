//! The files that an officer names, found in one fixed order and read as they stand: no link is followed, nothing but
//! regular files and folders is taken.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};

use crate::base::limits;
use crate::package::item_terms::ItemTermsFault;
use crate::package::path::{self, ItemPath, PathFault, PathSet};
use crate::seal::fault::SealError;

/// The inputs of a package before it is sealed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Survey {
    /// How many files.
    pub files: u64,
    /// How many bytes they have.
    pub bytes: u64,
}

/// Looks at the inputs as [`crate::seal::seal()`] will, without reading any: totals for a progress bar, and most
/// refusals early, that of an item or folder of this name which is not there among them.
pub fn survey<'a>(
    inputs: &[PathBuf],
    named: impl IntoIterator<Item = &'a ItemPath>,
) -> Result<Survey, SealError> {
    let mut survey = Survey::default();
    let mut missing: Vec<_> = named.into_iter().collect();
    walk(inputs, &mut |found| {
        missing.retain(|name| !found.path.is_within(name.as_str()));
        survey.files = survey.files.saturating_add(1);
        survey.bytes = survey.bytes.saturating_add(found.size());
        Ok(())
    })?;
    if let Some(name) = missing.first() {
        let fault = ItemTermsFault::NoSuchItem(name.to_string());
        return Err(SealError::ItemTerms(fault));
    }
    Ok(survey)
}

/// A regular file among the inputs, open.
pub(super) struct Found {
    /// Its path in the package.
    pub(super) path: ItemPath,
    /// The file, at its beginning.
    pub(super) file: File,
    /// Where it was found.
    pub(super) shown: PathBuf,
    stat: Stat,
}

impl Found {
    /// Its length in bytes when it was opened.
    pub(super) fn size(&self) -> u64 {
        u64::try_from(self.stat.st_size).unwrap_or(0)
    }

    /// Its modification time, in whole seconds since 1970.
    pub(super) const fn mtime(&self) -> i64 {
        self.stat.st_mtime
    }

    /// Whether it is as it was when it was opened: not written to, cut, replaced, renamed over, touched.
    pub(super) fn check_unchanged(&self) -> Result<(), SealError> {
        let now = rustix::fs::fstat(&self.file).map_err(|e| read_error(&self.shown, e))?;
        if traits(&now) == traits(&self.stat) && now.st_nlink > 0 {
            Ok(())
        } else {
            Err(self.changed())
        }
    }

    /// The fault that it did.
    pub(super) fn changed(&self) -> SealError {
        SealError::Changed {
            path: self.shown.clone(),
        }
    }
}

/// The signs that a file was not changed while it was read: device, inode, length, times of modification and of change.
fn traits(stat: &Stat) -> impl PartialEq {
    (
        (stat.st_dev, stat.st_ino, stat.st_size),
        (stat.st_mtime, stat.st_mtime_nsec),
        (stat.st_ctime, stat.st_ctime_nsec),
    )
}

fn read_error(shown: &Path, error: impl Into<std::io::Error>) -> SealError {
    SealError::Read {
        path: shown.to_owned(),
        source: error.into(),
    }
}

type Visit<'a> = &'a mut dyn FnMut(Found) -> Result<(), SealError>;

/// Visits every regular file: the inputs in the order given, folders in byte order of the names. Empty folders leave no
/// trace.
pub(super) fn walk(inputs: &[PathBuf], visit: Visit<'_>) -> Result<(), SealError> {
    if inputs.is_empty() {
        return Err(SealError::NoInput);
    }
    let mut tops = PathSet::new();
    let mut walk = Walk {
        paths: PathSet::new(),
        files: 0,
        visit,
    };
    for input in inputs {
        let (place, name) = top(input)?;
        let item = item_path(&name, &place)?;
        tops.insert(&item).map_err(|_| SealError::SameName {
            path: place.clone(),
        })?;
        walk.entry(CWD, place.as_os_str(), &place, &name)?;
    }
    if walk.files == 0 {
        Err(SealError::Empty)
    } else {
        Ok(())
    }
}

/// Where an input is, and the top part of its items' paths.
fn top(input: &Path) -> Result<(PathBuf, String), SealError> {
    // A trailing slash would follow a link.
    let mut place: PathBuf = input.components().collect();
    if place.file_name().is_none() {
        place = fs::canonicalize(input).map_err(|e| read_error(input, e))?;
    }
    let name = place.file_name().unwrap_or_default().to_str();
    let name = name.ok_or_else(|| SealError::NotUtf8 {
        path: place.clone(),
    })?;
    let name = path::normal(name);
    Ok((place, name))
}

fn item_path(text: &str, shown: &Path) -> Result<ItemPath, SealError> {
    ItemPath::parse(text).map_err(|fault| path_error(shown, fault))
}

fn path_error(shown: &Path, fault: PathFault) -> SealError {
    SealError::Path {
        path: shown.to_owned(),
        fault,
    }
}

struct Walk<'a> {
    paths: PathSet,
    files: usize,
    visit: Visit<'a>,
}

impl Walk<'_> {
    /// Visits `name` in `folder`; `item` is its path in the package.
    fn entry(
        &mut self,
        folder: BorrowedFd<'_>,
        name: &OsStr,
        shown: &Path,
        item: &str,
    ) -> Result<(), SealError> {
        let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| read_error(shown, e))?;
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                let file = open(folder, name, OFlags::NONBLOCK | OFlags::NOCTTY, shown)?;
                return self.file(file, shown, item);
            }
            FileType::Directory => {
                let below = open(folder, name, OFlags::DIRECTORY, shown)?;
                return self.folder(&below, shown, item);
            }
            FileType::Symlink => {
                return Err(SealError::Symlink {
                    path: shown.to_owned(),
                });
            }
            FileType::Fifo => "fifo",
            FileType::Socket => "socket",
            FileType::CharacterDevice => "character device",
            FileType::BlockDevice => "block device",
            FileType::Unknown => "file of unknown type",
        };
        Err(SealError::NotRegular {
            path: shown.to_owned(),
            kind,
        })
    }

    fn file(&mut self, file: OwnedFd, shown: &Path, item: &str) -> Result<(), SealError> {
        let stat = rustix::fs::fstat(&file).map_err(|e| read_error(shown, e))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(SealError::Changed {
                path: shown.to_owned(),
            });
        }
        let path = item_path(item, shown)?;
        self.paths
            .insert(&path)
            .map_err(|fault| path_error(shown, fault))?;
        self.files = self.files.saturating_add(1);
        if self.files > limits::ITEMS_MAX {
            return Err(SealError::TooLarge {
                what: "more than 1,000,000 files",
            });
        }
        (self.visit)(Found {
            path,
            file: file.into(),
            shown: shown.to_owned(),
            stat,
        })
    }

    fn folder(&mut self, folder: &OwnedFd, shown: &Path, item: &str) -> Result<(), SealError> {
        // Bounds the depth even where no file shows that the path has become too long.
        item_path(item, shown)?;
        for name in names(folder).map_err(|e| read_error(shown, e))? {
            let name = OsStr::from_bytes(&name);
            let shown = shown.join(name);
            let Some(text) = name.to_str() else {
                return Err(SealError::NotUtf8 { path: shown });
            };
            let item = format!("{item}/{}", path::normal(text));
            self.entry(folder.as_fd(), name, &shown, &item)?;
        }
        Ok(())
    }
}

fn open(
    folder: BorrowedFd<'_>,
    name: &OsStr,
    flags: OFlags,
    shown: &Path,
) -> Result<OwnedFd, SealError> {
    let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(folder, name, flags, Mode::empty()).map_err(|e| match e {
        rustix::io::Errno::LOOP => SealError::Symlink {
            path: shown.to_owned(),
        },
        other => read_error(shown, other),
    })
}

/// The names in a folder, in byte order.
fn names(folder: &OwnedFd) -> rustix::io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(folder)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}
