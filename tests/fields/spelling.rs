//! A document as bytes, with one place of it spelled in another way than any library would.

use std::collections::BTreeMap;

use serde_json::Value;

/// The outcome at one place.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// These bytes stand there.
    Token(Vec<u8>),
    /// The field is not there.
    Missing,
    /// The field is there twice.
    Twice,
    /// One field more in the object.
    More(&'static str),
}

/// Writes the document canonically but for the change at this JSON pointer.
pub(crate) fn spelled(document: &Value, at: &str, change: &Change) -> Vec<u8> {
    let mut to = Vec::new();
    write(document, "", (at, change), &mut to);
    to
}

fn write(value: &Value, here: &str, (at, change): (&str, &Change), to: &mut Vec<u8>) {
    if let Change::Token(token) = change
        && here == at
    {
        to.extend(token);
        return;
    }
    match value {
        Value::Object(fields) => {
            let mut entries = Vec::new();
            // Objects keep the order in which they were made.
            let sorted: BTreeMap<_, _> = fields.iter().collect();
            for (name, inner) in sorted {
                let place = format!("{here}/{name}");
                let mut entry = text(name);
                entry.push(b':');
                write(inner, &place, (at, change), &mut entry);
                let times = times(at == place, change);
                entries.extend(std::iter::repeat_n(entry, times));
            }
            if let Change::More(entry) = change
                && here == at
            {
                entries.push(entry.as_bytes().to_vec());
            }
            joined((b'{', b'}'), &entries, to);
        }
        Value::Array(members) => {
            let mut entries = Vec::new();
            for (index, inner) in members.iter().enumerate() {
                let place = format!("{here}/{index}");
                let mut entry = Vec::new();
                write(inner, &place, (at, change), &mut entry);
                let times = times(at == place, change);
                entries.extend(std::iter::repeat_n(entry, times));
            }
            joined((b'[', b']'), &entries, to);
        }
        Value::String(inner) => to.extend(text(inner)),
        Value::Null | Value::Bool(_) | Value::Number(_) => to.extend(value.to_string().bytes()),
    }
}

const fn times(is_there: bool, change: &Change) -> usize {
    match (is_there, change) {
        (true, Change::Missing) => 0,
        (true, Change::Twice) => 2,
        (true, Change::Token(_) | Change::More(_)) | (false, _) => 1,
    }
}

/// A text in quotation marks.
pub(crate) fn text(inner: &str) -> Vec<u8> {
    Value::from(inner).to_string().into_bytes()
}

fn joined((open, close): (u8, u8), entries: &[Vec<u8>], to: &mut Vec<u8>) {
    to.push(open);
    to.extend(entries.join(&b','));
    to.push(close);
}
