//! The statements of an exchange as one authority keeps them, folded.

use std::collections::HashMap;

use crate::base::{AuthorityId, Digest};
use crate::exchange::phase::{Direction, Phase, Step};
use crate::receipt;
use crate::receipt::{Kind, ReceiptFault, Signed};

/// Why statements are not those of one exchange.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryFault {
    /// There is none.
    #[error("there is no statement")]
    Empty,
    /// It begins with another kind, or has a second beginning.
    #[error("{kind} is number {number} of the exchange")]
    Beginning {
        /// The kind.
        kind: Kind,
        /// Its place among the statements, from 1.
        number: usize,
    },
    /// The statement that it follows is missing.
    #[error("what {0} follows is not here")]
    Unlinked(Kind),
    /// It may not follow the statement that it names.
    #[error("{kind}: {fault}")]
    Follows {
        /// The kind.
        kind: Kind,
        /// Why not.
        fault: ReceiptFault,
    },
    /// Neither, or each, of its parties is this authority.
    #[error("it is not between this authority and another")]
    NotBetween,
    /// It came when it could not.
    #[error("{kind} comes while the package is {phase}")]
    TooEarlyOrLate {
        /// The kind.
        kind: Kind,
        /// How far the exchange had come.
        phase: Phase,
    },
}

/// All statements of an exchange, in the order in which an authority has kept them. Their signatures are not looked at.
#[derive(Debug)]
pub struct History {
    direction: Direction,
    peer: AuthorityId,
    statements: Vec<Signed>,
    phases: Vec<Phase>,
}

impl History {
    /// Follows the statements that `own` keeps of one exchange.
    ///
    /// # Errors
    /// The first statement that does not belong where it is.
    pub fn fold(own: &AuthorityId, statements: Vec<Signed>) -> Result<Self, HistoryFault> {
        linked(&statements)?;
        let first = statements.first().ok_or(HistoryFault::Empty)?;
        let (direction, peer) = parties(own, first).ok_or(HistoryFault::NotBetween)?;
        let mut phases = vec![Phase::first(direction)];
        for statement in statements.iter().skip(1) {
            let kind = statement.receipt.kind;
            let step = Step::of(kind, &statement.note);
            let next = taken(&phases, direction, step);
            if next.is_empty() {
                let phase = *phases.first().ok_or(HistoryFault::Empty)?;
                return Err(HistoryFault::TooEarlyOrLate { kind, phase });
            }
            phases = next;
        }
        Ok(Self {
            direction,
            peer,
            statements,
            phases,
        })
    }

    /// Which way the package goes.
    pub const fn direction(&self) -> Direction {
        self.direction
    }

    /// The other authority.
    pub const fn peer(&self) -> &AuthorityId {
        &self.peer
    }

    /// The phases that the exchange can be in, the most likely first: whether the newest statement was acknowledged is
    /// in none.
    pub fn phases(&self) -> &[Phase] {
        &self.phases
    }

    /// The dispatch.
    pub fn dispatch(&self) -> Option<&Signed> {
        self.statements.first()
    }

    /// The newest statement under the terms in force.
    pub fn newest(&self) -> Option<&Signed> {
        let receipts: Vec<_> = self.statements.iter().map(|it| &it.receipt).collect();
        receipt::newest(&receipts).and_then(|at| self.statements.get(at))
    }

    /// Whether a statement of this kind is among them, with so many signatures.
    pub fn has(&self, step: Step) -> bool {
        let mut all = self.statements.iter();
        all.any(|it| Step::of(it.receipt.kind, &it.note) == step)
    }
}

/// Each statement but the first follows one that is there.
fn linked(statements: &[Signed]) -> Result<(), HistoryFault> {
    let by_text: HashMap<Digest, &Signed> = statements
        .iter()
        .map(|it| (it.note.text_digest(), it))
        .collect();
    for (number, it) in (1..).zip(statements) {
        let kind = it.receipt.kind;
        if (number == 1) != kind.is_first() {
            return Err(HistoryFault::Beginning { kind, number });
        }
        let Some(prev) = &it.receipt.prev else {
            continue;
        };
        let before = by_text.get(prev).ok_or(HistoryFault::Unlinked(kind))?;
        it.follows(before)
            .map_err(|fault| HistoryFault::Follows { kind, fault })?;
    }
    Ok(())
}

fn parties(own: &AuthorityId, dispatch: &Signed) -> Option<(Direction, AuthorityId)> {
    let (from, to) = (&dispatch.receipt.from, &dispatch.receipt.to);
    let (from, to) = (&from.as_ref()?.id, &to.as_ref()?.id);
    match (from == own, to == own) {
        (true, false) => Some((Direction::Out, to.clone())),
        (false, true) => Some((Direction::In, from.clone())),
        (true, true) | (false, false) => None,
    }
}

/// The phases after a step from any of these.
fn taken(phases: &[Phase], direction: Direction, step: Step) -> Vec<Phase> {
    let mut next: Vec<Phase> = Vec::new();
    let after = phases.iter().filter_map(|it| it.after(direction, step));
    let told = [Kind::Handover, Kind::RestrictionChanged].map(Step::Acknowledged);
    let acknowledged = |it: Phase| told.iter().find_map(|step| it.after(direction, *step));
    for phase in after.clone().chain(after.filter_map(acknowledged)) {
        if !next.contains(&phase) {
            next.push(phase);
        }
    }
    next
}
