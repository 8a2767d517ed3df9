//! Peers: add, compare, accept, look, ping.

use std::sync::Arc;

use axum::Json;
use axum::extract::{ConnectInfo, Path, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::api::server::{ApiFailure, Caller};
use crate::api::types::{AcceptPeer, AddPeer, CardView, PeerView, Ping};
use crate::base::Digest;
use crate::base::limits;
use crate::config::Verb;
use crate::daemon::Daemon;
use crate::daemon::news;
use crate::daemon::roster::Known;
use crate::daemon::routes::{Answer, Shared, stored};
use crate::daemon::statements::{commit_failure, unsigned};
use crate::daemon::views;
use crate::identity::card::Card;
use crate::identity::statement::Note;
use crate::identity::words;
use crate::receipt::Kind;
use crate::store::Op;
use crate::store::PeerRow;
use crate::store::PeerState;

fn find(daemon: &Daemon, name: &str) -> Result<Arc<Known>, ApiFailure> {
    let unknown = || {
        ApiFailure::missing("no-such-peer", format!("no peer is called {name:?}"))
            .next("rogatory peer list")
    };
    daemon.roster.find(name).ok_or_else(unknown)
}

pub(super) async fn card(State(daemon): Shared) -> Answer<CardView> {
    let card = daemon.papers.shown().card;
    let note = Note::parse(&card).map_err(|e| ApiFailure::failed("own-card", e.to_string()))?;
    Ok(Json(CardView {
        id: daemon.card.id.clone(),
        alias: daemon.card.alias.clone(),
        number: daemon.card.number,
        fingerprint: words::words(&note.text_digest()),
        card: String::from_utf8_lossy(&card).into_owned(),
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
    Ok(Json(views::peer(&daemon, &*find(&daemon, &name)?)))
}

pub(super) async fn add(State(daemon): Shared, Json(wish): Json<AddPeer>) -> Answer<PeerView> {
    let (card, _) = Card::open(wish.card.as_bytes()).map_err(|e| {
        ApiFailure::trust(e.code(), format!("the card is refused: {e}"))
            .next("ask the peer for its card again")
    })?;
    if card.id == daemon.station.own.id {
        return Err(ApiFailure::trust(
            "own-name",
            "this is the card of this very authority",
        ));
    }
    let crl = wish
        .crl
        .map(|crl| decode_crl(&daemon, &card, &crl))
        .transpose()?;
    if daemon
        .roster
        .all()
        .iter()
        .any(|known| known.row.alias == card.alias && known.row.id != card.id)
    {
        let message = format!("another peer is called {} here already", card.alias);
        return Err(ApiFailure::usage("alias-taken", message)
            .next("ask the peer for a card with another alias"));
    }
    let held = daemon.roster.by_id(&card.id);
    let row = match &held {
        Some(known) => replaced(known, &card, wish.card.as_bytes(), crl)?,
        None => PeerRow {
            id: card.id.clone(),
            alias: card.alias.clone(),
            card: wish.card.clone().into_bytes(),
            number: card.number,
            crl_number: crl.as_ref().map(|(number, _)| *number),
            crl: crl.map(|(_, der)| der),
            state: PeerState::Added,
            classic: false,
            added: daemon.station.clock(),
            accepted: None,
            last_seen: None,
            head: None,
            fault: None,
        },
    };
    daemon
        .station
        .ledger
        .commit(vec![Op::PeerPut(Box::new(row))])
        .await
        .map_err(commit_failure)?;
    daemon.reload_peers().await.map_err(|e| stored(&e))?;
    Ok(Json(views::peer(
        &daemon,
        &*find(&daemon, card.id.as_str())?,
    )))
}

fn decode_crl(daemon: &Daemon, card: &Card, crl: &str) -> Result<(u64, Vec<u8>), ApiFailure> {
    let bad = |message: String| {
        ApiFailure::trust("bad-crl", message).next("ask the peer for its newest revocation list")
    };
    if crl.len() / 4 * 3 > limits::CRL_BYTES_MAX + 2 {
        return Err(bad(format!(
            "the revocation list is longer than {} bytes",
            limits::CRL_BYTES_MAX
        )));
    }
    let der = STANDARD.decode(crl).map_err(|e| bad(e.to_string()))?;
    let number = news::check_crl(daemon, card, &der).map_err(|fault| bad(fault.text))?;
    Ok((number, der))
}

/// The same peer again: the same card with a newer list, or a newer card, which has to be accepted anew unless the
/// accepted card's key has signed it.
fn replaced(
    known: &Known,
    card: &Card,
    bytes: &[u8],
    crl: Option<(u64, Vec<u8>)>,
) -> Result<PeerRow, ApiFailure> {
    let mut row = known.row.clone();
    if let Some((number, der)) = crl.filter(|(number, _)| Some(*number) >= row.crl_number) {
        row.crl_number = Some(number);
        row.crl = Some(der);
    }
    if bytes == row.card {
        return Ok(row);
    }
    if card.number < row.number {
        let message = format!(
            "card number {} is older than number {}, which is held",
            card.number, row.number
        );
        return Err(ApiFailure::trust("older-card", message));
    }
    if card.keys.card != known.card.keys.card {
        row.state = PeerState::Added;
        row.accepted = None;
    }
    row.alias = card.alias.clone();
    row.card = bytes.to_vec();
    row.number = card.number;
    Ok(row)
}

pub(super) async fn accept(
    State(daemon): Shared,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(name): Path<String>,
    Json(wish): Json<AcceptPeer>,
) -> Answer<PeerView> {
    let known = find(&daemon, &name)?;
    check_words(&known, &wish)?;
    if known.row.state != PeerState::Accepted {
        let id = known.row.id.as_str();
        daemon.alone(&caller, Verb::PeerAccept, id, &wish).await?;
    }
    accept_peer(&daemon, &name, &wish).await.map(Json)
}

/// The digest of the peer's card, if these are its six words.
fn check_words(known: &Known, wish: &AcceptPeer) -> Result<Digest, ApiFailure> {
    let note = Note::parse(&known.row.card)
        .map_err(|e| ApiFailure::mismatch("ledger-altered", e.to_string()))?;
    if words::matches(&wish.fingerprint, &note.text_digest()) {
        return Ok(note.text_digest());
    }
    let message = format!(
        "these are not the six words of the card of {}",
        known.row.id
    );
    Err(ApiFailure::trust("fingerprint-mismatch", message)
        .next("do not accept it: compare again by telephone, on a number you know"))
}

/// Trusts a peer whose six words were compared.
pub(crate) async fn accept_peer(
    daemon: &Arc<Daemon>,
    name: &str,
    wish: &AcceptPeer,
) -> Result<PeerView, ApiFailure> {
    let known = find(daemon, name)?;
    let card = check_words(&known, wish)?;
    if known.row.state == PeerState::Accepted {
        return Ok(views::peer(daemon, &known));
    }
    let row = PeerRow {
        state: PeerState::Accepted,
        accepted: Some(daemon.station.clock()),
        ..known.row.clone()
    };
    let stated = daemon
        .governance(Kind::CardAdopted, card)
        .map_err(|e| unsigned(&e))?;
    daemon
        .station
        .ledger
        .commit(vec![Op::PeerPut(Box::new(row)), stated])
        .await
        .map_err(commit_failure)?;
    daemon.reload_peers().await.map_err(|e| stored(&e))?;
    daemon.ring(&known.row.id);
    Ok(views::peer(daemon, &*find(daemon, name)?))
}

pub(super) async fn ping(State(daemon): Shared, Path(name): Path<String>) -> Answer<Ping> {
    let known = find(&daemon, &name)?;
    if known.row.state != PeerState::Accepted {
        let message = format!(
            "{} is {}, not accepted",
            known.row.id,
            known.row.state.as_str()
        );
        return Err(ApiFailure::trust("peer-not-accepted", message)
            .next(format!("rogatory peer accept {}", known.row.alias)));
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
