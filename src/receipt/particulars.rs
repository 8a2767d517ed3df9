//! The values that a sender discloses beside its offer, each of its type: what an offer lacks, or says in another form,
//! is rejected before anything of it is taken.

use serde::Deserialize as _;
use serde_json::Value;

use crate::base::{Digest, limits};
use crate::identity::statement::Note;
use crate::package::{ItemTerms, manifest};
use crate::receipt::body::Receipt;
use crate::receipt::disclosure::{self, Disclosure, DisclosureFault};
use crate::receipt::items::{self, ItemsFault};
use crate::receipt::onward::{self, OnwardFault};

/// The values disclosed beside a dispatch.
#[derive(Debug)]
pub struct Particulars {
    /// SHA-256 of the manifest.
    pub manifest: Digest,
    /// The Merkle root over its items.
    pub item_root: Digest,
    /// The sender's reference of the case.
    pub case: String,
    /// The request that the package answers.
    pub request: Option<String>,
    /// The title of the package.
    pub title: Option<String>,
    /// The offences.
    pub offences: Vec<String>,
    /// Why the evidence is necessary.
    pub necessity: Option<String>,
    /// Why sending it is proportionate.
    pub proportionality: Option<String>,
    /// The persons concerned.
    pub persons: Vec<String>,
    /// Items and folders under terms of their own.
    pub item_terms: Vec<ItemTerms>,
    /// The dispatch of whoever sent the package first, where it is passed on; its signature is still to be verified.
    pub origin: Option<(Note, Receipt)>,
}

/// Why disclosures cannot stand beside an offer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParticularsFault {
    /// One is none, or not of this dispatch.
    #[error(transparent)]
    Disclosure(#[from] DisclosureFault),
    /// One that every offer needs is not there.
    #[error("{0} is not disclosed")]
    Missing(&'static str),
    /// One is of another type or longer than it may be, or has characters that it must not have.
    #[error("{0} is disclosed, but not as a value that it can have")]
    Malformed(&'static str),
    /// One that does not go with an offer.
    #[error("{0:?} is disclosed, which does not go with an offer")]
    Unexpected(String),
    /// The dispatch of whoever sent the package first.
    #[error(transparent)]
    Onward(#[from] OnwardFault),
    /// The items under terms of their own.
    #[error(transparent)]
    Items(#[from] ItemsFault),
}

impl ParticularsFault {
    /// A stable name of the fault, the reason of a rejection: `case-missing`, `manifest-malformed`.
    pub fn code(&self) -> String {
        match self {
            Self::Disclosure(fault) => fault.code().to_owned(),
            Self::Missing(name) => format!("{name}-missing"),
            Self::Malformed(name) => format!("{name}-malformed"),
            Self::Unexpected(_) => "disclosure-unexpected".to_owned(),
            Self::Onward(fault) => fault.code().to_owned(),
            Self::Items(fault) => fault.code().to_owned(),
        }
    }
}

/// The values that can be disclosed beside an offer.
const NAMES: [&str; 12] = [
    disclosure::CASE,
    disclosure::ITEM_ROOT,
    disclosure::ITEM_TERMS,
    disclosure::JUSTIFICATION,
    disclosure::MANIFEST,
    disclosure::NECESSITY,
    disclosure::OFFENCES,
    disclosure::ORIGIN,
    disclosure::PERSONS,
    disclosure::PROPORTIONALITY,
    disclosure::REQUEST,
    disclosure::TITLE,
];

impl Particulars {
    /// Reads what is disclosed beside this dispatch, whose signature was verified.
    ///
    /// # Errors
    /// Not all of it is there, or of its type.
    pub fn read(dispatch: &Receipt, disclosures: &[String]) -> Result<Self, ParticularsFault> {
        let read = disclosure::check_against(&dispatch.sd, disclosures)?;
        if let Some(other) = read.iter().find(|it| !NAMES.contains(&it.name.as_str())) {
            return Err(ParticularsFault::Unexpected(other.name.clone()));
        }
        let beside = Beside(&read);
        let origin = onward::origin(dispatch, &read)?;
        let first = origin.as_ref().map(|(_, first)| first);
        beside.text(disclosure::JUSTIFICATION)?;
        let persons = (limits::PERSONS_MAX, limits::PERSON_BYTES_MAX);
        let offences = (limits::OFFENCES_MAX, limits::OFFENCE_BYTES_MAX);
        Ok(Self {
            manifest: beside.digest(disclosure::MANIFEST)?,
            item_root: beside.digest(disclosure::ITEM_ROOT)?,
            case: needed(disclosure::CASE, beside.text(disclosure::CASE)?)?,
            request: beside.text(disclosure::REQUEST)?,
            title: beside.text(disclosure::TITLE)?,
            offences: beside.texts(disclosure::OFFENCES, offences)?,
            necessity: beside.text(disclosure::NECESSITY)?,
            proportionality: beside.text(disclosure::PROPORTIONALITY)?,
            persons: beside.texts(disclosure::PERSONS, persons)?,
            item_terms: items::item_terms(dispatch, first, &read)?,
            origin,
        })
    }
}

/// Whether this can be disclosed as a text of people: more than white space, of at most 4 KiB, without control, format
/// or bidirectional characters.
pub fn is_text(text: &str, bytes_max: usize) -> bool {
    manifest::is_text(text, bytes_max) && !text.trim().is_empty()
}

fn needed<T>(name: &'static str, found: Option<T>) -> Result<T, ParticularsFault> {
    found.ok_or(ParticularsFault::Missing(name))
}

/// Disclosures of which each name stands once.
struct Beside<'a>(&'a [Disclosure]);

impl Beside<'_> {
    fn value(&self, name: &str) -> Option<&Value> {
        let found = self.0.iter().find(|it| it.name == name);
        found.map(|it| &it.value)
    }

    fn digest(&self, name: &'static str) -> Result<Digest, ParticularsFault> {
        let value = needed(name, self.value(name))?;
        let digest = value.as_str().and_then(Digest::parse);
        digest.ok_or(ParticularsFault::Malformed(name))
    }

    fn text(&self, name: &'static str) -> Result<Option<String>, ParticularsFault> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        let text = value.as_str();
        let text = text.filter(|text| is_text(text, limits::TEXT_BYTES_MAX));
        let text = text.ok_or(ParticularsFault::Malformed(name))?;
        Ok(Some(text.to_owned()))
    }

    /// One to so many texts, each of at most so many bytes; none, where the name is not disclosed.
    fn texts(
        &self,
        name: &'static str,
        (most, bytes_max): (usize, usize),
    ) -> Result<Vec<String>, ParticularsFault> {
        let Some(value) = self.value(name) else {
            return Ok(Vec::new());
        };
        let texts = Vec::<String>::deserialize(value).unwrap_or_default();
        let good = (1..=most).contains(&texts.len());
        if good && texts.iter().all(|text| is_text(text, bytes_max)) {
            Ok(texts)
        } else {
            Err(ParticularsFault::Malformed(name))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base::Xid;
    use crate::identity::keys::{KeyName, Role, SecretKey};
    use crate::policy::{Purpose, Terms};
    use crate::receipt::{Party, Pkg};

    fn read(disclosed: &[(&str, Value)]) -> Result<Particulars, String> {
        let all: Vec<_> = disclosed
            .iter()
            .map(|(name, value)| Disclosure::new([7; 16], name, value.clone()))
            .collect();
        let dispatch = Receipt::dispatch(
            Xid::from_bytes([1; 16]),
            party("mla.example.ie", 1),
            party("bfj.example.de", 2),
            Pkg::new(Digest::of(b"b"), Digest::of(b"h"), 5_000),
            Terms::new(
                "EIO".parse().unwrap(),
                [Purpose::Prosecution],
                "2031-12-31".parse().unwrap(),
            ),
        )
        .disclosing(&all);
        let texts: Vec<_> = all.iter().map(Disclosure::encode).collect();
        Particulars::read(&dispatch, &texts).map_err(|fault| fault.code())
    }

    fn party(authority: &str, seed: u8) -> Party {
        let name = KeyName::new(authority.parse().unwrap(), Role::Receipts);
        Party::of(1, &SecretKey::from_seed(name, &[seed; 32]).public())
    }

    /// Reads the values that every offer needs, with one added or replaced.
    fn with(name: &str, value: Value) -> Result<Particulars, String> {
        let mut all = vec![
            ("manifest", json!("ab".repeat(32))),
            ("item-root", json!("cd".repeat(32))),
            ("case", json!("IE/2026/1")),
        ];
        all.retain(|(other, _)| *other != name);
        all.push((name, value));
        read(&all)
    }

    #[test]
    fn what_is_disclosed_is_read() {
        let read = with("request", json!("R-1")).unwrap();
        assert_eq!(read.manifest.to_string(), "ab".repeat(32));
        assert_eq!(read.item_root.to_string(), "cd".repeat(32));
        assert_eq!(
            (read.case.as_str(), read.request.as_deref()),
            ("IE/2026/1", Some("R-1"))
        );
        let read = with("offences", json!(["fraud", "Bestechung"])).unwrap();
        assert_eq!(read.offences, ["fraud", "Bestechung"]);
        let longest = "é".repeat(2_048);
        assert_eq!(with("title", json!(longest)).unwrap().title, Some(longest));
        assert!(with("persons", json!(["Ó Briain, S."])).is_ok());
        assert!(with("necessity", json!("naïve \u{e9}\u{1f600}")).is_ok());
    }

    #[test]
    fn what_is_not_of_its_type_is_refused_by_name() {
        let bad_texts = [
            Value::Null,
            json!(1),
            json!(true),
            json!([]),
            json!({}),
            json!(["C-1"]),
            json!(""),
            json!("  "),
            json!("a\u{1b}[2J"),
            json!("a\0"),
            json!("a\nb"),
            json!("a\u{7f}"),
            json!("a\u{85}"),
            json!("a\u{2028}"),
            json!("a\u{202e}b"),
            json!("a\u{200b}"),
            json!("a\u{feff}"),
            json!("a\u{e0041}"),
            json!("x".repeat(4_097)),
        ];
        for name in [
            "case",
            "request",
            "title",
            "necessity",
            "proportionality",
            "justification",
        ] {
            for bad in &bad_texts {
                let got = with(name, bad.clone()).map(drop);
                assert_eq!(got, Err(format!("{name}-malformed")), "{bad}");
            }
        }
    }

    #[test]
    fn what_is_no_digest_or_list_is_refused_by_name() {
        let digest = "ab".repeat(32);
        for name in ["manifest", "item-root"] {
            for bad in [
                Value::Null,
                json!(7),
                json!(""),
                json!([digest]),
                json!(digest.to_uppercase()),
                json!(digest[1..]),
                json!(format!("{digest}a")),
                json!(format!("{}g", &digest[1..])),
                json!(format!(" {}", &digest[1..])),
            ] {
                let got = with(name, bad.clone()).map(drop);
                assert_eq!(got, Err(format!("{name}-malformed")), "{bad}");
            }
        }
        for (name, most) in [("offences", 16), ("persons", 64)] {
            for bad in [
                Value::Null,
                json!("fraud"),
                json!([]),
                json!([1]),
                json!([null]),
                json!(["fraud", ""]),
                json!(["a\u{202e}"]),
                json!(["x".repeat(257)]),
                json!(vec!["x"; most + 1]),
                json!({"0": "x"}),
            ] {
                let got = with(name, bad.clone()).map(drop);
                assert_eq!(got, Err(format!("{name}-malformed")), "{bad}");
            }
        }
        for bad in [Value::Null, json!(1), json!("x"), json!([])] {
            let got = with("item-terms", bad.clone()).map(drop);
            assert_eq!(got, Err("item-terms-missing".to_owned()), "{bad}");
            let got = with("origin", bad.clone()).map(drop);
            assert_eq!(got, Err("note-no-final-newline".to_owned()), "{bad}");
        }
    }

    #[test]
    fn what_every_offer_needs_is_missed_and_nothing_else_goes_along() {
        for name in ["manifest", "item-root", "case"] {
            let all = [
                ("manifest", json!("ab".repeat(32))),
                ("item-root", json!("cd".repeat(32))),
                ("case", json!("C-1")),
            ];
            let rest: Vec<_> = all.into_iter().filter(|(it, _)| *it != name).collect();
            assert_eq!(read(&rest).map(drop), Err(format!("{name}-missing")));
        }
        for name in ["actor", "items", "related", "export", "receipt", "colour"] {
            let got = with(name, json!("x")).map(drop);
            assert_eq!(got, Err("disclosure-unexpected".to_owned()), "{name}");
        }
    }
}
