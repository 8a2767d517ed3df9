//! Whom a daemon calls after its start, and the calls.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::base::AuthorityId;
use crate::daemon::Daemon;
use crate::exchange::{Direction, Phase};
use crate::store::{PeerRow, PeerState, StoreFault};

/// Exchanges read at a time.
const PAGE: u32 = 1_000;

/// Whom to call after a start: witnesses, which know how long our log was, and peers whose packages are half received.
pub(crate) async fn whom(daemon: &Daemon) -> Result<BTreeSet<AuthorityId>, StoreFault> {
    let witnesses = daemon.station.ledger.cosigned().await?;
    let mut peers: BTreeSet<_> = witnesses.into_iter().map(|row| row.by).collect();
    for phase in [Phase::Receiving, Phase::Consigned, Phase::HandoverSigned] {
        let mut next = Some(None);
        while let Some(after) = next {
            let page =
                daemon
                    .station
                    .ledger
                    .exchanges(Some(Direction::In), Some(phase), PAGE, after);
            let (rows, more) = page.await?.into_parts();
            next = more.map(Some);
            peers.extend(rows.into_iter().map(|row| row.peer));
        }
    }
    Ok(peers)
}

/// After a restart: asks witnesses what they hold of our log, and shows the senders of half received packages that this
/// daemon is back, so that they go on at once.
pub(crate) async fn run(daemon: Arc<Daemon>, peers: BTreeSet<AuthorityId>) {
    let mut calls = JoinSet::new();
    for peer in peers {
        let accepted = |row: &PeerRow| row.state == PeerState::Accepted;
        let known = daemon.roster.by_id(&peer);
        if !known.is_some_and(|known| accepted(&known.row))
            || daemon.roster.session(&peer).is_some()
        {
            continue;
        }
        let daemon = Arc::clone(&daemon);
        calls.spawn(async move {
            if let Err(problem) = daemon.dial(&peer).await {
                tracing::info!(%peer, code = %problem.code, "not reached after the start; it will come by itself");
            }
        });
    }
    while calls.join_next().await.is_some() {}
}
