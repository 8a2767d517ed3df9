//! The controllers of senders in simulation: the model, and Cubic for comparison.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures of a simulation"
)]

use super::line::Control;
use super::*;

impl Control for Model {
    fn sent(&mut self, now: Duration) {
        self.on_sent(now);
    }

    fn acked(&mut self, now: Duration, sent: Duration, _limited: bool) {
        self.on_ack(now, sent, PACKET);
    }

    fn end_acks(&mut self, now: Duration, in_flight: u64, limited: bool) {
        self.on_end_acks(now, in_flight, limited);
    }

    fn lost(&mut self, now: Duration, _sent: Duration, bytes: u64, persistent: bool) {
        self.on_lost(now, bytes, persistent);
    }

    fn window(&self) -> u64 {
        self.window()
    }

    fn is_paced(&self) -> bool {
        true
    }
}

/// The model, as a connection has it at its start.
pub(super) fn model() -> Box<dyn Control> {
    Box::new(Model::new(Duration::ZERO, INITIAL_WINDOW, PACKET))
}

/// Cubic as kernels have it: RFC 9438 with the delay-based end of slow start, without pacing. In packets and seconds.
pub(super) struct Cubic {
    window: f64,
    threshold: f64,
    most: f64,
    k: f64,
    since: Option<Duration>,
    recovery: Option<Duration>,
    rtt: f64,
    rtt_min: f64,
    round_min: f64,
    round_end: Duration,
}

/// Cubic, as a connection has it at its start.
pub(super) fn cubic() -> Box<dyn Control> {
    Box::new(Cubic {
        window: 10.0,
        threshold: f64::MAX,
        most: 0.0,
        k: 0.0,
        since: None,
        recovery: None,
        rtt: 0.1,
        rtt_min: f64::MAX,
        round_min: f64::MAX,
        round_end: Duration::ZERO,
    })
}

impl Cubic {
    fn end_slow_start(&mut self, now: Duration, sent: Duration) {
        self.rtt = now.saturating_sub(sent).as_secs_f64();
        self.rtt_min = self.rtt_min.min(self.rtt);
        self.round_min = self.round_min.min(self.rtt);
        if sent < self.round_end {
            return;
        }
        let rise = (self.rtt_min / 8.0).clamp(0.004, 0.016);
        let risen = self.window > 16.0 && self.round_min > self.rtt_min + rise;
        if self.window < self.threshold && risen {
            self.threshold = self.window;
        }
        self.round_end = now;
        self.round_min = f64::MAX;
    }
}

impl Control for Cubic {
    fn sent(&mut self, _now: Duration) {}

    fn acked(&mut self, now: Duration, sent: Duration, limited: bool) {
        self.end_slow_start(now, sent);
        if limited || self.recovery.is_some_and(|at| sent <= at) {
            return;
        }
        if self.window < self.threshold {
            self.window += 1.0;
            return;
        }
        if self.since.is_none() {
            (self.most, self.k) = (self.window, 0.0);
        }
        let time = now
            .saturating_sub(*self.since.get_or_insert(now))
            .as_secs_f64();
        let cubic = 0.4 * (time + self.rtt - self.k).powi(3) + self.most;
        let reno = self.most * 0.7 + 0.529 * time / self.rtt;
        let target = cubic.max(reno).min(1.5 * self.window);
        self.window += (target - self.window).max(0.0) / self.window;
    }

    fn end_acks(&mut self, _now: Duration, _in_flight: u64, _limited: bool) {}

    fn lost(&mut self, now: Duration, sent: Duration, _bytes: u64, persistent: bool) {
        if self.recovery.is_some_and(|at| sent <= at) {
            return;
        }
        (self.recovery, self.since) = (Some(now), Some(now));
        let shrinks = self.window < self.most;
        self.most = self.window * if shrinks { 0.85 } else { 1.0 };
        self.window = if persistent { 2.0 } else { self.window * 0.7 }.max(2.0);
        self.threshold = self.window;
        self.k = ((self.most - self.window).max(0.0) / 0.4).cbrt();
    }

    fn window(&self) -> u64 {
        self.window as u64 * PACKET
    }

    fn is_paced(&self) -> bool {
        false
    }
}
