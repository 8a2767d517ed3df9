//! The state of an exchange as its statements alone give it.

use crate::base::{AuthorityId, Digest, Timestamp, json, limits};
use crate::exchange::{Direction, History, Phase, Step};
use crate::identity::statement::Note;
use crate::package::segments;
use crate::receipt::{Kind, Pkg, Signed};
use crate::store::rows::StatementRow;

/// The row of an exchange as its statements demand it.
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

/// Reads the statements of an exchange, in the order of the ledger, and follows them. A fault in them is told.
pub(super) fn project(own: &AuthorityId, rows: &[StatementRow]) -> Result<Projected, String> {
    let mut statements = Vec::with_capacity(rows.len());
    for row in rows {
        let at = |e: &dyn std::error::Error| format!("statement {}: {e}", row.seq);
        let note = Note::parse(&row.note).map_err(|e| at(&e))?;
        statements.push(Signed::open(note).map_err(|e| at(&e))?);
    }
    let history = History::fold(own, statements).map_err(|e| e.to_string())?;
    let newest = history.newest();
    let newest = newest.ok_or("no statement is under the terms in force")?;
    let dispatch = history.dispatch().map(|it| &it.receipt);
    let (Some(dispatch), Some(first), Some(last)) = (dispatch, rows.first(), rows.last()) else {
        return Err("there is no statement".to_owned());
    };
    let (Some(pkg), Some(terms)) = (&dispatch.pkg, &dispatch.terms) else {
        return Err("the first statement is no dispatch".to_owned());
    };
    let (direction, phases) = (history.direction(), history.phases().to_vec());
    let phase = *phases.first().ok_or("its statements give no phase")?;
    let failed = [Step::Signed, Step::Countersigned].map(|step| step(Kind::HandoverFailed));
    let failed = failed.iter().any(|step| history.has(*step));
    Ok(Projected {
        direction,
        peer: history.peer().clone(),
        pkg: pkg.clone(),
        terms: json::canonical_text(terms),
        sd: dispatch.sd.clone(),
        last_note: newest.note.bytes().to_vec(),
        steps: count(&history, rows.len()),
        created: first.at,
        updated: last.at,
        header: header(direction, phase, failed),
        payload: payload(direction, phase),
        phases,
    })
}

/// Steps that were counted: the receiver keeps the completed `consigned` together with its answer, as one step.
fn count(history: &History, statements: usize) -> u32 {
    let both = Step::Countersigned(Kind::Consigned);
    let together = history.direction() == Direction::In && history.has(both);
    let count = statements.saturating_sub(together.into());
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
