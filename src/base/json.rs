//! Canonical JSON: RFC 8785, without floating-point numbers, read only if it is written exactly so.

use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::base::limits;

mod scan;

/// Why bytes are not the canonical JSON of a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonFault {
    /// More bytes than the limit.
    #[error("{length} bytes of JSON, at most {limit} are allowed")]
    TooLong {
        /// Its length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Not JSON, nested too deeply, a key twice, a fraction, an integer beyond 2^53 − 1.
    #[error("not acceptable JSON: {0}")]
    Malformed(String),
    /// Good JSON that is not spelled as RFC 8785 spells it.
    #[error("JSON is not in the canonical form of RFC 8785")]
    NotCanonical,
    /// Canonical JSON that is not a value of the expected type: a field missing, unknown, or of a wrong kind.
    #[error("JSON has the wrong content: {0}")]
    Content(String),
}

/// The one spelling of a value (RFC 8785).
///
/// A type that writes its fields in the order of their names is written once; any other is written again in order.
///
/// # Panics
/// When a type of ours cannot be written as JSON, which its own tests would show.
#[expect(
    clippy::expect_used,
    reason = "serde_json fails for maps with other keys than strings alone, and no type of ours has one"
)]
pub fn canonical<T: Serialize>(value: &T) -> Vec<u8> {
    let written = serde_json::to_vec(value).expect("our own types are JSON");
    if scan::is_canonical(&written) {
        return written;
    }
    serde_json_canonicalizer::to_vec(value).expect("our own types are JSON")
}

/// The one spelling of a value, as text.
pub fn canonical_text<T: Serialize>(value: &T) -> String {
    // JSON is UTF-8: nothing is lost.
    String::from_utf8_lossy(&canonical(value)).into_owned()
}

/// Refuses what is not the one spelling of some value in at most `limit` bytes.
pub fn check_canonical(bytes: &[u8], limit: usize) -> Result<(), JsonFault> {
    if bytes.len() <= limit && scan::is_canonical(bytes) {
        return Ok(());
    }
    parse_canonical::<Value>(bytes, limit).map(drop)
}

/// Reads a value from at most `limit` bytes that are its one spelling. The value is written again and compared: an
/// array where an object belongs, or a null where a field may be absent, would be another spelling.
pub fn parse_canonical<T: DeserializeOwned + Serialize>(
    bytes: &[u8],
    limit: usize,
) -> Result<T, JsonFault> {
    let content = |e: serde_json::Error| JsonFault::Content(e.to_string());
    let read: T = if bytes.len() <= limit && scan::is_canonical(bytes) {
        serde_json::from_slice(bytes).map_err(content)?
    } else {
        let value = parse_strict(bytes, limit)?;
        if canonical(&value) != bytes {
            return Err(JsonFault::NotCanonical);
        }
        serde_json::from_value(value).map_err(content)?
    };
    if canonical(&read) != bytes {
        return Err(JsonFault::NotCanonical);
    }
    Ok(read)
}

/// Reads JSON of any spelling with the same limits: length, depth, no double keys, no fractions, no integer beyond 2^53
/// − 1.
pub fn parse_strict(bytes: &[u8], limit: usize) -> Result<Value, JsonFault> {
    if bytes.len() > limit {
        return Err(JsonFault::TooLong {
            length: bytes.len(),
            limit,
        });
    }
    let malformed = |e: serde_json::Error| JsonFault::Malformed(e.to_string());
    let mut from = serde_json::Deserializer::from_slice(bytes);
    let value = Strict {
        levels: limits::JSON_DEPTH_MAX,
    }
    .deserialize(&mut from)
    .map_err(malformed)?;
    from.end().map_err(malformed)?;
    Ok(value)
}

/// A value read by [`parse_strict`] as part of a larger type.
#[derive(Debug, Clone, Copy)]
struct Strict {
    /// How many arrays and objects may lie in one another from here on.
    levels: usize,
}

impl Strict {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        let levels = self.levels.checked_sub(1);
        let levels = levels.ok_or_else(|| E::custom("nested too deeply"))?;
        Ok(Self { levels })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without fractions or double keys")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        // Not `abs`: the least i64 has none.
        if !(-limits::JSON_INTEGER_MAX..=limits::JSON_INTEGER_MAX).contains(&value) {
            return Err(E::custom("integer beyond 2^53 - 1"));
        }
        Ok(value.into())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        let value = i64::try_from(value).map_err(|_| E::custom("integer beyond 2^53 - 1"))?;
        self.visit_i64(value)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Value, E> {
        Err(E::custom("number is not an integer within 2^53 - 1"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = from.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut fields = Map::new();
        while let Some(key) = from.next_key::<String>()? {
            if fields.contains_key(&key) {
                return Err(de::Error::custom(format!("key {key:?} stands twice")));
            }
            let value = from.next_value_seed(inner)?;
            fields.insert(key, value);
        }
        Ok(Value::Object(fields))
    }
}

/// Bytes written as padded base64 (RFC 4648 §4) in JSON; for `#[serde(with = "base64_bytes")]`.
pub mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::{Deserialize, de};

    /// Writes the bytes.
    pub fn serialize<S: serde::Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&STANDARD.encode(bytes))
    }

    /// Reads the bytes; other spellings than the canonical one are refused.
    pub fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        STANDARD
            .decode(String::deserialize(from)?)
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, fault: Option<&str>) {
        let got = parse_canonical::<Value>(json.as_bytes(), 4096)
            .err()
            .map(|e| e.to_string());
        match (fault, got) {
            (None, None) => {}
            (Some(want), Some(got)) if got.contains(want) => {}
            (want, got) => panic!("{json:.80}: expected {want:?}, got {got:?}"),
        }
    }

    /// The scan accepts nothing that the slow way refuses, and everything that we write ourselves.
    #[test]
    fn the_scan_takes_nothing_that_the_slow_way_refuses() {
        let slow = |bytes: &[u8]| {
            parse_strict(bytes, 4096)
                .is_ok_and(|value| serde_json_canonicalizer::to_vec(&value).unwrap() == bytes)
        };
        let check = |bytes: &[u8]| {
            if scan::is_canonical(bytes) {
                assert!(slow(bytes), "{}", String::from_utf8_lossy(bytes));
            }
        };
        let good: &[&str] = &[
            r#"{"a":1,"b":["x",true,null,false],"c":{},"d":[]}"#,
            r#"{"":0,"a":-1,"aa":9007199254740991,"b":-9007199254740991}"#,
            r#"["\"","\\","\n\t\b\f\r","é – €","/",""]"#,
            "0",
            "\"x\"",
        ];
        for text in good {
            assert!(scan::is_canonical(text.as_bytes()), "{text}");
            let alphabet = "{}[]\",:\\0129-.eEtrufalsn \n\u{e9}x".as_bytes();
            for at in 0..text.len() {
                let mut changed = text.as_bytes().to_vec();
                changed.remove(at);
                check(&changed);
                for &byte in alphabet {
                    changed.clone_from(&text.as_bytes().to_vec());
                    changed[at] = byte;
                    check(&changed);
                    changed.clone_from(&text.as_bytes().to_vec());
                    changed.insert(at, byte);
                    check(&changed);
                }
            }
            for end in 0..text.len() {
                check(&text.as_bytes()[..end]);
            }
        }
        for bad in [
            "-0",
            "00",
            "01",
            "1 ",
            " 1",
            "-",
            "",
            "{",
            "[1,]",
            "[,1]",
            r#"{"a"}"#,
            r#"{"a":1,}"#,
            r#"{"b":1,"a":1}"#,
            r#"{"a":1,"a":1}"#,
            "9007199254740992",
            "-9007199254740992",
            "99999999999999999999",
            "1.0",
            "1e1",
            r#""\/""#,
            r#""\u0061""#,
            "\"\u{1}\"",
            "nul",
            "\"\n\"",
            "[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]",
            "1,2",
            "\"x",
            "\"x\\\"",
        ] {
            assert!(!scan::is_canonical(bad.as_bytes()), "{bad}");
        }
        assert!(!scan::is_canonical(b"\"\xff\""));
    }

    #[test]
    fn only_the_canonical_spelling_is_read() {
        check(r#"{"a":1,"b":["x",true,null]}"#, None);
        check(r#"{"b":1,"a":2}"#, Some("canonical"));
        check(r#"{"a": 1}"#, Some("canonical"));
        check(r#"{"a":"\u0061"}"#, Some("canonical"));
        check(r#"{"a":1,"a":2}"#, Some("twice"));
        check(r#"{"a":1.5}"#, Some("not an integer"));
        check(r#"{"a":1e3}"#, Some("not an integer"));
        check(r#"{"a":9007199254740991}"#, None);
        check(r#"{"a":9007199254740992}"#, Some("2^53"));
        check(r#"{"a":-9007199254740992}"#, Some("2^53"));
        check(r#"{"a":-9223372036854775808}"#, Some("2^53"));
        check(r#"{"a":-9223372036854775809}"#, Some("2^53"));
        check(r#"{"a":9223372036854775807}"#, Some("2^53"));
        check(r#"{"a":18446744073709551615}"#, Some("2^53"));
        check(r#"{"a":123456789012345678901234567890}"#, Some("2^53"));
        check(r#"{"a":1}x"#, Some("trailing"));
        check(&format!("{}{}", "[".repeat(16), "]".repeat(16)), None);
        check(
            &format!("{}{}", "[".repeat(17), "]".repeat(17)),
            Some("deep"),
        );
        check(&"[".repeat(4000), Some("deep"));
        check(&format!("\"{}\"", "x".repeat(5000)), Some("at most 4096"));
        assert!(
            parse_canonical::<crate::base::Date>(br#""2031-12-31""#, 99).is_ok(),
            "the one spelling of a type"
        );
        assert!(parse_strict(b"\"\xff\"", 99).is_err(), "not UTF-8");
    }
}
