//! `rogatory-audit` against a bundle that a real daemon exported.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use rogatory::audit::{self, Anchors, Answered, Files, Judgement};
use rogatory::base::Digest;

use crate::stage::{self, Stage};

/// A bundle and the keys it is judged by.
struct Bundle {
    dir: tempfile::TempDir,
    files: Files,
    anchors: Anchors,
    keys: String,
}

impl Bundle {
    fn of(stage: &Stage, id: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = dir.path().join("bundle");
        stage.de.ok(&[
            "receipt",
            "export",
            id,
            "--out",
            &folder.display().to_string(),
        ]);
        let printed = stage.ie.ok(&["log", "keys", "--json"]);
        let keys = vkeys(&serde_json::from_str(&printed).expect("keys"));
        fs::write(dir.path().join("keys.txt"), &keys).expect("a file of keys");
        let files = audit::folder::read(&folder).expect("a bundle");
        let anchors = Anchors::parse(keys.as_bytes()).expect("keys");
        Self {
            dir,
            files,
            anchors,
            keys,
        }
    }

    fn judge(&self, files: &Files) -> Judgement {
        audit::verify(files, &self.anchors, 0)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn program(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_rogatory-audit"))
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .output()
            .expect("the program starts")
    }

    fn exit(&self, arguments: &[&str]) -> i32 {
        self.program(arguments).status.code().expect("no signal")
    }
}

fn vkeys(value: &serde_json::Value) -> String {
    let views = value.as_array().expect("a list of keys");
    let lines = views
        .iter()
        .map(|view| view["vkey"].as_str().expect("a vkey"));
    lines.fold(String::new(), |all, line| all + line + "\n")
}

#[test]
fn a_bundle_proves_what_it_proves_and_no_byte_more() {
    let stage = stage::two_authorities();
    let id = stage.exchanges();
    let bundle = Bundle::of(&stage, &id);
    drop(stage.stopped());
    let good = bundle.judge(&bundle.files);
    assert_eq!(good.exit_code(), 0, "{good:#?}");
    for outcome in [
        good.files,
        good.signatures,
        good.steps,
        good.included,
        good.witnessed,
    ] {
        assert_eq!(outcome, Answered::Good);
    }
    assert!(good.receipts.len() >= 7, "{good:#?}");
    println!("{}", every_byte(&bundle));
    accused_of_nothing(&bundle);
    every_file(&bundle);
    println!("{}", repaired_manifest(&bundle));
    keys(&bundle);
    places(&bundle);
    println!("{}", printed_commands(&bundle));
}

/// Every byte of every file, changed twice, and every file cut and lengthened.
fn every_byte(bundle: &Bundle) -> String {
    let (mut changed, mut bytes) = (0_u64, 0_u64);
    for (path, content) in &bundle.files {
        let mut files = bundle.files.clone();
        for at in 0..content.len() {
            bytes += 1;
            for mask in [1, 0x20] {
                if let Some(byte) = files.get_mut(path).and_then(|content| content.get_mut(at)) {
                    *byte ^= mask;
                }
                assert!(!audit::intact(&files).is_empty(), "{path}, byte {at}");
                // What is not intact has exit code 7 by itself; the whole judgement is asked for some of them.
                if changed % 1_009 == 0 {
                    assert_eq!(bundle.judge(&files).exit_code(), 7, "{path}, byte {at}");
                }
                changed += 1;
                if let Some(byte) = files.get_mut(path).and_then(|content| content.get_mut(at)) {
                    *byte = content[at];
                }
            }
        }
        for other in [
            &content[..content.len() - 1],
            &[content.as_slice(), b"\n"].concat(),
        ] {
            files.insert(path.clone(), other.to_vec());
            assert_eq!(bundle.judge(&files).exit_code(), 7, "{path}");
        }
    }
    let count = bundle.files.len();
    format!("rogatory-audit: {changed} changes of {bytes} bytes in {count} files: all refused")
}

/// A changed byte is nobody's fork: roots that no good signature stands for are not compared.
fn accused_of_nothing(bundle: &Bundle) {
    let mut tried = 0;
    for (path, content) in &bundle.files {
        let text = String::from_utf8_lossy(content);
        let roots: Vec<usize> = if path.ends_with(".tlog-proof") || path == "log/checkpoint" {
            // The third line of a checkpoint, which follows its origin and size.
            let begin = text.find("/log\n").expect("an origin");
            let lines = text[begin..]
                .match_indices('\n')
                .map(|(at, _)| begin + at + 1);
            lines.skip(1).take(1).collect()
        } else {
            text.match_indices("\"root\":\"")
                .map(|(at, found)| at + found.len())
                .collect()
        };
        for at in roots {
            let mut files = bundle.files.clone();
            let byte = &mut files.get_mut(path).expect("a file")[at];
            *byte = if *byte == b'0' { b'1' } else { b'0' };
            let judged = bundle.judge(&files);
            assert!(!judged.faults.is_empty(), "{path}, byte {at}");
            let fork = judged
                .faults
                .iter()
                .find(|fault| fault.rule == "log-forked");
            assert_eq!(fork, None, "{path}, byte {at}");
            tried += 1;
        }
    }
    assert!(tried > 10, "{tried} roots");
}

/// Every file removed, renamed, and one added in every folder.
fn every_file(bundle: &Bundle) {
    for (path, content) in &bundle.files {
        let mut files = bundle.files.clone();
        files.remove(path);
        assert_eq!(bundle.judge(&files).exit_code(), 7, "without {path}");
        files.insert(format!("{path}.x"), content.clone());
        assert_eq!(bundle.judge(&files).exit_code(), 7, "{path} renamed");
    }
    for path in [
        "more",
        "keys/a.pem",
        "log/x",
        "receipts/99-dispatch-1.note",
        "texts/x.txt",
        "signatures/x.sig",
    ] {
        let mut files = bundle.files.clone();
        files.insert(path.to_owned(), b"x".to_vec());
        assert_eq!(bundle.judge(&files).exit_code(), 7, "{path} added");
    }
}

/// Somebody who changes a file can write the manifest anew; then the rules behind it must speak.
fn repaired_manifest(bundle: &Bundle) -> String {
    let rewritten = |mut files: Files| {
        files.remove("manifest-sha256.txt");
        let line =
            |(path, content): (&String, &Vec<u8>)| format!("{}  {path}\n", Digest::of(content));
        let manifest: String = files.iter().map(line).collect();
        files.insert("manifest-sha256.txt".to_owned(), manifest.into_bytes());
        files
    };
    let mut changed = 0;
    for (path, content) in &bundle.files {
        // The instructions are words that nothing signs; docs/auditor.md has them too.
        if path == "VERIFY.txt" || path == "manifest-sha256.txt" {
            continue;
        }
        for at in (0..content.len()).step_by(content.len() / 40 + 1) {
            let mut files = bundle.files.clone();
            if let Some(byte) = files.get_mut(path).and_then(|content| content.get_mut(at)) {
                *byte ^= 1;
            }
            let judgement = bundle.judge(&rewritten(files));
            assert_eq!(judgement.exit_code(), 7, "{path}, byte {at}");
            assert_eq!(judgement.files, Answered::Good, "{path}, byte {at}");
            changed += 1;
        }
    }
    for path in bundle
        .files
        .keys()
        .filter(|path| path.starts_with("log/") || path.starts_with("keys/"))
    {
        let mut files = bundle.files.clone();
        files.remove(path);
        let code = bundle.judge(&rewritten(files)).exit_code();
        // The checkpoint of the folder is in every proof too.
        assert!(
            code == 7 || path == "log/checkpoint",
            "without {path}: {code}"
        );
    }
    let first: BTreeMap<_, _> = bundle
        .files
        .iter()
        .filter(|(path, _)| !path.contains("01-dispatch-1"))
        .collect();
    let files = first
        .into_iter()
        .map(|(path, content)| (path.clone(), content.clone()))
        .collect();
    assert_eq!(
        bundle.judge(&rewritten(files)).steps,
        Answered::Bad,
        "without its first receipt"
    );
    format!("rogatory-audit: {changed} changes under a manifest written anew: all refused")
}

/// A signature whose key is missing cannot be judged, and a bundle's own keys are no keys.
fn keys(bundle: &Bundle) {
    let without = |part: &str| -> Anchors {
        let lines = bundle.keys.lines().filter(|line| !line.contains(part));
        Anchors::parse(lines.collect::<Vec<_>>().join("\n").as_bytes()).expect("keys")
    };
    for (part, signatures, included) in [
        (
            "mla.example.ie/receipts",
            Answered::Unjudged,
            Answered::Good,
        ),
        (
            "bfj.example.de/receipts",
            Answered::Unjudged,
            Answered::Good,
        ),
        ("bfj.example.de/log", Answered::Good, Answered::Unjudged),
    ] {
        let judgement = audit::verify(&bundle.files, &without(part), 0);
        let got = (
            judgement.signatures,
            judgement.included,
            judgement.exit_code(),
        );
        assert_eq!(got, (signatures, included, 3), "{part}: {judgement:#?}");
    }
    assert_eq!(
        audit::verify(&bundle.files, &bundle.anchors, 9).exit_code(),
        3,
        "nine witnesses"
    );
}

/// The program itself: exit codes, links, folders, hostile names.
fn places(bundle: &Bundle) {
    let verify = |folder: &str| bundle.exit(&["verify", folder, "--keys", "keys.txt"]);
    assert_eq!(verify("bundle"), 0);
    assert_eq!(
        bundle.exit(&["verify", "bundle", "--keys", "keys.txt", "--json"]),
        0
    );
    assert_eq!(verify("nowhere"), 3);
    assert_eq!(bundle.exit(&["verify", "bundle", "--keys", "nowhere"]), 3);
    assert_eq!(bundle.exit(&["verify", "bundle"]), 2);
    assert_eq!(
        bundle.exit(&["verify", "bundle", "--keys", "bundle/VERIFY.txt"]),
        3
    );
    let compare =
        |paths: &[&str]| bundle.exit(&[&["compare", "--keys", "keys.txt"], paths].concat());
    assert_eq!(compare(&["bundle"]), 3, "with nothing");
    assert_eq!(compare(&["bundle", "bundle/"]), 3, "with itself");
    assert_eq!(
        compare(&["bundle", "bundle/receipts/01-dispatch-1.note"]),
        0
    );
    assert_eq!(compare(&["bundle/log/checkpoint", "bundle"]), 0);
    assert_eq!(compare(&["bundle", "bundle/VERIFY.txt"]), 3, "no statement");
    fs::create_dir(bundle.path("empty")).expect("a folder");
    assert_eq!(compare(&["bundle", "empty"]), 3, "an empty folder");
    assert_eq!(compare(&["bundle", "nowhere"]), 3);
    assert_eq!(compare(&[]), 2);
    let note = bundle.path("bundle/VERIFY.txt");
    let aside = bundle.path("aside");
    fs::rename(&note, &aside).expect("a rename");
    assert_eq!(verify("bundle"), 7);
    std::os::unix::fs::symlink(&aside, &note).expect("a link");
    assert_eq!(verify("bundle"), 7, "a link to the right file");
    fs::remove_file(&note).expect("a link");
    fs::rename(&aside, &note).expect("a rename");
    for folder in ["bundle/more", "bundle/keys/log"] {
        fs::create_dir(bundle.path(folder)).expect("a folder");
        assert_eq!(verify("bundle"), 7, "{folder}");
        fs::remove_dir(bundle.path(folder)).expect("a folder");
    }
    assert_eq!(verify("bundle"), 0);
}

/// Runs what `explain` prints: it ends well on the file as it is, and not on a changed one.
fn printed_commands(bundle: &Bundle) -> String {
    let mut explained = 0;
    for path in bundle.files.keys() {
        let is_known = ["receipts/", "log/"]
            .iter()
            .any(|folder| path.starts_with(folder));
        let file = format!("bundle/{path}");
        if !is_known {
            assert_eq!(bundle.exit(&["explain", &file]), 7, "{file}");
            continue;
        }
        let output = bundle.program(&["explain", &file, "--keys", "keys.txt", "--json"]);
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one object");
        let commands = json["commands"].as_str().expect("commands");
        assert!(
            json["words"]
                .as_array()
                .is_some_and(|words| words.len() > 3),
            "{file}"
        );
        assert!(shell(bundle.dir.path(), commands), "{file}: {commands}");
        let content = &bundle.files[path];
        for at in [content.len() / 3, content.len() / 2] {
            let mut changed = content.clone();
            changed[at] ^= 1;
            fs::write(bundle.path(&file), &changed).expect("a file");
            assert!(
                !shell(bundle.dir.path(), commands),
                "{file}, byte {at}: {commands}"
            );
        }
        fs::write(bundle.path(&file), content).expect("a file");
        explained += 1;
    }
    format!(
        "rogatory-audit explain: the commands for {explained} files run, and refuse each file with a changed byte"
    )
}

fn shell(folder: &Path, commands: &str) -> bool {
    let ran = Command::new("sh")
        .arg("-c")
        .arg(commands)
        .current_dir(folder)
        .output();
    ran.expect("a shell").status.success()
}

/// The beginnings of all that is read: arbitrary bytes alone would be refused at the first line.
const BEGINNINGS: &[&str] = &[
    "",
    "c2sp.org/tlog-proof@v1\nindex 0\n\nmla.example.ie/log\n1\n",
    "c2sp.org/tlog-proof@v1\nextra \n",
    "rogatory/receipt/v1\n{",
    "rogatory/receipt/v1\n{\"v\":1}\n\n\u{2014} mla.example.ie/receipts ",
    "mla.example.ie/log\n",
    "{\"entry\":",
];

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        at in 0..BEGINNINGS.len(),
        rest in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
        text in "[ -~\n\u{2014}]{0,200}",
    ) {
        let keys = Anchors::default();
        for rest in [rest.as_slice(), text.as_bytes()] {
            let content = [BEGINNINGS[at].as_bytes(), rest].concat();
            drop(audit::explain::explain(Path::new("x"), &content, &keys));
            drop(Anchors::parse(&content));
            let paths = [
                "manifest-sha256.txt", "receipts/01-dispatch-1.note", "log/checkpoint", "log/01-dispatch-1.leaf.json",
                "log/01-dispatch-1.tlog-proof", "keys/vkeys.txt", "disclosures.txt", "texts/01-dispatch-1.txt",
            ];
            let files: Files = paths.iter().map(|path| ((*path).to_owned(), content.clone())).collect();
            proptest::prop_assert_eq!(audit::verify(&files, &keys, 1).exit_code(), 7);
            let sources = [("x".to_owned(), audit::ComparedPart::Bundle(files)), ("y".to_owned(), audit::ComparedPart::Note(content))];
            drop(audit::compare(&sources, &keys));
        }
    }
}
