//! QUIC between two authorities: endpoint, trust at the handshake, driver.

pub mod keyring;
pub mod pki;
