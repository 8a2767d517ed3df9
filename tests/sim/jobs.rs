//! The work of threads with files: step by step, and nobody can stop them but the end of the process.

use std::cell::RefCell;
use std::rc::Rc;

use rogatory::base::{Digest, Range, Ranges, Xid};
use rogatory::package::segments;
use rogatory::transfer::Fault;

use crate::disk::{Content, Inode};
use crate::ledger::{Op, Row};
use crate::node::{Answer, At, Incoming, Intake, Place, Reply, Taken};
use crate::plant::Plant;
use crate::scene::body_of;
use crate::world::{Alive, Dead, Event, World};

/// An act of a thread.
pub(crate) enum Work {
    Spool {
        parcel: usize,
        files: Option<(Inode, Inode)>,
    },
    Open {
        task: u32,
        row: Box<Row>,
    },
    EndList {
        task: u32,
        incoming: Rc<RefCell<Incoming>>,
        body: Digest,
        part: Inode,
        contents: Vec<Content>,
    },
    Write {
        task: u32,
        stream: u32,
        incoming: Rc<RefCell<Incoming>>,
        segment: u64,
        content: Content,
    },
    Flush {
        task: Option<u32>,
        incoming: Rc<RefCell<Incoming>>,
        have: Ranges,
    },
    Finish {
        task: u32,
        incoming: Rc<RefCell<Incoming>>,
    },
    Remove {
        task: Option<u32>,
    },
}

/// A thread.
pub(crate) struct Job {
    pub(crate) id: u32,
    pub(crate) xid: Xid,
    pub(crate) step: u8,
    pub(crate) work: Work,
}

pub(crate) fn path(folder: &str, xid: &Xid, ending: &str) -> String {
    format!("{folder}/{xid}{ending}")
}

enum Next {
    More,
    Done,
}

impl World {
    /// Begins something on a thread. Where it belongs to an attempt, the exchange is not free before the thread has
    /// ended.
    pub(crate) fn begin(&mut self, node: usize, xid: Xid, work: Work) {
        let id = self.number();
        let incoming = !matches!(work, Work::Spool { .. });
        let live = &mut self.nodes[node].live;
        live.jobs.insert(id, xid);
        if incoming
            && self.plant != Some(Plant::TurnWithoutThreads)
            && let Some(turn) = live.turns.get_mut(&xid)
        {
            turn.jobs.insert(id);
        }
        let (at, wait) = (self.at(node), self.disk_ms(node));
        let step = 0;
        let job = Job {
            id,
            xid,
            step,
            work,
        };
        self.after(wait, Event::Job(at, Box::new(job)));
    }

    /// One step of a thread.
    pub(crate) fn job(&mut self, at: At, mut job: Job) -> Alive {
        self.checks.dirty = true;
        let node = at.node;
        let next = match &mut job.work {
            Work::Spool { .. } => self.spool(node, &mut job)?,
            Work::Open { .. } => self.open(node, &job)?,
            Work::EndList { .. } => self.end_list(node, &job)?,
            Work::Write { .. } => self.write(node, &job)?,
            Work::Flush { .. } => self.flush(node, &job)?,
            Work::Finish { .. } => self.finish(node, &job)?,
            Work::Remove { .. } => self.remove(node, &job)?,
        };
        match next {
            Next::More => {
                job.step += 1;
                let wait = self.disk_ms(node);
                self.after(wait, Event::Job(at, Box::new(job)));
            }
            Next::Done => {
                self.nodes[node].live.jobs.remove(&job.id);
                self.release(node, &job.xid, None, Some(job.id));
            }
        }
        Ok(())
    }

    /// A file operation that must not fail did: the process ends.
    fn broken<T>(&mut self, node: usize, what: &str) -> Alive<T> {
        self.trace
            .line(self.now, format_args!("n{node} broken: {what}"));
        self.figures.broken += 1;
        self.checks.broken(what);
        Err(Dead { node, power: false })
    }

    fn flush_file(&mut self, node: usize, inode: Inode, what: &str) -> Alive {
        self.effect(node, what)?;
        if std::mem::take(&mut self.nodes[node].flush_fails) {
            self.figures.flushes_failed += 1;
            // What the kernel had not written is gone; the process must not go on.
            return Err(Dead { node, power: true });
        }
        if self.plant != Some(Plant::LyingFlush) {
            self.nodes[node].disk.flush(inode);
        }
        Ok(())
    }

    fn tell(&mut self, node: usize, task: u32, answer: Answer) {
        let at = self.at(node);
        self.after(0, Event::Answer(at, task, Box::new(answer)));
    }

    fn say(&mut self, node: usize, task: u32, taken: Taken) {
        let at = self.at(node);
        self.after(0, Event::Taken(at, task, taken));
    }

    fn spool(&mut self, node: usize, job: &mut Job) -> Alive<Next> {
        let Work::Spool { parcel, files } = &mut job.work else {
            return Ok(Next::Done);
        };
        let parcel = *parcel;
        if job.step == 0 {
            self.effect(node, "spools a payload")?;
            if !self.has_room(node) {
                self.after(30_000, Event::Create(parcel));
                return Ok(Next::Done);
            }
            if self.sent[parcel].parcel.is_inline() {
                self.dispatch(node, parcel, job.xid);
                return Ok(Next::Done);
            }
            let contents = self.sent[parcel].parcel.contents.clone();
            let disk = &mut self.nodes[node].disk;
            let payload = disk.create(&format!("spool/{}", job.id));
            let list = disk.create(&format!("spool/{}.list", job.id));
            let (Some(payload), Some(list)) = (payload, list) else {
                return self.broken(node, "the spool");
            };
            for (at, content) in contents.into_iter().enumerate() {
                disk.write(payload, at, content);
                disk.write(list, at, content);
            }
            *files = Some((payload, list));
            return Ok(Next::More);
        }
        let Some((payload, list)) = *files else {
            return Ok(Next::Done);
        };
        match job.step {
            1 => self.flush_file(node, payload, "flushes a spooled payload")?,
            2 => self.flush_file(node, list, "flushes a spooled list")?,
            3 | 4 => {
                self.effect(node, "names a spooled file")?;
                let ending = if job.step == 3 { ".list" } else { "" };
                let from = format!("spool/{}{ending}", job.id);
                let to = path("blobs", &job.xid, ending);
                self.nodes[node].disk.rename(&from, &to);
            }
            _ => {
                self.effect(node, "flushes blobs")?;
                self.nodes[node].disk.flush_names();
                self.dispatch(node, parcel, job.xid);
                return Ok(Next::Done);
            }
        }
        Ok(Next::More)
    }

    fn open(&mut self, node: usize, job: &Job) -> Alive<Next> {
        let Work::Open { task, row } = &job.work else {
            return Ok(Next::Done);
        };
        let xid = &job.xid;
        if job.step < 2 {
            // Completed, but the process ended before that was recorded.
            let ending = if job.step == 0 { "" } else { ".list" };
            let complete = path("blobs", xid, ending);
            if self.nodes[node].disk.find(&complete).is_some() {
                self.effect(node, "takes a complete payload back")?;
                let to = path("incoming", xid, ending);
                if !self.nodes[node].disk.rename(&complete, &to) {
                    return self.broken(node, "rename of a complete payload");
                }
            }
            return Ok(Next::More);
        }
        self.effect(node, "opens a part file")?;
        let name = path("incoming", xid, "");
        if !self.has_room(node) {
            self.tell(node, *task, Answer::Opened(Err(())));
            return Ok(Next::Done);
        }
        let segments = usize::try_from(row.segments).unwrap_or(usize::MAX);
        let disk = &mut self.nodes[node].disk;
        let found = disk.find(&name).or_else(|| disk.create(&name));
        let Some(file) = found else {
            return self.broken(node, "a part file");
        };
        let list = disk.find(&path("incoming", xid, ".list"));
        let list = list.filter(|list| disk.read(*list).len() == segments);
        let reached = disk.read(file).len() as u64;
        let have = if list.is_some() {
            up_to(&row.have, reached)
        } else {
            Ranges::empty()
        };
        let incoming = Incoming {
            segments,
            file,
            list,
            complete: false,
        };
        let intake = Intake {
            recorded: have.len(),
            have,
            listed: list.is_some(),
            listing: false,
            place: Place::File(Rc::new(RefCell::new(incoming))),
        };
        self.tell(node, *task, Answer::Opened(Ok(intake)));
        Ok(Next::Done)
    }

    fn end_list(&mut self, node: usize, job: &Job) -> Alive<Next> {
        let Work::EndList {
            task,
            incoming,
            body,
            part,
            contents,
        } = &job.work
        else {
            return Ok(Next::Done);
        };
        let (from, to) = (
            path("incoming", &job.xid, ".list.part"),
            path("incoming", &job.xid, ".list"),
        );
        match job.step {
            0 => {
                let wrong = if contents.len() != incoming.borrow().segments {
                    Some("wrong-count")
                } else if body_of(contents) != *body {
                    Some("wrong-root")
                } else {
                    None
                };
                if let Some(code) = wrong {
                    self.effect(node, "drops a list")?;
                    self.nodes[node].disk.remove(&from);
                    self.say(node, *task, Taken::Bad(Fault::new(code, "a list")));
                    return Ok(Next::Done);
                }
            }
            1 if self.plant != Some(Plant::ListUnflushed) => {
                self.flush_file(node, *part, "flushes a list")?;
            }
            1 => {}
            2 => {
                self.effect(node, "names a list")?;
                if !self.nodes[node].disk.rename(&from, &to) {
                    return self.broken(node, "rename of a list");
                }
            }
            _ => {
                self.effect(node, "flushes incoming")?;
                self.nodes[node].disk.flush_names();
                incoming.borrow_mut().list.get_or_insert(*part);
                self.say(node, *task, Taken::Listed);
                return Ok(Next::Done);
            }
        }
        Ok(Next::More)
    }

    fn write(&mut self, node: usize, job: &Job) -> Alive<Next> {
        let Work::Write {
            task,
            stream,
            incoming,
            segment,
            content,
        } = &job.work
        else {
            return Ok(Next::Done);
        };
        self.effect(node, "writes a segment")?;
        let incoming = incoming.borrow();
        let at = usize::try_from(*segment).unwrap_or(usize::MAX);
        let hash = |content: Content| segments::segment_hash(&content.to_be_bytes());
        let listed = incoming.list.map(|list| {
            let cells = self.nodes[node].disk.read(list);
            cells.get(at).copied().map(hash)
        });
        let bad = match (incoming.complete, listed) {
            (true, _) => Some("already-complete"),
            (false, None) => Some("no-list"),
            (false, Some(None)) => Some("segment-outside"),
            (false, Some(Some(wanted))) if wanted != hash(*content) => Some("wrong-hash"),
            (false, Some(Some(_))) => None,
        };
        let taken = if let Some(code) = bad {
            Taken::Bad(Fault::new(code, "a segment"))
        } else if self.has_room(node) {
            self.nodes[node].disk.write(incoming.file, at, *content);
            Taken::Segment(*segment)
        } else {
            Taken::Full
        };
        self.say(node, *task, taken);
        self.written(node, *stream);
        Ok(Next::Done)
    }

    fn flush(&mut self, node: usize, job: &Job) -> Alive<Next> {
        let Work::Flush {
            task,
            incoming,
            have,
        } = &job.work
        else {
            return Ok(Next::Done);
        };
        if self.plant != Some(Plant::RecordBeforeFlush) {
            let inode = incoming.borrow().file;
            self.flush_file(node, inode, "flushes segments")?;
        }
        let op = Op::Have(job.xid, have.clone());
        self.commit_holding(node, job.xid, Reply::Nobody, vec![op]);
        if let Some(task) = task {
            self.say(node, *task, Taken::Flushed);
        }
        Ok(Next::Done)
    }

    fn finish(&mut self, node: usize, job: &Job) -> Alive<Next> {
        let Work::Finish { task, incoming } = &job.work else {
            return Ok(Next::Done);
        };
        let (file, listed, segments) = {
            let it = incoming.borrow();
            (it.file, it.list.is_some(), it.segments)
        };
        match job.step {
            0 => {
                let again = std::mem::replace(&mut incoming.borrow_mut().complete, true);
                let whole = self.nodes[node].disk.read(file).len() == segments;
                if !listed || !whole {
                    return self.broken(node, "a payload that is not whole is to be settled");
                }
                if again {
                    self.tell(node, *task, Answer::Settled);
                    return Ok(Next::Done);
                }
                self.flush_file(node, file, "flushes a payload")?;
            }
            1 | 2 => {
                self.effect(node, "names a payload")?;
                let ending = if job.step == 1 { ".list" } else { "" };
                let from = path("incoming", &job.xid, ending);
                let to = path("blobs", &job.xid, ending);
                if !self.nodes[node].disk.rename(&from, &to) {
                    return self.broken(node, "rename of a payload");
                }
            }
            _ => {
                self.effect(node, "flushes blobs")?;
                self.nodes[node].disk.flush_names();
                self.tell(node, *task, Answer::Settled);
                return Ok(Next::Done);
            }
        }
        Ok(Next::More)
    }

    fn remove(&mut self, node: usize, job: &Job) -> Alive<Next> {
        let Work::Remove { task } = &job.work else {
            return Ok(Next::Done);
        };
        let folder = if job.step == 0 { "blobs" } else { "incoming" };
        self.effect(node, "removes files")?;
        for ending in ["", ".list", ".list.part"] {
            let name = path(folder, &job.xid, ending);
            self.nodes[node].disk.remove(&name);
        }
        if job.step == 0 {
            return Ok(Next::More);
        }
        if let Some(task) = task {
            self.tell(node, *task, Answer::Discarded);
        }
        Ok(Next::Done)
    }
}

/// Those of these segments that a file of this length can have.
fn up_to(have: &Ranges, reached: u64) -> Ranges {
    let runs = have.runs().iter().filter(|run| run.first < reached);
    let runs = runs.map(|run| Range {
        first: run.first,
        count: run.count.min(reached - run.first),
    });
    Ranges::from_runs(runs.collect()).unwrap_or_default()
}
