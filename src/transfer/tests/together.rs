//! A real sender and a real receiver, joined by encoded frames, each with a ledger that survives what kills it.

use super::books::{ReceiverBook, SenderBook};
use super::*;

/// On its way to the receiver.
enum Bytes {
    Frame(Vec<u8>),
    List,
    Segments(Ranges),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Sender,
    Receiver,
}

/// Both authorities.
struct World {
    inline: bool,
    dispatch: Note,
    header_opens: bool,
    package_max: u64,
    sender: SenderBook,
    receiver: ReceiverBook,
    /// Every receipt ever sent, by side, kind and signatures: repeats must be the same bytes.
    said: BTreeMap<(bool, Kind, usize), Vec<u8>>,
    second: u64,
}

/// One attempt.
struct Run {
    sender: Sender,
    receiver: Receiver,
    offer: Option<Note>,
    to_receiver: VecDeque<Bytes>,
    to_sender: VecDeque<Vec<u8>>,
    ends: (Option<Outcome>, Option<Outcome>),
    /// Outputs carried out; this side dies before it carries out that one.
    steps: usize,
    dies: Option<(Side, usize)>,
    dead: Option<Side>,
}

fn decoded(bytes: &[u8]) -> Frame {
    let (head, body) = bytes.split_first_chunk::<HEAD_BYTES>().unwrap();
    let head = Frame::head(head).unwrap();
    assert_eq!(head.length, body.len());
    Frame::decode(head.kind, body).unwrap()
}

impl World {
    fn new(inline: bool) -> Self {
        Self {
            inline,
            dispatch: signed(&dispatch(inline)),
            header_opens: true,
            package_max: 1 << 30,
            sender: SenderBook::default(),
            receiver: ReceiverBook::default(),
            said: BTreeMap::new(),
            second: 0,
        }
    }

    fn now(&mut self) -> Moment {
        // Every look at the clock finds it changed: what is signed twice has other bytes.
        self.second += 1;
        moment(self.second)
    }

    fn heard(&mut self, side: Side, frame: &Frame) {
        if let Frame::Receipt(bytes) = frame {
            let note = Note::parse(bytes).unwrap();
            let kind = crate::receipt::open(&note).unwrap().kind;
            let place = (side == Side::Sender, kind, note.signatures().len());
            let first = self.said.entry(place).or_insert_with(|| bytes.clone());
            assert_eq!(first, bytes, "another {kind} than before");
        }
    }

    /// Runs one attempt until nothing moves any more.
    fn run(&mut self, dies: Option<(Side, usize)>) -> Run {
        let receiving = Own {
            package_max: self.package_max,
            ..Arc::into_inner(own(RECEIVER)).unwrap()
        };
        let consignment = consignment(&self.dispatch, self.inline);
        let progress = self.sender.progress();
        let sender = Sender::new(own(SENDER), other(RECEIVER), consignment, progress).unwrap();
        let mut run = Run {
            sender,
            receiver: Receiver::new(Arc::new(receiving), other(SENDER)),
            offer: None,
            to_receiver: VecDeque::new(),
            to_sender: VecDeque::new(),
            ends: (None, None),
            steps: 0,
            dies,
            dead: None,
        };
        let now = self.now();
        run.sender.handle(&now, SenderInput::Opened);
        while self.advance(&mut run) {}
        run
    }

    fn advance(&mut self, run: &mut Run) -> bool {
        if run.dead != Some(Side::Sender)
            && let Some(output) = run.sender.poll_output()
        {
            if run.dies_now(Side::Sender) {
                return true;
            }
            self.sends(run, output);
            return true;
        }
        if run.dead != Some(Side::Receiver)
            && let Some(output) = run.receiver.poll_output()
        {
            if run.dies_now(Side::Receiver) {
                return true;
            }
            self.receives(run, output);
            return true;
        }
        let now = self.now();
        if run.dead != Some(Side::Receiver)
            && let Some(bytes) = run.to_receiver.pop_front()
        {
            let input = self.arrives(run, bytes);
            for input in input {
                run.receiver.handle(&now, input);
            }
            return true;
        }
        if run.dead != Some(Side::Sender)
            && let Some(bytes) = run.to_sender.pop_front()
        {
            run.sender.handle(&now, SenderInput::Frame(decoded(&bytes)));
            return true;
        }
        false
    }

    fn arrives(&mut self, run: &mut Run, bytes: Bytes) -> Vec<ReceiverInput> {
        match bytes {
            Bytes::Frame(bytes) => {
                let frame = decoded(&bytes);
                if let Frame::Offer(note) = &frame {
                    run.offer = Note::parse(note).ok();
                }
                vec![ReceiverInput::Frame(frame)]
            }
            Bytes::List => {
                self.receiver.listed |= !self.inline;
                vec![ReceiverInput::Listed]
            }
            Bytes::Segments(segments) => {
                let mut inputs = Vec::new();
                for run in segments.runs() {
                    for segment in run.first..run.end() {
                        self.receiver.have.insert(segment);
                        inputs.push(ReceiverInput::Stored(self.receiver.have.clone()));
                    }
                }
                inputs
            }
        }
    }

    fn sends(&mut self, run: &mut Run, output: SenderOutput) {
        match output {
            SenderOutput::Send(frame) => {
                self.heard(Side::Sender, &frame);
                run.to_receiver.push_back(Bytes::Frame(frame.encode()));
            }
            SenderOutput::SendList => run.to_receiver.push_back(Bytes::List),
            SenderOutput::SendSegments(ranges) => {
                run.to_receiver.push_back(Bytes::Segments(ranges));
            }
            SenderOutput::Commit(commit) => {
                self.sender.commit(commit);
                let now = self.now();
                run.sender.handle(&now, SenderInput::Committed);
            }
            SenderOutput::Close(outcome) => run.ends.0 = Some(outcome),
        }
    }

    fn receives(&mut self, run: &mut Run, output: ReceiverOutput) {
        let input = match output {
            ReceiverOutput::Send(frame) => {
                self.heard(Side::Receiver, &frame);
                run.to_sender.push_back(frame.encode());
                return;
            }
            ReceiverOutput::Lookup(_) => {
                let mut known = self.receiver.known.clone();
                if let Some(KnownOffer {
                    standing: Standing::Receiving(have),
                    ..
                }) = &mut known
                {
                    *have = self.receiver.have.clone();
                }
                ReceiverInput::Known(known.map(Box::new))
            }
            ReceiverOutput::Admit(admission) => {
                self.admit(*admission);
                ReceiverInput::Admitted
            }
            ReceiverOutput::Resume(_) if self.receiver.listed => ReceiverInput::Listed,
            ReceiverOutput::Resume(_) => return,
            ReceiverOutput::Settle => ReceiverInput::Durable,
            ReceiverOutput::CheckHeader(_) if self.header_opens => {
                ReceiverInput::HeaderChecked(Ok(()))
            }
            ReceiverOutput::CheckHeader(_) => {
                ReceiverInput::HeaderChecked(Err("header-mac".to_owned()))
            }
            ReceiverOutput::Commit(commit) => {
                let offer = run.offer.clone().unwrap();
                self.receiver.commit(commit, &offer);
                ReceiverInput::Committed
            }
            ReceiverOutput::Close(outcome) => {
                run.ends.1 = Some(outcome);
                return;
            }
        };
        let now = self.now();
        run.receiver.handle(&now, input);
    }

    fn admit(&mut self, admission: Admission) {
        self.receiver.have = Ranges::empty();
        if !self.inline {
            self.receiver.known = Some(KnownOffer {
                dispatch: admission.dispatch,
                standing: Standing::Receiving(Ranges::empty()),
            });
        }
    }
}

impl Run {
    fn dies_now(&mut self, side: Side) -> bool {
        self.steps += 1;
        let dies = self.dies == Some((side, self.steps));
        if dies {
            self.dead = Some(side);
        }
        dies
    }

    fn ends(&self) -> (String, String) {
        (word(self.ends.0.as_ref()), word(self.ends.1.as_ref()))
    }
}

fn steps(committed: &[(&'static str, Vec<u8>)]) -> String {
    let steps: Vec<_> = committed.iter().map(|(step, _)| *step).collect();
    steps.join(" ")
}

/// How an exchange is to end, whatever happens to it.
#[derive(Clone, Copy)]
struct Path {
    inline: bool,
    change: fn(&mut World),
    ends: (&'static str, &'static str),
    sender: &'static str,
    receiver: &'static str,
}

fn world(path: Path) -> World {
    let mut world = World::new(path.inline);
    (path.change)(&mut world);
    world
}

/// Runs it whole, then once for every output of either side, which dies just before it; what is left is run to its end.
fn check(path: Path) {
    let mut whole = world(path);
    let run = whole.run(None);
    assert_eq!(run.ends(), (path.ends.0.to_owned(), path.ends.1.to_owned()));
    assert_eq!(steps(&whole.sender.committed), path.sender);
    assert_eq!(steps(&whole.receiver.committed), path.receiver);
    for side in [Side::Sender, Side::Receiver] {
        for at in 1..=run.steps {
            let mut world = world(path);
            let first = world.run(Some((side, at)));
            if first.dead.is_none() {
                continue;
            }
            let mut attempts = 0;
            while !world.sender.over {
                let again = world.run(None);
                assert_eq!(again.ends().0, path.ends.0, "{side:?} died before {at}");
                attempts += 1;
                assert!(attempts < 3, "{side:?} died before {at}: no end");
            }
            let place = format!("{side:?} died before {at}");
            assert_eq!(steps(&world.sender.committed), path.sender, "{place}");
            assert_eq!(steps(&world.receiver.committed), path.receiver, "{place}");
        }
    }
}

const DELIVERED: Path = Path {
    inline: true,
    change: |_| {},
    ends: ("delivered", "delivered"),
    sender: "consigned delivered closed",
    receiver: "consigned handover held",
};

#[test]
fn a_package_is_delivered_wherever_it_is_cut() {
    for inline in [true, false] {
        check(Path {
            inline,
            ..DELIVERED
        });
    }
}

#[test]
fn both_sides_hold_the_same_notes() {
    let mut world = World::new(false);
    world.run(None);
    let held = |committed: &[(&str, Vec<u8>)], step: &str| {
        let found = committed.iter().find(|(name, _)| *name == step);
        found.unwrap().1.clone()
    };
    let handover = held(&world.sender.committed, "delivered");
    assert_eq!(handover, held(&world.receiver.committed, "held"));
    assert_eq!(Note::parse(&handover).unwrap().signatures().len(), 2);
    assert_eq!(world.receiver.header.as_deref(), Some(HEADER));
}

#[test]
fn other_ends_are_the_same_wherever_they_are_cut() {
    for inline in [true, false] {
        for path in [
            Path {
                change: |world| world.header_opens = false,
                ends: ("ended", "ended"),
                sender: "consigned failed told",
                receiver: "consigned handover-failed failed",
                inline,
            },
            Path {
                change: |world| world.package_max = 4_095,
                ends: ("ended", "ended"),
                sender: "rejected",
                receiver: "rejected",
                inline,
            },
            Path {
                change: |world| {
                    let mut altered = dispatch(world.inline);
                    let terms = altered.terms.as_mut().unwrap();
                    terms.retain_until = "2026-11-22".parse().unwrap();
                    world.dispatch = signed(&altered);
                },
                ends: ("ended", "ended"),
                sender: "rejected",
                receiver: "rejected",
                inline,
            },
            // Ended before the receiver ever heard of it.
            Path {
                change: |world| world.sender.lapsed = Some(next(&world.dispatch, Kind::Expired)),
                ends: ("ended", "ended"),
                sender: "told",
                receiver: "lapsed",
                inline,
            },
            // Ended before the receiver ever heard of it, and it would not take it: a term has ended here too.
            Path {
                change: |world| {
                    world.package_max = 4_095;
                    world.sender.lapsed = Some(next(&world.dispatch, Kind::Expired));
                },
                ends: ("ended", "ended"),
                sender: "told",
                receiver: "rejected",
                inline,
            },
        ] {
            check(path);
        }
    }
}

/// The sender ends the exchange while one attempt of it was cut at every point before it countersigned.
#[test]
fn an_ended_exchange_is_told_wherever_it_was() {
    for inline in [true, false] {
        for kind in [Kind::Expired, Kind::Withdrawn] {
            let steps_of_all = World::new(inline).run(None).steps;
            for (side, at) in [Side::Sender, Side::Receiver]
                .into_iter()
                .flat_map(|side| (1..=steps_of_all).map(move |at| (side, at)))
            {
                let mut world = World::new(inline);
                world.run(Some((side, at)));
                if world.sender.consigned.is_some() {
                    continue;
                }
                world.sender.lapsed = Some(next(&world.dispatch, kind));
                let place = format!("{side:?} died before {at}");
                assert_eq!(
                    world.run(None).ends(),
                    ("ended".to_owned(), "ended".to_owned()),
                    "{place}"
                );
                assert_eq!(steps(&world.sender.committed), "told", "{place}");
                assert!(
                    steps(&world.receiver.committed).ends_with("lapsed"),
                    "{place}"
                );
            }
        }
    }
}

#[test]
fn a_replayed_offer_changes_nothing() {
    for (change, ends, sender) in [
        (
            (|_| {}) as fn(&mut World),
            "delivered",
            Progress::Dispatched,
        ),
        (
            |world| world.header_opens = false,
            "ended",
            Progress::Dispatched,
        ),
    ] {
        let mut world = World::new(false);
        change(&mut world);
        assert_eq!(world.run(None).ends().1, ends);
        let before = world.receiver.committed.clone();
        // The sender has lost its ledger, or somebody repeats what it said.
        world.sender = SenderBook::default();
        assert!(
            matches!(world.sender.progress(), p if std::mem::discriminant(&p) == std::mem::discriminant(&sender))
        );
        let replay = world.run(None);
        assert_eq!(replay.ends().1, "delivered");
        assert_eq!(world.receiver.committed, before);
        // It holds no receipt, so "done" is no answer to it.
        assert_eq!(replay.ends().0, "unexpected-frame");
    }
}

#[test]
fn a_rejected_offer_gets_the_same_answer_for_ever() {
    let mut world = World::new(true);
    world.package_max = 1;
    for _ in 0..3 {
        world.sender = SenderBook::default();
        // `heard` compares the bytes with those of the first time.
        assert_eq!(world.run(None).ends().0, "ended");
        assert_eq!(steps(&world.receiver.committed), "rejected");
    }
    let receipt = crate::receipt::open(&Note::parse(&world.receiver.committed[0].1).unwrap());
    assert_eq!(receipt.unwrap().reason.unwrap().code, "too-large");
}
