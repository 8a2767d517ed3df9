//! Codes of failures: each word has one exit code, whoever says it.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// Two names of one class: that of the API's failures, and that of the command line's.
const SAME: &[(&str, &str)] = &[("missing", "absent"), ("mismatch", "verification")];

/// The codes in this text, with the class that each is given, as in `ApiFailure::usage("bad-id", …)`.
fn codes(text: &str) -> Vec<(String, String)> {
    let after_type = text.split("Failure::").skip(1);
    let after_self = text.split("Self::").skip(1);
    let calls = after_type.chain(after_self);
    let code = |call: &str| {
        let (class, rest) = call.split_once('(')?;
        let (code, _) = rest.trim_start().strip_prefix('"')?.split_once('"')?;
        let is_word = |text: &str, also: char| {
            let mut letters = text.chars();
            !text.is_empty()
                && letters.all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == also)
        };
        let same = SAME.iter().find(|(one, _)| *one == class);
        let class = same.map_or(class, |(_, other)| *other);
        (is_word(class, '_') && is_word(code, '-')).then(|| (code.to_owned(), class.to_owned()))
    };
    calls.filter_map(code).collect()
}

fn faults(texts: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut classes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (code, class) in texts.into_iter().flat_map(|text| codes(&text)) {
        classes.entry(code).or_default().insert(class);
    }
    let several = classes.into_iter().filter(|(_, classes)| classes.len() > 1);
    several
        .map(|(code, classes)| format!("{code}: {classes:?}"))
        .collect()
}

#[test]
fn a_code_has_one_exit_code() {
    let files = texts(&["src/cli", "src/daemon", "src/api"]);
    let texts: Vec<_> = files.into_iter().map(|(_, text)| text).collect();
    let all: usize = texts.iter().map(|text| codes(text).len()).sum();
    assert!(all > 150, "{all} codes");
    let faults = faults(texts);
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn a_planted_second_class_is_found() {
    let texts = [
        "Err(ApiFailure::usage(\n    \"not-held\", message))",
        "Failure::temporary(\"not-held\", text)",
        "ApiFailure::missing(\"gone\", text); Failure::absent(\"gone\", text)",
    ];
    let found = faults(texts.map(str::to_owned));
    assert_eq!(found, ["not-held: {\"temporary\", \"usage\"}"]);
}
