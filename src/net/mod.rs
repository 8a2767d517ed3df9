//! QUIC between two authorities: endpoint, trust at the handshake, driver.

pub mod endpoint;
pub mod fault;
pub mod frames;
mod seats;
mod tls;
pub mod transport;
mod verify;

pub use endpoint::{Endpoint, Incoming, Link, TlsIdentity};
pub use fault::{DialFault, Refused};
pub use transport::NetLimits;
