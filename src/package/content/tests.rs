//! The limits of a package.

use std::io::Cursor;

use super::*;

/// Has every file already, so that none is read.
struct Whole;

impl Sink for Whole {
    type Error = Infallible;

    fn has(&mut self, _: &str) -> Option<Digest> {
        Some(Digest::of(b""))
    }

    fn begin(&mut self, _: &str) -> Result<(), Infallible> {
        Ok(())
    }

    fn write(&mut self, _: &[u8]) -> Result<(), Infallible> {
        Ok(())
    }

    fn end(&mut self, _: u64) -> Result<(), Infallible> {
        Ok(())
    }
}

/// An archive of which there are the heads alone.
struct Heads<I>(I, Cursor<Vec<u8>>);

impl<I: Iterator<Item = (String, u64)>> Read for Heads<I> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.1.read(into)? {
            0 => {
                let Some((path, size)) = self.0.next() else {
                    return Ok(0);
                };
                let path = format!("{}{path}", bag::PAYLOAD);
                let mtime = 5;
                self.1 = Cursor::new(TapeEntry { path, size, mtime }.head());
                self.1.read(into)
            }
            read => Ok(read),
        }
    }
}

fn refused(items: impl Iterator<Item = (String, u64)>) -> ContentFault {
    let mut reading = Reading {
        from: Counting {
            from: Heads(items, Cursor::default()),
            at: 0,
        },
        pass: |_, _| Ok(()),
        sink: &mut Whole,
    };
    match reading.items(&[]) {
        Err(Halt::Content(fault)) => fault,
        Err(Halt::Source(e)) => panic!("{e}"),
        Err(Halt::Sink(never)) => match never {},
        Ok((items, _)) => panic!("{} items", items.marks.len()),
    }
}

#[test]
fn all_items_together_have_a_limit_of_bytes() {
    let half = limits::PAYLOAD_BYTES_MAX / 2;
    let sizes = [half, half, tape::BLOCK].into_iter().zip(0..);
    let items = sizes.map(|(size, number)| (number.to_string(), size));
    assert_eq!(refused(items), ContentFault::TooLarge("2 TiB"));
}
