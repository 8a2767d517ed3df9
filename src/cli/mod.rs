//! The command line.

pub mod dossier;
