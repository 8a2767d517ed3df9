//! What is said, and what must come back.

use rogatory::base::Digest;
use rogatory::identity::{Context, Note};
use rogatory::net::frames::read_frame;
use rogatory::receipt::{self, Kind, Receipt};
use rogatory::wire::{Ack, Announced, Fault, Frame, Hello, Later};

use crate::attack::{Attacker, Parcel, Talk, disclosures, hello, minutes, raw, why_closed};
use crate::victim::Victim;

/// Memory may grow by so much over all cases, in KiB.
const GROWTH_KIB_MAX: u64 = 16 << 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_stands_all_that_a_peer_can_say() {
    let folder = tempfile::tempdir().unwrap();
    let victim = Victim::start(folder.path());
    let attacker = Attacker::new(folder.path(), victim.address);
    let honest = delivered(&attacker).await;
    assert_eq!(victim.received(), ["held"], "{}", victim.log());
    let before = victim.resident();

    greetings(&attacker).await;
    control(&attacker).await;
    frames(&attacker).await;
    offers(&attacker).await;
    assert_eq!(victim.received(), ["held"], "nothing came in");
    small_data(&attacker).await;
    assert_eq!(victim.received(), ["held"], "nothing came in");
    large_data(&attacker).await;
    strangers_data(&attacker).await;
    let begun = victim.received();
    assert!(
        begun
            .iter()
            .all(|state| state == "held" || state == "receiving"),
        "{begun:?}"
    );
    late(&attacker).await;
    let failed = headers(&attacker).await;
    replays(&attacker, &honest).await;

    let states = victim.received();
    let count = |wanted: &str| states.iter().filter(|state| *state == wanted).count();
    assert_eq!((count("held"), count("failed")), (1, failed), "{states:?}");
    let grown = victim.resident().saturating_sub(before);
    assert!(
        grown < GROWTH_KIB_MAX,
        "grown by {grown} KiB from {before} KiB"
    );
}

/// One honest delivery: the attacker is a peer like any other.
async fn delivered(attacker: &Attacker) -> Parcel {
    let parcel = attacker.honest();
    let mut talk = consigned(attacker, &parcel).await;
    talk.say(&Frame::Header(parcel.header.clone()).encode())
        .await;
    let handover = talk.receipt().await;
    assert_eq!(receipt::open(&handover).unwrap().kind, Kind::Handover);
    talk.say(&countersigned(attacker, &handover)).await;
    assert_eq!(talk.end().await, "done");
    parcel
}

fn countersigned(attacker: &Attacker, note: &Note) -> Vec<u8> {
    let both = note.countersign(&attacker.keys.receipts).unwrap();
    Frame::Receipt(both.bytes().to_vec()).encode()
}

/// A small package up to the countersigned `consigned`.
async fn consigned(attacker: &Attacker, parcel: &Parcel) -> Talk {
    let mut talk = Talk::open(attacker).await;
    talk.say(&attacker.offer(&parcel.receipt)).await;
    talk.say(&disclosures()).await;
    talk.data(&parcel.list()).await;
    talk.data(&parcel.segments(0, &parcel.payload)).await;
    let consigned = talk.receipt().await;
    let opened = receipt::open(&consigned).unwrap();
    let (ours, theirs) = (attacker.keys.receipts.public(), attacker.victim_key());
    receipt::verify(&consigned, &opened, &ours, theirs, false).unwrap();
    talk.say(&countersigned(attacker, &consigned)).await;
    talk
}

async fn greetings(attacker: &Attacker) {
    let changed = |change: fn(&mut Hello)| {
        let mut hello = hello();
        change(&mut hello);
        Frame::Hello(hello).encode()
    };
    let spaced = [b" ".to_vec(), Frame::Hello(hello()).body()].concat();
    for (what, bytes, want) in [
        ("another frame", Frame::Done.encode(), "no-hello"),
        ("an unknown frame", raw(99, b"{}"), "no-hello"),
        (
            "a hello that is too long",
            raw(1, &vec![b' '; 70_000]),
            "no-hello",
        ),
        ("a hello with spaces", raw(1, &spaced), "no-hello"),
        (
            "another version",
            changed(|h| h.versions = vec![2]),
            "no-common-version",
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
    ] {
        let link = attacker.dial().await;
        let (mut send, _recv) = link.connection.open_bi().await.unwrap();
        drop(send.write_all(&bytes).await);
        assert_eq!(why_closed(&link).await, want, "{what}");
    }
    let link = attacker.dial().await;
    let (mut send, _recv) = link.connection.open_bi().await.unwrap();
    send.finish().unwrap();
    assert_eq!(why_closed(&link).await, "no-hello", "nothing at all");
}

async fn control(attacker: &Attacker) {
    for (what, bytes, want) in [
        (
            "a second hello",
            Frame::Hello(hello()).encode(),
            "unexpected-frame",
        ),
        ("an offer", raw(16, b"x"), "unexpected-frame"),
        ("done", Frame::Done.encode(), "unexpected-frame"),
        ("an unknown frame", raw(10, b""), "unknown-frame"),
        (
            "a card that is too long",
            raw(2, &vec![b'x'; 17_000]),
            "frame-too-long",
        ),
        (
            "a list that is too long",
            vec![3, 0, 16, 0, 1],
            "frame-too-long",
        ),
        ("an ack that is no JSON", raw(4, b"{}"), "frame-malformed"),
    ] {
        let (link, mut send, _recv) = attacker.up().await;
        drop(send.write_all(&bytes).await);
        assert_eq!(why_closed(&link).await, want, "{what}");
    }
    let (link, mut send, mut recv) = attacker.up().await;
    for bytes in [raw(2, b"no card"), raw(3, b"no list")] {
        send.write_all(&bytes).await.unwrap();
        let mut answer = read_frame(&mut recv).await;
        // What it says of logs, unasked.
        while matches!(answer, Ok(Some(Frame::Held(_) | Frame::Knows(_)))) {
            answer = read_frame(&mut recv).await;
        }
        assert!(matches!(answer, Ok(Some(Frame::Fault(_)))), "{answer:?}");
    }
    link.close(0, "over");
}

/// One stream, these bytes, and then the fault that must come.
async fn check(attacker: &Attacker, what: &str, said: &[&[u8]], want: &str) {
    let mut talk = Talk::open(attacker).await;
    for bytes in said {
        talk.say(bytes).await;
    }
    assert_eq!(talk.end().await, want, "{what}");
    talk.link.close(0, "over");
}

#[expect(clippy::too_many_lines, reason = "one table")]
async fn frames(attacker: &Attacker) {
    let parcel = attacker.large();
    let offer = attacker.offer(&parcel.receipt);
    let later = Later {
        code: "busy".to_owned(),
        after_s: 1,
    };
    let ack = Ack {
        what: Announced::Crl,
        number: 1,
    };
    let missing = rogatory::base::Ranges::all(1);
    let all = [
        Frame::Hello(hello()).encode(),
        raw(2, b"card"),
        raw(3, b"list"),
        Frame::Ack(ack).encode(),
        disclosures(),
        Frame::Accept { missing }.encode(),
        raw(19, attacker.sign(&parcel.receipt).bytes()),
        raw(20, b"header"),
        Frame::Later(later).encode(),
        Frame::Done.encode(),
    ];
    for bytes in &all {
        let what = format!("frame {}", bytes[0]);
        check(attacker, &what, &[bytes], "unexpected-frame").await;
        if bytes[0] != 17 {
            check(attacker, &what, &[&offer, bytes], "unexpected-frame").await;
        }
    }
    check(
        attacker,
        "two offers",
        &[&offer, &offer],
        "unexpected-frame",
    )
    .await;
    let bodies = raw(17, format!("[{}]", vec!["[]"; 40].join(",")).as_bytes());
    let deep = raw(17, &[vec![b'['; 4_000], vec![b']'; 4_000]].concat());
    let many = raw(17, format!("[{}]", vec![r#""x""#; 65].join(",")).as_bytes());
    for (what, said, want) in [
        (
            "an unknown frame",
            &[&raw(99, b"x")[..]][..],
            "unknown-frame",
        ),
        (
            "an offer of 4 GiB",
            &[&[16, 255, 255, 255, 255]],
            "frame-too-long",
        ),
        ("an empty offer", &[&raw(16, b"")], "frame-empty"),
        (
            "an unknown frame later",
            &[&offer, &raw(0, b"")],
            "unknown-frame",
        ),
        (
            "disclosures that are no texts",
            &[&offer, &bodies],
            "frame-malformed",
        ),
        (
            "disclosures that are deep",
            &[&offer, &deep],
            "frame-malformed",
        ),
        (
            "disclosures that are many",
            &[&offer, &many],
            "frame-content",
        ),
        (
            "a disclosure that is none",
            &[&offer, &raw(17, br#"["x"]"#)],
            "disclosure-encoding",
        ),
    ] {
        check(attacker, what, said, want).await;
    }
    let mut talk = Talk::open(attacker).await;
    talk.say(&[16, 0, 0, 0, 10, b'x']).await;
    talk.send.finish().unwrap();
    assert_eq!(talk.end().await, "frame-truncated");
    talk.link.close(0, "over");
    // A fault of theirs is the end, without an answer.
    let fault = Frame::Fault(Fault::new("broken", "a test")).encode();
    check(attacker, "a fault", &[&fault], "finished").await;
}

#[expect(clippy::too_many_lines, reason = "one table")]
async fn offers(attacker: &Attacker) {
    let parcel = attacker.honest();
    let note = attacker.sign(&parcel.receipt);
    let text = String::from_utf8(note.bytes().to_vec()).unwrap();
    let line = text.lines().nth(3).unwrap();
    let deep = format!("\"clk\":{}50{}", "[".repeat(500), "]".repeat(500));
    let signatures = format!("{text}{}", format!("{line}\n").repeat(8));
    for (what, bytes, want) in [
        ("no note", "x".to_owned(), "note-no-final-newline"),
        (
            "no JSON",
            text.replace("{\"clk\"", "{clk"),
            "statement-json-malformed",
        ),
        (
            "deep JSON",
            text.replace("\"clk\":50", &deep),
            "statement-json-malformed",
        ),
        (
            "a double key",
            text.replace("\"clk\":50", "\"clk\":50,\"clk\":50"),
            "statement-json-malformed",
        ),
        (
            "a space",
            text.replace("\"clk\":50", "\"clk\": 50"),
            "statement-json-not-canonical",
        ),
        (
            "another number",
            text.replace("\"clk\":50", "\"clk\":51"),
            "statement-bad-signature",
        ),
        (
            "an unknown field",
            text.replace("{\"clk\"", "{\"a\":1,\"clk\""),
            "statement-json-content",
        ),
        ("nine signatures", signatures, "note-too-many-signatures"),
        (
            "two signatures",
            format!("{text}{line}\n"),
            "statement-signed-twice",
        ),
        (
            "a control character",
            text.replace("EIO", "E\u{7}O"),
            "note-control-character",
        ),
    ] {
        check(attacker, what, &[&raw(16, bytes.as_bytes())], want).await;
    }
    let altered = |change: fn(&mut Receipt)| {
        let mut receipt = parcel.receipt.clone();
        change(&mut receipt);
        let note = Note::issue(Context::Receipt, &receipt, &attacker.keys.receipts).unwrap();
        raw(16, note.bytes())
    };
    let ahead = altered(|r| r.t = minutes(r.t, 6));
    check(
        attacker,
        "an offer from the future",
        &[&ahead],
        "clock-skew",
    )
    .await;
    let turned = altered(|r| std::mem::swap(&mut r.from, &mut r.to));
    check(
        attacker,
        "an offer from the victim",
        &[&turned],
        "wrong-sender",
    )
    .await;
    let other = altered(|r| r.to.as_mut().unwrap().id = "mj.example.fr".parse().unwrap());
    check(
        attacker,
        "an offer for another",
        &[&other],
        "wrong-recipient",
    )
    .await;
}

/// An offer, its data, and the fault that must come.
async fn check_data(
    attacker: &Attacker,
    what: &str,
    parcel: &Parcel,
    data: &[Vec<u8>],
    want: &str,
) {
    let mut talk = Talk::open(attacker).await;
    talk.say(&attacker.offer(&parcel.receipt)).await;
    talk.say(&disclosures()).await;
    for stream in data {
        talk.data(stream).await;
    }
    assert_eq!(talk.end().await, want, "{what}");
    talk.link.close(0, "over");
}

async fn small_data(attacker: &Attacker) {
    let parcel = attacker.honest();
    let list = parcel.list();
    let whole = &parcel.payload[..];
    let longer = [whole, b"x"].concat();
    let flipped = [&[!whole[0]], &whole[1..]].concat();
    let wrong_list = [&list[..17], &[1; 32]].concat();
    let long_list = [&list[..], &[1; 32]].concat();
    for (what, stream, want) in [
        ("a wrong root", wrong_list, "wrong-root"),
        ("a list that is too long", long_list, "wrong-length"),
        (
            "a list that is too short",
            list[..40].to_vec(),
            "wrong-length",
        ),
        (
            "another payload",
            parcel.segments(0, &flipped),
            "wrong-hash",
        ),
        ("more payload", parcel.segments(0, &longer), "wrong-length"),
        (
            "less payload",
            parcel.segments(0, &whole[1..]),
            "wrong-length",
        ),
        (
            "a segment outside",
            parcel.segments(1, whole),
            "segment-outside",
        ),
        (
            "a segment far outside",
            parcel.segments(u64::MAX, whole),
            "segment-outside",
        ),
    ] {
        check_data(attacker, what, &parcel, &[stream], want).await;
    }
}

#[expect(clippy::too_many_lines, reason = "one table")]
async fn large_data(attacker: &Attacker) {
    let segment = 1 << 20;
    for (what, spoil, want) in [
        (
            "a wrong root",
            (|p| vec![[&p.list()[..17], &[1; 96]].concat()]) as fn(&Parcel) -> Vec<Vec<u8>>,
            "wrong-root",
        ),
        (
            "a list that is too short",
            |p| vec![p.list()[..17 + 64].to_vec()],
            "wrong-count",
        ),
        (
            "half a hash",
            |p| vec![p.list()[..17 + 65].to_vec()],
            "wrong-count",
        ),
        (
            "a list that is too long",
            |p| vec![[&p.list()[..], &[1; 32]].concat()],
            "wrong-count",
        ),
        (
            "a list without end",
            |p| vec![[&p.list()[..], &vec![1; 1 << 20]].concat()],
            "wrong-count",
        ),
        (
            "segments before their list",
            |p| vec![p.segments(0, &p.payload)],
            "no-list",
        ),
    ] {
        let parcel = attacker.large();
        let data = spoil(&parcel);
        check_data(attacker, what, &parcel, &data, want).await;
    }
    let parcel = attacker.large();
    let whole = &parcel.payload[..];
    let flipped = [&whole[..segment], &[!whole[segment]], &whole[segment + 1..]].concat();
    for (what, stream, want) in [
        (
            "a wrong segment",
            parcel.segments(1, &flipped[segment..]),
            "wrong-hash",
        ),
        (
            "segments in the wrong place",
            parcel.segments(1, whole),
            "wrong-hash",
        ),
        (
            "half a segment",
            parcel.segments(0, &whole[..segment / 2]),
            "wrong-length",
        ),
        (
            "a last segment that is short",
            parcel.segments(2, &whole[2 * segment + 1..]),
            "wrong-length",
        ),
        (
            "a last segment that is long",
            parcel.segments(2, &[&whole[2 * segment..], b"x"].concat()),
            "segment-outside",
        ),
        (
            "a segment outside",
            parcel.segments(3, b"x"),
            "segment-outside",
        ),
        (
            "a segment far outside",
            parcel.segments(u64::MAX, b"x"),
            "segment-outside",
        ),
    ] {
        let mut talk = Talk::open(attacker).await;
        talk.say(&attacker.offer(&parcel.receipt)).await;
        talk.say(&disclosures()).await;
        talk.data(&parcel.list()).await;
        let accept = talk.answer().await;
        assert!(
            matches!(accept, Ok(Some(Frame::Accept { .. }))),
            "{what}: {accept:?}"
        );
        talk.data(&stream).await;
        assert_eq!(talk.end().await, want, "{what}");
        talk.link.close(0, "over");
    }
}

/// Data that belongs to nothing: it is not read, and the connection serves on.
async fn strangers_data(attacker: &Attacker) {
    let stranger = attacker.large();
    let mut talk = Talk::open(attacker).await;
    for _ in 0..20 {
        talk.data(&stranger.list()).await;
        talk.data(&stranger.segments(0, &stranger.payload[..1_000]))
            .await;
    }
    talk.say(&raw(99, b"x")).await;
    assert_eq!(talk.end().await, "unknown-frame");
    assert!(talk.link.connection.close_reason().is_none());
    // Half a head is a stream that was given up, and no harm.
    talk.data(&[1, 2, 3]).await;
    talk.data(&[9; 17]).await;
    assert_eq!(why_closed(&talk.link).await, "unknown-data");
}

/// Frames and receipts after `consigned`.
async fn late(attacker: &Attacker) {
    let parcel = attacker.honest();
    let mut talk = consigned(attacker, &parcel).await;
    talk.say(&Frame::Header(b"another".to_vec()).encode()).await;
    assert_eq!(talk.end().await, "header-digest-mismatch");
    talk.link.close(0, "over");
    let offer = attacker.offer(&parcel.receipt);
    for (what, bytes, want) in [
        (
            "a header too early",
            raw(20, &parcel.header),
            "unexpected-frame",
        ),
        (
            "no countersignature",
            Vec::new(),
            "statement-signature-count",
        ),
        (
            "another receipt",
            raw(19, attacker.sign(&parcel.receipt).bytes()),
            "contradicts-earlier",
        ),
        ("done", Frame::Done.encode(), "unexpected-frame"),
    ] {
        let mut talk = Talk::open(attacker).await;
        talk.say(&offer).await;
        talk.say(&disclosures()).await;
        let consigned = talk.receipt().await;
        let bytes = if bytes.is_empty() {
            raw(19, consigned.bytes())
        } else {
            bytes
        };
        talk.say(&bytes).await;
        assert_eq!(talk.end().await, want, "{what}");
        talk.link.close(0, "over");
    }
    let mut talk = Talk::open(attacker).await;
    let mut other = parcel.receipt.clone();
    other.clk = 51;
    talk.say(&attacker.offer(&other)).await;
    talk.say(&disclosures()).await;
    assert_eq!(talk.end().await, "xid-taken");
    talk.link.close(0, "over");
}

/// Headers that hash to what was signed and must not open: the failure is signed. How many there were.
async fn headers(attacker: &Attacker) -> usize {
    let good = String::from_utf8(attacker.honest().header).unwrap();
    let stanza = good
        .lines()
        .skip_while(|line| !line.starts_with("-> X25519"))
        .take(2);
    let own = stanza.flat_map(|line| [line, "\n"]).collect::<String>();
    let mac = good.lines().last().unwrap();
    let made = |stanzas: &str| format!("age-encryption.org/v1\n{stanzas}{mac}\n").into_bytes();
    let body = own.lines().nth(1).unwrap();
    let table = [
        (
            "another recipient too",
            made(&format!("{own}{own}")),
            "header-recipients",
        ),
        ("nobody", made(""), "header-recipients"),
        (
            "a passphrase",
            made(&format!("-> scrypt AAAAAAAAAAAAAAAAAAAAAA 18\n{body}\n")),
            "header-passphrase",
        ),
        (
            "a plugin",
            made(&format!("{own}-> yubikey AAAA\n{body}\n")),
            "header-plugin",
        ),
        (
            "two greases",
            made(&format!("{own}-> a-grease x\n\n-> b-grease y\n\n")),
            "header-grease",
        ),
        ("another MAC", made(&own), "not-for-us"),
        (
            "no header",
            b"nothing of the kind".to_vec(),
            "header-version",
        ),
    ];
    let count = table.len();
    for (what, header, want) in table {
        let payload = attacker.honest().payload;
        let parcel = attacker.parcel(header.clone(), payload);
        assert_eq!(
            parcel.receipt.pkg.as_ref().unwrap().hdr,
            Digest::of(&header)
        );
        let mut talk = consigned(attacker, &parcel).await;
        talk.say(&Frame::Header(header).encode()).await;
        let note = talk.receipt().await;
        let opened = receipt::open(&note).unwrap();
        let (ours, theirs) = (attacker.keys.receipts.public(), attacker.victim_key());
        receipt::verify(&note, &opened, &ours, theirs, false).unwrap();
        assert_eq!(opened.kind, Kind::HandoverFailed, "{what}");
        let got = opened.reason.unwrap().code;
        let mac = want == "not-for-us" && got == "header-mac";
        assert!(got == want || mac, "{what}: {got}");
        talk.say(&countersigned(attacker, &note)).await;
        assert_eq!(talk.end().await, "done", "{what}");
        talk.link.close(0, "over");
    }
    count
}

/// What was delivered is answered with "done", however often it comes, and taken once.
async fn replays(attacker: &Attacker, honest: &Parcel) {
    for _ in 0..3 {
        let offer = attacker.offer(&honest.receipt);
        check(attacker, "a replay", &[&offer, &disclosures()], "done").await;
    }
}
