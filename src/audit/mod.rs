//! The auditor's part: what an exported bundle proves, judged from its files and from keys that came another way.
//!
//! Nothing here opens a socket, asks a daemon or reads the environment. [`folder`] reads a bundle, [`anchors`] the keys
//! that are trusted, [`verify()`] judges, [`compare()`] puts several together, [`explain`] says what one file means and
//! how to check it with other programs.

pub mod anchors;
mod compare;
pub mod explain;
pub mod folder;
mod inclusion;
mod lacking;
mod recipes;
mod steps;
mod verdict;
mod verify;

pub use anchors::{Anchors, AnchorsFault};
pub use compare::{ComparedPart, Comparison, Finding, compare};
pub use folder::{Files, FolderFault};
pub use verdict::{Answered, AuditFault, BundleReceipt, Cosigned, Judgement};
pub use verify::{intact, verify};
