//! Documents that must be refused, and with which code.

mod papers;
mod receipts;
mod statements;
mod wire;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rogatory::identity::Card;
use rogatory::identity::keys::{PublicKey, Role, SecretKey};
use rogatory::identity::note::SignatureLine;
use rogatory::identity::statement::{Context, Note};
use rogatory::package::header;
use rogatory::receipt::{self, disclosure};
use rogatory::tlog::Checkpoint;
use rogatory::wire::{DataHead, Frame, HEAD_BYTES};
use serde_json::{Value, json};

use crate::exchange::Story;
use crate::parties::Party;
use crate::sealed::Package;

/// Every code that a vector must have. Two have none: `statement-json-too-long` (the limit of a note comes first) and
/// `receipt-not-the-note` (a mistake of a program, not of bytes).
const CODES: &[&str] = &[
    // StatementFault
    "note-too-long",
    "note-not-utf8",
    "note-control-character",
    "note-no-final-newline",
    "note-no-blank-line",
    "note-no-signature",
    "note-too-many-signatures",
    "note-signature-line",
    "statement-lines",
    "statement-unknown-context",
    "statement-wrong-context",
    "statement-json-malformed",
    "statement-json-not-canonical",
    "statement-json-content",
    "statement-not-an-object",
    "statement-key-name",
    "statement-signature-length",
    "statement-signed-twice",
    "statement-signature-count",
    "statement-wrong-signer",
    "statement-bad-signature",
    // ReceiptFault
    "receipt-version",
    "receipt-field-missing",
    "receipt-field-not-allowed",
    "receipt-field-value",
    "receipt-terms",
    "receipt-wrong-key",
    "receipt-changed",
    "receipt-wrong-prev",
    "receipt-may-not-follow",
    // WireFault
    "unknown-frame",
    "frame-too-long",
    "frame-empty",
    "frame-malformed",
    "frame-content",
    "unknown-data",
    "data-head-length",
    // CardFault, KeyFault
    "card-version",
    "card-field",
    "card-key-name",
    "card-shared-key",
    "key-name",
    "key-vkey",
    "key-wrong-id",
    "key-not-canonical",
    "key-weak",
    "key-mixed-order",
    // CheckpointFault
    "checkpoint-lines",
    "checkpoint-origin",
    "checkpoint-size",
    "checkpoint-root",
    "checkpoint-wrong-origin",
    "checkpoint-not-signed",
    "checkpoint-bad-signature",
    // DisclosureFault
    "disclosure-too-long",
    "disclosures-too-many",
    "disclosure-encoding",
    "disclosure-json",
    "disclosure-shape",
    "disclosure-not-in-receipt",
    "disclosure-twice",
    // HeaderFault
    "header-version",
    "header-mac-line",
    "header-stanza",
    "header-too-many-stanzas",
    "header-passphrase",
    "header-hybrid",
    "header-plugin",
    "header-grease",
    "header-recipients",
];

struct Bench<'a> {
    story: &'a Story,
    package: &'a Package,
    de: [SecretKey; 4],
    ie: SecretKey,
    card: Value,
    list: Vec<Value>,
}

pub(crate) fn all(de: &Party, ie: &Party, story: &Story, package: &Package) -> Value {
    let mut bench = Bench {
        story,
        package,
        de: Role::ALL.map(|role| de.key(role)),
        ie: ie.key(Role::Receipts),
        card: serde_json::to_value(de.card()).expect("a card is JSON"),
        list: Vec::new(),
    };
    bench.notes();
    bench.statements();
    bench.signatures();
    bench.bad_signatures();
    bench.receipt_spelling();
    bench.receipt_fields();
    bench.receipt_chain();
    bench.frames();
    bench.frame_json();
    bench.frame_contents();
    bench.cards();
    bench.vkeys();
    bench.checkpoints();
    bench.disclosures();
    bench.headers();
    for code in CODES {
        let found = bench.list.iter().any(|one| one["code"] == *code);
        assert!(found, "no vector has {code}");
    }
    for one in &bench.list {
        let code = one["code"].as_str().expect("text");
        assert!(CODES.contains(&code), "{code} is not listed");
        check(one, de, ie, story);
    }
    Value::Array(bench.list)
}

/// That the code refuses the bytes as the vector says.
fn check(vector: &Value, de: &Party, ie: &Party, story: &Story) {
    let of = vector["of"].as_str().expect("text");
    let bytes = vector["bytes"].as_str().expect("text");
    let bytes = STANDARD.decode(bytes).expect("base64");
    let found = match of {
        "statement" => statement(&bytes, &de.key(Role::Receipts).public()),
        "receipt" => one_receipt(&bytes, vector, de, ie, story),
        "frame" => frame(&bytes),
        "data-head" => DataHead::decode(&bytes).err().map(|fault| fault.code()),
        "card" => Card::open(&bytes).err().map(|fault| fault.code()),
        "vkey" => {
            let text = str::from_utf8(&bytes).expect("text");
            PublicKey::parse_vkey(text).err().map(|fault| fault.code())
        }
        "checkpoint" => {
            let opened = Checkpoint::open(&bytes, &de.key(Role::Log).public());
            opened.err().map(|fault| fault.code())
        }
        "disclosures" => {
            let list: Vec<String> = serde_json::from_slice(&bytes).expect("a list");
            let sd = story.receipt("dispatch").sd;
            let read = disclosure::check_against(&sd, &list);
            read.err().map(|fault| fault.code())
        }
        "header" => header::check(&bytes, 1).err().map(|fault| fault.code()),
        _ => None,
    };
    assert_eq!(found, vector["code"].as_str(), "{vector:#}");
}

fn statement(bytes: &[u8], key: &PublicKey) -> Option<&'static str> {
    let read = Note::parse(bytes).and_then(|note| {
        note.expect(Context::Receipt)?;
        note.verify(&[key])
    });
    read.err().map(|fault| fault.code())
}

fn one_receipt(
    bytes: &[u8],
    vector: &Value,
    de: &Party,
    ie: &Party,
    story: &Story,
) -> Option<&'static str> {
    let key = |party: &Party| receipt::PartyKeys::new(1, party.key(Role::Receipts).public());
    let note = match Note::parse(bytes) {
        Ok(note) => note,
        Err(fault) => return Some(fault.code()),
    };
    let read = receipt::open(&note).and_then(|receipt| {
        if let Some(file) = vector["follows"].as_str() {
            let name = file.strip_prefix("statements/");
            let name = name.and_then(|name| name.strip_suffix(".note"));
            let name = name.expect("the name of a statement");
            receipt::continues(&story.receipt(name), story.note(name), &receipt)?;
        }
        receipt::verify(&note, &receipt, &key(de), &key(ie), true)
    });
    read.err().map(|fault| fault.code())
}

fn frame(bytes: &[u8]) -> Option<&'static str> {
    let (head, body) = bytes.split_first_chunk::<HEAD_BYTES>().expect("a head");
    let read = Frame::head(head).and_then(|head| Frame::decode(head.kind, body));
    read.err().map(|fault| fault.code())
}

/// A text with signature lines by these keys.
fn signed(text: &str, keys: &[&SecretKey]) -> Vec<u8> {
    let lines = keys.iter().map(|key| {
        let line = SignatureLine {
            name: key.name().to_string(),
            id: key.public().id(),
            signature: key.sign(text.as_bytes()).to_vec(),
        };
        line.encode()
    });
    format!("{text}\n{}", lines.collect::<String>()).into_bytes()
}

fn receipt_text(json: &str) -> String {
    format!("rogatory/receipt/v1\n{json}\n")
}

fn frame_of(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("it is short");
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

impl Bench<'_> {
    fn key(&self, role: Role) -> &SecretKey {
        let found = self.de.iter().find(|key| key.name().role() == role);
        found.expect("a key for each role")
    }

    fn signer(&self) -> &SecretKey {
        self.key(Role::Receipts)
    }

    fn push(&mut self, of: &str, what: &str, code: &str, bytes: &[u8]) {
        let bytes = STANDARD.encode(bytes);
        self.list
            .push(json!({"of": of, "what": what, "code": code, "bytes": bytes}));
    }

    fn follows(&mut self, after: &str) {
        let last = self.list.last_mut().expect("one was added");
        last["follows"] = json!(Story::file(after));
    }
}
