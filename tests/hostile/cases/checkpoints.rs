//! Checkpoints that are none, and a log whose owner submits what does not continue it.

use rogatory::base::{Digest, KeyId, limits};
use rogatory::identity::note::SignatureLine;
use rogatory::identity::{KeyName, PublicKey, SecretKey};
use rogatory::tlog::{AddCheckpoint, Checkpoint};

use crate::attack::raw;
use crate::chat::{Chat, Log};

/// The largest size that a checkpoint can have.
pub(crate) const SIZE_MAX: u64 = (1 << 53) - 1;

/// A submission as a frame.
pub(crate) fn add(add: &AddCheckpoint) -> Vec<u8> {
    raw(6, &add.encode())
}

/// A key of the same name as that one, and not it.
pub(crate) fn impostor(key: &PublicKey) -> SecretKey {
    SecretKey::from_seed(key.name().clone(), &[9; 32])
}

fn signed(text: &str, name: &KeyName, id: KeyId, signature: &[u8]) -> Vec<u8> {
    let line = SignatureLine {
        name: name.to_string(),
        id,
        signature: signature.to_vec(),
    };
    format!("{text}\n{}", line.encode()).into_bytes()
}

/// Checkpoints that are none of the log with this key, whoever shows them: what is wrong, the note, and the word for
/// it.
#[expect(clippy::too_many_lines, reason = "one table")]
pub(crate) fn broken(key: &PublicKey) -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let name = key.name();
    let other = impostor(key);
    let log = Log::new(&other);
    let head = log.head(7);
    let text = head.text();
    let good = String::from_utf8(log.note(7)).unwrap();
    let line = good.split("\n\n").nth(1).unwrap().to_owned();
    let root = text.lines().nth(2).unwrap().to_owned();
    let but = |from: &str, to: &str| good.replacen(from, to, 1).into_bytes();
    let sized = |size: &str| but("\n7\n", &format!("\n{size}\n"));
    let card = SecretKey::from_seed("x.example/card".parse().unwrap(), &[9; 32]);
    let mine = other.sign(text.as_bytes());
    vec![
        ("no note", b"note".to_vec(), "note-no-final-newline"),
        ("bad UTF-8", b"\xff\xfe\n\n\n".to_vec(), "note-not-utf8"),
        (
            "a carriage return",
            but("\n7\n", "\r\n7\n"),
            "note-control-character",
        ),
        ("a NUL", but("\n7\n", "\n7\0\n"), "note-control-character"),
        (
            "an escape sequence",
            but("\n7\n", "\n7\u{1b}[2J\n"),
            "note-control-character",
        ),
        (
            "a text only",
            text.clone().into_bytes(),
            "note-no-blank-line",
        ),
        (
            "no signature",
            format!("{text}\n").into_bytes(),
            "note-no-signature",
        ),
        (
            "half a signature",
            but("=\n", "\n"),
            "note-signature-line|checkpoint-root",
        ),
        (
            "a signature with a hyphen",
            but("\u{2014} ", "- "),
            "note-signature-line",
        ),
        (
            "65 signatures",
            format!("{text}\n{}", "\u{2014} a AAAAAAE=\n".repeat(65)).into_bytes(),
            "note-too-many-signatures",
        ),
        (
            "64 signatures of others",
            format!("{text}\n{}", "\u{2014} a AAAAAAE=\n".repeat(64)).into_bytes(),
            "checkpoint-not-signed",
        ),
        ("no root", but(&format!("{root}\n"), ""), "checkpoint-lines"),
        (
            "an extension",
            but("\n\n", "\nextension\n\n"),
            "checkpoint-lines",
        ),
        (
            "a text of nothing",
            format!("\n\n{line}").into_bytes(),
            "checkpoint-lines",
        ),
        (
            "8,000 lines",
            but("\n\n", &format!("\n{}\n", "x\n".repeat(8_000 - 4 * 64))),
            "checkpoint-lines",
        ),
        (
            "an origin of no log",
            but("/log\n", "/receipts\n"),
            "checkpoint-origin",
        ),
        (
            "an origin without a name",
            but(&name.to_string(), "log"),
            "checkpoint-origin",
        ),
        ("a size with a zero", sized("07"), "checkpoint-size"),
        ("a size with a sign", sized("+7"), "checkpoint-size"),
        ("a size below nothing", sized("-7"), "checkpoint-size"),
        ("a size in words", sized("seven"), "checkpoint-size"),
        ("no size", sized(""), "checkpoint-size"),
        ("2^53 leaves", sized("9007199254740992"), "checkpoint-size"),
        (
            "more leaves than 64 bits",
            sized("18446744073709551616"),
            "checkpoint-size",
        ),
        ("a short root", but(&root, "AAAA"), "checkpoint-root"),
        (
            "a root without its end",
            but(
                &format!("{root}\n"),
                &format!("{}\n", root.trim_end_matches('=')),
            ),
            "checkpoint-root",
        ),
        (
            "another key of its name",
            log.note(7),
            "checkpoint-not-signed",
        ),
        (
            "a key of another name",
            signed(&text, card.name(), card.public().id(), &mine),
            "checkpoint-not-signed",
        ),
        (
            "the key's id, and another's signature",
            signed(&text, name, key.id(), &mine),
            "checkpoint-bad-signature",
        ),
        (
            "a signature of 64 zeros",
            signed(&text, name, key.id(), &[0; 64]),
            "checkpoint-bad-signature",
        ),
        (
            "a signature of one byte",
            signed(&text, name, key.id(), &[0]),
            "checkpoint-bad-signature",
        ),
        (
            "a signature of 4,000 bytes",
            signed(&text, name, key.id(), &[7; 4_000]),
            "checkpoint-bad-signature",
        ),
    ]
}

/// `add-checkpoint` of a log that grows well and badly by turns; at last it forks.
#[expect(clippy::too_many_lines, reason = "one story")]
pub(crate) async fn submitted(chat: &mut Chat<'_>, owner: &SecretKey, at: &PublicKey) {
    let log = Log::new(owner);
    for (what, note, want) in broken(&owner.public()) {
        let bad = AddCheckpoint {
            checkpoint: note,
            ..log.add(0, 5)
        };
        chat.check(&format!("submitted with {what}"), &add(&bad), want)
            .await;
    }
    let of_another = Log::new(&impostor(at)).add(0, 7);
    let want = "checkpoint-wrong-origin";
    chat.check("another's log", &add(&of_another), want).await;
    let text = String::from_utf8(log.add(0, 5).encode()).unwrap();
    let hash = format!("{}\n", "A".repeat(43) + "=");
    let begun = |with: &str| raw(6, text.replacen("old 0\n", with, 1).as_bytes());
    for (what, frame, want) in [
        ("no old size", begun(""), "add-checkpoint-old"),
        (
            "an old size in words",
            begun("old no\n"),
            "add-checkpoint-old",
        ),
        (
            "an old size below nothing",
            begun("old -1\n"),
            "add-checkpoint-old",
        ),
        (
            "an old size of 2^53",
            begun("old 9007199254740992\n"),
            "add-checkpoint-old",
        ),
        (
            "a short hash",
            begun("old 0\nAAAA\n"),
            "add-checkpoint-hash",
        ),
        (
            "an empty line more",
            begun("\nold 0\n"),
            "add-checkpoint-old",
        ),
        (
            "64 hashes",
            begun(&format!("old 0\n{}", hash.repeat(64))),
            "add-checkpoint-hashes",
        ),
        (
            "nothing but a size",
            raw(6, b"old 0\n"),
            "add-checkpoint-no-blank-line",
        ),
        (
            "20,480 bytes",
            raw(6, &vec![b'x'; limits::ADD_CHECKPOINT_BYTES_MAX]),
            "add-checkpoint-no-blank-line",
        ),
        (
            "20,481 bytes",
            raw(6, &vec![b'x'; limits::ADD_CHECKPOINT_BYTES_MAX + 1]),
            "frame-too-long",
        ),
        (
            "a note of 17,000 bytes",
            begun(&format!("old 0\n\n{}", "x\n".repeat(8_500))),
            "note-too-long",
        ),
    ] {
        chat.check(&format!("submitted with {what}"), &frame, want)
            .await;
    }
    let but = |add: AddCheckpoint, change: &dyn Fn(&mut AddCheckpoint)| {
        let mut add = add;
        change(&mut add);
        self::add(&add)
    };
    let more = |proof: &mut Vec<Digest>, count: usize| {
        proof.resize(count, Digest::of(b"x"));
    };
    // Nothing is held of it.
    let resized = |size: u64, of: u64| {
        let head = log.head(of);
        Checkpoint { size, ..head }.sign(owner)
    };
    for (what, frame, want) in [
        ("from a size that nobody holds", add(&log.add(3, 5)), "held"),
        (
            "from nothing with a proof",
            but(log.add(0, 5), &|add| more(&mut add.proof, 1)),
            "proof-length",
        ),
        (
            "nothing, with a root",
            but(log.add(0, 5), &|add| add.checkpoint = resized(0, 5)),
            "proof-root",
        ),
        ("its first", add(&log.add(0, 5)), "cosignature"),
        ("its first again", add(&log.add(5, 5)), "cosignature"),
        (
            "its first as if it were the first",
            add(&log.add(0, 5)),
            "held",
        ),
        // What follows is signed, and does not continue what is held.
        (
            "without a proof",
            but(log.add(5, 9), &|add| add.proof.clear()),
            "proof-length",
        ),
        (
            "with a proof that is too short",
            but(log.add(5, 9), &|add| add.proof.truncate(4)),
            "proof-length",
        ),
        (
            "with a proof that is too long",
            but(log.add(5, 9), &|add| more(&mut add.proof, 6)),
            "proof-length",
        ),
        (
            "with a proof of 63 hashes",
            but(log.add(5, 9), &|add| more(&mut add.proof, 63)),
            "proof-length",
        ),
        (
            "with a proof of other hashes",
            but(log.add(5, 9), &|add| add.proof[0] = Digest::of(b"x")),
            "proof-old-root",
        ),
        (
            "with a proof that ends elsewhere",
            but(log.add(5, 9), &|add| {
                *add.proof.last_mut().unwrap() = Digest::of(b"x");
            }),
            "proof-root",
        ),
        (
            "with the proof of another size",
            but(log.add(5, 9), &|add| add.proof = log.proof(6, 9)),
            "proof-old-root|proof-length",
        ),
        (
            "with another history",
            add(&Log {
                key: owner,
                forks_at: 2,
            }
            .add(5, 9)),
            "proof-old-root",
        ),
        (
            "with a size that is too large",
            but(log.add(5, 9), &|add| add.checkpoint = resized(17, 9)),
            "proof-length",
        ),
        (
            "with a size of 2^53 - 1",
            but(log.add(5, 9), &|add| add.checkpoint = resized(SIZE_MAX, 9)),
            "proof-length",
        ),
        (
            "with the root of another size",
            but(log.add(5, 9), &|add| add.checkpoint = resized(9, 8)),
            "proof-root",
        ),
        (
            "a smaller one",
            but(log.add(3, 5), &|add| {
                (add.old, add.checkpoint) = (5, log.note(3));
            }),
            "proof-outside",
        ),
        (
            "nothing, after something",
            but(log.add(0, 5), &|add| {
                (add.old, add.checkpoint) = (5, resized(0, 5));
            }),
            "proof-outside",
        ),
        (
            "a smaller one from a smaller one",
            add(&log.add(2, 3)),
            "held",
        ),
        (
            "the same with a proof",
            but(log.add(5, 5), &|add| more(&mut add.proof, 1)),
            "proof-length",
        ),
        // All the same it is cosigned where it is good.
        ("nine", add(&log.add(5, 9)), "cosignature"),
        ("seven, after nine", add(&log.add(5, 7)), "held"),
        ("nine again, from five", add(&log.add(5, 9)), "held"),
        ("twenty", add(&log.add(9, 20)), "cosignature"),
        // Two checkpoints of one size.
        (
            "another twenty",
            add(&Log {
                key: owner,
                forks_at: 15,
            }
            .add(9, 20)),
            "log-forked",
        ),
        (
            "twenty, after the fork",
            add(&log.add(20, 20)),
            "log-forked",
        ),
        ("more, after the fork", add(&log.add(20, 24)), "log-forked"),
        (
            "more of the other",
            add(&Log {
                key: owner,
                forks_at: 15,
            }
            .add(20, 24)),
            "log-forked",
        ),
    ] {
        chat.check(what, &frame, want).await;
    }
}
