//! The remains of an attempt, and the next attempt.

use super::*;

/// Counts what is read of a plaintext.
struct Metered<'r> {
    from: Cursor<&'r [u8]>,
    read: usize,
}

impl Read for Metered<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        self.read += read;
        Ok(read)
    }
}

impl Seek for Metered<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.from.seek(to)
    }
}

fn kept(out: &Path) -> Target {
    let mut target = Target::create(out).unwrap();
    target.keep();
    target
}

#[test]
fn the_next_attempt_goes_on_from_what_is_whole() {
    let sealer = Sealer::new();
    let package = sealer.seal(&sealer.dossier()).unwrap();
    let (tar, expect) = (sealer.tar(&package), sealer.expect(&package));
    let out = sealer.path("out");
    let mut target = kept(&out);
    assert!(!target.claim("a package").unwrap(), "nothing is there yet");
    let cut = tar.len() - 80_000;
    super::super::unpack(&tar[..cut], target, &expect).unwrap_err();
    let image = sealer.path("out.partial/data/dossier/disk.img");
    assert_eq!(fs::metadata(image).unwrap().len(), (3 << 20) + 17);
    // Something that is not whole, and something that is not of the package.
    sealer.write("out.partial/data/dossier/mail/1.eml", b"From: b\n\nhello\n");
    sealer.write("out.partial/data/foreign/x", b"x");
    symlink("/etc/passwd", sealer.path("out.partial/bagit.txt.link")).unwrap();

    let mut target = kept(&out);
    assert!(target.claim("a package").unwrap());
    let mut plaintext = Metered {
        from: Cursor::new(&tar),
        read: 0,
    };
    let unpacked = unpack_rest(&mut plaintext, target, &expect).unwrap();
    assert_eq!(unpacked.items, 6);
    assert!(
        plaintext.read < 1 << 20,
        "{} bytes were read",
        plaintext.read
    );
    unpack(&tar[..], &sealer.path("other"), &expect).unwrap();
    let bytes = |folder: &str| files_under(&sealer.path(folder));
    assert_eq!(bytes("out"), bytes("other"));
    assert!(!sealer.path("out.partial").exists());
}

#[test]
fn items_go_on_too() {
    let sealer = Sealer::new();
    let package = sealer.seal(&sealer.dossier()).unwrap();
    let (tar, expect) = (sealer.tar(&package), sealer.expect(&package));
    let items = ["dossier/disk.img".to_owned(), "single.png".to_owned()];
    let out = sealer.path("out");
    let mut target = kept(&out);
    target.claim("").unwrap();
    let mut image = target.file("dossier/disk.img").unwrap();
    image.write_all(&vec![7; (3 << 20) + 17]).unwrap();
    drop(target);
    let mut target = kept(&out);
    assert!(target.claim("").unwrap(), "it is for the same");
    let mut plaintext = Metered {
        from: Cursor::new(&tar),
        read: 0,
    };
    super::super::unpack_items(&mut plaintext, &items, target, &expect).unwrap();
    assert!(
        plaintext.read < 1 << 20,
        "{} bytes were read",
        plaintext.read
    );
    let found = files_under(&out);
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        ["dossier/disk.img", "single.png"]
    );
}

#[test]
fn what_is_left_is_removed_unless_it_is_to_be_kept() {
    let sealer = Sealer::new();
    let out = sealer.path("out");
    let leave = |what: &str| {
        let mut target = kept(&out);
        target.claim(what).unwrap();
        drop(target);
        sealer.write("out.partial/data/a/b", b"plaintext");
    };
    let is_there = || sealer.path("out.partial/data/a/b").exists();
    leave("one");
    let mut target = kept(&out);
    assert!(!target.claim("another").unwrap() && !is_there());
    drop(target);
    leave("one");
    let mut target = Target::create(&out).unwrap();
    assert!(
        !target.claim("one").unwrap() && !is_there(),
        "it was not asked for"
    );
    drop(target);
    leave("one");
    drop(Target::create(&out).unwrap());
    assert!(!sealer.path("out.partial").exists());
}

#[test]
fn two_do_not_fill_one_folder() {
    let sealer = Sealer::new();
    let out = sealer.path("out");
    let first = Target::create(&out).unwrap();
    let second = Target::create(&out).unwrap_err();
    assert!(matches!(second, UnpackError::PartialBusy(_)), "{second}");
    drop(first);
    drop(Target::create(&out).unwrap());
    assert_eq!(fs::read_dir(sealer.home.path()).unwrap().count(), 0);
}

#[test]
fn what_others_can_have_made_or_can_change_is_not_taken_over() {
    use std::os::unix::fs::PermissionsExt as _;
    let sealer = Sealer::new();
    let out = sealer.path("out");
    let (partial, mark) = (sealer.path("out.partial"), tree_mark(&sealer));
    let plant = |folder: u32, file: u32| {
        fs::create_dir(&partial).unwrap();
        fs::write(&mark, "x").unwrap();
        fs::set_permissions(&partial, fs::Permissions::from_mode(folder)).unwrap();
        fs::set_permissions(&mark, fs::Permissions::from_mode(file)).unwrap();
    };
    let refused = |what: &str| {
        let fault = Target::create(&out).map(drop).unwrap_err();
        let is_foreign = matches!(fault, UnpackError::PartialExists(_));
        assert!(is_foreign, "{what}: {fault}");
        fs::remove_dir_all(&partial).unwrap();
    };
    plant(0o777, 0o600);
    refused("a folder that all can write");
    plant(0o700, 0o666);
    refused("a mark that all can write");
    plant(0o700, 0o600);
    fs::hard_link(&mark, sealer.path("precious")).unwrap();
    refused("a mark with a second name");
    assert_eq!(fs::read(sealer.path("precious")).unwrap(), b"x");
    plant(0o700, 0o600);
    fs::remove_file(&mark).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &mark,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    refused("a pipe for a mark");
    plant(0o700, 0o600);
    drop(Target::create(&out).unwrap());
}

fn tree_mark(sealer: &Sealer) -> PathBuf {
    sealer.path("out.partial").join(".rogatory-opening")
}

#[test]
fn names_are_found_in_a_manifest_without_reading_it_whole() {
    let sealer = Sealer::new();
    let package = sealer.seal(&sealer.dossier()).unwrap();
    let manifest = package.sealed.manifest_digest;
    let mut plaintext = sealer.open(&package);
    let mut find = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(|it| (*it).to_owned()).collect();
        find_items(&mut plaintext, &names, &manifest)
    };
    assert_eq!(find(&["dossier/mail/1.eml"]).unwrap(), 15);
    assert_eq!(find(&["dossier/mail", "single.png"]).unwrap(), 70_015);
    let absent = find(&["single.png", "dossier/mai"]).unwrap_err();
    assert!(
        matches!(&absent, UnpackError::NoSuchItem(it) if it == "dossier/mai"),
        "{absent}"
    );
    let other = find_items(
        &mut plaintext,
        &["single.png".to_owned()],
        &Digest::of(b"x"),
    );
    assert!(matches!(
        other,
        Err(UnpackError::Content(
            crate::package::ContentFault::ManifestDigest
        ))
    ));
}
