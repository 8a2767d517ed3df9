//! Peers by their names, and decisions about them: to pause one, to let it go on, to break with it, to forget it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::api::server::ApiFailure;
use crate::base::Timestamp;
use crate::daemon::Daemon;
use crate::daemon::packages::wish::check_justification;
use crate::daemon::peers::roster::KnownPeer;
use crate::daemon::process::log_rate::DECISION;
use crate::store::{Op, PeerState};

impl Daemon {
    /// The peer with this alias or id.
    pub(crate) fn peer(&self, name: &str) -> Result<Arc<KnownPeer>, ApiFailure> {
        self.roster.find(name).ok_or_else(|| unknown(name))
    }

    /// Pauses a peer, lets it go on, breaks with it for good, or forgets it; stated, with who decided it and why. The
    /// peer as it is then, or as it was.
    ///
    /// # Errors
    /// The state that it is in does not allow it.
    pub(crate) async fn decide_peer(
        self: &Arc<Self>,
        name: &str,
        decision: Decision,
        actor: &str,
        justification: &str,
    ) -> Result<Arc<KnownPeer>, ApiFailure> {
        check_justification(justification)?;
        let _one_at_a_time = self.peers.lock().await;
        let known = self.peer(name)?;
        let (id, now) = (known.row.id.clone(), self.station.clock());
        let state = decision.state();
        if state.is_some_and(|state| state == known.row.state) {
            let message = format!("{id} is {} already", known.row.state);
            return Err(ApiFailure::nothing("already-so", message).next("rogatory peer list"));
        }
        if !decision.may_follow(known.row.state) {
            let message = format!(
                "{id} is {}: it cannot be {}",
                known.row.state,
                decision.done()
            );
            return Err(ApiFailure::usage("peer-state", message).next("rogatory peer list"));
        }
        if decision == Decision::Remove {
            self.check_nothing_left(&known).await?;
        }
        let kept = Decided {
            state: decision.done().to_owned(),
            justification: justification.trim().to_owned(),
            by: actor.to_owned(),
            at: now,
        };
        let mut changes = vec![match state {
            Some(state) => Op::PeerState {
                id: id.clone(),
                state,
                at: known.row.accepted.unwrap_or(now),
            },
            None => Op::PeerDrop { id: id.clone() },
        }];
        if decision == Decision::Remove {
            changes.extend(self.bequeathed(&known));
        }
        let order = format!("peer-{}", decision.as_str());
        let ordered = self.order_with(&order, format!("peer/{id}"), &kept, changes);
        ordered.await?;
        tracing::warn!(target: DECISION, peer = %id, decision = decision.as_str(), "decided about a peer");
        self.reload_peers().await?;
        if decision == Decision::Resume {
            self.ring(&id);
        }
        Ok(self.roster.by_id(&id).unwrap_or(known))
    }

    /// Nothing of this peer is on its way, and nothing of it is held, here or there: whoever removes it loses no duty
    /// with it. From a peer that was broken with, nothing comes any more: of it, only what is held here counts.
    async fn check_nothing_left(&self, known: &KnownPeer) -> Result<(), ApiFailure> {
        let (id, is_revoked) = (&known.row.id, known.row.state == PeerState::Revoked);
        let left = self.station.ledger.unsettled(id, is_revoked).await?;
        if left == 0 {
            return Ok(());
        }
        let (packages, they) = match left {
            1 => ("1 package".to_owned(), "is held or on its way"),
            _ => (format!("{left} packages"), "are held or on their way"),
        };
        let message = format!(
            "{packages} from or to {id} {they}: until that is over, the terms bind, and the keys of {id} are needed"
        );
        Err(ApiFailure::usage("peer-in-use", message).next(
            "rogatory package list shows them; rogatory peer revoke breaks with it, whatever is held",
        ))
    }
}

/// No peer has this alias or id.
pub(crate) fn unknown(name: &str) -> ApiFailure {
    let message = format!("no peer is called {name:?}");
    ApiFailure::trust("unknown-peer", message).next("rogatory peer list")
}

/// A decision about a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Connections end, and none comes up.
    Pause,
    /// Connections may come up again.
    Resume,
    /// Never again: nothing is sent to it or taken from it any more.
    Revoke,
    /// Forgotten, but for its cards, with which what it signed is verified.
    Remove,
}

impl Decision {
    /// Every decision.
    pub(crate) const ALL: [Self; 4] = [Self::Pause, Self::Resume, Self::Revoke, Self::Remove];

    /// The verb.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Revoke => "revoke",
            Self::Remove => "remove",
        }
    }

    /// The peer's state then, in words.
    const fn done(self) -> &'static str {
        match self {
            Self::Pause => "paused",
            Self::Resume => "resumed",
            Self::Revoke => "revoked",
            Self::Remove => "removed",
        }
    }

    const fn state(self) -> Option<PeerState> {
        match self {
            Self::Pause => Some(PeerState::Paused),
            Self::Resume => Some(PeerState::Accepted),
            Self::Revoke => Some(PeerState::Revoked),
            Self::Remove => None,
        }
    }

    const fn may_follow(self, state: PeerState) -> bool {
        match self {
            Self::Pause => matches!(state, PeerState::Accepted),
            Self::Resume => matches!(state, PeerState::Paused),
            Self::Revoke => matches!(state, PeerState::Accepted | PeerState::Paused),
            Self::Remove => true,
        }
    }
}

/// The record of a decision about a peer.
#[derive(Debug, Serialize, Deserialize)]
struct Decided {
    /// The peer's state since.
    state: String,
    /// Why.
    justification: String,
    /// Who decided it.
    by: String,
    /// When.
    at: Timestamp,
}
