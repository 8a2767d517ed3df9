//! Receipts and the log.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::api::server::ApiFailure;
use crate::api::types::{AnchorView, LogStatus, ProofView, ReceiptDetail, ReceiptView};
use crate::base::{Cursor, Page};
use crate::daemon::page::{ListQuery, Part};
use crate::daemon::process::views;
use crate::daemon::routes::answer::{Answer, Shared};
use crate::daemon::routes::packages::streamed;
use crate::identity::card::Card;
use crate::identity::keys::PublicKey;
use crate::store::PeerState;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    package: Option<String>,
    limit: Option<u32>,
    after: Option<Cursor>,
}

pub(super) async fn list(
    State(daemon): Shared,
    Query(filter): Query<Filter>,
) -> Answer<Page<ReceiptView>> {
    let ledger = &daemon.station.ledger;
    let part = Part::new(filter.limit, filter.after);
    let page = match filter.package {
        Some(name) => {
            let xid = daemon.find(&name).await?;
            daemon.exchange(&xid).await?;
            ledger.statements(&xid, part.limit, part.after).await
        }
        None => ledger.statement_list(part.limit, part.after).await,
    };
    let (rows, more) = page?.into_parts();
    let views = rows.iter().map(views::receipt_view).collect();
    Ok(Json(Page::new(views, more)))
}

pub(super) async fn show(State(daemon): Shared, Path(seq): Path<i64>) -> Answer<ReceiptDetail> {
    let row = daemon.station.ledger.statement_at(seq).await;
    let missing = || {
        ApiFailure::missing(
            "no-such-receipt",
            format!("no statement has the number {seq}"),
        )
        .next("rogatory receipt list")
    };
    let row = row?.ok_or_else(missing)?;
    Ok(Json(ReceiptDetail {
        receipt: views::receipt_view(&row),
        note: String::from_utf8_lossy(&row.note).into_owned(),
        record: daemon.order_of(&row).await?,
    }))
}

pub(super) async fn bundle(
    State(daemon): Shared,
    Path(name): Path<String>,
) -> Result<Response, ApiFailure> {
    let exchange = daemon.exchange(&daemon.find(&name).await?).await?;
    let lines = daemon.bundle(exchange).await?;
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, streamed(lines)).into_response())
}

pub(super) async fn log(State(daemon): Shared) -> Answer<LogStatus> {
    daemon
        .log_status()
        .await
        .map(Json)
        .map_err(ApiFailure::from)
}

pub(super) async fn proofs(
    State(daemon): Shared,
    Path(name): Path<String>,
    Query(which): Query<ListQuery>,
) -> Answer<Page<ProofView>> {
    daemon.proofs(&name, which.into()).await.map(Json)
}

pub(super) async fn checkpoint(State(daemon): Shared) -> Answer<serde_json::Value> {
    daemon.station.ledger.checkpoint().await?;
    let note = daemon.station.ledger.cosigned_checkpoint().await;
    let note = note?.unwrap_or_default();
    Ok(Json(
        serde_json::json!({ "note": String::from_utf8_lossy(&note) }),
    ))
}

pub(super) async fn keys(State(daemon): Shared) -> Answer<Vec<AnchorView>> {
    let own = daemon.station.own.keys.public().all().into_iter();
    let mut anchors = anchors(&daemon.card, own, "own");
    for known in daemon.roster.all() {
        // A peer that was accepted once has signed what is to be verified.
        let state = match known.row.state {
            PeerState::Added => "added",
            PeerState::Accepted | PeerState::Paused | PeerState::Revoked => "accepted",
        };
        let receipts = known.keys.all().into_iter();
        anchors.extend(self::anchors(&known.card, receipts, state));
    }
    Ok(Json(anchors))
}

/// The keys of the card in use, and the receipts keys of all cards.
fn anchors<'a>(
    card: &'a Card,
    receipts: impl Iterator<Item = &'a PublicKey>,
    state: &str,
) -> Vec<AnchorView> {
    let view = |key: &PublicKey| AnchorView {
        id: card.id.clone(),
        role: key.name().role().as_str().to_owned(),
        vkey: key.to_vkey(),
        pem: key.to_spki_pem(),
        state: state.to_owned(),
    };
    let keys = [&card.keys.card, &card.keys.log, &card.keys.witness];
    keys.into_iter().chain(receipts).map(view).collect()
}
