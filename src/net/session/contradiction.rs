//! Proofs against a peer that has signed two statements about a package which exclude each other.

use crate::base::Xid;
use crate::net::session::{Attempt, Session};
use crate::store::{self, Op};
use crate::transfer::Fault;

/// Keeps the statement that proves this fault, if one does: it excludes another one of its issuer that is held. Of one
/// package, the first is enough.
///
/// # Errors
/// It cannot be kept.
pub(crate) async fn keep(
    session: &Session,
    xid: Option<Xid>,
    fault: &Fault,
) -> Result<(), Attempt> {
    let (Some(xid), Some(proof)) = (xid, &fault.proof) else {
        return Ok(());
    };
    let key = store::fork_key(session.peer_id(), &xid);
    let kept = session.station.ledger.meta(&key).await;
    if kept?.is_some() {
        return Ok(());
    }
    let peer = session.peer_id();
    tracing::error!(%xid, %peer, "it has signed two statements about a package that exclude each other; both are kept");
    let value = proof.bytes().to_vec();
    session.commit(vec![Op::Meta { key, value }]).await?;
    Ok(())
}
