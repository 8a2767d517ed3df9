//! The logs of both authorities after the exchange.

use rogatory::base::Digest;
use rogatory::identity::keys::Role;
use rogatory::tlog::{Checkpoint, Frontier, commitment, leaf_entry, leaf_hash};
use serde_json::{Value, json};

use crate::exchange::Story;
use crate::parties::{Party, seed};

pub(crate) struct Log<'a> {
    party: &'a Party,
    leaves: Vec<Value>,
    roots: Vec<Digest>,
}

fn log<'a>(party: &'a Party, story: &Story, names: &[&str]) -> Log<'a> {
    let mut tree = Frontier::new();
    let mut roots = vec![tree.root()];
    let mut leaves = Vec::new();
    for name in names {
        let r = seed(&format!("r of {name} at {}", party.id));
        let note = story.note(name).digest();
        let commitment = commitment(&r, &note);
        let entry = leaf_entry(&commitment);
        let hash = leaf_hash(&entry);
        tree.append(hash);
        roots.push(tree.root());
        leaves.push(json!({
            "file": Story::file(name),
            "note_digest": note,
            "r": hex::encode(r),
            "commitment": commitment,
            "entry": String::from_utf8(entry).expect("ASCII"),
            "leaf_hash": hash,
        }));
    }
    Log {
        party,
        leaves,
        roots,
    }
}

/// Each party logs what it signs as it stands when it signs; the issuer also the completed note.
pub(crate) fn logs<'a>(de: &'a Party, ie: &'a Party, story: &Story) -> [Log<'a>; 2] {
    let sender = [
        "key-announce",
        "card-adopted",
        "policy-adopted",
        "dispatch",
        "consigned-2",
        "handover-2",
        "clock-step",
        "recovered",
    ];
    let receiver = [
        "consigned-1",
        "consigned-2",
        "handover-1",
        "handover-2",
        "access",
        "access-denied",
        "content-mismatch",
    ];
    [log(de, story, &sender), log(ie, story, &receiver)]
}

impl Log<'_> {
    pub(crate) fn file(&self) -> String {
        format!("checkpoints/{}.note", self.party.id)
    }

    pub(crate) fn checkpoint(&self) -> Vec<u8> {
        let key = self.party.key(Role::Log);
        let checkpoint = Checkpoint {
            origin: self.party.log_origin(),
            size: self.leaves.len() as u64,
            root: *self.roots.last().expect("that of the empty tree at least"),
        };
        let note = checkpoint.sign(&key);
        assert_eq!(Checkpoint::open(&note, &key.public()), Ok(checkpoint));
        note
    }
}

pub(crate) fn describe(logs: &[Log<'_>]) -> Value {
    let logs = logs.iter().map(|log| {
        json!({
            "origin": log.party.log_origin(),
            "leaves": log.leaves,
            "roots_by_size": log.roots,
            "checkpoint": log.file(),
        })
    });
    logs.collect()
}
