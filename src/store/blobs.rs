//! Payloads as files: complete ones, those still arriving, those still being sealed.
//!
//! `blobs/<xid>` and `blobs/<xid>.list` (32 bytes for each segment's hash) are complete and flushed;
//! `incoming/` has the same names while segments are missing; `spool/` holds what has no xid yet.
//! Everything here blocks: call it from threads that may.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

use crate::base::{Digest, Hasher, Xid};
use crate::store::direct::LongFile;
use crate::store::durable;
use crate::store::durable::DiskFault;
use crate::store::incoming::IncomingPayload;
use crate::store::spool::Spool;

/// Bytes after which the kernel is asked to begin writing: the flush at the end then finds little left to do.
pub(crate) const WRITEBACK_BYTES: u64 = 8 << 20;

/// The folders of one authority's payloads. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Blobs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    reserve: u64,
    promised: AtomicU64,
    spooled: AtomicU64,
    broken: watch::Sender<Option<String>>,
}

/// Disk space set aside until dropped.
#[derive(Debug)]
pub struct Reservation {
    blobs: Blobs,
    bytes: u64,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.blobs
            .0
            .promised
            .fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

impl Blobs {
    /// Opens the folders below the state folder, makes them if they are missing, and removes what an earlier process
    /// was still sealing. `reserve` bytes of the disk are left for the ledger and for what was promised. The ledger of
    /// the same folder must be open: its lock keeps other processes away.
    pub fn open(folder: &Path, reserve: u64) -> Result<Self, DiskFault> {
        let blobs = Self(Arc::new(Inner {
            folder: folder.to_owned(),
            reserve,
            promised: AtomicU64::new(0),
            spooled: AtomicU64::new(0),
            broken: watch::Sender::new(None),
        }));
        for name in ["blobs", "incoming", "spool"] {
            durable::create_dir(&folder.join(name))?;
        }
        for path in entries(&folder.join("spool"))? {
            durable::remove(&path)?;
        }
        Ok(blobs)
    }

    /// Bytes that this user may still write to the disk, the reserve and what was promised included.
    pub fn free(&self) -> io::Result<u64> {
        let disk = rustix::fs::statvfs(&self.0.folder)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// Whether so many bytes fit beside the reserve and what was promised to others. A disk that cannot be asked has
    /// none.
    pub fn room_for(&self, bytes: u64) -> bool {
        let promised = self.0.promised.load(Ordering::Acquire);
        let wanted = bytes
            .saturating_add(promised)
            .saturating_add(self.0.reserve);
        self.free().is_ok_and(|free| free >= wanted)
    }

    /// Sets so many bytes aside, if there is room for them. To be held until [`Self::incoming`] has set them aside in
    /// the file system.
    pub fn promise(&self, bytes: u64) -> Option<Reservation> {
        let reservation = self.reserve(bytes);
        self.room_for(0).then_some(reservation)
    }

    /// Sets so many bytes aside, whether there is room or not.
    pub(crate) fn reserve(&self, bytes: u64) -> Reservation {
        self.0.promised.fetch_add(bytes, Ordering::AcqRel);
        let blobs = self.clone();
        Reservation { blobs, bytes }
    }

    /// A payload about to be written, whose length and exchange are not known yet.
    pub fn spool(&self) -> Spool {
        Spool::new(self.clone())
    }

    /// The payload of an exchange whose segments are arriving, new or as an earlier process left it. One at a time for
    /// each exchange, and only before it is consigned.
    pub fn incoming(&self, xid: &Xid, len: u64) -> Result<IncomingPayload, DiskFault> {
        IncomingPayload::open(self.clone(), xid, len)
    }

    /// A complete payload, for reading in long runs.
    pub fn long_payload(&self, xid: &Xid) -> io::Result<LongFile> {
        let path = self.path("blobs", xid, "");
        Ok(LongFile::new(File::open(&path)?, &path, false))
    }

    /// A complete payload, for reading.
    pub fn payload(&self, xid: &Xid) -> io::Result<File> {
        File::open(self.path("blobs", xid, ""))
    }

    /// The segment hashes of a complete payload, 32 bytes each, for reading.
    pub fn list(&self, xid: &Xid) -> io::Result<File> {
        File::open(self.path("blobs", xid, ".list"))
    }

    /// Gives the complete payload of one exchange, and its list, to another one as well, whatever their length: each
    /// goes when neither exchange has it any more.
    pub fn share(&self, from: &Xid, to: &Xid) -> Result<(), DiskFault> {
        for ending in [".list", ""] {
            // A disk that gives no second name has not failed.
            durable::link(
                &self.path("blobs", from, ending),
                &self.path("blobs", to, ending),
            )?;
        }
        self.flush_folder("blobs")
    }

    /// Removes all files of an exchange; none is no fault.
    pub fn remove(&self, xid: &Xid) -> Result<(), DiskFault> {
        for folder in ["blobs", "incoming"] {
            for ending in ["", ".list", ".list.part"] {
                durable::remove(&self.path(folder, xid, ending))?;
            }
        }
        Ok(())
    }

    /// Removes the files of exchanges that are not among the known ones, and says how many. To be called before
    /// anything is sent or received: a payload is there before its exchange is known.
    pub fn sweep<S: std::hash::BuildHasher>(
        &self,
        known: &HashSet<Xid, S>,
    ) -> Result<u64, DiskFault> {
        let mut removed = 0_u64;
        for folder in ["blobs", "incoming"] {
            for path in entries(&self.0.folder.join(folder))? {
                let name = path.file_name().and_then(|name| name.to_str());
                let xid = name
                    .and_then(|name| name.split('.').next())
                    .and_then(|stem| stem.parse().ok());
                if xid.is_some_and(|xid: Xid| !known.contains(&xid)) {
                    durable::remove(&path)?;
                    removed = removed.saturating_add(1);
                }
            }
        }
        Ok(removed)
    }

    /// `folder/<xid><ending>`.
    pub(crate) fn path(&self, folder: &str, xid: &Xid, ending: &str) -> PathBuf {
        self.0.folder.join(folder).join(format!("{xid}{ending}"))
    }

    /// A name in the spool that no other of this process has.
    pub(crate) fn spool_path(&self) -> PathBuf {
        let number = self.0.spooled.fetch_add(1, Ordering::AcqRel);
        self.0.folder.join("spool").join(number.to_string())
    }

    /// Fails for ever once a flush or a write has failed: what the kernel dropped then is in no later flush.
    pub(crate) fn check(&self) -> Result<(), DiskFault> {
        match self.0.broken.borrow().clone() {
            None => Ok(()),
            Some(cause) => Err(DiskFault::Broken {
                doing: "rely on",
                path: self.0.folder.clone(),
                cause,
            }),
        }
    }

    /// Resolves, with the reason, when the disk has failed and the process must end; never otherwise.
    pub async fn broken(&self) -> String {
        let mut broken = self.0.broken.subscribe();
        let why = broken.wait_for(Option::is_some).await;
        match why.ok().and_then(|why| why.clone()) {
            Some(why) => why,
            None => std::future::pending().await,
        }
    }

    /// Flushes a file's bytes.
    pub(crate) fn flush(&self, file: &File, path: &Path) -> Result<(), DiskFault> {
        self.check()?;
        self.noted(durable::sync_data(file, path))
    }

    /// Flushes the names in one of the folders.
    pub(crate) fn flush_folder(&self, folder: &str) -> Result<(), DiskFault> {
        self.check()?;
        self.noted(durable::sync_dir(&self.0.folder.join(folder)))
    }

    /// Passes on how a change of the disk went. If the disk failed, [`Self::broken`] says so to whoever ends the
    /// process, though the one who asked for the change may have gone.
    pub(crate) fn noted<T>(&self, changed: Result<T, DiskFault>) -> Result<T, DiskFault> {
        if let Err(fault @ DiskFault::Broken { .. }) = &changed {
            self.0.broken.send_if_modified(|broken| {
                let is_first = broken.is_none();
                broken.get_or_insert_with(|| fault.to_string());
                is_first
            });
        }
        changed
    }
}

/// Asks the kernel to begin writing these bytes now. Advice only: what counts is the flush.
///
/// `POSIX_FADV_DONTNEED` starts writing what is dirty and forgets what is clean; fresh bytes are dirty and stay cached.
pub(crate) fn begin_writeback(file: &File, first: u64, bytes: u64) {
    let advice = rustix::fs::Advice::DontNeed;
    if let Err(e) = rustix::fs::fadvise(file, first, NonZeroU64::new(bytes), advice) {
        tracing::debug!("early writeback: {e}");
    }
}

/// RFC 6962 leaf hash of a segment: SHA-256(0x00, segment).
pub(crate) fn segment_hasher() -> Hasher {
    let mut hasher = Hasher::new();
    hasher.update(&[0]);
    hasher
}

/// The hash of a whole segment.
pub(crate) fn segment_hash(segment: &[u8]) -> Digest {
    let mut hasher = segment_hasher();
    hasher.update(segment);
    hasher.finish()
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, DiskFault> {
    let fault = |e: io::Error| DiskFault::of("list", folder, &e);
    let listed = std::fs::read_dir(folder).map_err(fault)?;
    listed
        .map(|entry| entry.map(|entry| entry.path()).map_err(fault))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_counts_reserve_and_promises() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path(), 0).unwrap();
        let free = blobs.free().unwrap();
        assert!(blobs.room_for(free / 2));
        let promise = blobs.promise(free / 4 * 3).unwrap();
        assert!(!blobs.room_for(free / 2));
        assert!(blobs.promise(free / 2).is_none());
        drop(promise);
        assert!(blobs.room_for(free / 2), "a refused promise is not kept");
        let blobs = Blobs::open(dir.path(), free * 2).unwrap();
        assert!(!blobs.room_for(0));
    }

    #[tokio::test]
    async fn after_a_failed_flush_nothing_is_flushed_and_the_process_must_end() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path(), 0).unwrap();
        let path = dir.path().join("sound");
        let sound = durable::create_new(&path).unwrap();
        blobs.flush(&sound, &path).unwrap();
        // A device that cannot be flushed.
        let null = File::open("/dev/null").unwrap();
        let elsewhere = blobs.clone();
        let ended = tokio::spawn(async move { elsewhere.broken().await });
        let fault = blobs.flush(&null, Path::new("/dev/null")).unwrap_err();
        assert!(matches!(fault, DiskFault::Broken { doing: "flush", .. }));
        assert_eq!(ended.await.unwrap(), fault.to_string());
        for refused in [blobs.flush(&sound, &path), blobs.flush_folder("blobs")] {
            let fault = refused.unwrap_err();
            assert!(matches!(
                fault,
                DiskFault::Broken {
                    doing: "rely on",
                    ..
                }
            ));
        }
        let full = DiskFault::Full { path };
        let blobs = Blobs::open(dir.path(), 0).unwrap();
        assert!(blobs.noted::<()>(Err(full)).is_err());
        blobs.check().unwrap();
    }

    #[test]
    fn files_of_unknown_exchanges_are_swept() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path(), 0).unwrap();
        let (known, other) = (Xid::from_bytes([1; 16]), Xid::from_bytes([2; 16]));
        for xid in [&known, &other] {
            for folder in ["blobs", "incoming"] {
                for ending in ["", ".list"] {
                    std::fs::write(blobs.path(folder, xid, ending), b"x").unwrap();
                }
            }
        }
        let foreign = dir.path().join("blobs/README");
        std::fs::write(&foreign, b"x").unwrap();
        assert_eq!(blobs.sweep(&HashSet::from([known])).unwrap(), 4);
        assert!(blobs.payload(&known).is_ok() && blobs.list(&known).is_ok());
        assert!(blobs.payload(&other).is_err() && foreign.exists());
        blobs.remove(&known).unwrap();
        blobs.remove(&known).unwrap();
        assert!(blobs.payload(&known).is_err());
    }
}
