//! Every limit that QUIC puts on a connection and on the endpoint. None is left to a default of the library.

use std::sync::Arc;
use std::time::Duration;

use quinn::{IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt};

use crate::base::limits;
use crate::config::Congestion;
use crate::net::quic::congestion;
use crate::net::quic::windows::{WindowShare, Windows};

/// Limits on the cost of connections. Bytes unless the name says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetLimits {
    /// Connections at once, dialled and accepted; more are refused.
    pub connections: usize,
    /// Handshakes of accepted connections at once. From half of it on, a newcomer must prove its address (Retry).
    pub handshakes: usize,
    /// Further handshakes at once, from addresses where a peer lives.
    pub handshakes_reserved: usize,
    /// Handshakes at once from one address.
    pub handshakes_per_address: usize,
    /// From the first packet to a proven peer.
    pub handshake_timeout: Duration,
    /// Silence after which a connection is lost.
    pub idle_timeout: Duration,
    /// Silence after which a packet is sent to keep the connection.
    pub keep_alive: Duration,
    /// Received and not yet read on one connection, and likewise sent and not yet acknowledged: for every connection.
    pub window_min: u32,
    /// The same, where [`NetLimits::window_memory`] has it: a round trip of 200 ms at 500 Mbit/s takes nearly so much.
    pub window_max: u32,
    /// Both windows of all connections together.
    pub window_memory: u64,
    /// Bidirectional streams that the peer may have open: control and exchanges.
    pub bidirectional_streams: u32,
    /// Unidirectional streams that the peer may have open: segment lists and segments.
    pub unidirectional_streams: u32,
    /// Handshake bytes that came out of order.
    pub crypto_buffer: usize,
    /// The largest UDP payload that is tried. Ten segments of more than 6,500 do not fit one offloaded send.
    pub mtu_max: u16,
    /// Newcomers whose first packet waits to be looked at.
    pub incoming: usize,
    /// Further packets of one newcomer that wait with it.
    pub incoming_buffer: u64,
    /// Further packets of all newcomers that wait.
    pub incoming_buffer_total: u64,
    /// The kernel's buffer of the socket, in each direction; the system may grant less.
    pub socket_buffer: usize,
    /// The congestion controller.
    pub congestion: Congestion,
}

impl Default for NetLimits {
    fn default() -> Self {
        Self {
            connections: 256,
            handshakes: 128,
            handshakes_reserved: 32,
            handshakes_per_address: 32,
            handshake_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(15),
            keep_alive: Duration::from_secs(5),
            window_min: 512 << 10,
            window_max: 16 << 20,
            window_memory: 1 << 30,
            bidirectional_streams: limits::PEER_EXCHANGES_MAX,
            // A small package takes two: its list and its payload.
            unidirectional_streams: 2 * limits::PEER_EXCHANGES_MAX,
            crypto_buffer: 16 << 10,
            // A larger one was tried: then a peer sometimes saw a reset in place of the reason for a close.
            mtu_max: 1_452,
            incoming: 256,
            incoming_buffer: 32 << 10,
            incoming_buffer_total: 4 << 20,
            socket_buffer: 4 << 20,
            congestion: Congestion::Model,
        }
    }
}

/// The smallest UDP payload that every QUIC path carries (RFC 9000 §14).
const MTU_MIN: u16 = 1200;
/// Larger UDP payloads break segmentation offload.
const MTU_MAX: u16 = 6_500;

impl NetLimits {
    /// The largest UDP payload that is tried and taken, kept within what QUIC and the kernel can do.
    pub(crate) fn mtu(&self) -> u16 {
        self.mtu_max.clamp(MTU_MIN, MTU_MAX)
    }

    /// The budget that all connections share, beside the windows that each has in any case.
    pub(crate) fn windows(&self) -> Arc<Windows> {
        let connections = u64::try_from(self.connections).unwrap_or(u64::MAX);
        let each = u64::from(self.window_min).saturating_mul(2);
        let kept = connections.saturating_mul(each);
        Windows::new(self.window_memory.saturating_sub(kept))
    }

    /// Enlarges both windows of a connection by its share, which it keeps until it ends.
    pub(crate) fn enlarge(
        &self,
        connection: &quinn::Connection,
        windows: &Arc<Windows>,
    ) -> WindowShare {
        let further = u64::from(self.window_max.saturating_sub(self.window_min));
        let share = windows.take(further.saturating_mul(2));
        let window = u64::from(self.window_min).saturating_add(share.bytes() / 2);
        connection.set_send_window(window);
        // Fits: it is at most `window_max`.
        connection.set_receive_window(VarInt::from_u64(window).unwrap_or(VarInt::MAX));
        share
    }

    /// The transport parameters of every connection, dialled or accepted.
    pub(crate) fn transport(&self) -> TransportConfig {
        let mut discovery = MtuDiscoveryConfig::default();
        discovery
            .upper_bound(self.mtu())
            .interval(Duration::from_mins(10))
            .black_hole_cooldown(Duration::from_mins(1))
            .minimum_change(20);
        let mut transport = TransportConfig::default();
        transport
            .max_concurrent_bidi_streams(self.bidirectional_streams.into())
            .max_concurrent_uni_streams(self.unidirectional_streams.into())
            .max_idle_timeout(Some(idle(self.idle_timeout)))
            .keep_alive_interval(Some(self.keep_alive))
            .receive_window(self.window_min.into())
            // Within the connection's, which grows once the peer is proven.
            .stream_receive_window(self.window_max.into())
            .send_window(self.window_min.into())
            .send_fairness(true)
            .crypto_buffer_size(self.crypto_buffer)
            .initial_mtu(MTU_MIN)
            .min_mtu(MTU_MIN)
            .mtu_discovery_config(Some(discovery))
            .pad_to_mtu(false)
            .allow_spin(false)
            .datagram_receive_buffer_size(None)
            .datagram_send_buffer_size(0)
            .congestion_controller_factory(congestion::factory(self.congestion))
            .enable_segmentation_offload(true);
        transport
    }
}

fn idle(timeout: Duration) -> IdleTimeout {
    let millis = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
    IdleTimeout::from(VarInt::from_u32(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks the value up in the library's own description of what it was given.
    fn check(text: &str, field: &str, value: &str) {
        let wanted = format!("{field}: {value}");
        assert!(text.contains(&wanted), "{wanted} is not in {text}");
    }

    #[test]
    fn every_limit_reaches_the_library() {
        let limits = NetLimits::default();
        let text = format!("{:?}", limits.transport());
        for (field, value) in [
            ("max_concurrent_bidi_streams", "512"),
            ("max_concurrent_uni_streams", "1024"),
            ("max_idle_timeout", "Some(15000)"),
            ("keep_alive_interval", "Some(5s)"),
            ("stream_receive_window", "16777216"),
            (" receive_window", "524288"),
            ("send_window", "524288"),
            ("crypto_buffer_size", "16384"),
            ("initial_mtu", "1200"),
            ("min_mtu", "1200"),
            ("upper_bound", "1452"),
            ("allow_spin", "false"),
            ("datagram_receive_buffer_size", "None"),
            ("datagram_send_buffer_size", "0"),
            ("enable_segmentation_offload", "true"),
        ] {
            check(&text, field, value);
        }
        let wild = NetLimits {
            mtu_max: u16::MAX,
            ..limits
        };
        check(&format!("{:?}", wild.transport()), "upper_bound", "6500");
    }

    #[test]
    fn all_windows_together_fit_their_memory() {
        let limits = NetLimits::default();
        assert_eq!(limits.window_memory, 1 << 30);
        let windows = limits.windows();
        let further = u64::from(limits.window_max - limits.window_min) * 2;
        let shares: Vec<_> = (0..limits.connections)
            .map(|_| windows.take(further))
            .collect();
        let taken: u64 = shares.iter().map(WindowShare::bytes).sum();
        let kept = u64::from(limits.window_min) * 2 * limits.connections as u64;
        assert!(taken + kept <= limits.window_memory);
        // So many long lines at once have all that they can use.
        let whole = shares.iter().filter(|share| share.bytes() == further);
        assert_eq!(whole.count(), 17);
    }

    #[test]
    fn what_newcomers_may_cost() {
        let limits = NetLimits::default();
        assert_eq!(limits.handshake_timeout, Duration::from_secs(5));
        assert_eq!((limits.connections, limits.handshakes), (256, 128));
        assert_eq!((limits.incoming, limits.incoming_buffer), (256, 32 << 10));
        assert_eq!(limits.incoming_buffer_total, 4 << 20);
    }
}
