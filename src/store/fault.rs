//! Why the store cannot answer.

use std::path::PathBuf;

use crate::store::durable::DiskFault;

/// Why the ledger cannot be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreFault {
    /// Another process has it.
    #[error("{} is in use by another process; stop that one first", folder.display())]
    Locked {
        /// The state folder.
        folder: PathBuf,
    },
    /// It was written by a newer version of this program.
    #[error("the ledger has schema {found}, this program knows {known}; use the newer program")]
    Newer {
        /// The schema it has.
        found: i64,
        /// The newest this program knows.
        known: i64,
    },
    /// Its parts contradict each other, or it is of another authority.
    #[error("the ledger is damaged: {0}; restore it from a backup")]
    Damaged(String),
    /// The journal of destructions is not what was written.
    #[error("the journal of destructions {0}")]
    Journal(String),
    /// The database refused.
    #[error("the ledger cannot be read: {0}")]
    Sql(#[from] rusqlite::Error),
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskFault),
    /// The process is shutting down.
    #[error("the ledger is closed")]
    Closed,
}
