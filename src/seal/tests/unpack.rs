//! Unpacking: single items, and packages that lie.

use super::*;

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
    sealer.write("cut.partial/mine", b"x");
    for (out, part) in [
        ("folder", "exists already"),
        ("file", "exists already"),
        ("dangling", "exists already"),
        ("cut", "in the way"),
        ("..", "not the name"),
        ("absent/out", "cannot be written"),
    ] {
        let fault = unpack(&tar[..], &sealer.path(out), &expect)
            .unwrap_err()
            .to_string();
        assert!(fault.contains(part), "{fault}");
    }
    assert!(sealer.path("cut.partial/mine").exists());
    assert_eq!(fs::read_dir(sealer.path("folder")).unwrap().count(), 0);
}

/// One entry of a tar: head, content and padding.
pub(super) fn entry(path: &str, content: &[u8], mtime: u64) -> Vec<u8> {
    let size = content.len() as u64;
    let mut bytes = tape::TapeEntry {
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
pub(super) fn entries(tar: &[u8]) -> Vec<Vec<u8>> {
    let mut entries = Vec::new();
    let mut rest = tar;
    while let Some(entry) = tape::TapeEntry::read(&mut &rest[..]).unwrap() {
        let len = tape::head_length(&entry.path, entry.size) + tape::padded(entry.size);
        let (this, next) = rest.split_at(usize::try_from(len).unwrap());
        entries.push(this.to_vec());
        rest = next;
    }
    entries.push(rest.to_vec());
    entries
}

type TarChange = fn(&mut Vec<Vec<u8>>);

/// The changes to the entries of a tar, and part of the fault that is found.
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
        "3 items, the manifest lists 2",
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
        "padding changed",
        |e| *e[1].last_mut().unwrap() = 1,
        "stray",
    ),
    (
        "entry after the index",
        |e| e.insert(8, entry("x", b"", 5)),
        "the end expected",
    ),
    ("one end block", |e| drop(e[8].split_off(512)), "cut off"),
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
        check_unpack(&sealer, &tar[..cut], &expect, ("cut", "cut off"));
    }
    let mut other = whole;
    other[0] = entry("bagit.txt", bag::DECLARATION_TEXT.as_bytes(), 5);
    unpack(&other.concat()[..], &sealer.path("time"), &expect).expect("a tag file has any time");
    unpack(&tar[..], &sealer.path("out"), &expect).unwrap();
}

fn check_unpack(sealer: &Sealer, tar: &[u8], expect: &Expect, (what, part): (&str, &str)) {
    let before = fs::read_dir(sealer.home.path()).unwrap().count();
    let fault = unpack(tar, &sealer.path("out"), expect).unwrap_err();
    assert!(matches!(fault, UnpackError::Content(_)), "{what}: {fault}");
    let fault = fault.to_string();
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
    let cases: [(Change, &str); 9] = [
        (|e| e.manifest = Digest::of(b""), "receipt"),
        (|e| e.item_root = Digest::of(b""), "item-root"),
        (|e| e.case = "IE-2026-18".to_owned(), "case"),
        (|e| e.request = Some("R-1".to_owned()), "request"),
        (|e| e.title = Some("Other".to_owned()), "title"),
        (
            |e| (e.passed_on, e.request) = (true, Some("R-1".to_owned())),
            "request",
        ),
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
            fault.to_string().contains(part) && matches!(fault, UnpackError::Content(_)),
            "{fault}"
        );
    }
}

/// A tar with this manifest, whatever it says, and the expectation that it meets.
pub(super) fn forged(
    sealer: &Sealer,
    package: &Package,
    change: impl Fn(&mut Manifest),
) -> (Vec<u8>, Expect) {
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
    expect.manifest = tags.manifest_digest;
    expect.item_root = manifest.item_root();
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
        (|m| drop(m.items.pop()), "2 items, the manifest lists 1"),
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
    let mut tree = Target::create(&sealer.path("out")).unwrap();
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
    let entry = tape::TapeEntry {
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
