//! The troubles, and how an authority comes back.

use std::collections::BTreeSet;

use rogatory::base::Xid;
use rogatory::exchange::{Direction, Phase};

use crate::node::{Live, Run, Task};
use crate::scene::Mischief;
use crate::world::{Alive, Cargo, Dead, Event, World};

const OFFER: u8 = 16;

impl World {
    /// Does this to the world.
    pub(crate) fn mischief(&mut self, mischief: Mischief) -> Alive {
        self.trace.line(self.now, format_args!("{mischief:?}"));
        let up = |node: usize| self.nodes[node].up;
        match mischief {
            Mischief::Kill(node) if up(node) => {
                self.figures.kills += 1;
                return Err(Dead { node, power: false });
            }
            Mischief::PowerCut(node) if up(node) => return Err(Dead { node, power: true }),
            Mischief::Kill(_) | Mischief::PowerCut(_) => {}
            Mischief::CrashAfter(node, effects, power) => {
                self.nodes[node].ends_after = Some((effects, power));
            }
            Mischief::Cut(which) => self.cut(which),
            Mischief::Partition(a, b, ms) => {
                self.figures.partitions += 1;
                let until = self.now + ms;
                self.apart.insert((a.min(b), a.max(b)), until);
                self.cut_silent(a, b, ms);
            }
            Mischief::Full(node, ms) => {
                self.figures.full += 1;
                self.nodes[node].full = true;
                self.after(ms, Event::Room(node));
            }
            Mischief::FullAfter(node, writes) => self.nodes[node].full_after = Some(writes),
            Mischief::Slow(node, ms) => {
                self.nodes[node].slow = true;
                self.after(ms, Event::Speed(node));
            }
            Mischief::FlushFails(node) => self.nodes[node].flush_fails = true,
            Mischief::ClockStep(node, ms) => {
                self.figures.clock_steps += 1;
                self.nodes[node].skew += ms;
            }
            Mischief::Replay => self.replay(),
            Mischief::Dial(from, to) => {
                if up(from) {
                    self.dial(from, to);
                }
            }
        }
        Ok(())
    }

    /// A connection breaks; each end finds out at a time of its own.
    fn cut(&mut self, which: usize) {
        let links: Vec<u32> = self.links.keys().copied().collect();
        let Some(number) = links.get(which % links.len().max(1)).copied() else {
            return;
        };
        self.figures.cuts += 1;
        let one_way = self.chance.below(3);
        if let Some(link) = self.links.get_mut(&number) {
            link.severed = [one_way != 1, one_way != 2];
        }
        for side in 0..2 {
            let wait = if self.chance.one_in(2) {
                self.chance.below(100)
            } else {
                self.chance.between(1_000, 20_000)
            };
            self.after(wait, Event::Lost(number, side));
        }
    }

    /// Silence ends connections.
    fn cut_silent(&mut self, a: usize, b: usize, ms: u64) {
        let silence = 15_000;
        if ms < silence {
            return;
        }
        let between = |link: &crate::world::Link| {
            let nodes = [link.ends[0].at.node, link.ends[1].at.node];
            nodes.contains(&a) && nodes.contains(&b)
        };
        let links = self.links.iter().filter(|(_, link)| between(link));
        let links: Vec<u32> = links.map(|(number, _)| *number).collect();
        for number in links {
            for side in 0..2 {
                let wait = silence + self.chance.below(ms - silence + 1);
                self.after(wait, Event::Lost(number, side));
            }
        }
    }

    /// A message that a sender once sent is sent again, on a connection of its own authority.
    fn replay(&mut self) {
        let said: Vec<usize> = (0..self.sent.len())
            .filter(|it| !self.sent[*it].frames.is_empty())
            .collect();
        if said.is_empty() {
            return;
        }
        let which = said[self.chance.place(said.len())];
        let (from, to) = (self.sent[which].parcel.from, self.sent[which].parcel.to);
        let Some((link, side)) = self.session(from, to).filter(|_| self.nodes[from].up) else {
            return;
        };
        let frames = &self.sent[which].frames;
        let starts: Vec<usize> = (0..frames.len())
            .filter(|at| frames[*at].first() == Some(&OFFER))
            .collect();
        let pick = self.chance.place(starts.len());
        let end = starts.get(pick + 1).copied().unwrap_or(frames.len());
        let frames: Vec<Vec<u8>> = frames[starts[pick]..end].to_vec();
        self.figures.replays += 1;
        let (id, stream) = (self.number(), self.stream(link, side));
        for frame in frames {
            self.send(stream, side, Cargo::Bytes(frame));
        }
        if self.chance.one_in(2) {
            self.send(stream, side, Cargo::Fin);
        }
        let task = Task::new(id, link, side, stream, Run::Replay);
        self.nodes[from].live.tasks.insert(id, task);
    }

    /// A process ends, with the power or without.
    pub(crate) fn dies(&mut self, dead: &Dead) {
        let node = dead.node;
        self.trace.line(
            self.now,
            format_args!(
                "n{node} dies, power {}",
                if dead.power { "fails" } else { "stays" }
            ),
        );
        self.checks.dirty = true;
        self.figures.crashes += 1;
        let at = self.at(node);
        self.nodes[node].up = false;
        let live = std::mem::take(&mut self.nodes[node].live);
        let unmade = live.writing.iter().any(|batch| !batch.ops.is_empty());
        if unmade {
            // A commit under way has happened or it has not.
            if self.chance.one_in(2) {
                self.figures.in_flight_kept += 1;
                self.make(node, &live.writing);
            } else {
                self.figures.in_flight_lost += 1;
            }
        }
        if dead.power {
            self.figures.power_cuts += 1;
            let (lost, torn) = self.nodes[node].disk.power_cut(&mut self.chance);
            self.figures.segments_lost += lost;
            self.figures.segments_torn += torn;
            self.plant_at_power_cut(node);
        }
        let mut gone = Vec::new();
        for (number, link) in &mut self.links {
            for side in 0..2 {
                if link.ends[side].at == at && link.ends[side].up {
                    link.ends[side].up = false;
                    gone.push((*number, 1 - side));
                }
            }
        }
        for (link, side) in gone {
            let wait = self.chance.between(1, 20_000);
            self.after(wait, Event::Lost(link, side));
        }
        let most = if self.peace { 2_000 } else { 60_000 };
        let wait = self.chance.between(100, most);
        self.after(wait, Event::Boot(node));
    }

    /// An authority starts from what is durable.
    pub(crate) fn boot(&mut self, node: usize) {
        if self.nodes[node].up {
            return;
        }
        self.checks.dirty = true;
        let now = self.now;
        let it = &mut self.nodes[node];
        it.up = true;
        it.boot += 1;
        it.booted = now;
        it.live = Live::default();
        self.trace.line(self.now, format_args!("n{node} starts"));
        self.sweep_files(node);
        let at = self.at(node);
        let wait = self.chance.below(self.sweep);
        self.after(wait, Event::Sweep(at));
        let ledger = &self.nodes[node].ledger;
        let signed = ledger.head.as_ref().map_or(0, |head| head.size);
        if signed != ledger.size() {
            self.nodes[node].live.checkpoint_due = true;
            self.after(0, Event::Checkpoint(at));
        }
        for peer in 0..self.nodes.len() {
            if peer != node {
                self.ring(node, peer, 0);
            }
        }
        let lost: Vec<usize> = (0..self.sent.len())
            .filter(|it| self.sent[*it].parcel.from == node && self.sent[*it].xid.is_some())
            .collect();
        for parcel in lost {
            // Whoever was told nothing gives the parcel to the daemon again.
            self.after(1_000, Event::Create(parcel));
        }
    }

    /// Files of exchanges that are not known are removed at a start.
    fn sweep_files(&mut self, node: usize) {
        let it = &mut self.nodes[node];
        let over = |phase: Phase| {
            matches!(
                phase,
                Phase::Closed | Phase::Rejected | Phase::Expired | Phase::Withdrawn | Phase::Failed
            )
        };
        let known: BTreeSet<Xid> = it
            .ledger
            .rows
            .values()
            .filter(|row| row.direction == Direction::In || !over(row.phase))
            .map(|row| row.xid)
            .collect();
        for name in it.disk.names() {
            let (folder, file) = name.split_once('/').unwrap_or(("", &name));
            let stem = file.split('.').next().unwrap_or("");
            let is_known = stem.parse().is_ok_and(|xid: Xid| known.contains(&xid));
            if folder == "spool" || !is_known {
                it.disk.remove(&name);
            }
        }
    }

    /// Faults stop: disks have space, clocks are right, everybody can reach everybody.
    pub(crate) fn make_peace(&mut self) {
        self.peace = true;
        self.trace.line(self.now, format_args!("faults stop"));
        self.apart.clear();
        for node in 0..self.nodes.len() {
            let error =
                self.clock(node).millis() - self.begins - i64::try_from(self.now).unwrap_or(0);
            let it = &mut self.nodes[node];
            it.skew -= error;
            it.full = false;
            it.full_after = None;
            it.slow = false;
            it.flush_fails = false;
            it.ends_after = None;
        }
    }

    /// The answer to a task is fed; it goes on, or has ended.
    pub(crate) fn finish_answer(
        &mut self,
        node: usize,
        task: Task,
        ended: Option<crate::node::Ended>,
    ) -> Alive {
        if let Some(ended) = ended {
            return self.ended(node, task, ended);
        }
        let id = task.id;
        self.nodes[node].live.tasks.insert(id, task);
        self.run_task(node, id)
    }
}
