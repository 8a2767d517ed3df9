//! The local API on a Unix socket: types, server, client.

pub mod types;
pub mod server;
