//! Statements: C2SP signed notes whose text is a context line and one line of canonical JSON.
//!
//! A [`Note`] keeps the bytes it was read from: they are stored and moved as they are, never written anew.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::base::json::JsonFault;
use crate::base::{Digest, KeyId, json, limits};
use crate::identity::keys::{KeyName, PublicKey, SecretKey};
use crate::identity::note;
use crate::identity::note::{NoteFault, SignatureLine};

/// The subject of a statement; its first line is `rogatory/<context>/v1`.
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
        /// The subject that was expected.
        wanted: Context,
        /// The subject that came.
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
    /// Reads a statement of at most [`limits::STATEMENT_BYTES_MAX`] bytes and [`limits::STATEMENT_SIGNATURES_MAX`]
    /// signatures.
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
        json::check_canonical(json.as_bytes(), limits::STATEMENT_BYTES_MAX)?;
        if !json.starts_with('{') {
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

    /// The signed text: both lines, with the final newline.
    pub fn text(&self) -> &str {
        self.whole.get(..self.text_length).unwrap_or_default()
    }

    /// The subject of the statement.
    pub const fn context(&self) -> Context {
        self.context
    }

    /// The canonical JSON line, without its newline.
    pub fn json(&self) -> &str {
        let json = self.text().split_once('\n');
        let json = json.and_then(|(_context, json)| json.strip_suffix('\n'));
        json.unwrap_or_default()
    }

    /// The content as a value of this type.
    pub fn body<T: DeserializeOwned + Serialize>(&self) -> Result<T, StatementFault> {
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
    ///
    /// # Panics
    /// Never: a note without a signature is not parsed.
    #[expect(
        clippy::expect_used,
        reason = "`split` refuses a note without a signature, and nothing takes the first one away"
    )]
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
        let mut signed = keys.iter().zip(&self.signatures);
        signed.try_for_each(|(key, signature)| self.verify_one(key, signature))
    }

    /// Whether this is `held`, byte for byte, with a good signature of `key` added and nothing else. What is held was
    /// verified when it was taken, or is our own, and is not verified again.
    pub fn verify_added(&self, held: &Self, key: &PublicKey) -> Result<(), StatementFault> {
        let (wanted, got) = (
            held.signatures.len().saturating_add(1),
            self.signatures.len(),
        );
        match self.signatures.last() {
            Some(added) if wanted == got && self.whole.starts_with(&held.whole) => {
                self.verify_one(key, added)
            }
            Some(_) if wanted == got => {
                Err(StatementFault::BadSignature(held.issuer().name.clone()))
            }
            Some(_) | None => Err(StatementFault::SignatureCount { wanted, got }),
        }
    }

    fn verify_one(&self, key: &PublicKey, signature: &NoteSignature) -> Result<(), StatementFault> {
        if key.name() != &signature.name || key.id() != signature.id {
            return Err(StatementFault::WrongSigner {
                wanted_name: key.name().clone(),
                wanted: key.id(),
                got_name: signature.name.clone(),
                got: signature.id,
            });
        }
        if key.verify(self.text().as_bytes(), &signature.signature) {
            Ok(())
        } else {
            Err(StatementFault::BadSignature(key.name().clone()))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::identity::keys::Role;

    fn key(authority: &str) -> SecretKey {
        let name = KeyName::new(authority.parse().unwrap(), Role::Receipts);
        let seed = Digest::of(authority.as_bytes());
        SecretKey::from_seed(name, seed.as_bytes())
    }

    fn issued() -> Note {
        let body = json!({"kind": "dispatch", "v": 1});
        Note::issue(Context::Receipt, &body, &key("mla.example.ie")).unwrap()
    }

    #[test]
    fn a_statement_is_issued_countersigned_and_verified() {
        let (ie, fr) = (key("mla.example.ie"), key("bepi.justice.example.fr"));
        let note = issued();
        assert!(
            note.text()
                .starts_with("rogatory/receipt/v1\n{\"kind\":\"dispatch\",\"v\":1}\n")
        );
        assert_eq!(note.json(), r#"{"kind":"dispatch","v":1}"#);
        assert_eq!(note.context(), Context::Receipt);
        assert_eq!(note.expect(Context::Receipt), Ok(()));
        assert_eq!(
            note.expect(Context::Card).unwrap_err().code(),
            "statement-wrong-context"
        );
        assert_eq!(Note::parse(note.bytes()).as_ref(), Ok(&note));
        assert_eq!(note.verify(&[&ie.public()]), Ok(()));
        let both = note.countersign(&fr).unwrap();
        assert_eq!(both.verify(&[&ie.public(), &fr.public()]), Ok(()));
        assert_eq!(both.text_digest(), note.text_digest());
        assert_ne!(both.digest(), note.digest());
        assert_eq!(both.without_countersignature(), note);
        assert_eq!(both.issuer().name.to_string(), "mla.example.ie/receipts");
        assert_eq!(
            both.countersign(&fr).unwrap_err().code(),
            "statement-signed-twice"
        );
        let added = |both: &Note, held: &Note, key: &SecretKey| {
            both.verify_added(held, &key.public()).map_err(|e| e.code())
        };
        assert_eq!(added(&both, &note, &fr), Ok(()));
        assert_eq!(added(&both, &note, &ie), Err("statement-wrong-signer"));
        assert_eq!(added(&note, &note, &fr), Err("statement-signature-count"));
        assert_eq!(added(&both, &both, &fr), Err("statement-signature-count"));
        let mut other = both.clone();
        other.signatures[0].signature[5] ^= 1;
        other.whole = note.text().to_owned() + "\n";
        for signature in &other.signatures {
            other.whole += &signature.line();
        }
        assert_eq!(added(&other, &note, &fr), Err("statement-bad-signature"));
        other.signatures[1].signature[5] ^= 1;
        let text = note.text().to_owned() + "\n" + &note.signatures[0].line();
        other.whole = text + &other.signatures[1].line();
        assert_eq!(added(&other, &note, &fr), Err("statement-bad-signature"));
        let verify = |keys: &[&PublicKey]| both.verify(keys).unwrap_err().code();
        assert_eq!(verify(&[&ie.public()]), "statement-signature-count");
        assert_eq!(
            verify(&[&fr.public(), &ie.public()]),
            "statement-wrong-signer"
        );
        assert_eq!(
            verify(&[&ie.public(), &ie.public()]),
            "statement-wrong-signer"
        );
    }

    fn check(from: &str, to: &str, code: &str) {
        let note = String::from_utf8(issued().bytes().to_vec()).unwrap();
        assert!(note.contains(from), "{from:?}");
        let changed = note.replacen(from, to, 1);
        let got = Note::parse(changed.as_bytes())
            .and_then(|note| note.verify(&[&key("mla.example.ie").public()]))
            .map_or_else(|fault| fault.code(), |()| "good");
        assert_eq!(got, code, "{from:?} -> {to:?}");
    }

    #[test]
    fn every_rule_of_lines_and_signatures() {
        check("x", "x", "good");
        check("dispatch", "rejected", "statement-bad-signature");
        check("receipt/v1", "card/v1", "statement-bad-signature");
        check("receipt/v1", "receipt/v2", "statement-unknown-context");
        check("rogatory/", "Rogatory/", "statement-unknown-context");
        check("v1\n", "v1 \n", "statement-unknown-context");
        check("v1\n", "v1\r\n", "note-control-character");
        check("dispatch", "dis\tpatch", "note-control-character");
        check("v1\n", "v1\n\n", "statement-lines");
        check("1}\n", "1}\nmore\n", "statement-lines");
        check("rogatory/receipt/v1\n", "", "statement-lines");
        check("\n\n", "\n", "note-no-blank-line");
        check("\u{2014}", "-", "note-signature-line");
        let name = "mla.example.ie/receipts";
        check(name, "mla.example.ie/tls", "statement-key-name");
        check(name, "PeterNeumann", "statement-key-name");
        check(name, "mla.example.ie/card", "statement-wrong-signer");
        let fault = Note::parse(b"\xff\n\n").unwrap_err();
        assert_eq!(fault.code(), "note-not-utf8");
    }

    #[test]
    fn every_rule_of_json() {
        let check = |json: &str, code| check(r#"{"kind":"dispatch","v":1}"#, json, code);
        let deep = |depth| format!(r#"{{"v":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        let long = "x".repeat(limits::STATEMENT_BYTES_MAX);
        for json in [
            r#"{"v":1,"kind":"dispatch"}"#,
            r#"{"kind":"dispatch","v": 1}"#,
            r#"{"kind":"d\u0069spatch","v":1}"#,
        ] {
            check(json, "statement-json-not-canonical");
        }
        for json in [
            "",
            r#"{"kind":"dispatch","v":-0}"#,
            r#"{"kind":"dispatch","v":1e0}"#,
            r#"{"kind":"dispatch","v":1.5}"#,
            r#"{"kind":"dispatch","v":9007199254740992}"#,
            r#"{"kind":"dispatch","v":-9007199254740992}"#,
            r#"{"kind":"dispatch","kind":"dispatch"}"#,
            &deep(16),
        ] {
            check(json, "statement-json-malformed");
        }
        check(&deep(15), "statement-bad-signature");
        check("[1]", "statement-not-an-object");
        check(&format!(r#"{{"v":"{long}"}}"#), "note-too-long");
    }

    #[test]
    fn signatures_are_counted_and_measured() {
        let note = issued();
        let mut many = note.clone();
        for index in 1..limits::STATEMENT_SIGNATURES_MAX {
            many = many
                .countersign(&key(&format!("a{index}.example")))
                .unwrap();
        }
        let fault = many.countersign(&key("last.example")).unwrap_err();
        assert_eq!(fault.code(), "note-too-many-signatures");
        let short = SignatureLine {
            name: "mla.example.ie/receipts".to_owned(),
            id: note.issuer().id,
            signature: vec![0; 63],
        };
        let forged = format!("{}\n{}", note.text(), short.encode());
        let fault = Note::parse(forged.as_bytes()).unwrap_err();
        assert_eq!(fault.code(), "statement-signature-length");
        let unsigned = format!("{}\n", note.text());
        assert_eq!(
            Note::parse(unsigned.as_bytes()).unwrap_err().code(),
            "note-no-signature"
        );
    }

    #[test]
    fn content_is_of_its_type_or_refused() {
        #[derive(Debug, PartialEq, serde::Deserialize, serde::Serialize)]
        #[serde(deny_unknown_fields)]
        struct Body {
            kind: String,
            v: u64,
        }
        #[derive(Debug, serde::Deserialize, serde::Serialize)]
        #[serde(deny_unknown_fields)]
        struct Less {
            #[serde(rename = "kind")]
            _kind: String,
        }
        let body: Body = issued().body().unwrap();
        assert_eq!((body.kind.as_str(), body.v), ("dispatch", 1));
        let fault = issued().body::<Less>().unwrap_err();
        assert_eq!(fault.code(), "statement-json-content");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400)) {
            proptest::prop_assert!(Note::parse(&bytes).is_err());
        }

        #[test]
        fn no_changed_byte_goes_unnoticed(at in 0_usize..150, to in proptest::prelude::any::<u8>()) {
            let note = issued();
            let mut bytes = note.bytes().to_vec();
            let at = at % bytes.len();
            proptest::prop_assume!(bytes[at] != to);
            bytes[at] = to;
            let good = Note::parse(&bytes)
                .is_ok_and(|note| note.verify(&[&key("mla.example.ie").public()]).is_ok());
            proptest::prop_assert!(!good);
        }
    }
}
