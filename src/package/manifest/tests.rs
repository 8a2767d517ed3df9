use proptest::prelude::*;

use super::*;

/// A manifest of items of these names and sizes, laid out as a package has them.
fn manifest(items: &[(&str, u64)]) -> Manifest {
    let mut at = bag::first_item();
    let items = items
        .iter()
        .map(|(path, size)| {
            let offset = bag::content_offset(at, path, *size);
            at = offset + tape::padded(*size);
            item(path, *size, offset)
        })
        .collect();
    Manifest {
        case: "IE-2026-17".to_owned(),
        created: "2026-11-23T09:00:00.000Z".parse().unwrap(),
        from: "mla.example.ie".parse().unwrap(),
        items,
        request: None,
        terms: terms(),
        title: Some("Call records".to_owned()),
        to: "bepi.justice.example.fr".parse().unwrap(),
        v: 1,
    }
}

fn terms() -> Terms {
    serde_json::from_str(
        r#"{"instrument":"EIO","onward":"prohibited","purposes":["prosecution"],"retain_until":"2031-12-31","use_report":false}"#,
    )
    .unwrap()
}

fn item(path: &str, size: u64, offset: u64) -> Item {
    Item {
        acquisition: None,
        category: None,
        custody: vec![CustodyEvent {
            action: SEALED.to_owned(),
            instrument: None,
            location: None,
            performer: "officer".to_owned(),
            time: "2026-11-23T09:00:00.000Z".parse().unwrap(),
        }],
        media_type: "text/plain".to_owned(),
        offset,
        path: path.parse().unwrap(),
        salt: Salt([7; 16]),
        sha256: Digest::of(path.as_bytes()),
        size,
        subjects: Vec::new(),
        terms: None,
        title: None,
    }
}

fn full() -> Manifest {
    let mut full = manifest(&[("a/b.txt", 5), ("ü", 0), ("z", 9 << 30)]);
    full.request = Some("R-1".to_owned());
    full.items[0].subjects = vec!["S-1".to_owned(), "S-2".to_owned()];
    full.items[0].category = Some("records".to_owned());
    full.items[0].title = Some("A \"title\" é".to_owned());
    full.items[1].acquisition = Some(Box::new(Acquisition {
        end_time: "2026-11-22T09:00:00.000Z".parse().unwrap(),
        exhibit_number: Some("X/1".to_owned()),
        instrument: Some("imager".to_owned()),
        location: Some("Dublin".to_owned()),
        performer: "examiner".to_owned(),
        start_time: None,
    }));
    full
}

#[test]
fn written_in_parts_it_is_the_canonical_json_of_the_whole() {
    for manifest in [manifest(&[("a", 1)]), full(), manifest(&[])] {
        let bytes = manifest.encode();
        let value = json::parse_strict(&bytes, usize::MAX).unwrap();
        assert_eq!(json::canonical(&value), bytes);
        assert_eq!(manifest.digest(), Digest::of(&bytes));
    }
    let bytes = full().encode();
    assert_eq!(Manifest::parse(&bytes), Ok(full()));
    assert_eq!(full().payload_bytes(), 5 + (9 << 30));
}

#[test]
fn only_the_canonical_spelling_is_read() {
    let good = String::from_utf8(full().encode()).unwrap();
    let deep = "[".repeat(200) + &"]".repeat(200);
    let many_subjects = vec!["\"S\""; 33].join(",");
    let many_events =
        vec![r#"{"action":"sealed","performer":"x","time":"2026-11-23T09:00:00.000Z"}"#; 65]
            .join(",");
    for (was, is, part) in [
        ("{\"case\"", "{ \"case\"", "canonical"),
        ("\"v\":1}", "\"v\":1}\n", "canonical"),
        ("\"v\":1}", "\"v\":1}x", "trailing"),
        ("\"v\":1}", "\"v\":1", "EOF"),
        ("\"v\":1}", "\"v\":1.0}", "invalid type"),
        ("\"v\":1}", "\"v\":1,\"x\":1}", "unknown field"),
        ("\"v\":1}", "\"v\":1,\"v\":1}", "duplicate field"),
        ("\"v\":1}", "\"v\":2}", "version 2"),
        ("\"size\":0", "\"size\":-1", "invalid value"),
        ("\"request\":\"R-1\"", "\"request\":null", "canonical"),
        ("\"request\":\"R-1\",", "", "parse"),
        ("\"case\":\"IE-2026-17\",", "", "missing field"),
        (
            "\"case\":\"IE-2026-17\"",
            "\"case\":\"\\u0049E-2026-17\"",
            "canonical",
        ),
        (
            "\"case\":\"IE-2026-17\"",
            &format!("\"case\":{deep}"),
            "manifest",
        ),
        (
            "\"subjects\":[\"S-1\",\"S-2\"]",
            &format!("\"subjects\":[{many_subjects}]"),
            "at most 32",
        ),
        (
            "\"custody\":[{",
            &format!("\"custody\":[{many_events},{{"),
            "at most 64",
        ),
        ("07070707", "0707070", "hex digits"),
        ("07070707", "AB070707", "canonical"),
    ] {
        assert!(good.contains(was), "{was}");
        let changed = good.replacen(was, is, 1);
        match (Manifest::parse(changed.as_bytes()), part) {
            (Ok(_), "parse") => {}
            (Err(fault), part) if fault.to_string().contains(part) => {}
            (found, part) => panic!("{is}: {:?}, wanted {part}", found.map(|_| ())),
        }
    }
    let long = vec![b' '; (64 << 20) + 1];
    let fault = Manifest::parse(&long).unwrap_err();
    assert!(matches!(
        fault,
        ManifestFault::Json(JsonFault::TooLong { .. })
    ));
}

#[test]
fn each_rule_refuses_what_breaks_it() {
    type Change = fn(&mut Manifest);
    let changes: [(Change, &str); 16] = [
        (|m| m.items.clear(), "no item"),
        (|m| m.case.clear(), "case is empty"),
        (
            |m| m.case = "x".repeat(5_000),
            "case is empty, longer than 4096",
        ),
        (|m| m.case.push('\n'), "case"),
        (|m| m.title = Some("a\u{202e}b".to_owned()), "title"),
        (|m| m.request = Some(String::new()), "request"),
        (|m| m.terms.purposes.clear(), "purpose"),
        (|m| m.items[0].offset += 512, "offset"),
        (|m| m.items[0].size += 512, "offset"),
        (|m| m.items.swap(0, 1), "offset"),
        (|m| m.items[2].size = (2 << 40) + 1, "more than a package"),
        (|m| m.items[0].custody.clear(), "custody"),
        (
            |m| m.items[0].custody[0].action = "copied".to_owned(),
            "custody",
        ),
        (|m| m.items[0].media_type = "m".repeat(257), "media_type"),
        (
            |m| m.items[0].custody[0].performer.push('\x1b'),
            "performer",
        ),
        (
            |m| m.items[2].path = "A/B.TXT".parse().unwrap(),
            "same name",
        ),
    ];
    assert_eq!(full().check(), Ok(()));
    for (change, part) in changes {
        let mut other = full();
        change(&mut other);
        let fault = other.check().unwrap_err().to_string();
        assert!(fault.contains(part), "{fault}, wanted {part}");
    }
}

#[test]
fn the_item_root_commits_to_every_field_of_every_item() {
    let root = full().item_root();
    let mut other = full();
    other.items[1].salt = Salt([8; 16]);
    assert_ne!(other.item_root(), root);
    let leaves = full().items.iter().map(Item::leaf).collect::<Vec<_>>();
    let pair = tlog::node_hash(&leaves[0], &leaves[1]);
    assert_eq!(root, tlog::node_hash(&pair, &leaves[2]));
}

#[test]
fn the_tag_files_follow_from_the_manifest() {
    let manifest = manifest(&[("a/b.txt", 5), ("ü", 600)]);
    let tags = bag::Tags::of(&manifest);
    assert_eq!(tags.info, "Bagging-Date: 2026-11-23\nPayload-Oxum: 605.2\n");
    let mut lines = Vec::new();
    bag::write_payload_manifest(&manifest.items, &mut lines).unwrap();
    let text = String::from_utf8(lines).unwrap();
    assert_eq!(
        text.lines().nth(1),
        Some(format!("{}  data/ü", manifest.items[1].sha256).as_str())
    );
    assert_eq!(tags.payload_manifest_bytes, text.len() as u64);
    assert!(
        tags.tag_manifest
            .contains(&format!("{}  rogatory/manifest.json\n", manifest.digest()))
    );
    assert!(
        tags.tag_manifest
            .lines()
            .map(|line| &line[66..])
            .is_sorted(),
        "{}",
        tags.tag_manifest
    );
    assert_eq!(tags.tar_bytes % 512, 0);
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(at in 0_usize..2_000, byte in any::<u8>()) {
        let mut bytes = full().encode();
        let at = at % bytes.len();
        if bytes[at] != byte {
            bytes[at] = byte;
            prop_assert_ne!(Manifest::parse(&bytes), Ok(full()));
        }
    }
}
