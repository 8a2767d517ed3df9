//! A payload that arrives in segments, each checked against the list before it is written.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::{fmt, io};

use crate::base::{Digest, Ranges, Xid, len_u64, limits};
use crate::store::blobs::{Blobs, Reservation};
use crate::store::direct::LongFile;
use crate::store::durable::DiskFault;
use crate::store::{blobs, durable};
use crate::tlog::Frontier;

const HASH_BYTES: usize = 32;

/// Why a segment did not count.
#[derive(Debug, thiserror::Error)]
pub enum SegmentFault {
    /// Its bytes are not those of the list.
    #[error("segment {0} does not have the hash that the list gives it")]
    WrongHash(u64),
    /// There is no such segment.
    #[error("segment {0} is not within the payload")]
    OutOfRange(u64),
    /// It is shorter or longer than a segment of this number, or the payload as a whole is.
    #[error("a length of {got} bytes where {wanted} were expected")]
    WrongLength {
        /// How long it must be.
        wanted: u64,
        /// How long it is.
        got: u64,
    },
    /// The list of hashes has not come.
    #[error("the list of segment hashes has not come")]
    NoList,
    /// The payload is already complete.
    #[error("the payload is already complete")]
    Complete,
    /// The disk refused.
    #[error(transparent)]
    Io(#[from] DiskFault),
}

/// Why a list of segment hashes is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ListFault {
    /// Too few or too many hashes.
    #[error("the list has not the {wanted} hashes that the payload's length demands")]
    WrongCount {
        /// How many there must be.
        wanted: u64,
    },
    /// The root over them is not the one that was signed.
    #[error("the list of segment hashes has the root {got}, {wanted} is signed")]
    WrongRoot {
        /// The signed one.
        wanted: Digest,
        /// The one of this list.
        got: Digest,
    },
    /// Its source failed.
    #[error("the list of segment hashes does not arrive: {0}")]
    Source(io::Error),
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskFault),
}

/// A payload with segments missing. Segments may be written from several threads.
pub struct IncomingPayload {
    blobs: Blobs,
    xid: Xid,
    len: u64,
    segments: u64,
    file: LongFile,
    path: PathBuf,
    list: OnceLock<File>,
    /// The segments written since writing was last begun: the lowest, the one after the highest, how many bytes.
    dirty: Mutex<(u64, u64, u64)>,
    complete: AtomicBool,
    /// Held where the file system cannot set space aside itself.
    _reservation: Option<Reservation>,
}

/// A list of segment hashes that is still arriving.
pub struct ListPart {
    file: File,
    path: PathBuf,
    tree: Frontier,
    segments: u64,
    odd: Vec<u8>,
}

impl IncomingPayload {
    pub(crate) fn open(blobs: Blobs, xid: &Xid, len: u64) -> Result<Self, DiskFault> {
        blobs.check()?;
        let path = blobs.path("incoming", xid, "");
        if len > limits::PAYLOAD_BYTES_MAX {
            return Err(DiskFault::Full { path });
        }
        // Completed, but the process ended before that was recorded: it goes on from what was recorded. The payload
        // moves before its list, as it came after it: wherever this is cut, the next attempt finds both.
        for ending in ["", ".list"] {
            let complete = blobs.path("blobs", xid, ending);
            if complete.exists() {
                durable::rename(&complete, &blobs.path("incoming", xid, ending))?;
            }
        }
        // What a part file holds already was set aside for it before.
        let is_new = !path.exists();
        let room = if is_new { blobs.promise(len) } else { None };
        let file = durable::open_or_create(&path)?;
        let about = file.metadata();
        let about = about.map_err(|e| DiskFault::of("examine", &path, &e))?;
        if about.len() > len {
            file.set_len(0)
                .map_err(|e| DiskFault::of("shorten", &path, &e))?;
        }
        let aside = match room {
            None if is_new => Err(NoSpace),
            Some(_) | None => set_aside(&blobs, &file, len),
        };
        let Ok(reservation) = aside else {
            if is_new {
                durable::remove(&path)?;
            }
            return Err(DiskFault::Full { path });
        };
        drop(room);
        let segments = len.div_ceil(limits::SEGMENT_BYTES);
        let list = OnceLock::new();
        let listed = File::open(blobs.path("incoming", xid, ".list")).ok();
        let is_whole = |file: &File| {
            let expected = segments.saturating_mul(len_u64(HASH_BYTES));
            file.metadata().is_ok_and(|about| about.len() == expected)
        };
        if let Some(listed) = listed.filter(is_whole) {
            list.get_or_init(|| listed);
        }
        Ok(Self {
            blobs,
            xid: *xid,
            len,
            segments,
            file: LongFile::new(file, &path, true),
            path,
            list,
            dirty: Mutex::new((u64::MAX, 0, 0)),
            complete: AtomicBool::new(false),
            _reservation: reservation,
        })
    }

    /// Number of segments of the whole payload.
    pub fn segments(&self) -> u64 {
        self.segments
    }

    /// Those of the recorded segments that can be there: the file reaches as far, and the list is known. What an
    /// earlier process recorded was flushed first, so less than all means that files were lost or exchanged.
    pub fn held(&self, recorded: &Ranges) -> Result<Ranges, DiskFault> {
        if !self.has_list() {
            return Ok(Ranges::empty());
        }
        let about = self.file.cached().metadata();
        let about = about.map_err(|e| DiskFault::of("examine", &self.path, &e))?;
        let reached = match about.len() {
            length if length >= self.len => self.segments,
            length => length / limits::SEGMENT_BYTES,
        };
        let runs = recorded.runs().iter().filter(|run| run.first < reached);
        let runs = runs.map(|run| crate::base::Range {
            first: run.first,
            count: run.count.min(reached.saturating_sub(run.first)),
        });
        Ok(Ranges::from_runs(runs.collect()).unwrap_or_default())
    }

    /// Whether the list of segment hashes is here and durable.
    pub fn has_list(&self) -> bool {
        self.list.get().is_some()
    }

    /// Takes the list of segment hashes from a reader, which must end after the last one.
    pub fn put_list(&self, from: &mut impl Read, body: &Digest) -> Result<(), ListFault> {
        let mut part = self.begin_list()?;
        let mut buffer = vec![0; 8 << 10];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => return self.end_list(part, body),
                Ok(count) => part.push(buffer.get(..count).unwrap_or_default())?,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(ListFault::Source(e)),
            }
        }
    }

    /// Begins to take a list that arrives in pieces.
    pub fn begin_list(&self) -> Result<ListPart, DiskFault> {
        let path = self.blobs.path("incoming", &self.xid, ".list.part");
        durable::remove(&path)?;
        Ok(ListPart {
            file: durable::create_new(&path)?,
            path,
            tree: Frontier::new(),
            segments: self.segments,
            odd: Vec::new(),
        })
    }

    /// Takes the list if it is complete and its root is the signed one; it is durable then.
    pub fn end_list(&self, part: ListPart, body: &Digest) -> Result<(), ListFault> {
        let wanted = self.segments;
        if part.tree.size() != wanted || !part.odd.is_empty() {
            durable::remove(&part.path)?;
            return Err(ListFault::WrongCount { wanted });
        }
        let (wanted, got) = (*body, part.tree.root());
        if wanted != got {
            durable::remove(&part.path)?;
            return Err(ListFault::WrongRoot { wanted, got });
        }
        self.blobs.flush(&part.file, &part.path)?;
        let path = self.blobs.path("incoming", &self.xid, ".list");
        durable::rename(&part.path, &path)?;
        self.blobs.flush_folder("incoming")?;
        self.list.get_or_init(|| part.file);
        Ok(())
    }

    /// The hash that the list gives a segment.
    pub fn hash_of(&self, segment: u64) -> Result<Digest, SegmentFault> {
        if segment >= self.segments {
            return Err(SegmentFault::OutOfRange(segment));
        }
        let list = self.list.get().ok_or(SegmentFault::NoList)?;
        let mut hash = [0; HASH_BYTES];
        let at = segment.saturating_mul(len_u64(HASH_BYTES));
        list.read_exact_at(&mut hash, at)
            .map_err(|e| DiskFault::of("read the list of", &self.path, &e))?;
        Ok(Digest::from_bytes(hash))
    }

    /// Writes a segment if it is the one that the list describes, past the cache if it is whole and lies in a
    /// [`crate::store::Block`]. It counts after the next [`Self::sync`].
    pub fn write_segment(&self, segment: u64, bytes: &[u8]) -> Result<(), SegmentFault> {
        if self.complete.load(Ordering::Acquire) {
            return Err(SegmentFault::Complete);
        }
        let listed = self.hash_of(segment)?;
        let first = segment.saturating_mul(limits::SEGMENT_BYTES);
        let (got, wanted) = (
            len_u64(bytes.len()),
            limits::SEGMENT_BYTES.min(self.len.saturating_sub(first)),
        );
        if got != wanted {
            return Err(SegmentFault::WrongLength { wanted, got });
        }
        if blobs::segment_hash(bytes) != listed {
            return Err(SegmentFault::WrongHash(segment));
        }
        let written = self.file.write_all_at(bytes, first);
        let written = written.map_err(|e| DiskFault::of("write", &self.path, &e));
        let past_the_cache = self.blobs.noted(written)?;
        if !past_the_cache {
            self.written(first, first.saturating_add(got));
        }
        Ok(())
    }

    fn written(&self, first: u64, end: u64) {
        let mut dirty = self.dirty.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = dirty.2.saturating_add(end.saturating_sub(first));
        *dirty = (dirty.0.min(first), dirty.1.max(end), bytes);
        if dirty.2 >= blobs::WRITEBACK_BYTES {
            let (first, end, _) = std::mem::replace(&mut *dirty, (u64::MAX, 0, 0));
            drop(dirty);
            blobs::begin_writeback(self.file.cached(), first, end.saturating_sub(first));
        }
    }

    /// Flushes the segments written so far: after it they may be recorded as durable.
    pub fn sync(&self) -> Result<(), DiskFault> {
        self.blobs.flush(self.file.cached(), &self.path)
    }

    /// All segments are written: flushes them and gives payload and list their final names, durably. That all were
    /// written is for the caller to know.
    pub fn finish(&self) -> Result<(), SegmentFault> {
        if !self.has_list() {
            return Err(SegmentFault::NoList);
        }
        if self.complete.swap(true, Ordering::AcqRel) {
            return Err(SegmentFault::Complete);
        }
        let about = self.file.cached().metadata();
        let about = about.map_err(|e| DiskFault::of("examine", &self.path, &e))?;
        let (wanted, got) = (self.len, about.len());
        if got != wanted {
            self.complete.store(false, Ordering::Release);
            return Err(SegmentFault::WrongLength { wanted, got });
        }
        self.sync()?;
        for ending in [".list", ""] {
            let from = self.blobs.path("incoming", &self.xid, ending);
            let to = self.blobs.path("blobs", &self.xid, ending);
            self.blobs.noted(durable::rename(&from, &to))?;
        }
        Ok(self.blobs.flush_folder("blobs")?)
    }

    /// Forgets the payload and all its files.
    pub fn discard(self) -> Result<(), DiskFault> {
        self.blobs.remove(&self.xid)
    }
}

impl ListPart {
    /// Takes the next bytes of the list, wherever they are cut.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), ListFault> {
        let wanted = self.segments;
        let hash_bytes = len_u64(HASH_BYTES);
        let arrived = self.tree.size().saturating_mul(hash_bytes);
        let arrived = arrived.saturating_add(len_u64(self.odd.len()));
        let now = arrived.saturating_add(len_u64(bytes.len()));
        if now > wanted.saturating_mul(hash_bytes) {
            durable::remove(&self.path)?;
            return Err(ListFault::WrongCount { wanted });
        }
        self.file
            .write_all(bytes)
            .map_err(|e| DiskFault::of("write", &self.path, &e))?;
        if !self.odd.is_empty() {
            let missing = HASH_BYTES.saturating_sub(self.odd.len());
            let (taken, rest) = bytes.split_at_checked(missing).unwrap_or((bytes, &[]));
            self.odd.extend_from_slice(taken);
            bytes = rest;
            if let Ok(hash) = self.odd.as_slice().try_into() {
                self.tree.append(Digest::from_bytes(hash));
                self.odd.clear();
            }
        }
        let (hashes, odd) = bytes.as_chunks::<HASH_BYTES>();
        for hash in hashes {
            self.tree.append(Digest::from_bytes(*hash));
        }
        self.odd.extend_from_slice(odd);
        Ok(())
    }
}

/// There is no space for the file.
struct NoSpace;

/// Sets space for the whole file aside: in the file system, or in our own books where it cannot.
fn set_aside(blobs: &Blobs, file: &File, len: u64) -> Result<Option<Reservation>, NoSpace> {
    if len == 0 {
        return Ok(None);
    }
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::KEEP_SIZE, 0, len) {
        Ok(()) => Ok(None),
        Err(rustix::io::Errno::NOSPC | rustix::io::Errno::DQUOT | rustix::io::Errno::FBIG) => {
            Err(NoSpace)
        }
        Err(_) => Ok(Some(blobs.reserve(len))),
    }
}

impl fmt::Debug for IncomingPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IncomingPayload({}, {} bytes)", self.xid, self.len)
    }
}

impl fmt::Debug for ListPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ListPart({} hashes)", self.tree.size())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::Tiny;

    const XID: Xid = Xid::from_bytes([9; 16]);
    const SEGMENT: usize = 1 << 20;
    const LEN: usize = 2 * SEGMENT + 5;

    struct Payload {
        bytes: Vec<u8>,
        list: Vec<u8>,
        body: Digest,
    }

    fn payload() -> Payload {
        let bytes: Vec<u8> = (0..=240_u8).cycle().take(LEN).collect();
        let mut tree = Frontier::new();
        let mut list = Vec::new();
        for segment in bytes.chunks(SEGMENT) {
            let hash = blobs::segment_hash(segment);
            list.extend_from_slice(hash.as_bytes());
            tree.append(hash);
        }
        let body = tree.root();
        Payload { bytes, list, body }
    }

    fn opened() -> (tempfile::TempDir, Blobs, IncomingPayload) {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path(), 0).unwrap();
        let incoming = blobs.incoming(&XID, LEN as u64).unwrap();
        (dir, blobs, incoming)
    }

    impl Payload {
        fn segment(&self, number: u64) -> &[u8] {
            self.bytes
                .chunks(SEGMENT)
                .nth(usize::try_from(number).unwrap())
                .unwrap()
        }
    }

    #[test]
    fn segments_arrive_in_any_order() {
        let whole = payload();
        let (_dir, blobs, incoming) = opened();
        assert_eq!(incoming.segments(), 3);
        incoming
            .put_list(&mut whole.list.as_slice(), &whole.body)
            .unwrap();
        for number in [2, 0, 1, 0] {
            incoming
                .write_segment(number, whole.segment(number))
                .unwrap();
        }
        incoming.finish().unwrap();
        let again = incoming.finish().unwrap_err();
        assert!(matches!(again, SegmentFault::Complete));
        let late = incoming.write_segment(0, whole.segment(0)).unwrap_err();
        assert!(matches!(late, SegmentFault::Complete));
        let mut kept = Vec::new();
        let mut file = blobs.payload(&XID).unwrap();
        file.read_to_end(&mut kept).unwrap();
        assert!(kept == whole.bytes);
        kept.clear();
        let mut file = blobs.list(&XID).unwrap();
        file.read_to_end(&mut kept).unwrap();
        assert!(kept == whole.list);
    }

    #[test]
    fn a_segment_that_is_not_in_the_list_is_not_written() {
        fn check(
            incoming: &IncomingPayload,
            number: u64,
            bytes: &[u8],
            is_it: fn(&SegmentFault) -> bool,
        ) {
            let fault = incoming.write_segment(number, bytes).unwrap_err();
            assert!(is_it(&fault), "{fault}");
        }
        let whole = payload();
        let (_dir, _blobs, incoming) = opened();
        check(&incoming, 0, whole.segment(0), |fault| {
            matches!(fault, SegmentFault::NoList)
        });
        assert!(matches!(
            incoming.finish().unwrap_err(),
            SegmentFault::NoList
        ));
        incoming
            .put_list(&mut whole.list.as_slice(), &whole.body)
            .unwrap();
        check(&incoming, 1, whole.segment(0), |fault| {
            matches!(fault, SegmentFault::WrongHash(1))
        });
        for number in [3, u64::MAX] {
            check(&incoming, number, whole.segment(0), |fault| {
                matches!(fault, SegmentFault::OutOfRange(_))
            });
        }
        for length in [0, 5, SEGMENT - 1] {
            check(&incoming, 0, &whole.segment(0)[..length], |fault| {
                matches!(fault, SegmentFault::WrongLength { .. })
            });
        }
        check(&incoming, 2, whole.segment(0), |fault| {
            matches!(fault, SegmentFault::WrongLength { wanted: 5, .. })
        });
        assert_eq!(incoming.file.cached().metadata().unwrap().len(), 0);
        assert!(matches!(
            incoming.finish().unwrap_err(),
            SegmentFault::WrongLength { got: 0, .. }
        ));
        incoming.write_segment(2, whole.segment(2)).unwrap();
    }

    #[test]
    fn a_list_that_lies_is_not_taken() {
        let whole = payload();
        let (dir, _blobs, incoming) = opened();
        let mut longer = whole.list.clone();
        longer.push(0);
        let mut other = whole.list.clone();
        other[40] ^= 1;
        for (list, is_count) in [
            (&whole.list[..64], true),
            (&whole.list[..95], true),
            (&longer, true),
            (&[], true),
            (&other, false),
        ] {
            let fault = incoming
                .put_list(&mut io::Cursor::new(list), &whole.body)
                .unwrap_err();
            let right = match fault {
                ListFault::WrongCount { wanted: 3 } => is_count,
                ListFault::WrongRoot { .. } => !is_count,
                ListFault::WrongCount { .. } | ListFault::Source(_) | ListFault::Disk(_) => false,
            };
            assert!(right, "{} bytes: {fault}", list.len());
            assert!(!incoming.has_list());
        }
        let files = std::fs::read_dir(dir.path().join("incoming")).unwrap();
        assert_eq!(files.count(), 1);
        let mut part = incoming.begin_list().unwrap();
        for piece in whole.list.chunks(7) {
            part.push(piece).unwrap();
        }
        incoming.end_list(part, &whole.body).unwrap();
        assert_eq!(
            incoming.hash_of(1).unwrap(),
            blobs::segment_hash(whole.segment(1))
        );
    }

    #[test]
    fn what_was_recorded_is_found_again() {
        let whole = payload();
        let (dir, _blobs, incoming) = opened();
        let mut recorded = Ranges::empty();
        recorded.insert(0);
        assert_eq!(incoming.held(&recorded).unwrap(), Ranges::empty());
        incoming
            .put_list(&mut whole.list.as_slice(), &whole.body)
            .unwrap();
        incoming.write_segment(0, whole.segment(0)).unwrap();
        incoming.sync().unwrap();
        drop(incoming);

        let blobs = Blobs::open(dir.path(), 0).unwrap();
        let incoming = blobs.incoming(&XID, LEN as u64).unwrap();
        assert!(incoming.has_list());
        assert_eq!(incoming.held(&recorded).unwrap(), recorded);
        assert_eq!(incoming.held(&Ranges::all(3)).unwrap(), recorded);
        for number in [1, 2] {
            incoming
                .write_segment(number, whole.segment(number))
                .unwrap();
        }
        incoming.finish().unwrap();
        drop(incoming);

        // Ended after the renames, before they were recorded.
        for moved_back in [false, true] {
            if moved_back {
                let (from, to) = (
                    blobs.path("blobs", &XID, ""),
                    blobs.path("incoming", &XID, ""),
                );
                std::fs::rename(from, to).unwrap();
            }
            let incoming = blobs.incoming(&XID, LEN as u64).unwrap();
            assert_eq!(incoming.held(&Ranges::all(3)).unwrap(), Ranges::all(3));
            incoming.finish().unwrap();
        }
        blobs.incoming(&XID, LEN as u64).unwrap().discard().unwrap();
        let incoming = blobs.incoming(&XID, LEN as u64).unwrap();
        assert!(!incoming.has_list());
        assert!(incoming.held(&recorded).unwrap().is_empty());
    }

    #[test]
    fn an_offer_does_not_take_the_reserve() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path(), u64::MAX).unwrap();
        let fault = blobs.incoming(&XID, LEN as u64).unwrap_err();
        assert!(matches!(fault, DiskFault::Full { .. }), "{fault}");
        let left = std::fs::read_dir(dir.path().join("incoming")).unwrap();
        assert_eq!(left.count(), 0);
        // What was accepted before the reserve was touched goes on.
        drop(
            Blobs::open(dir.path(), 0)
                .unwrap()
                .incoming(&XID, LEN as u64),
        );
        blobs.incoming(&XID, LEN as u64).unwrap();
    }

    #[test]
    fn a_full_disk_is_said_before_anything_is_accepted() {
        let Some(disk) = Tiny::mount("1m") else {
            return;
        };
        let full = |fault: &DiskFault| matches!(fault, DiskFault::Full { .. });
        let blobs = Blobs::open(disk.path(), 0).unwrap();
        assert!(full(&blobs.incoming(&XID, LEN as u64).unwrap_err()));
        let left = std::fs::read_dir(disk.path().join("incoming")).unwrap();
        assert_eq!(left.count(), 0);
        let mut spool = blobs.spool();
        let fault = spool.write(&vec![1; 2 * SEGMENT]).unwrap_err();
        let crate::store::SpoolFault::Disk(fault) = fault else {
            panic!("{fault}");
        };
        assert!(full(&fault), "{fault}");
        drop(spool);
        let small = blobs.incoming(&XID, 300_000).unwrap();
        small.discard().unwrap();
    }
}
