//! Checks on the documents: the tests they name exist, and their links lead somewhere.

use std::fs;
use std::path::{Path, PathBuf};

fn documents() -> Vec<PathBuf> {
    let top = fs::read_dir(".").expect("the package's folder");
    let docs = fs::read_dir("docs").expect("docs exists");
    let protocol = fs::read_dir("docs/protocol").expect("docs/protocol exists");
    let certs = fs::read_dir("certs").into_iter().flatten();
    let all = top.chain(docs).chain(protocol).chain(certs);
    let mut found: Vec<_> = all
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|it| it == "md"))
        .collect();
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("a document that was just listed")
}

/// Every text between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Whether `path::function` is a test, or `path` a script.
fn exists(reference: &str) -> bool {
    let Some((path, function)) = reference.split_once("::") else {
        return Path::new(reference).is_file();
    };
    fs::read_to_string(path).is_ok_and(|text| text.contains(&format!("fn {function}(")))
}

#[test]
fn the_tests_that_the_threat_model_names_exist() {
    let text = read(Path::new("docs/threat-model.md"));
    let named = quoted(&text).filter(|it| it.starts_with("src/") || it.starts_with("tests/"));
    let missing: Vec<_> = named.filter(|it| !exists(it)).collect();
    assert!(missing.is_empty(), "\n{}", missing.join("\n"));
    let rows = text.lines().filter(|line| {
        let state = line.rsplit(" | ").next().unwrap_or_default();
        ["yes:", "in part:", "open"]
            .iter()
            .any(|it| state.starts_with(it))
    });
    assert_eq!(rows.count(), 53, "each row says how it stands");
}

#[test]
fn the_places_that_the_page_of_the_house_names_exist() {
    let text = read(Path::new("docs/architecture.md"));
    let is_path = |it: &&str| {
        it.contains('/')
            && it
                .chars()
                .all(|c| c.is_ascii_lowercase() || "_./".contains(c))
    };
    let is_there = |it: &str| {
        let beside = [it.to_owned(), format!("src/{it}"), format!("src/{it}.rs")];
        beside.iter().any(|path| Path::new(path).exists())
    };
    let paths: Vec<_> = quoted(&text).filter(is_path).collect();
    assert!(paths.len() > 20, "it names places");
    let missing: Vec<_> = paths.into_iter().filter(|it| !is_there(it)).collect();
    assert!(missing.is_empty(), "\n{}", missing.join("\n"));
}

/// The anchor that a heading gets: lower case, spaces to hyphens, other marks gone.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = heading
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    for document in documents() {
        let text = read(&document);
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            if target.starts_with("https://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, fragment) = target.split_once('#').unwrap_or((target, ""));
            let path = match file {
                "" => document.clone(),
                file => document
                    .parent()
                    .unwrap_or_else(|| Path::new(""))
                    .join(file),
            };
            let found = path.exists()
                && (fragment.is_empty()
                    || read(&path)
                        .lines()
                        .any(|line| line.starts_with('#') && anchor(line) == fragment));
            if !found {
                broken.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}
