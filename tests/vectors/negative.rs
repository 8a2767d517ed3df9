//! What must be refused, and with which code.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rogatory::base::Digest;
use rogatory::identity::Card;
use rogatory::identity::keys::{PublicKey, Role, SecretKey};
use rogatory::identity::note::SignatureLine;
use rogatory::identity::statement::{Context, Note};
use rogatory::package::header;
use rogatory::receipt::{self, Head, Kind, Reason, Receipt, disclosure};
use rogatory::tlog::Checkpoint;
use rogatory::wire::{DataHead, Frame, HEAD_BYTES};
use serde_json::{Value, json};

use crate::exchange::Story;
use crate::parties::{Party, seed};
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
    "receipt-spelling",
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
    bench.receipt_fields();
    bench.receipt_chain();
    bench.frames();
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
        other => Some(other).filter(|_| false),
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
    let key = |party: &Party| party.key(Role::Receipts).public();
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

    /// Rules for bytes and signature lines.
    fn notes(&mut self) {
        let good = signed(&receipt_text("{}"), &[self.signer()]);
        let good_text = String::from_utf8(good.clone()).expect("text");
        let text = receipt_text("{}");
        let line = &good_text[text.len() + 1..];
        let long = receipt_text(&format!("{{\"a\":\"{}\"}}", "x".repeat(16_384)));
        let long = signed(&long, &[self.signer()]);
        let mut not_utf8 = good.clone();
        not_utf8[24] = 0xff;
        let with = |what: &str, line: &str| {
            let bytes = format!("{text}\n{line}").into_bytes();
            (
                format!("signature line {what}"),
                "note-signature-line",
                bytes,
            )
        };
        let plain = |what: &str, code, bytes: String| (what.to_owned(), code, bytes.into_bytes());
        let lax = line.trim_end().trim_end_matches('=');
        let cases = [
            ("longer than 16,384 bytes".to_owned(), "note-too-long", long),
            ("not UTF-8".to_owned(), "note-not-utf8", not_utf8),
            plain(
                "carriage return",
                "note-control-character",
                good_text.replace("v1\n", "v1\r\n"),
            ),
            plain(
                "tab in the JSON",
                "note-control-character",
                good_text.replace("{}", "{\t}"),
            ),
            plain(
                "no newline at the end",
                "note-no-final-newline",
                good_text.trim_end().to_owned(),
            ),
            plain("no blank line", "note-no-blank-line", text.clone()),
            plain("no signature", "note-no-signature", format!("{text}\n")),
            plain(
                "nine signatures",
                "note-too-many-signatures",
                format!("{text}\n{}", line.repeat(9)),
            ),
            with("with a hyphen for the dash", &line.replace('\u{2014}', "-")),
            with("without a signature", "\u{2014} bfj.example.de/receipts\n"),
            with("with two spaces", &line.replace("receipts ", "receipts  ")),
            with("without padding", &format!("{lax}\n")),
            with(
                "with a key id and nothing else",
                "\u{2014} bfj.example.de/receipts AAAAAA==\n",
            ),
            with(
                "with a plus sign in the name",
                &line.replace("/receipts", "+receipts"),
            ),
        ];
        for (what, code, bytes) in cases {
            self.push("statement", &what, code, &bytes);
        }
    }

    /// Rules for the two lines of text.
    fn statements(&mut self) {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(16), "]".repeat(16));
        let json = |json: &str| receipt_text(json);
        let malformed = "statement-json-malformed";
        let spelled = "statement-json-not-canonical";
        let cases = [
            (
                "one line",
                "statement-lines",
                "rogatory/receipt/v1\n".to_owned(),
            ),
            ("three lines", "statement-lines", json("{}\n{}")),
            (
                "unknown context",
                "statement-unknown-context",
                "rogatory/other/v1\n{}\n".to_owned(),
            ),
            (
                "version 2",
                "statement-unknown-context",
                "rogatory/receipt/v2\n{}\n".to_owned(),
            ),
            (
                "a card where a receipt belongs",
                "statement-wrong-context",
                "rogatory/card/v1\n{}\n".to_owned(),
            ),
            ("not JSON", malformed, json("{")),
            ("two values", malformed, json("{}{}")),
            ("a fraction", malformed, json("{\"a\":1.5}")),
            ("an exponent", malformed, json("{\"a\":1e2}")),
            ("minus zero", malformed, json("{\"a\":-0}")),
            ("2^53", malformed, json("{\"a\":9007199254740992}")),
            ("-2^53", malformed, json("{\"a\":-9007199254740992}")),
            ("a key twice", malformed, json("{\"a\":1,\"a\":1}")),
            ("nested 17 deep", malformed, json(&deep)),
            (
                "half of a surrogate pair",
                malformed,
                json("{\"a\":\"\\ud800\"}"),
            ),
            ("a space", spelled, json("{\"a\": 1}")),
            ("keys not in order", spelled, json("{\"b\":1,\"a\":1}")),
            (
                "keys in the order of UTF-8, not of UTF-16",
                spelled,
                json("{\"\u{ffff}\":1,\"\u{10000}\":1}"),
            ),
            (
                "an escape that is not needed",
                spelled,
                json("{\"a\":\"\\u0062\"}"),
            ),
            ("an escaped slash", spelled, json("{\"a\":\"\\/\"}")),
            ("an array", "statement-not-an-object", json("[]")),
            ("a string", "statement-not-an-object", json("\"a\"")),
            ("null", "statement-not-an-object", json("null")),
        ];
        for (what, code, text) in cases {
            let bytes = signed(&text, &[self.signer()]);
            self.push("statement", what, code, &bytes);
        }
    }

    /// Rules for who signs.
    fn signatures(&mut self) {
        let text = receipt_text("{}");
        let (by, card) = (self.signer(), self.key(Role::Card));
        let line = |name: &str, signature: Vec<u8>| {
            let id = by.public().id();
            let name = name.to_owned();
            let line = SignatureLine {
                name,
                id,
                signature,
            }
            .encode();
            format!("{text}\n{line}").into_bytes()
        };
        let own = by.name().to_string();
        let good = by.sign(text.as_bytes());
        let mut flipped = good;
        flipped[0] ^= 1;
        let changed = String::from_utf8(signed(&text, &[by])).expect("text");
        let bad = "statement-bad-signature";
        let cases = [
            (
                "key of an unknown role",
                "statement-key-name",
                line("bfj.example.de/tls", good.to_vec()),
            ),
            (
                "key of no authority",
                "statement-key-name",
                line("receipts", good.to_vec()),
            ),
            (
                "63 bytes of signature",
                "statement-signature-length",
                line(&own, good[1..].to_vec()),
            ),
            (
                "a timestamped cosignature",
                "statement-signature-length",
                line(&own, [&[0; 8][..], &good].concat()),
            ),
            (
                "the same key twice",
                "statement-signed-twice",
                signed(&text, &[by, by]),
            ),
            (
                "two signatures where one belongs",
                "statement-signature-count",
                signed(&text, &[by, card]),
            ),
            (
                "another role's key",
                "statement-wrong-signer",
                signed(&text, &[card]),
            ),
            (
                "another authority's key",
                "statement-wrong-signer",
                signed(&text, &[&self.ie]),
            ),
            (
                "the text was changed",
                bad,
                changed.replace("{}", "{\"a\":1}").into_bytes(),
            ),
            (
                "a bit of the signature was changed",
                bad,
                line(&own, flipped.to_vec()),
            ),
            (
                "S is not canonical (S + L)",
                bad,
                line(&own, plus_order(good).to_vec()),
            ),
            ("a signature of zeros", bad, line(&own, vec![0; 64])),
        ];
        for (what, code, bytes) in cases {
            self.push("statement", what, code, &bytes);
        }
    }

    fn receipt(&mut self, what: &str, code: &str, body: &Value) {
        let text = String::from_utf8(rogatory::base::json::canonical(body)).expect("text");
        let bytes = signed(&receipt_text(&text), &[self.signer()]);
        self.push("receipt", what, code, &bytes);
    }

    /// Rules for the fields of one receipt: each a dispatch with one change.
    fn receipt_fields(&mut self) {
        let good = self.story.receipt("dispatch");
        let good = serde_json::to_value(good).expect("JSON");
        let value = "receipt-field-value";
        let content = "statement-json-content";
        let upper = good["pkg"]["hdr"].as_str().expect("text").to_uppercase();
        let doubled = [good["sd"][0].clone(), good["sd"][0].clone()];
        let stranger = json!({"origin": "a.example.fr/log", "size": 1, "root": good["prev"]});
        let mut stranger = [stranger];
        stranger[0]["root"] = good["pkg"]["hdr"].clone();
        let cases = [
            ("version 2", "receipt-version", "/v", json!(2)),
            (
                "null for an absent field",
                "receipt-spelling",
                "/ses",
                Value::Null,
            ),
            ("an empty list", "receipt-spelling", "/sd", json!([])),
            (
                "an array in the place of an object",
                "receipt-spelling",
                "/from",
                json!([good["from"]["id"], good["from"]["key"]]),
            ),
            ("an unknown field", content, "/extra", json!(1)),
            ("an unknown kind", content, "/kind", json!("onward-2")),
            ("a digest in capitals", content, "/pkg/hdr", json!(upper)),
            (
                "a time without milliseconds",
                content,
                "/t",
                json!("2026-11-23T09:00:00Z"),
            ),
            (
                "a time in another zone",
                content,
                "/t",
                json!("2026-11-23T10:00:00.000+01:00"),
            ),
            (
                "an unknown purpose",
                content,
                "/terms/purposes",
                json!(["curiosity"]),
            ),
            (
                "purposes not in order",
                content,
                "/terms/purposes",
                json!(["trial", "investigation"]),
            ),
            ("a negative number", content, "/clk", json!(-1)),
            (
                "a reason on a dispatch",
                "receipt-field-not-allowed",
                "/reason",
                json!({"code": "x", "clause": ""}),
            ),
            (
                "prev on a dispatch",
                "receipt-field-not-allowed",
                "/prev",
                good["pkg"]["hdr"].clone(),
            ),
            (
                "a session on a dispatch",
                "receipt-field-not-allowed",
                "/ses",
                good["pkg"]["hdr"].clone(),
            ),
            ("step 2 on a dispatch", value, "/step", json!(2)),
            ("to itself", value, "/to", good["from"].clone()),
            (
                "another digest algorithm",
                value,
                "/pkg/alg",
                json!("sha-512"),
            ),
            ("another segment size", value, "/pkg/seg", json!(65_536)),
            ("an empty payload", value, "/pkg/len", json!(0)),
            ("a digest twice", value, "/sd", json!(doubled)),
            (
                "the head of a stranger's log",
                value,
                "/heads",
                json!(stranger),
            ),
            (
                "sunset after the end of retention",
                "receipt-terms",
                "/terms/sunset",
                json!("2032-01-01"),
            ),
            (
                "information evaluated 5",
                "receipt-terms",
                "/terms/evaluation/information",
                json!(5),
            ),
            (
                "free text as legal basis",
                "receipt-terms",
                "/terms/legal_basis",
                json!("see the letter"),
            ),
        ];
        for (what, code, at, with) in cases {
            let mut body = good.clone();
            let (parent, name) = at.rsplit_once('/').expect("a pointer");
            body.pointer_mut(parent).expect("it is there")[name] = with;
            self.receipt(what, code, &body);
        }
        for name in ["xid", "step", "from", "to", "pkg", "terms", "pol"] {
            let mut body = good.clone();
            body.as_object_mut().map(|fields| fields.remove(name));
            let what = format!("a dispatch without {name}");
            self.receipt(&what, "receipt-field-missing", &body);
        }
    }

    /// Rules between receipts, and for who signs which.
    fn receipt_chain(&mut self) {
        let story = self.story;
        let expired = story.next("dispatch", Kind::Expired);
        let expired = expired.because(Reason::technical("retention-over"));
        let shown = |change: fn(&mut Receipt)| {
            let mut changed = expired.clone();
            change(&mut changed);
            changed
        };
        let changed = "receipt-changed";
        let prev = "receipt-wrong-prev";
        let other = |label: &str| Digest::from_bytes(seed(label));
        let mut wrong_prev = expired.clone();
        wrong_prev.prev = Some(other("another receipt"));
        let no_reason = story.next("dispatch", Kind::Expired);
        let cases = [
            (
                "another exchange",
                changed,
                shown(|it| it.xid = Some(rogatory::base::Xid::from_bytes([9; 16]))),
            ),
            (
                "another package",
                changed,
                shown(|it| {
                    if let Some(pkg) = it.pkg.as_mut() {
                        pkg.len += 1;
                    }
                }),
            ),
            (
                "other terms",
                changed,
                shown(|it| {
                    if let Some(terms) = it.terms.as_mut() {
                        terms.use_report = false;
                    }
                }),
            ),
            (
                "fewer disclosures",
                changed,
                shown(|it| {
                    it.sd.pop();
                }),
            ),
            ("prev is the digest of another text", prev, wrong_prev),
            ("a step is left out", prev, shown(|it| it.step = Some(3))),
            (
                "no reason on a negative kind",
                "receipt-field-missing",
                no_reason,
            ),
        ];
        for (what, code, receipt) in cases {
            let body = serde_json::to_value(&receipt).expect("JSON");
            self.receipt(what, code, &body);
            self.follows("dispatch");
        }
        let handover = story.next("dispatch", Kind::Handover);
        let late = story.next("consigned-2", Kind::Withdrawn);
        let late = late.because(Reason::technical("withdrawn"));
        for (what, receipt, after) in [
            ("handover without consigned", handover, "dispatch"),
            ("withdrawn after consigned", late, "consigned-2"),
        ] {
            let body = serde_json::to_value(&receipt).expect("JSON");
            self.receipt(what, "receipt-may-not-follow", &body);
            self.follows(after);
        }
        self.receipt_signers();
    }

    fn receipt_signers(&mut self) {
        let story = self.story;
        let half = story.note("consigned-1").clone();
        let text = half.text().to_owned();
        let swapped = signed(&text, &[self.signer(), &self.ie]);
        let count = "statement-signature-count";
        self.push(
            "receipt",
            "consigned with one signature, where both are needed",
            count,
            half.bytes(),
        );
        self.push(
            "receipt",
            "the sender's signature before the issuer's",
            "statement-wrong-signer",
            &swapped,
        );
        let dispatch = story.note("dispatch").text().to_owned();
        let both = signed(&dispatch, &[self.signer(), &self.ie]);
        self.push("receipt", "dispatch with a countersignature", count, &both);
        let mut other = story.receipt("dispatch");
        if let Some(from) = other.from.as_mut() {
            from.key = rogatory::base::KeyId::from_bytes([1, 2, 3, 4]);
        }
        let body = serde_json::to_value(&other).expect("JSON");
        self.receipt("another receipts key is named", "receipt-wrong-key", &body);
        let mut heads = story.receipt("dispatch");
        let log = |size| Head {
            origin: "bfj.example.de/log".to_owned(),
            size,
            root: Digest::of(b""),
        };
        heads.heads = vec![log(1), log(2)];
        let body = serde_json::to_value(&heads).expect("JSON");
        self.receipt("two heads of one log", "receipt-field-value", &body);
    }

    fn frames(&mut self) {
        for (what, code, bytes) in [
            ("type 0", "unknown-frame", frame_of(0, b"")),
            ("type 5", "unknown-frame", frame_of(5, b"{}")),
            ("type 255", "unknown-frame", frame_of(255, b"")),
            (
                "offer of 16,385 bytes: head only",
                "frame-too-long",
                vec![16, 0, 0, 0x40, 1],
            ),
            (
                "hello of 65,537 bytes: head only",
                "frame-too-long",
                vec![1, 0, 1, 0, 1],
            ),
            (
                "crl of 2^20 + 1 bytes: head only",
                "frame-too-long",
                vec![3, 0, 0x10, 0, 1],
            ),
            (
                "receipt of 2^32 - 1 bytes: head only",
                "frame-too-long",
                vec![19, 255, 255, 255, 255],
            ),
            ("done with a body", "frame-too-long", frame_of(22, b"x")),
            ("card without a body", "frame-empty", frame_of(2, b"")),
            ("header without a body", "frame-empty", frame_of(20, b"")),
            ("ack with one byte", "frame-empty", frame_of(4, b"0")),
        ] {
            self.push("frame", what, code, &bytes);
        }
        for (what, code, bytes) in [
            ("nothing", "data-head-length", vec![]),
            ("type 0", "unknown-data", vec![0; 17]),
            ("type 3", "unknown-data", [&[3][..], &[0; 16]].concat()),
            (
                "list with a short xid",
                "data-head-length",
                [&[1][..], &[0; 15]].concat(),
            ),
            (
                "list with a number",
                "data-head-length",
                [&[1][..], &[0; 24]].concat(),
            ),
            (
                "segments without a number",
                "data-head-length",
                [&[2][..], &[0; 16]].concat(),
            ),
        ] {
            self.push("data-head", what, code, &bytes);
        }
    }

    fn frame_contents(&mut self) {
        let hello = |versions: &str| {
            format!(
                r#"{{"card":1,"crl":7,"now":"2026-11-23T09:00:00.000Z","peer_card":1,"peer_crl":0,"versions":{versions}}}"#
            )
        };
        let many: Vec<_> = (1..=17).collect();
        let many = hello(&json!(many).to_string());
        let runs: Vec<_> = (0..1_025).map(|n| [n * 2, 1]).collect();
        let runs = json!({ "missing": runs }).to_string();
        let texts = json!(vec![""; 65]).to_string();
        let malformed = "frame-malformed";
        let content = "frame-content";
        let text = |text: String| text.into_bytes();
        for (what, code, kind, body) in [
            ("not JSON", malformed, 21, text("{]".to_owned())),
            (
                "not canonical",
                malformed,
                4,
                text(r#"{"what":"crl","number":7}"#.to_owned()),
            ),
            (
                "unknown field",
                malformed,
                4,
                text(r#"{"extra":1,"number":7,"what":"crl"}"#.to_owned()),
            ),
            (
                "unknown paper",
                malformed,
                4,
                text(r#"{"number":7,"what":"key"}"#.to_owned()),
            ),
            (
                "field missing",
                malformed,
                21,
                text(r#"{"code":"busy"}"#.to_owned()),
            ),
            (
                "not UTF-8",
                malformed,
                23,
                b"{\"code\":\"x\",\"text\":\"\xff\"}".to_vec(),
            ),
            (
                "runs that touch",
                malformed,
                18,
                text(r#"{"missing":[[0,2],[2,1]]}"#.to_owned()),
            ),
            (
                "runs not in order",
                malformed,
                18,
                text(r#"{"missing":[[4,1],[0,1]]}"#.to_owned()),
            ),
            (
                "an empty run",
                malformed,
                18,
                text(r#"{"missing":[[4,0]]}"#.to_owned()),
            ),
            ("1,025 runs", content, 18, text(runs)),
            ("65 disclosures", content, 17, text(texts)),
            ("no version", content, 1, text(hello("[]"))),
            ("17 versions", content, 1, text(many)),
            ("versions not in order", content, 1, text(hello("[2,1]"))),
            (
                "code in capitals",
                content,
                21,
                text(r#"{"after_s":1,"code":"Busy"}"#.to_owned()),
            ),
            (
                "empty code",
                content,
                23,
                text(r#"{"code":"","text":""}"#.to_owned()),
            ),
            (
                "control character in the text",
                content,
                23,
                text(r#"{"code":"x","text":"a\u001bb"}"#.to_owned()),
            ),
        ] {
            self.push("frame", what, code, &frame_of(kind, &body));
        }
    }

    fn cards(&mut self) {
        let keys = self.card["keys"].clone();
        let swapped = json!({"card": keys["card"], "log": keys["receipts"], "receipts": keys["log"], "witness": keys["witness"]});
        let card = self.key(Role::Card).public();
        let log =
            rogatory::identity::keys::KeyName::new(card.name().authority().clone(), Role::Log);
        let log = PublicKey::from_bytes(log, card.bytes()).expect("a key");
        let field = "card-field";
        for (what, code, at, with) in [
            ("version 2", "card-version", "v", json!(2)),
            ("number 0", field, "number", json!(0)),
            (
                "a name that reorders text",
                field,
                "name",
                json!("a\u{202e}b"),
            ),
            ("a country in lower case", field, "country", json!("de")),
            (
                "an endpoint without a port",
                field,
                "endpoints",
                json!(["rogatory.bfj.example.de"]),
            ),
            (
                "an endpoint twice",
                field,
                "endpoints",
                json!(["a.example:1", "a.example:1"]),
            ),
            (
                "a CA that is no certificate",
                field,
                "tls_cas",
                json!(["AAAA"]),
            ),
            ("no recipient", field, "age", json!([])),
            ("keys under others' roles", "card-key-name", "keys", swapped),
            (
                "one key for two roles",
                "card-shared-key",
                "keys",
                json!({"card": keys["card"], "log": log, "receipts": keys["receipts"], "witness": keys["witness"]}),
            ),
            (
                "an unknown field",
                "statement-json-content",
                "extra",
                json!(1),
            ),
        ] {
            let mut body = self.card.clone();
            body[at] = with;
            let note = Note::issue(Context::Card, &body, self.key(Role::Card));
            let note = note.expect("a statement");
            self.push("card", what, code, note.bytes());
        }
        let note = Note::issue(Context::Card, &self.card, self.key(Role::Log));
        let note = note.expect("a statement");
        self.push(
            "card",
            "signed by another key of the card",
            "statement-wrong-signer",
            note.bytes(),
        );
    }

    fn vkeys(&mut self) {
        let good = self.signer().public().to_vkey();
        let vkey = |kind: u8, hex: &str| {
            let mut point = vec![kind];
            point.extend(hex::decode(hex).expect("hex"));
            let name = "bfj.example.de/receipts";
            let id = rogatory::identity::note::key_id(name, kind, &point[1..]);
            format!("{name}+{id}+{}", STANDARD.encode(point))
        };
        let one = format!("01{}", "00".repeat(31));
        let order_8 = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05";
        let not_reduced = format!("f0{}7f", "ff".repeat(30));
        let no_point = format!("02{}", "00".repeat(31));
        let sound = hex::encode(self.signer().public().bytes());
        for (what, code, text) in [
            (
                "a name without a role",
                "key-name",
                good.replacen("/receipts", "", 1),
            ),
            ("two parts", "key-vkey", good.replacen('+', " ", 1)),
            (
                "an id in capitals",
                "key-vkey",
                "bfj.example.de/receipts+ABCDEF01+AQ==".to_owned(),
            ),
            ("a cosignature key (type 4)", "key-vkey", vkey(4, &sound)),
            (
                "the id of another key",
                "key-wrong-id",
                good.replacen("receipts", "log", 1),
            ),
            ("the neutral element", "key-weak", vkey(1, &one)),
            ("a point of order 8", "key-weak", vkey(1, order_8)),
            (
                "y = 2^255 - 16, not reduced",
                "key-not-canonical",
                vkey(1, &not_reduced),
            ),
            (
                "no point of the curve",
                "key-not-canonical",
                vkey(1, &no_point),
            ),
        ] {
            self.push("vkey", what, code, text.as_bytes());
        }
    }

    fn checkpoints(&mut self) {
        let log = self.key(Role::Log);
        let root = STANDARD.encode(seed("a root"));
        let of = |origin: &str, size: &str, root: &str| {
            signed(&format!("{origin}\n{size}\n{root}\n"), &[log])
        };
        let origin = "bfj.example.de/log";
        let good = String::from_utf8(of(origin, "3", &root)).expect("text");
        let by_receipts = signed(&format!("{origin}\n3\n{root}\n"), &[self.signer()]);
        for (what, code, bytes) in [
            (
                "an extension line",
                "checkpoint-lines",
                of(origin, "3", &format!("{root}\nextension")),
            ),
            (
                "an origin without a role",
                "checkpoint-origin",
                of("bfj.example.de", "3", &root),
            ),
            (
                "a size with a leading zero",
                "checkpoint-size",
                of(origin, "03", &root),
            ),
            (
                "a size of 2^53",
                "checkpoint-size",
                of(origin, "9007199254740992", &root),
            ),
            (
                "a root of 31 bytes",
                "checkpoint-root",
                of(origin, "3", &STANDARD.encode([0; 31])),
            ),
            (
                "another log",
                "checkpoint-wrong-origin",
                of("mla.example.ie/log", "3", &root),
            ),
            (
                "signed by the receipts key",
                "checkpoint-not-signed",
                by_receipts,
            ),
            (
                "another size than was signed",
                "checkpoint-bad-signature",
                good.replace("\n3\n", "\n4\n").into_bytes(),
            ),
        ] {
            self.push("checkpoint", what, code, &bytes);
        }
    }

    /// Beside the dispatch.
    fn disclosures(&mut self) {
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let good = self.story.encoded();
        let text = |json: &str| URL_SAFE_NO_PAD.encode(json);
        let salt = URL_SAFE_NO_PAD.encode([0; 16]);
        for (what, code, list) in [
            (
                "longer than 8,192 bytes",
                "disclosure-too-long",
                vec!["A".repeat(8_193)],
            ),
            (
                "65 of them",
                "disclosures-too-many",
                vec![good[0].clone(); 65],
            ),
            (
                "padded",
                "disclosure-encoding",
                vec![format!("{}=", good[0])],
            ),
            (
                "not base64url",
                "disclosure-encoding",
                vec!["+/".to_owned()],
            ),
            (
                "not canonical JSON",
                "disclosure-json",
                vec![text(&format!(r#"["{salt}", "case","x"]"#))],
            ),
            ("no salt", "disclosure-shape", vec![text(r#"["case","x"]"#)]),
            (
                "a salt of 15 bytes",
                "disclosure-shape",
                vec![text(&format!(
                    r#"["{}","case","x"]"#,
                    URL_SAFE_NO_PAD.encode([0; 15])
                ))],
            ),
            (
                "one that the receipt does not hold",
                "disclosure-not-in-receipt",
                vec![text(&format!(r#"["{salt}","case","x"]"#))],
            ),
            (
                "one of them twice",
                "disclosure-twice",
                vec![good[2].clone(), good[2].clone()],
            ),
        ] {
            self.push(
                "disclosures",
                what,
                code,
                json!(list).to_string().as_bytes(),
            );
        }
    }

    /// For one recipient.
    fn headers(&mut self) {
        let good = String::from_utf8(self.package.header.clone()).expect("a header is ASCII");
        let (first, rest) = good.split_once('\n').expect("lines");
        let (stanza, mac) = rest.split_at(rest.find("--- ").expect("a MAC line"));
        let with = |stanzas: &str| format!("{first}\n{stanzas}{mac}");
        let named = |name: &str| with(&stanza.replacen("X25519", name, 1));
        let grease = stanza.replacen("X25519", "x-grease", 1);
        for (what, code, text) in [
            ("age v2", "header-version", good.replacen("v1", "v2", 1)),
            (
                "bytes after the MAC line",
                "header-mac-line",
                format!("{good}x"),
            ),
            (
                "a short MAC",
                "header-mac-line",
                good.replacen("--- ", "--- \n", 1),
            ),
            (
                "a stanza with two arguments",
                "header-stanza",
                good.replacen("X25519 ", "X25519 a ", 1),
            ),
            (
                "a stanza without a body",
                "header-stanza",
                with("-> X25519 AAAA\n"),
            ),
            (
                "nine stanzas",
                "header-too-many-stanzas",
                with(&stanza.repeat(9)),
            ),
            ("a passphrase", "header-passphrase", named("scrypt")),
            (
                "post-quantum hybrid",
                "header-hybrid",
                named("mlkem768x25519"),
            ),
            ("an SSH key", "header-plugin", named("ssh-ed25519")),
            (
                "two grease stanzas",
                "header-grease",
                with(&format!("{stanza}{grease}{grease}")),
            ),
            (
                "two recipients where one is expected",
                "header-recipients",
                with(&stanza.repeat(2)),
            ),
            ("no recipient", "header-recipients", with("")),
        ] {
            self.push("header", what, code, text.as_bytes());
        }
    }
}

/// A signature whose S is larger by the order of the group: equal modulo the order, but not canonical (RFC 8032 §5.1.7).
fn plus_order(mut signature: [u8; 64]) -> [u8; 64] {
    const ORDER: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
    let order = hex::decode(ORDER).expect("hex");
    let mut carry = 0;
    for (byte, more) in signature[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(more) + carry;
        [*byte, _] = sum.to_le_bytes();
        carry = sum >> 8;
    }
    signature
}
