//! Streams that begin with a statement about a package that was never handed over.

use rogatory::identity::{Context, Note};
use rogatory::policy::Purpose;
use rogatory::receipt::{Disclosure, Kind, Reason, Receipt, disclosure};
use rogatory::wire::Frame;

use crate::attack::stamp;
use crate::script::{Case, Say, Scene, Stage};

fn said(note: &Note) -> Vec<Say> {
    vec![Say::Bytes(Frame::Receipt(note.bytes().to_vec()).encode())]
}

/// The sender's stricter terms, one step after its dispatch, as if that were a handover.
fn stricter(stage: &Stage<'_>, kind: Kind) -> Receipt {
    let dispatch = stage.attacker.sign(&stage.parcel.receipt);
    let next = stage.parcel.receipt.follow(&dispatch, kind);
    let mut next = next.stamped(&stamp());
    if kind == Kind::Access {
        next.released = Some(1);
    } else {
        next = next.because(Reason::technical("a-test"));
    }
    next
}

/// A wish for one more use, one step after the attacker's dispatch.
fn wish(stage: &Stage<'_>) -> Receipt {
    let mut wish = stricter(stage, Kind::ConsentAsked);
    wish.reason = None;
    wish.purpose = Some(Purpose::CivilClaim);
    wish
}

fn beside(note: &Note, words: Vec<String>) -> Vec<Say> {
    let mut says = said(note);
    says.push(Say::Bytes(Frame::Disclosures(words).encode()));
    says
}

pub(crate) fn all() -> Vec<Case> {
    let mut all = terms_and_ends();
    all.extend(wishes());
    all
}

fn terms_and_ends() -> Vec<Case> {
    vec![
        Case::new(
            Scene::Fresh,
            "stricter terms for nothing",
            "not-handed-over",
            |stage| {
                said(
                    &stage
                        .attacker
                        .sign(&stricter(stage, Kind::RestrictionChanged)),
                )
            },
        ),
        Case::new(
            Scene::Fresh,
            "destroyed, of a package of ours",
            "not-handed-over",
            |stage| {
                let key = &stage.attacker.keys.receipts;
                said(
                    &Note::issue(Context::Receipt, &stricter(stage, Kind::Destroyed), key).unwrap(),
                )
            },
        ),
        Case::new(
            Scene::Fresh,
            "a withdrawal before any offer",
            "unexpected-frame",
            |stage| said(&stage.attacker.sign(&stricter(stage, Kind::Withdrawn))),
        ),
        Case::new(
            Scene::Fresh,
            "stricter terms without a reason",
            "receipt-field-missing",
            |stage| {
                let mut next = stricter(stage, Kind::RestrictionChanged);
                next.reason = None;
                let key = &stage.attacker.keys.receipts;
                said(&Note::issue(Context::Receipt, &next, key).unwrap())
            },
        ),
    ]
}

fn wishes() -> Vec<Case> {
    vec![
        Case::new(
            Scene::Fresh,
            "a wish for a package of ours that nobody has",
            "not-handed-over",
            |stage| {
                let key = &stage.attacker.keys.receipts;
                let wish = Note::issue(Context::Consent, &wish(stage), key).unwrap();
                beside(&wish, Vec::new())
            },
        ),
        Case::new(
            Scene::Fresh,
            "a wish in the context of receipts",
            "statement-wrong-context",
            |stage| {
                let key = &stage.attacker.keys.receipts;
                let wish = Note::issue(Context::Receipt, &wish(stage), key).unwrap();
                beside(&wish, Vec::new())
            },
        ),
        Case::new(
            Scene::Fresh,
            "a wish with the words of another",
            "disclosure-not-in-receipt",
            |stage| {
                let key = &stage.attacker.keys.receipts;
                let wish = Note::issue(Context::Consent, &wish(stage), key).unwrap();
                let words = Disclosure::new([1; 16], disclosure::JUSTIFICATION, "another's");
                beside(&wish, vec![words.encode()])
            },
        ),
        Case::new(
            Scene::Fresh,
            "a wish followed by a header",
            "unexpected-frame",
            |stage| {
                let key = &stage.attacker.keys.receipts;
                let wish = Note::issue(Context::Consent, &wish(stage), key).unwrap();
                let mut says = said(&wish);
                says.push(Say::Bytes(Frame::Header(b"x".to_vec()).encode()));
                says
            },
        ),
        Case::new(
            Scene::Fresh,
            "an answer that nobody asked for",
            "not-handed-over",
            |stage| {
                let mut answer = wish(stage);
                answer.kind = Kind::ConsentGiven;
                answer.until = "2031-01-01".parse().ok();
                beside(&stage.attacker.sign(&answer), Vec::new())
            },
        ),
    ]
}
