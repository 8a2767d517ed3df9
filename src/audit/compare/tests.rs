use super::*;
use crate::base::{Digest, Xid};
use crate::identity::keys::{KeyName, Role, SecretKey};
use crate::policy::{Purpose, Terms};
use crate::receipt::{Head, Kind, Party, Pkg, Reason, Receipt, Stamp};
use crate::tlog::ProofFile;

const IE: &str = "mla.example.ie";
const DE: &str = "bfj.example.de";

fn key(authority: &str, role: Role) -> SecretKey {
    let name = KeyName::new(authority.parse().unwrap(), role);
    let seed = Digest::of(name.to_string().as_bytes());
    SecretKey::from_seed(name, seed.as_bytes())
}

/// The keys of both, those with these names left out.
fn anchors(without: &[&str]) -> Anchors {
    let mut text = String::new();
    for authority in [IE, DE] {
        for role in [Role::Receipts, Role::Log] {
            let key = key(authority, role).public();
            if !without.contains(&key.name().to_string().as_str()) {
                text += &key.to_vkey();
                text += "\n";
            }
        }
    }
    Anchors::parse(text.as_bytes()).unwrap()
}

fn checkpoint(authority: &str, size: u64, root: &str) -> Vec<u8> {
    let origin = format!("{authority}/log");
    let root = Digest::of(root.as_bytes());
    let head = Checkpoint { origin, size, root };
    head.sign(&key(authority, Role::Log))
}

fn proof(authority: &str, size: u64, root: &str) -> Vec<u8> {
    let checkpoint = checkpoint(authority, size, root);
    let (extra, index, proof) = (None, 0, Vec::new());
    let file = ProofFile {
        extra,
        index,
        proof,
        checkpoint,
    };
    file.encode()
}

fn stamp(heads: Vec<Head>) -> Stamp {
    let (t, pol) = ("2026-11-23T09:00:00.000Z", Digest::of(b"policy"));
    let (t, clk, ses) = (t.parse().unwrap(), 50, Some(Digest::of(b"session")));
    Stamp {
        t,
        clk,
        pol,
        ses,
        heads,
    }
}

fn dispatch(heads: Vec<Head>) -> Note {
    let party = |authority| Party::of(1, &key(authority, Role::Receipts).public());
    let retained = "2031-12-31".parse().unwrap();
    let terms = Terms::new("EIO".parse().unwrap(), [Purpose::Trial], retained);
    let pkg = Pkg::new(Digest::of(b"body"), Digest::of(b"hdr"), 4096);
    let receipt = Receipt::dispatch(Xid::from_bytes([7; 16]), party(IE), party(DE), pkg, terms);
    let receipt = receipt.stamped(&stamp(heads));
    receipt.sign(&key(IE, Role::Receipts)).unwrap()
}

/// The receipt after this one, signed by its issuer, or by both.
fn next(before: &Note, kind: Kind, complete: bool) -> Note {
    let receipt = receipt::open(before).unwrap();
    let mut receipt = receipt.follow(before, kind).stamped(&stamp(Vec::new()));
    if kind.is_reasoned() {
        receipt = receipt.because(Reason::technical("for-a-test"));
    }
    let issuer = receipt.issuer().unwrap().id.to_string();
    let note = receipt.sign(&key(&issuer, Role::Receipts)).unwrap();
    if complete {
        note.countersign(&key(IE, Role::Receipts)).unwrap()
    } else {
        note
    }
}

/// An export by this authority of these receipts.
fn export(name: &str, owner: &str, notes: &[&Note]) -> (String, ComparedPart) {
    let receipts = (1..).zip(notes).map(|(number, note)| {
        let path = format!("receipts/{number:02}.note");
        (path, note.bytes().to_vec())
    });
    let log = ("log/checkpoint".to_owned(), checkpoint(owner, 9, "root"));
    let files = receipts.chain([log]).collect();
    (name.to_owned(), ComparedPart::Bundle(files))
}

fn single(name: &str, content: &[u8]) -> (String, ComparedPart) {
    (name.to_owned(), ComparedPart::Note(content.to_vec()))
}

fn rules(faults: &[AuditFault]) -> Vec<&str> {
    faults.iter().map(|fault| fault.rule.as_str()).collect()
}

fn meanings(faults: &[AuditFault]) -> Vec<&str> {
    faults.iter().map(|fault| fault.meaning.as_str()).collect()
}

#[test]
fn a_fork_cannot_be_seen_without_the_key_of_the_log() {
    let sources = [
        single("one.cp", &checkpoint(IE, 5, "one")),
        single("two.cp", &checkpoint(IE, 5, "two")),
    ];
    let without = compare(&sources, &anchors(&["mla.example.ie/log"]));
    let id = key(IE, Role::Log).public().id();
    assert_eq!(
        without.missing,
        [format!("the key mla.example.ie/log+{id}")]
    );
    assert_eq!((without.statements, without.checkpoints), (0, 0));
    assert_eq!(
        (without.exit_code(), without.finding()),
        (3, Finding::Missing)
    );
    let with = compare(&sources, &anchors(&[]));
    assert_eq!(rules(&with.faults), ["log-forked"]);
    assert_eq!((with.exit_code(), with.checkpoints), (7, 2));
}

#[test]
fn what_a_log_has_not_signed_well_is_said_and_not_counted() {
    let good = checkpoint(IE, 5, "one");
    let head = Checkpoint::parse(&good).unwrap().0;
    let mut bad = good.clone();
    let at = bad.len() - 10;
    bad[at] = if bad[at] == b'A' { b'B' } else { b'A' };
    let others = head.sign(&key(DE, Role::Log));
    for (note, rule) in [
        (bad, "checkpoint-bad-signature"),
        (others, "checkpoint-not-signed"),
    ] {
        let sources = [single("good.cp", &good), single("other.cp", &note)];
        let compared = compare(&sources, &anchors(&[]));
        assert_eq!(rules(&compared.faults), [rule]);
        assert_eq!(compared.finding(), Finding::NotSigned(1));
        assert_eq!((compared.exit_code(), compared.statements), (7, 1));
    }
}

#[test]
fn one_fork_is_one_line_wherever_it_is_named() {
    let named = |root: &str| {
        let (origin, root) = (format!("{IE}/log"), Digest::of(root.as_bytes()));
        let size = 5;
        vec![Head { origin, root, size }]
    };
    let folder = |root: &str| {
        let mut files = Files::new();
        files.insert("log/checkpoint".to_owned(), checkpoint(IE, 9, root));
        for number in 1..6 {
            let path = format!("log/{number:02}.tlog-proof");
            files.insert(path, proof(IE, 7 + number % 2, root));
        }
        let note = dispatch(named(root));
        files.insert("receipts/01.note".to_owned(), note.bytes().to_vec());
        (root.to_owned(), ComparedPart::Bundle(files))
    };
    let compared = compare(&[folder("one"), folder("two")], &anchors(&[]));
    let forks: Vec<_> = compared
        .faults
        .iter()
        .filter(|fault| fault.rule == "log-forked")
        .collect();
    assert_eq!(forks.len(), 1, "{forks:#?}");
    assert_eq!(forks[0].file, "two/receipts/01.note");
    let said = "it names another root of mla.example.ie/log at 5 leaves than one/receipts/01.note, at 3 more sizes too: that log was forked";
    assert_eq!(forks[0].meaning, said);
    assert_eq!(
        compared.checkpoints, 6,
        "sizes 7, 8 and 9, in two histories"
    );
    assert_eq!((compared.receipts, compared.exchanges), (2, 1));
}

#[test]
fn every_statement_counts_once_and_excluding_ones_are_told_once() {
    let first = dispatch(Vec::new());
    let consigned = next(&first, Kind::Consigned, true);
    let half = consigned.without_countersignature();
    let ie = export("ie", IE, &[&first, &half, &consigned]);
    let de = export("de", DE, &[&first, &half, &consigned]);
    let compared = compare(&[ie, de], &anchors(&[]));
    assert_eq!((compared.receipts, compared.checkpoints), (2, 2));
    assert_eq!((compared.statements, compared.exit_code()), (4, 0));
    assert_eq!(compared.remarks, []);
    let rejected = next(&first, Kind::Rejected, false);
    let sources = [
        export("ie", IE, &[&first, &rejected]),
        export("de", DE, &[&first, &half, &consigned]),
        single("rejected.note", rejected.bytes()),
    ];
    let compared = compare(&sources, &anchors(&[]));
    assert_eq!(rules(&compared.faults), ["receipts-exclude"]);
    assert_eq!(compared.finding(), Finding::Excluding(1));
}

#[test]
fn what_one_export_lacks_of_the_other_is_remarked() {
    let first = dispatch(Vec::new());
    let consigned = next(&first, Kind::Consigned, true);
    let handover = next(&consigned, Kind::Handover, true);
    let changed = next(&handover, Kind::RestrictionChanged, false);
    let destroyed = next(&changed, Kind::Destroyed, true);
    let xid = Xid::from_bytes([7; 16]);
    let whole = [&first, &consigned, &handover, &changed, &destroyed];
    let check = |left: &[&Note], wanted: &[String]| {
        let sources = [export("ie", IE, &whole), export("de", DE, left)];
        let compared = compare(&sources, &anchors(&[]));
        assert_eq!(compared.exit_code(), 0, "{compared:#?}");
        assert_eq!(meanings(&compared.remarks), wanted);
        assert!(
            rules(&compared.remarks)
                .iter()
                .all(|rule| *rule == "receipt-lacking")
        );
    };
    let t = "2026-11-23T09:00:00.000Z";
    let says = |kind: &str, file: u8, end: &str| {
        format!(
            "de lacks {kind} of {t} of exchange {xid} that ie holds (receipts/0{file}.note), {end}"
        )
    };
    check(&whole, &[]);
    check(
        &whole[..3],
        &[
            says("destroyed", 5, "signed by both"),
            says(
                "restriction-changed",
                4,
                "signed by mla.example.ie alone: the other side may not have it yet",
            ),
        ],
    );
    let half = handover.without_countersignature();
    let end = "signed by both";
    check(
        &[&first, &consigned, &half, &changed, &destroyed],
        &[says("the second signature under handover", 3, end)],
    );
}

#[test]
fn the_receivers_own_record_is_expected_of_the_receiver_alone() {
    let first = dispatch(Vec::new());
    let consigned = next(&first, Kind::Consigned, true);
    let handover = next(&consigned, Kind::Handover, true);
    let denied = next(&handover, Kind::AccessDenied, false);
    let mismatch = next(&handover, Kind::ContentMismatch, false);
    let shared = [&first, &consigned, &handover];
    let more = [&first, &consigned, &handover, &denied, &mismatch];
    let said = |sources: &[(String, ComparedPart)]| -> Vec<String> {
        let compared = compare(sources, &anchors(&[]));
        assert_eq!(compared.exit_code(), 0, "{compared:#?}");
        let remarks = meanings(&compared.remarks);
        remarks.iter().map(|it| (*it).to_owned()).collect()
    };
    // The sender's export lacks the record of the receiver's denial, rightly, and what it is to be told.
    let sender = said(&[export("ie", IE, &shared), export("de", DE, &more)]);
    assert!(
        matches!(&sender[..], [one] if one.contains("ie lacks content-mismatch")),
        "{sender:?}"
    );
    // The receiver's lacks what it has itself told the sender.
    let received = [&first, &consigned, &handover, &mismatch];
    let told = said(&[export("ie", IE, &received), export("de", DE, &shared)]);
    assert!(
        matches!(&told[..], [one] if one.contains("de lacks content-mismatch") && one.ends_with("signed by bfj.example.de, which made de")),
        "{told:?}"
    );
    // An earlier export of the receiver's lacks both.
    let earlier = said(&[export("early", DE, &shared), export("late", DE, &more)]);
    assert_eq!(earlier.len(), 2, "{earlier:?}");
    // A single receipt that both have signed is missed in an export; an export of another exchange lacks nothing.
    let alone = said(&[
        export("ie", IE, &shared[..2]),
        single("h.note", handover.bytes()),
    ]);
    assert!(
        matches!(&alone[..], [one] if one.contains("that h.note holds, signed by both")),
        "{alone:?}"
    );
    let none = said(&[export("other", IE, &[]), export("de", DE, &more)]);
    assert!(none.is_empty(), "{none:?}");
}

#[test]
fn a_source_in_which_nothing_is_cannot_be_compared() {
    let good = export("ie", IE, &[&dispatch(Vec::new())]);
    let stray: Files = ["a.cp", "log/b.cp", "VERIFY.txt", "keys/x.pem"]
        .map(|path| (path.to_owned(), checkpoint(IE, 5, "one")))
        .into();
    let sources = [good, ("stray".to_owned(), ComparedPart::Bundle(stray))];
    let compared = compare(&sources, &anchors(&[]));
    assert_eq!(rules(&compared.faults), ["statement-missing"]);
    assert_eq!(
        (compared.exit_code(), compared.finding()),
        (3, Finding::Unreadable(1))
    );
    assert_eq!(rules(&compared.remarks), ["file-not-read"]);
    let remark = compared.remarks[0].meaning.as_str();
    assert!(
        remark.starts_with("of stray, this was not read: a.cp, log/b.cp; "),
        "{remark}"
    );
    let mut broken = Files::new();
    broken.insert("receipts/01.note".to_owned(), b"x".to_vec());
    broken.insert("log/01.tlog-proof".to_owned(), b"x".to_vec());
    let sources = [
        single("x", b"nothing"),
        single("y", b"rogatory/receipt/v1\n{}\n"),
        ("broken".to_owned(), ComparedPart::Bundle(broken)),
    ];
    let compared = compare(&sources, &anchors(&[]));
    assert_eq!(rules(&compared.faults), ["statement-unreadable"; 4]);
    assert_eq!(compared.finding(), Finding::Unreadable(4));
    assert_eq!((compared.exit_code(), compared.statements), (3, 0));
}

#[test]
fn a_bad_signature_is_no_unreadable_file() {
    let note = dispatch(Vec::new());
    let changed = String::from_utf8(note.bytes().to_vec()).unwrap();
    let changed = changed.replace("\"clk\":50", "\"clk\":51");
    let sources = [
        single("good.note", note.bytes()),
        single("bad.note", changed.as_bytes()),
    ];
    let compared = compare(&sources, &anchors(&[]));
    assert_eq!(rules(&compared.faults), ["statement-bad-signature"]);
    assert_eq!(
        (compared.exit_code(), compared.finding()),
        (7, Finding::NotSigned(1))
    );
    assert_eq!(compared.statements, 1);
    let compared = compare(&sources, &anchors(&["bfj.example.de/receipts"]));
    assert_eq!((compared.exit_code(), compared.statements), (3, 0));
}

/// The rules that compare names of a file, and the codes of its errors.
const CODES: &[&str] = &[
    "badly-signed",
    "cards-exclude",
    "checkpoint-bad-signature",
    "checkpoint-not-signed",
    "file-not-read",
    "keys-unusable",
    "log-forked",
    "not-judged",
    "not-one-story",
    "nothing-to-compare",
    "receipt-lacking",
    "receipts-exclude",
    "source-unreadable",
    "statement-bad-signature",
    "statement-missing",
    "statement-signature-count",
    "statement-unreadable",
    "statement-wrong-signer",
];

#[test]
fn the_page_for_auditors_has_every_code() {
    let page = include_str!("../../../docs/auditor.md");
    let part = page.split("## Several exports together").nth(1).unwrap();
    for code in CODES {
        assert!(part.contains(&format!("`{code}`")), "{code}");
    }
}
