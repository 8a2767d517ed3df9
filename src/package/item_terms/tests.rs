use super::*;
use crate::base::Digest;
use crate::package::manifest::{CustodyEvent, SEALED, Salt};
use crate::policy::{Handling, Onward, Purpose, Restriction};

fn terms() -> Terms {
    let purposes = [Purpose::Prosecution, Purpose::Trial];
    let last = "2031-12-31".parse().unwrap();
    let mut terms = Terms::new("EIO".parse().unwrap(), purposes, last);
    terms.onward = Onward::WithConsent;
    terms
}

fn stricter() -> Terms {
    let mut terms = terms();
    terms.purposes = vec![Purpose::Trial];
    terms
}

fn path(text: &str) -> ItemPath {
    text.parse().unwrap()
}

fn manifest(paths: &[&str]) -> Manifest {
    let time = "2026-11-23T09:00:00.000Z".parse().unwrap();
    let mut at = bag::first_item();
    let items = paths.iter().map(|path| {
        let size = 700;
        let offset = bag::content_offset(at, path, size);
        at = offset + tape::padded(size);
        Item {
            acquisition: None,
            category: None,
            custody: vec![CustodyEvent {
                action: SEALED.to_owned(),
                instrument: None,
                location: None,
                performer: "officer".to_owned(),
                time,
            }],
            media_type: "text/plain".to_owned(),
            offset,
            path: path.parse().unwrap(),
            salt: Salt([7; 16]),
            sha256: Digest::of(path.as_bytes()),
            size,
            subjects: Vec::new(),
            terms: None,
            title: None,
        }
    });
    Manifest {
        case: "IE-2026-17".to_owned(),
        created: time,
        from: "mla.example.ie".parse().unwrap(),
        items: items.collect(),
        request: None,
        terms: terms(),
        title: None,
        to: "bepi.justice.example.fr".parse().unwrap(),
        v: 1,
    }
}

const PATHS: &[&str] = &["a.txt", "d/1.txt", "d/2.txt", "d2/x", "e/1", "f", "e/2"];

/// Where these lie: the place of the first and the last item of each, or the code of the fault.
fn check_located(wanted: &[&str], want: Result<&[(usize, usize)], &str>) {
    let manifest = manifest(PATHS);
    let located = locate(
        &manifest,
        wanted.iter().map(|name| (path(name), stricter())),
    );
    let head = |at: usize| {
        let before = at.checked_sub(1).map(|at| &manifest.items[at]);
        before.map_or_else(bag::first_item, |it| it.offset + tape::padded(it.size))
    };
    match (located, want) {
        (Ok(located), Ok(want)) => {
            let bytes: Vec<_> = located.iter().map(ItemTerms::bytes).collect();
            let want: Vec<_> = want.iter().map(|(a, b)| head(*a)..head(b + 1)).collect();
            assert_eq!(bytes, want, "{wanted:?}");
        }
        (Err(fault), Err(code)) => assert_eq!(fault.code(), code, "{wanted:?}: {fault}"),
        (got, want) => panic!("{wanted:?}: expected {want:?}, got {got:?}"),
    }
}

#[test]
fn items_and_folders_are_found_where_they_lie() {
    check_located(&[], Ok(&[]));
    check_located(&["a.txt"], Ok(&[(0, 0)]));
    check_located(&["d"], Ok(&[(1, 2)]));
    check_located(&["f", "d", "a.txt"], Ok(&[(0, 0), (1, 2), (5, 5)]));
    check_located(&["d/2.txt", "d/1.txt"], Ok(&[(1, 1), (2, 2)]));
    check_located(&["b.txt"], Err("item-terms-no-item"));
    check_located(&["a"], Err("item-terms-no-item"));
    check_located(&["e"], Err("item-terms-scattered"));
    check_located(&["d", "d/1.txt"], Err("item-terms-order"));
    check_located(&["f", "f"], Err("item-terms-order"));
}

#[test]
fn a_list_from_outside_is_in_order_and_stricter() {
    let one = |offset: u64, name: &str, size: u64| ItemTerms {
        offset,
        path: path(name),
        size,
        terms: stricter(),
    };
    let with = |change: &dyn Fn(&mut Terms)| {
        let mut changed = one(0, "a", 512);
        change(&mut changed.terms);
        vec![changed]
    };
    let many = |count: u64| (0..count).map(|n| one(n, &format!("f{n}"), 1)).collect();
    let cases: Vec<(Vec<ItemTerms>, Option<&str>)> = vec![
        (Vec::new(), None),
        (with(&|_| ()), None),
        (with(&|it| *it = terms()), None),
        (vec![one(0, "a", 512), one(512, "b", 512)], None),
        (vec![one(0, "a", 513), one(512, "b", 512)], Some("order")),
        (vec![one(512, "a", 512), one(0, "b", 512)], Some("order")),
        (vec![one(0, "a", 0)], Some("order")),
        (vec![one(0, "a/b", 512), one(512, "a", 512)], Some("order")),
        (vec![one(u64::MAX, "a", 2), one(0, "b", 1)], Some("order")),
        (many(64), None),
        (many(65), Some("too-many")),
        (with(&|it| it.purposes.clear()), Some("contradict")),
        (
            with(&|it| it.purposes = vec![Purpose::CivilClaim]),
            Some("looser"),
        ),
        (
            with(&|it| it.retain_until = "2030-01-01".parse().unwrap()),
            Some("looser"),
        ),
        (
            with(&|it| it.restrictions = vec![Restriction::VulnerablePersons]),
            None,
        ),
        (with(&|it| it.handling = Some(Handling::H1)), None),
        (with(&|it| it.use_report = true), Some("looser")),
        (
            with(&|it| it.review = "2030-01-01".parse().ok()),
            Some("looser"),
        ),
        (vec![one((1 << 20) - 512, "a", 512)], None),
        (vec![one((1 << 20) - 512, "a", 513)], Some("order")),
    ];
    for (list, want) in cases {
        let got = check(&list, &terms(), 1 << 20)
            .err()
            .map(|fault| fault.code());
        let want = want.map(|it| format!("item-terms-{it}"));
        assert_eq!(got, want.as_deref(), "{list:?}");
    }
}

#[test]
fn the_manifest_and_the_list_agree_or_do_not() {
    let mut manifest = manifest(PATHS);
    let list = locate(&manifest, [(path("d"), stricter())]).unwrap();
    assert!(!agrees(&manifest, &list), "the manifest says nothing of it");
    for item in &mut manifest.items[1..3] {
        item.terms = Some(Box::new(stricter()));
    }
    assert!(agrees(&manifest, &list));
    assert!(!agrees(&manifest, &[]), "the list is withheld");
    let changed = |change: &dyn Fn(&mut ItemTerms)| {
        let mut list = list.clone();
        change(&mut list[0]);
        list
    };
    for (what, list) in [
        ("other terms", changed(&|it| it.terms = terms())),
        ("fewer bytes", changed(&|it| it.size -= 512)),
        ("other bytes", changed(&|it| it.offset -= 512)),
        ("another item", changed(&|it| it.path = path("d/1.txt"))),
        ("no such item", changed(&|it| it.path = path("x"))),
    ] {
        assert!(!agrees(&manifest, &list), "{what}");
    }
}

#[test]
fn names_touch_what_lies_in_them_or_around_them() {
    let manifest = manifest(PATHS);
    let list = locate(&manifest, [(path("d"), stricter())]).unwrap();
    for (name, want) in [
        ("d", true),
        ("d/1.txt", true),
        ("d/1.txt/x", true),
        ("d2", false),
        ("d2/x", false),
        ("a.txt", false),
    ] {
        assert_eq!(list[0].is_opened_by(&[name.to_owned()]), want, "{name}");
    }
    assert!(list[0].is_opened_by(&[]));
    let several = ["a.txt".to_owned(), "d/2.txt".to_owned()];
    assert!(list[0].is_opened_by(&several) && !list[0].is_opened_by(&several[..1]));
    let list = locate(&manifest, [(path("d/1.txt"), stricter())]).unwrap();
    for (name, want) in [("d", true), ("d/1.txt", true), ("d/2.txt", false)] {
        assert_eq!(list[0].is_opened_by(&[name.to_owned()]), want, "{name}");
    }
}
