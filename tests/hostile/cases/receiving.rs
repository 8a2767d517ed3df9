//! The victim sends, and the attacker is the receiver: each answer that it must not give.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use quinn::{RecvStream, SendStream};
use rogatory::base::Digest;
use rogatory::identity::{Context, Note};
use rogatory::net::Link;
use rogatory::net::quic::frames::read_frame;
use rogatory::receipt::{self, Kind, Reason, Receipt};
use rogatory::wire::{DataHead, FaultMessage, Frame, Later};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::offers::put;
use crate::attack::{ANSWER, Attacker, hello, minutes, raw, stamp};
use crate::broken;

/// The parts of an answer: the dispatch, and `consigned` as both have signed it where it has come so far.
struct Sent<'a> {
    attacker: &'a Attacker,
    session: Digest,
    dispatch: &'a Note,
    consigned: Option<&'a Note>,
}

impl Sent<'_> {
    /// The receipt that is due next, or another kind in its place.
    fn next(&self, kind: Kind) -> Receipt {
        let before = self.consigned.unwrap_or(self.dispatch);
        let mut next = receipt::open(before).unwrap().follow(before, kind);
        next = next.stamped(&stamp());
        next.ses = Some(self.session);
        if kind.profile().negative {
            next = next.because(Reason::technical("a-test"));
        }
        next
    }

    /// Signed by the attacker, whatever it says.
    fn signed(&self, body: &Value) -> Vec<u8> {
        let key = &self.attacker.keys.receipts;
        match Note::issue(Context::Receipt, body, key) {
            Ok(note) => raw(19, note.bytes()),
            Err(_) => raw(19, b"no note"),
        }
    }

    fn due(&self) -> Kind {
        if self.consigned.is_some() {
            Kind::Handover
        } else {
            Kind::Consigned
        }
    }
}

type Answer = Box<dyn Fn(&Sent<'_>) -> Vec<u8> + Send + Sync>;

/// A named answer, and the word of the fault that must come.
pub(crate) struct Reply {
    name: String,
    want: String,
    answer: Answer,
}

fn reply(
    name: impl Into<String>,
    want: impl Into<String>,
    answer: impl Fn(&Sent<'_>) -> Vec<u8> + Send + Sync + 'static,
) -> Reply {
    Reply {
        name: name.into(),
        want: want.into(),
        answer: Box::new(answer),
    }
}

fn fixed(name: impl Into<String>, want: impl Into<String>, bytes: Vec<u8>) -> Reply {
    reply(name, want, move |_| bytes.clone())
}

/// Well-formed and another: what must not change, and what the fault says.
const ALTERED: [(&str, &str, &str); 22] = [
    (
        "/xid",
        "00112233445566778899aabbccddeeff",
        "receipt-changed",
    ),
    ("/prev", "DIGEST", "receipt-wrong-prev"),
    ("/step", "+1", "receipt-wrong-prev"),
    ("/step", "0", "receipt-field-value"),
    ("/from/id", "mj.example.at", "receipt-wrong-key"),
    ("/from/key", "00000000", "receipt-wrong-key"),
    ("/to/id", "mj.example.at", "receipt-wrong-key"),
    ("/to/key", "00000000", "receipt-wrong-key"),
    ("/pkg/body", "DIGEST", "receipt-changed"),
    ("/pkg/hdr", "DIGEST", "receipt-changed"),
    ("/pkg/len", "+1", "receipt-changed"),
    ("/pkg/len", "0", "receipt-field-value"),
    ("/pkg/alg", "md5", "receipt-field-value"),
    ("/terms/retain_until", "2090-12-30", "receipt-changed"),
    ("/terms/instrument", "MLA", "receipt-changed"),
    ("/terms/purposes", "[]", "statement-json-content"),
    ("/sd", "[]", "receipt-changed|statement-json-not-canonical"),
    ("/reason", "reason", "receipt-field-not-allowed"),
    ("/subject", "DIGEST", "receipt-field-not-allowed"),
    ("/heads", "heads", "receipt-field-value"),
    ("/v", "+1", "receipt-version"),
    (
        "/kind",
        "dispatch",
        "receipt-field-not-allowed|receipt-field-value|unexpected-frame",
    ),
];

fn new_value(body: &Value, pointer: &str, new: &str) -> Value {
    match new {
        "DIGEST" => json!("ab".repeat(32)),
        "+1" => json!(body.pointer(pointer).unwrap().as_u64().unwrap() + 1),
        "0" => json!(0),
        "[]" => json!([]),
        "reason" => json!({"code": "x", "clause": ""}),
        "heads" => json!([{"origin": "x.example/log", "size": 1, "root": "ab".repeat(32)}]),
        text => json!(text),
    }
}

fn altered() -> impl Iterator<Item = Reply> {
    ALTERED.iter().map(|(pointer, new, want)| {
        reply(format!("{pointer} is {new}"), *want, |sent| {
            let mut body = serde_json::to_value(sent.next(sent.due())).unwrap();
            let new = new_value(&body, pointer, new);
            put(&mut body, pointer, new);
            sent.signed(&body)
        })
    })
}

/// Wrong at every step.
fn everywhere(attacker: &Attacker) -> Vec<Reply> {
    let header = attacker.honest().header;
    let mut all: Vec<_> = altered().collect();
    for (what, bytes) in [
        ("hello", Frame::Hello(hello()).encode()),
        ("a card", raw(2, b"card")),
        ("a list", raw(3, b"list")),
        ("an ack", raw(4, br#"{"number":1,"what":"card"}"#)),
        ("an offer", raw(16, b"offer")),
        ("disclosures", raw(17, b"[]")),
        ("a header", raw(20, &header)),
        ("done", Frame::Done.encode()),
    ] {
        all.push(fixed(what, "unexpected-frame", bytes));
    }
    for kind in [
        Kind::Dispatch,
        Kind::Expired,
        Kind::Withdrawn,
        Kind::AccessDenied,
    ] {
        all.push(reply(format!("{kind}"), "unexpected-frame|receipt-field-value|receipt-field-not-allowed|receipt-field-missing|no note", move |sent| {
            sent.signed(&serde_json::to_value(sent.next(kind)).unwrap())
        }));
    }
    all.push(reply(
        "signed by the log key",
        "statement-wrong-signer",
        |sent| {
            let key = &sent.attacker.keys.log;
            let note = Note::issue(Context::Receipt, &sent.next(sent.due()), key).unwrap();
            raw(19, note.bytes())
        },
    ));
    all.push(reply(
        "countersigned by ourselves",
        "statement-signature-count",
        |sent| {
            let note = sent.attacker.sign(&sent.next(sent.due()));
            let both = note.countersign(&sent.attacker.keys.log).unwrap();
            raw(19, both.bytes())
        },
    ));
    all.push(reply(
        "a flipped signature",
        "statement-bad-signature|note-signature-line",
        |sent| {
            let mut bytes = sent.attacker.sign(&sent.next(sent.due())).bytes().to_vec();
            let at = bytes.len() - 30;
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            raw(19, &bytes)
        },
    ));
    all.push(fixed(
        "a receipt of bytes",
        "note-not-utf8",
        raw(19, &[0xff; 300]),
    ));
    all.push(fixed("an unknown frame", "unknown-frame", raw(77, b"x")));
    all.push(fixed(
        "a receipt of 4 GiB",
        "frame-too-long",
        vec![19, 255, 255, 255, 255],
    ));
    all.push(fixed("an empty receipt", "frame-empty", raw(19, b"")));
    all
}

/// Wrong before `consigned`.
#[expect(clippy::too_many_lines, reason = "one table")]
fn before(attacker: &Attacker) -> Vec<Reply> {
    let mut all = everywhere(attacker);
    let runs = |runs: &str| raw(18, format!(r#"{{"missing":[{runs}]}}"#).as_bytes());
    let ends = [
        ("a segment too many", "[0,4]", "segment-outside"),
        (
            "segments far outside",
            "[9007199254740990,1]",
            "segment-outside",
        ),
        (
            "as many as there can be",
            "[1,9007199254740991]",
            "segment-outside",
        ),
        ("runs that descend", "[2,1],[0,1]", "frame-malformed"),
        ("negative runs", "[-1,1]", "frame-malformed"),
    ];
    for (what, list, want) in ends {
        all.push(fixed(format!("accept: {what}"), want, runs(list)));
    }
    all.push(fixed(
        "accept twice",
        "unexpected-frame",
        [runs("[0,1]"), runs("[1,1]")].concat(),
    ));
    for (what, bytes) in broken::spellings(br#"{"missing":[[0,1]]}"#) {
        all.push(fixed(
            format!("accept with {what}"),
            "frame-malformed",
            raw(18, &bytes),
        ));
    }
    for kind in [Kind::Handover, Kind::HandoverFailed] {
        all.push(reply(
            format!("{kind} too early"),
            "unexpected-frame",
            move |sent| raw(19, sent.attacker.sign(&sent.next(kind)).bytes()),
        ));
    }
    all.push(reply(
        "rejected by the log key",
        "statement-wrong-signer",
        |sent| {
            let body = sent.next(Kind::Rejected);
            raw(
                19,
                Note::issue(Context::Receipt, &body, &sent.attacker.keys.log)
                    .unwrap()
                    .bytes(),
            )
        },
    ));
    all.push(reply(
        "rejected without reason",
        "receipt-field-missing",
        |sent| {
            let mut body = sent.next(Kind::Rejected);
            body.reason = None;
            sent.signed(&serde_json::to_value(body).unwrap())
        },
    ));
    let later = |after_s| {
        Frame::Later(Later {
            code: "busy".to_owned(),
            after_s,
        })
        .encode()
    };
    all.push(fixed("later, never", "finished", later((1 << 53) - 1)));
    all.push(fixed("later, now", "finished", later(0)));
    all.push(fixed(
        "a fault",
        "finished",
        Frame::Fault(FaultMessage::new("broken", "a test")).encode(),
    ));
    all
}

/// Wrong after `consigned`.
fn after(attacker: &Attacker) -> Vec<Reply> {
    let mut all = everywhere(attacker);
    all.push(fixed(
        "accept",
        "contradicts-earlier",
        raw(18, br#"{"missing":[[0,1]]}"#),
    ));
    all.push(reply("another consigned", "contradicts-earlier", |sent| {
        let dispatch = receipt::open(sent.dispatch).unwrap();
        let mut other = dispatch
            .follow(sent.dispatch, Kind::Consigned)
            .stamped(&stamp());
        other.t = minutes(other.t, 1);
        other.ses = Some(sent.session);
        raw(19, sent.attacker.sign(&other).bytes())
    }));
    all.push(reply(
        "rejected",
        "unexpected-frame|receipt-may-not-follow",
        |sent| {
            let dispatch = receipt::open(sent.dispatch).unwrap();
            let other = dispatch
                .follow(sent.dispatch, Kind::Rejected)
                .stamped(&stamp());
            raw(
                19,
                sent.attacker
                    .sign(&other.because(Reason::technical("x")))
                    .bytes(),
            )
        },
    ));
    all
}

/// One offer of the victim's, up to the attacker's turn.
struct Offered {
    send: SendStream,
    recv: RecvStream,
    dispatch: Note,
}

async fn frame(recv: &mut RecvStream) -> Result<Option<Frame>, String> {
    let read = timeout(ANSWER, read_frame(recv)).await;
    let read = read.map_err(|_| "silence".to_owned())?;
    read.map_err(|fault| fault.code().to_owned())
}

async fn offered((send, mut recv): (SendStream, RecvStream)) -> Result<Offered, String> {
    let Some(Frame::Offer(bytes)) = frame(&mut recv).await? else {
        return Err("no offer".to_owned());
    };
    let dispatch = Note::parse(&bytes).map_err(|e| e.to_string())?;
    match frame(&mut recv).await? {
        Some(Frame::Disclosures(_)) => Ok(Offered {
            send,
            recv,
            dispatch,
        }),
        other => Err(format!("{other:?} in place of disclosures")),
    }
}

/// How the victim ends it, in a word.
async fn end(offered: &mut Offered) -> String {
    loop {
        match frame(&mut offered.recv).await {
            Ok(Some(Frame::Fault(fault))) => return fault.code,
            Ok(Some(Frame::Receipt(_) | Frame::Header(_))) => {}
            Ok(Some(other)) => return other.kind().to_string(),
            Ok(None) => return "finished".to_owned(),
            Err(word) => return word,
        }
    }
}

/// Plays the answers on whatever the victim offers, until there is none left; what was wrong. Of a known exchange it is
/// remembered whether `consigned` was said: the victim then offers it for the rest only.
pub(crate) async fn play(attacker: &Attacker) -> (usize, Vec<String>) {
    let (link, _control) = attacker.up().await;
    let drain = tokio::spawn(drain(link.clone()));
    let mut early: VecDeque<_> = before(attacker).into();
    let mut late: VecDeque<_> = after(attacker).into();
    let played = early.len() + late.len();
    let mut wrong = Vec::new();
    let mut consigned: HashMap<String, Note> = HashMap::new();
    while !(early.is_empty() && late.is_empty()) {
        let streams = timeout(Duration::from_mins(2), link.connection.accept_bi()).await;
        let Ok(Ok(streams)) = streams else {
            wrong.push(format!(
                "no more offers, {} answers are left",
                early.len() + late.len()
            ));
            break;
        };
        let mut stream = match offered(streams).await {
            Ok(stream) => stream,
            Err(why) => {
                wrong.push(why);
                continue;
            }
        };
        let text = stream.dispatch.text().to_owned();
        if !consigned.contains_key(&text) && (early.is_empty() || consigned.len() < 8) {
            match consign(attacker, link.session, &mut stream).await {
                Ok(note) => drop(consigned.insert(text.clone(), note)),
                Err(why) => wrong.push(why),
            }
        }
        let held = consigned.get(&text);
        let queue = if held.is_some() {
            &mut late
        } else {
            &mut early
        };
        let Some(reply) = queue.pop_front() else {
            continue;
        };
        let sent = Sent {
            attacker,
            session: link.session,
            dispatch: &stream.dispatch,
            consigned: held,
        };
        let bytes = (reply.answer)(&sent);
        drop(stream.send.write_all(&bytes).await);
        let got = end(&mut stream).await;
        if !reply.want.split('|').any(|want| want == got) {
            let scene = if held.is_some() { "Header" } else { "Payload" };
            wrong.push(format!(
                "{scene} sent: {}: {got} in place of {}",
                reply.name, reply.want
            ));
        }
    }
    link.close(0, "over");
    drain.abort();
    (played, wrong)
}

/// Takes the header against a good `consigned`: the note with both signatures.
async fn consign(
    attacker: &Attacker,
    session: Digest,
    stream: &mut Offered,
) -> Result<Note, String> {
    let sent = Sent {
        attacker,
        session,
        dispatch: &stream.dispatch,
        consigned: None,
    };
    let note = attacker.sign(&sent.next(Kind::Consigned));
    drop(stream.send.write_all(&raw(19, note.bytes())).await);
    let both = match frame(&mut stream.recv).await? {
        Some(Frame::Receipt(bytes)) => Note::parse(&bytes).map_err(|e| e.to_string())?,
        other => return Err(format!("{other:?} in place of the countersigned receipt")),
    };
    match frame(&mut stream.recv).await? {
        Some(Frame::Header(_)) => Ok(both),
        other => Err(format!("{other:?} in place of the header")),
    }
}

/// Reads data streams, so that nothing is in the way.
async fn drain(link: Link) {
    while let Ok(mut stream) = link.connection.accept_uni().await {
        let mut head = [0; DataHead::BYTES_MAX];
        tokio::spawn(async move { drop(stream.read(&mut head).await) });
    }
}
