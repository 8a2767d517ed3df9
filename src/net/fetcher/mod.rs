//! Names of peers become addresses: by the system, or by a process of its own.

pub mod resolve;
pub mod server;
