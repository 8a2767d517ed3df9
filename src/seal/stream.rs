//! The payload of an age file: a nonce, then chunks of 64 KiB, each encrypted and authenticated for its place (STREAM
//! with ChaCha20-Poly1305, C2SP age v1). The age crate does the same in half as much time again, and is what the tests
//! compare with.

use std::io::{self, Write};

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use zeroize::Zeroizing;

use crate::seal::random;

/// The nonce before the first chunk, from which and from the file key the key of the payload is derived.
const NONCE_BYTES: usize = 16;
const CHUNK_BYTES: usize = 64 << 10;
const TAG_BYTES: usize = 16;

/// The key of one payload: HKDF-SHA256 of the file key, salted with the nonce, for `payload`.
fn payload_key(file_key: &[u8; 16], nonce: &[u8; NONCE_BYTES]) -> io::Result<LessSafeKey> {
    let derived = hkdf::Salt::new(hkdf::HKDF_SHA256, nonce).extract(file_key);
    let key = derived.expand(&[b"payload"], &CHACHA20_POLY1305);
    let key = key.map(UnboundKey::from).map_err(io::Error::other)?;
    Ok(LessSafeKey::new(key))
}

/// Where in the payload a chunk stands: its number, and whether it is the last. No two chunks of one key have the same
/// place.
fn place(number: u64, is_last: bool) -> Nonce {
    let mut place = [0; 12];
    place[3..11].copy_from_slice(&number.to_be_bytes());
    place[11] = u8::from(is_last);
    Nonce::assume_unique_for_key(place)
}

/// Encrypts what is written to it. Without [`Self::finish`], what it has written is no payload.
pub(super) struct StreamWriter<W> {
    key: LessSafeKey,
    number: u64,
    chunk: Zeroizing<Vec<u8>>,
    out: W,
}

impl<W: Write> StreamWriter<W> {
    /// Begins a payload under this file key, which is used for no other.
    pub(super) fn begin(file_key: &[u8; 16], out: W) -> io::Result<Self> {
        Self::begin_with(file_key, random(), out)
    }

    fn begin_with(file_key: &[u8; 16], nonce: [u8; NONCE_BYTES], mut out: W) -> io::Result<Self> {
        out.write_all(&nonce)?;
        Ok(Self {
            key: payload_key(file_key, &nonce)?,
            number: 0,
            chunk: Zeroizing::new(Vec::with_capacity(CHUNK_BYTES + TAG_BYTES)),
            out,
        })
    }

    /// Writes the last chunk; it is empty only where the whole plaintext is.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.seal(true)?;
        Ok(self.out)
    }

    fn seal(&mut self, is_last: bool) -> io::Result<()> {
        self.key
            .seal_in_place_append_tag(place(self.number, is_last), Aad::empty(), &mut *self.chunk)
            .map_err(io::Error::other)?;
        self.out.write_all(&self.chunk)?;
        self.chunk.clear();
        // A second chunk with the same number would give both away.
        let next = self.number.checked_add(1);
        self.number = next.ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(())
    }
}

impl<W: Write> Write for StreamWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        // A full chunk stays until something follows: otherwise it is the last.
        if self.chunk.len() == CHUNK_BYTES {
            self.seal(false)?;
        }
        let room = CHUNK_BYTES.saturating_sub(self.chunk.len());
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.chunk.extend_from_slice(taken);
        Ok(taken.len())
    }

    /// Keeps what is no whole chunk: only [`StreamWriter::finish`] can end it.
    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::io::Read as _;

    use age::secrecy::ExposeSecret as _;
    use age_core::format::{FileKey, Stanza};

    use super::*;

    const KEY: [u8; 16] = [7; 16];

    /// A recipient and identity that lays the file key open.
    #[derive(Clone, Default)]
    struct Open(std::sync::Arc<std::sync::Mutex<[u8; 16]>>);

    impl age::Recipient for Open {
        fn wrap_file_key(
            &self,
            key: &FileKey,
        ) -> Result<(Vec<Stanza>, HashSet<String>), age::EncryptError> {
            *self.0.lock().unwrap() = *key.expose_secret();
            let (tag, args, body) = ("open".to_owned(), Vec::new(), Vec::new());
            Ok((vec![Stanza { tag, args, body }], HashSet::new()))
        }
    }

    impl age::Identity for Open {
        fn unwrap_stanza(&self, _: &Stanza) -> Option<Result<FileKey, age::DecryptError>> {
            let key = *self.0.lock().unwrap();
            Some(Ok(FileKey::init_with_mut(|it| *it = key)))
        }
    }

    fn written(nonce: [u8; 16], key: &[u8; 16], plaintext: &[u8], piece: usize) -> Vec<u8> {
        let mut writer = StreamWriter::begin_with(key, nonce, Vec::new()).unwrap();
        for bytes in plaintext.chunks(piece) {
            writer.write_all(bytes).unwrap();
            writer.flush().unwrap();
        }
        writer.finish().unwrap()
    }

    /// Around each boundary of chunks, in pieces that meet it and that do not.
    #[test]
    fn it_is_byte_for_byte_what_the_age_crate_writes() {
        for len in [
            0, 1, 16, 65_535, 65_536, 65_537, 131_071, 131_072, 131_073, 400_000,
        ] {
            let plaintext: Vec<u8> = (0..len).map(|at: u32| at.to_le_bytes()[0] ^ 0x5a).collect();
            let open = Open::default();
            let recipients = std::iter::once(&open as &dyn age::Recipient);
            let mut file = Vec::new();
            let encryptor = age::Encryptor::with_recipients(recipients).unwrap();
            let mut writer = encryptor.wrap_output(&mut file).unwrap();
            writer.write_all(&plaintext).unwrap();
            writer.finish().unwrap();
            let mac = file.windows(5).position(|it| it == b"\n--- ").unwrap() + 5;
            let header = mac + file[mac..].iter().position(|it| *it == b'\n').unwrap() + 1;
            let payload = &file[header..];
            let nonce = payload[..16].try_into().unwrap();
            let key = *open.0.lock().unwrap();
            for piece in [1_000, 65_536, 65_537, 1 << 20] {
                let ours = written(nonce, &key, &plaintext, piece);
                assert!(ours == payload, "{len} bytes in pieces of {piece}");
            }
            // And the other way round.
            let ours = [&file[..header], &written(nonce, &key, &plaintext, 4_096)].concat();
            let decryptor = age::Decryptor::new(ours.as_slice()).unwrap();
            let identity = std::iter::once(&open as &dyn age::Identity);
            let mut opened = Vec::new();
            let mut reader = decryptor.decrypt(identity).unwrap();
            reader.read_to_end(&mut opened).unwrap();
            assert!(opened == plaintext, "{len}");
        }
    }

    #[test]
    fn each_payload_has_a_nonce_of_its_own() {
        let begun = || {
            StreamWriter::begin(&KEY, Vec::new())
                .unwrap()
                .finish()
                .unwrap()
        };
        let (first, second) = (begun(), begun());
        assert_eq!((first.len(), second.len()), (32, 32));
        assert_ne!(first[..16], second[..16]);
        assert_ne!(first[16..], second[16..]);
    }

    #[test]
    fn places_differ_from_chunk_to_chunk_and_at_the_end() {
        let bytes = |number, is_last| *place(number, is_last).as_ref();
        let mut want = [0; 12];
        assert_eq!(bytes(0, false), want);
        want[11] = 1;
        assert_eq!(bytes(0, true), want);
        (want[9], want[10], want[11]) = (1, 2, 0);
        assert_eq!(bytes(0x102, false), want);
        let last = bytes(u64::MAX, true);
        assert_eq!(
            (&last[..3], last[3], last[10], last[11]),
            (&[0; 3][..], 255, 255, 1)
        );
    }
}
