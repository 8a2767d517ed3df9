//! The ledger and its disk: one process, damage, full, failing, and what a kill leaves.

use super::*;

#[tokio::test]
async fn the_folder_belongs_to_one_process() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let fault = Ledger::open(dir.path(), key()).unwrap_err();
    assert!(matches!(fault, StoreFault::Locked { .. }), "{fault}");
    ledger.close().await;
    let fault = ledger.commit(Vec::new()).await.unwrap_err();
    assert!(matches!(fault, CommitFault::Broken(_)));
    open(dir.path()).close().await;
}

#[tokio::test]
async fn damage_is_noticed_at_opening() {
    for (harm, expected) in [
        ("DELETE FROM leaf WHERE idx = 1", "number of leaves"),
        ("UPDATE log SET size = 3", "does not fit"),
        ("UPDATE log SET frontier = x'00'", "does not fit"),
        ("UPDATE log SET frontier = zeroblob(32)", "another root"),
        (
            "DELETE FROM leaf; UPDATE log SET size = 0, frontier = x''",
            "more leaves",
        ),
        (
            "INSERT INTO migration (no, name) VALUES (99, 'later')",
            "newer program",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let ledger = open(dir.path());
        for note in [b"1", b"2"] {
            ledger.commit(vec![statement(1, note, true)]).await.unwrap();
        }
        ledger.checkpoint().await.unwrap();
        ledger.close().await;
        let db = rusqlite::Connection::open(dir.path().join("ledger.db")).unwrap();
        db.execute_batch(harm).unwrap();
        drop(db);
        let fault = unlocked(|| Ledger::open(dir.path(), key()))
            .unwrap_err()
            .to_string();
        assert!(fault.contains(expected), "{harm}: {fault}");
    }
}

#[tokio::test]
async fn a_full_disk_is_waited_out() {
    let Some(disk) = Tiny::mount("4m") else {
        return;
    };
    let ledger = open(disk.path());
    let filler = disk.path().join("filler");
    std::fs::write(&filler, vec![0; 2 << 20]).unwrap();
    let ops = |number: u8| {
        let payload = Op::Payload {
            xid: xid(number),
            bytes: vec![0; 200 << 10],
        };
        let begun = opened(number, Direction::In, Phase::Receiving);
        vec![
            begun,
            payload,
            header(number),
            statement(number, &[number], true),
        ]
    };
    let (mut kept, mut refused) = (0, 0);
    while refused < 3 {
        assert!(kept < 100, "the disk does not fill");
        match ledger.commit(ops(kept)).await {
            Ok(_) => (kept, refused) = (kept + 1, 0),
            Err(fault) => {
                assert_eq!(fault, CommitFault::Full);
                refused += 1;
            }
        }
    }
    assert!(kept > 0);
    assert_eq!(ledger.size(), u64::from(kept));
    assert!(ledger.header(&xid(0)).await.unwrap().is_some());
    assert_eq!(ledger.exchange(&xid(kept)).await.unwrap(), None);

    std::fs::remove_file(&filler).unwrap();
    let size = u64::from(kept) + 1;
    assert_eq!(ledger.commit(ops(kept)).await.unwrap().size, size);
    let checkpoint = ledger.checkpoint().await.unwrap();
    let tree = ledger.recompute(size).await.unwrap();
    assert_eq!((tree.size(), tree.root()), (size, checkpoint.root));
    ledger.close().await;
    let ledger = open(disk.path());
    assert_eq!(ledger.head(), Some(checkpoint));
    assert!(ledger.header(&xid(kept)).await.unwrap().is_some());
    assert_eq!(live_cells(disk.path()), usize::from(kept) + 1);
    ledger.close().await;
}

/// Tells, when it is let go of, whether the ledger is known to be broken.
struct Kept(Ledger, std::sync::mpsc::Sender<bool>);

impl Drop for Kept {
    fn drop(&mut self) {
        self.1.send(self.0.check().is_err()).unwrap();
    }
}

#[tokio::test]
async fn after_any_other_failure_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    ledger.commit(vec![statement(1, b"1", true)]).await.unwrap();
    let db = rusqlite::Connection::open(dir.path().join("ledger.db")).unwrap();
    db.execute_batch("ALTER TABLE leaf RENAME TO elsewhere")
        .unwrap();
    let waiting = tokio::spawn({
        let ledger = ledger.clone();
        async move { ledger.broken().await }
    });
    let broken = |result| matches!(result, Err(CommitFault::Broken(_)));
    let meta = || Op::Meta {
        key: "k".to_owned(),
        value: Vec::new(),
    };
    let (tell, told) = std::sync::mpsc::channel();
    let kept = Kept(ledger.clone(), tell);
    let both = tokio::join!(
        ledger.commit_holding(vec![statement(1, b"2", true)], kept),
        ledger.commit(vec![meta()])
    );
    assert!(broken(both.0) && broken(both.1));
    assert!(
        told.recv().unwrap(),
        "it is broken before anything is let go of"
    );
    let why = waiting.await.unwrap();
    assert!(why.contains("no such table"), "{why}");
    db.execute_batch("ALTER TABLE elsewhere RENAME TO leaf")
        .unwrap();
    drop(db);
    assert!(broken(ledger.commit(vec![meta()]).await));
    assert!(ledger.checkpoint().await.is_err());
    assert_eq!(ledger.size(), 1);
    assert_eq!(ledger.meta("k").await.unwrap(), None);
    ledger.close().await;
    let ledger = open(dir.path());
    assert_eq!(ledger.commit(vec![meta()]).await.unwrap().size, 1);
}

#[tokio::test]
async fn on_a_full_disk_the_ledger_goes_on_with_its_reserve() {
    let Some(disk) = Tiny::mount("16m") else {
        return;
    };
    let ledger = open(disk.path());
    let aside = || disk.path().join("reserve").metadata().unwrap().len();
    assert_eq!(aside(), limits::LEDGER_RESERVE_BYTES);
    fill(disk.path());
    for number in 0..40 {
        let ops = vec![
            opened(number, Direction::In, Phase::Receiving),
            header(number),
            statement(number, &[number], true),
        ];
        ledger.commit(ops).await.unwrap();
    }
    assert_eq!(aside(), 0);
    ledger.checkpoint().await.unwrap();
    std::fs::remove_file(disk.path().join("filler")).unwrap();
    ledger
        .commit(vec![statement(40, &[40], true)])
        .await
        .unwrap();
    // The writer answers first, then sees to its reserve, then takes up what is asked next.
    ledger.checkpoint().await.unwrap();
    assert_eq!(
        aside(),
        limits::LEDGER_RESERVE_BYTES,
        "it is set aside again"
    );
}

/// Writes that a process left before its flush are in the kernel's memory, perhaps nowhere else.
#[tokio::test]
async fn at_the_start_the_write_ahead_log_is_written_to_the_database_anew() {
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ledger = open(dir.path());
    ledger.commit(vec![statement(1, &[1], true)]).await.unwrap();
    // The files as a kill leaves them.
    for name in ["ledger.db", "ledger.db-wal", "slots"] {
        std::fs::copy(dir.path().join(name), copy.path().join(name)).unwrap();
    }
    let log = || copy.path().join("ledger.db-wal").metadata().unwrap().len();
    let left = log();
    let again = open(copy.path());
    assert!(log() < left, "{left} bytes, then {}", log());
    assert_eq!(again.size(), 1);
}

/// SQLite would leave holes in the pages that it maps, where blocks are small: on a full disk that is a SIGBUS.
#[tokio::test]
async fn the_index_of_the_write_ahead_log_has_its_space_beforehand() {
    use std::os::unix::fs::MetadataExt;
    const REGION: u64 = 32 << 10;
    let dir = tempfile::tempdir().unwrap();
    let size = |name: &str| dir.path().join(name).metadata().unwrap().size();
    let space = || {
        dir.path()
            .join("ledger.db-shm")
            .metadata()
            .unwrap()
            .blocks()
            * 512
    };
    for _ in 0..2 {
        let ledger = open(dir.path());
        assert!(space() >= 3 * REGION, "{} at the start", space());
        // Somebody who looks keeps the log from beginning anew.
        let db = rusqlite::Connection::open(dir.path().join("ledger.db")).unwrap();
        db.execute_batch("BEGIN; SELECT count(*) FROM statement;")
            .unwrap();
        let mut number = 0_u32;
        while size("ledger.db-wal") < (5_000 * 4_120) {
            number += 1;
            ledger
                .commit(vec![Op::Meta {
                    key: format!("{number}"),
                    value: vec![7; 60_000],
                }])
                .await
                .unwrap();
        }
        assert!(space() >= 4 * REGION, "{} later", space());
        drop(db);
        ledger.close().await;
    }
}
