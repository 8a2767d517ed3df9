//! The receiver's handling of an offer, until it is admitted, rejected, or known already.

use super::{Next, Receiver};
use crate::base::limits;
use crate::package::segments;
use crate::policy;
use crate::policy::{Action, Circumstances, Facts, Roles};
use crate::receipt::{Kind, Particulars, Party, PartyKeys, Pkg, Reason, Signed, disclosure};
use crate::transfer::checks::{contradiction, receipt_in, unexpected_kind};
use crate::transfer::reception::{Admission, KnownOffer, ReceiverCommit, ReceiverOutput, Standing};
use crate::transfer::stage::{Offer, State};
use crate::transfer::{Fault, Moment, Outcome};
use crate::wire::Frame;

impl Receiver {
    pub(super) fn offered(&mut self, now: &Moment, bytes: &[u8]) -> Next {
        let offer = receipt_in(bytes)?;
        if offer.receipt.kind != Kind::Dispatch {
            return Err(unexpected_kind(
                offer.receipt.kind,
                "an offer begins with a dispatch",
            ));
        }
        let names = |party: &Option<Party>, keys: &PartyKeys| {
            party.as_ref().and_then(|party| keys.find(party)).is_some()
        };
        if !names(&offer.receipt.from, &self.other.keys) {
            return Err(Fault::new(
                "wrong-sender",
                "the dispatch is not from the authority at the other end, or names another key",
            ));
        }
        if !names(&offer.receipt.to, self.own.keys.public()) {
            return Err(Fault::new(
                "wrong-recipient",
                "the dispatch is not for this authority, or names another key",
            ));
        }
        self.keys().verify(&offer, true)?;
        if offer.receipt.t
            > now
                .clock
                .plus_millis(i64::try_from(limits::CLOCK_SKEW_MS_MAX).unwrap_or(i64::MAX))
        {
            return Err(Fault::new(
                "clock-skew",
                "the dispatch is dated more than 5 minutes ahead of this clock",
            ));
        }
        Ok(State::AwaitDisclosures(offer))
    }

    pub(super) fn disclosed(&mut self, offer: Signed, disclosures: Vec<String>) -> Next {
        disclosure::check_against(&offer.receipt.sd, &disclosures)
            .map_err(|e| Fault::new(e.code(), e.to_string()))?;
        let xid = offer
            .receipt
            .xid
            .ok_or_else(|| Fault::new("missing-field", "a dispatch has an xid"))?;
        self.outputs.push_back(ReceiverOutput::Lookup(xid));
        Ok(State::AwaitKnown { offer, disclosures })
    }

    pub(super) fn known(
        &mut self,
        now: &Moment,
        offer: Signed,
        disclosures: Vec<String>,
        known: Option<KnownOffer>,
    ) -> Next {
        let pkg = offer
            .receipt
            .pkg
            .clone()
            .ok_or_else(|| Fault::new("missing-field", "a dispatch names its package"))?;
        let verified = |dispatch| Offer {
            dispatch,
            segments: segments::count(pkg.len),
            inline: pkg.len <= limits::INLINE_PAYLOAD_BYTES_MAX,
        };
        let Some(known) = known else {
            return self.decide(now, verified(offer), disclosures, pkg);
        };
        if known.dispatch != offer.note {
            let fault = Fault::new("xid-taken", "another dispatch has this exchange id");
            return Err(contradiction(&offer, &known.dispatch, &self.keys(), fault));
        }
        match known.standing {
            Standing::Receiving(have) => {
                let offer = verified(offer);
                self.outputs.push_back(ReceiverOutput::Resume(have.clone()));
                Ok(State::AwaitList { offer, have })
            }
            Standing::Consigned(note) => {
                self.send(Frame::Receipt(note.bytes().to_vec()));
                Ok(State::AwaitCountersigned {
                    dispatch: Box::new(offer),
                    held: Signed::open(note)?,
                })
            }
            Standing::Answered(note) => {
                self.send(Frame::Receipt(note.bytes().to_vec()));
                Ok(State::AwaitAnswerCountersigned(Signed::open(note)?))
            }
            Standing::Rejected(note) => {
                self.send(Frame::Receipt(note.bytes().to_vec()));
                Ok(self.close(Outcome::Ended))
            }
            Standing::Settled => {
                self.send(Frame::Done);
                Ok(self.close(Outcome::Delivered))
            }
        }
    }

    fn decide(&mut self, now: &Moment, offer: Offer, disclosures: Vec<String>, pkg: Pkg) -> Next {
        if pkg.len > self.own.package_max {
            let reason = Reason::technical("too-large");
            return self.reject(now, offer, reason);
        }
        let terms = offer
            .dispatch
            .receipt
            .terms
            .clone()
            .ok_or_else(|| Fault::new("missing-field", "a dispatch has terms"))?;
        let beside = match Particulars::read(&offer.dispatch.receipt, &disclosures) {
            Ok(beside) => beside,
            Err(fault) => return self.reject(now, offer, Reason::technical(&fault.code())),
        };
        let facts = Facts {
            action: Action::Admit,
            own: &self.own.id,
            from: &self.other.id,
            to: &self.own.id,
            actor: self.other.id.as_str(),
            roles: Roles::NONE,
            purpose: None,
            terms: &terms,
            package: pkg.body,
            now: now.clock,
            circumstances: Circumstances::default(),
        };
        let each = beside.item_terms.iter().map(|item| &item.terms);
        match policy::decide_all(&self.own.policy, &facts, each) {
            Ok(permit) => {
                let xid = offer
                    .dispatch
                    .receipt
                    .xid
                    .ok_or_else(|| Fault::new("missing-field", "a dispatch has an xid"))?;
                let dispatch = offer.dispatch.note.clone();
                let receipt = offer.dispatch.receipt.clone();
                self.outputs
                    .push_back(ReceiverOutput::Admit(Box::new(Admission {
                        dispatch,
                        receipt,
                        pkg,
                        xid,
                        disclosures,
                        permit,
                    })));
                Ok(State::AwaitAdmission(offer))
            }
            Err(refused) => self.reject(now, offer, Reason::from(&refused.1)),
        }
    }

    pub(super) fn reject(&mut self, now: &Moment, offer: Offer, reason: Reason) -> Next {
        let receipt = self
            .next_receipt(now, &offer.dispatch, Kind::Rejected)
            .because(reason);
        let note = self.sign(&receipt)?;
        let then = vec![Frame::Receipt(note.bytes().to_vec())];
        let commit = ReceiverCommit::Rejected {
            dispatch: offer.dispatch.note,
            note,
        };
        Ok(self.commit(commit, then, State::Closing(Outcome::Ended)))
    }
}
