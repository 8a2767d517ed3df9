//! A state that is older than the journal of destructions beside it, and the other way round.

use std::path::PathBuf;

use super::*;
use crate::receipt::Reason;
use crate::store::journal::JournalEntry;
use crate::store::{journal, unreadable_key, unstated};

/// A state with a journal beside it.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn state(&self) -> PathBuf {
        self.0.path().join("state")
    }

    fn journal(&self) -> PathBuf {
        self.0.path().join("state-destroyed/journal")
    }

    fn open(&self) -> Ledger {
        journal::prepare(&self.journal()).unwrap();
        unlocked(|| Ledger::journaled(&self.state(), key(), &self.journal())).unwrap()
    }

    /// Ends the ledger and puts the state of another home in the place of this one's.
    async fn restore(&self, ledger: Ledger, backup: &Self) {
        ledger.close().await;
        std::fs::remove_dir_all(self.state()).unwrap();
        copy(&backup.state(), &self.state());
    }

    fn entries(&self) -> Vec<JournalEntry> {
        let mut entries = Vec::new();
        let file = std::fs::File::open(self.journal()).unwrap();
        let own = "mla.example.ie".parse().unwrap();
        let sound = journal::read(file, &own, |entry| entries.push(*entry)).unwrap();
        assert!(!sound.torn);
        entries
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn held(number: u8) -> Vec<Op> {
    let bytes = vec![7; 99];
    let xid = xid(number);
    vec![
        opened(number, Direction::In, Phase::Held),
        header(number),
        Op::Payload { xid, bytes },
    ]
}

fn destroyed(number: u8) -> Vec<Op> {
    let note = [number; 40];
    let said = Op::Statement {
        xid: Some(xid(number)),
        kind: "destroyed".to_owned(),
        issuer: peer(),
        note: note.to_vec(),
        at: at(4_000),
        logged: true,
        signatures: 1,
    };
    let ends = advance(number, Step::Signed(Kind::Destroyed), Some(&note));
    vec![said, ends, Op::Shred { xid: xid(number) }]
}

fn entry(number: u8) -> JournalEntry {
    JournalEntry {
        xid: xid(number),
        statement: Digest::of(&[number; 40]),
        at: at(4_000),
    }
}

/// The keys in the slot file of a state.
fn keys(state: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(state.join("slots")).unwrap();
    let cells = bytes.chunks_exact(64).map(|cell| cell[..32].to_vec());
    cells.filter(|key| *key != [0; 32]).collect()
}

#[tokio::test]
async fn a_destruction_is_in_the_journal_when_it_is_answered() {
    let home = Home::new();
    let ledger = home.open();
    assert!(
        !ledger.has_new_journal(),
        "nothing was lost: the ledger is new"
    );
    for number in 1..=4 {
        ledger.commit(held(number)).await.unwrap();
    }
    assert_eq!(home.entries(), []);
    ledger.commit(destroyed(1)).await.unwrap();
    assert_eq!(home.entries(), [entry(1)]);
    // Two at a time share the flush; one that is refused leaves nothing.
    let (two, three, again) = tokio::join!(
        ledger.commit(destroyed(2)),
        ledger.commit(destroyed(3)),
        ledger.commit(destroyed(1))
    );
    two.unwrap();
    three.unwrap();
    assert!(matches!(again, Err(CommitFault::Conflict { .. })));
    let mut entries = home.entries();
    entries.sort_by_key(|entry| entry.xid);
    assert_eq!(entries, [entry(1), entry(2), entry(3)]);
    ledger.close().await;
    // A restart finds nothing to do.
    let ledger = home.open();
    assert_eq!(home.entries().len(), 3);
    assert!(!ledger.has_new_journal());
    assert_eq!(ledger.all_destroyed_before().count(), 0);
}

#[tokio::test]
async fn what_is_unreadable_is_known_until_it_is_stated() {
    let home = Home::new();
    let ledger = home.open();
    let reason = Reason::technical("retention-ended");
    for number in 1..=3 {
        ledger.commit(held(number)).await.unwrap();
    }
    for number in 1..=2 {
        let xid = xid(number);
        let key = unreadable_key(&xid);
        let value = unstated(&reason);
        let ops = vec![Op::Shred { xid }, Op::Meta { key, value }];
        ledger.commit(ops).await.unwrap();
    }
    ledger.commit(destroyed(1)).await.unwrap();
    for _ in 0..2 {
        let found = ledger.unstated().await.unwrap();
        let found: Vec<_> = found.into_iter().map(|it| (it.xid, it.reason)).collect();
        assert_eq!(found, [(xid(2), reason.clone())]);
    }
    ledger.close().await;
}

#[tokio::test]
async fn the_newest_own_statement_dates_the_last_run() {
    let home = Home::new();
    let ledger = home.open();
    assert_eq!(ledger.newest_own(0).await.unwrap(), (0, None));
    ledger.commit(held(1)).await.unwrap();
    ledger.commit(destroyed(1)).await.unwrap();
    let (last, newest) = ledger.newest_own(0).await.unwrap();
    assert_eq!(newest, Some(at(4_000)));
    assert_eq!(ledger.newest_own(last).await.unwrap(), (last, None));
    ledger.close().await;
}

#[tokio::test]
async fn what_was_destroyed_does_not_come_back_with_an_older_state() {
    let (home, backup) = (Home::new(), Home::new());
    let ledger = home.open();
    for number in 1..=3 {
        ledger.commit(held(number)).await.unwrap();
    }
    let reason = Reason::technical("retention");
    let signed = vec![
        opened(4, Direction::In, Phase::HandoverSigned),
        header(4),
        // Marked for another reason before.
        Op::Meta {
            key: unreadable_key(&xid(2)),
            value: unstated(&reason),
        },
    ];
    ledger.commit(signed).await.unwrap();
    ledger.close().await;
    copy(&home.state(), &backup.state());
    let ledger = home.open();
    ledger.commit(destroyed(1)).await.unwrap();
    ledger.commit(destroyed(2)).await.unwrap();
    let moved = advance(4, Step::Countersigned(Kind::Handover), None);
    ledger.commit(vec![moved]).await.unwrap();
    ledger.commit(destroyed(4)).await.unwrap();
    home.restore(ledger, &backup).await;
    assert_eq!(keys(&home.state()).len(), 4, "the backup holds every key");

    for round in 0..2 {
        let ledger = home.open();
        assert_eq!(keys(&home.state()).len(), 1);
        for number in [1, 2, 4] {
            assert!(ledger.header(&xid(number)).await.unwrap().is_none());
            assert!(ledger.payload(&xid(number)).await.unwrap().is_none());
            assert_eq!(ledger.destroyed_before(&xid(number)), Some(at(4_000)));
        }
        assert!(ledger.header(&xid(3)).await.unwrap().is_some());
        assert!(ledger.payload(&xid(3)).await.unwrap().is_some());
        assert_eq!(ledger.destroyed_before(&xid(3)), None);
        assert_eq!(ledger.xids().await.unwrap(), [xid(3)]);
        assert_eq!(ledger.held_in_name().await.unwrap(), 2);
        assert_eq!(ledger.unopened(&peer()).await.unwrap().0, 2, "{round}");
        assert_eq!(home.entries().len(), 3, "nothing is entered twice");
        assert!(!ledger.has_new_journal());
        ledger.close().await;
    }
    // Without the journal the marks say so still, and a new one gets them.
    let kept = home.entries();
    std::fs::remove_file(home.journal()).unwrap();
    let ledger = home.open();
    assert!(ledger.has_new_journal());
    assert_eq!(ledger.all_destroyed_before().count(), 3);
    assert_eq!(home.entries(), kept);
}

#[tokio::test]
async fn what_the_journal_lacks_is_entered_at_the_start() {
    let home = Home::new();
    let ledger = home.open();
    for number in 1..=3 {
        ledger.commit(held(number)).await.unwrap();
        ledger.commit(destroyed(number)).await.unwrap();
    }
    ledger.close().await;
    let whole = std::fs::read(home.journal()).unwrap();
    let first = whole.len() - 3 * journal::LINE_BYTES;
    for (left, is_new) in [(0, true), (5, true), (first, false), (first + 160, false)] {
        std::fs::write(home.journal(), &whole[..left]).unwrap();
        let ledger = home.open();
        assert_eq!(ledger.has_new_journal(), is_new, "{left} bytes");
        assert_eq!(
            std::fs::read(home.journal()).unwrap(),
            whole,
            "{left} bytes"
        );
        ledger.close().await;
    }
    let ledger = open(&home.state());
    ledger.close().await;
    std::fs::write(home.journal(), b"something else").unwrap();
    let opened = unlocked(|| Ledger::journaled(&home.state(), key(), &home.journal()));
    let fault = opened.unwrap_err();
    assert!(matches!(fault, StoreFault::Journal(_)), "{fault}");
}

#[tokio::test]
async fn a_disk_too_full_for_the_journal_refuses_the_destruction() {
    let Some(disk) = Tiny::mount("1m") else {
        return;
    };
    let home = Home::new();
    let path = disk.path().join("journal");
    journal::prepare(&path).unwrap();
    let ledger = Ledger::journaled(&home.state(), key(), &path).unwrap();
    ledger.commit(held(1)).await.unwrap();
    fill(disk.path());
    let full = ledger.commit(destroyed(1)).await.unwrap_err();
    assert_eq!(full, CommitFault::Full);
    assert!(ledger.header(&xid(1)).await.unwrap().is_some());
    std::fs::remove_file(disk.path().join("filler")).unwrap();
    ledger.commit(destroyed(1)).await.unwrap();
    assert!(ledger.header(&xid(1)).await.unwrap().is_none());
    ledger.close().await;
}
