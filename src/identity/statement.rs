//! Statements: C2SP signed notes whose text is a context line and one line of canonical JSON.
//!
//! A [`Note`] keeps the bytes it was read from: they are stored and moved as they are, never written anew.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::base::Digest;
use crate::base::KeyId;
use crate::base::json;
use crate::base::json::JsonFault;
use crate::base::limits;
use crate::identity::keys::{KeyName, PublicKey, SecretKey};
use crate::identity::note;
use crate::identity::note::NoteFault;
use crate::identity::note::SignatureLine;

/// What a statement is about; its first line is `rogatory/<context>/v1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Context {
    /// An exchange, or the authority's own governance.
    Receipt,
    /// An authority's card.
    Card,
    /// A request for assistance.
    Request,
    /// Consent to an onward transfer.
    Consent,
    /// A key.
    Key,
    /// A log.
    Log,
}

impl Context {
    /// Every context.
    pub const ALL: [Self; 6] = [
        Self::Receipt,
        Self::Card,
        Self::Request,
        Self::Consent,
        Self::Key,
        Self::Log,
    ];

    /// The first line of the statement's text, without its newline.
    pub const fn line(self) -> &'static str {
        match self {
            Self::Receipt => "rogatory/receipt/v1",
            Self::Card => "rogatory/card/v1",
            Self::Request => "rogatory/request/v1",
            Self::Consent => "rogatory/consent/v1",
            Self::Key => "rogatory/key/v1",
            Self::Log => "rogatory/log/v1",
        }
    }
}

/// Why bytes are not a statement, or not one signed as expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementFault {
    /// Not a signed note at all.
    #[error(transparent)]
    Note(#[from] NoteFault),
    /// The text does not have exactly two lines.
    #[error("a statement's text has two lines, this one has {0}")]
    Lines(usize),
    /// The first line is no known context.
    #[error("unknown kind of statement {0:?}; its issuer may use a newer version of rogatory")]
    UnknownContext(String),
    /// A statement about something else than expected.
    #[error("a statement of {got:?} came where one of {wanted:?} belongs")]
    WrongContext {
        /// What was expected.
        wanted: Context,
        /// What came.
        got: Context,
    },
    /// The second line is not canonical JSON of the expected content.
    #[error(transparent)]
    Json(#[from] JsonFault),
    /// The second line is JSON, but no object.
    #[error("the statement's JSON is not an object")]
    NotAnObject,
    /// A signature by something that is not an authority's key.
    #[error("the signature names {0:?}, which is not a key name like mla.example.ie/receipts")]
    KeyName(String),
    /// A signature that does not have the 64 bytes of Ed25519.
    #[error("the signature of {name} has {length} bytes, Ed25519 has 64")]
    SignatureLength {
        /// The signing key's name.
        name: KeyName,
        /// The signature's length.
        length: usize,
    },
    /// The same key signed twice.
    #[error("{0} signed the statement twice")]
    SignedTwice(KeyName),
    /// More or fewer signatures than expected.
    #[error("the statement has {got} signatures, {wanted} are expected")]
    SignatureCount {
        /// How many were expected.
        wanted: usize,
        /// How many there are.
        got: usize,
    },
    /// A signature by another key than expected.
    #[error("signature by {got_name} ({got}) where {wanted_name} ({wanted}) must sign")]
    WrongSigner {
        /// The expected key's name.
        wanted_name: KeyName,
        /// The expected key's id.
        wanted: KeyId,
        /// The signing key's name.
        got_name: KeyName,
        /// The signing key's id.
        got: KeyId,
    },
    /// A signature that does not verify.
    #[error("the signature of {0} does not verify: the statement was changed or forged")]
    BadSignature(KeyName),
}

impl StatementFault {
    /// A stable name of the fault.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Note(fault) => fault.code(),
            Self::Lines(_) => "statement-lines",
            Self::UnknownContext(_) => "statement-unknown-context",
            Self::WrongContext { .. } => "statement-wrong-context",
            Self::Json(JsonFault::TooLong { .. }) => "statement-json-too-long",
            Self::Json(JsonFault::Malformed(_)) => "statement-json-malformed",
            Self::Json(JsonFault::NotCanonical) => "statement-json-not-canonical",
            Self::Json(JsonFault::Content(_)) => "statement-json-content",
            Self::NotAnObject => "statement-not-an-object",
            Self::KeyName(_) => "statement-key-name",
            Self::SignatureLength { .. } => "statement-signature-length",
            Self::SignedTwice(_) => "statement-signed-twice",
            Self::SignatureCount { .. } => "statement-signature-count",
            Self::WrongSigner { .. } => "statement-wrong-signer",
            Self::BadSignature(_) => "statement-bad-signature",
        }
    }
}

/// A signature on a statement: well-formed, not necessarily good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// The signing key's name.
    pub name: KeyName,
    /// The signing key's id.
    pub id: KeyId,
    /// The Ed25519 signature over the note's text.
    pub signature: [u8; 64],
}

impl NoteSignature {
    fn by(key: &SecretKey, text: &str) -> Self {
        Self {
            name: key.name().clone(),
            id: key.public().id(),
            signature: key.sign(text.as_bytes()),
        }
    }

    fn line(&self) -> String {
        let line = SignatureLine {
            name: self.name.to_string(),
            id: self.id,
            signature: self.signature.to_vec(),
        };
        line.encode()
    }

    fn checked(line: SignatureLine) -> Result<Self, StatementFault> {
        let Ok(name) = line.name.parse::<KeyName>() else {
            let name = line.name.chars().take(80).collect();
            return Err(StatementFault::KeyName(name));
        };
        match <[u8; 64]>::try_from(line.signature) {
            Ok(signature) => Ok(Self {
                name,
                id: line.id,
                signature,
            }),
            Err(other) => Err(StatementFault::SignatureLength {
                name,
                length: other.len(),
            }),
        }
    }
}

/// A statement as read or issued: every byte rule holds; whether its signatures are good, [`Note::verify`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    whole: String,
    text_length: usize,
    context: Context,
    signatures: Vec<NoteSignature>,
}

impl Note {
    /// Reads a statement of at most [`limits::STATEMENT_BYTES_MAX`] bytes and [`limits::STATEMENT_SIGNATURES_MAX`] signatures.
    pub fn parse(bytes: &[u8]) -> Result<Self, StatementFault> {
        let (text, lines) = note::split(bytes, limits::STATEMENT_SIGNATURES_MAX)?;
        let count = text.matches('\n').count();
        let (2, Some((first, second))) = (count, text.split_once('\n')) else {
            return Err(StatementFault::Lines(count));
        };
        let Some(context) = Context::ALL.into_iter().find(|known| known.line() == first) else {
            let first = first.chars().take(80).collect();
            return Err(StatementFault::UnknownContext(first));
        };
        let json = second.trim_end_matches('\n');
        let value: Value = json::parse_canonical(json.as_bytes(), limits::STATEMENT_BYTES_MAX)?;
        if !value.is_object() {
            return Err(StatementFault::NotAnObject);
        }
        let mut signatures: Vec<NoteSignature> = Vec::with_capacity(lines.len());
        for line in lines {
            let next = NoteSignature::checked(line)?;
            if signatures
                .iter()
                .any(|one| one.name == next.name && one.id == next.id)
            {
                return Err(StatementFault::SignedTwice(next.name));
            }
            signatures.push(next);
        }
        let text_length = text.len();
        let whole = String::from_utf8(bytes.to_vec()).map_err(|_| NoteFault::NotUtf8)?;
        Ok(Self {
            whole,
            text_length,
            context,
            signatures,
        })
    }

    /// Makes and signs a statement.
    pub fn issue<T: Serialize>(
        context: Context,
        body: &T,
        key: &SecretKey,
    ) -> Result<Self, StatementFault> {
        let body = String::from_utf8(json::canonical(body)).map_err(|_| NoteFault::NotUtf8)?;
        let text = format!("{}\n{body}\n", context.line());
        let line = NoteSignature::by(key, &text).line();
        Self::parse(format!("{text}\n{line}").as_bytes())
    }

    /// The same statement with one more signature.
    pub fn countersign(&self, key: &SecretKey) -> Result<Self, StatementFault> {
        let line = NoteSignature::by(key, self.text()).line();
        Self::parse(format!("{}{line}", self.whole).as_bytes())
    }

    /// The same statement with its issuer's signature only.
    #[must_use]
    pub fn without_countersignature(&self) -> Self {
        let kept: Vec<_> = self.signatures.iter().take(1).cloned().collect();
        let lines: String = kept.iter().map(NoteSignature::line).collect();
        Self {
            whole: format!("{}\n{lines}", self.text()),
            text_length: self.text_length,
            context: self.context,
            signatures: kept,
        }
    }

    /// The statement as it is stored and sent.
    pub fn bytes(&self) -> &[u8] {
        self.whole.as_bytes()
    }

    /// What is signed: both lines, with the final newline.
    pub fn text(&self) -> &str {
        &self.whole[..self.text_length]
    }

    /// What the statement is about.
    pub const fn context(&self) -> Context {
        self.context
    }

    /// The canonical JSON line, without its newline.
    pub fn json(&self) -> &str {
        let text = self.text();
        let start = self.context.line().len() + 1;
        &text[start..text.len() - 1]
    }

    /// The content as a value of this type.
    pub fn body<T: DeserializeOwned>(&self) -> Result<T, StatementFault> {
        let json = self.json().as_bytes();
        Ok(json::parse_canonical(json, limits::STATEMENT_BYTES_MAX)?)
    }

    /// The content's fields, whatever they are.
    pub fn fields(&self) -> Result<Map<String, Value>, StatementFault> {
        self.body()
    }

    /// Refuses a statement about something else.
    pub fn expect(&self, wanted: Context) -> Result<(), StatementFault> {
        if self.context == wanted {
            return Ok(());
        }
        let got = self.context;
        Err(StatementFault::WrongContext { wanted, got })
    }

    /// SHA-256 of the text: the same before and after a countersignature.
    pub fn text_digest(&self) -> Digest {
        Digest::of(self.text().as_bytes())
    }

    /// SHA-256 of all bytes, signatures included.
    pub fn digest(&self) -> Digest {
        Digest::of(self.bytes())
    }

    /// The signatures, the issuer's first; at least one.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// The first signature: the issuer's.
    pub fn issuer(&self) -> &NoteSignature {
        self.signatures
            .first()
            .expect("a statement without a signature is not parsed")
    }

    /// Whether the signatures are exactly those of these keys, in this order, and all good.
    pub fn verify(&self, keys: &[&PublicKey]) -> Result<(), StatementFault> {
        if keys.len() != self.signatures.len() {
            return Err(StatementFault::SignatureCount {
                wanted: keys.len(),
                got: self.signatures.len(),
            });
        }
        for (key, signature) in keys.iter().zip(&self.signatures) {
            if key.name() != &signature.name || key.id() != signature.id {
                return Err(StatementFault::WrongSigner {
                    wanted_name: key.name().clone(),
                    wanted: key.id(),
                    got_name: signature.name.clone(),
                    got: signature.id,
                });
            }
            if !key.verify(self.text().as_bytes(), &signature.signature) {
                return Err(StatementFault::BadSignature(key.name().clone()));
            }
        }
        Ok(())
    }
}
