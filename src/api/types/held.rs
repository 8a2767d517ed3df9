//! What limits do to a peer.

use serde::{Deserialize, Serialize};

/// How often the limits of `[limits]` have held a peer back since the daemon started.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct HeldBack {
    /// Offers beyond `offers_per_second`, answered with "later" and code `rate`.
    pub offers: u64,
    /// Offers beyond `peer_quota` or `peer_unopened`, answered with "later" and code `quota`.
    pub quota: u64,
    /// Control frames that had to wait for `control_per_second`.
    pub control: u64,
    /// How long its streams have waited for `peer_send_bandwidth`, in milliseconds, all added up.
    pub send_ms: u64,
    /// The same for `peer_receive_bandwidth`.
    pub receive_ms: u64,
}
