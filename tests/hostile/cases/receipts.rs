//! Receipts that come back: not countersigned as they must be, or not what was sent.

use rogatory::identity::{Context, Note};
use rogatory::policy::PolicySet;
use rogatory::receipt::{self, Kind, Reason};
use rogatory::wire::Frame;
use serde_json::{Value, json};

use super::offers::{put, signature};
use crate::attack::{minutes, raw, stamp};
use crate::script::{Case, Say, Scene, Stage, countersigned};

/// Every field of a receipt, with a value that is another and well-formed.
const ALTERED: [(&str, &str); 18] = [
    ("/xid", "00112233445566778899aabbccddeeff"),
    ("/prev", "DIGEST"),
    ("/step", "+1"),
    ("/kind", "other"),
    ("/from/id", "mj.example.fr"),
    ("/from/key", "00000000"),
    ("/to/id", "mj.example.fr"),
    ("/to/key", "00000000"),
    ("/pkg/body", "DIGEST"),
    ("/pkg/hdr", "DIGEST"),
    ("/pkg/len", "+1"),
    ("/terms/retain_until", "2090-12-30"),
    ("/terms/instrument", "MLA"),
    ("/sd", "[]"),
    ("/pol", "DIGEST"),
    ("/ses", "DIGEST"),
    ("/clk", "+1"),
    ("/t", "2026-01-01T00:00:00.000Z"),
];

/// The receipt with that field changed, the signatures as they were, and then ours.
pub(crate) fn altered(stage: &Stage<'_>, pointer: &str, new: &str) -> Vec<u8> {
    let note = stage.note.unwrap();
    let mut body: Value = serde_json::from_str(note.json()).unwrap();
    let other_kind = if receipt::open(note).unwrap().kind == Kind::Handover {
        "consigned"
    } else {
        "handover"
    };
    let new = match new {
        "DIGEST" => json!("ab".repeat(32)),
        "+1" => json!(body.pointer(pointer).unwrap().as_u64().unwrap() + 1),
        "other" => json!(other_kind),
        "[]" => Value::Null,
        text => json!(text),
    };
    put(&mut body, pointer, new.clone());
    if new.is_null() {
        body.as_object_mut().unwrap().remove(&pointer[1..]);
    }
    let key = &stage.attacker.keys.receipts;
    let forged = Note::issue(Context::Receipt, &body, key).unwrap();
    let lines = format!("{}{}", signature(note), signature(&forged));
    raw(19, format!("{}\n{lines}", forged.text()).as_bytes())
}

/// At `consigned` and at `handover`: each field altered, and the signatures wrong in each way.
pub(crate) fn countersignatures() -> Vec<Case> {
    let mut cases = Vec::new();
    for scene in [Scene::Consigned, Scene::Answered] {
        for (pointer, new) in ALTERED {
            let name = format!("{pointer} altered");
            let says = move |stage: &Stage<'_>| vec![Say::Bytes(altered(stage, pointer, new))];
            // A party whose log is named in the heads is not just another party.
            let want = "contradicts-earlier|receipt-field-value";
            cases.push(Case::new(scene, name, want, says));
        }
        for (what, want, spoil) in SIGNATURES {
            cases.push(Case::new(scene, *what, *want, |stage| {
                let note = stage.note.unwrap();
                let both = note.countersign(&stage.attacker.keys.receipts).unwrap();
                let lines = signature(&both);
                let (theirs, ours) = lines.split_at(lines.find('\n').unwrap() + 1);
                let log = note.countersign(&stage.attacker.keys.log).unwrap();
                let log = signature(&log)[theirs.len()..].to_owned();
                let lines = spoil(theirs, ours, &log);
                vec![Say::Bytes(raw(
                    19,
                    format!("{}\n{lines}", note.text()).as_bytes(),
                ))]
            }));
        }
        cases.push(Case::new(
            scene,
            "the dispatch again",
            "contradicts-earlier",
            |stage| {
                let dispatch = stage.attacker.sign(&stage.parcel.receipt);
                vec![Say::Bytes(raw(19, dispatch.bytes()))]
            },
        ));
        cases.push(Case::bytes(
            scene,
            "no receipt",
            "note-no-final-newline",
            raw(19, b"x"),
        ));
        cases.push(Case::bytes(
            scene,
            "16 KiB of nothing",
            "note-no-final-newline",
            raw(19, &vec![b'x'; 16 << 10]),
        ));
    }
    cases
}

type Spoil = fn(&str, &str, &str) -> String;

/// False sets of signatures, made of theirs, ours and one by another key of ours.
const SIGNATURES: &[(&str, &str, Spoil)] = &[
    (
        "not countersigned",
        "statement-signature-count",
        |theirs, _, _| theirs.to_owned(),
    ),
    (
        "without the first signature",
        "statement-signature-count",
        |_, ours, _| ours.to_owned(),
    ),
    (
        "signatures in the other order",
        "statement-bad-signature",
        |theirs, ours, _| format!("{ours}{theirs}"),
    ),
    (
        "a third signature",
        "statement-signature-count",
        |theirs, ours, log| format!("{theirs}{ours}{log}"),
    ),
    ("theirs twice", "statement-signed-twice", |theirs, _, _| {
        format!("{theirs}{theirs}")
    }),
    ("ours twice", "statement-signed-twice", |theirs, ours, _| {
        format!("{theirs}{ours}{ours}")
    }),
    (
        "countersigned by another key",
        "statement-wrong-signer",
        |theirs, _, log| format!("{theirs}{log}"),
    ),
    (
        "first signed by another key",
        "statement-bad-signature",
        |_, ours, log| format!("{log}{ours}"),
    ),
    (
        "our signature with a flipped bit",
        "statement-bad-signature",
        |theirs, ours, _| format!("{theirs}{}", flipped(ours)),
    ),
    (
        "their signature with a flipped bit",
        "statement-bad-signature",
        |theirs, ours, _| format!("{}{ours}", flipped(theirs)),
    ),
    ("no signature", "note-no-signature", |_, _, _| String::new()),
];

/// Another letter in the middle of the signature.
fn flipped(line: &str) -> String {
    let at = line.len() - 30;
    let new = if &line[at..=at] == "A" { "B" } else { "A" };
    format!("{}{new}{}", &line[..at], &line[at + 1..])
}

/// The sender's end of an exchange, when it may come and is wrong, and when it comes too late.
pub(crate) fn endings() -> Vec<Case> {
    let ended = |stage: &Stage<'_>, kind: Kind, minute: i64| {
        let dispatch = stage.attacker.sign(&stage.parcel.receipt);
        let mut next = stage.parcel.receipt.follow(&dispatch, kind);
        next = next.stamped(&stamp()).because(Reason::technical("a-test"));
        next.t = minutes(next.t, minute);
        next
    };
    let said = |note: &Note| vec![Say::Bytes(Frame::Receipt(note.bytes().to_vec()).encode())];
    let mut cases = Vec::new();
    for kind in [Kind::Expired, Kind::Withdrawn] {
        for scene in [Scene::Collecting, Scene::Consigned] {
            cases.push(Case::new(scene, format!("{kind}"), "done", move |stage| {
                said(&stage.attacker.sign(&ended(stage, kind, 0)))
            }));
            cases.push(Case::new(
                scene,
                format!("{kind} signed by the log key"),
                "statement-wrong-signer",
                move |stage| {
                    let body = ended(stage, kind, 0);
                    said(&Note::issue(Context::Receipt, &body, &stage.attacker.keys.log).unwrap())
                },
            ));
            cases.push(Case::new(
                scene,
                format!("{kind} of another package"),
                "receipt-changed",
                move |stage| {
                    let mut body = ended(stage, kind, 0);
                    body.pkg.as_mut().unwrap().len += 1;
                    said(&stage.attacker.sign(&body))
                },
            ));
            cases.push(Case::new(
                scene,
                format!("{kind} after nothing"),
                "receipt-wrong-prev",
                move |stage| {
                    let mut body = ended(stage, kind, 0);
                    body.prev = Some(PolicySet::new(None).digest());
                    said(&stage.attacker.sign(&body))
                },
            ));
        }
        cases.push(Case::new(
            Scene::Answered,
            format!("{kind} too late"),
            "contradicts-earlier",
            move |stage| said(&stage.attacker.sign(&ended(stage, kind, 0))),
        ));
    }
    cases
}

/// A countersigned receipt, and then what does not belong after it.
pub(crate) fn headers_and_after() -> Vec<Case> {
    vec![
        Case::bytes(
            Scene::Countersigned,
            "another header",
            "header-digest-mismatch",
            Frame::Header(b"another".to_vec()).encode(),
        ),
        Case::bytes(
            Scene::Countersigned,
            "a header of 16 KiB",
            "header-digest-mismatch",
            Frame::Header(vec![b'a'; 16 << 10]).encode(),
        ),
        Case::new(
            Scene::Countersigned,
            "half the header",
            "header-digest-mismatch",
            |stage| {
                let half = stage.parcel.header[..stage.parcel.header.len() / 2].to_vec();
                vec![Say::Bytes(Frame::Header(half).encode())]
            },
        ),
        Case::new(
            Scene::Countersigned,
            "the header and a byte",
            "header-digest-mismatch",
            |stage| {
                let more = [&stage.parcel.header[..], b"\n"].concat();
                vec![Say::Bytes(Frame::Header(more).encode())]
            },
        ),
        Case::new(
            Scene::Countersigned,
            "the header twice",
            "unexpected-frame|handover",
            |stage| {
                let header = Frame::Header(stage.parcel.header.clone()).encode();
                vec![Say::Bytes([&header[..], &header[..]].concat())]
            },
        ),
        Case::new(
            Scene::Countersigned,
            "consigned again",
            "unexpected-frame",
            |stage| {
                vec![Say::Bytes(countersigned(
                    stage.attacker,
                    stage.note.unwrap(),
                ))]
            },
        ),
        Case::new(Scene::Settled, "the offer again", "done", |stage| {
            again(stage, 50)
        }),
        Case::new(
            Scene::Settled,
            "the offer with another content",
            "xid-taken",
            |stage| again(stage, 51),
        ),
        Case::new(Scene::Settled, "data for it", "done", |stage| {
            let mut says = vec![Say::Data(stage.parcel.list())];
            says.push(Say::Data(stage.parcel.segments(0, &stage.parcel.payload)));
            says.extend(again(stage, 50));
            says
        }),
    ]
}

fn again(stage: &Stage<'_>, clk: u64) -> Vec<Say> {
    let mut receipt = stage.parcel.receipt.clone();
    receipt.clk = clk;
    let offer = stage.attacker.offer(&receipt);
    vec![Say::Bytes(offer), Say::Bytes(crate::attack::disclosures())]
}
