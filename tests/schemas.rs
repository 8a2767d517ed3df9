//! The JSON Schemas of `docs/protocol/` and the code say the same: what one takes, the other takes.

use std::path::Path;

use jsonschema::{Draft, Resource, Validator};
use rogatory::base::{json, limits};
use rogatory::identity::statement::{Context, Note};
use rogatory::policy::{Purpose, Restriction, Terms};
use rogatory::receipt;
use rogatory::receipt::Kind;
use rogatory::wire::{Frame, FrameKind};
use serde_json::{Value, json};

use examples::{card, full_terms, manifest, plain_terms, receipts, sender, value};

#[path = "fields/examples.rs"]
mod examples;

fn read(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/protocol");
    let text = std::fs::read_to_string(folder.join(format!("{name}.schema.json")));
    serde_json::from_str(&text.expect("the schema is there")).expect("it is JSON")
}

/// A validator that finds the other schemas by their file names, as in the folder.
fn schema(name: &str) -> Validator {
    let terms = Resource::from_contents(read("terms")).expect("a schema");
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .with_resource("json-schema:///terms.schema.json", terms)
        .build(&read(name))
        .expect("a schema whose references resolve")
}

/// Whether the code takes this as a receipt, in a note signed by whomever.
fn code_takes_receipt(value: &Value) -> bool {
    let kind = value["kind"]
        .as_str()
        .and_then(|kind| Kind::parse(kind).ok());
    let context = kind.map_or(Context::Receipt, Kind::context);
    Note::issue(context, value, &sender()).is_ok_and(|note| receipt::open(&note).is_ok())
}

fn code_takes_terms(value: &Value) -> bool {
    let bytes = json::canonical(value);
    let terms = json::parse_canonical::<Terms>(&bytes, limits::STATEMENT_BYTES_MAX);
    terms.is_ok_and(|terms| terms.check().is_ok())
}

/// Every place in a value, as a JSON pointer.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                places(inner, &format!("{at}/{name}"), found);
            }
        }
        Value::Array(members) => {
            for (index, inner) in members.iter().enumerate() {
                places(inner, &format!("{at}/{index}"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The values that can be put in the place of anything.
fn strangers() -> [Value; 12] {
    [
        Value::Null,
        json!(true),
        json!(0),
        json!(1),
        json!(-1),
        json!(5),
        json!(1.5),
        json!(9_007_199_254_740_992_u64),
        json!(""),
        json!("x"),
        json!([]),
        json!({}),
    ]
}

/// Every change of one place: the field removed, another type or value, an unknown field, a member twice.
fn mutants(value: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    places(value, "", &mut found);
    let mut mutants = Vec::new();
    for at in found {
        for stranger in strangers() {
            let what = format!("{at} is {stranger}");
            mutants.push((what, changed(value, &at, |place| *place = stranger)));
        }
        match value.pointer(&at) {
            Some(Value::Object(fields)) => {
                let add = |place: &mut Value| place["unknown"] = json!(1);
                mutants.push((
                    format!("{at} has an unknown field"),
                    changed(value, &at, add),
                ));
                for name in fields.keys() {
                    let remove = |place: &mut Value| {
                        place.as_object_mut().map(|fields| fields.remove(name));
                    };
                    mutants.push((
                        format!("{at}/{name} is missing"),
                        changed(value, &at, remove),
                    ));
                }
            }
            Some(Value::Array(members)) if !members.is_empty() => {
                let again = members[0].clone();
                let repeat = |place: &mut Value| {
                    if let Some(members) = place.as_array_mut() {
                        members.push(again);
                    }
                };
                mutants.push((
                    format!("{at} has a member twice"),
                    changed(value, &at, repeat),
                ));
            }
            Some(Value::String(text)) => {
                for other in [format!("{text}\n"), format!(" {text}"), text.to_uppercase()] {
                    let what = format!("{at} is {other:?}");
                    mutants.push((what, changed(value, &at, |place| *place = json!(other))));
                }
            }
            Some(Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_)) | None => {}
        }
    }
    mutants.retain(|(_, mutant)| mutant != value);
    mutants
}

fn changed(value: &Value, at: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut changed = value.clone();
    change(changed.pointer_mut(at).expect("it was found there"));
    changed
}

/// The example is good for both; every mutant is good for both or for neither; most are bad.
fn check(name: &str, example: &Value, schema: &Validator, code: impl Fn(&Value) -> bool) {
    let fault = schema
        .validate(example)
        .map_err(|fault| (fault.to_string(), fault.instance_path));
    assert!(
        fault.is_ok(),
        "{name}: {fault:?}
{example:#}"
    );
    assert!(
        code(example),
        "{name}: the code refuses the example\n{example:#}"
    );
    let (mut refused, mut taken) = (0, 0);
    for (what, mutant) in mutants(example) {
        let by_schema = schema.is_valid(&mutant);
        let by_code = code(&mutant);
        assert!(
            by_schema == by_code,
            "{name}, {what}: the schema says {by_schema}, the code says {by_code}"
        );
        if by_code {
            taken += 1;
        } else {
            refused += 1;
        }
        let must_fail = what.ends_with("unknown field") || what.ends_with("is null");
        assert!(!(must_fail && by_schema), "{name}, {what}: taken");
    }
    assert!(
        refused > 5 * taken,
        "{name}: {taken} mutants taken, {refused} refused"
    );
}

#[test]
fn the_schemas_are_schemas() {
    for name in ["terms", "receipt", "card", "manifest", "frames"] {
        let schema = read(name);
        assert!(jsonschema::meta::is_valid(&schema), "{name}");
        let draft = "https://json-schema.org/draft/2020-12/schema";
        assert_eq!(schema["$schema"], draft, "{name}");
    }
}

#[test]
fn terms() {
    let schema = schema("terms");
    check(
        "plain terms",
        &value(&plain_terms()),
        &schema,
        code_takes_terms,
    );
    check(
        "full terms",
        &value(&full_terms()),
        &schema,
        code_takes_terms,
    );
    let words = |words: &[&str]| json!(words);
    let purposes: Vec<_> = Purpose::ALL.iter().map(|it| it.as_str()).collect();
    let restrictions: Vec<_> = Restriction::ALL.iter().map(|it| it.as_str()).collect();
    let terms = read("terms");
    assert_eq!(terms["$defs"]["purpose"]["enum"], words(&purposes));
    let listed = &terms["properties"]["restrictions"]["items"]["enum"];
    assert_eq!(*listed, words(&restrictions));
}

#[test]
fn receipts_of_every_kind() {
    let schema = schema("receipt");
    for (kind, receipt) in receipts() {
        check(kind.as_str(), &receipt, &schema, code_takes_receipt);
    }
    let kinds: Vec<_> = Kind::ALL.iter().map(|it| it.as_str()).collect();
    assert_eq!(read("receipt")["properties"]["kind"]["enum"], json!(kinds));
}

#[test]
fn a_receipt_of_one_kind_with_the_fields_of_another() {
    let schema = schema("receipt");
    for (kind, receipt) in receipts() {
        for other in Kind::ALL {
            let as_other = changed(&receipt, "/kind", |place| *place = value(other));
            let by_code = code_takes_receipt(&as_other);
            assert_eq!(schema.is_valid(&as_other), by_code, "{kind} as {other}");
        }
        for (other, donor) in receipts() {
            for (field, given) in donor.as_object().expect("an object") {
                if receipt.get(field).is_none() {
                    let more = changed(&receipt, "", |place| place[field] = given.clone());
                    let by_code = code_takes_receipt(&more);
                    assert_eq!(
                        schema.is_valid(&more),
                        by_code,
                        "{kind} with {field} of {other}"
                    );
                }
            }
        }
    }
}

/// Examples that the schema takes, and the places where it must not take a change.
fn check_alone(name: &str, example: &Value, optional: &[&str]) {
    let schema = schema(name);
    let fault = schema
        .validate(example)
        .map_err(|fault| (fault.to_string(), fault.instance_path));
    assert!(fault.is_ok(), "{name}: {fault:?}");
    for (what, mutant) in mutants(example) {
        let taken = schema.is_valid(&mutant);
        let must_fail = what.ends_with("unknown field")
            || what.ends_with("is null")
            || what.ends_with("is 1.5")
            || what.ends_with("is {}")
            || what.ends_with("is \"\"")
            || what.ends_with("is -1")
            || what.ends_with("is true") && !what.contains("use_report");
        assert!(!(must_fail && taken), "{name}, {what}: taken");
        if let Some(field) = what.strip_suffix(" is missing") {
            assert_eq!(taken, optional.contains(&field), "{name}, {what}");
        }
    }
}

#[test]
fn cards() {
    check_alone("card", &card(), &[]);
    let schema = schema("card");
    let swapped = |at: &str, with: Value| changed(&card(), at, |place| *place = with);
    for (at, with) in [
        ("/country", json!("ie")),
        ("/id", json!("MLA.example.ie")),
        ("/alias", json!("../ie")),
        ("/name", json!("a\u{202e}b")),
        ("/name", json!("a\nb")),
        ("/name", json!("a".repeat(257))),
        ("/endpoints/0", json!("rogatory.example.ie")),
        ("/endpoints/0", json!("rogatory.example.ie:0")),
        ("/endpoints", json!(vec!["a.example:1"; 2])),
        ("/keys/card", card()["keys"]["log"].clone()),
        ("/age/0", json!("age1pq1xyz")),
        ("/tls_cas/0", json!("MII")),
        ("/number", json!(0)),
        ("/v", json!(2)),
        ("/created", json!("2026-11-23T09:00:00Z")),
    ] {
        assert!(!schema.is_valid(&swapped(at, with.clone())), "{at}: {with}");
    }
}

#[test]
fn manifests() {
    let optional = [
        "/request",
        "/title",
        "/terms/evaluation",
        "/terms/handling",
        "/terms/legal_basis",
        "/terms/restrictions",
        "/terms/review",
        "/terms/sunset",
        "/items/0/title",
        "/items/0/category",
        "/items/0/subjects",
        "/items/0/acquisition",
        "/items/0/acquisition/exhibit_number",
        "/items/0/acquisition/instrument",
        "/items/0/acquisition/location",
        "/items/0/acquisition/start_time",
        "/items/0/custody/0/instrument",
        "/items/0/custody/0/location",
        "/items/0/custody/1/instrument",
        "/items/0/custody/1/location",
    ];
    check_alone("manifest", &manifest(), &optional);
    let schema = schema("manifest");
    let path = |path: &str| changed(&manifest(), "/items/0/path", |place| *place = json!(path));
    for (text, good) in [
        ("a", true),
        (".hidden/..x/y.", true),
        ("a b/ü%20", true),
        ("", false),
        ("/a", false),
        ("a/", false),
        ("a//b", false),
        ("..", false),
        ("./a", false),
        ("a/../b", false),
        ("a/..", false),
        ("a\0", false),
        ("a\u{7f}", false),
        ("a\u{202e}b", false),
        ("a%0ab", false),
        ("a%25", false),
    ] {
        assert_eq!(schema.is_valid(&path(text)), good, "{text:?}");
    }
    let first = "/items/0/custody/0/action";
    let opened = changed(&manifest(), first, |place| *place = json!("opened"));
    assert!(!schema.is_valid(&opened), "the first event is the sealing");
}

/// The schema of the body of one kind of frame.
fn frame_schema(name: &str) -> Validator {
    let mut schema = read("frames");
    schema.as_object_mut().map(|fields| fields.remove("anyOf"));
    schema["$ref"] = json!(format!("#/$defs/{name}"));
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .build(&schema)
        .expect("a schema whose references resolve")
}

#[test]
fn frames() {
    let hello = json!({
        "card": 1,
        "crls": [{"ca": "0".repeat(64), "number": 7}],
        "now": "2026-11-23T09:00:00.000Z",
        "peer_card": 1,
        "peer_crls": [],
        "versions": [1],
    });
    for (kind, example) in [
        (FrameKind::Hello, hello),
        (FrameKind::Ack, json!({"number": 7, "what": "card"})),
        (
            FrameKind::Ack,
            json!({"ca": "0".repeat(64), "number": 7, "what": "crl"}),
        ),
        (FrameKind::Accept, json!({"missing": [[10, 3]]})),
        (FrameKind::Later, json!({"after_s": 60, "code": "no-space"})),
        (
            FrameKind::Fault,
            json!({"code": "list-root", "text": "Other hashes."}),
        ),
    ] {
        let schema = frame_schema(kind.as_str());
        check_frame(kind, &example, &schema);
        for (what, mutant) in mutants(&example) {
            let taken = schema.is_valid(&mutant);
            assert!(
                !(taken && what.ends_with("unknown field")),
                "{kind}, {what}"
            );
        }
    }
    let schema = frame_schema("disclosures");
    for count in [0, 1, 64, 65] {
        check_frame(FrameKind::Disclosures, &json!(vec!["x"; count]), &schema);
    }
}

/// Schema and code agree about this body and every change of it.
fn check_frame(kind: FrameKind, example: &Value, schema: &Validator) {
    let code = |body: &Value| Frame::decode(kind, &json::canonical(body)).is_ok();
    let example_taken = (schema.is_valid(example), code(example));
    assert_eq!(example_taken.0, example_taken.1, "{kind}: {example:#}");
    let long = example.as_array().is_some_and(|list| list.len() > 2);
    for (what, mutant) in mutants(example).into_iter().filter(|_| !long) {
        let by_schema = schema.is_valid(&mutant);
        let by_code = code(&mutant);
        assert!(
            by_schema == by_code,
            "{kind}, {what}: the schema says {by_schema}, the code says {by_code}"
        );
    }
}
