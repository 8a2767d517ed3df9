//! A real daemon, and a peer with a good certificate and good signatures whose fields are at the ends of their types.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rogatory::base::{Digest, json};
use rogatory::identity::{Context, Note, SecretKey};
use rogatory::net::Link;
use rogatory::policy::{Restriction, Terms};
use rogatory::receipt::{self, Kind, Party};
use rogatory::wire::{Frame, FrameKind};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::attack::{Attacker, Parcel, disclosures, stamp};
use crate::documents::{Document, Mutant, Tally, is_chosen};
use crate::examples::{example, full_terms, value};
use crate::pure::{encoded, framed, signed};
use crate::schema::Schema;
use crate::script::{Say, Scene, Talk, countersigned, enter};
use crate::victim::{HOSTILE, Victim};
use crate::{control, oddities, sources};

/// Rates are not what is tried; and who is silent is given up soon.
const LIMITS: &[(&str, &str)] = &[
    ("ROGATORY__LIMITS__PATIENCE", "10 s"),
    ("ROGATORY__LIMITS__OFFERS_PER_SECOND", "100000"),
    ("ROGATORY__LIMITS__CONTROL_PER_SECOND", "100000"),
];
/// Streams at once.
const AT_ONCE: usize = 8;
/// One in so many fields of statements after the handover that were tried in full in another kind.
const AGAIN: u64 = 8;
/// The whole campaign may take so long on a busy machine.
const PATIENCE: Duration = Duration::from_mins(20);

/// Messages on a stream of their own.
pub(crate) struct Saying {
    pub(crate) family: String,
    pub(crate) mutant: Mutant,
    /// Frames and data streams, in their order.
    pub(crate) says: Vec<Say>,
    /// Whether the library cannot read it, so that the daemon must refuse it.
    pub(crate) is_bad: bool,
}

/// Whether it is a word that a program can act on, rather than silence or a lost connection.
pub(crate) fn is_typed(end: &str) -> bool {
    let letter = |it: char| it.is_ascii_alphanumeric() || "-:.".contains(it);
    !end.is_empty() && end != "silence" && end.chars().all(letter)
}

/// The fault of this end, in words.
pub(crate) fn judged(what: &str, end: &str, is_bad: bool) -> Option<String> {
    let taken = [
        "finished",
        "done",
        "ack",
        "consigned",
        "handover",
        "destroyed",
    ]
    .contains(&end);
    (!is_typed(end) || is_bad && taken).then(|| format!("{what}: {end}"))
}

/// A link that is dialled anew where it has ended.
pub(crate) async fn linked(attacker: &Attacker, link: &mut Option<(Link, Control)>) -> Link {
    let is_up = |link: &Link| link.connection.close_reason().is_none();
    if link.as_ref().is_none_or(|(link, _)| !is_up(link)) {
        *link = Some(attacker.up().await);
    }
    let (link, _) = link.as_ref().expect("it was dialled");
    link.clone()
}

type Control = (quinn::SendStream, quinn::RecvStream);

async fn say(link: &Link, saying: Saying) -> Option<String> {
    let what = saying.mutant.what;
    let mut talk = match Talk::open(link).await {
        Ok(talk) => talk,
        Err(why) => return Some(format!("{what}: {why}")),
    };
    for say in saying.says {
        talk.say(say).await;
    }
    talk.say(Say::Finish).await;
    judged(&what, &talk.end().await, saying.is_bad)
}

/// Says all of it, several at once.
async fn said(attacker: &Arc<Attacker>, sayings: Vec<Saying>, tally: &mut Tally) {
    let mut link = None;
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut playing = JoinSet::new();
    for saying in sayings {
        tally.add(&saying.family, &saying.mutant);
        let place = Arc::clone(&places).acquire_owned().await.expect("open");
        let link = linked(attacker, &mut link).await;
        playing.spawn(async move {
            let wrong = say(&link, saying).await;
            drop(place);
            wrong
        });
    }
    let ends = playing.join_all().await;
    tally.wrong.extend(ends.into_iter().flatten());
}

fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let (from, to) = (from.as_bytes(), to.as_bytes());
    let Some(at) = bytes.windows(from.len()).position(|it| it == from) else {
        return bytes.to_vec();
    };
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

fn opened(key: &SecretKey, body: &[u8]) -> Result<Kind, String> {
    let note = Note::parse(&signed(Context::Receipt, body, key)).map_err(|e| e.to_string())?;
    let receipt = receipt::open(&note).map_err(|e| e.to_string())?;
    Ok(receipt.kind)
}

/// Dispatches: each goes as far as it is taken, to its handover where nothing is wrong with it.
async fn dispatches(attacker: &Arc<Attacker>, tally: &mut Tally) {
    let key = &attacker.keys.receipts;
    let mut base = attacker.honest();
    base.receipt.terms = Some(all_terms());
    let schema = Schema::of("receipt", "");
    let document = Document::new("dispatch", schema, value(&base.receipt));
    let xid = base.xid().to_string();
    assert_eq!(
        opened(key, &json::canonical(&document.example)),
        Ok(Kind::Dispatch)
    );
    let mut link = None;
    let mut sayings = Vec::new();
    let mut good = Vec::new();
    for (number, mutant) in document.mutants().into_iter().enumerate() {
        let fresh = Digest::of(format!("dispatch {number}").as_bytes()).to_string();
        let body = replaced(&mutant.bytes, &xid, &fresh[..32]);
        let note = signed(Context::Receipt, &body, key);
        let opened = Note::parse(&note).ok();
        let receipt = opened.and_then(|note| receipt::open(&note).ok());
        let receipt = receipt.filter(|it| it.kind == Kind::Dispatch && it.sign(key).is_ok());
        if let Some(receipt) = receipt {
            good.push((mutant, receipt));
            continue;
        }
        let says = vec![framed(FrameKind::Offer as u8, &note), disclosures()];
        sayings.push(Saying {
            family: "dispatch".to_owned(),
            mutant,
            says: says.into_iter().map(Say::Bytes).collect(),
            is_bad: true,
        });
    }
    assert!(good.len() > 50, "{} dispatches are well-formed", good.len());
    said(attacker, sayings, tally).await;
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut playing = JoinSet::new();
    for (mutant, receipt) in good {
        tally.add("dispatch", &mutant);
        let place = Arc::clone(&places).acquire_owned().await.expect("open");
        let link = linked(attacker, &mut link).await;
        let (header, payload) = (base.header.clone(), base.payload.clone());
        let attacker = Arc::clone(attacker);
        playing.spawn(async move {
            let parcel = Parcel {
                receipt,
                header,
                payload,
            };
            let end = settled(&attacker, &link, &parcel).await;
            drop(place);
            let end = end.map_or_else(|why| why, |_| "done".to_owned());
            // Whoever pledges other bytes than come is given up.
            (end == "silence").then(|| format!("{}: {end}", mutant.what))
        });
    }
    let ends = playing.join_all().await;
    tally.wrong.extend(ends.into_iter().flatten());
}

/// A handover that both have signed, for what may follow it.
async fn settled(attacker: &Attacker, link: &Link, parcel: &Parcel) -> Result<Value, String> {
    let mut talk = enter(attacker, link, Scene::Answered, parcel).await?;
    let handover = talk.note.take().ok_or("no handover")?;
    let both = countersigned(attacker, &handover);
    talk.say(Say::Bytes(both)).await;
    match talk.end().await.as_str() {
        "done" => {}
        end => return Err(end.to_owned()),
    }
    let receipt = receipt::open(&handover).map_err(|e| e.to_string())?;
    let next = receipt.follow(&handover, Kind::RestrictionChanged);
    Ok(value(&next.stamped(&stamp())))
}

/// The kinds that may come after a handover or on their own, what the daemon takes from a sender first.
fn kinds() -> Vec<Kind> {
    let mut all = Kind::ALL.to_vec();
    all.retain(|kind| *kind != Kind::Dispatch);
    all.sort_by_key(|kind| *kind != Kind::RestrictionChanged);
    all
}

/// The example of a kind with all its fields, made to follow this handover.
fn following(attacker: &Attacker, kind: Kind, base: &Value) -> Value {
    let mut body = value(&example(kind, true));
    let own = Party::of(1, &attacker.keys.receipts.public());
    for (name, party) in [("from", own), ("to", Party::of(1, attacker.victim_key()))] {
        if body.get(name).is_some() {
            body[name] = value(&party);
        }
    }
    for field in ["xid", "pkg", "prev", "step", "terms", "t", "pol"] {
        if body.get(field).is_some() && base.get(field).is_some() {
            body[field] = base[field].clone();
        }
    }
    // The head of an empty log, which every log has had.
    let mut head = body["heads"][0].clone();
    head["origin"] = attacker.keys.log.name().to_string().into();
    body["heads"] = vec![head].into();
    body
}

/// Statements after a handover: each kind in its context, signed by the peer.
async fn statements(attacker: &Arc<Attacker>, tally: &mut Tally) {
    let mut link = None;
    let mut base = fresh(attacker, &mut link).await;
    let mut seen = BTreeSet::new();
    let mut taken = 0;
    for kind in kinds() {
        let schema = Schema::of("receipt", "");
        let document = Document::new(kind.as_str(), schema, following(attacker, kind, &base));
        for (field, place) in document.places() {
            let is_new = seen.insert(field.clone());
            if !is_new && !is_chosen(&format!("{kind} {field}"), AGAIN) {
                continue;
            }
            for mutant in document.mutants_at(&field, &place) {
                tally.add("statement", &mutant);
                let now = following(attacker, kind, &base);
                let bytes = rebased(&mutant.bytes, &document.example, &now);
                let note = signed(kind.context(), &bytes, &attacker.keys.receipts);
                let says = [framed(FrameKind::Receipt as u8, &note), framed(17, b"[]")];
                let up = linked(attacker, &mut link).await;
                let end = talked(&up, says).await;
                if ["done", "destroyed"].contains(&end.as_str()) {
                    taken += 1;
                    base = fresh(attacker, &mut link).await;
                }
                tally.wrong.extend(judged(&mutant.what, &end, false));
            }
        }
    }
    assert!(taken > 5, "{taken} statements after a handover were taken");
}

async fn talked(link: &Link, says: [Vec<u8>; 2]) -> String {
    let mut talk = match Talk::open(link).await {
        Ok(talk) => talk,
        Err(why) => return why,
    };
    for bytes in says {
        talk.say(Say::Bytes(bytes)).await;
    }
    talk.say(Say::Finish).await;
    talk.end().await
}

/// Statements that follow the handover of a new package whose terms have all fields.
async fn fresh(attacker: &Arc<Attacker>, link: &mut Option<(Link, Control)>) -> Value {
    let link = linked(attacker, link).await;
    let mut parcel = attacker.honest();
    parcel.receipt.terms = Some(all_terms());
    let base = settled(attacker, &link, &parcel).await;
    base.expect("an honest package is taken")
}

fn all_terms() -> Terms {
    Terms {
        retain_until: "2090-12-31".parse().expect("a day"),
        restrictions: vec![Restriction::Confidential],
        ..full_terms()
    }
}

/// The bytes with exchange and predecessor of another handover.
fn rebased(bytes: &[u8], from: &Value, to: &Value) -> Vec<u8> {
    let text = |value: &Value, pointer: &str| {
        value
            .pointer(pointer)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let mut bytes = bytes.to_vec();
    for pointer in ["/xid", "/prev", "/pkg/body", "/pkg/hdr"] {
        if let (Some(from), Some(to)) = (text(from, pointer), text(to, pointer)) {
            bytes = replaced(&bytes, &from, &to);
        }
    }
    bytes
}

/// Frames whose bodies are JSON, where an exchange begins; and odd documents in each.
fn frames() -> Vec<Saying> {
    let mut all = Vec::new();
    for (kind, document) in sources::frames() {
        let family = format!("frame {}", document.name);
        let mut mutants = document.mutants();
        if document.name != "hello" {
            mutants.extend(odd(&document.name));
        }
        for mutant in mutants {
            let kinds = FrameKind::ALL.iter();
            let kind = kinds.copied().find(|it| *it as u8 == kind).expect("a type");
            all.push(Saying {
                family: family.clone(),
                says: vec![Say::Bytes(framed(kind as u8, &mutant.bytes))],
                is_bad: Frame::decode(kind, &mutant.bytes).is_err(),
                mutant,
            });
        }
    }
    all
}

pub(crate) fn odd(of: &str) -> impl Iterator<Item = Mutant> {
    let of = of.to_owned();
    oddities::all()
        .into_iter()
        .enumerate()
        .map(move |(number, bytes)| Mutant {
            field: String::new(),
            what: format!(
                "{of} is oddity {number}: {:.40}",
                String::from_utf8_lossy(&bytes)
            ),
            bytes,
        })
}

/// Disclosures beside offers that hold their digests, and odd documents in the place of one.
fn disclosed(attacker: &Attacker) -> Vec<Saying> {
    let mut all = Vec::new();
    for document in sources::disclosures() {
        let mutants = document.mutants().into_iter();
        let odd = (document.name == "disclosure case").then(|| odd("disclosure case"));
        for mutant in mutants.chain(odd.into_iter().flatten()) {
            let name = document.name.trim_start_matches("disclosure ");
            let mut beside = crate::attack::beside();
            beside.retain(|it| it.name != name);
            let mut texts = crate::attack::texts(&beside);
            texts.push(encoded(&mutant.bytes));
            let digests = texts.iter().map(|text| Digest::of(text.as_bytes()));
            let mut receipt = attacker.honest().receipt;
            receipt.sd = digests.collect();
            receipt.sd.sort_unstable();
            let list = Frame::Disclosures(texts).encode();
            let too_long = list.len() > 64 << 10;
            let says = vec![attacker.offer(&receipt), list];
            all.push(Saying {
                family: document.name.clone(),
                mutant,
                says: says.into_iter().map(Say::Bytes).collect(),
                is_bad: too_long,
            });
        }
    }
    all
}

/// Odd documents as the second line of a note that is signed properly.
fn odd_notes(attacker: &Attacker) -> Vec<Saying> {
    let key = &attacker.keys.receipts;
    let all = odd("dispatch").map(|mutant| Saying {
        family: "dispatch".to_owned(),
        says: vec![Say::Bytes(framed(
            16,
            &signed(Context::Receipt, &mutant.bytes, key),
        ))],
        mutant,
        is_bad: true,
    });
    all.collect()
}

async fn streams(attacker: Arc<Attacker>) -> Tally {
    let mut tally = Tally::default();
    dispatches(&attacker, &mut tally).await;
    let mut sayings = frames();
    sayings.extend(disclosed(&attacker));
    sayings.extend(odd_notes(&attacker));
    said(&attacker, sayings, &mut tally).await;
    for (_, document) in sources::frames() {
        tally.assert_all(&format!("frame {}", document.name), &document.schema);
    }
    tally
}

async fn told(attacker: Arc<Attacker>) -> Tally {
    let mut tally = Tally::default();
    statements(&attacker, &mut tally).await;
    tally.assert_all("statement", &Schema::of("receipt", ""));
    tally
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_field_that_a_peer_can_say_ends_the_daemon() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut victim = Victim::start(folder.path(), LIMITS);
    let pid = pid_of(&victim);
    let attacker = |at: usize| {
        let (alias, id) = HOSTILE[at];
        Arc::new(Attacker::new(folder.path(), alias, id, victim.address))
    };
    let parts = [
        tokio::spawn(streams(attacker(0))),
        tokio::spawn(told(attacker(1))),
        tokio::spawn(control::greetings(attacker(2))),
        tokio::spawn(control::papers(attacker(3), attacker(5))),
        tokio::spawn(control::heads(attacker(4))),
    ];
    let mut tally = Tally::default();
    for part in parts {
        let part = tokio::time::timeout(PATIENCE, part).await;
        tally.take(part.expect("an end").expect("no panic here"));
    }
    let (ends, words) = ended(&mut victim, &pid);
    tally.wrong.extend(words);
    let received = victim.received().len();
    assert!(received > 50, "{received} packages were received");
    tally.finish("a peer", ends);
}

pub(crate) fn pid_of(victim: &Victim) -> Value {
    let status: Value =
        serde_json::from_slice(&victim.ask("ie", &["status", "--json"])).expect("JSON");
    assert!(status["pid"].is_u64(), "{status}");
    status["pid"].clone()
}

/// Whether it is another process than before, has panicked in a task, or cannot show what it has stored.
pub(crate) fn ended(victim: &mut Victim, pid: &Value) -> (usize, Vec<String>) {
    let log = victim.log();
    let panics = log.lines().filter(|line| line.contains("panicked at"));
    let mut words: Vec<_> = panics.map(str::to_owned).collect();
    let mut ends = words.len();
    if !victim.alive() {
        return (ends + 1, words);
    }
    if pid_of(victim) != *pid {
        ends += 1;
        words.push("another process".to_owned());
    }
    for view in [
        ["package", "list", "--json"],
        ["receipt", "list", "--json"],
        ["log", "status", "--json"],
        ["transfer", "list", "--json"],
        ["peer", "list", "--json"],
    ] {
        let shown: Result<Value, _> = serde_json::from_slice(&victim.ask("ie", &view));
        if shown.is_err() {
            words.push(format!("{view:?} is not JSON"));
        }
    }
    (ends, words)
}
