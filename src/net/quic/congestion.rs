//! Congestion control: what a connection may have in flight, as the library's controllers say it.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::congestion::{Controller, ControllerFactory, CubicConfig};
use quinn_proto::RttEstimator;

use crate::config::Congestion;

mod model;

#[cfg(test)]
mod tests;

/// The window of a connection of which nothing is known (RFC 9002 §7.2).
const INITIAL_WINDOW: u64 = 14_720;

/// Makes the factory of the controllers of all connections.
pub(crate) fn factory(congestion: Congestion) -> Arc<dyn ControllerFactory + Send + Sync> {
    match congestion {
        Congestion::Model => Arc::new(Modelled),
        Congestion::Cubic => {
            let mut cubic = CubicConfig::default();
            cubic.initial_window(INITIAL_WINDOW);
            Arc::new(cubic)
        }
    }
}

#[derive(Debug)]
struct Modelled;

impl ControllerFactory for Modelled {
    fn build(self: Arc<Self>, now: Instant, mtu: u16) -> Box<dyn Controller> {
        Box::new(Path {
            start: now,
            model: model::Model::new(Duration::ZERO, INITIAL_WINDOW, mtu.into()),
        })
    }
}

/// The model of one path, with the library's clock turned into time since `start`.
#[derive(Debug, Clone)]
struct Path {
    start: Instant,
    model: model::Model,
}

impl Path {
    fn since(&self, time: Instant) -> Duration {
        time.saturating_duration_since(self.start)
    }
}

impl Controller for Path {
    fn on_sent(&mut self, now: Instant, _bytes: u64, _last_packet_number: u64) {
        self.model.on_sent(self.since(now));
    }

    fn on_ack(
        &mut self,
        now: Instant,
        sent: Instant,
        bytes: u64,
        _app_limited: bool,
        _rtt: &RttEstimator,
    ) {
        let (now, sent) = (self.since(now), self.since(sent));
        self.model.on_ack(now, sent, bytes);
    }

    fn on_end_acks(
        &mut self,
        now: Instant,
        in_flight: u64,
        app_limited: bool,
        _largest_packet_num_acked: Option<u64>,
    ) {
        self.model
            .on_end_acks(self.since(now), in_flight, app_limited);
    }

    fn on_congestion_event(
        &mut self,
        now: Instant,
        _sent: Instant,
        is_persistent_congestion: bool,
        lost_bytes: u64,
    ) {
        self.model
            .on_lost(self.since(now), lost_bytes, is_persistent_congestion);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.model.set_mtu(new_mtu.into());
    }

    fn window(&self) -> u64 {
        self.model.window()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        INITIAL_WINDOW
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
