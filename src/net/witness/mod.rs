//! Peers witness each other's logs.

pub(crate) mod conversation;
pub(crate) mod roots;
pub mod submission;
pub mod watch;
