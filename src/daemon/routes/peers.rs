//! Peers: add, compare, accept, look, ping.

use axum::extract::{ConnectInfo, Path, State};
use axum::routing::post;
use axum::{Extension, Json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::api::server::{ApiFailure, Caller};
use crate::api::types::{AcceptPeer, AddPeer, CardView, DecidePeer, PeerView, Ping};
use crate::base::limits;
use crate::config::Verb;
use crate::daemon::Daemon;
use crate::daemon::packages::seals::unblock;
use crate::daemon::peers::card_note::CardNote;
use crate::daemon::peers::lifecycle::Decision;
use crate::daemon::process::views;
use crate::daemon::routes::answer::{Answer, Shared};
use crate::daemon::routes::doors::{Doors, OPERATION};
use crate::identity::card::Card;
use crate::identity::revocation::RevocationList;
use crate::identity::statement::Note;
use crate::identity::words;
use crate::store::PeerState;

pub(super) async fn card(State(daemon): Shared) -> Answer<CardView> {
    let card = daemon.papers.card();
    let note = Note::parse(card).map_err(|e| ApiFailure::failed("own-card", e.to_string()))?;
    Ok(Json(CardView {
        id: daemon.card.id.clone(),
        alias: daemon.card.alias.clone(),
        number: daemon.card.number,
        fingerprint: words::words(&note.text_digest()),
        card: String::from_utf8_lossy(card).into_owned(),
    }))
}

pub(super) async fn list(State(daemon): Shared) -> Answer<Vec<PeerView>> {
    Ok(Json(
        daemon
            .roster
            .all()
            .iter()
            .map(|known| views::peer(&daemon, known))
            .collect(),
    ))
}

pub(super) async fn show(State(daemon): Shared, Path(name): Path<String>) -> Answer<PeerView> {
    let known = daemon.peer(&name)?;
    let unopened = daemon.station.ledger.unopened(&known.row.id).await;
    let (packages, bytes) = unopened?;
    let mut view = views::peer_with_cards(&daemon, &known);
    view.held_back.unopened_packages = Some(packages);
    view.held_back.unopened_bytes = Some(bytes);
    Ok(Json(view))
}

pub(super) async fn add(State(daemon): Shared, Json(wish): Json<AddPeer>) -> Answer<PeerView> {
    let came = CardNote::open(wish.card.as_bytes()).map_err(|e| {
        ApiFailure::trust(e.code(), e.to_string()).next("ask the peer for its card again")
    })?;
    if came.card.id == daemon.station.own.id {
        return Err(ApiFailure::trust(
            "own-name",
            "this is the card of this very authority",
        ));
    }
    let lists = wish.crl.map(|crl| read_lists(&daemon, &came.card, &crl));
    let lists = lists.transpose()?.unwrap_or_default();
    daemon.add_card(&came, lists.clone()).await?;
    let known = daemon.peer(came.card.id.as_str())?;
    let now = daemon.station.clock();
    let older = lists.iter().filter(|list| known.has_newer(list, now));
    Ok(Json(PeerView {
        older_lists: older.map(|list| views::list(list, false)).collect(),
        ..views::peer(&daemon, &known)
    }))
}

fn read_lists(daemon: &Daemon, card: &Card, file: &str) -> Result<Vec<RevocationList>, ApiFailure> {
    let bad = |message: String| {
        ApiFailure::trust("bad-crl", message).next("ask the peer for its newest revocation list")
    };
    let most = limits::CRL_FILE_BYTES_MAX;
    let too_long = || bad(format!("the revocation lists take more than {most} bytes"));
    if file.len() / 4 * 3 > most.saturating_add(2) {
        return Err(too_long());
    }
    let file = STANDARD.decode(file).map_err(|e| bad(e.to_string()))?;
    if file.len() > most {
        return Err(too_long());
    }
    let lists = daemon.current_lists(&file, &card.cas());
    lists.map_err(|fault| bad(fault.text))
}

pub(super) async fn accept(
    State(daemon): Shared,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(name): Path<String>,
    Json(wish): Json<AcceptPeer>,
) -> Answer<PeerView> {
    let known = daemon.peer(&name)?;
    if known.would_adopt(&known.compared(&wish.fingerprint)?) {
        let id = known.row.id.as_str();
        daemon.alone(&caller, Verb::PeerAccept, id, &wish).await?;
    }
    let known = daemon.accept_card(&name, &wish.fingerprint).await?;
    Ok(Json(views::peer(&daemon, &known)))
}

/// The calls that decide about a peer.
pub(super) fn decisions(doors: Doors) -> Doors {
    Decision::ALL.into_iter().fold(doors, |doors, decision| {
        let path = format!("/v1/peers/{{peer}}/{}", decision.as_str());
        doors.door(&path, OPERATION, post(decide).layer(Extension(decision)))
    })
}

/// Decides about a peer; answers what it is then, or was, where it is removed.
async fn decide(
    State(daemon): Shared,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Extension(decision): Extension<Decision>,
    Path(name): Path<String>,
    Json(wish): Json<DecidePeer>,
) -> Answer<PeerView> {
    let actor = caller.actor();
    let decided = daemon.decide_peer(&name, decision, &actor, &wish.justification);
    Ok(Json(views::peer(&daemon, &*decided.await?)))
}

pub(super) async fn ping(State(daemon): Shared, Path(name): Path<String>) -> Answer<Ping> {
    let known = daemon.peer(&name)?;
    if known.row.state != PeerState::Accepted {
        let message = format!(
            "{} is {}, not accepted",
            known.row.id,
            known.row.state.as_str()
        );
        return Err(ApiFailure::trust("peer-not-accepted", message).next(unblock(&known)));
    }
    let before = daemon.station.micros();
    let session = daemon.dial(&known.row.id).await.map_err(|problem| {
        let failure = if problem.trust {
            ApiFailure::trust
        } else {
            ApiFailure::temporary
        };
        failure(&problem.code, problem.text)
    })?;
    let link = session.link();
    Ok(Json(Ping {
        id: known.row.id.clone(),
        address: link.remote().to_string(),
        connect_us: daemon.station.micros().saturating_sub(before),
        rtt_us: u64::try_from(link.connection.rtt().as_micros()).unwrap_or(u64::MAX),
        clock_ms: session.clock_ms(),
        certificate_expires: link.peer.leaf_expires(),
    }))
}
