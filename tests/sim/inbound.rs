//! The receiving end, as `net::inbound`, `net::intake`, `net::inbox` and `net::incoming` run it.

use std::sync::Arc;

use rogatory::base::{Ranges, Xid, limits};
use rogatory::exchange::{Direction, Phase, Step};
use rogatory::identity::statement::Note;
use rogatory::receipt::{self, Kind};
use rogatory::transfer::reception::Admission;
use rogatory::transfer::{
    Fault, KnownOffer, Machine, Receiver, ReceiverCommit, ReceiverInput, ReceiverOutput, Standing,
};
use rogatory::wire::DataHead;

use crate::jobs::{Work, path};
use crate::ledger::{Op, Row, Unmade};
use crate::node::{
    Answer, Arriving, At, Ended, InStream, Intake, Item, Place, Read, Reply, Run, Taken, Task,
    Work as Held,
};
use crate::plant::Plant;
use crate::scene::{Quirk, body_of};
use crate::world::{Alive, Event, World};

/// How long a data stream waits for its offer.
const WAIT_MS: u64 = 20_000;
/// Bytes must come at least this often.
const STALL_MS: u64 = 30_000;
/// Data streams that may wait for one offer.
const STREAMS_MAX: usize = 16;

/// The next act of a task when the answer to a commit has come.
pub(crate) enum Then {
    Admitted,
    Moved { to: Phase, discard: bool },
}

fn work_of(task: &mut Task) -> Option<&mut Held> {
    match &mut task.run {
        Run::In(arriving) => arriving.work.as_mut(),
        Run::Out(_) | Run::Replay => None,
    }
}

fn arriving(task: &mut Task) -> Option<&mut Arriving> {
    match &mut task.run {
        Run::In(arriving) => Some(arriving),
        Run::Out(_) | Run::Replay => None,
    }
}

impl World {
    /// A new incoming stream.
    pub(crate) fn accept(&mut self, node: usize, link: u32, side: usize, stream: u32) -> u32 {
        let peer = self.links[&link].ends[1 - side].at.node;
        let own = Arc::clone(&self.nodes[node].own);
        let machine = Receiver::new(own, self.other(peer, link));
        let id = self.number();
        let run = Run::In(Box::new(Arriving {
            machine,
            peer,
            work: None,
            phase: None,
            taken: std::collections::VecDeque::new(),
            stop: false,
            then: None,
            closing: None,
        }));
        let task = Task::new(id, link, side, stream, run);
        self.nodes[node].live.tasks.insert(id, task);
        id
    }

    fn feed(&mut self, node: usize, task: &mut Task, input: ReceiverInput) {
        let link = self.links.get(&task.link);
        let head = link.and_then(|link| link.ends[task.side].head.clone());
        let now = self.nodes[node].moment(self.begins, self.now, head);
        if let Some(arriving) = arriving(task) {
            arriving.machine.handle(&now, input);
        }
    }

    /// Carries a receiver on until it has to wait.
    pub(crate) fn run_in(&mut self, node: usize, task: &mut Task) -> Alive<Option<Ended>> {
        let mut said = 0;
        loop {
            if task.waits {
                return Ok(None);
            }
            let Some(it) = arriving(task) else {
                return Ok(None);
            };
            if let Some(output) = it.machine.poll_output() {
                said += 1;
                if said > 64 {
                    self.violated("I7: a receiver asks for more and more".to_owned());
                    return Ok(None);
                }
                if let Some(ended) = self.carry_out(node, task, output)? {
                    return Ok(Some(ended));
                }
                continue;
            }
            if it.stop {
                self.figures.takeovers += 1;
                return Ok(Some(Ended::Cut("offered again".to_owned())));
            }
            let due = it.machine.poll_timeout();
            self.take_arrivals(node, task);
            let Some(it) = arriving(task) else {
                return Ok(None);
            };
            let taken_first = self.chance.one_in(2);
            if taken_first && let Some(taken) = it.taken.pop_front() {
                self.took(node, task, taken);
                continue;
            }
            match Self::read(task) {
                Read::Frame(frame) => self.feed(node, task, ReceiverInput::Frame(frame)),
                Read::Closed => return Ok(Some(Ended::Cut("closed".to_owned()))),
                Read::Broken(fault) => self.feed(node, task, ReceiverInput::BadData(fault)),
                Read::Nothing => {
                    let taken = arriving(task).and_then(|it| it.taken.pop_front());
                    if let Some(taken) = taken {
                        self.took(node, task, taken);
                    } else if due.is_some_and(|due| due <= self.nodes[node].instant(self.now)) {
                        self.figures.timeouts += 1;
                        self.feed(node, task, ReceiverInput::Timeout);
                    } else {
                        return Ok(None);
                    }
                }
            }
        }
    }

    fn took(&mut self, node: usize, task: &mut Task, taken: Taken) {
        let Some(held) = work_of(task) else {
            return;
        };
        let xid = held.xid;
        let Some(intake) = &mut held.intake else {
            return;
        };
        match taken {
            Taken::Listed => {
                intake.listed = true;
                let have = intake.have.clone();
                self.feed(node, task, ReceiverInput::Listed);
                if !have.is_empty() {
                    self.feed(node, task, ReceiverInput::Stored(have));
                }
            }
            Taken::Small(content) => {
                intake.place = Place::Memory(Some(content));
                self.segment(node, task, 0, xid);
            }
            Taken::Segment(segment) => self.segment(node, task, segment, xid),
            Taken::Moved => self.feed(node, task, ReceiverInput::Moved),
            Taken::Bad(fault) => {
                *self.figures.faults.entry(fault.code.clone()).or_default() += 1;
                self.feed(node, task, ReceiverInput::BadData(fault));
            }
            Taken::Full => {
                let code = "storage-full".to_owned();
                self.feed(node, task, ReceiverInput::NoRoom { code });
            }
            Taken::Flushed | Taken::Go(_) => {}
        }
    }

    fn segment(&mut self, node: usize, task: &mut Task, segment: u64, xid: Xid) {
        let id = task.id;
        let Some(intake) = work_of(task).and_then(|held| held.intake.as_mut()) else {
            return;
        };
        intake.have.insert(segment);
        let (have, listed) = (intake.have.clone(), intake.listed);
        if let Place::File(incoming) = &intake.place
            && have.len() - intake.recorded >= limits::PROGRESS_SEGMENTS
        {
            intake.recorded = have.len();
            let work = Work::Flush {
                task: Some(id),
                incoming: std::rc::Rc::clone(incoming),
                have: have.clone(),
            };
            self.begin(node, xid, work);
        }
        if listed {
            self.feed(node, task, ReceiverInput::Stored(have));
        }
    }

    fn carry_out(
        &mut self,
        node: usize,
        task: &mut Task,
        output: ReceiverOutput,
    ) -> Alive<Option<Ended>> {
        match output {
            ReceiverOutput::Send(frame) => {
                let xid = work_of(task).map(|held| held.xid);
                let name = xid.map_or_else(String::new, |xid| xid.to_string());
                self.effect(node, &format!("sends {} of {name}", frame.kind()))?;
                if let Some(xid) = xid {
                    self.says(node, xid, &frame);
                }
                self.send_frame(task.stream, task.side, &frame);
            }
            ReceiverOutput::Lookup(xid) => {
                self.effect(node, "looks an exchange up")?;
                task.waits = true;
                self.take_over(node, task.id, xid);
            }
            ReceiverOutput::Admit(admission) => {
                self.effect(node, "admits")?;
                return Ok(self.admit(node, task, *admission));
            }
            ReceiverOutput::Resume(_) => {
                self.effect(node, "resumes")?;
                self.resume(node, task);
            }
            ReceiverOutput::Settle => {
                self.effect(node, "settles")?;
                self.settle(node, task);
            }
            ReceiverOutput::CheckHeader(_) => {
                self.effect(node, "checks a header")?;
                return Ok(self.check_header(node, task));
            }
            ReceiverOutput::Commit(commit) => {
                self.effect(node, "asks for a commit")?;
                self.commit_step(node, task, commit);
            }
            ReceiverOutput::Close(outcome) => {
                self.effect(node, "closes")?;
                if let Some(it) = arriving(task) {
                    it.closing = Some(Ended::Outcome(outcome));
                }
                task.waits = true;
                let at = self.at(node);
                let wait = self.chance.below(2_000);
                let answer = Box::new(Answer::Lingered);
                self.after(wait, Event::Answer(at, task.id, answer));
            }
        }
        Ok(None)
    }

    /// Makes this task the one that works on the exchange.
    fn take_over(&mut self, node: usize, task: u32, xid: Xid) {
        let live = &mut self.nodes[node].live;
        let turn = live.turns.entry(xid).or_default();
        let earlier = std::mem::replace(&mut turn.newest, task);
        turn.waiting.push_back(task);
        if let Some(it) = live.tasks.get_mut(&earlier).and_then(arriving) {
            it.stop = true;
            let at = self.at(node);
            self.after(0, Event::Timer(at, earlier));
        }
        self.grant(node, xid);
    }

    fn grant(&mut self, node: usize, xid: Xid) {
        let at = self.at(node);
        let wait = self.disk_ms(node);
        let Some(turn) = self.nodes[node].live.turns.get_mut(&xid) else {
            return;
        };
        if turn.task.is_some() || !turn.jobs.is_empty() {
            return;
        }
        if let Some(next) = turn.waiting.pop_front() {
            turn.task = Some(next);
            self.after(wait, Event::Answer(at, next, Box::new(Answer::Turn)));
        }
    }

    /// Exchanges that a task works on or waits for.
    pub(crate) fn turns_of(&self, node: usize, task: u32) -> Vec<Xid> {
        let turns = self.nodes[node].live.turns.iter();
        let of = turns.filter(|(_, turn)| turn.task == Some(task) || turn.waiting.contains(&task));
        of.map(|(xid, _)| *xid).collect()
    }

    /// A task or a thread has ended: the exchange may be free for the next.
    pub(crate) fn release(&mut self, node: usize, xid: &Xid, task: Option<u32>, job: Option<u32>) {
        let Some(turn) = self.nodes[node].live.turns.get_mut(xid) else {
            return;
        };
        if let Some(job) = job {
            turn.jobs.remove(&job);
        }
        if let Some(task) = task {
            turn.waiting.retain(|it| *it != task);
            if turn.task == Some(task) {
                turn.task = None;
            }
        }
        self.grant(node, *xid);
    }

    fn looked_up(&mut self, node: usize, task: &mut Task) -> Option<Ended> {
        let (id, link) = (task.id, task.link);
        let turns = self.nodes[node].live.turns.iter();
        let xid = turns
            .filter(|(_, turn)| turn.task == Some(id))
            .map(|(xid, _)| *xid)
            .next()?;
        let now = self.now;
        let mut arrivals = Vec::new();
        for (number, stream) in &self.nodes[node].live.streams {
            let is_for_it =
                stream.link == link && stream.task.is_none() && stream.head.xid() == xid;
            if is_for_it && now - stream.since <= WAIT_MS {
                arrivals.push(*number);
            }
        }
        let row = self.nodes[node].ledger.rows.get(&xid).cloned();
        let it = arriving(task)?;
        it.phase = row.as_ref().map(|row| row.phase);
        let peer = it.peer;
        let input = match &row {
            None => ReceiverInput::Known(None),
            Some(row) if row.direction != Direction::In || row.peer != peer => {
                ReceiverInput::Foreign
            }
            Some(row) => match self.known(node, row) {
                Some(known) => ReceiverInput::Known(Some(Box::new(known))),
                None => return Some(Ended::Local("ledger-altered".to_owned())),
            },
        };
        it.work = Some(Held {
            xid,
            row,
            intake: None,
            arrivals,
        });
        self.feed(node, task, input);
        None
    }

    fn known(&mut self, node: usize, row: &Row) -> Option<KnownOffer> {
        let ledger = &self.nodes[node].ledger;
        let note = |kind| ledger.note(&row.xid, kind, 1).cloned();
        let standing = match row.phase {
            Phase::Receiving => Standing::Receiving(row.have.clone()),
            Phase::Consigned if self.plant == Some(Plant::SignsAgain) => {
                Standing::Receiving(Ranges::all(row.segments))
            }
            Phase::Consigned => Standing::Consigned(note(Kind::Consigned)?),
            Phase::HandoverSigned => {
                Standing::Answered(note(Kind::Handover).or_else(|| note(Kind::HandoverFailed))?)
            }
            Phase::Refused => Standing::Rejected(note(Kind::Rejected)?),
            Phase::Held
            | Phase::Failed
            | Phase::Lapsed
            | Phase::Dispatched
            | Phase::Delivered
            | Phase::Closed
            | Phase::RestrictionSigned
            | Phase::DestructionSigned
            | Phase::Destroyed
            | Phase::Rejected
            | Phase::Expired
            | Phase::Withdrawn => Standing::Settled,
        };
        let dispatch = note(Kind::Dispatch)?;
        Some(KnownOffer { dispatch, standing })
    }

    fn row(
        &self,
        node: usize,
        peer: usize,
        dispatch: &Note,
        disclosures: &[String],
    ) -> Option<Row> {
        let offer = receipt::open(dispatch).ok()?;
        let (xid, pkg) = (offer.xid?, offer.pkg?);
        Some(Row {
            xid,
            direction: Direction::In,
            peer,
            phase: Phase::Receiving,
            created: self.clock(node),
            body: pkg.body,
            segments: rogatory::package::segments::count(pkg.len),
            inline: pkg.len <= limits::INLINE_PAYLOAD_BYTES_MAX,
            disclosures: disclosures.to_vec(),
            dispatch: Some(std::rc::Rc::new(dispatch.clone())),
            have: Ranges::empty(),
            attempts: 0,
            next_try: None,
            told: false,
        })
    }

    fn admit(&mut self, node: usize, task: &mut Task, admission: Admission) -> Option<Ended> {
        let peer = arriving(task)?.peer;
        let clock = self.clock(node);
        self.admitted(node, &admission, clock);
        let row = self.row(node, peer, &admission.dispatch, &admission.disclosures);
        let Some(row) = row else {
            return Some(Ended::Local("unreadable-offer".to_owned()));
        };
        self.heard(node, task.link, &admission.dispatch);
        let held = work_of(task)?;
        held.row = Some(row);
        self.open_intake(node, task);
        if let Some(it) = arriving(task) {
            it.then = Some(Then::Admitted);
        }
        None
    }

    fn open_intake(&mut self, node: usize, task: &mut Task) {
        let id = task.id;
        let Some(held) = work_of(task) else {
            return;
        };
        let (xid, Some(row)) = (held.xid, held.row.clone()) else {
            return;
        };
        task.waits = true;
        if !row.inline {
            let row = Box::new(row);
            return self.begin(node, xid, Work::Open { task: id, row });
        }
        let opened = if self.has_room(node) {
            Ok(Intake {
                have: Ranges::empty(),
                recorded: 0,
                listed: false,
                listing: false,
                place: Place::Memory(None),
            })
        } else {
            Err(())
        };
        let at = self.at(node);
        self.after(0, Event::Answer(at, id, Box::new(Answer::Opened(opened))));
    }

    fn resume(&mut self, node: usize, task: &mut Task) {
        self.figures.resumed += 1;
        self.open_intake(node, task);
    }

    fn opened(&mut self, node: usize, task: &mut Task, opened: Result<Intake, ()>) {
        let Ok(intake) = opened else {
            if let Some(it) = arriving(task) {
                it.then = None;
            }
            let code = "storage-full".to_owned();
            return self.feed(node, task, ReceiverInput::NoRoom { code });
        };
        let (listed, have) = (intake.listed, intake.have.clone());
        let Some(it) = arriving(task) else {
            return;
        };
        let fresh = matches!(it.then, Some(Then::Admitted));
        let Some(held) = &mut it.work else {
            return;
        };
        held.intake = Some(intake);
        let (Some(row), xid) = (held.row.clone(), held.xid) else {
            return;
        };
        if fresh {
            if row.inline {
                it.then = None;
                return self.feed(node, task, ReceiverInput::Admitted);
            }
            let stored = Self::dispatch_of(&row);
            task.waits = true;
            return self.commit_holding(node, xid, Reply::Task(task.id), stored);
        }
        let recorded = &row.have;
        if have != *recorded {
            self.checks.less_than_recorded(&xid);
            self.feed(node, task, ReceiverInput::Stored(have));
        }
        if listed {
            self.feed(node, task, ReceiverInput::Listed);
        }
    }

    /// The row and the dispatch of an offer, as they come into the ledger.
    fn dispatch_of(row: &Row) -> Vec<Op> {
        let mut ops = vec![Op::Open(Box::new(row.clone()))];
        ops.extend(row.dispatch.as_ref().map(|note| Op::Statement {
            xid: row.xid,
            kind: Kind::Dispatch,
            note: Note::clone(note),
            logged: false,
        }));
        ops
    }

    fn settle(&mut self, node: usize, task: &mut Task) {
        let id = task.id;
        let Some(held) = work_of(task) else {
            return;
        };
        let xid = held.xid;
        let place = held.intake.as_ref().map(|intake| intake.place.clone());
        // What is still being read is not read on.
        self.nodes[node]
            .live
            .streams
            .retain(|_, stream| stream.task != Some(id));
        match place {
            Some(Place::File(incoming)) => {
                task.waits = true;
                self.begin(node, xid, Work::Finish { task: id, incoming });
            }
            Some(Place::Memory(_)) => self.feed(node, task, ReceiverInput::Durable),
            None => self.violated("settled without an intake".to_owned()),
        }
    }

    fn check_header(&mut self, node: usize, task: &mut Task) -> Option<Ended> {
        let xid = work_of(task)?.xid;
        let disk = &self.nodes[node].disk;
        let inline = self.nodes[node].ledger.payloads.contains_key(&xid);
        let there = inline || disk.find(&path("blobs", &xid, "")).is_some();
        if !there {
            self.violated(format!("I1: the payload of {xid} is gone after consigned"));
            return Some(Ended::Local("payload-unreadable".to_owned()));
        }
        let bad = self
            .by_xid
            .get(&xid)
            .is_some_and(|parcel| self.sent[*parcel].parcel.quirk == Quirk::BadHeader);
        let checked = if bad {
            Err("header-mac".to_owned())
        } else {
            Ok(())
        };
        task.waits = true;
        let (at, wait) = (self.at(node), self.disk_ms(node));
        let answer = Box::new(Answer::Checked(checked));
        self.after(wait, Event::Answer(at, task.id, answer));
        None
    }

    fn commit_step(&mut self, node: usize, task: &mut Task, commit: ReceiverCommit) {
        let Some(it) = arriving(task) else {
            return;
        };
        let (phase, peer) = (it.phase, it.peer);
        let Some(held) = &it.work else {
            return self.violated("a commit without an exchange".to_owned());
        };
        let xid = held.xid;
        let inline = held.intake.as_ref().and_then(|intake| match intake.place {
            Place::Memory(content) => content,
            Place::File(_) => None,
        });
        let row = held.row.clone().filter(|_| phase.is_none());
        let first = row.map_or_else(Vec::new, |row| Self::dispatch_of(&row));
        let discard = matches!(commit, ReceiverCommit::Lapsed(_));
        let early = match self.plant {
            Some(Plant::AckBeforeCommit) => matches!(commit, ReceiverCommit::Consigned(_)),
            Some(_) | None => false,
        };
        let rejected = match &commit {
            ReceiverCommit::Rejected { dispatch, .. } => self.row(node, peer, dispatch, &[]),
            ReceiverCommit::Consigned(_)
            | ReceiverCommit::Handover { .. }
            | ReceiverCommit::HandoverFailed { .. }
            | ReceiverCommit::Held(_)
            | ReceiverCommit::Failed(_)
            | ReceiverCommit::Lapsed(_) => None,
        };
        let (to, ops) = receiver_ops(xid, commit, first, (inline, rejected));
        if let Some(it) = arriving(task) {
            it.then = Some(Then::Moved { to, discard });
        }
        if early {
            self.commit_holding(node, xid, Reply::Nobody, ops);
            self.feed(node, task, ReceiverInput::Committed);
            return;
        }
        task.waits = true;
        self.commit_holding(node, xid, Reply::Task(task.id), ops);
    }

    fn moved_on(
        &mut self,
        node: usize,
        task: &mut Task,
        made: Result<(), Unmade>,
    ) -> Option<Ended> {
        let then = arriving(task)?.then.take();
        match (made, then) {
            (Err(Unmade::Full), _) => {
                let code = "storage-full".to_owned();
                self.feed(node, task, ReceiverInput::NoRoom { code });
            }
            (Err(Unmade::Conflict), _) => {
                self.figures.conflicts += 1;
                return Some(Ended::Local("conflict".to_owned()));
            }
            (Ok(()), Some(Then::Admitted)) => {
                arriving(task)?.phase = Some(Phase::Receiving);
                self.feed(node, task, ReceiverInput::Admitted);
            }
            (Ok(()), Some(Then::Moved { to, discard })) => {
                let it = arriving(task)?;
                it.phase = Some(to);
                if discard {
                    let xid = it.work.as_ref()?.xid;
                    task.waits = true;
                    let id = Some(task.id);
                    self.begin(node, xid, Work::Remove { task: id });
                } else {
                    self.feed(node, task, ReceiverInput::Committed);
                }
            }
            (Ok(()), None) => {}
        }
        None
    }

    /// The result of an act that a task asked for.
    pub(crate) fn answer(&mut self, node: usize, id: u32, answer: Answer) -> Alive {
        let Some(mut task) = self.nodes[node].live.tasks.remove(&id) else {
            return Ok(());
        };
        task.waits = false;
        let ended = if matches!(task.run, Run::Out(_)) {
            self.answer_sender(node, &mut task, &answer)
        } else {
            match answer {
                Answer::Committed(made) => self.moved_on(node, &mut task, made),
                Answer::Turn => self.looked_up(node, &mut task),
                Answer::Opened(opened) => {
                    self.opened(node, &mut task, opened);
                    None
                }
                Answer::Settled => {
                    self.feed(node, &mut task, ReceiverInput::Durable);
                    None
                }
                Answer::Discarded => {
                    self.feed(node, &mut task, ReceiverInput::Committed);
                    None
                }
                Answer::Checked(outcome) => {
                    self.feed(node, &mut task, ReceiverInput::HeaderChecked(outcome));
                    None
                }
                Answer::Lingered => arriving(&mut task).and_then(|it| it.closing.take()),
            }
        };
        self.finish_answer(node, task, ended)
    }

    /// An incoming attempt has ended: what was written is flushed and recorded for the next.
    pub(crate) fn leaves(&mut self, node: usize, task: u32, it: Arriving) {
        let live = &mut self.nodes[node].live;
        let arrivals = it.work.as_ref().map(|held| held.arrivals.clone());
        let arrivals = arrivals.unwrap_or_default();
        live.streams
            .retain(|number, stream| stream.task != Some(task) && !arrivals.contains(number));
        if let Some(Held {
            xid,
            intake: Some(intake),
            ..
        }) = it.work
            && let Place::File(incoming) = intake.place
            && intake.have.len() != intake.recorded
            && !incoming.borrow().complete
        {
            let work = Work::Flush {
                task: None,
                incoming: std::rc::Rc::clone(&incoming),
                have: intake.have,
            };
            self.begin(node, xid, work);
        }
        for xid in self.turns_of(node, task) {
            self.release(node, &xid, Some(task), None);
        }
    }

    /// A piece of a data stream has come.
    pub(crate) fn data(&mut self, node: usize, link: u32, number: u32, item: Item) -> Alive {
        let now = self.now;
        if let Item::Head(head) = item {
            return self.new_stream(node, link, number, head);
        }
        if let Some(stream) = self.nodes[node].live.streams.get_mut(&number) {
            stream.items.push_back(item);
            stream.heard = now;
            return self.read_stream(node, number);
        }
        Ok(())
    }

    fn new_stream(&mut self, node: usize, link: u32, number: u32, head: DataHead) -> Alive {
        let (xid, now) = (head.xid(), self.now);
        let live = &mut self.nodes[node].live;
        live.streams
            .retain(|_, it| it.task.is_some() || now - it.since <= WAIT_MS);
        let waiting = live
            .streams
            .values()
            .filter(|it| it.link == link && it.task.is_none() && it.head.xid() == xid);
        if waiting.count() >= STREAMS_MAX {
            return Ok(());
        }
        let claimed = live.tasks.values().find(|task| {
            let Run::In(it) = &task.run else {
                return false;
            };
            task.link == link && it.work.as_ref().is_some_and(|held| held.xid == xid)
        });
        let claimed = claimed.map(|task| task.id);
        let stream = InStream {
            link,
            head,
            since: self.now,
            items: std::collections::VecDeque::new(),
            task: None,
            source: None,
            busy: false,
            list: None,
            contents: Vec::new(),
            segment: 0,
            parts: 0,
            heard: self.now,
        };
        self.nodes[node].live.streams.insert(number, stream);
        let Some(id) = claimed else {
            self.figures.streams_early += 1;
            return Ok(());
        };
        let task = self.nodes[node].live.tasks.get_mut(&id);
        if let Some(held) = task.and_then(work_of) {
            held.arrivals.push(number);
        }
        self.run_task(node, id)
    }

    /// The intake reads the data streams that have come for it.
    fn take_arrivals(&mut self, node: usize, task: &mut Task) {
        let id = task.id;
        let Some(held) = work_of(task) else {
            return;
        };
        let Some(row) = held.row.clone() else {
            return;
        };
        for number in std::mem::take(&mut held.arrivals) {
            let live = &mut self.nodes[node].live;
            let Some(intake) = &mut held.intake else {
                live.streams.remove(&number);
                continue;
            };
            let Some(stream) = live.streams.get_mut(&number) else {
                continue;
            };
            let is_file = matches!(intake.place, Place::File(_));
            if is_file && matches!(stream.head, DataHead::List { .. }) {
                if intake.listed || intake.listing {
                    live.streams.remove(&number);
                    continue;
                }
                intake.listing = true;
            }
            if let DataHead::Segments { first, .. } = stream.head {
                stream.segment = first;
            }
            stream.task = Some(id);
            stream.source = Some((intake.place.clone(), row.body));
            stream.heard = self.now;
            let at = self.at(node);
            self.after(STALL_MS, Event::Stall(at, number));
            self.after(0, Event::Taken(at, id, Taken::Go(number)));
        }
    }

    /// A data stream has something to tell the exchange.
    pub(crate) fn taken(&mut self, node: usize, id: u32, taken: Taken) -> Alive {
        if let Taken::Go(stream) = taken {
            return self.read_stream(node, stream);
        }
        let Some(task) = self.nodes[node].live.tasks.get_mut(&id) else {
            return Ok(());
        };
        if let Some(it) = arriving(task) {
            it.taken.push_back(taken);
        }
        self.run_task(node, id)
    }

    fn tells(&mut self, node: usize, task: u32, taken: Taken) {
        let at = self.at(node);
        self.after(0, Event::Taken(at, task, taken));
    }

    fn ends_stream(&mut self, node: usize, number: u32, taken: Option<Taken>) {
        let stream = self.nodes[node].live.streams.remove(&number);
        if let (Some(task), Some(taken)) = (stream.and_then(|it| it.task), taken) {
            self.tells(node, task, taken);
        }
    }

    /// The segment that a stream brought is written: it goes on.
    pub(crate) fn written(&mut self, node: usize, number: u32) {
        let at = self.at(node);
        if let Some(stream) = self.nodes[node].live.streams.get_mut(&number) {
            stream.busy = false;
            stream.heard = self.now;
            let task = stream.task.unwrap_or(0);
            self.after(0, Event::Taken(at, task, Taken::Go(number)));
        }
    }

    /// No bytes for too long.
    pub(crate) fn stall(&mut self, at: At, number: u32) {
        let Some(stream) = self.nodes[at.node].live.streams.get(&number) else {
            return;
        };
        let quiet = self.now - stream.heard;
        if quiet < STALL_MS || stream.busy {
            let wait = STALL_MS.saturating_sub(quiet).max(1_000);
            return self.after(wait, Event::Stall(at, number));
        }
        let fault = Fault::new("data-stalled", "no bytes for 30 s");
        self.ends_stream(at.node, number, Some(Taken::Bad(fault)));
    }

    fn read_stream(&mut self, node: usize, number: u32) -> Alive {
        loop {
            let Some(stream) = self.nodes[node].live.streams.get_mut(&number) else {
                return Ok(());
            };
            let (Some(task), Some((place, body))) = (stream.task, stream.source.clone()) else {
                return Ok(());
            };
            if stream.busy {
                return Ok(());
            }
            let (xid, Some(item)) = (stream.head.xid(), stream.items.pop_front()) else {
                return Ok(());
            };
            let is_list = matches!(stream.head, DataHead::List { .. });
            match (item, place) {
                (Item::Head(_), _) => {}
                (Item::Reset, _) => self.ends_stream(node, number, None),
                (Item::List(contents), Place::Memory(_)) => stream.contents.extend(contents),
                (Item::List(contents), Place::File(_)) => {
                    self.list_piece(node, (number, task, xid), &contents)?;
                }
                (Item::Part(content, part, parts), place) => {
                    stream.parts += 1;
                    if part + 1 < parts {
                        continue;
                    }
                    stream.parts = 0;
                    let segment = stream.segment;
                    stream.segment += 1;
                    if let Place::File(incoming) = place {
                        stream.busy = true;
                        let work = Work::Write {
                            task,
                            stream: number,
                            incoming,
                            segment,
                            content,
                        };
                        self.begin(node, xid, work);
                    } else {
                        stream.contents.push(content);
                    }
                }
                (Item::Fin, Place::Memory(_)) => {
                    let contents = std::mem::take(&mut stream.contents);
                    let right = body_of(&contents) == body;
                    let taken = match (right, is_list) {
                        (false, _) => Taken::Bad(Fault::new("wrong-hash", "a small payload")),
                        (true, true) => Taken::Listed,
                        (true, false) => Taken::Small(contents[0]),
                    };
                    self.ends_stream(node, number, Some(taken));
                }
                (Item::Fin, Place::File(incoming)) => {
                    let cut = stream.parts > 0;
                    let list = stream.list.take();
                    let contents = std::mem::take(&mut stream.contents);
                    let bad = cut.then(|| Taken::Bad(Fault::new("wrong-length", "a segment")));
                    self.ends_stream(node, number, bad);
                    if let (true, Some(part)) = (is_list, list) {
                        let work = Work::EndList {
                            task,
                            incoming,
                            body,
                            part,
                            contents,
                        };
                        self.begin(node, xid, work);
                    }
                }
            }
        }
    }

    fn list_piece(
        &mut self,
        node: usize,
        (number, task, xid): (u32, u32, Xid),
        contents: &[u64],
    ) -> Alive {
        self.effect(node, "writes a piece of a list")?;
        if !self.has_room(node) {
            self.ends_stream(node, number, Some(Taken::Full));
            return Ok(());
        }
        let it = &mut self.nodes[node];
        let Some(stream) = it.live.streams.get_mut(&number) else {
            return Ok(());
        };
        let part = if let Some(part) = stream.list {
            part
        } else {
            let name = path("incoming", &xid, ".list.part");
            it.disk.remove(&name);
            let Some(part) = it.disk.create(&name) else {
                return Ok(());
            };
            part
        };
        stream.list = Some(part);
        for content in contents {
            it.disk.write(part, stream.contents.len(), *content);
            stream.contents.push(*content);
        }
        self.tells(node, task, Taken::Moved);
        Ok(())
    }
}

fn receiver_ops(
    xid: Xid,
    commit: ReceiverCommit,
    first: Vec<Op>,
    (inline, rejected): (Option<u64>, Option<Row>),
) -> (Phase, Vec<Op>) {
    let statement = |kind: Kind, note: Note, logged: bool| Op::Statement {
        xid,
        kind,
        note,
        logged,
    };
    let own = |kind, note| statement(kind, note, true);
    let advance = |step| Op::Advance { xid, step };
    match commit {
        ReceiverCommit::Rejected { dispatch, note } => {
            let mut ops = Vec::new();
            ops.extend(rejected.map(|mut row| {
                row.phase = Phase::Refused;
                Op::Open(Box::new(row))
            }));
            ops.push(statement(Kind::Dispatch, dispatch, false));
            ops.push(own(Kind::Rejected, note));
            (Phase::Refused, ops)
        }
        ReceiverCommit::Consigned(note) => {
            let mut ops = first;
            ops.extend(inline.map(|content| Op::Payload(xid, content)));
            ops.push(own(Kind::Consigned, note));
            ops.push(advance(Step::Signed(Kind::Consigned)));
            (Phase::Consigned, ops)
        }
        ReceiverCommit::Handover {
            consigned,
            header,
            note,
        } => {
            let ops = vec![
                own(Kind::Consigned, consigned),
                Op::Header(xid, header),
                own(Kind::Handover, note),
                advance(Step::Signed(Kind::Handover)),
            ];
            (Phase::HandoverSigned, ops)
        }
        ReceiverCommit::HandoverFailed { consigned, note } => {
            let ops = vec![
                own(Kind::Consigned, consigned),
                own(Kind::HandoverFailed, note),
                advance(Step::Signed(Kind::HandoverFailed)),
            ];
            (Phase::HandoverSigned, ops)
        }
        ReceiverCommit::Held(note) => {
            let ops = vec![
                own(Kind::Handover, note),
                advance(Step::Countersigned(Kind::Handover)),
            ];
            (Phase::Held, ops)
        }
        ReceiverCommit::Failed(note) => {
            let ops = vec![
                own(Kind::HandoverFailed, note),
                advance(Step::Countersigned(Kind::HandoverFailed)),
            ];
            (Phase::Failed, ops)
        }
        ReceiverCommit::Lapsed(note) => {
            let kind = receipt::open(&note).map_or(Kind::Expired, |receipt| receipt.kind);
            let mut ops = first;
            ops.push(statement(kind, note, false));
            ops.push(advance(Step::Signed(kind)));
            (Phase::Lapsed, ops)
        }
    }
}
