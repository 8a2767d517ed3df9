//! Files that a command is given to read.

use std::fs;
use std::io::Read;
use std::path::Path;

use crate::cli::failure::Failure;

/// A file of at most so many bytes.
pub(crate) fn read_limited(path: &Path, bytes_max: usize) -> Result<Vec<u8>, Failure> {
    let file = fs::File::open(path).map_err(|e| unreadable(path, &e))?;
    let mut bytes = Vec::new();
    file.take(bytes_max as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| unreadable(path, &e))?;
    if bytes.len() > bytes_max {
        let text = format!("{} is longer than {bytes_max} bytes", path.display());
        return Err(Failure::usage("file-too-long", text));
    }
    Ok(bytes)
}

pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(
        "file-unreadable",
        format!("{} cannot be read: {error}", path.display()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_a_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.card");
        fs::write(&path, [b'a'; 11]).unwrap();
        assert_eq!(read_limited(&path, 11).unwrap().len(), 11);
        assert_eq!(read_limited(&path, 10).unwrap_err().error, "file-too-long");
        let absent = read_limited(&dir.path().join("none"), 10).unwrap_err();
        assert_eq!((absent.code, absent.error.as_str()), (2, "file-unreadable"));
    }
}
