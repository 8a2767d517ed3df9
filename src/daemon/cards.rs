//! Cards of peers, adopted one after the other.
//!
//! What nobody has accepted stands beside what is in use and changes nothing. A newer card takes effect only if the key that
//! signed the accepted one has signed it too, or two people have compared its six words.

use std::sync::Arc;

use crate::api::server::ApiFailure;
use crate::api::types::Problem;
use crate::base::{Digest, Timestamp, limits};
use crate::daemon::Daemon;
use crate::daemon::roster::Known;
use crate::daemon::routes::stored;
use crate::daemon::statements::{commit_failure, unsigned};
use crate::identity::card::Card;
use crate::identity::statement::Note;
use crate::identity::words;
use crate::receipt::Kind;
use crate::store::{CardRow, FORKS, Op, PeerRow, PeerState, StoreFault};
use crate::transfer::Fault;

/// Just after every key that begins with [`FORKS`].
const FORKS_BELOW: &str = "fork0";
/// Proofs of two cards of one number that are kept of one peer.
const CONFLICTS_MAX: usize = 2;
/// Forks that `status` names.
const FORKS_SHOWN: u32 = 16;
/// A day, in milliseconds.
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// A card that came, and its note.
pub(crate) struct Came {
    pub(crate) card: Card,
    pub(crate) note: Note,
}

impl Came {
    pub(crate) fn open(bytes: &[u8]) -> Result<Self, crate::identity::card::CardFault> {
        let (card, note) = Card::open(bytes)?;
        Ok(Self { card, note })
    }

    fn digest(&self) -> Digest {
        self.note.text_digest()
    }

    /// Its row; `adopted` from now on, or not yet.
    pub(crate) fn row(&self, now: Timestamp, adopted: bool) -> Op {
        Op::CardPut(Box::new(CardRow {
            authority: self.card.id.clone(),
            digest: self.digest(),
            number: self.card.number,
            note: self.note.bytes().to_vec(),
            came: now,
            adopted: adopted.then_some(now),
        }))
    }

    /// The peer's row with this card in use.
    fn in_use(&self, known: &Known) -> PeerRow {
        PeerRow {
            card: self.note.bytes().to_vec(),
            number: self.card.number,
            ..known.row.clone()
        }
    }
}

/// What a card that came is beside the one in use.
pub(crate) enum Place {
    /// It is known: in use, or adopted before.
    Known,
    /// It follows the card in use of an accepted peer, by no more than [`limits::CARD_STEP_MAX`], and the same card key has
    /// signed it.
    Newer,
    /// The same card key has signed two cards of one number: a proof of its theft, or of a grave fault.
    Conflict,
    /// An older number than the one in use, by the same card key.
    Older,
    /// Another card key, a peer that is not accepted now, or a number far above: only its words say whose it is.
    Other,
}

impl Known {
    /// What this card is beside those that are known.
    pub(crate) fn place(&self, came: &Came) -> Place {
        let digest = came.digest();
        let is_known = |card: &Card| *card == came.card;
        if self.cards.iter().any(is_known) || self.card == came.card {
            return Place::Known;
        }
        if self
            .waiting
            .iter()
            .any(|row| row.digest == digest && row.number == self.row.number)
            && came.card.keys.card == self.card.keys.card
        {
            return Place::Conflict;
        }
        if came.card.keys.card != self.card.keys.card {
            Place::Other
        } else if came.card.number > self.row.number {
            let step = came.card.number.saturating_sub(self.row.number);
            let is_in_use = self.row.state == PeerState::Accepted;
            if is_in_use && step <= limits::CARD_STEP_MAX {
                Place::Newer
            } else {
                Place::Other
            }
        } else if self
            .cards
            .iter()
            .any(|card| card.number == came.card.number && card.keys.card == came.card.keys.card)
        {
            Place::Conflict
        } else {
            Place::Older
        }
    }

    /// Cards by its own card key of which there is another of the same number: proofs against it.
    pub(crate) fn conflicts(&self) -> impl Iterator<Item = &CardRow> {
        self.waiting.iter().filter(|row| {
            let by_same_key = |card: &Card| card.keys.card == self.card.keys.card;
            Card::open(&row.note).is_ok_and(|(card, _)| by_same_key(&card))
                && self.cards.iter().any(|card| card.number == row.number)
        })
    }
}

impl Daemon {
    /// The changes that adopt a newer card of this peer, which the card key of the one in use has signed.
    ///
    /// # Errors
    /// A peer may have so many adopted in a day, and no more.
    pub(crate) fn adopting(&self, known: &Known, came: &Came) -> Result<Vec<Op>, Fault> {
        let now = self.station.clock();
        let is_recent = |at: &&Timestamp| now.distance_ms(**at) < DAY_MS;
        let recent = known.adopted.iter().filter(is_recent).count();
        if recent >= limits::CARDS_A_DAY_MAX {
            let most = limits::CARDS_A_DAY_MAX;
            let text = format!("{most} cards of this peer were adopted within a day already");
            return Err(Fault::new("quota", text));
        }
        let stated = self
            .governance(Kind::CardAdopted, came.digest())
            .map_err(|e| Fault::new(e.code(), e.to_string()))?;
        let row = Box::new(came.in_use(known));
        Ok(vec![Op::PeerPut(row), came.row(now, true), stated])
    }

    /// The changes that keep a card which shows a second one of its number: the proof, and no connection until somebody has
    /// asked the peer.
    pub(crate) fn conflicting(&self, known: &Known, came: &Came) -> Vec<Op> {
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

    /// The changes that keep a card beside the one in use; of those that nobody has accepted, only the newest stay.
    fn waiting(&self, known: Option<&Known>, came: &Came) -> Vec<Op> {
        let mut ops = vec![came.row(self.station.clock(), false)];
        let mut rows: Vec<_> = known
            .map_or(&[][..], |known| &known.waiting)
            .iter()
            .collect();
        let proofs: Vec<_> = known.into_iter().flat_map(Known::conflicts).collect();
        rows.retain(|row| row.digest != came.digest() && !proofs.contains(row));
        rows.sort_by_key(|row| row.came);
        let most = limits::CARDS_WAITING_MAX.saturating_sub(1);
        let over = rows.len().saturating_sub(most);
        let drops = rows.into_iter().take(over).map(|row| Op::CardDrop {
            authority: row.authority.clone(),
            digest: row.digest,
        });
        ops.extend(drops);
        ops
    }

    /// Takes in a card: that of a new peer, a newer one of a peer, or one that stands beside the one in use until its words
    /// are compared.
    ///
    /// # Errors
    /// An older card, two cards of one number, an alias that is taken, and what the ledger says.
    pub(crate) async fn add_card(
        self: &Arc<Self>,
        came: &Came,
        crl: Option<(u64, Vec<u8>)>,
    ) -> Result<(), ApiFailure> {
        let _one_at_a_time = self.peers.lock().await;
        let Some(known) = self.roster.by_id(&came.card.id) else {
            self.check_alias(&came.card)?;
            let is_adopted = self.check_number(came).await?;
            let ops = self.new_peer(came, crl, is_adopted);
            return self.commit_peer(ops).await;
        };
        let mut row = known.row.clone();
        let mut ops = match known.place(came) {
            Place::Known if known.card != came.card => {
                let message = format!(
                    "card number {} was in use before number {}",
                    came.card.number, known.row.number
                );
                return Err(ApiFailure::trust("older-card", message).next(
                    "ask the peer for a card with a higher number, if it is to be in use again",
                ));
            }
            Place::Known => Vec::new(),
            Place::Conflict => {
                self.commit_peer(self.conflicting(&known, came)).await?;
                return Err(conflict(&known, came.card.number));
            }
            Place::Older => return Err(older(&known, came.card.number)),
            Place::Newer | Place::Other if known.row.state == PeerState::Added => {
                self.check_number(came).await?;
                self.exchanged(&known, came)
            }
            Place::Newer => {
                let ops = self.adopting(&known, came);
                ops.map_err(|fault| ApiFailure::temporary(&fault.code, fault.text))?
            }
            Place::Other if came.card.number <= known.row.number => {
                return Err(older(&known, came.card.number));
            }
            Place::Other => self.waiting(Some(&known), came),
        };
        if ops.iter().any(|op| matches!(op, Op::PeerPut(_))) {
            row = came.in_use(&known);
        }
        let is_in_use = row.card == came.note.bytes();
        match crl {
            Some((number, der)) if is_in_use && Some(number) >= row.crl_number => {
                let id = row.id.clone();
                let crl = der;
                ops.push(Op::PeerCrl { id, crl, number });
            }
            Some(_) | None => {}
        }
        self.commit_peer(ops).await
    }

    /// A peer of which nothing was accepted: the card that came last is the one to compare.
    fn exchanged(&self, known: &Known, came: &Came) -> Vec<Op> {
        let mut ops = self.waiting(Some(known), came);
        ops.insert(0, Op::PeerPut(Box::new(came.in_use(known))));
        ops
    }

    fn new_peer(&self, came: &Came, crl: Option<(u64, Vec<u8>)>, is_adopted: bool) -> Vec<Op> {
        let row = PeerRow {
            id: came.card.id.clone(),
            alias: came.card.alias.clone(),
            card: came.note.bytes().to_vec(),
            number: came.card.number,
            crl_number: crl.as_ref().map(|(number, _)| *number),
            crl: crl.map(|(_, der)| der),
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

    /// Whether this very card was adopted before. Of an authority of which cards were, any other has a higher number than each
    /// of them: a receipt names a card by its number.
    async fn check_number(&self, came: &Came) -> Result<bool, ApiFailure> {
        let rows = self.station.ledger.cards_of(&came.card.id).await;
        let rows = rows.map_err(|e| stored(&e))?;
        let mut adopted = rows.iter().filter(|row| row.adopted.is_some());
        let highest = adopted.clone().map(|row| row.number).max().unwrap_or(0);
        let is_adopted = adopted.any(|row| row.digest == came.digest());
        if is_adopted || came.card.number > highest {
            return Ok(is_adopted);
        }
        let message = format!(
            "card number {} is not above number {highest}, which was in use here",
            came.card.number
        );
        Err(ApiFailure::trust("older-card", message)
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
        known: &Known,
        fingerprint: &str,
    ) -> Result<(), ApiFailure> {
        let _one_at_a_time = self.peers.lock().await;
        let now_known = self.roster.by_id(&known.row.id);
        let known = now_known.as_deref().unwrap_or(known);
        if known.row.state == PeerState::Revoked {
            let message = format!("{} is revoked, for good", known.row.id);
            return Err(ApiFailure::usage("peer-state", message)
                .next("once nothing of it is held here: rogatory peer remove, then add a card of it with a higher number"));
        }
        let came = known.compared(fingerprint)?;
        if !known.would_adopt(fingerprint)? {
            return Ok(());
        }
        self.check_number(&came).await?;
        let now = self.station.clock();
        let row = PeerRow {
            state: PeerState::Accepted,
            accepted: Some(now),
            ..came.in_use(known)
        };
        let stated = self.governance(Kind::CardAdopted, came.digest());
        let stated = stated.map_err(|e| unsigned(&e))?;
        let row = Op::PeerPut(Box::new(row));
        self.commit_peer(vec![row, came.row(now, true), stated])
            .await?;
        tracing::info!(peer = %known.row.id, number = came.card.number, "a card was accepted by its words");
        self.ring(&known.row.id);
        Ok(())
    }

    async fn commit_peer(self: &Arc<Self>, ops: Vec<Op>) -> Result<(), ApiFailure> {
        if !ops.is_empty() {
            let committed = self.station.ledger.commit(ops).await;
            committed.map_err(commit_failure)?;
        }
        self.reload_peers().await.map_err(|e| stored(&e))
    }
}

impl Known {
    /// Whether accepting the card with these words changes whom this authority trusts.
    ///
    /// # Errors
    /// As for [`Daemon::accept_card`].
    pub(crate) fn would_adopt(&self, fingerprint: &str) -> Result<bool, ApiFailure> {
        let came = self.compared(fingerprint)?;
        Ok(self.row.state == PeerState::Added || self.card != came.card)
    }

    /// The card of this peer that has these six words.
    fn compared(&self, fingerprint: &str) -> Result<Came, ApiFailure> {
        let altered = |e: crate::identity::card::CardFault| {
            ApiFailure::mismatch("ledger-altered", e.to_string())
        };
        let notes = self.waiting.iter().rev().map(|row| row.note.as_slice());
        for note in std::iter::once(self.row.card.as_slice()).chain(notes) {
            let came = Came::open(note).map_err(altered)?;
            let is_proof = self.conflicts().any(|row| row.digest == came.digest());
            if !is_proof && words::matches(fingerprint, &came.digest()) {
                return Ok(came);
            }
        }
        let message = format!("these are not the six words of a card of {}", self.row.id);
        Err(ApiFailure::trust("fingerprint-mismatch", message)
            .next("do not accept it: compare again by telephone, on a number you know"))
    }
}

fn conflict(known: &Known, number: u64) -> ApiFailure {
    let message = format!(
        "the card key of {} has signed two cards of number {number}: it may be stolen; both are kept, and the peer is paused",
        known.row.id
    );
    ApiFailure::trust("card-conflict", message).next(format!(
        "ask the peer by telephone, on a number you know; then: rogatory peer resume {0} --justification TEXT, or: rogatory peer revoke {0} --justification TEXT",
        known.row.alias
    ))
}

fn older(known: &Known, number: u64) -> ApiFailure {
    let message = format!(
        "card number {number} is not above number {}, which is in use",
        known.row.number
    );
    ApiFailure::trust("older-card", message).next("ask the peer for its newest card")
}

impl Daemon {
    /// Packages of which the sender has signed changes of terms that exclude each other.
    pub(crate) async fn fork_problems(&self) -> Result<Vec<Problem>, StoreFault> {
        let kept = self
            .station
            .ledger
            .named(FORKS.to_owned(), FORKS_BELOW, Some(FORKS_SHOWN));
        let problems = kept.await?.into_iter().map(|(key, _)| {
            let package = key.strip_prefix(FORKS).unwrap_or_default().to_owned();
            let message = "its sender has signed two changes of terms that exclude each other: the first is in force, the other is kept as proof; ask the sender which it meant".to_owned();
            Problem {
                severity: "error".to_owned(),
                code: "follow-conflict".to_owned(),
                subject: package,
                message,
            }
        });
        Ok(problems.collect())
    }

    /// Cards that somebody has to look at, and peers that are paused.
    pub(crate) fn card_problems(&self) -> Vec<Problem> {
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
            let is_paused = known.row.state == PeerState::Paused;
            for card in known.conflicts().filter(|_| is_paused) {
                say(
                    "error",
                    "card-conflict",
                    format!(
                        "its card key has signed two cards of number {}: it may be stolen; ask it by telephone, then: rogatory peer resume {alias} --justification TEXT, or: rogatory peer revoke {alias} --justification TEXT",
                        card.number
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
