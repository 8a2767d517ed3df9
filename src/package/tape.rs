//! The tar of a package (POSIX ustar with pax `path` and `size` where ustar cannot hold them): one way to write an
//! entry, and a reader that takes what this module would have written, and little else.
//!
//! Tar readers disagree about odd archives, and the disagreement has been used to show one file to a checker and
//! another to a user. So an entry is read, encoded again, and compared: name, kind, length and place of each file have
//! one spelling. Left free is only what no reader takes any of these from (see [`TapeEntry::read`]), so that archives
//! of other writers pass.

use std::io::{self, Read};

use crate::base::{len_u64, limits};

/// A tar is made of blocks of this many bytes.
pub const BLOCK: u64 = 512;
/// The end of a tar: two blocks of zeros.
pub const END: [u8; 1024] = [0; 1024];

/// The largest size and time that eleven octal digits hold.
const OCTAL_11_MAX: u64 = 0o777_7777_7777;
/// A path of at most 1,029 bytes and a size, each with its key and length.
const PAX_BYTES_MAX: u64 = 2 * BLOCK + BLOCK;
const BLOCK_LEN: usize = 512;
const PAX_NAME: &str = "././@PaxHeader";
/// The byte that stands for a character that is not ASCII, in the name that readers without pax see.
const NOT_ASCII: u8 = b'_';
/// A header block.
type Block = [u8; BLOCK_LEN];

/// Why bytes are not the tar of a package.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TapeFault {
    /// The bytes end before the archive does.
    #[error("the archive is cut off: it ends before its end blocks")]
    Cut,
    /// Another kind of entry than a regular file: link, device, folder.
    #[error("the archive has an entry of type {0:?}; only regular files are allowed")]
    EntryType(char),
    /// A pax record other than `path` and `size`, or malformed.
    #[error("the archive has an extended header that packages do not have")]
    Pax,
    /// A file larger than any payload may be.
    #[error("the archive has an entry of {0} bytes, more than a package may have")]
    TooLarge(u64),
    /// A header that says what we say, but not as we say it, or a wrong checksum.
    #[error("the header of entry {0:?} is not written as packages write it")]
    NotOurs(String),
    /// Bytes other than zero between two entries, or one lone zero block.
    #[error("the archive has stray bytes between entries")]
    Padding,
}

/// Why an entry was not read: the archive is at fault, or whatever it is read from.
#[derive(Debug, thiserror::Error)]
pub enum TapeError {
    /// The archive.
    #[error(transparent)]
    Fault(#[from] TapeFault),
    /// Its bytes did not come.
    #[error("the archive cannot be read on: {0}")]
    Source(#[from] io::Error),
}

/// One regular file of a tar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TapeEntry {
    /// Its path in the archive.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Whole seconds since 1970, 0 to 8,589,934,591.
    pub mtime: u64,
}

/// This many bytes and the zeros up to the next block; the largest number where that has none, which no length may be.
pub const fn padded(len: u64) -> u64 {
    match len.checked_next_multiple_of(BLOCK) {
        Some(padded) => padded,
        None => u64::MAX,
    }
}

/// The nearest modification time that ustar can hold.
pub fn clamped_mtime(seconds: i64) -> u64 {
    u64::try_from(seconds).unwrap_or(0).min(OCTAL_11_MAX)
}

/// How long [`TapeEntry::head`] is for this path and size, in bytes: 512, or 1,024 and the pax records in whole blocks.
pub fn head_length(path: &str, size: u64) -> u64 {
    match pax_records(path, size).len() {
        0 => BLOCK,
        len => (2 * BLOCK).saturating_add(padded(len_u64(len))),
    }
}

impl TapeEntry {
    /// The blocks before the content.
    pub fn head(&self) -> Vec<u8> {
        let pax = pax_records(&self.path, self.size);
        let mut head = Vec::with_capacity(4 * BLOCK_LEN);
        if !pax.is_empty() {
            head.extend(block(b'x', ("", PAX_NAME), len_u64(pax.len()), 0));
            head.extend(&pax);
            head.resize(head.len().next_multiple_of(BLOCK_LEN), 0);
        }
        let size = if self.size > OCTAL_11_MAX {
            0
        } else {
            self.size
        };
        let stand_in = stand_in(&self.path);
        let name = ustar_name(&self.path).unwrap_or(("", &stand_in));
        head.extend(block(b'0', name, size, self.mtime));
        head
    }

    /// Reads the blocks before the next content; `None` at the end of the archive. The caller reads the content and
    /// [`read_padding`] before it calls again.
    ///
    /// Free are, in the block before pax records, everything but its type, length, magic and checksum; after pax
    /// records with a path, which printable character other than `/` stands for one that is not ASCII; device numbers,
    /// as zeros or as NUL; and how many zeros a checksum begins with.
    pub fn read(from: &mut impl Read) -> Result<Option<Self>, TapeError> {
        let mut first = [0; BLOCK_LEN];
        fill(from, &mut first)?;
        if first.iter().all(|byte| *byte == 0) {
            fill(from, &mut first)?;
            let ends = first.iter().all(|byte| *byte == 0);
            return ends
                .then_some(None)
                .ok_or_else(|| TapeFault::Padding.into());
        }
        let (mut path, mut size) = (None, None);
        let (mut records, mut main) = (Vec::new(), first);
        if first[156] == b'x' {
            let len = octal(&first[124..135])
                .filter(|len| (1..=PAX_BYTES_MAX).contains(len))
                .and_then(|len| usize::try_from(len).ok())
                .ok_or(TapeFault::Pax)?;
            records.resize(len.next_multiple_of(BLOCK_LEN), 0);
            fill(from, &mut records)?;
            fill(from, &mut main)?;
            let read = records.get(..len).and_then(read_pax);
            (path, size) = read.ok_or(TapeFault::Pax)?;
        }
        if main[156] != b'0' {
            return Err(TapeFault::EntryType(main[156].into()).into());
        }
        let entry = Self {
            path: path.unwrap_or_else(|| joined_name(&main)),
            size: size
                .or_else(|| octal(&main[124..135]))
                .ok_or_else(|| TapeFault::NotOurs(joined_name(&main)))?,
            mtime: octal(&main[136..147]).ok_or_else(|| TapeFault::NotOurs(joined_name(&main)))?,
        };
        if entry.size > limits::PAYLOAD_BYTES_MAX {
            return Err(TapeFault::TooLarge(entry.size).into());
        }
        let wanted = entry.head();
        let is_spelled = wanted.split_last_chunk().is_some_and(|(pax, block)| {
            let is_pax_spelled = match pax.split_first_chunk() {
                Some((head, wanted)) => is_pax_head(&first, head) && records == wanted,
                None => records.is_empty(),
            };
            is_pax_spelled && is_main_block(main, block, &entry.path)
        });
        if is_spelled {
            Ok(Some(entry))
        } else {
            Err(TapeFault::NotOurs(entry.path).into())
        }
    }
}

/// Whether this block before pax records is the wanted one, but for what is free: name, mode and ids; time and
/// checksum; names of owner and group, device numbers and prefix.
fn is_pax_head(block: &Block, wanted: &Block) -> bool {
    is_summed(block)
        && block[124..136] == wanted[124..136]
        && block[156..265] == wanted[156..265]
        && block[500..] == wanted[500..]
}

/// Whether the block before a content is the wanted one, but for what is free.
fn is_main_block(mut block: Block, wanted: &Block, path: &str) -> bool {
    if !is_summed(&block) {
        return false;
    }
    block[148..156].copy_from_slice(&wanted[148..156]);
    // Device numbers, which a regular file does not have.
    if block[329..345].iter().all(|byte| *byte == 0) {
        block[329..345].copy_from_slice(&wanted[329..345]);
    }
    if ustar_name(path).is_none() {
        for (found, wanted) in block.iter_mut().zip(path.chars().take(100)) {
            if !wanted.is_ascii() && found.is_ascii_graphic() && *found != b'/' {
                *found = NOT_ASCII;
            }
        }
    }
    block == *wanted
}

/// Whether the checksum of a header block is right: six or seven octal digits, then NUL and spaces.
fn is_summed(block: &Block) -> bool {
    // The checksum counts as spaces in the sum.
    let summed = block[..148].iter().chain(b"        ").chain(&block[156..]);
    let sum = summed.map(|byte| u64::from(*byte)).sum();
    let field = &block[148..156];
    let is_end = |byte: &u8| matches!(byte, 0 | b' ');
    let digits = field.iter().position(is_end);
    let digits = digits.filter(|digits| matches!(digits, 6 | 7));
    let parts = digits.and_then(|digits| field.split_at_checked(digits));
    parts.is_some_and(|(digits, end)| end.iter().all(is_end) && octal(digits) == Some(sum))
}

/// Reads the zeros after a content of `len` bytes.
pub fn read_padding(from: &mut impl Read, len: u64) -> Result<(), TapeError> {
    let mut zeros = [0; BLOCK_LEN];
    let wanted = usize::try_from(padded(len).saturating_sub(len)).unwrap_or(BLOCK_LEN);
    fill(from, zeros.get_mut(..wanted).unwrap_or_default())?;
    if zeros.iter().all(|byte| *byte == 0) {
        Ok(())
    } else {
        Err(TapeFault::Padding.into())
    }
}

/// Reads so many bytes. A source that ends before is an archive that is cut off.
pub(super) fn fill(from: &mut impl Read, mut into: &mut [u8]) -> Result<(), TapeError> {
    while !into.is_empty() {
        match from.read(into) {
            Ok(0) => return Err(TapeFault::Cut.into()),
            Ok(read) => into = into.get_mut(read..).unwrap_or_default(),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// A number in octal digits alone, at most 11 of them.
fn octal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |value, digit| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add((digit & 7).into()),
        _ => None,
    })
}

fn joined_name(block: &Block) -> String {
    let text = |field: &[u8]| {
        let text = field.split(|byte| *byte == 0).next();
        String::from_utf8_lossy(text.unwrap_or_default()).into_owned()
    };
    let (prefix, name) = (text(&block[345..500]), text(&block[..100]));
    if prefix.is_empty() {
        name
    } else {
        format!("{prefix}/{name}")
    }
}

/// The path as ustar's prefix and name, if it is ASCII (as POSIX has it) and fits: the shortest prefix that leaves at
/// most 100 bytes.
fn ustar_name(path: &str) -> Option<(&str, &str)> {
    if !path.is_ascii() {
        return None;
    }
    if path.len() <= 100 {
        return Some(("", path));
    }
    let (_, end) = path.split_at_checked(path.len().saturating_sub(101))?;
    let (_, name) = end.split_once('/')?;
    let prefix = path.strip_suffix(name)?.strip_suffix('/')?;
    (!prefix.is_empty() && prefix.len() <= 155 && !name.is_empty()).then_some((prefix, name))
}

/// The name that a reader without pax support sees.
fn stand_in(path: &str) -> String {
    path.chars()
        .map(|c| if c.is_ascii() { c } else { NOT_ASCII.into() })
        .take(100)
        .collect()
}

fn pax_records(path: &str, size: u64) -> Vec<u8> {
    let mut records = Vec::new();
    if ustar_name(path).is_none() {
        pax_record(&mut records, "path", path);
    }
    if size > OCTAL_11_MAX {
        pax_record(&mut records, "size", &size.to_string());
    }
    records
}

/// `<length> <key>=<value>\n`, where the length counts its own digits too.
fn pax_record(records: &mut Vec<u8>, key: &str, value: &str) {
    let record = format!(" {key}={value}\n");
    let lengths = (1..=20).map(|digits| (digits, record.len().saturating_add(digits).to_string()));
    let fits = |(digits, length): &(usize, String)| length.len() == *digits;
    let length = lengths.into_iter().find(fits);
    records.extend(
        length
            .into_iter()
            .flat_map(|(_, length)| length.into_bytes()),
    );
    records.extend(record.as_bytes());
}

/// At most one `path` and one `size`.
fn read_pax(mut records: &[u8]) -> Option<(Option<String>, Option<u64>)> {
    let (mut path, mut size) = (None, None);
    while !records.is_empty() {
        let space = records.iter().take(6).position(|byte| *byte == b' ')?;
        let len = std::str::from_utf8(records.get(..space)?).ok()?;
        let (record, rest) = records.split_at_checked(len.parse().ok()?)?;
        let record = record.get(space..)?.strip_prefix(b" ")?;
        let record = record.strip_suffix(b"\n")?;
        let (key, value) = std::str::from_utf8(record).ok()?.split_once('=')?;
        match key {
            "path" if path.is_none() && size.is_none() => path = Some(value.to_owned()),
            "size" if size.is_none() => size = Some(value.parse().ok()?),
            _ => return None,
        }
        records = rest;
    }
    Some((path, size))
}

fn block(kind: u8, (prefix, name): (&str, &str), size: u64, mtime: u64) -> Block {
    let mut block = [0; BLOCK_LEN];
    put(&mut block[..100], name);
    put(&mut block[100..], "0000644\x000000000\x000000000\0");
    put(&mut block[124..136], &format!("{size:011o}"));
    put(&mut block[136..148], &format!("{mtime:011o}"));
    put(&mut block[148..], "        ");
    block[156] = kind;
    put(&mut block[257..], "ustar\x0000");
    put(&mut block[329..], "0000000\x000000000\0");
    put(&mut block[345..500], prefix);
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    put(&mut block[148..156], &format!("{sum:06o}\0 "));
    block
}

/// Writes a text at the beginning of a field.
fn put(field: &mut [u8], text: &str) {
    for (to, from) in field.iter_mut().zip(text.bytes()) {
        *to = from;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(path: &str, size: u64, mtime: u64) -> TapeEntry {
        TapeEntry {
            path: path.to_owned(),
            size,
            mtime,
        }
    }

    fn read_back(head: &[u8]) -> Result<Option<TapeEntry>, String> {
        TapeEntry::read(&mut &head[..]).map_err(|e| e.to_string())
    }

    fn entries() -> Vec<TapeEntry> {
        let deep = vec!["folder"; 30].join("/");
        vec![
            entry("bagit.txt", 55, 1_700_000_000),
            entry("data/empty", 0, 0),
            entry(&format!("data/{}", "n".repeat(95)), 1, 1),
            entry(&format!("data/{}", "n".repeat(96)), 1, 1),
            entry(
                &format!("data/{}/{}", "p".repeat(150), "n".repeat(100)),
                1,
                1,
            ),
            entry(
                &format!("data/{}/{}", "p".repeat(151), "n".repeat(100)),
                1,
                1,
            ),
            entry(&format!("data/{deep}/x"), 1, 1),
            entry(&format!("data/{}", deep.repeat(4)), 1, 1),
            entry("data/Zürich/日本語.txt", 3, 3),
            entry("data/8gib-less-one", OCTAL_11_MAX, OCTAL_11_MAX),
            entry("data/8gib", OCTAL_11_MAX + 1, 7),
            entry("data/ü", 9 << 30, 7),
        ]
    }

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        for wanted in entries() {
            let head = wanted.head();
            assert_eq!(
                head.len() as u64,
                head_length(&wanted.path, wanted.size),
                "{wanted:?}"
            );
            assert_eq!(read_back(&head), Ok(Some(wanted)));
        }
        assert_eq!(read_back(&END), Ok(None));
    }

    #[test]
    fn another_implementation_reads_the_same() {
        for wanted in entries().into_iter().filter(|entry| entry.size < 100) {
            let mut bytes = wanted.head();
            bytes.extend(vec![0; usize::try_from(padded(wanted.size)).unwrap()]);
            bytes.extend(END);
            let mut archive = tar::Archive::new(&bytes[..]);
            let mut found = archive.entries().unwrap();
            let first = found.next().unwrap().unwrap();
            assert_eq!(first.path_bytes(), wanted.path.as_bytes());
            assert_eq!(first.size(), wanted.size);
            assert_eq!(first.header().mtime().unwrap(), wanted.mtime);
            assert_eq!(first.header().mode().unwrap(), 0o644);
            assert!(found.next().is_none());
        }
    }

    #[test]
    fn no_size_is_written_in_base_256() {
        for entry in entries() {
            let head = entry.head();
            let main = &head[head.len() - 512..];
            assert!(octal(&main[124..135]).is_some());
            if entry.size > OCTAL_11_MAX {
                assert_eq!(octal(&main[124..135]), Some(0));
            }
        }
    }

    #[test]
    fn every_changed_byte_of_a_header_is_refused_or_another_entry() {
        for wanted in [entry("data/a", 5, 6), entry("data/ü", 9 << 30, 7)] {
            let head = wanted.head();
            for at in 0..head.len() {
                let mut changed = head.clone();
                changed[at] ^= 0x01;
                assert_ne!(read_back(&changed), Ok(Some(wanted.clone())), "byte {at}");
            }
            for cut in 0..head.len() {
                assert!(read_back(&head[..cut]).is_err(), "cut at {cut}");
            }
        }
    }

    fn rechecked(mut head: Vec<u8>, change: impl Fn(&mut [u8])) -> Vec<u8> {
        let at = head.len() - 512;
        let main = &mut head[at..];
        change(main);
        main[148..156].copy_from_slice(b"        ");
        let sum: u32 = main.iter().map(|byte| u32::from(*byte)).sum();
        main[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        head
    }

    #[test]
    fn entries_that_are_well_formed_but_not_ours_are_refused() {
        type Change = fn(&mut [u8]);
        let changes: [(&str, Change, &str); 14] = [
            ("symbolic link", |b| b[156] = b'2', "type '2'"),
            ("hard link", |b| b[156] = b'1', "type '1'"),
            ("character device", |b| b[156] = b'3', "type '3'"),
            ("block device", |b| b[156] = b'4', "type '4'"),
            ("folder", |b| b[156] = b'5', "type '5'"),
            ("fifo", |b| b[156] = b'6', "type '6'"),
            ("old regular file", |b| b[156] = 0, "type '\\0'"),
            ("GNU sparse", |b| b[156] = b'S', "type 'S'"),
            ("GNU long name", |b| b[156] = b'L', "type 'L'"),
            ("global pax", |b| b[156] = b'g', "type 'g'"),
            (
                "base-256 size",
                |b| b[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]),
                "not written",
            ),
            (
                "setuid",
                |b| b[100..107].copy_from_slice(b"0004755"),
                "not written",
            ),
            (
                "owner",
                |b| b[265..269].copy_from_slice(b"root"),
                "not written",
            ),
            (
                "link name",
                |b| b[157..161].copy_from_slice(b"/etc"),
                "not written",
            ),
        ];
        for (what, change, part) in changes {
            let fault = read_back(&rechecked(entry("data/a", 5, 6).head(), change)).unwrap_err();
            assert!(fault.contains(part), "{what}: {fault}");
        }
        let mut pax = entry("data/ü", 1, 1).head();
        for (was, is) in [
            (&b"path="[..], &b"pith="[..]),
            (b"path=", b"size="),
            (b"16 p", b"15 p"),
            (b"16 p", b"9999"),
        ] {
            let at = 512
                + pax[512..]
                    .windows(was.len())
                    .position(|w| w == was)
                    .unwrap();
            let kept = pax.clone();
            pax[at..at + is.len()].copy_from_slice(is);
            assert!(read_back(&pax).is_err(), "{is:?}");
            pax = kept;
        }
    }

    #[test]
    fn what_other_writers_do_otherwise_is_taken() {
        type Change = fn(&mut [u8]);
        let free: [(&str, Change); 4] = [
            ("no device numbers", |b| b[329..345].fill(0)),
            ("question marks", |b| {
                b[..100]
                    .iter_mut()
                    .filter(|it| **it == b'_')
                    .for_each(|it| *it = b'?');
            }),
            ("a checksum of seven digits", |b| {
                b.copy_within(148..154, 149);
                b[148] = b'0';
                b[155] = 0;
            }),
            ("a checksum and two spaces", |b| b[154..156].fill(b' ')),
        ];
        for wanted in entries() {
            for (what, change) in free {
                let is_sum = what.contains("checksum");
                let mut head = rechecked(wanted.head(), |b| {
                    if !is_sum {
                        change(b);
                    }
                });
                if is_sum {
                    let main = head.len() - 512;
                    change(&mut head[main..]);
                }
                assert_eq!(read_back(&head), Ok(Some(wanted.clone())), "{what}");
            }
        }
        let wanted = entry("data/ü", 9 << 30, 7);
        let mut head = wanted.head();
        head[..100].fill(0);
        head[..9].copy_from_slice(b"PaxHeader");
        head[100..107].copy_from_slice(b"0000000");
        head[136..147].copy_from_slice(b"15000000000");
        head[329..345].fill(0);
        let mut first = rechecked(head[..512].to_vec(), |_| ());
        first.extend_from_slice(&head[512..]);
        assert_eq!(read_back(&first), Ok(Some(wanted)));
    }

    #[test]
    fn no_other_name_is_shown_to_readers_without_pax() {
        let head = entry("data/ü", 5, 6).head();
        for (what, name) in [
            ("another", &b"data/x_"[..]),
            ("a longer one", b"data/__"),
            ("a shorter one", b"data/"),
            ("a folder", b"data//"),
            ("a control", b"data/\x1b"),
            ("a space", b"data/ "),
            ("bytes", b"data/\xff"),
        ] {
            let other = rechecked(head.clone(), |b| {
                b[..100].fill(0);
                b[..name.len()].copy_from_slice(name);
            });
            let fault = read_back(&other).unwrap_err();
            assert!(fault.contains("not written"), "{what}: {fault}");
        }
    }

    #[test]
    fn a_pax_header_where_none_is_needed_is_refused() {
        let plain = entry("data/a", 5, 6).head();
        let mut records = Vec::new();
        pax_record(&mut records, "path", "data/a");
        let mut bytes = block(b'x', ("", PAX_NAME), records.len() as u64, 0).to_vec();
        bytes.extend(&records);
        bytes.resize(1024, 0);
        bytes.extend(plain);
        assert!(read_back(&bytes).unwrap_err().contains("not written"));
    }

    proptest! {
        #[test]
        fn any_path_goes_there_and_back(path in "[a-z/é]{1,300}", size in 0..limits::PAYLOAD_BYTES_MAX, mtime in 0..OCTAL_11_MAX) {
            let wanted = entry(&path, size, mtime);
            prop_assert_eq!(read_back(&wanted.head()), Ok(Some(wanted)));
        }

        #[test]
        fn any_bytes_are_read_without_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..2048), kind in prop::sample::select(vec![b'x', b'0'])) {
            if let Some(byte) = bytes.get_mut(156) {
                *byte = kind;
            }
            prop_assert!(read_back(&bytes).is_err());
        }
    }
}
