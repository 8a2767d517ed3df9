//! The sending side of an exchange.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use crate::base::{Instant, Ranges};
use crate::identity::statement::Note;
use crate::receipt::{Kind, Signed};
use crate::transfer::checks::{
    Keys, contradiction, receipt_in, repeats, unexpected, unexpected_kind,
};
use crate::transfer::consignment::{
    Consignment, Progress, SenderCommit, SenderInput, SenderOutput,
};
use crate::transfer::{Fault, Machine, Moment, Other, Outcome, Own, PATIENCE_MS};
use crate::wire::Frame;

#[derive(Debug)]
enum State {
    Idle(Progress),
    /// Offered; the receiver's answer is awaited.
    Offered(Progress),
    /// The commit is under way; then say these frames and be in that state.
    Committing {
        then: Vec<Frame>,
        next: Box<Self>,
    },
    Closing(Outcome),
    Closed,
}

/// The sending side of one exchange on one connection.
#[derive(Debug)]
pub struct Sender {
    own: Arc<Own>,
    other: Other,
    consignment: Consignment,
    dispatch: Signed,
    state: State,
    /// Whether the receiver has said what it wants; it may do so once.
    accepted: bool,
    outputs: VecDeque<SenderOutput>,
    deadline: Option<Instant>,
}

impl Sender {
    /// A sender for a stored consignment.
    ///
    /// # Errors
    /// When the stored dispatch is not a receipt: the ledger was altered.
    pub fn new(
        own: Arc<Own>,
        other: Other,
        consignment: Consignment,
        progress: Progress,
    ) -> Result<Self, Fault> {
        let dispatch = Signed::open(consignment.dispatch.clone())?;
        let outputs = VecDeque::new();
        let state = State::Idle(progress);
        Ok(Self {
            own,
            other,
            consignment,
            dispatch,
            state,
            accepted: false,
            outputs,
            deadline: None,
        })
    }

    fn offer(&mut self, progress: Progress) -> State {
        let dispatch = self.consignment.dispatch.bytes().to_vec();
        self.send(Frame::Offer(dispatch));
        self.send(Frame::Disclosures(self.consignment.disclosures.clone()));
        match &progress {
            Progress::Lapsed(note) => self.send(Frame::Receipt(note.bytes().to_vec())),
            Progress::Dispatched => {
                self.outputs.push_back(SenderOutput::SendList);
                if self.consignment.inline {
                    self.outputs
                        .push_back(SenderOutput::SendSegments(Ranges::all(
                            self.consignment.segments,
                        )));
                }
            }
            Progress::Consigned(_) | Progress::Answered { .. } => {}
        }
        State::Offered(progress)
    }

    fn send(&mut self, frame: Frame) {
        self.outputs.push_back(SenderOutput::Send(frame));
    }

    fn fault(&mut self, fault: Fault) -> State {
        let frame = Frame::Fault(crate::wire::FaultMessage::new(&fault.code, &fault.text));
        self.send(frame);
        self.close(Outcome::Faulted(fault))
    }

    fn close(&mut self, outcome: Outcome) -> State {
        self.deadline = None;
        self.outputs.push_back(SenderOutput::Close(outcome));
        State::Closed
    }

    fn commit(&mut self, commit: SenderCommit, then: Vec<Frame>, next: State) -> State {
        self.outputs.push_back(SenderOutput::Commit(commit));
        State::Committing {
            then,
            next: Box::new(next),
        }
    }

    fn frame(&mut self, progress: Progress, frame: Frame) -> State {
        let step = match frame {
            Frame::Accept { missing } => return self.accepted(progress, missing),
            Frame::Receipt(bytes) => self.receipt(&progress, &bytes),
            Frame::Done => Self::done(&progress),
            Frame::Later(later) => {
                return self.close(Outcome::Later {
                    code: later.code,
                    after_s: later.after_s,
                });
            }
            Frame::Fault(fault) => {
                return self.close(Outcome::Faulted(Fault::new(&fault.code, fault.text)));
            }
            Frame::Hello(_)
            | Frame::Card(_)
            | Frame::Crl(_)
            | Frame::Ack(_)
            | Frame::Held(_)
            | Frame::AddCheckpoint(_)
            | Frame::Cosignature(_)
            | Frame::Knows(_)
            | Frame::Gossip(_) => Err(unexpected("a control frame", "exchange")),
            Frame::Offer(_) | Frame::Disclosures(_) | Frame::Header(_) => {
                Err(unexpected("an offer", "we are the sender"))
            }
        };
        match step {
            Ok(Step::Stay) => State::Offered(progress),
            Ok(Step::Commit { commit, then, next }) => self.commit(commit, then, *next),
            Err(fault) => self.fault(fault),
        }
    }

    fn accepted(&mut self, progress: Progress, missing: Ranges) -> State {
        let end = missing.runs().last().map_or(0, |run| run.end());
        let refused = match &progress {
            Progress::Dispatched if end > self.consignment.segments => Some(Fault::new(
                "segment-outside",
                format!("segment {} of {} asked for", end, self.consignment.segments),
            )),
            Progress::Dispatched if self.consignment.inline => {
                Some(unexpected("accept", "the payload followed its offer"))
            }
            // The receiver restored an old state: it signed for the payload once already.
            Progress::Consigned(_) | Progress::Answered { .. } => Some(Fault::new(
                "contradicts-earlier",
                "the receiver asks for a payload that it has signed for",
            )),
            Progress::Dispatched | Progress::Lapsed(_) if self.accepted => {
                Some(unexpected("accept", "it was said already"))
            }
            Progress::Dispatched | Progress::Lapsed(_) => None,
        };
        if let Some(fault) = refused {
            return self.fault(fault);
        }
        self.accepted = true;
        if matches!(progress, Progress::Dispatched) && !missing.is_empty() {
            self.outputs.push_back(SenderOutput::SendSegments(missing));
        }
        State::Offered(progress)
    }

    /// Handles a receipt from the receiver.
    fn receipt(&mut self, progress: &Progress, bytes: &[u8]) -> Result<Step, Fault> {
        let signed = receipt_in(bytes)?;
        match signed.receipt.kind {
            Kind::Consigned => self.consigned(progress, &signed),
            Kind::Handover | Kind::HandoverFailed => self.answered(progress, &signed),
            Kind::Rejected => self.rejected(progress, signed),
            kind @ (Kind::Dispatch
            | Kind::Expired
            | Kind::Withdrawn
            | Kind::Access
            | Kind::AccessDenied
            | Kind::ConsentAsked
            | Kind::ConsentGiven
            | Kind::ConsentRefused
            | Kind::ContentMismatch
            | Kind::Destroyed
            | Kind::RestrictionChanged
            | Kind::Onward
            | Kind::OnwardRefused
            | Kind::UseReport
            | Kind::Approval
            | Kind::KeyAnnounce
            | Kind::Order
            | Kind::CardAdopted
            | Kind::Recovered
            | Kind::ClockStep
            | Kind::PolicyAdopted) => {
                Err(unexpected_kind(kind, "an answer to the offer is awaited"))
            }
        }
    }

    fn consigned(&mut self, progress: &Progress, signed: &Signed) -> Result<Step, Fault> {
        match progress {
            Progress::Dispatched => {
                self.keys().verify(signed, false)?;
                signed.follows(&self.dispatch)?;
                let note = self.countersign(signed)?;
                let then = self.countersigned_and_header(&note)?;
                let next = Box::new(State::Offered(Progress::Consigned(note.clone())));
                Ok(Step::Commit {
                    commit: SenderCommit::Consigned(note),
                    then,
                    next,
                })
            }
            Progress::Consigned(held) => {
                repeats(signed, held)
                    .map_err(|fault| contradiction(signed, held, &self.keys(), fault))?;
                for frame in self.countersigned_and_header(&held.clone())? {
                    self.send(frame);
                }
                Ok(Step::Stay)
            }
            Progress::Answered { consigned, .. } => {
                let text = "the receiver asks for a header that it has signed for";
                let fault = Fault::new("contradicts-earlier", text);
                Err(contradiction(signed, consigned, &self.keys(), fault))
            }
            // It consigned before it heard that we ended the exchange, which we said beside the offer: ours stands.
            Progress::Lapsed(_) => Ok(Step::Stay),
        }
    }

    fn answered(&mut self, progress: &Progress, signed: &Signed) -> Result<Step, Fault> {
        match progress {
            Progress::Consigned(consigned) => {
                self.keys().verify(signed, false)?;
                signed.follows(&Signed::open(consigned.clone())?)?;
                let note = self.countersign(signed)?;
                let then = vec![Frame::Receipt(note.bytes().to_vec())];
                let last = Progress::Answered {
                    consigned: consigned.clone(),
                    last: note.clone(),
                };
                let commit = if signed.receipt.kind == Kind::HandoverFailed {
                    SenderCommit::Failed(note)
                } else {
                    SenderCommit::Delivered(note)
                };
                Ok(Step::Commit {
                    commit,
                    then,
                    next: Box::new(State::Offered(last)),
                })
            }
            Progress::Answered { last, .. } => {
                repeats(signed, last)
                    .map_err(|fault| contradiction(signed, last, &self.keys(), fault))?;
                let last = last.bytes().to_vec();
                self.send(Frame::Receipt(last));
                Ok(Step::Stay)
            }
            Progress::Dispatched | Progress::Lapsed(_) => Err(unexpected_kind(
                signed.receipt.kind,
                "no consigned receipt has been countersigned",
            )),
        }
    }

    fn rejected(&mut self, progress: &Progress, signed: Signed) -> Result<Step, Fault> {
        self.keys().verify(&signed, true)?;
        signed.follows(&self.dispatch)?;
        let commit = match progress {
            Progress::Dispatched => SenderCommit::Rejected(signed.note),
            // It would not have taken what we have ended: neither side waits for anything.
            Progress::Lapsed(_) => SenderCommit::Told,
            Progress::Consigned(held)
            | Progress::Answered {
                consigned: held, ..
            } => {
                let text = "the receiver has signed for the payload";
                let fault = unexpected_kind(Kind::Rejected, text);
                return Err(contradiction(&signed, held, &self.keys(), fault));
            }
        };
        let next = Box::new(State::Closing(Outcome::Ended));
        Ok(Step::Commit {
            commit,
            then: Vec::new(),
            next,
        })
    }

    fn done(progress: &Progress) -> Result<Step, Fault> {
        let (commit, outcome) = match progress {
            Progress::Answered { last, .. } => {
                if Signed::open(last.clone())?.receipt.kind == Kind::HandoverFailed {
                    (SenderCommit::Told, Outcome::Ended)
                } else {
                    (SenderCommit::Closed, Outcome::Delivered)
                }
            }
            Progress::Lapsed(_) => (SenderCommit::Told, Outcome::Ended),
            Progress::Dispatched | Progress::Consigned(_) => {
                return Err(unexpected(
                    "done",
                    "no handover receipt has been countersigned",
                ));
            }
        };
        Ok(Step::Commit {
            commit,
            then: Vec::new(),
            next: Box::new(State::Closing(outcome)),
        })
    }

    fn countersigned_and_header(&self, note: &Note) -> Result<Vec<Frame>, Fault> {
        let header = self.consignment.header.as_ref();
        let header =
            header.ok_or_else(|| Fault::new("header-gone", "the age header is no longer here"))?;
        Ok(vec![
            Frame::Receipt(note.bytes().to_vec()),
            Frame::Header(header.to_vec()),
        ])
    }

    fn countersign(&self, signed: &Signed) -> Result<Note, Fault> {
        let keys = &self.own.keys;
        Ok(keys.countersign(&signed.receipt, &signed.note)?)
    }

    fn keys(&self) -> Keys<'_> {
        Keys {
            sender: self.own.keys.public(),
            receiver: &self.other.keys,
        }
    }
}

/// The consequence of one frame.
enum Step {
    Stay,
    Commit {
        commit: SenderCommit,
        then: Vec<Frame>,
        next: Box<State>,
    },
}

impl Machine for Sender {
    type Input = SenderInput;
    type Output = SenderOutput;

    fn handle(&mut self, now: &Moment, input: SenderInput) {
        self.deadline = Some(now.instant.plus_ms(PATIENCE_MS));
        let state = mem::replace(&mut self.state, State::Closed);
        self.state = match (state, input) {
            (State::Closed, _) => State::Closed,
            (
                state @ (State::Committing { .. } | State::Closing(_)),
                SenderInput::Timeout | SenderInput::Moved,
            ) => state,
            (_, SenderInput::Timeout) => self.close(Outcome::TimedOut),
            (State::Idle(progress), SenderInput::Opened) => self.offer(progress),
            (State::Offered(progress), SenderInput::Frame(frame)) => self.frame(progress, frame),
            (State::Committing { then, next }, SenderInput::Committed) => {
                for frame in then {
                    self.send(frame);
                }
                match *next {
                    State::Closing(outcome) => self.close(outcome),
                    next @ (State::Idle(_)
                    | State::Offered(_)
                    | State::Committing { .. }
                    | State::Closed) => next,
                }
            }
            (
                State::Idle(_) | State::Committing { .. } | State::Closing(_),
                SenderInput::Frame(frame),
            ) => self.fault(unexpected(frame.kind().as_str(), "nothing was asked")),
            (state, SenderInput::Opened | SenderInput::Moved | SenderInput::Committed) => state,
        };
        if matches!(self.state, State::Closed) {
            self.deadline = None;
        }
    }

    fn poll_output(&mut self) -> Option<SenderOutput> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }
}
