//! The words to people where the store refuses something, or a statement cannot be made.

use crate::api::server::ApiFailure;
use crate::exchange::ChainFault;
use crate::receipt::ReceiptFault;
use crate::store::durable::STORAGE_FULL;
use crate::store::{CommitFault, DiskFault, SpoolFault, StoreFault};

impl From<StoreFault> for ApiFailure {
    fn from(fault: StoreFault) -> Self {
        Self::storage("store", fault.to_string()).next("rogatory status")
    }
}

impl From<CommitFault> for ApiFailure {
    fn from(fault: CommitFault) -> Self {
        let text = fault.to_string();
        match fault {
            CommitFault::Full => Self::storage(STORAGE_FULL, text)
                .next("free space where the state directory is; nothing was changed"),
            CommitFault::Recovering => Self::storage("recovering", text).next(
                "restore the newest state, then start the daemon again; see: rogatory log status",
            ),
            CommitFault::Conflict { .. } => {
                Self::temporary("conflict", text).next("look at the package's state and try again")
            }
            CommitFault::Unfit(_) => Self::usage("unfit", text),
            CommitFault::Broken(_) => {
                Self::storage("storage-broken", text).next("look at the daemon's log")
            }
        }
    }
}

impl From<ReceiptFault> for ApiFailure {
    fn from(fault: ReceiptFault) -> Self {
        Self::usage(
            fault.code(),
            format!("the statement cannot be made: {fault}"),
        )
    }
}

impl From<DiskFault> for ApiFailure {
    fn from(fault: DiskFault) -> Self {
        let code = match fault {
            DiskFault::Full { .. } => STORAGE_FULL,
            DiskFault::Broken { .. } => "storage-broken",
        };
        Self::storage(code, fault.to_string())
    }
}

impl From<SpoolFault> for ApiFailure {
    fn from(fault: SpoolFault) -> Self {
        match fault {
            SpoolFault::Disk(fault) => fault.into(),
            SpoolFault::TooLong => Self::usage("too-large", fault.to_string()),
        }
    }
}

impl From<ChainFault> for ApiFailure {
    fn from(fault: ChainFault) -> Self {
        match fault {
            ChainFault::Altered(what) => altered(what),
            ChainFault::Dispatch(_) => {
                Self::mismatch("dispatch-altered", format!("as it is stored, {fault}"))
            }
        }
    }
}

pub(crate) fn altered(what: &str) -> ApiFailure {
    ApiFailure::mismatch(
        "ledger-altered",
        format!("the {what} of this package in the ledger is missing or damaged"),
    )
}

pub(crate) fn not_recipient() -> ApiFailure {
    let message = "this authority sent the package; only its recipient can open it";
    ApiFailure::usage("not-recipient", message)
}
