//! Judging a bundle.

use std::collections::{BTreeMap, BTreeSet};

use crate::audit::anchors::Anchors;
use crate::audit::folder::Files;
use crate::audit::inclusion::OpenedCheckpoint;
use crate::audit::steps::Read;
use crate::audit::verdict::{Answered, AuditFault, BundleReceipt, Judgement};
use crate::audit::{inclusion, steps};
use crate::base::Digest;
use crate::identity::keys::{KeyName, PublicKey, Role};
use crate::receipt;
use crate::receipt::{Party, PartyKeys};

/// The file that lists the others.
const MANIFEST: &str = "manifest-sha256.txt";
const VKEYS: &str = "keys/vkeys.txt";

/// Judges these files by these keys; `quorum` witnesses must have cosigned.
pub fn verify(files: &Files, anchors: &Anchors, quorum: usize) -> Judgement {
    let mut faults = intact(files);
    let whole = outcome(&faults, 0);
    let mut missing = BTreeSet::new();
    let before = faults.len();
    let receipts = receipts(files, &mut faults);
    derived(files, &receipts, &mut faults);
    keys(files, &mut faults);
    let parsed = faults.len() == before;
    let before = faults.len();
    let signed = signatures(&receipts, anchors, &mut faults, &mut missing);
    let judged = !receipts.is_empty() && missing.is_empty();
    let signatures = match (parsed && faults.len() == before, judged) {
        (false, _) => Answered::Bad,
        (true, false) => Answered::Unjudged,
        (true, true) => Answered::Good,
    };
    let before = faults.len();
    steps::check(files, &receipts, &mut faults);
    steps::exclusive(&signed, &mut faults);
    let checkpoints = inclusion::checkpoints(files);
    let checkpoints =
        checkpoints.filter_map(|(path, note)| match inclusion::open(&note, anchors) {
            OpenedCheckpoint::Good(head) => Some((path.to_owned(), head)),
            OpenedCheckpoint::Missing(_) | OpenedCheckpoint::Bad(_) => None,
        });
    steps::heads(checkpoints, &signed, &mut faults);
    let steps = outcome(&faults, before);
    let steps = if parsed || steps == Answered::Bad {
        steps
    } else {
        Answered::Unjudged
    };
    let (included, witnessed, cosigned) = {
        let log = inclusion::judge(files, &receipts, anchors, quorum);
        faults.extend(log.faults);
        missing.extend(log.missing);
        (log.included, log.witnessed, log.cosigned)
    };
    Judgement {
        xid: receipts
            .iter()
            .find_map(|read| read.receipt.xid)
            .map(|xid| xid.to_string()),
        files: whole,
        signatures,
        steps,
        included,
        witnessed,
        cosigned,
        receipts: receipts.iter().map(shown).collect(),
        faults,
        missing: missing.into_iter().collect(),
    }
}

fn outcome(faults: &[AuditFault], before: usize) -> Answered {
    if faults.len() == before {
        Answered::Good
    } else {
        Answered::Bad
    }
}

fn shown(read: &Read) -> BundleReceipt {
    let names = read.note.signatures().iter();
    BundleReceipt {
        file: read.path.clone(),
        kind: read.receipt.kind.to_string(),
        t: read.receipt.t.to_string(),
        signed_by: names
            .map(|line| line.name.authority().to_string())
            .collect(),
    }
}

/// Whether the files are those that the manifest lists, no more and no fewer, each with its digest; the manifest itself
/// is written in one way only, so that no byte of it can change either.
pub fn intact(files: &Files) -> Vec<AuditFault> {
    let Some(manifest) = files.get(MANIFEST) else {
        return vec![AuditFault::new(
            MANIFEST,
            "manifest-missing",
            "nothing says which files were exported",
        )];
    };
    let mut faults = Vec::new();
    let Ok(text) = std::str::from_utf8(manifest) else {
        return vec![AuditFault::new(
            MANIFEST,
            "manifest-changed",
            "it is not text",
        )];
    };
    let listed: Vec<_> = text.split_inclusive('\n').map(line).collect();
    let mut last = "";
    for (number, entry) in (1..).zip(&listed) {
        let Some((digest, path)) = *entry else {
            let meaning =
                format!("line {number} is not a digest, two spaces, a path and a line end");
            faults.push(AuditFault::new(MANIFEST, "manifest-changed", meaning));
            continue;
        };
        if path <= last {
            let meaning = format!("line {number} is out of order: paths ascend, each once");
            faults.push(AuditFault::new(MANIFEST, "manifest-changed", meaning));
        }
        last = path;
        match files.get(path) {
            None => faults.push(AuditFault::new(
                path,
                "file-missing",
                "it is in the manifest and not in the folder",
            )),
            Some(content) if Digest::of(content) != digest => {
                let meaning = "its SHA-256 is not the one in the manifest: this file or the manifest was changed";
                faults.push(AuditFault::new(path, "file-changed", meaning));
            }
            Some(_) => {}
        }
    }
    let known: BTreeSet<&str> = listed.iter().flatten().map(|(_, path)| *path).collect();
    for path in files
        .keys()
        .filter(|path| *path != MANIFEST && !known.contains(path.as_str()))
    {
        faults.push(AuditFault::new(
            path,
            "file-added",
            "it is in the folder and not in the manifest",
        ));
    }
    faults
}

/// Whether an export may have a file at this place.
pub(crate) fn is_exported(path: &str) -> bool {
    let folder = ["keys/", "receipts/", "signatures/", "texts/"];
    let log = path.strip_prefix("log/").is_some_and(|name| {
        name == "checkpoint" || name.ends_with(".leaf.json") || name.ends_with(".tlog-proof")
    });
    log || [MANIFEST, "VERIFY.txt", steps::DISCLOSURES].contains(&path)
        || folder.iter().any(|folder| path.starts_with(folder))
}

fn line(line: &str) -> Option<(Digest, &str)> {
    let (digest, path) = line.strip_suffix('\n')?.split_once("  ")?;
    (path != MANIFEST && !path.is_empty()).then_some((Digest::parse(digest)?, path))
}

fn receipts(files: &Files, faults: &mut Vec<AuditFault>) -> Vec<Read> {
    let mut read = Vec::new();
    for (path, content) in files {
        let Some(base) = path.strip_prefix("receipts/") else {
            continue;
        };
        let Some(base) = base.strip_suffix(".note") else {
            faults.push(AuditFault::new(
                path,
                "file-foreign",
                "only .note files are in receipts/",
            ));
            continue;
        };
        match Read::new(path, base, content) {
            Ok(one) => read.push(one),
            Err(fault) => faults.push(fault),
        }
    }
    if read.is_empty() {
        faults.push(AuditFault::new(
            "receipts",
            "receipts-missing",
            "there is no receipt that can be read",
        ));
    }
    read
}

/// Texts and signatures are those of the notes they were taken from, and every file belongs to something.
fn derived(files: &Files, receipts: &[Read], faults: &mut Vec<AuditFault>) {
    let named: BTreeMap<&str, &Read> = receipts
        .iter()
        .map(|read| (read.base.as_str(), read))
        .collect();
    let find = |base: &str| named.get(base);
    for (path, content) in files {
        if let Some(name) = path.strip_prefix("texts/") {
            let read = name.strip_suffix(".txt").and_then(find);
            if read.is_none_or(|read| read.note.text().as_bytes() != content) {
                let meaning = "it is not the signed text of the receipt of the same name";
                faults.push(AuditFault::new(path, "text-differs", meaning));
            }
        } else if let Some(name) = path.strip_prefix("signatures/") {
            // The name of a receipt has no full stop, that of an authority has.
            let split = name.split_once('.');
            let is_one = split.is_some_and(|(base, key)| {
                find(base).is_some_and(|read| is_signature(key, content, read))
            });
            if !is_one {
                let meaning = "it is not a signature of the receipt of the same name";
                faults.push(AuditFault::new(path, "signature-differs", meaning));
            }
        } else if let Some(name) = path.strip_prefix("log/") {
            let base = name
                .strip_suffix(".leaf.json")
                .or_else(|| name.strip_suffix(".tlog-proof"));
            if name != "checkpoint" && base.and_then(find).is_none() {
                faults.push(AuditFault::new(
                    path,
                    "file-foreign",
                    "it belongs to no receipt",
                ));
            }
        }
    }
}

fn is_signature(key: &str, content: &[u8], read: &Read) -> bool {
    read.note.signatures().iter().any(|line| {
        key == format!("{}.sig", line.name.file_name(line.id)) && line.signature == content
    })
}

/// The copies of keys agree with each other. They are not trusted for that.
fn keys(files: &Files, faults: &mut Vec<AuditFault>) {
    let text = files
        .get(VKEYS)
        .and_then(|bytes| std::str::from_utf8(bytes).ok());
    let Some(text) = text else {
        faults.push(AuditFault::new(
            VKEYS,
            "keys-missing",
            "there is no list of the keys",
        ));
        return;
    };
    let mut known = BTreeSet::new();
    for line in text.lines() {
        match PublicKey::parse_vkey(line) {
            Ok(key) => {
                known.insert((pem_path(&key), key.to_spki_pem()));
            }
            Err(e) => faults.push(AuditFault::new(VKEYS, e.code(), e.to_string())),
        }
    }
    let pem = |path: &&String| path.starts_with("keys/") && path.as_str() != VKEYS;
    for path in files.keys().filter(pem) {
        let content = files
            .get(path)
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        if !known.contains(&(path.clone(), content.unwrap_or_default())) {
            let meaning = "it is not the key of that name in vkeys.txt";
            faults.push(AuditFault::new(path, "key-differs", meaning));
        }
    }
    for (path, _) in known.iter().filter(|(path, _)| !files.contains_key(path)) {
        faults.push(AuditFault::new(
            path,
            "file-missing",
            "its key is in vkeys.txt",
        ));
    }
}

fn pem_path(key: &PublicKey) -> String {
    format!("keys/{}.pem", key.file_name())
}

/// Verifies every signature by the given keys; the receipts of which all are good.
pub(crate) fn signatures<'a>(
    receipts: &'a [Read],
    anchors: &Anchors,
    faults: &mut Vec<AuditFault>,
    missing: &mut BTreeSet<String>,
) -> Vec<&'a Read> {
    let mut signed = Vec::new();
    for read in receipts {
        let mut key = |party: Option<&Party>| {
            let party = party?;
            let name = KeyName::new(party.id.clone(), Role::Receipts);
            let found = anchors.find(&name, party.key);
            if found.is_none() {
                missing.insert(format!("the key {name}+{}", party.key));
            }
            found.map(|key| PartyKeys::new(party.card, key.clone()))
        };
        let (from, to) = (
            key(read.receipt.from.as_ref()),
            key(read.receipt.to.as_ref()),
        );
        let complete = read.note.signatures().len() > 1;
        let verified = match (from, to) {
            (Some(from), Some(to)) => {
                receipt::verify(&read.note, &read.receipt, &from, &to, complete)
            }
            (Some(from), None) if !read.receipt.kind.is_exchange() => {
                receipt::verify_own(&read.note, &read.receipt, &from)
            }
            (Some(_) | None, _) => continue,
        };
        match verified {
            Ok(()) => signed.push(read),
            Err(e) => faults.push(AuditFault::new(&read.path, e.code(), e.to_string())),
        }
    }
    signed
}
