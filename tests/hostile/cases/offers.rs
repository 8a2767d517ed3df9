//! Offers: the note, the receipt in it, and what is disclosed beside it.

use rogatory::identity::note::SignatureLine;
use rogatory::identity::{Context, Note, SecretKey};
use rogatory::receipt::{Disclosure, Receipt};
use serde_json::{Value, json};

use crate::attack::{Attacker, beside, case, disclosures, minutes, raw, texts};
use crate::broken;
use crate::script::{Case, Say, Scene};

fn value(receipt: &Receipt) -> Value {
    serde_json::to_value(receipt).unwrap()
}

/// Signed by the attacker, whatever it says: what nobody honest would sign, too.
fn signed<T: serde::Serialize>(body: &T, key: &SecretKey) -> Vec<u8> {
    let body = serde_json_canonicalizer::to_string(body).unwrap();
    let text = format!("{}\n{body}\n", Context::Receipt.line());
    let line = SignatureLine {
        name: key.name().to_string(),
        id: key.public().id(),
        signature: key.sign(text.as_bytes()).to_vec(),
    };
    raw(16, format!("{text}\n{}", line.encode()).as_bytes())
}

/// The permitted answers to a receipt whose fields are not right.
const WRONG_FIELD: &str = "statement-json-content|statement-json-not-canonical|statement-json-malformed|receipt-version|receipt-field-missing|receipt-field-value|receipt-field-not-allowed|receipt-terms";

/// Each field of the dispatch left out, and of every other kind; signed properly.
pub(crate) fn fields(attacker: &Attacker) -> Vec<Case> {
    let key = &attacker.keys.receipts;
    let whole = value(&attacker.honest().receipt);
    let mut cases = Vec::new();
    let mut add = |what: String, body: &Value| {
        cases.push(Case::bytes(
            Scene::Fresh,
            format!("dispatch: {what}"),
            WRONG_FIELD,
            signed(body, key),
        ));
    };
    for (what, body) in broken::fields(&whole) {
        // What may be absent may be left out.
        if what != "no sd" && what != "sd is an array" {
            add(what, &serde_json::from_slice(&body).unwrap());
        }
    }
    for part in ["from", "to", "pkg", "terms"] {
        for (what, body) in broken::fields(&whole[part]) {
            let mut changed = whole.clone();
            changed[part] = serde_json::from_slice(&body).unwrap();
            add(format!("{part}: {what}"), &changed);
        }
    }
    cases
}

/// Each field with a value of the right kind that it must not have.
#[expect(clippy::too_many_lines, reason = "one table")]
pub(crate) fn values(attacker: &Attacker) -> Vec<Case> {
    let key = &attacker.keys.receipts;
    let whole = value(&attacker.honest().receipt);
    let digest = "ab".repeat(32);
    let mut cases = Vec::new();
    let table: Vec<(&str, Value, &str)> = vec![
        ("/v", json!(2), "receipt-version|statement-json-content"),
        ("/kind", json!("consigned"), WRONG_FIELD),
        ("/kind", json!("handover"), WRONG_FIELD),
        ("/kind", json!("expired"), WRONG_FIELD),
        ("/kind", json!("key-announce"), WRONG_FIELD),
        ("/kind", json!("no-such-kind"), WRONG_FIELD),
        ("/xid", json!("AB".repeat(16)), WRONG_FIELD),
        ("/xid", json!("ab".repeat(15)), WRONG_FIELD),
        ("/xid", json!("ab".repeat(17)), WRONG_FIELD),
        ("/xid", json!(""), WRONG_FIELD),
        ("/step", json!(0), WRONG_FIELD),
        ("/step", json!(2), WRONG_FIELD),
        ("/step", json!(4_294_967_296_u64), WRONG_FIELD),
        ("/prev", json!(digest), WRONG_FIELD),
        ("/ses", json!(digest), WRONG_FIELD),
        ("/purpose", json!("trial"), WRONG_FIELD),
        ("/subject", json!(digest), WRONG_FIELD),
        ("/reason", json!({"code": "x", "clause": ""}), WRONG_FIELD),
        ("/extra", json!(1), WRONG_FIELD),
        ("/from/id", json!("mj.example.fr"), "wrong-sender"),
        ("/from/key", json!("00000000"), "wrong-sender"),
        ("/from/id", json!("UPPER.example"), WRONG_FIELD),
        ("/from/id", json!("x".repeat(254)), WRONG_FIELD),
        ("/to/id", json!("mj.example.fr"), "wrong-recipient"),
        ("/to/key", json!("00000000"), "wrong-recipient"),
        ("/to/id", whole["from"]["id"].clone(), WRONG_FIELD),
        ("/pkg/alg", json!("md5"), WRONG_FIELD),
        ("/pkg/seg", json!(1024), WRONG_FIELD),
        ("/pkg/len", json!(0), WRONG_FIELD),
        ("/pkg/len", json!((2_u64 << 40) + 1), WRONG_FIELD),
        ("/pkg/len", json!((1_u64 << 53) - 1), WRONG_FIELD),
        ("/pkg/body", json!("xy".repeat(32)), WRONG_FIELD),
        ("/pkg/hdr", json!("ab".repeat(31)), WRONG_FIELD),
        ("/pkg/extra", json!(1), WRONG_FIELD),
        ("/terms/purposes", json!([]), WRONG_FIELD),
        (
            "/terms/purposes",
            json!(["trial", "prosecution"]),
            WRONG_FIELD,
        ),
        ("/terms/purposes", json!(["trial", "trial"]), WRONG_FIELD),
        ("/terms/purposes", json!(["no-such-purpose"]), WRONG_FIELD),
        ("/terms/purposes", json!(vec!["trial"; 40]), WRONG_FIELD),
        ("/terms/instrument", json!(""), WRONG_FIELD),
        ("/terms/instrument", json!("x".repeat(65)), WRONG_FIELD),
        ("/terms/retain_until", json!("2090-13-31"), WRONG_FIELD),
        ("/terms/retain_until", json!("90-12-31"), WRONG_FIELD),
        ("/terms/sunset", json!("2091-01-01"), WRONG_FIELD),
        ("/terms/review", json!("2091-01-01"), WRONG_FIELD),
        ("/terms/handling", json!("H9"), WRONG_FIELD),
        ("/terms/onward", json!("free"), WRONG_FIELD),
        (
            "/terms/evaluation",
            json!({"source": "A", "information": 5}),
            WRONG_FIELD,
        ),
        (
            "/terms/restrictions",
            json!(["return", "confidential"]),
            WRONG_FIELD,
        ),
        (
            "/terms/legal_basis",
            json!("javascript:alert(1)"),
            WRONG_FIELD,
        ),
        ("/terms/extra", json!(1), WRONG_FIELD),
        ("/sd", json!([digest, digest]), WRONG_FIELD),
        (
            "/sd",
            json!((0..65).map(|i| format!("{i:064x}")).collect::<Vec<_>>()),
            WRONG_FIELD,
        ),
        ("/t", json!("2026-11-23T09:00:00Z"), WRONG_FIELD),
        ("/t", json!("2026-11-23T09:00:00.000+01:00"), WRONG_FIELD),
        ("/t", json!("9999-12-31T23:59:59.999Z"), WRONG_FIELD),
        ("/clk", json!(9_007_199_254_740_992_u64), WRONG_FIELD),
        (
            "/heads",
            json!([{"origin": "x", "size": 1, "root": digest}]),
            WRONG_FIELD,
        ),
        (
            "/heads",
            json!(vec![
                json!({"origin": "a.example/log", "size": 1, "root": digest});
                3
            ]),
            WRONG_FIELD,
        ),
    ];
    for (number, (pointer, new, want)) in table.into_iter().enumerate() {
        let mut body = whole.clone();
        put(&mut body, pointer, new);
        let name = format!("dispatch {number}: {pointer}");
        cases.push(Case::bytes(Scene::Fresh, name, want, signed(&body, key)));
    }
    cases
}

/// Sets a field, which need not be there.
pub(crate) fn put(body: &mut Value, pointer: &str, new: Value) {
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    body.pointer_mut(parent).unwrap()[field] = new;
}

/// The note around the receipt.
#[expect(clippy::too_many_lines, reason = "one table")]
pub(crate) fn notes(attacker: &Attacker) -> Vec<Case> {
    let parcel = attacker.honest();
    let note = attacker.sign(&parcel.receipt);
    let text = String::from_utf8(note.bytes().to_vec()).unwrap();
    let line = text.lines().nth(3).unwrap();
    let deep = format!("\"clk\":{}50{}", "[".repeat(500), "]".repeat(500));
    let (name, blob) = line.rsplit_once(' ').unwrap();
    let other = Note::issue(Context::Receipt, &parcel.receipt, &attacker.keys.log).unwrap();
    let context = Note::issue(Context::Card, &parcel.receipt, &attacker.keys.receipts).unwrap();
    let with = |from: &str, to: &str| text.replace(from, to).into_bytes();
    let mut cases = Vec::new();
    for (what, bytes, want) in [
        ("no note", b"x".to_vec(), "note-no-final-newline"),
        (
            "bad UTF-8",
            [b"\xff\xfe".as_slice(), note.bytes()].concat(),
            "note-not-utf8",
        ),
        ("a NUL byte", with("EIO", "E\0O"), "note-control-character"),
        (
            "a carriage return",
            with("\n", "\r\n"),
            "note-control-character",
        ),
        (
            "a control character",
            with("EIO", "E\u{7}O"),
            "note-control-character",
        ),
        ("no blank line", with("\n\n", "\n"), "note-no-blank-line"),
        (
            "no signature",
            format!("{}\n", note.text()).into_bytes(),
            "note-no-signature",
        ),
        (
            "another context",
            context.bytes().to_vec(),
            "statement-wrong-context",
        ),
        (
            "an unknown context",
            with("receipt/v1", "receipt/v2"),
            "statement-unknown-context",
        ),
        (
            "three lines",
            format!("{}\n{line}\n", note.text().to_owned() + "x\n").into_bytes(),
            "statement-lines",
        ),
        (
            "one line",
            format!("rogatory/receipt/v1\n\n{line}\n").into_bytes(),
            "statement-lines",
        ),
        (
            "no JSON",
            with("{\"clk\"", "{clk"),
            "statement-json-malformed",
        ),
        (
            "an array",
            format!("rogatory/receipt/v1\n[]\n\n{line}\n").into_bytes(),
            "statement-not-an-object",
        ),
        (
            "deep JSON",
            with("\"clk\":50", &deep),
            "statement-json-malformed",
        ),
        (
            "a double key",
            with("\"clk\":50", "\"clk\":50,\"clk\":50"),
            "statement-json-malformed",
        ),
        (
            "a fraction",
            with("\"clk\":50", "\"clk\":50.5"),
            "statement-json-malformed",
        ),
        (
            "an exponent",
            with("\"clk\":50", "\"clk\":5e1"),
            "statement-json-malformed",
        ),
        (
            "a space",
            with("\"clk\":50", "\"clk\": 50"),
            "statement-json-not-canonical",
        ),
        (
            "an escape",
            with("\"EIO\"", "\"\\u0045IO\""),
            "statement-json-not-canonical",
        ),
        (
            "another number",
            with("\"clk\":50", "\"clk\":51"),
            "statement-bad-signature",
        ),
        (
            "an unknown field",
            with("{\"clk\"", "{\"a\":1,\"clk\""),
            "statement-json-content",
        ),
        (
            "nine signatures",
            format!("{text}{}", format!("{line}\n").repeat(8)).into_bytes(),
            "note-too-many-signatures",
        ),
        (
            "the signature twice",
            format!("{text}{line}\n").into_bytes(),
            "statement-signed-twice",
        ),
        (
            "the log's signature too",
            [note.bytes(), signature(&other).as_bytes()].concat(),
            "statement-signature-count",
        ),
        (
            "the log's signature alone",
            other.bytes().to_vec(),
            "statement-wrong-signer",
        ),
        (
            "a signature that is cut",
            format!("{}\n{name} {}\n", note.text(), &blob[..60]).into_bytes(),
            "statement-signature-length|note-signature-line",
        ),
        (
            "a signature without key id",
            format!("{}\n{name} AAAA\n", note.text()).into_bytes(),
            "note-signature-line",
        ),
        (
            "a signature that is no base64",
            format!("{}\n{name} ????\n", note.text()).into_bytes(),
            "note-signature-line",
        ),
        (
            "a signature of zeros",
            format!("{}\n{name} {}AAAA\n", note.text(), zeros(blob)).into_bytes(),
            "statement-bad-signature|note-signature-line|statement-signature-length",
        ),
        (
            "a signature by nobody",
            with("\u{2014} bfj.example.de/receipts", "\u{2014} nobody"),
            "statement-key-name",
        ),
        (
            "an unknown key name",
            with(
                "\u{2014} bfj.example.de/receipts",
                "\u{2014} bfj.example.fr/receipts",
            ),
            "statement-wrong-signer",
        ),
        (
            "a hyphen for the dash",
            with("\u{2014} bfj", "- bfj"),
            "note-signature-line",
        ),
    ] {
        cases.push(Case::bytes(
            Scene::Fresh,
            format!("note with {what}"),
            want,
            raw(16, &bytes),
        ));
    }
    let late = |minute: i64| {
        let mut receipt = parcel.receipt.clone();
        receipt.t = minutes(receipt.t, minute);
        signed(&receipt, &attacker.keys.receipts)
    };
    cases.push(Case::bytes(
        Scene::Fresh,
        "six minutes ahead",
        "clock-skew",
        late(6),
    ));
    let mut turned = parcel.receipt.clone();
    std::mem::swap(&mut turned.from, &mut turned.to);
    let turned = signed(&turned, &attacker.keys.receipts);
    cases.push(Case::bytes(
        Scene::Fresh,
        "from the victim itself",
        "wrong-sender",
        turned,
    ));
    cases
}

/// The signature lines of a note.
pub(crate) fn signature(note: &Note) -> String {
    let whole = String::from_utf8(note.bytes().to_vec()).unwrap();
    whole[note.text().len() + 1..].to_owned()
}

/// The same key id and a signature of zeros, as base64 of the same length.
fn zeros(blob: &str) -> String {
    let kept = &blob[..4];
    format!("{kept}{}", "A".repeat(blob.len() - 8))
}

/// Disclosures that are none, are others, or are missing.
pub(crate) fn disclosed(attacker: &Attacker) -> Vec<Case> {
    let list = |texts: &[String]| raw(17, &serde_json::to_vec(texts).unwrap());
    let good = case().encode();
    let other = Disclosure::new([8; 16], "case", "another").encode();
    let mut cases = Vec::new();
    for (what, texts, want) in [
        (
            "one that is none",
            vec!["x".to_owned()],
            "disclosure-encoding",
        ),
        (
            "one with padding",
            vec![format!("{good}=")],
            "disclosure-encoding",
        ),
        (
            "one of another receipt",
            vec![other],
            "disclosure-not-in-receipt",
        ),
        (
            "the same twice",
            vec![good.clone(), good],
            "disclosure-twice",
        ),
        (
            "one that is empty",
            vec![String::new()],
            "disclosure-json|disclosure-shape",
        ),
        (
            "one that is too long",
            vec!["A".repeat(9_000)],
            "disclosure-too-long",
        ),
        (
            "one that is an object",
            vec!["e30".to_owned()],
            "disclosure-shape|disclosure-json",
        ),
        ("65 of them", vec!["x".to_owned(); 65], "frame-content"),
    ] {
        cases.push(Case::bytes(Scene::Offered, what, want, list(&texts)));
    }
    let mut offer = attacker.honest();
    offer.receipt.sd.clear();
    let none = Case::bytes(
        Scene::Offered,
        "one that was not announced",
        "disclosure-not-in-receipt",
        disclosures(),
    );
    cases.push(none.of(offer));
    let twice = attacker.offer(&attacker.honest().receipt);
    cases.push(Case::new(
        Scene::Fresh,
        "two offers",
        "unexpected-frame",
        move |_| vec![Say::Bytes(twice.clone()), Say::Bytes(twice.clone())],
    ));
    cases
}

/// Disclosures that are signed for and not what their names stand for: each is refused with a signed reason.
pub(crate) fn particulars(attacker: &Attacker) -> Vec<Case> {
    let text = json!("text");
    let mut table = vec![
        ("no-such-name", text.clone(), "disclosure-unexpected"),
        ("actor", text.clone(), "disclosure-unexpected"),
        ("receipt", text.clone(), "disclosure-unexpected"),
        ("manifest", text.clone(), "manifest-malformed"),
        ("manifest", json!("AB".repeat(32)), "manifest-malformed"),
        ("item-root", json!("ab".repeat(31)), "item-root-malformed"),
        ("offences", text, "offences-malformed"),
        ("offences", json!(vec!["x"; 17]), "offences-malformed"),
        ("persons", json!([7]), "persons-malformed"),
        ("request", Value::Null, "request-malformed"),
        ("necessity", json!("a\u{200b}b"), "necessity-malformed"),
    ];
    for bad in [
        Value::Null,
        json!(1),
        json!(["C-1"]),
        json!(""),
        json!("a\u{1b}[2J"),
        json!("a\0"),
        json!("a\u{202e}b"),
        json!("x".repeat(4_097)),
    ] {
        table.push(("case", bad, "case-malformed"));
    }
    let rejected = |what: String, want: &str, all: &[Disclosure]| {
        let mut parcel = attacker.honest();
        parcel.receipt.sd.clear();
        parcel.receipt = parcel.receipt.disclosing(all);
        let list = raw(17, &serde_json::to_vec(&texts(all)).unwrap());
        Case::bytes(Scene::Offered, what, format!("rejected:{want}"), list).of(parcel)
    };
    let mut cases: Vec<_> = table
        .into_iter()
        .map(|(name, value, want)| {
            let mut all = beside();
            all.retain(|it| it.name != name);
            let what = format!("{name} disclosed as {value:.60}");
            all.push(Disclosure::new([9; 16], name, value));
            rejected(what, want, &all)
        })
        .collect();
    for left_out in beside() {
        let mut all = beside();
        all.retain(|it| it.name != left_out.name);
        let what = format!("{} not disclosed", left_out.name);
        cases.push(rejected(what, &format!("{}-missing", left_out.name), &all));
    }
    cases
}

/// Terms that this authority's policy refuses: the refusal is signed.
pub(crate) fn refused(attacker: &Attacker) -> Vec<Case> {
    let mut cases = Vec::new();
    for (pointer, new, want) in [
        (
            "/terms/retain_until",
            json!("2020-01-01"),
            "rejected:retention-ended",
        ),
        (
            "/terms/sunset",
            json!("2020-01-01"),
            "rejected:sunset-passed",
        ),
        (
            "/pkg/len",
            json!(1_u64 << 40),
            "rejected:too-large|later:storage-full",
        ),
    ] {
        let mut parcel = attacker.honest();
        let mut body = value(&parcel.receipt);
        put(&mut body, pointer, new);
        parcel.receipt = serde_json::from_value(body).unwrap();
        let name = format!("{pointer} that is refused");
        cases.push(Case::bytes(Scene::Offered, name, want, disclosures()).of(parcel));
    }
    cases
}
