//! The statements that bind a package.

use std::sync::Arc;

use super::*;
use crate::exchange::chain::{Bound, Chain, ChainFault, Parties, Subject};
use crate::identity::statement::Note;
use crate::policy::{Consented, Restriction};
use crate::receipt::{Disclosure, PartyKeys, disclosure};

const STATEMENTS: ChainFault = ChainFault::Altered("chain of statements");

fn parties() -> Parties {
    let keys = |of: &str| Arc::new(PartyKeys::new(1, key(of).public()));
    (keys(SENDER), keys(RECEIVER))
}

fn disclosures() -> Vec<Disclosure> {
    let digest = |of: &str| Digest::of(of.as_bytes()).to_string();
    let disclosure = |name: &str, value: String| Disclosure::new([1; 16], name, value);
    vec![
        disclosure(disclosure::MANIFEST, digest("manifest")),
        disclosure(disclosure::ITEM_ROOT, digest("items")),
        disclosure(disclosure::CASE, "DE-2026-1".to_owned()),
    ]
}

fn dispatch() -> Signed {
    let receipt = super::dispatch().receipt.disclosing(&disclosures());
    let note = receipt.sign(&key(SENDER)).unwrap();
    Signed { receipt, note }
}

/// The package of so many bytes.
fn of(
    len: u64,
    read: impl FnOnce(&Subject<'_>) -> Result<(), ChainFault>,
) -> Result<(), ChainFault> {
    let disclosures: Vec<_> = disclosures().iter().map(Disclosure::encode).collect();
    read(&Subject {
        xid: Xid::from_bytes([7; 16]),
        body: Digest::of(b"body"),
        hdr: Digest::of(b"hdr"),
        len,
        disclosures: &disclosures,
    })
}

fn read(statements: &[Signed]) -> Result<Chain, ChainFault> {
    let mut chain = None;
    of(4096, |subject| {
        chain = Some(Chain::read(subject, statements, None, &parties(), |_| {
            None
        })?);
        Ok(())
    })?;
    Ok(chain.unwrap())
}

fn bound(statements: Vec<Signed>) -> Result<Bound, ChainFault> {
    let mut bound = None;
    of(4096, |subject| {
        bound = Some(Bound::read(subject, statements, &parties())?);
        Ok(())
    })?;
    Ok(bound.unwrap())
}

/// The same statement, whose signature is of nobody.
fn forged(it: &Signed) -> Signed {
    let mut bytes = it.note.bytes().to_vec();
    let at = bytes.len() - 20;
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    let (receipt, note) = (it.receipt.clone(), Note::parse(&bytes).unwrap());
    Signed { receipt, note }
}

/// A change of terms after that statement.
fn changed(before: &Signed, change: impl FnOnce(&mut Terms)) -> Signed {
    let mut receipt = next(before, Kind::RestrictionChanged).receipt;
    change(receipt.terms.as_mut().unwrap());
    let note = receipt.sign(&key(SENDER)).unwrap();
    Signed { receipt, note }
}

fn stricter(terms: &mut Terms) {
    terms.restrictions = vec![Restriction::Confidential];
}

/// Dispatch and countersigned handover, and the handover before that.
fn handed_over() -> [Signed; 2] {
    let dispatch = dispatch();
    let handover = both(&next(&next(&dispatch, Kind::Consigned), Kind::Handover));
    [dispatch, handover]
}

#[test]
fn terms_are_those_of_the_newest_change() {
    let [dispatch, handover] = handed_over();
    let sealed = dispatch.receipt.terms.clone().unwrap();
    let before = read(std::slice::from_ref(&dispatch)).unwrap();
    assert_eq!(before.terms(), &sealed);
    assert_eq!(before.last().unwrap_err(), ChainFault::Altered("handover"));
    let change = changed(&handover, stricter);
    let all = [dispatch, handover, change.clone()];
    let after = read(&all).unwrap();
    assert_eq!(after.terms(), change.receipt.terms.as_ref().unwrap());
    assert_eq!(after.last().unwrap().note, change.note);
    let bound = bound(all.to_vec()).unwrap();
    assert_eq!(bound.terms().unwrap(), after.terms());
}

#[test]
fn a_consent_ends_with_the_terms_that_it_was_given_under() {
    let [dispatch, handover] = handed_over();
    let asked = next(&handover, Kind::ConsentAsked);
    let given = next(&asked, Kind::ConsentGiven);
    let mut all = vec![dispatch, handover.clone(), asked, given];
    let consents = read(&all).unwrap().consents;
    let uses: Vec<_> = consents.iter().map(|it| &it.to).collect();
    assert_eq!(uses, [&Consented::Use(Purpose::Prosecution)]);
    all.push(changed(&handover, stricter));
    assert!(read(&all).unwrap().consents.is_empty());
}

#[test]
fn what_is_not_as_it_was_signed_binds_nobody() {
    let [dispatch, handover] = handed_over();
    let asked = next(&handover, Kind::ConsentAsked);
    let given = next(&asked, Kind::ConsentGiven);
    let loose = changed(&handover, |terms| {
        terms.purposes.insert(0, Purpose::Investigation);
    });
    let base = [dispatch.clone(), handover.clone()];
    let with = |more: Signed| [base.to_vec(), vec![more]].concat();
    for (what, statements, want) in [
        (
            "no dispatch",
            vec![handover.clone()],
            ChainFault::Altered("dispatch"),
        ),
        (
            "a forged change",
            with(forged(&changed(&handover, stricter))),
            STATEMENTS,
        ),
        (
            "a change that follows the dispatch",
            with(changed(&dispatch, stricter)),
            STATEMENTS,
        ),
        ("a consent without a wish", with(given), STATEMENTS),
        ("looser terms", with(loose), STATEMENTS),
    ] {
        assert_eq!(read(&statements).map(drop), Err(want), "{what}");
    }
    let by_another = read(&[forged(&dispatch)]).map(drop);
    assert!(
        matches!(by_another, Err(ChainFault::Dispatch(_))),
        "{by_another:?}"
    );
    let of_another = of(4097, |other| {
        Chain::read(other, &base, None, &parties(), |_| None).map(drop)
    });
    assert_eq!(of_another, Err(ChainFault::Altered("row")));
    let none = of(4097, |other| Bound::read(other, base, &parties()).map(drop));
    assert_eq!(none, Err(ChainFault::Altered("handover")));
}

#[test]
fn a_damaged_change_does_not_keep_a_package_from_being_destroyed() {
    let [_, handover] = handed_over();
    let good = changed(&handover, stricter);
    let forged = forged(&changed(&good, stricter));
    let bound = bound(vec![handover, forged, good.clone()]).unwrap();
    assert_eq!(bound.last().unwrap().note, good.note);
}
