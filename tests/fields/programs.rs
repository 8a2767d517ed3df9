//! Programs that read files: they end with a code of the table, whatever the files hold.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rogatory::audit::{self, Anchors, Files};
use rogatory::base::Digest;
use rogatory::config::KeyFiles;
use rogatory::identity::note::SignatureLine;
use rogatory::identity::{Context, Note, SecretKey};
use rogatory::keys::keyring::Keyring;
use serde_json::Value;

use crate::documents::{Document, Mutant, Tally, is_chosen};
use crate::peer::{ended, odd, pid_of};
use crate::pure::signed;
use crate::schema::Schema;
use crate::victim::{AT, HOSTILE, IE, Victim, deliver};
use crate::{settings, sources};

/// The highest exit code of the table.
const CODE_MAX: i32 = 12;
/// One in so many goes through the program itself.
const STARTED: u64 = 150;

/// The command line of one home.
pub(crate) struct Program {
    pub(crate) home: PathBuf,
}

impl Program {
    /// Runs it; another end than a code of the table is what must not be.
    pub(crate) fn run(&self, tally: &mut Tally, what: &str, arguments: &[&str]) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rogatory"));
        command.arg("--home").arg(&self.home).args(arguments);
        finished(tally, what, &mut command);
    }
}

fn finished(tally: &mut Tally, what: &str, command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().expect("it starts");
    let code = output.status.code();
    if code.is_none_or(|code| !(0..=CODE_MAX).contains(&code)) {
        let said = String::from_utf8_lossy(&output.stderr);
        tally
            .wrong
            .push(format!("{what}: {} {said:.300}", output.status));
    }
}

/// An exported bundle, and the keys of both that signed it.
struct Bundle {
    files: Files,
    anchors: Anchors,
    vkeys: String,
    keys: BTreeMap<String, SecretKey>,
    folder: PathBuf,
}

impl Bundle {
    fn of(victim: &Victim) -> Self {
        let folder = victim.folder().join("bundle");
        let listed: Value =
            serde_json::from_slice(&victim.ask("ie", &["package", "list", "--json"]))
                .expect("JSON");
        let id = listed[0]["id"].as_str().expect("a package");
        victim.ask(
            "ie",
            &[
                "receipt",
                "export",
                id,
                "--out",
                folder.to_str().expect("a path"),
            ],
        );
        let printed: Value =
            serde_json::from_slice(&victim.ask("ie", &["log", "keys", "--json"])).expect("JSON");
        let lines = printed.as_array().into_iter().flatten();
        let lines: Vec<_> = lines.filter_map(|row| row["vkey"].as_str()).collect();
        let vkeys = lines.join("\n") + "\n";
        let keys = [("ie", IE), ("at", AT)]
            .into_iter()
            .flat_map(|(alias, id)| {
                let ring = ring(&victim.folder().join(alias), alias, id);
                [ring.receipts, ring.log, ring.witness, ring.card]
            });
        Self {
            files: audit::folder::read(&folder).expect("a bundle"),
            anchors: Anchors::parse(vkeys.as_bytes()).expect("keys"),
            vkeys,
            keys: keys.map(|key| (key.name().to_string(), key)).collect(),
            folder,
        }
    }

    /// The text of a note as these bytes, signed by all that have signed it.
    fn resigned(&self, note: &Note, body: &[u8]) -> Vec<u8> {
        let text = [note.context().line().as_bytes(), b"\n", body, b"\n"].concat();
        let mut whole = [&text[..], b"\n"].concat();
        for signature in note.signatures() {
            let key = &self.keys[&signature.name.to_string()];
            let line = SignatureLine {
                name: key.name().to_string(),
                id: key.public().id(),
                signature: key.sign(&text).to_vec(),
            };
            whole.extend(line.encode().bytes());
        }
        whole
    }

    /// The bundle with another file, and a list of files that agrees.
    fn with(&self, path: &str, content: &[u8]) -> Files {
        let mut files = self.files.clone();
        files.insert(path.to_owned(), content.to_vec());
        files.remove("manifest-sha256.txt");
        let lines = files
            .iter()
            .map(|(path, content)| format!("{}  {path}\n", Digest::of(content)));
        let list: String = lines.collect();
        files.insert("manifest-sha256.txt".to_owned(), list.into_bytes());
        files
    }

    /// Judges it in this process, and now and then with the program.
    fn judge(&self, tally: &mut Tally, path: &str, mutant: &Mutant, content: &[u8]) {
        tally.add("bundle", mutant);
        let files = self.with(path, content);
        let what = &mutant.what;
        tally.read(what, |_| drop(audit::verify(&files, &self.anchors, 1)), &[]);
        let explain = |content: &[u8]| {
            let explained = audit::explain::explain(Path::new(path), content, &self.anchors);
            drop(explained);
        };
        tally.read(what, explain, content);
        if is_chosen(what, STARTED) {
            self.program(tally, path, what, &files);
        }
    }

    fn program(&self, tally: &mut Tally, path: &str, what: &str, files: &Files) {
        let list = "manifest-sha256.txt";
        for name in [path, list] {
            fs::write(self.folder.join(name), &files[name]).expect("a file");
        }
        let keys = self.folder.with_extension("keys");
        fs::write(&keys, &self.vkeys).expect("a file");
        let audit = || Command::new(env!("CARGO_BIN_EXE_rogatory-audit"));
        finished(
            tally,
            what,
            audit()
                .arg("verify")
                .arg(&self.folder)
                .arg("--keys")
                .arg(&keys)
                .arg("--json"),
        );
        finished(
            tally,
            what,
            audit()
                .arg("explain")
                .arg(self.folder.join(path))
                .arg("--keys")
                .arg(&keys),
        );
        for name in [path, list] {
            fs::write(self.folder.join(name), &self.files[name]).expect("a file");
        }
    }
}

fn ring(home: &Path, alias: &str, id: &str) -> Keyring {
    let paper = |ending: &str| home.join(format!("{alias}.{ending}"));
    let (keys, state) = (home.join("keys"), home.join("state"));
    let files = KeyFiles::standard(&keys, paper("card"), paper("crl"), &state);
    Keyring::load(&files, &id.parse().expect("an id")).expect("keys")
}

/// Every field of every file of a bundle: receipts are signed anew, so that what is behind the signatures is reached.
fn bundles(bundle: &Bundle, tally: &mut Tally) {
    let (mut notes, mut leaves) = (0, 0);
    for (path, content) in &bundle.files {
        if let Ok(note) = Note::parse(content) {
            notes += 1;
            let body = serde_json::from_str(note.json()).expect("JSON");
            let document = Document::new(path, Schema::of("receipt", ""), body);
            for (field, at) in document.places() {
                // Each field of the first in full, and some of the others.
                if notes > 1 && !is_chosen(&format!("{path} {field}"), 6) {
                    continue;
                }
                for mutant in document.mutants_at(&field, &at) {
                    let content = bundle.resigned(&note, &mutant.bytes);
                    bundle.judge(tally, path, &mutant, &content);
                }
            }
        } else if content.starts_with(b"{") {
            leaves += 1;
            let body = serde_json::from_slice(content).expect("JSON");
            let document = Document::inferred(path, body);
            let mutants = if leaves == 1 {
                document.mutants()
            } else {
                Vec::new()
            };
            for mutant in mutants {
                bundle.judge(tally, path, &mutant, &mutant.bytes);
            }
        }
        for mutant in odd(path).filter(|it| is_chosen(&it.what, 20)) {
            bundle.judge(tally, path, &mutant, &mutant.bytes);
        }
    }
    assert!(notes > 2 && leaves > 0, "{notes} notes, {leaves} leaves");
}

/// Cards in files, as they come by mail.
fn cards(victim: &Victim, tally: &mut Tally) {
    let folder = victim.folder();
    let (alias, id) = HOSTILE[1];
    let key = ring(&folder.join(alias), alias, id).card;
    let program = Program {
        home: folder.join("ie"),
    };
    let path = folder.join("by-mail.card");
    let document = sources::cards();
    let mut started = 0;
    for mutant in document.mutants().into_iter().chain(odd("card")) {
        if !is_chosen(&mutant.what, 24) {
            continue;
        }
        started += 1;
        tally.add("card", &mutant);
        let note = signed(Context::Card, &mutant.bytes, &key);
        fs::write(&path, note).expect("a file");
        let path = path.to_str().expect("a path");
        program.run(tally, &mutant.what, &["peer", "add", path]);
    }
    assert!(started > 20, "{started} cards");
}

#[test]
fn no_file_ends_a_program_otherwise_than_with_a_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut victim = Victim::start(folder.path(), &[]);
    let pid = pid_of(&victim);
    deliver(folder.path(), "at", "ie").expect("an honest package");
    let mut tally = Tally::default();
    bundles(&Bundle::of(&victim), &mut tally);
    cards(&victim, &mut tally);
    let (alias, _) = HOSTILE[0];
    let program = Program {
        home: folder.path().join(alias),
    };
    settings::keys(&program, &mut tally);
    for ends in settings::ends(&program) {
        let ends: Vec<_> = ends
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        // It answers, or this fails.
        drop(crate::victim::serve(folder.path(), alias, &ends));
    }
    let log = fs::read_to_string(folder.path().join(format!("{alias}.log"))).expect("a log");
    assert!(!log.contains("panicked at"), "{log}");
    let (ends, words) = ended(&mut victim, &pid);
    tally.wrong.extend(words);
    tally.finish("programs and files", ends);
}
