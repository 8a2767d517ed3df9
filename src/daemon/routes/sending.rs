//! Sending: grant, bytes, dispatch.

use axum::Json;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Query, State};
use bytes::Bytes;

use crate::api::server::{ApiFailure, Caller};
use crate::api::types::{PackageView, SealFinish, SealGrant, SealMany, SealRequest, Spooled};
use crate::daemon::routes::answer::{Answer, Shared};

pub(super) async fn grant(
    State(daemon): Shared,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Json(request): Json<SealRequest>,
) -> Answer<SealGrant> {
    daemon.grant(&caller, request).map(Json)
}

pub(super) async fn grants(
    State(daemon): Shared,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Json(many): Json<SealMany>,
) -> Answer<Vec<SealGrant>> {
    daemon.grants(&caller, &many.request, many.count).map(Json)
}

/// Bytes and dispatch of a small package in one call.
pub(super) async fn whole(
    State(daemon): Shared,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(name): Path<String>,
    Query(finish): Query<SealFinish>,
    age_file: Bytes,
) -> Answer<PackageView> {
    daemon.take_whole(&caller, &name, &age_file)?;
    let row = daemon.dispatch(&caller, &name, finish).await?;
    daemon
        .package_view(&row)
        .map(Json)
        .map_err(ApiFailure::from)
}

pub(super) async fn give_up(
    State(daemon): Shared,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(name): Path<String>,
) -> Result<Json<serde_json::Value>, ApiFailure> {
    daemon.ungrant(&caller, &name)?;
    Ok(Json(serde_json::json!({})))
}

pub(super) async fn spool(
    State(daemon): Shared,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(name): Path<String>,
    body: Body,
) -> Answer<Spooled> {
    daemon.spool(&caller, &name, body).await.map(Json)
}

pub(super) async fn finish(
    State(daemon): Shared,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(name): Path<String>,
    Json(finish): Json<SealFinish>,
) -> Answer<PackageView> {
    let row = daemon.dispatch(&caller, &name, finish).await?;
    daemon
        .package_view(&row)
        .map(Json)
        .map_err(ApiFailure::from)
}
