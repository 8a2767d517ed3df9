//! A countersignature is kept and leaves only if what it stands under is so: the receipt says nothing of our log that
//! is not true, contradicts nothing that its issuer has shown of its own, names a session that we had with it, and no
//! day to come. The terms, the package and the chain are the machines' business.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use crate::base::{AuthorityId, Digest, json, limits};
use crate::identity::statement::Note;
use crate::net::incoming::store_fault;
use crate::net::outbound::Attempt;
use crate::net::session::Session;
use crate::net::station::Station;
use crate::receipt::{self, Head, Kind, Receipt};
use crate::store::{CommitFault, Ledger, Op, StoreFault};
use crate::transfer::Fault;

/// Sessions with one peer that are remembered. A receipt that was signed on one of them may come on a later one.
const SESSIONS_MAX: usize = 256;
/// Heads of the own log that were found to be right, so that they are not computed again for each package.
const HEADS_MAX: usize = 16;

/// Sessions and heads that were seen to be so.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    sessions: Mutex<HashMap<AuthorityId, VecDeque<Digest>>>,
    heads: Mutex<VecDeque<(u64, Digest)>>,
    /// The newest head of each log that is cosigned here, as the ledger has it; `None` before the first.
    shown: Mutex<HashMap<AuthorityId, Option<(u64, Digest)>>>,
    turn: tokio::sync::Mutex<()>,
}

fn key(peer: &AuthorityId) -> String {
    format!("sessions/{peer}")
}

impl Remembered {
    /// Whether there was such a session with this peer.
    async fn had(&self, ledger: &Ledger, peer: &AuthorityId, session: Digest) -> bool {
        let known = self.of(ledger, peer).await;
        known.contains(&session)
    }

    /// The newest sessions with this peer, oldest first; those before the start are read from the ledger once.
    async fn of(&self, ledger: &Ledger, peer: &AuthorityId) -> VecDeque<Digest> {
        let lock = || self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(peer) {
            return known.clone();
        }
        let kept = ledger.meta(&key(peer)).await.ok().flatten();
        let kept = kept.and_then(|kept| serde_json::from_slice(&kept).ok());
        let kept: VecDeque<Digest> = kept.unwrap_or_default();
        lock().entry(peer.clone()).or_insert(kept).clone()
    }

    /// Remembers a session, also for after the next start.
    pub(crate) async fn remember(&self, ledger: &Ledger, peer: &AuthorityId, session: Digest) {
        // One after the other: of two connections that come up at once, both are kept.
        let _one_at_a_time = self.turn.lock().await;
        let mut known = self.of(ledger, peer).await;
        known.push_back(session);
        while known.len() > SESSIONS_MAX {
            known.pop_front();
        }
        let op = Op::Meta {
            key: key(peer),
            value: json::canonical(&known),
        };
        self.sessions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(peer.clone(), known);
        match ledger.commit(vec![op]).await {
            // On a full disk it is known until this daemon ends.
            Ok(_) | Err(CommitFault::Full | CommitFault::Recovering) => {}
            Err(e) => tracing::warn!(%peer, "cannot keep the session: {e}"),
        }
    }

    /// A head of this authority's log, size and root, was cosigned here.
    pub(crate) fn shows(&self, of: &AuthorityId, head: (u64, Digest)) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = shown.entry(of.clone()).or_default();
        if newest.is_none_or(|newest| newest.0 <= head.0) {
            *newest = Some(head);
        }
    }

    /// Size and root of the newest head of this authority's log that was cosigned here; read from the ledger once.
    async fn shown(
        &self,
        ledger: &Ledger,
        of: &AuthorityId,
    ) -> Result<Option<(u64, Digest)>, StoreFault> {
        let lock = || self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(newest) = lock().get(of) {
            return Ok(*newest);
        }
        let row = ledger.witnessed(of).await?;
        let newest = row.map(|row| (row.size, row.root));
        Ok(*lock().entry(of.clone()).or_insert(newest))
    }

    /// Whether the own log had this head.
    async fn is_ours(&self, station: &Station, head: &Head) -> Result<bool, Attempt> {
        let own = station.own_head();
        let asked = (head.size, head.root);
        let lock = || self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        if (own.size, own.root) == asked || lock().contains(&asked) {
            return Ok(true);
        }
        let root = station.ledger.root_at(head.size).await;
        if root.map_err(|e| store_fault(&e))? != Some(head.root) {
            return Ok(false);
        }
        let mut heads = lock();
        heads.push_back(asked);
        while heads.len() > HEADS_MAX {
            heads.pop_front();
        }
        Ok(true)
    }
}

/// Checks the heads that a receipt of the other side names: of our log, those that it had; of its own, no other than it
/// has shown.
///
/// # Errors
/// The inner one is the other side's fault; the outer one is of our own store.
pub(crate) async fn heads(
    session: &Session,
    receipt: &Receipt,
) -> Result<Result<(), Fault>, Attempt> {
    let (station, kind) = (&session.station, receipt.kind);
    let own = format!("{}/log", station.own.id);
    for head in &receipt.heads {
        let (size, root) = (head.size, head.root);
        if head.origin == own {
            if !station.countersigning.is_ours(station, head).await? {
                let text = format!(
                    "the {kind} says that our log had the root {root} at size {size}, and it had not"
                );
                return Ok(Err(Fault::new("not-our-head", text)));
            }
            continue;
        }
        let shown = station
            .countersigning
            .shown(&station.ledger, session.peer_id())
            .await;
        let shown = shown.map_err(|e| store_fault(&e))?;
        if shown.is_some_and(|shown| shown.0 == size && shown.1 != root) {
            let text = format!(
                "the {kind} names another root of its log at size {size} than it has shown"
            );
            return Ok(Err(Fault::new("head-contradicted", text)));
        }
    }
    Ok(Ok(()))
}

/// Checks a receipt of the other side that this authority countersigns; the receipt in the note.
///
/// # Errors
/// As for [`heads`].
pub(crate) async fn check(
    session: &Session,
    note: &Note,
) -> Result<Result<Receipt, Fault>, Attempt> {
    let receipt = match receipt::open(note) {
        Ok(receipt) => receipt,
        Err(e) => return Ok(Err(Fault::new(e.code(), e.to_string()))),
    };
    if let Err(fault) = heads(session, &receipt).await? {
        return Ok(Err(fault));
    }
    let station = &session.station;
    let now = station.clock();
    if receipt.t > now && receipt.t.distance_ms(now) > limits::CLOCK_SKEW_MS_MAX {
        let text = format!("the {} is dated {}, it is {now}", receipt.kind, receipt.t);
        return Ok(Err(Fault::new("clock-skew", text)));
    }
    let had = match receipt.ses {
        Some(ses) => {
            let (ledger, peer) = (&station.ledger, session.peer_id());
            ses == session.link.session || station.countersigning.had(ledger, peer, ses).await
        }
        // What is said of a package later is not signed on a connection.
        None => receipt.kind == Kind::Destroyed,
    };
    if had {
        return Ok(Ok(receipt));
    }
    let text = format!("the {} names no session that we had", receipt.kind);
    Ok(Err(Fault::new("not-our-session", text)))
}
