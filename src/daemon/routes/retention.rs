//! How long packages are kept: due, held, destroyed; stricter terms.

use axum::Json;
use axum::extract::{ConnectInfo, Path, State};
use axum::routing::{get, post};

use crate::api::server::Caller;
use crate::api::types::{
    DestroyRequest, Destruction, DueView, HoldRequest, HoldView, PackageView, Restrict,
    ReviewRequest, ReviewView, UseReport,
};
use crate::config::Verb;
use crate::daemon::packages::retention::Cause;
use crate::daemon::packages::wish::check_justification;
use crate::daemon::routes::answer::{Answer, Shared};
use crate::daemon::routes::doors::{Doors, EVIDENCE, RECORDS, SUPERVISION};

/// The calls of this file.
pub(super) fn doors(doors: Doors) -> Doors {
    doors
        .door("/v1/retention/due", RECORDS, get(due))
        .door("/v1/packages/{id}/destroy", SUPERVISION, post(destroy))
        .door("/v1/packages/{id}/hold", SUPERVISION, post(hold))
        .door("/v1/packages/{id}/review", SUPERVISION, post(review))
        .door("/v1/packages/{id}/release", SUPERVISION, post(release))
        .door("/v1/packages/{id}/report", EVIDENCE, post(report))
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
    check_justification(&request.justification)?;
    let actor = caller.actor();
    let cause = Cause::Order {
        actor: &actor,
        justification: request.justification.trim(),
    };
    let xid = daemon.find(&name).await?;
    let would = daemon.would_destroy(xid, cause).await?;
    if request.dry_run {
        return Ok(Json(would));
    }
    let id = xid.to_string();
    daemon
        .alone(&caller, Verb::PackagePurge, &id, &request)
        .await?;
    daemon.destroy(xid, cause).await.map(Json)
}

async fn hold(
    State(daemon): Shared,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(name): Path<String>,
    Json(request): Json<HoldRequest>,
) -> Answer<HoldView> {
    let xid = daemon.find(&name).await?;
    let id = xid.to_string();
    daemon
        .alone(&caller, Verb::PackageHold, &id, &request)
        .await?;
    daemon.hold(&caller.actor(), xid, &request).await.map(Json)
}

async fn release(
    State(daemon): Shared,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(name): Path<String>,
) -> Answer<HoldView> {
    let xid = daemon.find(&name).await?;
    let id = xid.to_string();
    daemon
        .alone(&caller, Verb::PackageRelease, &id, &serde_json::json!({}))
        .await?;
    daemon.release(&caller.actor(), xid).await.map(Json)
}

async fn review(
    State(daemon): Shared,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(name): Path<String>,
    Json(request): Json<ReviewRequest>,
) -> Answer<ReviewView> {
    let xid = daemon.find(&name).await?;
    let actor = caller.actor();
    daemon.review(&actor, xid, &request).await.map(Json)
}

async fn restrict(
    State(daemon): Shared,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(name): Path<String>,
    Json(request): Json<Restrict>,
) -> Answer<PackageView> {
    let xid = daemon.find(&name).await?;
    let verb = if request.withdraw {
        Verb::PackageWithdraw
    } else {
        Verb::PackageRestrict
    };
    let id = xid.to_string();
    daemon.alone(&caller, verb, &id, &request).await?;
    let actor = caller.actor();
    daemon.restrict(&actor, xid, &request).await.map(Json)
}

async fn report(State(daemon): Shared, Path(name): Path<String>) -> Answer<UseReport> {
    let xid = daemon.find(&name).await?;
    daemon.report(xid).await.map(Json)
}
