//! Everything durable: the ledger, the payloads beside it, and the keys that can be shredded.
//!
//! The ledger holds every statement, the state of every exchange, the log's leaves and the peers, in one database with
//! one writer that commits in groups. Payloads are files, except small ones. The header that makes a payload readable
//! is stored encrypted, its key in a cell that can be overwritten. What was destroyed stands in a journal outside the
//! folder, so that a restored backup does not bring it back. Nothing outside this module knows that the database is
//! SQLite.

pub mod blobs;
pub mod check;
pub mod direct;
pub mod durable;
pub mod incoming;
mod index;
pub mod journal;
pub mod spool;

mod apply;
mod destructions;
mod digests;
mod due;
mod fault;
mod layout;
mod ledger;
mod lists;
mod log;
mod op;
mod opening;
mod outgoing;
mod questions;
mod reader;
mod recent;
mod replay;
mod reserve;
mod rows;
mod settlement;
mod slots;
mod sql;
mod subtrees;
mod sums;
mod times;
mod unopened;
mod writer;

#[cfg(test)]
mod tests;

pub use blobs::{Blobs, Reservation};
pub use direct::{Block, LongFile};
pub use durable::DiskFault;
pub use fault::StoreFault;
pub use incoming::{IncomingPayload, ListFault, ListPart, SegmentFault};
pub use ledger::{Ledger, Waiting};
pub use lists::{CaseRow, DueMark, DuePage, Extent};
pub use log::{Logged, PublishFault};
pub use op::{Commit, CommitFault, Op};
pub use outgoing::{AHEAD_BYTES_MAX, Ahead, OUTBOX_PAGE, Outgoing};
pub use replay::{Unstated, unstated};
pub use rows::{
    AlarmKind, AlarmRow, CardRow, CosignedRow, CrlRow, DUE, Exchange, OpeningRow, PeerRow,
    PeerState, Reached, StatementRow, StoredFault, TOLD, WitnessedRow, disclosures_key, fork_key,
    fork_keys, growth_key, order_key, tell_key, unreadable_key,
};
pub use spool::{Spool, SpoolFault, SpooledPayload};
