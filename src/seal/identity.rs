//! The age identity of an authority (X25519), kept in the file format of age-keygen.

use std::sync::{Mutex, PoisonError};

use age::secrecy::ExposeSecret as _;
use aws_lc_rs::agreement;
use zeroize::Zeroizing;

use crate::base::Timestamp;

/// Why a text is no identity or recipient.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityFault {
    /// No line with a secret key, or more than one.
    #[error("an age identity file has exactly one line AGE-SECRET-KEY-1…; this has {0}")]
    Keys(usize),
    /// The line does not parse. It is not repeated here.
    #[error("the AGE-SECRET-KEY-1… line of the age identity file is malformed: {0}")]
    Secret(&'static str),
    /// Not an X25519 recipient.
    #[error("{text:?} is not an X25519 age recipient (age1…): {why}")]
    Recipient {
        /// The text, its first 80 characters.
        text: String,
        /// The fault.
        why: &'static str,
    },
}

/// The secret with which an authority opens packages sealed for it.
#[expect(missing_debug_implementations, reason = "a secret is never printed")]
pub struct Identity(pub(super) age::x25519::Identity);

impl Identity {
    /// A new one, from the operating system's randomness.
    pub fn generate() -> Self {
        Self(age::x25519::Identity::generate())
    }

    /// Reads the text of an age-keygen file: comments, blank lines and one secret key.
    pub fn from_file(text: &str) -> Result<Self, IdentityFault> {
        let keys: Vec<_> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect();
        let [key] = keys[..] else {
            return Err(IdentityFault::Keys(keys.len()));
        };
        key.parse().map(Self).map_err(IdentityFault::Secret)
    }

    /// The text of an age-keygen file, which `age -d -i` takes.
    pub fn to_file(&self, created: Timestamp) -> Zeroizing<String> {
        Zeroizing::new(format!(
            "# created: {created}\n# public key: {}\n{}\n",
            self.to_public(),
            self.0.to_string().expose_secret()
        ))
    }

    /// The recipient (`age1…`) for which others seal.
    pub fn to_public(&self) -> String {
        self.0.to_public().to_string()
    }
}

/// Checks that this is an X25519 recipient that can be sealed for: well-formed, and not one of the few points that
/// would give everybody the same secret (RFC 7748 §6.1).
pub fn check_recipient(text: &str) -> Result<(), IdentityFault> {
    recipient(text).map(|_| ())
}

/// Recipients that were found good, so that a process that seals many packages for them looks once.
static CONTRIBUTING: Mutex<Vec<String>> = Mutex::new(Vec::new());
const KNOWN_MAX: usize = 16;

/// Reads a recipient that passes [`check_recipient`].
pub(super) fn recipient(text: &str) -> Result<age::x25519::Recipient, IdentityFault> {
    let fault = |why| IdentityFault::Recipient {
        text: text.chars().take(80).collect(),
        why,
    };
    let recipient: age::x25519::Recipient = text.parse().map_err(fault)?;
    if recipient.to_string() != text {
        return Err(fault("it is not written in lower case"));
    }
    let known = || CONTRIBUTING.lock().unwrap_or_else(PoisonError::into_inner);
    if known().iter().any(|known| known == text) {
        return Ok(recipient);
    }
    let point = point(text).ok_or_else(|| fault("it does not hold 32 bytes"))?;
    if contributes(&point) {
        let mut known = known();
        known.truncate(KNOWN_MAX - 1);
        known.insert(0, text.to_owned());
        Ok(recipient)
    } else {
        Err(fault(
            "it is a point of low order, for which anybody could open",
        ))
    }
}

/// The 32 bytes of a Bech32 text (BIP 173) whose checksum was checked before.
fn point(text: &str) -> Option<[u8; 32]> {
    const ALPHABET: &[u8] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    let (values, _checksum) = text
        .strip_prefix("age1")?
        .as_bytes()
        .split_last_chunk::<6>()?;
    let mut bytes = Vec::with_capacity(32);
    // Five bits at a time; `bits` of them, fewer than eight, wait in `held`.
    let (mut held, mut bits) = (0_u32, 0_u32);
    for letter in values {
        let value = ALPHABET.iter().position(|known| known == letter)?;
        held = (held << 5) | u32::try_from(value).ok()?;
        bits = bits.saturating_add(5);
        if let Some(more) = bits.checked_sub(8) {
            bits = more;
            bytes.push(u8::try_from((held >> bits) & 0xff).ok()?);
        }
        held &= 0xff;
    }
    bytes.try_into().ok()
}

/// Whether agreeing on a secret with this point gives one: the age crate stops the process where it does not. A point
/// of low order gives none to anybody, so any key will do.
fn contributes(point: &[u8; 32]) -> bool {
    let Ok(any) = agreement::PrivateKey::from_private_key(&agreement::X25519, &[1; 32]) else {
        return false;
    };
    let peer = agreement::UnparsedPublicKey::new(&agreement::X25519, point);
    agreement::agree(&any, peer, (), |secret| {
        if secret.iter().any(|byte| *byte != 0) {
            Ok(())
        } else {
            Err(())
        }
    })
    .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
    const PUBLIC: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";

    #[test]
    fn the_file_is_that_of_age_keygen() {
        let identity = Identity::from_file(&format!("# created: x\n\n{KEY}\n"))
            .ok()
            .unwrap();
        assert_eq!(identity.to_public(), PUBLIC);
        let file = identity.to_file("2026-11-23T09:00:00.000Z".parse().unwrap());
        assert_eq!(
            *file,
            format!("# created: 2026-11-23T09:00:00.000Z\n# public key: {PUBLIC}\n{KEY}\n")
        );
        assert_eq!(Identity::from_file(&file).ok().unwrap().to_public(), PUBLIC);
        for (bad, part) in [
            (String::new(), "this has 0"),
            (format!("{KEY}\n{KEY}\n"), "this has 2"),
            (PUBLIC.to_owned(), "HRP"),
            (KEY.replace("Q2Y5J33", "Q2Y5J34"), "Bech32"),
            (
                "AGE-SECRET-KEY-PQ-1HZLGZUPT4ETPKDEV8HSGFDCYZ4E522W0A7PU2LHT8EH9W6YLNC3SW78XKG"
                    .to_owned(),
                "HRP",
            ),
        ] {
            let fault = Identity::from_file(&bad).err().unwrap().to_string();
            assert!(fault.contains(part), "{fault}");
            assert!(!fault.contains("GQ9778"), "the secret is not repeated");
        }
    }

    #[test]
    fn recipients_that_anybody_could_open_for_are_refused() {
        check_recipient(PUBLIC).unwrap();
        check_recipient(&Identity::generate().to_public()).unwrap();
        assert_eq!(
            hex::encode(point(PUBLIC).unwrap()),
            "5f8662658a1446e3aa0b6fc63c84988966c99f5fa3fc7102c9a73b0690fa9075"
        );
        // The seven points of low order (https://cr.yp.to/ecdh.html), each with and without the bit that X25519
        // ignores.
        for text in [
            "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z",
            "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqzqqsuwj9m",
            "age1qyqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqj7vrya",
            "age1qyqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqzqqk67yly",
            "age1ur4h5lpmgxu2u9jku0a0r87ydtdqnr0tnsetrlvxvgz3vh6fhqqqzyt4v9",
            "age1ur4h5lpmgxu2u9jku0a0r87ydtdqnr0tnsetrlvxvgz3vh6fhzqqxqejhu",
            "age1t7wft09r2zxzfvwsk92eeql0tvzyghxytqwgapkcyf8dm5ylz9ts6wm9s8",
            "age1t7wft09r2zxzfvwsk92eeql0tvzyghxytqwgapkcyf8dm5ylz8ts72fzt7",
            "age1anlllllllllllllllllllllllllllllllllllllllllllllllals4n2t7m",
            "age1anllllllllllllllllllllllllllllllllllllllllllllllllls3hcv9z",
            "age1ahlllllllllllllllllllllllllllllllllllllllllllllllalsn46ayy",
            "age1ahlllllllllllllllllllllllllllllllllllllllllllllllllsh3g6la",
            "age1amlllllllllllllllllllllllllllllllllllllllllllllllalselrwrv",
            "age1amlllllllllllllllllllllllllllllllllllllllllllllllllsam3fc4",
        ] {
            let fault = check_recipient(text).unwrap_err().to_string();
            assert!(fault.contains("low order"), "{fault}");
        }
        for text in [
            "age1",
            "AGE1T7RXYEV2Z3RW82STDLRREPYC39NVN86L5078ZQKF5UASDY86JP6SVPY7PA",
            "age1pq1abc",
            "ssh-ed25519 AAAA",
            "",
        ] {
            assert!(check_recipient(text).is_err(), "{text}");
        }
    }
}
