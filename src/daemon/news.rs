//! Newer cards and revocation lists: from the operator, or from the peer itself over a connection that it has proven.

use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use tokio::sync::mpsc;

use crate::daemon::Daemon;
use crate::daemon::cards::{CardNote, Place};
use crate::daemon::roster::Known;
use crate::identity::card::Card;
use crate::identity::revocation;
use crate::net::control::News;
use crate::net::share::Share;
use crate::store::Op;
use crate::transfer::Fault;
use crate::wire::Announced;

/// Looks at what peers send of themselves, one after the other.
pub(crate) async fn run(daemon: Arc<Daemon>, mut news: mpsc::Receiver<News>) {
    while let Some(paper) = news.recv().await {
        let adopted = adopt(&daemon, &paper).await;
        match &adopted {
            Ok(number) => {
                tracing::info!(peer = %paper.peer, what = ?paper.what, number, "adopted the peer's newest");
            }
            Err(fault) => {
                tracing::warn!(peer = %paper.peer, what = ?paper.what, code = %fault.code, "not adopted: {}", fault.text);
            }
        }
        // The connection may be gone; the paper stays adopted.
        drop(paper.reply.send(adopted));
    }
}

async fn adopt(daemon: &Arc<Daemon>, paper: &News) -> Result<u64, Fault> {
    let _one_at_a_time = daemon.peers.lock().await;
    let known = daemon
        .roster
        .by_id(&paper.peer)
        .ok_or_else(|| Fault::new("unknown-peer", "no such peer any more"))?;
    let share = daemon.station.share(&paper.peer);
    if share.growth.take(daemon.station.micros(), 0).is_err() {
        let text = "no more may grow here today because of you (limits.peer_growth)";
        return Err(Fault::new("quota", text));
    }
    let (number, ops) = match paper.what {
        Announced::Crl => newer_crl(daemon, &known, &paper.bytes)?,
        Announced::Card => match newer_card(daemon, &known, &paper.bytes)? {
            Newer::Adopted(number, ops) => (number, ops),
            Newer::Conflict(ops) => {
                commit(daemon, &share, ops).await?;
                let text = "there is another card of this number by the same card key";
                return Err(Fault::new("card-conflict", text));
            }
        },
    };
    commit(daemon, &share, ops).await?;
    Ok(number)
}

async fn commit(daemon: &Arc<Daemon>, share: &Share, ops: Vec<Op>) -> Result<(), Fault> {
    if ops.is_empty() {
        return Ok(());
    }
    share.growth.charge(daemon.station.micros(), &ops);
    let failed = |e: String| Fault::new("storage", e);
    let committed = daemon.station.ledger.commit(ops).await;
    committed.map_err(|e| failed(e.to_string()))?;
    daemon
        .reload_peers()
        .await
        .map_err(|e| failed(e.to_string()))
}

fn newer_crl(daemon: &Daemon, known: &Known, crl: &[u8]) -> Result<(u64, Vec<Op>), Fault> {
    let number = check_crl(daemon, &known.card, crl)?;
    let held = known.row.crl_number.unwrap_or_default();
    if number <= held {
        return Ok((held, Vec::new()));
    }
    Ok((
        number,
        vec![Op::PeerCrl {
            id: known.row.id.clone(),
            crl: crl.to_vec(),
            number,
        }],
    ))
}

/// The number of a revocation list that one of the card's CAs has signed and that is current.
pub(crate) fn check_crl(daemon: &Daemon, card: &Card, crl: &[u8]) -> Result<u64, Fault> {
    let cas: Vec<_> = card
        .tls_cas
        .iter()
        .map(|der| CertificateDer::from(der.0.clone()))
        .collect();
    revocation::check_crl(crl, &cas, daemon.station.clock())
        .map_err(|refusal| Fault::new(refusal.code(), refusal.to_string()))
}

/// The changes to which a card that came from the peer itself leads.
enum Newer {
    /// The one with this number is in use once these changes are made.
    Adopted(u64, Vec<Op>),
    /// The changes that keep the proof that its card key has signed two cards of one number.
    Conflict(Vec<Op>),
}

/// A newer card is taken only if the key that signed the accepted one has signed it too.
fn newer_card(daemon: &Daemon, known: &Known, bytes: &[u8]) -> Result<Newer, Fault> {
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
