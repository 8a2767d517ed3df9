//! The command line.

pub mod dossier;
pub mod failure;
