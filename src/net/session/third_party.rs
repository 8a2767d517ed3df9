//! Statements of an authority that is at neither end of the connection: the dispatch of whoever sent a passed-on
//! package first, and the receipt of whoever it was passed on to.

use crate::base::AuthorityId;
use crate::identity::statement::Note;
use crate::net::session::{Attempt, Session};
use crate::receipt::{self, PartyKeys, Reason, disclosure, onward};
use crate::store::PeerState;
use crate::transfer::reception::Admission;
use crate::transfer::{Fault, letters};

/// The receipts keys of an authority that is a peer here too; `None` where it is not.
async fn keys_of(session: &Session, id: &AuthorityId) -> Result<Option<PartyKeys>, Attempt> {
    let ledger = &session.station.ledger;
    let row = ledger.peer(id).await?;
    if !row.is_some_and(|row| matches!(row.state, PeerState::Accepted | PeerState::Paused)) {
        return Ok(None);
    }
    Ok(ledger.party_keys(id).await?)
}

/// Why a package that is passed on is not taken: its first sender is not known here, or has not signed what would make
/// it be passed on so. `None` for whatever comes from whoever sealed it.
pub(crate) async fn refused(
    session: &Session,
    admission: &Admission,
) -> Result<Option<Reason>, Attempt> {
    let technical = |code: &str| Ok(Some(Reason::technical(code)));
    let dispatch = &admission.receipt;
    let read = disclosure::check_against(&dispatch.sd, &admission.disclosures);
    let read = read.map_err(|e| Attempt::Local(Fault::new(e.code(), e.to_string())))?;
    let (note, origin) = match onward::origin(dispatch, &read) {
        Ok(None) => return Ok(None),
        Ok(Some(found)) => found,
        Err(fault) => return technical(fault.code()),
    };
    let Some(first) = origin.from.as_ref().map(|party| &party.id) else {
        return technical("onward-parties");
    };
    let Some(keys) = keys_of(session, first).await? else {
        tracing::warn!(xid = %admission.xid, %first, "a package is passed on whose first sender is no peer here: it is not taken");
        return technical("originator-unknown");
    };
    match receipt::verify(&note, &origin, &keys, &session.other().keys, true) {
        Ok(()) => Ok(None),
        Err(fault) => technical(fault.code()),
    }
}

/// Whether what goes along with `onward` is what a third authority has signed. Where that is no peer here, its
/// signature cannot be checked, and whoever reads it later is told so.
pub(crate) async fn copied(
    session: &Session,
    held: &[Note],
    note: &Note,
    words: &[String],
) -> Result<Result<(), Fault>, Attempt> {
    let (copy_note, copy) = match letters::copy(held, note, words) {
        Ok(copy) => copy,
        Err(fault) => return Ok(Err(fault)),
    };
    let Some(third) = copy.to.as_ref().map(|party| &party.id) else {
        return Ok(Err(Fault::new("onward-parties", "no third authority")));
    };
    let Some(keys) = keys_of(session, third).await? else {
        tracing::warn!(%third, "a package of ours was passed on to an authority that is no peer here: its receipt is kept unverified");
        return Ok(Ok(()));
    };
    let verified = receipt::verify(&copy_note, &copy, &session.other().keys, &keys, true);
    Ok(verified.map_err(|e| Fault::new(e.code(), e.to_string())))
}
