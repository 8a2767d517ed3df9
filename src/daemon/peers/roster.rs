//! The peers as the daemon sees them now: what the ledger says, and which connections are up.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use rustls_pki_types::CertificateDer;

use crate::base::{Alias, AuthorityId, Digest, Timestamp};
use crate::daemon::peers::card_note::CardNote;
use crate::daemon::peers::lists::Lists;
use crate::daemon::process::log_rate::DECISION;
use crate::identity::card::Card;
use crate::identity::trust::{PeerSide, Trust, TrustedPeer};
use crate::identity::{RevocationList, words};
use crate::net::session::Session;
use crate::net::witness::submission::LogKeys;
use crate::receipt::PartyKeys;
use crate::store::{Ledger, PeerRow, PeerState, StoreFault, StoredFault};

/// Why a peer could not be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DialProblem {
    pub(crate) code: String,
    pub(crate) text: String,
    /// Whether trust is the matter, on either side.
    pub(crate) trust: bool,
}

/// A peer of the ledger, with its card read.
#[derive(Debug, Clone)]
pub(crate) struct KnownPeer {
    pub(crate) row: PeerRow,
    pub(crate) card: Card,
    pub(crate) fingerprint: String,
    /// Every card of it that was adopted, oldest first, and when.
    pub(crate) adopted: Dated<Card>,
    /// The receipts keys of these cards; before the first is adopted, that of the card that was added.
    pub(crate) keys: Arc<PartyKeys>,
    /// Cards that nobody has accepted, beside the one in use, and when they came.
    pub(crate) waiting: Dated<CardNote>,
    /// The newest revocation list of each of its CAs, by CA; also of those on cards that wait.
    pub(crate) lists: Vec<RevocationList>,
    /// Newer lists of the same CAs that other authorities have brought.
    pub(crate) newer_lists: Vec<RevocationList>,
}

impl KnownPeer {
    /// It was heard then, unless it was heard later.
    fn seen(&mut self, at: Option<Timestamp>) {
        self.row.last_seen = self.row.last_seen.max(at);
    }

    /// The CAs of the card in use, and of those that wait.
    pub(crate) fn all_cas(&self) -> Vec<CertificateDer<'static>> {
        let waiting = self.waiting.iter().flat_map(|(_, it)| it.card.cas());
        self.card.cas().into_iter().chain(waiting).collect()
    }
}

#[derive(Debug, Default)]
struct Live {
    known: HashMap<AuthorityId, Arc<KnownPeer>>,
    /// The receipts keys of every authority of which a card was adopted, former peers among them.
    keys: HashMap<AuthorityId, Arc<PartyKeys>>,
    sessions: HashMap<AuthorityId, Vec<Session>>,
}

impl Live {
    /// Ends the connections with peers of which another card is in use than before: they go by that one's keys.
    fn end_changed(&self, before: &HashMap<AuthorityId, Arc<KnownPeer>>) {
        for (id, sessions) in &self.sessions {
            let cards = (before.get(id), self.known.get(id));
            let (Some(before), Some(now)) = (cards.0, cards.1) else {
                continue;
            };
            if (&before.card, &before.keys) != (&now.card, &now.keys) {
                for session in sessions {
                    session.end_soon("card-changed");
                }
            }
        }
    }
}

/// Peers and their connections. One owner of both: whoever needs one, asks here.
#[derive(Debug)]
pub(crate) struct Roster {
    own: AuthorityId,
    live: RwLock<Live>,
    /// One reading of the peers at a time.
    pub(crate) reloading: tokio::sync::Mutex<()>,
}

impl Roster {
    pub(crate) fn new(own: AuthorityId) -> Self {
        Self {
            own,
            live: RwLock::default(),
            reloading: tokio::sync::Mutex::default(),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the peers again; answers whom to trust from now on.
    pub(crate) async fn reload(
        &self,
        ledger: &Ledger,
        classic: &std::collections::BTreeSet<Alias>,
        now: Timestamp,
    ) -> Result<Trust, StoreFault> {
        let mut cards = Cards::read(ledger).await?;
        let before = self.read().known.clone();
        let mut lists = Lists::read(ledger, &before, now).await?;
        let keys = cards.keys();
        let mut known = HashMap::new();
        for row in ledger.peers().await? {
            match Card::open(&row.card) {
                Ok((card, note)) => {
                    let fingerprint = words::words(&note.text_digest());
                    let (adopted, waiting) = cards.take(&row.id, &note.text_digest());
                    let of_card = || Arc::new(PartyKeys::of(&card));
                    let keys = keys.get(&row.id).cloned().unwrap_or_else(of_card);
                    let id = row.id.clone();
                    let (lists, newer_lists) = lists.take(&id);
                    let mut peer = KnownPeer {
                        row,
                        card,
                        fingerprint,
                        adopted,
                        keys,
                        waiting,
                        lists,
                        newer_lists,
                    };
                    peer.seen(before.get(&id).and_then(|it| it.row.last_seen));
                    known.insert(id, Arc::new(peer));
                }
                Err(e) => {
                    tracing::error!(peer = %row.id, "its stored card is damaged, it is left out: {e}");
                }
            }
        }
        let trusted = known
            .values()
            .filter(|known| known.row.state == PeerState::Accepted);
        let trust = Trust::new(
            self.own.clone(),
            trusted.map(|known| trusted_peer(known, classic)).collect(),
        );
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut live.known, known);
        live.keys = keys;
        live.end_changed(&before);
        Ok(trust)
    }

    /// The receipts keys of an authority of which a card was adopted, be it a peer now or not any more.
    pub(crate) fn keys(&self, id: &AuthorityId) -> Option<Arc<PartyKeys>> {
        let live = self.read();
        live.keys.get(id).cloned()
    }

    /// The peer with this id.
    pub(crate) fn by_id(&self, id: &AuthorityId) -> Option<Arc<KnownPeer>> {
        self.live
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .known
            .get(id)
            .cloned()
    }

    /// The peer with this alias or id.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<KnownPeer>> {
        let live = self.read();
        live.known
            .values()
            .find(|known| known.row.alias.as_str() == name || known.row.id.as_str() == name)
            .cloned()
    }

    /// All peers, by alias.
    pub(crate) fn all(&self) -> Vec<Arc<KnownPeer>> {
        let mut all: Vec<_> = self.read().known.values().cloned().collect();
        all.sort_by(|a, b| a.row.alias.cmp(&b.row.alias));
        all
    }

    /// The keys of the logs that are watched: of every peer that was accepted, paused ones too.
    pub(crate) fn log_keys(&self) -> HashMap<AuthorityId, LogKeys> {
        let watched = [PeerState::Accepted, PeerState::Paused];
        let all = self.all().into_iter();
        let all = all.filter(|known| watched.contains(&known.row.state));
        let keys = |known: &KnownPeer| LogKeys {
            log: known.card.keys.log.clone(),
            witness: known.card.keys.witness.clone(),
        };
        all.map(|known| (known.row.id.clone(), keys(&known)))
            .collect()
    }

    /// A connection that is up, the newest first.
    pub(crate) fn session(&self, id: &AuthorityId) -> Option<Session> {
        let live = self.read();
        live.sessions
            .get(id)?
            .iter()
            .rev()
            .find(|session| session.is_up())
            .cloned()
    }

    /// A connection has come up; `false` where the peer has too many already.
    pub(crate) fn connected(&self, session: &Session, most: usize) -> bool {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        let sessions = live.sessions.entry(session.peer_id().clone()).or_default();
        sessions.retain(Session::is_up);
        if sessions.len() >= most {
            return false;
        }
        // If the peer has restarted, the older connections are dead without knowing it.
        sessions.iter().for_each(Session::probe);
        sessions.push(session.clone());
        // Another card may have been adopted while this connection came up: it would go by the keys of before.
        let known = live.known.get(session.peer_id());
        if known.is_some_and(|known| !session.goes_by(&known.keys)) {
            session.end_soon("card-changed");
        }
        true
    }

    /// A connection has ended, over which the peer was last heard then.
    pub(crate) fn disconnected(&self, session: &Session, heard: Timestamp) {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = live.known.get_mut(session.peer_id()) {
            Arc::make_mut(known).seen(Some(heard));
        }
        if let Some(sessions) = live.sessions.get_mut(session.peer_id()) {
            sessions.retain(|other| other.is_up() && !other.is_same(session));
        }
    }

    /// Ends connections whose certificates would no longer be taken: revoked, expired, peer no longer accepted.
    pub(crate) fn recheck(&self, trust: &Trust, now: Timestamp) {
        let live = self.read();
        for session in live.sessions.values().flatten() {
            let certificates = session.certificates();
            let Some((leaf, rest)) = certificates.split_first() else {
                continue;
            };
            let side = if session.link().inbound {
                PeerSide::Client
            } else {
                PeerSide::Server
            };
            if let Err(refusal) = trust.authenticate(leaf, rest, side, Some(session.peer_id()), now)
            {
                let known = live.known.get(session.peer_id());
                match known.filter(|known| known.row.state != PeerState::Accepted) {
                    Some(known) => {
                        tracing::info!(target: DECISION, peer = %session.peer_id(), state = %known.row.state, "connection ended: the peer is not accepted any more");
                    }
                    None => {
                        tracing::warn!(target: DECISION, peer = %session.peer_id(), code = refusal.code(), "connection cut: {refusal}");
                    }
                }
                session
                    .link()
                    .close(crate::net::session::CLOSE_FAULT, refusal.code());
            }
        }
    }

    /// Remembers how the last attempt to reach a peer went.
    pub(crate) fn note_fault(
        &self,
        id: &AuthorityId,
        problem: Option<&DialProblem>,
        at: Timestamp,
    ) {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = live.known.get_mut(id) {
            let known = Arc::make_mut(known);
            known.row.fault = problem.map(|p| StoredFault {
                code: p.code.clone(),
                text: p.text.clone(),
            });
            if problem.is_none() {
                known.seen(Some(at));
            }
        }
    }
}

type Dated<T> = Vec<(Timestamp, T)>;

/// The cards of all authorities, each with the time when it was adopted, or came.
#[derive(Default)]
struct Cards {
    adopted: HashMap<AuthorityId, Dated<Card>>,
    waiting: HashMap<AuthorityId, Dated<CardNote>>,
}

impl Cards {
    async fn read(ledger: &Ledger) -> Result<Self, StoreFault> {
        let mut cards = Self::default();
        for row in ledger.cards().await? {
            let id = row.authority;
            match (CardNote::open(&row.note), row.adopted) {
                (Ok(it), Some(at)) => cards.adopted.entry(id).or_default().push((at, it.card)),
                (Ok(it), None) => cards.waiting.entry(id).or_default().push((row.came, it)),
                (Err(e), _) => {
                    tracing::error!(peer = %id, number = row.number, "a stored card is damaged, it is left out: {e}");
                }
            }
        }
        Ok(cards)
    }

    fn keys(&self) -> HashMap<AuthorityId, Arc<PartyKeys>> {
        let keys = self.adopted.iter().filter_map(|(id, cards)| {
            let keys = PartyKeys::of_all(cards.iter().map(|(_, card)| card))?;
            Some((id.clone(), Arc::new(keys)))
        });
        keys.collect()
    }

    /// The adopted cards of one peer, and those that wait beside the one in use.
    fn take(&mut self, id: &AuthorityId, in_use: &Digest) -> (Dated<Card>, Dated<CardNote>) {
        let adopted = self.adopted.remove(id).unwrap_or_default();
        let mut waiting = self.waiting.remove(id).unwrap_or_default();
        waiting.retain(|(_, it)| it.digest() != *in_use);
        (adopted, waiting)
    }
}

fn trusted_peer(known: &KnownPeer, classic: &std::collections::BTreeSet<Alias>) -> TrustedPeer {
    let held = |lists: &[RevocationList]| lists.iter().map(RevocationList::held).collect();
    let (lists, others) = (held(&known.lists), held(&known.newer_lists));
    let is_classic = known.row.classic || classic.contains(&known.row.alias);
    TrustedPeer {
        others,
        ..known.card.trusted(lists, is_classic)
    }
}
