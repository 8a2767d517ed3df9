//! The ledger: the handle that everything else holds.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::{Connection, params};
use tokio::sync::{Semaphore, broadcast, mpsc, oneshot, watch};
use zeroize::Zeroizing;

use crate::base::{AuthorityId, Timestamp, Xid, limits};
use crate::exchange::{Direction, Phase};
use crate::identity::card::Card;
use crate::identity::keys::{PublicKey, SecretKey};
use crate::receipt::PartyKeys;
use crate::store::op::{Commit, CommitFault, Op};
use crate::store::opening::Opened;
use crate::store::questions::Desk;
use crate::store::reader::Readers;
use crate::store::recent::RecentExchanges;
use crate::store::rows::{CardRow, CrlRow, Exchange, PeerRow, Reached};
use crate::store::settlement::Settled;
use crate::store::slots::SlotKeys;
use crate::store::subtrees::SubtreeRoots;
use crate::store::writer::{Batch, LogState, SignedHead, Work, Writer};
use crate::store::{StoreFault, opening, reader, sql};
use crate::tlog::Checkpoint;

/// The exchanges, statements, log and peers of one authority, and the right to change them. Cheap to clone.
///
/// All changes go to one thread, which commits what is queued together: an answer means that the change is on the
/// disk. Reading happens on other connections and sees what is committed.
#[derive(Clone)]
pub struct Ledger {
    work: mpsc::Sender<Work>,
    room: Arc<Semaphore>,
    readers: Arc<Readers>,
    pub(super) desk: Desk,
    pub(super) keys: SlotKeys,
    signed: watch::Receiver<Option<SignedHead>>,
    broken: watch::Receiver<Option<String>>,
    size: Arc<AtomicU64>,
    settlements: broadcast::Sender<Xid>,
    pub(super) subtrees: Arc<SubtreeRoots>,
    pub(super) recovering: Arc<watch::Sender<Option<Checkpoint>>>,
    pub(super) settled: Arc<Settled>,
    pub(super) log_key: PublicKey,
}

/// Settled exchanges that a listener may be behind.
const SETTLEMENTS_MAX: usize = 1_024;

/// The exchanges that wait to be sent to one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The peer.
    pub peer: AuthorityId,
    /// How many exchanges.
    pub count: u64,
    /// When the first of them may be tried; in the past if at once.
    pub next_try: Timestamp,
}

impl Ledger {
    /// Opens the ledger in this folder and starts its writer. The folder is made if it is missing and belongs to one
    /// process at a time. The key, of role `log`, signs checkpoints and must be the one that signed before.
    pub fn open(folder: &Path, log_key: SecretKey) -> Result<Self, StoreFault> {
        Self::begin(opening::open(folder, &log_key, None)?, folder, log_key)
    }

    /// The same with a journal of destructions outside the folder, as [`crate::store::journal::prepare`] has made it.
    /// Everything that it says is destroyed is so when this returns, and it says all that the ledger does.
    pub fn journaled(
        folder: &Path,
        log_key: SecretKey,
        journal: &Path,
    ) -> Result<Self, StoreFault> {
        let opened = opening::open(folder, &log_key, Some(journal))?;
        Self::begin(opened, folder, log_key)
    }

    fn begin(opened: Opened, folder: &Path, log_key: SecretKey) -> Result<Self, StoreFault> {
        let readers = Readers::new(
            &folder.join(crate::store::layout::DATABASE),
            opened.index.handle(),
        );
        let desk = Desk::open(readers.connect()?, opened.index.handle())?;
        let public = log_key.public();
        let (work, queue) = mpsc::channel(2 * limits::COMMIT_GROUP_BATCHES_MAX);
        let (signed_to, signed) = watch::channel(opened.signed);
        let (broken_to, broken) = watch::channel(None);
        let size = Arc::new(AtomicU64::new(opened.tree.size()));
        let settlements = broadcast::Sender::new(SETTLEMENTS_MAX);
        let keys = opened.slots.keys();
        let writer = Writer {
            db: opened.db,
            slots: opened.slots,
            reserve: opened.reserve,
            index: opened.index,
            journal: opened.journal,
            key: log_key,
            tree: opened.tree,
            seq: opened.seq,
            no: opened.no,
            found: opened.found,
            known: RecentExchanges::default(),
            shown: LogState {
                signed: signed_to,
                broken: broken_to,
                size: Arc::clone(&size),
                settlements: settlements.clone(),
            },
            pages: 0,
            lock: opened.lock,
        };
        std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || writer.run(queue))
            .map_err(|e| StoreFault::Damaged(format!("its thread does not start: {e}")))?;
        Ok(Self {
            work,
            room: Arc::new(Semaphore::new(limits::COMMIT_QUEUE_BYTES_MAX)),
            readers: Arc::new(readers),
            desk,
            keys,
            signed,
            broken,
            size,
            settlements,
            subtrees: Arc::default(),
            recovering: Arc::new(watch::Sender::new(None)),
            settled: Arc::new(opened.settled),
            log_key: public,
        })
    }

    /// Makes these changes together, durably. Other callers' changes share the flush but not the fate.
    ///
    /// Dropping the future does not take the changes back once they are queued.
    pub async fn commit(&self, ops: Vec<Op>) -> Result<Commit, CommitFault> {
        self.commit_holding(ops, ()).await
    }

    /// The same, and lets go of what is held only once these changes are made or never will be, even where whoever
    /// asked for them has gone. If the ledger breaks, nobody knows which of both: [`Self::check`] fails before it is
    /// let go of.
    pub async fn commit_holding(
        &self,
        ops: Vec<Op>,
        held: impl Send + 'static,
    ) -> Result<Commit, CommitFault> {
        let signs = |op: &Op| matches!(op, Op::Statement { logged: true, .. });
        if self.recovering.borrow().is_some() && ops.iter().any(signs) {
            return Err(CommitFault::Recovering);
        }
        let weight: usize = ops.iter().map(Op::weight).sum();
        let weight = weight.clamp(1, limits::COMMIT_QUEUE_BYTES_MAX);
        let weight = u32::try_from(weight).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(weight).await;
        let room = room.map_err(|_| self.ended())?;
        let (answer, answered) = oneshot::channel();
        let held = Box::new(held);
        let batch = Batch {
            ops,
            room,
            answer,
            held,
        };
        self.ask(Work::Batch(batch), answered).await
    }

    /// Signs a checkpoint for the head that is committed now and keeps it.
    pub async fn checkpoint(&self) -> Result<Checkpoint, CommitFault> {
        if self.recovering.borrow().is_some() {
            return Err(CommitFault::Recovering);
        }
        let (answer, answered) = oneshot::channel();
        self.ask(Work::Checkpoint(answer), answered).await
    }

    async fn ask<T>(
        &self,
        work: Work,
        answered: oneshot::Receiver<Result<T, CommitFault>>,
    ) -> Result<T, CommitFault> {
        self.work.send(work).await.map_err(|_| self.ended())?;
        answered.await.unwrap_or_else(|_| Err(self.ended()))
    }

    fn ended(&self) -> CommitFault {
        let why = self.broken.borrow().clone();
        CommitFault::Broken(why.unwrap_or_else(|| "it was closed".to_owned()))
    }

    /// Ends the writer after everything queued before is answered, and lets go of the folder.
    pub async fn close(&self) {
        let (done, ended) = oneshot::channel();
        if self.work.send(Work::Close(done)).await.is_ok() {
            // An error means that the writer ended by itself, which is what was wanted.
            drop(ended.await);
        }
    }

    /// Fails for ever once the disk has failed: what became of the last changes is known at the next start.
    pub(crate) fn check(&self) -> Result<(), CommitFault> {
        match self.broken.borrow().clone() {
            None => Ok(()),
            Some(why) => Err(CommitFault::Broken(why)),
        }
    }

    /// Resolves, with the reason, when the disk has failed and the process must end; never otherwise.
    pub async fn broken(&self) -> String {
        let mut broken = self.broken.clone();
        let why = broken.wait_for(Option::is_some).await;
        match why.ok().and_then(|why| why.clone()) {
            Some(why) => why,
            None => std::future::pending().await,
        }
    }

    /// Hears the ids of exchanges from now on, each once the ledger holds what became of its delivery
    /// ([`Phase::is_settled`]). Whoever falls behind hears that, and looks again.
    pub fn settlements(&self) -> broadcast::Receiver<Xid> {
        self.settlements.subscribe()
    }

    /// Leaves in the log, all of them committed.
    pub fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    /// The last signed head; none before the first checkpoint.
    pub fn head(&self) -> Option<Checkpoint> {
        let signed = self.signed.borrow();
        signed.as_ref().map(|signed| signed.checkpoint.clone())
    }

    /// The last checkpoint as a signed note; none before the first.
    pub fn last_checkpoint(&self) -> Option<Arc<[u8]>> {
        let signed = self.signed.borrow();
        signed.as_ref().map(|signed| Arc::clone(&signed.note))
    }

    /// The key that signs checkpoints.
    pub const fn log_key(&self) -> &PublicKey {
        &self.log_key
    }

    /// When the last checkpoint was signed.
    pub fn checkpoint_at(&self) -> Option<Timestamp> {
        self.signed.borrow().as_ref().and_then(|signed| signed.at)
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreFault> {
        let turn = self.readers.turn().await;
        let readers = Arc::clone(&self.readers);
        let answer = tokio::task::spawn_blocking(move || readers.read(query)).await;
        drop(turn);
        Ok(answer.map_err(|_| StoreFault::Closed)??)
    }

    /// One exchange.
    pub async fn exchange(&self, xid: &Xid) -> Result<Option<Exchange>, StoreFault> {
        let xid = *xid;
        self.desk
            .ask(move |db| reader::row(db, sql::EXCHANGE, [xid.as_bytes()], reader::exchange))
            .await
    }

    /// The exchanges whose id begins with these hex digits: two where there are more, which is one too many anyway.
    pub async fn find(&self, prefix: &str) -> Result<Vec<Xid>, StoreFault> {
        let Some((first, last)) = bounds(prefix) else {
            return Ok(Vec::new());
        };
        self.read(move |db| {
            let values = params![first, last, 2];
            reader::rows(db, sql::FIND, values, |row| reader::xid(row, 0))
        })
        .await
    }

    /// Ids of the exchanges whose payload is still of use, for [`crate::store::Blobs::sweep`]: all but ended outgoing
    /// ones and what is destroyed.
    pub async fn xids(&self) -> Result<Vec<Xid>, StoreFault> {
        let all = self.read(|db| reader::rows(db, sql::XIDS, [], |row| reader::xid(row, 0)));
        let mut all = all.await?;
        all.retain(|xid| self.destroyed_before(xid).is_none());
        Ok(all)
    }

    /// Answers once all that can be read now is done to its end: keys overwritten, destructions in their journal.
    pub async fn settled(&self) -> Result<(), CommitFault> {
        self.commit(Vec::new()).await.map(drop)
    }

    /// The peers to whom something is to be sent.
    pub async fn waiting(&self) -> Result<Vec<Waiting>, StoreFault> {
        self.read(|db| {
            reader::rows(db, sql::OUTBOX_PEERS, [], |row| {
                Ok(Waiting {
                    peer: reader::word(row, 0)?,
                    count: row.get(1)?,
                    next_try: Timestamp::from_millis(row.get(2)?),
                })
            })
        })
        .await
    }

    /// How many exchanges there are in each direction and phase.
    pub async fn counts(&self) -> Result<Vec<(Direction, Phase, u64)>, StoreFault> {
        self.read(|db| {
            reader::rows(db, sql::COUNTS, [], |row| {
                Ok((reader::word(row, 0)?, reader::word(row, 1)?, row.get(2)?))
            })
        })
        .await
    }

    /// The payload of an exchange, if it lives in the ledger.
    pub async fn payload(&self, xid: &Xid) -> Result<Option<Vec<u8>>, StoreFault> {
        let xid = *xid;
        self.desk
            .ask(move |db| reader::row(db, sql::PAYLOAD, [xid.as_bytes()], |row| row.get(0)))
            .await
    }

    /// The age header of an exchange; none if there is none or it was shredded.
    pub async fn header(&self, xid: &Xid) -> Result<Option<Zeroizing<Vec<u8>>>, StoreFault> {
        let (xid, keys) = (*xid, self.keys.clone());
        let read = self.desk.ask(move |db| reader::header(db, &keys, &xid));
        match read.await? {
            None => Ok(None),
            Some(Ok(header)) => Ok(header),
            Some(Err(fault)) => Err(StoreFault::Damaged(fault.to_string())),
        }
    }

    /// How far these exchanges have come, those that are known, with what holds them up.
    pub async fn standings(&self, xids: Vec<Xid>) -> Result<Vec<Reached>, StoreFault> {
        self.desk
            .ask(move |db| {
                let mut standings = Vec::with_capacity(xids.len());
                for xid in &xids {
                    let values = [xid.as_bytes()];
                    standings.extend(reader::row(
                        db,
                        sql::EXCHANGE_STANDING,
                        values,
                        reader::reached,
                    )?);
                }
                Ok(standings)
            })
            .await
    }

    /// All peers, by alias.
    pub async fn peers(&self) -> Result<Vec<PeerRow>, StoreFault> {
        self.read(|db| reader::rows(db, sql::PEERS, [], reader::peer))
            .await
    }

    /// One peer.
    pub async fn peer(&self, id: &AuthorityId) -> Result<Option<PeerRow>, StoreFault> {
        let id = id.clone();
        self.read(move |db| reader::row(db, sql::PEER, [id.as_str()], reader::peer))
            .await
    }

    /// How many packages from or to a peer bind somebody: on their way, held here, or held there; or only those from it
    /// that are held `here`, or come to be.
    pub async fn unsettled(&self, id: &AuthorityId, here: bool) -> Result<u64, StoreFault> {
        let id = id.clone();
        let query = if here {
            sql::UNSETTLED_HERE
        } else {
            sql::UNSETTLED
        };
        let count = |row: &rusqlite::Row<'_>| row.get(0);
        let counted = self.read(move |db| reader::row(db, query, [id.as_str()], count));
        Ok(counted.await?.unwrap_or(0))
    }

    /// The receipts keys of an authority of which a card was adopted; `None` for any other.
    pub async fn party_keys(&self, id: &AuthorityId) -> Result<Option<PartyKeys>, StoreFault> {
        let damaged = |e| StoreFault::Damaged(format!("a card of {id}: {e}"));
        let rows = self.cards_of(id).await?.into_iter();
        let adopted = rows.filter(|row| row.adopted.is_some());
        let cards = adopted.map(|row| Card::open(&row.note).map(|(card, _)| card));
        let cards: Vec<_> = cards.collect::<Result<_, _>>().map_err(damaged)?;
        Ok(PartyKeys::of_all(&cards))
    }

    /// Every card, each authority's oldest first.
    pub async fn cards(&self) -> Result<Vec<CardRow>, StoreFault> {
        self.read(|db| reader::rows(db, sql::CARDS, [], reader::card))
            .await
    }

    /// The revocation lists of all authorities, by authority and CA.
    pub async fn crls(&self) -> Result<Vec<CrlRow>, StoreFault> {
        self.read(|db| reader::rows(db, sql::CRLS, [], reader::crl))
            .await
    }

    /// The cards of an authority, oldest first.
    pub async fn cards_of(&self, id: &AuthorityId) -> Result<Vec<CardRow>, StoreFault> {
        let id = id.clone();
        self.read(move |db| reader::rows(db, sql::CARDS_OF, [id.as_str()], reader::card))
            .await
    }

    /// A named value.
    pub async fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, StoreFault> {
        let key = key.to_owned();
        self.read(move |db| reader::row(db, sql::META, [key], |row| row.get(0)))
            .await
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ledger({} leaves)", self.size())
    }
}

/// The number of an exchange: 0 for none, the highest of all if it is not known.
pub(super) fn number(db: &Connection, xid: Option<Xid>) -> rusqlite::Result<i64> {
    let Some(xid) = xid else {
        return Ok(0);
    };
    let found = reader::row(db, sql::EXCHANGE_NO, [xid.as_bytes()], |row| row.get(0));
    Ok(found?.unwrap_or(i64::MAX))
}

/// The lowest and the highest id that begin with these lower-case hex digits.
fn bounds(prefix: &str) -> Option<([u8; 16], [u8; 16])> {
    let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if prefix.len() > 32 || !prefix.bytes().all(is_hex) {
        return None;
    }
    let filled = |with: &str| -> Option<Xid> {
        let rest = with.repeat(32_usize.saturating_sub(prefix.len()));
        format!("{prefix}{rest}").parse().ok()
    };
    Some((*filled("0")?.as_bytes(), *filled("f")?.as_bytes()))
}
