//! What several exports, or single statements, say together: two statements of one authority that exclude each other.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::audit::anchors::Anchors;
use crate::audit::folder::Files;
use crate::audit::included;
use crate::audit::steps;
use crate::audit::steps::Read;
use crate::audit::verdict::Fault;
use crate::audit::verify;
use crate::identity::card::Card;
use crate::identity::statement::Note;
use crate::receipt;
use crate::receipt::Disclosure;
use crate::receipt::disclosure;
use crate::tlog::Checkpoint;

/// What is compared.
#[derive(Debug)]
pub enum Source {
    /// An exported bundle.
    Bundle(Files),
    /// One receipt, checkpoint or card.
    Note(Vec<u8>),
}

/// What comes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// So many statements with good signatures were compared.
    pub statements: usize,
    /// Those that exclude each other, and what cannot be read.
    pub faults: Vec<Fault>,
    /// Keys that would be needed to compare the rest.
    pub missing: Vec<String>,
}

impl Comparison {
    /// 0 nothing excludes anything, 7 something does, 3 something cannot be compared.
    pub const fn exit_code(&self) -> u8 {
        if !self.faults.is_empty() {
            7
        } else if self.missing.is_empty() {
            0
        } else {
            3
        }
    }
}

/// Everything that was read, by what it is.
#[derive(Default)]
struct Statements {
    receipts: Vec<Read>,
    checkpoints: Vec<(String, Vec<u8>)>,
    cards: Vec<(String, Card, Note)>,
    faults: Vec<Fault>,
}

/// Compares all statements in these sources, each with the name that it is called by, by the given keys.
pub fn compare(sources: &[(String, Source)], anchors: &Anchors) -> Comparison {
    let mut all = Statements::default();
    for (name, source) in sources {
        match source {
            Source::Bundle(files) => all.bundle(name, files),
            Source::Note(content) => all.note(name, content),
        }
    }
    let (mut faults, mut missing) = (all.faults, BTreeSet::new());
    let signed = verify::signatures(&all.receipts, anchors, &mut faults, &mut missing);
    steps::exclusive(&signed, &mut faults);
    let heads = all.checkpoints.len();
    steps::heads(all.checkpoints.into_iter(), &signed, anchors, &mut faults);
    let cards = all.cards.len();
    for (path, card, _) in &all.cards {
        if !anchors.all().contains(&card.keys.card) {
            let key = &card.keys.card;
            missing.insert(format!("the key {}+{}, of {path}", key.name(), key.id()));
        }
    }
    twins(&all.cards, anchors, &mut faults);
    Comparison {
        statements: signed.len().saturating_add(heads).saturating_add(cards),
        faults,
        missing: missing.into_iter().collect(),
    }
}

impl Statements {
    fn bundle(&mut self, name: &str, files: &Files) {
        let path = |within: &str| format!("{name}/{within}");
        let notes = files.iter();
        for (within, content) in notes.filter(|(path, _)| path.starts_with("receipts/")) {
            self.note(&path(within), content);
        }
        for (within, note) in included::checkpoints(files) {
            self.checkpoints.push((path(within), note));
        }
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

    fn note(&mut self, path: &str, content: &[u8]) {
        let read = if content.starts_with(b"rogatory/card/") {
            let card = Card::open(content).map_err(|e| e.to_string());
            card.map(|(card, note)| self.cards.push((path.to_owned(), card, note)))
        } else if content.starts_with(b"rogatory/") {
            read(path, content).map(|read| self.receipts.push(read))
        } else {
            let head = Checkpoint::parse(content).map_err(|e| e.to_string());
            head.map(|_| self.checkpoints.push((path.to_owned(), content.to_vec())))
        };
        if let Err(why) = read {
            let meaning = format!("it is no receipt, checkpoint or card: {why}");
            self.faults
                .push(Fault::new(path, "statement-unreadable", meaning));
        }
    }
}

fn read(path: &str, content: &[u8]) -> Result<Read, String> {
    let note = Note::parse(content).map_err(|e| e.to_string())?;
    let receipt = receipt::open(&note).map_err(|e| e.to_string())?;
    let (path, base) = (path.to_owned(), String::new());
    Ok(Read {
        path,
        base,
        note,
        receipt,
    })
}

/// Two cards of one number by one card key, which is among those that are trusted.
fn twins(cards: &[(String, Card, Note)], anchors: &Anchors, faults: &mut Vec<Fault>) {
    let mut seen = BTreeMap::new();
    for (path, card, note) in cards {
        let key = &card.keys.card;
        if !anchors.all().contains(key) {
            continue;
        }
        let before = *seen
            .entry((key.to_vkey(), card.number))
            .or_insert((path, note));
        if before.1.text() != note.text() {
            let meaning = format!(
                "{} has signed this and {} as its card number {}: they exclude each other, and both notes prove it",
                card.id, before.0, card.number
            );
            faults.push(Fault::new(path, "cards-exclude", meaning));
        }
    }
}
