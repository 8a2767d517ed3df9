//! Cases and their teams.

use axum::Json;
use axum::extract::{ConnectInfo, Path, Query, State};

use crate::api::server::{ApiFailure, Caller};
use crate::api::types::{AssignTeam, CaseView};
use crate::base::Page;
use crate::config::Holder;
use crate::daemon::page::ListQuery;
use crate::daemon::routes::answer::{Answer, Shared};

pub(super) async fn list(
    State(daemon): Shared,
    Query(which): Query<ListQuery>,
) -> Answer<Page<CaseView>> {
    daemon.cases(which.into()).await.map(Json)
}

pub(super) async fn assign(
    State(daemon): Shared,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(name): Path<String>,
    Json(request): Json<AssignTeam>,
) -> Answer<CaseView> {
    let team: Holder = request
        .team
        .parse()
        .map_err(|e: String| ApiFailure::usage("bad-team", e))?;
    let xid = daemon.find(&name).await?;
    daemon.assign(&caller, xid, &team).await.map(Json)
}
