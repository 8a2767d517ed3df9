//! Endpoints, trust at the handshake, frames on streams.

mod congestion;
pub mod endpoint;
pub mod fault;
pub mod frames;
mod handshakes;
pub(crate) mod reader;
pub mod sockets;
mod tls;
pub mod transport;
mod verify;
mod windows;

pub use endpoint::{Endpoint, Incoming, Link, TlsIdentity};
pub use fault::{DialFault, Refused};
pub use transport::NetLimits;
