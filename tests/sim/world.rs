//! The world: its queue of events, and what each leads to.

use std::collections::BTreeMap;

use rogatory::base::{Digest, Timestamp, Xid};
use rogatory::receipt::Head;

use crate::chance::Chance;
use crate::checks::Checks;
use crate::figures::Figures;
use crate::jobs::Job;
use crate::ledger::{Op, Unmade};
use crate::node::{Answer, At, Batch, Item, Node, Reply, Taken};
use crate::plant::Plant;
use crate::scene::{FAULTS_UNTIL_MS, Mischief, PEACE_MS, Scene};
use crate::trace::Trace;

/// A process has ended in the middle of something.
#[derive(Debug)]
pub(crate) struct Dead {
    pub(crate) node: usize,
    pub(crate) power: bool,
}

/// The state that lasts as long as the process.
pub(crate) type Alive<T = ()> = Result<T, Dead>;

/// Bytes and signs on their way.
#[derive(Debug)]
pub(crate) enum Cargo {
    Bytes(Vec<u8>),
    Fin,
    Data(Item),
}

/// An event at a moment.
pub(crate) enum Event {
    Create(usize),
    Withdraw(usize),
    Courier(At, usize),
    Dialled(At, usize),
    Arrive(u32, u32, usize, Cargo),
    Pump(At, u32, u32),
    Lost(u32, usize),
    Committed(At),
    Answered(At, Vec<(Reply, Result<(), Unmade>)>),
    Job(At, Box<Job>),
    Taken(At, u32, Taken),
    Answer(At, u32, Box<Answer>),
    Timer(At, u32),
    Stall(At, u32),
    Checkpoint(At),
    Sweep(At),
    Boot(usize),
    Mischief(Mischief),
    Room(usize),
    Speed(usize),
    Peace,
}

/// One end of a connection.
pub(crate) struct End {
    pub(crate) at: At,
    pub(crate) up: bool,
    pub(crate) head: Option<Head>,
}

/// A connection; end 0 dialled.
pub(crate) struct Link {
    pub(crate) ends: [End; 2],
    pub(crate) latency: u64,
    pub(crate) session: Digest,
    /// Nothing arrives at that end any more.
    pub(crate) severed: [bool; 2],
}

/// A stream of a connection.
pub(crate) struct Stream {
    pub(crate) link: u32,
    pub(crate) opener: usize,
    pub(crate) last: [u64; 2],
    pub(crate) taken_up: bool,
}

/// The fate of a parcel.
pub(crate) struct Sent {
    pub(crate) parcel: crate::scene::Parcel,
    /// The exchange it was last given.
    pub(crate) xid: Option<Xid>,
    pub(crate) frames: Vec<Vec<u8>>,
}

/// All of it.
pub(crate) struct World {
    pub(crate) now: u64,
    order: u64,
    queue: BTreeMap<(u64, u64), Event>,
    pub(crate) chance: Chance,
    pub(crate) trace: Trace,
    pub(crate) figures: Figures,
    pub(crate) checks: Checks,
    pub(crate) nodes: Vec<Node>,
    pub(crate) links: BTreeMap<u32, Link>,
    pub(crate) streams: BTreeMap<u32, Stream>,
    pub(crate) sent: Vec<Sent>,
    pub(crate) by_xid: BTreeMap<Xid, usize>,
    pub(crate) apart: BTreeMap<(usize, usize), u64>,
    pub(crate) begins: i64,
    pub(crate) loss: u64,
    pub(crate) disk: u64,
    pub(crate) sweep: u64,
    pub(crate) plant: Option<Plant>,
    pub(crate) violation: Option<String>,
    pub(crate) peace: bool,
    /// The value before a planted fault.
    pub(crate) shadows: BTreeMap<usize, crate::ledger::Ledger>,
    numbers: u32,
}

impl World {
    /// The world of this seed, before anything happened.
    pub(crate) fn new(seed: u64, plant: Option<Plant>) -> Self {
        let mut chance = Chance::new(seed);
        let scene = Scene::of(&mut chance);
        let ceiling = crate::plant::ceiling(plant);
        let nodes = scene.clocks.iter().enumerate();
        let nodes = nodes.map(|(n, clock)| Node::new(n, *clock, ceiling));
        let mut world = Self {
            now: 0,
            order: 0,
            queue: BTreeMap::new(),
            chance,
            trace: Trace::new(),
            figures: Figures::default(),
            checks: Checks::default(),
            nodes: nodes.collect(),
            links: BTreeMap::new(),
            streams: BTreeMap::new(),
            sent: Vec::new(),
            by_xid: BTreeMap::new(),
            apart: BTreeMap::new(),
            begins: scene.begins,
            loss: scene.loss,
            disk: scene.disk,
            sweep: scene.sweep,
            plant,
            violation: None,
            peace: false,
            shadows: BTreeMap::new(),
            numbers: 0,
        };
        world.populate(scene);
        world
    }

    fn populate(&mut self, scene: Scene) {
        for node in 0..scene.authorities {
            self.after(0, Event::Boot(node));
        }
        for (number, parcel) in scene.parcels.into_iter().enumerate() {
            self.after(parcel.at, Event::Create(number));
            self.sent.push(Sent {
                parcel,
                xid: None,
                frames: Vec::new(),
            });
        }
        for (at, mischief) in scene.mischief {
            self.after(at, Event::Mischief(mischief));
        }
        self.after(FAULTS_UNTIL_MS, Event::Peace);
    }

    /// Puts an event into the queue.
    pub(crate) fn after(&mut self, wait: u64, event: Event) {
        self.order += 1;
        self.queue.insert((self.now + wait, self.order), event);
    }

    /// A number that nothing else has.
    pub(crate) fn number(&mut self) -> u32 {
        self.numbers += 1;
        self.numbers
    }

    /// Runs until everything has ended, or time is over, or something is wrong.
    pub(crate) fn run(&mut self) {
        while self.violation.is_none() {
            let Some(((at, _), event)) = self.queue.pop_first() else {
                break;
            };
            if at > FAULTS_UNTIL_MS + PEACE_MS || (self.peace && self.all_ended()) {
                break;
            }
            self.now = at;
            self.figures.events += 1;
            if let Err(dead) = self.happens(event) {
                self.dies(&dead);
            }
            self.check_now();
        }
        if self.violation.is_none() {
            self.check_end();
        }
    }

    /// Whether this process still runs.
    pub(crate) fn lives(&self, at: At) -> bool {
        let node = &self.nodes[at.node];
        node.up && node.boot == at.boot
    }

    /// The process of this authority.
    pub(crate) fn at(&self, node: usize) -> At {
        let boot = self.nodes[node].boot;
        At { node, boot }
    }

    /// The time that an authority's civil clock shows.
    pub(crate) fn clock(&self, node: usize) -> Timestamp {
        self.nodes[node].clock(self.begins, self.now)
    }

    /// Something is done that a crash may come before.
    pub(crate) fn effect(&mut self, node: usize, what: &str) -> Alive {
        self.trace.line(self.now, format_args!("n{node} {what}"));
        self.figures.effects += 1;
        let Some((left, power)) = self.nodes[node].ends_after else {
            return Ok(());
        };
        if left == 0 {
            self.nodes[node].ends_after = None;
            return Err(Dead { node, power });
        }
        self.nodes[node].ends_after = Some((left - 1, power));
        Ok(())
    }

    /// Whether a write finds space.
    pub(crate) fn has_room(&mut self, node: usize) -> bool {
        let it = &mut self.nodes[node];
        if let Some(left) = it.full_after {
            it.full_after = left.checked_sub(1);
            if left == 0 {
                it.full = true;
                self.figures.full_at_write += 1;
                let wait = self.chance.between(500, 120_000);
                self.after(wait, Event::Room(node));
            }
        }
        if self.nodes[node].full {
            self.figures.writes_refused += 1;
            self.trace
                .line(self.now, format_args!("n{node} no space left"));
        }
        !self.nodes[node].full
    }

    /// How long the disk takes for something.
    pub(crate) fn disk_ms(&mut self, node: usize) -> u64 {
        if self.nodes[node].slow && self.chance.one_in(3) {
            self.figures.slow_steps += 1;
            return self.chance.between(100, 90_000);
        }
        self.chance.below(self.disk)
    }

    /// Says that an invariant does not hold.
    pub(crate) fn violated(&mut self, what: String) {
        self.trace.line(self.now, format_args!("VIOLATION: {what}"));
        self.violation.get_or_insert(what);
    }

    fn happens(&mut self, event: Event) -> Alive {
        match event {
            Event::Create(parcel) => self.create(parcel),
            Event::Withdraw(parcel) => {
                self.withdraw(parcel);
                Ok(())
            }
            Event::Arrive(link, stream, side, cargo) => self.arrives(link, stream, side, cargo),
            Event::Lost(link, side) => self.lost(link, side),
            Event::Boot(node) => {
                self.boot(node);
                Ok(())
            }
            Event::Mischief(mischief) => self.mischief(mischief),
            Event::Room(node) => {
                self.nodes[node].full = false;
                Ok(())
            }
            Event::Speed(node) => {
                self.nodes[node].slow = false;
                Ok(())
            }
            Event::Peace => {
                self.make_peace();
                Ok(())
            }
            Event::Courier(at, _)
            | Event::Dialled(at, _)
            | Event::Pump(at, _, _)
            | Event::Committed(at)
            | Event::Answered(at, _)
            | Event::Job(at, _)
            | Event::Taken(at, _, _)
            | Event::Answer(at, _, _)
            | Event::Timer(at, _)
            | Event::Stall(at, _)
            | Event::Checkpoint(at)
            | Event::Sweep(at)
                if !self.lives(at) =>
            {
                Ok(())
            }
            Event::Courier(at, peer) => self.round(at.node, peer),
            Event::Dialled(at, peer) => self.dialled(at, peer),
            Event::Pump(at, task, stream) => self.pump(at.node, task, stream),
            Event::Committed(at) => self.committed(at),
            Event::Answered(at, results) => self.answered(at.node, results),
            Event::Job(at, job) => self.job(at, *job),
            Event::Taken(at, task, taken) => self.taken(at.node, task, taken),
            Event::Answer(at, task, answer) => self.answer(at.node, task, *answer),
            Event::Timer(at, task) => {
                if let Some(task) = self.nodes[at.node].live.tasks.get_mut(&task) {
                    task.timer = false;
                }
                self.run_task(at.node, task)
            }
            Event::Stall(at, stream) => {
                self.stall(at, stream);
                Ok(())
            }
            Event::Checkpoint(at) => {
                self.nodes[at.node].live.checkpoint_due = false;
                self.commit(at.node, Reply::Checkpoint, vec![Op::Checkpoint]);
                Ok(())
            }
            Event::Sweep(at) => {
                self.sweep(at);
                Ok(())
            }
        }
    }

    /// Queues changes for the ledger.
    pub(crate) fn commit(&mut self, node: usize, reply: Reply, ops: Vec<Op>) {
        let holds = None;
        let batch = Batch { reply, holds, ops };
        self.nodes[node].live.queue.push(batch);
        self.write_group(node);
    }

    /// Queues changes for the ledger; the exchange is not free before they are made or never will be.
    pub(crate) fn commit_holding(&mut self, node: usize, xid: Xid, reply: Reply, ops: Vec<Op>) {
        let holds = (self.plant != Some(Plant::TurnWithoutCommits)).then(|| (xid, self.number()));
        let live = &mut self.nodes[node].live;
        if let Some((_, id)) = holds
            && let Some(turn) = live.turns.get_mut(&xid)
        {
            turn.jobs.insert(id);
        }
        live.queue.push(Batch { reply, holds, ops });
        self.write_group(node);
    }

    fn write_group(&mut self, node: usize) {
        let live = &mut self.nodes[node].live;
        if !live.writing.is_empty() || live.queue.is_empty() {
            return;
        }
        live.writing = std::mem::take(&mut live.queue);
        let (at, wait) = (self.at(node), self.disk_ms(node));
        self.after(wait, Event::Committed(at));
    }

    fn committed(&mut self, at: At) -> Alive {
        self.effect(at.node, "commits a group")?;
        let group = self.nodes[at.node].live.writing.clone();
        let room = self.has_room(at.node);
        let results = if room {
            self.make(at.node, &group)
        } else {
            let full = |batch: &Batch| (batch.reply, Err(Unmade::Full));
            group.iter().map(full).collect()
        };
        // The changes are made; what is in `writing` keeps the next group back until these are answered.
        for batch in &mut self.nodes[at.node].live.writing {
            batch.ops.clear();
        }
        let wait = self.disk_ms(at.node);
        self.after(wait, Event::Answered(at, results));
        Ok(())
    }

    /// Makes the changes of a group durable.
    pub(crate) fn make(
        &mut self,
        node: usize,
        group: &[Batch],
    ) -> Vec<(Reply, Result<(), Unmade>)> {
        self.figures.groups += 1;
        self.checks.dirty = true;
        let name = self.nodes[node].own.id.to_string();
        let mut results = Vec::new();
        let before = self.nodes[node].ledger.size();
        self.plant_before_group(node);
        for batch in group {
            let ops = self.planted_ops(&batch.ops);
            let made = self.nodes[node]
                .ledger
                .commit(&ops, &name, &mut self.chance);
            self.trace.line(
                self.now,
                format_args!("n{node} {} changes {made:?}", ops.len()),
            );
            results.push((batch.reply, made));
        }
        let size = self.nodes[node].ledger.size();
        if size > before && !self.nodes[node].live.checkpoint_due && self.nodes[node].up {
            self.nodes[node].live.checkpoint_due = true;
            let at = self.at(node);
            self.after(10_000, Event::Checkpoint(at));
        }
        results
    }

    fn answered(&mut self, node: usize, results: Vec<(Reply, Result<(), Unmade>)>) -> Alive {
        let made = std::mem::take(&mut self.nodes[node].live.writing);
        for (reply, result) in results {
            self.effect(node, "hears that a commit is done")?;
            match reply {
                Reply::Task(task) => self.answer(node, task, Answer::Committed(result))?,
                Reply::Parcel(parcel) => self.created(node, parcel, result),
                Reply::Courier(peer) => {
                    if result.is_err() && self.plant != Some(Plant::NoRest) {
                        self.rest(node, peer);
                    }
                    self.ring(node, peer, 0);
                }
                Reply::Checkpoint | Reply::Nobody => {}
            }
        }
        for (xid, id) in made.into_iter().filter_map(|batch| batch.holds) {
            self.release(node, &xid, None, Some(id));
        }
        self.write_group(node);
        Ok(())
    }
}
