//! The work that nobody asks for: checkpoints, renewal of own papers, the end of exchanges whose time is over.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::base::clock::SureTime;
use crate::daemon::Daemon;
use crate::daemon::process::log_rate::SUMS;
use crate::daemon::process::renewal;
use crate::daemon::process::run_state::{RunState, draining};
use crate::exchange::{Direction, Phase, Step};
use crate::identity::statement::Note;
use crate::receipt;
use crate::receipt::{Kind, Reason};
use crate::store::{Exchange, Op};

/// Exchanges read at a time.
const PAGE: u32 = 1_000;
/// How often a checkpoint is signed, if the log has grown.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(10);
/// How often the rest is looked at.
const SWEEP_EVERY: u32 = 6;
/// How often packages are looked for that may no longer be kept, in [`CHECKPOINT_EVERY`]: dates end with their day.
const RETENTION_EVERY: u32 = 360;

/// Works until the daemon drains.
pub(crate) async fn run(daemon: Arc<Daemon>) {
    let mut phase = daemon.phase();
    let mut round = 0_u32;
    loop {
        checkpoint(&daemon).await;
        tracing::info!(target: SUMS, "lines may have been left out");
        if round.is_multiple_of(SWEEP_EVERY) {
            sweep(&daemon).await;
        }
        // Not at once: statements on a restored backup would fork the log, and peers have to say so first.
        if round % SWEEP_EVERY == 1 {
            daemon.sweep_openings().await;
        }
        round = round.wrapping_add(1);
        if is_draining_after(CHECKPOINT_EVERY, &mut phase).await {
            break;
        }
    }
    checkpoint(&daemon).await;
}

/// Looks after retention until the daemon drains: apart from the rest, because destroying many packages takes long.
pub(crate) async fn look_after_retention(daemon: Arc<Daemon>) {
    let mut phase = daemon.phase();
    let mut round = 0_u32;
    // Not at once: statements on a restored backup would fork the log, and peers have to say so first.
    while !is_draining_after(CHECKPOINT_EVERY, &mut phase).await {
        if round.is_multiple_of(RETENTION_EVERY) || daemon.retention.take_stale() {
            daemon.look_after_retention().await;
        }
        round = round.wrapping_add(1);
    }
}

/// Waits; answers whether the daemon drains meanwhile.
async fn is_draining_after(wait: Duration, phase: &mut watch::Receiver<RunState>) -> bool {
    tokio::select! {
        () = tokio::time::sleep(wait) => false,
        () = draining(phase) => true,
    }
}

/// Signs a checkpoint, which writes nothing if the log has not grown; the ledger looks after its reserve on that
/// occasion.
async fn checkpoint(daemon: &Daemon) {
    let ledger = &daemon.station.ledger;
    if ledger.recovering().is_some() {
        return;
    }
    if let Err(e) = ledger.checkpoint().await {
        tracing::error!("no checkpoint could be signed: {e}");
    }
}

async fn sweep(daemon: &Arc<Daemon>) {
    let now = daemon.station.clock();
    for xid in daemon.seals.sweep(now) {
        if let Err(e) = daemon.station.blobs.remove(&xid) {
            tracing::warn!("cannot remove the bytes of an unused grant: {e}");
        }
    }
    if let Err(e) = renewal::renew_papers(daemon).await {
        tracing::error!("own certificate or revocation list could not be renewed: {e}");
    }
    if let Err(e) = daemon.reload_peers().await {
        tracing::error!("cannot read the peers: {e}");
    }
    let sure = daemon.sure();
    if let (Ok(sure), None) = (sure, daemon.station.ledger.recovering()) {
        expire(daemon, sure).await;
    }
}

/// States `expired` for what could not be consigned in the configured time, or whose terms have ended.
async fn expire(daemon: &Daemon, now: SureTime) {
    let ledger = &daemon.station.ledger;
    let mut next = Some(None);
    while let Some(after) = next {
        let waiting = ledger.exchanges(Some(Direction::Out), Some(Phase::Dispatched), PAGE, after);
        let (waiting, more) = match waiting.await {
            Ok(page) => page.into_parts(),
            Err(e) => return tracing::error!("cannot read the outbox: {e}"),
        };
        next = more.map(Some);
        for exchange in waiting {
            if let Some(reason) = over(daemon, &exchange, now) {
                give_up(daemon, &exchange, reason).await;
            }
        }
    }
}

async fn give_up(daemon: &Daemon, exchange: &Exchange, reason: Reason) {
    let code = reason.code.clone();
    match expired(daemon, exchange, reason) {
        Ok(ops) => match daemon.station.ledger.commit(ops).await {
            Ok(_) => {
                tracing::warn!(xid = %exchange.xid, code, "given up: the package was not consigned in time");
            }
            Err(e) => tracing::warn!(xid = %exchange.xid, "cannot give the package up: {e}"),
        },
        Err(e) => {
            tracing::error!(xid = %exchange.xid, "cannot state that the package expired: {e}");
        }
    }
    daemon.ring(&exchange.peer);
}

fn over(daemon: &Daemon, exchange: &Exchange, now: SureTime) -> Option<Reason> {
    let now = now.at();
    let retry_for =
        u64::try_from(daemon.config.limits.transfer_retry_for.as_millis()).unwrap_or(u64::MAX);
    if now > exchange.created && now.distance_ms(exchange.created) > retry_for {
        return Some(Reason::technical("retry-time-over"));
    }
    let terms: crate::policy::terms::Terms = serde_json::from_str(&exchange.terms).ok()?;
    (terms.usable_until() < now).then(|| Reason::technical("terms-ended"))
}

fn expired(daemon: &Daemon, exchange: &Exchange, reason: Reason) -> Result<Vec<Op>, String> {
    let dispatch = Note::parse(&exchange.last_note).map_err(|e| e.to_string())?;
    let earlier = receipt::open(&dispatch).map_err(|e| e.to_string())?;
    let next = earlier
        .follow(&dispatch, Kind::Expired)
        .stamped(&daemon.stamp())
        .because(reason);
    let note = daemon.sign(next).map_err(|e| e.to_string())?;
    let (xid, at) = (exchange.xid, daemon.station.clock());
    let last_note = Some(note.bytes().to_vec());
    Ok(vec![
        daemon.logged(Some(xid), Kind::Expired, &note),
        Op::Advance {
            xid,
            step: Step::Signed(Kind::Expired),
            last_note,
            at,
        },
        Op::Shred { xid },
    ])
}
