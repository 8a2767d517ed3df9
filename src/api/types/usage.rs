//! The effect of limits on a peer.

use serde::{Deserialize, Serialize};

/// The use of a peer since the daemon started, and how often the limits of `[limits]` have held it back.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct HeldBack {
    /// Offers beyond `offers_per_second`, answered with "later" and code `rate`.
    pub offers: u64,
    /// Offers beyond `peer_quota` or `peer_unopened`, answered with "later" and code `quota`.
    pub quota: u64,
    /// Packages of it that are here and that nobody has opened; only where one peer is asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unopened_packages: Option<u64>,
    /// The bytes of their payloads.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unopened_bytes: Option<u64>,
    /// Bytes by which the ledger has grown because of it.
    pub grown_bytes: u64,
    /// Leaves that the log has because of it.
    pub grown_leaves: u64,
    /// Offers and statements beyond `peer_growth`, answered with "later" and code `quota`.
    pub growth: u64,
    /// Control frames that had to wait for `control_per_second`.
    pub control: u64,
    /// How long its streams have waited for `peer_send_bandwidth`, in milliseconds, all added up.
    pub send_ms: u64,
    /// The same for `peer_receive_bandwidth`.
    pub receive_ms: u64,
}
