//! Frames of a hostile peer, in any order, into the two machines; the shell's answers are honest.

use std::sync::Arc;

use rogatory::base::{Digest, Instant, Ranges, Timestamp};
use rogatory::identity::keys::{KeyName, Role, SecretKey};
use rogatory::identity::statement::Note;
use rogatory::policy::PolicySet;
use rogatory::receipt::{OwnKeys, PartyKeys};
use rogatory::transfer::consignment::Consignment;
use rogatory::transfer::{
    Machine, Moment, Other, Own, Progress, Receiver, ReceiverInput, ReceiverOutput, Sender,
    SenderInput, SenderOutput,
};
use rogatory::wire::{Frame, HEAD_BYTES};

const SENDER: &str = "bfj.example.de";
const RECEIVER: &str = "mla.example.ie";
/// The first statement of the exchange in the protocol's test vectors, which seeds and machines share.
const DISPATCH: &[u8] = include_bytes!("../../docs/protocol/vectors/statements/dispatch.note");
/// The most that one input may make a machine ask for.
const OUTPUTS_MAX: usize = 16;

fn key(authority: &str) -> SecretKey {
    let name = KeyName::new(authority.parse().expect("a name"), Role::Receipts);
    let seed = Digest::of(format!("rogatory vectors: {name}").as_bytes());
    SecretKey::from_seed(name, seed.as_bytes())
}

fn own(authority: &str) -> Arc<Own> {
    Arc::new(Own {
        id: authority.parse().expect("a name"),
        keys: OwnKeys::new(1, key(authority)),
        policy: PolicySet::new(None),
        clock_uncertainty_ms: 50,
        package_max: 1 << 30,
    })
}

fn other(authority: &str) -> Other {
    Other {
        id: authority.parse().expect("a name"),
        keys: Arc::new(PartyKeys::new(1, key(authority).public())),
        session: Some(Digest::of(b"session")),
    }
}

fn moment(step: u64) -> Moment {
    Moment {
        instant: Instant(step),
        clock: "2026-11-23T09:00:00.000Z"
            .parse::<Timestamp>()
            .expect("a time"),
        heads: Vec::new(),
    }
}

/// The frames in these bytes, as far as they are frames.
fn frames(mut bytes: &[u8]) -> impl Iterator<Item = Frame> {
    std::iter::from_fn(move || {
        let (head, rest) = bytes.split_first_chunk::<HEAD_BYTES>()?;
        let head = Frame::head(head).ok()?;
        let (body, rest) = rest.split_at_checked(head.length)?;
        bytes = rest;
        Frame::decode(head.kind, body).ok()
    })
}

/// Messages to the other side are within its limits too.
fn check_said(frame: &Frame) {
    let bytes = frame.encode();
    let (head, body) = bytes.split_first_chunk().expect("a frame has a head");
    let head = Frame::head(head).expect("our own frames are within the limits");
    assert_eq!(Frame::decode(head.kind, body).as_ref(), Ok(frame));
}

/// A receiver that hears these frames.
pub fn receiver(bytes: &[u8]) {
    let mut machine = Receiver::new(own(RECEIVER), other(SENDER));
    let mut closed = false;
    for (step, frame) in (0..).zip(frames(bytes)) {
        let mut inputs = vec![ReceiverInput::Frame(frame)];
        while let Some(input) = inputs.pop() {
            machine.handle(&moment(step), input);
            let outputs: Vec<_> = std::iter::from_fn(|| machine.poll_output()).collect();
            assert!(outputs.len() <= OUTPUTS_MAX, "one input, few outputs");
            for output in outputs {
                assert!(!closed, "nothing is asked for after the end");
                match output {
                    ReceiverOutput::Send(frame) => check_said(&frame),
                    ReceiverOutput::Lookup(_) => inputs.push(ReceiverInput::Known(None)),
                    ReceiverOutput::Admit(admission) => {
                        assert!(admission.pkg.len <= 1 << 30, "the longest that is taken");
                        inputs.push(ReceiverInput::Listed);
                        inputs.push(ReceiverInput::Admitted);
                    }
                    ReceiverOutput::Resume(_) => inputs.push(ReceiverInput::Listed),
                    ReceiverOutput::Settle => inputs.push(ReceiverInput::Durable),
                    ReceiverOutput::CheckHeader(_) => {
                        inputs.push(ReceiverInput::HeaderChecked(Ok(())));
                    }
                    ReceiverOutput::Commit(_) => inputs.push(ReceiverInput::Committed),
                    ReceiverOutput::Close(_) => closed = true,
                }
            }
            // Small payloads come unasked; say that all of it is there.
            if step % 4 == 3 && inputs.is_empty() && !closed {
                machine.handle(&moment(step), ReceiverInput::Stored(Ranges::all(1)));
            }
        }
    }
}

/// A sender that hears these frames; the first byte says how far its exchange had come.
pub fn sender(bytes: &[u8]) {
    let dispatch = Note::parse(DISPATCH).expect("a vector");
    let xid = rogatory::receipt::open(&dispatch)
        .ok()
        .and_then(|receipt| receipt.xid)
        .expect("a vector");
    let consignment = Consignment {
        xid,
        dispatch,
        disclosures: Vec::new(),
        header: Some(b"age-encryption.org/v1\n".to_vec().into()),
        segments: 1,
        inline: true,
    };
    let progress = Progress::Dispatched;
    let mut machine = Sender::new(own(SENDER), other(RECEIVER), consignment, progress)
        .expect("a consignment of the vectors");
    let (mut closed, mut countersigned) = (false, false);
    let inputs = std::iter::once(SenderInput::Opened).chain(frames(bytes).map(SenderInput::Frame));
    for (step, input) in (0..).zip(inputs) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            machine.handle(&moment(step), input);
            let outputs: Vec<_> = std::iter::from_fn(|| machine.poll_output()).collect();
            assert!(outputs.len() <= OUTPUTS_MAX, "one input, few outputs");
            for output in outputs {
                assert!(!closed, "nothing is asked for after the end");
                match output {
                    SenderOutput::Send(Frame::Header(_)) => {
                        assert!(countersigned, "no header before a countersigned receipt");
                    }
                    SenderOutput::Send(frame) => check_said(&frame),
                    SenderOutput::Commit(_) => {
                        countersigned = true;
                        inputs.push(SenderInput::Committed);
                    }
                    SenderOutput::SendList | SenderOutput::SendSegments(_) => {}
                    SenderOutput::Close(_) => closed = true,
                }
            }
        }
    }
}
