//! The values that are put in the place of a field: the ends of its type and of its limits, and their neighbours
//! beyond.

use serde_json::Value;

use crate::spelling::{Change, text};

/// A value in a word, and as it is spelled.
pub(crate) type Token = (String, Vec<u8>);

/// Whole numbers at the ends of every type that a reader may use, and one past them; and forms of numbers.
const NUMBERS: &[&str] = &[
    "0",
    "1",
    "2",
    "-1",
    "-0",
    "127",
    "128",
    "255",
    "256",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "2147483649",
    "-2147483648",
    "-2147483649",
    "4294967295",
    "4294967296",
    "4294967297",
    "9007199254740990",
    "9007199254740991",
    "9007199254740992",
    "-9007199254740991",
    "-9007199254740992",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775807",
    "-9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "18446744073709551616",
    "340282366920938463463374607431768211456",
    "1000000000000000000000000000000",
    "1.0",
    "1.5",
    "1e3",
    "1E+2",
    "1e400",
    "-1e400",
    "1e-400",
    "01",
    "+1",
    ".5",
    "5.",
    "0x10",
    "NaN",
    "Infinity",
];
/// Those for a field that is no number.
const FEW_NUMBERS: &[&str] = &[
    "0",
    "-1",
    "1.5",
    "-9223372036854775808",
    "18446744073709551615",
    "1000000000000000000000000000000",
];
/// In the place of a day.
const DAYS: &[&str] = &[
    "0000-00-00",
    "0000-01-01",
    "0001-01-01",
    "-001-01-01",
    "1969-12-31",
    "1970-01-01",
    "2027-02-29",
    "2028-02-29",
    "2028-02-30",
    "2028-04-31",
    "2028-00-10",
    "2028-13-01",
    "2028-1-1",
    "9999-12-31",
    "10000-01-01",
    "+10000-01-01",
    "99999999-12-31",
    "292277026597-01-01",
];
/// In the place of the time of day.
const TIMES: &[&str] = &[
    "00:00:00.000Z",
    "23:59:59.999Z",
    "23:59:60.000Z",
    "23:59:60.999Z",
    "24:00:00.000Z",
    "12:60:00.000Z",
    "12:00:00Z",
    "12:00:00.0000000000001Z",
    "12:00:00.000+00:00",
    "12:00:00.000-00:00",
    "12:00:00.000+23:59",
    "12:00:00.000-99:99",
    "12:00:00.000z",
];
/// In the place of any text: as it is spelled, within the quotation marks.
const TEXTS: &[(&str, &[u8])] = &[
    ("empty", b""),
    ("a space", b" "),
    ("an escaped NUL", br"\u0000"),
    ("a NUL", b"\0"),
    ("a newline", br"\n"),
    ("a raw newline", b"\n"),
    ("a lone high surrogate", br"\ud800"),
    ("a lone low surrogate", br"\udc00"),
    ("surrogates in the wrong order", br"\udc00\ud800"),
    ("half an escape", br"\u00"),
    ("no escape", br"\x41"),
    ("right-to-left override", "safe\u{202e}txt.exe".as_bytes()),
    ("a byte order mark", "\u{feff}x".as_bytes()),
    ("not composed", "e\u{301}".as_bytes()),
    ("beyond the basic plane", "\u{10ffff}\u{1f600}".as_bytes()),
    ("a byte that is no UTF-8", b"\xff"),
    ("half a letter", b"\xc3"),
    ("an overlong slash", b"\xc0\xaf"),
    ("a surrogate in UTF-8", b"\xed\xa0\x80"),
    ("a path upwards", b"../../../../etc/passwd"),
    ("a number", b"1"),
    ("the least integer", b"-9223372036854775808"),
    (
        "a number of 60 digits",
        b"999999999999999999999999999999999999999999999999999999999999",
    ),
    ("a word", b"null"),
];

/// All that is put in the place of a field with this schema, which has this value now.
pub(crate) fn tokens(schema: &Value, now: &Value) -> Vec<Token> {
    let plain = |texts: &[&str]| -> Vec<Token> {
        let texts = texts.iter();
        texts
            .map(|it| ((*it).to_owned(), it.as_bytes().to_vec()))
            .collect()
    };
    let mut all = plain(&[
        "null",
        "true",
        "false",
        "\"x\"",
        "[]",
        "{}",
        "[null]",
        "{\"a\":1}",
        "",
    ]);
    for depth in [8, 15, 17, 200, 5_000] {
        let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        all.push((format!("{depth} lists in each other"), deep.into_bytes()));
    }
    match now {
        Value::Number(_) => {
            all.extend(plain(NUMBERS));
            all.extend(limits(schema));
        }
        Value::String(text) => {
            all.extend(plain(FEW_NUMBERS));
            all.extend(texts(schema, text));
        }
        Value::Array(members) => {
            all.extend(plain(FEW_NUMBERS));
            all.extend(lists(schema, members));
        }
        Value::Object(_) | Value::Bool(_) | Value::Null => all.extend(plain(FEW_NUMBERS)),
    }
    for member in schema["enum"].as_array().into_iter().flatten() {
        all.push((member.to_string(), member.to_string().into_bytes()));
    }
    all.retain(|(_, token)| *token != now.to_string().into_bytes());
    all
}

/// The least and the greatest that a schema allows, and one past each.
fn limits(schema: &Value) -> Vec<Token> {
    let ends = ["minimum", "maximum", "const"].map(|end| schema[end].as_i64());
    let around = |end: i64| [end - 1, end, end + 1];
    let all = ends.into_iter().flatten().flat_map(around);
    all.map(|number| (number.to_string(), number.to_string().into_bytes()))
        .collect()
}

fn texts(schema: &Value, now: &str) -> Vec<Token> {
    let quoted = |inner: &[u8]| [b"\"", inner, b"\""].concat();
    let mut all: Vec<Token> = TEXTS
        .iter()
        .map(|(what, inner)| ((*what).to_owned(), quoted(inner)))
        .collect();
    let mut add = |what: String, inner: &str| all.push((what, text(inner)));
    for length in ["minLength", "maxLength"].map(|end| schema[end].as_u64()) {
        let length = usize::try_from(length.unwrap_or(64)).expect("a length");
        for length in [length.saturating_sub(1), length, length + 1] {
            add(format!("{length} letters"), &"a".repeat(length));
            add(
                format!("{length} letters of four bytes"),
                &"\u{1f600}".repeat(length),
            );
        }
    }
    add("64 KiB".to_owned(), &"a".repeat(64 << 10));
    add("in capitals".to_owned(), &now.to_uppercase());
    add("with a newline".to_owned(), &format!("{now}\n"));
    add("with a space before".to_owned(), &format!(" {now}"));
    add("twice".to_owned(), &format!("{now}{now}"));
    let shorter = now.char_indices().last().map_or("", |(at, _)| &now[..at]);
    add("without its last letter".to_owned(), shorter);
    let first = now.chars().next().map_or(0, char::len_utf8);
    add("without its first letter".to_owned(), &now[first..]);
    let other = if now.starts_with('0') { "1" } else { "0" };
    add(
        "with another first letter".to_owned(),
        &format!("{other}{}", &now[first..]),
    );
    let is_day =
        |text: &str| text.len() == 10 && text.bytes().filter(|it| *it == b'-').count() == 2;
    if is_day(now) {
        for day in DAYS {
            add((*day).to_owned(), day);
        }
    }
    if let Some((day, time)) = now.split_once('T')
        && is_day(day)
    {
        for other in DAYS {
            add(format!("on {other}"), &format!("{other}T{time}"));
            add(
                format!("at the end of {other}"),
                &format!("{other}T23:59:59.999Z"),
            );
        }
        for other in TIMES {
            add(format!("at {other}"), &format!("{day}T{other}"));
        }
    }
    all
}

fn lists(schema: &Value, now: &[Value]) -> Vec<Token> {
    let mut all: Vec<Token> = Vec::new();
    let mut add = |what: String, members: &[Value]| {
        let list = Value::from(members.to_vec());
        all.push((what, list.to_string().into_bytes()));
    };
    let null = Value::Null;
    let first = now.first().unwrap_or(&null);
    for end in ["minItems", "maxItems"].map(|end| schema[end].as_u64()) {
        let end = usize::try_from(end.unwrap_or(2)).expect("a number");
        // The greatest number of items of a manifest is tried where there are fewer bytes of each.
        for count in [end.saturating_sub(1), end, end + 1].map(|count| count.min(4_096)) {
            add(
                format!("{count} times its first member"),
                &vec![first.clone(); count],
            );
            let different: Vec<_> = (0..count).map(|at| varied(first, at)).collect();
            add(format!("{count} different members"), &different);
        }
    }
    add("10,000 numbers".to_owned(), &vec![Value::from(7); 10_000]);
    let reversed: Vec<_> = now.iter().rev().cloned().collect();
    add("in the other order".to_owned(), &reversed);
    add(
        "without its first member".to_owned(),
        now.get(1..).unwrap_or(&[]),
    );
    let twice = [now, &now[..now.len().min(1)]].concat();
    add("with its first member again".to_owned(), &twice);
    add("with null".to_owned(), &[now, &[Value::Null]].concat());
    all.push(("a comma too many".to_owned(), b"[1,]".to_vec()));
    all
}

/// The member with another ending, so that no two are the same.
fn varied(member: &Value, at: usize) -> Value {
    match member {
        Value::String(text) => {
            let ending = format!("{at:04x}");
            let kept = text.chars().count().saturating_sub(ending.len());
            let kept: String = text.chars().take(kept).collect();
            Value::from(format!("{kept}{ending}"))
        }
        Value::Number(_) => Value::from(at),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => member.clone(),
    }
}

/// All that is done to a field, in words.
pub(crate) fn changes(schema: &Value, now: &Value) -> Vec<(String, Change)> {
    let tokens = tokens(schema, now).into_iter();
    let mut all: Vec<_> = tokens
        .map(|(what, token)| (format!("is {what}"), Change::Token(token)))
        .collect();
    all.push(("is missing".to_owned(), Change::Missing));
    all.push(("stands twice".to_owned(), Change::Twice));
    if now.is_object() {
        for more in [r#""zz":1"#, r#""zz":null"#, r#""":1"#, r#""__proto__":{}"#] {
            all.push((format!("has {more} too"), Change::More(more)));
        }
    }
    all
}
