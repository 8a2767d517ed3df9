//! Opening: byte ranges of a payload under a permit, and the check of a header before it is accepted.

use std::io::{self, BufRead, Cursor, Read, Seek, SeekFrom};

use age::DecryptError;
use age::stream::StreamReader;

use crate::base::len_u64;
use crate::package::header::{self, HeaderFault};
use crate::policy::{Action, Permit};
use crate::seal::fault::SealError;
use crate::seal::identity::Identity;

/// The STREAM nonce before the first chunk.
const NONCE_BYTES: u64 = 16;
const CHUNK_BYTES: u64 = 64 << 10;
const TAG_BYTES: u64 = 16;

/// Checks a header with the identity: it is for us, its MAC is right, and the payload's first chunk decrypts under it.
///
/// `first_chunk` is what the payload begins with: its first 65,568 bytes (nonce and one full chunk), or all of it if it
/// is shorter.
pub fn check_header(
    header: &[u8],
    first_chunk: &[u8],
    identity: &Identity,
) -> Result<(), SealError> {
    let file = Joined::new(header.to_vec(), Cursor::new(first_chunk))?;
    let mut plaintext = unwrap(file, &identity.0)?;
    let mut first = [0; 1];
    let read = plaintext.read(&mut first);
    read.map_err(|e| SealError::Payload(blamed(e)))?;
    Ok(())
}

/// Checks a header with whatever unwraps its file key; of the payload, only the nonce is read.
pub(super) fn unwrap_with<R: Read>(
    header: &[u8],
    payload: R,
    identity: &dyn age::Identity,
) -> Result<(), SealError> {
    let file = Joined::new(header.to_vec(), payload)?;
    unwrap(file, identity).map(drop)
}

fn unwrap<R: Read>(
    file: Joined<R>,
    identity: &dyn age::Identity,
) -> Result<StreamReader<Joined<R>>, SealError> {
    // The other way of reading begins the header anew for every few bytes of it.
    age::Decryptor::new_buffered(file)
        .and_then(|decryptor| decryptor.decrypt(std::iter::once(identity)))
        .map_err(|error| match error {
            DecryptError::NoMatchingKeys => SealError::NotForUs,
            DecryptError::InvalidMac => SealError::Mac,
            DecryptError::UnknownFormat => HeaderFault::Version.into(),
            DecryptError::Io(e) => SealError::Payload(blamed(e)),
            DecryptError::DecryptionFailed
            | DecryptError::ExcessiveWork { .. }
            | DecryptError::InvalidHeader
            | DecryptError::KeyDecryptionFailed => HeaderFault::Stanza {
                number: 1,
                why: "no file key can be unwrapped from it",
            }
            .into(),
        })
}

/// The plaintext of a package, decrypted where it is read: seeking costs one chunk of 64 KiB.
///
/// Every byte that is read was authenticated. That a payload was not cut off at its end shows when its end is read.
#[expect(missing_debug_implementations, reason = "holds the payload key")]
pub struct Plaintext<R> {
    stream: StreamReader<Joined<R>>,
    len: u64,
    at: u64,
}

impl<R: Read + Seek> Plaintext<R> {
    /// Opens a payload under a permit to open it; the caller has asked for the permit for this very package and looked
    /// at how long it lasts.
    pub fn open(
        permit: &Permit,
        header: Vec<u8>,
        payload: R,
        identity: &Identity,
    ) -> Result<Self, SealError> {
        match permit.action() {
            Action::Open => Self::decrypt(header, payload, identity),
            other @ (Action::Send
            | Action::Admit
            | Action::Export
            | Action::Forward
            | Action::Keep
            | Action::Erase) => Err(SealError::Permit(other)),
        }
    }

    pub(super) fn decrypt(
        header: Vec<u8>,
        payload: R,
        identity: &Identity,
    ) -> Result<Self, SealError> {
        let mut file = Joined::new(header, payload)?;
        let sealed = file.payload_len().map_err(SealError::Payload)?;
        let len = plaintext_len(sealed)
            .ok_or_else(|| SealError::Payload(blamed(io::ErrorKind::UnexpectedEof.into())))?;
        let stream = unwrap(file, &identity.0)?;
        Ok(Self { stream, len, at: 0 })
    }

    /// Its length in bytes, as the length of the payload has it.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has no byte.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// The length of what a payload of this length holds.
fn plaintext_len(payload: u64) -> Option<u64> {
    let chunks = payload.checked_sub(NONCE_BYTES)?;
    let count = chunks.div_ceil(CHUNK_BYTES + TAG_BYTES);
    let before_last = count.checked_sub(1)?.checked_mul(CHUNK_BYTES + TAG_BYTES)?;
    let last = chunks.checked_sub(before_last)?;
    let plaintext = chunks.checked_sub(count.checked_mul(TAG_BYTES)?);
    plaintext.filter(|_| last >= TAG_BYTES)
}

impl<R: Read + Seek> Read for Plaintext<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buffer).map_err(blamed)?;
        self.at = self.at.saturating_add(len_u64(read));
        Ok(read)
    }
}

impl<R: Read + Seek> Seek for Plaintext<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
        };
        let target = target
            .filter(|target| *target <= self.len)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "outside the plaintext"))?;
        if target != self.at {
            let sought = self.stream.seek(SeekFrom::Start(target));
            self.at = sought.map_err(blamed)?;
        }
        Ok(self.at)
    }
}

/// The stored payload cannot be read: our own disk's doing.
#[derive(Debug, thiserror::Error)]
#[error("the stored payload cannot be read: {0}")]
struct Stored(io::Error);

/// The payload was read, and does not decrypt.
#[derive(Debug, thiserror::Error)]
#[error("the sealed bytes do not decrypt: {0}")]
struct Undecryptable(io::Error);

fn stored(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::Interrupted {
        return error;
    }
    io::Error::new(error.kind(), Stored(error))
}

/// Says of a failed read whether the stored bytes did not come, or came and do not decrypt.
fn blamed(error: io::Error) -> io::Error {
    if matches!(error.get_ref(), Some(inner) if inner.is::<Stored>()) {
        error
    } else {
        io::Error::new(io::ErrorKind::InvalidData, Undecryptable(error))
    }
}

/// Whether a [`Plaintext`] was not read because its sealed bytes do not decrypt. Any other failure is not of the bytes.
pub fn is_undecryptable(error: &io::Error) -> bool {
    matches!(error.get_ref(), Some(inner) if inner.is::<Undecryptable>())
}

/// Header and payload, stored apart, as the one file that age reads.
struct Joined<R> {
    header: Vec<u8>,
    payload: R,
    at: u64,
}

impl<R> Joined<R> {
    fn new(header: Vec<u8>, payload: R) -> Result<Self, SealError> {
        header::check_grammar(&header)?;
        Ok(Self {
            header,
            payload,
            at: 0,
        })
    }

    const fn header_len(&self) -> u64 {
        len_u64(self.header.len())
    }
}

impl<R: Seek> Joined<R> {
    fn payload_len(&mut self) -> io::Result<u64> {
        let len = self.payload.seek(SeekFrom::End(0)).map_err(stored)?;
        self.payload.seek(SeekFrom::Start(0)).map_err(stored)?;
        Ok(len)
    }
}

impl<R: Read> Read for Joined<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let in_header = usize::try_from(self.at)
            .ok()
            .and_then(|at| self.header.get(at..));
        let read = match in_header {
            Some(mut rest) if !rest.is_empty() => rest.read(buffer)?,
            Some(_) | None => self.payload.read(buffer).map_err(stored)?,
        };
        self.at = self.at.saturating_add(len_u64(read));
        Ok(read)
    }
}

/// Of the header alone, which is read so; what follows is read as it comes.
impl<R: Read> BufRead for Joined<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let at = usize::try_from(self.at).ok();
        let rest = at.and_then(|at| self.header.get(at..));
        Ok(rest.unwrap_or_default())
    }

    fn consume(&mut self, read: usize) {
        self.at = self.at.saturating_add(len_u64(read));
    }
}

impl<R: Read + Seek> Seek for Joined<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let header = self.header_len();
        let target = match to {
            SeekFrom::Current(0) => return Ok(self.at),
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(_) => header.checked_add(self.payload.seek(to).map_err(stored)?),
        };
        let target = target.ok_or(io::ErrorKind::InvalidInput)?;
        self.payload
            .seek(SeekFrom::Start(target.saturating_sub(header)))
            .map_err(stored)?;
        self.at = target;
        Ok(target)
    }
}
