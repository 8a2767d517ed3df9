//! The control stream: hello, papers, and what does not belong there.

use rogatory::base::Timestamp;
use rogatory::wire::{Frame, FrameKind, Hello};
use serde_json::Value;

use super::frames::every;
use crate::attack::{Attacker, hello, minutes, raw};
use crate::broken;
use crate::script::{Case, Say, Scene};

/// Messages in place of hello.
#[expect(clippy::too_many_lines, reason = "one table")]
pub(crate) fn greetings(attacker: &Attacker) -> Vec<Case> {
    let changed = |change: fn(&mut Hello)| {
        let mut hello = hello();
        change(&mut hello);
        Frame::Hello(hello).encode()
    };
    let mut cases = Vec::new();
    for (what, bytes, want) in [
        (
            "another version",
            changed(|h| h.versions = vec![2]),
            "no-common-version",
        ),
        (
            "many versions, not ours",
            changed(|h| h.versions = (2..18).collect()),
            "no-common-version",
        ),
        (
            "no version",
            changed(|h| h.versions = Vec::new()),
            "no-hello",
        ),
        (
            "17 versions",
            changed(|h| h.versions = (1..18).collect()),
            "no-hello",
        ),
        (
            "versions that descend",
            changed(|h| h.versions = vec![2, 1]),
            "no-hello",
        ),
        (
            "a clock behind",
            changed(|h| h.now = minutes(h.now, -6)),
            "clock-skew",
        ),
        (
            "a clock ahead",
            changed(|h| h.now = minutes(h.now, 6)),
            "clock-skew",
        ),
        (
            "a clock at the beginning of time",
            changed(|h| h.now = Timestamp::from_millis(0)),
            "clock-skew",
        ),
        (
            "a hello that is too long",
            raw(1, &vec![b' '; 70_000]),
            "no-hello",
        ),
        ("an unknown frame", raw(99, b"{}"), "no-hello"),
        ("half a hello", changed(|_| {})[..40].to_vec(), "no-hello"),
    ] {
        let cut = what.starts_with("half");
        cases.push(Case::new(Scene::Greeting, what, want, move |_| {
            let end = cut.then_some(Say::Finish);
            std::iter::once(Say::Bytes(bytes.clone()))
                .chain(end)
                .collect()
        }));
    }
    for (kind, bytes) in every(attacker) {
        if kind != FrameKind::Hello {
            let name = format!("{kind} in place of hello");
            cases.push(Case::bytes(Scene::Greeting, name, "no-hello", bytes));
        }
    }
    let body = Frame::Hello(hello()).body();
    let value: Value = serde_json::from_slice(&body).unwrap();
    let broken = [broken::fields(&value), broken::spellings(&body)].concat();
    for (what, bytes) in broken {
        let name = format!("hello with {what}");
        cases.push(Case::bytes(
            Scene::Greeting,
            name,
            "no-hello",
            raw(1, &bytes),
        ));
    }
    cases.push(Case::new(
        Scene::Greeting,
        "nothing at all",
        "no-hello",
        |_| vec![Say::Finish],
    ));
    cases.push(Case::new(
        Scene::Greeting,
        "the control stream is reset",
        "no-hello",
        |_| vec![Say::Bytes(vec![1]), Say::Reset],
    ));
    cases
}

/// Whether it is about logs, and belongs on the control stream.
const fn is_of_logs(kind: FrameKind) -> bool {
    matches!(
        kind,
        FrameKind::Held
            | FrameKind::AddCheckpoint
            | FrameKind::Cosignature
            | FrameKind::Knows
            | FrameKind::Gossip
    )
}

/// Messages after it.
#[expect(clippy::too_many_lines, reason = "one table")]
pub(crate) fn papers(attacker: &Attacker) -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, bytes) in every(attacker) {
        let papers = matches!(kind, FrameKind::Card | FrameKind::Crl | FrameKind::Ack);
        if !papers && !is_of_logs(kind) {
            let name = format!("{kind} on the control stream");
            cases.push(Case::bytes(Scene::Control, name, "unexpected-frame", bytes));
        }
    }
    let own = std::fs::read(attacker.folder.join("de/de.card")).unwrap();
    let other = std::fs::read(attacker.folder.join("fr/fr.card")).unwrap();
    let foreign = std::fs::read(attacker.folder.join("fr/fr.crl")).unwrap();
    let revoked = std::fs::read(attacker.folder.join("de/de.crl")).unwrap();
    let flipped = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        let at = at % bytes.len();
        bytes[at] ^= 1;
        bytes
    };
    for (what, bytes, want) in [
        ("no card", raw(2, b"no card"), "bad-card"),
        (
            "a card with a flipped bit",
            raw(2, &flipped(&own, 200)),
            "bad-card",
        ),
        (
            "a card with a flipped signature",
            raw(2, &flipped(&own, own.len() - 20)),
            "bad-card",
        ),
        ("another authority's card", raw(2, &other), "other-card-key"),
        (
            "the victim's own card",
            raw(
                2,
                &std::fs::read(attacker.folder.join("ie/ie.card")).unwrap(),
            ),
            "other-card-key",
        ),
        ("the card that is held already", raw(2, &own), "ack"),
        (
            "a card of 16 KiB",
            raw(2, &vec![b'x'; 16 << 10]),
            "bad-card",
        ),
        (
            "a card of more",
            raw(2, &vec![b'x'; (16 << 10) + 1]),
            "frame-too-long",
        ),
        ("no list", raw(3, b"no list"), "crl-invalid"),
        ("the list of another CA", raw(3, &foreign), "crl-invalid"),
        (
            "a list with a flipped signature",
            raw(3, &flipped(&revoked, revoked.len() - 5)),
            "crl-invalid",
        ),
        (
            "a list with something after it",
            raw(3, &[&revoked[..], b"x"].concat()),
            "crl-invalid",
        ),
        (
            "a list with a certificate that it does not need",
            raw(3, &[&revoked[..], &attacker.keys.ca_certificate].concat()),
            "crl-invalid",
        ),
        (
            "half a list",
            raw(3, &revoked[..revoked.len() / 2]),
            "crl-invalid",
        ),
        (
            "a list of 1 MiB",
            raw(3, &vec![0x30; 1 << 20]),
            "crl-invalid",
        ),
        ("a list of more", vec![3, 0, 16, 0, 1], "frame-too-long"),
        ("an unknown frame", raw(10, b""), "unknown-frame"),
    ] {
        cases.push(Case::bytes(Scene::Control, what, want, bytes));
    }
    let ack = br#"{"number":1,"what":"card"}"#;
    let value: Value = serde_json::from_slice(ack).unwrap();
    let broken = [broken::fields(&value), broken::spellings(ack)].concat();
    for (what, bytes) in broken {
        let name = format!("ack with {what}");
        cases.push(Case::bytes(
            Scene::Control,
            name,
            "frame-malformed",
            raw(4, &bytes),
        ));
    }
    cases.push(Case::new(
        Scene::Control,
        "half a frame, then the end",
        "frame-truncated",
        |_| vec![Say::Bytes(vec![4, 0, 0, 0, 9, b'{']), Say::Finish],
    ));
    cases.push(Case::new(
        Scene::Control,
        "it ends",
        "control-closed",
        |_| vec![Say::Finish],
    ));
    cases.push(Case::new(
        Scene::Control,
        "it is reset",
        "control-closed",
        |_| vec![Say::Reset],
    ));
    cases
}
