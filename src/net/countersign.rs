//! What is looked at before this authority adds its signature to a receipt of the other side: that the receipt says nothing of
//! our log that is not so, and names a session that we had with it. The terms, the package and the chain are the machines'
//! business.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use crate::base::{AuthorityId, Digest, json, limits};
use crate::identity::statement::Note;
use crate::net::incoming::store_fault;
use crate::net::outbound::Attempt;
use crate::net::session::Session;
use crate::net::station::Station;
use crate::receipt::{self, Head, Kind, Receipt};
use crate::store::{CommitFault, Ledger, Op, WitnessedRow};
use crate::transfer::Fault;

/// Sessions with one peer that are remembered. A receipt that was signed on one of them may come on a later one.
const SESSIONS_MAX: usize = 256;
/// Heads of the own log that were found to be right, so that they are not computed again for each package.
const HEADS_MAX: usize = 16;

/// What is remembered for that.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    sessions: Mutex<HashMap<AuthorityId, VecDeque<Digest>>>,
    heads: Mutex<VecDeque<(u64, Digest)>>,
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

/// What a receipt of the other side says of logs: of ours, only what is so, and of its own, nothing else than it has shown.
///
/// # Errors
/// What the other side did wrong; the outer one is of our own store.
pub(crate) async fn heads(
    session: &Session,
    receipt: &Receipt,
) -> Result<Result<(), Fault>, Attempt> {
    let (station, kind) = (&session.station, receipt.kind);
    let own = format!("{}/log", station.own.id);
    let shown = station.ledger.witnessed(session.peer_id()).await;
    let shown = shown.map_err(|e| store_fault(&e))?;
    for head in &receipt.heads {
        let (size, root) = (head.size, head.root);
        if head.origin == own && !station.countersigning.is_ours(station, head).await? {
            let text = format!(
                "the {kind} says that our log had the root {root} at size {size}, and it had not"
            );
            return Ok(Err(Fault::new("not-our-head", text)));
        }
        let is_other = |shown: &WitnessedRow| shown.size == size && shown.root != root;
        if head.origin != own && shown.as_ref().is_some_and(is_other) {
            let text = format!(
                "the {kind} names another root of its log at size {size} than it has shown"
            );
            return Ok(Err(Fault::new("head-contradicted", text)));
        }
    }
    Ok(Ok(()))
}

/// Looks at a receipt that this authority is to countersign.
///
/// # Errors
/// As for [`heads`].
pub(crate) async fn check(session: &Session, note: &Note) -> Result<Result<(), Fault>, Attempt> {
    let Ok(receipt) = receipt::open(note) else {
        // Whoever asked for it says what it is.
        return Ok(Ok(()));
    };
    if !receipt.kind.profile().countersigned {
        return Ok(Ok(()));
    }
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
        return Ok(Ok(()));
    }
    let text = format!("the {} names no session that we had", receipt.kind);
    Ok(Err(Fault::new("not-our-session", text)))
}
