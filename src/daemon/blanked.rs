//! Plaintext in which the bytes of items that an opening is not for are zeros.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

/// A plaintext without what lies in some ranges of it, at the places where it lay.
pub(crate) struct Blanked<R> {
    from: R,
    at: u64,
    /// In order, not overlapping.
    withheld: Arc<[Range<u64>]>,
}

impl<R> Blanked<R> {
    /// From the beginning of `from`.
    pub(crate) const fn new(from: R, withheld: Arc<[Range<u64>]>) -> Self {
        Self {
            from,
            at: 0,
            withheld,
        }
    }
}

impl<R: Read> Read for Blanked<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        let (start, end) = (self.at, self.at + read as u64);
        for range in self.withheld.iter() {
            let (from, to) = (range.start.max(start), range.end.min(end));
            if from < to {
                let place = |at: u64| usize::try_from(at - start).unwrap_or(read);
                into[place(from)..place(to)].fill(0);
            }
        }
        self.at = end;
        Ok(read)
    }
}

impl<R: Seek> Seek for Blanked<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = self.from.seek(to)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_withheld_is_zeros_however_it_is_read() {
        let whole: Vec<u8> = (1..=100).collect();
        let withheld: Arc<[Range<u64>]> = [0..3, 10..20, 20..21, 90..200].into();
        let mut want = whole.clone();
        for range in [0..3, 10..21, 90..100] {
            want[range].fill(0);
        }
        for start in 0..100_usize {
            for step in [1, 7, 100] {
                let mut blanked = Blanked::new(io::Cursor::new(&whole), Arc::clone(&withheld));
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
