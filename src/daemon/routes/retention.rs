//! How long packages are kept: due, held, destroyed; stricter terms.

use axum::Json;
use axum::extract::{ConnectInfo, Path, State};
use axum::routing::{get, post};

use crate::api::server::{ApiFailure, Caller};
use crate::api::types::{
    DestroyRequest, Destruction, DueView, HoldRequest, HoldView, PackageView, Restrict,
};
use crate::base::limits;
use crate::daemon::retention::Cause;
use crate::daemon::routes::doors::{Doors, EVIDENCE, RECORDS, SUPERVISION};
use crate::daemon::routes::{Answer, Shared};

/// The calls of this file.
pub(super) fn doors(doors: Doors) -> Doors {
    doors
        .door("/v1/retention/due", RECORDS, get(due))
        .door("/v1/packages/{id}/destroy", SUPERVISION, post(destroy))
        .door("/v1/packages/{id}/hold", SUPERVISION, post(hold))
        .door("/v1/packages/{id}/release", SUPERVISION, post(release))
        .door("/v1/packages/{id}/terms", EVIDENCE, post(restrict))
}

async fn due(State(daemon): Shared) -> Answer<Vec<DueView>> {
    daemon.due_views().await.map(Json)
}

async fn destroy(
    State(daemon): Shared,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(name): Path<String>,
    Json(request): Json<DestroyRequest>,
) -> Answer<Destruction> {
    let justification = request.justification.trim();
    if justification.is_empty() || justification.len() > limits::TEXT_BYTES_MAX {
        let message = format!(
            "a justification of 1 to {} bytes is needed",
            limits::TEXT_BYTES_MAX
        );
        return Err(ApiFailure::usage("no-justification", message));
    }
    let cause = Cause::Order {
        caller: &caller,
        justification,
    };
    let xid = daemon.find(&name).await?;
    if request.dry_run {
        return daemon.would_destroy(xid, cause).await.map(Json);
    }
    daemon.destroy(xid, cause).await.map(Json)
}

async fn hold(
    State(daemon): Shared,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(name): Path<String>,
    Json(request): Json<HoldRequest>,
) -> Answer<HoldView> {
    let xid = daemon.find(&name).await?;
    daemon.hold(&caller, xid, &request).await.map(Json)
}

async fn release(
    State(daemon): Shared,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(name): Path<String>,
) -> Answer<HoldView> {
    let xid = daemon.find(&name).await?;
    daemon.release(&caller, xid).await.map(Json)
}

async fn restrict(
    State(daemon): Shared,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(name): Path<String>,
    Json(request): Json<Restrict>,
) -> Answer<PackageView> {
    let xid = daemon.find(&name).await?;
    daemon.restrict(&caller, xid, &request).await.map(Json)
}
