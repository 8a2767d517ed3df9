//! rogatory: authorities exchange evidence packages, purpose-bound and receipted.

pub mod base;
pub mod identity;
pub mod package;
pub mod policy;
pub mod receipt;
pub mod tlog;
pub mod transfer;
pub mod wire;

pub mod api;
pub mod cli;
pub mod daemon;

pub mod config;

pub mod net;
pub mod seal;
pub mod store;
