//! The record of an exchange, read once from the stored bytes and verified again: the dispatch, and what both sides
//! hold since the handover.

use std::borrow::Cow;
use std::sync::Arc;

use crate::api::server::ApiFailure;
use crate::base::AuthorityId;
use crate::base::Timestamp;
use crate::base::limits;
use crate::daemon::Daemon;
use crate::daemon::failure::altered;
use crate::exchange::{Direction, Phase};
use crate::identity::statement::Note;
use crate::package::{Expect, ItemTerms};
use crate::policy::{Consent, Consented, Purpose, Restriction, Terms};
use crate::receipt::{self, Kind, Particulars, PartyKeys, Reason, Receipt, Signed};
use crate::store::{Exchange, StatementRow};

/// The statements that say what a package is bound by. There is a limit to how many of them there can be.
const BINDING: &[Kind] = &[
    Kind::Dispatch,
    Kind::Handover,
    Kind::RestrictionChanged,
    Kind::ConsentAsked,
    Kind::ConsentGiven,
];

/// The parts of the dispatch that the manifest of a package repeats.
#[derive(Debug)]
pub(crate) struct Manifested {
    pub(crate) from: AuthorityId,
    pub(crate) to: AuthorityId,
    pub(crate) terms: Terms,
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

/// Whether this statement is about this package.
fn is_about(it: &Signed, row: &Exchange) -> bool {
    let pkg = it.receipt.pkg.as_ref();
    it.receipt.xid == Some(row.xid)
        && pkg.is_some_and(|pkg| (pkg.body, pkg.hdr, pkg.len) == (row.body, row.hdr, row.len))
}

/// The verified statements that bind a package.
#[derive(Debug)]
pub(crate) struct Chain {
    /// The terms of the dispatch.
    pub(crate) sealed: Terms,
    /// Authorities and terms as the manifest has them.
    pub(crate) manifest: Manifested,
    /// Items under terms of their own, within those of the manifest.
    pub(crate) items: Vec<ItemTerms>,
    /// Everything else that is disclosed beside the dispatch.
    pub(crate) beside: Particulars,
    /// Whether whoever sent it had it from another authority, whose terms bind it too.
    pub(crate) is_passed_on: bool,
    /// The handover, then changed restrictions, oldest first; none before the handover.
    pub(crate) shared: Vec<Signed>,
    /// The statement that the next one about an opening follows: the newest of those that it may. The dispatch, if
    /// there is none.
    pub(crate) accessed: Signed,
    /// The sender's consents beyond the terms as they are, expired ones included.
    pub(crate) consents: Vec<Consent>,
    /// The restrictions under which each of them was given.
    conditions: Vec<Vec<Restriction>>,
}

impl Chain {
    /// The terms in force: those that were sealed, or what the sender has made of them since.
    pub(crate) fn terms(&self) -> &Terms {
        let newest = self.shared.last();
        newest
            .and_then(|it| it.receipt.terms.as_ref())
            .unwrap_or(&self.sealed)
    }

    /// The authority that sent the package first, where another has passed it on.
    pub(crate) fn first_sender(&self) -> Option<&AuthorityId> {
        Some(&self.manifest.from).filter(|_| self.is_passed_on)
    }

    /// The terms for this use: those in force, and where the use stands on a consent, the restrictions of that.
    pub(crate) fn terms_for(&self, purpose: Purpose, now: Timestamp) -> Cow<'_, Terms> {
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
    pub(crate) fn items_for(
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
    pub(crate) fn terms_with(&self, to: &Consented, now: Timestamp) -> Cow<'_, Terms> {
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
    pub(crate) fn expect(&self) -> Expect {
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
    pub(crate) fn last(&self) -> Result<&Signed, ApiFailure> {
        self.shared.last().ok_or_else(|| altered("handover"))
    }
}

impl Chain {
    /// Finds what the sender has consented to. A consent ends where what may be done under the terms was changed after
    /// it.
    fn consent(
        &mut self,
        rows: &[StatementRow],
        (sender, receiver): &(Arc<PartyKeys>, Arc<PartyKeys>),
    ) -> Result<(), ApiFailure> {
        let altered = || altered("chain of statements");
        let of = |kind: Kind| rows.iter().filter(move |row| row.kind == kind.as_str());
        let asked = of(Kind::ConsentAsked).map(read);
        let asked: Vec<Signed> = asked.collect::<Result<_, _>>()?;
        for row in of(Kind::ConsentGiven) {
            let given = read(row)?;
            let wish = asked
                .iter()
                .find(|it| Some(it.note.text_digest()) == given.receipt.prev)
                .ok_or_else(altered)?;
            given.follows(wish).map_err(|_| altered())?;
            for it in [wish, &given] {
                let verified = it.verify(sender, receiver, true);
                verified.map_err(|_| altered())?;
            }
            let stands = given.receipt.terms.as_ref().is_some_and(|then| {
                let now = self.terms();
                (&then.purposes, then.onward, &then.restrictions)
                    == (&now.purposes, now.onward, &now.restrictions)
            });
            if let (true, Some(consent)) = (stands, consent_of(&given.receipt)) {
                self.consents.push(consent);
                self.conditions.push(given.receipt.conditions);
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

impl Daemon {
    /// The receipts keys of the sender and the receiver of an exchange; `None` if no card of the peer was ever adopted.
    pub(crate) fn parties(&self, row: &Exchange) -> Option<(Arc<PartyKeys>, Arc<PartyKeys>)> {
        let own = Arc::clone(self.station.own.keys.public());
        let peer = self.roster.keys(&row.peer)?;
        Some(match row.direction {
            Direction::Out => (own, peer),
            Direction::In => (peer, own),
        })
    }

    /// Verifies the dispatch that was passed on, by the key of whoever sealed the package.
    fn verify_origin(
        &self,
        note: &Note,
        origin: &Receipt,
        passed_on_by: &PartyKeys,
    ) -> Result<(), ApiFailure> {
        let altered = || altered("dispatch of the first sender");
        let first = origin.from.as_ref().ok_or_else(altered)?;
        let first = self.roster.keys(&first.id).ok_or_else(altered)?;
        receipt::verify(note, origin, &first, passed_on_by, true).map_err(|_| altered())
    }

    /// The statements that bind this package.
    pub(crate) async fn chain_of(&self, row: &Exchange) -> Result<Chain, ApiFailure> {
        if row.phase == Phase::Refused {
            let message = "the package was rejected: nothing of it is here";
            return Err(ApiFailure::missing("not-taken", message)
                .next("rogatory receipt list --package ID shows why"));
        }
        let follows = Kind::Access.profile().follows;
        let read = self.station.ledger.chain(&row.xid, BINDING, follows).await;
        let (rows, newest) = read?;
        let keys = self.parties(row).ok_or_else(|| altered("peer"))?;
        let dispatch = sealed(row, &rows, &keys)?;
        let beside = Particulars::read(&dispatch.receipt, &row.disclosures);
        let mut beside = beside.map_err(|_| altered("disclosures"))?;
        let is_passed_on = beside.origin.is_some();
        let manifest = match beside.origin.take() {
            Some((note, origin)) => {
                self.verify_origin(&note, &origin, &keys.0)?;
                Manifested::of(&origin)
            }
            None => Manifested::of(&dispatch.receipt),
        };
        let manifest = manifest.ok_or_else(|| altered("terms"))?;
        let sealed = dispatch.receipt.terms.clone();
        let shared = shared(&rows, &keys)?;
        let in_force = shared.last().and_then(|it| it.receipt.terms.as_ref());
        let in_force = in_force.or(sealed.as_ref());
        // One about an opening that began under other terms may have been stated later.
        let newest = newest.as_ref().map(self::read).transpose()?;
        let newest = newest.filter(|it| it.receipt.terms.as_ref() == in_force);
        let accessed = match newest {
            Some(newest) => newest,
            None => last_shared(&rows, |_| true)?.unwrap_or(dispatch),
        };
        let mut chain = Chain {
            sealed: sealed.ok_or_else(|| altered("terms"))?,
            manifest,
            items: std::mem::take(&mut beside.item_terms),
            beside,
            is_passed_on,
            shared,
            accessed,
            consents: Vec::new(),
            conditions: Vec::new(),
        };
        chain.consent(&rows, &keys)?;
        if chain.terms().is_within(&chain.sealed) {
            Ok(chain)
        } else {
            Err(altered("changed restriction"))
        }
    }
}

/// The statements by which a package is destroyed: the handover and the changed restrictions that follow it, oldest
/// first, as far as they verify and are about this package. It is destroyed even where others of its statements are
/// damaged, or exclude each other.
#[derive(Debug)]
pub(crate) struct Bound(Vec<Signed>);

impl Bound {
    /// The terms in force.
    pub(crate) fn terms(&self) -> Result<&Terms, ApiFailure> {
        let terms = self.last()?.receipt.terms.as_ref();
        terms.ok_or_else(|| altered("terms"))
    }

    /// The statement that its destruction follows.
    pub(crate) fn last(&self) -> Result<&Signed, ApiFailure> {
        self.0.last().ok_or_else(|| altered("handover"))
    }

    /// The newest reason that the sender gave for ending it.
    pub(crate) fn reason(&self) -> Option<Reason> {
        let mut newest_first = self.0.iter().rev();
        newest_first.find_map(|it| it.receipt.reason.clone())
    }
}

impl Daemon {
    /// The statements by which this package is destroyed.
    pub(crate) async fn bound(&self, row: &Exchange) -> Result<Bound, ApiFailure> {
        let kinds = &[Kind::Handover, Kind::RestrictionChanged];
        let rows = self.station.ledger.statements_of(&row.xid, kinds).await;
        let rows = rows?;
        let keys = self.parties(row).ok_or_else(|| altered("peer"))?;
        let mut shared: Vec<Signed> = Vec::new();
        let rows = rows.iter().filter(|it| is_shared(it));
        for it in rows.filter_map(|it| shared_one(it, &keys).ok()) {
            let follows = shared
                .last()
                .is_none_or(|before| it.follows(before).is_ok());
            if is_about(&it, row) && follows {
                shared.push(it);
            }
        }
        let bound = Bound(shared);
        bound.terms().map(drop)?;
        Ok(bound)
    }

    /// The handover of this package, or that it failed, as this authority has signed it and the sender has not yet.
    pub(crate) fn unanswered(&self, row: &Exchange) -> Result<Signed, ApiFailure> {
        let unsound = || altered("handover");
        let note = Note::parse(&row.last_note).map_err(|_| unsound())?;
        let handover = Signed::open(note).map_err(|_| unsound())?;
        let (sender, receiver) = self.parties(row).ok_or_else(|| altered("peer"))?;
        let verified = handover.verify(&sender, &receiver, false);
        let kinds = [Kind::Handover, Kind::HandoverFailed];
        let is_one = kinds.contains(&handover.receipt.kind) && is_about(&handover, row);
        (verified.is_ok() && is_one)
            .then_some(handover)
            .ok_or_else(unsound)
    }
}

fn sealed(
    exchange: &Exchange,
    rows: &[StatementRow],
    (sender, receiver): &(Arc<PartyKeys>, Arc<PartyKeys>),
) -> Result<Signed, ApiFailure> {
    let row = rows
        .iter()
        .find(|row| row.kind == Kind::Dispatch.as_str())
        .ok_or_else(|| altered("dispatch"))?;
    let note = Note::parse(&row.note).map_err(|_| altered("dispatch"))?;
    let dispatch = Signed::open(note).map_err(|_| altered("dispatch"))?;
    dispatch.verify(sender, receiver, false).map_err(|e| {
        ApiFailure::mismatch(
            "dispatch-altered",
            format!("the stored dispatch does not verify: {e}"),
        )
    })?;
    let pkg_holds = dispatch
        .receipt
        .pkg
        .as_ref()
        .is_some_and(|pkg| pkg.body == exchange.body && pkg.len == exchange.len);
    if !pkg_holds {
        return Err(altered("row"));
    }
    Ok(dispatch)
}

/// The newest statement that both sides hold of a package since its handover, of those that fit.
pub(crate) fn last_shared(
    rows: &[StatementRow],
    fits: impl Fn(&Receipt) -> bool,
) -> Result<Option<Signed>, ApiFailure> {
    let kinds = [Kind::Handover.as_str(), Kind::RestrictionChanged.as_str()];
    for row in rows
        .iter()
        .rev()
        .filter(|row| kinds.contains(&row.kind.as_str()))
    {
        let signed = read(row)?;
        if fits(&signed.receipt) {
            return Ok(Some(signed));
        }
    }
    Ok(None)
}

/// The statement of this row; its signatures are not looked at.
pub(crate) fn read(row: &StatementRow) -> Result<Signed, ApiFailure> {
    let altered = || altered("chain of statements");
    let note = Note::parse(&row.note).map_err(|_| altered())?;
    Signed::open(note).map_err(|_| altered())
}

/// Whether this is the handover that both have signed, or a change of terms.
fn is_shared(row: &StatementRow) -> bool {
    let is_handover = row.kind == Kind::Handover.as_str() && row.signatures == 2;
    is_handover || row.kind == Kind::RestrictionChanged.as_str()
}

/// One of these, verified.
fn shared_one(
    row: &StatementRow,
    (sender, receiver): &(Arc<PartyKeys>, Arc<PartyKeys>),
) -> Result<Signed, ApiFailure> {
    let it = read(row)?;
    let verified = it.verify(sender, receiver, true);
    if verified.is_ok() && it.receipt.kind.as_str() == row.kind {
        Ok(it)
    } else {
        Err(altered("chain of statements"))
    }
}

/// Each is verified, and follows the one before it.
fn shared(
    rows: &[StatementRow],
    keys: &(Arc<PartyKeys>, Arc<PartyKeys>),
) -> Result<Vec<Signed>, ApiFailure> {
    let altered = || altered("chain of statements");
    let mut shared: Vec<Signed> = Vec::new();
    for row in rows.iter().filter(|row| is_shared(row)) {
        let it = shared_one(row, keys)?;
        if shared
            .last()
            .is_some_and(|before| it.follows(before).is_err())
        {
            return Err(altered());
        }
        shared.push(it);
    }
    if shared.len() > limits::RESTRICTIONS_CHANGED_MAX + 1 {
        return Err(altered());
    }
    Ok(shared)
}
