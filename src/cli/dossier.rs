//! A made-up dossier to show the program with: a mail, a table of call records, a picture, a disk image.
//!
//! Everything follows from one seed, so two dossiers of one seed are equal byte for byte. Nothing in it is
//! about anybody: names end in `.example` (RFC 2606), telephone numbers are of the ranges kept for fiction.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Rows in the table of call records.
const CALLS: u64 = 2_000;
/// Width and height of the picture, in pixels.
const SIDE: u32 = 96;
/// Content of one stored deflate block at most (RFC 1951 §3.2.4).
const STORED_BYTES_MAX: usize = 65_535;
/// The unit that the disk image is written in.
const PIECE_BYTES: usize = 64 << 10;

/// Writes the dossier into `dir`, which is made if it is absent, and gives the paths of its files.
///
/// `disk_image_bytes` is the length of the disk image; it is written in pieces, so memory does not grow with it.
pub fn write(dir: &Path, seed: u64, disk_image_bytes: u64) -> io::Result<Vec<PathBuf>> {
    std::fs::create_dir_all(dir)?;
    let mut paths = Vec::new();
    let mut random = Random(seed);
    write_file(dir, "mail.eml", &mut paths, |to| mail(to, &mut random))?;
    write_file(dir, "calls.csv", &mut paths, |to| calls(to, &mut random))?;
    write_file(dir, "scene.png", &mut paths, |to| picture(to, &mut random))?;
    write_file(dir, "disk.img", &mut paths, |to| {
        disk_image(to, &mut random, disk_image_bytes)
    })?;
    Ok(paths)
}

fn write_file(
    dir: &Path,
    name: &str,
    paths: &mut Vec<PathBuf>,
    content: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let path = dir.join(name);
    let mut to = BufWriter::new(File::create(&path)?);
    content(&mut to)?;
    to.flush()?;
    paths.push(path);
    Ok(())
}

/// `SplitMix64` (Steele, Lea, Flood 2014): small, fast, the same everywhere. Not for secrets.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for piece in bytes.chunks_mut(8) {
            piece.copy_from_slice(&self.next().to_le_bytes()[..piece.len()]);
        }
    }
}

/// A mail (RFC 5322).
fn mail(to: &mut impl Write, random: &mut Random) -> io::Result<()> {
    let amount = 10_000 + random.below(90_000);
    let id = random.next();
    let lines = [
        "From: Paul Muster <paul.muster@trade.example>".to_owned(),
        "To: accounts@harbour.example".to_owned(),
        "Date: Mon, 14 Sep 2026 08:12:45 +0000".to_owned(),
        format!("Message-ID: <{id:016x}@trade.example>"),
        "Subject: =?UTF-8?Q?Invoice_7=2C_revised?=".to_owned(),
        "MIME-Version: 1.0".to_owned(),
        "Content-Type: text/plain; charset=utf-8".to_owned(),
        "Content-Transfer-Encoding: 8bit".to_owned(),
        String::new(),
        "Good morning,".to_owned(),
        String::new(),
        format!("please pay the {amount} EUR of invoice 7 to the new account of 11 September,"),
        "not to the one on the paper copy. It is urgent: the ship leaves on Wednesday.".to_owned(),
        String::new(),
        "Paul Muster – Trade & Transport".to_owned(),
    ];
    lines.iter().try_for_each(|line| write!(to, "{line}\r\n"))
}

/// A table (RFC 4180) of calls, ascending in time.
fn calls(to: &mut impl Write, random: &mut Random) -> io::Result<()> {
    write!(to, "start_utc,seconds,caller,called,cell,direction\r\n")?;
    let mut second = 0;
    for _ in 0..CALLS {
        second += 1 + random.below(1_200);
        let day = 1 + second / 86_400;
        let (hour, minute) = (second / 3_600 % 24, second / 60 % 60);
        let start = format!("2026-08-{day:02}T{hour:02}:{minute:02}:{:02}Z", second % 60);
        let direction = if random.below(2) == 0 { "in" } else { "out" };
        let (from, towards) = (random.below(1_000), random.below(1_000));
        let (seconds, cell) = (random.below(900), random.below(65_536));
        write!(
            to,
            "{start},{seconds},+447700900{from:03},+447700900{towards:03},{cell:04x},{direction}\r\n"
        )?;
    }
    Ok(())
}

/// A picture (PNG, ISO/IEC 15948): 8-bit RGB, its zlib stream (RFC 1950) made of stored blocks.
fn picture(to: &mut impl Write, random: &mut Random) -> io::Result<()> {
    let mut rows = Vec::new();
    for y in 0..SIDE {
        rows.push(0); // filter type: none
        for x in 0..SIDE {
            let noise = random.next().to_le_bytes()[0] / 8;
            let [across, down] = [x, y].map(|at| u8::try_from(at * 255 / SIDE).unwrap_or(u8::MAX));
            rows.extend([across, down, noise]);
        }
    }
    let mut stream = vec![0x78, 0x01];
    let mut blocks = rows.chunks(STORED_BYTES_MAX).peekable();
    while let Some(block) = blocks.next() {
        stream.push(u8::from(blocks.peek().is_none()));
        let length = u16::try_from(block.len()).expect("a chunk of at most 65,535 bytes");
        stream.extend(length.to_le_bytes());
        stream.extend((!length).to_le_bytes());
        stream.extend(block);
    }
    stream.extend(adler32(&rows).to_be_bytes());

    let mut head = Vec::new();
    head.extend(SIDE.to_be_bytes());
    head.extend(SIDE.to_be_bytes());
    head.extend([8, 2, 0, 0, 0]); // depth, RGB, deflate, adaptive filters, not interlaced
    to.write_all(b"\x89PNG\r\n\x1a\n")?;
    chunk(to, *b"IHDR", &head)?;
    chunk(to, *b"IDAT", &stream)?;
    chunk(to, *b"IEND", &[])
}

fn chunk(to: &mut impl Write, kind: [u8; 4], content: &[u8]) -> io::Result<()> {
    let length = u32::try_from(content.len()).map_err(io::Error::other)?;
    let checked = [&kind, content].concat();
    to.write_all(&length.to_be_bytes())?;
    to.write_all(&checked)?;
    to.write_all(&crc32(&checked).to_be_bytes())
}

/// CRC-32 of PNG, annex D: polynomial 0xedb88320, reflected.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
            crc = (crc >> 1) ^ carry;
        }
    }
    !crc
}

/// Adler-32 of zlib, RFC 1950 §8.2.
fn adler32(bytes: &[u8]) -> u32 {
    let (low, high) = bytes.iter().fold((1_u32, 0_u32), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    (high << 16) | low
}

/// A disk image that does not compress: a boot sector with its mark, then pseudo-random bytes.
fn disk_image(to: &mut impl Write, random: &mut Random, length: u64) -> io::Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    let mut left = length;
    while left > 0 {
        random.fill(&mut piece);
        if left == length {
            piece[510..512].copy_from_slice(&[0x55, 0xaa]);
        }
        let now = usize::try_from(left)
            .unwrap_or(PIECE_BYTES)
            .min(PIECE_BYTES);
        to.write_all(&piece[..now])?;
        left -= now as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::*;

    fn dossier(seed: u64, image: u64) -> BTreeMap<String, Vec<u8>> {
        let dir = tempfile::tempdir().unwrap();
        let paths = write(&dir.path().join("deep/dossier"), seed, image).unwrap();
        let named = paths.iter().map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read(path).unwrap())
        });
        named.collect()
    }

    #[test]
    fn one_seed_makes_one_dossier() {
        let first = dossier(7, 200_001);
        let names: Vec<_> = first.keys().map(String::as_str).collect();
        assert_eq!(names, ["calls.csv", "disk.img", "mail.eml", "scene.png"]);
        assert_eq!(first["disk.img"].len(), 200_001);
        assert_eq!(first["disk.img"][510..512], [0x55, 0xaa]);
        assert_eq!(first, dossier(7, 200_001));
        assert_ne!(first, dossier(8, 200_001));
        for length in [0, 1, 65_536, 65_537] {
            assert_eq!(dossier(1, length)["disk.img"].len() as u64, length);
        }
    }

    #[test]
    fn mail_and_table_are_well_formed() {
        let files = dossier(1, 0);
        let mail = String::from_utf8(files["mail.eml"].clone()).unwrap();
        assert!(mail.starts_with("From: ") && mail.contains("\r\n\r\n"));
        assert_eq!(mail.matches('\n').count(), mail.matches("\r\n").count());
        let table = String::from_utf8(files["calls.csv"].clone()).unwrap();
        let rows: Vec<_> = table.split_terminator("\r\n").collect();
        assert_eq!(rows.len() as u64, CALLS + 1);
        assert!(rows.iter().all(|row| row.split(',').count() == 6));
        assert!(rows[1..].is_sorted(), "calls ascend in time");
        assert!(rows[1..].iter().all(|row| row.starts_with("2026-08-")));
        let last: u32 = rows[rows.len() - 1][8..10].parse().unwrap();
        assert!(last <= 31, "August has no day {last}");
    }

    #[test]
    fn the_picture_is_a_png() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
        let picture = &dossier(3, 0)["scene.png"];
        let mut rest = picture.strip_prefix(b"\x89PNG\r\n\x1a\n").unwrap();
        let mut kinds = Vec::new();
        let mut pixels = Vec::new();
        while let [a, b, c, d, after @ ..] = rest {
            let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
            let (checked, after) = after.split_at(4 + length);
            assert_eq!(crc32(checked).to_be_bytes(), after[..4]);
            kinds.push(String::from_utf8_lossy(&checked[..4]).into_owned());
            if &checked[..4] == b"IDAT" {
                pixels = inflate_stored(&checked[4..]);
            }
            rest = &after[4..];
        }
        assert_eq!(kinds, ["IHDR", "IDAT", "IEND"]);
        assert_eq!(pixels.len() as u64, u64::from(SIDE * (1 + 3 * SIDE)));
    }

    /// The content of a zlib stream of stored blocks, its checksum compared.
    fn inflate_stored(stream: &[u8]) -> Vec<u8> {
        assert_eq!(u16::from_be_bytes([stream[0], stream[1]]) % 31, 0);
        let mut rest = &stream[2..];
        let mut content = Vec::new();
        loop {
            let length = u16::from_le_bytes([rest[1], rest[2]]);
            assert_eq!(!length, u16::from_le_bytes([rest[3], rest[4]]));
            let end = 5 + usize::from(length);
            content.extend(&rest[5..end]);
            let last = rest[0] == 1;
            rest = &rest[end..];
            if last {
                break;
            }
        }
        assert_eq!(rest, adler32(&content).to_be_bytes());
        content
    }
}
