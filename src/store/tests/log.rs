//! The log, as it is after reopening.

use super::*;

#[tokio::test]
async fn the_log_is_the_one_of_its_statements_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..3_u8 {
        let ledger = open(dir.path());
        for number in 0..5 {
            let note = [round, number];
            ledger
                .commit(vec![statement(number, &note, true)])
                .await
                .unwrap();
        }
        let mut rows = items(ledger.statement_list(100, None).await);
        rows.reverse();
        let mut tree = Frontier::new();
        for (index, row) in (0..).zip(&rows) {
            assert_eq!(row.leaf, Some(index));
            let commitment = tlog::commitment(&row.r.unwrap(), &Digest::of(&row.note));
            tree.append(tlog::leaf_hash(&tlog::leaf_entry(&commitment)));
        }
        assert_eq!(tree.size(), u64::from(round + 1) * 5);
        assert_eq!(ledger.size(), tree.size());
        assert_eq!(ledger.recompute(tree.size()).await.unwrap(), tree);
        let checkpoint = ledger.checkpoint().await.unwrap();
        assert_eq!(
            (checkpoint.size, checkpoint.root),
            (tree.size(), tree.root())
        );
        ledger.close().await;
    }
}

#[tokio::test]
async fn a_checkpoint_is_for_what_is_committed() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    assert!(ledger.head().is_none() && ledger.last_checkpoint().is_none());
    let mut tasks = Vec::new();
    for number in 0..50 {
        let ledger = ledger.clone();
        tasks.push(tokio::spawn(async move {
            if number % 5 == 4 {
                let checkpoint = ledger.checkpoint().await.unwrap();
                let stored = ledger.recompute(checkpoint.size).await.unwrap();
                assert_eq!(stored.size(), checkpoint.size);
                assert_eq!(stored.root(), checkpoint.root);
                return;
            }
            let mut ops = vec![statement(number, &[number], true)];
            if number % 5 == 3 {
                ops.push(advance(number, Step::Acknowledged(Kind::Handover), None));
            }
            let done = ledger.commit(ops).await;
            assert_eq!(done.is_ok(), number % 5 != 3);
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let last = ledger.checkpoint().await.unwrap();
    assert_eq!(last.size, 30);
    assert_eq!(last.origin, "mla.example.ie/log");
    assert_eq!(ledger.head(), Some(last.clone()));
    let note = ledger.last_checkpoint().unwrap();
    assert_eq!(Checkpoint::open(&note, &key().public()), Ok(last.clone()));
    ledger.close().await;

    let ledger = open(dir.path());
    assert_eq!(ledger.head(), Some(last));
    assert_eq!(ledger.last_checkpoint().as_deref(), Some(&*note));
    ledger.close().await;
    let other = || SecretKey::from_seed(key().name().clone(), &[4; 32]);
    let fault = unlocked(|| Ledger::open(dir.path(), other())).unwrap_err();
    assert!(matches!(fault, StoreFault::Damaged(_)), "{fault}");
}
