//! The content of a package, read once from its first byte to its last and judged by what its sender has signed and
//! disclosed.
//!
//! One piece of code judges, wherever it runs: the command line that unpacks, and the daemon before it states that a
//! package is not what its sender said. It reads a stream and writes to a [`Sink`]; it opens nothing and seeks nowhere.
//! Items are not kept: of each it holds 8 bytes and what [`PathSet`] does, of the manifest one item at a time.

use std::convert::Infallible;
use std::io::{self, BufReader, Read};
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::base::{AuthorityId, Digest, Hasher, len_u64, limits};
use crate::package::bag::{self, Tags};
use crate::package::item_terms::{self, ItemTerms};
use crate::package::manifest::{Item, Manifest};
use crate::package::path::{ItemPath, PathSet};
use crate::package::tape::{self, TapeEntry, TapeFault};
use crate::policy::Terms;

mod fault;
mod listing;

pub use fault::{ContentFault, Halt};
use listing::Listed;

const BUFFER_BYTES: usize = 256 << 10;
/// Small tag files: `bag-info.txt`, `tagmanifest-sha256.txt`.
const TAG_BYTES_MAX: u64 = 4 << 10;

/// The content of a package as its dispatch and the disclosures beside it state it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expect {
    /// The sender.
    pub from: AuthorityId,
    /// The receiver.
    pub to: AuthorityId,
    /// The terms.
    pub terms: Terms,
    /// Which bytes of the plaintext are under terms of their own.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub item_terms: Vec<ItemTerms>,
    /// SHA-256 of the manifest.
    pub manifest: Digest,
    /// The Merkle root over its items.
    pub item_root: Digest,
    /// The sender's reference of the case.
    pub case: String,
    /// The request that the package answers.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request: Option<String>,
    /// The title, if it is disclosed: senders need not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub title: Option<String>,
    /// Whether the package was passed on: then the request need not be disclosed.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub passed_on: bool,
}

impl Expect {
    /// Reads a manifest and checks that it is the expected one.
    pub fn manifest(&self, bytes: &[u8]) -> Result<Manifest, ContentFault> {
        if Digest::of(bytes) != self.manifest {
            return Err(ContentFault::ManifestDigest);
        }
        let manifest = Manifest::parse(bytes)?;
        self.compare(&manifest, manifest.item_root())?;
        if !item_terms::agrees(&manifest, &self.item_terms) {
            return Err(ContentFault::ItemTerms);
        }
        Ok(manifest)
    }

    /// Whether a manifest, whose items are not looked at, says what was signed and disclosed.
    pub(super) fn compare(
        &self,
        manifest: &Manifest,
        item_root: Digest,
    ) -> Result<(), ContentFault> {
        if manifest.from != self.from || manifest.to != self.to {
            return Err(ContentFault::Parties {
                from: manifest.from.clone(),
                to: manifest.to.clone(),
            });
        }
        if manifest.terms != self.terms {
            return Err(ContentFault::Terms);
        }
        let request_may_differ = self.passed_on && self.request.is_none();
        let title_may_differ = self.title.is_none();
        for (name, same) in [
            ("case", manifest.case == self.case),
            (
                "request",
                request_may_differ || manifest.request == self.request,
            ),
            ("title", title_may_differ || manifest.title == self.title),
            ("item-root", item_root == self.item_root),
        ] {
            if !same {
                return Err(ContentFault::Disclosed(name));
            }
        }
        Ok(())
    }
}

/// Where the files of a package go while they are read.
pub trait Sink {
    /// Why a file cannot be written.
    type Error;

    /// The digest of this file, if it is there already and whole: its content is then passed over unread.
    fn has(&mut self, _path: &str) -> Option<Digest> {
        None
    }

    /// A file begins; its path has been checked.
    fn begin(&mut self, path: &str) -> Result<(), Self::Error>;

    /// Its next bytes.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;

    /// It is whole; this is when it was changed last, in seconds since 1970.
    fn end(&mut self, mtime: u64) -> Result<(), Self::Error>;
}

/// Takes everything and keeps nothing.
#[derive(Debug, Clone, Copy)]
pub struct Nowhere;

impl Sink for Nowhere {
    type Error = Infallible;

    fn begin(&mut self, _path: &str) -> Result<(), Infallible> {
        Ok(())
    }

    fn write(&mut self, _bytes: &[u8]) -> Result<(), Infallible> {
        Ok(())
    }

    fn end(&mut self, _mtime: u64) -> Result<(), Infallible> {
        Ok(())
    }
}

/// How much was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contents {
    /// Items.
    pub items: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Reads a whole plaintext and judges all of it: order and form of the entries, every item by the manifest, the
/// manifest by what is expected, every tag file by the manifest, and that nothing follows.
///
/// `withheld` are bytes that hold whole entries, in order; what stands there is passed over unread.
pub fn read<S: Sink>(
    from: impl Read,
    expect: &Expect,
    withheld: &[Range<u64>],
    sink: &mut S,
) -> Result<Contents, Halt<S::Error>> {
    fn read_over(from: &mut impl Read, bytes: u64) -> io::Result<()> {
        io::copy(&mut from.take(bytes), &mut io::sink()).map(drop)
    }
    read_passing(from, read_over, expect, withheld, sink)
}

/// The same with a way of passing over bytes that are not to be read, which may end behind the last one.
pub fn read_passing<R: Read, S: Sink>(
    from: R,
    pass: fn(&mut R, u64) -> io::Result<()>,
    expect: &Expect,
    withheld: &[Range<u64>],
    sink: &mut S,
) -> Result<Contents, Halt<S::Error>> {
    let mut reading = Reading {
        from: Counting { from, at: 0 },
        pass,
        sink,
    };
    let declaration = reading.tag(bag::DECLARATION, TAG_BYTES_MAX)?;
    if declaration != Digest::of(bag::DECLARATION_TEXT.as_bytes()) {
        return Err(ContentFault::Tag(bag::DECLARATION).into());
    }
    let (items, after) = reading.items(withheld)?;
    let info = reading.tag_of(&after, bag::INFO, TAG_BYTES_MAX)?;
    let payload_manifest = reading.tag(bag::PAYLOAD_MANIFEST, limits::MANIFEST_BYTES_MAX)?;
    let tags = reading.manifest(expect, &items, withheld)?;
    let tag_manifest = reading.tag(bag::TAG_MANIFEST, TAG_BYTES_MAX)?;
    let index = reading.tag(bag::INDEX, bag::INDEX_BYTES)?;
    reading.end()?;
    for (name, found, wanted) in [
        (bag::INFO, info, Digest::of(tags.info.as_bytes())),
        (
            bag::PAYLOAD_MANIFEST,
            payload_manifest,
            tags.payload_manifest_digest,
        ),
        (
            bag::TAG_MANIFEST,
            tag_manifest,
            Digest::of(tags.tag_manifest.as_bytes()),
        ),
        (bag::INDEX, index, Digest::of(tags.index.as_bytes())),
    ] {
        if found != wanted {
            return Err(ContentFault::Tag(name).into());
        }
    }
    Ok(Contents {
        items: len_u64(items.marks.len()),
        bytes: items.bytes,
    })
}

/// The entry of a tag file of this name and at most so many bytes.
pub fn check_tag(entry: &TapeEntry, name: &'static str, most: u64) -> Result<(), ContentFault> {
    if entry.path != name {
        return Err(ContentFault::order(name, &format!("{:?}", entry.path)));
    }
    if entry.size > most {
        return Err(ContentFault::Tag(name));
    }
    Ok(())
}

/// The items that were read, in a few bytes each: the manifest that lists them comes after them.
#[derive(Default)]
struct Items {
    /// The beginning of each one's digest, to tell which differs.
    marks: Vec<[u8; 8]>,
    /// All of the digests, to be sure.
    all: Hasher,
    bytes: u64,
}

impl Items {
    fn push(&mut self, path: &str, size: u64, sha256: &Digest) {
        let (mark, whole) = mark(path, size, sha256);
        self.marks.push(mark);
        self.all.update(whole.as_bytes());
        self.bytes = self.bytes.saturating_add(size);
    }
}

fn mark(path: &str, size: u64, sha256: &Digest) -> ([u8; 8], Digest) {
    let mut hasher = Hasher::new();
    hasher.update(sha256.as_bytes());
    hasher.update(&size.to_be_bytes());
    hasher.update(path.as_bytes());
    let whole = hasher.finish();
    let mut mark = [0; 8];
    mark.copy_from_slice(&whole.as_bytes()[..8]);
    (mark, whole)
}

/// A plaintext on its way into a sink.
struct Reading<'a, R, S> {
    from: Counting<R>,
    pass: fn(&mut R, u64) -> io::Result<()>,
    sink: &'a mut S,
}

impl<R: Read, S: Sink> Reading<'_, R, S> {
    /// Reads the items; also returns the first entry that is none.
    fn items(&mut self, withheld: &[Range<u64>]) -> Result<(Items, TapeEntry), Halt<S::Error>> {
        let (mut paths, mut items) = (PathSet::new(), Items::default());
        let mut withheld = withheld.iter().peekable();
        loop {
            while let Some(range) = withheld.next_if(|range| range.start == self.from.at) {
                self.pass_over(range.end.saturating_sub(range.start))?;
            }
            let entry = TapeEntry::read(&mut self.from)?
                .ok_or_else(|| ContentFault::order(bag::INFO, "the end"))?;
            let Some(path) = entry.path.strip_prefix(bag::PAYLOAD) else {
                return Ok((items, entry));
            };
            let path = ItemPath::parse(path).map_err(ContentFault::from)?;
            paths.insert(&path).map_err(ContentFault::from)?;
            if items.marks.len() == limits::ITEMS_MAX {
                return Err(ContentFault::TooLarge("1,000,000 items").into());
            }
            if items.bytes.saturating_add(entry.size) > limits::PAYLOAD_BYTES_MAX {
                return Err(ContentFault::TooLarge("2 TiB").into());
            }
            let digest = self.copy(&entry)?;
            items.push(path.as_str(), entry.size, &digest);
        }
    }

    fn pass_over(&mut self, bytes: u64) -> Result<(), Halt<S::Error>> {
        (self.pass)(&mut self.from.from, bytes).map_err(Halt::Source)?;
        self.from.at = self.from.at.saturating_add(bytes);
        Ok(())
    }

    fn tag(&mut self, name: &'static str, most: u64) -> Result<Digest, Halt<S::Error>> {
        let entry = self.entry(name)?;
        self.tag_of(&entry, name, most)
    }

    fn tag_of(
        &mut self,
        entry: &TapeEntry,
        name: &'static str,
        most: u64,
    ) -> Result<Digest, Halt<S::Error>> {
        check_tag(entry, name, most)?;
        self.copy(entry)
    }

    fn entry(&mut self, wanted: &'static str) -> Result<TapeEntry, Halt<S::Error>> {
        let entry = TapeEntry::read(&mut self.from)?;
        entry.ok_or_else(|| ContentFault::order(wanted, "the end").into())
    }

    fn copy(&mut self, entry: &TapeEntry) -> Result<Digest, Halt<S::Error>> {
        if let Some(digest) = self.sink.has(&entry.path) {
            self.pass_over(entry.size)?;
            tape::read_padding(&mut self.from, entry.size)?;
            return Ok(digest);
        }
        copy(&mut self.from, entry, &entry.path, self.sink)
    }

    /// Reads the manifest, compares it with the items that came and with what is expected, and tells which tag files go
    /// with it.
    fn manifest(
        &mut self,
        expect: &Expect,
        found: &Items,
        withheld: &[Range<u64>],
    ) -> Result<Tags, Halt<S::Error>> {
        let entry = self.entry(bag::MANIFEST)?;
        check_tag(&entry, bag::MANIFEST, limits::MANIFEST_BYTES_MAX)?;
        self.sink.begin(bag::MANIFEST).map_err(Halt::Sink)?;
        let (mut listed, mut marks) = (Hasher::new(), found.marks.iter());
        let compare = |item: &Item| {
            if withheld.iter().any(|range| range.contains(&item.offset)) {
                return Ok(());
            }
            let (mark, whole) = mark(item.path.as_str(), item.size, &item.sha256);
            if marks.next() != Some(&mark) {
                return Err(ContentFault::Item(item.path.to_string()));
            }
            listed.update(whole.as_bytes());
            Ok(())
        };
        let mut refused = None;
        let tee = Tee {
            from: (&mut self.from).take(entry.size),
            sink: &mut *self.sink,
            hasher: Hasher::new(),
            refused: &mut refused,
        };
        let mut tee = BufReader::with_capacity(BUFFER_BYTES, tee);
        let read = listing::read(&mut tee, expect, compare);
        if let Err(Halt::Source(e)) = read {
            return Err(refused.map_or(Halt::Source(e), Halt::Sink));
        }
        // Whatever is wrong with it: first comes whether it is the one that was disclosed.
        let drained = io::copy(&mut tee, &mut io::sink());
        let (left, digest) = {
            let tee = tee.into_inner();
            (tee.from.limit(), tee.hasher.finish())
        };
        if let Some(fault) = refused {
            return Err(Halt::Sink(fault));
        }
        drained.map_err(Halt::Source)?;
        if left > 0 {
            return Err(TapeFault::Cut.into());
        }
        if digest != expect.manifest {
            return Err(ContentFault::ManifestDigest.into());
        }
        let Listed { tags, items } = read?;
        if marks.next().is_some() || listed.finish() != found.all.clone().finish() {
            return Err(ContentFault::Unlisted(len_u64(found.marks.len()), items).into());
        }
        self.sink.end(entry.mtime).map_err(Halt::Sink)?;
        tape::read_padding(&mut self.from, entry.size)?;
        Ok(tags)
    }

    /// The end blocks, and nothing after them.
    fn end(&mut self) -> Result<(), Halt<S::Error>> {
        if let Some(entry) = TapeEntry::read(&mut self.from)? {
            return Err(ContentFault::order("the end", &format!("{:?}", entry.path)).into());
        }
        let more = (&mut self.from).take(1).read_to_end(&mut Vec::new());
        match more.map_err(Halt::Source)? {
            0 => Ok(()),
            _ => Err(ContentFault::Trailing.into()),
        }
    }
}

/// Hands the content of an entry to the sink, as a file of this path, and returns its digest.
pub fn copy<S: Sink>(
    from: &mut impl Read,
    entry: &TapeEntry,
    path: &str,
    sink: &mut S,
) -> Result<Digest, Halt<S::Error>> {
    sink.begin(path).map_err(Halt::Sink)?;
    let mut hasher = Hasher::new();
    let mut left = entry.size;
    let mut buffer = vec![0; usize::try_from(left).map_or(BUFFER_BYTES, |it| it.min(BUFFER_BYTES))];
    while left > 0 {
        let piece = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let bytes = buffer.get_mut(..piece).unwrap_or_default();
        tape::fill(from, bytes)?;
        hasher.update(bytes);
        sink.write(bytes).map_err(Halt::Sink)?;
        left = left.saturating_sub(len_u64(piece));
    }
    sink.end(entry.mtime).map_err(Halt::Sink)?;
    tape::read_padding(from, entry.size)?;
    Ok(hasher.finish())
}

/// Counts what was read.
struct Counting<R> {
    from: R,
    at: u64,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        self.at = self.at.saturating_add(len_u64(read));
        Ok(read)
    }
}

/// Hashes what is read of a file and hands it to the sink.
struct Tee<'a, R, S: Sink> {
    from: R,
    sink: &'a mut S,
    hasher: Hasher,
    /// Why the sink did not take it.
    refused: &'a mut Option<S::Error>,
}

impl<R: Read, S: Sink> Read for Tee<'_, R, S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        let bytes = into.get(..read).unwrap_or_default();
        self.hasher.update(bytes);
        match self.sink.write(bytes) {
            Ok(()) => Ok(read),
            Err(fault) => {
                *self.refused = Some(fault);
                Err(io::ErrorKind::Other.into())
            }
        }
    }
}

#[cfg(test)]
mod tests;
