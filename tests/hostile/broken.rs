//! Good JSON, broken in every way that a parser must notice.

use serde_json::{Map, Value, json};

/// A name of the fault, and the bytes.
pub(crate) type Broken = (String, Vec<u8>);

/// Every field left out, of another kind, and with a value beside its limits.
pub(crate) fn fields(body: &Value) -> Vec<Broken> {
    let object = body.as_object().unwrap();
    let mut all = Vec::new();
    for (field, value) in object {
        let mut less = object.clone();
        less.remove(field);
        all.push((format!("no {field}"), text(&less)));
        for (kind, other) in kinds(value) {
            let mut changed = object.clone();
            changed.insert(field.clone(), other);
            all.push((format!("{field} is {kind}"), text(&changed)));
        }
    }
    all
}

/// Values of every kind of JSON but this one's, and numbers at the ends of their type whatever this one is.
pub(crate) fn kinds(value: &Value) -> Vec<(&'static str, Value)> {
    let all = [
        ("null", Value::Null),
        ("true", json!(true)),
        ("a number", json!(7)),
        ("negative", json!(-1)),
        ("the least integer of 64 bits", json!(i64::MIN)),
        ("the greatest integer of 64 bits", json!(u64::MAX)),
        ("a text", json!("\u{e9}?")),
        ("an array", json!([])),
        ("an object", json!({})),
    ];
    let same = |other: &Value| std::mem::discriminant(other) == std::mem::discriminant(value);
    let seven = |other: &Value| other.as_i64() == Some(7);
    all.into_iter()
        .filter(|(_, other)| !same(other) || other.is_number() && !seven(other))
        .collect()
}

fn text(object: &Map<String, Value>) -> Vec<u8> {
    serde_json_canonicalizer::to_vec(object).unwrap()
}

/// The same body in spellings that are none, whatever it holds.
pub(crate) fn spellings(body: &[u8]) -> Vec<Broken> {
    let whole = String::from_utf8(body.to_vec()).unwrap();
    let inner = &whole[1..];
    let open = &whole[..1];
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let mut all = vec![
        ("a space before", format!(" {whole}").into_bytes()),
        ("a space within", format!("{open} {inner}").into_bytes()),
        ("a newline after", format!("{whole}\n").into_bytes()),
        ("a byte order mark", format!("\u{feff}{whole}").into_bytes()),
        ("half of it", body[..body.len() / 2].to_vec()),
        ("something after it", format!("{whole}{whole}").into_bytes()),
        ("no JSON", b"??".to_vec()),
        ("null", b"null".to_vec()),
        ("a fraction", b"1.5".to_vec()),
        ("an exponent", b"1e99999".to_vec()),
        ("the least integer of 64 bits", i64::MIN.to_string().into()),
        ("an integer of 400 digits", "9".repeat(400).into_bytes()),
        ("bad UTF-8", [b"\"\xff\xfe\"".as_slice()].concat()),
        ("a lone surrogate", br#""\ud800""#.to_vec()),
        ("17 arrays in each other", deep(17).into_bytes()),
        ("30,000 arrays in each other", deep(30_000).into_bytes()),
        ("60,000 open arrays", "[".repeat(60_000).into_bytes()),
        ("NUL bytes", vec![0; 64]),
    ];
    if open == "{" {
        let first = inner.split(',').next().unwrap().trim_end_matches('}');
        all.push(("a key twice", format!("{{{first},{inner}").into_bytes()));
        all.push((
            "a field too many",
            format!("{},\"zz\":1}}", whole.trim_end_matches('}')).into_bytes(),
        ));
        all.push(("an escaped key", escaped(&whole)));
    }
    (all.into_iter())
        .map(|(what, bytes)| (what.to_owned(), bytes))
        .collect()
}

/// The first letter of the first key as an escape.
fn escaped(whole: &str) -> Vec<u8> {
    let letter = whole.chars().nth(2).unwrap();
    let escape = format!("\\u{:04x}", u32::from(letter));
    format!("{{\"{escape}{}", &whole[3..]).into_bytes()
}
