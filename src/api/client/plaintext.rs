//! The plaintext of an opening as something that reads and seeks, fetched by byte ranges.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

use bytes::Bytes;
use tokio::runtime::Handle;

use crate::api::client::{Client, StopSign, encode};
use crate::api::types::Opening;
use crate::base::len_u64;

/// The first fetch after a jump.
const FETCH_BYTES_MIN: u64 = 256 << 10;
/// The longest fetch while reading on.
const FETCH_BYTES_MAX: u64 = 1 << 20;

/// The plaintext of one opening, for a thread outside the runtime: fetches 256 KiB at a jump and up to 1 MiB while it
/// reads on, holds one fetch in memory.
pub struct RemotePlaintext {
    client: Client,
    runtime: Handle,
    path: String,
    length: u64,
    position: u64,
    fetched: Bytes,
    fetched_at: u64,
    fetch_bytes: u64,
    stop: StopSign,
}

impl RemotePlaintext {
    /// The plaintext of this opening; calls are made on the given runtime. Reading it fails once `stop` says so.
    pub fn new(client: Client, runtime: Handle, opening: &Opening, stop: StopSign) -> Self {
        Self {
            client,
            runtime,
            path: format!("/v1/openings/{}/plaintext", encode(&opening.opening)),
            length: opening.plaintext_bytes,
            position: 0,
            fetched: Bytes::new(),
            fetched_at: 0,
            fetch_bytes: FETCH_BYTES_MIN,
            stop,
        }
    }

    /// The bytes at the position, as far as they are here.
    fn here(&self) -> Option<&[u8]> {
        let skip = self.position.checked_sub(self.fetched_at)?;
        let skip = usize::try_from(skip).ok()?;
        self.fetched.get(skip..).filter(|rest| !rest.is_empty())
    }

    fn fetch(&mut self) -> io::Result<()> {
        let fetched = len_u64(self.fetched.len());
        let reads_on = self.position.checked_sub(self.fetched_at) == Some(fetched);
        self.fetch_bytes = if reads_on {
            self.fetch_bytes.saturating_mul(2).min(FETCH_BYTES_MAX)
        } else {
            FETCH_BYTES_MIN
        };
        let left = self.length.saturating_sub(self.position);
        let wanted = left.min(self.fetch_bytes);
        let last = wanted.checked_sub(1);
        let last = last.and_then(|more| self.position.checked_add(more));
        let last = last.ok_or(io::ErrorKind::InvalidInput)?;
        let range = self.client.range(&self.path, self.position, last);
        let stop = self.stop.clone();
        let bytes = self.runtime.block_on(async move {
            tokio::select! {
                bytes = range => bytes.map_err(io::Error::other),
                () = stop.asked() => Err(io::Error::other("it was stopped")),
            }
        })?;
        if len_u64(bytes.len()) != wanted {
            return Err(io::Error::other(
                "the daemon sent another number of bytes than asked",
            ));
        }
        self.fetched = bytes;
        self.fetched_at = self.position;
        Ok(())
    }
}

impl Read for RemotePlaintext {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() || self.position >= self.length {
            return Ok(0);
        }
        if self.here().is_none() {
            self.fetch()?;
        }
        let taken = self.here().unwrap_or_default().read(into)?;
        self.position = self.position.saturating_add(len_u64(taken));
        Ok(taken)
    }
}

impl Seek for RemotePlaintext {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

impl fmt::Debug for RemotePlaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemotePlaintext({} of {})", self.position, self.length)
    }
}
