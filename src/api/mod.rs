//! The local API on a Unix socket: types, server, client.

#[cfg(feature = "shell")]
pub mod accounts;
#[cfg(feature = "shell")]
pub mod client;
#[cfg(feature = "shell")]
pub mod server;
pub mod types;
