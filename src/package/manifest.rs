//! The manifest of a package: from whom, to whom, about what, on which terms, and every item with its digest.
//!
//! It is canonical JSON (RFC 8785) of at most 64 MiB, written and compared piece by piece so that a long one needs
//! little memory. `acquisition` and `custody` use the terms of UCO `action:Action` (`performer`, `instrument`,
//! `location`, times) and of CASE (`exhibitNumber`).

use std::convert::Infallible;
use std::fmt;
use std::io::{self, Write};
use std::marker::PhantomData;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::base::json::{self, JsonFault};
use crate::base::text::is_deceptive;
use crate::base::{AuthorityId, Digest, Timestamp, limits};
use crate::package::path::{ItemPath, PathFault, PathSet};
use crate::package::{bag, item_terms, segments, tape};
use crate::policy::{Terms, TermsFault};
use crate::tlog;

/// Why bytes are not the manifest of a package.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestFault {
    /// Too long, not JSON, not canonical, a field unknown, missing or of a wrong kind.
    #[error("manifest: {0}")]
    Json(#[from] JsonFault),
    /// A version that this program does not know.
    #[error("manifest has version {0}, this program reads version 1; update it")]
    Version(u64),
    /// No item.
    #[error("manifest lists no item")]
    NoItems,
    /// More items than [`limits::ITEMS_MAX`], or more bytes than [`limits::PAYLOAD_BYTES_MAX`].
    #[error("manifest lists more than a package may hold (1,000,000 items, 2 TiB)")]
    TooLarge,
    /// Two items of one name, or a file where another has a folder.
    #[error("manifest: {0}")]
    Path(#[from] PathFault),
    /// The terms contradict themselves.
    #[error("manifest: {0}")]
    Terms(#[from] TermsFault),
    /// A text is empty, too long or has control or invisible characters.
    #[error(
        "manifest: {field} is empty, longer than {limit} bytes, or has control or invisible characters"
    )]
    Text {
        /// The field.
        field: &'static str,
        /// Its limit in bytes.
        limit: usize,
    },
    /// The terms of an item are not within those of the package.
    #[error("manifest: the terms of item {0:?} are not within those of the package")]
    ItemTerms(String),
    /// An item is not where the layout of a package has it.
    #[error("manifest: item {0:?} is not at the offset where it must lie")]
    Offset(String),
    /// An item has no custody event, or the first is not its sealing.
    #[error("manifest: the first custody event of item {0:?} is not \"sealed\"")]
    Custody(String),
}

/// The salt of one item's digest, so that the digest says nothing about the content: 16 random bytes, in JSON 32 hex
/// digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Salt(pub [u8; 16]);

impl Serialize for Salt {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Salt {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut salt = [0; 16];
        hex::decode_to_slice(String::deserialize(from)?, &mut salt)
            .map_err(|_| de::Error::custom("a salt is 32 lower-case hex digits"))?;
        Ok(Self(salt))
    }
}

/// How an item came into the sender's hands (UCO `action:Action`, CASE `ProvenanceRecord`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acquisition {
    /// When it was over.
    pub end_time: Timestamp,
    /// CASE `exhibitNumber`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exhibit_number: Option<String>,
    /// The tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instrument: Option<String>,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// By whom.
    pub performer: String,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Timestamp>,
}

/// One event in the custody of an item (UCO `action:Action`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustodyEvent {
    /// The act: `sealed` is always the first.
    pub action: String,
    /// With which tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instrument: Option<String>,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// By whom.
    pub performer: String,
    /// When.
    pub time: Timestamp,
}

impl CustodyEvent {
    /// Checks the texts of the event.
    pub fn check(&self) -> Result<(), ManifestFault> {
        short("action", &self.action)?;
        text("performer", &self.performer)?;
        self.instrument
            .iter()
            .try_for_each(|it| text("instrument", it))?;
        self.location.iter().try_for_each(|it| text("location", it))
    }
}

/// One exhibit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// How it came into the sender's hands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acquisition: Option<Box<Acquisition>>,
    /// The kind of evidence, in the sender's opinion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Its chain of custody, 1 to [`CUSTODY_MAX`] events.
    #[serde(deserialize_with = "bounded::<_, _, CUSTODY_MAX>")]
    pub custody: Vec<CustodyEvent>,
    /// The media type, guessed from the name.
    pub media_type: String,
    /// Where its content begins in the tar, in bytes.
    pub offset: u64,
    /// Its name, beneath `data/` in the bag.
    pub path: ItemPath,
    /// Random bytes that hide its content in its digest.
    pub salt: Salt,
    /// The digest of its content.
    pub sha256: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Whom or what it concerns: at most [`limits::TERM_CODES_MAX`] references.
    #[serde(
        default,
        deserialize_with = "bounded::<_, _, { limits::TERM_CODES_MAX }>",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub subjects: Vec<String>,
    /// Terms of its own, stricter than those of the package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<Box<Terms>>,
    /// A title for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// Custody events of one item.
pub const CUSTODY_MAX: usize = 64;
/// The action of the first custody event.
pub const SEALED: &str = "sealed";
/// Short texts of an item: media type, category, action.
const SHORT_TEXT_BYTES_MAX: usize = 256;

impl Item {
    /// The hash of the item for the item root: the RFC 6962 leaf hash of its canonical JSON.
    pub fn leaf(&self) -> Digest {
        tlog::leaf_hash(&json::canonical(self))
    }

    fn check(&self) -> Result<(), ManifestFault> {
        let sealed = self
            .custody
            .first()
            .is_some_and(|event| event.action == SEALED);
        if !sealed {
            return Err(ManifestFault::Custody(self.path.to_string()));
        }
        short("media_type", &self.media_type)?;
        self.category
            .iter()
            .try_for_each(|it| short("category", it))?;
        self.title
            .iter()
            .try_for_each(|it| text("title of an item", it))?;
        self.subjects
            .iter()
            .try_for_each(|it| short("subjects", it))?;
        self.custody.iter().try_for_each(CustodyEvent::check)?;
        let Some(acquisition) = &self.acquisition else {
            return Ok(());
        };
        text("performer", &acquisition.performer)?;
        acquisition
            .exhibit_number
            .iter()
            .try_for_each(|it| short("exhibit_number", it))?;
        acquisition
            .instrument
            .iter()
            .try_for_each(|it| text("instrument", it))?;
        acquisition
            .location
            .iter()
            .try_for_each(|it| text("location", it))
    }
}

fn text(field: &'static str, value: &str) -> Result<(), ManifestFault> {
    check_text(field, value, limits::TEXT_BYTES_MAX)
}

fn short(field: &'static str, value: &str) -> Result<(), ManifestFault> {
    check_text(field, value, SHORT_TEXT_BYTES_MAX)
}

fn check_text(field: &'static str, value: &str, limit: usize) -> Result<(), ManifestFault> {
    if !is_text(value, limit) {
        return Err(ManifestFault::Text { field, limit });
    }
    Ok(())
}

/// Whether this is text for people: not empty, of at most so many bytes, without control, format or bidirectional
/// characters.
pub fn is_text(value: &str, limit: usize) -> bool {
    !value.is_empty() && value.len() <= limit && !value.chars().any(is_deceptive)
}

/// The manifest, version 1.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The sender's reference of the case.
    pub case: String,
    /// When the package was sealed.
    pub created: Timestamp,
    /// The sender.
    pub from: AuthorityId,
    /// The items, in the order in which they lie in the tar.
    pub items: Vec<Item>,
    /// The request that the package answers.
    #[serde(default)]
    pub request: Option<String>,
    /// The terms that bind it.
    pub terms: Terms,
    /// A title for people.
    #[serde(default)]
    pub title: Option<String>,
    /// The receiver.
    pub to: AuthorityId,
    /// 1.
    pub v: u64,
}

impl Manifest {
    /// The canonical JSON.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let Ok(()) = self.put(&mut |part| {
            bytes.extend_from_slice(part);
            Ok::<_, Infallible>(())
        });
        bytes
    }

    /// Writes the canonical JSON, one item in memory at a time.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        self.put(&mut |part| to.write_all(part))
    }

    /// Length and digest of the canonical JSON.
    pub(super) fn measure(&self) -> bag::Measure {
        let mut measure = bag::Measure::default();
        let Ok(()) = self.put(&mut |part| {
            measure.take(part);
            Ok::<_, Infallible>(())
        });
        measure
    }

    /// Hands the canonical JSON over in parts, one item at a time, until one is not taken.
    fn put<E>(&self, to: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        field(to, b'{', "case", &self.case)?;
        field(to, b',', "created", &self.created)?;
        field(to, b',', "from", &self.from)?;
        to(b",\"items\":")?;
        for (number, item) in self.items.iter().enumerate() {
            to(if number == 0 { b"[" } else { b"," })?;
            to(&json::canonical(item))?;
        }
        to(if self.items.is_empty() { b"[]" } else { b"]" })?;
        if let Some(request) = &self.request {
            field(to, b',', "request", request)?;
        }
        field(to, b',', "terms", &self.terms)?;
        if let Some(title) = &self.title {
            field(to, b',', "title", title)?;
        }
        field(to, b',', "to", &self.to)?;
        field(to, b',', "v", &self.v)?;
        to(b"}")
    }

    /// Reads a manifest of at most 64 MiB that is spelled canonically and passes [`Manifest::check`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestFault> {
        let limit = usize::try_from(limits::MANIFEST_BYTES_MAX).unwrap_or(usize::MAX);
        if bytes.len() > limit {
            let length = bytes.len();
            return Err(JsonFault::TooLong { length, limit }.into());
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(|e| match e.classify() {
            serde_json::error::Category::Data => JsonFault::Content(e.to_string()),
            serde_json::error::Category::Io
            | serde_json::error::Category::Syntax
            | serde_json::error::Category::Eof => JsonFault::Malformed(e.to_string()),
        })?;
        let mut rest = bytes;
        manifest.put(&mut |part| {
            rest = rest.strip_prefix(part).ok_or(JsonFault::NotCanonical)?;
            Ok::<_, JsonFault>(())
        })?;
        if !rest.is_empty() {
            return Err(JsonFault::NotCanonical.into());
        }
        manifest.check()?;
        Ok(manifest)
    }

    /// Checks everything but the items: version, texts, terms.
    pub fn check_head(&self) -> Result<(), ManifestFault> {
        if self.v != 1 {
            return Err(ManifestFault::Version(self.v));
        }
        text("case", &self.case)?;
        self.request.iter().try_for_each(|it| text("request", it))?;
        self.title.iter().try_for_each(|it| text("title", it))?;
        Ok(self.terms.check()?)
    }

    /// Checks what the types alone do not: texts, terms, unique paths, offsets, sums.
    pub fn check(&self) -> Result<(), ManifestFault> {
        self.check_head()?;
        if self.items.is_empty() {
            return Err(ManifestFault::NoItems);
        }
        if self.items.len() > limits::ITEMS_MAX {
            return Err(ManifestFault::TooLarge);
        }
        let (mut paths, mut layout) = (PathSet::new(), Layout::default());
        for item in &self.items {
            layout.add(item, &self.terms)?;
            paths.insert(&item.path)?;
        }
        Ok(())
    }

    /// The digest of the canonical JSON.
    pub fn digest(&self) -> Digest {
        self.measure().digest()
    }

    /// The RFC 6962 root over the hashes of the items: it commits to each without showing any.
    pub fn item_root(&self) -> Digest {
        segments::root_of(self.items.iter().map(Item::leaf))
    }

    /// The bytes of all items together.
    pub fn payload_bytes(&self) -> u64 {
        let sizes = self.items.iter().map(|item| item.size);
        sizes.fold(0, u64::saturating_add)
    }
}

/// Where the next item lies; items are checked one at a time and not kept.
#[derive(Debug, Clone)]
pub struct Layout {
    at: u64,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            at: bag::first_item(),
        }
    }
}

impl Layout {
    /// Checks the next item of a package under these terms: its texts, its own terms, its length and place.
    pub fn add(&mut self, item: &Item, package: &Terms) -> Result<(), ManifestFault> {
        item.check()?;
        if let Some(terms) = &item.terms {
            terms.check()?;
            if !item_terms::is_stricter(terms, package) {
                return Err(ManifestFault::ItemTerms(item.path.to_string()));
            }
        }
        if item.size > limits::PAYLOAD_BYTES_MAX {
            return Err(ManifestFault::TooLarge);
        }
        if item.offset != bag::content_offset(self.at, item.path.as_str(), item.size) {
            return Err(ManifestFault::Offset(item.path.to_string()));
        }
        self.at = item.offset.saturating_add(tape::padded(item.size));
        if self.at > limits::PAYLOAD_BYTES_MAX {
            return Err(ManifestFault::TooLarge);
        }
        Ok(())
    }
}

fn field<T: Serialize, E>(
    to: &mut impl FnMut(&[u8]) -> Result<(), E>,
    before: u8,
    name: &str,
    value: &T,
) -> Result<(), E> {
    to(&[before])?;
    to(&json::canonical(&name))?;
    to(b":")?;
    to(&json::canonical(value))
}

/// A list of at most `MAX` values, refused at the first one too many.
fn bounded<'de, D: Deserializer<'de>, T: Deserialize<'de>, const MAX: usize>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    struct Bounded<T, const MAX: usize>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Bounded<T, MAX> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {MAX} values")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Vec<T>, A::Error> {
            let mut values = Vec::new();
            while let Some(value) = from.next_element()? {
                if values.len() == MAX {
                    return Err(de::Error::invalid_length(MAX.saturating_add(1), &self));
                }
                values.push(value);
            }
            Ok(values)
        }
    }

    from.deserialize_seq(Bounded::<T, MAX>(PhantomData))
}

#[cfg(test)]
mod tests;
