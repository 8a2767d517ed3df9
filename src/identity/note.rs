//! C2SP signed-note: a text, a blank line, and lines `— <key name> <base64 of key id and signature>`.
//!
//! The bytes that statements and checkpoints share. Nothing here verifies a signature.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::base::{Digest, KeyId, limits};

/// The signature type of plain Ed25519 (C2SP signed-note).
pub const ED25519: u8 = 0x01;

/// Why bytes are not a signed note.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteFault {
    /// More bytes than a note may have.
    #[error(
        "the note has {0} bytes, at most {max} are allowed",
        max = limits::STATEMENT_BYTES_MAX
    )]
    TooLong(usize),
    /// Not UTF-8.
    #[error("the note is not UTF-8 text")]
    NotUtf8,
    /// A character below U+0020 other than the newline.
    #[error("the note has the control character U+{0:04X}")]
    ControlCharacter(u32),
    /// The last line has no newline.
    #[error("the last line of the note does not end with a newline")]
    NoFinalNewline,
    /// No blank line between text and signatures.
    #[error("no blank line separates text and signatures")]
    NoBlankLine,
    /// No signature line.
    #[error("the note has no signature")]
    NoSignature,
    /// More signature lines than allowed.
    #[error("the note has {0} signatures, at most {1} are allowed")]
    TooManySignatures(usize, usize),
    /// A signature line that is not one.
    #[error("signature line {line} is malformed: {why}")]
    SignatureLine {
        /// Which, counted from 1.
        line: usize,
        /// The rule that it breaks.
        why: &'static str,
    },
}

impl NoteFault {
    /// A stable name of the fault.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong(_) => "note-too-long",
            Self::NotUtf8 => "note-not-utf8",
            Self::ControlCharacter(_) => "note-control-character",
            Self::NoFinalNewline => "note-no-final-newline",
            Self::NoBlankLine => "note-no-blank-line",
            Self::NoSignature => "note-no-signature",
            Self::TooManySignatures(..) => "note-too-many-signatures",
            Self::SignatureLine { .. } => "note-signature-line",
        }
    }
}

/// One signature line, of any key name and signature type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureLine {
    /// The key's name.
    pub name: String,
    /// The key's id.
    pub id: KeyId,
    /// The bytes after the id: for Ed25519, 64.
    pub signature: Vec<u8>,
}

impl SignatureLine {
    /// The line as written, with its newline.
    pub fn encode(&self) -> String {
        let mut blob = self.id.as_bytes().to_vec();
        blob.extend_from_slice(&self.signature);
        format!("\u{2014} {} {}\n", self.name, STANDARD.encode(blob))
    }

    fn parse(line: &str) -> Result<Self, &'static str> {
        let rest = line
            .strip_prefix("\u{2014} ")
            .ok_or("it does not start with an em dash and a space")?;
        let (name, blob) = rest.split_once(' ').ok_or("it has no signature")?;
        if name.is_empty() || name.chars().any(|c| c.is_whitespace() || c == '+') {
            return Err("the key name is empty or has a space or a plus sign");
        }
        let blob = STANDARD
            .decode(blob)
            .map_err(|_| "the signature is not canonical base64")?;
        match blob.split_first_chunk::<4>() {
            Some((id, signature)) if !signature.is_empty() => Ok(Self {
                name: name.to_owned(),
                id: KeyId::from_bytes(*id),
                signature: signature.to_vec(),
            }),
            Some(_) | None => Err("the signature is too short"),
        }
    }
}

/// The id of a key: the first four bytes of SHA-256(name, newline, signature type, public key).
pub fn key_id(name: &str, kind: u8, key: &[u8]) -> KeyId {
    let mut bytes = name.as_bytes().to_vec();
    bytes.extend_from_slice(&[b'\n', kind]);
    bytes.extend_from_slice(key);
    let digest = Digest::of(&bytes);
    let [a, b, c, d, ..] = *digest.as_bytes();
    KeyId::from_bytes([a, b, c, d])
}

/// Splits a note of at most [`limits::STATEMENT_BYTES_MAX`] bytes into its text, with the final newline, and 1 to
/// `signatures_max` signature lines.
pub fn split(bytes: &[u8], signatures_max: usize) -> Result<(&str, Vec<SignatureLine>), NoteFault> {
    if bytes.len() > limits::STATEMENT_BYTES_MAX {
        return Err(NoteFault::TooLong(bytes.len()));
    }
    let note = std::str::from_utf8(bytes).map_err(|_| NoteFault::NotUtf8)?;
    if let Some(bad) = note.chars().find(|&c| c < ' ' && c != '\n') {
        return Err(NoteFault::ControlCharacter(bad.into()));
    }
    if !note.ends_with('\n') {
        return Err(NoteFault::NoFinalNewline);
    }
    let parts = note.rsplit_once("\n\n");
    // The text ends with the first newline of the two.
    let parts = parts.and_then(|(text, rest)| Some((note.get(..=text.len())?, rest)));
    let (text, rest) = parts.ok_or(NoteFault::NoBlankLine)?;
    let lines: Vec<&str> = rest.split_terminator('\n').collect();
    if lines.is_empty() {
        return Err(NoteFault::NoSignature);
    }
    if lines.len() > signatures_max {
        return Err(NoteFault::TooManySignatures(lines.len(), signatures_max));
    }
    let signatures = (1..)
        .zip(lines)
        .map(|(number, line)| {
            let fault = |why| NoteFault::SignatureLine { line: number, why };
            SignatureLine::parse(line).map_err(fault)
        })
        .collect::<Result<_, _>>()?;
    Ok((text, signatures))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of golang.org/x/mod/sumdb/note.
    const NEUMANN: &str = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n\n\
        \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    const NEUMANN_KEY: &str = "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

    #[test]
    fn the_reference_example_parses_verifies_and_is_written_the_same() {
        let (text, lines) = split(NEUMANN.as_bytes(), 8).unwrap();
        let key = STANDARD.decode(NEUMANN_KEY).unwrap();
        assert_eq!(key[0], ED25519);
        let id = key_id("PeterNeumann", ED25519, &key[1..]);
        assert_eq!(id.to_string(), "c74f20a3");
        assert_eq!(lines.len(), 1);
        assert_eq!(
            (
                lines[0].name.as_str(),
                lines[0].id,
                lines[0].signature.len()
            ),
            ("PeterNeumann", id, 64)
        );
        let point = ed25519_dalek::VerifyingKey::from_bytes(key[1..].try_into().unwrap()).unwrap();
        let signature = ed25519_dalek::Signature::from_slice(&lines[0].signature).unwrap();
        assert!(point.verify_strict(text.as_bytes(), &signature).is_ok());
        assert_eq!(format!("{text}\n{}", lines[0].encode()), NEUMANN);
    }

    fn check(note: &[u8], code: &str) {
        let got = split(note, 2).map_or_else(|fault| fault.code(), |_| "good");
        assert_eq!(got, code, "{}", String::from_utf8_lossy(note));
    }

    #[test]
    fn every_byte_rule() {
        let line = |name: &str| format!("\u{2014} {name} AAAAAAE=\n");
        let note = |rest: &str| format!("text\n\n{rest}").into_bytes();
        check(&note(&line("a")), "good");
        check(&note(&(line("a") + &line("b"))), "good");
        check(
            &note(&(line("a") + &line("b") + &line("c"))),
            "note-too-many-signatures",
        );
        check(&note(""), "note-no-signature");
        check(b"text\n", "note-no-blank-line");
        check(b"", "note-no-final-newline");
        check(b"text", "note-no-final-newline");
        check(&note("\u{2014} a AAAAAAE="), "note-no-final-newline");
        check(b"te\xff\n\n", "note-not-utf8");
        check(b"te\txt\n\n", "note-control-character");
        check(b"te\rxt\n\n", "note-control-character");
        check(
            &vec![b'a'; limits::STATEMENT_BYTES_MAX + 1],
            "note-too-long",
        );
        for bad in [
            "- a AAAAAAE=\n",
            "\u{2014}a AAAAAAE=\n",
            "\u{2014} a\n",
            "\u{2014}  AAAAAAE=\n",
            "\u{2014} a+b AAAAAAE=\n",
            "\u{2014} a\u{a0}b AAAAAAE=\n",
            "\u{2014} a AAAAAA==\n",
            "\u{2014} a AAAA\n",
            "\u{2014} a AAAAAAF=\n",
            "\u{2014} a AAAAAAE\n",
            "\u{2014} a AAAAAAE= \n",
            "\u{2014} a  AAAAAAE=\n",
        ] {
            check(&note(bad), "note-signature-line");
        }
    }
}
