//! The packages found by their day; finding them looks at nothing else.

use rusqlite::Connection;

use super::*;
use crate::identity::keys::Role;
use crate::policy::{PolicySet, Purpose, Terms};
use crate::receipt::{Party, Pkg, Receipt, Stamp};
use crate::store::sql;

fn terms(retain_until: &str, sunset: Option<&str>, review: Option<&str>) -> Terms {
    let day = |text: &str| text.parse().unwrap();
    let mut terms = Terms::new(
        "EIO".parse().unwrap(),
        [Purpose::Prosecution],
        day(retain_until),
    );
    terms.sunset = sunset.map(day);
    terms.review = review.map(day);
    terms
}

fn held(number: u8, phase: Phase, terms: &Terms) -> Op {
    let mut row = exchange(number, Direction::In, phase);
    row.terms = serde_json::to_string(terms).unwrap();
    Op::Open(Box::new(row))
}

/// A statement of the sender with these terms.
fn note(number: u8, terms: Terms) -> Vec<u8> {
    let key = |id: &str| {
        let name = KeyName::new(id.parse().unwrap(), Role::Receipts);
        SecretKey::from_seed(name, &[4; 32])
    };
    let (from, to) = (key("mla.example.fr"), key("mla.example.ie"));
    let stamp = Stamp {
        t: at(1_000),
        clk: 0,
        pol: PolicySet::new(None).digest(),
        ses: None,
        heads: Vec::new(),
    };
    let pkg = Pkg::new(Digest::of(b"body"), Digest::of(b"hdr"), 4_096);
    let (sender, receiver) = (Party::of(1, &from.public()), Party::of(1, &to.public()));
    let receipt = Receipt::dispatch(xid(number), sender, receiver, pkg, terms).stamped(&stamp);
    receipt.sign(&from).unwrap().bytes().to_vec()
}

async fn due(ledger: &Ledger, day: &str) -> Vec<u8> {
    let day: crate::base::Date = day.parse().unwrap();
    let now = day.end_of_day().plus_millis(1);
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let (page, next) = ledger.due(now, after).await.unwrap();
        found.extend(page.iter().map(|row| row.xid.as_bytes()[0]));
        let Some(next) = next else {
            return found;
        };
        after = Some(next);
    }
}

#[tokio::test]
async fn a_package_is_due_after_the_first_of_its_days_while_it_is_here() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let late = terms("2031-12-31", None, None);
    let rows = vec![
        held(1, Phase::Held, &late),
        held(
            2,
            Phase::Held,
            &terms("2031-12-31", Some("2028-01-31"), None),
        ),
        held(3, Phase::HandoverSigned, &terms("2027-06-30", None, None)),
        held(
            4,
            Phase::Held,
            &terms("2031-12-31", Some("2028-06-30"), Some("2027-06-30")),
        ),
        held(5, Phase::Destroyed, &terms("2020-01-01", None, None)),
        held(6, Phase::Receiving, &terms("2020-01-01", None, None)),
        // Terms that cannot be read are looked at each time.
        opened(7, Direction::In, Phase::Held),
        opened(8, Direction::Out, Phase::Closed),
    ];
    ledger.commit(rows).await.unwrap();
    for (day, expected) in [
        ("2027-06-29", &[7][..]),
        ("2027-06-30", &[7, 3, 4]),
        ("2028-01-31", &[7, 3, 4, 2]),
        ("2031-12-31", &[7, 3, 4, 2, 1]),
    ] {
        assert_eq!(due(&ledger, day).await, expected, "{day}");
    }
    // Its sender restricts one, another has no terms to say, and a third goes.
    let changed = Step::Signed(Kind::RestrictionChanged);
    let stricter = note(1, terms("2026-12-31", None, None));
    let ops = vec![
        advance(1, changed, Some(&stricter)),
        advance(2, changed, Some(b"no statement")),
        advance(4, Step::Signed(Kind::Destroyed), None),
        advance(3, Step::Countersigned(Kind::Handover), Some(b"handover")),
    ];
    ledger.commit(ops).await.unwrap();
    assert_eq!(due(&ledger, "2026-12-30").await, [7]);
    assert_eq!(due(&ledger, "2028-01-31").await, [7, 1, 3, 2]);
    ledger.close().await;
}

/// A page costs what it holds: it is read off an index, in order, and nothing is sorted.
#[tokio::test]
async fn pages_are_read_off_an_index() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    ledger.close().await;
    let db = Connection::open(dir.path().join("ledger.db")).unwrap();
    for (query, values, index) in [
        (sql::EXCHANGES_DUE, 4, "exchange_due"),
        (sql::EXCHANGES_WAY_PHASE, 4, "exchange_page"),
    ] {
        let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
        let values = rusqlite::params_from_iter(vec![0; values]);
        let steps = plan.query_map(values, |row| row.get::<_, String>(3));
        let steps: Vec<_> = steps.unwrap().map(Result::unwrap).collect();
        let is_read = |step: &String| step.starts_with("SEARCH exchange") && step.contains(index);
        assert!(steps.iter().any(is_read), "{index}: {steps:?}");
        let is_sorted = |step: &String| step.contains("TEMP B-TREE");
        assert!(!steps.iter().any(is_sorted), "{index}: {steps:?}");
    }
}
