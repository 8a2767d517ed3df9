//! A line in simulation: a bottleneck with a queue, losses, jitter, a policer; senders that pace, detect losses and
//! probe as the QUIC library does, and receivers that acknowledge as it does. One seed, one course.

#![cfg(test)]
#![expect(clippy::cast_precision_loss, reason = "figures of a simulation")]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

/// One packet as the controller counts it, and its bytes on the line.
const PACKET: u64 = 1_452;
const ON_LINE: f64 = 1_480.0;
const ACK_DELAY: Duration = Duration::from_millis(25);
/// How late a packet out of order comes.
const LATE: Duration = Duration::from_millis(2);

/// The properties of a line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) rtt_ms: u64,
    pub(super) mbit: u64,
    /// In percent of rate × round trip; two packets always find a place.
    pub(super) queue: u64,
    /// Packets of a million that are lost at random, here and on the way back.
    pub(super) loss: u64,
    /// Packets that are lost together.
    pub(super) burst: u64,
    /// Further delay, at random up to this, in microseconds; packets keep their order.
    pub(super) jitter: u64,
    /// Packets of a thousand that come out of order.
    pub(super) reorder: u64,
    /// Mbit/s that a policer lets through beside a bucket of 100 ms; 0: there is none.
    pub(super) police: u64,
}

impl Line {
    /// A line that loses nothing, with a queue of one bandwidth-delay product.
    pub(super) const fn new(rtt_ms: u64, mbit: u64) -> Self {
        Self {
            rtt_ms,
            mbit,
            queue: 100,
            loss: 0,
            burst: 1,
            jitter: 0,
            reorder: 0,
            police: 0,
        }
    }

    fn half(&self) -> Duration {
        Duration::from_micros(self.rtt_ms * 500)
    }

    /// Bytes a second.
    fn speed(&self) -> f64 {
        self.mbit as f64 * 1e6 / 8.0
    }

    fn queue_bytes(&self) -> f64 {
        let product = self.speed() * self.rtt_ms as f64 / 1e3;
        (product * self.queue as f64 / 100.0).max(2.0 * ON_LINE)
    }
}

/// The outcome of one flow.
#[derive(Debug)]
pub(super) struct Outcome {
    /// From its start until all had arrived; `None`: it had not.
    pub(super) time: Option<Duration>,
    /// Packets that arrived.
    pub(super) arrived: u64,
    /// Packets of a thousand sent that the line lost or dropped.
    pub(super) dropped: u64,
}

/// A congestion controller.
pub(super) trait Control {
    fn sent(&mut self, now: Duration);
    fn acked(&mut self, now: Duration, sent: Duration, limited: bool);
    fn end_acks(&mut self, now: Duration, in_flight: u64, limited: bool);
    fn lost(&mut self, now: Duration, sent: Duration, bytes: u64, persistent: bool);
    fn window(&self) -> u64;
    fn is_paced(&self) -> bool;
}

/// At random (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

struct Flow {
    control: Box<dyn Control>,
    start: Duration,
    /// Packets to send, and those that must arrive.
    left: u64,
    total: u64,
    next: u64,
    flying: BTreeMap<u64, Duration>,
    largest: Option<u64>,
    // In seconds; before the first is measured, what the library assumes.
    measured: bool,
    rtt: f64,
    rtt_var: f64,
    rtt_latest: f64,
    tokens: f64,
    filled: Duration,
    limited: bool,
    probes: u32,
    timeouts: u32,
    wake: Duration,
    timer: Duration,
    // The receiver.
    expected: u64,
    unacked: Vec<u64>,
    ack_due: Option<Duration>,
    arrived: u64,
    dropped: u64,
    done: Option<Duration>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Wake,
    Arrive(u64),
    AckDue,
    Acked(Vec<u64>),
    Timer,
}

/// The line with its flows.
pub(super) struct Simulation {
    line: Line,
    now: Duration,
    events: BinaryHeap<Reverse<(Duration, u64, usize, Event)>>,
    number: u64,
    flows: Vec<Flow>,
    random: Random,
    lost_in_row: u64,
    free_at: Duration,
    last_out: Duration,
    bucket: f64,
    bucket_at: Duration,
}

impl Simulation {
    pub(super) fn new(line: Line, seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..20 {
            random.below(2);
        }
        Self {
            line,
            now: Duration::ZERO,
            events: BinaryHeap::new(),
            number: 0,
            flows: Vec::new(),
            random,
            lost_in_row: 0,
            free_at: Duration::ZERO,
            last_out: Duration::ZERO,
            bucket: line.police as f64 * 1e6 / 8.0 * 0.1,
            bucket_at: Duration::ZERO,
        }
    }

    /// Adds a flow of so many bytes.
    pub(super) fn add(mut self, control: Box<dyn Control>, start: Duration, bytes: u64) -> Self {
        self.flows.push(Flow {
            control,
            start,
            left: bytes / PACKET,
            total: bytes / PACKET,
            next: 0,
            flying: BTreeMap::new(),
            largest: None,
            measured: false,
            rtt: 0.333,
            rtt_var: 0.166,
            rtt_latest: 0.333,
            tokens: 10.0 * PACKET as f64,
            filled: start,
            limited: false,
            probes: 0,
            timeouts: 0,
            wake: start,
            timer: Duration::MAX,
            expected: 0,
            unacked: Vec::new(),
            ack_due: None,
            arrived: 0,
            dropped: 0,
            done: None,
        });
        let flow = self.flows.len() - 1;
        self.push(start, flow, Event::Wake);
        self
    }

    /// Runs until all flows are done, or until then.
    pub(super) fn run(mut self, until: Duration) -> Vec<Outcome> {
        while let Some(Reverse((at, _, flow, event))) = self.events.pop() {
            if at > until || self.flows.iter().all(|it| it.done.is_some()) {
                break;
            }
            self.now = at;
            let it = &self.flows[flow];
            match event {
                Event::Wake if it.wake == at => self.send(flow),
                Event::Arrive(number) => self.arrive(flow, number),
                Event::AckDue if it.ack_due == Some(at) => self.acknowledge(flow),
                Event::Acked(numbers) => self.acked(flow, &numbers),
                Event::Timer if it.timer == at => self.timeout(flow),
                Event::Wake | Event::AckDue | Event::Timer => {}
            }
        }
        let outcome = |flow: &Flow| Outcome {
            time: flow.done.map(|done| done.saturating_sub(flow.start)),
            arrived: flow.arrived,
            dropped: flow.dropped * 1_000 / flow.next.max(1),
        };
        self.flows.iter().map(outcome).collect()
    }

    fn push(&mut self, at: Duration, flow: usize, event: Event) {
        self.number += 1;
        self.events.push(Reverse((at, self.number, flow, event)));
    }

    fn is_lost(&mut self) -> bool {
        if self.lost_in_row > 0 {
            self.lost_in_row -= 1;
            return true;
        }
        let lost = self.random.below(1_000_000) < self.line.loss / self.line.burst;
        if lost {
            self.lost_in_row = self.line.burst - 1;
        }
        lost
    }

    fn is_policed(&mut self) -> bool {
        if self.line.police == 0 {
            return false;
        }
        let speed = self.line.police as f64 * 1e6 / 8.0;
        let since = self.now.saturating_sub(self.bucket_at).as_secs_f64();
        self.bucket = (self.bucket + since * speed).min(speed * 0.1);
        self.bucket_at = self.now;
        let full = self.bucket < ON_LINE;
        if !full {
            self.bucket -= ON_LINE;
        }
        full
    }

    /// Puts a packet on the line, and says when it comes out.
    fn carry(&mut self) -> Option<Duration> {
        if self.is_lost() || self.is_policed() {
            return None;
        }
        self.free_at = self.free_at.max(self.now);
        let waiting = self.free_at.saturating_sub(self.now).as_secs_f64() * self.line.speed();
        if waiting > self.line.queue_bytes() {
            return None;
        }
        self.free_at += Duration::from_secs_f64(ON_LINE / self.line.speed());
        let jitter = self.random.below(self.line.jitter.max(1));
        let out = self.free_at + self.line.half() + Duration::from_micros(jitter);
        if self.random.below(1_000) < self.line.reorder {
            return Some(out + LATE);
        }
        self.last_out = out.max(self.last_out);
        Some(self.last_out)
    }

    fn send(&mut self, flow: usize) {
        loop {
            let it = &mut self.flows[flow];
            it.limited = it.left == 0 && it.probes == 0;
            if it.limited {
                break;
            }
            if it.probes > 0 {
                it.probes -= 1;
            } else if it.in_flight() + PACKET >= it.control.window() {
                break;
            } else if let Some(wait) = it.paced(self.now) {
                // Timers of a busy machine are late.
                let late = Duration::from_micros(200 + self.random.below(800));
                it.wake = self.now + wait + late;
                let wake = it.wake;
                self.push(wake, flow, Event::Wake);
                break;
            }
            let number = it.next;
            it.next += 1;
            it.left = it.left.saturating_sub(1);
            it.flying.insert(number, self.now);
            it.control.sent(self.now);
            match self.carry() {
                Some(out) => self.push(out, flow, Event::Arrive(number)),
                None => self.flows[flow].dropped += 1,
            }
        }
        if let Some(due) = self.flows[flow].next_timeout() {
            let due = due.max(self.now + Duration::from_micros(1));
            self.flows[flow].timer = due;
            self.push(due, flow, Event::Timer);
        }
    }

    fn arrive(&mut self, flow: usize, number: u64) {
        let it = &mut self.flows[flow];
        it.arrived += 1;
        if it.arrived >= it.total && it.done.is_none() {
            it.done = Some(self.now);
        }
        let gap = number != it.expected;
        it.expected = it.expected.max(number + 1);
        it.unacked.push(number);
        if gap || it.unacked.len() >= 2 {
            self.acknowledge(flow);
        } else if it.ack_due.is_none() {
            self.acknowledge_later(flow);
        }
    }

    fn acknowledge_later(&mut self, flow: usize) {
        let due = self.now + ACK_DELAY;
        self.flows[flow].ack_due = Some(due);
        self.push(due, flow, Event::AckDue);
    }

    fn acknowledge(&mut self, flow: usize) {
        self.flows[flow].ack_due = None;
        if self.random.below(1_000_000) < self.line.loss {
            // Lost on the way back: the next one says it again.
            return self.acknowledge_later(flow);
        }
        let numbers = std::mem::take(&mut self.flows[flow].unacked);
        self.push(self.now + self.line.half(), flow, Event::Acked(numbers));
    }

    fn acked(&mut self, flow: usize, numbers: &[u64]) {
        let it = &mut self.flows[flow];
        let mut newest = None;
        for number in numbers {
            let Some(sent) = it.flying.remove(number) else {
                continue;
            };
            it.control.acked(self.now, sent, it.limited);
            if it.largest.is_none_or(|largest| largest < *number) {
                it.largest = Some(*number);
                newest = Some(sent);
            }
        }
        it.control.end_acks(self.now, it.in_flight(), it.limited);
        if let Some(sent) = newest {
            it.rtt_latest = self.now.saturating_sub(sent).as_secs_f64();
            if !it.measured {
                it.measured = true;
                (it.rtt, it.rtt_var) = (it.rtt_latest, it.rtt_latest / 2.0);
            }
            it.rtt_var = 0.75 * it.rtt_var + 0.25 * (it.rtt - it.rtt_latest).abs();
            it.rtt = 0.875 * it.rtt + 0.125 * it.rtt_latest;
        }
        it.timeouts = 0;
        it.detect_losses(self.now);
        self.send(flow);
    }

    fn timeout(&mut self, flow: usize) {
        let it = &mut self.flows[flow];
        if !it.detect_losses(self.now) {
            it.timeouts += 1;
            it.probes = 2;
            it.left += 2;
        }
        self.send(flow);
    }
}

impl Flow {
    fn in_flight(&self) -> u64 {
        self.flying.len() as u64 * PACKET
    }

    /// How long the library's pacer makes the next packet wait: it lets 1.25 windows go in a round trip.
    fn paced(&mut self, now: Duration) -> Option<Duration> {
        if !self.control.is_paced() {
            return None;
        }
        let packet = PACKET as f64;
        let window = self.control.window() as f64;
        let capacity = (window * 0.002 / self.rtt).clamp(10.0 * packet, 256.0 * packet);
        self.tokens = self.tokens.min(capacity);
        if self.tokens < packet {
            let rtts = now.saturating_sub(self.filled).as_secs_f64() / self.rtt;
            self.tokens = (self.tokens + window * 1.25 * rtts).min(capacity);
            self.filled = now;
        }
        if self.tokens < packet {
            let wait = self.rtt * (capacity - self.tokens) / window * 0.8;
            return Some(Duration::from_secs_f64(wait));
        }
        self.tokens -= packet;
        None
    }

    fn loss_delay(&self) -> f64 {
        self.rtt.max(self.rtt_latest) * 9.0 / 8.0
    }

    fn probe_timeout(&self) -> f64 {
        self.rtt + (4.0 * self.rtt_var).max(0.001) + ACK_DELAY.as_secs_f64()
    }

    fn next_timeout(&self) -> Option<Duration> {
        let (_, newest) = self.flying.last_key_value()?;
        let (first, oldest) = self.flying.first_key_value()?;
        let probe = self.probe_timeout() * f64::from(1 << self.timeouts.min(6));
        let due = *newest + Duration::from_secs_f64(probe);
        if self.largest.is_some_and(|largest| *first < largest) {
            return Some(due.min(*oldest + Duration::from_secs_f64(self.loss_delay() + 0.001)));
        }
        Some(due)
    }

    /// Takes as lost what three later packets overtook, or what is older than a round trip and an eighth.
    fn detect_losses(&mut self, now: Duration) -> bool {
        let Some(largest) = self.largest else {
            return false;
        };
        let delay = self.loss_delay();
        let is_lost = |number: u64, sent: Duration| {
            largest >= number + 3 || now.saturating_sub(sent).as_secs_f64() >= delay
        };
        let overtaken: Vec<_> = self
            .flying
            .range(..largest)
            .filter(|(number, sent)| is_lost(**number, **sent))
            .map(|(number, sent)| (*number, *sent))
            .collect();
        let (Some(first), Some(last)) = (overtaken.first(), overtaken.last()) else {
            return false;
        };
        let in_row = overtaken.len() as u64 == last.0 - first.0 + 1;
        let time = last.1.saturating_sub(first.1).as_secs_f64();
        let persistent = in_row && time > 3.0 * self.probe_timeout();
        for (number, _) in &overtaken {
            self.flying.remove(number);
        }
        self.left += overtaken.len() as u64;
        let bytes = overtaken.len() as u64 * PACKET;
        self.control.lost(now, last.1, bytes, persistent);
        true
    }
}
