//! The memory of the clock from run to run.

use serde::{Deserialize, Serialize};

use crate::base::clock::{Change, Doubt, Past};
use crate::base::{Timestamp, json};
use crate::store::Op;

/// The named value of the ledger.
pub(crate) const KEY: &str = "clock";

/// The facts remembered of the clock from run to run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct ClockMemory {
    /// A sure time; of statements up to number `seq` it is the newest that counts.
    pub(crate) at: Option<Timestamp>,
    pub(crate) seq: i64,
    /// The doubt that is not over.
    pub(crate) doubt: Option<Doubt>,
    /// The changes still to be stated.
    pub(crate) unstated: Vec<Change>,
    /// The last one that is over.
    pub(crate) last: Option<Past>,
}

impl ClockMemory {
    pub(crate) fn op(&self) -> Op {
        Op::Meta {
            key: KEY.to_owned(),
            value: json::canonical(self),
        }
    }
}
