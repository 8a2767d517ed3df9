//! The control stream: hello, cards, acknowledgements, and heads of logs.

use std::sync::Arc;

use rogatory::base::Digest;
use rogatory::identity::note::SignatureLine;
use rogatory::identity::{Card, Context, Note};
use rogatory::net::Link;
use rogatory::wire::{Frame, FrameKind, Hello, ListNumber};
use serde_json::Value;

use crate::attack::{Attacker, hello, why_closed};
use crate::documents::{Document, Mutant, Tally};
use crate::peer::{judged, odd};
use crate::pure::{framed, signed};
use crate::schema::Schema;
use crate::script::{Say, Talk};
use crate::sources;
use crate::values::tokens;

/// Where the number of a card begins to count; each that is taken must be above the one before.
const FIRST_CARD: u64 = 2;

/// A connection and its control stream.
struct Line {
    link: Link,
    talk: Talk,
}

impl Line {
    /// One on which nothing was said.
    async fn silent(attacker: &Attacker) -> Self {
        let link = attacker.dial().await;
        let talk = Talk::open(&link).await.expect("the first stream");
        Self { link, talk }
    }

    /// One that is up.
    async fn greeted(attacker: &Attacker) -> Self {
        let mut line = Self::silent(attacker).await;
        let hello = Frame::Hello(hello()).encode();
        line.talk.say(Say::Bytes(hello)).await;
        assert_eq!(line.talk.end().await, "hello");
        line
    }

    fn is_up(&self) -> bool {
        self.link.connection.close_reason().is_none()
    }

    /// The word after it and after what is refused for certain.
    async fn answer(&mut self, frame: &[u8]) -> String {
        self.talk.say(Say::Bytes(frame.to_vec())).await;
        let marker = framed(FrameKind::Crl as u8, b"no list");
        self.talk.say(Say::Bytes(marker)).await;
        loop {
            match self.talk.end().await.as_str() {
                "hello" => {}
                // The reason comes with the end of the connection.
                "finished" => return why_closed(&self.link).await,
                end => return end.to_owned(),
            }
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.link.close(0, "over");
    }
}

/// Hello and acknowledgements in all forms, each on a connection of its own; and what follows it.
pub(crate) async fn greetings(attacker: Arc<Attacker>) -> Tally {
    let mut tally = Tally::default();
    for (kind, mut document) in sources::frames() {
        if !["hello", "ack"].contains(&document.name.as_str()) {
            continue;
        }
        let is_hello = document.name == "hello";
        if is_hello {
            let list = ListNumber {
                ca: Digest::of(b"a CA"),
                number: 1,
            };
            let now = Hello {
                crls: vec![list],
                peer_crls: vec![list],
                ..hello()
            };
            let now = serde_json::to_value(now).expect("ours");
            document = Document::new("hello", Schema::of("frames", "/$defs/hello"), now);
        }
        let family = format!("control {}", document.name);
        let known = FrameKind::ALL.iter().copied().find(|it| *it as u8 == kind);
        let known = known.expect("a type");
        for mutant in document.mutants() {
            tally.add(&family, &mutant);
            let mut line = if is_hello {
                Line::silent(&attacker).await
            } else {
                Line::greeted(&attacker).await
            };
            let end = line.answer(&framed(kind, &mutant.bytes)).await;
            let is_bad = Frame::decode(known, &mutant.bytes).is_err();
            tally.wrong.extend(judged(&mutant.what, &end, is_bad));
            if is_bad && end == "crl-invalid" {
                tally.wrong.push(format!("{}: taken", mutant.what));
            }
        }
        tally.assert_all(&family, &document.schema);
    }
    tally
}

/// Cards of a peer, signed by its card key; and of another peer those whose number is what is changed: two of one
/// number would be the proof that its key was stolen, and nothing more would be heard of it.
pub(crate) async fn papers(attacker: Arc<Attacker>, other: Arc<Attacker>) -> Tally {
    let mut tally = Tally::default();
    let document = own_card(&attacker, FIRST_CARD);
    let mut mutants = document.mutants();
    mutants.extend(odd("card"));
    mutants.retain(|mutant| mutant.field != "/number");
    cards(&attacker, mutants, &mut tally).await;
    let numbers = own_card(&other, FIRST_CARD);
    let mutants = numbers.mutants_at("/number", "/number");
    cards(&other, mutants, &mut tally).await;
    tally.assert_all("card", &document.schema);
    tally
}

async fn cards(attacker: &Attacker, mutants: Vec<Mutant>, tally: &mut Tally) {
    let (mut number, mut taken) = (FIRST_CARD, 0);
    let mut line: Option<Line> = None;
    for mutant in mutants {
        tally.add("card", &mutant);
        let bytes = renumbered(&mutant, number);
        let note = signed(Context::Card, &bytes, &attacker.keys.card);
        let is_good = Card::open(&note).is_ok();
        let mut now = match line.take() {
            Some(line) => line,
            None => Line::greeted(attacker).await,
        };
        let card = framed(FrameKind::Card as u8, &note);
        now.talk.say(Say::Bytes(card)).await;
        let end = now.talk.end().await;
        tally.wrong.extend(judged(&mutant.what, &end, !is_good));
        taken += u64::from(is_good && end == "ack");
        number += u64::from(is_good);
        // A card that is taken ends the connection, as does one that is longer than any may be.
        if !is_good && note.len() <= 16 << 10 && now.is_up() {
            line = Some(now);
        }
    }
    assert!(taken > 0, "no card was taken");
}

fn own_card(attacker: &Attacker, number: u64) -> Document {
    let own = attacker.keys.card.name().authority().as_str().to_owned();
    let alias = crate::victim::HOSTILE.iter().find(|(_, id)| *id == own);
    let (alias, _) = alias.expect("an attacker");
    let path = attacker.folder.join(format!("{alias}/{alias}.card"));
    let note = Note::parse(&std::fs::read(path).expect("a card")).expect("a card");
    let mut body: Value = serde_json::from_str(note.json()).expect("JSON");
    body["number"] = number.into();
    Document::new("card", Schema::of("card", ""), body)
}

/// With the number that is due, unless the number is what is changed.
fn renumbered(mutant: &Mutant, number: u64) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(&mutant.bytes) else {
        return mutant.bytes.clone();
    };
    if mutant.field == "/number" {
        return mutant.bytes.clone();
    }
    let from = format!("\"number\":{FIRST_CARD},");
    text.replace(&from, &format!("\"number\":{number},"))
        .into_bytes()
}

/// Heads of logs with sizes at the ends of their type, signed by the log key: as held, submitted, and of a third
/// authority.
pub(crate) async fn heads(attacker: Arc<Attacker>) -> Tally {
    let mut tally = Tally::default();
    let key = &attacker.keys.log;
    let root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let checkpoint = |size: &str| {
        let text = format!("{}\n{size}\n{root}\n", key.name());
        let line = SignatureLine {
            name: key.name().to_string(),
            id: key.public().id(),
            signature: key.sign(text.as_bytes()).to_vec(),
        };
        format!("{text}\n{}", line.encode())
    };
    let numbers = tokens(&Value::Null, &Value::from(7)).into_iter();
    let mut line: Option<Line> = None;
    for (what, token) in numbers.filter(|(_, token)| token.len() < 300) {
        let token = String::from_utf8_lossy(&token).into_owned();
        let bodies = [
            (FrameKind::Held, checkpoint(&token)),
            (FrameKind::Gossip, checkpoint(&token)),
            (
                FrameKind::AddCheckpoint,
                format!("old {token}\n\n{}", checkpoint("1")),
            ),
            (
                FrameKind::AddCheckpoint,
                format!("old 0\n\n{}", checkpoint(&token)),
            ),
            (
                FrameKind::AddCheckpoint,
                format!("old {token}\n{root}\n\n{}", checkpoint(&token)),
            ),
        ];
        for (kind, body) in bodies {
            let mutant = Mutant {
                field: kind.to_string(),
                what: format!("{kind} of {what}"),
                bytes: body.into_bytes(),
            };
            tally.add("heads", &mutant);
            let mut now = match line.take() {
                Some(line) => line,
                None => Line::greeted(&attacker).await,
            };
            let end = now.answer(&framed(kind as u8, &mutant.bytes)).await;
            tally.wrong.extend(judged(&mutant.what, &end, false));
            // The word of the marker itself may still be under way.
            if end == "crl-invalid" && now.is_up() {
                line = Some(now);
            }
        }
    }
    tally
}
