//! The manifest of a package as it is read from the tar: one item in memory at a time.
//!
//! It is written again while it is read, and hashed: if that digest is the one that the sender has disclosed, the bytes
//! were spelled in the one way.

use std::cell::Cell;
use std::fmt;
use std::io::{self, Read};

use serde::Deserializer;
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};

use crate::base::json::{self, JsonFault};
use crate::base::{len_u64, limits};
use crate::package::bag::{Measure, Tags, Tally};
use crate::package::content::{ContentFault, Expect, Halt};
use crate::package::item_terms::Agreement;
use crate::package::manifest::{Item, Layout, Manifest, ManifestFault};
use crate::package::segments::ListRoot;
use crate::tlog;

/// The values that follow from a manifest.
pub(super) struct Listed {
    pub(super) tags: Tags,
    pub(super) items: u64,
}

/// Reads the manifest that is expected, which takes the whole of `from`, and shows `each` its items.
pub(super) fn read<E>(
    from: impl Read,
    expect: &Expect,
    each: impl FnMut(&Item) -> Result<(), ContentFault>,
) -> Result<Listed, Halt<E>> {
    let left = Cell::new(0);
    let mut listing = Listing {
        expect,
        each,
        left: &left,
        layout: Layout::default(),
        tally: Tally::default(),
        root: ListRoot::new(),
        agreement: Agreement::new(&expect.item_terms),
        json: Measure::default(),
        halted: None,
    };
    let mut from = serde_json::Deserializer::from_reader(Budget { from, left: &left });
    left.set(limits::ITEM_JSON_BYTES_MAX);
    let read = listing.deserialize_from(&mut from);
    let read = read.and_then(|head| from.end().map(|()| head));
    if let Some(fault) = listing.halted {
        return Err(fault.into());
    }
    let head = read.map_err(|e| match e.classify() {
        serde_json::error::Category::Io => Halt::Source(e.into()),
        serde_json::error::Category::Data => refused(JsonFault::Content(e.to_string())),
        serde_json::error::Category::Syntax | serde_json::error::Category::Eof => {
            refused(JsonFault::Malformed(e.to_string()))
        }
    })?;
    head.check_head().map_err(ContentFault::from)?;
    let items = listing.tally.items();
    if items == 0 {
        return Err(ContentFault::from(ManifestFault::NoItems).into());
    }
    let tags = listing.tally.tags(head.created, listing.json);
    if tags.manifest_digest != expect.manifest {
        return Err(refused(JsonFault::NotCanonical));
    }
    expect.compare(&head, listing.root.root())?;
    if !listing.agreement.finish() {
        return Err(ContentFault::ItemTerms.into());
    }
    Ok(Listed { tags, items })
}

fn refused<E>(fault: JsonFault) -> Halt<E> {
    Halt::Content(ManifestFault::from(fault).into())
}

/// A manifest under way.
struct Listing<'a, F> {
    expect: &'a Expect,
    each: F,
    left: &'a Cell<u64>,
    layout: Layout,
    tally: Tally,
    root: ListRoot,
    agreement: Agreement<'a>,
    /// The JSON that was read, written again.
    json: Measure,
    /// Why it stopped, where JSON is not to blame.
    halted: Option<ContentFault>,
}

impl<F: FnMut(&Item) -> Result<(), ContentFault>> Listing<'_, F> {
    /// Everything of the manifest but its items.
    fn deserialize_from<'de, D: Deserializer<'de>>(
        &mut self,
        from: D,
    ) -> Result<Manifest, D::Error> {
        from.deserialize_map(Head(self))
    }

    fn item(&mut self, item: &Item) -> Result<(), ContentFault> {
        self.layout.add(item, &self.expect.terms)?;
        if !self.agreement.add(item) {
            return Err(ContentFault::ItemTerms);
        }
        let bytes = json::canonical(item);
        self.root.append(tlog::leaf_hash(&bytes));
        self.write(if self.tally.items() == 0 { b"" } else { b"," });
        self.write(&bytes);
        self.tally.add(item);
        (self.each)(item)
    }

    fn write(&mut self, bytes: &[u8]) {
        self.json.take(bytes);
    }
}

/// The fields of a manifest, in order.
struct Head<'a, 'b, F>(&'a mut Listing<'b, F>);

/// The values read of those fields.
#[derive(Default)]
struct Fields {
    case: Option<String>,
    created: Option<crate::base::Timestamp>,
    from: Option<crate::base::AuthorityId>,
    request: Option<String>,
    terms: Option<crate::policy::Terms>,
    title: Option<String>,
    to: Option<crate::base::AuthorityId>,
    v: Option<u64>,
}

impl<'de, F: FnMut(&Item) -> Result<(), ContentFault>> Visitor<'de> for Head<'_, '_, F> {
    type Value = Manifest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the manifest of a package")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Manifest, A::Error> {
        let listing = self.0;
        let mut fields = Fields::default();
        let mut last = String::new();
        while let Some(key) = from.next_key::<String>()? {
            if key <= last {
                return Err(de::Error::custom("fields out of order"));
            }
            listing.left.set(limits::ITEM_JSON_BYTES_MAX);
            listing.write(if last.is_empty() { b"{" } else { b"," });
            listing.write(&json::canonical(&key));
            listing.write(b":");
            if key == "items" {
                from.next_value_seed(Items(listing))?;
            } else {
                let bytes = fields.read(&key, &mut from)?;
                listing.write(&bytes);
            }
            last = key;
        }
        listing.write(b"}");
        fields.into_manifest().map_err(de::Error::missing_field)
    }
}

impl Fields {
    /// Reads a field and writes it again.
    fn read<'de, A: MapAccess<'de>>(
        &mut self,
        key: &str,
        from: &mut A,
    ) -> Result<Vec<u8>, A::Error> {
        fn value<'de, T: serde::Deserialize<'de> + serde::Serialize, A: MapAccess<'de>>(
            into: &mut Option<T>,
            from: &mut A,
        ) -> Result<Vec<u8>, A::Error> {
            let value = from.next_value()?;
            Ok(json::canonical(into.insert(value)))
        }
        match key {
            "case" => value(&mut self.case, from),
            "created" => value(&mut self.created, from),
            "from" => value(&mut self.from, from),
            "request" => value(&mut self.request, from),
            "terms" => value(&mut self.terms, from),
            "title" => value(&mut self.title, from),
            "to" => value(&mut self.to, from),
            "v" => value(&mut self.v, from),
            other => Err(de::Error::unknown_field(other, &[])),
        }
    }

    /// The manifest without its items, or the field that is missing.
    fn into_manifest(self) -> Result<Manifest, &'static str> {
        Ok(Manifest {
            case: self.case.ok_or("case")?,
            created: self.created.ok_or("created")?,
            from: self.from.ok_or("from")?,
            items: Vec::new(),
            request: self.request,
            terms: self.terms.ok_or("terms")?,
            title: self.title,
            to: self.to.ok_or("to")?,
            v: self.v.ok_or("v")?,
        })
    }
}

/// The items of a manifest.
struct Items<'a, 'b, F>(&'a mut Listing<'b, F>);

impl<'de, F: FnMut(&Item) -> Result<(), ContentFault>> DeserializeSeed<'de> for Items<'_, '_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(&Item) -> Result<(), ContentFault>> Visitor<'de> for Items<'_, '_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<(), A::Error> {
        let listing = self.0;
        listing.write(b"[");
        while let Some(item) = from.next_element::<Item>()? {
            if let Err(fault) = listing.item(&item) {
                listing.halted = Some(fault);
                return Err(de::Error::custom("an item is not as it must be"));
            }
            listing.left.set(limits::ITEM_JSON_BYTES_MAX);
        }
        listing.write(b"]");
        Ok(())
    }
}

/// Ends where a single field or item takes more than any can.
struct Budget<'a, R> {
    from: R,
    left: &'a Cell<u64>,
}

impl<R: Read> Read for Budget<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = (&mut self.from).take(self.left.get()).read(into)?;
        self.left.set(self.left.get().saturating_sub(len_u64(read)));
        Ok(read)
    }
}
