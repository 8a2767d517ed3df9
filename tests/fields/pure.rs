//! Every value to the functions that read it, in this process: those that the fuzz targets call, with what they demand.

use std::collections::BTreeSet;

use rogatory::base::json;
use rogatory::identity::keys::{KeyName, Role, SecretKey};
use rogatory::identity::note::SignatureLine;
use rogatory::identity::{Context, Note};
use rogatory::receipt::Disclosure;
use serde_json::Value;

use crate::documents::{Document, Mutant, Tally, is_chosen};
use crate::schema::Schema;
use crate::{oddities, readers, sources};

/// One in so many fields that were tried in full in another statement.
const AGAIN: u64 = 6;

/// The bytes as the second line of a note of this context, signed by this key, whatever they are.
pub(crate) fn signed(context: Context, body: &[u8], key: &SecretKey) -> Vec<u8> {
    let text = [context.line().as_bytes(), b"\n", body, b"\n"].concat();
    let line = SignatureLine {
        name: key.name().to_string(),
        id: key.public().id(),
        signature: key.sign(&text).to_vec(),
    };
    [text, b"\n".to_vec(), line.encode().into_bytes()].concat()
}

/// A frame of any type and content.
pub(crate) fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("a short body");
    [&[kind], &length.to_be_bytes()[..], body].concat()
}

/// The key of an authority of the test vectors.
fn key(authority: &str, role: Role) -> SecretKey {
    let name = KeyName::new(authority.parse().expect("an authority"), role);
    let seed = rogatory::base::Digest::of(format!("rogatory vectors: {name}").as_bytes());
    SecretKey::from_seed(name, seed.as_bytes())
}

/// A note to everything that reads notes: alone, in frames to both ends of an exchange, and in a bundle.
fn note(tally: &mut Tally, what: &str, bytes: &[u8], step: &str) {
    tally.read(what, readers::statement, bytes);
    tally.read(what, readers::receipt, bytes);
    let frame = framed(19, bytes);
    match step {
        "dispatch" => {
            let offer = [framed(16, bytes), framed(17, b"[]"), frame].concat();
            tally.read(what, readers::receiver, &offer);
        }
        "handover" | "handover-failed" => {
            let frames = [framed(19, CONSIGNED), frame].concat();
            tally.read(what, readers::sender, &frames);
        }
        _ => tally.read(what, readers::sender, &frame),
    }
    let length = format!("\n{}\n", bytes.len());
    let file = [b"receipts/01-dispatch-1.note", length.as_bytes(), bytes].concat();
    tally.read(what, readers::bundle, &file);
}

/// The receipts before a second one of the receiver.
const CONSIGNED: &[u8] = include_bytes!("../../docs/protocol/vectors/statements/consigned-1.note");

fn statements(tally: &mut Tally) {
    let mut tried = BTreeSet::new();
    for (context, document) in sources::statements() {
        let kind = &document.example["kind"];
        let issuer = if issued_by_receiver(&document.example) {
            key("mla.example.ie", Role::Receipts)
        } else {
            key("bfj.example.de", Role::Receipts)
        };
        // Three steps of an exchange are read by different ends of it.
        let step = match kind.as_str() {
            Some(step @ ("consigned" | "handover")) => step,
            Some(_) | None => "",
        };
        for (field, at) in document.places() {
            let is_new = tried.insert((step.to_owned(), field.clone()));
            // To make the values costs more than to read them.
            if !is_new && !is_chosen(&format!("{} {field}", document.name), AGAIN) {
                continue;
            }
            let rate = if is_new && step.is_empty() { 1 } else { 4 };
            for mutant in document.mutants_at(&field, &at) {
                if is_chosen(&mutant.what, rate) {
                    tally.add("receipt", &mutant);
                    let bytes = signed(context, &mutant.bytes, &issuer);
                    note(
                        tally,
                        &mutant.what,
                        &bytes,
                        kind.as_str().unwrap_or_default(),
                    );
                }
            }
        }
    }
    tally.assert_all("receipt", &Schema::of("receipt", ""));
}

fn issued_by_receiver(body: &Value) -> bool {
    let kind = body["kind"].as_str().unwrap_or_default();
    ["consigned", "handover", "handover-failed", "rejected"].contains(&kind)
}

/// All mutants of a document of this family, each made into what is read.
fn all(tally: &mut Tally, family: &str, document: &Document, read: impl Fn(&mut Tally, &Mutant)) {
    for mutant in document.mutants() {
        tally.add(family, &mutant);
        read(tally, &mutant);
    }
    tally.assert_all(family, &document.schema);
}

fn documents(tally: &mut Tally) {
    let card_key = key("mla.example.ie", Role::Card);
    let card = sources::cards();
    all(tally, "card", &card, |tally, mutant| {
        let bytes = signed(Context::Card, &mutant.bytes, &card_key);
        note(tally, &mutant.what, &bytes, "");
        tally.read(&mutant.what, readers::card, &bytes);
    });
    all(tally, "manifest", &sources::manifests(), |tally, mutant| {
        tally.read(&mutant.what, readers::manifest, &mutant.bytes);
        tally.read(&mutant.what, readers::content, &mutant.bytes);
    });
    all(tally, "terms", &sources::terms(), |tally, mutant| {
        tally.read(&mutant.what, readers::terms, &mutant.bytes);
    });
    for (kind, document) in sources::frames() {
        let family = format!("frame {}", document.name);
        all(tally, &family, &document, |tally, mutant| {
            let frame = framed(kind, &mutant.bytes);
            tally.read(&mutant.what, readers::frame, &frame);
            tally.read(&mutant.what, readers::sender, &frame);
            tally.read(&mutant.what, readers::receiver, &frame);
        });
    }
    for document in sources::disclosures() {
        all(tally, &document.name, &document, |tally, mutant| {
            let encoded = encoded(&mutant.bytes);
            tally.read(&mutant.what, readers::disclosure, encoded.as_bytes());
            offered(tally, &mutant.what, &encoded);
        });
    }
    for document in sources::fetches() {
        all(tally, &document.name, &document, |tally, mutant| {
            tally.read(&mutant.what, readers::fetch, &mutant.bytes);
        });
    }
}

/// As disclosures travel.
pub(crate) fn encoded(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// An offer that discloses this, and holds its digest.
fn offered(tally: &mut Tally, what: &str, encoded: &str) {
    let vector = include_bytes!("../../docs/protocol/vectors/statements/dispatch.note");
    let dispatch = Note::parse(vector).expect("a vector");
    let mut body: Value = serde_json::from_str(dispatch.json()).expect("JSON");
    let mut beside = vec![encoded.to_owned()];
    let fixed = [
        ("manifest", "ab".repeat(32)),
        ("item-root", "cd".repeat(32)),
        ("case", "C-1".to_owned()),
    ];
    for (name, value) in fixed {
        if !what.contains(name) {
            beside.push(Disclosure::new([7; 16], name, value).encode());
        }
    }
    let digests = beside
        .iter()
        .map(|text| rogatory::base::Digest::of(text.as_bytes()));
    let mut digests: Vec<_> = digests.map(|digest| digest.to_string()).collect();
    digests.sort_unstable();
    body["sd"] = digests.into();
    let key = key("bfj.example.de", Role::Receipts);
    let note = signed(Context::Receipt, &json::canonical(&body), &key);
    let frames = [framed(16, &note), framed(17, &json::canonical(&beside))].concat();
    tally.read(what, readers::receiver, &frames);
}

/// Odd documents to everything that reads JSON.
fn odd(tally: &mut Tally) {
    let issuer = key("bfj.example.de", Role::Receipts);
    let documents = oddities::all();
    assert!(documents.len() > 500, "{} oddities", documents.len());
    for (number, bytes) in documents.iter().enumerate() {
        let what = format!("oddity {number}: {:.60}", String::from_utf8_lossy(bytes));
        tally.values += 1;
        for reader in [
            readers::json,
            readers::manifest,
            readers::terms,
            readers::fetch,
            readers::names,
        ] {
            tally.read(&what, reader, bytes);
        }
        for kind in 0..24 {
            let frame = framed(kind, bytes);
            tally.read(&what, readers::frame, &frame);
        }
        for call in b'a'..=b'h' {
            tally.read(&what, readers::call, &[&[call], &bytes[..]].concat());
        }
        for context in [Context::Receipt, Context::Card] {
            note(tally, &what, &signed(context, bytes, &issuer), "dispatch");
        }
        tally.read(&what, readers::disclosure, encoded(bytes).as_bytes());
        for part in [
            readers::path,
            readers::header,
            readers::tape,
            readers::data_head,
        ] {
            tally.read(&what, part, bytes);
        }
        for part in [
            readers::certificate,
            readers::crl,
            readers::checkpoint,
            readers::cosignature,
        ] {
            tally.read(&what, part, bytes);
        }
        for part in [
            readers::add_checkpoint,
            readers::proof,
            readers::proof_file,
            readers::tile,
            readers::tlog,
        ] {
            tally.read(&what, part, bytes);
        }
    }
}

#[test]
fn no_field_of_a_document_makes_a_reader_panic() {
    let mut tally = Tally::default();
    statements(&mut tally);
    documents(&mut tally);
    odd(&mut tally);
    let ends = tally.wrong.len();
    tally.finish("readers", ends);
}
