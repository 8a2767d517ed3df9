//! QUIC between two authorities: endpoint, trust at the handshake, driver.
