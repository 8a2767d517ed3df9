//! Newer cards and revocation lists: from the operator, or from the peer itself over a connection that it has proven.

use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use tokio::sync::mpsc;

use crate::base::Digest;
use crate::daemon::Daemon;
use crate::daemon::roster::Known;
use crate::identity::card::Card;
use crate::identity::revocation;
use crate::net::control::News;
use crate::receipt::Kind;
use crate::store::Op;
use crate::store::PeerRow;
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
    let known = daemon
        .roster
        .by_id(&paper.peer)
        .ok_or_else(|| Fault::new("unknown-peer", "no such peer any more"))?;
    let (number, ops) = match paper.what {
        Announced::Crl => newer_crl(daemon, &known, &paper.bytes)?,
        Announced::Card => newer_card(daemon, &known, &paper.bytes)?,
    };
    if !ops.is_empty() {
        daemon
            .station
            .ledger
            .commit(ops)
            .await
            .map_err(|e| Fault::new("storage", e.to_string()))?;
        daemon
            .reload_peers()
            .await
            .map_err(|e| Fault::new("storage", e.to_string()))?;
    }
    Ok(number)
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

/// A newer card is taken only if the key that signed the accepted one has signed it too.
fn newer_card(daemon: &Daemon, known: &Known, bytes: &[u8]) -> Result<(u64, Vec<Op>), Fault> {
    let (card, note) = Card::open(bytes).map_err(|e| Fault::new("bad-card", e.to_string()))?;
    if card.id != known.row.id || card.keys.card != known.card.keys.card {
        let text = "it is not signed by the card key of the accepted card; compare a new fingerprint and accept it by hand";
        return Err(Fault::new("other-card-key", text));
    }
    if card.number <= known.row.number {
        return Ok((known.row.number, Vec::new()));
    }
    let row = PeerRow {
        card: bytes.to_vec(),
        number: card.number,
        ..known.row.clone()
    };
    let stated = daemon
        .governance(Kind::CardAdopted, note.text_digest())
        .map_err(|e| Fault::new(e.code(), e.to_string()))?;
    Ok((card.number, vec![Op::PeerPut(Box::new(row)), stated]))
}

/// The digest under which a card is stated as adopted.
pub(crate) fn card_subject(card: &[u8]) -> Option<Digest> {
    Card::open(card).ok().map(|(_, note)| note.text_digest())
}
