//! Names: one thing each, and plain nouns.

use std::collections::BTreeMap;

use super::*;

/// Words that are no names of modules: participles, prepositions and words that may mean anything.
const NO_MODULES: &[&str] = &[
    "adopted",
    "after",
    "before",
    "blanked",
    "broken",
    "brought",
    "desk",
    "explained",
    "found",
    "grounds",
    "handed",
    "heads",
    "held",
    "included",
    "kept",
    "known",
    "news",
    "opened",
    "papers",
    "part",
    "restored",
    "sealed",
    "seats",
    "shown",
];

/// The types that the whole crate may name, each with its file.
fn types(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    let mut depth = 0_usize;
    for at in 0..source.tokens.len() {
        match &source.tokens[at].0 {
            Token::Mark('{' | '(' | '[') => depth += 1,
            Token::Mark('}' | ')' | ']') => depth = depth.saturating_sub(1),
            Token::Word(keyword)
                if depth == 0
                    && ["struct", "enum", "trait", "type"].contains(&keyword.as_str())
                    && is_visible(source, at) =>
            {
                found.extend(source.word_at(at + 1).map(str::to_owned));
            }
            Token::Mark(_) | Token::Word(_) => {}
        }
    }
    found
}

/// Whether `pub` or `pub(crate)` stands before this word.
fn is_visible(source: &Source, at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).and_then(|at| source.word_at(at));
    before(1) == Some("pub") || before(2) == Some("crate") && before(4) == Some("pub")
}

fn faults(files: &[(PathBuf, String)]) -> Vec<String> {
    let sources = production(files);
    let mut by_name: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut faults = Vec::new();
    for source in &sources {
        let file = source.path.display().to_string();
        let name = source.module.last();
        if name.is_some_and(|name| NO_MODULES.contains(&name.as_str())) {
            faults.push(format!("{file}: a module is named by a noun of the field"));
        }
        for name in types(source) {
            by_name.entry(name).or_default().push(file.clone());
        }
    }
    for (name, files) in by_name.into_iter().filter(|(_, files)| files.len() > 1) {
        faults.push(format!("`{name}` is a type of {}", files.join(" and of ")));
    }
    faults
}

#[test]
fn a_name_means_one_thing() {
    let faults = faults(&texts(&["src"]));
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn a_planted_second_meaning_is_found() {
    let file = |path: &str, body: &str| (PathBuf::from(path), format!("//! A file.\n{body}\n"));
    let found = faults(&[
        file("src/net/known.rs", "pub struct Thing;\nstruct Own;"),
        file(
            "src/store/a.rs",
            "pub(crate) enum Thing { A }\nstruct Own;\nfn f() { struct Thing; }",
        ),
        file("src/store/b.rs", "pub(super) type Thing = u8;"),
    ]);
    let wanted = [
        "src/net/known.rs: a module is named by a noun of the field",
        "`Thing` is a type of src/net/known.rs and of src/store/a.rs",
    ];
    assert_eq!(found, wanted);
}
