//! Peers whose logs fork, in front of a witness that serves honest peers meanwhile.

use std::fs;
use std::time::Duration;

use quinn::{RecvStream, SendStream};
use rogatory::identity::note;
use rogatory::identity::note::SignatureLine;
use rogatory::net::quic::frames::read_frame;
use rogatory::tlog::{self, AddCheckpoint, Checkpoint, Frontier, cosignature, proof};
use rogatory::wire::Frame;
use serde_json::Value;
use tokio::time::timeout;

use crate::attack::{ANSWER, Attacker};
use crate::script::{Scene, enter};
use crate::victim::{HOSTILE, IE, Victim, deliver};

/// So many leaves are the same on every branch.
const COMMON: u64 = 2;

/// The tree over these leaves of a branch.
fn tree(branch: &str, leaves: std::ops::Range<u64>) -> Frontier {
    let mut tree = Frontier::new();
    for leaf in leaves {
        let branch = if leaf < COMMON { "common" } else { branch };
        tree.append(tlog::leaf_hash(format!("{branch} {leaf}").as_bytes()));
    }
    tree
}

/// A signed head of one branch of the attacker's log.
fn head(of: &Attacker, branch: &str, size: u64) -> (Checkpoint, Vec<u8>) {
    let head = Checkpoint {
        origin: of.keys.log.name().to_string(),
        size,
        root: tree(branch, 0..size).root(),
    };
    let note = head.sign(&of.keys.log);
    (head, note)
}

/// The control stream of an attacker.
struct Control {
    send: SendStream,
    recv: RecvStream,
}

impl Control {
    async fn say(&mut self, frame: Frame) {
        self.send.write_all(&frame.encode()).await.unwrap();
    }

    /// Submits a head with an honest proof from `old` on its own branch, and says what came of it: the cosignature, or
    /// the code of the refusal.
    async fn submit(
        &mut self,
        attacker: &Attacker,
        old: u64,
        (branch, size): (&str, u64),
    ) -> Result<SignatureLine, String> {
        let (head, checkpoint) = head(attacker, branch, size);
        let subtree = |level: u8, index: u64| {
            let first = index << level;
            Some(tree(branch, first..first + (1 << level)).root())
        };
        let proof = proof::consistency(old, size, &subtree).unwrap();
        let add = AddCheckpoint {
            old,
            proof,
            checkpoint,
        };
        self.say(Frame::AddCheckpoint(add.encode())).await;
        loop {
            let frame = timeout(ANSWER, read_frame(&mut self.recv)).await;
            let frame = frame.expect("an answer").unwrap().expect("a frame");
            if let Frame::Fault(fault) = frame {
                return Err(fault.code);
            }
            // What it says by itself, what it holds, whom it knows, its own log, is let pass.
            if let Frame::Cosignature(line) = frame {
                let whole = [b"cosignature\n\n", line.as_slice()].concat();
                let (_, lines) = note::split(&whole, 1).unwrap();
                let witness = &attacker.victim.keys.witness;
                cosignature::verify(&head, &lines[0], witness).expect("it is on this head");
                return Ok(lines[0].clone());
            }
        }
    }
}

fn log_of(victim: &Victim, alias: &str) -> Value {
    let status = victim.ask(alias, &["log", "status", "--json"]);
    serde_json::from_slice(&status).expect("JSON")
}

/// Whether this log was cosigned by that witness.
fn is_cosigned(log: &Value, by: &str) -> bool {
    let rows = log["cosigned"].as_array().into_iter().flatten();
    rows.filter(|row| row["by"] == by && row["size"].as_u64() > Some(0))
        .count()
        == 1
}

/// The contents of the files in this folder, once there are so many: they are written after the alarm is shown.
async fn files_in(folder: &str, count: usize) -> Vec<String> {
    let is_note = |path: &std::path::PathBuf| path.extension().is_some_and(|it| it == "note");
    let read = || -> Vec<_> {
        let files = fs::read_dir(folder).into_iter().flatten();
        let paths = files.map(|file| file.unwrap().path()).filter(is_note);
        paths
            .map(|path| fs::read_to_string(path).unwrap())
            .collect()
    };
    for _ in 0..600 {
        if read().len() >= count {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    read()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_notes_of_a_fork_are_kept_and_packages_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let victim = Victim::start(folder.path(), &[]);
    let attacker = |at: usize| {
        let (alias, id) = HOSTILE[at];
        Attacker::new(folder.path(), alias, id, victim.address)
    };
    let (de, nl, es) = (attacker(0), attacker(2), attacker(3));
    let forked = Err("log-forked".to_owned());

    // One that submits both branches itself.
    let (link, (send, recv)) = de.up().await;
    let mut control = Control { send, recv };
    control.submit(&de, 0, ("one", 3)).await.unwrap();
    control.submit(&de, 3, ("one", 5)).await.unwrap();
    let told = control.submit(&de, 3, ("two", 5)).await;
    assert_eq!(told, forked, "the same size, another root");
    let told = control.submit(&de, 5, ("one", 6)).await;
    assert_eq!(told, forked, "cosigned no more, on no branch");
    let settled = enter(&de, &link, Scene::Settled, &de.honest()).await;
    assert!(settled.is_ok(), "its packages are taken as before");

    // One whose other branch comes from a third authority.
    let (_es_link, (send, recv)) = es.up().await;
    let mut control = Control { send, recv };
    control.submit(&es, 0, ("one", 4)).await.unwrap();
    let (_nl_link, (send, recv)) = nl.up().await;
    let mut gossip = Control { send, recv };
    gossip.say(Frame::Gossip(head(&es, "two", 4).1)).await;
    gossip.submit(&nl, 0, ("one", 1)).await.unwrap();
    let told = control.submit(&es, 4, ("one", 6)).await;
    assert_eq!(told, forked, "heard of, and as good as seen");

    let log = log_of(&victim, "ie");
    let alarms = log["alarms"].as_array().unwrap();
    assert_eq!(alarms.len(), 2, "{log}");
    for (attacker, size) in [(&de, 5), (&es, 4)] {
        let id = attacker.keys.log.name().authority().as_str();
        let alarm = alarms.iter().find(|alarm| alarm["of"] == id).unwrap();
        let note = |branch| String::from_utf8(head(attacker, branch, size).1).unwrap();
        assert_eq!(alarm["kind"], "fork");
        assert_eq!(alarm["earlier"], note("one"));
        assert_eq!(alarm["later"], note("two"));
        let mut kept = files_in(alarm["files"].as_str().unwrap(), 2).await;
        let mut both = vec![note("one"), note("two")];
        kept.sort();
        both.sort();
        assert_eq!(kept, both, "both lie as files for whoever is to be told");
    }

    // Two who are honest go on: packages, and each has cosigned the other's log.
    deliver(folder.path(), "at", "ie").unwrap();
    deliver(folder.path(), "ie", "at").unwrap();
    let at = || log_of(&victim, "at");
    let (mut ours, mut theirs) = (log, at());
    for _ in 0..2_000 {
        if is_cosigned(&ours, crate::victim::AT) && is_cosigned(&theirs, IE) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        (ours, theirs) = (log_of(&victim, "ie"), at());
    }
    assert!(is_cosigned(&ours, crate::victim::AT), "{ours}");
    assert!(is_cosigned(&theirs, IE), "{theirs}");
    assert_eq!(theirs["alarms"], Value::Array(Vec::new()));
}
