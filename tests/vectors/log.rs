//! The logs of both authorities after the exchange.

use rogatory::base::Digest;
use rogatory::identity::keys::Role;
use rogatory::receipt::Head;
use rogatory::tlog::{
    AddCheckpoint, Checkpoint, Frontier, ProofFile, TileKind, commitment, cosignature, leaf_entry,
    leaf_hash, proof, tile,
};
use serde_json::{Value, json};

use crate::exchange::Story;
use crate::parties::{Party, START_MS, seed};

/// A checkpoint on its way to a witness and back.
pub(crate) struct Witnessing {
    file: String,
    pub(crate) checkpoint: Vec<u8>,
    /// The submission.
    pub(crate) add: Vec<u8>,
    /// The cosignature line.
    pub(crate) line: Vec<u8>,
}

impl Witnessing {
    pub(crate) fn checkpoint_file(&self) -> String {
        self.file.clone()
    }
}

/// An authority's name as it is said on the connection with this exporter value.
pub(crate) fn knows(name: &Party, exporter: &[u8; 32]) -> Vec<u8> {
    let session = Digest::of(exporter);
    let id = name.id.as_str().as_bytes();
    let parts = [b"rogatory/knows/v1\0", session.as_bytes().as_slice(), id];
    Digest::of(&parts.concat()).as_bytes().to_vec()
}

pub(crate) struct Log<'a> {
    party: &'a Party,
    leaves: Vec<Value>,
    entries: Vec<Vec<u8>>,
    roots: Vec<Digest>,
}

fn log<'a>(party: &'a Party, story: &Story, names: &[&str]) -> Log<'a> {
    let mut tree = Frontier::new();
    let mut roots = vec![tree.root()];
    let (mut leaves, mut entries) = (Vec::new(), Vec::new());
    for name in names {
        let r = seed(&format!("r of {name} at {}", party.id));
        let note = story.note(name).digest();
        let commitment = commitment(&r, &note);
        let entry = leaf_entry(&commitment);
        let hash = leaf_hash(&entry);
        tree.append(hash);
        roots.push(tree.root());
        entries.push(entry.clone());
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
        entries,
        roots,
    }
}

const BEFORE_EXCHANGE: [&str; 3] = ["key-announce", "card-adopted", "policy-adopted"];

/// The head of the sender's log when it dispatches.
pub(crate) fn head_before_exchange(party: &Party, story: &Story) -> Head {
    let log = log(party, story, &BEFORE_EXCHANGE);
    Head::from(&log.head())
}

/// Each party logs what it signs as it stands when it signs; the issuer also the completed note.
pub(crate) fn logs<'a>(de: &'a Party, ie: &'a Party, story: &Story) -> [Log<'a>; 2] {
    let sender = [
        BEFORE_EXCHANGE[0],
        BEFORE_EXCHANGE[1],
        BEFORE_EXCHANGE[2],
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

    /// The hash of a complete subtree, from the leaves each time.
    fn subtree(&self, level: u8, index: u64) -> Option<Digest> {
        let first = usize::try_from(index << level).ok()?;
        let leaves = self.entries.get(first..first + (1 << level))?;
        let mut tree = Frontier::new();
        for entry in leaves {
            tree.append(leaf_hash(entry));
        }
        Some(tree.root())
    }

    fn inclusion(&self, size: u64, index: u64) -> Vec<Digest> {
        let subtrees = |level, index| self.subtree(level, index);
        proof::inclusion(size, index, &subtrees).expect("the leaf is there")
    }

    fn consistency(&self, old: u64, new: u64) -> Vec<Digest> {
        let subtrees = |level, index| self.subtree(level, index);
        proof::consistency(old, new, &subtrees).expect("the leaves are there")
    }

    /// The messages of this log and a witness of it to each other.
    pub(crate) fn witnessed(&self, witness: &Party) -> Witnessing {
        let head = self.head();
        let old = 3;
        let add = AddCheckpoint {
            old,
            proof: self.consistency(old, head.size),
            checkpoint: self.checkpoint(),
        };
        let seconds = u64::try_from(START_MS / 1_000).expect("after 1970");
        let key = witness.key(Role::Witness);
        let line = cosignature::cosign(&head, seconds, &key);
        let verified = cosignature::verify(&head, &line, &key.public());
        assert_eq!(verified, Ok(seconds));
        let add = add.encode();
        let line = line.encode().into_bytes();
        Witnessing {
            file: self.file(),
            checkpoint: self.checkpoint(),
            add,
            line,
        }
    }

    /// Each leaf's proof under the cosigned checkpoint, as files.
    pub(crate) fn proof_files(&self, cosigned: &Witnessing) -> Vec<(String, Vec<u8>)> {
        let one = |(index, entry): (u64, &Vec<u8>)| {
            let file = ProofFile {
                extra: None,
                index,
                proof: self.inclusion(self.head().size, index),
                checkpoint: [cosigned.checkpoint.as_slice(), &cosigned.line].concat(),
            };
            let key = self.party.key(Role::Log).public();
            let verified = file.verify(&leaf_hash(entry), &key);
            assert_eq!(verified, Ok(self.head()));
            let name = format!("proofs/{}-{index}.tlog-proof", self.party.id);
            (name, file.encode())
        };
        (0..).zip(&self.entries).map(one).collect()
    }

    /// Every proof between any two sizes, and the files of the log.
    pub(crate) fn proofs(&self, witness: &Party) -> Value {
        let size = self.head().size;
        let pairs = (1..=size).flat_map(|new| (0..=new).map(move |old| (old, new)));
        let consistency = pairs.clone().map(
            |(old, new)| json!({"old": old, "new": new, "hashes": self.consistency(old, new)}),
        );
        let inclusion = pairs.filter(|(index, size)| index < size).map(|(index, size)| {
            json!({"index": index, "size": size, "hashes": self.inclusion(size, index)})
        });
        let tiles = tile::tiles(0, size).map(|one| {
            let bytes = match one.kind {
                TileKind::Entries => tile::write_entries(self.entries.iter().map(Vec::as_slice))
                    .expect("leaves are short"),
                TileKind::Hashes(_) => {
                    let hashes: Vec<_> = self.entries.iter().map(|e| leaf_hash(e)).collect();
                    tile::write_hashes(&hashes)
                }
            };
            json!({"path": one.path(), "bytes": hex::encode(bytes)})
        });
        let key = witness.key(Role::Witness).public();
        json!({
            "origin": self.party.log_origin(),
            "consistency": consistency.collect::<Value>(),
            "inclusion": inclusion.collect::<Value>(),
            "tiles": tiles.collect::<Value>(),
            "cosigner": key.name(),
            "cosigner_vkey": cosignature::cosigner_vkey(&key),
            "cosigned_at_s": START_MS / 1_000,
        })
    }

    fn head(&self) -> Checkpoint {
        Checkpoint {
            origin: self.party.log_origin(),
            size: self.leaves.len() as u64,
            root: *self.roots.last().expect("that of the empty tree at least"),
        }
    }

    pub(crate) fn checkpoint(&self) -> Vec<u8> {
        let key = self.party.key(Role::Log);
        let checkpoint = self.head();
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
