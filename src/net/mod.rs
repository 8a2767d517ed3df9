//! QUIC between two authorities: endpoint, trust at the handshake, driver. The built-in PKI and the keyring.

pub mod brought;
pub mod endpoint;
pub mod fault;
pub mod frames;
pub mod keyring;
pub mod pki;
mod seats;
mod tls;
pub mod transport;
mod verify;

pub use endpoint::{Endpoint, Incoming, Link, TlsIdentity};
pub use fault::{DialFault, Refused};
pub use transport::NetLimits;
