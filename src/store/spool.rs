//! A payload being written by this authority: hashed on the way, small ones kept in memory.

use std::fmt;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use crate::base::{Digest, Hasher, Xid, len_u64, limits};
use crate::store::blobs::Blobs;
use crate::store::direct::{Block, LongFile};
use crate::store::durable::DiskFault;
use crate::store::{blobs, durable};
use crate::tlog::Frontier;

/// Bytes held in memory: a payload that is no longer becomes no file.
const BUFFER_BYTES: usize = 256 << 10;
/// Bytes written to a file at a time.
const BLOCK_BYTES: usize = 1 << 20;
/// Bytes of segment hashes held in memory before they are written.
const LIST_BYTES: usize = 8 << 10;

const _: () = assert!(len_u64(BUFFER_BYTES) == limits::INLINE_PAYLOAD_BYTES_MAX);

/// Why a payload cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum SpoolFault {
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskFault),
    /// Longer than any payload may be.
    #[error(
        "the payload is longer than {} bytes; send it as several packages",
        limits::PAYLOAD_BYTES_MAX
    )]
    TooLong,
}

/// A payload whose end has not come. Dropped before [`Self::finish`], it leaves nothing.
pub struct Spool {
    blobs: Blobs,
    buffer: Vec<u8>,
    hashes: Vec<u8>,
    files: Option<Files>,
    hasher: Hasher,
    in_segment: u64,
    tree: Frontier,
    len: u64,
}

struct Files {
    payload: LongFile,
    block: Block,
    payload_path: PathBuf,
    list: File,
    list_path: PathBuf,
    written: u64,
    begun: u64,
}

/// A payload that is durable or, if it is small, in hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpooledPayload {
    /// RFC 6962 root over the segments.
    pub body: Digest,
    /// Length in bytes.
    pub len: u64,
    /// Number of segments.
    pub segments: u64,
    /// The payload itself, if it is at most [`limits::INLINE_PAYLOAD_BYTES_MAX`]: it belongs into the ledger.
    pub inline: Option<Vec<u8>>,
}

impl Spool {
    pub(crate) fn new(blobs: Blobs) -> Self {
        Self {
            blobs,
            buffer: Vec::new(),
            hashes: Vec::new(),
            files: None,
            hasher: blobs::segment_hasher(),
            in_segment: 0,
            tree: Frontier::new(),
            len: 0,
        }
    }

    /// Takes the next bytes. A full disk, the reserve counted, ends it.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), SpoolFault> {
        let len = self.len.saturating_add(len_u64(bytes.len()));
        if len > limits::PAYLOAD_BYTES_MAX {
            return Err(SpoolFault::TooLong);
        }
        self.len = len;
        self.hash(bytes);
        let kept = self.keep(bytes);
        Ok(self.blobs.noted(kept)?)
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), DiskFault> {
        let together = self.buffer.len().saturating_add(bytes.len());
        if self.files.is_none() && together <= BUFFER_BYTES {
            self.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        self.spill()?;
        self.files()?.write(bytes)
    }

    fn hash(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let left = limits::SEGMENT_BYTES.saturating_sub(self.in_segment);
            let left = usize::try_from(left).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at_checked(left).unwrap_or((bytes, &[]));
            self.hasher.update(now);
            self.in_segment = self.in_segment.saturating_add(len_u64(now.len()));
            if self.in_segment == limits::SEGMENT_BYTES {
                self.end_segment();
            }
            bytes = later;
        }
    }

    fn end_segment(&mut self) {
        let hasher = std::mem::replace(&mut self.hasher, blobs::segment_hasher());
        let hash = hasher.finish();
        self.hashes.extend_from_slice(hash.as_bytes());
        self.tree.append(hash);
        self.in_segment = 0;
    }

    fn files(&mut self) -> Result<&mut Files, DiskFault> {
        let payload_path = self.blobs.spool_path();
        if self.files.is_none() && !self.blobs.room_for(len_u64(BUFFER_BYTES)) {
            return Err(DiskFault::Full { path: payload_path });
        }
        match &mut self.files {
            Some(files) => Ok(files),
            none => Ok(none.insert(Files::create(payload_path)?)),
        }
    }

    /// Moves what is held in memory to the files, and looks whether there is room for more.
    fn spill(&mut self) -> Result<(), DiskFault> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut hashes = std::mem::take(&mut self.hashes);
        let files = self.files()?;
        files.write(&buffer)?;
        let waiting = files.written.saturating_sub(files.begun);
        let is_due = waiting >= blobs::WRITEBACK_BYTES;
        if is_due {
            blobs::begin_writeback(files.payload.cached(), files.begun, waiting);
            files.begun = files.written;
        }
        if hashes.len() >= LIST_BYTES {
            files.write_list(&hashes)?;
            hashes.clear();
        }
        if is_due && !self.blobs.room_for(blobs::WRITEBACK_BYTES) {
            let path = self.blobs.spool_path();
            return Err(DiskFault::Full { path });
        }
        buffer.clear();
        (self.buffer, self.hashes) = (buffer, hashes);
        Ok(())
    }

    /// The end has come. A small payload is handed back; another is flushed and gets its final name, its list first.
    pub fn finish(mut self, xid: &Xid) -> Result<SpooledPayload, SpoolFault> {
        if self.in_segment > 0 {
            self.end_segment();
        }
        let mut spooled = SpooledPayload {
            body: self.tree.root(),
            len: self.len,
            segments: self.tree.size(),
            inline: None,
        };
        if self.files.is_none() {
            if !self.blobs.room_for(self.len) {
                let path = self.blobs.spool_path();
                return Err(DiskFault::Full { path }.into());
            }
            spooled.inline = Some(std::mem::take(&mut self.buffer));
            return Ok(spooled);
        }
        let settled = self.settle(xid);
        self.blobs.noted(settled)?;
        self.files = None;
        Ok(spooled)
    }

    fn settle(&mut self, xid: &Xid) -> Result<(), DiskFault> {
        self.spill()?;
        let hashes = std::mem::take(&mut self.hashes);
        let files = self.files()?;
        files.write_list(&hashes)?;
        files.write_block()?;
        let Some(files) = &self.files else {
            return Ok(());
        };
        self.blobs
            .flush(files.payload.cached(), &files.payload_path)?;
        self.blobs.flush(&files.list, &files.list_path)?;
        durable::rename(&files.list_path, &self.blobs.path("blobs", xid, ".list"))?;
        durable::rename(&files.payload_path, &self.blobs.path("blobs", xid, ""))?;
        self.blobs.flush_folder("blobs")
    }
}

impl Files {
    fn create(payload_path: PathBuf) -> Result<Self, DiskFault> {
        let list_path = payload_path.with_extension("list");
        let payload = durable::create_new(&payload_path)?;
        let payload = LongFile::new(payload, &payload_path, true);
        let list = durable::create_new(&list_path)?;
        Ok(Self {
            payload,
            block: Block::new(BLOCK_BYTES),
            payload_path,
            list,
            list_path,
            written: 0,
            begun: 0,
        })
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<(), DiskFault> {
        while !bytes.is_empty() {
            bytes = self.block.fill(bytes);
            if self.block.is_full() {
                self.write_block()?;
            }
        }
        Ok(())
    }

    fn write_block(&mut self) -> Result<(), DiskFault> {
        let written = self.payload.write_all_at(&self.block, self.written);
        written.map_err(|e| DiskFault::of("write", &self.payload_path, &e))?;
        self.written = self.written.saturating_add(len_u64(self.block.len()));
        self.block.clear();
        Ok(())
    }

    fn write_list(&mut self, hashes: &[u8]) -> Result<(), DiskFault> {
        self.list
            .write_all(hashes)
            .map_err(|e| DiskFault::of("write", &self.list_path, &e))
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        let Some(files) = &self.files else {
            return;
        };
        for path in [&files.payload_path, &files.list_path] {
            if let Err(fault) = durable::remove(path) {
                tracing::warn!("{fault}");
            }
        }
    }
}

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spool({} bytes)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    const XID: Xid = Xid::from_bytes([7; 16]);

    fn written(bytes: &[u8], piece: usize) -> (tempfile::TempDir, Blobs, SpooledPayload) {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path(), 0).unwrap();
        let mut spool = blobs.spool();
        for part in bytes.chunks(piece) {
            spool.write(part).unwrap();
        }
        let spooled = spool.finish(&XID).unwrap();
        assert_eq!(
            std::fs::read_dir(dir.path().join("spool")).unwrap().count(),
            0
        );
        (dir, blobs, spooled)
    }

    fn check(len: usize, piece: usize, inline: bool) {
        let bytes: Vec<u8> = (0..=250_u8).cycle().take(len).collect();
        let (_dir, blobs, spooled) = written(&bytes, piece);
        let mut tree = Frontier::new();
        let mut list = Vec::new();
        for segment in bytes.chunks(1 << 20) {
            let hash = blobs::segment_hash(segment);
            tree.append(hash);
            list.extend_from_slice(hash.as_bytes());
        }
        assert_eq!((spooled.len, spooled.segments), (len as u64, tree.size()));
        assert_eq!(spooled.body, tree.root());
        assert_eq!(spooled.inline.is_some(), inline);
        let Some(kept) = spooled.inline else {
            let mut kept = (Vec::new(), Vec::new());
            let mut payload = blobs.payload(&XID).unwrap();
            payload.read_to_end(&mut kept.0).unwrap();
            let mut listed = blobs.list(&XID).unwrap();
            listed.read_to_end(&mut kept.1).unwrap();
            assert!(kept == (bytes, list), "{len} bytes in pieces of {piece}");
            return;
        };
        assert!(kept == bytes);
        assert!(blobs.payload(&XID).is_err() && blobs.list(&XID).is_err());
    }

    #[test]
    fn a_payload_is_kept_and_hashed_whatever_its_pieces() {
        check(0, 1, true);
        check(1, 1, true);
        check(BUFFER_BYTES, 65_536, true);
        check(BUFFER_BYTES + 1, 65_536, false);
        check(1 << 20, 65_536, false);
        check((1 << 20) + 1, 3_000, false);
        check(3 << 20, 1 << 22, false);
        check((20 << 20) + 77, 65_536, false);
    }

    #[test]
    fn an_abandoned_payload_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path(), 0).unwrap();
        let mut spool = blobs.spool();
        spool.write(&vec![1; 2 << 20]).unwrap();
        let spooled = || std::fs::read_dir(dir.path().join("spool")).unwrap().count();
        assert_eq!(spooled(), 2);
        drop(spool);
        assert_eq!(spooled(), 0);
        std::fs::write(dir.path().join("spool/9"), b"left by a kill").unwrap();
        Blobs::open(dir.path(), 0).unwrap();
        assert_eq!(spooled(), 0);
    }

    #[test]
    fn the_reserve_is_not_written_to() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path(), u64::MAX).unwrap();
        let full = |fault: &SpoolFault| matches!(fault, SpoolFault::Disk(DiskFault::Full { .. }));
        let mut spool = blobs.spool();
        spool.write(&[1; 1_000]).unwrap();
        assert!(full(&spool.write(&vec![1; 2 << 20]).unwrap_err()));
        let mut small = blobs.spool();
        small.write(&[1; 1_000]).unwrap();
        assert!(full(&small.finish(&XID).unwrap_err()));
    }
}
