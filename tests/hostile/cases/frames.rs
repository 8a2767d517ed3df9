//! Frames: bodies, lengths, and each of them where it does not belong.

use rogatory::base::Ranges;
use rogatory::wire::{Ack, FaultMessage, Frame, FrameKind, Later};
use serde_json::Value;

use crate::attack::{Attacker, disclosures, hello, raw};
use crate::broken;
use crate::script::{Case, Say, Scene};

fn ack() -> Frame {
    Frame::Ack(Ack::card(1))
}

fn later() -> Frame {
    Frame::Later(Later {
        code: "busy".to_owned(),
        after_s: 1,
    })
}

fn accept() -> Frame {
    let missing = Ranges::all(1);
    Frame::Accept { missing }
}

/// A good frame of every kind, as bytes.
pub(crate) fn every(attacker: &Attacker) -> Vec<(FrameKind, Vec<u8>)> {
    let parcel = attacker.honest();
    let dispatch = attacker.sign(&parcel.receipt);
    let header = Frame::Header(parcel.header).encode();
    vec![
        (FrameKind::Hello, Frame::Hello(hello()).encode()),
        (FrameKind::Card, raw(2, b"card")),
        (FrameKind::Crl, raw(3, b"list")),
        (FrameKind::Ack, ack().encode()),
        (FrameKind::Held, raw(5, b"note")),
        (FrameKind::AddCheckpoint, raw(6, b"old 0")),
        (FrameKind::Cosignature, raw(7, b"line")),
        (FrameKind::Knows, raw(8, &[b'd'; 64])),
        (FrameKind::Gossip, raw(9, b"note")),
        (FrameKind::Offer, raw(16, dispatch.bytes())),
        (FrameKind::Disclosures, disclosures()),
        (FrameKind::Accept, accept().encode()),
        (FrameKind::Receipt, raw(19, dispatch.bytes())),
        (FrameKind::Header, header),
        (FrameKind::Later, later().encode()),
        (FrameKind::Done, Frame::Done.encode()),
    ]
}

/// Whether the frame may come there, so that its content is what counts.
const fn belongs(scene: Scene, kind: FrameKind) -> bool {
    matches!(
        (scene, kind),
        (Scene::Fresh, FrameKind::Offer)
            | (Scene::Offered, FrameKind::Disclosures)
            | (
                Scene::Small
                    | Scene::Large
                    | Scene::Collecting
                    | Scene::Consigned
                    | Scene::Answered,
                FrameKind::Receipt
            )
            | (Scene::Countersigned, FrameKind::Header)
    )
}

/// Each frame in each state that does not await it; and a fault of theirs, which ends it everywhere.
pub(crate) fn order(attacker: &Attacker) -> Vec<Case> {
    let mut cases = Vec::new();
    for scene in Scene::EXCHANGE {
        for (kind, bytes) in every(attacker) {
            if !belongs(scene, kind) {
                let name = format!("{kind} out of place");
                cases.push(Case::bytes(scene, name, "unexpected-frame", bytes));
            }
        }
        let fault = Frame::Fault(FaultMessage::new("broken", "a test")).encode();
        cases.push(Case::bytes(scene, "a fault", "finished", fault));
        cases.push(Case::new(scene, "the stream ends", "finished", |_| {
            vec![Say::Finish]
        }));
        cases.push(Case::new(scene, "the stream is reset", "finished", |_| {
            vec![Say::Reset]
        }));
        cases.push(Case::bytes(
            scene,
            "an unknown frame",
            "unknown-frame",
            raw(99, b"x"),
        ));
    }
    cases
}

/// Lengths that lie, for each kind.
pub(crate) fn lengths() -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in FrameKind::ALL {
        let head = |length: u32| [&[*kind as u8], &length.to_be_bytes()[..]].concat();
        let most = u32::try_from(*kind.length().end()).unwrap();
        for (what, length) in [("one over the limit", most + 1), ("4 GiB", u32::MAX)] {
            let name = format!("{kind} of {what}");
            cases.push(Case::bytes(
                Scene::Fresh,
                name,
                "frame-too-long",
                head(length),
            ));
        }
        if most == 0 {
            continue;
        }
        let name = format!("{kind} longer than sent");
        let cut = [head(most), vec![b'x'; 20]].concat();
        cases.push(Case::new(
            Scene::Fresh,
            name,
            "frame-truncated",
            move |_| vec![Say::Bytes(cut.clone()), Say::Finish],
        ));
        let name = format!("{kind} of no length");
        let want = if *kind.length().start() == 0 {
            "unexpected-frame"
        } else {
            "frame-empty"
        };
        cases.push(Case::bytes(Scene::Fresh, name, want, head(0)));
    }
    for length in 1..5 {
        let name = format!("{length} bytes of a frame's head");
        cases.push(Case::new(
            Scene::Fresh,
            name,
            "frame-truncated",
            move |_| {
                vec![
                    Say::Bytes(vec![16, 0, 0, 0][..length].to_vec()),
                    Say::Finish,
                ]
            },
        ));
    }
    cases.push(
        Case::new(Scene::Offered, "shorter than sent", "unknown-frame", |_| {
            let mut frame = disclosures();
            frame.extend([0xee; 40]);
            frame[4] -= 1;
            vec![Say::Bytes(frame)]
        })
        .or("frame-malformed"),
    );
    cases
}

/// Bodies that are JSON, broken field by field and as a whole.
pub(crate) fn bodies() -> Vec<Case> {
    let mut cases = Vec::new();
    let fault = Frame::Fault(FaultMessage::new("broken", "a test"));
    for frame in [ack(), accept(), later(), fault] {
        let body = frame.body();
        let value: Value = serde_json::from_slice(&body).unwrap();
        let broken = [broken::fields(&value), broken::spellings(&body)].concat();
        for (what, bytes) in broken {
            let name = format!("{} with {what}", frame.kind());
            let bytes = raw(frame.kind() as u8, &bytes);
            cases.push(
                Case::bytes(Scene::Fresh, name, "frame-malformed", bytes).or("frame-content"),
            );
        }
    }
    for (what, bytes) in broken::spellings(br#"["x"]"#) {
        let name = format!("disclosures with {what}");
        cases.push(Case::bytes(
            Scene::Offered,
            name,
            "frame-malformed",
            raw(17, &bytes),
        ));
    }
    let runs = |runs: &str| format!(r#"{{"missing":[{runs}]}}"#);
    let many: Vec<_> = (0..1_025).map(|i| format!("[{},1]", i * 2)).collect();
    for (what, runs, want) in [
        ("runs that descend", runs("[5,1],[0,1]"), "frame-malformed"),
        ("runs that touch", runs("[0,1],[1,1]"), "frame-malformed"),
        ("an empty run", runs("[0,0]"), "frame-malformed"),
        ("half a run", runs("[0]"), "frame-malformed"),
        ("1,025 runs", runs(&many.join(",")), "frame-content"),
    ] {
        let name = format!("accept with {what}");
        cases.push(Case::bytes(
            Scene::Fresh,
            name,
            want,
            raw(18, runs.as_bytes()),
        ));
    }
    let coded = |code: &str| format!(r#"{{"after_s":1,"code":"{code}"}}"#);
    for (what, code) in [
        ("an empty code", String::new()),
        ("a code of 65 letters", "x".repeat(65)),
        ("a code with a space", "a b".to_owned()),
        ("a code in capitals", "BUSY".to_owned()),
    ] {
        let name = format!("later with {what}");
        let bytes = raw(21, coded(&code).as_bytes());
        cases.push(Case::bytes(Scene::Fresh, name, "frame-content", bytes));
    }
    cases
}
