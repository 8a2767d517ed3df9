//! QUIC between two authorities, in rooms; each uses only those above it in this list.

pub mod clock;
pub mod connection;
mod delivery;
pub mod fetcher;
mod letters;
pub mod quic;
pub mod session;
pub mod witness;

pub use quic::{DialFault, Endpoint, Incoming, Link, NetLimits, Refused, TlsIdentity};
