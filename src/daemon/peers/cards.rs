//! Cards of peers, adopted one after the other.
//!
//! A card that nobody has accepted stands beside the one in use and changes nothing. A newer card takes effect only if
//! the key that signed the accepted one has signed it too, or two people have compared its six words.

use std::sync::Arc;

use crate::api::server::ApiFailure;
use crate::api::types::Problem;
use crate::base::{Timestamp, limits};
use crate::daemon::Daemon;
use crate::daemon::peers::card_note::CardNote;
use crate::daemon::peers::lists::By;
use crate::daemon::peers::roster::KnownPeer;
use crate::daemon::process::log_rate::DECISION;
use crate::identity::card::Card;
use crate::identity::revocation::RevocationList;
use crate::identity::words;
use crate::receipt::Kind;
use crate::store::{Op, PeerRow, PeerState};
use crate::transfer::Fault;

/// Proofs of two cards of one number that are kept of one peer.
const CONFLICTS_MAX: usize = 2;
/// A day, in milliseconds.
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// The place of a card that came beside the one in use.
pub(crate) enum Place {
    /// It is known: in use, or adopted before.
    Known,
    /// It follows the card in use of an accepted peer, by no more than [`limits::CARD_STEP_MAX`], and the same card key
    /// has signed it.
    Newer,
    /// The same card key has signed two cards of one number: a proof of its theft, or of a grave fault.
    Conflict,
    /// An older number than the one in use, by the same card key.
    Older,
    /// Another card key, a peer that is not accepted now, or a number far above: only its words say whose it is.
    Other,
}

impl KnownPeer {
    /// The row of this peer with this card in use.
    fn with(&self, came: &CardNote) -> PeerRow {
        PeerRow {
            card: came.note.bytes().to_vec(),
            number: came.card.number,
            ..self.row.clone()
        }
    }

    /// The place of this card beside those that are known.
    pub(crate) fn place(&self, came: &CardNote) -> Place {
        let (card, number) = (&came.card, came.card.number);
        if self.card == *card || self.adopted.iter().any(|(_, known)| known == card) {
            Place::Known
        } else if self.is_contradicted_by(card) {
            Place::Conflict
        } else if card.keys.card != self.card.keys.card {
            Place::Other
        } else if number <= self.row.number {
            Place::Older
        } else if self.row.state == PeerState::Accepted
            && number.saturating_sub(self.row.number) <= limits::CARD_STEP_MAX
        {
            Place::Newer
        } else {
            Place::Other
        }
    }

    /// Whether the card key of the card in use has signed this one, and another one of its number that was adopted.
    pub(crate) fn is_contradicted_by(&self, card: &Card) -> bool {
        let key = &self.card.keys.card;
        let is_twin =
            |known: &Card| known != card && known.number == card.number && known.keys.card == *key;
        card.keys.card == *key && self.adopted.iter().any(|(_, known)| is_twin(known))
    }

    /// Waiting cards that contradict an adopted one: proofs against the peer's card key.
    pub(crate) fn conflicts(&self) -> impl Iterator<Item = &CardNote> {
        let waiting = self.waiting.iter().map(|(_, it)| it);
        waiting.filter(|it| self.is_contradicted_by(&it.card))
    }

    /// Waiting cards that somebody may accept, the oldest first.
    fn acceptable(&self) -> impl DoubleEndedIterator<Item = &CardNote> {
        let waiting = self.waiting.iter().map(|(_, it)| it);
        waiting.filter(|it| !self.is_contradicted_by(&it.card))
    }
}

impl Daemon {
    /// The changes that adopt a newer card of this peer, which the card key of the one in use has signed.
    ///
    /// # Errors
    /// A peer may have so many adopted in a day, and no more.
    pub(crate) fn adopting(&self, known: &KnownPeer, came: &CardNote) -> Result<Vec<Op>, Fault> {
        let now = self.station.clock();
        let is_recent = |(at, _): &&(Timestamp, Card)| now.distance_ms(*at) < DAY_MS;
        let recent = known.adopted.iter().filter(is_recent).count();
        if recent >= limits::CARDS_A_DAY_MAX {
            let most = limits::CARDS_A_DAY_MAX;
            let text = format!("{most} cards of this peer were adopted within a day already");
            return Err(Fault::new("quota", text));
        }
        let stated = self
            .governance(Kind::CardAdopted, came.digest())
            .map_err(|e| Fault::new(e.code(), e.to_string()))?;
        let row = Box::new(known.with(came));
        Ok(vec![Op::PeerPut(row), came.row(now, true), stated])
    }

    /// The changes that keep a card which shows a second one of its number: the proof, and no connection until somebody
    /// has asked the peer.
    pub(crate) fn conflicting(&self, known: &KnownPeer, came: &CardNote) -> Vec<Op> {
        let now = self.station.clock();
        tracing::error!(
            peer = %known.row.id, number = came.card.number,
            "its card key has signed two cards of one number: it may be stolen; the peer is paused, both cards are kept"
        );
        let mut ops = Vec::new();
        if known.conflicts().count() < CONFLICTS_MAX {
            ops.push(came.row(now, false));
        }
        if known.row.state == PeerState::Accepted {
            ops.push(Op::PeerState {
                id: known.row.id.clone(),
                state: PeerState::Paused,
                at: now,
            });
        }
        ops
    }

    /// The changes that keep a card beside the one in use; of those that may be accepted, only the newest stay.
    fn waiting(&self, known: Option<&KnownPeer>, came: &CardNote) -> Vec<Op> {
        let mut ops = vec![came.row(self.station.clock(), false)];
        let others = known.into_iter().flat_map(|known| &known.waiting);
        let mut others: Vec<_> = others
            .filter(|(_, it)| known.is_some_and(|known| !known.is_contradicted_by(&it.card)))
            .filter(|(_, it)| it.digest() != came.digest())
            .collect();
        others.sort_by_key(|(at, _)| *at);
        let over = (others.len() + 1).saturating_sub(limits::CARDS_WAITING_MAX);
        ops.extend(others.iter().take(over).map(|(_, it)| Op::CardDrop {
            authority: it.card.id.clone(),
            digest: it.digest(),
        }));
        ops
    }

    /// Takes in a card: that of a new peer, a newer one of a peer, or one that stands beside the one in use until its
    /// words are compared.
    ///
    /// # Errors
    /// An older card, two cards of one number, an alias that is taken, and what the ledger says.
    pub(crate) async fn add_card(
        self: &Arc<Self>,
        came: &CardNote,
        lists: Vec<RevocationList>,
    ) -> Result<(), ApiFailure> {
        let _one_at_a_time = self.peers.lock().await;
        let Some(known) = self.roster.by_id(&came.card.id) else {
            self.check_alias(&came.card)?;
            let is_adopted = self.check_number(came).await?;
            let mut ops = self.new_peer(came, is_adopted);
            let kept = self.keeping(None, &came.card.id, &lists, By::Operator);
            ops.extend(kept.map_err(|fault| ApiFailure::temporary(&fault.code, fault.text))?);
            return self.commit_peer(ops).await;
        };
        let is_new = known.row.state == PeerState::Added;
        let mut ops = match known.place(came) {
            Place::Known if known.card == came.card => Vec::new(),
            Place::Known => {
                let message = format!(
                    "card number {} was in use before number {}",
                    came.card.number, known.row.number
                );
                return Err(ApiFailure::trust("older-card", message).next(
                    "ask the peer for a card with a higher number, if it is to be in use again",
                ));
            }
            Place::Conflict => {
                self.commit_peer(self.conflicting(&known, came)).await?;
                return Err(conflict(&known, came.card.number));
            }
            Place::Older => {
                return Err(not_above(came.card.number, known.row.number)
                    .next("ask the peer for its newest card"));
            }
            Place::Newer => {
                let ops = self.adopting(&known, came);
                let ops = ops.map_err(|fault| ApiFailure::temporary(&fault.code, fault.text));
                ops?
            }
            Place::Other => {
                self.check_number(came).await?;
                let mut ops = self.waiting(Some(&known), came);
                if is_new {
                    // Of a peer of which nothing was accepted, the card that came last is the one to compare.
                    ops.insert(0, Op::PeerPut(Box::new(known.with(came))));
                }
                ops
            }
        };
        // Also those of a card that waits: each is known by its CA, and is there once the card is accepted.
        let now = self.station.clock();
        let lists = lists.into_iter().filter(|list| !known.has_newer(list, now));
        let lists: Vec<_> = lists.collect();
        let kept = self.keeping(Some(&known), &known.row.id, &lists, By::Operator);
        ops.extend(kept.map_err(|fault| ApiFailure::temporary(&fault.code, fault.text))?);
        self.commit_peer(ops).await
    }

    fn new_peer(&self, came: &CardNote, is_adopted: bool) -> Vec<Op> {
        let row = PeerRow {
            id: came.card.id.clone(),
            alias: came.card.alias.clone(),
            card: came.note.bytes().to_vec(),
            number: came.card.number,
            state: PeerState::Added,
            classic: false,
            added: self.station.clock(),
            accepted: None,
            last_seen: None,
            head: None,
            fault: None,
        };
        // A card of a former peer that was adopted then stays so: it judges what was signed under it.
        let mut ops = if is_adopted {
            Vec::new()
        } else {
            self.waiting(None, came)
        };
        ops.insert(0, Op::PeerPut(Box::new(row)));
        ops
    }

    /// Whether this very card was adopted before. Of an authority of which cards were, any other has a higher number
    /// than each of them: a receipt names a card by its number.
    async fn check_number(&self, came: &CardNote) -> Result<bool, ApiFailure> {
        let rows = self.station.ledger.cards_of(&came.card.id).await?;
        let mut adopted = rows.iter().filter(|row| row.adopted.is_some());
        let highest = adopted.clone().map(|row| row.number).max().unwrap_or(0);
        let is_adopted = adopted.any(|row| row.digest == came.digest());
        if is_adopted || came.card.number > highest {
            return Ok(is_adopted);
        }
        Err(not_above(came.card.number, highest)
            .next("ask the peer for a card with a higher number"))
    }

    fn check_alias(&self, card: &Card) -> Result<(), ApiFailure> {
        let all = self.roster.all();
        let mut others = all.iter().filter(|known| known.row.id != card.id);
        if others.all(|known| known.row.alias != card.alias) {
            return Ok(());
        }
        let message = format!("another peer is called {} here already", card.alias);
        Err(ApiFailure::usage("alias-taken", message)
            .next("ask the peer for a card with another alias"))
    }

    /// Trusts a card whose six words were compared.
    ///
    /// # Errors
    /// These are the words of no card that waits or is in use.
    pub(crate) async fn accept_card(
        self: &Arc<Self>,
        name: &str,
        fingerprint: &str,
    ) -> Result<Arc<KnownPeer>, ApiFailure> {
        let _one_at_a_time = self.peers.lock().await;
        let known = self.peer(name)?;
        if known.row.state == PeerState::Revoked {
            let message = format!("{} is revoked, for good", known.row.id);
            return Err(ApiFailure::usage("peer-state", message).next(
                "once nothing of it is held here: rogatory peer remove, then add its card anew",
            ));
        }
        let came = known.compared(fingerprint)?;
        if !known.would_adopt(&came) {
            return Ok(known);
        }
        self.check_number(&came).await?;
        let now = self.station.clock();
        let row = PeerRow {
            state: PeerState::Accepted,
            accepted: Some(now),
            ..known.with(&came)
        };
        let stated = self.governance(Kind::CardAdopted, came.digest())?;
        let row = Op::PeerPut(Box::new(row));
        self.commit_peer(vec![row, came.row(now, true), stated])
            .await?;
        tracing::info!(target: DECISION, peer = %known.row.id, number = came.card.number, "a card was accepted by its words");
        self.ring(&known.row.id);
        self.peer(name)
    }

    async fn commit_peer(self: &Arc<Self>, ops: Vec<Op>) -> Result<(), ApiFailure> {
        if !ops.is_empty() {
            self.station.ledger.commit(ops).await?;
        }
        self.reload_peers().await.map_err(ApiFailure::from)
    }
}

impl KnownPeer {
    /// Whether accepting this card changes whom this authority trusts.
    pub(crate) fn would_adopt(&self, came: &CardNote) -> bool {
        self.row.state == PeerState::Added || self.card != came.card
    }

    /// The card of this peer that has these six words: the one in use, or one that waits.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn compared(&self, fingerprint: &str) -> Result<CardNote, ApiFailure> {
        let in_use = CardNote::open(&self.row.card);
        let in_use = in_use.map_err(|e| ApiFailure::mismatch("ledger-altered", e.to_string()))?;
        let mut all = std::iter::once(&in_use).chain(self.acceptable().rev());
        let found = all.find(|it| words::matches(fingerprint, &it.digest()));
        let message = || format!("these are not the six words of a card of {}", self.row.id);
        found.cloned().ok_or_else(|| {
            ApiFailure::trust("fingerprint-mismatch", message())
                .next("do not accept it: compare again by telephone, on a number you know")
        })
    }
}

fn conflict(known: &KnownPeer, number: u64) -> ApiFailure {
    let message = format!(
        "the card key of {} has signed two cards of number {number}: it may be stolen; both are kept, and the peer is paused",
        known.row.id
    );
    ApiFailure::trust("card-conflict", message).next(format!(
        "ask the peer by telephone, on a number you know; then: rogatory peer resume {0} --justification TEXT, or: rogatory peer revoke {0} --justification TEXT",
        known.row.alias
    ))
}

fn not_above(number: u64, highest: u64) -> ApiFailure {
    let message = format!("card number {number} is not above number {highest}, which was adopted");
    ApiFailure::trust("older-card", message)
}

impl Daemon {
    /// Cards that somebody has to look at, peers that are paused, and those that have come up to a limit.
    pub(crate) fn peer_problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for known in self.roster.all() {
            let alias = &known.row.alias;
            let mut say = |severity: &str, code: &str, message: String| {
                problems.push(Problem {
                    severity: severity.to_owned(),
                    code: code.to_owned(),
                    subject: alias.to_string(),
                    message,
                });
            };
            let share = self.station.share(&known.row.id);
            for limit in share.spent(self.station.micros()) {
                say(
                    "warning",
                    "peer-quota",
                    format!(
                        "it has come up to {limit}: what it offers waits; rogatory peer show {alias} says what it has used"
                    ),
                );
            }
            let is_paused = known.row.state == PeerState::Paused;
            for it in known.conflicts().filter(|_| is_paused) {
                say(
                    "error",
                    "card-conflict",
                    format!(
                        "its card key has signed two cards of number {}: it may be stolen; ask it by telephone, then: rogatory peer resume {alias} --justification TEXT, or: rogatory peer revoke {alias} --justification TEXT",
                        it.card.number
                    ),
                );
            }
            let has_conflict = known.conflicts().next().is_some();
            if is_paused && !has_conflict {
                say(
                    "warning",
                    "peer-paused",
                    format!(
                        "paused: no connection comes up until: rogatory peer resume {alias} --justification TEXT"
                    ),
                );
            }
            if !matches!(known.row.state, PeerState::Added | PeerState::Revoked)
                && !has_conflict
                && !known.waiting.is_empty()
            {
                say(
                    "warning",
                    "card-not-accepted",
                    format!(
                        "another card of it was added and is not in use: compare its six words by telephone, then: rogatory peer accept {alias}; rogatory peer show {alias} shows it"
                    ),
                );
            }
        }
        problems
    }
}
