//! The bag inside the tar (RFC 8493): its tag files, and where every byte of a package lies.
//!
//! Everything but the items follows from the manifest: a reader computes the tag files again and compares. Entries, in
//! order: `bagit.txt`, `data/…`, `bag-info.txt`, `manifest-sha256.txt`, `rogatory/manifest.json`,
//! `tagmanifest-sha256.txt`, `rogatory/index`, whose last bytes are a fixed distance from the end of the tar.

use std::io::{self, Write};

use crate::base::{Digest, Hasher, Timestamp, len_u64};
use crate::package::manifest::{Item, Manifest};
use crate::package::tape;

/// The declaration of the bag, the first entry.
pub const DECLARATION: &str = "bagit.txt";
/// The content of `bagit.txt`.
pub const DECLARATION_TEXT: &str = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n";
/// The folder of the items.
pub const PAYLOAD: &str = "data/";
/// Day of sealing, bytes and count of the items.
pub const INFO: &str = "bag-info.txt";
/// Digests of the items, for any tool that knows bags.
pub const PAYLOAD_MANIFEST: &str = "manifest-sha256.txt";
/// The manifest of [`crate::package::manifest`].
pub const MANIFEST: &str = "rogatory/manifest.json";
/// Digests of the tag files.
pub const TAG_MANIFEST: &str = "tagmanifest-sha256.txt";
/// Where the manifest lies.
pub const INDEX: &str = "rogatory/index";
/// The length of the content of `rogatory/index`.
pub const INDEX_BYTES: u64 = 74;
/// The length of the end of the tar that a reader of single items needs: header and content of `rogatory/index`, and
/// the end blocks.
pub const INDEX_TAIL_BYTES: u64 = 2 * tape::BLOCK + len_u64(tape::END.len());

/// Where the head of the first item lies.
pub const fn first_item() -> u64 {
    entry_bytes(len_u64(DECLARATION_TEXT.len()))
}

/// Where the content of an item begins whose head begins at `at`.
pub fn content_offset(at: u64, path: &str, size: u64) -> u64 {
    at.saturating_add(tape::head_length(&format!("{PAYLOAD}{path}"), size))
}

/// The content of `rogatory/index`.
pub fn index_text(manifest_offset: u64, manifest_bytes: u64) -> String {
    format!("rogatory/index/v1\noffset {manifest_offset:020}\nlength {manifest_bytes:020}\n")
}

/// Offset and length of the manifest, if this is the content of a `rogatory/index`.
pub fn parse_index(text: &str) -> Option<(u64, u64)> {
    let mut lines = text.lines().skip(1);
    let offset = lines.next()?.strip_prefix("offset ")?.parse().ok()?;
    let length = lines.next()?.strip_prefix("length ")?.parse().ok()?;
    (index_text(offset, length) == text).then_some((offset, length))
}

/// Length and digest of something that is written but not kept.
#[derive(Debug, Clone, Default)]
pub struct Measure {
    bytes: u64,
    hasher: Hasher,
}

impl Measure {
    /// Takes the next bytes.
    pub fn take(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.bytes = self.bytes.saturating_add(len_u64(bytes.len()));
    }

    /// How many bytes were written.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Their digest.
    pub fn digest(self) -> Digest {
        self.hasher.finish()
    }
}

impl Write for Measure {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.take(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes `manifest-sha256.txt`: one line an item, in the order of the manifest.
pub fn write_payload_manifest(items: &[Item], to: &mut impl Write) -> io::Result<()> {
    let mut lines = items.iter().map(line);
    lines.try_for_each(|line| to.write_all(line.as_bytes()))
}

fn line(item: &Item) -> String {
    format!("{}  {PAYLOAD}{}\n", item.sha256, item.path)
}

/// The values that the tag files give for the items, which are taken one at a time and not kept.
#[derive(Debug, Clone)]
pub struct Tally {
    items: u64,
    bytes: u64,
    /// Where the entry after the last item begins.
    end: u64,
    /// `manifest-sha256.txt`.
    lines: Measure,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            items: 0,
            bytes: 0,
            end: first_item(),
            lines: Measure::default(),
        }
    }
}

impl Tally {
    /// Takes the next item.
    pub fn add(&mut self, item: &Item) {
        self.lines.take(line(item).as_bytes());
        self.items = self.items.saturating_add(1);
        self.bytes = self.bytes.saturating_add(item.size);
        self.end = item.offset.saturating_add(tape::padded(item.size));
    }

    /// How many items were taken.
    pub const fn items(&self) -> u64 {
        self.items
    }

    /// The tag files that go with these items in a manifest that was sealed then and is written so.
    pub fn tags(self, created: Timestamp, json: Measure) -> Tags {
        let info = format!(
            "Bagging-Date: {}\nPayload-Oxum: {}.{}\n",
            created.date(),
            self.bytes,
            self.items
        );
        let (payload_manifest_bytes, manifest_bytes) = (self.lines.bytes(), json.bytes());
        let manifest_offset = self
            .end
            .saturating_add(entry_bytes(len_u64(info.len())))
            .saturating_add(entry_bytes(payload_manifest_bytes))
            .saturating_add(tape::BLOCK);
        let index = index_text(manifest_offset, manifest_bytes);
        let (payload_manifest_digest, manifest_digest) = (self.lines.digest(), json.digest());
        let tag_manifest = [
            (Digest::of(info.as_bytes()), INFO),
            (Digest::of(DECLARATION_TEXT.as_bytes()), DECLARATION),
            (payload_manifest_digest, PAYLOAD_MANIFEST),
            (Digest::of(index.as_bytes()), INDEX),
            (manifest_digest, MANIFEST),
        ]
        .map(|(digest, name)| format!("{digest}  {name}\n"))
        .concat();
        let tar_bytes = manifest_offset
            .saturating_add(tape::padded(manifest_bytes))
            .saturating_add(entry_bytes(len_u64(tag_manifest.len())))
            .saturating_add(INDEX_TAIL_BYTES);
        Tags {
            info,
            payload_manifest_bytes,
            payload_manifest_digest,
            manifest_bytes,
            manifest_digest,
            manifest_offset,
            tag_manifest,
            index,
            tar_bytes,
        }
    }
}

/// The tag files of a package and where they lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tags {
    /// `bag-info.txt`.
    pub info: String,
    /// Length of `manifest-sha256.txt`, in bytes.
    pub payload_manifest_bytes: u64,
    /// Its digest.
    pub payload_manifest_digest: Digest,
    /// Length of `rogatory/manifest.json`, in bytes.
    pub manifest_bytes: u64,
    /// Its digest.
    pub manifest_digest: Digest,
    /// Where its content begins in the tar.
    pub manifest_offset: u64,
    /// `tagmanifest-sha256.txt`.
    pub tag_manifest: String,
    /// `rogatory/index`.
    pub index: String,
    /// Length of the whole tar, in bytes.
    pub tar_bytes: u64,
}

impl Tags {
    /// The tag files that go with a manifest whose offsets are right.
    pub fn of(manifest: &Manifest) -> Self {
        let mut tally = Tally::default();
        manifest.items.iter().for_each(|item| tally.add(item));
        tally.tags(manifest.created, manifest.measure())
    }
}

/// Head and content of a tag file: their names need one block.
const fn entry_bytes(len: u64) -> u64 {
    tape::BLOCK.saturating_add(tape::padded(len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_has_a_fixed_length_and_one_spelling() {
        for (offset, length) in [(0, 0), (1_024, 77), (u64::MAX, u64::MAX)] {
            let text = index_text(offset, length);
            assert_eq!(text.len() as u64, INDEX_BYTES);
            assert_eq!(parse_index(&text), Some((offset, length)));
        }
        let good = index_text(5, 6);
        for bad in [
            String::new(),
            good.replace("v1", "v2"),
            good.replace("0005", "005"),
            good.replace("0005", "+005"),
            good.replace("0005", "-005"),
            good.replace('\n', "\r\n"),
            format!("{good}x"),
        ] {
            assert_eq!(parse_index(&bad), None, "{bad:?}");
        }
    }

    #[test]
    fn tag_files_have_names_that_fit_one_block() {
        for name in [
            DECLARATION,
            INFO,
            PAYLOAD_MANIFEST,
            MANIFEST,
            TAG_MANIFEST,
            INDEX,
        ] {
            assert_eq!(tape::head_length(name, 64 << 20), tape::BLOCK);
        }
    }
}
