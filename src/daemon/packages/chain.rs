//! The statements that bind a package, read from the ledger.

use std::sync::Arc;

use crate::api::server::ApiFailure;
use crate::daemon::Daemon;
use crate::daemon::failure::altered;
use crate::exchange::chain::{BINDING, BOUND, Bound, Chain, Parties, Subject};
use crate::exchange::{Direction, Phase};
use crate::identity::statement::Note;
use crate::receipt::{Kind, Signed};
use crate::store::{Exchange, StatementRow};

fn subject(row: &Exchange) -> Subject<'_> {
    Subject {
        xid: row.xid,
        body: row.body,
        hdr: row.hdr,
        len: row.len,
        disclosures: &row.disclosures,
    }
}

impl Daemon {
    /// The receipts keys of the sender and the receiver of an exchange; `None` if no card of the peer was ever adopted.
    pub(crate) fn parties(&self, row: &Exchange) -> Option<Parties> {
        let own = Arc::clone(self.station.own.keys.public());
        let peer = self.roster.keys(&row.peer)?;
        Some(match row.direction {
            Direction::Out => (own, peer),
            Direction::In => (peer, own),
        })
    }

    /// The statements that bind this package.
    pub(crate) async fn chain_of(&self, row: &Exchange) -> Result<Chain, ApiFailure> {
        if row.phase == Phase::Refused {
            let message = "the package was rejected: nothing of it is here";
            return Err(ApiFailure::missing("not-taken", message)
                .next("rogatory receipt list --package ID shows why"));
        }
        let follows = Kind::Access.profile().follows;
        let ledger = &self.station.ledger;
        let (rows, newest) = ledger.chain(&row.xid, BINDING, follows).await?;
        let keys = self.parties(row).ok_or_else(|| altered("peer"))?;
        // The handover as this authority signed it says no more than the one that both have signed.
        let is_half = |it: &&StatementRow| it.kind == Kind::Handover.as_str() && it.signatures < 2;
        let statements = rows.iter().filter(|it| !is_half(it)).map(read);
        let statements = statements.collect::<Result<Vec<_>, _>>()?;
        let newest = newest.as_ref().map(read).transpose()?;
        let first = |id: &_| self.roster.keys(id);
        Ok(Chain::read(
            &subject(row),
            &statements,
            newest,
            &keys,
            first,
        )?)
    }

    /// The statements by which this package is destroyed.
    pub(crate) async fn bound(&self, row: &Exchange) -> Result<Bound, ApiFailure> {
        let rows = self.station.ledger.statements_of(&row.xid, BOUND).await?;
        let keys = self.parties(row).ok_or_else(|| altered("peer"))?;
        let statements = rows.iter().filter_map(|it| read(it).ok());
        Ok(Bound::read(&subject(row), statements, &keys)?)
    }

    /// The handover of this package, or that it failed, as this authority has signed it and the sender has not yet.
    pub(crate) fn unanswered(&self, row: &Exchange) -> Result<Signed, ApiFailure> {
        let unsound = || altered("handover");
        let note = Note::parse(&row.last_note).map_err(|_| unsound())?;
        let handover = Signed::open(note).map_err(|_| unsound())?;
        let (sender, receiver) = self.parties(row).ok_or_else(|| altered("peer"))?;
        let verified = handover.verify(&sender, &receiver, false);
        let kinds = [Kind::Handover, Kind::HandoverFailed];
        let is_one = kinds.contains(&handover.receipt.kind) && subject(row).is_of(&handover);
        (verified.is_ok() && is_one)
            .then_some(handover)
            .ok_or_else(unsound)
    }
}

/// The statement of this row; its signatures are not looked at.
pub(crate) fn read(row: &StatementRow) -> Result<Signed, ApiFailure> {
    let altered = || altered("chain of statements");
    let note = Note::parse(&row.note).map_err(|_| altered())?;
    let signed = Signed::open(note).map_err(|_| altered())?;
    if signed.receipt.kind.as_str() == row.kind {
        Ok(signed)
    } else {
        Err(altered())
    }
}
