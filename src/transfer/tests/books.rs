//! The parts of each side that survive a kill: its ledger and its disk.

use super::*;

/// The sender's ledger.
#[derive(Default)]
pub(super) struct SenderBook {
    pub(super) committed: Vec<(&'static str, Vec<u8>)>,
    pub(super) consigned: Option<Note>,
    pub(super) last: Option<Note>,
    pub(super) lapsed: Option<Note>,
    pub(super) over: bool,
}

impl SenderBook {
    pub(super) fn progress(&self) -> Progress {
        if let Some(note) = &self.lapsed {
            return Progress::Lapsed(note.clone());
        }
        match (&self.consigned, &self.last) {
            (Some(consigned), Some(last)) => Progress::Answered {
                consigned: consigned.clone(),
                last: last.clone(),
            },
            (Some(consigned), None) => Progress::Consigned(consigned.clone()),
            (None, _) => Progress::Dispatched,
        }
    }

    pub(super) fn commit(&mut self, commit: SenderCommit) {
        let (step, note) = match commit {
            SenderCommit::Consigned(note) => {
                self.consigned = Some(note.clone());
                ("consigned", note.bytes().to_vec())
            }
            SenderCommit::Delivered(note) => {
                self.last = Some(note.clone());
                ("delivered", note.bytes().to_vec())
            }
            SenderCommit::Failed(note) => {
                self.last = Some(note.clone());
                ("failed", note.bytes().to_vec())
            }
            SenderCommit::Rejected(note) => {
                self.over = true;
                ("rejected", note.bytes().to_vec())
            }
            SenderCommit::Closed => {
                self.over = true;
                ("closed", Vec::new())
            }
            SenderCommit::Told => {
                self.over = true;
                ("told", Vec::new())
            }
        };
        self.committed.push((step, note));
    }
}

/// The receiver's ledger and disk.
#[derive(Default)]
pub(super) struct ReceiverBook {
    pub(super) committed: Vec<(&'static str, Vec<u8>)>,
    pub(super) known: Option<KnownOffer>,
    pub(super) listed: bool,
    pub(super) have: Ranges,
    pub(super) header: Option<Vec<u8>>,
}

impl ReceiverBook {
    pub(super) fn commit(&mut self, commit: ReceiverCommit, first: &Note) {
        let mut stand = |standing, note: &Note, step| {
            let dispatch = self.known.as_ref().map_or(first, |known| &known.dispatch);
            self.known = Some(KnownOffer {
                dispatch: dispatch.clone(),
                standing,
            });
            self.committed.push((step, note.bytes().to_vec()));
        };
        match commit {
            ReceiverCommit::Rejected { note, .. } => {
                stand(Standing::Rejected(note.clone()), &note, "rejected");
            }
            ReceiverCommit::Consigned(note) => {
                stand(Standing::Consigned(note.clone()), &note, "consigned");
            }
            ReceiverCommit::Handover { header, note, .. } => {
                stand(Standing::Answered(note.clone()), &note, "handover");
                self.header = Some(header);
            }
            ReceiverCommit::HandoverFailed { note, .. } => {
                stand(Standing::Answered(note.clone()), &note, "handover-failed");
            }
            ReceiverCommit::Held(note) => stand(Standing::Settled, &note, "held"),
            ReceiverCommit::Failed(note) => stand(Standing::Settled, &note, "failed"),
            ReceiverCommit::Lapsed(note) => stand(Standing::Settled, &note, "lapsed"),
        }
    }
}
