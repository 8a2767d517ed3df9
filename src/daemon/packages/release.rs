//! One opening as bytes leave under it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::api::types::Closed;
use crate::base::{Ranges, Xid};
use crate::daemon::packages::wish::Wish;
use crate::daemon::people::approvals::record::Approved;
use crate::policy::{Purpose, Terms};
use crate::receipt::Reason;
use crate::seal;

/// How long an opening lasts under which nothing is asked for.
const IDLE: Duration = Duration::from_mins(5);
/// And one of which somebody has begun to read, and does not go on.
const STALLED: Duration = Duration::from_mins(30);
/// The facts to state of an opening.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) purpose: Purpose,
    pub(crate) reason: Option<Reason>,
    /// Who opens it, and who has approved that.
    pub(crate) persons: String,
    pub(crate) justification: String,
    pub(crate) items: Vec<String>,
    pub(crate) related: bool,
    pub(crate) export: bool,
    /// The terms in force under which it was permitted.
    pub(crate) terms: Terms,
    /// The approval that the first byte uses up; its sender is then told.
    pub(crate) approval: Option<Approved>,
}

impl Record {
    pub(crate) fn wish(&self) -> Wish<'_> {
        Wish {
            actor: &self.persons,
            purpose: Some(self.purpose),
            justification: &self.justification,
            items: &self.items,
            related: self.related,
            export: self.export,
        }
    }
}

/// Where an opening is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nothing has left.
    Waiting,
    /// Bytes may leave.
    Begun,
    /// None leave any more.
    Over,
}

pub(crate) struct Left {
    pub(crate) stage: Stage,
    /// Whether it is in the ledger.
    pub(crate) is_kept: bool,
    /// The bytes that have been asked for; of those, the withheld ones have not left.
    pub(crate) ranges: Ranges,
    /// The durable bound: no more bytes will have left.
    pub(crate) bound: u64,
    /// The outcome of the opening.
    pub(crate) closed: Option<Closed>,
}

/// The bytes that leave under one opening.
pub(crate) struct Release {
    pub(crate) id: [u8; 16],
    pub(crate) xid: Xid,
    /// All the bytes that could leave.
    pub(crate) total: u64,
    pub(crate) record: Record,
    pub(crate) left: tokio::sync::Mutex<Left>,
    pub(crate) is_over: AtomicBool,
    pub(crate) streams: AtomicUsize,
    touched: Mutex<Instant>,
}

impl Release {
    /// Of nothing yet.
    pub(crate) fn new(xid: Xid, total: u64, record: Record) -> Self {
        let left = Left {
            stage: Stage::Waiting,
            is_kept: false,
            ranges: Ranges::empty(),
            bound: 0,
            closed: None,
        };
        Self {
            id: seal::random(),
            xid,
            total,
            record,
            left: left.into(),
            is_over: AtomicBool::new(false),
            streams: AtomicUsize::new(0),
            touched: Instant::now().into(),
        }
    }

    /// The name of the opening.
    pub(crate) fn name(&self) -> String {
        hex::encode(self.id)
    }

    /// Whether nothing leaves any more.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Whether nobody has asked for anything, or read anything, for long.
    pub(crate) fn is_idle(&self) -> bool {
        let touched = *self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        let is_read = self.streams.load(Ordering::Acquire) > 0;
        touched.elapsed() > if is_read { STALLED } else { IDLE }
    }

    pub(crate) fn touch(&self) {
        *self.touched.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}
