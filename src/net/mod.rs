//! QUIC between two authorities: endpoint, trust at the handshake, driver. The built-in PKI and the keyring.

mod after;
pub mod brought;
pub mod control;
mod datastream;
pub mod endpoint;
pub mod fault;
pub mod fetcher;
pub mod frames;
pub mod handed;
mod headercheck;
mod inbound;
mod inbox;
mod incoming;
mod intake;
pub mod keyring;
mod noise;
mod onward;
pub mod outbound;
pub mod pace;
mod part;
pub mod pki;
mod quota;
mod reader;
pub mod resolve;
mod seats;
pub mod session;
pub mod share;
pub mod station;
mod tls;
pub mod transport;
mod verify;
pub mod watch;
mod watching;

pub use endpoint::{Endpoint, Incoming, Link, TlsIdentity};
pub use fault::{DialFault, Refused};
pub use transport::NetLimits;
