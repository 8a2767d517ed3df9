//! Sessions with peers that are remembered: a receipt that was signed on one of them may come on a later one.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use crate::base::{AuthorityId, Digest, json};
use crate::store::{CommitFault, Ledger, Op};

/// Sessions with one peer that are remembered.
const SESSIONS_MAX: usize = 256;

/// The newest sessions with each peer.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    by_peer: Mutex<HashMap<AuthorityId, VecDeque<Digest>>>,
    turn: tokio::sync::Mutex<()>,
}

fn key(peer: &AuthorityId) -> String {
    format!("sessions/{peer}")
}

impl Sessions {
    /// Whether there was such a session with this peer.
    pub(crate) async fn had(&self, ledger: &Ledger, peer: &AuthorityId, session: Digest) -> bool {
        let known = self.of(ledger, peer).await;
        known.contains(&session)
    }

    /// The newest sessions with this peer, oldest first; those before the start are read from the ledger once.
    async fn of(&self, ledger: &Ledger, peer: &AuthorityId) -> VecDeque<Digest> {
        let lock = || self.by_peer.lock().unwrap_or_else(PoisonError::into_inner);
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
        self.by_peer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(peer.clone(), known);
        match ledger.commit(vec![op]).await {
            // On a full disk it is known until this daemon ends.
            Ok(_) | Err(CommitFault::Full | CommitFault::Recovering) => {}
            Err(e) => tracing::warn!(%peer, "cannot keep the session: {e}"),
        }
    }
}
