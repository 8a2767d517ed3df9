//! A sender alone, fed with what a hostile or broken receiver would say.

use super::*;

/// The sender's answer to one frame: the word of its end.
fn answer(progress: Progress, inline: bool, frame: Frame) -> String {
    let mut machine = sender(progress, inline);
    machine.handle(&moment(0), SenderInput::Opened);
    outputs(&mut machine);
    machine.handle(&moment(1), SenderInput::Frame(frame));
    let all = outputs(&mut machine);
    if all.iter().any(|o| matches!(o, SenderOutput::Commit(_))) {
        return "commits".to_owned();
    }
    end_of(&all)
}

fn end_of(outputs: &[SenderOutput]) -> String {
    word(outputs.iter().find_map(|output| match output {
        SenderOutput::Close(outcome) => Some(outcome),
        SenderOutput::Send(_)
        | SenderOutput::SendList
        | SenderOutput::SendSegments(_)
        | SenderOutput::Commit(_) => None,
    }))
}

/// Notes of an exchange as a sender would hold them.
struct Chain {
    consigned: Note,
    handover: Note,
    failed: Note,
    rejected: Note,
    expired: Note,
}

fn chain() -> Chain {
    let first = signed(&dispatch(false));
    let consigned = next(&first, Kind::Consigned);
    Chain {
        handover: next(&consigned, Kind::Handover),
        failed: next(&consigned, Kind::HandoverFailed),
        rejected: next(&first, Kind::Rejected),
        expired: next(&first, Kind::Expired),
        consigned,
    }
}

type Held = fn() -> Progress;

fn progresses() -> Vec<(&'static str, Held)> {
    vec![
        ("dispatched", || Progress::Dispatched),
        ("consigned", || {
            Progress::Consigned(countersigned(&chain().consigned))
        }),
        ("answered", || Progress::Answered {
            consigned: countersigned(&chain().consigned),
            last: countersigned(&chain().handover),
        }),
        ("failed", || Progress::Answered {
            consigned: countersigned(&chain().consigned),
            last: countersigned(&chain().failed),
        }),
        ("lapsed", || Progress::Lapsed(chain().expired)),
    ]
}

#[test]
fn a_sender_takes_a_frame_only_where_it_belongs() {
    for (state, progress) in progresses() {
        for &kind in FrameKind::ALL {
            let want = match (kind, state) {
                (FrameKind::Fault, _) => "broken",
                (FrameKind::Later, _) => "later busy",
                (FrameKind::Accept, "dispatched" | "lapsed") => "goes-on",
                (FrameKind::Accept, _) => "contradicts-earlier",
                (FrameKind::Done, "answered" | "failed" | "lapsed") => "commits",
                // The frame of these tests is a dispatch, which no receiver sends.
                (
                    FrameKind::Done
                    | FrameKind::Receipt
                    | FrameKind::Hello
                    | FrameKind::Card
                    | FrameKind::Crl
                    | FrameKind::Ack
                    | FrameKind::Held
                    | FrameKind::AddCheckpoint
                    | FrameKind::Cosignature
                    | FrameKind::Knows
                    | FrameKind::Gossip
                    | FrameKind::Offer
                    | FrameKind::Disclosures
                    | FrameKind::Header,
                    _,
                ) => "unexpected-frame",
            };
            assert_eq!(
                answer(progress(), false, frame(kind)),
                want,
                "{kind} while {state}"
            );
        }
    }
    for &kind in FrameKind::ALL {
        let mut idle = sender(Progress::Dispatched, false);
        idle.handle(&moment(0), SenderInput::Frame(frame(kind)));
        assert_eq!(end_of(&outputs(&mut idle)), "unexpected-frame", "{kind}");
        let mut busy = sender(Progress::Dispatched, false);
        busy.handle(&moment(0), SenderInput::Opened);
        let consigned = receipt_frame(&chain().consigned);
        busy.handle(&moment(0), SenderInput::Frame(consigned));
        outputs(&mut busy);
        busy.handle(&moment(0), SenderInput::Frame(frame(kind)));
        assert_eq!(end_of(&outputs(&mut busy)), "unexpected-frame", "{kind}");
    }
}

#[test]
fn what_excludes_an_earlier_receipt_is_kept_as_proof_if_its_issuer_has_signed_it() {
    let Chain {
        consigned,
        handover,
        failed,
        rejected,
        ..
    } = chain();
    let altered = |note: &Note, by: &str| {
        let mut receipt = crate::receipt::open(note).unwrap();
        receipt.clk = 77;
        Note::issue(Context::Receipt, &receipt, &own_key(by)).unwrap()
    };
    let table = [
        (1, altered(&consigned, RECEIVER), true),
        (1, altered(&consigned, THIRD), false),
        (1, rejected.clone(), true),
        (2, consigned.clone(), false),
        (2, altered(&consigned, RECEIVER), true),
        (2, altered(&handover, RECEIVER), true),
        (2, failed, true),
        (2, rejected, true),
        (3, handover, true),
    ];
    for (state, note, proved) in table {
        let (name, progress) = progresses().remove(state);
        let mut machine = sender(progress(), false);
        machine.handle(&moment(0), SenderInput::Opened);
        machine.handle(&moment(1), SenderInput::Frame(receipt_frame(&note)));
        let proof = outputs(&mut machine).into_iter().find_map(|it| {
            if let SenderOutput::Close(Outcome::Faulted(fault)) = it {
                fault.proof
            } else {
                None
            }
        });
        let expected = proved.then(|| Box::new(note.clone()));
        assert_eq!(proof, expected, "{} while {name}", note.text());
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn a_sender_signs_only_what_follows() {
    let Chain {
        consigned,
        handover,
        failed,
        rejected,
        expired,
    } = chain();
    let altered = |note: &Note, change: fn(&mut Receipt), by: &str| {
        let mut receipt = crate::receipt::open(note).unwrap();
        change(&mut receipt);
        Note::issue(Context::Receipt, &receipt, &own_key(by)).unwrap()
    };
    let longer = |r: &mut Receipt| {
        r.terms.as_mut().unwrap().retain_until = "2036-12-31".parse().unwrap();
    };
    let other_time = |r: &mut Receipt| r.clk = 77;
    let table = [
        ("dispatched", consigned.clone(), "commits"),
        ("dispatched", rejected.clone(), "commits"),
        ("dispatched", handover.clone(), "unexpected-frame"),
        ("dispatched", failed.clone(), "unexpected-frame"),
        ("dispatched", expired, "unexpected-frame"),
        (
            "dispatched",
            altered(&consigned, longer, RECEIVER),
            "receipt-changed",
        ),
        (
            "dispatched",
            altered(&consigned, |r| r.sd.clear(), RECEIVER),
            "receipt-changed",
        ),
        (
            "dispatched",
            altered(&consigned, |r| r.pkg.as_mut().unwrap().len += 1, RECEIVER),
            "receipt-changed",
        ),
        (
            "dispatched",
            altered(&consigned, |r| r.prev = Some(Digest::of(b"x")), RECEIVER),
            "receipt-wrong-prev",
        ),
        (
            "dispatched",
            altered(&consigned, |r| r.step = Some(3), RECEIVER),
            "receipt-wrong-prev",
        ),
        (
            "dispatched",
            altered(&consigned, |_| {}, THIRD),
            "statement-wrong-signer",
        ),
        (
            "dispatched",
            altered(&rejected, longer, RECEIVER),
            "receipt-changed",
        ),
        (
            "dispatched",
            countersigned(&consigned),
            "statement-signature-count",
        ),
        ("consigned", consigned.clone(), "goes-on"),
        ("consigned", handover.clone(), "commits"),
        ("consigned", failed.clone(), "commits"),
        (
            "consigned",
            altered(&consigned, other_time, RECEIVER),
            "contradicts-earlier",
        ),
        ("consigned", rejected.clone(), "unexpected-frame"),
        ("answered", handover.clone(), "goes-on"),
        (
            "answered",
            altered(&handover, other_time, RECEIVER),
            "contradicts-earlier",
        ),
        ("answered", failed.clone(), "contradicts-earlier"),
        ("answered", consigned, "contradicts-earlier"),
        ("answered", rejected, "unexpected-frame"),
        ("failed", failed, "goes-on"),
        ("failed", handover.clone(), "contradicts-earlier"),
        ("lapsed", handover, "unexpected-frame"),
    ];
    for (state, note, want) in table {
        let (_, progress) = progresses()
            .into_iter()
            .find(|(name, _)| *name == state)
            .unwrap();
        let got = answer(progress(), false, receipt_frame(&note));
        assert_eq!(got, want, "{} while {state}", note.text());
    }
}

#[test]
fn a_sender_sends_what_there_is_and_once() {
    let accept = |count: u64| Frame::Accept {
        missing: Ranges::all(count),
    };
    for (inline, count, want) in [
        (false, SEGMENTS, "goes-on"),
        (false, SEGMENTS + 1, "segment-outside"),
        (false, u64::from(u32::MAX), "segment-outside"),
        (true, 1, "unexpected-frame"),
    ] {
        let got = answer(Progress::Dispatched, inline, accept(count));
        assert_eq!(got, want, "{count}");
    }
    let mut machine = sender(Progress::Dispatched, false);
    machine.handle(&moment(0), SenderInput::Opened);
    machine.handle(&moment(0), SenderInput::Frame(accept(1)));
    // The header stays here until the receiver has signed for the payload.
    let is_header = |it: &SenderOutput| matches!(it, SenderOutput::Send(Frame::Header(_)));
    assert!(!outputs(&mut machine).iter().any(is_header));
    machine.handle(&moment(0), SenderInput::Frame(accept(1)));
    assert_eq!(end_of(&outputs(&mut machine)), "unexpected-frame");
}

#[test]
fn a_silent_end_is_given_up_and_moving_bytes_are_life() {
    let mut machine = sender(Progress::Dispatched, false);
    assert_eq!(machine.poll_timeout(), None);
    machine.handle(&moment(0), SenderInput::Opened);
    assert_eq!(machine.poll_timeout(), Some(Instant(PATIENCE_MS)));
    machine.handle(&moment(5), SenderInput::Moved);
    assert_eq!(machine.poll_timeout(), Some(Instant(5_000 + PATIENCE_MS)));
    outputs(&mut machine);
    machine.handle(&moment(200), SenderInput::Timeout);
    assert_eq!(end_of(&outputs(&mut machine)), "timed-out");
    assert_eq!(machine.poll_timeout(), None);
    machine.handle(&moment(201), SenderInput::Frame(Frame::Done));
    assert!(outputs(&mut machine).is_empty(), "closed is closed");

    let mut machine = Receiver::new(own(RECEIVER), other(SENDER));
    machine.handle(&moment(3), ReceiverInput::Moved);
    assert_eq!(machine.poll_timeout(), Some(Instant(3_000 + PATIENCE_MS)));
    machine.handle(&moment(200), ReceiverInput::Timeout);
    assert_eq!(machine.poll_timeout(), None);
}
