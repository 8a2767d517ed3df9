//! Statements that this authority makes by itself: dispatches, accesses, and what it does with cards.

use crate::api::server::ApiFailure;
use crate::base::Digest;
use crate::base::Xid;
use crate::base::json;
use crate::daemon::Daemon;
use crate::identity::statement::Note;
use crate::policy::Denial;
use crate::policy::purpose::Purpose;
use crate::receipt;
use crate::receipt::Disclosure;
use crate::receipt::Kind;
use crate::receipt::Party;
use crate::receipt::Reason;
use crate::receipt::Receipt;
use crate::receipt::Stamp;
use crate::receipt::disclosure;
use crate::seal;
use crate::store::CommitFault;
use crate::store::Exchange;
use crate::store::Op;
use crate::store::Phase;
use crate::store::durable::STORAGE_FULL;

/// The ledger key under which the disclosures of an access statement are kept; they never leave this authority.
pub(crate) fn disclosures_key(note: &Note) -> String {
    format!("disclosures/{}", note.digest())
}

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
        Party::of(&self.station.own.key.public())
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

    /// States something about this authority itself, outside exchanges.
    pub(crate) fn governance(
        &self,
        kind: Kind,
        subject: Digest,
    ) -> Result<Op, receipt::ReceiptFault> {
        let receipt = Receipt::own(kind, self.party(), Some(subject)).stamped(&self.stamp());
        let note = receipt.sign(&self.station.own.key)?;
        Ok(self.logged(None, kind, &note))
    }

    /// States that a package was opened, or that opening was refused; who and why stay here, their digests are signed.
    pub(crate) async fn state_access(
        &self,
        xid: &Xid,
        wish: &Wish<'_>,
        denial: Option<&Denial>,
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
        let (note, kind, disclosures) = self.access_note(&exchange, wish, denial)?;
        let ops = vec![
            self.logged(Some(*xid), kind, &note),
            Op::Advance {
                xid: *xid,
                from: vec![Phase::Held],
                to: Phase::Held,
                last_note: Some(note.bytes().to_vec()),
                at: self.station.clock(),
            },
            Op::Meta {
                key: disclosures_key(&note),
                value: disclosures,
            },
        ];
        self.station
            .ledger
            .commit(ops)
            .await
            .map_err(commit_failure)?;
        Ok(note.digest())
    }

    fn access_note(
        &self,
        exchange: &Exchange,
        wish: &Wish<'_>,
        denial: Option<&Denial>,
    ) -> Result<(Note, Kind, Vec<u8>), ApiFailure> {
        let altered = || {
            ApiFailure::mismatch(
                "ledger-altered",
                "the package's last statement in the ledger is damaged",
            )
        };
        let last = Note::parse(&exchange.last_note).map_err(|_| altered())?;
        let earlier = receipt::open(&last).map_err(|_| altered())?;
        let mut disclosures = vec![
            Disclosure::new(seal::random(), "persons", wish.actor),
            Disclosure::new(seal::random(), "justification", wish.justification),
            Disclosure::new(seal::random(), "items", wish.items.to_vec()),
        ];
        if wish.related {
            disclosures.push(Disclosure::new(seal::random(), disclosure::RELATED, true));
        }
        let kind = if denial.is_some() {
            Kind::AccessDenied
        } else {
            Kind::Access
        };
        let mut next = earlier
            .follow(&last, kind)
            .stamped(&self.stamp())
            .disclosing(&disclosures);
        next.purpose = wish.purpose;
        if let Some(denial) = denial {
            next = next.because(Reason::from(denial));
        }
        let note = next.sign(&self.station.own.key).map_err(|e| unsigned(&e))?;
        let kept: Vec<_> = disclosures.iter().map(Disclosure::encode).collect();
        Ok((note, kind, json::canonical(&kept)))
    }
}

/// What somebody wants to open, and why.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish<'a> {
    pub(crate) actor: &'a str,
    pub(crate) purpose: Option<Purpose>,
    pub(crate) justification: &'a str,
    pub(crate) items: &'a [String],
    pub(crate) related: bool,
}
