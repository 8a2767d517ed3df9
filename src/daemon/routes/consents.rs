//! Wishes for consent.

use axum::Json;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::routing::{get, post};

use crate::api::server::Caller;
use crate::api::types::{AskConsent, ConsentView, GrantConsent, RefuseConsent};
use crate::base::Page;
use crate::daemon::packages::consents::ConsentAnswer as Answered;
use crate::daemon::page::ListQuery;
use crate::daemon::routes::answer::{Answer, Shared};
use crate::daemon::routes::doors::{Doors, EVIDENCE, RECORDS};

/// The calls of this file.
pub(super) fn doors(doors: Doors) -> Doors {
    doors
        .door("/v1/packages/{id}/ask", EVIDENCE, post(ask))
        .queried("/v1/consents", RECORDS, get(list))
        .door("/v1/consents/{id}", RECORDS, get(show))
        .door("/v1/consents/{id}/grant", EVIDENCE, post(grant))
        .door("/v1/consents/{id}/refuse", EVIDENCE, post(refuse))
}

async fn ask(
    State(daemon): Shared,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(name): Path<String>,
    Json(wish): Json<AskConsent>,
) -> Answer<ConsentView> {
    let xid = daemon.find(&name).await?;
    let actor = caller.actor();
    daemon.ask_consent(&actor, xid, wish).await.map(Json)
}

async fn list(State(daemon): Shared, Query(which): Query<ListQuery>) -> Answer<Page<ConsentView>> {
    daemon.consent_views(which.into()).await.map(Json)
}

async fn show(State(daemon): Shared, Path(id): Path<String>) -> Answer<ConsentView> {
    daemon.one_consent(&id).await.map(Json)
}

async fn grant(
    State(daemon): Shared,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(id): Path<String>,
    Json(grant): Json<GrantConsent>,
) -> Answer<ConsentView> {
    let answer = Answered::Given(grant);
    let actor = caller.actor();
    daemon.answer_consent(&actor, &id, &answer).await.map(Json)
}

async fn refuse(
    State(daemon): Shared,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(id): Path<String>,
    Json(refuse): Json<RefuseConsent>,
) -> Answer<ConsentView> {
    let answer = Answered::Refused {
        justification: refuse.justification,
    };
    let actor = caller.actor();
    daemon.answer_consent(&actor, &id, &answer).await.map(Json)
}
