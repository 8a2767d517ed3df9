//! Calls about requests that wait for a second person.

use axum::Json;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::routing::{get, post};

use crate::api::server::Caller;
use crate::api::types::ApprovalView;
use crate::base::Page;
use crate::daemon::page::ListQuery;
use crate::daemon::routes::answer::{Answer, Shared};
use crate::daemon::routes::doors::{ANY, Doors, WORK};

/// The calls of this file. Who may decide depends on what was asked for.
pub(super) fn doors(doors: Doors) -> Doors {
    doors
        .queried("/v1/approvals", ANY, get(list))
        .door("/v1/approvals/{id}", ANY, get(show))
        .door("/v1/approvals/{id}/approve", WORK, post(approve))
        .door("/v1/approvals/{id}/reject", WORK, post(reject))
}

async fn list(State(daemon): Shared, Query(which): Query<ListQuery>) -> Answer<Page<ApprovalView>> {
    daemon.approval_views(which.into()).await.map(Json)
}

async fn show(State(daemon): Shared, Path(id): Path<String>) -> Answer<ApprovalView> {
    daemon.approval_view(&id).await.map(Json)
}

async fn approve(
    State(daemon): Shared,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(id): Path<String>,
) -> Answer<ApprovalView> {
    daemon.decide_approval(&caller, &id, true).await.map(Json)
}

async fn reject(
    State(daemon): Shared,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(id): Path<String>,
) -> Answer<ApprovalView> {
    daemon.decide_approval(&caller, &id, false).await.map(Json)
}
