//! Whether the receipts are in the exporting authority's log, and who watches that log.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::audit::anchors::Anchors;
use crate::audit::folder::Files;
use crate::audit::steps::Read;
use crate::audit::verdict::{Answered, AuditFault, Cosigned};
use crate::base::{AuthorityId, Digest, json};
use crate::identity::keys::{KeyName, PublicKey};
use crate::identity::note::SignatureLine;
use crate::tlog;
use crate::tlog::{Checkpoint, CheckpointFault, CosignatureFault, ProofFile, cosignature};

/// The exporting authority's last checkpoint.
const CHECKPOINT: &str = "log/checkpoint";
/// A leaf file is a few hundred bytes.
const LEAF_BYTES_MAX: usize = 4_096;

/// The tie between a note and its leaf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LeafTie {
    /// The leaf entry, base64.
    pub(crate) entry: String,
    /// Its index in the log.
    pub(crate) index: u64,
    /// The hash of the entry.
    #[serde(rename = "leaf_hash")]
    pub(crate) hash: Digest,
    /// SHA-256 of the note.
    pub(crate) note_sha256: Digest,
    /// The random value of the commitment, hex.
    pub(crate) r: Digest,
}

impl LeafTie {
    /// Reads one in its one spelling, and checks that commitment, entry and hash follow from the note's digest and `r`.
    pub(crate) fn parse(content: &[u8]) -> Result<Self, String> {
        let leaf: Self =
            json::parse_canonical(content, LEAF_BYTES_MAX).map_err(|e| e.to_string())?;
        let commitment = tlog::commitment(leaf.r.as_bytes(), &leaf.note_sha256);
        let entry = tlog::leaf_entry(&commitment);
        if leaf.entry != STANDARD.encode(&entry) || leaf.hash != tlog::leaf_hash(&entry) {
            return Err("entry and hash are not those of the note's digest and r".to_owned());
        }
        Ok(leaf)
    }
}

/// The judgement of the log.
pub(crate) struct Log {
    pub(crate) included: Answered,
    pub(crate) witnessed: Answered,
    pub(crate) cosigned: Cosigned,
    pub(crate) faults: Vec<AuditFault>,
    pub(crate) missing: BTreeSet<String>,
}

/// The files of a bundle that should hold a checkpoint, each with its note: its own, and its proofs; none in a proof
/// that cannot be read.
pub(crate) fn noted(files: &Files) -> impl Iterator<Item = (&str, Option<Vec<u8>>)> {
    let own = files.get(CHECKPOINT).cloned();
    let own = own.map(|note| (CHECKPOINT, Some(note)));
    let proofs = files
        .iter()
        .filter(|(path, _)| path.ends_with(".tlog-proof"));
    let proofs = proofs.map(|(path, content)| {
        let file = ProofFile::parse(content).ok();
        (path.as_str(), file.map(|file| file.checkpoint))
    });
    own.into_iter().chain(proofs)
}

/// The checkpoints of a bundle, with their files.
pub(crate) fn checkpoints(files: &Files) -> impl Iterator<Item = (&str, Vec<u8>)> {
    noted(files).filter_map(|(path, note)| Some((path, note?)))
}

/// Whose log the first readable checkpoint of a bundle is of, signed or not.
pub(crate) fn owner(files: &Files) -> Option<AuthorityId> {
    let head = checkpoints(files).find_map(|(_, note)| Checkpoint::parse(&note).ok());
    let name: KeyName = head?.0.origin.parse().ok()?;
    Some(name.authority().clone())
}

/// A checkpoint as the keys that are trusted judge it.
pub(crate) enum OpenedCheckpoint {
    /// Signed by the key of its log.
    Good(Checkpoint),
    /// No key of its log is trusted that has signed it; this one is missing.
    Missing(String),
    /// It is no checkpoint, or not signed by its log.
    Bad(CheckpointFault),
}

/// Opens a checkpoint by the key of its log.
pub(crate) fn open(note: &[u8], anchors: &Anchors) -> OpenedCheckpoint {
    let (head, lines) = match Checkpoint::parse(note) {
        Ok(read) => read,
        Err(fault) => return OpenedCheckpoint::Bad(fault),
    };
    let own = lines.iter().find(|line| line.name == head.origin);
    match (signer(&head, &lines, anchors), own) {
        (Some(key), _) => {
            Checkpoint::open(note, key).map_or_else(OpenedCheckpoint::Bad, OpenedCheckpoint::Good)
        }
        (None, Some(line)) => {
            OpenedCheckpoint::Missing(format!("the key {}+{}", line.name, line.id))
        }
        (None, None) => match head.origin.parse() {
            Ok(name) => OpenedCheckpoint::Bad(CheckpointFault::NotSigned(name)),
            Err(_) => OpenedCheckpoint::Bad(CheckpointFault::Origin(head.origin)),
        },
    }
}

/// The key of its log among those that are trusted which one of these lines names.
fn signer<'a>(
    head: &'a Checkpoint,
    lines: &[SignatureLine],
    anchors: &'a Anchors,
) -> Option<&'a PublicKey> {
    let mut keys = anchors.named(&head.origin);
    keys.find(|key| {
        let names = |line: &SignatureLine| line.name == head.origin && line.id == key.id();
        lines.iter().any(names)
    })
}

/// Judges leaves, proofs, checkpoints and cosignatures.
pub(crate) fn judge(files: &Files, receipts: &[Read], anchors: &Anchors, quorum: usize) -> Log {
    let mut log = Log {
        included: Answered::Unjudged,
        witnessed: Answered::Unjudged,
        cosigned: Cosigned { k: 0, n: 0, quorum },
        faults: Vec::new(),
        missing: BTreeSet::new(),
    };
    let Some((origin, key)) = log.key(files, anchors) else {
        return log;
    };
    let mut notes = BTreeSet::new();
    let mut proved = 0_usize;
    for read in receipts {
        let own = read
            .note
            .signatures()
            .iter()
            .any(|line| line.name.authority() == origin.authority());
        match (own, proof(files, read, &key)) {
            (true, Ok(Some(note))) => {
                proved = proved.saturating_add(1);
                notes.insert(note);
            }
            (false, Ok(None)) => {}
            (true, Ok(None)) => {
                let meaning = format!("{origin} should hold it, and its leaf is not here");
                log.faults
                    .push(AuditFault::new(&read.path, "leaf-missing", meaning));
            }
            (false, Ok(Some(_))) => {
                let meaning = format!(
                    "{} has not signed it, and it is said to be in its log",
                    origin.authority()
                );
                log.faults
                    .push(AuditFault::new(&read.path, "leaf-foreign", meaning));
            }
            (_, Err(fault)) => log.faults.push(fault),
        }
    }
    if let Some(last) = files.get(CHECKPOINT) {
        match Checkpoint::open(last, &key) {
            Ok(_) => {
                notes.insert(last.clone());
            }
            Err(e) => log
                .faults
                .push(AuditFault::new(CHECKPOINT, e.code(), e.to_string())),
        }
    }
    log.included = match (log.faults.is_empty(), proved) {
        (false, _) => Answered::Bad,
        (true, 0) => Answered::Unjudged,
        (true, _) => Answered::Good,
    };
    log.witnesses(&origin, anchors, &notes);
    log
}

impl Log {
    /// Whose log it is, and its key among those that are trusted.
    fn key(&mut self, files: &Files, anchors: &Anchors) -> Option<(KeyName, PublicKey)> {
        let mut origins = BTreeSet::new();
        for (_, note) in checkpoints(files) {
            match Checkpoint::parse(&note) {
                Ok((head, lines)) => {
                    origins.insert(head.origin.clone());
                    if let Some(key) = signer(&head, &lines, anchors) {
                        return Some((key.name().clone(), key.clone()));
                    }
                }
                Err(e) => self
                    .faults
                    .push(AuditFault::new(CHECKPOINT, e.code(), e.to_string())),
            }
        }
        if !self.faults.is_empty() {
            self.included = Answered::Bad;
        } else if origins.is_empty() {
            self.missing.insert("a checkpoint and proofs of the log: nothing here says that the receipts are in one".to_owned());
        }
        for origin in origins {
            self.missing.insert(format!("the key {origin}"));
        }
        None
    }

    /// Who cosigned all the checkpoints on which a proof rests.
    fn witnesses(&mut self, origin: &KeyName, anchors: &Anchors, notes: &BTreeSet<Vec<u8>>) {
        let witnesses: Vec<_> = anchors
            .witnesses()
            .filter(|key| key.name().authority() != origin.authority())
            .collect();
        let mut counted = 0;
        let mut bad = false;
        for witness in &witnesses {
            let mut everywhere = !notes.is_empty();
            for note in notes {
                let Ok((head, lines)) = Checkpoint::parse(note) else {
                    everywhere = false;
                    continue;
                };
                match cosignature::find(&head, &lines, witness) {
                    Ok(_) => {}
                    Err(CosignatureFault::Absent(_)) => everywhere = false,
                    Err(e) => {
                        bad = true;
                        everywhere = false;
                        self.faults
                            .push(AuditFault::new(CHECKPOINT, e.code(), e.to_string()));
                    }
                }
            }
            counted = usize::saturating_add(counted, everywhere.into());
        }
        let quorum = self.cosigned.quorum;
        self.cosigned = Cosigned {
            k: counted,
            n: witnesses.len(),
            quorum,
        };
        self.witnessed = if bad {
            Answered::Bad
        } else if quorum > witnesses.len() {
            self.missing.insert(format!(
                "the keys of {quorum} witnesses (given: {})",
                witnesses.len()
            ));
            Answered::Unjudged
        } else if counted < quorum {
            let meaning = format!(
                "{counted} of {} witnesses cosigned, {quorum} are demanded",
                witnesses.len()
            );
            self.faults
                .push(AuditFault::new(CHECKPOINT, "quorum", meaning));
            Answered::Bad
        } else {
            Answered::Good
        };
    }
}

/// Follows a receipt into the log: the checkpoint that its proof ends in; none if it has neither leaf nor proof.
fn proof(files: &Files, read: &Read, key: &PublicKey) -> Result<Option<Vec<u8>>, AuditFault> {
    let (leaf_path, proof_path) = (
        format!("log/{}.leaf.json", read.base),
        format!("log/{}.tlog-proof", read.base),
    );
    let (leaf, proof) = match (files.get(&leaf_path), files.get(&proof_path)) {
        (None, None) => return Ok(None),
        (Some(leaf), Some(proof)) => (leaf, proof),
        (Some(_), None) => {
            let meaning = "nothing proves that this leaf is in the log";
            return Err(AuditFault::new(&leaf_path, "proof-missing", meaning));
        }
        (None, Some(_)) => {
            let meaning = "nothing says which leaf of the log is the receipt's";
            return Err(AuditFault::new(&proof_path, "leaf-missing", meaning));
        }
    };
    let leaf =
        LeafTie::parse(leaf).map_err(|e| AuditFault::new(&leaf_path, "leaf-malformed", e))?;
    if leaf.note_sha256 != read.note.digest() {
        let meaning = "it is the leaf of another note";
        return Err(AuditFault::new(&leaf_path, "leaf-of-another", meaning));
    }
    let fault = |e: tlog::ProofFileFault| AuditFault::new(&proof_path, e.code(), e.to_string());
    let file = ProofFile::parse(proof).map_err(fault)?;
    if file.index != leaf.index {
        let meaning = "it is the proof of another leaf";
        return Err(AuditFault::new(&proof_path, "proof-of-another", meaning));
    }
    if file.encode() != *proof {
        let meaning = "it is not written in the one way that a proof is";
        return Err(AuditFault::new(&proof_path, "proof-spelling", meaning));
    }
    file.verify(&leaf.hash, key).map_err(fault)?;
    Ok(Some(file.checkpoint))
}
