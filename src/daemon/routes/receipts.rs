//! Receipts and the log.

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;

use crate::api::server::ApiFailure;
use crate::api::types::{AnchorView, Bundle, LogStatus, ProofView, ReceiptDetail, ReceiptView};
use crate::daemon::routes::{Answer, Shared, stored};
use crate::daemon::statements::commit_failure;
use crate::daemon::views;
use crate::identity::card::Card;

/// Statements in one list.
const LIST_MAX: u32 = 1_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    package: Option<String>,
}

pub(super) async fn list(
    State(daemon): Shared,
    Query(filter): Query<Filter>,
) -> Answer<Vec<ReceiptView>> {
    let ledger = &daemon.station.ledger;
    let rows = match filter.package {
        Some(name) => {
            let xid = daemon.find(&name).await?;
            daemon.exchange(&xid).await?;
            ledger.statements(&xid).await
        }
        None => ledger.statement_list(LIST_MAX, None).await,
    };
    Ok(Json(
        rows.map_err(|e| stored(&e))?
            .iter()
            .map(views::receipt_view)
            .collect(),
    ))
}

pub(super) async fn show(State(daemon): Shared, Path(seq): Path<i64>) -> Answer<ReceiptDetail> {
    let newest = daemon
        .station
        .ledger
        .statement_list(1, seq.checked_add(1))
        .await
        .map_err(|e| stored(&e))?;
    let row = newest.into_iter().find(|row| row.seq == seq);
    let missing = || {
        ApiFailure::missing(
            "no-such-receipt",
            format!("no statement has the number {seq}"),
        )
        .next("rogatory receipt list")
    };
    let row = row.ok_or_else(missing)?;
    Ok(Json(ReceiptDetail {
        receipt: views::receipt_view(&row),
        note: String::from_utf8_lossy(&row.note).into_owned(),
        record: daemon.order_of(&row).await?,
    }))
}

pub(super) async fn bundle(State(daemon): Shared, Path(name): Path<String>) -> Answer<Bundle> {
    let exchange = daemon.exchange(&daemon.find(&name).await?).await?;
    daemon
        .bundle(&exchange)
        .await
        .map(Json)
        .map_err(|e| stored(&e))
}

pub(super) async fn log(State(daemon): Shared) -> Answer<LogStatus> {
    daemon.log_status().await.map(Json).map_err(|e| stored(&e))
}

pub(super) async fn proofs(
    State(daemon): Shared,
    Path(name): Path<String>,
) -> Answer<Vec<ProofView>> {
    daemon.proofs(&name).await.map(Json)
}

pub(super) async fn checkpoint(State(daemon): Shared) -> Answer<serde_json::Value> {
    daemon
        .station
        .ledger
        .checkpoint()
        .await
        .map_err(commit_failure)?;
    let note = daemon.station.ledger.cosigned_checkpoint().await;
    let note = note.map_err(|e| stored(&e))?.unwrap_or_default();
    Ok(Json(
        serde_json::json!({ "note": String::from_utf8_lossy(&note) }),
    ))
}

pub(super) async fn keys(State(daemon): Shared) -> Answer<Vec<AnchorView>> {
    let mut anchors = anchors(&daemon.card, "own");
    for known in daemon.roster.all() {
        anchors.extend(self::anchors(&known.card, known.row.state.as_str()));
    }
    Ok(Json(anchors))
}

fn anchors(card: &Card, state: &str) -> Vec<AnchorView> {
    let keys = [
        &card.keys.card,
        &card.keys.log,
        &card.keys.receipts,
        &card.keys.witness,
    ];
    let view = |key: &&crate::identity::keys::PublicKey| AnchorView {
        id: card.id.clone(),
        role: key.name().role().as_str().to_owned(),
        vkey: key.to_vkey(),
        pem: key.to_spki_pem(),
        state: state.to_owned(),
    };
    keys.iter().map(view).collect()
}
