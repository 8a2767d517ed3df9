//! A model of the path (delivery rate, shortest round trip, how much may be in flight before it is lost), and the
//! window that follows from it, after BBR version 3 (draft-ietf-ccwg-bbr).
//!
//! Random losses do not slow it down, as they do loss-based controllers; losses above [`LOSS_PER_MILLE`] do. QUIC's
//! library paces at 1.25 windows a round trip whatever the controller wishes, so the window is the only handle: where
//! the draft paces at a rate, the window is that rate times the smoothed round trip, within twice the shortest one.
//!
//! It knows neither clock nor socket: times are counted from the connection's start.

use std::collections::VecDeque;
use std::time::Duration;

/// More losses than this, of a thousand bytes, are taken as congestion.
const LOSS_PER_MILLE: u64 = 20;
/// Bytes over which losses are counted at least, in packets.
const LOSS_PACKETS: u64 = 64;
/// Separate losses that are needed beside, so that one burst is no congestion.
const LOSS_EVENTS: u32 = 6;
/// The smallest window, in packets.
const WINDOW_PACKETS_MIN: u64 = 4;
/// The most that is allowed beside the path's own volume for bursts, in bytes.
const BURST_MAX: u64 = 64 << 10;
/// The largest window, in bytes: more than flow control lets be sent.
const WINDOW_MAX: u64 = 64 << 20;
/// Sendings whose state is kept.
const SENT_MAX: usize = 16_384;
/// The shortest round trip is looked for again when nothing near it was seen for this long.
const MIN_RTT_EXPIRY: Duration = Duration::from_secs(5);
/// After each probe that found nothing it waits twice as long, so often at most. A probe makes the queue overflow, and
/// flows that take each loss for congestion need seconds to recover from it.
const WAIT_DOUBLED_MAX: u32 = 3;
/// So much of what was lost at is used between probes, in percent: the rest is for others.
const HEADROOM: u64 = 80;
/// How long the window stays small for it.
const PROBE_RTT: Duration = Duration::from_millis(200);

/// The state when something was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sent {
    at: Duration,
    delivered: u64,
    delivered_at: Duration,
    sending_since: Duration,
    limited: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Doubles each round trip until the rate no longer grows or losses show.
    Startup,
    /// Lets the queue run empty, after start-up or a probe.
    Drain,
    /// Keeps to the known rate.
    Cruise,
    /// Fills the pipe for one round trip before a probe, without the bounds of short-lived congestion.
    Refill,
    /// Tries more.
    Probe,
    /// Sends little, so that the shortest round trip shows.
    ProbeRtt,
}

/// The model and the window.
#[derive(Debug, Clone)]
pub(super) struct Model {
    initial: u64,
    mtu: u64,
    window: u64,
    // What was sent and came back.
    sent: VecDeque<Sent>,
    newest: Option<Sent>,
    acked: u64,
    delivered: u64,
    delivered_at: Duration,
    sending_since: Duration,
    limited_until: u64,
    idle: bool,
    // This round trip.
    round: u64,
    round_end: u64,
    full: bool,
    // Losses, counted over at least a round trip and `LOSS_PACKETS`.
    counted: u64,
    lost: u64,
    losses: u32,
    marked: bool,
    flight: u64,
    // The path.
    rates: [u64; 2],
    rtt: Duration,
    min_rtt: Duration,
    min_rtt_at: Duration,
    ceiling: u64,
    short_ceiling: u64,
    // What is being done about it.
    mode: Mode,
    mode_at: Duration,
    mode_round: u64,
    mode_rtt: Duration,
    wait: Duration,
    best: u64,
    flat: u32,
    grown: u64,
    /// Probes in a row that found nothing.
    fruitless: u32,
}

impl Model {
    /// The model of a path of which nothing is known.
    pub(super) fn new(now: Duration, initial: u64, mtu: u64) -> Self {
        Self {
            initial,
            mtu,
            window: initial,
            sent: VecDeque::new(),
            newest: None,
            acked: 0,
            delivered: 0,
            delivered_at: now,
            sending_since: now,
            limited_until: 0,
            idle: true,
            round: 0,
            round_end: 0,
            full: false,
            counted: 0,
            lost: 0,
            losses: 0,
            marked: false,
            flight: 0,
            rates: [0; 2],
            rtt: Duration::ZERO,
            min_rtt: Duration::MAX,
            min_rtt_at: now,
            ceiling: u64::MAX,
            short_ceiling: u64::MAX,
            mode: Mode::Startup,
            mode_at: now,
            mode_round: 0,
            mode_rtt: Duration::MAX,
            wait: Duration::ZERO,
            best: 0,
            flat: 0,
            grown: 0,
            fruitless: 0,
        }
    }

    /// Bytes that may be in flight.
    pub(super) fn window(&self) -> u64 {
        self.window
    }

    /// Sets the size of packets from now on.
    pub(super) fn set_mtu(&mut self, mtu: u64) {
        self.mtu = mtu;
    }

    /// Notes that something was sent.
    pub(super) fn on_sent(&mut self, now: Duration) {
        if std::mem::take(&mut self.idle) {
            // Nothing was under way: what is measured begins here.
            self.sending_since = now;
            self.delivered_at = now;
            self.min_rtt_at = now;
        }
        let sent = Sent {
            at: now,
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            sending_since: self.sending_since,
            limited: self.delivered < self.limited_until,
        };
        // One entry for all that is sent between two acknowledgements.
        if self
            .sent
            .back()
            .is_some_and(|last| Sent { at: now, ..*last } == sent)
        {
            return;
        }
        if self.sent.len() >= SENT_MAX {
            self.sent.pop_front();
        }
        self.sent.push_back(sent);
    }

    /// Notes that a packet that was sent at `sent` came through.
    pub(super) fn on_ack(&mut self, now: Duration, sent: Duration, bytes: u64) {
        self.delivered = self.delivered.saturating_add(bytes);
        self.delivered_at = now;
        self.acked = self.acked.saturating_add(bytes);
        let before = self.sent.partition_point(|it| it.at <= sent);
        let found = before.checked_sub(1).and_then(|at| self.sent.get(at));
        if let Some(found) = found
            && self.newest.is_none_or(|newest| newest.at < sent)
        {
            self.newest = Some(Sent { at: sent, ..*found });
        }
    }

    /// Notes lost bytes; none: the path marked packets in place of dropping them.
    pub(super) fn on_lost(&mut self, now: Duration, bytes: u64, persistent: bool) {
        if persistent {
            // Nothing came through for long. Whatever the path is now, it starts anew.
            let fresh = Self::new(now, self.initial, self.mtu);
            *self = Self {
                window: self.window_min(),
                delivered: self.delivered,
                round_end: self.delivered,
                sent: std::mem::take(&mut self.sent),
                ..fresh
            };
        }
        self.marked |= bytes == 0;
        self.lost = self.lost.saturating_add(bytes);
        self.losses = self.losses.saturating_add(1);
    }

    /// Ends one acknowledgement: measures, and sets the window. `limited`: the sender had no more to send.
    pub(super) fn on_end_acks(&mut self, now: Duration, in_flight: u64, limited: bool) {
        let acked = std::mem::take(&mut self.acked);
        self.idle = in_flight == 0;
        if limited {
            self.limited_until = self.delivered.saturating_add(in_flight.max(1));
        }
        let Some(sent) = self.newest.take() else {
            return;
        };
        self.counted = self.counted.saturating_add(acked);
        self.full |= in_flight.saturating_add(acked) >= percent(self.window, 75);
        self.measure(now, &sent);
        let new_round = sent.delivered >= self.round_end;
        let congested = self.is_congested();
        if new_round {
            self.round = self.round.saturating_add(1);
            self.round_end = self.delivered;
        }
        let full_round = new_round && self.full && !sent.limited;
        self.full &= !new_round;
        if sent.limited && matches!(self.mode, Mode::Refill | Mode::Probe) {
            // Nothing is to be learnt from a sender with little to send: the rate of before stays.
            self.enter(Mode::Cruise, now);
        }
        self.change_mode(now, in_flight, (full_round, congested));
        if new_round
            && congested
            && matches!(self.mode, Mode::Drain | Mode::Cruise | Mode::ProbeRtt)
        {
            let kept = percent(self.short_ceiling.min(self.window), 70);
            self.short_ceiling = self.flight.max(kept);
        }
        if new_round && (congested || self.counted >= self.mtu.saturating_mul(LOSS_PACKETS)) {
            self.forget_losses();
        }
        self.set_window(acked, limited);
    }

    /// Measures round trip, delivery rate and what was in flight, by the newest packet that came through.
    fn measure(&mut self, now: Duration, sent: &Sent) {
        let rtt = now.saturating_sub(sent.at).max(Duration::from_nanos(1));
        self.rtt = if self.rtt.is_zero() {
            rtt
        } else {
            part(self.rtt.saturating_mul(7).saturating_add(rtt), 8)
        };
        if rtt <= self.min_rtt.saturating_add(part(self.min_rtt, 32)) || sent.limited {
            self.min_rtt_at = now;
        }
        self.min_rtt = self.min_rtt.min(rtt);
        self.mode_rtt = self.mode_rtt.min(rtt);
        let sending = sent.at.saturating_sub(sent.sending_since);
        let interval = sending.max(now.saturating_sub(sent.delivered_at));
        self.sending_since = sent.at;
        let delivered = self.delivered.saturating_sub(sent.delivered);
        self.flight = self.flight.max(delivered);
        while self
            .sent
            .front()
            .is_some_and(|it| it.at.saturating_add(self.rtt.saturating_mul(4)) < sent.at)
        {
            self.sent.pop_front();
        }
        if interval < self.min_rtt {
            return;
        }
        let rate = per_second(delivered, interval);
        if !sent.limited || rate > self.rate() {
            let [_, newest] = &mut self.rates;
            *newest = rate.max(*newest);
        }
    }

    fn change_mode(
        &mut self,
        now: Duration,
        in_flight: u64,
        (full_round, congested): (bool, bool),
    ) {
        let bdp = self.bdp();
        let age = now.saturating_sub(self.mode_at);
        let rounds = self.round.saturating_sub(self.mode_round);
        match self.mode {
            Mode::Startup => {
                if full_round {
                    self.see_growth(125);
                }
                let certain = self.flat >= 1 || self.marked || self.lost > self.counted / 8;
                if self.flat >= 3 || (congested && certain) {
                    if congested {
                        self.ceiling = self.flight.max(bdp);
                        self.forget_losses();
                    }
                    self.enter(Mode::Drain, now);
                }
            }
            Mode::Drain => {
                if in_flight <= bdp.min(percent(self.ceiling, HEADROOM)) || rounds > 2 {
                    // Between two and three seconds at first, so that flows do not probe in step.
                    let spread = self.delivered.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54;
                    let wait = Duration::from_millis(spread.saturating_add(2_000));
                    self.wait = wait.saturating_mul(self.patience());
                    self.enter(Mode::Cruise, now);
                }
            }
            Mode::Cruise => {
                if full_round
                    && (age > self.wait || rounds > u64::from(self.patience()).saturating_mul(62))
                {
                    self.enter(Mode::Refill, now);
                    self.short_ceiling = u64::MAX;
                }
            }
            Mode::Refill => {
                if rounds > 1 {
                    self.enter(Mode::Probe, now);
                    self.forget_losses();
                    let [before, newest] = &mut self.rates;
                    *before = std::mem::take(newest);
                    (self.best, self.flat, self.grown) = (self.rate(), 0, 0);
                }
            }
            Mode::Probe => {
                self.probe(now, full_round, congested);
                if self.mode == Mode::Drain {
                    let found = self.grown > 0;
                    self.fruitless = if found {
                        0
                    } else {
                        self.fruitless.saturating_add(1)
                    };
                }
            }
            Mode::ProbeRtt => {
                if age > PROBE_RTT.max(self.min_rtt) && rounds > 1 {
                    self.min_rtt = self.mode_rtt;
                    self.min_rtt_at = now;
                    self.enter(Mode::Refill, now);
                    self.short_ceiling = u64::MAX;
                }
            }
        }
        let stale = now.saturating_sub(self.min_rtt_at) > MIN_RTT_EXPIRY;
        if stale && matches!(self.mode, Mode::Cruise) {
            self.enter(Mode::ProbeRtt, now);
        }
    }

    /// How many times as long as at first it waits before it probes.
    fn patience(&self) -> u32 {
        1 << self.fruitless.min(WAIT_DOUBLED_MAX)
    }

    /// Goes on with more while it brings more, until too much is lost.
    fn probe(&mut self, now: Duration, full_round: bool, congested: bool) {
        if congested {
            self.ceiling = self.flight.max(percent(self.window.min(self.ceiling), 70));
            self.forget_losses();
            return self.enter(Mode::Drain, now);
        }
        if full_round {
            if self.window >= self.ceiling {
                // The ceiling, not the path, ended the growth: it is raised, by more each time.
                self.grown = self.grown.saturating_add(1);
                let step = (self.ceiling / 8).saturating_mul(self.grown.min(8));
                self.ceiling = self.ceiling.saturating_add(step);
                (self.best, self.flat) = (self.rate(), 0);
            } else {
                self.see_growth(110);
            }
            if self.flat >= 2 {
                self.enter(Mode::Drain, now);
            }
        }
    }

    /// Counts round trips in which the rate did not grow to `gain` percent.
    fn see_growth(&mut self, gain: u64) {
        if self.rate() >= percent(self.best, gain) {
            (self.best, self.flat) = (self.rate(), 0);
            self.grown = self.grown.saturating_add(1);
        } else {
            self.flat = self.flat.saturating_add(1);
        }
    }

    fn set_window(&mut self, acked: u64, limited: bool) {
        // Acknowledgements come in bunches, and the library sends in bursts: a millisecond's worth.
        let burst = volume(self.rate(), Duration::from_millis(1));
        let slack = burst.clamp(self.mtu.saturating_mul(3), BURST_MAX);
        let paced = |gain, rtt| {
            let most = percent(self.bdp(), 200);
            percent(volume(self.rate(), rtt), gain)
                .min(most)
                .saturating_add(slack)
        };
        let window = match self.mode {
            Mode::Startup if limited => self.window,
            Mode::Startup => {
                let most = percent(self.bdp(), 220).saturating_add(slack);
                let most = most.max(self.initial.saturating_mul(2));
                self.window.saturating_add(acked).min(most)
            }
            Mode::Drain => percent(self.bdp(), 90).min(self.ceiling),
            Mode::Cruise => paced(95, self.rtt).min(percent(self.ceiling, HEADROOM)),
            Mode::Refill => paced(100, self.rtt).min(self.ceiling),
            Mode::Probe => {
                let gain = self.grown.min(3).saturating_mul(25).saturating_add(115);
                percent(volume(self.rate(), self.mode_rtt), gain)
                    .saturating_add(slack)
                    .min(self.ceiling)
            }
            Mode::ProbeRtt => percent(self.bdp(), 50),
        };
        self.window = window
            .min(self.short_ceiling)
            .clamp(self.window_min(), WINDOW_MAX);
    }

    fn enter(&mut self, mode: Mode, now: Duration) {
        (self.mode, self.mode_at, self.mode_round) = (mode, now, self.round);
        self.mode_rtt = if mode == Mode::Probe {
            self.rtt
        } else {
            Duration::MAX
        };
    }

    fn is_congested(&self) -> bool {
        let all = self.counted.saturating_add(self.lost);
        let lossy = self.losses >= LOSS_EVENTS
            && self.lost.saturating_mul(1_000) > all.saturating_mul(LOSS_PER_MILLE)
            && all >= self.mtu.saturating_mul(LOSS_PACKETS);
        lossy || self.marked
    }

    fn forget_losses(&mut self) {
        (self.counted, self.lost, self.losses, self.flight) = (0, 0, 0, 0);
        self.marked = false;
    }

    fn window_min(&self) -> u64 {
        self.mtu.saturating_mul(WINDOW_PACKETS_MIN)
    }

    /// The highest delivery rate of this and the last cycle of probes, in bytes a second.
    fn rate(&self) -> u64 {
        let [before, newest] = self.rates;
        before.max(newest)
    }

    /// The bytes that the path holds without a queue.
    fn bdp(&self) -> u64 {
        if self.min_rtt == Duration::MAX {
            return self.initial;
        }
        volume(self.rate(), self.min_rtt)
    }
}

fn part(time: Duration, of: u32) -> Duration {
    time.checked_div(of).unwrap_or(time)
}

fn percent(value: u64, gain: u64) -> u64 {
    u64::try_from(u128::from(value).saturating_mul(gain.into()) / 100).unwrap_or(u64::MAX)
}

fn volume(rate: u64, time: Duration) -> u64 {
    u64::try_from(u128::from(rate).saturating_mul(time.as_nanos()) / 1_000_000_000)
        .unwrap_or(u64::MAX)
}

fn per_second(bytes: u64, time: Duration) -> u64 {
    let nanos = time.as_nanos();
    let bytes = u128::from(bytes).saturating_mul(1_000_000_000);
    u64::try_from(bytes.checked_div(nanos).unwrap_or(0)).unwrap_or(u64::MAX)
}
