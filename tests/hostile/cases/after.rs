//! Streams that begin with a statement about a package that was never handed over.

use rogatory::identity::{Context, Note};
use rogatory::receipt::{Kind, Reason, Receipt};
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
    if kind != Kind::Access {
        next = next.because(Reason::technical("a-test"));
    }
    next
}

pub(crate) fn all() -> Vec<Case> {
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
