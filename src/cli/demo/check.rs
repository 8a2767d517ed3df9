//! Comparisons that do not rely on what is compared: digests of files, and openssl on receipts.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::base::{Digest, Hasher};
use crate::cli::demo::stage::Stage;
use crate::cli::failure::Failure;

/// The files that were compared.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Compared {
    pub(super) files: u64,
    pub(super) bytes: u64,
}

/// Compares every file under the inputs with the one that came out of the package, in both directions.
pub(super) fn same_files(inputs: &[PathBuf], opened: &Path) -> Result<Compared, Failure> {
    let mut compared = Compared::default();
    for input in inputs {
        let name = input.file_name().unwrap_or_default();
        same(input, &opened.join(name), &mut compared)?;
    }
    let extra = files_in(opened)?;
    if extra == compared.files {
        Ok(compared)
    } else {
        Err(differs(
            opened,
            &format!("{extra} files came out of {} that went in", compared.files),
        ))
    }
}

fn same(input: &Path, opened: &Path, compared: &mut Compared) -> Result<(), Failure> {
    if input.is_dir() {
        for entry in fs::read_dir(input).map_err(|e| differs(input, &e.to_string()))? {
            let entry = entry.map_err(|e| differs(input, &e.to_string()))?;
            same(&entry.path(), &opened.join(entry.file_name()), compared)?;
        }
        return Ok(());
    }
    let (sent, bytes) = digest(input)?;
    let (came, _) = digest(opened)?;
    if sent != came {
        return Err(differs(opened, "it is not what was sent"));
    }
    compared.files += 1;
    compared.bytes += bytes;
    Ok(())
}

fn digest(path: &Path) -> Result<(Digest, u64), Failure> {
    let mut hasher = Hasher::new();
    let read = File::open(path).and_then(|mut file| io::copy(&mut file, &mut hasher));
    let bytes = read.map_err(|e| differs(path, &e.to_string()))?;
    Ok((hasher.finish(), bytes))
}

fn files_in(folder: &Path) -> Result<u64, Failure> {
    let mut files = 0;
    for entry in fs::read_dir(folder).map_err(|e| differs(folder, &e.to_string()))? {
        let path = entry.map_err(|e| differs(folder, &e.to_string()))?.path();
        files += if path.is_dir() { files_in(&path)? } else { 1 };
    }
    Ok(files)
}

fn differs(path: &Path, why: &str) -> Failure {
    Failure::verification("content-differs", format!("{}: {why}", path.display()))
}

/// Runs every command of `VERIFY.txt` in its folder, as it stands there; gives the number of signatures that openssl
/// found good.
pub(super) fn follow_instructions(stage: &Stage, bundle: &Path) -> Result<u64, Failure> {
    let path = bundle.join("VERIFY.txt");
    let text = fs::read_to_string(&path).map_err(|e| differs(&path, &e.to_string()))?;
    let python = stage
        .output(Command::new("sh").args(["-c", "command -v python3"]))?
        .status
        .success();
    let mut good = 0;
    for command in commands(&text) {
        if command.starts_with("python3 ") && !python {
            continue;
        }
        let output = stage.output(Command::new("sh").args(["-c", command]).current_dir(bundle))?;
        let said = String::from_utf8_lossy(&output.stdout);
        good += count(said.matches("Signature Verified Successfully"));
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let text = format!("{command}: {}: {}", output.status, said.trim_end());
            return Err(Failure::verification("not-verified", text));
        }
    }
    let signatures = fs::read_dir(bundle.join("signatures"));
    let signatures = count(signatures.map_err(|e| differs(bundle, &e.to_string()))?);
    if good == 0 || good != signatures {
        let text = format!(
            "by {}, {good} of {signatures} signatures are good",
            path.display()
        );
        return Err(Failure::verification("not-verified", text));
    }
    Ok(good)
}

fn count(all: impl Iterator) -> u64 {
    u64::try_from(all.count()).unwrap_or(u64::MAX)
}

/// The indented lines that begin with one of the programs.
fn commands(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter(|line| line.starts_with("  "))
        .map(str::trim)
        .filter(|line| {
            ["(set -e; ", "sha256sum ", "python3 "]
                .iter()
                .any(|program| line.starts_with(program))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_compared_in_both_directions() {
        let dir = tempfile::tempdir().unwrap();
        let (sent, opened) = (dir.path().join("dossier"), dir.path().join("data"));
        fs::create_dir_all(sent.join("sub")).unwrap();
        fs::create_dir_all(opened.join("dossier/sub")).unwrap();
        for folder in [&sent, &opened.join("dossier")] {
            fs::write(folder.join("a"), b"a").unwrap();
            fs::write(folder.join("sub/b"), b"bb").unwrap();
        }
        let inputs = [sent];
        assert_eq!(
            same_files(&inputs, &opened).unwrap(),
            Compared { files: 2, bytes: 3 }
        );
        fs::write(opened.join("extra"), b"x").unwrap();
        assert_eq!(same_files(&inputs, &opened).unwrap_err().code, 7);
        fs::remove_file(opened.join("extra")).unwrap();
        fs::write(opened.join("dossier/sub/b"), b"bc").unwrap();
        assert_eq!(same_files(&inputs, &opened).unwrap_err().code, 7);
        fs::remove_file(opened.join("dossier/sub/b")).unwrap();
        assert_eq!(same_files(&inputs, &opened).unwrap_err().code, 7);
    }

    #[test]
    fn commands_are_taken_as_they_stand() {
        let text = "Run these:\n\n   sha256sum -c manifest-sha256.txt\n\npython3 is a program\n   (set -e; openssl pkeyutl -verify)\n   rm -rf x\n";
        let found: Vec<_> = commands(text).collect();
        assert_eq!(
            found,
            [
                "sha256sum -c manifest-sha256.txt",
                "(set -e; openssl pkeyutl -verify)"
            ]
        );
    }
}
