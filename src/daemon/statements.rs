//! Statements that this authority makes by itself: dispatches, accesses, and what it does with cards.

use crate::api::server::ApiFailure;
use crate::base::Digest;
use crate::base::Xid;
use crate::base::json;
use crate::base::limits;
use crate::daemon::Daemon;
use crate::daemon::chain::Chain;
use crate::exchange::Step;
use crate::identity::statement::Note;
use crate::policy::purpose::Purpose;
use crate::policy::{Denial, Terms};
use crate::receipt;
use crate::receipt::Disclosure;
use crate::receipt::Kind;
use crate::receipt::Party;
use crate::receipt::Reason;
use crate::receipt::Receipt;
use crate::receipt::Stamp;
use crate::receipt::disclosure;
use crate::seal;
use crate::store;
use crate::store::CommitFault;
use crate::store::Op;
use crate::store::durable::STORAGE_FULL;

#[expect(clippy::needless_pass_by_value, reason = "it is named in map_err")]
pub(crate) fn commit_failure(fault: CommitFault) -> ApiFailure {
    let text = fault.to_string();
    match fault {
        CommitFault::Full => ApiFailure::storage(STORAGE_FULL, text)
            .next("free space where the state directory is; nothing was changed"),
        CommitFault::Recovering => ApiFailure::storage("recovering", text).next(
            "restore the newest state, then start the daemon again; see: rogatory log status",
        ),
        CommitFault::Conflict { .. } => ApiFailure::temporary("conflict", text)
            .next("look at the package's state and try again"),
        CommitFault::Unfit(_) => ApiFailure::usage("unfit", text),
        CommitFault::Broken(_) => {
            ApiFailure::storage("storage-broken", text).next("look at the daemon's log")
        }
    }
}

pub(crate) fn unsigned(e: &receipt::ReceiptFault) -> ApiFailure {
    ApiFailure::usage(e.code(), format!("the statement cannot be made: {e}"))
}

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
        self.station
            .ledger
            .commit(ops)
            .await
            .map_err(commit_failure)?;
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
        let note = self.sign(next).map_err(|e| unsigned(&e))?;
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

/// Who did something and why, as salted values that stay here.
pub(crate) fn who_and_why(actor: &str, justification: &str) -> Vec<Disclosure> {
    let disclosure = |name, value| Disclosure::new(seal::random(), name, value);
    vec![
        disclosure(disclosure::PERSONS, actor),
        disclosure(disclosure::JUSTIFICATION, justification),
    ]
}

/// Whether this can stand as the reason of a person.
pub(crate) fn check_justification(text: &str) -> Result<(), ApiFailure> {
    let most = limits::TEXT_BYTES_MAX;
    if !text.trim().is_empty() && text.len() <= most {
        return Ok(());
    }
    let message = format!("a justification of 1 to {most} bytes is needed");
    Err(ApiFailure::usage("no-justification", message))
}

/// A wish to open something, and its reason.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish<'a> {
    pub(crate) actor: &'a str,
    pub(crate) purpose: Option<Purpose>,
    pub(crate) justification: &'a str,
    pub(crate) items: &'a [String],
    pub(crate) related: bool,
    pub(crate) export: bool,
}

impl Wish<'_> {
    /// Who opens, why, and what.
    pub(crate) fn disclosures(&self, persons: &str) -> Vec<Disclosure> {
        let items = self.items.to_vec();
        let mut all = who_and_why(persons, self.justification);
        all.push(Disclosure::new(seal::random(), disclosure::ITEMS, items));
        for (said, name) in [
            (self.related, disclosure::RELATED),
            (self.export, disclosure::EXPORT),
        ] {
            all.extend(said.then(|| Disclosure::new(seal::random(), name, true)));
        }
        all
    }
}
