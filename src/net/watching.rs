//! The part of a connection that is about logs: says what is held, submits what has grown, passes on what others should
//! know.

use std::collections::HashMap;
use std::collections::HashSet;

use crate::base::AuthorityId;
use crate::base::Digest;
use crate::base::Hasher;
use crate::base::Instant;
use crate::base::limits;
use crate::net::control::AboutLogs;
use crate::net::session::Session;
use crate::net::station::Station;
use crate::net::watch::Submission;
use crate::store::AlarmKind;
use crate::tlog::Checkpoint;
use crate::wire::Fault;
use crate::wire::Frame;

/// How long an answer to a submission is awaited, in milliseconds.
const ANSWER_MS: u64 = 30_000;
/// Heads of others that are passed on from time to time: with all else that is said then, fewer than the other side
/// takes.
const GOSSIP_DUE_MAX: usize = 4;
/// How often a peer is asked to prove a head that somebody else holds, before that is an alarm.
const ASKS_MAX: u32 = 3;

/// The state of one connection.
#[derive(Debug)]
pub(crate) struct Watching {
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
    spent: u64,
    since: Instant,
}

impl Watching {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            awaited: None,
            theirs: 0,
            knows: HashSet::new(),
            said: Vec::new(),
            told: HashMap::new(),
            asks: 0,
            proofs: 0,
            spent: 0,
            since: now,
        }
    }

    /// The first messages, after hello and papers.
    pub(crate) async fn first(&mut self, session: &Session) -> Vec<Frame> {
        let station = &session.station;
        if !station.watch.is_on() {
            return Vec::new();
        }
        match station.held(session.peer_id()).await {
            Ok(held) => vec![Frame::Held(held), self.say_known(session)],
            Err(fault) => vec![Frame::Fault(fault)],
        }
    }

    /// Whom this side knows.
    fn say_known(&mut self, session: &Session) -> Frame {
        self.said = known(session);
        let tags = self.said.iter().map(|name| tag(session, name));
        Frame::Knows(tags.flat_map(|tag| *tag.as_bytes()).collect())
    }

    /// The messages that are due now, from time to time.
    pub(crate) async fn due(&mut self, session: &Session) -> Vec<Frame> {
        let station = &session.station;
        if !station.watch.is_on() {
            return Vec::new();
        }
        let mut frames = Vec::new();
        let now = station.instant();
        let waits = |since: Instant| now.0.saturating_sub(since.0) < ANSWER_MS;
        let awaits = self
            .awaited
            .as_ref()
            .is_some_and(|(_, since)| waits(*since));
        let grown = station
            .ledger
            .head()
            .is_some_and(|head| head.size > self.theirs);
        if grown && !awaits && station.ledger.recovering().is_none() {
            frames.extend(self.submit(station, station.submission(self.theirs).await));
        }
        // Somebody was accepted, or let go, since.
        if self.said != known(session) {
            frames.push(self.say_known(session));
        }
        frames.extend(self.gossip(session, GOSSIP_DUE_MAX).await);
        frames.extend(self.ask(session).await);
        frames
    }

    fn submit(&mut self, station: &Station, made: Result<Submission, Fault>) -> Option<Frame> {
        match made {
            Ok(submission) => {
                let frame = submission.frame.clone();
                self.awaited = Some((submission, station.instant()));
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
    async fn gossip(&mut self, session: &Session, most: usize) -> Vec<Frame> {
        let rows = match session.station.ledger.witnessed_all().await {
            Ok(rows) => rows,
            Err(e) => {
                tracing::error!("the logs of others cannot be read: {e}");
                return Vec::new();
            }
        };
        let mut frames = Vec::new();
        for row in rows {
            let news = self.told.get(&row.of) != Some(&row.size);
            let theirs = row.of == *session.peer_id();
            if news && !theirs && self.knows.contains(&tag(session, &row.of)) {
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
    async fn ask(&mut self, session: &Session) -> Option<Frame> {
        let (station, peer) = (&session.station, session.peer_id());
        let keys = station.watch.keys(peer)?;
        let Some((_, note)) = station.heard(peer, &keys.log).await.ok()? else {
            self.asks = 0;
            return None;
        };
        let proofs = station.watch.proofs(peer);
        if self.proofs != proofs {
            // It has proved another one since: who tells us of heads faster than it can prove them does it no harm.
            (self.proofs, self.asks) = (proofs, 0);
        }
        if self.asks >= ASKS_MAX {
            self.unproved(session).await;
            return None;
        }
        self.asks = self.asks.saturating_add(1);
        Some(Frame::Held(note))
    }

    async fn unproved(&mut self, session: &Session) {
        let (station, peer) = (&session.station, session.peer_id());
        let Some(keys) = station.watch.keys(peer) else {
            return;
        };
        let known = station.ledger.alarm(peer).await;
        if !known.is_ok_and(|alarm| alarm.is_none()) {
            return;
        }
        if let (Ok(Some((_, heard))), Ok(held)) = (
            station.heard(peer, &keys.log).await,
            station.held(peer).await,
        ) {
            drop(
                station
                    .alarm(peer, AlarmKind::Unproved, &held, &heard)
                    .await,
            );
        }
    }

    /// Answers a message about logs.
    pub(crate) async fn answers(&mut self, session: &Session, said: AboutLogs) -> Vec<Frame> {
        let (station, peer) = (&session.station, session.peer_id());
        if !station.watch.is_on() {
            return Vec::new();
        }
        if !self.may(station.instant()) {
            let text = "too many frames about logs in a row";
            return vec![Frame::Fault(Fault::new("too-fast", text))];
        }
        let answer = match said {
            AboutLogs::Held(note) => {
                let made = station.asked(&note).await;
                if let (Ok(_), Ok((head, _))) = (&made, Checkpoint::parse(&note)) {
                    self.theirs = self.theirs.max(head.size);
                }
                Ok(self.submit(station, made))
            }
            AboutLogs::AddCheckpoint(bytes) => station.submitted(peer, &bytes).await,
            AboutLogs::Cosignature(bytes) => self.cosigned(session, &bytes).await.map(|()| None),
            AboutLogs::Knows(tags) => {
                let (tags, _) = tags.as_chunks::<32>();
                // Said again, it is followed by no more than what is due at any time.
                let most = if self.knows.is_empty() {
                    limits::GOSSIP_HEADS_MAX
                } else {
                    GOSSIP_DUE_MAX
                };
                self.knows = tags.iter().map(|tag| Digest::from_bytes(*tag)).collect();
                return self.gossip(session, most).await;
            }
            AboutLogs::Gossip(note) => station.gossiped(&note).await.map(|()| None),
        };
        match answer {
            Ok(frame) => frame.into_iter().collect(),
            Err(fault) => {
                tracing::warn!(%peer, code = %fault.code, "about its log: {}", fault.text.escape_debug());
                vec![Frame::Fault(fault)]
            }
        }
    }

    /// The peer says that something of the above does not go.
    pub(crate) async fn refused(&mut self, session: &Session, fault: &Fault) {
        if fault.code == "recovering" && self.asks > 0 {
            self.unproved(session).await;
        }
    }

    async fn cosigned(&mut self, session: &Session, bytes: &[u8]) -> Result<(), Fault> {
        let nothing = || Fault::new("cosignature-unasked", "nothing was submitted");
        let (submission, _) = self.awaited.as_ref().ok_or_else(nothing)?;
        let station = &session.station;
        station
            .cosigned(session.peer_id(), bytes, submission)
            .await?;
        self.theirs = self.theirs.max(submission.head.size);
        self.awaited = None;
        Ok(())
    }

    /// One more frame: a burst of them is taken, then one a second.
    fn may(&mut self, now: Instant) -> bool {
        let seconds = now.0.saturating_sub(self.since.0) / 1_000;
        self.spent = self.spent.saturating_sub(seconds);
        self.since = self.since.plus_ms(seconds.saturating_mul(1_000));
        let may = self.spent < limits::LOG_FRAMES_BURST;
        self.spent = self.spent.saturating_add(may.into());
        may
    }
}

/// The authorities that are known here, as many as can be said.
fn known(session: &Session) -> Vec<AuthorityId> {
    let mut names = session.station.watch.names();
    names.sort_unstable();
    names.truncate(limits::KNOWN_AUTHORITIES_MAX);
    names
}

/// An authority's name on this connection: who does not know the name already learns nothing from it.
fn tag(session: &Session, name: &AuthorityId) -> Digest {
    let mut hasher = Hasher::new();
    hasher.update(b"rogatory/knows/v1\0");
    hasher.update(session.link.session.as_bytes());
    hasher.update(name.as_str().as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_frames_then_one_a_second() {
        let mut watching = Watching::new(Instant(0));
        let mut taken =
            |from: u64, to: u64| (from..to).filter(|ms| watching.may(Instant(*ms))).count();
        assert_eq!(taken(0, 900), 64);
        assert_eq!(taken(900, 5_900), 5);
    }
    /// The messages of a day: those at first and then every ten seconds, with answers to a peer that does the same.
    #[test]
    fn an_honest_side_is_never_too_fast() {
        let mut watching = Watching::new(Instant(0));
        let at_first = 2 + 2 + limits::GOSSIP_HEADS_MAX;
        let then = GOSSIP_DUE_MAX + 2 + 1 + 2;
        for round in 0..8_640 {
            let frames = if round == 0 { at_first } else { then };
            let now = Instant(round * 10_000);
            let taken = (0..frames).filter(|_| watching.may(now)).count();
            assert_eq!(taken, frames, "round {round}");
        }
    }
}
