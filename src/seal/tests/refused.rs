//! Refusals of sealing: inputs, names, plans and outputs that cannot stand.

use super::*;

fn check_refused(sealer: &Sealer, inputs: &[PathBuf], part: &str) {
    for found in [sealer.seal(inputs).err(), survey(inputs, []).err()] {
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
    assert_eq!(survey(&[sealer.path("a/../a/.")], []).unwrap().files, 1);
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
