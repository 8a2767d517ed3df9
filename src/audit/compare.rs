//! Several exports, or single statements, beside each other: two statements of one authority that exclude each other,
//! and receipts that one export of an exchange lacks.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::audit::anchors::Anchors;
use crate::audit::folder::Files;
use crate::audit::inclusion::OpenedCheckpoint;
use crate::audit::lacking::Export;
use crate::audit::steps::Read;
use crate::audit::verdict::AuditFault;
use crate::audit::{inclusion, lacking, steps, verify};
use crate::identity::card::{Card, CardFault};
use crate::identity::statement::{Note, StatementFault};
use crate::receipt;
use crate::receipt::{Disclosure, disclosure};
use crate::tlog::{Checkpoint, CheckpointFault};

/// Rules of statements that exclude each other.
const EXCLUDING: &[&str] = &["cards-exclude", "log-forked", "receipts-exclude"];
/// A file that is no statement.
const UNREADABLE: &str = "statement-unreadable";
/// A folder in which there is none.
const NONE_HERE: &str = "statement-missing";
/// Rules of files and folders in which there is nothing to compare.
const UNREAD: &[&str] = &[UNREADABLE, NONE_HERE];
/// So many files that are not read are named.
const NAMED_MAX: usize = 5;

/// A part of the comparison.
#[derive(Debug)]
pub enum ComparedPart {
    /// An exported bundle.
    Bundle(Files),
    /// One receipt, checkpoint or card.
    Note(Vec<u8>),
}

/// The result of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// So many statements with good signatures were compared, each counted once, wherever it stands.
    pub statements: usize,
    /// Receipts among them.
    pub receipts: usize,
    /// The exchanges that these are about.
    pub exchanges: usize,
    /// Checkpoints among them.
    pub checkpoints: usize,
    /// Cards among them.
    pub cards: usize,
    /// Those that exclude each other, what is not well signed, and what cannot be read.
    pub faults: Vec<AuditFault>,
    /// Receipts that one export lacks and another holds, and files that were not read: no proof of anything.
    pub remarks: Vec<AuditFault>,
    /// Keys that would be needed to compare the rest.
    pub missing: Vec<String>,
}

/// The gravest of what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// All was compared, nothing excludes anything.
    Nothing,
    /// So many pairs of statements exclude each other.
    Excluding(usize),
    /// So many statements are not signed as they must be.
    NotSigned(usize),
    /// So many files or folders have nothing in them that can be compared.
    Unreadable(usize),
    /// Keys are missing.
    Missing,
}

impl Comparison {
    /// The gravest of what was found.
    pub fn finding(&self) -> Finding {
        let count = |rules: &[&str]| {
            let is_one = |fault: &&AuditFault| rules.contains(&fault.rule.as_str());
            self.faults.iter().filter(is_one).count()
        };
        let (excluding, unreadable) = (count(EXCLUDING), count(UNREAD));
        let other = self.faults.len().saturating_sub(excluding);
        let not_signed = other.saturating_sub(unreadable);
        if excluding > 0 {
            Finding::Excluding(excluding)
        } else if not_signed > 0 {
            Finding::NotSigned(not_signed)
        } else if unreadable > 0 {
            Finding::Unreadable(unreadable)
        } else if self.missing.is_empty() {
            Finding::Nothing
        } else {
            Finding::Missing
        }
    }

    /// 0 nothing excludes anything, 7 something does or is badly signed, 3 something cannot be compared.
    pub fn exit_code(&self) -> u8 {
        match self.finding() {
            Finding::Nothing => 0,
            Finding::Excluding(_) | Finding::NotSigned(_) => 7,
            Finding::Unreadable(_) | Finding::Missing => 3,
        }
    }
}

/// Everything that was read, by what it is.
#[derive(Default)]
struct Statements {
    receipts: Vec<Read>,
    checkpoints: Vec<(String, Vec<u8>)>,
    cards: Vec<(String, Card, Note)>,
    exports: Vec<Export>,
    faults: Vec<AuditFault>,
    remarks: Vec<AuditFault>,
}

/// Compares all statements in these sources, each with the name that it is called by, by the given keys.
pub fn compare(sources: &[(String, ComparedPart)], anchors: &Anchors) -> Comparison {
    let mut all = Statements::default();
    for (name, source) in sources {
        match source {
            ComparedPart::Bundle(files) => all.bundle(name, files),
            ComparedPart::Note(content) => all.note(name, content),
        }
    }
    let (mut faults, mut missing) = (all.faults, BTreeSet::new());
    let signed = verify::signatures(&all.receipts, anchors, &mut faults, &mut missing);
    steps::exclusive(&signed, &mut faults);
    let heads = opened(all.checkpoints, anchors, &mut faults, &mut missing);
    let checkpoints: BTreeSet<_> = heads.iter().map(|(_, head)| head.text()).collect();
    steps::heads(heads.into_iter(), &signed, &mut faults);
    let cards = trusted(&all.cards, anchors, &mut missing);
    twins(&cards, &mut faults);
    let mut remarks = all.remarks;
    lacking::remarks(&all.exports, &signed, &mut remarks);
    let receipts: BTreeSet<_> = signed.iter().map(|it| it.note.text()).collect();
    let exchanges: BTreeSet<_> = signed.iter().filter_map(|it| it.receipt.xid).collect();
    let cards: BTreeSet<_> = cards.iter().map(|(_, _, note)| note.text()).collect();
    let (receipts, checkpoints, cards) = (receipts.len(), checkpoints.len(), cards.len());
    Comparison {
        statements: receipts.saturating_add(checkpoints).saturating_add(cards),
        receipts,
        exchanges: exchanges.len(),
        checkpoints,
        cards,
        faults,
        remarks,
        missing: missing.into_iter().collect(),
    }
}

impl Statements {
    fn bundle(&mut self, name: &str, files: &Files) {
        let path = |within: &str| format!("{name}/{within}");
        let found = self.found();
        let first = self.receipts.len();
        let notes = files.iter();
        for (within, content) in notes.filter(|(path, _)| path.starts_with("receipts/")) {
            self.note(&path(within), content);
        }
        let own = self.receipts.get(first..).unwrap_or_default();
        let export = Export::new(name, inclusion::owner(files), own);
        self.exports.push(export);
        for (within, note) in inclusion::noted(files) {
            let path = path(within);
            if let Some(note) = note {
                self.checkpoints.push((path, note));
            } else {
                let meaning = "it is no proof that ends in a checkpoint";
                self.faults
                    .push(AuditFault::new(&path, UNREADABLE, meaning));
            }
        }
        if self.found() == found {
            let meaning = "there is no receipt, checkpoint or card in its receipts/ or log/; a file beside these is to be named itself";
            self.faults.push(AuditFault::new(name, NONE_HERE, meaning));
        }
        self.not_read(name, files);
        // What travelled along: the first sender's dispatch, or what a third authority has signed.
        let listed = files
            .get(steps::DISCLOSURES)
            .map_or(&b""[..], Vec::as_slice);
        let listed = String::from_utf8_lossy(listed);
        let values = listed.lines().filter_map(|it| Disclosure::parse(it).ok());
        for value in values
            .filter(|it| [disclosure::ORIGIN, disclosure::RECEIPT].contains(&it.name.as_str()))
        {
            let text = value.value.as_str().unwrap_or_default();
            let path = format!("{}, {}", path(steps::DISCLOSURES), value.name);
            self.note(&path, text.as_bytes());
        }
    }

    /// How much was found up to now, readable or not.
    const fn found(&self) -> usize {
        self.receipts
            .len()
            .saturating_add(self.checkpoints.len())
            .saturating_add(self.cards.len())
            .saturating_add(self.faults.len())
    }

    /// One remark on the files of a folder that no export has there.
    fn not_read(&mut self, name: &str, files: &Files) {
        let foreign: Vec<_> = files
            .keys()
            .map(String::as_str)
            .filter(|path| !verify::is_exported(path))
            .collect();
        if foreign.is_empty() {
            return;
        }
        let named: Vec<_> = foreign.iter().take(NAMED_MAX).copied().collect();
        let more = match foreign.len().saturating_sub(named.len()) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let meaning = format!(
            "of {name}, this was not read: {}{more}; no export has it there, name the file itself to have it compared",
            named.join(", ")
        );
        self.remarks
            .push(AuditFault::new(name, "file-not-read", meaning));
    }

    fn note(&mut self, path: &str, content: &[u8]) {
        let read = if content.starts_with(b"rogatory/card/") {
            Card::open(content)
                .map(|(card, note)| self.cards.push((path.to_owned(), card, note)))
                .map_err(|fault| card_fault(path, &fault))
        } else if content.starts_with(b"rogatory/") {
            read(path, content).map(|read| self.receipts.push(read))
        } else {
            Checkpoint::parse(content)
                .map(|_| self.checkpoints.push((path.to_owned(), content.to_vec())))
                .map_err(|fault| unreadable(path, &fault.to_string()))
        };
        self.faults.extend(read.err());
    }
}

fn unreadable(path: &str, why: &str) -> AuditFault {
    let meaning = format!("it is no receipt, checkpoint or card: {why}");
    AuditFault::new(path, UNREADABLE, meaning)
}

/// A card is read together with its signature, which may be all that is wrong with it.
fn card_fault(path: &str, fault: &CardFault) -> AuditFault {
    match fault {
        CardFault::Statement(
            StatementFault::BadSignature(_)
            | StatementFault::WrongSigner { .. }
            | StatementFault::SignatureCount { .. },
        ) => AuditFault::new(path, fault.code(), fault.to_string()),
        CardFault::Statement(_)
        | CardFault::Version(_)
        | CardFault::Field { .. }
        | CardFault::KeyName { .. }
        | CardFault::SharedKey
        | CardFault::NotOwnKey(_) => unreadable(path, &fault.to_string()),
    }
}

fn read(path: &str, content: &[u8]) -> Result<Read, AuditFault> {
    let note = Note::parse(content).map_err(|e| unreadable(path, &e.to_string()))?;
    let receipt = receipt::open(&note).map_err(|e| unreadable(path, &e.to_string()))?;
    let (path, base) = (path.to_owned(), String::new());
    Ok(Read {
        path,
        base,
        note,
        receipt,
    })
}

/// The checkpoints that their logs have signed, each by a key that is trusted. Where that key is not, it is missing.
fn opened(
    notes: Vec<(String, Vec<u8>)>,
    anchors: &Anchors,
    faults: &mut Vec<AuditFault>,
    missing: &mut BTreeSet<String>,
) -> Vec<(String, Checkpoint)> {
    let mut heads = Vec::new();
    for (path, note) in notes {
        match inclusion::open(&note, anchors) {
            OpenedCheckpoint::Good(head) => heads.push((path, head)),
            OpenedCheckpoint::Missing(key) => {
                missing.insert(key);
            }
            OpenedCheckpoint::Bad(
                fault @ (CheckpointFault::NotSigned(_) | CheckpointFault::BadSignature(_)),
            ) => faults.push(AuditFault::new(&path, fault.code(), fault.to_string())),
            OpenedCheckpoint::Bad(fault) => faults.push(unreadable(&path, &fault.to_string())),
        }
    }
    heads
}

/// The cards whose card key is trusted.
fn trusted<'a>(
    cards: &'a [(String, Card, Note)],
    anchors: &Anchors,
    missing: &mut BTreeSet<String>,
) -> Vec<&'a (String, Card, Note)> {
    let mut trusted = Vec::new();
    for one in cards {
        let (path, card, _) = one;
        let key = &card.keys.card;
        if anchors.all().contains(key) {
            trusted.push(one);
        } else {
            missing.insert(format!("the key {}+{}, of {path}", key.name(), key.id()));
        }
    }
    trusted
}

/// Two cards of one number by one card key.
fn twins(cards: &[&(String, Card, Note)], faults: &mut Vec<AuditFault>) {
    let mut seen = BTreeMap::new();
    let mut told = BTreeSet::new();
    for (path, card, note) in cards {
        let key = &card.keys.card;
        let before = *seen
            .entry((key.to_vkey(), card.number))
            .or_insert((path, note));
        if before.1.text() != note.text() && told.insert(note.text()) {
            let meaning = format!(
                "{} has signed this and {} as its card number {}: they exclude each other, and both notes prove it",
                card.id, before.0, card.number
            );
            faults.push(AuditFault::new(path, "cards-exclude", meaning));
        }
    }
}

#[cfg(test)]
mod tests;
