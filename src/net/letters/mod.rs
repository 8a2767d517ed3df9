//! Statements outside deliveries, on streams of their own.

pub(crate) mod statements;
