//! The JSON Schemas of `docs/protocol/` and the code say the same: what one takes, the other takes.

use std::path::Path;

use jsonschema::{Draft, Resource, Validator};
use rogatory::base::json;
use rogatory::base::limits;
use rogatory::base::{Digest, Timestamp, Xid};
use rogatory::identity::keys::{KeyName, Role, SecretKey};
use rogatory::identity::statement::{Context, Note};
use rogatory::policy::{Evaluation, Handling, Onward, Purpose, Restriction, Source, Terms};
use rogatory::receipt;
use rogatory::receipt::{Head, Kind, Party, Pkg, Reason, Receipt, Stamp, Used};
use rogatory::wire::{Frame, FrameKind};
use serde_json::{Value, json};

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

fn key(authority: &str, role: Role) -> SecretKey {
    let seed = Digest::of(authority.as_bytes());
    let name = KeyName::new(authority.parse().expect("an authority"), role);
    SecretKey::from_seed(name, seed.as_bytes())
}

fn sender() -> SecretKey {
    key("bfj.example.de", Role::Receipts)
}

fn receiver() -> SecretKey {
    key("mla.example.ie", Role::Receipts)
}

fn plain_terms() -> Terms {
    let date = "2031-12-31".parse().expect("a date");
    let instrument = "EIO".parse().expect("a code");
    Terms::new(instrument, [Purpose::Prosecution], date)
}

fn full_terms() -> Terms {
    Terms {
        legal_basis: Some("http://data.europa.eu/eli/dir/2014/41/oj".to_owned()),
        purposes: Purpose::ALL.to_vec(),
        handling: Some(Handling::H2),
        evaluation: Some(Evaluation {
            source: Source::B,
            information: 2,
        }),
        review: "2028-06-30".parse().ok(),
        sunset: "2030-06-30".parse().ok(),
        onward: Onward::WithConsent,
        restrictions: Restriction::ALL.to_vec(),
        use_report: true,
        ..plain_terms()
    }
}

fn head(authority: &str, size: u64) -> Head {
    Head {
        origin: format!("{authority}/log"),
        size,
        root: Digest::of(if size == 0 { b"" } else { b"root" }),
    }
}

/// The receipt of this kind with every field that the kind may have, or with those alone that it needs.
fn example(kind: Kind, full: bool) -> Receipt {
    let from = Party::of(1, &sender().public());
    let to = Party::of(1, &receiver().public());
    let pkg = Pkg::new(Digest::of(b"body"), Digest::of(b"hdr"), 1 << 30);
    let terms = if full { full_terms() } else { plain_terms() };
    let has_subject = full || !matches!(kind, Kind::ClockStep | Kind::Recovered);
    let subject = (!kind.is_exchange() && has_subject).then(|| Digest::of(b"subject"));
    let mut receipt = if kind.is_exchange() {
        let xid = Xid::from_bytes([7; 16]);
        let dispatch = Receipt::dispatch(xid, from, to, pkg, terms);
        Receipt { kind, ..dispatch }
    } else {
        Receipt::own(kind, from, subject)
    };
    if kind.is_exchange() && !kind.is_first() {
        receipt.step = Some(2);
        receipt.prev = Some(Digest::of(b"prev"));
    }
    let stamp = Stamp {
        t: Timestamp::from_millis(1_795_424_400_000),
        clk: 50,
        pol: Digest::of(b"policy"),
        ses: full.then(|| Digest::of(b"session")),
        heads: Vec::new(),
    };
    receipt = receipt.stamped(&stamp);
    if kind.is_reasoned() {
        receipt = receipt.because(Reason {
            code: "purpose-not-permitted".to_owned(),
            clause: "Directive (EU) 2016/680 art. 4(1)(b)".to_owned(),
        });
    }
    if kind == Kind::Access || kind == Kind::AccessDenied && full {
        receipt.purpose = Some(Purpose::Prosecution);
    }
    if kind == Kind::Access {
        receipt.released = Some(if full { 9_007_199_254_740_991 } else { 1 });
    }
    if kind.is_consent() {
        receipt.purpose = (!full).then_some(Purpose::CivilClaim);
        receipt.third = full.then(|| "bepi.justice.example.fr".parse().expect("an authority"));
    }
    if kind == Kind::ConsentGiven {
        receipt.until = "2027-06-30".parse().ok();
        receipt.conditions = if full {
            Restriction::ALL.to_vec()
        } else {
            Vec::new()
        };
    }
    if kind.is_onward() {
        receipt.third = "bepi.justice.example.fr".parse().ok();
        receipt.subject = (kind == Kind::Onward).then(|| Digest::of(b"handover"));
    }
    if kind == Kind::UseReport && full {
        receipt.uses = vec![Used {
            at: Timestamp::from_millis(1_795_424_300_000),
            kind: Kind::AccessDenied,
            purpose: Some(Purpose::CivilClaim),
            reason: "purpose-not-permitted".parse().ok(),
            receipt: Digest::of(b"denied"),
        }];
    }
    if full {
        receipt.sd = vec![Digest::of(b"a"), Digest::of(b"b")];
        receipt.sd.sort_unstable();
        receipt.heads = vec![head("bfj.example.de", 0), head("mla.example.ie", 12)];
    } else if !kind.is_exchange() {
        receipt.pol = None;
    }
    receipt
}

fn receipts() -> impl Iterator<Item = (Kind, Value)> {
    let all = Kind::ALL
        .iter()
        .flat_map(|kind| [(*kind, false), (*kind, true)]);
    all.map(|(kind, full)| (kind, value(&example(kind, full))))
}

fn value<T: serde::Serialize>(of: &T) -> Value {
    serde_json::to_value(of).expect("our own types are JSON")
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

/// What can be put in the place of anything.
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

fn card() -> Value {
    let vkey = |role| key("mla.example.ie", role).public().to_vkey();
    json!({
        "v": 1,
        "number": 3,
        "id": "mla.example.ie",
        "name": "An Roinn Dlí agus Cirt, Central Authority",
        "country": "IE",
        "alias": "ie",
        "endpoints": ["rogatory.example.ie:7443", "[2001:db8::1]:7443", "192.0.2.7:7443"],
        "tls_cas": ["MIIB", "MIIBAA=="],
        "keys": {
            "card": vkey(Role::Card),
            "log": vkey(Role::Log),
            "receipts": vkey(Role::Receipts),
            "witness": vkey(Role::Witness),
        },
        "age": ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"],
        "created": "2026-11-23T09:00:00.000Z",
    })
}

fn manifest() -> Value {
    let event = |action: &str| {
        json!({
            "action": action,
            "instrument": "rogatory 0.1.0",
            "location": "Bonn",
            "performer": "a.becker",
            "time": "2026-11-23T09:00:00.000Z",
        })
    };
    json!({
        "v": 1,
        "from": "bfj.example.de",
        "to": "mla.example.ie",
        "case": "DE/2026/000042",
        "request": "IE/2026/000001",
        "title": "Fernmeldeaufstellung",
        "terms": full_terms(),
        "created": "2026-11-23T09:00:00.000Z",
        "items": [{
            "path": "calls/märz 2026.csv",
            "size": 1234,
            "offset": 1536,
            "sha256": Digest::of(b"item"),
            "salt": "00112233445566778899aabbccddeeff",
            "media_type": "text/csv",
            "title": "Call records",
            "category": "traffic-data",
            "subjects": ["subject-1"],
            "acquisition": {
                "end_time": "2026-11-20T10:00:00.000Z",
                "exhibit_number": "A-1",
                "instrument": "export of the operator",
                "location": "Bonn",
                "performer": "k.weber",
                "start_time": "2026-11-20T09:00:00.000Z",
            },
            "custody": [event("sealed"), event("checked")],
        }],
    })
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
