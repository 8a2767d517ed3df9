mod notes;
mod passed_on;

use proptest::prelude::*;

use super::*;
use crate::base::{AuthorityId, Digest, Timestamp, Xid, limits};
use crate::identity::keys::{KeyName, Role, SecretKey};
use crate::identity::statement::{Context, Note};
use crate::policy::{Onward, Purpose, Restriction, Terms};

const SENDER: &str = "bfj.example.de";
const RECEIVER: &str = "mla.example.ie";
const THIRD: &str = "mj.example.fr";

fn key(authority: &str, role: Role, seed: u8) -> SecretKey {
    let name = KeyName::new(authority.parse().unwrap(), role);
    SecretKey::from_seed(name, &[seed; 32])
}

fn sender() -> SecretKey {
    key(SENDER, Role::Receipts, 1)
}

fn receiver() -> SecretKey {
    key(RECEIVER, Role::Receipts, 2)
}

fn keys(key: &SecretKey) -> PartyKeys {
    PartyKeys::new(1, key.public())
}

fn stamp() -> Stamp {
    Stamp {
        t: "2026-11-23T09:00:00.000Z".parse().unwrap(),
        clk: 50,
        pol: Digest::of(b"policy"),
        ses: Some(Digest::of(b"session")),
        heads: vec![head(SENDER), head(RECEIVER)],
    }
}

fn head(authority: &str) -> Head {
    Head {
        origin: format!("{authority}/log"),
        size: 7,
        root: Digest::of(b"root"),
    }
}

fn reason() -> Reason {
    Reason {
        code: "retention-ended".to_owned(),
        clause: "Directive (EU) 2016/680 art. 5".to_owned(),
    }
}

fn dispatch() -> Receipt {
    let terms = Terms::new(
        "EIO".parse().unwrap(),
        [Purpose::Prosecution],
        "2031-12-31".parse().unwrap(),
    );
    let case = Disclosure::new([7; 16], disclosure::CASE, "DE/2026/000042");
    Receipt::dispatch(
        Xid::from_bytes([7; 16]),
        Party::of(1, &sender().public()),
        Party::of(1, &receiver().public()),
        Pkg::new(Digest::of(b"body"), Digest::of(b"hdr"), 4096),
        terms,
    )
    .disclosing(&[case])
    .stamped(&stamp())
}

/// The next receipt as its issuer makes it, with its first signature.
fn next(before: &(Receipt, Note), kind: Kind) -> (Receipt, Note) {
    let mut receipt = before.0.follow(&before.1, kind).stamped(&stamp());
    if kind.is_reasoned() {
        receipt = receipt.because(reason());
    }
    if kind == Kind::Access {
        receipt.released = Some(1);
    }
    if kind == Kind::Access || kind.is_consent() {
        receipt.purpose = Some(Purpose::Prosecution);
    }
    if kind == Kind::ConsentGiven {
        receipt.until = "2027-06-30".parse().ok();
    }
    if kind.is_onward() {
        receipt.third = "bepi.justice.example.fr".parse().ok();
        receipt.subject = (kind == Kind::Onward).then(|| Digest::of(b"handover"));
    }
    let issuer = match kind.profile().issuer {
        Issuer::Receiver => receiver(),
        Issuer::Sender | Issuer::Own => sender(),
    };
    let note = receipt.sign(&issuer).unwrap();
    (receipt, note)
}

fn dispatched() -> (Receipt, Note) {
    let note = dispatch().sign(&sender()).unwrap();
    (dispatch(), note)
}

fn check_verified(receipt: &Receipt, note: &Note, complete: bool, want: Option<&str>) {
    let got = verify(
        note,
        receipt,
        &keys(&sender()),
        &keys(&receiver()),
        complete,
    );
    assert_eq!(got.as_ref().err().map(ReceiptFault::code), want, "{got:?}");
}

#[test]
fn a_whole_exchange_is_signed_verified_and_linked() {
    let mut last = dispatched();
    check_verified(&last.0, &last.1, true, None);
    let path = [
        Kind::Consigned,
        Kind::Handover,
        Kind::Access,
        Kind::AccessDenied,
        Kind::ContentMismatch,
    ];
    for (step, kind) in (2..).zip(path) {
        let (receipt, note) = next(&last, kind);
        assert_eq!(receipt.step, Some(step));
        assert_eq!(open(&note).as_ref(), Ok(&receipt));
        continues(&last.0, &last.1, &receipt).unwrap();
        check_verified(&receipt, &note, false, None);
        if kind.profile().countersigned {
            check_verified(&receipt, &note, true, Some("statement-signature-count"));
            let whole = receipt.countersign(&note, &sender()).unwrap();
            check_verified(&receipt, &whole, true, None);
            check_verified(&receipt, &whole, false, Some("statement-signature-count"));
            let twice = receipt.countersign(&whole, &sender());
            assert_eq!(twice.unwrap_err().code(), "statement-signature-count");
            // The next receipt follows the text, however many signatures its note has.
            assert_eq!(note.text_digest(), whole.text_digest());
            last = (receipt, whole);
        } else {
            check_verified(&receipt, &note, true, None);
            let other = receipt.countersign(&note, &sender());
            assert_eq!(other.unwrap_err().code(), "receipt-field-not-allowed");
            last = (receipt, note);
        }
    }
}

#[test]
fn only_the_kinds_of_the_table_may_follow() {
    let first = dispatched();
    let consigned = next(&first, Kind::Consigned);
    let handover = next(&consigned, Kind::Handover);
    let access = next(&handover, Kind::Access);
    let failed = next(&consigned, Kind::HandoverFailed);
    let rejected = next(&first, Kind::Rejected);
    let changed = next(&handover, Kind::RestrictionChanged);
    let destroyed = next(&handover, Kind::Destroyed);
    let asked = next(&handover, Kind::ConsentAsked);
    let given = next(&asked, Kind::ConsentGiven);
    let held = ["access", "access-denied", "content-mismatch"];
    let shared = [
        &held[..],
        &[
            "consent-asked",
            "destroyed",
            "onward",
            "onward-refused",
            "restriction-changed",
            "use-report",
        ],
    ]
    .concat();
    for (before, may) in [
        (
            &first,
            &["consigned", "expired", "rejected", "withdrawn"][..],
        ),
        (&consigned, &["handover", "handover-failed"]),
        (&handover, &shared),
        (&changed, &shared),
        (&destroyed, &[]),
        (&asked, &["consent-given", "consent-refused"]),
        (&given, &[]),
        (&access, &held),
        (&failed, &[]),
        (&rejected, &[]),
    ] {
        for kind in Kind::ALL
            .iter()
            .filter(|kind| kind.is_exchange() && !kind.is_first())
        {
            let got = continues(&before.0, &before.1, &next(before, *kind).0);
            let good = may.contains(&kind.as_str());
            assert_eq!(got.is_ok(), good, "{kind} after {}: {got:?}", before.0.kind);
        }
    }
}

#[test]
fn what_stays_the_same_in_an_exchange() {
    let first = dispatched();
    let check = |change: &dyn Fn(&mut Receipt), code: &str| {
        let (mut receipt, _) = next(&first, Kind::Consigned);
        change(&mut receipt);
        let got = continues(&first.0, &first.1, &receipt);
        assert_eq!(
            got.as_ref().map_err(ReceiptFault::code),
            Err(code),
            "{receipt:?}"
        );
    };
    let other = Digest::of(b"other");
    check(
        &|r| r.xid = Some(Xid::from_bytes([8; 16])),
        "receipt-changed",
    );
    check(
        &|r| r.from = Some(Party::of(1, &key(SENDER, Role::Receipts, 9).public())),
        "receipt-changed",
    );
    check(
        &|r| r.to = Some(Party::of(1, &key(RECEIVER, Role::Receipts, 9).public())),
        "receipt-changed",
    );
    check(
        &|r| r.pkg = Some(Pkg::new(other, Digest::of(b"hdr"), 4096)),
        "receipt-changed",
    );
    check(
        &|r| r.pkg = Some(Pkg::new(Digest::of(b"body"), other, 4096)),
        "receipt-changed",
    );
    check(
        &|r| r.pkg = Some(Pkg::new(Digest::of(b"body"), Digest::of(b"hdr"), 4097)),
        "receipt-changed",
    );
    check(
        &|r| r.terms.as_mut().unwrap().use_report = true,
        "receipt-changed",
    );
    check(&|r| r.sd.clear(), "receipt-changed");
    check(&|r| r.prev = Some(other), "receipt-wrong-prev");
    check(&|r| r.step = Some(3), "receipt-wrong-prev");
    check(&|r| r.step = Some(1), "receipt-field-value");
    check(&|r| r.prev = None, "receipt-field-missing");
    check(&|r| *r = dispatch(), "receipt-may-not-follow");
    // The note before must be that of the receipt before.
    let (second, note) = next(&first, Kind::Consigned);
    let got = continues(&first.0, &note, &second);
    assert_eq!(got.unwrap_err().code(), "receipt-not-the-note");
}

/// A change to the ordinary receipt of a kind, and the code of the fault that it must be.
fn check_refused(kind: Kind, code: &str, change: impl FnOnce(&mut Receipt)) {
    let first = dispatched();
    let mut receipt = if kind.is_first() {
        first.0
    } else if kind.is_exchange() {
        next(&first, kind).0
    } else {
        let subject = Some(Digest::of(b"subject"));
        let own = Receipt::own(kind, Party::of(1, &sender().public()), subject);
        own.stamped(&stamp())
    };
    receipt.check().unwrap();
    change(&mut receipt);
    let got = receipt.check();
    assert_eq!(
        got.as_ref().map_err(ReceiptFault::code),
        Err(code),
        "{receipt:?}"
    );
    let signed = receipt.sign(&sender());
    assert_eq!(signed.unwrap_err().code(), code, "nor is it signed");
}

#[test]
fn fields_that_break_their_rules() {
    let kind = Kind::Rejected;
    check_refused(kind, "receipt-version", |r| r.v = 2);
    check_refused(kind, "receipt-field-value", |r| r.to = r.from.clone());
    check_refused(kind, "receipt-field-value", |r| r.step = Some(0));
    check_refused(Kind::Dispatch, "receipt-field-value", |r| r.step = Some(2));
    let pkg: [fn(&mut Pkg); 4] = [
        |pkg| pkg.alg = "sha-512".to_owned(),
        |pkg| pkg.seg = 65536,
        |pkg| pkg.len = 0,
        |pkg| pkg.len = limits::PAYLOAD_BYTES_MAX + 1,
    ];
    for change in pkg {
        check_refused(kind, "receipt-field-value", |r| {
            change(r.pkg.as_mut().unwrap());
        });
    }
    check_refused(kind, "receipt-terms", |r| {
        r.terms.as_mut().unwrap().purposes.clear();
    });
    for (code, clause) in [("", ""), ("a b", ""), ("x", "é"), ("x", "a\nb")] {
        check_refused(kind, "receipt-field-value", |r| {
            let (code, clause) = (code.to_owned(), clause.to_owned());
            r.reason = Some(Reason { clause, code });
        });
    }
    let long = "a".repeat(limits::CLAUSE_BYTES_MAX + 1);
    check_refused(kind, "receipt-field-value", |r| {
        r.reason.as_mut().unwrap().clause = long;
    });
    check_refused(kind, "receipt-field-value", |r| {
        r.sd = vec![Digest::of(b"a"); 2];
    });
    check_refused(kind, "receipt-field-value", |r| {
        let many = (0..=limits::DISCLOSURES_MAX).map(|n| Digest::of(&n.to_be_bytes()));
        r.sd = many.collect();
        r.sd.sort_unstable();
    });
    check_refused(kind, "receipt-field-value", |r| r.clk = 1 << 53);
    for heads in [
        vec![head(SENDER), head(SENDER)],
        vec![head(SENDER), head(RECEIVER), head(THIRD)],
        vec![head(THIRD)],
        vec![Head {
            origin: format!("{SENDER}/receipts"),
            ..head(SENDER)
        }],
        vec![Head {
            origin: SENDER.to_owned(),
            ..head(SENDER)
        }],
        vec![Head {
            size: 1 << 53,
            ..head(SENDER)
        }],
    ] {
        check_refused(kind, "receipt-field-value", |r| r.heads = heads);
    }
}

#[test]
fn a_stamp_puts_a_session_only_where_one_belongs() {
    let first = dispatched();
    assert_eq!(first.0.ses, None);
    assert_eq!(next(&first, Kind::Consigned).0.ses, stamp().ses);
    assert_eq!(next(&first, Kind::Withdrawn).0.ses, None);
    check_refused(Kind::Dispatch, "receipt-field-not-allowed", |r| {
        r.ses = stamp().ses;
    });
    check_refused(Kind::PolicyAdopted, "receipt-field-missing", |r| {
        r.subject = None;
    });
    check_refused(Kind::PolicyAdopted, "receipt-field-not-allowed", |r| {
        r.step = Some(1);
    });
}

#[test]
fn keys_are_those_that_the_receipt_names() {
    let (receipt, note) = next(&dispatched(), Kind::Consigned);
    let wrong = [
        key(RECEIVER, Role::Receipts, 9),
        key(RECEIVER, Role::Log, 2),
        key(THIRD, Role::Receipts, 2),
        sender(),
    ];
    for other in wrong {
        let signed = receipt.sign(&other);
        assert_eq!(signed.unwrap_err().code(), "receipt-wrong-key");
        let got = verify(&note, &receipt, &keys(&sender()), &keys(&other), false);
        assert_eq!(got.unwrap_err().code(), "receipt-wrong-key");
    }
    let countersigned = receipt.countersign(&note, &receiver());
    assert_eq!(countersigned.unwrap_err().code(), "receipt-wrong-key");
    let forged = Note::issue(Context::Receipt, &receipt, &sender()).unwrap();
    check_verified(&receipt, &forged, false, Some("statement-wrong-signer"));
    let third = key(THIRD, Role::Receipts, 3);
    let stranger = note.countersign(&third).unwrap();
    check_verified(&receipt, &stranger, true, Some("statement-wrong-signer"));
    check_verified(&dispatch(), &note, false, Some("receipt-not-the-note"));
}

#[test]
fn receipts_outside_exchanges() {
    let (kind, subject) = (Kind::PolicyAdopted, Some(Digest::of(b"policy")));
    let own = Receipt::own(kind, Party::of(1, &sender().public()), subject).stamped(&stamp());
    let note = own.sign(&sender()).unwrap();
    assert_eq!(open(&note).as_ref(), Ok(&own));
    verify_own(&note, &own, &keys(&sender())).unwrap();
    let got = verify_own(&note, &own, &keys(&receiver()));
    assert_eq!(got.unwrap_err().code(), "receipt-wrong-key");
    check_verified(&own, &note, true, Some("receipt-field-missing"));
    let (exchange, note) = dispatched();
    let got = verify_own(&note, &exchange, &keys(&sender()));
    assert_eq!(got.unwrap_err().code(), "receipt-field-not-allowed");
}

#[test]
fn a_consent_is_to_one_thing_and_in_its_own_context() {
    let first = dispatched();
    let handover = next(&next(&first, Kind::Consigned), Kind::Handover);
    let asked = next(&handover, Kind::ConsentAsked);
    let given = next(&asked, Kind::ConsentGiven);
    assert_eq!(asked.1.context(), Context::Consent);
    for (before, (receipt, _)) in [(&handover, &asked), (&asked, &given)] {
        let third = || "bepi.justice.example.fr".parse().ok();
        let party = receipt.to.as_ref().map(|party| party.id.clone());
        let check = |change: &dyn Fn(&mut Receipt), code: &str| {
            let mut receipt = receipt.clone();
            change(&mut receipt);
            let got = receipt
                .check()
                .and_then(|()| continues(&before.0, &before.1, &receipt));
            assert_eq!(got.map_err(|e| e.code()), Err(code), "{receipt:?}");
        };
        check(&|r| r.purpose = None, "receipt-field-value");
        check(&|r| r.third = third(), "receipt-field-value");
        check(
            &|r| (r.purpose, r.third) = (None, party.clone()),
            "receipt-field-value",
        );
        if receipt.kind == Kind::ConsentGiven {
            check(&|r| r.until = None, "receipt-field-missing");
            check(
                &|r| r.conditions = vec![Restriction::Return, Restriction::Confidential],
                "receipt-field-value",
            );
            check(&|r| r.purpose = Some(Purpose::Trial), "receipt-changed");
            check(
                &|r| (r.purpose, r.third) = (None, third()),
                "receipt-changed",
            );
        } else {
            check(
                &|r| r.until = "2027-06-30".parse().ok(),
                "receipt-field-not-allowed",
            );
        }
        // The same text in the other context is no receipt.
        let wrong = Note::issue(Context::Receipt, receipt, &sender()).unwrap();
        assert_eq!(open(&wrong).unwrap_err().code(), "statement-wrong-context");
    }
    let (receipt, _) = &handover;
    let wrong = Note::issue(Context::Consent, receipt, &sender()).unwrap();
    assert_eq!(open(&wrong).unwrap_err().code(), "statement-wrong-context");
}

#[test]
fn what_crossed_a_change_of_terms_is_not_the_newest() {
    let first = dispatched();
    let handover = next(&next(&first, Kind::Consigned), Kind::Handover);
    let mut changed = next(&handover, Kind::RestrictionChanged).0;
    let terms = changed.terms.take();
    changed.terms = terms.map(|it| it.ending("2027-12-31".parse().unwrap()));
    let note = changed.sign(&sender()).unwrap();
    let changed = (changed, note);
    let crossed = next(&handover, Kind::ConsentAsked);
    let after = next(&changed, Kind::UseReport);
    for (kept, want) in [
        (vec![], None),
        (vec![&first], Some(0)),
        (vec![&first, &handover], Some(1)),
        (vec![&first, &handover, &crossed], Some(2)),
        (vec![&first, &handover, &changed], Some(2)),
        (vec![&first, &handover, &changed, &crossed], Some(2)),
        (vec![&first, &handover, &changed, &crossed, &after], Some(4)),
    ] {
        let receipts: Vec<_> = kept.iter().map(|(receipt, _)| receipt).collect();
        assert_eq!(newest(&receipts), want);
    }
}
