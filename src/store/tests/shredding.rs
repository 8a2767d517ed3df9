//! Headers whose key is shredded, or that no exchange needs any more.

use super::*;

#[tokio::test]
async fn a_shredded_header_is_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let begun = vec![
        opened(1, Direction::Out, Phase::Dispatched),
        header(1),
        Op::Payload {
            xid: xid(1),
            bytes: vec![7; 99],
        },
    ];
    ledger.commit(begun).await.unwrap();
    let stored = ledger.header(&xid(1)).await.unwrap().unwrap();
    assert_eq!(stored.as_slice(), HEADER);
    let secret = std::fs::read(dir.path().join("slots")).unwrap()[..32].to_vec();
    assert_ne!(secret, [0; 32]);

    let mut replaced = HEADER.to_vec();
    replaced.extend_from_slice(b"2");
    let again = Op::Header {
        xid: xid(1),
        header: Zeroizing::new(replaced.clone()),
    };
    ledger.commit(vec![again]).await.unwrap();
    let stored = ledger.header(&xid(1)).await.unwrap().unwrap();
    assert_eq!(*stored, replaced);
    assert_eq!(live_cells(dir.path()), 1);

    ledger
        .commit(vec![Op::Shred { xid: xid(1) }])
        .await
        .unwrap();
    assert!(ledger.payload(&xid(1)).await.unwrap().is_none());
    assert!(ledger.header(&xid(1)).await.unwrap().is_none());
    assert_eq!(live_cells(dir.path()), 0);
    let mut searched = 0;
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        for needle in [&secret[..], b"SECRET-HEADER-BYTES"] {
            assert!(!bytes.windows(needle.len()).any(|at| at == needle));
        }
        searched += bytes.len();
    }
    assert!(searched > 100_000, "the database was not searched");
}

#[tokio::test]
async fn a_header_that_is_no_longer_needed_does_not_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    for number in [1, 2] {
        let begun = vec![
            opened(number, Direction::Out, Phase::Dispatched),
            header(number),
        ];
        ledger.commit(begun).await.unwrap();
    }
    let steps = [Kind::Consigned, Kind::Handover].map(Step::Countersigned);
    let delivered = steps.map(|step| advance(1, step, None));
    ledger.commit(delivered.into()).await.unwrap();
    ledger.close().await;
    let ledger = open(dir.path());
    assert!(ledger.header(&xid(1)).await.unwrap().is_none());
    assert!(ledger.header(&xid(2)).await.unwrap().is_some());
    assert_eq!(live_cells(dir.path()), 1);
}
