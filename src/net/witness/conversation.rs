//! The part of a connection that is about logs: says what is held, submits what has grown, passes on what others should
//! know.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::base::bucket::Bucket;
use crate::base::{AuthorityId, Digest, Hasher, Instant, limits};
use crate::net::witness::submission::Submission;
use crate::net::witness::watch::Watch;
use crate::store::AlarmKind;
use crate::tlog::Checkpoint;
use crate::wire::{FaultMessage, Frame};

/// How long an answer to a submission is awaited, in milliseconds.
const ANSWER_MS: u64 = 30_000;
/// Heads of others that are passed on from time to time: with all else that is said then, fewer than the other side
/// takes.
const GOSSIP_DUE_MAX: usize = 4;
/// How often a peer is asked to prove a head that somebody else holds, before that is an alarm.
const ASKS_MAX: u32 = 3;

/// A message about logs.
#[derive(Debug)]
pub(crate) enum AboutLogs {
    /// The checkpoint of our log that they hold.
    Held(Vec<u8>),
    /// A checkpoint of theirs, with its proof.
    AddCheckpoint(Vec<u8>),
    /// Their cosignature on ours.
    Cosignature(Vec<u8>),
    /// Whom they know.
    Knows(Vec<u8>),
    /// A checkpoint of somebody else.
    Gossip(Vec<u8>),
}

/// The state of one connection.
#[derive(Debug)]
pub(crate) struct Watching {
    watch: Arc<Watch>,
    peer: AuthorityId,
    /// Names the connection.
    session: Digest,
    /// The submission that was not answered yet, and its time.
    awaited: Option<(Submission, Instant)>,
    /// The size of our log that the peer is known to have cosigned or to hold.
    theirs: u64,
    /// Whom the peer knows, as it said.
    knows: HashSet<Digest>,
    /// Whom this side knows, as it said.
    said: Vec<AuthorityId>,
    /// The sizes of others' logs that it was told.
    told: HashMap<AuthorityId, u64>,
    /// How often it was asked to prove what was heard of it, since it last proved such a head; and how often it had by
    /// then.
    asks: u32,
    proofs: u64,
    frames: Bucket,
}

/// Frames that the peer may send: a burst of them, then one a second.
fn frames() -> Bucket {
    Bucket::new(1, limits::LOG_FRAMES_BURST)
}

impl Watching {
    /// The connection of this name to this peer.
    pub(crate) fn new(watch: Arc<Watch>, peer: AuthorityId, session: Digest) -> Self {
        Self {
            watch,
            peer,
            session,
            awaited: None,
            theirs: 0,
            knows: HashSet::new(),
            said: Vec::new(),
            told: HashMap::new(),
            asks: 0,
            proofs: 0,
            frames: frames(),
        }
    }

    /// The first messages, after hello and papers.
    pub(crate) async fn first(&mut self) -> Vec<Frame> {
        if !self.watch.is_on() {
            return Vec::new();
        }
        match self.watch.held(&self.peer).await {
            Ok(held) => vec![Frame::Held(held), self.say_known()],
            Err(fault) => vec![Frame::Fault(fault)],
        }
    }

    /// Whom this side knows.
    fn say_known(&mut self) -> Frame {
        self.said = self.known();
        let tags = self.said.iter().map(|name| self.tag(name));
        Frame::Knows(tags.flat_map(|tag| *tag.as_bytes()).collect())
    }

    /// The messages that are due now, from time to time.
    pub(crate) async fn due(&mut self, now: Instant) -> Vec<Frame> {
        if !self.watch.is_on() {
            return Vec::new();
        }
        let mut frames = Vec::new();
        let waits = |since: Instant| now.0.saturating_sub(since.0) < ANSWER_MS;
        let awaits = self
            .awaited
            .as_ref()
            .is_some_and(|(_, since)| waits(*since));
        if !awaits && self.watch.has_grown(self.theirs) {
            let made = self.watch.submission(self.theirs).await;
            frames.extend(self.submit(made, now));
        }
        // Somebody was accepted, or let go, since.
        if self.said != self.known() {
            frames.push(self.say_known());
        }
        frames.extend(self.gossip(GOSSIP_DUE_MAX).await);
        frames.extend(self.ask().await);
        frames
    }

    fn submit(&mut self, made: Result<Submission, FaultMessage>, now: Instant) -> Option<Frame> {
        match made {
            Ok(submission) => {
                let frame = submission.frame.clone();
                self.awaited = Some((submission, now));
                Some(frame)
            }
            Err(fault) if fault.code == "storage" => {
                tracing::error!("the log cannot be submitted: {}", fault.text);
                None
            }
            Err(fault) => Some(Frame::Fault(fault)),
        }
    }

    /// The newest heads of others that the peer knows too, at most so many of those that it was not told.
    async fn gossip(&mut self, most: usize) -> Vec<Frame> {
        let rows = match self.watch.witnessed_all().await {
            Ok(rows) => rows,
            Err(e) => {
                tracing::error!("the logs of others cannot be read: {e}");
                return Vec::new();
            }
        };
        let mut frames = Vec::new();
        for row in rows {
            let news = self.told.get(&row.of) != Some(&row.size);
            let theirs = row.of == self.peer;
            if news && !theirs && self.knows.contains(&self.tag(&row.of)) {
                self.told.insert(row.of, row.size);
                frames.push(Frame::Gossip(row.note));
            }
            if frames.len() == most {
                break;
            }
        }
        frames
    }

    /// Asks the peer to prove what was heard of its log; after several times without a proof that is an alarm.
    async fn ask(&mut self) -> Option<Frame> {
        let keys = self.watch.keys(&self.peer)?;
        let heard = self.watch.heard(&self.peer, &keys.log).await;
        let Some((_, note)) = heard.ok()? else {
            self.asks = 0;
            return None;
        };
        let proofs = self.watch.proofs(&self.peer);
        if self.proofs != proofs {
            // It has proved another one since: who tells us of heads faster than it can prove them does it no harm.
            (self.proofs, self.asks) = (proofs, 0);
        }
        if self.asks >= ASKS_MAX {
            self.unproved().await;
            return None;
        }
        self.asks = self.asks.saturating_add(1);
        Some(Frame::Held(note))
    }

    async fn unproved(&mut self) {
        let (watch, peer) = (&self.watch, &self.peer);
        let Some(keys) = watch.keys(peer) else {
            return;
        };
        if !watch.alarmed(peer).await.is_ok_and(|alarmed| !alarmed) {
            return;
        }
        if let (Ok(Some((_, heard))), Ok(held)) =
            (watch.heard(peer, &keys.log).await, watch.held(peer).await)
        {
            let kind = AlarmKind::Unproved;
            drop(watch.alarm(peer, kind, &held, &heard).await);
        }
    }

    /// Answers a message about logs.
    pub(crate) async fn answers(&mut self, said: AboutLogs, now: Instant) -> Vec<Frame> {
        if !self.watch.is_on() {
            return Vec::new();
        }
        if self.frames.take(now.0.saturating_mul(1_000), 1).is_err() {
            let text = "too many frames about logs in a row";
            return vec![Frame::Fault(FaultMessage::new("too-fast", text))];
        }
        let answer = match said {
            AboutLogs::Held(note) => {
                let made = self.watch.asked(&note).await;
                if let (Ok(_), Ok((head, _))) = (&made, Checkpoint::parse(&note)) {
                    self.theirs = self.theirs.max(head.size);
                }
                Ok(self.submit(made, now))
            }
            AboutLogs::AddCheckpoint(bytes) => self.watch.submitted(&self.peer, &bytes).await,
            AboutLogs::Cosignature(bytes) => self.cosigned(&bytes).await.map(|()| None),
            AboutLogs::Knows(tags) => {
                let (tags, _) = tags.as_chunks::<32>();
                // Said again, it is followed by no more than what is due at any time.
                let most = if self.knows.is_empty() {
                    limits::GOSSIP_HEADS_MAX
                } else {
                    GOSSIP_DUE_MAX
                };
                self.knows = tags.iter().map(|tag| Digest::from_bytes(*tag)).collect();
                return self.gossip(most).await;
            }
            AboutLogs::Gossip(note) => self.watch.gossiped(&note).await.map(|()| None),
        };
        match answer {
            Ok(frame) => frame.into_iter().collect(),
            Err(fault) => {
                tracing::warn!(peer = %self.peer, code = %fault.code, "about its log: {}", fault.text.escape_debug());
                vec![Frame::Fault(fault)]
            }
        }
    }

    /// The peer says that something of the above does not go.
    pub(crate) async fn refused(&mut self, fault: &FaultMessage) {
        if fault.code == "recovering" && self.asks > 0 {
            self.unproved().await;
        }
    }

    async fn cosigned(&mut self, bytes: &[u8]) -> Result<(), FaultMessage> {
        let nothing = || FaultMessage::new("cosignature-unasked", "nothing was submitted");
        let (submission, _) = self.awaited.as_ref().ok_or_else(nothing)?;
        self.watch.cosigned(&self.peer, bytes, submission).await?;
        self.theirs = self.theirs.max(submission.head.size);
        self.awaited = None;
        Ok(())
    }

    /// The authorities that are known here, as many as can be said.
    fn known(&self) -> Vec<AuthorityId> {
        let mut names = self.watch.names();
        names.sort_unstable();
        names.truncate(limits::KNOWN_AUTHORITIES_MAX);
        names
    }

    /// An authority's name on this connection: who does not know the name already learns nothing from it.
    fn tag(&self, name: &AuthorityId) -> Digest {
        let mut hasher = Hasher::new();
        hasher.update(b"rogatory/knows/v1\0");
        hasher.update(self.session.as_bytes());
        hasher.update(name.as_str().as_bytes());
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_frames_then_one_a_second() {
        let mut frames = frames();
        let mut taken = |from: u64, to: u64| {
            let ms = from..to;
            ms.filter(|ms| frames.take(ms * 1_000, 1).is_ok()).count()
        };
        assert_eq!(taken(0, 900), 64);
        assert_eq!(taken(900, 5_900), 5);
    }
    /// The messages of a day: those at first and then every ten seconds, with answers to a peer that does the same.
    #[test]
    fn an_honest_side_is_never_too_fast() {
        let mut bucket = frames();
        let at_first = 2 + 2 + limits::GOSSIP_HEADS_MAX;
        let then = GOSSIP_DUE_MAX + 2 + 1 + 2;
        for round in 0..8_640 {
            let frames = if round == 0 { at_first } else { then };
            let now_us = round * 10_000_000;
            let taken = (0..frames)
                .filter(|_| bucket.take(now_us, 1).is_ok())
                .count();
            assert_eq!(taken, frames, "round {round}");
        }
    }
}
