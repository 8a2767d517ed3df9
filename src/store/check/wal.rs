//! The write-ahead log of SQLite, looked at from outside
//! (<https://www.sqlite.org/fileformat2.html#the_write_ahead_log>).
//!
//! SQLite takes a damaged frame for the end of the log, and everything committed after it is gone without a word. So
//! the frames are counted here: those that SQLite will read, and those of the same log after them.

use std::fs::File;
use std::io;
use std::io::Read;
use std::path::Path;

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
const PAGE_BYTES_MAX: u32 = 65_536;

/// A write-ahead log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// There is none, or it is empty.
    None,
    /// It is read to its end.
    Whole,
    /// Its first bytes are not those of a log.
    BadHeader,
    /// After so many good frames comes a damaged one.
    Damaged {
        /// Good frames before it.
        good: u64,
    },
}

/// The running checksum of a log.
struct Sums {
    big: bool,
    a: u32,
    b: u32,
}

impl Sums {
    /// Takes whole pairs of 32-bit words.
    fn take(&mut self, bytes: &[u8]) {
        let read = |bytes: [u8; 4]| {
            if self.big {
                u32::from_be_bytes(bytes)
            } else {
                u32::from_le_bytes(bytes)
            }
        };
        let (mut a, mut b) = (self.a, self.b);
        let (words, _) = bytes.as_chunks::<4>();
        let (pairs, _) = words.as_chunks::<2>();
        for [first, second] in pairs {
            a = a.wrapping_add(read(*first)).wrapping_add(b);
            b = b.wrapping_add(read(*second)).wrapping_add(a);
        }
        (self.a, self.b) = (a, b);
    }

    fn is(&self, bytes: &[u8]) -> bool {
        (self.a, self.b) == (word(bytes, 0), word(bytes, 4))
    }
}

/// Reads the log at this path.
pub(super) fn examine(path: &Path) -> io::Result<Tail> {
    let mut file = match File::open(path) {
        Ok(file) => io::BufReader::new(file),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Tail::None),
        Err(e) => return Err(e),
    };
    let mut header = [0; HEADER_BYTES];
    match filled(&mut file, &mut header)? {
        0 => return Ok(Tail::None),
        HEADER_BYTES => {}
        _ => return Ok(Tail::BadHeader),
    }
    let page = word(&header, 8);
    let big = match word(&header, 0) {
        0x377f_0682 => false,
        0x377f_0683 => true,
        _ => return Ok(Tail::BadHeader),
    };
    let mut sums = Sums { big, a: 0, b: 0 };
    sums.take(&header[..24]);
    if !sums.is(&header[24..]) || !page.is_power_of_two() || !(512..=PAGE_BYTES_MAX).contains(&page)
    {
        return Ok(Tail::BadHeader);
    }
    let page = usize::try_from(page).map_err(|_| io::ErrorKind::OutOfMemory)?;
    frames(&mut file, &header[16..24], page, sums)
}

fn frames(file: &mut impl Read, salts: &[u8], page: usize, mut sums: Sums) -> io::Result<Tail> {
    let mut frame = vec![0; page.saturating_add(FRAME_HEADER_BYTES)];
    let mut good = 0;
    loop {
        if filled(file, &mut frame)? < frame.len() {
            return Ok(Tail::Whole);
        }
        let Some((about, content)) = frame.split_first_chunk::<FRAME_HEADER_BYTES>() else {
            return Ok(Tail::Whole);
        };
        if differing_bits(&about[8..16], salts) > 1 {
            // What is left of an earlier round of the log.
            return Ok(Tail::Whole);
        }
        sums.take(&about[..8]);
        sums.take(content);
        let is_good = about[8..16] == *salts && word(about, 0) > 0 && sums.is(&about[16..24]);
        if !is_good {
            return Ok(Tail::Damaged { good });
        }
        good = u64::saturating_add(good, 1);
    }
}

fn differing_bits(one: &[u8], other: &[u8]) -> u32 {
    one.iter()
        .zip(other)
        .map(|(a, b)| (a ^ b).count_ones())
        .sum()
}

/// Reads until the buffer is full or the file ends; how many bytes there are.
fn filled(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while let Some(rest) = buffer.get_mut(count..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(read) => count = usize::saturating_add(count, read),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(count)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..)
        .and_then(<[u8]>::first_chunk)
        .map_or(0, |four| u32::from_be_bytes(*four))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log as SQLite itself leaves it.
    fn log(dir: &Path) -> std::path::PathBuf {
        let path = dir.join("x.db");
        let db = rusqlite::Connection::open(&path).unwrap();
        db.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (a);",
        )
        .unwrap();
        for n in 0..4 {
            db.execute("INSERT INTO t VALUES ($1)", [n]).unwrap();
        }
        let wal = dir.join("copy");
        std::fs::copy(dir.join("x.db-wal"), &wal).unwrap();
        wal
    }

    #[test]
    fn every_bit_of_a_log_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = log(dir.path());
        assert_eq!(examine(&path).unwrap(), Tail::Whole);
        let bytes = std::fs::read(&path).unwrap();
        for bit in (0..bytes.len() * 8).step_by(37) {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &changed).unwrap();
            assert_ne!(examine(&path).unwrap(), Tail::Whole, "bit {bit}");
        }
        std::fs::write(&path, &bytes[..bytes.len() - 100]).unwrap();
        assert_eq!(
            examine(&path).unwrap(),
            Tail::Whole,
            "a frame cut short was never committed"
        );
        std::fs::write(&path, b"").unwrap();
        assert_eq!(examine(&path).unwrap(), Tail::None);
        std::fs::write(&path, b"short").unwrap();
        assert_eq!(examine(&path).unwrap(), Tail::BadHeader);
    }
}
