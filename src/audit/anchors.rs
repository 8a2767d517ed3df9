//! The keys that an auditor trusts: a text file of C2SP vkeys, one a line.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::base::{KeyId, len_u64, limits};
use crate::identity::keys::{KeyFault, KeyName, PublicKey, Role};
use crate::tlog::cosignature;

/// Keys of receipts, logs and witnesses, as given; nothing else is trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Anchors(Vec<PublicKey>);

/// Why a file of keys cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnchorsFault {
    /// Longer than [`limits::KEY_FILE_BYTES_MAX`], or not UTF-8.
    #[error("the file of keys is longer than 64 KiB or not UTF-8 text")]
    Unreadable,
    /// A line that is no vkey.
    #[error("line {line} of the file of keys: {fault}")]
    Line {
        /// Which, counted from 1.
        line: usize,
        /// The rule that it breaks.
        fault: KeyFault,
    },
    /// No key at all.
    #[error("the file of keys has no key in it")]
    Empty,
}

impl Anchors {
    /// Reads vkeys, one a line; empty lines and lines that begin with `#` are left out. A witness's key may be given as
    /// the vkey of a cosigner (type 0x04) or of a signer (0x01).
    pub fn parse(bytes: &[u8]) -> Result<Self, AnchorsFault> {
        if len_u64(bytes.len()) > limits::KEY_FILE_BYTES_MAX {
            return Err(AnchorsFault::Unreadable);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| AnchorsFault::Unreadable)?;
        let mut keys: Vec<PublicKey> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let key = vkey(line).map_err(|fault| AnchorsFault::Line {
                line: number,
                fault,
            })?;
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        if keys.is_empty() {
            return Err(AnchorsFault::Empty);
        }
        Ok(Self(keys))
    }

    /// The key of this name and id.
    pub fn find(&self, name: &KeyName, id: KeyId) -> Option<&PublicKey> {
        self.0
            .iter()
            .find(|key| key.name() == name && key.id() == id)
    }

    /// The keys of this name.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a PublicKey> {
        self.0
            .iter()
            .filter(move |key| key.name().to_string() == name)
    }

    /// The witnesses' keys.
    pub fn witnesses(&self) -> impl Iterator<Item = &PublicKey> {
        self.0
            .iter()
            .filter(|key| key.name().role() == Role::Witness)
    }

    /// All of them.
    pub fn all(&self) -> &[PublicKey] {
        &self.0
    }
}

fn vkey(line: &str) -> Result<PublicKey, KeyFault> {
    PublicKey::parse_vkey(line).or_else(|fault| cosigner(line).ok_or(fault))
}

/// The vkey of a cosigner: type 0x04, and the id that goes with it.
fn cosigner(line: &str) -> Option<PublicKey> {
    if line.len() > limits::VKEY_BYTES_MAX {
        return None;
    }
    let mut parts = line.splitn(3, '+');
    let (name, id, blob) = (parts.next()?, parts.next()?, parts.next()?);
    let blob = STANDARD.decode(blob).ok()?;
    let [cosignature::COSIGNATURE_ED25519, key @ ..] = <[u8; 33]>::try_from(blob).ok()? else {
        return None;
    };
    let name: KeyName = name.parse().ok()?;
    let key = PublicKey::from_bytes(name, &key).ok()?;
    let is_witness = key.name().role() == Role::Witness;
    (is_witness && cosignature::cosigner_id(&key).to_string() == id).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::keys::SecretKey;

    fn key(role: Role) -> PublicKey {
        let name = KeyName::new("mla.example.ie".parse().unwrap(), role);
        SecretKey::from_seed(name, &[role as u8 + 1; 32]).public()
    }

    #[test]
    fn both_spellings_of_a_witness_are_one_key() {
        let (receipts, witness) = (key(Role::Receipts), key(Role::Witness));
        let text = format!(
            "# keys that I compared\n\n{}\r\n{}\n{}\n{}\n",
            receipts.to_vkey(),
            witness.to_vkey(),
            cosignature::cosigner_vkey(&witness),
            receipts.to_vkey()
        );
        let anchors = Anchors::parse(text.as_bytes()).unwrap();
        assert_eq!(anchors.all(), [receipts.clone(), witness.clone()]);
        assert_eq!(anchors.witnesses().collect::<Vec<_>>(), [&witness]);
        assert_eq!(
            anchors.find(receipts.name(), receipts.id()),
            Some(&receipts)
        );
        assert_eq!(anchors.find(receipts.name(), witness.id()), None);
    }

    #[test]
    fn what_is_no_key_is_said_with_its_line() {
        let good = key(Role::Log).to_vkey();
        let cosigner_of_a_log = cosignature::cosigner_vkey(&key(Role::Log));
        for (text, line) in [
            (format!("{good}\nnonsense\n"), 2),
            (format!("{good} trailing\n"), 1),
            (cosigner_of_a_log, 1),
        ] {
            match Anchors::parse(text.as_bytes()) {
                Err(AnchorsFault::Line { line: at, .. }) => assert_eq!(at, line),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(Anchors::parse(b"# nothing\n"), Err(AnchorsFault::Empty));
        assert_eq!(Anchors::parse(&[0xff]), Err(AnchorsFault::Unreadable));
        assert_eq!(
            Anchors::parse(&vec![b'\n'; 70_000]),
            Err(AnchorsFault::Unreadable)
        );
    }
}
