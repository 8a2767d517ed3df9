//! The policies that are or were in force.

use axum::Json;
use axum::extract::{ConnectInfo, Path, State};

use crate::api::server::{ApiFailure, Caller};
use crate::api::types::{PolicyView, WaitingPolicy};
use crate::base::Digest;
use crate::daemon::routes::answer::{Answer, Shared};

pub(super) async fn current(State(daemon): Shared) -> Answer<PolicyView> {
    daemon.policy_view(None).await.map(Json)
}

pub(super) async fn show(State(daemon): Shared, Path(digest): Path<String>) -> Answer<PolicyView> {
    let digest = Digest::parse(&digest).ok_or_else(|| {
        let message =
            "a policy is named by its digest: 64 lower-case hex digits, `pol` of a receipt";
        ApiFailure::usage("bad-digest", message)
    })?;
    daemon.policy_view(Some(digest)).await.map(Json)
}

pub(super) async fn adopt(
    State(daemon): Shared,
    ConnectInfo(caller): ConnectInfo<Caller>,
) -> Answer<WaitingPolicy> {
    daemon.ask_to_adopt(&caller).await.map(Json)
}
