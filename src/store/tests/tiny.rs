//! A small file system, for what happens on a full one.

use super::*;

/// A small file system of its own.
pub(in crate::store) struct Tiny(tempfile::TempDir);

impl Tiny {
    /// Says so and gives none where nobody may mount one.
    pub(in crate::store) fn mount(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(dir.path())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(dir));
        }
        // Past the harness, which shows nothing of a test that passes; tests/run counts these lines.
        let said =
            std::io::stderr().write_all(b"skipped: only root can mount a small file system\n");
        said.unwrap();
        None
    }

    pub(in crate::store) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// Leaves no byte free where this folder is, but those of a file `filler`.
pub(in crate::store) fn fill(folder: &Path) {
    let filler = folder.join("filler");
    for piece in [1 << 16, 1] {
        let mut file = durable::open_or_create(&filler).unwrap();
        file.seek(std::io::SeekFrom::End(0)).unwrap();
        while file.write(&vec![7; piece]).is_ok_and(|count| count > 0) {}
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        let unmounted = std::process::Command::new("umount")
            .arg("--lazy")
            .arg(self.path())
            .status();
        assert!(unmounted.unwrap().success());
    }
}
