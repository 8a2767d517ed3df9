//! The documents that are tried: those of the protocol from its schemas, the others from examples.

use std::path::{Path, PathBuf};

use rogatory::identity::{Context, Note};
use rogatory::receipt::Kind;
use serde_json::{Value, json};

use crate::documents::Document;
use crate::examples::{card, full_terms, manifest, receipts, value};
use crate::schema::Schema;

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/protocol/vectors")
}

/// Receipts of every kind, and those of the test vectors, each with the context that it is signed in.
pub(crate) fn statements() -> Vec<(Context, Document)> {
    let document = |name: &str, body: Value| {
        let schema = Schema::of("receipt", "");
        Document::new(name, schema, body)
    };
    let folder = std::fs::read_dir(vectors().join("statements")).expect("the vectors");
    let mut files: Vec<_> = folder.map(|it| it.expect("a file").path()).collect();
    files.sort_unstable();
    let mut all = Vec::new();
    for path in files {
        let note = std::fs::read(&path).expect("a note");
        let note = Note::parse(&note).expect("a good note");
        let body: Value = serde_json::from_str(note.json()).expect("JSON");
        let kind = body["kind"].as_str().and_then(|it| Kind::parse(it).ok());
        let name = path.file_stem().expect("a name").to_string_lossy();
        if let Some(kind) = kind {
            all.push((kind.context(), document(&name, body)));
        }
    }
    // Those with all fields come before those with few, so that each is tried in full where it has neighbours.
    let mut examples: Vec<_> = receipts().collect();
    examples.reverse();
    let examples = examples.into_iter();
    all.extend(examples.map(|(kind, body)| (kind.context(), document(kind.as_str(), body))));
    all
}

pub(crate) fn cards() -> Document {
    Document::new("card", Schema::of("card", ""), card())
}

/// A manifest with every field, the terms of an item among them.
pub(crate) fn manifests() -> Document {
    let mut whole = manifest();
    whole["items"][0]["terms"] = value(&full_terms());
    Document::new("manifest", Schema::of("manifest", ""), whole)
}

pub(crate) fn terms() -> Document {
    let example = value(&full_terms());
    Document::new("terms", Schema::of("terms", ""), example)
}

/// The bodies of frames that are JSON, each with its type; the schema names them.
pub(crate) fn frames() -> Vec<(u8, Document)> {
    let text = std::fs::read_to_string(vectors().join("frames.json")).expect("the vectors");
    let vectors: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    let all = Schema::of("frames", "").fields();
    let bodies = all[""].value["anyOf"].as_array().expect("the bodies");
    let documents = bodies.iter().map(|body| {
        let part = body["$ref"].as_str().expect("a reference");
        let name = part.rsplit('/').next().expect("a name");
        let vectors = vectors.iter().filter(|it| it["frame"] == name);
        let longest = vectors.max_by_key(|it| it["length"].as_u64());
        let vector = longest.unwrap_or_else(|| panic!("no vector of the frame {name}"));
        let kind = vector["type"].as_u64().and_then(|it| u8::try_from(it).ok());
        let schema = Schema::of("frames", &part[1..]);
        let body = vector["body"].clone();
        (kind.expect("a type"), Document::new(name, schema, body))
    });
    documents.collect()
}

/// A value for the disclosure of each name that the protocol's page has.
pub(crate) fn disclosures() -> Vec<Document> {
    let mut all = vec![
        ("manifest", json!("ab".repeat(32))),
        ("item-root", json!("cd".repeat(32))),
        ("case", json!("DE/2026/000042")),
        ("request", json!("IE/2026/000001")),
        ("title", json!("Bank records")),
        ("necessity", json!("The account was used.")),
        ("proportionality", json!("No milder means.")),
        ("justification", json!("hearing of 3 December")),
        ("offences", json!(["fraud", "forgery"])),
        ("persons", json!(["subject-1", "subject-2"])),
        (
            "item-terms",
            json!([{"offset": 512, "path": "a/b", "size": 1024, "terms": full_terms()}]),
        ),
        ("origin", json!("a note")),
        ("receipt", json!("a note")),
        ("actor", json!("a.becker")),
        ("items", json!(["a/b"])),
        ("ranges", json!([[0, 10], [4_096, 1]])),
        ("related", json!(true)),
        ("export", json!(true)),
    ];
    for name in named_disclosures() {
        let known = all.iter().any(|(known, _)| *known == name);
        assert!(known, "no example of the disclosure {name}");
    }
    all.drain(..)
        .map(|(name, value)| {
            let salt = "AAAAAAAAAAAAAAAAAAAAAA";
            let mut document = Document::inferred(name, json!([salt, name, value]));
            document.name = format!("disclosure {name}");
            document
        })
        .collect()
}

/// The names that section 8 of the page has, in its table and in the sentence behind it.
fn named_disclosures() -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/protocol/README.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let (_, section) = page.split_once("\n## 8 Disclosures").expect("section 8");
    let (section, _) = section.split_once("\n## 9").expect("section 9");
    let table = section.lines().filter(|line| line.starts_with("| `"));
    let mut text: String = table
        .filter_map(|line| line.split('|').nth(1))
        .collect::<Vec<_>>()
        .join(" ");
    let (_, sentence) = section
        .split_once("Beside other statements there are")
        .expect("the sentence");
    let (sentence, _) = sentence.split_once("\n\n").expect("its end");
    text.push_str(sentence);
    let names: Vec<_> = text
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect();
    assert!(names.len() > 16, "{names:?}");
    names
}

/// The questions of a daemon without a network to the fetcher, and the answers.
pub(crate) fn fetches() -> [Document; 3] {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/protocol/fetcher.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let answer = json!({"addresses": ["192.0.2.7:7443", "[2001:db8::1]:7443"], "v": 1});
    let refusal = json!({"error": "unresolved", "text": "no such name", "v": 1});
    let question = json!({"resolve": "bfj.example.de:7443", "v": 1});
    for field in ["addresses", "error", "text", "resolve"] {
        assert!(page.contains(field), "{field}");
    }
    [
        Document::inferred("question", question),
        Document::inferred("answer", answer),
        Document::inferred("refusal", refusal),
    ]
}
