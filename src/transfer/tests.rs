//! Both machines against each other and alone, without input or output.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::consignment::Consignment;
use super::receiver::Receiver;
use super::reception::Admission;
use super::*;
use crate::base::{Ranges, Xid, limits};
use crate::identity::keys::{KeyName, Role, SecretKey};
use crate::identity::statement::{Context, Note};
use crate::policy::{Purpose, Terms};
use crate::receipt::{Disclosure, Kind, Party, Pkg, Reason, Receipt, Stamp, disclosure};
use crate::wire::{Ack, Frame, FrameKind, HEAD_BYTES, Hello, Later};

mod after;
mod books;
mod receiving;
mod sending;
mod together;

const SENDER: &str = "bfj.example.de";
const RECEIVER: &str = "mla.example.ie";
const THIRD: &str = "mj.example.fr";
const SEGMENTS: u64 = 3;
const HEADER: &[u8] = b"age-encryption.org/v1\n";

fn key(authority: &str, seed: u8) -> SecretKey {
    let name = KeyName::new(authority.parse().unwrap(), Role::Receipts);
    SecretKey::from_seed(name, &[seed; 32])
}

fn seed(authority: &str) -> u8 {
    u8::try_from(authority.len()).unwrap()
}

fn own_key(authority: &str) -> SecretKey {
    key(authority, seed(authority))
}

fn own(authority: &str) -> Arc<Own> {
    Arc::new(Own {
        id: authority.parse().unwrap(),
        keys: OwnKeys::new(1, own_key(authority)),
        policy: PolicySet::new(None),
        clock_uncertainty_ms: 50,
        package_max: 1 << 30,
    })
}

fn other(authority: &str) -> Other {
    Other {
        id: authority.parse().unwrap(),
        keys: PartyKeys::new(1, own_key(authority).public()).into(),
        session: Some(Digest::of(b"session")),
    }
}

fn clock() -> Timestamp {
    "2026-11-23T09:00:00.000Z".parse().unwrap()
}

fn moment(second: u64) -> Moment {
    Moment {
        instant: Instant(second * 1_000),
        clock: clock().plus_millis(i64::try_from(second * 1_000).unwrap()),
        heads: Vec::new(),
    }
}

fn case() -> Disclosure {
    Disclosure::new([7; 16], disclosure::CASE, "DE/2026/000042")
}

/// The disclosures beside every dispatch.
fn beside() -> Vec<Disclosure> {
    let digest = |name, of: &[u8]| Disclosure::new([8; 16], name, Digest::of(of).to_string());
    vec![
        case(),
        digest(disclosure::MANIFEST, b"manifest"),
        digest(disclosure::ITEM_ROOT, b"items"),
    ]
}

fn texts() -> Vec<String> {
    beside().iter().map(Disclosure::encode).collect()
}

fn len(inline: bool) -> u64 {
    if inline {
        4_096
    } else {
        (SEGMENTS - 1) * limits::SEGMENT_BYTES + 17
    }
}

/// The dispatch that all tests begin with, to be altered.
fn dispatch(inline: bool) -> Receipt {
    let terms = Terms::new(
        "EIO".parse().unwrap(),
        [Purpose::Prosecution, Purpose::Trial],
        "2031-12-31".parse().unwrap(),
    );
    let stamp = Stamp {
        t: clock(),
        clk: 50,
        pol: PolicySet::new(None).digest(),
        ses: None,
        heads: Vec::new(),
    };
    Receipt::dispatch(
        Xid::from_bytes([9; 16]),
        own(SENDER).keys.party().clone(),
        own(RECEIVER).keys.party().clone(),
        Pkg::new(Digest::of(b"body"), Digest::of(HEADER), len(inline)),
        terms,
    )
    .disclosing(&beside())
    .stamped(&stamp)
}

fn signed(receipt: &Receipt) -> Note {
    receipt.sign(&own_key(SENDER)).unwrap()
}

/// The statement after this one, as its issuer signs it.
fn next(before: &Note, kind: Kind) -> Note {
    let receipt = crate::receipt::open(before).unwrap();
    let stamp = Stamp {
        t: clock(),
        clk: 50,
        pol: PolicySet::new(None).digest(),
        ses: None,
        heads: Vec::new(),
    };
    let mut next = receipt.follow(before, kind).stamped(&stamp);
    if kind.is_reasoned() {
        next = next.because(Reason::technical("for-a-test"));
    }
    let issuer = next.issuer().unwrap().id.to_string();
    next.sign(&own_key(&issuer)).unwrap()
}

fn countersigned(note: &Note) -> Note {
    note.countersign(&own_key(SENDER)).unwrap()
}

fn receipt_frame(note: &Note) -> Frame {
    Frame::Receipt(note.bytes().to_vec())
}

fn consignment(dispatch: &Note, inline: bool) -> Consignment {
    Consignment {
        xid: Xid::from_bytes([9; 16]),
        dispatch: dispatch.clone(),
        disclosures: texts(),
        header: Some(Zeroizing::new(HEADER.to_vec())),
        segments: if inline { 1 } else { SEGMENTS },
        inline,
    }
}

fn sender(progress: Progress, inline: bool) -> Sender {
    let consignment = consignment(&signed(&dispatch(inline)), inline);
    Sender::new(own(SENDER), other(RECEIVER), consignment, progress).unwrap()
}

/// One frame of each kind, well-formed.
fn frame(kind: FrameKind) -> Frame {
    match kind {
        FrameKind::Hello => Frame::Hello(Hello {
            versions: vec![1],
            now: clock(),
            card: 1,
            crls: Vec::new(),
            peer_card: 1,
            peer_crls: Vec::new(),
        }),
        FrameKind::Card => Frame::Card(b"card".to_vec()),
        FrameKind::Crl => Frame::Crl(b"crl".to_vec()),
        FrameKind::Ack => Frame::Ack(Ack::card(1)),
        FrameKind::Held => Frame::Held(b"note".to_vec()),
        FrameKind::AddCheckpoint => Frame::AddCheckpoint(b"old 0".to_vec()),
        FrameKind::Cosignature => Frame::Cosignature(b"line".to_vec()),
        FrameKind::Knows => Frame::Knows(vec![0; 32]),
        FrameKind::Gossip => Frame::Gossip(b"note".to_vec()),
        FrameKind::Offer => Frame::Offer(signed(&dispatch(false)).bytes().to_vec()),
        FrameKind::Disclosures => Frame::Disclosures(texts()),
        FrameKind::Accept => Frame::Accept {
            missing: Ranges::all(1),
        },
        FrameKind::Receipt => receipt_frame(&signed(&dispatch(false))),
        FrameKind::Header => Frame::Header(HEADER.to_vec()),
        FrameKind::Later => Frame::Later(Later {
            code: "busy".to_owned(),
            after_s: 7,
        }),
        FrameKind::Done => Frame::Done,
        FrameKind::Fault => Frame::Fault(crate::wire::FaultMessage::new("broken", "a test")),
    }
}

fn outputs<M: Machine>(machine: &mut M) -> Vec<M::Output> {
    std::iter::from_fn(|| machine.poll_output()).collect()
}

/// How a machine ended, in a word: the code of its fault, or the kind of its end; none while it goes on.
fn word(outcome: Option<&Outcome>) -> String {
    match outcome {
        None => "goes-on".to_owned(),
        Some(Outcome::Delivered) => "delivered".to_owned(),
        Some(Outcome::Ended) => "ended".to_owned(),
        Some(Outcome::Later { code, .. }) => format!("later {code}"),
        Some(Outcome::Faulted(fault)) => fault.code.clone(),
        Some(Outcome::TimedOut) => "timed-out".to_owned(),
    }
}
