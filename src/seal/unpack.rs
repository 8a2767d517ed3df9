//! Unpacking: a plaintext becomes a folder only if every byte is as the sender's receipt and manifest have it.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom, Write as _};

use crate::base::{Digest, len_u64, limits};
use crate::package::bag::{self, Tags};
use crate::package::content::{self, ContentFault, Contents, Expect, Sink};
use crate::package::manifest::{Item, Manifest};
use crate::package::tape::{self, TapeEntry, TapeFault};
use crate::seal::fault::UnpackError;
use crate::seal::names::Search;
use crate::seal::tree::{self, Target};

const BUFFER_BYTES: usize = 256 << 10;

/// The unpacked content.
#[derive(Debug, Clone)]
pub struct Unpacked {
    /// How many items were written.
    pub items: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Unpacks a whole plaintext into a new folder, a valid bag; files get mode 0600, folders 0700.
///
/// The folder is removed on any fault and gets its name when [`content::read`] has found everything as it must be.
pub fn unpack(
    plaintext: impl Read,
    target: Target,
    expect: &Expect,
) -> Result<Unpacked, UnpackError> {
    let mut files = Files { target, open: None };
    let plaintext = BufReader::with_capacity(BUFFER_BYTES, plaintext);
    let read = content::read(plaintext, expect, &[], &mut files)?;
    files.finish(read)
}

/// The same where an earlier attempt has left items of the same package: those that are whole stay, and are not read
/// again.
pub fn unpack_rest(
    plaintext: &mut (impl Read + Seek),
    mut target: Target,
    expect: &Expect,
) -> Result<Unpacked, UnpackError> {
    let manifest = find_manifest(plaintext, expect)?;
    let items = manifest.items.iter();
    target.check_left_over(items.map(|item| (format!("{}{}", bag::PAYLOAD, item.path), item)))?;
    seek(plaintext, SeekFrom::Start(0))?;
    let mut files = Files { target, open: None };
    let read = content::read_passing(plaintext, pass_over, expect, &[], &mut files)?;
    files.finish(read)
}

fn pass_over<R: Seek>(plaintext: &mut R, bytes: u64) -> io::Result<()> {
    let bytes = i64::try_from(bytes).map_err(|_| ErrorKind::InvalidInput)?;
    plaintext.seek_relative(bytes)
}

/// Unpacks single items into a new folder, each under its own path. A path that names a folder stands for all items in
/// it.
///
/// Reads the index at the end, the manifest and the items asked for, and nothing else: where the plaintext is decrypted
/// as it is read, the rest stays sealed. Items that an earlier attempt has left whole stay, and are not read again.
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
    let mut files = Files { target, open: None };
    let mut unpacked = Contents { items: 0, bytes: 0 };
    for item in wanted {
        let name = format!("{}{}", bag::PAYLOAD, item.path);
        let mismatch = || ContentFault::Item(item.path.to_string());
        let head = tape::head_length(&name, item.size);
        let head = item.offset.checked_sub(head).ok_or_else(mismatch)?;
        seek(plaintext, SeekFrom::Start(head))?;
        let entry = TapeEntry::read(plaintext)?;
        let entry = entry.filter(|entry| entry.path == name && entry.size == item.size);
        let entry = entry.ok_or_else(mismatch)?;
        let digest = match files.has(item.path.as_str()) {
            Some(digest) => digest,
            None => content::copy(plaintext, &entry, item.path.as_str(), &mut files)?,
        };
        if digest != item.sha256 {
            return Err(mismatch().into());
        }
        unpacked.bytes = unpacked.bytes.saturating_add(item.size);
        unpacked.items = unpacked.items.saturating_add(1);
    }
    files.finish(unpacked)
}

/// Reads the index and the manifest that it points to, which must be what the sender has signed and disclosed.
pub fn find_manifest(
    plaintext: &mut (impl Read + Seek),
    expect: &Expect,
) -> Result<Manifest, UnpackError> {
    let (offset, bytes) = seek_manifest(plaintext)?;
    let manifest = expect.manifest(&read_whole(plaintext, bytes)?)?;
    let tags = Tags::of(&manifest);
    let len = seek(plaintext, SeekFrom::End(0))?;
    if tags.tar_bytes != len || tags.manifest_offset != offset {
        return Err(ContentFault::Tag(bag::INDEX).into());
    }
    Ok(manifest)
}

/// Reads the index and goes to the manifest that it points to: where that lies, and its length.
pub(super) fn seek_manifest(plaintext: &mut (impl Read + Seek)) -> Result<(u64, u64), UnpackError> {
    let len = seek(plaintext, SeekFrom::End(0))?;
    let tail = len
        .checked_sub(bag::INDEX_TAIL_BYTES)
        .ok_or(ContentFault::Tape(TapeFault::Cut))?;
    seek(plaintext, SeekFrom::Start(tail))?;
    let entry = entry(plaintext, bag::INDEX)?;
    content::check_tag(&entry, bag::INDEX, bag::INDEX_BYTES)?;
    let index = read_whole(plaintext, entry.size)?;
    let (offset, bytes, head) = std::str::from_utf8(&index)
        .ok()
        .and_then(bag::parse_index)
        .filter(|(offset, bytes)| {
            *offset < tail && offset.checked_add(*bytes).is_some_and(|end| end <= tail)
        })
        .and_then(|(offset, bytes)| Some((offset, bytes, offset.checked_sub(tape::BLOCK)?)))
        .ok_or(ContentFault::Tag(bag::INDEX))?;
    seek(plaintext, SeekFrom::Start(head))?;
    let entry = self::entry(plaintext, bag::MANIFEST)?;
    content::check_tag(&entry, bag::MANIFEST, limits::MANIFEST_BYTES_MAX)?;
    if entry.size == bytes {
        Ok((offset, bytes))
    } else {
        Err(ContentFault::Tag(bag::INDEX).into())
    }
}

fn seek(plaintext: &mut impl Seek, to: SeekFrom) -> Result<u64, UnpackError> {
    plaintext.seek(to).map_err(UnpackError::Read)
}

fn entry(plaintext: &mut impl Read, wanted: &'static str) -> Result<TapeEntry, UnpackError> {
    let entry = TapeEntry::read(plaintext)?;
    Ok(entry.ok_or_else(|| ContentFault::order(wanted, "the end"))?)
}

fn read_whole(from: &mut impl Read, len: u64) -> Result<Vec<u8>, UnpackError> {
    let mut bytes = Vec::new();
    from.take(len)
        .read_to_end(&mut bytes)
        .map_err(UnpackError::Read)?;
    if len_u64(bytes.len()) == len {
        Ok(bytes)
    } else {
        Err(ContentFault::Tape(TapeFault::Cut).into())
    }
}

/// The files of a package on their way into a folder.
struct Files {
    target: Target,
    /// The one that is being written, and its path.
    open: Option<(String, File)>,
}

impl Files {
    fn finish(self, read: Contents) -> Result<Unpacked, UnpackError> {
        self.target.finish()?;
        Ok(Unpacked {
            items: read.items,
            bytes: read.bytes,
        })
    }
}

impl Sink for Files {
    type Error = UnpackError;

    fn has(&mut self, path: &str) -> Option<Digest> {
        self.target.take_whole(path)
    }

    fn begin(&mut self, path: &str) -> Result<(), UnpackError> {
        self.open = Some((path.to_owned(), self.target.file(path)?));
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), UnpackError> {
        match &mut self.open {
            Some((path, file)) => file
                .write_all(bytes)
                .map_err(|e| tree::write_error(path, e)),
            None => Ok(()),
        }
    }

    fn end(&mut self, mtime: u64) -> Result<(), UnpackError> {
        match self.open.take() {
            Some((path, file)) => {
                tree::set_mtime(&file, mtime).map_err(|e| tree::write_error(&path, e))
            }
            None => Ok(()),
        }
    }
}
