//! Peers watch each other's logs: what is held of whose log, what is cosigned, and what does not go together.
//!
//! Nothing here trusts a connection: every checkpoint is signed by its log's own key, so it counts wherever it came
//! from.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use crate::base::{AuthorityId, Digest, Timestamp, limits};
use crate::identity::keys::{PublicKey, SecretKey};
use crate::identity::note;
use crate::net::clock::Clock;
use crate::net::witness::roots::Heads;
use crate::net::witness::submission::{LogKeys, Submission};
use crate::store::{AlarmKind, AlarmRow, CosignedRow, Ledger, Op, StoreFault, WitnessedRow};
use crate::tlog::{AddCheckpoint, Checkpoint, cosignature, proof};
use crate::wire::{FaultMessage, Frame};

/// How often a grown log is submitted to a peer that is connected, in milliseconds.
const SUBMIT_EVERY_MS: u64 = 10_000;

/// Watches the logs of peers and has its own watched. Without a key nothing is watched.
pub struct Watch {
    /// Who we are.
    own: AuthorityId,
    ledger: Ledger,
    clock: Clock,
    pub(crate) heads: Heads,
    key: OnceLock<SecretKey>,
    known: RwLock<HashMap<AuthorityId, LogKeys>>,
    /// One decision about others' logs at a time: what is held is read, compared and replaced without anyone between.
    turn: tokio::sync::Mutex<()>,
    /// Of each log the head to which a head that was heard of leads, as long as that is not known to be ours, too.
    bridges: Mutex<HashMap<AuthorityId, Checkpoint>>,
    /// How often a head of this log that was heard of was proved.
    proofs: Mutex<HashMap<AuthorityId, u64>>,
    every_ms: AtomicU64,
    /// Rings when cosignatures, alarms or the guard have changed.
    pub changed: tokio::sync::Notify,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

impl Watch {
    /// The watch of this authority, which has this ledger and clock.
    pub(crate) fn new(own: AuthorityId, ledger: Ledger, clock: Clock) -> Self {
        Self {
            own,
            ledger,
            clock,
            heads: Heads::default(),
            key: OnceLock::new(),
            known: RwLock::default(),
            turn: tokio::sync::Mutex::default(),
            bridges: Mutex::default(),
            proofs: Mutex::default(),
            every_ms: AtomicU64::new(SUBMIT_EVERY_MS),
            changed: tokio::sync::Notify::new(),
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.now().at
    }

    /// From now on logs are watched and cosigned with this key, of role `witness`. Once only.
    pub fn enable(&self, key: SecretKey) {
        // A second key changes nothing.
        drop(self.key.set(key));
    }

    /// The peers whose logs are watched.
    pub fn set_known(&self, known: HashMap<AuthorityId, LogKeys>) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
    }

    /// How often a grown log is submitted, for tests.
    pub fn set_every(&self, every: Duration) {
        let millis = u64::try_from(every.as_millis()).unwrap_or(u64::MAX);
        self.every_ms.store(millis, Ordering::Relaxed);
    }

    pub(crate) fn every(&self) -> Duration {
        Duration::from_millis(self.every_ms.load(Ordering::Relaxed))
    }

    pub(crate) fn is_on(&self) -> bool {
        self.key.get().is_some()
    }

    pub(crate) fn keys(&self, of: &AuthorityId) -> Option<LogKeys> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(of).cloned()
    }

    /// Proves that all heads heard of this log lead to this one.
    fn bridge(&self, of: &AuthorityId, head: Checkpoint) {
        let mut bridges = self.bridges.lock().unwrap_or_else(PoisonError::into_inner);
        bridges.insert(of.clone(), head);
    }

    /// Marks the heads heard of this log as proved: it needs no bridge any more.
    fn settled(&self, of: &AuthorityId) {
        let mut bridges = self.bridges.lock().unwrap_or_else(PoisonError::into_inner);
        bridges.remove(of);
        let mut proofs = self.proofs.lock().unwrap_or_else(PoisonError::into_inner);
        let count = proofs.entry(of.clone()).or_default();
        *count = count.saturating_add(1);
    }

    /// How often what was heard of this log was proved, since the start.
    pub(crate) fn proofs(&self, of: &AuthorityId) -> u64 {
        let proofs = self.proofs.lock().unwrap_or_else(PoisonError::into_inner);
        proofs.get(of).copied().unwrap_or_default()
    }

    fn is_bridge(&self, of: &AuthorityId, head: &Checkpoint) -> bool {
        let bridges = self.bridges.lock().unwrap_or_else(PoisonError::into_inner);
        bridges.get(of) == Some(head)
    }

    pub(crate) fn names(&self) -> Vec<AuthorityId> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.keys().cloned().collect()
    }
}

fn storage(e: impl fmt::Display) -> FaultMessage {
    FaultMessage::new("storage", &e.to_string())
}

fn unknown(of: &AuthorityId) -> FaultMessage {
    FaultMessage::new("unknown-log", &format!("the log of {of} is not known here"))
}

const RECOVERING: &str =
    "the state of this log was restored from a backup that is too old; nothing is signed";

impl Watch {
    /// Whether the own log has more leaves than these, and may be shown.
    pub(crate) fn has_grown(&self, beyond: u64) -> bool {
        let head = self.ledger.head();
        head.is_some_and(|head| head.size > beyond) && self.ledger.recovering().is_none()
    }

    /// The newest checkpoint of each log that was cosigned here.
    pub(crate) async fn witnessed_all(&self) -> Result<Vec<WitnessedRow>, StoreFault> {
        self.ledger.witnessed_all().await
    }

    /// Whether something is wrong with this peer's log.
    pub(crate) async fn alarmed(&self, of: &AuthorityId) -> Result<bool, StoreFault> {
        Ok(self.ledger.alarm(of).await?.is_some())
    }

    /// The newest checkpoint of this peer's log that was cosigned here.
    pub(crate) async fn held(&self, of: &AuthorityId) -> Result<Vec<u8>, FaultMessage> {
        let held = self.ledger.witnessed(of).await.map_err(storage)?;
        Ok(held.map(|row| row.note).unwrap_or_default())
    }

    /// Somebody holds this checkpoint of our log, or none: the proof from there to the newest. If our log is not the
    /// one that the checkpoint is of, nothing is signed from now on.
    pub(crate) async fn asked(&self, held: &[u8]) -> Result<Submission, FaultMessage> {
        let old = if held.is_empty() {
            0
        } else {
            self.seen_of_ours(held).await?.size
        };
        self.submission(old).await
    }

    /// A checkpoint of our own log that came from elsewhere.
    pub(crate) async fn seen_of_ours(&self, note: &[u8]) -> Result<Checkpoint, FaultMessage> {
        let head = Checkpoint::open(note, self.ledger.log_key())
            .map_err(|e| FaultMessage::new(e.code(), &e.to_string()))?;
        if self.ledger.contains(&head).await.map_err(storage)? {
            return Ok(head);
        }
        tracing::error!(
            peer = %self.own,
            size = head.size,
            own = self.ledger.size(),
            "a peer holds a checkpoint of our log that is not of the log that is here: nothing is signed until the newest state is restored"
        );
        let kept = self.ledger.recover(head, note).await;
        self.changed.notify_one();
        kept.map_err(storage)?;
        Err(FaultMessage::new("recovering", RECOVERING))
    }

    /// The newest checkpoint with the proof that it continues that of `old` leaves.
    pub(crate) async fn submission(&self, old: u64) -> Result<Submission, FaultMessage> {
        if self.ledger.recovering().is_some() {
            return Err(FaultMessage::new("recovering", RECOVERING));
        }
        if self.ledger.head().is_none_or(|head| head.size < old) {
            self.ledger.checkpoint().await.map_err(storage)?;
        }
        let note = self.ledger.last_checkpoint().unwrap_or_default().to_vec();
        let (head, _) = Checkpoint::parse(&note).map_err(storage)?;
        let proof = self.ledger.consistency(old, head.size).await;
        let add = AddCheckpoint {
            old,
            proof: proof.map_err(storage)?,
            checkpoint: note.clone(),
        };
        let frame = Frame::AddCheckpoint(add.encode());
        Ok(Submission { head, note, frame })
    }

    /// A peer submits a checkpoint of its log: the cosignature, or what is held here instead, or nothing where it only
    /// proved a head that was heard of.
    #[expect(
        clippy::similar_names,
        reason = "the head, the one held and the one heard of"
    )]
    pub(crate) async fn submitted(
        &self,
        of: &AuthorityId,
        bytes: &[u8],
    ) -> Result<Option<Frame>, FaultMessage> {
        let keys = self.keys(of).ok_or_else(|| unknown(of))?;
        let add =
            AddCheckpoint::parse(bytes).map_err(|e| FaultMessage::new(e.code(), &e.to_string()))?;
        let head = Checkpoint::open(&add.checkpoint, &keys.log)
            .map_err(|e| FaultMessage::new(e.code(), &e.to_string()))?;
        let _one_at_a_time = self.turn.lock().await;
        self.not_forked(of).await?;
        let held = self.ledger.witnessed(of).await.map_err(storage)?;
        let (size, root) = held
            .as_ref()
            .map_or_else(|| (0, Digest::of(b"")), |row| (row.size, row.root));
        if let Some(row) = &held
            && row.size == head.size
            && row.root != head.root
        {
            return Err(self
                .alarm(of, AlarmKind::Fork, &row.note, &add.checkpoint)
                .await);
        }
        let heard = self.heard(of, &keys.log).await?;
        let mut settles = self.is_bridge(of, &head);
        if let Some((earlier, note)) = &heard {
            if earlier.size == head.size && earlier.root != head.root {
                return Err(self.alarm(of, AlarmKind::Fork, note, &add.checkpoint).await);
            }
            settles |= earlier.size == head.size;
            if !settles && earlier.size == add.old && earlier.size != size {
                self.proved(of, (earlier, note), (&head, &add)).await?;
                if (size, root) == (head.size, head.root) {
                    return self.settle(of).await.map(|()| None);
                }
                // What it leads to has to continue what is held here, too.
                self.bridge(of, head.clone());
            }
        }
        if add.old != size {
            return Ok(Some(Frame::Held(
                held.map(|row| row.note).unwrap_or_default(),
            )));
        }
        let proved = proof::verify_consistency((size, &root), (head.size, &head.root), &add.proof);
        if let Err(e) = proved {
            if let Some(row) = &held {
                let kind = AlarmKind::Unproved;
                drop(self.alarm(of, kind, &row.note, &add.checkpoint).await);
            }
            return Err(FaultMessage::new(e.code(), &e.to_string()));
        }
        let line = self.cosign(of, head, add.checkpoint).await?;
        if settles {
            self.settle(of).await?;
        }
        Ok(Some(line))
    }

    /// Durable first, then said.
    async fn cosign(
        &self,
        of: &AuthorityId,
        head: Checkpoint,
        note: Vec<u8>,
    ) -> Result<Frame, FaultMessage> {
        let at = self.now();
        let row = WitnessedRow {
            of: of.clone(),
            size: head.size,
            root: head.root,
            note,
            at,
        };
        let ops = vec![Op::Witnessed(Box::new(row))];
        self.ledger.commit(ops).await.map_err(storage)?;
        self.heads.shows(of, (head.size, head.root));
        let off = || FaultMessage::new("no-witness", "this authority does not cosign");
        let key = self.key.get().ok_or_else(off)?;
        let seconds = u64::try_from(at.millis() / 1_000).unwrap_or_default();
        let line = cosignature::cosign(&head, seconds, key).encode();
        Ok(Frame::Cosignature(line.into_bytes()))
    }

    /// The proof that was asked for because of a head that somebody else holds.
    async fn proved(
        &self,
        of: &AuthorityId,
        (earlier, note): (&Checkpoint, &[u8]),
        (head, add): (&Checkpoint, &AddCheckpoint),
    ) -> Result<(), FaultMessage> {
        let (old, new) = ((earlier.size, &earlier.root), (head.size, &head.root));
        if proof::verify_consistency(old, new, &add.proof).is_ok() {
            return Ok(());
        }
        Err(self
            .alarm(of, AlarmKind::Unproved, note, &add.checkpoint)
            .await)
    }

    /// A head that was heard of is proved: it needs to be asked for no more.
    async fn settle(&self, of: &AuthorityId) -> Result<(), FaultMessage> {
        let heard = Op::Heard {
            of: of.clone(),
            note: None,
            at: self.now(),
        };
        self.ledger.commit(vec![heard]).await.map_err(storage)?;
        self.settled(of);
        self.changed.notify_one();
        Ok(())
    }

    /// A head of this peer's log that was heard of from others and waits for a proof.
    pub(crate) async fn heard(
        &self,
        of: &AuthorityId,
        key: &PublicKey,
    ) -> Result<Option<(Checkpoint, Vec<u8>)>, FaultMessage> {
        let note = self.ledger.heard(of).await.map_err(storage)?;
        Ok(note.and_then(|note| Some((Checkpoint::open(&note, key).ok()?, note))))
    }

    async fn not_forked(&self, of: &AuthorityId) -> Result<(), FaultMessage> {
        let alarm = self.ledger.alarm(of).await.map_err(storage)?;
        match alarm.map(|row| row.kind) {
            Some(AlarmKind::Fork) => Err(forked(of)),
            Some(AlarmKind::Unproved) | None => Ok(()),
        }
    }

    /// Keeps both checkpoints, and says so.
    pub(crate) async fn alarm(
        &self,
        of: &AuthorityId,
        kind: AlarmKind,
        earlier: &[u8],
        later: &[u8],
    ) -> FaultMessage {
        let row = AlarmRow {
            of: of.clone(),
            kind,
            earlier: earlier.to_vec(),
            later: later.to_vec(),
            at: self.now(),
        };
        tracing::error!(peer = %of, %kind, "two checkpoints of its log do not go together; both are kept, see: rogatory log status");
        let kept = self.ledger.commit(vec![Op::Alarm(Box::new(row))]).await;
        self.changed.notify_one();
        match (kept, kind) {
            (Err(e), _) => storage(e),
            (Ok(_), AlarmKind::Fork) => forked(of),
            (Ok(_), AlarmKind::Unproved) => FaultMessage::new(
                "log-unproved",
                &format!("the log of {of} is not proved to continue what was seen of it"),
            ),
        }
    }

    /// A cosignature on what we submitted.
    pub(crate) async fn cosigned(
        &self,
        by: &AuthorityId,
        bytes: &[u8],
        submitted: &Submission,
    ) -> Result<(), FaultMessage> {
        let keys = self.keys(by).ok_or_else(|| unknown(by))?;
        let malformed = || FaultMessage::new("cosignature-malformed", "not a signature line");
        let whole = [b"cosignature\n\n", bytes].concat();
        let (_, lines) = note::split(&whole, 1).map_err(|_| malformed())?;
        let line = lines.into_iter().next().ok_or_else(malformed)?;
        let seconds = cosignature::verify(&submitted.head, &line, &keys.witness)
            .map_err(|e| FaultMessage::new(e.code(), &e.to_string()))?;
        let millis = i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX);
        let at = Timestamp::from_millis(millis);
        let now = self.now();
        if at.distance_ms(now) > limits::CLOCK_SKEW_MS_MAX {
            let text = format!("cosigned at {at}, which is more than 5 minutes from {now}");
            return Err(FaultMessage::new("cosignature-time", &text));
        }
        let row = CosignedRow {
            by: by.clone(),
            size: submitted.head.size,
            note: submitted.note.clone(),
            line: line.encode(),
            at,
        };
        let ops = vec![Op::Cosigned(Box::new(row))];
        self.ledger.commit(ops).await.map_err(storage)?;
        self.changed.notify_one();
        Ok(())
    }

    /// A checkpoint of a third authority's log, or of ours, from somebody who has cosigned it.
    #[expect(
        clippy::similar_names,
        reason = "the head, the one held and the one heard of"
    )]
    pub(crate) async fn gossiped(&self, bytes: &[u8]) -> Result<(), FaultMessage> {
        let (head, _) =
            Checkpoint::parse(bytes).map_err(|e| FaultMessage::new(e.code(), &e.to_string()))?;
        let of = head.origin.strip_suffix("/log").map(str::parse);
        let Some(Ok(of)) = of else {
            return Ok(());
        };
        if of == self.own {
            return self.seen_of_ours(bytes).await.map(|_| ());
        }
        let Some(keys) = self.keys(&of) else {
            return Ok(());
        };
        let head = Checkpoint::open(bytes, &keys.log)
            .map_err(|e| FaultMessage::new(e.code(), &e.to_string()))?;
        let _one_at_a_time = self.turn.lock().await;
        if self.not_forked(&of).await.is_err() {
            return Ok(());
        }
        let held = self.ledger.witnessed(&of).await.map_err(storage)?;
        let held = held.map(|row| (row.size, row.root, row.note));
        let heard = self.heard(&of, &keys.log).await?;
        let heard = heard.map(|(head, note)| (head.size, head.root, note));
        let waits = heard.is_some();
        for (size, root, note) in held.into_iter().chain(heard) {
            if size == head.size && root != head.root {
                drop(self.alarm(&of, AlarmKind::Fork, &note, bytes).await);
                return Ok(());
            }
            if size == head.size {
                return Ok(());
            }
        }
        if waits {
            return Ok(());
        }
        let heard = Op::Heard {
            of,
            note: Some(bytes.to_vec()),
            at: self.now(),
        };
        self.ledger.commit(vec![heard]).await.map_err(storage)?;
        Ok(())
    }
}

fn forked(of: &AuthorityId) -> FaultMessage {
    let text = format!("the log of {of} has forked: two of its checkpoints of one size differ");
    FaultMessage::new("log-forked", &text)
}

#[cfg(test)]
mod tests;
