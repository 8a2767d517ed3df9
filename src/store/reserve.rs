//! Disk space that only the ledger gets: a file that holds it, given up when a commit finds the disk full.
//!
//! Offers leave `limits.reserve` free, but other programs fill disks too. What was promised must still be receipted,
//! and what is refused must be stated.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::base::limits;
use crate::store::durable;
use crate::store::durable::DiskFault;

const NAME: &str = "reserve";

/// The file, and whether it holds its space now.
pub(crate) struct Reserve {
    file: File,
    path: PathBuf,
    held: bool,
}

impl Reserve {
    /// Opens the file and sets its space aside. A disk without that much space has none to reserve.
    pub(crate) fn open(folder: &Path) -> Result<Self, DiskFault> {
        let path = folder.join(NAME);
        let file = durable::open_or_create(&path)?;
        let mut reserve = Self {
            file,
            path,
            held: false,
        };
        reserve.take();
        if !reserve.held {
            tracing::warn!(
                "no space to set {} bytes aside for the ledger; tried again later",
                limits::LEDGER_RESERVE_BYTES
            );
        }
        Ok(reserve)
    }

    fn take(&mut self) {
        let bytes = limits::LEDGER_RESERVE_BYTES;
        let taken =
            rustix::fs::fallocate(&self.file, rustix::fs::FallocateFlags::empty(), 0, bytes);
        match taken {
            Ok(()) => self.held = true,
            Err(e) => tracing::debug!("{}: {e}", self.path.display()),
        }
    }

    /// Does what needs a little space; on a full disk once more, with the space that was set aside.
    pub(crate) fn lend(
        &mut self,
        mut write: impl FnMut() -> Result<(), DiskFault>,
    ) -> Result<(), DiskFault> {
        match write() {
            Err(DiskFault::Full { .. }) if self.give()? => write(),
            done @ (Ok(()) | Err(DiskFault::Full { .. } | DiskFault::Broken { .. })) => done,
        }
    }

    /// Sets the space aside again, once there is a quarter more.
    pub(crate) fn retake(&mut self) {
        if self.held {
            return;
        }
        let free = rustix::fs::fstatvfs(&self.file)
            .map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        if free.is_ok_and(|free| free >= limits::LEDGER_RESERVE_BYTES / 4 * 5) {
            self.take();
        }
    }

    /// Gives the space to the ledger; `false` if that was done before.
    pub(crate) fn give(&mut self) -> Result<bool, DiskFault> {
        if !self.held {
            return Ok(false);
        }
        self.held = false;
        let shortened = self.file.set_len(0);
        shortened.map_err(|e| DiskFault::of("shorten", &self.path, &e))?;
        // Some file systems hand freed space out only once that is durable.
        durable::sync_data(&self.file, &self.path)?;
        tracing::warn!("the disk is full: the ledger uses its reserve; free space");
        Ok(true)
    }
}
