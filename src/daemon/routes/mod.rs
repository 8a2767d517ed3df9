//! The calls of the local API.

mod packages;
mod peers;
mod receipts;
mod sending;
mod waiting;

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::routing::{delete, get, post, put};

use crate::api::server::ApiFailure;
use crate::api::types::Status;
use crate::base::Xid;
use crate::daemon::Daemon;
use crate::daemon::sealed;
use crate::store::Exchange;
use crate::store::StoreFault;

type Shared = State<Arc<Daemon>>;
type Answer<T> = Result<Json<T>, ApiFailure>;

/// All routes.
pub(crate) fn routes(daemon: Arc<Daemon>) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/card", get(peers::card))
        .route("/v1/peers", get(peers::list).post(peers::add))
        .route("/v1/peers/{peer}", get(peers::show))
        .route("/v1/peers/{peer}/accept", post(peers::accept))
        .route("/v1/peers/{peer}/ping", post(peers::ping))
        .route("/v1/seals", post(sending::grant))
        .route("/v1/seals/many", post(sending::grants))
        .route("/v1/seals/{grant}", delete(sending::give_up))
        .route(
            "/v1/seals/{grant}/package",
            put(sending::spool).layer(axum::extract::DefaultBodyLimit::disable()),
        )
        .route("/v1/seals/{grant}/finish", post(sending::finish))
        .route(
            "/v1/seals/{grant}/whole",
            put(sending::whole).layer(axum::extract::DefaultBodyLimit::max(
                sealed::WHOLE_BYTES_MAX,
            )),
        )
        .route("/v1/packages", get(packages::list))
        .route("/v1/packages/wait", post(waiting::wait_all))
        .route("/v1/packages/{id}", get(packages::show))
        .route("/v1/packages/{id}/wait", get(packages::wait))
        .route("/v1/packages/{id}/verify", post(packages::verify))
        .route("/v1/packages/{id}/openings", post(packages::open))
        .route("/v1/packages/{id}/age", get(packages::age))
        .route("/v1/packages/{id}/bundle", get(receipts::bundle))
        .route("/v1/openings/{opening}", delete(packages::close))
        .route("/v1/openings/{opening}/plaintext", get(packages::plaintext))
        .route("/v1/transfers", get(packages::transfers))
        .route("/v1/transfers/{id}", get(packages::transfer))
        .route("/v1/receipts", get(receipts::list))
        .route("/v1/receipts/{seq}", get(receipts::show))
        .route("/v1/log", get(receipts::log))
        .route("/v1/log/checkpoint", post(receipts::checkpoint))
        .route("/v1/log/keys", get(receipts::keys))
        .route("/v1/log/proofs/{name}", get(receipts::proofs))
        .fallback(unknown)
        .with_state(daemon)
}

async fn unknown() -> ApiFailure {
    ApiFailure::missing("no-such-call", "the daemon has no such call")
        .next("use a command line of the same version as the daemon")
}

async fn status(State(daemon): Shared) -> Answer<Status> {
    daemon.status().await.map(Json).map_err(|e| stored(&e))
}

/// A failure to read the ledger.
fn stored(e: &StoreFault) -> ApiFailure {
    ApiFailure::storage("store", e.to_string()).next("rogatory status")
}

impl Daemon {
    /// The package with this id, or with the only id that starts so.
    pub(crate) async fn find(&self, name: &str) -> Result<Xid, ApiFailure> {
        if let Ok(xid) = name.parse() {
            return Ok(xid);
        }
        if name.len() < 8
            || !name
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        {
            let message =
                "a package is named by its id, or by at least 8 hex digits that it starts with";
            return Err(ApiFailure::usage("bad-id", message));
        }
        let found = self
            .station
            .ledger
            .find(name)
            .await
            .map_err(|e| stored(&e))?;
        match found.as_slice() {
            [only] => Ok(*only),
            [] => Err(no_such_package(name)),
            [_, _, ..] => Err(ApiFailure::usage(
                "ambiguous-id",
                format!("{} packages start with {name}", found.len()),
            )),
        }
    }

    /// The row of a package.
    pub(crate) async fn exchange(&self, xid: &Xid) -> Result<Exchange, ApiFailure> {
        let row = self
            .station
            .ledger
            .exchange(xid)
            .await
            .map_err(|e| stored(&e))?;
        row.ok_or_else(|| no_such_package(&xid.to_string()))
    }
}

fn no_such_package(name: &str) -> ApiFailure {
    ApiFailure::missing("no-such-package", format!("no package is called {name}"))
        .next("rogatory package list")
}
