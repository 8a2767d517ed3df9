//! Looking up names of items in the manifest of a plaintext, in memory that does not grow with it.

use std::fmt;
use std::io::{self, BufReader, Read, Seek};

use serde::Deserialize;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::base::{Digest, Hasher};
use crate::package::{ContentFault, ItemPath};
use crate::seal::fault::UnpackError;
use crate::seal::unpack;

/// The bytes of the items that these names stand for: of the item itself, or of all in a folder.
///
/// # Errors
/// [`UnpackError::NoSuchItem`] if a name stands for none. Any other says that the manifest cannot be read, or is not
/// the one with this digest.
pub fn find_items(
    plaintext: &mut (impl Read + Seek),
    names: &[String],
    manifest: &Digest,
) -> Result<u64, UnpackError> {
    let (_, bytes) = unpack::seek_manifest(plaintext)?;
    let hashed = Hashed {
        from: plaintext.take(bytes),
        hasher: Hasher::new(),
    };
    let mut search = Search::new(names);
    let mut reader = BufReader::new(hashed);
    let mut json = serde_json::Deserializer::from_reader(&mut reader);
    let read = search.deserialize(&mut json).and_then(|()| json.end());
    // What JSON does not stop at is of no use to anybody.
    read.map_err(|_| ContentFault::ManifestDigest)?;
    if reader.into_inner().hasher.finish() != *manifest {
        return Err(ContentFault::ManifestDigest.into());
    }
    search.result()
}

struct Hashed<R> {
    from: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        self.hasher.update(into.get(..read).unwrap_or_default());
        Ok(read)
    }
}

/// Names that are looked for among items, and what was found of them.
pub(super) struct Search<'n> {
    names: &'n [String],
    found: Vec<bool>,
    bytes: u64,
}

impl<'n> Search<'n> {
    pub(super) fn new(names: &'n [String]) -> Self {
        Self {
            names,
            found: vec![false; names.len()],
            bytes: 0,
        }
    }

    /// Looks at one item; whether it is looked for.
    pub(super) fn look(&mut self, path: &ItemPath, size: u64) -> bool {
        let mut wanted = false;
        for (name, found) in self.names.iter().zip(&mut self.found) {
            let is_it = path.is_within(name);
            *found |= is_it;
            wanted |= is_it;
        }
        if wanted {
            self.bytes = self.bytes.saturating_add(size);
        }
        wanted
    }

    /// The bytes of what was found, if that is all that was looked for. What else there is, nobody learns from a name.
    pub(super) fn result(&self) -> Result<u64, UnpackError> {
        let mut pairs = self.names.iter().zip(&self.found);
        match pairs.find(|(_, found)| !**found) {
            Some((missing, _)) => Err(UnpackError::NoSuchItem(missing.clone())),
            None => Ok(self.bytes),
        }
    }
}

#[derive(Deserialize)]
struct Found {
    path: ItemPath,
    size: u64,
}

/// The manifest: of its fields, the items.
impl<'de> DeserializeSeed<'de> for &mut Search<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Search<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a manifest")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(name) = fields.next_key::<String>()? {
            if name == "items" {
                fields.next_value_seed(Items(self))?;
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

struct Items<'s, 'n>(&'s mut Search<'n>);

impl<'de> DeserializeSeed<'de> for Items<'_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Items<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element::<Found>()? {
            self.0.look(&item.path, item.size);
        }
        Ok(())
    }
}
