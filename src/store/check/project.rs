//! The state of an exchange as its statements alone give it.

use std::collections::HashMap;

use crate::base::AuthorityId;
use crate::base::Digest;
use crate::base::Timestamp;
use crate::base::json;
use crate::base::limits;
use crate::exchange::{Direction, Phase};
use crate::identity::statement::Note;
use crate::package::segments;
use crate::receipt;
use crate::receipt::Kind;
use crate::receipt::Pkg;
use crate::receipt::Receipt;
use crate::store::rows::StatementRow;

/// One statement of an exchange, read.
struct Step {
    note: Note,
    receipt: Receipt,
    at: Timestamp,
}

/// What the row of an exchange must say.
#[derive(Debug)]
pub(super) struct Projected {
    pub(super) direction: Direction,
    pub(super) peer: AuthorityId,
    /// The phases that fit, the most likely first: whether the last receipt was acknowledged is in no statement.
    pub(super) phases: Vec<Phase>,
    pub(super) pkg: Pkg,
    pub(super) terms: String,
    pub(super) sd: Vec<Digest>,
    pub(super) last_note: Vec<u8>,
    pub(super) steps: u32,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    /// Whether the header must be here; if not, it must be gone.
    pub(super) header: bool,
    /// Whether the payload must be here; neither while it may be.
    pub(super) payload: Option<bool>,
}

impl Projected {
    pub(super) fn segments(&self) -> u64 {
        segments::count(self.pkg.len)
    }

    pub(super) const fn is_inline(&self) -> bool {
        self.pkg.len <= limits::INLINE_PAYLOAD_BYTES_MAX
    }
}

/// Reads the statements of an exchange, in the order of the ledger, and follows them. What breaks the chain is told.
pub(super) fn project(own: &AuthorityId, rows: &[StatementRow]) -> Result<Projected, String> {
    let mut steps = Vec::with_capacity(rows.len());
    for row in rows {
        let read = Note::parse(&row.note).map_err(|e| format!("statement {}: {e}", row.seq))?;
        let receipt = receipt::open(&read).map_err(|e| format!("statement {}: {e}", row.seq))?;
        steps.push(Step {
            note: read,
            receipt,
            at: row.at,
        });
    }
    chained(&steps)?;
    let first = steps.first().ok_or("there is no statement")?;
    let last = steps.last().ok_or("there is no statement")?;
    let receipts: Vec<_> = steps.iter().map(|step| &step.receipt).collect();
    let newest = receipt::newest(&receipts).and_then(|at| steps.get(at));
    let newest = newest.ok_or("no statement is under the terms in force")?;
    let (Some(from), Some(to), Some(pkg), Some(terms)) = (
        &first.receipt.from,
        &first.receipt.to,
        &first.receipt.pkg,
        &first.receipt.terms,
    ) else {
        return Err("the first statement is no dispatch".to_owned());
    };
    let (direction, peer) = match (from.id == *own, to.id == *own) {
        (true, false) => (Direction::Out, to.id.clone()),
        (false, true) => (Direction::In, from.id.clone()),
        (true, true) | (false, false) => {
            return Err("it is not between this authority and another".to_owned());
        }
    };
    let phases = match direction {
        Direction::Out => sent(&steps),
        Direction::In => received(&steps),
    };
    let phase = *phases.first().ok_or("its statements give no phase")?;
    let failed = signed(&steps, Kind::HandoverFailed, 1) || signed(&steps, Kind::HandoverFailed, 2);
    Ok(Projected {
        direction,
        peer,
        pkg: pkg.clone(),
        terms: String::from_utf8(json::canonical(terms)).map_err(|e| e.to_string())?,
        sd: first.receipt.sd.clone(),
        last_note: newest.note.bytes().to_vec(),
        steps: count(&steps, direction),
        created: first.at,
        updated: last.at,
        header: header(direction, phase, failed),
        payload: payload(direction, phase),
        phases,
    })
}

/// Each statement but the first follows one that is there.
fn chained(steps: &[Step]) -> Result<(), String> {
    let by_text: HashMap<Digest, &Step> = steps
        .iter()
        .map(|step| (step.note.text_digest(), step))
        .collect();
    for (number, step) in (1..).zip(steps) {
        let kind = step.receipt.kind;
        if (number == 1) != kind.is_first() {
            return Err(format!("{kind} is number {number} of the exchange"));
        }
        let Some(prev) = &step.receipt.prev else {
            continue;
        };
        let before = by_text
            .get(prev)
            .ok_or_else(|| format!("what {kind} follows is not here"))?;
        receipt::continues(&before.receipt, &before.note, &step.receipt)
            .map_err(|e| format!("{kind}: {e}"))?;
    }
    Ok(())
}

fn signed(steps: &[Step], kind: Kind, signatures: usize) -> bool {
    steps
        .iter()
        .any(|step| step.receipt.kind == kind && step.note.signatures().len() == signatures)
}

fn sent(steps: &[Step]) -> Vec<Phase> {
    let has = |kind, signatures| signed(steps, kind, signatures);
    if has(Kind::Destroyed, 2) {
        vec![Phase::Destroyed]
    } else if [
        Kind::RestrictionChanged,
        Kind::ConsentGiven,
        Kind::ConsentRefused,
    ]
    .iter()
    .any(|kind| has(*kind, 1))
    {
        vec![Phase::RestrictionSigned, Phase::Closed]
    } else if has(Kind::Handover, 2) {
        vec![Phase::Delivered, Phase::Closed]
    } else if has(Kind::HandoverFailed, 2) {
        vec![Phase::Failed]
    } else if has(Kind::Consigned, 2) {
        vec![Phase::Consigned]
    } else if has(Kind::Rejected, 1) {
        vec![Phase::Rejected]
    } else if has(Kind::Expired, 1) {
        vec![Phase::Expired]
    } else if has(Kind::Withdrawn, 1) {
        vec![Phase::Withdrawn]
    } else {
        vec![Phase::Dispatched]
    }
}

fn received(steps: &[Step]) -> Vec<Phase> {
    let has = |kind, signatures| signed(steps, kind, signatures);
    if has(Kind::Destroyed, 2) {
        vec![Phase::Destroyed]
    } else if has(Kind::Destroyed, 1) {
        vec![Phase::DestructionSigned]
    } else if has(Kind::Handover, 2) {
        vec![Phase::Held]
    } else if has(Kind::HandoverFailed, 2) {
        vec![Phase::Failed]
    } else if has(Kind::Handover, 1) || has(Kind::HandoverFailed, 1) {
        vec![Phase::HandoverSigned]
    } else if has(Kind::Expired, 1) || has(Kind::Withdrawn, 1) {
        vec![Phase::Lapsed]
    } else if has(Kind::Rejected, 1) {
        vec![Phase::Refused]
    } else if has(Kind::Consigned, 1) {
        vec![Phase::Consigned]
    } else {
        vec![Phase::Receiving]
    }
}

/// Steps that were counted: the receiver keeps the completed `consigned` together with its answer, as one step.
fn count(steps: &[Step], direction: Direction) -> u32 {
    let together = direction == Direction::In && signed(steps, Kind::Consigned, 2);
    let count = steps.len().saturating_sub(together.into());
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn header(direction: Direction, phase: Phase, failed: bool) -> bool {
    match phase {
        Phase::Dispatched => true,
        Phase::Consigned => direction == Direction::Out,
        Phase::HandoverSigned | Phase::Held => !failed,
        Phase::Delivered
        | Phase::Closed
        | Phase::RestrictionSigned
        | Phase::DestructionSigned
        | Phase::Destroyed
        | Phase::Rejected
        | Phase::Failed
        | Phase::Expired
        | Phase::Withdrawn
        | Phase::Receiving
        | Phase::Refused
        | Phase::Lapsed => false,
    }
}

fn payload(direction: Direction, phase: Phase) -> Option<bool> {
    match phase {
        Phase::Dispatched | Phase::HandoverSigned | Phase::Held => Some(true),
        Phase::Consigned if direction == Direction::In => Some(true),
        Phase::Refused | Phase::Lapsed => Some(false),
        Phase::Failed if direction == Direction::In => Some(false),
        Phase::Consigned
        | Phase::Delivered
        | Phase::Closed
        | Phase::RestrictionSigned
        | Phase::DestructionSigned
        | Phase::Destroyed
        | Phase::Rejected
        | Phase::Failed
        | Phase::Expired
        | Phase::Withdrawn
        | Phase::Receiving => None,
    }
}
