//! The test vectors of `docs/protocol/vectors/`: made here from fixed seeds, and compared byte for byte with the files.
//!
//! `ROGATORY_WRITE_VECTORS=1 cargo test --test vectors` writes the files anew.

mod exchange;
mod frames;
mod log;
mod negative;
mod parties;
mod sealed;
mod small;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// File name below the folder, and content.
type Files = BTreeMap<String, Vec<u8>>;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/protocol/vectors")
}

/// JSON for people: indented, keys in order, with a final newline.
fn pretty(value: &Value) -> Vec<u8> {
    let sorted = rogatory::base::json::canonical(value);
    let sorted: Value = serde_json::from_slice(&sorted).expect("it is JSON");
    let mut text = serde_json::to_string_pretty(&sorted).expect("a value is JSON");
    text.push('\n');
    text.into_bytes()
}

/// Every file but the README.
fn generate() -> Files {
    let mut files = Files::new();
    let (de, ie, fr) = (parties::de(), parties::ie(), parties::fr());
    let mut put = |name: &str, value: &Value| files.insert(name.to_owned(), pretty(value));
    put("keys.json", &parties::keys(&[&de, &ie, &fr]));
    put("age-keys.json", &parties::age_keys(&[&de, &ie]));
    put("segments.json", &small::segments());
    put("data-heads.json", &small::data_heads());
    put("session.json", &small::session());
    put("tar-heads.json", &small::tar_heads());
    let package = sealed::package(&de, &ie);
    let story = exchange::story(&de, &ie, &fr, &package);
    put("statements.json", &story.index());
    put("fingerprints.json", &story.fingerprints());
    put("disclosures.json", &story.disclosures());
    put("package.json", &package.summary());
    let logs = log::logs(&de, &ie, &story);
    let witnessing = logs[0].witnessed(&ie);
    let frames = frames::frames(&ie, &story, &package, &witnessing);
    put("frames.json", &frames);
    put("logs.json", &log::describe(&logs));
    put("proofs.json", &logs[0].proofs(&ie));
    let negative = negative::all(&de, &ie, &story, &package);
    put("negative.json", &negative);
    for log in &logs {
        files.insert(log.file(), log.checkpoint());
    }
    files.extend(logs[0].proof_files(&witnessing));
    files.extend(story.files());
    files.extend(package.files());
    files
}

fn names_below(folder: &Path, prefix: &str, names: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let entry = entry.expect("it can be listed");
        let name = entry.file_name().into_string().expect("names are ASCII");
        let name = format!("{prefix}{name}");
        if entry.path().is_dir() {
            names_below(&entry.path(), &format!("{name}/"), names);
        } else if name != "README.md" {
            names.push(name);
        }
    }
}

#[test]
fn the_files_are_what_the_code_makes() {
    let files = generate();
    assert_eq!(files, generate(), "two runs differ");
    let folder = folder();
    if std::env::var_os("ROGATORY_WRITE_VECTORS").is_some() {
        for (name, bytes) in &files {
            let path = folder.join(name);
            let parent = path.parent().expect("it is in the folder");
            std::fs::create_dir_all(parent).expect("it can be made");
            std::fs::write(path, bytes).expect("it can be written");
        }
    }
    let mut found = Vec::new();
    names_below(&folder, "", &mut found);
    found.sort_unstable();
    let wanted: Vec<_> = files.keys().cloned().collect();
    assert_eq!(found, wanted, "the folder has other files");
    for (name, bytes) in &files {
        let frozen = std::fs::read(folder.join(name)).expect("it is there");
        assert!(frozen == *bytes, "{name} differs from what the code makes");
    }
}
