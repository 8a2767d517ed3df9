//! Passing on: the dispatch of a third exchange, and the word of it.

use super::*;

/// The authority to which a package is passed on.
fn third() -> SecretKey {
    key("bepi.justice.example.fr", Role::Receipts, 9)
}

fn note_of(name: &str, note: &Note) -> Disclosure {
    let text = String::from_utf8_lossy(note.bytes()).into_owned();
    Disclosure::new([8; 16], name, text)
}

fn headless() -> Stamp {
    Stamp {
        heads: Vec::new(),
        ..stamp()
    }
}

/// The dispatch of the receiver to the third authority, as it passes on what was dispatched to it.
fn second() -> Receipt {
    let first = dispatch();
    let (mut terms, mut pkg) = (first.terms.unwrap(), first.pkg.unwrap());
    terms.onward = Onward::Prohibited;
    pkg.hdr = Digest::of(b"another header");
    Receipt::dispatch(
        Xid::from_bytes([8; 16]),
        Party::of(1, &receiver().public()),
        Party::of(1, &third().public()),
        pkg,
        terms,
    )
    .stamped(&headless())
}

#[test]
fn a_second_dispatch_passes_the_first_on() {
    let check = |change: &dyn Fn(&mut Receipt), along: &Disclosure, want: Result<bool, &str>| {
        let mut second = second();
        change(&mut second);
        let got = onward::origin(&second, std::slice::from_ref(along));
        assert_eq!(
            got.map(|it| it.is_some()).map_err(|e| e.code()),
            want,
            "{second:?}"
        );
    };
    let first = dispatched();
    let origin = note_of(disclosure::ORIGIN, &first.1);
    check(&|_| {}, &origin, Ok(true));
    check(&|_| {}, &note_of(disclosure::CASE, &first.1), Ok(false));
    check(
        &|it| {
            it.terms = it
                .terms
                .take()
                .map(|it| it.ending("2028-12-31".parse().unwrap()));
        },
        &origin,
        Ok(true),
    );
    for (change, want) in [
        (
            &|it: &mut Receipt| it.terms.as_mut().unwrap().onward = Onward::WithConsent,
            "onward-looser-terms",
        ),
        (
            &|it: &mut Receipt| {
                it.terms.as_mut().unwrap().retain_until = "2099-12-31".parse().unwrap();
            },
            "onward-looser-terms",
        ),
        (
            &|it: &mut Receipt| it.pkg.as_mut().unwrap().body = Digest::of(b"other"),
            "onward-package",
        ),
        (
            &|it: &mut Receipt| it.pkg.as_mut().unwrap().len = 1,
            "onward-package",
        ),
        (
            &|it: &mut Receipt| it.from = Some(Party::of(1, &third().public())),
            "onward-parties",
        ),
        (
            &|it: &mut Receipt| it.to = Some(Party::of(1, &sender().public())),
            "onward-parties",
        ),
        (
            &|it: &mut Receipt| it.xid = Some(Xid::from_bytes([7; 16])),
            "onward-parties",
        ),
    ] as [(&dyn Fn(&mut Receipt), &str); 7]
    {
        check(change, &origin, Err(want));
    }
    let consigned = next(&first, Kind::Consigned);
    let wrong = note_of(disclosure::ORIGIN, &consigned.1);
    check(&|_| {}, &wrong, Err("onward-kind"));
    let text = Disclosure::new([8; 16], disclosure::ORIGIN, "no note");
    assert!(onward::origin(&second(), &[text]).is_err());
}

#[test]
fn what_the_third_authority_signed_goes_with_the_word_of_it() {
    let by = |before: &(Receipt, Note), kind: Kind| {
        let next = before.0.follow(&before.1, kind).stamped(&headless());
        let one = next.sign(&third()).unwrap();
        let both = next.countersign(&one, &receiver()).unwrap();
        (next, both)
    };
    let second = second();
    let signed = second.sign(&receiver()).unwrap();
    let consigned = by(&(second, signed), Kind::Consigned);
    let (_, copy) = by(&consigned, Kind::Handover);
    let first = dispatched();
    let handover = next(&next(&first, Kind::Consigned), Kind::Handover);
    let sealed = first.0.terms.unwrap();
    let told = |copy: &Note, change: &dyn Fn(&mut Receipt)| {
        let mut told = next(&handover, Kind::Onward).0;
        told.subject = Some(copy.text_digest());
        change(&mut told);
        told
    };
    let check = |told: &Receipt, along: &[Disclosure], want: Result<(), &str>| {
        let got = onward::copy(told, along, &sealed).map(drop);
        assert_eq!(got.map_err(|e| e.code()), want, "{told:?}");
    };
    let along = [note_of(disclosure::RECEIPT, &copy)];
    check(&told(&copy, &|_| {}), &along, Ok(()));
    check(&told(&copy, &|_| {}), &[], Err("onward-missing"));
    let other = |it: &mut Receipt| it.subject = Some(Digest::of(b"x"));
    check(&told(&copy, &other), &along, Err("onward-subject"));
    let other = |it: &mut Receipt| it.third = "mla.example.es".parse().ok();
    check(&told(&copy, &other), &along, Err("onward-parties"));
    let other = |it: &mut Receipt| it.pkg.as_mut().unwrap().body = Digest::of(b"x");
    check(&told(&copy, &other), &along, Err("onward-package"));
    let wrong = [note_of(disclosure::RECEIPT, &consigned.1)];
    check(&told(&consigned.1, &|_| {}), &wrong, Err("onward-kind"));
    let stricter = sealed.clone().ending("2027-01-01".parse().unwrap());
    let got = onward::copy(&told(&copy, &|_| {}), &along, &stricter);
    assert_eq!(got.unwrap_err().code(), "onward-looser-terms");
}
