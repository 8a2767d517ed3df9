//! Whether the receipts of a bundle tell one story.

use std::collections::{BTreeMap, BTreeSet};

use crate::audit::folder::Files;
use crate::audit::verdict::AuditFault;
use crate::base::{AuthorityId, Digest, Xid};
use crate::identity::statement::Note;
use crate::receipt;
use crate::receipt::{Disclosure, Kind, Receipt};
use crate::tlog::Checkpoint;

/// The values that travelled beside the dispatch, one a line.
pub(crate) const DISCLOSURES: &str = "disclosures.txt";

/// A receipt of the bundle.
pub(crate) struct Read {
    /// Its file.
    pub(crate) path: String,
    /// The name that its other files share.
    pub(crate) base: String,
    /// As it was stored.
    pub(crate) note: Note,
    /// The receipt in it.
    pub(crate) receipt: Receipt,
}

impl Read {
    /// Reads one by all byte rules, in a file whose name says what it is.
    pub(crate) fn new(path: &str, base: &str, content: &[u8]) -> Result<Self, AuditFault> {
        let note =
            Note::parse(content).map_err(|e| AuditFault::new(path, e.code(), e.to_string()))?;
        let receipt =
            receipt::open(&note).map_err(|e| AuditFault::new(path, e.code(), e.to_string()))?;
        let named = base
            .split_once('-')
            .filter(|(number, _)| number.len() >= 2 && number.bytes().all(|b| b.is_ascii_digit()))
            .map(|(_, rest)| rest);
        let wanted = format!("{}-{}", receipt.kind, note.signatures().len());
        if named != Some(wanted.as_str()) {
            let meaning = format!("its name should end in {wanted}.note");
            return Err(AuditFault::new(path, "receipt-name", meaning));
        }
        Ok(Self {
            path: path.to_owned(),
            base: base.to_owned(),
            note,
            receipt,
        })
    }
}

/// Each receipt but the dispatch follows one that is there; disclosures are those that were signed.
pub(crate) fn check(files: &Files, receipts: &[Read], faults: &mut Vec<AuditFault>) {
    let by_text: BTreeMap<Digest, &Read> = receipts
        .iter()
        .map(|read| (read.note.text_digest(), read))
        .collect();
    let dispatches = || receipts.iter().filter(|read| read.receipt.kind.is_first());
    // Two of one exchange are no other exchange: they exclude each other.
    let exchanges: BTreeSet<_> = dispatches().map(|read| read.receipt.xid).collect();
    if exchanges.len() != 1 && !receipts.is_empty() {
        let meaning = format!(
            "dispatches of {} exchanges; a bundle is about one",
            exchanges.len()
        );
        faults.push(AuditFault::new("receipts", "dispatch-count", meaning));
    }
    for read in receipts {
        let Some(prev) = &read.receipt.prev else {
            if !read.receipt.kind.is_exchange() {
                let meaning = "it is about no exchange";
                faults.push(AuditFault::new(&read.path, "receipt-foreign", meaning));
            }
            continue;
        };
        match by_text.get(prev) {
            None => {
                let meaning = "the receipt that it follows is not here, or was changed";
                faults.push(AuditFault::new(&read.path, "receipt-prev", meaning));
            }
            Some(before) => {
                let follows = receipt::continues(&before.receipt, &before.note, &read.receipt);
                if let Err(e) = follows {
                    faults.push(AuditFault::new(&read.path, e.code(), e.to_string()));
                }
            }
        }
    }
    if let Some(dispatch) = dispatches().next() {
        disclosures(files, &dispatch.receipt.sd, faults);
    }
}

fn disclosures(files: &Files, sd: &[Digest], faults: &mut Vec<AuditFault>) {
    let mut fault = |rule: &str, meaning: String| {
        faults.push(AuditFault::new(DISCLOSURES, rule, meaning));
    };
    // Whoever passes the bundle on may leave the values out; the manifest then says that the file is missing.
    let Some(content) = files.get(DISCLOSURES) else {
        return;
    };
    let Ok(text) = std::str::from_utf8(content) else {
        return fault("disclosure-encoding", "it is not text".to_owned());
    };
    for line in text.split_terminator('\n').filter(|line| !line.is_empty()) {
        if let Err(e) = Disclosure::parse(line) {
            fault(e.code(), e.to_string());
        } else if !sd.contains(&Digest::of(line.as_bytes())) {
            let meaning = "the dispatch does not hold the digest of a value: it was changed, or belongs to another exchange";
            fault("disclosure-not-in-receipt", meaning.to_owned());
        }
    }
}

/// An exchange has one dispatch; after one receipt its issuer signs one answer, one end, one change of terms: two prove
/// that it has signed what excludes each other. Only receipts with good signatures are compared.
pub(crate) fn exclusive(signed: &[&Read], faults: &mut Vec<AuditFault>) {
    let mut seen: BTreeMap<(Option<Xid>, Option<Digest>, &AuthorityId), &Read> = BTreeMap::new();
    // One statement stands in several exports, and in one with one signature and with two.
    let mut told = BTreeSet::new();
    for read in signed.iter().filter(|it| is_exclusive(it.receipt.kind)) {
        let (xid, prev) = (read.receipt.xid, read.receipt.prev);
        let issuer = read.note.issuer().name.authority();
        let before = seen.entry((xid, prev, issuer)).or_insert(read);
        if before.note.text() != read.note.text() && told.insert(read.note.text()) {
            let place = if prev.is_some() {
                "after the same receipt"
            } else {
                "for the same exchange"
            };
            let meaning = format!(
                "{issuer} has signed this and {} {place}: they exclude each other, and both notes prove it",
                before.path
            );
            faults.push(AuditFault::new(&read.path, "receipts-exclude", meaning));
        }
    }
}

/// Whether of two such statements at most one can be true. Two that a package is destroyed are not: a receiver that
/// came back from a backup destroys it again, and says so.
const fn is_exclusive(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Dispatch
            | Kind::Consigned
            | Kind::Rejected
            | Kind::Expired
            | Kind::Withdrawn
            | Kind::Handover
            | Kind::HandoverFailed
            | Kind::RestrictionChanged
            | Kind::ConsentGiven
            | Kind::ConsentRefused
    )
}

/// Heads of one log and one size must have one root, wherever its owner has named them: two are the proof of a fork. A
/// document that it has not signed proves nothing against it: only receipts that it has signed or countersigned, and
/// checkpoints that were opened by the log's key, are compared. A forked log is one fault, however often and at however
/// many sizes its roots are named.
pub(crate) fn heads(
    checkpoints: impl Iterator<Item = (String, Checkpoint)>,
    signed: &[&Read],
    faults: &mut Vec<AuditFault>,
) {
    let mut logs: BTreeMap<String, BTreeMap<u64, Vec<(Digest, String)>>> = BTreeMap::new();
    let mut add = |origin: &str, size: u64, root: Digest, path: &str| {
        let sizes = logs.entry(origin.to_owned()).or_default();
        let roots = sizes.entry(size).or_default();
        if roots.iter().all(|(known, _)| *known != root) {
            roots.push((root, path.to_owned()));
        }
    };
    for read in signed {
        // What somebody says of another's log is no word of that one.
        let signers: Vec<_> = read
            .note
            .signatures()
            .iter()
            .map(|it| it.name.authority())
            .collect();
        let own = |origin: &str| {
            signers
                .iter()
                .any(|id| origin.strip_suffix("/log") == Some(id.as_str()))
        };
        for head in read.receipt.heads.iter().filter(|it| own(&it.origin)) {
            add(&head.origin, head.size, head.root, &read.path);
        }
    }
    for (path, head) in checkpoints {
        add(&head.origin, head.size, head.root, &path);
    }
    faults.extend(
        logs.iter()
            .filter_map(|(origin, sizes)| fork(origin, sizes)),
    );
}

/// The fork of a log, told of the smallest size that shows it.
fn fork(origin: &str, sizes: &BTreeMap<u64, Vec<(Digest, String)>>) -> Option<AuditFault> {
    let mut forked = sizes
        .iter()
        .filter_map(|(size, roots)| match roots.as_slice() {
            [(_, first), (_, second), ..] => Some((size, first, second)),
            _ => None,
        });
    let (size, first, second) = forked.next()?;
    let more = match forked.count() {
        0 => String::new(),
        more => format!(", at {more} more sizes too"),
    };
    let meaning = format!(
        "it names another root of {origin} at {size} leaves than {first}{more}: that log was forked"
    );
    Some(AuditFault::new(second, "log-forked", meaning))
}
