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
use crate::package::header;
use crate::package::manifest::Manifest;
use crate::package::tape;
use crate::policy::{Action, Facts, Permit, PolicySet, Purpose, Terms, decide};

struct Sealer {
    home: TempDir,
    identity: Identity,
}

struct Package {
    header: Vec<u8>,
    payload: Vec<u8>,
    sealed: Sealed,
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
        purpose: Some(&Purpose::Prosecution),
        terms: &terms(),
        package: Digest::of(b"body"),
        now: "2026-11-23T09:00:00.000Z".parse().unwrap(),
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
            manifest_digest: package.sealed.manifest_digest,
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
                assert_eq!(kind.permissions().mode() & 0o777, 0o600);
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
    let surveyed = survey(&inputs).unwrap();
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
    assert_eq!(unpacked.manifest, *manifest);
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

fn check_refused(sealer: &Sealer, inputs: &[PathBuf], part: &str) {
    for found in [sealer.seal(inputs).err(), survey(inputs).err()] {
        let found = found.map(|e| e.to_string()).unwrap_or_default();
        assert!(
            found.contains(part),
            "{inputs:?}: {found:?}, wanted {part:?}"
        );
    }
}

#[test]
fn only_regular_files_and_folders_are_sealed() {
    let sealer = Sealer::new();
    let file = sealer.write("a/file", b"x");
    symlink(&file, sealer.path("link")).unwrap();
    symlink(sealer.path("a"), sealer.path("linked")).unwrap();
    sealer.write("b/file", b"x");
    symlink("/etc/passwd", sealer.path("b/link")).unwrap();
    sealer.write("c/file", b"x");
    UnixListener::bind(sealer.path("c/socket")).unwrap();
    sealer.write("d/file", b"x");
    let fifo = sealer.path("d/fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    fs::create_dir_all(sealer.path("nothing/in/here")).unwrap();
    for (inputs, part) in [
        (vec![], "name at least one"),
        (vec![sealer.path("absent")], "cannot be read"),
        (vec![sealer.path("link")], "symbolic link"),
        (vec![sealer.path("linked")], "symbolic link"),
        (vec![sealer.path("linked/")], "symbolic link"),
        (vec![sealer.path("b")], "symbolic link"),
        (vec![sealer.path("c")], "a socket"),
        (vec![sealer.path("d")], "a fifo"),
        (vec![fifo], "a fifo"),
        (vec![PathBuf::from("/dev/null")], "character device"),
        (vec![sealer.path("nothing")], "hold no file"),
        (vec![PathBuf::from("/")], "empty"),
    ] {
        check_refused(&sealer, &inputs, part);
    }
    assert_eq!(survey(&[sealer.path("a/../a/.")]).unwrap().files, 1);
}

#[test]
fn names_that_cannot_be_items_are_refused() {
    use std::os::unix::ffi::OsStrExt as _;
    let sealer = Sealer::new();
    let name = |bytes: &[u8]| sealer.path("x").join(std::ffi::OsStr::from_bytes(bytes));
    for (bytes, part) in [
        (&b"a\nb"[..], "control"),
        ("a\u{202e}b".as_bytes(), "bidirectional"),
        (b"a%0Ab", "%0A"),
        (b"a ", "white space"),
        (b"a\xff", "not UTF-8"),
    ] {
        fs::create_dir_all(sealer.path("x")).unwrap();
        fs::write(name(bytes), b"x").unwrap();
        check_refused(&sealer, &[sealer.path("x")], part);
        check_refused(&sealer, &[name(bytes)], part);
        fs::remove_dir_all(sealer.path("x")).unwrap();
    }
    sealer.write("fold/Straße", b"x");
    sealer.write("fold/STRASSE", b"x");
    check_refused(&sealer, &[sealer.path("fold")], "same name");
    sealer.write("normal/Zu\u{308}rich", b"x");
    assert_eq!(
        sealer
            .seal(&[sealer.path("normal")])
            .unwrap()
            .sealed
            .manifest
            .items[0]
            .path
            .as_str(),
        "normal/Zürich"
    );
    sealer.write("normal/Zürich", b"x");
    check_refused(&sealer, &[sealer.path("normal")], "same name");
    sealer.write("one/file", b"x");
    sealer.write("other/one/else", b"x");
    check_refused(
        &sealer,
        &[sealer.path("one"), sealer.path("other/one")],
        "another input has the same name",
    );
    check_refused(
        &sealer,
        &[sealer.path("one"), sealer.path("one")],
        "another input has the same name",
    );
    let mut deep = sealer.path("deep");
    for _ in 0..6 {
        deep = deep.join("d".repeat(200));
    }
    fs::create_dir_all(&deep).unwrap();
    check_refused(&sealer, &[sealer.path("deep")], "longer than 1,024");
}

/// Takes bytes, and does something once it has some.
struct Meddler<F: FnMut()> {
    after: usize,
    meddle: F,
}

impl<F: FnMut()> io::Write for Meddler<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.after > 0 {
            self.after = self.after.saturating_sub(bytes.len());
            if self.after == 0 {
                (self.meddle)();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_file_that_changes_while_it_is_sealed_is_refused() {
    type Change = fn(&Path);
    let cases: [(&str, Change); 5] = [
        ("grows", |path| {
            File::options()
                .append(true)
                .open(path)
                .unwrap()
                .write_all(b"x")
                .unwrap();
        }),
        ("shrinks", |path| {
            File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_len(1)
                .unwrap();
        }),
        ("is overwritten", |path| {
            let mut file = File::options().write(true).open(path).unwrap();
            let time = file.metadata().unwrap().modified().unwrap();
            file.write_all(b"other").unwrap();
            file.set_modified(time).unwrap();
        }),
        ("is replaced", |path| {
            fs::write(path.with_extension("new"), vec![7; 40 << 20]).unwrap();
            fs::rename(path.with_extension("new"), path).unwrap();
        }),
        ("is removed", |path| fs::remove_file(path).unwrap()),
    ];
    for (what, change) in cases {
        let sealer = Sealer::new();
        let path = sealer.write("image.dd", &vec![7; 40 << 20]);
        let out = Meddler {
            after: 1 << 20,
            meddle: || change(&path),
        };
        let fault = seal(std::slice::from_ref(&path), sealer.plan(), out, &mut |_| ()).unwrap_err();
        assert!(
            matches!(fault, SealError::Changed { .. }),
            "{what}: {fault}"
        );
    }
}

#[test]
fn a_plan_that_cannot_stand_is_refused_before_anything_is_read() {
    type Change = fn(&mut SealPlan);
    let sealer = Sealer::new();
    let low_order = "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z";
    let low: Change = |plan| {
        plan.recipients =
            vec!["age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z".to_owned()];
    };
    assert!(check_recipient(low_order).is_err());
    let cases: [(Change, &str); 7] = [
        (low, "low order"),
        (|plan| plan.recipients.clear(), "no recipient"),
        (
            |plan| plan.recipients.push("age1yubikey1q".to_owned()),
            "not an X25519",
        ),
        (|plan| plan.case = "a\nb".to_owned(), "case"),
        (|plan| plan.actor = String::new(), "performer"),
        (|plan| plan.title = Some("\u{202e}".to_owned()), "title"),
        (|plan| plan.terms.purposes.clear(), "purpose"),
    ];
    for (change, part) in cases {
        let mut plan = sealer.plan();
        change(&mut plan);
        let mut out = Vec::new();
        let fault = seal(&[sealer.path("absent")], plan, &mut out, &mut |_| ())
            .unwrap_err()
            .to_string();
        assert!(fault.contains(part), "{fault}");
        assert!(out.is_empty());
    }
}

#[test]
fn an_output_that_fails_ends_the_sealing() {
    struct Full(usize);
    impl io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self
                .0
                .checked_sub(bytes.len())
                .ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let sealer = Sealer::new();
    let path = sealer.write("image.dd", &vec![7; 20 << 20]);
    for room in [0, 100, 70_000, 5 << 20, 20 << 20] {
        let fault = seal(
            std::slice::from_ref(&path),
            sealer.plan(),
            Full(room),
            &mut |_| (),
        )
        .unwrap_err();
        assert!(matches!(fault, SealError::Write(_)), "{fault}");
    }
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

/// Counts what is read of a payload.
struct Counted {
    payload: Cursor<Vec<u8>>,
    read: Rc<Cell<u64>>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.payload.read(buffer)?;
        self.read.set(self.read.get() + read as u64);
        Ok(read)
    }
}

impl Seek for Counted {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.payload.seek(to)
    }
}

#[test]
fn single_items_are_unpacked_without_decrypting_the_rest() {
    let sealer = Sealer::new();
    let package = sealer.seal(&sealer.dossier()).unwrap();
    let expect = sealer.expect(&package);
    let names = |items: &[&str]| {
        items
            .iter()
            .map(|item| (*item).to_owned())
            .collect::<Vec<_>>()
    };
    for (number, (items, wanted)) in [
        (names(&["dossier/mail/1.eml"]), &["dossier/mail/1.eml"][..]),
        (
            names(&["dossier/mail"]),
            &["dossier/mail/1.eml", "dossier/mail/2.eml"],
        ),
        (
            names(&["single.png", "dossier/mail/2.eml", "single.png"]),
            &["dossier/mail/2.eml", "single.png"],
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let read = Rc::new(Cell::new(0));
        let payload = Counted {
            payload: Cursor::new(package.payload.clone()),
            read: Rc::clone(&read),
        };
        let mut plaintext = Plaintext::open(
            &permit(Action::Open),
            package.header.clone(),
            payload,
            &sealer.identity,
        )
        .unwrap();
        let out = sealer.path(&format!("items{number}"));
        let unpacked = unpack_items(&mut plaintext, &items, &out, &expect).unwrap();
        let files = files_under(&out);
        assert_eq!(files.keys().collect::<Vec<_>>(), wanted);
        for (name, content) in &files {
            assert_eq!(*content, fs::read(sealer.path(name)).unwrap());
        }
        assert_eq!(unpacked.items, wanted.len() as u64);
        assert_eq!(
            unpacked.bytes,
            files
                .values()
                .map(|content| content.len() as u64)
                .sum::<u64>()
        );
        assert!(package.payload.len() > 3 << 20);
        assert!(read.get() < 10 * 65_552, "{} bytes decrypted", read.get());
    }
}

#[test]
fn an_item_that_is_not_there_is_named() {
    let sealer = Sealer::new();
    let package = sealer.seal(&sealer.dossier()).unwrap();
    let expect = sealer.expect(&package);
    let mut plaintext = sealer.open(&package);
    for absent in [
        "dossier/mail/3.eml",
        "dossier/mai",
        "",
        "../x",
        "dossier/mail/",
    ] {
        let fault = unpack_items(
            &mut plaintext,
            &[absent.to_owned()],
            &sealer.path("absent"),
            &expect,
        )
        .unwrap_err();
        assert!(matches!(fault, UnpackError::NoSuchItem(_)), "{fault}");
        assert!(!fault.is_content_mismatch());
    }
    assert!(!sealer.path("absent").exists() && !sealer.path("absent.partial").exists());
}

#[test]
fn what_exists_is_not_touched() {
    let sealer = Sealer::new();
    let package = sealer.seal(&[sealer.write("a", b"x")]).unwrap();
    let (tar, expect) = (sealer.tar(&package), sealer.expect(&package));
    fs::create_dir(sealer.path("folder")).unwrap();
    sealer.write("file", b"x");
    symlink("nowhere", sealer.path("dangling")).unwrap();
    fs::create_dir(sealer.path("cut.partial")).unwrap();
    for (out, part) in [
        ("folder", "exists already"),
        ("file", "exists already"),
        ("dangling", "exists already"),
        ("cut", "cut off"),
        ("..", "not the name"),
        ("absent/out", "cannot be written"),
    ] {
        let fault = unpack(&tar[..], &sealer.path(out), &expect)
            .unwrap_err()
            .to_string();
        assert!(fault.contains(part), "{fault}");
    }
    assert!(sealer.path("cut.partial").exists());
    assert_eq!(fs::read_dir(sealer.path("folder")).unwrap().count(), 0);
}

/// One entry of a tar: head, content and padding.
fn entry(path: &str, content: &[u8], mtime: u64) -> Vec<u8> {
    let size = content.len() as u64;
    let mut bytes = tape::Entry {
        path: path.to_owned(),
        size,
        mtime,
    }
    .head();
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

/// The entries of a tar, the end blocks as the last one.
fn entries(tar: &[u8]) -> Vec<Vec<u8>> {
    let mut entries = Vec::new();
    let mut rest = tar;
    while let Some(entry) = tape::Entry::read(&mut &rest[..]).unwrap() {
        let len = tape::head_length(&entry.path, entry.size) + tape::padded(entry.size);
        let (this, next) = rest.split_at(usize::try_from(len).unwrap());
        entries.push(this.to_vec());
        rest = next;
    }
    entries.push(rest.to_vec());
    entries
}

type TarChange = fn(&mut Vec<Vec<u8>>);

/// What is done to the entries of a tar, and part of the fault that is found.
///
/// 0 bagit.txt, 1 d/a, 2 d/b, 3 bag-info, 4 manifest-sha256, 5 manifest.json, 6 tagmanifest, 7 index, 8 end
const TAR_CHANGES: &[(&str, TarChange, &str)] = &[
    ("no declaration", |e| drop(e.remove(0)), "bagit.txt"),
    ("other declaration", |e| e[0][512] ^= 1, "bagit.txt"),
    ("item missing", |e| drop(e.remove(1)), "\"d/a\""),
    ("last item missing", |e| drop(e.remove(2)), "\"d/b\""),
    ("item changed", |e| e[1][512] ^= 1, "\"d/a\""),
    (
        "item longer",
        |e| e[1] = entry("data/d/a", b"aaaaa", 5),
        "\"d/a\"",
    ),
    (
        "item renamed",
        |e| e[1] = entry("data/d/c", b"aaaa", 5),
        "\"d/a\"",
    ),
    ("items swapped", |e| e.swap(1, 2), "\"d/a\""),
    ("item twice", |e| e.insert(1, e[1].clone()), "same name"),
    (
        "extra item",
        |e| e.insert(3, entry("data/d/c", b"", 5)),
        "\"d/c\"",
    ),
    (
        "item outside",
        |e| e.insert(1, entry("data/../../x", b"", 5)),
        "\"..\"",
    ),
    (
        "item absolute",
        |e| e.insert(1, entry("data//etc/x", b"", 5)),
        "slash",
    ),
    (
        "item hidden by case",
        |e| e.insert(1, entry("data/D/A", b"", 5)),
        "same name",
    ),
    (
        "item that is a folder",
        |e| e.insert(1, entry("data/d", b"", 5)),
        "folder",
    ),
    (
        "item with a control",
        |e| e.insert(1, entry("data/a\u{202e}", b"", 5)),
        "bidirectional",
    ),
    (
        "file outside data",
        |e| e.insert(1, entry("x", b"", 5)),
        "bag-info.txt",
    ),
    (
        "absolute",
        |e| e.insert(1, entry("/data/x", b"", 5)),
        "bag-info.txt",
    ),
    (
        "parent",
        |e| e.insert(1, entry("../x", b"", 5)),
        "bag-info.txt",
    ),
    ("tags swapped", |e| e.swap(3, 4), "bag-info.txt"),
    ("tag missing", |e| drop(e.remove(4)), "manifest-sha256.txt"),
    ("tag changed", |e| e[3][530] ^= 1, "bag-info.txt"),
    ("digests changed", |e| e[4][512] ^= 1, "manifest-sha256.txt"),
    ("manifest changed", |e| e[5][520] ^= 1, "receipt"),
    (
        "tag digests changed",
        |e| e[6][512] ^= 1,
        "tagmanifest-sha256.txt",
    ),
    ("index changed", |e| e[7][558] ^= 1, "rogatory/index"),
    (
        "index longer",
        |e| e[7] = entry("rogatory/index", &[b'x'; 75], 5),
        "rogatory/index",
    ),
    (
        "tag's time changed",
        |e| e[0] = entry("bagit.txt", bag::DECLARATION_TEXT.as_bytes(), 5),
        "bagit.txt",
    ),
    (
        "padding changed",
        |e| *e[1].last_mut().unwrap() = 1,
        "stray",
    ),
    (
        "entry after the index",
        |e| e.insert(8, entry("x", b"", 5)),
        "the end expected",
    ),
    (
        "one end block",
        |e| drop(e[8].split_off(512)),
        "cannot be read on",
    ),
];

#[test]
fn a_plaintext_that_is_not_as_the_receipt_and_manifest_have_it_leaves_nothing() {
    let sealer = Sealer::new();
    sealer.write("d/a", b"aaaa");
    sealer.write("d/b", b"bbbb");
    let package = sealer.seal(&[sealer.path("d")]).unwrap();
    let (tar, expect) = (sealer.tar(&package), sealer.expect(&package));
    let whole = entries(&tar);
    assert_eq!(whole.len(), 9);
    for (what, change, part) in TAR_CHANGES {
        let mut other = whole.clone();
        change(&mut other);
        check_unpack(&sealer, &other.concat(), &expect, (what, part));
    }
    check_unpack(
        &sealer,
        &[&tar[..], b"x"].concat(),
        &expect,
        ("trailing byte", "follow its end"),
    );
    for cut in (0..tar.len()).step_by(256) {
        check_unpack(&sealer, &tar[..cut], &expect, ("cut", "cannot be read on"));
    }
    unpack(&tar[..], &sealer.path("out"), &expect).unwrap();
}

fn check_unpack(sealer: &Sealer, tar: &[u8], expect: &Expect, (what, part): (&str, &str)) {
    let before = fs::read_dir(sealer.home.path()).unwrap().count();
    let fault = unpack(tar, &sealer.path("out"), expect)
        .unwrap_err()
        .to_string();
    assert!(fault.contains(part), "{what}: {fault}, wanted {part}");
    assert_eq!(
        fs::read_dir(sealer.home.path()).unwrap().count(),
        before,
        "{what}"
    );
}

#[test]
fn a_manifest_of_another_exchange_is_a_content_mismatch() {
    type Change = fn(&mut Expect);
    let sealer = Sealer::new();
    let package = sealer.seal(&[sealer.write("a", b"x")]).unwrap();
    let tar = sealer.tar(&package);
    let cases: [(Change, &str); 4] = [
        (|e| e.manifest_digest = Digest::of(b""), "receipt"),
        (
            |e| e.from = "other.example.ie".parse().unwrap(),
            "from mla.example.ie to bepi.example.fr",
        ),
        (
            |e| e.to = "other.example.fr".parse().unwrap(),
            "from mla.example.ie to bepi.example.fr",
        ),
        (|e| e.terms.use_report = true, "terms"),
    ];
    for (change, part) in cases {
        let mut expect = sealer.expect(&package);
        change(&mut expect);
        check_unpack(&sealer, &tar, &expect, ("expectation", part));
        let fault = unpack_items(
            &mut Cursor::new(&tar),
            &["a".to_owned()],
            &sealer.path("out"),
            &expect,
        )
        .unwrap_err();
        assert!(
            fault.to_string().contains(part) && fault.is_content_mismatch(),
            "{fault}"
        );
    }
}

/// A tar with this manifest, whatever it says, and the expectation that it meets.
fn forged(sealer: &Sealer, package: &Package, change: impl Fn(&mut Manifest)) -> (Vec<u8>, Expect) {
    let mut manifest = package.sealed.manifest.clone();
    change(&mut manifest);
    let mut whole = entries(&sealer.tar(package));
    let tags = Tags::of(&manifest);
    let mtime = 1_795_424_400;
    let mut lines = Vec::new();
    bag::write_payload_manifest(&manifest.items, &mut lines).unwrap();
    let at = whole.len() - 6;
    whole[at] = entry(bag::INFO, tags.info.as_bytes(), mtime);
    whole[at + 1] = entry(bag::PAYLOAD_MANIFEST, &lines, mtime);
    whole[at + 2] = entry(bag::MANIFEST, &manifest.encode(), mtime);
    whole[at + 3] = entry(bag::TAG_MANIFEST, tags.tag_manifest.as_bytes(), mtime);
    whole[at + 4] = entry(bag::INDEX, tags.index.as_bytes(), mtime);
    let mut expect = sealer.expect(package);
    expect.manifest_digest = tags.manifest_digest;
    (whole.concat(), expect)
}

#[test]
fn a_sender_that_signs_a_lying_manifest_is_found_out() {
    type Change = fn(&mut Manifest);
    let sealer = Sealer::new();
    sealer.write("d/a", b"aaaa");
    sealer.write("d/b", b"bbbb");
    let package = sealer.seal(&[sealer.path("d")]).unwrap();
    let (tar, expect) = forged(&sealer, &package, |_| ());
    assert_eq!(
        tar,
        sealer.tar(&package),
        "the forger can do what the sealer does"
    );
    unpack(&tar[..], &sealer.path("same"), &expect).unwrap();
    let cases: [(Change, &str); 7] = [
        (|m| m.items[1].sha256 = Digest::of(b""), "\"d/b\""),
        (|m| m.items[1].size = 5, "\"d/b\""),
        (|m| m.items[1].path = "d/c".parse().unwrap(), "\"d/c\""),
        (|m| m.items[1].offset += 512, "offset"),
        (|m| drop(m.items.pop()), "\"d/b\""),
        (|m| m.items.clear(), "no item"),
        (|m| m.items[1].custody.clear(), "sealed"),
    ];
    for (change, part) in cases {
        let (tar, expect) = forged(&sealer, &package, change);
        check_unpack(&sealer, &tar, &expect, ("forged", part));
    }
    for (change, part) in &cases[..3] {
        let (tar, expect) = forged(&sealer, &package, change);
        let out = sealer.path("out");
        let fault = unpack_items(&mut Cursor::new(&tar), &["d".to_owned()], &out, &expect)
            .unwrap_err()
            .to_string();
        assert!(fault.contains(part), "{fault}");
        assert!(!out.exists() && !sealer.path("out.partial").exists());
    }
}

#[test]
fn an_index_that_lies_is_refused() {
    let sealer = Sealer::new();
    let package = sealer.seal(&[sealer.write("a", b"x")]).unwrap();
    let (tar, expect) = (sealer.tar(&package), sealer.expect(&package));
    let tags = Tags::of(&package.sealed.manifest);
    let whole = entries(&tar);
    let end = whole.len() - 2;
    for (offset, length) in [
        (0, 10),
        (u64::MAX, 10),
        (512, u64::MAX),
        (tags.manifest_offset, 64 << 30),
        (tags.manifest_offset + 512, tags.manifest_bytes),
        (tags.manifest_offset, tags.manifest_bytes - 1),
        (tar.len() as u64, 1),
    ] {
        let mut changed = whole.clone();
        changed[end] = entry(bag::INDEX, bag::index_text(offset, length).as_bytes(), 1);
        let changed = changed.concat();
        let fault = unpack_items(
            &mut Cursor::new(&changed),
            &["a".to_owned()],
            &sealer.path("out"),
            &expect,
        );
        assert!(fault.is_err(), "{offset} {length}");
    }
    for cut in [0, 512, 2_047, 2_048, tar.len() - 1] {
        let fault = unpack_items(
            &mut Cursor::new(&tar[..cut]),
            &["a".to_owned()],
            &sealer.path("out"),
            &expect,
        );
        assert!(fault.is_err(), "{cut}");
    }
    assert!(!sealer.path("out").exists() && !sealer.path("out.partial").exists());
}

#[test]
fn nothing_is_written_through_a_link_planted_in_the_target() {
    let sealer = Sealer::new();
    let mut tree = tree::Tree::create(&sealer.path("out")).unwrap();
    fs::create_dir(sealer.path("elsewhere")).unwrap();
    symlink(sealer.path("elsewhere"), sealer.path("out.partial/data")).unwrap();
    symlink(
        sealer.path("elsewhere/file"),
        sealer.path("out.partial/file"),
    )
    .unwrap();
    for path in ["data/x", "data/x/y", "file"] {
        assert!(tree.file(path).is_err(), "{path}");
    }
    tree.file("good/x").unwrap();
    assert_eq!(fs::read_dir(sealer.path("elsewhere")).unwrap().count(), 0);
}

#[test]
fn a_file_of_nine_gibibytes_has_a_pax_size() {
    let entry = tape::Entry {
        path: "data/disk.img".to_owned(),
        size: 9 << 30,
        mtime: 0,
    };
    let head = entry.head();
    assert!(String::from_utf8_lossy(&head).contains("19 size=9663676416\n"));
    assert_eq!(
        &head[head.len() - 512 + 124..head.len() - 512 + 136],
        b"00000000000\0"
    );
}
