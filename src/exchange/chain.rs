//! The statements that bind a package: its terms in force, consents, and what may follow.

use std::borrow::Cow;
use std::sync::Arc;

use crate::base::{AuthorityId, Digest, Timestamp, Xid, limits};
use crate::package::{Expect, ItemTerms};
use crate::policy::{Consent, Consented, Purpose, Restriction, Terms};
use crate::receipt::{self, Kind, Particulars, PartyKeys, Reason, Receipt, ReceiptFault, Signed};

/// The kinds of statement that say what a package is bound by. There is a limit to how many of them there can be.
pub const BINDING: &[Kind] = &[
    Kind::Dispatch,
    Kind::Handover,
    Kind::RestrictionChanged,
    Kind::ConsentAsked,
    Kind::ConsentGiven,
];
/// The kinds of statement by which a package is destroyed.
pub const BOUND: &[Kind] = &[Kind::Handover, Kind::RestrictionChanged];

/// The receipts keys of sender and receiver.
pub type Parties = (Arc<PartyKeys>, Arc<PartyKeys>);

/// Why what is kept of a package does not bind it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    /// Something is missing or damaged.
    #[error("the {0} is missing or damaged")]
    Altered(&'static str),
    /// The dispatch is not by who it says.
    #[error("the dispatch does not verify: {0}")]
    Dispatch(ReceiptFault),
}

const STATEMENTS: ChainFault = ChainFault::Altered("chain of statements");

/// The package that statements are about.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its exchange.
    pub xid: Xid,
    /// Digest of the payload.
    pub body: Digest,
    /// Digest of the age header.
    pub hdr: Digest,
    /// Length of the payload.
    pub len: u64,
    /// Everything that is disclosed beside the dispatch.
    pub disclosures: &'a [String],
}

impl Subject<'_> {
    /// Whether this statement is about this package.
    pub fn is_of(&self, it: &Signed) -> bool {
        let pkg = it.receipt.pkg.as_ref();
        it.receipt.xid == Some(self.xid)
            && pkg
                .is_some_and(|pkg| (pkg.body, pkg.hdr, pkg.len) == (self.body, self.hdr, self.len))
    }
}

/// The parts of the dispatch that the manifest of a package repeats.
#[derive(Debug)]
pub struct Manifested {
    /// Its sender.
    pub from: AuthorityId,
    /// Its receiver.
    pub to: AuthorityId,
    /// Its terms.
    pub terms: Terms,
}

impl Manifested {
    fn of(dispatch: &Receipt) -> Option<Self> {
        Some(Self {
            from: dispatch.from.as_ref()?.id.clone(),
            to: dispatch.to.as_ref()?.id.clone(),
            terms: dispatch.terms.clone()?,
        })
    }
}

/// The verified statements that bind a package.
#[derive(Debug)]
pub struct Chain {
    /// The terms of the dispatch.
    pub sealed: Terms,
    /// Authorities and terms as the manifest has them.
    pub manifest: Manifested,
    /// Items under terms of their own, within those of the manifest.
    pub items: Vec<ItemTerms>,
    /// Everything else that is disclosed beside the dispatch.
    pub beside: Particulars,
    /// Whether whoever sent it had it from another authority, whose terms bind it too.
    pub is_passed_on: bool,
    /// The handover, then changed restrictions, oldest first; none before the handover.
    pub shared: Vec<Signed>,
    /// The statement that the next one about an opening follows: the newest of those that it may. The dispatch, if
    /// there is none.
    pub accessed: Signed,
    /// The sender's consents beyond the terms as they are, expired ones included.
    pub consents: Vec<Consent>,
    /// The restrictions under which each of them was given.
    conditions: Vec<Vec<Restriction>>,
}

impl Chain {
    /// Reads the statements of kinds [`BINDING`], oldest first, with the newest one that one about an opening may
    /// follow; `first` gives the keys of an authority that sealed the package before another passed it on.
    ///
    /// # Errors
    /// The first that is not as it was signed, or does not follow the one before it.
    pub fn read(
        subject: &Subject<'_>,
        statements: &[Signed],
        newest: Option<Signed>,
        keys: &Parties,
        first: impl FnOnce(&AuthorityId) -> Option<Arc<PartyKeys>>,
    ) -> Result<Self, ChainFault> {
        let dispatch = sealed(subject, statements, keys)?;
        let beside = Particulars::read(&dispatch.receipt, subject.disclosures);
        let mut beside = beside.map_err(|_| ChainFault::Altered("disclosures"))?;
        let is_passed_on = beside.origin.is_some();
        let manifest = match beside.origin.take() {
            Some((note, origin)) => {
                let altered = || ChainFault::Altered("dispatch of the first sender");
                let sender = origin.from.as_ref().ok_or_else(altered)?;
                let sender = first(&sender.id).ok_or_else(altered)?;
                receipt::verify(&note, &origin, &sender, &keys.0, true).map_err(|_| altered())?;
                Manifested::of(&origin)
            }
            None => Manifested::of(&dispatch.receipt),
        };
        let terms = || ChainFault::Altered("terms");
        let manifest = manifest.ok_or_else(terms)?;
        let sealed = dispatch.receipt.terms.clone();
        let shared = shared(statements, keys)?;
        let in_force = shared.last().and_then(|it| it.receipt.terms.as_ref());
        let in_force = in_force.or(sealed.as_ref());
        // One about an opening that began under other terms may have been stated later.
        let newest = newest.filter(|it| it.receipt.terms.as_ref() == in_force);
        let mut chain = Self {
            accessed: newest
                .or_else(|| shared.last().cloned())
                .unwrap_or(dispatch),
            sealed: sealed.ok_or_else(terms)?,
            manifest,
            items: std::mem::take(&mut beside.item_terms),
            beside,
            is_passed_on,
            shared,
            consents: Vec::new(),
            conditions: Vec::new(),
        };
        chain.consent(statements, keys)?;
        if chain.terms().is_within(&chain.sealed) {
            Ok(chain)
        } else {
            Err(ChainFault::Altered("changed restriction"))
        }
    }

    /// The terms in force: those that were sealed, or what the sender has made of them since.
    pub fn terms(&self) -> &Terms {
        let newest = self.shared.last();
        newest
            .and_then(|it| it.receipt.terms.as_ref())
            .unwrap_or(&self.sealed)
    }

    /// The authority that sent the package first, where another has passed it on.
    pub fn first_sender(&self) -> Option<&AuthorityId> {
        Some(&self.manifest.from).filter(|_| self.is_passed_on)
    }

    /// The terms for this use: those in force, and where the use stands on a consent, the restrictions of that.
    pub fn terms_for(&self, purpose: Purpose, now: Timestamp) -> Cow<'_, Terms> {
        self.for_use(self.terms(), purpose, now)
    }

    /// These terms of the package or of an item, for this use.
    fn for_use<'a>(&self, terms: &'a Terms, purpose: Purpose, now: Timestamp) -> Cow<'a, Terms> {
        if terms.purposes.contains(&purpose) {
            return Cow::Borrowed(terms);
        }
        self.with_conditions(terms, &Consented::Use(purpose), now)
    }

    /// The terms of the items that are opened under these names, all where none is named, for this use.
    pub fn items_for(
        &self,
        names: &[String],
        purpose: Purpose,
        now: Timestamp,
    ) -> Vec<(&ItemTerms, Cow<'_, Terms>)> {
        let opened = self.items.iter().filter(|item| item.is_opened_by(names));
        opened
            .map(|item| (item, self.for_use(&item.terms, purpose, now)))
            .collect()
    }

    /// The terms in force, with the restrictions of the consents to this that hold now.
    pub fn terms_with(&self, to: &Consented, now: Timestamp) -> Cow<'_, Terms> {
        self.with_conditions(self.terms(), to, now)
    }

    fn with_conditions<'a>(
        &self,
        terms: &'a Terms,
        to: &Consented,
        now: Timestamp,
    ) -> Cow<'a, Terms> {
        let standing = self.consents.iter().zip(&self.conditions);
        let holds = standing.filter(|(it, _)| it.to == *to && now <= it.until.end_of_day());
        let added: Vec<_> = holds.flat_map(|(_, conditions)| conditions).collect();
        if added.is_empty() {
            return Cow::Borrowed(terms);
        }
        let mut terms = terms.clone();
        terms.restrictions.extend(added);
        terms.restrictions.sort_unstable();
        terms.restrictions.dedup();
        Cow::Owned(terms)
    }

    /// The expected content of the package.
    pub fn expect(&self) -> Expect {
        Expect {
            from: self.manifest.from.clone(),
            to: self.manifest.to.clone(),
            terms: self.manifest.terms.clone(),
            item_terms: self.items.clone(),
            manifest: self.beside.manifest,
            item_root: self.beside.item_root,
            case: self.beside.case.clone(),
            request: self.beside.request.clone(),
            title: self.beside.title.clone(),
            passed_on: self.is_passed_on,
        }
    }

    /// The statement that the next one held by both sides follows.
    ///
    /// # Errors
    /// The package was not handed over.
    pub fn last(&self) -> Result<&Signed, ChainFault> {
        self.shared.last().ok_or(ChainFault::Altered("handover"))
    }

    /// Finds what the sender has consented to. A consent ends where what may be done under the terms was changed after
    /// it.
    fn consent(&mut self, statements: &[Signed], keys: &Parties) -> Result<(), ChainFault> {
        let of = |kind: Kind| statements.iter().filter(move |it| it.receipt.kind == kind);
        for given in of(Kind::ConsentGiven) {
            let wish = of(Kind::ConsentAsked)
                .find(|it| Some(it.note.text_digest()) == given.receipt.prev)
                .ok_or(STATEMENTS)?;
            given.follows(wish).map_err(|_| STATEMENTS)?;
            for it in [wish, given] {
                let verified = it.verify(&keys.0, &keys.1, true);
                verified.map_err(|_| STATEMENTS)?;
            }
            let stands = given.receipt.terms.as_ref().is_some_and(|then| {
                let now = self.terms();
                (&then.purposes, then.onward, &then.restrictions)
                    == (&now.purposes, now.onward, &now.restrictions)
            });
            if let (true, Some(consent)) = (stands, consent_of(&given.receipt)) {
                self.consents.push(consent);
                self.conditions.push(given.receipt.conditions.clone());
            }
        }
        Ok(())
    }
}

fn consent_of(given: &Receipt) -> Option<Consent> {
    let to_use = given.purpose.map(Consented::Use);
    let onward = given.third.clone().map(Consented::Onward);
    Some(Consent {
        by: given.from.as_ref()?.id.clone(),
        package: given.pkg.as_ref()?.body,
        to: to_use.or(onward)?,
        until: given.until?,
    })
}

/// The statements by which a package is destroyed: the handover and the changed restrictions that follow it, oldest
/// first, as far as they verify and are about this package. It is destroyed even where others of its statements are
/// damaged, or exclude each other.
#[derive(Debug)]
pub struct Bound(Vec<Signed>);

impl Bound {
    /// Reads the statements of kinds [`BOUND`], oldest first.
    ///
    /// # Errors
    /// No terms are in force by them.
    pub fn read(
        subject: &Subject<'_>,
        statements: impl IntoIterator<Item = Signed>,
        keys: &Parties,
    ) -> Result<Self, ChainFault> {
        let mut shared: Vec<Signed> = Vec::new();
        let statements = statements.into_iter().filter(is_shared);
        for it in statements.filter(|it| verified(it, keys).is_ok()) {
            let follows = shared
                .last()
                .is_none_or(|before| it.follows(before).is_ok());
            if subject.is_of(&it) && follows {
                shared.push(it);
            }
        }
        let bound = Self(shared);
        bound.terms().map(drop)?;
        Ok(bound)
    }

    /// The terms in force.
    ///
    /// # Errors
    /// None are kept.
    pub fn terms(&self) -> Result<&Terms, ChainFault> {
        let terms = self.last()?.receipt.terms.as_ref();
        terms.ok_or(ChainFault::Altered("terms"))
    }

    /// The statement that its destruction follows.
    ///
    /// # Errors
    /// None is kept.
    pub fn last(&self) -> Result<&Signed, ChainFault> {
        self.0.last().ok_or(ChainFault::Altered("handover"))
    }

    /// The newest reason that the sender gave for ending it.
    pub fn reason(&self) -> Option<Reason> {
        let mut newest_first = self.0.iter().rev();
        newest_first.find_map(|it| it.receipt.reason.clone())
    }
}

fn sealed(
    subject: &Subject<'_>,
    statements: &[Signed],
    keys: &Parties,
) -> Result<Signed, ChainFault> {
    let mut all = statements.iter();
    let dispatch = all.find(|it| it.receipt.kind == Kind::Dispatch);
    let dispatch = dispatch.ok_or(ChainFault::Altered("dispatch"))?;
    let verified = dispatch.verify(&keys.0, &keys.1, false);
    verified.map_err(ChainFault::Dispatch)?;
    let pkg = dispatch.receipt.pkg.as_ref();
    if pkg.is_some_and(|pkg| (pkg.body, pkg.len) == (subject.body, subject.len)) {
        Ok(dispatch.clone())
    } else {
        Err(ChainFault::Altered("row"))
    }
}

/// Whether this is the handover that both have signed, or a change of terms.
fn is_shared(it: &Signed) -> bool {
    let is_handover = it.receipt.kind == Kind::Handover && it.note.signatures().len() == 2;
    is_handover || it.receipt.kind == Kind::RestrictionChanged
}

fn verified(it: &Signed, keys: &Parties) -> Result<(), ChainFault> {
    let verified = it.verify(&keys.0, &keys.1, true);
    verified.map_err(|_| STATEMENTS)
}

/// Each is verified, and follows the one before it.
fn shared(statements: &[Signed], keys: &Parties) -> Result<Vec<Signed>, ChainFault> {
    let mut shared: Vec<Signed> = Vec::new();
    for it in statements.iter().filter(|it| is_shared(it)) {
        verified(it, keys)?;
        if let Some(before) = shared.last() {
            it.follows(before).map_err(|_| STATEMENTS)?;
        }
        shared.push(it.clone());
    }
    if shared.len() > limits::RESTRICTIONS_CHANGED_MAX.saturating_add(1) {
        return Err(STATEMENTS);
    }
    Ok(shared)
}
