//! The clock and the own papers.

use std::sync::Arc;

use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::routing::{get, post};

use crate::api::server::{ApiFailure, Caller};
use crate::api::types::{CertificateView, ClockView, RenewRequest};
use crate::daemon::Daemon;
use crate::daemon::process::renewal::WhichPapers;
use crate::daemon::process::{renewal, views};
use crate::daemon::routes::answer::{Answer, Shared};
use crate::daemon::routes::doors::{ANY, Doors, OPERATION};

/// The calls of this file.
pub(super) fn doors(doors: Doors) -> Doors {
    doors
        .door("/v1/clock", ANY, get(show))
        .door("/v1/clock/confirm", OPERATION, post(confirm))
        .door("/v1/certificate", ANY, get(certificate))
        .door("/v1/certificate/renew", OPERATION, post(renew))
}

async fn show(State(daemon): Shared) -> Json<ClockView> {
    Json(daemon.clock_view().await)
}

async fn confirm(
    State(daemon): Shared,
    ConnectInfo(caller): ConnectInfo<Caller>,
) -> Answer<ClockView> {
    daemon.confirm_clock(&caller).await.map(Json)
}

async fn certificate(State(daemon): Shared) -> Json<CertificateView> {
    Json(view(&daemon))
}

async fn renew(
    State(daemon): Shared,
    Json(request): Json<RenewRequest>,
) -> Answer<CertificateView> {
    let sure = daemon.sure()?;
    let which = if request.if_due {
        WhichPapers::due(&daemon.papers.shown(), sure.at())
    } else {
        WhichPapers::ALL
    };
    if which == WhichPapers::NONE {
        let message = "neither the certificate nor the revocation list is due";
        return Err(ApiFailure::nothing("not-due", message));
    }
    if !daemon.config.identity.tls_ca_key.exists() {
        let message = "the CA's private key is not here, so that nothing can be issued";
        return Err(ApiFailure::configuration("no-ca-key", message)
            .next("issue with your CA and replace the files; certs/README.md says how"));
    }
    let renewed = renewal::renew(&daemon, sure, which).await;
    renewed.map_err(|e| ApiFailure::failed("not-renewed", e))?;
    Ok(Json(view(&daemon)))
}

fn view(daemon: &Arc<Daemon>) -> CertificateView {
    let shown = daemon.papers.shown();
    CertificateView {
        certificate_begins: shown.certificate_begins,
        certificate_expires: shown.certificate_expires,
        lists: shown
            .lists
            .iter()
            .map(|list| views::list(list, true))
            .collect(),
    }
}
