//! Three authorities, their ledgers on a real disk, and what they say to each other about logs.

use std::collections::HashMap;
use std::path::Path;

use super::*;
use crate::base::clock::Judge;
use crate::identity::keys::{KeyName, Role};

const NAMES: [&str; 3] = [
    "mla.example.ie",
    "bfj.example.de",
    "bepi.justice.example.fr",
];

fn id(name: &str) -> AuthorityId {
    name.parse().unwrap()
}

fn key(name: &str, role: Role) -> SecretKey {
    let seed = Digest::of(format!("{name} {role:?}").as_bytes());
    SecretKey::from_seed(KeyName::new(id(name), role), seed.as_bytes())
}

/// An authority on the state in this folder, which knows the other two.
async fn open(folder: &Path, name: &str) -> Watch {
    let ledger = Ledger::open(folder, key(name, Role::Log)).unwrap();
    ledger.check_recovery(folder).await.unwrap();
    let watch = Watch::new(id(name), ledger, Clock::start(Judge::new(None, None)));
    watch.enable(key(name, Role::Witness));
    let known: HashMap<_, _> = NAMES
        .into_iter()
        .filter(|other| *other != name)
        .map(|other| {
            let log = key(other, Role::Log).public();
            let witness = key(other, Role::Witness).public();
            (id(other), LogKeys { log, witness })
        })
        .collect();
    watch.set_known(known);
    watch
}

/// A statement of this authority.
fn said(watch: &Watch, what: &str, number: usize) -> Op {
    Op::Statement {
        xid: None,
        kind: "test".to_owned(),
        issuer: watch.own.clone(),
        note: format!("{what} {number}").into_bytes(),
        at: watch.now(),
        logged: true,
        signatures: 1,
    }
}

/// Logs so many statements, and signs a checkpoint.
async fn grow(watch: &Watch, what: &str, count: usize) {
    let ops = (0..count).map(|n| said(watch, what, n)).collect();
    watch.ledger.commit(ops).await.unwrap();
    watch.ledger.checkpoint().await.unwrap();
}

/// Plays a meeting of `owner` and `witness`; returns the code of the refusal, if there is one.
async fn meet(owner: &Watch, witness: &Watch) -> Result<(), String> {
    let code = |fault: FaultMessage| fault.code;
    let held = witness.held(&owner.own).await.map_err(code)?;
    let mut submission = owner.asked(&held).await.map_err(code)?;
    for _ in 0..2 {
        let Frame::AddCheckpoint(bytes) = &submission.frame else {
            return Err("no-submission".to_owned());
        };
        match witness.submitted(&owner.own, bytes).await.map_err(code)? {
            Some(Frame::Cosignature(line)) => {
                let cosigned = owner.cosigned(&witness.own, &line, &submission).await;
                cosigned.map_err(code)?;
                return prove_heard(owner, witness).await;
            }
            Some(Frame::Held(held)) => submission = owner.asked(&held).await.map_err(code)?,
            other => return Err(format!("{other:?}")),
        }
    }
    Err("conflict".to_owned())
}

async fn prove_heard(owner: &Watch, witness: &Watch) -> Result<(), String> {
    let code = |fault: FaultMessage| fault.code;
    let log = key(owner.own.as_str(), Role::Log).public();
    let Some((_, heard)) = witness.heard(&owner.own, &log).await.map_err(code)? else {
        return Ok(());
    };
    let submission = owner.asked(&heard).await.map_err(code)?;
    let Frame::AddCheckpoint(bytes) = &submission.frame else {
        return Err("no-submission".to_owned());
    };
    let answer = witness.submitted(&owner.own, bytes).await.map_err(code)?;
    assert_eq!(answer, None);
    Ok(())
}

/// `from` tells `to` the newest it has cosigned of `of`.
async fn tell(from: &Watch, to: &Watch, of: &str) {
    let held = from.held(&id(of)).await.unwrap();
    to.gossiped(&held).await.unwrap();
}

/// An authority whose log has forked after three leaves, and the two others.
struct Forked {
    first: Watch,
    second: Watch,
    de: Watch,
    fr: Watch,
    _dir: tempfile::TempDir,
}

/// After the fork so many leaves on the one branch and on the other.
async fn forked(one: usize, two: usize) -> Forked {
    let dir = tempfile::tempdir().unwrap();
    let [ie, de, fr] = NAMES;
    let first = open(&dir.path().join("ie"), ie).await;
    grow(&first, "common", 3).await;
    first.ledger.close().await;
    copy(&dir.path().join("ie"), &dir.path().join("copy"));
    let first = open(&dir.path().join("ie"), ie).await;
    let second = open(&dir.path().join("copy"), ie).await;
    grow(&first, "one", one).await;
    grow(&second, "two", two).await;
    Forked {
        first,
        second,
        de: open(&dir.path().join("de"), de).await,
        fr: open(&dir.path().join("fr"), fr).await,
        _dir: dir,
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[tokio::test]
async fn a_growing_log_is_cosigned_and_proved() {
    let dir = tempfile::tempdir().unwrap();
    let [ie, de, _] = NAMES;
    let owner = open(&dir.path().join("ie"), ie).await;
    let witness = open(&dir.path().join("de"), de).await;
    for (round, count) in [1, 2, 300, 0, 5].into_iter().enumerate() {
        grow(&owner, &format!("round {round}"), count).await;
        assert_eq!(meet(&owner, &witness).await, Ok(()));
        let size = owner.ledger.size();
        let held = witness.ledger.witnessed(&id(ie)).await.unwrap().unwrap();
        assert_eq!(held.size, size);
        assert_eq!(Some(held.root), owner.ledger.root_at(size).await.unwrap());
        let tree = owner.ledger.recompute(size).await.unwrap();
        assert_eq!(tree.root(), held.root);
    }
    grow(&owner, "later", 1).await;
    let rows = owner.ledger.statement_list(1_000, None).await.unwrap();
    let (rows, more) = rows.into_parts();
    assert_eq!(more, None);
    for row in rows.iter().filter(|row| row.leaf.is_some()).step_by(37) {
        let commitment = crate::tlog::commitment(&row.r.unwrap(), &row.digest);
        let leaf = crate::tlog::leaf_hash(&crate::tlog::leaf_entry(&commitment));
        let logged = owner.ledger.prove(row.leaf.unwrap()).await.unwrap();
        let head = logged.proof.verify(&leaf, owner.ledger.log_key()).unwrap();
        let newest = row.leaf == Some(308);
        assert_eq!(
            (head.size, logged.witnesses.is_empty()),
            if newest { (309, true) } else { (308, false) }
        );
        let (_, lines) = Checkpoint::parse(&logged.proof.checkpoint).unwrap();
        let witness = key(de, Role::Witness).public();
        assert_eq!(cosignature::find(&head, &lines, &witness).is_ok(), !newest);
    }
}

#[tokio::test]
async fn a_fork_is_found_by_gossip_and_cosigned_no_more() {
    let [ie, ..] = NAMES;
    let Forked {
        first,
        second,
        de,
        fr,
        _dir,
    } = forked(2, 2).await;
    assert_eq!(meet(&first, &de).await, Ok(()));
    assert_eq!(meet(&second, &fr).await, Ok(()));
    assert_eq!(de.ledger.alarms().await.unwrap(), []);
    tell(&de, &fr, ie).await;
    let alarms = fr.ledger.alarms().await.unwrap();
    let [alarm] = alarms.as_slice() else {
        unreachable!("one alarm: {alarms:?}")
    };
    assert_eq!((alarm.of.as_str(), alarm.kind), (ie, AlarmKind::Fork));
    let open = |note: &[u8]| Checkpoint::open(note, &key(ie, Role::Log).public()).unwrap();
    let (one, two) = (open(&alarm.earlier), open(&alarm.later));
    assert_eq!((one.size, two.size), (5, 5));
    assert_ne!(one.root, two.root);
    assert_eq!(meet(&second, &fr).await, Err("log-forked".to_owned()));
    let before = fr.ledger.witnessed(&id(ie)).await.unwrap();
    grow(&second, "three", 1).await;
    assert_eq!(meet(&second, &fr).await, Err("log-forked".to_owned()));
    assert_eq!(fr.ledger.witnessed(&id(ie)).await.unwrap(), before);
    assert_eq!(
        meet(&fr, &de).await.err(),
        None,
        "others are cosigned as before"
    );
}

#[tokio::test]
async fn a_fork_of_another_size_is_not_proved() {
    let [ie, ..] = NAMES;
    let Forked {
        first,
        second,
        de,
        fr,
        _dir,
    } = forked(2, 4).await;
    assert_eq!(meet(&first, &de).await, Ok(()));
    tell(&de, &fr, ie).await;
    // An honest program refuses to go on; one that lies has no proof.
    assert_eq!(meet(&second, &fr).await, Err("recovering".to_owned()));
    assert!(second.ledger.recovering().is_some());
    let heard = fr.ledger.heard(&id(ie)).await.unwrap().unwrap();
    let lie = second.ledger.consistency(5, 7).await.unwrap();
    let checkpoint = second.ledger.last_checkpoint().unwrap().to_vec();
    let lie = AddCheckpoint {
        old: 5,
        proof: lie,
        checkpoint,
    };
    let told = fr.submitted(&id(ie), &lie.encode()).await.unwrap_err();
    assert_eq!(told.code, "log-unproved");
    let alarm = fr.ledger.alarm(&id(ie)).await.unwrap().unwrap();
    assert_eq!((alarm.kind, alarm.earlier), (AlarmKind::Unproved, heard));
}

#[tokio::test]
async fn what_is_only_unproved_ends_with_the_proof() {
    let dir = tempfile::tempdir().unwrap();
    let [ie, de, fr] = NAMES;
    let owner = open(&dir.path().join("ie"), ie).await;
    let (de, fr) = (
        open(&dir.path().join("de"), de).await,
        open(&dir.path().join("fr"), fr).await,
    );
    grow(&owner, "one", 3).await;
    assert_eq!(meet(&owner, &fr).await, Ok(()));
    grow(&owner, "two", 2).await;
    assert_eq!(meet(&owner, &de).await, Ok(()));
    tell(&de, &fr, ie).await;
    grow(&owner, "three", 4).await;
    let good = owner.submission(5).await.unwrap();
    let Frame::AddCheckpoint(bytes) = &good.frame else {
        unreachable!("a submission")
    };
    let mut bad = AddCheckpoint::parse(bytes).unwrap();
    bad.proof[0] = Digest::of(b"bad");
    let told = fr.submitted(&id(ie), &bad.encode()).await.unwrap_err();
    assert_eq!(told.code, "log-unproved");
    assert!(fr.ledger.alarm(&id(ie)).await.unwrap().is_some());
    // Proved from what was heard, not yet from what is held: the answer is what is held.
    let answer = fr.submitted(&id(ie), bytes).await.unwrap();
    assert!(matches!(answer, Some(Frame::Held(_))), "{answer:?}");
    assert!(fr.ledger.alarm(&id(ie)).await.unwrap().is_some());
    assert_eq!(meet(&owner, &fr).await, Ok(()));
    assert_eq!(fr.ledger.heard(&id(ie)).await.unwrap(), None);
    assert_eq!(fr.ledger.alarm(&id(ie)).await.unwrap(), None);
}

#[tokio::test]
async fn a_restored_backup_signs_nothing_until_the_newest_state_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let [ie, de, _] = NAMES;
    let (state, backup) = (dir.path().join("ie"), dir.path().join("backup"));
    let owner = open(&state, ie).await;
    let witness = open(&dir.path().join("de"), de).await;
    grow(&owner, "before", 3).await;
    assert_eq!(meet(&owner, &witness).await, Ok(()));
    owner.ledger.close().await;
    copy(&state, &backup);
    let owner = open(&state, ie).await;
    grow(&owner, "after", 2).await;
    assert_eq!(meet(&owner, &witness).await, Ok(()));
    owner.ledger.close().await;
    let newest = dir.path().join("newest");
    copy(&state, &newest);
    std::fs::remove_dir_all(&state).unwrap();
    copy(&backup, &state);
    let old = open(&state, ie).await;
    assert_eq!(old.ledger.recovering(), None, "it cannot know yet");
    assert_eq!(meet(&old, &witness).await, Err("recovering".to_owned()));
    assert_eq!(old.ledger.recovering().map(|head| head.size), Some(5));
    let refused = old.ledger.checkpoint().await;
    assert_eq!(refused, Err(crate::store::CommitFault::Recovering));
    let refused = old.ledger.commit(vec![said(&old, "old", 0)]).await;
    assert_eq!(refused, Err(crate::store::CommitFault::Recovering));
    assert_eq!(old.submission(0).await.unwrap_err().code, "recovering");
    old.ledger.close().await;
    let old = open(&state, ie).await;
    assert!(old.ledger.recovering().is_some(), "it remembers");
    old.ledger.close().await;
    std::fs::remove_dir_all(&state).unwrap();
    copy(&newest, &state);
    let owner = open(&state, ie).await;
    assert_eq!(owner.ledger.recovering(), None);
    grow(&owner, "again", 1).await;
    assert_eq!(meet(&owner, &witness).await, Ok(()));
}

#[tokio::test]
async fn the_published_log_is_made_again_and_guards_against_an_old_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let (state, backup) = (dir.path().join("ie"), dir.path().join("backup"));
    let owner = open(&state, NAMES[0]).await;
    grow(&owner, "one", 260).await;
    assert_eq!(owner.ledger.publish(&state, 0).await.unwrap(), 260);
    let read = |path: &str| std::fs::read(state.join("log").join(path)).unwrap();
    let tile = crate::tlog::Tile::parse_path("tile/0/000").unwrap();
    let leaves = tile.hashes(&read("tile/0/000")).unwrap();
    let bundle = crate::tlog::Tile::parse_path("tile/entries/000").unwrap();
    let entries = read("tile/entries/000");
    let entries = bundle.entries(&entries).unwrap();
    assert!(
        entries
            .iter()
            .zip(&leaves)
            .all(|(entry, leaf)| crate::tlog::leaf_hash(entry) == *leaf)
    );
    assert_eq!(read("tile/0/001.p/4").len(), 128);
    let mut tree = crate::tlog::Frontier::new();
    for leaf in &leaves {
        tree.append(*leaf);
    }
    assert_eq!(read("tile/1/000.p/1"), tree.root().as_bytes());
    let whole = read("tile/0/000");
    std::fs::write(state.join("log/tile/0/000"), b"damaged").unwrap();
    std::fs::remove_file(state.join("log/checkpoint")).unwrap();
    owner.ledger.publish(&state, 0).await.unwrap();
    assert_eq!(read("tile/0/000"), whole);
    assert!(Checkpoint::open(&read("checkpoint"), owner.ledger.log_key()).is_ok());
    owner.ledger.close().await;
    copy(&state, &backup);
    let owner = open(&state, NAMES[0]).await;
    grow(&owner, "two", 1).await;
    owner.ledger.publish(&state, 260).await.unwrap();
    owner.ledger.close().await;
    std::fs::remove_file(state.join("ledger.db-wal")).unwrap_or_default();
    std::fs::copy(backup.join("ledger.db"), state.join("ledger.db")).unwrap();
    let old = open(&state, NAMES[0]).await;
    assert_eq!(old.ledger.recovering().map(|head| head.size), Some(261));
}

#[tokio::test]
async fn what_is_not_signed_by_its_log_says_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let [ie, de, _] = NAMES;
    let owner = open(&dir.path().join("ie"), ie).await;
    let witness = open(&dir.path().join("de"), de).await;
    grow(&owner, "one", 3).await;
    assert_eq!(meet(&owner, &witness).await, Ok(()));
    let forged = Checkpoint {
        origin: format!("{ie}/log"),
        size: 3,
        root: Digest::of(b"forged"),
    };
    let other = SecretKey::from_seed(KeyName::new(id(ie), Role::Log), &[9; 32]);
    let forged = forged.sign(&other);
    let code = |fault: FaultMessage| fault.code;
    let gossiped = witness.gossiped(&forged).await.map_err(code);
    assert_eq!(gossiped, Err("checkpoint-not-signed".to_owned()));
    let add = AddCheckpoint {
        old: 3,
        proof: vec![],
        checkpoint: forged.clone(),
    };
    let submitted = witness
        .submitted(&id(ie), &add.encode())
        .await
        .map_err(code);
    assert_eq!(submitted, Err("checkpoint-not-signed".to_owned()));
    let asked = owner.asked(&forged).await.map(|_| ()).map_err(code);
    assert_eq!(asked, Err("checkpoint-not-signed".to_owned()));
    assert_eq!(owner.ledger.recovering(), None);
    assert_eq!(witness.ledger.alarms().await.unwrap(), []);
    let submission = owner.submission(3).await.unwrap();
    let line = cosignature::cosign(&submission.head, 1, &key(ie, Role::Witness)).encode();
    let bad = owner
        .cosigned(&id(de), line.as_bytes(), &submission)
        .await
        .map_err(code);
    assert_eq!(bad, Err("cosignature-absent".to_owned()));
    let bad = owner
        .cosigned(&id(de), b"no line", &submission)
        .await
        .map_err(code);
    assert_eq!(bad, Err("cosignature-malformed".to_owned()));
    let clock = u64::try_from(owner.now().seconds()).unwrap();
    let witness = key(de, Role::Witness);
    for (seconds, want) in [
        (0, "cosignature-time"),
        (clock - 301, "cosignature-time"),
        (clock - 290, "good"),
        (clock + 290, "good"),
        (clock + 310, "cosignature-time"),
        ((1 << 53) - 1, "cosignature-time"),
    ] {
        let line = cosignature::cosign(&submission.head, seconds, &witness).encode();
        let said = owner.cosigned(&id(de), line.as_bytes(), &submission).await;
        let code = said.map_or_else(|fault| fault.code, |()| "good".to_owned());
        assert_eq!(code, want, "{seconds}");
    }
}
