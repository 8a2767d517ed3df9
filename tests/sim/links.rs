//! Connections: reliable ordered streams that may be late, and may break at any byte.

use rogatory::base::Digest;
use rogatory::transfer::{Fault, Machine};
use rogatory::wire::{Frame, HEAD_BYTES};

use crate::node::{At, Ended, Item, Read, Run, Task};
use crate::world::{Alive, Cargo, End, Event, Link, Stream, World};

/// Silence after which a connection is given up.
const IDLE_MS: u64 = 15_000;
/// Connections between two authorities at once.
const CONNECTIONS_MAX: usize = 4;
/// Clocks further apart than this do not get past hello.
const SKEW_MS_MAX: u64 = rogatory::base::limits::CLOCK_SKEW_MS_MAX;

impl World {
    fn apart_until(&self, a: usize, b: usize) -> u64 {
        let pair = (a.min(b), a.max(b));
        self.apart.get(&pair).copied().unwrap_or(0)
    }

    /// Whether a dial finds the other end now, and what would stop it.
    fn refused(&self, from: usize, to: usize) -> Option<&'static str> {
        let full = |node: usize, other: usize| {
            let live = &self.nodes[node].live;
            let with = |link: &&u32| {
                self.links
                    .get(link)
                    .is_some_and(|link| link.ends.iter().any(|end| end.at.node == other))
            };
            live.links.iter().filter(with).count() >= CONNECTIONS_MAX
        };
        if !self.nodes[to].up || self.apart_until(from, to) > self.now {
            return Some("unreachable");
        }
        if self.clock(from).distance_ms(self.clock(to)) > SKEW_MS_MAX {
            return Some("clock-skew");
        }
        (full(from, to) || full(to, from)).then_some("too-many-connections")
    }

    /// A handshake has ended, well or not.
    pub(crate) fn dialled(&mut self, from: At, to: usize) -> Alive {
        let courier = self.nodes[from.node].live.couriers.entry(to).or_default();
        courier.dialling = false;
        if let Some(why) = self.refused(from.node, to) {
            self.figures.dials_failed += 1;
            if why == "clock-skew" {
                self.figures.skew_refused += 1;
            }
            self.trace
                .line(self.now, format_args!("n{} dials n{to}: {why}", from.node));
            let wait = self.dial_failed(from.node, to);
            self.ring(from.node, to, wait);
            return Ok(());
        }
        self.effect(from.node, "is connected")?;
        let courier = self.nodes[from.node].live.couriers.entry(to).or_default();
        (courier.failures, courier.next_dial) = (0, 0);
        let there = self.at(to);
        let number = self.number();
        let end = |at| End {
            at,
            up: true,
            head: None,
        };
        let latency = if self.chance.one_in(8) {
            self.chance.between(100, 900)
        } else {
            self.chance.between(1, 60)
        };
        let session = Digest::of(&number.to_be_bytes());
        self.probe(from.node, to);
        self.links.insert(
            number,
            Link {
                ends: [end(from), end(there)],
                latency,
                session,
                severed: [false; 2],
            },
        );
        self.figures.connections += 1;
        for (node, other) in [(from.node, to), (to, from.node)] {
            self.nodes[node].live.links.push(number);
            self.ring(node, other, 0);
        }
        Ok(())
    }

    /// Connections between two authorities of which one end does not exist any more are found dead.
    fn probe(&mut self, a: usize, b: usize) {
        let mut dead = Vec::new();
        for (number, link) in &self.links {
            for side in 0..2 {
                let (end, other) = (&link.ends[side], &link.ends[1 - side]);
                let between = [a, b].contains(&end.at.node) && [a, b].contains(&other.at.node);
                if between && end.up && !self.lives(other.at) {
                    dead.push((*number, side));
                }
            }
        }
        for (link, side) in dead {
            let wait = self.chance.between(5, 300);
            self.after(wait, Event::Lost(link, side));
        }
    }

    /// The newest connection with a peer that is up at this end.
    pub(crate) fn session(&self, node: usize, peer: usize) -> Option<(u32, usize)> {
        let links = self.nodes[node].live.links.iter().rev();
        links.copied().find_map(|number| {
            let link = self.links.get(&number)?;
            let side = usize::from(link.ends[0].at.node != node);
            let right = link.ends[1 - side].at.node == peer && link.ends[side].up;
            right.then_some((number, side))
        })
    }

    /// Opens a stream.
    pub(crate) fn stream(&mut self, link: u32, opener: usize) -> u32 {
        let number = self.number();
        let stream = Stream {
            link,
            opener,
            last: [0; 2],
            taken_up: false,
        };
        self.streams.insert(number, stream);
        number
    }

    /// Sends something on a stream, in order.
    pub(crate) fn send(&mut self, stream: u32, from: usize, cargo: Cargo) {
        let Some((number, last)) = self
            .streams
            .get(&stream)
            .map(|it| (it.link, it.last[1 - from]))
        else {
            return;
        };
        let Some(link) = self.links.get(&number) else {
            return;
        };
        let (a, b) = (link.ends[0].at.node, link.ends[1].at.node);
        let mut at = self.now + link.latency + self.chance.below(5);
        if self.loss > 0 && self.chance.below(1_000) < self.loss && !self.peace {
            self.figures.packets_lost += 1;
            at += self.chance.between(50, 4_000);
        }
        let until = self.apart_until(a, b);
        if until > self.now {
            at = at.max(until + link.latency);
        }
        at = at.max(last);
        if let Some(it) = self.streams.get_mut(&stream) {
            it.last[1 - from] = at;
        }
        self.after(
            at - self.now,
            Event::Arrive(number, stream, 1 - from, cargo),
        );
    }

    /// Sends a frame, perhaps in two pieces.
    pub(crate) fn send_frame(&mut self, stream: u32, from: usize, frame: &Frame) {
        let bytes = frame.encode();
        self.trace.bytes(&bytes);
        if self.chance.one_in(3) {
            let cut = self.chance.place(bytes.len());
            let (first, rest) = bytes.split_at(cut);
            self.send(stream, from, Cargo::Bytes(first.to_vec()));
            self.send(stream, from, Cargo::Bytes(rest.to_vec()));
        } else {
            self.send(stream, from, Cargo::Bytes(bytes));
        }
    }

    /// Something has come.
    pub(crate) fn arrives(&mut self, number: u32, stream: u32, side: usize, cargo: Cargo) -> Alive {
        let Some(link) = self.links.get(&number) else {
            return Ok(());
        };
        let end = &link.ends[side];
        if link.severed[side] || !end.up || !self.lives(end.at) {
            self.figures.bytes_lost += 1;
            return Ok(());
        }
        let node = end.at.node;
        let until = self.apart_until(link.ends[0].at.node, link.ends[1].at.node);
        if until > self.now {
            let wait = until - self.now + link.latency;
            self.after(wait, Event::Arrive(number, stream, side, cargo));
            return Ok(());
        }
        match cargo {
            Cargo::Data(item) => self.data(node, number, stream, item),
            Cargo::Bytes(_) | Cargo::Fin => {
                let Some(task) = self.reader(node, stream, side) else {
                    return Ok(());
                };
                if let Some(task) = self.nodes[node].live.tasks.get_mut(&task) {
                    match cargo {
                        Cargo::Bytes(bytes) => task.bytes.extend(bytes),
                        Cargo::Fin | Cargo::Data(_) => task.fin = true,
                    }
                }
                self.run_task(node, task)
            }
        }
    }

    /// The task that reads a stream; the first bytes of a new stream begin one.
    fn reader(&mut self, node: usize, stream: u32, side: usize) -> Option<u32> {
        let tasks = &self.nodes[node].live.tasks;
        let found = tasks.values().find(|task| task.stream == stream);
        if let Some(task) = found {
            return Some(task.id);
        }
        let it = self.streams.get_mut(&stream)?;
        if it.taken_up || it.opener == side {
            return None;
        }
        it.taken_up = true;
        let link = it.link;
        Some(self.accept(node, link, side, stream))
    }

    /// One end of a connection finds that it is gone.
    pub(crate) fn lost(&mut self, number: u32, side: usize) -> Alive {
        let Some(link) = self.links.get_mut(&number) else {
            return Ok(());
        };
        let was_up = std::mem::replace(&mut link.ends[side].up, false);
        let (at, peer) = (link.ends[side].at, link.ends[1 - side].at.node);
        if link.ends.iter().all(|end| !end.up) {
            self.links.remove(&number);
            self.streams.retain(|_, stream| stream.link != number);
        } else {
            // QUIC tells the other end, or its silence does.
            let wait = self.chance.between(1, IDLE_MS);
            self.after(wait, Event::Lost(number, 1 - side));
        }
        if !was_up || !self.lives(at) {
            return Ok(());
        }
        let node = at.node;
        self.effect(node, "finds a connection lost")?;
        let live = &mut self.nodes[node].live;
        live.links.retain(|link| *link != number);
        live.streams.retain(|_, stream| stream.link != number);
        let tasks = live.tasks.values().filter(|task| task.link == number);
        let tasks: Vec<(u32, bool)> = tasks
            .map(|task| (task.id, matches!(task.run, Run::Out(_))))
            .collect();
        for (task, is_out) in tasks {
            if is_out {
                if let Some(task) = self.nodes[node].live.tasks.get_mut(&task) {
                    task.lost = true;
                }
                self.run_task(node, task)?;
            } else {
                // Whoever reads an incoming stream is stopped at once, wherever it waits.
                self.abort(node, task);
            }
        }
        self.ring(node, peer, 0);
        Ok(())
    }

    fn abort(&mut self, node: usize, task: u32) {
        self.figures.aborted += 1;
        let live = &mut self.nodes[node].live;
        let Some(task) = live.tasks.remove(&task) else {
            return;
        };
        live.streams
            .retain(|_, stream| stream.task != Some(task.id));
        for xid in self.turns_of(node, task.id) {
            self.release(node, &xid, Some(task.id), None);
        }
    }

    /// Reads the next frame of a task's stream, if all of it is there.
    pub(crate) fn read(task: &mut Task) -> Read {
        let broken = |code: &str, text: String| Read::Broken(Fault::new(code, text));
        if let Some(head) = task.bytes.first_chunk::<HEAD_BYTES>() {
            let head = match Frame::head(head) {
                Ok(head) => head,
                Err(e) => return broken(e.code(), e.to_string()),
            };
            let whole = HEAD_BYTES + head.length;
            if task.bytes.len() >= whole {
                let frame = Frame::decode(head.kind, &task.bytes[HEAD_BYTES..whole]);
                task.bytes.drain(..whole);
                return match frame {
                    Ok(frame) => Read::Frame(frame),
                    Err(e) => broken(e.code(), e.to_string()),
                };
            }
        }
        match (task.fin, task.bytes.is_empty()) {
            (true, true) => Read::Closed,
            (true, false) => broken("frame-truncated", "the stream ended in a frame".to_owned()),
            (false, _) => Read::Nothing,
        }
    }

    /// Lets a task go on as far as it can.
    pub(crate) fn run_task(&mut self, node: usize, id: u32) -> Alive {
        let Some(mut task) = self.nodes[node].live.tasks.remove(&id) else {
            return Ok(());
        };
        let ended = match &task.run {
            Run::Out(_) => self.run_out(node, &mut task)?,
            Run::In(_) => self.run_in(node, &mut task)?,
            Run::Replay => None,
        };
        match ended {
            None => {
                self.arm(node, &mut task);
                self.nodes[node].live.tasks.insert(id, task);
                Ok(())
            }
            Some(ended) => self.ended(node, task, ended),
        }
    }

    fn arm(&mut self, node: usize, task: &mut Task) {
        if task.timer || task.waits {
            return;
        }
        let deadline = match &task.run {
            Run::Out(out) => out.machine.poll_timeout(),
            Run::In(arriving) => arriving.machine.poll_timeout(),
            Run::Replay => None,
        };
        if let Some(deadline) = deadline {
            let left = deadline
                .0
                .saturating_sub(self.nodes[node].instant(self.now).0);
            task.timer = true;
            let at = self.at(node);
            // Clocks drift: a timer that rings early is set again.
            self.after(left + 1, Event::Timer(at, task.id));
        }
    }

    /// An attempt has ended.
    pub(crate) fn ended(&mut self, node: usize, task: Task, ended: Ended) -> Alive {
        self.trace
            .line(self.now, format_args!("n{node} attempt ends: {ended:?}"));
        if ended == Ended::Broken {
            return Err(crate::world::Dead { node, power: false });
        }
        self.send(task.stream, task.side, Cargo::Fin);
        match task.run {
            Run::Out(out) => {
                for stream in out.pumps.keys() {
                    self.send(*stream, task.side, Cargo::Data(Item::Reset));
                }
                self.sent_away(node, &out, ended)
            }
            Run::In(arriving) => {
                self.leaves(node, task.id, *arriving);
                Ok(())
            }
            Run::Replay => Ok(()),
        }
    }
}
