//! Keys that can be destroyed: a file of fixed cells outside the database.
//!
//! A row deleted from a database survives in its write-ahead log, in free pages and in backups. So an age header is
//! stored there only encrypted, under a key of its own, and the key is in one cell of this file. Overwriting that cell
//! in place makes every copy of the row worthless. Nothing is claimed about what a drive remembers underneath.
//!
//! Cell: 32 bytes key, 16 bytes checksum (the first bytes of SHA-256 over a label, the cell's number and the key),
//! 16 zero bytes. A free cell is all zeros. Which cells are in use is known from the database alone.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::aead;
use zeroize::{Zeroize, Zeroizing};

use crate::base::{Hasher, Xid, len_u64};
use crate::store::durable;
use crate::store::durable::DiskFault;

/// Bytes of one cell: no sector or page boundary divides it.
pub(crate) const CELL_BYTES: usize = 64;
const CELL: u64 = len_u64(CELL_BYTES);
pub(crate) const KEY_BYTES: usize = 32;
pub(crate) const CHECK_BYTES: usize = 16;
const NONCE_BYTES: usize = aead::NONCE_LEN;
/// The file grows by so many cells at once: one flush of its length serves a thousand headers.
const GROWTH_CELLS: u16 = 1_024;
const GROWTH_BYTES: usize = CELL_BYTES * 1_024;

const ZEROS: [u8; CELL_BYTES] = [0; CELL_BYTES];

/// Why a wrapped header cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SlotFault {
    /// The cell holds something else than a key, or another key.
    #[error("cell {0} of the slot file does not hold the key of this header")]
    Damaged(u32),
    /// The cell cannot be read.
    #[error("cannot read cell {0} of the slot file: {1}")]
    Unreadable(u32, String),
}

/// The file, opened for reading keys; cheap to clone.
#[derive(Clone)]
pub(crate) struct SlotKeys(Arc<File>);

/// The file, with the one right to write it.
pub(crate) struct Slots {
    file: Arc<File>,
    path: PathBuf,
    cells: u32,
    free: Vec<u32>,
    doomed: Vec<u32>,
    dirty: bool,
}

impl Slots {
    /// Opens the file, makes it if it is missing, and overwrites every cell that is not in `used` but holds something:
    /// what a crash kept from being shredded is shredded now.
    pub(crate) fn open(path: &Path, used: &[u32]) -> Result<Self, DiskFault> {
        let file = durable::open_or_create(path)?;
        if let Some(folder) = path.parent() {
            durable::sync_dir(folder)?;
        }
        let length = file
            .metadata()
            .map_err(|e| DiskFault::of("examine", path, &e))?
            .len();
        let cells = u32::try_from(length / CELL).unwrap_or(u32::MAX);
        let mut slots = Self {
            file: Arc::new(file),
            path: path.to_owned(),
            cells,
            free: Vec::new(),
            doomed: Vec::new(),
            dirty: false,
        };
        slots.take_stock(used)?;
        slots.shred()?;
        Ok(slots)
    }

    fn take_stock(&mut self, used: &[u32]) -> Result<(), DiskFault> {
        let place = |cell: u32| usize::try_from(cell).unwrap_or(usize::MAX);
        let mut is_used = vec![false; place(self.cells)];
        for &cell in used {
            if let Some(mark) = is_used.get_mut(place(cell)) {
                *mark = true;
            }
        }
        let mut marks = is_used.iter();
        let mut chunk = Zeroizing::new(vec![0; GROWTH_BYTES]);
        for first in (0..self.cells).step_by(GROWTH_CELLS.into()) {
            let left = offset(self.cells).saturating_sub(offset(first));
            let left = usize::try_from(left).unwrap_or(GROWTH_BYTES);
            let bytes = chunk.get_mut(..left.min(GROWTH_BYTES)).unwrap_or_default();
            self.file
                .read_exact_at(bytes, offset(first))
                .map_err(|e| DiskFault::of("read", &self.path, &e))?;
            let cells = bytes.chunks_exact(CELL_BYTES).zip(first..);
            for ((bytes, cell), is_used) in cells.zip(marks.by_ref()) {
                if *is_used {
                    continue;
                }
                if bytes == ZEROS {
                    self.free.push(cell);
                } else {
                    self.doomed.push(cell);
                }
            }
        }
        self.free.reverse();
        Ok(())
    }

    /// The same file for readers.
    pub(crate) fn keys(&self) -> SlotKeys {
        SlotKeys(Arc::clone(&self.file))
    }

    /// Encrypts a header under a new key, whose cell is written but not yet flushed. Gives the cell and the wrapped
    /// header: nonce, then AES-256-GCM ciphertext and tag, with the xid as associated data.
    pub(crate) fn wrap(&mut self, xid: &Xid, header: &[u8]) -> Result<(u32, Vec<u8>), DiskFault> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        let random =
            aws_lc_rs::rand::fill(key.as_mut_slice()).and_then(|()| seal(&key, xid, header));
        let wrapped = random.map_err(|_| DiskFault::Broken {
            doing: "draw random bytes for",
            path: self.path.clone(),
            cause: "the system's random generator failed".to_owned(),
        })?;
        let cell = self.take()?;
        let mut bytes = Zeroizing::new(ZEROS);
        let parts: &mut [u8; CELL_BYTES] = &mut bytes;
        parts[..KEY_BYTES].copy_from_slice(key.as_slice());
        parts[KEY_BYTES..KEY_BYTES + CHECK_BYTES].copy_from_slice(&checksum(cell, &key));
        if let Err(e) = self.file.write_all_at(bytes.as_slice(), offset(cell)) {
            self.doomed.push(cell);
            return Err(DiskFault::of("write", &self.path, &e));
        }
        self.dirty = true;
        Ok((cell, wrapped))
    }

    fn take(&mut self) -> Result<u32, DiskFault> {
        if let Some(cell) = self.free.pop() {
            return Ok(cell);
        }
        let grown = self.cells.checked_add(GROWTH_CELLS.into());
        let grown = grown.ok_or_else(|| DiskFault::Full {
            path: self.path.clone(),
        })?;
        let zeros = vec![0; GROWTH_BYTES];
        if let Err(e) = self.file.write_all_at(&zeros, offset(self.cells)) {
            let back = self.file.set_len(offset(self.cells));
            back.map_err(|e| DiskFault::of("shorten", &self.path, &e))?;
            return Err(DiskFault::of("extend", &self.path, &e));
        }
        self.dirty = true;
        self.free.extend((self.cells..grown).skip(1).rev());
        let cell = self.cells;
        self.cells = grown;
        Ok(cell)
    }

    /// Flushes the cells written since the last time.
    pub(crate) fn sync(&mut self) -> Result<(), DiskFault> {
        if self.dirty {
            durable::sync_data(&self.file, &self.path)?;
            self.dirty = false;
        }
        Ok(())
    }

    /// Marks cells for [`Self::shred`].
    pub(crate) fn doom(&mut self, cells: impl IntoIterator<Item = u32>) {
        self.doomed.extend(cells);
    }

    /// Overwrites every marked cell in place and flushes; then they may be used again.
    pub(crate) fn shred(&mut self) -> Result<(), DiskFault> {
        if self.doomed.is_empty() {
            return Ok(());
        }
        for &cell in &self.doomed {
            self.file
                .write_all_at(&ZEROS, offset(cell))
                .map_err(|e| DiskFault::of("overwrite", &self.path, &e))?;
        }
        self.dirty = true;
        self.sync()?;
        self.free.append(&mut self.doomed);
        Ok(())
    }
}

impl SlotKeys {
    /// Opens the file for reading keys, without looking after any cell.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(Arc::new(File::open(path)?)))
    }

    /// Decrypts a wrapped header; `None` if its key was shredded.
    pub(crate) fn unwrap(
        &self,
        cell: u32,
        xid: &Xid,
        wrapped: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, SlotFault> {
        let mut bytes = Zeroizing::new(ZEROS);
        match self.0.read_exact_at(bytes.as_mut_slice(), offset(cell)) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(e) => return Err(SlotFault::Unreadable(cell, e.to_string())),
            Ok(()) if *bytes == ZEROS => return Ok(None),
            Ok(()) => {}
        }
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        let parts: &[u8; CELL_BYTES] = &bytes;
        key.copy_from_slice(&parts[..KEY_BYTES]);
        if parts[KEY_BYTES..KEY_BYTES + CHECK_BYTES] != checksum(cell, &key) {
            return Err(SlotFault::Damaged(cell));
        }
        open(&key, xid, wrapped)
            .map(Some)
            .ok_or(SlotFault::Damaged(cell))
    }
}

/// Where a cell begins in the file.
pub(crate) fn offset(cell: u32) -> u64 {
    u64::from(cell).saturating_mul(CELL)
}

fn checksum(cell: u32, key: &[u8; KEY_BYTES]) -> [u8; CHECK_BYTES] {
    let mut hasher = Hasher::new();
    hasher.update(b"rogatory/slot/v1\0");
    hasher.update(&cell.to_be_bytes());
    hasher.update(key);
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&hasher.finish().as_bytes()[..CHECK_BYTES]);
    check
}

fn seal(
    key: &[u8; KEY_BYTES],
    xid: &Xid,
    header: &[u8],
) -> Result<Vec<u8>, aws_lc_rs::error::Unspecified> {
    let aead = aead::RandomizedNonceKey::new(&aead::AES_256_GCM, key)?;
    let mut sealed = Zeroizing::new(header.to_vec());
    let bound = aead::Aad::from(xid.as_bytes());
    let (nonce, tag) = aead.seal_in_place_separate_tag(bound, sealed.as_mut_slice())?;
    Ok([nonce.as_ref(), sealed.as_slice(), tag.as_ref()].concat())
}

fn open(key: &[u8; KEY_BYTES], xid: &Xid, wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = wrapped.split_first_chunk::<NONCE_BYTES>()?;
    let aead = aead::RandomizedNonceKey::new(&aead::AES_256_GCM, key).ok()?;
    let mut header = Zeroizing::new(sealed.to_vec());
    let nonce = aead::Nonce::assume_unique_for_key(*nonce);
    let bound = aead::Aad::from(xid.as_bytes());
    let length = aead.open_in_place(nonce, bound, &mut header).ok()?.len();
    header.get_mut(length..).unwrap_or_default().zeroize();
    header.truncate(length);
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Xid = Xid::from_bytes([1; 16]);
    const OTHER: Xid = Xid::from_bytes([2; 16]);
    const HEADER: &[u8] = b"age-encryption.org/v1\n-> X25519 abc\n--- mac\n";

    #[test]
    fn a_header_is_read_back_until_it_is_shredded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slots");
        let mut slots = Slots::open(&path, &[]).unwrap();
        let (cell, wrapped) = slots.wrap(&ONE, HEADER).unwrap();
        slots.sync().unwrap();
        assert!(!wrapped.windows(HEADER.len()).any(|at| at == HEADER));
        let key = std::fs::read(&path).unwrap()[..KEY_BYTES].to_vec();
        assert_ne!(key, ZEROS[..KEY_BYTES]);

        let keys = slots.keys();
        let read = keys.unwrap(cell, &ONE, &wrapped).unwrap().unwrap();
        assert_eq!(read.as_slice(), HEADER);
        assert_eq!(
            keys.unwrap(cell, &OTHER, &wrapped).unwrap_err(),
            SlotFault::Damaged(cell)
        );
        let mut changed = wrapped.clone();
        changed[NONCE_BYTES] ^= 1;
        assert!(keys.unwrap(cell, &ONE, &changed).is_err());
        assert!(keys.unwrap(cell, &ONE, &wrapped[..4]).is_err());

        slots.doom([cell]);
        slots.shred().unwrap();
        assert!(keys.unwrap(cell, &ONE, &wrapped).unwrap().is_none());
        let bytes = std::fs::read(&path).unwrap();
        assert!(bytes.iter().all(|&b| b == 0), "a byte of the key is left");
        assert_eq!(slots.take().unwrap(), cell);
    }

    #[test]
    fn a_cell_that_nobody_owns_is_shredded_at_opening() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slots");
        let mut slots = Slots::open(&path, &[]).unwrap();
        let (kept, wrapped) = slots.wrap(&ONE, HEADER).unwrap();
        let (lost, orphan) = slots.wrap(&OTHER, HEADER).unwrap();
        slots.sync().unwrap();
        drop(slots);
        let slots = Slots::open(&path, &[kept]).unwrap();
        let keys = slots.keys();
        assert!(keys.unwrap(kept, &ONE, &wrapped).unwrap().is_some());
        assert!(keys.unwrap(lost, &OTHER, &orphan).unwrap().is_none());
        assert_eq!(slots.free.len(), usize::from(GROWTH_CELLS) - 1);
        assert!(
            keys.unwrap(u32::from(GROWTH_CELLS) * 2, &ONE, &wrapped)
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn the_file_grows_and_no_cell_is_given_twice() {
        let dir = tempfile::tempdir().unwrap();
        let mut slots = Slots::open(&dir.path().join("slots"), &[]).unwrap();
        let mut given = std::collections::HashSet::new();
        for _ in 0..=GROWTH_CELLS * 2 {
            assert!(given.insert(slots.take().unwrap()));
        }
    }
}
