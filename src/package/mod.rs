//! The content of a package and the layout of its bytes: manifest, tar and BagIt, segments, age header.
//!
//! The plaintext of a package is a tar of a BagIt bag (RFC 8493): [`tape`] knows the tar, [`bag`] the bag's tag files
//! and where each byte lies, [`manifest`] what the items are, [`content`] judges all of it, [`item_terms`] which of
//! them are under terms of their own, [`path`] what they may be called. The ciphertext is one age file: [`header`]
//! splits and checks its header, [`segments`] hashes its payload.

pub mod bag;
pub mod content;
pub mod header;
pub mod item_terms;
pub mod manifest;
pub mod media;
pub mod path;
pub mod segments;
pub mod tape;

pub use content::{ContentFault, Expect};
pub use item_terms::{ItemTerms, ItemTermsFault};
pub use manifest::{Item, Manifest};
pub use path::{ItemPath, PathSet};
