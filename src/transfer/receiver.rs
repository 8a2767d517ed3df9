//! The receiving side of an exchange.

mod offer;

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use crate::base::{Digest, Instant, Ranges, limits};
use crate::identity::statement::Note;
use crate::receipt::{Kind, Reason, Receipt, Signed, Stamp};
use crate::transfer::checks::{Keys, receipt_in, repeats, unexpected, unexpected_kind};
use crate::transfer::reception::{ReceiverCommit, ReceiverInput, ReceiverOutput};
use crate::transfer::stage::{Offer, State};
use crate::transfer::{Fault, Machine, Moment, Other, Outcome, Own, PATIENCE_MS};
use crate::wire::{Frame, Later};

/// The receiving side of one exchange on one connection.
#[derive(Debug)]
pub struct Receiver {
    own: Arc<Own>,
    other: Other,
    state: State,
    outputs: VecDeque<ReceiverOutput>,
    deadline: Option<Instant>,
}

type Next = Result<State, Fault>;

impl Receiver {
    /// A receiver that awaits an offer.
    pub fn new(own: Arc<Own>, other: Other) -> Self {
        Self {
            own,
            other,
            state: State::AwaitOffer,
            outputs: VecDeque::new(),
            deadline: None,
        }
    }

    fn send(&mut self, frame: Frame) {
        self.outputs.push_back(ReceiverOutput::Send(frame));
    }

    fn close(&mut self, outcome: Outcome) -> State {
        self.outputs.push_back(ReceiverOutput::Close(outcome));
        State::Closed
    }

    fn fault(&mut self, fault: Fault) -> State {
        let frame = Frame::Fault(crate::wire::FaultMessage::new(&fault.code, &fault.text));
        self.send(frame);
        self.close(Outcome::Faulted(fault))
    }

    fn commit(&mut self, commit: ReceiverCommit, then: Vec<Frame>, next: State) -> State {
        self.outputs.push_back(ReceiverOutput::Commit(commit));
        State::Committing {
            then,
            next: Box::new(next),
        }
    }

    fn keys(&self) -> Keys<'_> {
        Keys {
            sender: &self.other.keys,
            receiver: self.own.keys.public(),
        }
    }

    fn next_receipt(&self, now: &Moment, earlier: &Signed, kind: Kind) -> Receipt {
        let stamp = Stamp {
            t: now.clock,
            clk: self.own.clock_uncertainty_ms,
            pol: self.own.policy.digest(),
            ses: self.other.session,
            heads: now.heads.clone(),
        };
        let next = earlier.receipt.follow(&earlier.note, kind);
        let parties = [self.other.keys.newest(), self.own.keys.party()];
        next.between(parties).stamped(&stamp)
    }

    fn sign(&self, receipt: &Receipt) -> Result<Note, Fault> {
        Ok(self.own.keys.sign(receipt)?)
    }

    /// The list is there: ask for what is missing, unless it comes unasked or is all there.
    fn listed(&mut self, offer: Offer, have: &Ranges) -> State {
        let missing = have.missing(offer.segments, limits::MISSING_RANGES_MAX);
        if missing.is_empty() {
            self.outputs.push_back(ReceiverOutput::Settle);
            return State::Settling(offer);
        }
        if !offer.inline {
            self.send(Frame::Accept { missing });
        }
        State::Collect(offer)
    }

    fn stored(&mut self, offer: Offer, have: &Ranges) -> State {
        if have.len() < offer.segments {
            return State::Collect(offer);
        }
        self.outputs.push_back(ReceiverOutput::Settle);
        State::Settling(offer)
    }

    fn durable(&mut self, now: &Moment, offer: Offer) -> Next {
        let receipt = self.next_receipt(now, &offer.dispatch, Kind::Consigned);
        let note = self.sign(&receipt)?;
        let then = vec![Frame::Receipt(note.bytes().to_vec())];
        let next = State::AwaitCountersigned {
            dispatch: Box::new(offer.dispatch),
            held: Signed {
                receipt,
                note: note.clone(),
            },
        };
        Ok(self.commit(ReceiverCommit::Consigned(note), then, next))
    }

    fn countersigned(&self, held: &Signed, bytes: &[u8]) -> Result<Note, Fault> {
        let note = Note::parse(bytes)?;
        if note.text() != held.note.text() {
            let signed = Signed::open(note)?;
            repeats(&signed, &held.note)?;
            return Ok(signed.note);
        }
        let key = held.receipt.from.as_ref();
        let key = key.and_then(|party| self.other.keys.find(party));
        let key = key.ok_or_else(|| {
            let text = "no card of the sender that is known here names the key of this receipt";
            Fault::new("receipt-wrong-key", text)
        })?;
        note.verify_added(&held.note, key)?;
        Ok(note)
    }

    fn header(&mut self, consigned: Signed, hdr: Digest, header: Vec<u8>, again: bool) -> Next {
        if Digest::of(&header) != hdr {
            return Err(Fault::new(
                "header-digest-mismatch",
                "the age header is not the one that the dispatch names",
            ));
        }
        self.outputs
            .push_back(ReceiverOutput::CheckHeader(header.clone()));
        Ok(State::CheckingHeader {
            consigned,
            header,
            again,
        })
    }

    /// A header that does not open the payload is asked for once more, by saying `consigned` again, before that is
    /// stated.
    fn header_opens_nothing(
        &mut self,
        now: &Moment,
        earlier: Signed,
        again: bool,
        code: &str,
    ) -> Next {
        if again {
            return self.header_judged(now, earlier, Vec::new(), Err(code));
        }
        let consigned = earlier.note.without_countersignature();
        self.send(Frame::Receipt(consigned.bytes().to_vec()));
        let hdr = hdr_of(&earlier)?;
        Ok(State::AwaitCountersignedAgain {
            consigned: earlier,
            hdr,
        })
    }

    fn header_judged(
        &mut self,
        now: &Moment,
        earlier: Signed,
        header: Vec<u8>,
        outcome: Result<(), &str>,
    ) -> Next {
        let (kind, reason) = match outcome {
            Ok(()) => (Kind::Handover, None),
            Err(code) => (Kind::HandoverFailed, Some(Reason::technical(code))),
        };
        let mut receipt = self.next_receipt(now, &earlier, kind);
        receipt.reason = reason;
        let note = self.sign(&receipt)?;
        let then = vec![Frame::Receipt(note.bytes().to_vec())];
        let (signed, held) = (note.clone(), kind == Kind::Handover);
        let consigned = earlier.note;
        let commit = if held {
            ReceiverCommit::Handover {
                consigned,
                header,
                note,
            }
        } else {
            ReceiverCommit::HandoverFailed { consigned, note }
        };
        let note = signed;
        let next = State::AwaitAnswerCountersigned(Signed { receipt, note });
        Ok(self.commit(commit, then, next))
    }

    fn answer_countersigned(&mut self, held: &Signed, bytes: &[u8]) -> Next {
        let note = self.countersigned(held, bytes)?;
        let (commit, outcome) = if held.receipt.kind == Kind::Handover {
            (ReceiverCommit::Held(note), Outcome::Delivered)
        } else {
            (ReceiverCommit::Failed(note), Outcome::Ended)
        };
        Ok(self.commit(commit, vec![Frame::Done], State::Closing(outcome)))
    }

    /// Handles the sender's answer to our `consigned`: countersigned, or that it has ended the exchange before.
    fn consigned_answered(&mut self, dispatch: &Signed, held: &Signed, bytes: &[u8]) -> Next {
        if !bytes.starts_with(held.note.text().as_bytes()) {
            let signed = receipt_in(bytes)?;
            if ends(signed.receipt.kind) {
                return self.lapsed(dispatch, signed);
            }
        }
        let consigned = self.countersigned(held, bytes)?;
        let hdr = hdr_of(held)?;
        let receipt = held.receipt.clone();
        let consigned = Signed {
            receipt,
            note: consigned,
        };
        Ok(State::AwaitHeader {
            consigned,
            hdr,
            again: false,
        })
    }

    /// A receipt while payload is being received.
    fn receipt_early(&mut self, dispatch: &Signed, bytes: &[u8]) -> Next {
        let signed = receipt_in(bytes)?;
        if ends(signed.receipt.kind) {
            return self.lapsed(dispatch, signed);
        }
        Err(unexpected_kind(
            signed.receipt.kind,
            "payload is being received",
        ))
    }

    /// The sender may end the exchange for as long as it has not countersigned `consigned`.
    fn lapsed(&mut self, dispatch: &Signed, signed: Signed) -> Next {
        self.keys().verify(&signed, true)?;
        signed.follows(dispatch)?;
        Ok(self.commit(
            ReceiverCommit::Lapsed(signed.note),
            vec![Frame::Done],
            State::Closing(Outcome::Ended),
        ))
    }

    fn frame(&mut self, now: &Moment, state: State, frame: Frame) -> Next {
        match (state, frame) {
            (_, Frame::Fault(fault)) => {
                Ok(self.close(Outcome::Faulted(Fault::new(&fault.code, fault.text))))
            }
            (State::AwaitOffer, Frame::Offer(bytes)) => self.offered(now, &bytes),
            (State::AwaitDisclosures(offer), Frame::Disclosures(disclosures)) => {
                self.disclosed(offer, disclosures)
            }
            (State::AwaitList { offer, .. } | State::Collect(offer), Frame::Receipt(bytes)) => {
                self.receipt_early(&offer.dispatch, &bytes)
            }
            (State::AwaitCountersigned { dispatch, held }, Frame::Receipt(bytes)) => {
                self.consigned_answered(&dispatch, &held, &bytes)
            }
            (
                State::AwaitHeader {
                    consigned,
                    hdr,
                    again,
                },
                Frame::Header(header),
            ) => self.header(consigned, hdr, header, again),
            (State::AwaitCountersignedAgain { consigned, hdr }, Frame::Receipt(bytes))
                if bytes == consigned.note.bytes() =>
            {
                Ok(State::AwaitHeader {
                    consigned,
                    hdr,
                    again: true,
                })
            }
            (State::AwaitAnswerCountersigned(held), Frame::Receipt(bytes)) => {
                self.answer_countersigned(&held, &bytes)
            }
            (state, frame) => Err(unexpected(frame.kind().as_str(), state.name())),
        }
    }

    fn step(&mut self, now: &Moment, state: State, input: ReceiverInput) -> Next {
        match (state, input) {
            (State::Closed, _) => Ok(State::Closed),
            (state, ReceiverInput::Frame(frame)) => self.frame(now, state, frame),
            (_, ReceiverInput::BadData(fault)) => Err(fault),
            (_, ReceiverInput::Timeout) => Ok(self.close(Outcome::TimedOut)),
            (State::AwaitKnown { offer, disclosures }, ReceiverInput::Known(known)) => {
                self.known(now, offer, disclosures, known.map(|known| *known))
            }
            (State::AwaitKnown { .. }, ReceiverInput::Foreign) => Err(Fault::new(
                "xid-taken",
                "the exchange id belongs to another exchange",
            )),
            (State::AwaitAdmission(offer), ReceiverInput::Admitted) => Ok(State::AwaitList {
                offer,
                have: Ranges::empty(),
            }),
            (State::AwaitAdmission(offer), ReceiverInput::Refused(reason)) => {
                self.reject(now, offer, reason)
            }
            (
                State::AwaitAdmission(_)
                | State::AwaitList { .. }
                | State::Collect(_)
                | State::Settling(_)
                | State::Committing { .. },
                ReceiverInput::NoRoom { code },
            ) => {
                let after_s = 30;
                self.send(Frame::Later(Later {
                    code: code.clone(),
                    after_s,
                }));
                Ok(self.close(Outcome::Later { code, after_s }))
            }
            // Less is there than was recorded.
            (State::AwaitList { offer, .. }, ReceiverInput::Stored(have)) => {
                Ok(State::AwaitList { offer, have })
            }
            (State::AwaitList { offer, have }, ReceiverInput::Listed) => {
                Ok(self.listed(offer, &have))
            }
            (State::Collect(offer), ReceiverInput::Stored(have)) => Ok(self.stored(offer, &have)),
            (State::Settling(offer), ReceiverInput::Durable) => self.durable(now, offer),
            (
                State::CheckingHeader {
                    consigned,
                    header,
                    again,
                },
                ReceiverInput::HeaderChecked(outcome),
            ) => match outcome {
                Ok(()) => self.header_judged(now, consigned, header, Ok(())),
                Err(code) => self.header_opens_nothing(now, consigned, again, &code),
            },
            (State::Committing { then, next }, ReceiverInput::Committed) => {
                for frame in then {
                    self.send(frame);
                }
                if let State::Closing(outcome) = *next {
                    return Ok(self.close(outcome));
                }
                Ok(*next)
            }
            (state, _late) => Ok(state),
        }
    }
}

fn hdr_of(consigned: &Signed) -> Result<Digest, Fault> {
    let hdr = consigned.receipt.pkg.as_ref().map(|pkg| pkg.hdr);
    hdr.ok_or_else(|| Fault::new("missing-field", "a dispatch names its package"))
}

/// Whether the sender ends an exchange with it.
const fn ends(kind: Kind) -> bool {
    matches!(kind, Kind::Expired | Kind::Withdrawn)
}

impl Machine for Receiver {
    type Input = ReceiverInput;
    type Output = ReceiverOutput;

    fn handle(&mut self, now: &Moment, input: ReceiverInput) {
        self.deadline = Some(now.instant.plus_ms(PATIENCE_MS));
        let state = mem::replace(&mut self.state, State::Closed);
        self.state = match self.step(now, state, input) {
            Ok(state) => state,
            Err(fault) => self.fault(fault),
        };
        if matches!(self.state, State::Closed) {
            self.deadline = None;
        }
    }

    fn poll_output(&mut self) -> Option<ReceiverOutput> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }
}
