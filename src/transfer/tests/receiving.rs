//! A receiver alone, fed with what a hostile or broken sender would say.

use super::*;

/// The end of a receiver after these inputs, in a word, and what it said last.
fn fed(inputs: Vec<ReceiverInput>) -> (String, Vec<ReceiverOutput>) {
    let mut machine = Receiver::new(own(RECEIVER), other(SENDER));
    let mut all = Vec::new();
    for input in inputs {
        machine.handle(&moment(0), input);
        all.extend(outputs(&mut machine));
    }
    let outcome = all.iter().find_map(|output| match output {
        ReceiverOutput::Close(outcome) => Some(outcome),
        ReceiverOutput::Send(_)
        | ReceiverOutput::Lookup(_)
        | ReceiverOutput::Admit(_)
        | ReceiverOutput::Resume(_)
        | ReceiverOutput::Settle
        | ReceiverOutput::CheckHeader(_)
        | ReceiverOutput::Commit(_) => None,
    });
    (word(outcome), all)
}

fn offered(note: &[u8]) -> Vec<ReceiverInput> {
    vec![
        ReceiverInput::Frame(Frame::Offer(note.to_vec())),
        ReceiverInput::Frame(Frame::Disclosures(texts())),
        ReceiverInput::Known(None),
    ]
}

/// An offer that must be refused with this code, and nothing be committed.
fn check(note: &[u8], want: &str) {
    let (end, outputs) = fed(offered(note));
    assert_eq!(end, want, "{}", String::from_utf8_lossy(note));
    assert!(
        !outputs.iter().any(|output| matches!(
            output,
            ReceiverOutput::Commit(_) | ReceiverOutput::Admit(_) | ReceiverOutput::Lookup(_)
        )),
        "{want}: {outputs:?}"
    );
    let said = outputs.iter().any(
        |output| matches!(output, ReceiverOutput::Send(Frame::Fault(fault)) if fault.code == want),
    );
    assert!(said, "the other end must hear of {want}");
}

#[test]
fn offers_that_are_not_for_us_or_not_from_them_are_refused() {
    let altered = |change: fn(&mut Receipt), key: &SecretKey| {
        let mut receipt = dispatch(false);
        change(&mut receipt);
        Note::issue(Context::Receipt, &receipt, key).unwrap()
    };
    let (ours, theirs) = (own_key(SENDER), own_key(THIRD));
    for (note, code) in [
        (
            altered(|r| r.to = Some(own(THIRD).keys.party().clone()), &ours),
            "wrong-recipient",
        ),
        (
            altered(
                |r| r.to = Some(Party::of(1, &key(RECEIVER, 99).public())),
                &ours,
            ),
            "wrong-recipient",
        ),
        (
            altered(|r| r.from = Some(own(THIRD).keys.party().clone()), &theirs),
            "wrong-sender",
        ),
        (
            altered(
                |r| r.from = Some(Party::of(1, &key(SENDER, 99).public())),
                &key(SENDER, 99),
            ),
            "wrong-sender",
        ),
        // Signed by another than it names.
        (altered(|_| {}, &theirs), "statement-wrong-signer"),
        (altered(|_| {}, &key(SENDER, 99)), "statement-wrong-signer"),
        (
            altered(|r| r.t = clock().plus_millis(300_001), &ours),
            "clock-skew",
        ),
        (
            countersigned(&altered(|_| {}, &theirs)),
            "statement-signature-count",
        ),
    ] {
        check(note.bytes(), code);
    }
    let just = altered(|r| r.t = clock().plus_millis(300_000), &ours);
    assert_eq!(fed(offered(just.bytes())).0, "goes-on");
}

#[test]
fn offers_with_other_bytes_than_were_signed_are_refused() {
    let note = signed(&dispatch(false));
    let text = String::from_utf8(note.bytes().to_vec()).unwrap();
    for (from, to, code) in [
        ("2031-12-31", "2036-12-31", "statement-bad-signature"),
        ("\"clk\":50", "\"clk\":51", "statement-bad-signature"),
        (
            "\"seg\":1048576},\"pol\"",
            "\"seg\":1048576}, \"pol\"",
            "statement-json-not-canonical",
        ),
        (
            "{\"clk\":50,\"from\":{",
            "{\"from\":{",
            "statement-json-content",
        ),
        (
            "\"step\":1,\"t\":\"2026-11-23T09:00:00.000Z\"",
            "\"t\":\"2026-11-23T09:00:00.000Z\",\"step\":1",
            "statement-json-not-canonical",
        ),
        ("\"clk\":50", "\"clk\": 50", "statement-json-not-canonical"),
        (
            "\"clk\":50",
            "\"clk\":50,\"clk\":50",
            "statement-json-malformed",
        ),
        ("\"clk\":50", "\"clk\":50.5", "statement-json-malformed"),
        (
            "\"clk\":50",
            "\"clj\":1,\"clk\":50",
            "statement-json-content",
        ),
        (
            "rogatory/receipt/v1",
            "rogatory/receipt/v2",
            "statement-unknown-context",
        ),
        (
            "rogatory/receipt/v1",
            "rogatory/card/v1",
            "statement-wrong-context",
        ),
    ] {
        assert!(text.contains(from), "{from} in {text}");
        check(text.replace(from, to).as_bytes(), code);
    }
    check(b"", "note-no-final-newline");
}

#[test]
fn an_offer_begins_with_a_dispatch() {
    let first = signed(&dispatch(false));
    for kind in [
        Kind::Rejected,
        Kind::Consigned,
        Kind::Expired,
        Kind::Withdrawn,
    ] {
        check(next(&first, kind).bytes(), "unexpected-frame");
    }
}

#[test]
fn disclosures_must_be_those_that_were_signed() {
    let other = Disclosure::new([8; 16], disclosure::CASE, "DE/2026/000042");
    for (disclosures, code) in [
        (vec![other.encode()], "disclosure-not-in-receipt"),
        (
            vec![case().encode(), other.encode()],
            "disclosure-not-in-receipt",
        ),
        (vec![case().encode(), case().encode()], "disclosure-twice"),
        (vec!["%".to_owned()], "disclosure-encoding"),
        (vec![String::new()], "disclosure-json"),
    ] {
        let mut inputs = offered(signed(&dispatch(false)).bytes());
        inputs[1] = ReceiverInput::Frame(Frame::Disclosures(disclosures.clone()));
        let (end, outputs) = fed(inputs);
        assert_eq!(end, code, "{disclosures:?}");
        let looked = outputs
            .iter()
            .any(|output| matches!(output, ReceiverOutput::Lookup(_)));
        assert!(!looked, "{code}");
    }
}

#[test]
fn an_exchange_id_is_used_once() {
    let mut altered = dispatch(false);
    altered.clk = 51;
    let known = KnownOffer {
        dispatch: signed(&altered),
        standing: Standing::Settled,
    };
    for answer in [
        ReceiverInput::Known(Some(Box::new(known))),
        ReceiverInput::Foreign,
    ] {
        let mut inputs = offered(signed(&dispatch(false)).bytes());
        inputs[2] = answer;
        let proved = matches!(inputs[2], ReceiverInput::Known(_));
        let (end, outputs) = fed(inputs);
        assert_eq!(end, "xid-taken");
        // Two dispatches of one exchange by one sender are a proof; those of two exchanges that took one id by chance
        // are not.
        let is_proof = |output: &ReceiverOutput| matches!(output, ReceiverOutput::Close(Outcome::Faulted(fault)) if fault.proof.is_some());
        assert_eq!(outputs.iter().any(is_proof), proved);
    }
}

#[test]
fn what_policy_forbids_is_rejected_with_a_signed_reason() {
    type Change = fn(&mut Receipt);
    let table: [(Change, &str); 4] = [
        (|r| r.pkg.as_mut().unwrap().len = (1 << 30) + 1, "too-large"),
        (
            |r| r.terms.as_mut().unwrap().retain_until = "2026-11-22".parse().unwrap(),
            "retention-ended",
        ),
        (
            |r| r.terms.as_mut().unwrap().sunset = Some("2026-11-22".parse().unwrap()),
            "sunset-passed",
        ),
        (
            |r| r.terms.as_mut().unwrap().retain_until = "2026-11-23".parse().unwrap(),
            "",
        ),
    ];
    for (change, want) in table {
        let mut receipt = dispatch(false);
        change(&mut receipt);
        let (end, outputs) = fed(offered(signed(&receipt).bytes()));
        assert_eq!(end, "goes-on");
        let commit = outputs.into_iter().find_map(|output| match output {
            ReceiverOutput::Commit(ReceiverCommit::Rejected { note, .. }) => Some(note),
            ReceiverOutput::Commit(_)
            | ReceiverOutput::Send(_)
            | ReceiverOutput::Lookup(_)
            | ReceiverOutput::Admit(_)
            | ReceiverOutput::Resume(_)
            | ReceiverOutput::Settle
            | ReceiverOutput::CheckHeader(_)
            | ReceiverOutput::Close(_) => None,
        });
        let reason = commit.map(|note| {
            note.verify(&[&own_key(RECEIVER).public()]).unwrap();
            crate::receipt::open(&note).unwrap().reason.unwrap()
        });
        assert_eq!(reason.as_ref().map_or("", |r| r.code.as_str()), want);
        let clause = reason.is_some_and(|r| !r.clause.is_empty());
        assert_eq!(clause, !want.is_empty() && want != "too-large", "{want}");
    }
}

/// Every state of a receiver: how many inputs of a whole exchange lead there, and the frames that it takes.
const STATES: [(&str, usize, &[FrameKind]); 13] = [
    ("offer", 0, &[FrameKind::Offer]),
    ("disclosures", 1, &[FrameKind::Disclosures]),
    ("known", 2, &[]),
    ("admission", 3, &[]),
    ("list", 4, &[FrameKind::Receipt]),
    ("collect", 5, &[FrameKind::Receipt]),
    ("settling", 6, &[]),
    ("committing", 7, &[]),
    ("countersigned", 8, &[FrameKind::Receipt]),
    ("header", 9, &[FrameKind::Header]),
    ("checking", 10, &[]),
    ("committing-answer", 11, &[]),
    ("answered", 12, &[FrameKind::Receipt]),
];

/// The first inputs of a whole exchange.
fn script_inputs(taken: usize) -> Vec<ReceiverInput> {
    let mut inputs = offered(signed(&dispatch(false)).bytes());
    inputs.extend([
        ReceiverInput::Admitted,
        ReceiverInput::Listed,
        ReceiverInput::Stored(Ranges::all(SEGMENTS)),
        ReceiverInput::Durable,
        ReceiverInput::Committed,
    ]);
    if taken > inputs.len() {
        let note = countersigned(&consigned());
        inputs.extend([
            ReceiverInput::Frame(receipt_frame(&note)),
            ReceiverInput::Frame(Frame::Header(HEADER.to_vec())),
            ReceiverInput::HeaderChecked(Ok(())),
            ReceiverInput::Committed,
        ]);
    }
    inputs.truncate(taken);
    inputs
}

/// The `consigned` that a receiver signs on the way; signing is deterministic, and so is the clock here.
fn consigned() -> Note {
    let (_, outputs) = fed(script_inputs(7));
    last_commit(outputs)
}

fn last_commit(outputs: Vec<ReceiverOutput>) -> Note {
    let mut commits = outputs.into_iter().filter_map(|output| match output {
        ReceiverOutput::Commit(
            ReceiverCommit::Consigned(note)
            | ReceiverCommit::Handover { note, .. }
            | ReceiverCommit::HandoverFailed { note, .. },
        ) => Some(note),
        ReceiverOutput::Commit(_)
        | ReceiverOutput::Send(_)
        | ReceiverOutput::Lookup(_)
        | ReceiverOutput::Admit(_)
        | ReceiverOutput::Resume(_)
        | ReceiverOutput::Settle
        | ReceiverOutput::CheckHeader(_)
        | ReceiverOutput::Close(_) => None,
    });
    commits.next_back().unwrap()
}

/// A header that does not open the payload is asked for once more; only then is that stated.
#[test]
fn a_header_that_opens_nothing_is_asked_for_once_more() {
    let fails = |times: usize| {
        let mut inputs = script_inputs(10);
        let consigned = countersigned(&consigned());
        for time in 0..times {
            if time > 0 {
                inputs.push(ReceiverInput::Frame(receipt_frame(&consigned)));
                inputs.push(ReceiverInput::Frame(Frame::Header(HEADER.to_vec())));
            }
            inputs.push(ReceiverInput::HeaderChecked(Err("header-mac".to_owned())));
        }
        if times > 1 {
            inputs.push(ReceiverInput::Committed);
        }
        let (end, outputs) = fed(inputs);
        let said: Vec<_> = (outputs.iter())
            .filter_map(|output| {
                let ReceiverOutput::Send(Frame::Receipt(bytes)) = output else {
                    return None;
                };
                let note = Note::parse(bytes).unwrap();
                Some(crate::receipt::open(&note).unwrap().kind.as_str())
            })
            .collect();
        (end, said.join(" "))
    };
    for (times, says) in [
        (1, "consigned consigned"),
        (2, "consigned consigned handover-failed"),
    ] {
        assert_eq!(fails(times), ("goes-on".to_owned(), says.to_owned()));
    }
}

#[test]
fn a_receiver_takes_a_frame_only_where_it_belongs() {
    for (state, taken, allowed) in STATES {
        assert_eq!(fed(script_inputs(taken)).0, "goes-on", "{state}");
        for kind in FrameKind::ALL {
            if allowed.contains(kind) {
                continue;
            }
            let mut inputs = script_inputs(taken);
            inputs.push(ReceiverInput::Frame(frame(*kind)));
            let want = if *kind == FrameKind::Fault {
                "broken"
            } else {
                "unexpected-frame"
            };
            assert_eq!(fed(inputs).0, want, "{kind} while {state}");
        }
        let mut silent = script_inputs(taken);
        silent.push(ReceiverInput::Timeout);
        assert_eq!(fed(silent).0, "timed-out", "{state}");
        let mut bad = script_inputs(taken);
        bad.push(ReceiverInput::BadData(Fault::new("wrong-hash", "a test")));
        assert_eq!(fed(bad).0, "wrong-hash", "{state}");
    }
}

#[test]
fn a_receiver_without_room_asks_for_another_attempt() {
    for (state, taken, _) in STATES {
        // Those in which the shell was asked for something that takes room.
        if ![3, 4, 5, 6, 7, 11].contains(&taken) {
            continue;
        }
        let mut inputs = script_inputs(taken);
        inputs.push(ReceiverInput::NoRoom {
            code: "storage-full".to_owned(),
        });
        let (end, outputs) = fed(inputs);
        assert_eq!(end, "later storage-full", "{state}");
        let said = outputs
            .iter()
            .any(|output| matches!(output, ReceiverOutput::Send(Frame::Later(_))));
        assert!(said, "{state}");
    }
}

#[test]
fn a_receiver_that_has_lost_segments_asks_for_them() {
    let known = KnownOffer {
        dispatch: signed(&dispatch(false)),
        standing: Standing::Receiving(Ranges::all(SEGMENTS)),
    };
    let mut inputs = offered(signed(&dispatch(false)).bytes());
    inputs[2] = ReceiverInput::Known(Some(Box::new(known)));
    inputs.extend([ReceiverInput::Stored(Ranges::all(1)), ReceiverInput::Listed]);
    let (_, outputs) = fed(inputs);
    let asked = outputs.iter().any(|output| {
        matches!(output, ReceiverOutput::Send(Frame::Accept { missing }) if missing.len() == SEGMENTS - 1)
    });
    assert!(asked, "{outputs:?}");
}

/// A receipt in the place of the countersigned one, refused with this code.
fn check_countersigned(taken: usize, note: &Note, code: &str) {
    let mut inputs = script_inputs(taken);
    inputs.push(ReceiverInput::Frame(receipt_frame(note)));
    assert_eq!(fed(inputs).0, code);
}

#[test]
fn only_the_same_statement_comes_back_countersigned() {
    let consigned = consigned();
    let first = signed(&dispatch(false));
    let mut elsewhere = crate::receipt::open(&consigned).unwrap();
    elsewhere.clk = 77;
    let elsewhere = elsewhere.sign(&own_key(RECEIVER)).unwrap();
    let (_, outputs) = fed(script_inputs(11));
    let handover = last_commit(outputs);
    for (taken, note, code) in [
        (8, consigned.clone(), "statement-signature-count"),
        (8, countersigned(&elsewhere), "contradicts-earlier"),
        (8, countersigned(&handover), "contradicts-earlier"),
        (
            8,
            consigned.countersign(&own_key(THIRD)).unwrap(),
            "statement-wrong-signer",
        ),
        (12, handover.clone(), "statement-signature-count"),
        (12, countersigned(&consigned), "contradicts-earlier"),
        (
            12,
            handover.countersign(&key(SENDER, 99)).unwrap(),
            "statement-wrong-signer",
        ),
        (
            12,
            countersigned(&next(&countersigned(&consigned), Kind::HandoverFailed)),
            "contradicts-earlier",
        ),
        // Ended after it was countersigned: too late.
        (12, next(&first, Kind::Expired), "contradicts-earlier"),
    ] {
        check_countersigned(taken, &note, code);
    }
    let mut inputs = script_inputs(9);
    inputs.push(ReceiverInput::Frame(Frame::Header(b"another".to_vec())));
    assert_eq!(fed(inputs).0, "header-digest-mismatch");
}
