//! Disclosures (RFC 9901 construction): values that travel beside a receipt, which holds only their salted digests.
//!
//! Encoded: base64url without padding of the JSON array `[salt, name, value]`, the salt itself base64url of 16 random
//! bytes. Digest: SHA-256 over the ASCII of the encoded text.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::base::json::JsonFault;
use crate::base::{Digest, json, limits};
use crate::policy::Code;

/// Who asked for it: the name of a person or account at the issuer.
pub const ACTOR: &str = "actor";
/// The issuer's reference of the case.
pub const CASE: &str = "case";
/// The Merkle root over the items of the manifest, hex.
pub const ITEM_ROOT: &str = "item-root";
/// The paths of the items that were opened.
pub const ITEMS: &str = "items";
/// Items and folders under terms of their own: an array of [`crate::package::ItemTerms`].
pub const ITEM_TERMS: &str = "item-terms";
/// That an age file was taken away, still encrypted, in place of its plaintext.
pub const EXPORT: &str = "export";
/// Why somebody opened it, in their own words.
pub const JUSTIFICATION: &str = "justification";
/// SHA-256 of the manifest, hex.
pub const MANIFEST: &str = "manifest";
/// Why the evidence is necessary, in the sender's words.
pub const NECESSITY: &str = "necessity";
/// The offences.
pub const OFFENCES: &str = "offences";
/// The dispatch of the authority that sent the package first, where it is passed on: the note, as text.
pub const ORIGIN: &str = "origin";
/// The persons concerned.
pub const PERSONS: &str = "persons";
/// Why sending it is proportionate, in the sender's words.
pub const PROPORTIONALITY: &str = "proportionality";
/// The receipt of a third authority for a package that was passed on to it: the note, as text.
pub const RECEIPT: &str = "receipt";
/// Which bytes have left under an opening, as ascending pairs of the first and their count; those between two pairs may
/// be among them where there are many.
pub const RANGES: &str = "ranges";
/// That somebody declared the proceedings to be directly related to those of the request.
pub const RELATED: &str = "related";
/// The request that the package answers.
pub const REQUEST: &str = "request";
/// The title of the package.
pub const TITLE: &str = "title";

/// A salted value. It prints as its name only: values are case references, names of persons and the like.
#[derive(Clone, PartialEq, Eq)]
pub struct Disclosure {
    /// 16 random bytes, used for nothing else.
    pub salt: [u8; 16],
    /// Its name: one of those above, or another word of the same form.
    pub name: String,
    /// The value.
    pub value: Value,
}

impl fmt::Debug for Disclosure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Disclosure({})", self.name)
    }
}

/// Why a text is no disclosure, or not one of a receipt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DisclosureFault {
    /// Longer than [`limits::DISCLOSURE_BYTES_MAX`].
    #[error("a disclosure has {0} bytes, at most 8192 are allowed")]
    TooLong(usize),
    /// More than [`limits::DISCLOSURES_MAX`].
    #[error("{0} disclosures, at most 64 are allowed")]
    TooMany(usize),
    /// Not base64url without padding.
    #[error("a disclosure is not base64url without padding")]
    Encoding,
    /// Not canonical JSON.
    #[error("a disclosure: {0}")]
    Json(#[from] JsonFault),
    /// Not an array of a 16-byte salt, a name and a value.
    #[error("a disclosure is not [16-byte salt, name, value]")]
    Shape,
    /// The receipt does not hold its digest.
    #[error(
        "the receipt does not hold the digest of disclosure {0:?}: it was changed, or belongs to another"
    )]
    NotInReceipt(String),
    /// The same name twice.
    #[error("disclosure {0:?} stands twice")]
    Twice(String),
}

impl DisclosureFault {
    /// A stable name of the fault.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong(_) => "disclosure-too-long",
            Self::TooMany(_) => "disclosures-too-many",
            Self::Encoding => "disclosure-encoding",
            Self::Json(_) => "disclosure-json",
            Self::Shape => "disclosure-shape",
            Self::NotInReceipt(_) => "disclosure-not-in-receipt",
            Self::Twice(_) => "disclosure-twice",
        }
    }
}

impl Disclosure {
    /// A value with this salt, which must be random and used once.
    pub fn new(salt: [u8; 16], name: &str, value: impl Into<Value>) -> Self {
        Self {
            salt,
            name: name.to_owned(),
            value: value.into(),
        }
    }

    /// The text that travels.
    pub fn encode(&self) -> String {
        let salt = URL_SAFE_NO_PAD.encode(self.salt);
        let array = json::canonical(&(salt, &self.name, &self.value));
        URL_SAFE_NO_PAD.encode(array)
    }

    /// SHA-256 over the ASCII of the encoded text: what the receipt holds.
    pub fn digest(&self) -> Digest {
        Digest::of(self.encode().as_bytes())
    }

    /// Reads the text that travelled, of at most 8 KiB, spelled in the one way.
    pub fn parse(text: &str) -> Result<Self, DisclosureFault> {
        if text.len() > limits::DISCLOSURE_BYTES_MAX {
            return Err(DisclosureFault::TooLong(text.len()));
        }
        let array = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| DisclosureFault::Encoding)?;
        let value: Value = json::parse_canonical(&array, limits::DISCLOSURE_BYTES_MAX)?;
        let Value::Array(parts) = value else {
            return Err(DisclosureFault::Shape);
        };
        let Ok([Value::String(salt), Value::String(name), value]) = <[Value; 3]>::try_from(parts)
        else {
            return Err(DisclosureFault::Shape);
        };
        let salt = URL_SAFE_NO_PAD
            .decode(salt)
            .ok()
            .and_then(|salt| salt.try_into().ok());
        match salt.filter(|_| Code::is_well_formed(&name)) {
            Some(salt) => Ok(Self { salt, name, value }),
            None => Err(DisclosureFault::Shape),
        }
    }
}

/// Reads disclosures and checks that each is one of the receipt whose digests these are, each name once. A receipt may
/// hold digests of values that are not disclosed here.
pub fn check_against(
    sd: &[Digest],
    disclosures: &[String],
) -> Result<Vec<Disclosure>, DisclosureFault> {
    if disclosures.len() > limits::DISCLOSURES_MAX {
        return Err(DisclosureFault::TooMany(disclosures.len()));
    }
    let mut read: Vec<Disclosure> = Vec::with_capacity(disclosures.len());
    for text in disclosures {
        let disclosure = Disclosure::parse(text)?;
        if !sd.contains(&Digest::of(text.as_bytes())) {
            return Err(DisclosureFault::NotInReceipt(disclosure.name));
        }
        if read.iter().any(|other| other.name == disclosure.name) {
            return Err(DisclosureFault::Twice(disclosure.name));
        }
        read.push(disclosure);
    }
    Ok(read)
}

/// The value of this name, if it is text and among these.
pub fn text<'a>(disclosures: &'a [Disclosure], name: &str) -> Option<&'a str> {
    disclosures
        .iter()
        .find(|disclosure| disclosure.name == name)
        .and_then(|disclosure| disclosure.value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case() -> Disclosure {
        Disclosure::new([7; 16], CASE, "IE/2026/000001")
    }

    fn encode(json: &str) -> String {
        URL_SAFE_NO_PAD.encode(json)
    }

    #[test]
    fn a_disclosure_is_written_as_rfc_9901_says() {
        let json = r#"["BwcHBwcHBwcHBwcHBwcHBw","case","IE/2026/000001"]"#;
        assert_eq!(case().encode(), encode(json));
        assert_eq!(case().digest(), Digest::of(encode(json).as_bytes()));
        assert_eq!(Disclosure::parse(&encode(json)), Ok(case()));
        assert!(!format!("{:?}", case()).contains("2026"));
    }

    #[test]
    fn what_is_no_disclosure_is_refused() {
        let salt = "BwcHBwcHBwcHBwcHBwcHBw";
        for (text, code) in [
            (String::new(), "disclosure-json"),
            ("=".to_owned(), "disclosure-encoding"),
            (format!("{}=", case().encode()), "disclosure-encoding"),
            ("a".repeat(8193), "disclosure-too-long"),
            (
                encode(&format!(r#"["{salt}", "case","x"]"#)),
                "disclosure-json",
            ),
            (
                encode(&format!(r#"["{salt}","case",1.5]"#)),
                "disclosure-json",
            ),
            (encode(&format!(r#"["{salt}","case"]"#)), "disclosure-shape"),
            (
                encode(&format!(r#"["{salt}","case","x","y"]"#)),
                "disclosure-shape",
            ),
            (encode(&format!(r#"["{salt}",1,"x"]"#)), "disclosure-shape"),
            (
                encode(&format!(r#"["{salt}","a b","x"]"#)),
                "disclosure-shape",
            ),
            (encode(r#"["BwcH","case","x"]"#), "disclosure-shape"),
            (encode(r#"{"case":"x"}"#), "disclosure-shape"),
        ] {
            let fault = Disclosure::parse(&text).expect_err(&text);
            assert_eq!(fault.code(), code, "{text}: {fault}");
        }
    }

    #[test]
    fn disclosures_belong_to_their_receipt() {
        let request = Disclosure::new([8; 16], REQUEST, "R-1");
        let again = Disclosure::new([9; 16], CASE, "other");
        let hidden = Digest::of(b"another value");
        let mut sd = vec![case().digest(), request.digest(), again.digest(), hidden];
        sd.sort_unstable();
        let texts = |all: &[&Disclosure]| all.iter().map(|one| one.encode()).collect::<Vec<_>>();
        let read = check_against(&sd, &texts(&[&case(), &request])).unwrap();
        assert_eq!(text(&read, REQUEST), Some("R-1"));
        assert_eq!(text(&read, TITLE), None);
        for (texts, sd, code) in [
            (
                texts(&[&case()]),
                &[hidden][..],
                "disclosure-not-in-receipt",
            ),
            (texts(&[&case(), &again]), &sd, "disclosure-twice"),
            (texts(&[&case(), &case()]), &sd, "disclosure-twice"),
            (vec![case().encode(); 65], &sd, "disclosures-too-many"),
        ] {
            assert_eq!(check_against(sd, &texts).unwrap_err().code(), code);
        }
    }
}
