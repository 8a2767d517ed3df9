//! Newer cards and revocation lists: from the operator, or from the peer itself over a connection that it has proven.

use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use tokio::sync::mpsc;

use crate::base::{AuthorityId, limits};
use crate::daemon::Daemon;
use crate::daemon::peers::card_note::CardNote;
use crate::daemon::peers::cards::Place;
use crate::daemon::peers::lists::By;
use crate::daemon::peers::roster::KnownPeer;
use crate::identity::RevocationList;
use crate::net::connection::control::News;
use crate::net::session::share::Share;
use crate::store::Op;
use crate::transfer::Fault;
use crate::wire::{Ack, Announced, ListNumber};

/// Looks at what peers send of themselves, one after the other.
pub(crate) async fn run(daemon: Arc<Daemon>, mut news: mpsc::Receiver<News>) {
    while let Some(paper) = news.recv().await {
        let adopted = adopt(&daemon, &paper).await;
        match &adopted {
            Ok(ack) => {
                tracing::info!(peer = %paper.peer, what = ?paper.what, number = ack.number, "adopted the peer's newest");
            }
            Err(fault) => {
                tracing::warn!(peer = %paper.peer, what = ?paper.what, code = %fault.code, "not adopted: {}", fault.text);
            }
        }
        // The connection may be gone; the paper stays adopted.
        drop(paper.reply.send(adopted));
    }
}

async fn adopt(daemon: &Arc<Daemon>, paper: &News) -> Result<Ack, Fault> {
    let known_now = || {
        let known = daemon.roster.by_id(&paper.peer);
        known.ok_or_else(|| Fault::new("unknown-peer", "no such peer any more"))
    };
    let share = daemon.station.share(&paper.peer);
    let list = match paper.what {
        Announced::Card => None,
        Announced::Crl => {
            let cas = known_now()?.all_cas();
            Some(opened(cas, paper.bytes.clone()).await?)
        }
    };
    let _one_at_a_time = daemon.peers.lock().await;
    let known = known_now()?;
    let (ack, ops) = match list {
        Some(list) => {
            let (ack, ops) = newer_list(daemon, &known, list)?;
            if !ops.is_empty() {
                let cost = paper.bytes.len().saturating_add(limits::CRL_KEPT);
                share.may_keep_list(daemon.station.micros(), cost)?;
            }
            (ack, ops)
        }
        None => match newer_card(daemon, &known, &paper.bytes)? {
            Newer::Adopted(number, ops) => (Ack::card(number), ops),
            Newer::Conflict(ops) => {
                commit(daemon, (&share, &paper.peer), ops).await?;
                let text = "there is another card of this number by the same card key";
                return Err(Fault::new("card-conflict", text));
            }
        },
    };
    commit(daemon, (&share, &paper.peer), ops).await?;
    Ok(ack)
}

async fn commit(
    daemon: &Arc<Daemon>,
    (share, peer): (&Share, &AuthorityId),
    ops: Vec<Op>,
) -> Result<(), Fault> {
    if ops.is_empty() {
        return Ok(());
    }
    let ops = share.counted((daemon.station.micros(), daemon.station.clock()), peer, ops);
    let failed = |e: String| Fault::new("storage", e);
    let committed = daemon.station.ledger.commit(ops).await;
    committed.map_err(|e| failed(e.to_string()))?;
    daemon
        .reload_peers()
        .await
        .map_err(|e| failed(e.to_string()))
}

/// Opens a list, away from the tasks of connections: it can be long.
async fn opened(
    cas: Vec<CertificateDer<'static>>,
    bytes: Vec<u8>,
) -> Result<RevocationList, Fault> {
    let opened = tokio::task::spawn_blocking(move || RevocationList::open(&bytes, &cas)).await;
    Ok(opened.map_err(|e| Fault::new("internal", e.to_string()))??)
}

/// A list is kept if it is newer than the one of its CA, whatever the lists of other CAs are. One of a CA of a card
/// that nobody has accepted yet is kept for when somebody does.
fn newer_list(
    daemon: &Daemon,
    known: &KnownPeer,
    list: RevocationList,
) -> Result<(Ack, Vec<Op>), Fault> {
    let now = daemon.station.clock();
    list.check_dates(now)?;
    let (ca, number) = (list.ca(), list.number());
    let held = known.lists.iter().find(|held| held.ca() == ca);
    if let Some(held) = held.filter(|held| !list.supersedes(held, now)) {
        if held.number() > number {
            let (peer, held) = (&known.row.id, held.number());
            tracing::warn!(%peer, number, held, "its revocation list has a lower number than the one held, which is still good: not taken");
        }
        let number = held.number();
        return Ok((Ack::crl(ListNumber { ca, number }), Vec::new()));
    }
    let ops = daemon.keeping(Some(known), &known.row.id, &[list], By::Peer)?;
    Ok((Ack::crl(ListNumber { ca, number }), ops))
}

/// The changes to which a card that came from the peer itself leads.
enum Newer {
    /// The one with this number is in use once these changes are made.
    Adopted(u64, Vec<Op>),
    /// The changes that keep the proof that its card key has signed two cards of one number.
    Conflict(Vec<Op>),
}

/// A newer card is taken only if the key that signed the accepted one has signed it too.
fn newer_card(daemon: &Daemon, known: &KnownPeer, bytes: &[u8]) -> Result<Newer, Fault> {
    let came = CardNote::open(bytes).map_err(|e| Fault::new("bad-card", e.to_string()))?;
    if came.card.id != known.row.id {
        return Err(Fault::new(
            "other-card-key",
            "it is the card of another authority",
        ));
    }
    match known.place(&came) {
        Place::Known | Place::Older => Ok(Newer::Adopted(known.row.number, Vec::new())),
        Place::Newer => Ok(Newer::Adopted(
            came.card.number,
            daemon.adopting(known, &came)?,
        )),
        Place::Conflict => Ok(Newer::Conflict(daemon.conflicting(known, &came))),
        Place::Other => {
            let text = "it is not signed by the card key of the accepted card; compare a new fingerprint and accept it by hand";
            Err(Fault::new("other-card-key", text))
        }
    }
}
