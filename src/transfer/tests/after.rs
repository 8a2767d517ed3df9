//! Statements about a package after its handover.

use super::*;
use crate::policy::Purpose;
use crate::receipt::{Disclosure, disclosure};
use crate::transfer::letters::{After, MARKED, check_words, completed, is_marked, judge};

/// The notes that both sides hold once a package was handed over.
fn handed_over() -> Vec<Note> {
    let dispatch = signed(&dispatch(true));
    let consigned = countersigned(&next(&dispatch, Kind::Consigned));
    let handover = countersigned(&next(&consigned, Kind::Handover));
    vec![dispatch, consigned, handover]
}

/// Stricter, or looser, terms by the sender, after the last of these.
fn restricted(held: &[Note], last_day: &str) -> Note {
    let last = held.last().unwrap();
    let receipt = crate::receipt::open(last).unwrap();
    let mut next = receipt.follow(last, Kind::RestrictionChanged);
    next.pol = receipt.pol;
    next.terms.as_mut().unwrap().retain_until = last_day.parse().unwrap();
    let next = next.because(Reason::technical("for-a-test"));
    next.sign(&own_key(SENDER)).unwrap()
}

fn with(held: &[Note], note: Note) -> Vec<Note> {
    held.iter().cloned().chain([note]).collect()
}

/// Checks the consequence of a statement that came to `here`, in a word.
fn check(here: &str, held: &[Note], came: Note, want: &str) {
    let there = if here == SENDER { RECEIVER } else { SENDER };
    let got = match judge(&own(here), &other(there), held, came) {
        Ok(After::Known(note)) => format!("known {}", note.map_or(0, |it| it.signatures().len())),
        Ok(After::Noted(..)) => "noted".to_owned(),
        Ok(After::Restricted(_)) => "restricted".to_owned(),
        Ok(After::Destroyed(note)) => format!("destroyed {}", note.signatures().len()),
        Err(fault) => fault.code,
    };
    assert_eq!(got, want);
}

#[test]
fn a_sender_signs_that_its_package_is_destroyed() {
    let held = handed_over();
    let destroyed = next(held.last().unwrap(), Kind::Destroyed);
    check(SENDER, &held, destroyed.clone(), "destroyed 2");
    let after = with(&held, restricted(&held, "2027-12-31"));
    check(SENDER, &after, destroyed.clone(), "destroyed 2");
    let both = with(&held, countersigned(&destroyed));
    check(SENDER, &both, destroyed.clone(), "known 2");
    // Once more, from a receiver that went back to an older state and now follows other terms.
    let again = next(after.last().unwrap(), Kind::Destroyed);
    check(SENDER, &both, again.clone(), "known 2");
    check(SENDER, &held, again, "prev-unknown");
    check(SENDER, &held[..1], destroyed.clone(), "prev-unknown");
    check(SENDER, &[], destroyed.clone(), "prev-unknown");
    check(RECEIVER, &held, destroyed.clone(), "receipt-wrong-key");
    check(
        SENDER,
        &held,
        countersigned(&destroyed),
        "statement-signature-count",
    );
    for kind in [Kind::Consigned, Kind::Handover] {
        let came = next(held.first().unwrap(), kind);
        check(SENDER, &held, came, "unexpected-frame");
    }
}

#[test]
fn a_receiver_takes_stricter_terms_and_no_others() {
    let held = handed_over();
    let stricter = restricted(&held, "2027-12-31");
    check(RECEIVER, &held, stricter.clone(), "restricted");
    let after = with(&held, stricter.clone());
    check(RECEIVER, &after, stricter.clone(), "known 0");
    check(
        RECEIVER,
        &after,
        restricted(&after, "2026-12-31"),
        "restricted",
    );
    check(
        RECEIVER,
        &after,
        restricted(&after, "2028-12-31"),
        "receipt-changed",
    );
    check(
        RECEIVER,
        &held,
        restricted(&held, "2032-12-31"),
        "receipt-changed",
    );
    // A second one beside the first: nobody could say which is in force.
    let beside = restricted(&held, "2026-12-31");
    check(RECEIVER, &after, beside, "follow-conflict");
    check(RECEIVER, &held[..2], stricter.clone(), "prev-unknown");
    check(SENDER, &held, stricter, "receipt-wrong-key");
    let mut many = held;
    for day in 0..limits::RESTRICTIONS_CHANGED_MAX {
        let last: crate::base::Date = "2031-12-30".parse().unwrap();
        let last = last.plus_days(-i64::try_from(day).unwrap());
        let note = restricted(&many, &last.to_string());
        check(RECEIVER, &many, note.clone(), "restricted");
        many.push(note);
    }
    let more = restricted(&many, "2026-12-31");
    check(RECEIVER, &many, more, "too-many-restrictions");
}

#[test]
fn a_sender_is_told_of_openings() {
    let held = handed_over();
    let report = next(held.last().unwrap(), Kind::UseReport);
    check(SENDER, &held, report, "noted");
    let mismatch = next(held.last().unwrap(), Kind::ContentMismatch);
    check(SENDER, &held, mismatch.clone(), "noted");
    check(
        SENDER,
        &with(&held, mismatch.clone()),
        mismatch.clone(),
        "known 0",
    );
    check(RECEIVER, &held, mismatch.clone(), "receipt-wrong-key");
    // It must follow what both hold.
    let later = next(&mismatch, Kind::ContentMismatch);
    check(SENDER, &held, later.clone(), "prev-unknown");
    let mut many = with(&held, mismatch);
    let mut last = later;
    for _ in 1..limits::NOTICES_MAX {
        many.push(last.clone());
        last = next(&last, Kind::ContentMismatch);
    }
    check(SENDER, &many, last, "too-many-notices");
}

#[test]
fn only_what_both_have_signed_completes_a_destruction() {
    let held = handed_over();
    let destroyed = next(held.last().unwrap(), Kind::Destroyed);
    let held = with(&held, destroyed.clone());
    let check = |note: &Note, want: Result<(), &str>| {
        let got = completed(&own(RECEIVER), &other(SENDER), &held, note.bytes());
        let got = got.map(drop).map_err(|fault| fault.code);
        assert_eq!(got, want.map_err(str::to_owned));
    };
    check(&countersigned(&destroyed), Ok(()));
    check(&destroyed, Err("statement-signature-count"));
    check(&held[2], Err("unexpected-frame"));
    let foreign = destroyed.countersign(&own_key(THIRD)).unwrap();
    check(&foreign, Err("statement-wrong-signer"));
}

/// A wish for one more use, after the last of these.
fn wished(held: &[Note]) -> Note {
    let last = held.last().unwrap();
    let receipt = crate::receipt::open(last).unwrap();
    let mut next = receipt.follow(last, Kind::ConsentAsked);
    next.pol = receipt.pol;
    next.purpose = Some(Purpose::CivilClaim);
    let next = next.disclosing(&[why()]);
    next.sign(&own_key(RECEIVER)).unwrap()
}

fn why() -> Disclosure {
    Disclosure::new([7; 16], disclosure::JUSTIFICATION, "claim")
}

/// The sender's answer to a wish, for this use.
fn answered(wish: &Note, kind: Kind, purpose: Purpose) -> Note {
    let asked = crate::receipt::open(wish).unwrap();
    let mut next = asked.follow(wish, kind);
    next.pol = asked.pol;
    next.purpose = Some(purpose);
    if kind == Kind::ConsentGiven {
        next.until = "2027-06-30".parse().ok();
    } else {
        next = next.because(Reason::technical("refused"));
    }
    next.sign(&own_key(SENDER)).unwrap()
}

#[test]
fn a_wish_is_answered_once_and_as_it_was_asked() {
    let held = handed_over();
    let wish = wished(&held);
    check(SENDER, &held, wish.clone(), "noted");
    check(RECEIVER, &held, wish.clone(), "receipt-wrong-key");
    check(SENDER, &held[..2], wish.clone(), "prev-unknown");
    let asked = with(&held, wish.clone());
    check(SENDER, &asked, wish.clone(), "known 0");
    let given = answered(&wish, Kind::ConsentGiven, Purpose::CivilClaim);
    let refused = answered(&wish, Kind::ConsentRefused, Purpose::CivilClaim);
    for answer in [&given, &refused] {
        check(RECEIVER, &asked, answer.clone(), "noted");
        check(RECEIVER, &held, answer.clone(), "prev-unknown");
        check(SENDER, &asked, answer.clone(), "receipt-wrong-key");
    }
    let other = answered(&wish, Kind::ConsentGiven, Purpose::Trial);
    check(RECEIVER, &asked, other, "receipt-changed");
    let done = with(&asked, given.clone());
    check(RECEIVER, &done, given, "known 0");
    check(RECEIVER, &done, refused, "answered-already");
}

#[test]
fn only_its_own_words_go_beside_a_wish() {
    let wish = wished(&handed_over());
    let other = |name| Disclosure::new([7; 16], name, "claim").encode();
    for (words, want) in [
        (vec![], Ok(())),
        (vec![why().encode()], Ok(())),
        (
            vec![Disclosure::new([8; 16], disclosure::JUSTIFICATION, "claim").encode()],
            Err("disclosure-not-in-receipt"),
        ),
        (vec![other("persons")], Err("disclosure-not-in-receipt")),
        (
            vec![why().encode(), why().encode()],
            Err("disclosure-twice"),
        ),
        (vec!["=".to_owned()], Err("disclosure-encoding")),
    ] {
        let got = check_words(&wish, &words).map_err(|fault| fault.code);
        assert_eq!(got, want.map_err(str::to_owned), "{words:?}");
    }
    let receipt = crate::receipt::open(&wish).unwrap();
    let persons = Disclosure::new([9; 16], disclosure::PERSONS, "a.murphy");
    let wish = receipt.disclosing(std::slice::from_ref(&persons));
    let wish = wish.sign(&own_key(RECEIVER)).unwrap();
    let fault = check_words(&wish, &[persons.encode()]).unwrap_err();
    assert_eq!(fault.code, "disclosure-unexpected");
}

#[test]
fn every_kind_that_is_marked_is_looked_for() {
    for kind in Kind::ALL {
        assert_eq!(is_marked(*kind), MARKED.contains(kind), "{kind}");
    }
}
