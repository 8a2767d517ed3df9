//! New folders and files: whole under their name, or not there.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with, syncfs};

use crate::api::types::BundleFile;
use crate::cli::failure::Failure;
use crate::seal::UnpackError;

/// Refuses a target that is there, before any work is done for it.
pub(crate) fn must_not_exist(target: &Path) -> Result<(), Failure> {
    match target.symlink_metadata() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(unwritable(target, &e)),
        Ok(_) => Err(exists(target)),
    }
}

fn exists(target: &Path) -> Failure {
    Failure::usage(
        "target-exists",
        format!("{} exists already and is not overwritten", target.display()),
    )
    .next("name another one, or move it away")
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    let text = format!("{} cannot be written: {error}", path.display());
    let kind = error.kind();
    if kind == io::ErrorKind::AlreadyExists {
        exists(path)
    } else if kind == io::ErrorKind::NotFound {
        Failure::usage("no-such-folder", text)
    } else if kind == io::ErrorKind::StorageFull {
        let full = UnpackError::NoSpace {
            path: path.display().to_string(),
        };
        Failure::storage("disk-full", full.to_string())
    } else {
        Failure::failed("unwritable", text)
    }
}

/// `NAME.partial` beside the target.
pub(crate) fn partial(target: &Path) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    target.with_file_name(name)
}

/// Makes a folder with these files, private to the user; their paths.
pub(crate) fn write_new(
    target: &Path,
    files: impl Iterator<Item = Result<BundleFile, Failure>>,
) -> Result<Vec<String>, Failure> {
    let partial = partial(target);
    private_folder(&partial).map_err(|e| unwritable(&partial, &e))?;
    let written = fill(target, &partial, files).and_then(|paths| {
        let named = rename_new(&partial, target);
        named.map(|()| paths).map_err(|e| unwritable(target, &e))
    });
    if written.is_err() {
        // What is left is only a leftover; the first fault counts.
        drop(fs::remove_dir_all(&partial));
    }
    written
}

fn fill(
    target: &Path,
    folder: &Path,
    files: impl Iterator<Item = Result<BundleFile, Failure>>,
) -> Result<Vec<String>, Failure> {
    let unwritable = |e: io::Error| unwritable(target, &e);
    let mut paths = Vec::new();
    for file in files {
        let file = file?;
        check_path(&file.path)?;
        write_one(folder, &file).map_err(unwritable)?;
        paths.push(file.path);
    }
    // There may be thousands of them: they are flushed together.
    let folder = File::open(folder).map_err(unwritable)?;
    syncfs(folder).map_err(|e| unwritable(e.into()))?;
    Ok(paths)
}

fn write_one(folder: &Path, file: &BundleFile) -> io::Result<()> {
    let path = folder.join(&file.path);
    if let Some(parent) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)?;
    }
    new_file(&path)?.write_all(&file.content)
}

fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// A new file that only its owner reads and writes.
pub(crate) fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Gives a finished file or folder its name, unless something has it already.
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?;
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

/// A new file that is written by `write`, synced, and only then has its name.
pub(crate) fn write_file_new<T>(
    target: &Path,
    write: impl FnOnce(&mut File) -> Result<T, Failure>,
) -> Result<T, Failure> {
    must_not_exist(target)?;
    let partial = partial(target);
    let mut file = new_file(&partial).map_err(|e| unwritable(&partial, &e))?;
    let done = write(&mut file).and_then(|done| {
        let named = file.sync_all().and_then(|()| rename_new(&partial, target));
        named.map_err(|e| unwritable(target, &e)).map(|()| done)
    });
    if done.is_err() {
        drop(fs::remove_file(&partial));
    }
    done
}

/// Refuses to begin what the file system of this file has no room for.
pub(crate) fn must_have_room(target: &Path, file: &File, bytes: u64) -> Result<(), Failure> {
    let room = rustix::fs::fstatvfs(file).ok();
    let room = room.map(|it| it.f_bavail.saturating_mul(it.f_frsize));
    if room.is_none_or(|room| room >= bytes) {
        return Ok(());
    }
    Err(unwritable(target, &io::ErrorKind::StorageFull.into()))
}

/// A failure to write into a file that was made here.
pub(crate) fn write_failure(path: &Path, error: &io::Error) -> Failure {
    unwritable(path, error)
}

/// Paths of plain letters beneath the folder, nothing else.
fn check_path(path: &str) -> Result<(), Failure> {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    if path.split('/').all(part) {
        return Ok(());
    }
    Err(Failure::verification(
        "bad-path",
        format!("the export names a file {path:?}, which is no plain path"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "as the files of an export come")]
    fn file(path: &str) -> Result<BundleFile, Failure> {
        Ok(BundleFile {
            path: path.to_owned(),
            content: path.as_bytes().to_vec(),
        })
    }

    #[test]
    fn a_folder_is_whole_or_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("bundle");
        for bad in [
            "../x",
            "/etc/x",
            "a//b",
            "",
            ".",
            "a/..",
            ".hidden",
            "a\u{202e}b",
        ] {
            let failure = write_new(&out, [file("good"), file(bad)].into_iter()).unwrap_err();
            assert_eq!(failure.code, 7, "{bad}");
        }
        let failure = write_new(&out, [file("a"), file("a")].into_iter()).unwrap_err();
        assert_eq!(failure.error, "target-exists");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let broken = Err(Failure::failed("torn", "torn"));
        let failure = write_new(&out, [file("a"), broken].into_iter()).unwrap_err();
        assert_eq!(failure.error, "torn");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let files = [file("VERIFY.txt"), file("keys/de.pem")];
        let paths = write_new(&out, files.into_iter()).unwrap();
        assert_eq!(paths, ["VERIFY.txt", "keys/de.pem"]);
        assert_eq!(fs::read(out.join("keys/de.pem")).unwrap(), b"keys/de.pem");
        assert_eq!(
            write_new(&out, [file("x")].into_iter()).unwrap_err().code,
            2
        );
        assert_eq!(must_not_exist(&out).unwrap_err().error, "target-exists");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_is_whole_or_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("x.age");
        let broken = write_file_new(&target, |_| Err::<(), _>(Failure::failed("torn", "torn")));
        assert_eq!(broken.unwrap_err().error, "torn");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        write_file_new(&target, |file| {
            file.write_all(b"x").map_err(|e| write_failure(&target, &e))
        })
        .unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"x");
        assert_eq!(
            write_file_new(&target, |_| Ok(())).unwrap_err().error,
            "target-exists"
        );
    }
}
