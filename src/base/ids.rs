//! Names of authorities, exchanges and keys. Each parses into a type that cannot hold anything else.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::base::digest::{Hex, lower_hex};
use crate::base::limits;

/// Why a name is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {text:?}: {why}")]
pub struct NameFault {
    what: &'static str,
    text: String,
    why: &'static str,
}

fn fault(what: &'static str, text: &str, why: &'static str) -> NameFault {
    let text = text.chars().take(80).collect();
    NameFault { what, text, why }
}

/// An authority's id: a lower-case DNS name that it owns, of at least two labels and at most 253 bytes (RFC 1035).
///
/// Its last label begins with a letter. A name that ends in digits, or in a number like `0x1f`, is an IP address to TLS
/// libraries and URL parsers (RFC 6125 §6.3.1 and the URL standard's "ends in a number"), so no certificate for it
/// would be taken. No top-level domain begins with a digit (RFC 1123 §2.1), so this costs no real name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuthorityId(String);

/// An authority's local short name: 1 to 32 lower-case letters, digits and inner hyphens.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Alias(String);

fn label_fault(label: &str, bytes_max: usize) -> Option<&'static str> {
    if label.is_empty() {
        return Some("a part is empty");
    }
    if label.len() > bytes_max {
        return Some("a part is too long");
    }
    if !label
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    {
        return Some("only a-z, 0-9 and - are allowed");
    }
    (label.starts_with('-') || label.ends_with('-')).then_some("a part starts or ends with -")
}

impl FromStr for AuthorityId {
    type Err = NameFault;

    fn from_str(text: &str) -> Result<Self, NameFault> {
        let what = "authority id";
        if text.len() > limits::AUTHORITY_ID_BYTES_MAX {
            return Err(fault(what, text, "longer than 253 bytes"));
        }
        if !text.contains('.') {
            return Err(fault(what, text, "not a DNS name of at least two parts"));
        }
        if let Some(why) = text.split('.').find_map(|label| label_fault(label, 63)) {
            return Err(fault(what, text, why));
        }
        let last = text.rsplit('.').next().unwrap_or_default();
        if !last.starts_with(|first: char| first.is_ascii_lowercase()) {
            let why = "its last part must begin with a letter, or TLS would take it for an IP address; use a DNS name like mla.example.ie";
            return Err(fault(what, text, why));
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for Alias {
    type Err = NameFault;

    fn from_str(text: &str) -> Result<Self, NameFault> {
        match label_fault(text, limits::ALIAS_BYTES_MAX) {
            Some(why) => Err(fault("alias", text, why)),
            None => Ok(Self(text.to_owned())),
        }
    }
}

/// An exchange: 16 random bytes, written as 32 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Xid([u8; 16]);

impl Xid {
    /// The id whose bytes these are; they must be random.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl FromStr for Xid {
    type Err = NameFault;

    fn from_str(text: &str) -> Result<Self, NameFault> {
        lower_hex(text)
            .map(Self)
            .ok_or_else(|| fault("exchange id", text, "not 32 lower-case hex digits"))
    }
}

/// The 4-byte key id of a C2SP signed note, written as 8 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 4]);

impl KeyId {
    /// The id whose bytes these are.
    pub const fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(bytes)
    }

    /// The 4 bytes.
    pub const fn as_bytes(&self) -> &[u8; 4] {
        &self.0
    }
}

impl FromStr for KeyId {
    type Err = NameFault;

    fn from_str(text: &str) -> Result<Self, NameFault> {
        lower_hex(text)
            .map(Self)
            .ok_or_else(|| fault("key id", text, "not 8 lower-case hex digits"))
    }
}

impl AuthorityId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Alias {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! textual {
    ($($name:ident => |$it:ident| $text:expr;)*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let $it = self;
                f.pad($text)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                let $it = self;
                to.serialize_str($text)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

textual! {
    AuthorityId => |it| &it.0;
    Alias => |it| &it.0;
    Xid => |it| Hex::<32>::of(&it.0).text();
    KeyId => |it| Hex::<8>::of(&it.0).text();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: FromStr + fmt::Display>(text: &str, good: bool) {
        match text.parse::<T>() {
            Ok(name) => assert!(good && name.to_string() == text, "{text:?} was taken"),
            Err(_) => assert!(!good, "{text:?} was refused"),
        }
    }

    #[test]
    fn every_id_is_a_name_that_tls_takes() {
        for text in ["mla.example.ie", "a.b", "1.2.c3", "xn--a.xn--b", "a.x1f"] {
            let id: AuthorityId = text.parse().unwrap();
            let name = rustls_pki_types::ServerName::try_from(id.as_str()).unwrap();
            assert!(
                matches!(name, rustls_pki_types::ServerName::DnsName(_)),
                "{text}"
            );
        }
    }

    #[test]
    fn names() {
        let long = format!("{}.example", "a".repeat(64));
        let deep = format!("{}example", "a.".repeat(130));
        for (text, good) in [
            ("mla.example.ie", true),
            ("a.b", true),
            ("xn--bcher-kva.example", true),
            ("ie", false),
            ("", false),
            ("MLA.example.ie", false),
            ("mla..ie", false),
            ("-a.example", false),
            ("a-.example", false),
            ("a_b.example", false),
            ("a.example.", false),
            (long.as_str(), false),
            (deep.as_str(), false),
            // No certificate could name these.
            ("10.0.0.1", false),
            ("a.1", false),
            ("a.12345", false),
            ("a.0x1f", false),
            ("a.0x", false),
            ("1.example", true),
            ("a.b2", true),
        ] {
            check::<AuthorityId>(text, good);
        }
        for (text, good) in [
            ("ie", true),
            ("de-2", true),
            ("", false),
            ("a.b", false),
            ("../x", false),
            ("-a", false),
        ] {
            check::<Alias>(text, good);
        }
        check::<Xid>("00112233445566778899aabbccddeeff", true);
        check::<Xid>("00112233445566778899AABBCCDDEEFF", false);
        check::<Xid>("0011", false);
        check::<KeyId>("deadbeef", true);
        check::<KeyId>("deadbee", false);
    }
}
