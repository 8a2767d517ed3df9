//! The age test vectors of C2SP (CCTV `age/testdata`), through the same calls with which packages are opened.
//!
//! A file that age calls good must open, one that it calls bad must not, each for the right reason. Beside that it is
//! said which of the good ones our own check of headers refuses, because packages never have such stanzas. Where the
//! vectors are absent, the one test counts as ignored.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Cursor, Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use flate2::read::ZlibDecoder;

use rogatory::base::Digest;
use rogatory::package::header::{self, HeaderFault};
use rogatory::policy::{
    Action, Circumstances, Facts, Permit, PolicySet, Purpose, Roles, Terms, decide,
};
use rogatory::seal::{Identity, Plaintext, SealError, check_header};

const FOLDER: &str = "../shared/vectors/age";
/// The first 65,568 bytes of a payload: nonce and first chunk.
const FIRST_CHUNK: usize = 16 + (64 << 10) + 16;
/// Good files whose headers packages never have.
const FOREIGN: &[&str] = &[
    "stanza_empty_body",
    "stanza_empty_last_line",
    "stanza_valid_characters",
    "x25519_grease",
];

/// Files whose nonce is missing or cut, which age takes for part of the header. It is the beginning of a package's
/// payload.
const NO_NONCE: &[&str] = &["stream_no_nonce", "stream_short_nonce"];

/// One vector: its description, and the age file.
struct Vector {
    fields: BTreeMap<String, String>,
    file: Vec<u8>,
}

impl Vector {
    fn read(bytes: &[u8]) -> Self {
        let end = bytes
            .windows(2)
            .position(|two| two == b"\n\n")
            .expect("a blank line after the description");
        let description = std::str::from_utf8(&bytes[..end]).expect("a description in ASCII");
        let fields: BTreeMap<_, _> = description
            .lines()
            .map(|line| line.split_once(": ").expect("`name: value` lines"))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let mut file = bytes[end + 2..].to_vec();
        if let Some(method) = fields.get("compressed") {
            assert_eq!(method, "zlib");
            let mut plain = Vec::new();
            ZlibDecoder::new(&file[..])
                .read_to_end(&mut plain)
                .expect("zlib as described");
            file = plain;
        }
        Self { fields, file }
    }

    fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    /// Why this file is about something that packages do not have, if it is.
    fn not_applicable(&self, name: &str) -> Option<&'static str> {
        if name.starts_with("armor") {
            Some("packages are never armored")
        } else if name.starts_with("scrypt") {
            Some("packages are never sealed with a passphrase")
        } else if self.field("identity").starts_with("AGE-SECRET-KEY-PQ-") {
            Some("this version has no post-quantum recipients")
        } else {
            None
        }
    }
}

/// The result for one file.
enum Outcome {
    Passed(String),
    NotApplicable(&'static str),
    Failed(String),
}

fn permit() -> Permit {
    let from = "a.example".parse().expect("an id");
    let to = "b.example".parse().expect("an id");
    let terms: Terms = serde_json::from_str(
        r#"{"instrument":"EIO","onward":"prohibited","purposes":["prosecution"],"retain_until":"2031-12-31","use_report":false}"#,
    )
    .expect("terms");
    let facts = Facts {
        action: Action::Open,
        own: &to,
        from: &from,
        to: &to,
        actor: "tester",
        roles: Roles::ALL,
        purpose: Some(&Purpose::Prosecution),
        terms: &terms,
        package: Digest::of(b""),
        now: "2026-11-23T09:00:00.000Z".parse().expect("a time"),
        circumstances: Circumstances::default(),
    };
    decide(&PolicySet::new(None), &facts).expect("the purpose is permitted")
}

/// Opens the file as a package is opened: split, checked with the identity, decrypted to the end.
fn open(file: &[u8], identity: &Identity) -> Result<Vec<u8>, SealError> {
    let end = header::split(file)?.ok_or(HeaderFault::MacLine)?;
    let (header, payload) = file.split_at(end);
    let first = &payload[..payload.len().min(FIRST_CHUNK)];
    check_header(header, first, identity)?;
    let payload = Cursor::new(payload);
    let mut plaintext = Plaintext::open(&permit(), header.to_vec(), payload, identity)?;
    let mut content = Vec::new();
    plaintext
        .read_to_end(&mut content)
        .map_err(SealError::Payload)?;
    Ok(content)
}

/// The answer of `header::check` for the number of X25519 stanzas that stand in the file.
fn check_stanzas(file: &[u8]) -> Result<(), HeaderFault> {
    let end = header::split(file)?.ok_or(HeaderFault::MacLine)?;
    let header = &file[..end];
    let count = header.windows(10).filter(|w| w == b"-> X25519 ").count();
    header::check(header, count)
}

fn check(name: &str, vector: &Vector) -> Outcome {
    if let Some(why) = vector.not_applicable(name) {
        return match check_stanzas(&vector.file) {
            Err(_) => Outcome::NotApplicable(why),
            Ok(()) => Outcome::Failed("its header passes for that of a package".to_owned()),
        };
    }
    let identity = match vector.field("identity") {
        "" => Identity::generate(),
        text => match Identity::from_file(text) {
            Ok(identity) => identity,
            Err(fault) => return Outcome::Failed(fault.to_string()),
        },
    };
    let content = match (vector.field("expect"), open(&vector.file, &identity)) {
        ("success", Ok(content)) => content,
        (expected, Ok(_)) => return Outcome::Failed(format!("opens, but must not: {expected}")),
        (expected, Err(fault)) if matches(name, expected, &fault) => {
            return Outcome::Passed(format!("refused: {fault}"));
        }
        (expected, Err(fault)) => return Outcome::Failed(format!("{expected}, not {fault}")),
    };
    if Digest::of(&content).to_string() != vector.field("payload") {
        return Outcome::Failed("opens to other content".to_owned());
    }
    match check_stanzas(&vector.file) {
        Ok(()) if !FOREIGN.contains(&name) => Outcome::Passed("opens".to_owned()),
        Err(fault) if FOREIGN.contains(&name) => {
            Outcome::Passed(format!("opens with age, no package: {fault}"))
        }
        other => Outcome::Failed(format!("its stanzas are judged {other:?}")),
    }
}

fn matches(name: &str, expected: &str, fault: &SealError) -> bool {
    match expected {
        "header failure" if NO_NONCE.contains(&name) => matches!(fault, SealError::Payload(_)),
        "no match" => matches!(fault, SealError::NotForUs),
        "HMAC failure" => matches!(fault, SealError::Mac),
        "header failure" => matches!(fault, SealError::Header(_) | SealError::Stanza),
        "payload failure" => matches!(fault, SealError::Payload(_)),
        _ => false,
    }
}

fn run(folder: &Path) -> (String, bool) {
    let mut names: Vec<_> = fs::read_dir(folder)
        .expect("the vectors can be listed")
        .map(|entry| entry.expect("an entry").file_name())
        .map(|name| name.into_string().expect("a name in ASCII"))
        .filter(|name| !name.contains('.'))
        .collect();
    names.sort();
    let (mut text, mut passed, mut skipped, mut failed) = (String::new(), 0, 0, 0);
    let whole = "a string takes every line";
    for name in &names {
        let bytes = fs::read(folder.join(name)).expect("the vector can be read");
        let (count, how) = match check(name, &Vector::read(&bytes)) {
            Outcome::Passed(how) => (&mut passed, format!("ok ({how})")),
            Outcome::NotApplicable(why) => (&mut skipped, format!("ignored, {why}")),
            Outcome::Failed(how) => (&mut failed, format!("FAILED: {how}")),
        };
        *count += 1;
        writeln!(text, "test {name} ... {how}").expect(whole);
    }
    let good = failed == 0 && passed > 0;
    let word = if good { "ok" } else { "FAILED" };
    writeln!(
        text,
        "\ntest result: {word}. {passed} passed; {failed} failed; {skipped} ignored"
    )
    .expect(whole);
    (text, good)
}

fn main() -> ExitCode {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER);
    let (text, good) = if folder.is_dir() {
        run(&folder)
    } else {
        let absent = format!("test age_vectors ... ignored, {FOLDER} is absent\n");
        let result = "\ntest result: ok. 0 passed; 0 failed; 1 ignored\n";
        (absent + result, true)
    };
    io::stdout()
        .write_all(text.as_bytes())
        .expect("standard output takes the result");
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
