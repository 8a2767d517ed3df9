mod broken;

mod left_over;

mod refused;

mod unpack;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tempfile::TempDir;

use super::*;
use crate::base::Digest;
use crate::package::bag::{self, Tags};
use crate::package::manifest::Manifest;
use crate::package::{Expect, header, tape};
use crate::policy::{
    Action, Circumstances, Facts, Permit, PolicySet, Purpose, Roles, Terms, decide,
};

struct Sealer {
    home: TempDir,
    identity: Identity,
}

struct Package {
    header: Vec<u8>,
    payload: Vec<u8>,
    sealed: Sealed,
}

fn unpack(plaintext: impl Read, out: &Path, expect: &Expect) -> Result<Unpacked, UnpackError> {
    super::unpack(plaintext, Target::create(out)?, expect)
}

fn unpack_items(
    plaintext: &mut (impl Read + Seek),
    items: &[String],
    out: &Path,
    expect: &Expect,
) -> Result<Unpacked, UnpackError> {
    super::unpack_items(plaintext, items, Target::create(out)?, expect)
}

fn terms() -> Terms {
    serde_json::from_str(
        r#"{"instrument":"EIO","onward":"prohibited","purposes":["prosecution"],"retain_until":"2031-12-31","use_report":false}"#,
    )
    .unwrap()
}

fn permit(action: Action) -> Permit {
    let (from, to) = (
        "mla.example.ie".parse().unwrap(),
        "bepi.example.fr".parse().unwrap(),
    );
    let facts = Facts {
        action,
        own: if action == Action::Send { &from } else { &to },
        from: &from,
        to: &to,
        actor: "officer",
        roles: Roles::ALL,
        purpose: Some(&Purpose::Prosecution),
        terms: &terms(),
        package: Digest::of(b"body"),
        now: "2026-11-23T09:00:00.000Z".parse().unwrap(),
        circumstances: Circumstances::default(),
    };
    decide(&PolicySet::new(None), &facts).unwrap()
}

impl Sealer {
    fn new() -> Self {
        Self {
            home: TempDir::new().unwrap(),
            identity: Identity::generate(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    fn plan(&self) -> SealPlan {
        SealPlan {
            from: "mla.example.ie".parse().unwrap(),
            to: "bepi.example.fr".parse().unwrap(),
            case: "IE-2026-17".to_owned(),
            request: None,
            title: Some("Call records".to_owned()),
            terms: terms(),
            item_terms: Vec::new(),
            created: "2026-11-23T09:00:00.000Z".parse().unwrap(),
            actor: "officer".to_owned(),
            recipients: vec![self.identity.to_public()],
        }
    }

    fn seal(&self, inputs: &[PathBuf]) -> Result<Package, SealError> {
        let mut file = Vec::new();
        let sealed = seal(inputs, self.plan(), &mut file, &mut |_| ())?;
        let cut = header::split(&file).unwrap().unwrap();
        let payload = file.split_off(cut);
        Ok(Package {
            header: file,
            payload,
            sealed,
        })
    }

    fn seal_small(&self, input: &PathBuf) -> Result<Package, SealError> {
        let mut file = Vec::new();
        let sealed = seal_small(input, self.plan(), &mut file)?;
        let cut = header::split(&file).unwrap().unwrap();
        let payload = file.split_off(cut);
        Ok(Package {
            header: file,
            payload,
            sealed,
        })
    }

    fn expect(&self, package: &Package) -> Expect {
        let plan = self.plan();
        Expect {
            from: plan.from,
            to: plan.to,
            terms: plan.terms,
            item_terms: package.sealed.item_terms.clone(),
            manifest: package.sealed.manifest_digest,
            item_root: package.sealed.item_root,
            case: plan.case,
            request: plan.request,
            title: None,
            passed_on: false,
        }
    }

    fn open(&self, package: &Package) -> Plaintext<Cursor<Vec<u8>>> {
        let payload = Cursor::new(package.payload.clone());
        Plaintext::open(
            &permit(Action::Open),
            package.header.clone(),
            payload,
            &self.identity,
        )
        .unwrap()
    }

    fn tar(&self, package: &Package) -> Vec<u8> {
        let mut tar = Vec::new();
        self.open(package).read_to_end(&mut tar).unwrap();
        tar
    }

    /// A dossier of all kinds of names and sizes.
    fn dossier(&self) -> Vec<PathBuf> {
        self.write("dossier/mail/1.eml", b"From: a\n\nhello\n");
        self.write("dossier/mail/2.eml", b"");
        self.write("dossier/Zürich 日本.csv", &[b'x'; 511]);
        self.write("dossier/disk.img", &vec![7; (3 << 20) + 17]);
        let long = format!("dossier/{}/{}", "p".repeat(120), "n".repeat(200));
        self.write(&long, &[1; 512]);
        fs::create_dir_all(self.path("dossier/empty/empty")).unwrap();
        vec![
            self.path("dossier"),
            self.write("single.png", &vec![9; 70_000]),
        ]
    }
}

#[test]
fn a_small_file_sealed_without_threads_is_the_same_package() {
    let sealer = Sealer::new();
    let most = usize::try_from(SMALL_BYTES_MAX).unwrap();
    for size in [0, 1, 1_024, 1_025, 10_240, most] {
        let input = sealer.write(&format!("{size}.bin"), &vec![7; size]);
        let one = sealer.seal(std::slice::from_ref(&input)).unwrap();
        let other = sealer.seal_small(&input).unwrap();
        let facts = |package: &Package| {
            let items = package.sealed.manifest.items.iter();
            items
                .map(|it| (it.path.clone(), it.size, it.sha256, it.offset))
                .collect::<Vec<_>>()
        };
        assert_eq!(facts(&one), facts(&other), "{size}");
        assert_eq!(sealer.tar(&one).len(), sealer.tar(&other).len(), "{size}");
    }
    let large = sealer.write("large.bin", &vec![7; most + 1]);
    let refused = sealer.seal_small(&large).map(drop);
    assert!(matches!(refused, Err(SealError::Changed { .. })));
}

fn files_under(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        assert_eq!(
            fs::metadata(&folder).unwrap().permissions().mode() & 0o777,
            0o700
        );
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let kind = fs::symlink_metadata(&path).unwrap();
            if kind.is_dir() {
                folders.push(path);
            } else {
                assert!(kind.is_file());
                assert_eq!(kind.permissions().mode() & 0o7777, 0o600);
                let name = path
                    .strip_prefix(root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}

#[test]
fn what_was_sealed_is_unpacked() {
    let sealer = Sealer::new();
    let inputs = sealer.dossier();
    let package = sealer.seal(&inputs).unwrap();
    header::check(&package.header, 1).unwrap();
    let surveyed = survey(&inputs, []).unwrap();
    assert_eq!(surveyed.files, package.sealed.items);
    assert_eq!(surveyed.bytes, package.sealed.plaintext_bytes);
    let manifest = &package.sealed.manifest;
    manifest.check().unwrap();
    assert_eq!(manifest.digest(), package.sealed.manifest_digest);
    assert_eq!(manifest.item_root(), package.sealed.item_root);
    let names: Vec<_> = manifest
        .items
        .iter()
        .map(|item| item.path.as_str())
        .collect();
    assert_eq!(names[0], "dossier/Zürich 日本.csv");
    assert_eq!(names.len(), 6);
    assert_eq!(names[5], "single.png");
    assert_eq!(manifest.items[5].media_type, "image/png");
    assert_eq!(manifest.items[5].custody[0].action, "sealed");
    assert_eq!(manifest.items[5].custody[0].performer, "officer");
    assert_ne!(manifest.items[0].salt, manifest.items[1].salt);

    let mut plaintext = sealer.open(&package);
    let out = sealer.path("out");
    let unpacked = unpack(&mut plaintext, &out, &sealer.expect(&package)).unwrap();
    assert_eq!(
        (unpacked.items, unpacked.bytes),
        (6, package.sealed.plaintext_bytes)
    );
    assert!(!sealer.path("out.partial").exists());
    let mut files = files_under(&out);
    for item in &manifest.items {
        let content = files.remove(&format!("data/{}", item.path)).unwrap();
        assert_eq!(content, fs::read(sealer.path(item.path.as_str())).unwrap());
        assert_eq!(Digest::of(&content), item.sha256);
    }
    let tags: Vec<_> = files.keys().map(String::as_str).collect();
    assert_eq!(
        tags,
        [
            "bag-info.txt",
            "bagit.txt",
            "manifest-sha256.txt",
            "rogatory/index",
            "rogatory/manifest.json",
            "tagmanifest-sha256.txt"
        ]
    );
    let was = fs::metadata(sealer.path("single.png"))
        .unwrap()
        .modified()
        .unwrap();
    let is = fs::metadata(out.join("data/single.png"))
        .unwrap()
        .modified()
        .unwrap();
    let seconds = |time: std::time::SystemTime| {
        time.duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs()
    };
    assert_eq!(seconds(was), seconds(is));
}

#[test]
fn another_tar_reads_the_plaintext_and_offsets_are_right() {
    let sealer = Sealer::new();
    let package = sealer.seal(&sealer.dossier()).unwrap();
    let tar = sealer.tar(&package);
    assert_eq!(
        tar.len() as u64,
        Tags::of(&package.sealed.manifest).tar_bytes
    );
    let mut archive = tar::Archive::new(&tar[..]);
    let names: Vec<_> = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().to_str().unwrap().to_owned())
        .collect();
    let mut wanted = vec!["bagit.txt".to_owned()];
    wanted.extend(
        package
            .sealed
            .manifest
            .items
            .iter()
            .map(|item| format!("data/{}", item.path)),
    );
    wanted.extend(
        [
            "bag-info.txt",
            "manifest-sha256.txt",
            "rogatory/manifest.json",
            "tagmanifest-sha256.txt",
            "rogatory/index",
        ]
        .map(str::to_owned),
    );
    assert_eq!(names, wanted);
    for item in &package.sealed.manifest.items {
        let at = usize::try_from(item.offset).unwrap();
        let len = usize::try_from(item.size).unwrap();
        assert_eq!(Digest::of(&tar[at..at + len]), item.sha256, "{}", item.path);
    }
}

#[test]
fn progress_is_the_sum_of_bytes() {
    let sealer = Sealer::new();
    let mut heard = Vec::new();
    let done = seal(&sealer.dossier(), sealer.plan(), io::sink(), &mut |done| {
        heard.push(done);
    })
    .unwrap();
    assert!(heard.is_sorted());
    assert_eq!(heard.last(), Some(&done.plaintext_bytes));
}

#[test]
fn no_plaintext_without_a_permit_to_open() {
    let sealer = Sealer::new();
    let package = sealer.seal(&[sealer.write("a", b"x")]).unwrap();
    for action in [Action::Send, Action::Admit] {
        let fault = Plaintext::open(
            &permit(action),
            package.header.clone(),
            Cursor::new(vec![]),
            &sealer.identity,
        )
        .err();
        assert!(matches!(fault, Some(SealError::Permit(found)) if found == action));
    }
}

#[test]
fn a_header_is_checked_with_the_first_chunk() {
    let sealer = Sealer::new();
    let small = sealer.seal(&[sealer.write("a", b"x")]).unwrap();
    let large = sealer
        .seal(&[sealer.write("b", &vec![7; 300_000])])
        .unwrap();
    let first = 16 + 65_536 + 16;
    check_header(&small.header, &small.payload, &sealer.identity).unwrap();
    check_header(&large.header, &large.payload[..first], &sealer.identity).unwrap();
    let other = Identity::generate();
    let fault = |header: &[u8], payload: &[u8], identity| {
        check_header(header, payload, identity).unwrap_err()
    };
    assert!(matches!(
        fault(&small.header, &small.payload, &other),
        SealError::NotForUs
    ));
    assert!(matches!(
        fault(&small.header, &large.payload[..first], &sealer.identity),
        SealError::Payload(_)
    ));
    assert!(matches!(
        fault(&large.header, &large.payload[..first - 1], &sealer.identity),
        SealError::Payload(_)
    ));
    assert!(matches!(
        fault(&small.header, &small.payload[..20], &sealer.identity),
        SealError::Payload(_)
    ));
    assert!(matches!(
        fault(&small.header, &[], &sealer.identity),
        SealError::Payload(_)
    ));
    let longer = [&small.header[..], b"x"].concat();
    assert!(matches!(
        fault(&longer, &small.payload, &sealer.identity),
        SealError::Header(_)
    ));
    for at in 0..small.header.len() {
        let mut header = small.header.clone();
        header[at] ^= 1;
        assert!(
            check_header(&header, &small.payload, &sealer.identity).is_err(),
            "byte {at}"
        );
    }
}

#[test]
fn every_changed_byte_of_a_payload_is_noticed() {
    let sealer = Sealer::new();
    let mut package = sealer
        .seal(&[sealer.write("a", &vec![7; 100_000])])
        .unwrap();
    let whole = package.payload.clone();
    for at in (0..whole.len()).step_by(997) {
        package.payload[at] ^= 1;
        let mut tar = Vec::new();
        assert!(
            sealer.open(&package).read_to_end(&mut tar).is_err(),
            "byte {at}"
        );
        package.payload[at] ^= 1;
    }
    for cut in [17, 32, 65_568, 65_569, whole.len() - 17, whole.len() - 1] {
        package.payload = whole[..cut].to_vec();
        let payload = Cursor::new(package.payload.clone());
        let mut tar = Vec::new();
        let read = Plaintext::open(
            &permit(Action::Open),
            package.header.clone(),
            payload,
            &sealer.identity,
        )
        .map(|mut plaintext| plaintext.read_to_end(&mut tar).is_ok());
        assert!(!matches!(read, Ok(true)), "cut at {cut}");
    }
}

#[test]
fn any_range_of_a_plaintext_can_be_read() {
    let sealer = Sealer::new();
    for size in [1_usize, 60_000, 127_488, 128_000, 200_000] {
        let content: Vec<u8> = (0..=250).cycle().take(size).collect();
        let package = sealer.seal(&[sealer.write("a", &content)]).unwrap();
        let tar = sealer.tar(&package);
        let mut plaintext = sealer.open(&package);
        assert_eq!(plaintext.len(), tar.len() as u64);
        let len = tar.len() as u64;
        for at in [
            0,
            5,
            65_535,
            65_536,
            65_537,
            131_072,
            len - 1,
            len,
            3,
            len - 2_048,
            len,
            0,
        ] {
            let at = at.min(len);
            assert_eq!(plaintext.seek(SeekFrom::Start(at)).unwrap(), at);
            let mut read = Vec::new();
            (&mut plaintext)
                .take(70_000)
                .read_to_end(&mut read)
                .unwrap();
            let at = usize::try_from(at).unwrap();
            assert_eq!(read, tar[at..tar.len().min(at + 70_000)], "{size} {at}");
        }
        assert_eq!(plaintext.seek(SeekFrom::End(0)).unwrap(), len);
        assert_eq!(plaintext.seek(SeekFrom::Current(-7)).unwrap(), len - 7);
        assert!(plaintext.seek(SeekFrom::Start(len + 1)).is_err());
        assert!(plaintext.seek(SeekFrom::End(1)).is_err());
        assert!(plaintext.seek(SeekFrom::Current(i64::MIN)).is_err());
    }
}
