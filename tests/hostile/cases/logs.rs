//! Logs: what an owner says of its own, a witness of the victim's, and anyone of others', that is not so.

use std::net::SocketAddr;
use std::path::Path;

use rogatory::base::{Digest, limits};
use rogatory::identity::note::SignatureLine;
use rogatory::identity::{KeyName, PublicKey, SecretKey};
use rogatory::net::clock;
use rogatory::tlog::{AddCheckpoint, Checkpoint, cosignature};

use super::checkpoints::{SIZE_MAX, add, broken, impostor, submitted};
use crate::attack::{Attacker, raw};
use crate::chat::{Chat, Log};
use crate::script::{Scene, enter};
use crate::victim::Victim;

/// An owner, a witness, and an owner of whom only the witness speaks: aliases and ids.
const OWNER: (&str, &str) = ("it", "mgi.example.it");
const WITNESS: (&str, &str) = ("pl", "pk.example.pl");
const SPOKEN_OF: (&str, &str) = ("es", "mju.example.es");

type Played = (usize, Vec<String>);

fn attacker(folder: &Path, (alias, id): (&str, &str), address: SocketAddr) -> Attacker {
    Attacker::new(folder, alias, id, address)
}

/// `held`: of the victim's own log.
async fn shown_its_own(chat: &mut Chat<'_>, victim: &PublicKey, at: &PublicKey) -> AddCheckpoint {
    for (what, note, want) in broken(victim) {
        chat.check(&format!("held with {what}"), &raw(5, &note), want)
            .await;
    }
    let of_another = Log::new(&impostor(at)).note(7);
    let want = "checkpoint-wrong-origin";
    chat.check("held of another's log", &raw(5, &of_another), want)
        .await;
    let long = raw(5, &vec![b'x'; limits::STATEMENT_BYTES_MAX + 1]);
    chat.check("held of more than 16 KiB", &long, "frame-too-long")
        .await;
    let nothing = raw(5, b"");
    let made = chat.check("held of nothing", &nothing, "add-checkpoint");
    let made = AddCheckpoint::parse(&made.await).unwrap();
    let (head, _) = Checkpoint::parse(&made.checkpoint).unwrap();
    let changed = |size: u64, root: Digest| {
        let (text, origin) = (String::from_utf8_lossy(&made.checkpoint), &head.origin);
        let (_, lines) = text.split_once("\n\n").unwrap();
        let origin = origin.clone();
        let head = Checkpoint { origin, size, root };
        raw(5, format!("{}\n{lines}", head.text()).as_bytes())
    };
    for (what, frame) in [
        ("a larger size", changed(head.size + 1, head.root)),
        ("a size of 2^53 - 1", changed(SIZE_MAX, head.root)),
        ("another root", changed(head.size, Digest::of(b"x"))),
    ] {
        let name = format!("its own with {what}");
        chat.check(&name, &frame, "checkpoint-bad-signature").await;
    }
    let more = [&made.checkpoint[..], b"\xe2\x80\x94 x AAAAAAE=\n"].concat();
    chat.check("its own, and a line", &raw(5, &more), "add-checkpoint")
        .await;
    made
}

/// `cosignature`: on what the victim has submitted.
#[expect(clippy::too_many_lines, reason = "one table")]
async fn cosigned(
    chat: &mut Chat<'_>,
    witness: &SecretKey,
    other: &SecretKey,
    made: &AddCheckpoint,
) {
    let (head, _) = Checkpoint::parse(&made.checkpoint).unwrap();
    let now = u64::try_from(clock::civil().millis() / 1_000).unwrap();
    let line = |head: &Checkpoint, seconds: u64| cosignature::cosign(head, seconds, witness);
    let good = line(&head, now);
    let text = good.encode();
    let but = |change: &dyn Fn(&mut SignatureLine)| {
        let mut line = good.clone();
        change(&mut line);
        line.encode().into_bytes()
    };
    let larger = Checkpoint {
        size: head.size + 1,
        ..head.clone()
    };
    let another = Checkpoint {
        origin: "bmj.example.at/log".to_owned(),
        ..head.clone()
    };
    let id = witness.public().id();
    for (what, bytes, want) in [
        ("no line", b"x".to_vec(), "cosignature-malformed"),
        ("a NUL", vec![0; 64], "cosignature-malformed"),
        ("no end", text.trim_end().into(), "cosignature-malformed"),
        ("two lines", text.repeat(2).into(), "cosignature-malformed"),
        ("a note", made.checkpoint.clone(), "cosignature-absent"),
        (
            "71 bytes",
            but(&|line| line.signature.truncate(71)),
            "cosignature-malformed",
        ),
        (
            "73 bytes",
            but(&|line| line.signature.push(0)),
            "cosignature-malformed",
        ),
        (
            "a time beyond 2^53",
            but(&|line| line.signature[0] = 0x80),
            "cosignature-malformed",
        ),
        (
            "another name",
            but(&|line| line.name.push('x')),
            "cosignature-absent",
        ),
        (
            "the id of a note's key",
            but(&|line| line.id = id),
            "cosignature-absent",
        ),
        (
            "the log's key",
            cosignature::cosign(&head, now, other).encode().into_bytes(),
            "cosignature-absent",
        ),
        (
            "another time than signed",
            but(&|line| line.signature[7] ^= 1),
            "cosignature-bad",
        ),
        (
            "a flipped bit",
            but(&|line| line.signature[40] ^= 1),
            "cosignature-bad",
        ),
        (
            "a larger head",
            line(&larger, now).encode().into_bytes(),
            "cosignature-bad",
        ),
        (
            "another log",
            line(&another, now).encode().into_bytes(),
            "cosignature-bad",
        ),
    ] {
        let both = [raw(5, &made.checkpoint), raw(7, &bytes)].concat();
        chat.check(&format!("cosignature with {what}"), &both, want)
            .await;
    }
    for (what, seconds) in [
        ("a time ten minutes ahead", now + 600),
        ("the last time that there is", SIZE_MAX),
        ("a time ten minutes ago", now - 600),
        ("the beginning of time", 0),
    ] {
        // On what is submitted now: the victim's log may have grown since.
        let again = raw(5, &made.checkpoint);
        let asked = chat.check("held once more", &again, "add-checkpoint").await;
        let asked = AddCheckpoint::parse(&asked).unwrap();
        let (head, _) = Checkpoint::parse(&asked.checkpoint).unwrap();
        let late = raw(7, line(&head, seconds).encode().as_bytes());
        let name = format!("cosignature with {what}");
        chat.check(&name, &late, "cosignature-time").await;
    }
    let long = raw(7, &[b'x'; limits::COSIGNATURE_BYTES_MAX + 1]);
    chat.check("a cosignature of 1,025 bytes", &long, "frame-too-long")
        .await;
    let unasked = raw(7, text.as_bytes());
    let want = "cosignature-unasked";
    chat.check("a cosignature on nothing", &unasked, want).await;
}

/// `knows` and `gossip`, of whom nobody knows, of the victim and of others.
async fn gossiped(chat: &mut Chat<'_>, victim: &PublicKey, at: &PublicKey, own: &SecretKey) {
    for (what, key) in [("the victim", victim), ("a peer", at)] {
        for (why, note, want) in broken(key) {
            let name = format!("gossip of {what} with {why}");
            chat.check(&name, &raw(9, &note), want).await;
        }
    }
    for number in 0..3 {
        let name: KeyName = format!("x{number}.example/log").parse().unwrap();
        let stranger = SecretKey::from_seed(name, &[number; 32]);
        let note = Log::new(&stranger).note(5);
        let name = format!("gossip of stranger {number}");
        chat.check(&name, &raw(9, &note), "nothing").await;
    }
    let flipped = [&Log::new(own).note(5)[..], b"x"].concat();
    let want = "note-no-final-newline";
    chat.check("gossip with something after it", &raw(9, &flipped), want)
        .await;
    let long = raw(9, &vec![b'x'; limits::STATEMENT_BYTES_MAX + 1]);
    chat.check("gossip of more than 16 KiB", &long, "frame-too-long")
        .await;
    for (what, bytes, want) in [
        ("no whole digest", vec![0; 33], "frame-content"),
        ("31 bytes", vec![0; 31], "frame-content"),
        ("nobody", Vec::new(), "nothing"),
        ("256 strangers", vec![7; 256 * 32], "nothing"),
        ("257 strangers", vec![7; 257 * 32], "frame-too-long"),
    ] {
        chat.check(&format!("knows {what}"), &raw(8, &bytes), want)
            .await;
    }
    let stranger = SecretKey::from_seed("x.example/log".parse().unwrap(), &[1; 32]);
    let frame = raw(9, &Log::new(&stranger).note(5));
    let late = chat.flood(&frame, 300, "too-fast").await;
    chat.expect(
        &format!("{late} of 300 gossips are too fast"),
        (200..=236).contains(&late),
    );
}

/// Old heads of an honest peer, told again and again: who proves them one after the other is not accused of anything.
async fn pestered(chat: &mut Chat<'_>, folder: &Path) {
    let mut seen: Vec<Vec<u8>> = Vec::new();
    for _ in 0..50 {
        let newest = std::fs::read(folder.join("at/state/log/checkpoint")).unwrap_or_default();
        if !newest.is_empty() && seen.last() != Some(&newest) {
            seen.push(newest);
        }
        if let [old, _, ..] = seen.as_slice() {
            chat.check("an old head of a peer", &raw(9, old), "nothing")
                .await;
        }
        chat.pause(1).await;
    }
    chat.expect("the honest peer's log has grown", seen.len() > 1);
}

/// All of it, by three peers one after the other; then the exchange of which the fork must not be an end.
pub(crate) async fn play(folder: &Path, address: SocketAddr) -> Played {
    let [owner, witness, spoken_of] =
        [OWNER, WITNESS, SPOKEN_OF].map(|who| attacker(folder, who, address));
    let card = std::fs::read(folder.join("at/at.card")).unwrap();
    let (honest, _) = rogatory::identity::Card::open(&card).unwrap();
    let (victim, at) = (&owner.victim.keys.log, &honest.keys.log);

    let mut chat = Chat::open(&owner).await;
    submitted(&mut chat, &owner.keys.log, at).await;
    let parcel = owner.honest();
    let settled = enter(&owner, chat.link(), Scene::Settled, &parcel).await;
    chat.expect("a package after the fork", settled.is_ok());
    let mut played = chat.over();

    let other = Log::new(&spoken_of.keys.log);
    let mut chat = Chat::open(&spoken_of).await;
    chat.check("five", &add(&other.add(0, 5)), "cosignature")
        .await;
    also(&mut played, chat);

    let mut chat = Chat::open(&witness).await;
    let made = shown_its_own(&mut chat, victim, at).await;
    cosigned(&mut chat, &witness.keys.witness, &witness.keys.log, &made).await;
    gossiped(&mut chat, victim, at, &witness.keys.log).await;
    let second = Log {
        forks_at: 3,
        ..other
    };
    chat.check("gossip of a fork", &raw(9, &second.note(5)), "nothing")
        .await;
    pestered(&mut chat, folder).await;
    also(&mut played, chat);
    played
}

fn also(played: &mut Played, chat: Chat<'_>) {
    let (said, wrong) = chat.over();
    played.0 += said;
    played.1.extend(wrong);
}

/// The victim accuses those who have forked, with two checkpoints that prove it, and nobody else.
pub(crate) fn alarmed(victim: &Victim) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut accused = Vec::new();
    for alarm in victim.alarms() {
        let text = |field: &str| alarm[field].as_str().unwrap().to_owned();
        let heads = ["earlier", "later"].map(|field| {
            let (head, _) = Checkpoint::parse(text(field).as_bytes()).unwrap();
            head
        });
        let [earlier, later] = &heads;
        let alike = (earlier.size, &earlier.origin) == (later.size, &later.origin);
        if !alike || earlier.root == later.root {
            wrong.push(format!("{heads:?} prove nothing"));
        }
        accused.push((text("of"), text("kind")));
    }
    accused.sort();
    let forked = |(_, id): (&str, &str)| (id.to_owned(), "fork".to_owned());
    if accused != [forked(OWNER), forked(SPOKEN_OF)] {
        wrong.push(format!("{accused:?} are accused"));
    }
    wrong
}
