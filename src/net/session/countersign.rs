//! A countersignature is kept and leaves only if what it stands under is so: the receipt says nothing of our log that
//! is not true, contradicts nothing that its issuer has shown of its own, names a session that we had with it, and no
//! day to come. The terms, the package and the chain are the machines' business.

use crate::base::limits;
use crate::identity::statement::Note;
use crate::net::session::{Attempt, Session};
use crate::receipt::{self, Kind, Receipt};
use crate::transfer::Fault;

/// Checks the heads that a receipt of the other side names: of our log, those that it had; of its own, no other than it
/// has shown.
///
/// # Errors
/// The inner one is the other side's fault; the outer one is of our own store.
pub(crate) async fn heads(
    session: &Session,
    receipt: &Receipt,
) -> Result<Result<(), Fault>, Attempt> {
    let (station, kind) = (&session.station, receipt.kind);
    let (ledger, heads) = (&station.ledger, &station.watch.heads);
    let own = format!("{}/log", station.own.id);
    for head in &receipt.heads {
        let (size, root) = (head.size, head.root);
        if head.origin == own {
            if !heads.is_ours(ledger, (size, root)).await? {
                let text = format!(
                    "the {kind} says that our log had the root {root} at size {size}, and it had not"
                );
                return Ok(Err(Fault::new("not-our-head", text)));
            }
            continue;
        }
        let shown = heads.shown(ledger, session.peer_id()).await?;
        if shown.is_some_and(|shown| shown.0 == size && shown.1 != root) {
            let text = format!(
                "the {kind} names another root of its log at size {size} than it has shown"
            );
            return Ok(Err(Fault::new("head-contradicted", text)));
        }
    }
    Ok(Ok(()))
}

/// Checks a receipt of the other side that this authority countersigns; the receipt in the note.
///
/// # Errors
/// As for [`heads`].
pub(crate) async fn check(
    session: &Session,
    note: &Note,
) -> Result<Result<Receipt, Fault>, Attempt> {
    let receipt = match receipt::open(note) {
        Ok(receipt) => receipt,
        Err(e) => return Ok(Err(Fault::new(e.code(), e.to_string()))),
    };
    if let Err(fault) = heads(session, &receipt).await? {
        return Ok(Err(fault));
    }
    let station = &session.station;
    let now = station.clock();
    if receipt.t > now && receipt.t.distance_ms(now) > limits::CLOCK_SKEW_MS_MAX {
        let text = format!("the {} is dated {}, it is {now}", receipt.kind, receipt.t);
        return Ok(Err(Fault::new("clock-skew", text)));
    }
    let had = match receipt.ses {
        Some(ses) => {
            let (ledger, peer) = (&station.ledger, session.peer_id());
            ses == session.link.session || station.sessions.had(ledger, peer, ses).await
        }
        // What is said of a package later is not signed on a connection.
        None => receipt.kind == Kind::Destroyed,
    };
    if had {
        return Ok(Ok(receipt));
    }
    let text = format!("the {} names no session that we had", receipt.kind);
    Ok(Err(Fault::new("not-our-session", text)))
}
