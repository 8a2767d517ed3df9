//! Receipts as notes: reading, signing, verifying, and linking them to the one before.

use crate::base::json;
use crate::identity::keys::{PublicKey, SecretKey};
use crate::identity::statement::{Context, Note, StatementFault};
use crate::receipt::body::Receipt;
use crate::receipt::fault::ReceiptFault;
use crate::receipt::keys::PartyKeys;
use crate::receipt::kind::{Issuer, Kind};
use crate::receipt::parts::Party;

/// Reads the receipt in a note and checks everything but the signatures.
pub fn open(note: &Note) -> Result<Receipt, ReceiptFault> {
    if note.context() != Context::Consent {
        note.expect(Context::Receipt)?;
    }
    let receipt: Receipt = note.body()?;
    note.expect(receipt.kind.context())?;
    receipt.check()?;
    Ok(receipt)
}

/// Checks the signatures on a receipt of an exchange, each by the key that the receipt names: the issuer's first, and
/// the other side's after it if and only if the kind is countersigned and the note is meant to be `complete`.
pub fn verify(
    note: &Note,
    receipt: &Receipt,
    sender: &PartyKeys,
    receiver: &PartyKeys,
    complete: bool,
) -> Result<(), ReceiptFault> {
    same(note, receipt)?;
    let sender = named(receipt.from.as_ref(), sender, receipt.kind, "from")?;
    let receiver = named(receipt.to.as_ref(), receiver, receipt.kind, "to")?;
    let profile = receipt.kind.profile();
    let (issuer, other) = match profile.issuer {
        Issuer::Sender | Issuer::Own => (sender, receiver),
        Issuer::Receiver => (receiver, sender),
    };
    if complete && profile.countersigned {
        note.verify(&[issuer, other])?;
    } else {
        note.verify(&[issuer])?;
    }
    Ok(())
}

/// Checks the signature on a receipt outside exchanges.
pub fn verify_own(note: &Note, receipt: &Receipt, keys: &PartyKeys) -> Result<(), ReceiptFault> {
    same(note, receipt)?;
    let key = named(receipt.from.as_ref(), keys, receipt.kind, "from")?;
    if let Some(field) = receipt.to.as_ref().map(|_| "to") {
        let kind = receipt.kind;
        return Err(ReceiptFault::NotAllowed { kind, field });
    }
    Ok(note.verify(&[key])?)
}

/// Whether `next` may follow `prev`: the same exchange, authorities, package, terms and disclosures, the next step, and
/// a kind that may come now. What follows the handover has disclosures of its own; changed restrictions have terms that
/// are no looser; an answer is to the wish that it follows.
pub fn continues(prev: &Receipt, prev_note: &Note, next: &Receipt) -> Result<(), ReceiptFault> {
    same(prev_note, prev)?;
    next.check()?;
    if !next.kind.profile().follows.contains(&prev.kind) {
        return Err(ReceiptFault::MayNotFollow {
            before: prev.kind,
            next: next.kind,
        });
    }
    let sd = next.kind.is_after_handover() || prev.sd == next.sd;
    let terms = match (&prev.terms, &next.terms) {
        (Some(before), Some(after)) if next.kind == Kind::RestrictionChanged => {
            after.is_within(before)
        }
        (before, after) => before == after,
    };
    // The keys of a party change from one card to the next, and never back.
    let same_party = |before: &Option<Party>, after: &Option<Party>| match (before, after) {
        (Some(before), Some(after)) if before.card < after.card => before.id == after.id,
        (before, after) => before == after,
    };
    // An answer is to what was asked.
    let same_wish = |same: bool| !next.kind.is_answer() || same;
    for (field, kept) in [
        ("purpose", same_wish(prev.purpose == next.purpose)),
        ("third", same_wish(prev.third == next.third)),
        ("xid", prev.xid == next.xid),
        ("from", same_party(&prev.from, &next.from)),
        ("to", same_party(&prev.to, &next.to)),
        ("pkg", prev.pkg == next.pkg),
        ("terms", terms),
        ("sd", sd),
    ] {
        if !kept {
            return Err(ReceiptFault::Changed(field));
        }
    }
    let step = prev.step.and_then(|step| step.checked_add(1));
    let linked = next.prev == Some(prev_note.text_digest()) && next.step.is_some();
    if linked && next.step == step {
        Ok(())
    } else {
        Err(ReceiptFault::WrongPrev)
    }
}

/// Of the receipts of an exchange, in the order in which they were kept, the place of the last one under the terms in
/// force: one that crossed a change of terms on its way names the terms before it.
pub fn newest(receipts: &[&Receipt]) -> Option<usize> {
    let is_change = |it: &&&Receipt| it.kind == Kind::RestrictionChanged;
    let changed = receipts.iter().rev().find(is_change);
    let is_under = |it: &&Receipt| changed.is_none_or(|changed| it.terms == changed.terms);
    receipts.iter().rposition(is_under)
}

impl Receipt {
    /// The next receipt of the exchange, of this kind: one step on, linked to this one's text, about the same parties,
    /// package, terms and disclosures (none yet, if it comes after the handover). It is to be stamped by its issuer,
    /// and to be given what else its kind needs.
    #[must_use]
    pub fn follow(&self, note: &Note, kind: Kind) -> Self {
        let sd = if kind.is_after_handover() {
            Vec::new()
        } else {
            self.sd.clone()
        };
        Self {
            kind,
            sd,
            step: self.step.map(|step| step.saturating_add(1)),
            prev: Some(note.text_digest()),
            pol: None,
            ses: None,
            heads: Vec::new(),
            reason: None,
            purpose: None,
            released: None,
            subject: None,
            uses: Vec::new(),
            conditions: Vec::new(),
            third: None,
            until: None,
            ..self.clone()
        }
    }

    /// Names the newest key of each of these for whichever party it is.
    #[must_use]
    pub fn between(mut self, parties: [&Party; 2]) -> Self {
        for named in [&mut self.from, &mut self.to].into_iter().flatten() {
            if let Some(newest) = parties.into_iter().find(|it| it.id == named.id) {
                named.clone_from(newest);
            }
        }
        self
    }

    /// Checks and signs it; the key must be the receipts key that it names for its issuer.
    pub fn sign(&self, key: &SecretKey) -> Result<Note, ReceiptFault> {
        self.check()?;
        owned(self.issuer(), &key.public(), self.kind, "from")?;
        Ok(Note::issue(self.kind.context(), self, key)?)
    }

    /// Adds the other side's signature to the note of this receipt; the key must be the one that it names for that
    /// side.
    pub fn countersign(&self, note: &Note, key: &SecretKey) -> Result<Note, ReceiptFault> {
        same(note, self)?;
        let Some(party) = self.countersigner() else {
            return Err(ReceiptFault::NotAllowed {
                kind: self.kind,
                field: "countersignature",
            });
        };
        owned(Some(party), &key.public(), self.kind, "from")?;
        if note.signatures().len() != 1 {
            let (wanted, got) = (1, note.signatures().len());
            return Err(StatementFault::SignatureCount { wanted, got }.into());
        }
        Ok(note.countersign(key)?)
    }
}

/// The note is this receipt's.
fn same(note: &Note, receipt: &Receipt) -> Result<(), ReceiptFault> {
    note.expect(receipt.kind.context())?;
    if json::canonical(receipt) == note.json().as_bytes() {
        Ok(())
    } else {
        Err(ReceiptFault::NotTheNote)
    }
}

/// The key that the receipt names for this party.
fn named<'a>(
    party: Option<&Party>,
    keys: &'a PartyKeys,
    kind: Kind,
    field: &'static str,
) -> Result<&'a PublicKey, ReceiptFault> {
    let party = party.ok_or(ReceiptFault::Missing { kind, field })?;
    if party.id != *keys.id() {
        let key = keys.id().to_string();
        let party = party.id.clone();
        return Err(ReceiptFault::WrongKey { party, key });
    }
    keys.find(party).ok_or_else(|| ReceiptFault::UnknownKey {
        party: party.id.clone(),
        card: party.card,
    })
}

fn owned(
    party: Option<&Party>,
    key: &PublicKey,
    kind: Kind,
    field: &'static str,
) -> Result<(), ReceiptFault> {
    let party = party.ok_or(ReceiptFault::Missing { kind, field })?;
    if party.owns(key) {
        Ok(())
    } else {
        Err(ReceiptFault::WrongKey {
            party: party.id.clone(),
            key: format!("{}+{}", key.name(), key.id()),
        })
    }
}
