//! Checkpoints (C2SP tlog-checkpoint): a signed tree head.

use crate::base::{Digest, limits};
use crate::identity::keys::{KeyName, PublicKey, Role, SecretKey};
use crate::identity::note;
use crate::identity::note::{NoteFault, SignatureLine};
use crate::tlog::lines;

/// A tree head: which log, how many leaves, which root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log: `<authority id>/log`.
    pub origin: String,
    /// How many leaves.
    pub size: u64,
    /// The root over them.
    pub root: Digest,
}

/// Why bytes are not a checkpoint of the log they are said to be of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointFault {
    /// Not a signed note.
    #[error(transparent)]
    Note(#[from] NoteFault),
    /// The text does not have exactly three lines.
    #[error("a checkpoint has three lines (origin, size, root), this one has {0}")]
    Lines(usize),
    /// The origin is not the name of an authority's log.
    #[error("{0:?} is not the origin of a log like mla.example.ie/log")]
    Origin(String),
    /// The size is not a canonical decimal of at most 2^53 − 1.
    #[error("the size of the checkpoint is not a plain decimal number of at most 2^53 - 1")]
    Size,
    /// The root is not 32 bytes in canonical base64.
    #[error("the root of the checkpoint is not the base64 of 32 bytes")]
    Root,
    /// A checkpoint of another log.
    #[error("the checkpoint is of {got}, not of {wanted}")]
    WrongOrigin {
        /// The log that was expected.
        wanted: String,
        /// The log it is of.
        got: String,
    },
    /// No signature by the log's key.
    #[error("the checkpoint is not signed by {0}")]
    NotSigned(KeyName),
    /// The signature by the log's key is bad.
    #[error("the signature of {0} on the checkpoint does not verify: it was changed or forged")]
    BadSignature(KeyName),
}

impl CheckpointFault {
    /// A stable name of the fault.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Note(fault) => fault.code(),
            Self::Lines(_) => "checkpoint-lines",
            Self::Origin(_) => "checkpoint-origin",
            Self::Size => "checkpoint-size",
            Self::Root => "checkpoint-root",
            Self::WrongOrigin { .. } => "checkpoint-wrong-origin",
            Self::NotSigned(_) => "checkpoint-not-signed",
            Self::BadSignature(_) => "checkpoint-bad-signature",
        }
    }
}

impl Checkpoint {
    /// The signed text: three lines, the last with its newline.
    pub fn text(&self) -> String {
        let root = lines::write_hash(&self.root);
        format!("{}\n{}\n{root}\n", self.origin, self.size)
    }

    /// The checkpoint as a note signed by the log's key, whose name is the origin.
    pub fn sign(&self, key: &SecretKey) -> Vec<u8> {
        let text = self.text();
        let line = SignatureLine {
            name: key.name().to_string(),
            id: key.public().id(),
            signature: key.sign(text.as_bytes()).to_vec(),
        };
        format!("{text}\n{}", line.encode()).into_bytes()
    }

    /// Reads a checkpoint with up to [`limits::CHECKPOINT_SIGNATURES_MAX`] signatures and cosignatures, none of them
    /// verified.
    pub fn parse(bytes: &[u8]) -> Result<(Self, Vec<SignatureLine>), CheckpointFault> {
        let (text, signatures) = note::split(bytes, limits::CHECKPOINT_SIGNATURES_MAX)?;
        let lines: Vec<&str> = text.split_terminator('\n').collect();
        let [origin, size, root] = lines[..] else {
            return Err(CheckpointFault::Lines(lines.len()));
        };
        if !origin
            .parse::<KeyName>()
            .is_ok_and(|name| name.role() == Role::Log)
        {
            let origin = origin.chars().take(80).collect();
            return Err(CheckpointFault::Origin(origin));
        }
        let checkpoint = Self {
            origin: origin.to_owned(),
            size: lines::decimal(size).ok_or(CheckpointFault::Size)?,
            root: lines::hash(root).ok_or(CheckpointFault::Root)?,
        };
        Ok((checkpoint, signatures))
    }

    /// Reads a checkpoint of the log whose key this is and verifies that key's signature; cosignatures are not looked
    /// at.
    pub fn open(bytes: &[u8], key: &PublicKey) -> Result<Self, CheckpointFault> {
        let (checkpoint, signatures) = Self::parse(bytes)?;
        let wanted = key.name().to_string();
        if checkpoint.origin != wanted {
            return Err(CheckpointFault::WrongOrigin {
                wanted,
                got: checkpoint.origin,
            });
        }
        let id = key.id();
        let Some(line) = signatures
            .iter()
            .find(|line| line.name == wanted && line.id == id)
        else {
            return Err(CheckpointFault::NotSigned(key.name().clone()));
        };
        if key.verify(checkpoint.text().as_bytes(), &line.signature) {
            Ok(checkpoint)
        } else {
            Err(CheckpointFault::BadSignature(key.name().clone()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(authority: &str, role: Role) -> SecretKey {
        let name = KeyName::new(authority.parse().unwrap(), role);
        SecretKey::from_seed(name, &[7; 32])
    }

    fn good() -> (Checkpoint, SecretKey) {
        let checkpoint = Checkpoint {
            origin: "mla.example.ie/log".to_owned(),
            size: 3,
            root: Digest::of(b"root"),
        };
        (checkpoint, key("mla.example.ie", Role::Log))
    }

    #[test]
    fn a_signed_checkpoint_opens() {
        let (checkpoint, key) = good();
        let mut note = checkpoint.sign(&key);
        assert_eq!(Checkpoint::open(&note, &key.public()), Ok(checkpoint));
        let cosignature = SignatureLine {
            name: "mla.example.fr/witness".to_owned(),
            id: crate::base::KeyId::from_bytes([1; 4]),
            signature: vec![0; 72],
        };
        note.extend(cosignature.encode().into_bytes());
        assert!(Checkpoint::open(&note, &key.public()).is_ok());
    }

    fn check(from: &str, to: &str, code: &str) {
        let (checkpoint, key) = good();
        let note = String::from_utf8(checkpoint.sign(&key)).unwrap();
        assert!(note.contains(from), "{from:?}");
        let note = note.replacen(from, to, 1);
        let got = Checkpoint::open(note.as_bytes(), &key.public());
        assert_eq!(got.unwrap_err().code(), code, "{from:?} -> {to:?}");
    }

    #[test]
    fn every_rule() {
        check("\n3\n", "\n4\n", "checkpoint-bad-signature");
        check("\n3\n", "\n03\n", "checkpoint-size");
        check("\n3\n", "\n+3\n", "checkpoint-size");
        check("\n3\n", "\n-3\n", "checkpoint-size");
        check("\n3\n", "\n9007199254740992\n", "checkpoint-size");
        check("\n3\n", "\n", "checkpoint-lines");
        check("\n\n", "\nextension\n\n", "checkpoint-lines");
        check("=\n\n", "\n\n", "checkpoint-root");
        check("\n3\n", "\n3\nAAAA", "checkpoint-root");
        check(
            "mla.example.ie/log",
            "mla.example.ie/card",
            "checkpoint-origin",
        );
        check("mla.example.ie/log", "ledger", "checkpoint-origin");
        check(
            "mla.example.ie/log",
            "mla.example.fr/log",
            "checkpoint-wrong-origin",
        );
        check(
            "\u{2014} mla.example.ie",
            "\u{2014} mla.example.fr",
            "checkpoint-not-signed",
        );
        check("\u{2014} mla", "- mla", "note-signature-line");
        let (checkpoint, _) = good();
        let other = key("mla.example.ie", Role::Log);
        let forged = checkpoint.sign(&key("mla.example.ie", Role::Card));
        let fault = Checkpoint::open(&forged, &other.public()).unwrap_err();
        assert_eq!(fault.code(), "checkpoint-not-signed");
    }
}
