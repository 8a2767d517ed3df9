//! Passing packages on.

use axum::Json;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::routing::{get, post};

use crate::api::server::Caller;
use crate::api::types::{Forward, OnwardView, PackageView};
use crate::base::Page;
use crate::config::Verb;
use crate::daemon::page::ListQuery;
use crate::daemon::routes::answer::{Answer, Shared};
use crate::daemon::routes::doors::{Doors, RECORDS};

/// The calls of this file. Who may pass a package on, policy decides.
pub(super) fn doors(doors: Doors) -> Doors {
    doors
        .queried("/v1/onward", RECORDS, get(list))
        .decided("/v1/packages/{id}/forward", post(forward))
}

async fn list(State(daemon): Shared, Query(which): Query<ListQuery>) -> Answer<Page<OnwardView>> {
    daemon.onward_views(which.into()).await.map(Json)
}

async fn forward(
    State(daemon): Shared,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(name): Path<String>,
    Json(request): Json<Forward>,
) -> Answer<PackageView> {
    let xid = daemon.find(&name).await?;
    // What is not permitted needs no second person either.
    daemon.may_forward(&caller, xid, &request).await?;
    let id = xid.to_string();
    daemon
        .alone(&caller, Verb::PackageForward, &id, &request)
        .await?;
    let actor = caller.actor();
    daemon
        .forward(&caller, &actor, xid, &request)
        .await
        .map(Json)
}
