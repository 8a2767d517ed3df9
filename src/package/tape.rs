//! The tar of a package (POSIX ustar with pax `path` and `size` where ustar cannot hold them): one way to write an entry, and a
//! reader that takes what this module would have written, and little else.
//!
//! Tar readers disagree about odd archives, and the disagreement has been used to show one file to a checker and another to a
//! user. So an entry is read, encoded again, and compared: name, kind, length and place of each file have one spelling. Left free
//! is only what no reader takes any of these from (see [`Entry::read`]), so that archives of other writers pass.

use std::io::{self, Read};
use std::ops::Range;

use crate::base::limits;

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
/// The checksum of a header block.
const SUM: Range<usize> = 148..156;
/// Device numbers, which a regular file does not have.
const DEVICE: Range<usize> = 329..345;
/// In the block before pax records: name, mode and ids; time; names of owner and group, device numbers and prefix.
const PAX_FREE: [Range<usize>; 3] = [0..124, 136..148, 265..500];

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
pub struct Entry {
    /// Its path in the archive.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Whole seconds since 1970, 0 to 8,589,934,591.
    pub mtime: u64,
}

/// This many bytes and the zeros up to the next block.
pub const fn padded(len: u64) -> u64 {
    len.next_multiple_of(BLOCK)
}

/// The nearest modification time that ustar can hold.
pub fn clamped_mtime(seconds: i64) -> u64 {
    u64::try_from(seconds).unwrap_or(0).min(OCTAL_11_MAX)
}

/// How long [`Entry::head`] is for this path and size, in bytes: 512, or 1,024 and the pax records in whole blocks.
pub fn head_length(path: &str, size: u64) -> u64 {
    match pax_records(path, size).len() {
        0 => BLOCK,
        len => 2 * BLOCK + padded(len as u64),
    }
}

impl Entry {
    /// The blocks before the content.
    pub fn head(&self) -> Vec<u8> {
        let pax = pax_records(&self.path, self.size);
        let mut head = Vec::with_capacity(4 * BLOCK_LEN);
        if !pax.is_empty() {
            head.extend(block(b'x', ("", PAX_NAME), pax.len() as u64, 0));
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
    /// Free are, in the block before pax records, everything but its type, length, magic and checksum; after pax records with a
    /// path, which printable character other than `/` stands for one that is not ASCII; device numbers, as zeros or as NUL; and
    /// how many zeros a checksum begins with.
    pub fn read(from: &mut impl Read) -> Result<Option<Self>, TapeError> {
        let mut raw = vec![0; BLOCK_LEN];
        fill(from, &mut raw)?;
        if raw.iter().all(|byte| *byte == 0) {
            fill(from, &mut raw)?;
            let ends = raw.iter().all(|byte| *byte == 0);
            return ends
                .then_some(None)
                .ok_or_else(|| TapeFault::Padding.into());
        }
        let (mut path, mut size) = (None, None);
        if raw[156] == b'x' {
            let len = octal(&raw[124..135])
                .filter(|len| (1..=PAX_BYTES_MAX).contains(len))
                .ok_or(TapeFault::Pax)?;
            let len = usize::try_from(len).map_err(|_| TapeFault::Pax)?;
            let padded = BLOCK_LEN + len.next_multiple_of(BLOCK_LEN);
            raw.resize(padded + BLOCK_LEN, 0);
            fill(from, &mut raw[BLOCK_LEN..])?;
            (path, size) = read_pax(&raw[BLOCK_LEN..BLOCK_LEN + len]).ok_or(TapeFault::Pax)?;
        }
        let main = &raw[raw.len() - BLOCK_LEN..];
        if main[156] != b'0' {
            return Err(TapeFault::EntryType(main[156].into()).into());
        }
        let entry = Self {
            path: path.unwrap_or_else(|| joined_name(main)),
            size: size
                .or_else(|| octal(&main[124..135]))
                .ok_or_else(|| TapeFault::NotOurs(joined_name(main)))?,
            mtime: octal(&main[136..147]).ok_or_else(|| TapeFault::NotOurs(joined_name(main)))?,
        };
        if entry.size > limits::PAYLOAD_BYTES_MAX {
            return Err(TapeFault::TooLarge(entry.size).into());
        }
        let wanted = entry.head();
        if raw.len() == wanted.len() && is_spelled(&mut raw, &wanted, &entry.path) {
            Ok(Some(entry))
        } else {
            Err(TapeFault::NotOurs(entry.path).into())
        }
    }
}

/// Whether these blocks are the wanted ones, but for what is free.
fn is_spelled(raw: &mut [u8], wanted: &[u8], path: &str) -> bool {
    let main = wanted.len() - BLOCK_LEN;
    if !is_summed(&raw[main..]) || main > 0 && !is_summed(&raw[..BLOCK_LEN]) {
        return false;
    }
    if main > 0 {
        raw[SUM].copy_from_slice(&wanted[SUM]);
        for free in PAX_FREE {
            raw[free.clone()].copy_from_slice(&wanted[free]);
        }
    }
    let (block, wanted_block) = (&mut raw[main..], &wanted[main..]);
    block[SUM].copy_from_slice(&wanted_block[SUM]);
    if block[DEVICE].iter().all(|byte| *byte == 0) {
        block[DEVICE].copy_from_slice(&wanted_block[DEVICE]);
    }
    if ustar_name(path).is_none() {
        for (found, wanted) in block.iter_mut().zip(path.chars().take(100)) {
            if !wanted.is_ascii() && found.is_ascii_graphic() && *found != b'/' {
                *found = NOT_ASCII;
            }
        }
    }
    raw == wanted
}

/// Whether the checksum of a header block is right: six or seven octal digits, then NUL and spaces.
fn is_summed(block: &[u8]) -> bool {
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    let field = &block[SUM];
    let spaces = u64::from(b' ') * field.len() as u64;
    let sum = sum - field.iter().map(|byte| u64::from(*byte)).sum::<u64>() + spaces;
    let digits = field.iter().position(|byte| matches!(byte, 0 | b' '));
    let digits = digits.filter(|digits| matches!(digits, 6 | 7));
    let ends = |digits: &usize| field[*digits..].iter().all(|byte| matches!(byte, 0 | b' '));
    let digits = digits.filter(ends);
    digits.and_then(|digits| octal(&field[..digits])) == Some(sum)
}

/// Reads the zeros after a content of `len` bytes.
pub fn read_padding(from: &mut impl Read, len: u64) -> Result<(), TapeError> {
    let mut zeros = [0; BLOCK_LEN];
    let wanted = usize::try_from(padded(len) - len).unwrap_or(BLOCK_LEN);
    fill(from, &mut zeros[..wanted])?;
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
            Ok(read) => into = &mut into[read..],
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// A number in octal digits alone, at most 11 of them.
fn octal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |value, digit| match digit {
        b'0'..=b'7' => Some(value * 8 + u64::from(digit - b'0')),
        _ => None,
    })
}

fn joined_name(block: &[u8]) -> String {
    let text = |field: &[u8]| {
        let end = field
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(field.len());
        String::from_utf8_lossy(&field[..end]).into_owned()
    };
    let (prefix, name) = (text(&block[345..500]), text(&block[..100]));
    if prefix.is_empty() {
        name
    } else {
        format!("{prefix}/{name}")
    }
}

/// The path as ustar's prefix and name, if it is ASCII (as POSIX has it) and fits: the shortest prefix that leaves at most 100
/// bytes.
fn ustar_name(path: &str) -> Option<(&str, &str)> {
    if !path.is_ascii() {
        return None;
    }
    if path.len() <= 100 {
        return Some(("", path));
    }
    let from = path.len() - 101;
    let slash = from + path[from..].find('/')?;
    let (prefix, name) = (&path[..slash], &path[slash + 1..]);
    (!prefix.is_empty() && prefix.len() <= 155 && !name.is_empty()).then_some((prefix, name))
}

/// What a reader without pax support sees as the name.
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
    let rest = key.len() + value.len() + 3;
    let mut len = rest + 1;
    while len != rest + len.to_string().len() {
        len = rest + len.to_string().len();
    }
    records.extend(format!("{len} {key}={value}\n").as_bytes());
}

/// At most one `path` and one `size`.
fn read_pax(mut records: &[u8]) -> Option<(Option<String>, Option<u64>)> {
    let (mut path, mut size) = (None, None);
    while !records.is_empty() {
        let space = records.iter().take(6).position(|byte| *byte == b' ')?;
        let len: usize = std::str::from_utf8(&records[..space]).ok()?.parse().ok()?;
        let record = records.get(space + 1..len)?.strip_suffix(b"\n")?;
        let (key, value) = std::str::from_utf8(record).ok()?.split_once('=')?;
        match key {
            "path" if path.is_none() && size.is_none() => path = Some(value.to_owned()),
            "size" if size.is_none() => size = Some(value.parse().ok()?),
            _ => return None,
        }
        records = &records[len..];
    }
    Some((path, size))
}

fn block(kind: u8, (prefix, name): (&str, &str), size: u64, mtime: u64) -> [u8; BLOCK_LEN] {
    let mut block = [0; BLOCK_LEN];
    let mut put = |at: usize, text: &[u8]| block[at..at + text.len()].copy_from_slice(text);
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, format!("{mtime:011o}\0").as_bytes());
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar\x0000");
    put(329, b"0000000\0");
    put(337, b"0000000\0");
    put(345, prefix.as_bytes());
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(path: &str, size: u64, mtime: u64) -> Entry {
        Entry {
            path: path.to_owned(),
            size,
            mtime,
        }
    }

    fn read_back(head: &[u8]) -> Result<Option<Entry>, String> {
        Entry::read(&mut &head[..]).map_err(|e| e.to_string())
    }

    fn entries() -> Vec<Entry> {
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
