//! Plaintext in which the bytes of items that an opening is not for are zeros.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

/// A plaintext without what lies in some ranges of it, at the places where it lay. Those ranges are not read, so they
/// stay sealed.
pub(crate) struct Blanked<R> {
    from: R,
    at: u64,
    /// Whether `from` stands elsewhere, because a range was passed over.
    behind: bool,
    /// In order, not overlapping, within the plaintext.
    withheld: Arc<[Range<u64>]>,
}

impl<R> Blanked<R> {
    /// From the beginning of `from`.
    pub(crate) const fn new(from: R, withheld: Arc<[Range<u64>]>) -> Self {
        Self {
            from,
            at: 0,
            behind: false,
            withheld,
        }
    }
}

impl<R: Read + Seek> Read for Blanked<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let at = self.at;
        let next = self.withheld.iter().find(|range| at < range.end);
        let (end, is_withheld) = match next {
            Some(range) if range.start <= at => (range.end, true),
            Some(range) => (range.start, false),
            None => (u64::MAX, false),
        };
        let most = usize::try_from(end - at).map_or(into.len(), |most| most.min(into.len()));
        let into = &mut into[..most];
        let read = if is_withheld {
            into.fill(0);
            self.behind = true;
            most
        } else {
            if self.behind {
                self.from.seek(SeekFrom::Start(at))?;
                self.behind = false;
            }
            self.from.read(into)?
        };
        self.at += read as u64;
        Ok(read)
    }
}

impl<R: Seek> Seek for Blanked<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Current(by) => SeekFrom::Start(
                self.at
                    .checked_add_signed(by)
                    .ok_or(io::ErrorKind::InvalidInput)?,
            ),
            other @ (SeekFrom::Start(_) | SeekFrom::End(_)) => other,
        };
        self.at = self.from.seek(to)?;
        self.behind = false;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails where it is read in these ranges.
    struct Sealed(io::Cursor<Vec<u8>>, Vec<Range<u64>>);

    impl Read for Sealed {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let at = self.0.position();
            let read = self.0.read(into)?;
            let touches = |range: &Range<u64>| range.start < at + read as u64 && at < range.end;
            assert!(!self.1.iter().any(touches), "{at} was read");
            Ok(read)
        }
    }

    impl Seek for Sealed {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.0.seek(to)
        }
    }

    #[test]
    fn what_is_withheld_is_zeros_however_it_is_read_and_stays_sealed() {
        let whole: Vec<u8> = (1..=100).collect();
        let withheld = [0..3, 10..20, 20..21, 90..100];
        let mut want = whole.clone();
        for range in [0..3, 10..21, 90..100] {
            want[range].fill(0);
        }
        for start in 0..100_usize {
            for step in [1, 7, 100] {
                let sealed = Sealed(io::Cursor::new(whole.clone()), withheld.to_vec());
                let mut blanked = Blanked::new(sealed, withheld.clone().into());
                let to = SeekFrom::Start(start as u64);
                assert_eq!(blanked.seek(to).unwrap(), start as u64);
                let (mut got, mut piece) = (Vec::new(), vec![0; step]);
                loop {
                    match blanked.read(&mut piece).unwrap() {
                        0 => break,
                        read => got.extend_from_slice(&piece[..read]),
                    }
                }
                assert_eq!(got, want[start..], "{start}, {step}");
            }
        }
    }
}
