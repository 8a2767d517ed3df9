//! Peers witness each other's logs.

pub(crate) mod conversation;
pub(crate) mod heads;
pub mod submission;
pub mod watch;
