//! The log: what is published and exported of it.

pub(crate) mod bundle;
pub(crate) mod publisher;
pub(crate) mod status;
