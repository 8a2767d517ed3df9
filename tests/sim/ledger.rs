//! A ledger that commits in groups, each group whole or not at all, and the log over its statements.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use rogatory::base::{Digest, Ranges, Timestamp, Xid};
use rogatory::exchange::{Direction, Phase, Step};
use rogatory::identity::statement::Note;
use rogatory::receipt::{Head, Kind};
use rogatory::tlog;

use crate::chance::Chance;
use crate::disk::Content;

/// An exchange as stored.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) xid: Xid,
    pub(crate) direction: Direction,
    pub(crate) peer: usize,
    pub(crate) phase: Phase,
    pub(crate) created: Timestamp,
    pub(crate) body: Digest,
    pub(crate) segments: u64,
    pub(crate) inline: bool,
    pub(crate) disclosures: Vec<String>,
    /// In: the offer, to be kept with the row.
    pub(crate) dispatch: Option<Rc<Note>>,
    pub(crate) have: Ranges,
    pub(crate) attempts: u64,
    pub(crate) next_try: Option<Timestamp>,
    pub(crate) told: bool,
}

/// A statement as stored.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) xid: Xid,
    pub(crate) kind: Kind,
    pub(crate) note: Note,
}

/// One change.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Statement {
        xid: Xid,
        kind: Kind,
        note: Note,
        logged: bool,
    },
    Open(Box<Row>),
    Advance {
        xid: Xid,
        step: Step,
    },
    Payload(Xid, Content),
    Header(Xid, Vec<u8>),
    Shred(Xid),
    Have(Xid, Ranges),
    Retry {
        xid: Xid,
        attempts: u64,
        next_try: Option<Timestamp>,
        told: bool,
    },
    Checkpoint,
}

/// Why changes were not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unmade {
    Conflict,
    Full,
}

/// Everything in it. Cheap to copy, so that a batch is made on a copy or not at all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    pub(crate) rows: BTreeMap<Xid, Row>,
    pub(crate) statements: Vec<Rc<Statement>>,
    digests: BTreeSet<Digest>,
    pub(crate) payloads: BTreeMap<Xid, Content>,
    pub(crate) headers: BTreeMap<Xid, Rc<Vec<u8>>>,
    tree: tlog::Frontier,
    /// The root at each size.
    pub(crate) roots: Vec<Digest>,
    /// The last signed head.
    pub(crate) head: Option<Head>,
}

impl Ledger {
    /// Leaves in the log.
    pub(crate) fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The root of the log at this size, if it ever had it.
    pub(crate) fn root_at(&self, size: u64) -> Option<Digest> {
        match size.checked_sub(1) {
            None => Some(Digest::of(b"")),
            Some(at) => self.roots.get(usize::try_from(at).ok()?).copied(),
        }
    }

    /// The statement of this kind with so many signatures.
    pub(crate) fn note(&self, xid: &Xid, kind: Kind, signatures: usize) -> Option<&Note> {
        let of = |row: &&Rc<Statement>| {
            row.xid == *xid && row.kind == kind && row.note.signatures().len() == signatures
        };
        self.statements.iter().find(of).map(|row| &row.note)
    }

    /// Makes all changes or none.
    pub(crate) fn commit(
        &mut self,
        ops: &[Op],
        name: &str,
        chance: &mut Chance,
    ) -> Result<(), Unmade> {
        let mut next = self.clone();
        for op in ops {
            next.apply(op, name, chance)?;
        }
        *self = next;
        Ok(())
    }

    fn apply(&mut self, op: &Op, name: &str, chance: &mut Chance) -> Result<(), Unmade> {
        match op {
            Op::Statement {
                xid,
                kind,
                note,
                logged,
            } => self.statement((*xid, *kind), note, *logged, chance),
            Op::Open(row) => {
                if self.rows.contains_key(&row.xid) {
                    return Err(Unmade::Conflict);
                }
                self.rows.insert(row.xid, Row::clone(row));
            }
            Op::Advance { xid, step } => {
                let row = self.row(xid)?;
                let next = row.phase.after(row.direction, *step);
                row.phase = next.ok_or(Unmade::Conflict)?;
            }
            Op::Payload(xid, content) => {
                self.row(xid)?;
                self.payloads.insert(*xid, *content);
            }
            Op::Header(xid, header) => {
                self.row(xid)?;
                self.headers.insert(*xid, Rc::new(header.clone()));
            }
            Op::Shred(xid) => {
                self.row(xid)?;
                self.headers.remove(xid);
                self.payloads.remove(xid);
            }
            Op::Have(xid, have) => self.row(xid)?.have = have.clone(),
            Op::Retry {
                xid,
                attempts,
                next_try,
                told,
            } => {
                let row = self.row(xid)?;
                (row.attempts, row.next_try, row.told) = (*attempts, *next_try, *told);
            }
            Op::Checkpoint => {
                self.head = Some(Head {
                    origin: format!("{name}/log"),
                    size: self.tree.size(),
                    root: self.tree.root(),
                });
            }
        }
        Ok(())
    }

    fn row(&mut self, xid: &Xid) -> Result<&mut Row, Unmade> {
        self.rows.get_mut(xid).ok_or(Unmade::Conflict)
    }

    fn statement(
        &mut self,
        (xid, kind): (Xid, Kind),
        note: &Note,
        logged: bool,
        chance: &mut Chance,
    ) {
        let digest = note.digest();
        if !self.digests.insert(digest) {
            return;
        }
        let note = note.clone();
        self.statements.push(Rc::new(Statement { xid, kind, note }));
        if logged {
            let commitment = tlog::commitment(&chance.bytes(), &digest);
            self.tree
                .append(tlog::leaf_hash(&tlog::leaf_entry(&commitment)));
            self.roots.push(self.tree.root());
        }
    }
}
