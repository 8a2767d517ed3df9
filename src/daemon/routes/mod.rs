//! The calls of the local API.

mod answer;
mod approvals;
mod cases;
mod clock;
mod consents;
mod doors;
mod onward;
mod packages;
pub(crate) mod peers;
mod policies;
mod receipts;
mod retention;
mod sending;
mod waiting;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};

use crate::api::server::ApiFailure;
use crate::api::types::Status;
use crate::daemon::Daemon;
use crate::daemon::packages::age_file;
use crate::daemon::routes::answer::{Answer, Shared};
use crate::daemon::routes::doors::{
    ANY, Doors, EVIDENCE, OPERATION, POLICY, RECORDS, SUPERVISION, WORK,
};

/// All calls. What belongs to an opening or a seal is for whoever was granted it.
pub(crate) fn routes(daemon: Arc<Daemon>) -> Router {
    let whole = DefaultBodyLimit::max(age_file::WHOLE_BYTES_MAX);
    let doors = Doors::new(&daemon)
        .door("/v1/status", ANY, get(status))
        .door("/v1/card", ANY, get(peers::card))
        .door("/v1/peers", ANY, get(peers::list))
        .door("/v1/peers", OPERATION, post(peers::add))
        .door("/v1/peers/{peer}", ANY, get(peers::show))
        .door("/v1/peers/{peer}/accept", OPERATION, post(peers::accept))
        .door("/v1/peers/{peer}/ping", WORK, post(peers::ping))
        .door("/v1/seals", EVIDENCE, post(sending::grant))
        .door("/v1/seals/many", EVIDENCE, post(sending::grants))
        .door("/v1/seals/{grant}", EVIDENCE, delete(sending::give_up))
        .door(
            "/v1/seals/{grant}/package",
            EVIDENCE,
            put(sending::spool).layer(DefaultBodyLimit::disable()),
        )
        .door("/v1/seals/{grant}/finish", EVIDENCE, post(sending::finish))
        .queried(
            "/v1/seals/{grant}/whole",
            EVIDENCE,
            put(sending::whole).layer(whole),
        )
        .queried("/v1/packages", RECORDS, get(packages::list))
        .door("/v1/packages/wait", RECORDS, post(waiting::wait_all))
        .door("/v1/packages/{id}", RECORDS, get(packages::show))
        .queried("/v1/packages/{id}/wait", RECORDS, get(packages::wait))
        .door("/v1/packages/{id}/verify", ANY, post(packages::verify))
        .decided("/v1/packages/{id}/openings", post(packages::open))
        .queried(
            "/v1/packages/{id}/decision",
            RECORDS,
            get(packages::explain),
        )
        .door("/v1/packages/{id}/age", EVIDENCE, get(packages::age))
        .door("/v1/packages/{id}/bundle", RECORDS, get(receipts::bundle))
        .door("/v1/openings/{opening}", EVIDENCE, delete(packages::close))
        .door(
            "/v1/openings/{opening}/mismatch",
            EVIDENCE,
            post(packages::mismatch),
        )
        .door(
            "/v1/openings/{opening}/plaintext",
            EVIDENCE,
            get(packages::plaintext),
        )
        .door(
            "/v1/openings/{opening}/age",
            EVIDENCE,
            get(packages::exported),
        )
        .queried("/v1/cases", RECORDS, get(cases::list))
        .door("/v1/packages/{id}/team", SUPERVISION, post(cases::assign))
        .door("/v1/policy", ANY, get(policies::current))
        .door("/v1/policy", POLICY, post(policies::adopt))
        .door("/v1/policy/{digest}", ANY, get(policies::show))
        .queried("/v1/transfers", ANY, get(packages::transfers))
        .door("/v1/transfers/{id}", ANY, get(packages::transfer))
        .queried("/v1/receipts", RECORDS, get(receipts::list))
        .door("/v1/receipts/{seq}", RECORDS, get(receipts::show))
        .door("/v1/log", ANY, get(receipts::log))
        .door("/v1/log/checkpoint", WORK, post(receipts::checkpoint))
        .door("/v1/log/keys", ANY, get(receipts::keys))
        .queried("/v1/log/proofs/{name}", ANY, get(receipts::proofs));
    let doors = clock::doors(retention::doors(peers::decisions(doors)));
    let doors = onward::doors(consents::doors(approvals::doors(doors)));
    doors.into_router().fallback(unknown).with_state(daemon)
}

async fn unknown() -> ApiFailure {
    ApiFailure::missing("no-such-call", "the daemon has no such call")
        .next("use a command line of the same version as the daemon")
}

async fn status(State(daemon): Shared) -> Answer<Status> {
    daemon.status().await.map(Json).map_err(ApiFailure::from)
}
