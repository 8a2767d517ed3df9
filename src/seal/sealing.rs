//! Sealing: files in, one age file out, in one pass and in memory that does not grow with the files.
//!
//! Three threads share the work, for hashing and encrypting each take most of a core: one reads blocks of 1 MiB, one
//! takes the digests of the items, and the caller's encrypts and writes. A block goes to both and comes back to the
//! reader when both are done with it; there are never more than [`BLOCKS`] of them.

use std::io::{self, Read as _, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread;

use zeroize::Zeroizing;

use crate::base::{Digest, Hasher, Timestamp, len_u64, limits};
use crate::package::manifest::{CustodyEvent, Item, Manifest, SEALED, Salt};
use crate::package::path::ItemPath;
use crate::package::{bag, item_terms, media, tape};
use crate::seal::fault::SealError;
use crate::seal::inputs::{self, Found};
use crate::seal::plan::{SealPlan, Sealed};
use crate::seal::stream::StreamWriter;
use crate::seal::{random, rewrap};

const BLOCK_BYTES: usize = 1 << 20;
const BLOCKS: usize = 8;
/// The longest file that [`seal_small`] takes, in bytes.
pub const SMALL_BYTES_MAX: u64 = 128 << 10;
/// Beginnings, pieces and ends of files in one block.
const PARTS_MAX: usize = 4_096;

/// Seals files and folders into one age file, written to `out` as it comes into being.
///
/// A folder's name is the first part of its items' paths; empty folders are left out. Names are put into normalisation
/// form C. `progress` hears the number of item bytes sealed so far. On an error, what `out` has taken is no package and
/// must be dropped.
pub fn seal(
    inputs: &[PathBuf],
    plan: SealPlan,
    out: impl Write,
    progress: &mut dyn FnMut(u64),
) -> Result<Sealed, SealError> {
    seal_as(plan, out, |tape, custody| {
        seal_items(inputs, custody, tape, progress)
    })
}

/// As [`seal()`], for one file of at most [`SMALL_BYTES_MAX`]: without threads, which would cost more than they save.
pub fn seal_small(input: &PathBuf, plan: SealPlan, out: impl Write) -> Result<Sealed, SealError> {
    seal_as(plan, out, |tape, custody| seal_alone(input, custody, tape))
}

fn seal_as<W: Write>(
    plan: SealPlan,
    out: W,
    items: impl FnOnce(&mut Tape<W>, &CustodyEvent) -> Result<Vec<Item>, SealError>,
) -> Result<Sealed, SealError> {
    let custody = CustodyEvent {
        action: SEALED.to_owned(),
        instrument: None,
        location: None,
        performer: plan.actor,
        time: plan.created,
    };
    custody.check().map_err(SealError::Plan)?;
    let mut manifest = Manifest {
        case: plan.case,
        created: plan.created,
        from: plan.from,
        items: Vec::new(),
        request: plan.request,
        terms: plan.terms,
        title: plan.title,
        to: plan.to,
        v: 1,
    };
    manifest.check_head().map_err(SealError::Plan)?;
    let mut tape = Tape::begin(encrypted(&plan.recipients, out)?, plan.created)?;
    manifest.items = items(&mut tape, &custody)?;
    for (path, terms) in &plan.item_terms {
        let within = manifest.items.iter_mut();
        for item in within.filter(|item| item.path.is_within(path.as_str())) {
            item.terms = Some(Box::new(terms.clone()));
        }
    }
    let item_terms =
        item_terms::locate(&manifest, plan.item_terms).map_err(SealError::ItemTerms)?;
    let tags = bag::Tags::of(&manifest);
    if tags.manifest_bytes > limits::MANIFEST_BYTES_MAX {
        return Err(SealError::TooLarge {
            what: "a manifest of more than 64 MiB",
        });
    }
    tape.finish(&manifest, &tags).map_err(SealError::Write)?;
    Ok(Sealed {
        manifest_digest: tags.manifest_digest,
        item_root: manifest.item_root(),
        item_terms,
        items: len_u64(manifest.items.len()),
        plaintext_bytes: manifest.payload_bytes(),
        manifest,
    })
}

/// Begins an age file for these recipients under a new file key.
fn encrypted<W: Write>(recipients: &[String], mut out: W) -> Result<StreamWriter<W>, SealError> {
    let file_key = Zeroizing::new(random());
    let header = rewrap::wrapped(&file_key, recipients)?;
    out.write_all(&header).map_err(SealError::Write)?;
    StreamWriter::begin(&file_key, out).map_err(SealError::Write)
}

/// The tar under way.
struct Tape<W: Write> {
    out: StreamWriter<W>,
    at: u64,
    tags_mtime: u64,
}

impl<W: Write> Tape<W> {
    fn begin(out: StreamWriter<W>, created: Timestamp) -> Result<Self, SealError> {
        let tags_mtime = tape::clamped_mtime(created.seconds());
        let mut tape = Self {
            out,
            at: 0,
            tags_mtime,
        };
        tape.tag(bag::DECLARATION, bag::DECLARATION_TEXT.as_bytes())
            .map_err(SealError::Write)?;
        Ok(tape)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.advance(len_u64(bytes.len()));
        self.out.write_all(bytes)
    }

    fn head(&mut self, path: &str, size: u64, mtime: u64) -> io::Result<()> {
        let path = path.to_owned();
        self.write(&tape::TapeEntry { path, size, mtime }.head())
    }

    fn advance(&mut self, bytes: u64) {
        self.at = self.at.saturating_add(bytes);
    }

    fn pad(&mut self) -> io::Result<()> {
        let missing = tape::padded(self.at).saturating_sub(self.at);
        let missing = missing.min(tape::BLOCK);
        io::copy(&mut io::repeat(0).take(missing), &mut self.out)?;
        self.advance(missing);
        Ok(())
    }

    fn tag(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        self.head(name, len_u64(content.len()), self.tags_mtime)?;
        self.write(content)?;
        self.pad()
    }

    fn finish(mut self, manifest: &Manifest, tags: &bag::Tags) -> io::Result<()> {
        self.tag(bag::INFO, tags.info.as_bytes())?;
        self.head(
            bag::PAYLOAD_MANIFEST,
            tags.payload_manifest_bytes,
            self.tags_mtime,
        )?;
        bag::write_payload_manifest(&manifest.items, &mut self.out)?;
        self.advance(tags.payload_manifest_bytes);
        self.pad()?;
        self.head(bag::MANIFEST, tags.manifest_bytes, self.tags_mtime)?;
        debug_assert_eq!(
            self.at, tags.manifest_offset,
            "the layout is the one computed"
        );
        manifest.write(&mut self.out)?;
        self.advance(tags.manifest_bytes);
        self.pad()?;
        self.tag(bag::TAG_MANIFEST, tags.tag_manifest.as_bytes())?;
        self.tag(bag::INDEX, tags.index.as_bytes())?;
        self.write(&tape::END)?;
        debug_assert_eq!(self.at, tags.tar_bytes, "the layout is the one computed");
        self.out.finish()?.flush()
    }
}

/// Up to 1 MiB of files, small ones together; goes back to the reader when nobody needs it any more.
struct Block {
    bytes: Vec<u8>,
    parts: Vec<Part>,
    home: Sender<Vec<u8>>,
}

/// The pieces of a block, in order.
enum Part {
    Begin {
        path: ItemPath,
        size: u64,
        mtime: i64,
    },
    Bytes(Range<usize>),
    End,
}

impl Block {
    /// The bytes of a part, which the reader has filled.
    fn part(&self, range: &Range<usize>) -> &[u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // At the end nobody waits for it: then it is freed.
        self.home.send(std::mem::take(&mut self.bytes)).ok();
    }
}

fn seal_items<W: Write>(
    inputs: &[PathBuf],
    custody: &CustodyEvent,
    tape: &mut Tape<W>,
    progress: &mut dyn FnMut(u64),
) -> Result<Vec<Item>, SealError> {
    thread::scope(|scope| {
        let (to_write, blocks) = mpsc::sync_channel(BLOCKS);
        let (to_hash, hashed) = mpsc::sync_channel(BLOCKS);
        let hashing = scope.spawn(move || hash(&hashed));
        scope.spawn(move || {
            let mut reader = Reader::new(to_hash, to_write, BLOCK_BYTES);
            let read = inputs::walk(inputs, &mut |found| reader.read(&found));
            if let Err(fault) = read.and_then(|()| reader.hand_over()) {
                // If nobody listens, the caller knows of a fault already.
                reader.to_write.send(Err(fault)).ok();
            }
        });
        let mut items = Vec::new();
        let mut done = 0_u64;
        for block in blocks {
            done = done.saturating_add(write_block(tape, &mut items, &*block?)?);
            progress(done);
        }
        let digests = hashing
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        complete(&mut items, digests, custody);
        Ok(items)
    })
}

/// As [`seal_items`], one after the other: a small file is a single block.
fn seal_alone<W: Write>(
    input: &PathBuf,
    custody: &CustodyEvent,
    tape: &mut Tape<W>,
) -> Result<Vec<Item>, SealError> {
    let (to_write, blocks) = mpsc::sync_channel(BLOCKS);
    let (to_hash, hashed) = mpsc::sync_channel(BLOCKS);
    // One block holds it all; more memory would have to be cleared.
    let len = std::fs::symlink_metadata(input).map_or(0, |about| about.len());
    let block_bytes = usize::try_from(len.clamp(1 << 10, SMALL_BYTES_MAX)).unwrap_or(BLOCK_BYTES);
    let mut reader = Reader::new(to_hash, to_write, block_bytes);
    inputs::walk(std::slice::from_ref(input), &mut |found| {
        if found.size() > len_u64(block_bytes) {
            return Err(found.changed());
        }
        reader.read(&found)
    })?;
    reader.hand_over()?;
    drop(reader);
    let digests = hash(&hashed);
    let mut items = Vec::new();
    for block in blocks {
        write_block(tape, &mut items, &*block?)?;
    }
    complete(&mut items, digests, custody);
    Ok(items)
}

/// The facts about items that are known once all are read.
fn complete(items: &mut [Item], digests: Vec<Digest>, custody: &CustodyEvent) {
    for (item, digest) in items.iter_mut().zip(digests) {
        item.sha256 = digest;
        item.custody.push(custody.clone());
    }
}

/// Writes what a block brings, and says how many bytes of items that was.
fn write_block<W: Write>(
    tape: &mut Tape<W>,
    items: &mut Vec<Item>,
    block: &Block,
) -> Result<u64, SealError> {
    let mut done = 0_u64;
    for part in &block.parts {
        match part {
            Part::Begin { path, size, mtime } => items.push(begin(tape, path, *size, *mtime)?),
            Part::Bytes(range) => {
                let bytes = block.part(range);
                tape.write(bytes).map_err(SealError::Write)?;
                done = done.saturating_add(len_u64(bytes.len()));
            }
            Part::End => tape.pad().map_err(SealError::Write)?,
        }
    }
    Ok(done)
}

/// Writes the head of an item; digest and custody are added when all are read.
fn begin<W: Write>(
    tape: &mut Tape<W>,
    path: &ItemPath,
    size: u64,
    mtime: i64,
) -> Result<Item, SealError> {
    if tape.at.saturating_add(size) > limits::PAYLOAD_BYTES_MAX {
        return Err(SealError::TooLarge {
            what: "more than 2 TiB",
        });
    }
    let salt: [u8; 16] = random();
    tape.head(
        &format!("{}{path}", bag::PAYLOAD),
        size,
        tape::clamped_mtime(mtime),
    )
    .map_err(SealError::Write)?;
    Ok(Item {
        acquisition: None,
        category: None,
        custody: Vec::with_capacity(1),
        media_type: media::guess(path.as_str()).to_owned(),
        offset: tape.at,
        path: path.clone(),
        salt: Salt(salt),
        sha256: Digest::from_bytes([0; 32]),
        size,
        subjects: Vec::new(),
        terms: None,
        title: None,
    })
}

fn hash(blocks: &Receiver<Arc<Block>>) -> Vec<Digest> {
    let mut digests = Vec::new();
    let mut hasher = Hasher::new();
    for block in blocks {
        for part in &block.parts {
            match part {
                Part::Begin { .. } => {}
                Part::Bytes(range) => hasher.update(block.part(range)),
                Part::End => digests.push(std::mem::take(&mut hasher).finish()),
            }
        }
    }
    digests
}

/// Fills blocks and hands each to both other threads.
struct Reader {
    home: Sender<Vec<u8>>,
    free: Receiver<Vec<u8>>,
    made: usize,
    to_hash: SyncSender<Arc<Block>>,
    to_write: SyncSender<Result<Arc<Block>, SealError>>,
    parts: Vec<Part>,
    /// The block being filled, and how far it is.
    bytes: Vec<u8>,
    filled: usize,
    block_bytes: usize,
}

impl Reader {
    fn new(
        to_hash: SyncSender<Arc<Block>>,
        to_write: SyncSender<Result<Arc<Block>, SealError>>,
        block_bytes: usize,
    ) -> Self {
        let (home, free) = mpsc::channel();
        Self {
            home,
            free,
            made: 1,
            to_hash,
            to_write,
            parts: Vec::new(),
            bytes: vec![0; block_bytes],
            filled: 0,
            block_bytes,
        }
    }

    fn read(&mut self, found: &Found) -> Result<(), SealError> {
        let size = found.size();
        self.parts.push(Part::Begin {
            path: found.path.clone(),
            size,
            mtime: found.mtime(),
        });
        let mut left = size;
        while left > 0 {
            let room = self.bytes.get_mut(self.filled..).unwrap_or_default();
            let most = usize::try_from(left).map_or(room.len(), |left| left.min(room.len()));
            let bytes = room.get_mut(..most).unwrap_or_default();
            fill(found, bytes)?;
            left = left.saturating_sub(len_u64(bytes.len()));
            let end = self.filled.saturating_add(bytes.len());
            self.parts.push(Part::Bytes(self.filled..end));
            self.filled = end;
            if self.filled == self.block_bytes {
                self.hand_over()?;
            }
        }
        if (&found.file)
            .read(&mut [0])
            .map_err(|e| unreadable(found, e))?
            > 0
        {
            return Err(found.changed());
        }
        found.check_unchanged()?;
        self.parts.push(Part::End);
        if self.parts.len() >= PARTS_MAX {
            self.hand_over()?;
        }
        Ok(())
    }

    fn hand_over(&mut self) -> Result<(), SealError> {
        let next = self.empty();
        let block = Arc::new(Block {
            bytes: std::mem::replace(&mut self.bytes, next),
            parts: std::mem::take(&mut self.parts),
            home: self.home.clone(),
        });
        self.filled = 0;
        let stopped = || SealError::Write(io::ErrorKind::BrokenPipe.into());
        self.to_hash
            .send(Arc::clone(&block))
            .map_err(|_| stopped())?;
        self.to_write.send(Ok(block)).map_err(|_| stopped())
    }

    /// Memory for the next block: new while there are few, then one that came back.
    fn empty(&mut self) -> Vec<u8> {
        let back = if self.made < BLOCKS {
            self.free.try_recv().ok()
        } else {
            self.free.recv().ok()
        };
        back.unwrap_or_else(|| {
            self.made = self.made.saturating_add(1);
            vec![0; self.block_bytes]
        })
    }
}

fn unreadable(found: &Found, source: io::Error) -> SealError {
    SealError::Read {
        path: found.shown.clone(),
        source,
    }
}

/// Reads as many bytes as the file was said to have.
fn fill(found: &Found, buffer: &mut [u8]) -> Result<(), SealError> {
    (&found.file).read_exact(buffer).map_err(|e| {
        if e.kind() == io::ErrorKind::UnexpectedEof {
            found.changed()
        } else {
            unreadable(found, e)
        }
    })
}
