//! The one thread that writes the ledger: it takes what is queued, commits it together, then answers.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, params};
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc, oneshot, watch};

use crate::base::{Timestamp, Xid, limits};
use crate::identity::keys::SecretKey;
use crate::store::apply::{CommitGroup, GroupStop};
use crate::store::index::Index;
use crate::store::journal::{Journal, JournalEntry};
use crate::store::op::{Commit, CommitFault, Op};
use crate::store::recent::RecentExchanges;
use crate::store::reserve::Reserve;
use crate::store::slots::Slots;
use crate::store::{digests, sql, sums};
use crate::tlog::{Checkpoint, Frontier};

/// Pages of the write-ahead log (4 KiB each), roughly, after which it is folded into the database.
const FOLD_PAGES: usize = 4_096;
const PAGE_BYTES: usize = 4_096;

/// After a group of more than so many batches others are on their way: it is worth waiting for them a little.
const BUSY_BATCHES: usize = 6;
/// How long, for each batch of the last group: the more there are, the more the next flush carries.
const GATHER: Duration = Duration::from_micros(100);
/// How long at most.
const GATHER_MAX: Duration = Duration::from_millis(2);

/// A signed head and its note.
#[derive(Clone)]
pub(crate) struct SignedHead {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) note: Arc<[u8]>,
    /// When it was signed; not known of one that an earlier version signed.
    pub(crate) at: Option<Timestamp>,
}

pub(crate) type Reply<T> = oneshot::Sender<Result<T, CommitFault>>;

/// A request to the thread.
pub(crate) enum Work {
    /// One caller's changes.
    Batch(Batch),
    /// A checkpoint for the committed head.
    Checkpoint(Reply<Checkpoint>),
    /// The end, once all that was queued before is answered.
    Close(oneshot::Sender<()>),
}

/// One caller's changes, the memory they were granted, whom to tell, and what must not be let go of before.
pub(crate) struct Batch {
    pub(crate) ops: Vec<Op>,
    pub(crate) room: OwnedSemaphorePermit,
    pub(crate) answer: Reply<Commit>,
    pub(crate) held: Box<dyn Send>,
}

/// The state that the thread shows to others.
pub(crate) struct LogState {
    pub(crate) signed: watch::Sender<Option<SignedHead>>,
    pub(crate) broken: watch::Sender<Option<String>>,
    pub(crate) size: Arc<AtomicU64>,
    pub(crate) settlements: broadcast::Sender<Xid>,
}

/// The thread's own state.
pub(crate) struct Writer {
    pub(crate) db: Connection,
    pub(crate) slots: Slots,
    pub(crate) reserve: Reserve,
    pub(crate) index: Index,
    pub(crate) journal: Option<Journal>,
    pub(crate) key: SecretKey,
    pub(crate) tree: Frontier,
    pub(crate) seq: i64,
    pub(crate) no: i64,
    /// The last statement that can be found by its digest without looking through the newest.
    pub(crate) found: i64,
    pub(crate) known: RecentExchanges,
    pub(crate) shown: LogState,
    pub(crate) pages: usize,
    /// Keeps other processes away from the folder.
    pub(crate) lock: File,
}

/// Everything taken from the queue at once.
#[derive(Default)]
struct Taken {
    batches: Vec<Batch>,
    checkpoints: Vec<Reply<Checkpoint>>,
    close: Option<oneshot::Sender<()>>,
}

impl Taken {
    fn put(&mut self, work: Work) {
        match work {
            Work::Batch(batch) => self.batches.push(batch),
            Work::Checkpoint(answer) => self.checkpoints.push(answer),
            Work::Close(done) => self.close = Some(done),
        }
    }

    fn is_full(&self) -> bool {
        self.close.is_some()
            || self.batches.len().saturating_add(self.checkpoints.len())
                >= limits::COMMIT_GROUP_BATCHES_MAX
    }
}

impl Writer {
    /// Serves the queue until everybody has let go of it, or asked for the end, or the disk has failed.
    pub(crate) fn run(mut self, mut queue: mpsc::Receiver<Work>) {
        let mut gather = Duration::ZERO;
        while let Some(first) = queue.blocking_recv() {
            let mut taken = Taken::default();
            taken.put(first);
            if !gather.is_zero() && queue.len() < limits::COMMIT_GROUP_BATCHES_MAX / 2 {
                std::thread::sleep(gather);
            }
            while !taken.is_full() {
                match queue.try_recv() {
                    Ok(work) => taken.put(work),
                    Err(_) => break,
                }
            }
            gather = gathering(taken.batches.len());
            let close = taken.close.take();
            let served = self.serve(taken);
            let served = match &close {
                Some(_) => served.and_then(|()| self.fold(sql::FOLD_ALL)),
                None => served,
            };
            if let Err(why) = served {
                self.stop(&why, &mut queue);
            } else if close.is_none() {
                continue;
            }
            drop((self.db, self.index, self.journal, self.lock, queue));
            if let Some(done) = close {
                told(done.send(()));
            }
            return;
        }
        if let Err(why) = self.fold(sql::FOLD_ALL) {
            tracing::error!("{why}");
        }
    }

    /// Says that nothing will be written any more, to everybody who waits and to everybody who asks later.
    fn stop(&self, why: &str, queue: &mut mpsc::Receiver<Work>) {
        self.shown.broken.send_replace(Some(why.to_owned()));
        // Closing would fold, and so flush again what could not be flushed.
        let no_fold = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
        if let Err(e) = self.db.set_db_config(no_fold, true) {
            tracing::error!("the ledger is folded when it is closed: {e}");
        }
        queue.close();
        while let Ok(work) = queue.try_recv() {
            let fault = CommitFault::Broken(why.to_owned());
            match work {
                Work::Batch(batch) => told(batch.answer.send(Err(fault))),
                Work::Checkpoint(answer) => told(answer.send(Err(fault))),
                Work::Close(done) => told(done.send(())),
            }
        }
    }

    fn serve(&mut self, taken: Taken) -> Result<(), String> {
        if !taken.batches.is_empty() {
            self.group(taken.batches)?;
        }
        if !taken.checkpoints.is_empty() {
            self.checkpoint(taken.checkpoints)?;
        }
        self.find()?;
        if self.pages >= FOLD_PAGES {
            self.fold(sql::FOLD)?;
        }
        self.reserve.retake();
        Ok(())
    }

    /// Commits these batches together and answers each.
    fn group(&mut self, batches: Vec<Batch>) -> Result<(), String> {
        let mut answers = Vec::with_capacity(batches.len());
        let mut rooms = Vec::with_capacity(batches.len());
        let mut todo = Vec::with_capacity(batches.len());
        // Let go of at the end: a ledger that breaks says so first.
        let mut kept = Vec::with_capacity(batches.len());
        for batch in batches {
            answers.push(batch.answer);
            rooms.push(batch.room);
            todo.push(batch.ops);
            kept.push(batch.held);
        }
        let outcome = self.with_reserve(|writer| writer.commit(&todo));
        drop(rooms);
        let fault = match outcome {
            Ok(results) => {
                for ((ops, answer), result) in todo.iter().zip(answers).zip(results) {
                    if result.is_ok() {
                        let settled = ops.iter().filter_map(Op::settles);
                        settled.for_each(|xid| told(self.shown.settlements.send(xid)));
                    }
                    told(answer.send(result));
                }
                return Ok(());
            }
            Err(stop) => self.failed(stop),
        };
        for answer in answers {
            told(answer.send(Err(fault.clone())));
        }
        self.after(fault)
    }

    /// Writes; on a full disk once more, with the space that was set aside for that.
    fn with_reserve<T>(
        &mut self,
        mut write: impl FnMut(&mut Self) -> Result<T, GroupStop>,
    ) -> Result<T, GroupStop> {
        match write(self) {
            Err(GroupStop::Full) if self.reserve.give()? => write(self),
            written => written,
        }
    }

    /// Decides the answer when a whole group failed. That nothing will be written any more is known before the answer
    /// is.
    fn failed(&self, stop: GroupStop) -> CommitFault {
        let why = match stop {
            GroupStop::Full => return CommitFault::Full,
            GroupStop::Batch(fault) => fault.to_string(),
            GroupStop::Broken(why) => why,
        };
        self.shown.broken.send_replace(Some(why.clone()));
        CommitFault::Broken(why)
    }

    /// On a full disk folding makes the write-ahead log's own space usable again; anything else ends the thread.
    fn after(&mut self, fault: CommitFault) -> Result<(), String> {
        match fault {
            CommitFault::Full => self.fold(sql::FOLD),
            CommitFault::Broken(why) => Err(why),
            CommitFault::Conflict { .. } | CommitFault::Unfit(_) | CommitFault::Recovering => {
                Ok(())
            }
        }
    }

    /// One transaction: rows, keys flushed, commit, shredding, journal. Only if a batch is at fault are they kept
    /// apart.
    fn commit(&mut self, todo: &[Vec<Op>]) -> Result<Vec<Result<Commit, CommitFault>>, GroupStop> {
        match self.transact(todo, false) {
            Err(GroupStop::Batch(_)) => self.transact(todo, true),
            done => done,
        }
    }

    /// Begins a transaction whose pages the index of the write-ahead log has space for.
    fn begin(&mut self) -> Result<(), GroupStop> {
        self.index.cover()?;
        Ok(execute(&self.db, sql::BEGIN)?)
    }

    fn transact(
        &mut self,
        todo: &[Vec<Op>],
        apart: bool,
    ) -> Result<Vec<Result<Commit, CommitFault>>, GroupStop> {
        self.begin()?;
        let mut group = CommitGroup {
            db: &self.db,
            slots: &mut self.slots,
            known: &mut self.known,
            tree: self.tree.clone(),
            seq: self.seq,
            no: self.no,
            fresh: Vec::new(),
            spent: Vec::new(),
            destroyed: Vec::new(),
        };
        let done = carry_out(&mut group, todo, apart, self.journal.as_mut());
        let CommitGroup {
            tree,
            seq,
            no,
            fresh,
            spent,
            destroyed,
            ..
        } = group;
        match done {
            Ok(results) => {
                self.shown.size.store(tree.size(), Ordering::Release);
                (self.tree, self.seq, self.no) = (tree, seq, no);
                self.slots.doom(spent);
                self.shred()?;
                self.record(&destroyed)?;
                let bytes: usize = todo.iter().flatten().map(Op::weight).sum();
                let ops: usize = todo.iter().map(Vec::len).sum();
                let pages = (bytes / PAGE_BYTES).saturating_add(ops);
                self.pages = self.pages.saturating_add(pages);
                Ok(results)
            }
            Err(stop) => {
                self.known.clear();
                if !self.db.is_autocommit() {
                    execute(&self.db, sql::ROLLBACK)?;
                }
                self.slots.doom(fresh);
                Err(stop)
            }
        }
    }

    /// Makes the newest statements easy to find by their digest, many at a time. A full disk postpones it.
    fn find(&mut self) -> Result<(), String> {
        if self.seq.saturating_sub(self.found) < digests::TOGETHER {
            return Ok(());
        }
        let filled = self.begin().and_then(|()| {
            digests::fill(&self.db, self.found, self.seq)?;
            execute(&self.db, sql::COMMIT).map_err(GroupStop::from)
        });
        let Err(stop) = filled else {
            self.found = self.seq;
            return Ok(());
        };
        if !self.db.is_autocommit() {
            execute(&self.db, sql::ROLLBACK).map_err(|e| e.to_string())?;
        }
        match stop {
            GroupStop::Full => Ok(()),
            GroupStop::Batch(fault) => Err(fault.to_string()),
            GroupStop::Broken(why) => Err(why),
        }
    }

    /// Keeps the promise of a committed [`Op::Shred`]; a disk too full even to overwrite (copy on write) breaks it.
    fn shred(&mut self) -> Result<(), GroupStop> {
        self.slots
            .shred()
            .map_err(|fault| GroupStop::Broken(fault.to_string()))
    }

    /// Writes committed destructions into their journal. Its space was there before the commit, so no disk is too full.
    fn record(&mut self, destroyed: &[JournalEntry]) -> Result<(), GroupStop> {
        let recorded = self.journal.as_mut().map(|it| it.append(destroyed));
        let recorded = recorded.transpose().map(drop);
        recorded.map_err(|fault| GroupStop::Broken(fault.to_string()))
    }

    /// Signs the committed head, unless that is done, keeps the checkpoint and answers.
    fn checkpoint(&mut self, answers: Vec<Reply<Checkpoint>>) -> Result<(), String> {
        let signed = self.with_reserve(Self::sign);
        let result = signed.map_err(|stop| self.failed(stop));
        for answer in answers {
            told(answer.send(result.clone()));
        }
        result.map_or_else(|fault| self.after(fault), |_| Ok(()))
    }

    fn sign(&mut self) -> Result<Checkpoint, GroupStop> {
        let checkpoint = Checkpoint {
            origin: self.key.name().to_string(),
            size: self.tree.size(),
            root: self.tree.root(),
        };
        let last = self.shown.signed.borrow().clone();
        if last.is_some_and(|last| last.checkpoint == checkpoint) {
            return Ok(checkpoint);
        }
        let note = checkpoint.sign(&self.key);
        let at = now();
        let sum = sums::signed(Some(&note), Some(at));
        self.begin()?;
        let stored = self
            .db
            .prepare_cached(sql::LOG_SIGNED)
            .and_then(|mut put| put.execute(params![note.as_slice(), at.millis(), sum]))
            .and_then(|_| execute(&self.db, sql::COMMIT));
        if let Err(error) = stored {
            if !self.db.is_autocommit() {
                execute(&self.db, sql::ROLLBACK)?;
            }
            return Err(error.into());
        }
        self.pages = self.pages.saturating_add(2);
        self.shown.signed.send_replace(Some(SignedHead {
            checkpoint: checkpoint.clone(),
            note: note.into(),
            at: Some(at),
        }));
        Ok(checkpoint)
    }

    /// Folds the write-ahead log into the database. A full disk postpones it.
    fn fold(&mut self, how: &'static str) -> Result<(), String> {
        self.pages = 0;
        let folded = self.db.query_row(how, [], |_| Ok(()));
        match folded.map_err(GroupStop::from) {
            Ok(()) => Ok(()),
            Err(GroupStop::Full) => {
                tracing::warn!(
                    "no space to fold the ledger's log into its database; tried again later"
                );
                Ok(())
            }
            Err(GroupStop::Batch(fault)) => Err(fault.to_string()),
            Err(GroupStop::Broken(why)) => Err(why),
        }
    }
}

/// Everything between BEGIN and the end of COMMIT: after an error nothing of it has happened. That a batch is at fault
/// is an error unless they are kept apart.
fn carry_out(
    group: &mut CommitGroup<'_>,
    todo: &[Vec<Op>],
    apart: bool,
    journal: Option<&mut Journal>,
) -> Result<Vec<Result<Commit, CommitFault>>, GroupStop> {
    let before = group.tree.size();
    let mut results = Vec::with_capacity(todo.len());
    for ops in todo {
        let done = if apart {
            group.batch_or_none(ops)
        } else {
            group.batch(ops)
        };
        results.push(match done {
            Ok(commit) => Ok(commit),
            Err(GroupStop::Batch(fault)) if apart => Err(fault),
            Err(stop) => return Err(stop),
        });
    }
    if group.tree.size() != before {
        let (size, peaks) = group.tree.parts();
        let frontier: Vec<u8> = peaks.iter().flat_map(|peak| *peak.as_bytes()).collect();
        let mut grow = group.db.prepare_cached(sql::LOG_GROW)?;
        grow.execute(params![size, frontier])?;
    }
    if let Some(journal) = journal {
        journal.room(group.destroyed.len())?;
    }
    group.slots.sync()?;
    execute(group.db, sql::COMMIT)?;
    Ok(results)
}

/// How long to wait for more after a group of so many batches.
fn gathering(batches: usize) -> Duration {
    if batches <= BUSY_BATCHES {
        return Duration::ZERO;
    }
    let batches = u32::try_from(batches).unwrap_or(u32::MAX);
    GATHER.saturating_mul(batches).min(GATHER_MAX)
}

pub(crate) fn execute(db: &Connection, statement: &'static str) -> rusqlite::Result<()> {
    db.prepare_cached(statement)?.execute([]).map(|_| ())
}

#[expect(clippy::disallowed_methods, reason = "the shell reads the clock")]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Answers a caller, who may have gone away meanwhile; what was done is done.
fn told<T, E>(sent: Result<T, E>) {
    drop(sent);
}
