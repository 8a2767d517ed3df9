//! How an attempt at an exchange ends.

use crate::store::durable::STORAGE_FULL;
use crate::store::{CommitFault, StoreFault};
use crate::transfer::{Fault, Outcome};

/// How one attempt at an exchange ended.
#[derive(Debug)]
pub enum Attempt {
    /// As the machine says.
    Ended(Outcome),
    /// The connection or stream broke.
    Cut(String),
    /// Something here prevents it.
    Local(Fault),
    /// The store cannot be trusted any more: the daemon must stop.
    Broken(String),
}

impl From<CommitFault> for Attempt {
    fn from(fault: CommitFault) -> Self {
        let text = fault.to_string();
        match fault {
            CommitFault::Broken(why) => Self::Broken(why),
            CommitFault::Recovering => Self::Local(Fault::new("recovering", text)),
            CommitFault::Full => Self::Local(Fault::new(STORAGE_FULL, text)),
            CommitFault::Conflict { .. } => Self::Local(Fault::new("conflict", text)),
            CommitFault::Unfit(_) => Self::Local(Fault::new("unfit", text)),
        }
    }
}

impl From<StoreFault> for Attempt {
    fn from(fault: StoreFault) -> Self {
        Self::Local(Fault::new("store", fault.to_string()))
    }
}
