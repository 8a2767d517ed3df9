//! Waiting for many packages at once.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use tokio::time::{Instant, sleep_until};

use crate::api::server::ApiFailure;
use crate::api::types::{WAITED_AT_ONCE, WaitMany, Waited};
use crate::daemon::process::views;
use crate::daemon::routes::answer::{Answer, Shared};
use crate::daemon::routes::packages::{WAIT_MAX, settlement_of};
use crate::store::Reached;

/// The ledger is not asked more often than this.
const LOOK_EVERY: Duration = Duration::from_millis(25);

pub(super) async fn wait_all(
    State(daemon): Shared,
    Json(wait): Json<WaitMany>,
) -> Answer<Vec<Waited>> {
    if wait.ids.len() > WAITED_AT_ONCE {
        let message = format!("one call waits for at most {WAITED_AT_ONCE} packages");
        return Err(ApiFailure::usage("too-many-ids", message));
    }
    let until = Instant::now() + Duration::from_secs(wait.seconds).min(WAIT_MAX);
    let mut pending = wait.ids;
    let mut waited = Vec::with_capacity(pending.len());
    let ledger = &daemon.station.ledger;
    let mut settlements = ledger.settlements();
    loop {
        let next_look = Instant::now() + LOOK_EVERY;
        let standings = ledger.standings(pending.clone()).await?;
        let is_over = Instant::now() >= until;
        pending.clear();
        for reached in &standings {
            if reached.phase.is_settled() || is_over {
                waited.push(view(reached));
            } else {
                pending.push(reached.xid);
            }
        }
        let Some(last) = pending.last() else {
            return Ok(Json(waited));
        };
        settlement_of(&mut settlements, *last, until).await;
        sleep_until(next_look.min(until)).await;
    }
}

fn view(reached: &Reached) -> Waited {
    Waited {
        id: reached.xid,
        state: reached.phase.as_str().to_owned(),
        settled: reached.phase.is_settled(),
        fault: reached
            .ended_by
            .as_deref()
            .and_then(views::reason_of)
            .or_else(|| reached.fault.as_ref().map(views::fault)),
    }
}
