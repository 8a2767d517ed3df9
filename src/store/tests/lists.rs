//! Long lists: no part passes for the whole.

use super::*;
use crate::receipt::Kind;
use crate::store::CaseRow;

/// More than one answer of the ledger holds.
const MANY: usize = limits::LEDGER_ROWS_MAX as usize + 81;

fn stated(number: u8, kind: Kind, note: usize) -> Op {
    Op::Statement {
        xid: Some(xid(number)),
        kind: kind.to_string(),
        issuer: peer(),
        note: note.to_be_bytes().to_vec(),
        at: at(3_000),
        logged: true,
        signatures: 1,
    }
}

/// A package that was opened so often that its chain is longer than an answer, then taken back, then opened once more.
async fn long(folder: &Path) -> Ledger {
    let ledger = open(folder);
    let mut ops = vec![
        opened(1, Direction::In, Phase::Held),
        stated(1, Kind::Dispatch, 1),
        stated(1, Kind::Handover, 2),
    ];
    ops.extend((3..MANY).map(|note| stated(1, Kind::AccessDenied, note)));
    ops.push(stated(1, Kind::RestrictionChanged, MANY));
    ops.push(stated(1, Kind::Access, MANY + 1));
    ledger.commit(ops).await.unwrap();
    ledger
}

fn notes(rows: &[StatementRow]) -> Vec<usize> {
    let number = |row: &StatementRow| row.note.as_slice().try_into().map(usize::from_be_bytes);
    rows.iter().map(|row| number(row).unwrap()).collect()
}

#[tokio::test]
async fn what_binds_a_package_is_read_however_often_it_was_opened() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = long(dir.path()).await;
    let binding = &[
        Kind::RestrictionChanged,
        Kind::Handover,
        Kind::Dispatch,
        Kind::ConsentGiven,
    ];
    let follows = Kind::Access.profile().follows;
    let chain = ledger.chain(&xid(1), binding, follows).await;
    let (rows, newest) = chain.unwrap();
    assert_eq!(notes(&rows), [1, 2, MANY]);
    assert_eq!(newest.map(|row| row.kind).as_deref(), Some("access"));
    let (rows, newest) = ledger.chain(&xid(9), binding, binding).await.unwrap();
    assert!(rows.is_empty() && newest.is_none());
    let extent = ledger.extent(&xid(1)).await.unwrap().unwrap();
    let last = MANY as u64;
    assert_eq!((extent.count, extent.leaf), (last + 1, Some(last)));
    assert_eq!(ledger.extent(&xid(9)).await.unwrap(), None);
}

#[tokio::test]
async fn all_statements_come_in_parts_that_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = long(dir.path()).await;
    for limit in [500, limits::LEDGER_ROWS_MAX, u32::MAX] {
        let (mut all, mut next, mut parts) = (Vec::new(), Some(None), 0);
        while let Some(after) = next {
            let page = ledger.statements(&xid(1), limit, after).await.unwrap();
            let (rows, more) = page.into_parts();
            all.extend(notes(&rows));
            (next, parts) = (more.map(Some), parts + 1);
        }
        assert!(all.iter().copied().eq(1..=MANY + 1), "{limit}");
        assert!(parts > 1, "{limit}");
    }
    // Of an exchange that is not here, too.
    let alone: Vec<_> = (0..3).map(|note| stated(7, Kind::Dispatch, note)).collect();
    ledger.commit(alone).await.unwrap();
    let (first, more) = ledger
        .statements(&xid(7), 2, None)
        .await
        .unwrap()
        .into_parts();
    assert_eq!(notes(&first), [0, 1]);
    assert_eq!(
        notes(&items(ledger.statements(&xid(7), 2, more).await)),
        [2]
    );
}

#[tokio::test]
async fn what_is_to_be_told_is_found_among_many() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = long(dir.path()).await;
    let marked = |note: usize, mark: &[u8]| Op::Meta {
        key: crate::store::tell_key(&Digest::of(&note.to_be_bytes())),
        value: mark.to_vec(),
    };
    let ops = vec![
        stated(1, Kind::Access, MANY + 2),
        stated(1, Kind::ConsentAsked, MANY + 3),
        stated(1, Kind::UseReport, MANY + 4),
        marked(MANY + 2, crate::store::DUE),
        marked(MANY + 3, crate::store::TOLD),
        marked(MANY + 4, crate::store::DUE),
    ];
    ledger.commit(ops).await.unwrap();
    let kinds = &[Kind::UseReport, Kind::ConsentAsked, Kind::Access];
    let all = &[Kind::RestrictionChanged];
    let told = ledger.to_tell(&xid(1), kinds, all).await.unwrap();
    assert_eq!(notes(&told), [MANY, MANY + 2, MANY + 4]);
}

#[tokio::test]
async fn wishes_and_cases_have_no_last_page_that_is_not_the_last() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let mut ops: Vec<_> = (0..5).map(|at| stated(1, Kind::ConsentAsked, at)).collect();
    ops.extend((5..10).map(|at| stated(1, Kind::Onward, at)));
    for (number, case) in [(1, "B"), (2, "A"), (3, "B"), (4, "C")] {
        let mut row = exchange(number, Direction::In, Phase::Held);
        row.case_ref = Some(case.to_owned());
        ops.push(Op::Open(Box::new(row)));
    }
    ops.push(opened(5, Direction::Out, Phase::Closed));
    for op in ops {
        ledger.commit(vec![op]).await.unwrap();
    }
    let (first, more) = ledger.asked(3, None).await.unwrap().into_parts();
    assert_eq!(notes(&first), [4, 3, 2]);
    assert_eq!(notes(&items(ledger.asked(3, more).await)), [1, 0]);
    assert_eq!(
        notes(&items(ledger.passed_on(5, None).await)),
        [9, 8, 7, 6, 5]
    );
    let case = |case: &str, packages| CaseRow {
        peer: peer(),
        case: case.to_owned(),
        packages,
    };
    let (first, more) = ledger.cases(2, None).await.unwrap().into_parts();
    assert_eq!(first, [case("B", 2), case("A", 1)]);
    assert_eq!(items(ledger.cases(2, more).await), [case("C", 1)]);
}

/// Each commit looks whether a statement is here already; that must not cost more with each.
#[tokio::test]
async fn a_long_exchange_stays_known() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = long(dir.path()).await;
    for round in 0..2 {
        for note in [2, MANY, MANY + 1] {
            let again = ledger.commit(vec![stated(1, Kind::Access, note)]).await;
            assert_eq!(again.unwrap().size, MANY as u64 + 1 + round);
        }
        let other = stated(u8::try_from(round).unwrap() + 2, Kind::Dispatch, 7);
        ledger.commit(vec![other]).await.unwrap();
    }
}

/// One computation of many paths gives what each alone gives.
#[tokio::test]
async fn paths_of_many_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = long(dir.path()).await;
    let size = ledger.size();
    let leaves: Vec<_> = (0..size).step_by(97).chain([size - 1]).collect();
    let paths = ledger.paths(size, leaves.clone()).await.unwrap();
    ledger.checkpoint().await.unwrap();
    for (leaf, path) in leaves.into_iter().zip(paths) {
        assert_eq!(
            ledger.prove(leaf).await.unwrap().proof.proof,
            path,
            "{leaf}"
        );
    }
    assert!(ledger.paths(size, vec![size]).await.is_err());
}
