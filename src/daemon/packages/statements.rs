//! Statements that this authority makes by itself: dispatches, accesses, and what it does with cards.

use crate::api::server::ApiFailure;
use crate::base::{Digest, Xid, json};
use crate::daemon::Daemon;
use crate::daemon::packages::wish::Wish;
use crate::exchange::{Chain, Step};
use crate::identity::statement::Note;
use crate::policy::{Denial, Terms};
use crate::receipt::{Disclosure, Kind, Party, Reason, Receipt, Stamp};
use crate::store::Op;
use crate::{receipt, store};

impl Daemon {
    /// This authority as a party, by its receipt key.
    pub(crate) fn party(&self) -> Party {
        self.station.own.keys.party().clone()
    }

    /// Signs a statement of this authority under the newest cards of both sides.
    pub(crate) fn sign(&self, next: Receipt) -> Result<Note, receipt::ReceiptFault> {
        let own = &self.station.own.keys;
        let others = [&next.from, &next.to].into_iter().flatten();
        let other = others.map(|it| &it.id).find(|id| *id != own.public().id());
        let other = other.and_then(|id| self.roster.keys(id));
        let other = other
            .as_ref()
            .map_or_else(|| own.party(), |keys| keys.newest());
        own.sign(&next.between([own.party(), other]))
    }

    pub(crate) fn stamp(&self) -> Stamp {
        let moment = self.station.own_moment();
        Stamp {
            t: moment.clock,
            clk: self.station.own.clock_uncertainty_ms,
            pol: self.station.own.policy.digest(),
            ses: None,
            heads: moment.heads,
        }
    }

    /// The ledger's operation for a note that we alone have signed.
    pub(crate) fn logged(&self, xid: Option<Xid>, kind: Kind, note: &Note) -> Op {
        self.station.statement(kind, note, xid, true)
    }

    /// The ledger's operations for what this authority states of an exchange.
    pub(crate) fn stated(&self, xid: Xid, stated: &Stated<'_>) -> Vec<Op> {
        self.stated_late(xid, stated, stated.note.bytes())
    }

    /// The same where another statement stays the newest under the terms in force.
    pub(crate) fn stated_late(&self, xid: Xid, stated: &Stated<'_>, newest: &[u8]) -> Vec<Op> {
        let disclosures = stated.disclosures.iter().map(Disclosure::encode);
        let disclosures: Vec<_> = disclosures.collect();
        vec![
            self.logged(Some(xid), stated.kind, stated.note),
            Op::Advance {
                xid,
                step: Step::of(stated.kind, stated.note),
                last_note: Some(newest.to_vec()),
                at: self.station.clock(),
            },
            Op::Meta {
                key: store::disclosures_key(&stated.note.digest()),
                value: json::canonical(&disclosures),
            },
        ]
    }

    /// States something about this authority itself, outside exchanges.
    pub(crate) fn governance(
        &self,
        kind: Kind,
        subject: Digest,
    ) -> Result<Op, receipt::ReceiptFault> {
        let receipt = Receipt::own(kind, self.party(), Some(subject)).stamped(&self.stamp());
        let note = self.sign(receipt)?;
        Ok(self.logged(None, kind, &note))
    }

    /// States that opening a package was refused under these terms; who and why stay here, their digests are signed.
    ///
    /// # Errors
    /// Temporary, if the sender has changed the terms since it was decided.
    pub(crate) async fn state_denial(
        &self,
        xid: &Xid,
        wish: &Wish<'_>,
        terms: &Terms,
        denial: &Denial,
    ) -> Result<Digest, ApiFailure> {
        let _one_at_a_time = self.access.lock().await;
        let exchange = self
            .station
            .ledger
            .exchange(xid)
            .await
            .map_err(|e| ApiFailure::storage("store", e.to_string()))?;
        let exchange = exchange
            .ok_or_else(|| ApiFailure::missing("no-such-package", "the package is gone"))?;
        let chain = self.chain_of(&exchange).await?;
        if chain.terms() != terms {
            let message = "the sender has changed the terms of the package meanwhile";
            return Err(ApiFailure::temporary("conflict", message).next("give the command again"));
        }
        let (note, disclosures) = self.denial_note(&chain, wish, denial)?;
        let stays = Stated {
            kind: Kind::AccessDenied,
            note: &note,
            disclosures: &disclosures,
        };
        let mut ops = self.stated(*xid, &stays);
        let steps = exchange.steps;
        ops.insert(0, Op::Unmoved { xid: *xid, steps });
        self.station.ledger.commit(ops).await?;
        Ok(note.digest())
    }

    fn denial_note(
        &self,
        chain: &Chain,
        wish: &Wish<'_>,
        denial: &Denial,
    ) -> Result<(Note, Vec<Disclosure>), ApiFailure> {
        let disclosures = wish.disclosures(wish.actor);
        let mut next = chain
            .accessed
            .receipt
            .follow(&chain.accessed.note, Kind::AccessDenied)
            .stamped(&self.stamp())
            .disclosing(&disclosures);
        next.purpose = wish.purpose;
        next.reason = Some(Reason::from(denial));
        let note = self.sign(next)?;
        Ok((note, disclosures))
    }
}

/// A statement that this authority alone has signed, and what it does to its exchange.
pub(crate) struct Stated<'a> {
    pub(crate) kind: Kind,
    pub(crate) note: &'a Note,
    /// They stay here; the note has their digests.
    pub(crate) disclosures: &'a [Disclosure],
}
