//! Seals files into a package and unpacks it again without a daemon, for checks with other tools: `tests/bagit.sh`.
//!
//! `package seal DIR PATH…` writes `DIR/key.txt` (a fresh age identity), `DIR/package.age` and `DIR/expect.json`;
//! `package open DIR OUT [ITEM…]` unpacks it into the new folder OUT. Both print time, rate and the most memory that
//! was resident.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use rogatory::base::{AuthorityId, Digest, Timestamp};
use rogatory::package::{Expect, header};
use rogatory::policy::{Action, Circumstances, Facts, PolicySet, Purpose, Roles, Terms, decide};
use rogatory::seal::{Identity, Plaintext, SealPlan, Target, sandbox, seal, unpack, unpack_items};

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let begun = now();
    // Opened before the sandbox takes the right to.
    let mut status = File::open("/proc/self/status")?;
    let bytes = match words[..] {
        ["seal", dir, ref paths @ ..] => seal_into(Path::new(dir), paths)?,
        ["open", dir, out, ref items @ ..] => open_into(Path::new(dir), Path::new(out), items)?,
        _ => return Err("package seal DIR PATH… | package open DIR OUT [ITEM…]".into()),
    };
    let ms = now().distance_ms(begun).max(1);
    let mut text = String::new();
    status.read_to_string(&mut text)?;
    let resident = text.lines().find(|line| line.starts_with("VmHWM:"));
    let resident = resident.map_or("", |line| line.trim_start_matches("VmHWM:").trim());
    let rate = bytes / ms / 1_000;
    writeln!(
        io::stdout(),
        "{bytes} bytes in {ms} ms, {rate} MB/s, {resident} resident"
    )?;
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a program of its own reads its clock"
)]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let millis = since.map_or(0, |since| since.as_millis());
    Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}

fn parties() -> Result<(AuthorityId, AuthorityId), Box<dyn Error>> {
    Ok(("a.example".parse()?, "b.example".parse()?))
}

fn terms() -> Result<Terms, serde_json::Error> {
    serde_json::from_str(
        r#"{"instrument":"EIO","onward":"prohibited","purposes":["prosecution"],"retain_until":"2099-12-31","use_report":false}"#,
    )
}

fn seal_into(dir: &Path, paths: &[&str]) -> Result<u64, Box<dyn Error>> {
    let identity = Identity::generate();
    fs::create_dir_all(dir)?;
    fs::write(dir.join("key.txt"), identity.to_file(now()).as_bytes())?;
    let (from, to) = parties()?;
    let case = "2026-17".to_owned();
    let plan = SealPlan {
        from: from.clone(),
        to: to.clone(),
        case: case.clone(),
        request: None,
        title: None,
        terms: terms()?,
        item_terms: Vec::new(),
        created: now(),
        actor: "tester".to_owned(),
        recipients: vec![identity.to_public()],
    };
    let inputs: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
    let out = BufWriter::new(File::create_new(dir.join("package.age"))?);
    let sealed = seal(&inputs, plan, out, &mut |_| ())?;
    let expect = Expect {
        from,
        to,
        terms: terms()?,
        item_terms: Vec::new(),
        manifest: sealed.manifest_digest,
        item_root: sealed.item_root,
        case,
        request: None,
        title: None,
        passed_on: false,
    };
    fs::write(dir.join("expect.json"), serde_json::to_vec(&expect)?)?;
    Ok(sealed.plaintext_bytes)
}

fn open_into(dir: &Path, out: &Path, items: &[&str]) -> Result<u64, Box<dyn Error>> {
    let identity = Identity::from_file(&fs::read_to_string(dir.join("key.txt"))?)?;
    let expect: Expect = serde_json::from_slice(&fs::read(dir.join("expect.json"))?)?;
    let facts = Facts {
        action: Action::Open,
        own: &expect.to,
        from: &expect.from,
        to: &expect.to,
        actor: "tester",
        roles: Roles::ALL,
        purpose: Some(&Purpose::Prosecution),
        terms: &expect.terms,
        package: Digest::of(b""),
        now: now(),
        circumstances: Circumstances::default(),
    };
    let permit = decide(&PolicySet::new(None), &facts).map_err(|denial| denial.text)?;
    let mut file = File::open(dir.join("package.age"))?;
    let mut header = Vec::new();
    (&mut file).take(64 << 10).read_to_end(&mut header)?;
    header.truncate(header::split(&header)?.ok_or("no header")?);
    let payload = Payload {
        start: header.len() as u64,
        file,
    };
    let mut plaintext = Plaintext::open(&permit, header, payload, &identity)?;
    sandbox(out.parent().unwrap_or_else(|| Path::new(".")))?;
    let target = Target::create(out)?;
    let unpacked = if items.is_empty() {
        unpack(&mut plaintext, target, &expect)?
    } else {
        let items: Vec<String> = items.iter().map(|item| (*item).to_owned()).collect();
        unpack_items(&mut plaintext, &items, target, &expect)?
    };
    Ok(unpacked.bytes)
}

/// The file after its header.
struct Payload {
    start: u64,
    file: File,
}

impl Read for Payload {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl Seek for Payload {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(at) => SeekFrom::Start(at + self.start),
            SeekFrom::Current(_) | SeekFrom::End(_) => to,
        };
        Ok(self.file.seek(to)?.saturating_sub(self.start))
    }
}
