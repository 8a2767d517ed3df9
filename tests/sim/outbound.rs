//! The sending end, as `net::outbound`, `daemon::courier` and the sweeper run it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use rogatory::base::{Ranges, Xid};
use rogatory::exchange::{Direction, Phase, Step};
use rogatory::identity::statement::Note;
use rogatory::policy::terms::Handling;
use rogatory::policy::{Purpose, Terms};
use rogatory::receipt::{self, Disclosure, Kind, Pkg, Reason, Receipt, Stamp, disclosure};
use rogatory::transfer::consignment::Consignment;
use rogatory::transfer::{
    Machine, Other, Outcome, Progress, Sender, SenderCommit, SenderInput, SenderOutput,
};
use rogatory::wire::DataHead;
use zeroize::Zeroizing;

use crate::jobs::{Work, path};
use crate::ledger::{Op, Row, Unmade};
use crate::node::{Answer, At, Ended, Item, Outgoing, Read, Reply, Run, Task};
use crate::plant::Plant;
use crate::scene::Quirk;
use crate::world::{Alive, Cargo, Event, World};

const BACKOFF_MS: u64 = 500;
const BACKOFF_MS_MAX: u64 = 5 * 60 * 1_000;
const LOOK_EVERY_MS: u64 = 20_000;
const REST_MS: u64 = 5_000;
/// So many attempts with one peer take at least so long.
const PACE: usize = 30;
const PACE_MS: u64 = 5_000;

fn backoff_ms(attempts: u64, spread: u64) -> u64 {
    let doublings = u32::try_from(attempts.min(20)).unwrap_or(20);
    let whole = BACKOFF_MS
        .saturating_mul(1 << doublings)
        .min(BACKOFF_MS_MAX);
    whole - whole / 3 * spread / 255
}

impl World {
    /// Somebody gives a parcel to the daemon.
    pub(crate) fn create(&mut self, parcel: usize) -> Alive {
        let from = self.sent[parcel].parcel.from;
        let before = self.sent[parcel].xid;
        if before.is_some_and(|xid| self.nodes[from].ledger.rows.contains_key(&xid)) {
            return Ok(());
        }
        if !self.nodes[from].up {
            self.after(5_000, Event::Create(parcel));
            return Ok(());
        }
        let xid = Xid::from_bytes(self.chance.bytes());
        self.sent[parcel].xid = Some(xid);
        self.by_xid.insert(xid, parcel);
        self.begin(
            from,
            xid,
            Work::Spool {
                parcel,
                files: None,
            },
        );
        Ok(())
    }

    /// The payload is durable: sign and commit the dispatch.
    pub(crate) fn dispatch(&mut self, node: usize, parcel: usize, xid: Xid) {
        let sent = self.sent[parcel].parcel.clone();
        let digest = "ab".repeat(32);
        let disclosed = [
            (disclosure::CASE, "DE/2026/000042"),
            (disclosure::MANIFEST, &digest),
            (disclosure::ITEM_ROOT, &digest),
        ];
        let disclosed = disclosed.map(|(name, it)| Disclosure::new(self.chance.bytes(), name, it));
        let today = self.nodes[node].clock(self.begins, 0).date();
        let mut terms = Terms::new(
            "EIO".parse().expect("an instrument"),
            [Purpose::Prosecution],
            today.plus_days(365),
        );
        terms.handling = Some(Handling::H3).filter(|_| matches!(sent.quirk, Quirk::AboveCeiling));
        terms.sunset = Some(rogatory::base::Timestamp::from_millis(self.begins).date())
            .filter(|_| matches!(sent.quirk, Quirk::SunsetTonight));
        let len = sent.len;
        let hdr = rogatory::base::Digest::of(&sent.header);
        let own = Arc::clone(&self.nodes[node].own);
        let receipt = Receipt::dispatch(
            xid,
            self.nodes[node].public.newest().clone(),
            self.nodes[sent.to].public.newest().clone(),
            Pkg::new(sent.body(), hdr, len),
            terms,
        )
        .disclosing(&disclosed)
        .stamped(&self.stamp(node));
        let note = match own.keys.sign(&receipt) {
            Ok(note) => note,
            Err(e) => return self.violated(format!("a dispatch cannot be signed: {e}")),
        };
        let segments = rogatory::package::segments::count(len);
        let row = Row {
            xid,
            direction: Direction::Out,
            peer: sent.to,
            phase: Phase::Dispatched,
            created: self.clock(node),
            body: sent.body(),
            segments,
            inline: sent.is_inline(),
            disclosures: disclosed.iter().map(Disclosure::encode).collect(),
            dispatch: None,
            have: Ranges::empty(),
            attempts: 0,
            next_try: None,
            told: false,
        };
        let mut ops = vec![
            Op::Open(Box::new(row)),
            Op::Header(xid, sent.header.clone()),
        ];
        if sent.is_inline() {
            ops.extend(sent.contents.first().map(|it| Op::Payload(xid, *it)));
        }
        ops.push(Op::Statement {
            xid,
            kind: Kind::Dispatch,
            note,
            logged: true,
        });
        self.commit(node, Reply::Parcel(parcel), ops);
    }

    fn stamp(&self, node: usize) -> Stamp {
        let moment = self.nodes[node].moment(self.begins, self.now, None);
        let own = &self.nodes[node].own;
        Stamp {
            t: moment.clock,
            clk: own.clock_uncertainty_ms,
            pol: own.policy.digest(),
            ses: None,
            heads: moment.heads,
        }
    }

    /// The dispatch is committed, or not.
    pub(crate) fn created(&mut self, node: usize, parcel: usize, result: Result<(), Unmade>) {
        if result.is_err() {
            self.after(30_000, Event::Create(parcel));
            return;
        }
        self.figures.dispatched += 1;
        let sent = &self.sent[parcel].parcel;
        let (to, quirk) = (sent.to, sent.quirk);
        if let Quirk::Withdrawn(wait) = quirk {
            self.after(wait, Event::Withdraw(parcel));
        }
        self.ring(node, to, 0);
    }

    /// Ends an exchange that the receiver has not signed for.
    fn lapse(&mut self, node: usize, xid: Xid, kind: Kind, code: &str) {
        let Some(dispatch) = self.nodes[node]
            .ledger
            .note(&xid, Kind::Dispatch, 1)
            .cloned()
        else {
            return;
        };
        let Ok(earlier) = receipt::open(&dispatch) else {
            return self.violated(format!("the dispatch of {xid} is no receipt"));
        };
        let next = earlier
            .follow(&dispatch, kind)
            .stamped(&self.stamp(node))
            .because(Reason::technical(code));
        let Ok(note) = self.nodes[node].own.keys.sign(&next) else {
            return self.violated(format!("{kind} of {xid} cannot be signed"));
        };
        let ops = vec![
            Op::Statement {
                xid,
                kind,
                note,
                logged: true,
            },
            Op::Advance {
                xid,
                step: Step::Signed(kind),
            },
            Op::Shred(xid),
        ];
        let peer = self.nodes[node].ledger.rows[&xid].peer;
        self.commit(node, Reply::Courier(peer), ops);
    }

    /// Somebody takes a parcel back, if it is not too late.
    pub(crate) fn withdraw(&mut self, parcel: usize) {
        let (from, xid) = (self.sent[parcel].parcel.from, self.sent[parcel].xid);
        let Some(xid) = xid.filter(|_| self.nodes[from].up) else {
            return;
        };
        let row = self.nodes[from].ledger.rows.get(&xid);
        if row.is_some_and(|row| row.phase == Phase::Dispatched) {
            self.lapse(from, xid, Kind::Withdrawn, "withdrawn-by-sender");
        }
    }

    /// States `expired` for what could not be consigned in time.
    pub(crate) fn sweep(&mut self, at: At) {
        self.after(self.sweep, Event::Sweep(at));
        let now = self.clock(at.node);
        let rows = self.nodes[at.node].ledger.rows.values();
        let over = |row: &&Row| {
            let parcel = self.by_xid.get(&row.xid).map(|it| &self.sent[*it].parcel);
            let is_over = parcel.is_some_and(|it| match it.quirk {
                Quirk::GivenUp(after) => now > row.created && now.distance_ms(row.created) > after,
                Quirk::SunsetTonight => {
                    let tonight = rogatory::base::Timestamp::from_millis(self.begins).date();
                    tonight.end_of_day() < now
                }
                Quirk::Plain
                | Quirk::AboveCeiling
                | Quirk::TooLarge
                | Quirk::BadHeader
                | Quirk::Withdrawn(_) => false,
            });
            row.direction == Direction::Out && row.phase == Phase::Dispatched && is_over
        };
        let over: Vec<Xid> = rows.filter(over).map(|row| row.xid).collect();
        for xid in over {
            self.lapse(at.node, xid, Kind::Expired, "retry-time-over");
        }
    }

    /// Makes the courier of a peer look again after so long.
    pub(crate) fn ring(&mut self, node: usize, peer: usize, wait: u64) {
        let at = self.at(node);
        let when = self.now + wait;
        let courier = self.nodes[node].live.couriers.entry(peer).or_default();
        if courier.wake.is_none_or(|wake| wake > when) {
            courier.wake = Some(when);
            self.after(wait, Event::Courier(at, peer));
        }
    }

    fn is_mail(&self, row: &Row, peer: usize) -> bool {
        let open = match row.phase {
            Phase::Dispatched | Phase::Consigned | Phase::Delivered => true,
            Phase::Expired | Phase::Withdrawn | Phase::Failed => {
                !row.told && self.plant != Some(Plant::EndsUntold)
            }
            Phase::Closed
            | Phase::RestrictionSigned
            | Phase::DestructionSigned
            | Phase::Destroyed
            | Phase::Rejected
            | Phase::Receiving
            | Phase::HandoverSigned
            | Phase::Held
            | Phase::Refused
            | Phase::Lapsed => false,
        };
        open && row.direction == Direction::Out && row.peer == peer
    }

    /// Starts what can be started with a peer.
    pub(crate) fn round(&mut self, node: usize, peer: usize) -> Alive {
        let courier = self.nodes[node].live.couriers.entry(peer).or_default();
        if courier.wake != Some(self.now) {
            return Ok(());
        }
        courier.wake = None;
        if courier.rests_until > self.now {
            let wait = courier.rests_until - self.now;
            self.ring(node, peer, wait);
            return Ok(());
        }
        let under_way = courier.under_way.clone();
        let (next_dial, dialling) = (courier.next_dial, courier.dialling);
        let now = self.clock(node);
        let rows = self.nodes[node].ledger.rows.values();
        let mail: Vec<Row> = rows
            .filter(|row| self.is_mail(row, peer) && !under_way.contains(&row.xid))
            .cloned()
            .collect();
        let due: Vec<&Row> = mail
            .iter()
            .filter(|row| row.next_try.is_none_or(|at| at <= now))
            .collect();
        if due.is_empty() {
            let first = mail.iter().filter_map(|row| row.next_try).min();
            if let Some(first) = first {
                let wait = first.distance_ms(now).clamp(50, LOOK_EVERY_MS);
                self.ring(node, peer, wait);
            }
            return Ok(());
        }
        if let Some((link, side)) = self.session(node, peer) {
            for row in due {
                self.attempt(node, (link, side), row.clone())?;
            }
        } else if next_dial > self.now {
            self.ring(node, peer, next_dial - self.now);
        } else if !dialling {
            self.dial(node, peer);
        }
        Ok(())
    }

    /// Nothing is begun for a while.
    pub(crate) fn rest(&mut self, node: usize, peer: usize) {
        self.figures.rests += 1;
        let courier = self.nodes[node].live.couriers.entry(peer).or_default();
        courier.rests_until = self.now + REST_MS;
    }

    /// Attempts follow each other with pauses, whatever goes wrong.
    fn check_pace(&mut self, node: usize, peer: usize) {
        let now = self.now;
        let courier = self.nodes[node].live.couriers.entry(peer).or_default();
        courier.begun.push_back(now);
        if courier.begun.len() > PACE {
            let first = courier.begun.pop_front().unwrap_or(0);
            if now - first < PACE_MS {
                self.violated(format!("I7: n{node} tries {PACE} times without a pause"));
            }
        }
    }

    /// Begins a handshake.
    pub(crate) fn dial(&mut self, node: usize, peer: usize) {
        let courier = self.nodes[node].live.couriers.entry(peer).or_default();
        courier.dialling = true;
        let at = self.at(node);
        let wait = self.chance.between(2, 600);
        self.after(wait, Event::Dialled(at, peer));
    }

    /// How long to wait after a handshake that failed.
    pub(crate) fn dial_failed(&mut self, node: usize, peer: usize) -> u64 {
        let spread = self.chance.below(256);
        let courier = self.nodes[node].live.couriers.entry(peer).or_default();
        let wait = backoff_ms(courier.failures, spread);
        courier.failures += 1;
        courier.next_dial = self.now + wait;
        wait
    }

    /// Who is at the other end of a connection.
    pub(crate) fn other(&self, peer: usize, link: u32) -> Other {
        Other {
            id: self.nodes[peer].own.id.clone(),
            keys: Arc::clone(&self.nodes[peer].public),
            session: self.links.get(&link).map(|link| link.session),
        }
    }

    fn progress(&self, node: usize, row: &Row) -> Option<Progress> {
        let note = |kind, signatures| {
            let ledger = &self.nodes[node].ledger;
            ledger.note(&row.xid, kind, signatures).cloned()
        };
        let answered = |kind| {
            Some(Progress::Answered {
                consigned: note(Kind::Consigned, 2)?,
                last: note(kind, 2)?,
            })
        };
        match row.phase {
            Phase::Dispatched => Some(Progress::Dispatched),
            Phase::Consigned => Some(Progress::Consigned(note(Kind::Consigned, 2)?)),
            Phase::Delivered => answered(Kind::Handover),
            Phase::Failed => answered(Kind::HandoverFailed),
            Phase::Expired => Some(Progress::Lapsed(note(Kind::Expired, 1)?)),
            Phase::Withdrawn => Some(Progress::Lapsed(note(Kind::Withdrawn, 1)?)),
            Phase::Closed
            | Phase::RestrictionSigned
            | Phase::DestructionSigned
            | Phase::Destroyed
            | Phase::Rejected
            | Phase::Receiving
            | Phase::HandoverSigned
            | Phase::Held
            | Phase::Refused
            | Phase::Lapsed => None,
        }
    }

    fn attempt(&mut self, node: usize, (link, side): (u32, usize), row: Row) -> Alive {
        self.effect(node, "begins an attempt")?;
        self.figures.attempts += 1;
        self.check_pace(node, row.peer);
        let ledger = &self.nodes[node].ledger;
        // The row was read a moment ago, what belongs to it is read now.
        let stored = (
            self.progress(node, &row),
            ledger.note(&row.xid, Kind::Dispatch, 1).cloned(),
        );
        let (Some(progress), Some(dispatch)) = stored else {
            self.violated(format!("a statement of {} is missing", row.xid));
            return Ok(());
        };
        let header = match &progress {
            Progress::Dispatched | Progress::Consigned(_) => ledger
                .headers
                .get(&row.xid)
                .map(|header| Zeroizing::new(header.to_vec())),
            Progress::Answered { .. } | Progress::Lapsed(_) => None,
        };
        let consignment = Consignment {
            xid: row.xid,
            dispatch,
            disclosures: row.disclosures.clone(),
            header,
            segments: row.segments,
            inline: row.inline,
        };
        let inline = ledger.payloads.get(&row.xid).copied();
        let (own, other) = (
            Arc::clone(&self.nodes[node].own),
            self.other(row.peer, link),
        );
        let mut machine = match Sender::new(own, other, consignment, progress) {
            Ok(machine) => machine,
            Err(e) => {
                self.violated(format!("a sender cannot begin: {e}"));
                return Ok(());
            }
        };
        let now = self.nodes[node].moment(self.begins, self.now, None);
        machine.handle(&now, SenderInput::Opened);
        let peer = row.peer;
        let courier = self.nodes[node].live.couriers.entry(peer).or_default();
        courier.under_way.insert(row.xid);
        let (id, stream) = (self.number(), self.stream(link, side));
        let out = Outgoing {
            row,
            machine,
            inline,
            moved: false,
            progressed: false,
            pumps: BTreeMap::new(),
        };
        let task = Task::new(id, link, side, stream, Run::Out(Box::new(out)));
        self.nodes[node].live.tasks.insert(id, task);
        self.run_task(node, id)
    }

    /// Carries a sender on until it has to wait.
    pub(crate) fn run_out(&mut self, node: usize, task: &mut Task) -> Alive<Option<Ended>> {
        loop {
            if task.waits {
                return Ok(None);
            }
            let Run::Out(out) = &mut task.run else {
                return Ok(None);
            };
            if let Some(output) = out.machine.poll_output() {
                if let Some(ended) = self.carry_out_sender(node, task, output)? {
                    return Ok(Some(ended));
                }
                continue;
            }
            let moved = std::mem::take(&mut out.moved);
            let due = out.machine.poll_timeout();
            let input = if task.lost {
                return Ok(Some(Ended::Cut("connection lost".to_owned())));
            } else if moved && self.chance.one_in(2) {
                SenderInput::Moved
            } else {
                match Self::read(task) {
                    Read::Frame(frame) => SenderInput::Frame(frame),
                    Read::Closed => return Ok(Some(Ended::Cut("closed".to_owned()))),
                    Read::Broken(fault) => return Ok(Some(Ended::Cut(fault.to_string()))),
                    Read::Nothing if moved => SenderInput::Moved,
                    Read::Nothing
                        if due.is_some_and(|due| due <= self.nodes[node].instant(self.now)) =>
                    {
                        self.figures.timeouts += 1;
                        SenderInput::Timeout
                    }
                    Read::Nothing => return Ok(None),
                }
            };
            self.feed_sender(node, task, input);
        }
    }

    fn feed_sender(&mut self, node: usize, task: &mut Task, input: SenderInput) {
        let now = self.nodes[node].moment(self.begins, self.now, None);
        if let Run::Out(out) = &mut task.run {
            out.machine.handle(&now, input);
        }
    }

    /// The ledger has answered.
    pub(crate) fn answer_sender(
        &mut self,
        node: usize,
        task: &mut Task,
        answer: &Answer,
    ) -> Option<Ended> {
        match answer {
            Answer::Committed(Ok(())) => {
                self.feed_sender(node, task, SenderInput::Committed);
                None
            }
            Answer::Committed(Err(why)) => {
                self.figures.conflicts += u64::from(*why == Unmade::Conflict);
                Some(Ended::Local(format!("{why:?}")))
            }
            Answer::Turn
            | Answer::Opened(_)
            | Answer::Settled
            | Answer::Discarded
            | Answer::Checked(_)
            | Answer::Lingered => None,
        }
    }

    fn carry_out_sender(
        &mut self,
        node: usize,
        task: &mut Task,
        output: SenderOutput,
    ) -> Alive<Option<Ended>> {
        let Run::Out(out) = &mut task.run else {
            return Ok(None);
        };
        let xid = out.row.xid;
        match output {
            SenderOutput::Send(frame) => {
                self.effect(node, &format!("sends {} of {xid}", frame.kind()))?;
                if task.lost {
                    return Ok(Some(Ended::Cut("connection lost".to_owned())));
                }
                self.says(node, xid, &frame);
                if let Some(parcel) = self.by_xid.get(&xid) {
                    self.sent[*parcel].frames.push(frame.encode());
                }
                self.send_frame(task.stream, task.side, &frame);
            }
            SenderOutput::SendList => {
                self.effect(node, "sends a list")?;
                return Ok(self.send_list(node, task));
            }
            SenderOutput::SendSegments(ranges) => {
                self.effect(node, "sends segments")?;
                return Ok(self.send_segments(node, task, &ranges));
            }
            SenderOutput::Commit(commit) => {
                self.effect(node, "asks for a commit")?;
                if let SenderCommit::Consigned(note) | SenderCommit::Delivered(note) = &commit {
                    self.heard(node, task.link, note);
                }
                let early = self.plant == Some(Plant::HeaderBeforeCommit)
                    && matches!(commit, SenderCommit::Consigned(_));
                let ops = sender_ops(xid, commit);
                if early {
                    self.commit(node, Reply::Nobody, ops);
                    self.feed_sender(node, task, SenderInput::Committed);
                } else {
                    task.waits = true;
                    self.commit(node, Reply::Task(task.id), ops);
                }
            }
            SenderOutput::Close(outcome) => return Ok(Some(Ended::Outcome(outcome))),
        }
        Ok(None)
    }

    /// Remembers the newest head that the other end has told.
    pub(crate) fn heard(&mut self, node: usize, link: u32, note: &Note) {
        let Ok(receipt) = receipt::open(note) else {
            return;
        };
        let Some(link) = self.links.get_mut(&link) else {
            return;
        };
        let side = usize::from(link.ends[0].at.node != node);
        let peer = link.ends[1 - side].at.node;
        let origin = format!("{}/log", self.nodes[peer].own.id);
        let head = receipt.heads.into_iter().find(|head| head.origin == origin);
        if head.is_some() {
            link.ends[side].head = head;
        }
    }

    /// The payload as it lies here.
    fn payload(&mut self, node: usize, out: &Outgoing) -> Option<Vec<u64>> {
        let contents = match out.inline {
            Some(content) if out.row.inline => vec![content],
            Some(_) | None => {
                let disk = &self.nodes[node].disk;
                disk.read(disk.find(&path("blobs", &out.row.xid, ""))?)
                    .to_vec()
            }
        };
        let parcel = self.by_xid.get(&out.row.xid).copied()?;
        if self.sent[parcel].parcel.contents != contents {
            self.violated(format!("{} is not read as it was written", out.row.xid));
        }
        Some(contents)
    }

    fn send_list(&mut self, node: usize, task: &mut Task) -> Option<Ended> {
        let Run::Out(out) = &mut task.run else {
            return None;
        };
        let xid = out.row.xid;
        let Some(contents) = self.payload(node, out) else {
            return Some(Ended::Local("payload-unreadable".to_owned()));
        };
        let cut = self.chance.place(contents.len() + 1);
        let (first, rest) = contents.split_at(cut);
        let items = [
            Item::Head(DataHead::List { xid }),
            Item::List(first.to_vec()),
            Item::List(rest.to_vec()),
            Item::Fin,
        ];
        self.start_pump(node, task, items.into());
        None
    }

    fn send_segments(&mut self, node: usize, task: &mut Task, ranges: &Ranges) -> Option<Ended> {
        let Run::Out(out) = &mut task.run else {
            return None;
        };
        let xid = out.row.xid;
        let Some(contents) = self.payload(node, out) else {
            return Some(Ended::Local("payload-unreadable".to_owned()));
        };
        for run in ranges.runs() {
            let first = run.first;
            let mut items: VecDeque<_> = [Item::Head(DataHead::Segments { xid, first })].into();
            for segment in first..run.end() {
                let at = usize::try_from(segment).unwrap_or(usize::MAX);
                let Some(content) = contents.get(at) else {
                    return Some(Ended::Local("payload-unreadable".to_owned()));
                };
                let parts = self.chance.between(1, 2);
                items.extend((0..parts).map(|part| Item::Part(*content, part, parts)));
            }
            items.push_back(Item::Fin);
            self.start_pump(node, task, items);
        }
        None
    }

    fn start_pump(&mut self, node: usize, task: &mut Task, items: VecDeque<Item>) {
        let stream = self.stream(task.link, task.side);
        if let Run::Out(out) = &mut task.run {
            out.pumps.insert(stream, items);
        }
        let (at, wait) = (self.at(node), self.chance.below(30));
        self.after(wait, Event::Pump(at, task.id, stream));
    }

    /// A data stream takes its next piece.
    pub(crate) fn pump(&mut self, node: usize, id: u32, stream: u32) -> Alive {
        let Some(task) = self.nodes[node].live.tasks.get_mut(&id) else {
            return Ok(());
        };
        let side = task.side;
        let Run::Out(out) = &mut task.run else {
            return Ok(());
        };
        let Some(items) = out.pumps.get_mut(&stream) else {
            return Ok(());
        };
        out.moved = true;
        match items.pop_front() {
            None => {
                out.pumps.remove(&stream);
            }
            Some(item) => {
                out.progressed |= matches!(item, Item::Part(..));
                self.send(stream, side, Cargo::Data(item));
                let stalls = !self.peace && self.chance.one_in(300);
                let wait = if stalls {
                    self.figures.stalls += 1;
                    self.chance.between(1_000, 200_000)
                } else {
                    self.chance.below(40)
                };
                let at = self.at(node);
                self.after(wait, Event::Pump(at, id, stream));
            }
        }
        self.run_task(node, id)
    }

    /// The meaning of an attempt's end for the exchange.
    pub(crate) fn sent_away(&mut self, node: usize, out: &Outgoing, ended: Ended) -> Alive {
        let (xid, peer) = (out.row.xid, out.row.peer);
        let courier = self.nodes[node].live.couriers.entry(peer).or_default();
        courier.under_way.remove(&xid);
        let spread = self.chance.below(256);
        let slow = backoff_ms(out.row.attempts + 1, spread);
        let wait = match ended {
            Ended::Outcome(Outcome::Delivered | Outcome::Ended) => {
                if !out.row.inline {
                    self.begin(node, xid, Work::Remove { task: None });
                }
                self.ring(node, peer, 0);
                return Ok(());
            }
            Ended::Outcome(Outcome::Later { after_s, .. }) => {
                self.figures.laters += 1;
                after_s.min(BACKOFF_MS_MAX / 1_000) * 1_000
            }
            Ended::Outcome(Outcome::Faulted(fault)) => {
                *self.figures.faults.entry(fault.code).or_default() += 1;
                slow
            }
            Ended::Cut(_) if out.progressed => BACKOFF_MS / 2,
            Ended::Outcome(Outcome::TimedOut) | Ended::Cut(_) | Ended::Local(_) | Ended::Broken => {
                slow
            }
        };
        if self.plant == Some(Plant::GivesUp) {
            return Ok(());
        }
        let wait = i64::try_from(wait).unwrap_or(i64::MAX);
        let next_try = Some(self.clock(node).plus_millis(wait));
        let op = Op::Retry {
            xid,
            attempts: out.row.attempts + 1,
            next_try,
            told: false,
        };
        self.commit(node, Reply::Courier(peer), vec![op]);
        Ok(())
    }
}

fn sender_ops(xid: Xid, commit: SenderCommit) -> Vec<Op> {
    let step = |kind: Kind, note: Note| {
        let step = Step::of(kind, &note);
        vec![
            Op::Statement {
                xid,
                kind,
                note,
                logged: kind != Kind::Rejected,
            },
            Op::Advance { xid, step },
        ]
    };
    let mut ops = match commit {
        SenderCommit::Consigned(note) => return step(Kind::Consigned, note),
        SenderCommit::Delivered(note) => step(Kind::Handover, note),
        SenderCommit::Failed(note) => step(Kind::HandoverFailed, note),
        SenderCommit::Rejected(note) => step(Kind::Rejected, note),
        SenderCommit::Closed => {
            let step = Step::Acknowledged(Kind::Handover);
            return vec![Op::Advance { xid, step }];
        }
        SenderCommit::Told => {
            return vec![Op::Retry {
                xid,
                attempts: 0,
                next_try: None,
                told: true,
            }];
        }
    };
    ops.push(Op::Shred(xid));
    ops
}
