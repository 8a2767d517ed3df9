//! Newer cards and revocation lists: from the operator, or from the peer itself over a connection that it has proven.

use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use tokio::sync::mpsc;

use crate::base::{AuthorityId, Digest, Timestamp, limits};
use crate::daemon::Daemon;
use crate::daemon::cards::{CardNote, Place};
use crate::daemon::roster::Known;
use crate::identity::refusal::Refusal;
use crate::identity::revocation::{self, RevocationList};
use crate::net::control::News;
use crate::net::share::Share;
use crate::store::{CrlRow, Op};
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
    let _one_at_a_time = daemon.peers.lock().await;
    let known = daemon
        .roster
        .by_id(&paper.peer)
        .ok_or_else(|| Fault::new("unknown-peer", "no such peer any more"))?;
    let share = daemon.station.share(&paper.peer);
    let (ack, ops) = match paper.what {
        Announced::Crl => newer_crl(daemon, &known, &paper.bytes)?,
        Announced::Card => match newer_card(daemon, &known, &paper.bytes)? {
            Newer::Adopted(number, ops) => (Ack::card(number), ops),
            Newer::Conflict(ops) => {
                commit(daemon, &share, ops).await?;
                let text = "there is another card of this number by the same card key";
                return Err(Fault::new("card-conflict", text));
            }
        },
    };
    commit(daemon, &share, ops).await?;
    Ok(ack)
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

/// A list is kept if it is newer than the one of its CA, whatever the lists of other CAs are. One of a CA of a card that nobody
/// has accepted yet is kept for when somebody does.
fn newer_crl(daemon: &Daemon, known: &Known, bytes: &[u8]) -> Result<(Ack, Vec<Op>), Fault> {
    let refused = |refusal: Refusal| Fault::new(refusal.code(), refusal.to_string());
    let list = RevocationList::open(bytes, &known.all_cas()).map_err(refused)?;
    list.check_dates(daemon.station.clock()).map_err(refused)?;
    let ca = list.ca();
    let held = known.lists.iter().find(|held| held.ca() == ca);
    if let Some(held) = held.filter(|held| held.number() >= list.number()) {
        let number = held.number();
        return Ok((Ack::crl(ListNumber { ca, number }), Vec::new()));
    }
    let number = list.number();
    let ops = daemon.keeping(Some(known), &known.row.id, vec![list])?;
    Ok((Ack::crl(ListNumber { ca, number }), ops))
}

impl Daemon {
    /// The changes that keep these lists of an authority, and make room for them.
    ///
    /// # Errors
    /// There is no room, see [`leaving`].
    pub(crate) fn keeping(
        &self,
        known: Option<&Known>,
        id: &AuthorityId,
        lists: Vec<RevocationList>,
    ) -> Result<Vec<Op>, Fault> {
        let now = self.station.clock();
        let held = known.map_or(&[][..], |known| &known.lists);
        let cas = known.map(Known::all_cas).unwrap_or_default();
        let leaving = leaving(held, &lists, &cas, now).ok_or_else(|| {
            let most = limits::CRLS_MAX;
            let text = format!("the lists of {most} CAs of {id} are held already, each in use");
            Fault::new("quota", text)
        })?;
        let dropped = leaving.into_iter().map(|ca| Op::CrlDrop {
            authority: id.clone(),
            ca,
        });
        let kept = lists.into_iter().map(|list| {
            Op::CrlPut(Box::new(CrlRow {
                authority: id.clone(),
                ca: list.ca(),
                number: list.number(),
                list: list.bytes().to_vec(),
                came: now,
            }))
        });
        Ok(dropped.chain(kept).collect())
    }

    /// The revocation lists in a file, each signed by one of these CAs, or by one below them, and current.
    pub(crate) fn current_lists(
        &self,
        file: &[u8],
        cas: &[CertificateDer<'_>],
    ) -> Result<Vec<RevocationList>, Fault> {
        let refused = |refusal: Refusal| Fault::new(refusal.code(), refusal.to_string());
        let lists = revocation::lists_in(file, cas, &[]).map_err(refused)?;
        let now = self.station.clock();
        lists
            .iter()
            .try_for_each(|list| list.check_dates(now))
            .map_err(refused)?;
        Ok(lists)
    }
}

/// The CAs whose lists go when these come, so that at most [`limits::CRLS_MAX`] are held: first those on no card of the
/// authority, nor below one, then those whose lists have ended. `None` where there are not enough of them.
fn leaving(
    held: &[RevocationList],
    coming: &[RevocationList],
    cas: &[CertificateDer<'_>],
    now: Timestamp,
) -> Option<Vec<Digest>> {
    let comes = |held: &RevocationList| coming.iter().any(|list| list.ca() == held.ca());
    let staying: Vec<_> = held.iter().filter(|held| !comes(held)).collect();
    let all = staying.len().saturating_add(coming.len());
    let over = all.saturating_sub(limits::CRLS_MAX);
    let (used, useless): (Vec<_>, Vec<_>) = staying.into_iter().partition(|it| it.is_under(cas));
    let ended = used.into_iter().filter(|it| it.check_dates(now).is_err());
    let leaving: Vec<_> = useless.into_iter().chain(ended).take(over).collect();
    (leaving.len() == over).then(|| leaving.iter().map(|list| list.ca()).collect())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::trust::tests::Ca;

    fn list(ca: &Ca) -> RevocationList {
        let lists = revocation::lists_in(&ca.crl(&[]), std::slice::from_ref(&ca.der), &[]);
        lists.unwrap().remove(0)
    }

    #[test]
    fn lists_of_no_use_make_room_and_others_do_not() {
        let now = "2026-11-23T09:00:00.000Z".parse().unwrap();
        let after = "2026-12-23T09:00:00.000Z".parse().unwrap();
        let cas: Vec<_> = (0..9).map(|n| Ca::new(&format!("ca {n}"))).collect();
        let lists: Vec<_> = cas.iter().map(list).collect();
        let ders: Vec<_> = cas.iter().map(|ca| ca.der.clone()).collect();
        let (held, coming) = lists.split_at(8);
        assert_eq!(leaving(&held[..7], coming, &ders, now), Some(Vec::new()));
        assert_eq!(leaving(held, &held[..1], &ders, now), Some(Vec::new()));
        assert_eq!(leaving(held, coming, &ders, now), None, "all are in use");
        let first = held[0].ca();
        assert_eq!(leaving(held, coming, &ders, after), Some(vec![first]));
        let third = held[2].ca();
        let without: Vec<_> = [&ders[..2], &ders[3..]].concat();
        assert_eq!(leaving(held, coming, &without, after), Some(vec![third]));
    }
}
