//! Passing on: the file key of a package is wrapped again, for other recipients. The payload stays what it is, to the
//! byte.

use std::io::Cursor;
use std::sync::{Mutex, PoisonError};

use age::secrecy::ExposeSecret as _;
use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use aws_lc_rs::{hkdf, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use zeroize::Zeroizing;

use crate::base::limits;
use crate::package::header;
use crate::policy::{Action, Permit};
use crate::seal::fault::SealError;
use crate::seal::identity::{self, Identity};
use crate::seal::plaintext;

/// Bytes of base64 on one line of a stanza's body (C2SP age v1).
const COLUMNS: usize = 64;

/// The header of the same package for these recipients, under a permit to forward it; the caller has asked for the
/// permit for this very package and looked at how long it lasts.
///
/// # Errors
/// The permit is for something else, the header is not for this identity or was altered, or a recipient cannot be
/// sealed for.
pub fn rewrap(
    permit: &Permit,
    old: &[u8],
    identity: &Identity,
    recipients: &[String],
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    match permit.action() {
        Action::Forward => {
            let key = file_key(old, identity)?;
            wrapped(&key, recipients)
        }
        other @ (Action::Send
        | Action::Admit
        | Action::Open
        | Action::Export
        | Action::Keep
        | Action::Erase) => Err(SealError::Permit(other)),
    }
}

/// An identity that remembers the file key that it has unwrapped.
struct Remembering<'a> {
    identity: &'a Identity,
    key: Mutex<Option<Zeroizing<[u8; FILE_KEY_BYTES]>>>,
}

impl age::Identity for Remembering<'_> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, age::DecryptError>> {
        let unwrapped = self.identity.0.unwrap_stanza(stanza);
        if let Some(Ok(key)) = &unwrapped {
            let key = Zeroizing::new(*key.expose_secret());
            *self.key.lock().unwrap_or_else(PoisonError::into_inner) = Some(key);
        }
        unwrapped
    }
}

/// The file key in a header whose MAC is right.
fn file_key(old: &[u8], identity: &Identity) -> Result<Zeroizing<[u8; FILE_KEY_BYTES]>, SealError> {
    let key = Mutex::new(None);
    let remembering = Remembering { identity, key };
    // Reading begins with the nonce of the payload, of which nothing is needed here.
    plaintext::unwrap_with(old, Cursor::new([0; 16]), &remembering)?;
    let key = remembering.key.into_inner();
    key.unwrap_or_else(PoisonError::into_inner)
        .ok_or(SealError::Stanza)
}

/// A header with this file key for these recipients.
pub(super) fn wrapped(
    key: &[u8; FILE_KEY_BYTES],
    recipients: &[String],
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    if recipients.is_empty() {
        return Err(SealError::NoRecipient);
    }
    let mut written = Zeroizing::new(header::VERSION.to_vec());
    for recipient in recipients {
        let recipient = identity::recipient(recipient)?;
        let file_key = FileKey::init_with_mut(|it| it.copy_from_slice(key));
        let stanzas = age::Recipient::wrap_file_key(&recipient, &file_key);
        let (stanzas, _labels) = stanzas.map_err(|_| SealError::Stanza)?;
        for stanza in &stanzas {
            write_stanza(&mut written, stanza);
        }
    }
    written.extend_from_slice(b"---");
    let mac = mac(key, &written).ok_or(SealError::Mac)?;
    written.extend_from_slice(format!(" {}\n", STANDARD_NO_PAD.encode(mac)).as_bytes());
    debug_assert!(written.len() <= limits::HEADER_BYTES_MAX);
    header::check(&written, recipients.len())?;
    Ok(written)
}

fn write_stanza(to: &mut Vec<u8>, stanza: &Stanza) {
    let words: Vec<&str> = std::iter::once(stanza.tag.as_str())
        .chain(stanza.args.iter().map(String::as_str))
        .collect();
    to.extend_from_slice(format!("-> {}\n", words.join(" ")).as_bytes());
    let body = STANDARD_NO_PAD.encode(&stanza.body);
    let mut rest = body.as_str();
    // The last line is shorter than the others, and may be empty.
    while rest.len() >= COLUMNS {
        let (line, more) = rest.split_at(COLUMNS);
        to.extend_from_slice(line.as_bytes());
        to.push(b'\n');
        rest = more;
    }
    to.extend_from_slice(rest.as_bytes());
    to.push(b'\n');
}

/// HMAC-SHA256 of the header up to `---`, under HKDF-SHA256 of the file key without salt for `header` (C2SP age v1).
fn mac(key: &[u8; FILE_KEY_BYTES], up_to: &[u8]) -> Option<hmac::Tag> {
    let derived = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(key);
    let info: &[&[u8]] = &[b"header"];
    let key = derived.expand(info, hmac::HMAC_SHA256).ok()?;
    Some(hmac::sign(&hmac::Key::from(key), up_to))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    fn sealed(recipients: &[&Identity], plaintext: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let recipients: Vec<_> = recipients.iter().map(|it| it.0.to_public()).collect();
        let recipients = recipients.iter().map(|it| it as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(recipients).unwrap();
        let mut file = Vec::new();
        let mut writer = encryptor.wrap_output(&mut file).unwrap();
        writer.write_all(plaintext).unwrap();
        writer.finish().unwrap();
        let payload = file.split_off(header::split(&file).unwrap().unwrap());
        (file, payload)
    }

    fn opened(header: &[u8], payload: &[u8], identity: &Identity) -> Result<Vec<u8>, String> {
        let file = [header, payload].concat();
        let decryptor = age::Decryptor::new(file.as_slice()).map_err(|e| e.to_string())?;
        let reader = decryptor.decrypt(std::iter::once(&identity.0 as &dyn age::Identity));
        let mut plaintext = Vec::new();
        let mut reader = reader.map_err(|e| e.to_string())?;
        reader
            .read_to_end(&mut plaintext)
            .map_err(|e| e.to_string())?;
        Ok(plaintext)
    }

    #[test]
    fn others_open_the_same_payload() {
        let (first, second, third) = (
            Identity::generate(),
            Identity::generate(),
            Identity::generate(),
        );
        let plaintext = vec![7; 200_000];
        let (old, payload) = sealed(&[&first, &third], &plaintext);
        let key = file_key(&old, &first).unwrap();
        for recipients in [vec![&second], vec![&second, &third]] {
            let names: Vec<_> = recipients.iter().map(|it| it.to_public()).collect();
            let new = wrapped(&key, &names).unwrap();
            for identity in &recipients {
                assert_eq!(opened(&new, &payload, identity).unwrap(), plaintext);
            }
            assert!(opened(&new, &payload, &first).is_err());
            let mut altered = new.to_vec();
            let at = altered.len() - 10;
            altered[at] ^= 1;
            assert!(opened(&altered, &payload, &second).is_err());
        }
        assert!(matches!(wrapped(&key, &[]), Err(SealError::NoRecipient)));
    }

    #[test]
    fn a_header_that_is_not_ours_or_was_altered_gives_no_key() {
        let (ours, other) = (Identity::generate(), Identity::generate());
        let (header, _) = sealed(&[&ours], b"x");
        assert!(matches!(
            file_key(&header, &other),
            Err(SealError::NotForUs)
        ));
        let mut altered = header.clone();
        let at = altered.len() - 10;
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        assert!(matches!(file_key(&altered, &ours), Err(SealError::Mac)));
        assert!(file_key(&header[..header.len() - 1], &ours).is_err());
    }

    #[test]
    fn long_bodies_are_written_in_lines_of_64() {
        for (bytes, lines) in [(32, 1), (47, 1), (48, 2), (100, 3)] {
            let stanza = Stanza {
                tag: "x".to_owned(),
                args: Vec::new(),
                body: vec![1; bytes],
            };
            let mut written = Vec::new();
            write_stanza(&mut written, &stanza);
            let text = String::from_utf8(written).unwrap();
            let body: Vec<_> = text.lines().skip(1).collect();
            assert_eq!(body.len(), lines, "{bytes}");
            assert!(body.iter().rev().skip(1).all(|line| line.len() == COLUMNS));
            assert!(body.last().is_some_and(|line| line.len() < COLUMNS));
        }
    }
}
