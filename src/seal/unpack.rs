//! Unpacking: a plaintext becomes a folder only if every byte is as the sender's receipt and manifest have it.

use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom, Write as _};

use crate::base::AuthorityId;
use crate::base::Digest;
use crate::base::Hasher;
use crate::base::limits;
use crate::package::bag::{self, Tags};
use crate::package::item_terms::{self, ItemTerms};
use crate::package::manifest::{Item, Manifest};
use crate::package::path::{ItemPath, PathSet};
use crate::package::tape::{self, Entry};
use crate::policy::Terms;
use crate::seal::fault::UnpackError;
use crate::seal::names::Search;
use crate::seal::tree::{self, Target};

const BUFFER_BYTES: usize = 256 << 10;
/// Small tag files: `bag-info.txt`, `tagmanifest-sha256.txt`.
const TAG_BYTES_MAX: u64 = 4 << 10;

/// What the sender's receipt says about the package.
#[derive(Debug, Clone)]
pub struct Expect {
    /// The sender.
    pub from: AuthorityId,
    /// The receiver.
    pub to: AuthorityId,
    /// The terms.
    pub terms: Terms,
    /// Which bytes of the plaintext are under terms of their own.
    pub item_terms: Vec<ItemTerms>,
    /// The digest of `rogatory/manifest.json`.
    pub manifest_digest: Digest,
}

impl Expect {
    /// Reads a manifest and checks that it is the expected one.
    fn manifest(&self, bytes: &[u8]) -> Result<Manifest, UnpackError> {
        if Digest::of(bytes) != self.manifest_digest {
            return Err(UnpackError::ManifestDigest);
        }
        let manifest = Manifest::parse(bytes)?;
        if manifest.from != self.from || manifest.to != self.to {
            return Err(UnpackError::Parties {
                from: manifest.from,
                to: manifest.to,
            });
        }
        if manifest.terms != self.terms {
            return Err(UnpackError::Terms);
        }
        if !item_terms::agrees(&manifest, &self.item_terms) {
            return Err(UnpackError::ItemTerms);
        }
        Ok(manifest)
    }
}

/// What was unpacked.
#[derive(Debug, Clone)]
pub struct Unpacked {
    /// The manifest.
    pub manifest: Manifest,
    /// How many items were written.
    pub items: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Unpacks a whole plaintext into a new folder, a valid bag; files get mode 0600, folders 0700.
///
/// The folder is removed on any fault and gets its name when everything agreed: order and form of the entries, the manifest with
/// `expect`, every item with the manifest, every tag file with the manifest.
pub fn unpack(
    plaintext: impl Read,
    target: Target,
    expect: &Expect,
) -> Result<Unpacked, UnpackError> {
    let plaintext = BufReader::with_capacity(BUFFER_BYTES, plaintext);
    // Nothing is there already.
    let pass = |_: &mut BufReader<_>, _| Err(ErrorKind::Unsupported.into());
    whole(Unpacking::new(plaintext, target, pass), expect)
}

/// The same where an earlier attempt has left items of the same package: those that are whole stay, and are not read again.
pub fn unpack_rest(
    plaintext: &mut (impl Read + Seek),
    mut target: Target,
    expect: &Expect,
) -> Result<Unpacked, UnpackError> {
    let manifest = find_manifest(plaintext, expect)?;
    let items = manifest.items.iter();
    target.check_left_over(items.map(|item| (format!("{}{}", bag::PAYLOAD, item.path), item)))?;
    plaintext.rewind().map_err(UnpackError::Read)?;
    whole(Unpacking::new(plaintext, target, pass_over), expect)
}

fn pass_over<R: Seek>(plaintext: &mut R, bytes: u64) -> io::Result<()> {
    let bytes = i64::try_from(bytes).map_err(|_| ErrorKind::InvalidInput)?;
    plaintext.seek_relative(bytes)
}

/// The items of a plaintext, and that everything agrees.
fn whole<R: Read>(mut unpacking: Unpacking<R>, expect: &Expect) -> Result<Unpacked, UnpackError> {
    let first = unpacking.tag(bag::DECLARATION, 0..=TAG_BYTES_MAX)?;
    if first.digest != Digest::of(bag::DECLARATION_TEXT.as_bytes()) {
        return Err(UnpackError::Tag(bag::DECLARATION));
    }
    let (items, after) = unpacking.items()?;
    let info = unpacking.tag_of(&after, bag::INFO, 0..=TAG_BYTES_MAX)?;
    let payload_manifest = unpacking.tag(bag::PAYLOAD_MANIFEST, 0..=limits::MANIFEST_BYTES_MAX)?;
    let mut json = Vec::new();
    let entry = unpacking
        .entry()?
        .ok_or_else(|| order(bag::MANIFEST, "the end"))?;
    check_tag(&entry, bag::MANIFEST, &(0..=limits::MANIFEST_BYTES_MAX))?;
    let mtime = entry.mtime;
    unpacking.copy(&entry, bag::MANIFEST, Some(&mut json))?;
    let manifest = expect.manifest(&json)?;
    drop(json);
    compare(&items, &manifest)?;
    let tag_manifest = unpacking.tag(bag::TAG_MANIFEST, 0..=TAG_BYTES_MAX)?;
    let index = unpacking.tag(bag::INDEX, bag::INDEX_BYTES..=bag::INDEX_BYTES)?;
    unpacking.end()?;
    let tags = Tags::of(&manifest);
    let right_mtime = tape::clamped_mtime(manifest.created.seconds());
    for (name, found, digest) in [
        (bag::DECLARATION, first, first.digest),
        (bag::INFO, info, Digest::of(tags.info.as_bytes())),
        (
            bag::PAYLOAD_MANIFEST,
            payload_manifest,
            tags.payload_manifest_digest,
        ),
        (
            bag::MANIFEST,
            Tag {
                digest: tags.manifest_digest,
                mtime,
            },
            expect.manifest_digest,
        ),
        (
            bag::TAG_MANIFEST,
            tag_manifest,
            Digest::of(tags.tag_manifest.as_bytes()),
        ),
        (bag::INDEX, index, Digest::of(tags.index.as_bytes())),
    ] {
        if found.digest != digest || found.mtime != right_mtime {
            return Err(UnpackError::Tag(name));
        }
    }
    unpacking.finish(manifest, items.len() as u64)
}

/// Unpacks single items into a new folder, each under its own path. A path that names a folder stands for all items in it.
///
/// Reads the index at the end, the manifest and the items asked for, and nothing else: where the plaintext is decrypted as it is
/// read, the rest stays sealed. Items that an earlier attempt has left whole stay, and are not read again.
pub fn unpack_items(
    plaintext: &mut (impl Read + Seek),
    items: &[String],
    mut target: Target,
    expect: &Expect,
) -> Result<Unpacked, UnpackError> {
    let manifest = find_manifest(plaintext, expect)?;
    let mut search = Search::new(items);
    let wanted = manifest.items.iter();
    let wanted: Vec<&Item> = wanted
        .filter(|item| search.look(&item.path, item.size))
        .collect();
    search.result()?;
    let all = wanted.iter();
    target.check_left_over(all.map(|item| (item.path.to_string(), *item)))?;
    let mut unpacking = Unpacking::new(plaintext, target, pass_over);
    let mut count = 0;
    for item in wanted {
        let name = format!("{}{}", bag::PAYLOAD, item.path);
        let head = item.offset - tape::head_length(&name, item.size);
        unpacking
            .from
            .seek(SeekFrom::Start(head))
            .map_err(UnpackError::Read)?;
        let entry = unpacking
            .entry()?
            .filter(|entry| entry.path == name && entry.size == item.size);
        let mismatch = || UnpackError::Item(item.path.to_string());
        let entry = entry.ok_or_else(mismatch)?;
        if unpacking.copy(&entry, item.path.as_str(), None)? != item.sha256 {
            return Err(mismatch());
        }
        unpacking.bytes += item.size;
        count += 1;
    }
    unpacking.finish(manifest, count)
}

/// Reads the index and the manifest that it points to.
fn find_manifest(
    plaintext: &mut (impl Read + Seek),
    expect: &Expect,
) -> Result<Manifest, UnpackError> {
    let (offset, bytes) = seek_manifest(plaintext)?;
    let manifest = expect.manifest(&read_whole(plaintext, bytes)?)?;
    let tags = Tags::of(&manifest);
    let len = plaintext.seek(SeekFrom::End(0));
    if tags.tar_bytes != len.map_err(UnpackError::Read)? || tags.manifest_offset != offset {
        return Err(UnpackError::Tag(bag::INDEX));
    }
    Ok(manifest)
}

/// Reads the index and goes to the manifest that it points to: where that lies, and its length.
pub(super) fn seek_manifest(plaintext: &mut (impl Read + Seek)) -> Result<(u64, u64), UnpackError> {
    let len = plaintext
        .seek(SeekFrom::End(0))
        .map_err(UnpackError::Read)?;
    let tail = len
        .checked_sub(bag::INDEX_TAIL_BYTES)
        .ok_or_else(|| order(bag::INDEX, "the end"))?;
    plaintext
        .seek(SeekFrom::Start(tail))
        .map_err(UnpackError::Read)?;
    let entry = Entry::read(plaintext)?.ok_or_else(|| order(bag::INDEX, "the end"))?;
    check_tag(&entry, bag::INDEX, &(bag::INDEX_BYTES..=bag::INDEX_BYTES))?;
    let index = read_whole(plaintext, entry.size)?;
    let (offset, bytes) = std::str::from_utf8(&index)
        .ok()
        .and_then(bag::parse_index)
        .filter(|(offset, bytes)| {
            *offset >= tape::BLOCK && *offset < tail && *bytes <= tail - *offset
        })
        .ok_or(UnpackError::Tag(bag::INDEX))?;
    plaintext
        .seek(SeekFrom::Start(offset - tape::BLOCK))
        .map_err(UnpackError::Read)?;
    let entry = Entry::read(plaintext)?.ok_or_else(|| order(bag::MANIFEST, "the end"))?;
    check_tag(
        &entry,
        bag::MANIFEST,
        &(bytes..=bytes.min(limits::MANIFEST_BYTES_MAX)),
    )?;
    Ok((offset, bytes))
}

fn read_whole(from: &mut impl Read, len: u64) -> Result<Vec<u8>, UnpackError> {
    let mut bytes = Vec::new();
    from.take(len)
        .read_to_end(&mut bytes)
        .map_err(UnpackError::Read)?;
    if bytes.len() as u64 == len {
        Ok(bytes)
    } else {
        Err(UnpackError::Read(ErrorKind::UnexpectedEof.into()))
    }
}

fn order(wanted: &'static str, found: &str) -> UnpackError {
    UnpackError::Order {
        wanted,
        found: found.chars().take(200).collect(),
    }
}

fn check_tag(
    entry: &Entry,
    name: &'static str,
    sizes: &std::ops::RangeInclusive<u64>,
) -> Result<(), UnpackError> {
    if entry.path != name {
        return Err(order(name, &format!("{:?}", entry.path)));
    }
    if sizes.contains(&entry.size) {
        Ok(())
    } else {
        Err(UnpackError::Tag(name))
    }
}

/// An item as it was found in the tar.
struct Written {
    path: ItemPath,
    size: u64,
    digest: Digest,
}

/// A tag file as it was found in the tar.
#[derive(Clone, Copy)]
struct Tag {
    digest: Digest,
    mtime: u64,
}

/// Whether what was written is what the manifest lists, in its order. (Its offsets follow from names and lengths.)
fn compare(written: &[Written], manifest: &Manifest) -> Result<(), UnpackError> {
    for (number, item) in manifest.items.iter().enumerate() {
        let same = written.get(number).is_some_and(|found| {
            found.path == item.path && found.size == item.size && found.digest == item.sha256
        });
        if !same {
            return Err(UnpackError::Item(item.path.to_string()));
        }
    }
    match written.get(manifest.items.len()) {
        Some(extra) => Err(UnpackError::Item(extra.path.to_string())),
        None => Ok(()),
    }
}

/// A plaintext on its way into a tree.
struct Unpacking<R> {
    from: R,
    target: Target,
    /// Passes over bytes of what is there already.
    pass: fn(&mut R, u64) -> io::Result<()>,
    buffer: Vec<u8>,
    bytes: u64,
}

impl<R: Read> Unpacking<R> {
    fn new(from: R, target: Target, pass: fn(&mut R, u64) -> io::Result<()>) -> Self {
        Self {
            from,
            target,
            pass,
            buffer: vec![0; BUFFER_BYTES],
            bytes: 0,
        }
    }

    fn entry(&mut self) -> Result<Option<Entry>, UnpackError> {
        Ok(Entry::read(&mut self.from)?)
    }

    /// Writes the items; also returns the first entry that is none.
    fn items(&mut self) -> Result<(Vec<Written>, Entry), UnpackError> {
        let mut paths = PathSet::new();
        let mut items = Vec::new();
        loop {
            let entry = self.entry()?.ok_or_else(|| order(bag::INFO, "the end"))?;
            let Some(path) = entry.path.strip_prefix(bag::PAYLOAD) else {
                return Ok((items, entry));
            };
            let path = ItemPath::parse(path)?;
            paths.insert(&path)?;
            if items.len() == limits::ITEMS_MAX {
                return Err(UnpackError::TooLarge("1,000,000 items"));
            }
            if self.bytes.saturating_add(entry.size) > limits::PAYLOAD_BYTES_MAX {
                return Err(UnpackError::TooLarge("2 TiB"));
            }
            let digest = self.copy(&entry, &entry.path, None)?;
            self.bytes += entry.size;
            items.push(Written {
                path,
                size: entry.size,
                digest,
            });
        }
    }

    fn tag(
        &mut self,
        name: &'static str,
        sizes: std::ops::RangeInclusive<u64>,
    ) -> Result<Tag, UnpackError> {
        let entry = self.entry()?.ok_or_else(|| order(name, "the end"))?;
        self.tag_of(&entry, name, sizes)
    }

    fn tag_of(
        &mut self,
        entry: &Entry,
        name: &'static str,
        sizes: std::ops::RangeInclusive<u64>,
    ) -> Result<Tag, UnpackError> {
        check_tag(entry, name, &sizes)?;
        let digest = self.copy(entry, name, None)?;
        Ok(Tag {
            digest,
            mtime: entry.mtime,
        })
    }

    /// Writes the content of an entry to this path and returns its digest; `keep` takes a copy.
    fn copy(
        &mut self,
        entry: &Entry,
        path: &str,
        mut keep: Option<&mut Vec<u8>>,
    ) -> Result<Digest, UnpackError> {
        if let Some(digest) = self.target.take_whole(path) {
            (self.pass)(&mut self.from, entry.size).map_err(UnpackError::Read)?;
            tape::read_padding(&mut self.from, entry.size)?;
            return Ok(digest);
        }
        let mut file = self.target.file(path)?;
        let mut hasher = Hasher::new();
        let mut left = entry.size;
        while left > 0 {
            let wanted = usize::try_from(left)
                .unwrap_or(BUFFER_BYTES)
                .min(BUFFER_BYTES);
            let read = match self.from.read(&mut self.buffer[..wanted]) {
                Ok(0) => return Err(UnpackError::Read(ErrorKind::UnexpectedEof.into())),
                Ok(read) => read,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(UnpackError::Read(e)),
            };
            let bytes = &self.buffer[..read];
            hasher.update(bytes);
            file.write_all(bytes)
                .map_err(|e| tree::write_error(path, e))?;
            if let Some(keep) = &mut keep {
                keep.extend_from_slice(bytes);
            }
            left -= read as u64;
        }
        tree::set_mtime(&file, entry.mtime).map_err(|e| tree::write_error(path, e))?;
        tape::read_padding(&mut self.from, entry.size)?;
        Ok(hasher.finish())
    }

    /// The end blocks, and nothing after them.
    fn end(&mut self) -> Result<(), UnpackError> {
        if let Some(entry) = self.entry()? {
            return Err(order("the end", &format!("{:?}", entry.path)));
        }
        let mut more = Vec::new();
        self.from
            .by_ref()
            .take(1)
            .read_to_end(&mut more)
            .map_err(UnpackError::Read)?;
        if more.is_empty() {
            Ok(())
        } else {
            Err(UnpackError::Trailing)
        }
    }

    fn finish(self, manifest: Manifest, items: u64) -> Result<Unpacked, UnpackError> {
        let bytes = self.bytes;
        self.target.finish()?;
        Ok(Unpacked {
            manifest,
            items,
            bytes,
        })
    }
}
