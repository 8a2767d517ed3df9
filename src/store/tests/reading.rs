//! The answers of the ledger: lists, queues, peers and named values.

use std::collections::HashSet;

use super::*;

async fn six(folder: &Path) -> Ledger {
    let ledger = open(folder);
    let mut ops = Vec::new();
    for (number, direction, phase) in [
        (0x11, Direction::Out, Phase::Dispatched),
        (0x12, Direction::Out, Phase::Closed),
        (0x13, Direction::Out, Phase::Consigned),
        (0x21, Direction::In, Phase::Receiving),
        (0x22, Direction::In, Phase::Held),
        (0x23, Direction::In, Phase::Consigned),
    ] {
        ops.push(opened(number, direction, phase));
    }
    ops.push(Op::Retry {
        xid: xid(0x11),
        attempts: 1,
        next_try: Some(at(10_000)),
        fault: None,
    });
    ledger.commit(ops).await.unwrap();
    ledger
}

fn ids(rows: &[Exchange]) -> Vec<u8> {
    rows.iter().map(|row| row.xid.as_bytes()[0]).collect()
}

#[tokio::test]
async fn lists() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = six(dir.path()).await;
    for (direction, phase, expected) in [
        (None, None, &[0x23, 0x22, 0x21, 0x13, 0x12, 0x11][..]),
        (Some(Direction::In), None, &[0x23, 0x22, 0x21]),
        (None, Some(Phase::Consigned), &[0x23, 0x13]),
        (Some(Direction::Out), Some(Phase::Consigned), &[0x13]),
        (Some(Direction::In), Some(Phase::Refused), &[]),
    ] {
        for limit in [0, 1, 2, 3, 9, u32::MAX] {
            let (mut all, mut next) = (Vec::new(), Some(None));
            while let Some(after) = next {
                let page = ledger.exchanges(direction, phase, limit, after);
                let (rows, more) = page.await.unwrap().into_parts();
                next = more.map(Some);
                assert!(rows.len() <= limit.max(1) as usize);
                all.extend(ids(&rows));
            }
            assert_eq!(all, expected, "{direction:?} {phase:?} {limit}");
        }
    }
    for (prefix, expected) in [
        ("1", 2),
        ("11", 1),
        ("111", 1),
        ("112", 0),
        ("", 2),
        ("zz", 0),
        ("AA", 0),
        (&xid(0x22).to_string(), 1),
        (&"2".repeat(33), 0),
    ] {
        let found = ledger.find(prefix).await.unwrap();
        assert_eq!(found.len(), expected, "{prefix:?}");
    }
}

#[tokio::test]
async fn queues() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = six(dir.path()).await;
    let under_way = items(ledger.under_way(9, None).await);
    assert_eq!(ids(&under_way), [0x11, 0x13, 0x21]);
    let (first, more) = ledger.under_way(2, None).await.unwrap().into_parts();
    assert_eq!(ids(&first), [0x11, 0x13]);
    assert_eq!(ids(&items(ledger.under_way(2, more).await)), [0x21]);
    let newer = vec![
        opened(0x14, Direction::Out, Phase::Dispatched),
        Op::Header {
            xid: xid(0x14),
            header: b"header".to_vec().into(),
        },
        Op::Payload {
            xid: xid(0x14),
            bytes: vec![7],
        },
    ];
    ledger.commit(newer).await.unwrap();
    for (now, after, expected) in [
        (9_999, None, &[0x13, 0x14][..]),
        (10_000, None, &[0x13, 0x11, 0x14]),
        (10_000, Some(xid(0x11)), &[0x14]),
        (10_000, Some(xid(0x14)), &[]),
        (10_000, Some(xid(0x99)), &[]),
    ] {
        let due = ledger
            .outbox_due(&peer(), at(now), after, HashSet::new())
            .await;
        let due: Vec<_> = due.unwrap().into_iter().map(|it| it.exchange).collect();
        assert_eq!(ids(&due), expected, "{now} {after:?}");
    }
    let known = HashSet::from([xid(0x13), xid(0x14)]);
    let due = ledger.outbox_due(&peer(), at(10_000), None, known).await;
    let due: Vec<_> = due.unwrap().into_iter().map(|it| it.exchange).collect();
    assert_eq!(ids(&due), [0x11], "what is known is not read again");
    let asked = vec![xid(0x13), xid(0x99), xid(0x11)];
    let reached = ledger.standings(asked).await.unwrap();
    let reached: Vec<_> = reached.iter().map(|it| it.xid).collect();
    assert_eq!(reached, [xid(0x13), xid(0x11)]);
    let waiting = ledger.waiting().await.unwrap();
    assert_eq!(waiting.len(), 1);
    assert_eq!((&waiting[0].peer, waiting[0].count), (&peer(), 3));
    assert_eq!(ledger.counts().await.unwrap().len(), 6);
    // The closed outgoing one needs its payload no more.
    assert_eq!(ledger.xids().await.unwrap().len(), 6);
}

#[tokio::test]
async fn what_has_ended_is_due_until_the_peer_has_been_told() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let ended = [Phase::Expired, Phase::Withdrawn, Phase::Failed];
    let others = [Phase::Closed, Phase::Rejected];
    let rows = ended.iter().chain(&others).zip(1..);
    let mut ops: Vec<_> = rows
        .map(|(phase, number)| Op::Open(Box::new(exchange(number, Direction::Out, *phase))))
        .collect();
    // An incoming one that has failed is nobody's mail.
    let failed = exchange(9, Direction::In, Phase::Failed);
    ops.push(Op::Open(Box::new(failed)));
    let retry = |number: u8, code: &str| Op::Retry {
        xid: xid(number),
        attempts: 1,
        next_try: None,
        fault: Some(StoredFault {
            code: code.to_owned(),
            text: "a test".to_owned(),
        }),
    };
    ops.extend([1, 2, 3].map(|number| retry(number, "connection-lost")));
    ledger.commit(ops).await.unwrap();
    let due = || async {
        let due = ledger
            .outbox_due(&peer(), at(99_999), None, HashSet::new())
            .await;
        let due: Vec<_> = due.unwrap().into_iter().map(|it| it.exchange).collect();
        ids(&due)
    };
    assert_eq!(due().await, [3, 1, 2]);
    ledger.commit(vec![retry(2, "told")]).await.unwrap();
    assert_eq!(due().await, [3, 1]);
}

fn added() -> PeerRow {
    PeerRow {
        id: peer(),
        alias: "fr".parse().unwrap(),
        card: b"card".to_vec(),
        number: 1,
        state: PeerState::Added,
        classic: false,
        added: at(1),
        accepted: None,
        last_seen: None,
        head: None,
        fault: None,
    }
}

#[tokio::test]
async fn peers_and_named_values() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let mut row = added();
    let fault = Some(StoredFault {
        code: "revoked".to_owned(),
        text: "its certificate is revoked".to_owned(),
    });
    let id = peer;
    let ops = vec![
        Op::PeerPut(Box::new(row.clone())),
        Op::PeerState {
            id: id(),
            state: PeerState::Accepted,
            at: at(2),
        },
        Op::PeerSeen {
            id: id(),
            at: at(3),
        },
        Op::PeerHead {
            id: id(),
            head: b"head".to_vec(),
        },
        Op::PeerFault {
            id: id(),
            fault: fault.clone(),
        },
        Op::Meta {
            key: "clock".to_owned(),
            value: b"1".to_vec(),
        },
        Op::Meta {
            key: "clock".to_owned(),
            value: b"2".to_vec(),
        },
    ];
    ledger.commit(ops).await.unwrap();
    row.state = PeerState::Accepted;
    (row.accepted, row.last_seen) = (Some(at(2)), Some(at(3)));
    (row.head, row.fault) = (Some(b"head".to_vec()), fault);
    assert_eq!(ledger.peer(&peer()).await.unwrap(), Some(row.clone()));
    let headless = PeerRow {
        head: None,
        ..row.clone()
    };
    ledger
        .commit(vec![Op::PeerPut(Box::new(headless))])
        .await
        .unwrap();
    assert_eq!(ledger.peers().await.unwrap(), [row.clone()]);
    assert_eq!(ledger.meta("clock").await.unwrap(), Some(b"2".to_vec()));
    assert_eq!(ledger.meta("none").await.unwrap(), None);
}

fn list(ca: u8, number: u64) -> Op {
    Op::CrlPut(Box::new(crate::store::CrlRow {
        authority: peer(),
        ca: Digest::of(&[ca]),
        number,
        list: vec![ca],
        came: at(1),
    }))
}

/// Numbers of lists are compared among those of one CA.
#[tokio::test]
async fn each_ca_of_an_authority_has_its_own_list() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    ledger
        .commit(vec![Op::PeerPut(Box::new(added()))])
        .await
        .unwrap();
    let numbers = async || -> Vec<(Vec<u8>, u64)> {
        let mut rows = ledger.crls().await.unwrap();
        rows.sort_by(|a, b| a.list.cmp(&b.list));
        rows.into_iter().map(|row| (row.list, row.number)).collect()
    };
    for (op, then) in [
        (list(1, 41), vec![(vec![1], 41)]),
        (list(2, 1), vec![(vec![1], 41), (vec![2], 1)]),
        (list(1, 40), vec![(vec![1], 40), (vec![2], 1)]),
        (list(2, 2), vec![(vec![1], 40), (vec![2], 2)]),
        (
            Op::CrlDrop {
                authority: peer(),
                ca: Digest::of(&[1]),
            },
            vec![(vec![2], 2)],
        ),
        (Op::PeerDrop { id: peer() }, Vec::new()),
    ] {
        ledger.commit(vec![op]).await.unwrap();
        assert_eq!(numbers().await, then);
    }
}

#[tokio::test]
async fn a_peer_that_cannot_be_kept_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let first = Op::PeerPut(Box::new(added()));
    ledger.commit(vec![first]).await.unwrap();
    let namesake = PeerRow {
        id: "mla.example.de".parse().unwrap(),
        ..added()
    };
    let taken = ledger.commit(vec![Op::PeerPut(Box::new(namesake))]).await;
    assert!(matches!(taken, Err(CommitFault::Unfit(_))));
    let huge = ledger.commit(vec![list(1, u64::MAX)]).await;
    assert!(matches!(huge, Err(CommitFault::Unfit(_))));
    assert_eq!(ledger.peers().await.unwrap(), [added()]);
}
