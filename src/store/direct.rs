//! Long payloads past the page cache (`O_DIRECT`, open(2)): nobody reads them again soon, and copying them into fresh
//! pages costs more than the disk does. Where a file system refuses, everything goes through the cache as usual.
//! Nothing here makes bytes durable: what counts is still the flush.

use std::fs::{File, OpenOptions};
use std::ops::Deref;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::{fmt, io};

use crate::base::len_u64;

/// Addresses, offsets and lengths are multiples of this many bytes, as every common disk accepts.
const ALIGNMENT: usize = 4 << 10;

/// Bytes in memory that begin where a disk can take them from.
pub struct Block {
    bytes: Vec<u8>,
    start: usize,
    capacity: usize,
}

impl Block {
    /// An empty one that holds so many bytes.
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.next_multiple_of(ALIGNMENT);
        let mut bytes: Vec<u8> = Vec::with_capacity(capacity.saturating_add(ALIGNMENT));
        // An address that cannot be aligned would only mean a write through the cache.
        let start = bytes.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        bytes.resize(start, 0);
        Self {
            bytes,
            start,
            capacity,
        }
    }

    /// Forgets what it holds.
    pub fn clear(&mut self) {
        self.bytes.truncate(self.start);
    }

    /// Takes as many of these bytes as there is room for, and hands back the others.
    pub fn fill<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let room = self.capacity.saturating_sub(self.len());
        let (taken, left) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        self.bytes.extend_from_slice(taken);
        left
    }

    /// Whether nothing more fits.
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block({} of {} bytes)", self.len(), self.capacity)
    }
}

impl Deref for Block {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// A file that is read and written in long runs.
#[derive(Debug)]
pub struct LongFile {
    cached: File,
    direct: Option<File>,
}

impl LongFile {
    /// For a file that is open already, by this name.
    pub(crate) fn new(cached: File, path: &Path, write: bool) -> Self {
        let flags = i32::try_from(rustix::fs::OFlags::DIRECT.bits()).unwrap_or_default();
        let direct = OpenOptions::new()
            .read(!write)
            .write(write)
            .custom_flags(flags)
            .open(path);
        Self {
            cached,
            direct: direct.ok(),
        }
    }

    /// The same file through the page cache.
    pub fn cached(&self) -> &File {
        &self.cached
    }

    /// Writes all these bytes here; says whether they went past the cache.
    pub(crate) fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<bool> {
        if let Some(direct) = self.direct.as_ref().filter(|_| is_aligned(bytes, offset)) {
            match direct.write_all_at(bytes, offset) {
                // The file system wants another alignment, or no direct writes at all.
                Err(e) if e.kind() == io::ErrorKind::InvalidInput => {}
                done => return done.map(|()| true),
            }
        }
        self.cached.write_all_at(bytes, offset).map(|()| false)
    }

    /// Reads so many bytes from here.
    ///
    /// # Errors
    /// `UnexpectedEof` where the file ends before them; others as the disk says.
    pub fn read_exact_at(&self, length: usize, offset: u64) -> io::Result<Block> {
        let mut block = Block::new(length);
        let whole = length.next_multiple_of(ALIGNMENT);
        let whole = block.start.saturating_add(whole);
        block.bytes.resize(whole, 0);
        let buffer = block.bytes.get_mut(block.start..).unwrap_or_default();
        let direct = self.direct.as_ref().filter(|_| is_aligned(buffer, offset));
        let read = direct.map_or(Ok(0), |direct| direct.read_at(buffer, offset));
        // Cut short at the end of the file or by a signal: the cache has the rest.
        let cached = [io::ErrorKind::InvalidInput, io::ErrorKind::Interrupted];
        let read = match read {
            Err(e) if cached.contains(&e.kind()) => 0,
            read => read?,
        };
        if read < length {
            let rest = buffer.get_mut(read..length).unwrap_or_default();
            let from = offset.saturating_add(len_u64(read));
            self.cached.read_exact_at(rest, from)?;
        }
        block.bytes.truncate(block.start.saturating_add(length));
        Ok(block)
    }
}

fn is_aligned(bytes: &[u8], offset: u64) -> bool {
    !bytes.is_empty()
        && bytes.as_ptr().align_offset(ALIGNMENT) == 0
        && bytes.len().is_multiple_of(ALIGNMENT)
        && offset.is_multiple_of(len_u64(ALIGNMENT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::durable;

    fn pattern(len: usize) -> Vec<u8> {
        (0..=250_u8).cycle().take(len).collect()
    }

    /// Writes one run over zeros, and reads it back directly and through the cache.
    fn check(folder: &Path, offset: usize, len: usize) {
        let path = folder.join(format!("{offset}-{len}"));
        let file = durable::create_new(&path).unwrap();
        let file = LongFile::new(file, &path, true);
        let bytes = pattern(len);
        let mut block = Block::new(len);
        assert!(block.fill(&bytes).is_empty());
        file.write_all_at(&block, offset as u64).unwrap();
        let whole = std::fs::read(&path).unwrap();
        assert!(whole[..offset].iter().all(|byte| *byte == 0));
        assert!(whole[offset..] == bytes, "{len} bytes at {offset}");
        let reader = LongFile::new(File::open(&path).unwrap(), &path, false);
        let read = reader.read_exact_at(len, offset as u64).unwrap();
        assert!(read[..] == bytes, "{len} bytes read at {offset}");
        let beyond = reader.read_exact_at(len + 1, offset as u64);
        let fault = beyond.err().map(|e| e.kind());
        assert_eq!(fault, Some(io::ErrorKind::UnexpectedEof));
    }

    #[test]
    fn bytes_are_the_same_whichever_way_they_go() {
        // On a disk, and in memory, where going past the cache may be refused.
        let memory = Path::new("/dev/shm");
        let folders = [Path::new(env!("CARGO_MANIFEST_DIR")), memory];
        for folder in folders.into_iter().filter(|folder| folder.is_dir()) {
            let folder = tempfile::tempdir_in(folder).unwrap();
            for (offset, len) in [
                (0, 1 << 20),
                (1 << 20, 1 << 20),
                (0, 5),
                (4_096, 8_192),
                (4_096, 8_191),
                (100, 4_096),
            ] {
                check(folder.path(), offset, len);
            }
        }
    }

    #[test]
    fn a_block_takes_no_more_than_it_holds() {
        let mut block = Block::new(5_000);
        let bytes = pattern(9_000);
        assert_eq!(block.fill(&bytes).len(), 9_000 - 8_192);
        assert!(block.is_full() && block[..] == bytes[..8_192]);
        assert!(is_aligned(&block, 8_192) && !is_aligned(&block, 8_191));
        assert!(!is_aligned(&block[..5_000], 0) && !is_aligned(&block[1..], 0));
        block.clear();
        assert!(block.is_empty() && !is_aligned(&block, 0));
        assert!(block.fill(&bytes[..7]).is_empty());
        assert_eq!(block[..], bytes[..7]);
    }
}
