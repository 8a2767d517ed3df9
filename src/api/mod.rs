//! The local API on a Unix socket: types, server, client.

pub mod client;
pub mod server;
pub mod types;
