//! The command line.

pub mod failure;
