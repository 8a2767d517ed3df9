//! Sealed content that is broken in every way that a sender can break it: each ends as the sender's fault, by its code,
//! at whoever unpacks and at the daemon that only judges; and what is not the sender's doing never does.

use super::unpack::{entries, entry, forged};
use super::*;
use crate::package::content::{self, ContentFault, Halt, Nowhere};

const CHUNK: usize = (64 << 10) + 16;

/// The header of an age file of this plaintext, and the rest: nonce and chunks.
fn sealed(sealer: &Sealer, plaintext: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let recipient = sealer.identity.0.to_public();
    let recipient: &dyn age::Recipient = &recipient;
    let encryptor = age::Encryptor::with_recipients(std::iter::once(recipient)).unwrap();
    let mut file = Vec::new();
    let mut writer = encryptor.wrap_output(&mut file).unwrap();
    writer.write_all(plaintext).unwrap();
    writer.finish().unwrap();
    let payload = file.split_off(header::split(&file).unwrap().unwrap());
    (file, payload)
}

/// A broken package: its header, payload, and what is expected of it.
struct Broken {
    what: String,
    code: &'static str,
    header: Vec<u8>,
    payload: Vec<u8>,
    expect: Expect,
}

/// How judging ends: the code of the sender's fault, or whose else it is.
fn judged(sealer: &Sealer, broken: &Broken, payload: impl Read + Seek) -> String {
    let opened = Plaintext::decrypt(broken.header.clone(), payload, &sealer.identity);
    let plaintext = match opened {
        Ok(plaintext) => plaintext,
        Err(e) if e.is_undecryptable() => return ContentFault::Undecryptable.code().to_owned(),
        Err(e) => return format!("not opened: {e}"),
    };
    match content::read(plaintext, &broken.expect, &[], &mut Nowhere) {
        Ok(_) => "good".to_owned(),
        Err(Halt::Content(fault)) => fault.code().to_owned(),
        Err(Halt::Source(e)) if is_undecryptable(&e) => {
            ContentFault::Undecryptable.code().to_owned()
        }
        Err(Halt::Source(e)) => format!("source: {e}"),
        Err(Halt::Sink(never)) => match never {},
    }
}

/// How unpacking ends.
fn unpacked(sealer: &Sealer, broken: &Broken) -> String {
    let payload = Cursor::new(broken.payload.clone());
    let plaintext = match Plaintext::decrypt(broken.header.clone(), payload, &sealer.identity) {
        Ok(plaintext) => plaintext,
        Err(e) => return format!("not opened: {e}"),
    };
    let out = sealer.path("opened");
    let fault = unpack(plaintext, &out, &broken.expect);
    assert!(!out.exists(), "{}", broken.what);
    assert!(!sealer.path("opened.partial").exists(), "{}", broken.what);
    match fault {
        Ok(_) => "good".to_owned(),
        Err(UnpackError::Content(fault)) => fault.code().to_owned(),
        Err(other) => format!("not the sender's: {other}"),
    }
}

fn check(sealer: &Sealer, broken: &Broken) {
    let (what, code) = (&broken.what, broken.code);
    let payload = Cursor::new(broken.payload.clone());
    assert_eq!(judged(sealer, broken, payload), code, "{what}");
    let unpacked = unpacked(sealer, broken);
    if code == "payload" {
        // Whether the bytes came, whoever unpacks cannot tell: the daemon can.
        assert_ne!(unpacked, "good", "{what}");
    } else {
        assert_eq!(unpacked, code, "{what}");
    }
}

/// A package of three chunks and some items.
fn package(sealer: &Sealer) -> Package {
    sealer.write("d/a", b"aaaa");
    sealer.write("d/b", &vec![7; 250_000]);
    sealer.write("d/é", b"");
    sealer.seal(&[sealer.path("d")]).unwrap()
}

type TarChange = fn(&mut Vec<Vec<u8>>);

/// 0 bagit.txt, 1 d/a, 2 d/b, 3 d/é, 4 bag-info, 5 manifest-sha256, 6 manifest.json, 7 tagmanifest, 8 index, 9 end
const TARS: &[(&str, &str, TarChange)] = &[
    ("no declaration", "tar", |e| drop(e.remove(0))),
    ("another declaration", "tag-file", |e| e[0][512] ^= 1),
    ("an item missing", "item", |e| drop(e.remove(1))),
    ("the last item missing", "item", |e| drop(e.remove(3))),
    ("an item more", "item", |e| {
        e.insert(4, entry("data/z", b"", 5));
    }),
    ("an item changed", "item", |e| e[1][512] ^= 1),
    ("an item longer", "item", |e| {
        e[1] = entry("data/d/a", b"aaaaa", 5);
    }),
    ("an item shorter", "item", |e| {
        e[1] = entry("data/d/a", b"", 5);
    }),
    ("an item renamed", "item", |e| {
        e[1] = entry("data/d/c", b"aaaa", 5);
    }),
    ("items swapped", "item", |e| e.swap(1, 2)),
    ("an item twice", "tar", |e| e.insert(1, e[1].clone())),
    ("an item outside", "tar", |e| {
        e.insert(1, entry("data/../x", b"", 5));
    }),
    ("an item that hides", "tar", |e| {
        e.insert(1, entry("data/a\u{202e}", b"", 5));
    }),
    ("a file outside data", "tar", |e| {
        e.insert(1, entry("x", b"", 5));
    }),
    ("a link", "tar", |e| e[1][156] = b'2'),
    ("a checksum", "tar", |e| e[1][148] ^= 1),
    ("stray bytes", "tar", |e| *e[1].last_mut().unwrap() = 1),
    ("tag files swapped", "tar", |e| e.swap(4, 5)),
    ("a tag file missing", "tar", |e| drop(e.remove(5))),
    ("bag-info changed", "tag-file", |e| e[4][530] ^= 1),
    ("digests changed", "tag-file", |e| e[5][512] ^= 1),
    ("the manifest changed", "manifest-digest", |e| {
        e[6][520] ^= 1;
    }),
    ("another manifest", "manifest-digest", |e| {
        e[6] = entry(bag::MANIFEST, b"{}", 5);
    }),
    ("an empty manifest", "manifest-digest", |e| {
        e[6] = entry(bag::MANIFEST, b"", 5);
    }),
    ("digests of tags changed", "tag-file", |e| e[7][512] ^= 1),
    ("the index changed", "tag-file", |e| e[8][558] ^= 1),
    ("something after the index", "tar", |e| {
        e.insert(9, entry("x", b"", 5));
    }),
    ("one end block", "tar", |e| drop(e[9].split_off(512))),
    ("no end blocks", "tar", |e| e[9].clear()),
    ("three end blocks", "tar", |e| e[9].extend([0; 512])),
    ("empty", "tar", Vec::clear),
    ("only end blocks", "tar", |e| drop(e.drain(..9))),
];

#[test]
fn a_broken_tar_is_the_senders_fault() {
    let sealer = Sealer::new();
    let package = package(&sealer);
    let (tar, expect) = (sealer.tar(&package), sealer.expect(&package));
    let whole = entries(&tar);
    assert_eq!(whole.len(), 10);
    let mut all: Vec<(String, &'static str, Vec<u8>)> = TARS
        .iter()
        .map(|(what, code, change)| {
            let mut entries = whole.clone();
            change(&mut entries);
            ((*what).to_owned(), *code, entries.concat())
        })
        .collect();
    // Cut at the end of each entry, in the middle of each, and a byte before its end.
    let mut end = 0;
    for (number, entry) in whole.iter().enumerate() {
        for cut in [end, end + entry.len() / 2, end + entry.len() - 1] {
            let what = format!("cut at {cut}, in entry {number}");
            all.push((what, "tar", tar[..cut].to_vec()));
        }
        end += entry.len();
    }
    for (what, code, tar) in all {
        let (header, payload) = sealed(&sealer, &tar);
        let expect = expect.clone();
        let broken = Broken {
            what,
            code,
            header,
            payload,
            expect,
        };
        check(&sealer, &broken);
    }
}

#[test]
fn a_lying_manifest_is_the_senders_fault() {
    type Change = fn(&mut Manifest);
    let sealer = Sealer::new();
    let package = package(&sealer);
    let cases: [(&str, Change); 9] = [
        ("item", |m| m.items[1].sha256 = Digest::of(b"")),
        ("item", |m| m.items[2].size = 5),
        ("item", |m| m.items[0].path = "d/c".parse().unwrap()),
        ("item", |m| drop(m.items.pop())),
        ("manifest", |m| m.items[1].offset += 512),
        ("manifest", |m| m.items.clear()),
        ("manifest", |m| m.items[1].custody.clear()),
        ("manifest", |m| {
            m.items[0].media_type = "\u{1b}[2J".to_owned();
        }),
        ("manifest", |m| m.v = 2),
    ];
    for (code, change) in cases {
        let (tar, expect) = forged(&sealer, &package, change);
        let (header, payload) = sealed(&sealer, &tar);
        let what = format!("a manifest: {code}");
        let broken = Broken {
            what,
            code,
            header,
            payload,
            expect,
        };
        check(&sealer, &broken);
    }
}

#[test]
fn a_manifest_that_is_not_spelled_as_it_must_be_is_the_senders_fault() {
    let sealer = Sealer::new();
    let package = package(&sealer);
    let spelled = |json: &str| {
        let mut whole = entries(&sealer.tar(&package));
        whole[6] = entry(bag::MANIFEST, json.as_bytes(), 5);
        let mut expect = sealer.expect(&package);
        expect.manifest = Digest::of(json.as_bytes());
        (whole.concat(), expect)
    };
    let json = String::from_utf8(package.sealed.manifest.encode()).unwrap();
    let long = format!("{}{}", "a".repeat(5 << 20), "\"");
    for (what, json) in [
        ("a space", json.replacen(':', ": ", 1)),
        ("a line after it", format!("{json}\n")),
        (
            "a field twice",
            json.replacen("{\"case\"", "{\"case\":\"x\",\"case\"", 1),
        ),
        (
            "a field that is not known",
            json.replacen("\"v\":1", "\"v\":1,\"w\":1", 1),
        ),
        (
            "null for no request",
            json.replacen(",\"terms\":", ",\"request\":null,\"terms\":", 1),
        ),
        ("an array for an item", json.replacen("[{", "[[", 1)),
        ("a fraction", json.replacen("\"v\":1", "\"v\":1.0", 1)),
        ("an escape", json.replacen("IE-2026", "\\u0049E-2026", 1)),
        ("cut", json[..json.len() - 1].to_owned()),
        ("no object", "[]".to_owned()),
        (
            "a text of 5 MiB",
            json.replacen("\"case\":\"", &format!("\"case\":\"{long},\"x\":\""), 1),
        ),
    ] {
        let (tar, expect) = spelled(&json);
        let (header, payload) = sealed(&sealer, &tar);
        let broken = Broken {
            what: what.to_owned(),
            code: "manifest",
            header,
            payload,
            expect,
        };
        check(&sealer, &broken);
    }
}

/// A field or item that is longer than any may be is not read to its end.
#[test]
fn no_text_of_5_mib_is_held_in_memory() {
    let sealer = Sealer::new();
    let package = package(&sealer);
    let json = String::from_utf8(package.sealed.manifest.encode()).unwrap();
    let long = "a".repeat(5 << 20);
    for field in ["\"case\":\"", "\"media_type\":\""] {
        let json = json.replacen(field, &format!("{field}{long}"), 1);
        let mut whole = entries(&sealer.tar(&package));
        whole[6] = entry(bag::MANIFEST, json.as_bytes(), 5);
        let mut expect = sealer.expect(&package);
        expect.manifest = Digest::of(json.as_bytes());
        let read = content::read(&whole.concat()[..], &expect, &[], &mut Nowhere);
        let fault = read.unwrap_err().to_string();
        assert!(fault.contains("EOF while parsing a string"), "{fault}");
    }
}

#[test]
fn what_is_disclosed_and_not_in_the_manifest_is_the_senders_fault() {
    type Change = fn(&mut Expect);
    let sealer = Sealer::new();
    let package = package(&sealer);
    let tar = sealer.tar(&package);
    let cases: [(&str, Change); 9] = [
        ("manifest-case", |e| e.case = "C-9".to_owned()),
        ("manifest-request", |e| e.request = Some("R-9".to_owned())),
        ("manifest-title", |e| e.title = Some("Other".to_owned())),
        ("item-root", |e| e.item_root = Digest::of(b"")),
        ("manifest-digest", |e| e.manifest = Digest::of(b"")),
        ("manifest-parties", |e| {
            e.from = "x.example.ie".parse().unwrap();
        }),
        ("manifest-parties", |e| {
            e.to = "x.example.ie".parse().unwrap();
        }),
        ("manifest-terms", |e| e.terms.use_report = true),
        ("manifest-item-terms", |e| {
            e.item_terms = serde_json::from_value(serde_json::json!([{
                "offset": 1_024, "path": "d/a", "size": 1_024, "terms": e.terms,
            }]))
            .unwrap();
        }),
    ];
    for (code, change) in cases {
        let (header, payload) = sealed(&sealer, &tar);
        let mut expect = sealer.expect(&package);
        change(&mut expect);
        let what = format!("expected otherwise: {code}");
        let broken = Broken {
            what,
            code,
            header,
            payload,
            expect,
        };
        check(&sealer, &broken);
    }
}

/// Every way to break the sealed bytes after the first chunk, which is checked at the handover.
fn broken_payloads(payload: &[u8]) -> Vec<(String, Vec<u8>)> {
    let chunks: Vec<&[u8]> = payload[16..].chunks(CHUNK).collect();
    let nonce = &payload[..16];
    let of = |chunks: &[&[u8]]| [nonce, &chunks.concat()].concat();
    let mut all = vec![
        (
            "a chunk after the last".to_owned(),
            of(&[&chunks[..], &chunks[1..2]].concat()),
        ),
        (
            "bytes after the last chunk".to_owned(),
            [payload, b"x"].concat(),
        ),
        (
            "a tag of no bytes at the end".to_owned(),
            [payload, &[0; 16]].concat(),
        ),
        (
            "two chunks swapped".to_owned(),
            of(&[chunks[0], chunks[2], chunks[1], chunks[3]]),
        ),
        (
            "another nonce".to_owned(),
            [&[9; 16], &payload[16..]].concat(),
        ),
    ];
    for number in 1..chunks.len() {
        let mut flipped = payload.to_vec();
        flipped[16 + number * CHUNK + 5] ^= 1;
        all.push((format!("chunk {number} flipped"), flipped));
        let mut without = chunks.clone();
        without.remove(number);
        all.push((format!("chunk {number} missing"), of(&without)));
        let mut twice = chunks.clone();
        twice.insert(number, chunks[number]);
        all.push((format!("chunk {number} twice"), of(&twice)));
        for cut in [
            16 + number * CHUNK,
            16 + number * CHUNK + 7,
            16 + number * CHUNK + 100,
        ] {
            all.push((format!("cut at {cut}"), payload[..cut].to_vec()));
        }
    }
    all
}

#[test]
fn sealed_bytes_that_do_not_decrypt_are_the_senders_fault() {
    let sealer = Sealer::new();
    let package = package(&sealer);
    let broken = broken_payloads(&package.payload);
    assert!(broken.len() > 18, "{}", broken.len());
    for (what, payload) in broken {
        let broken = Broken {
            what,
            code: "payload",
            header: package.header.clone(),
            payload,
            expect: sealer.expect(&package),
        };
        check(&sealer, &broken);
    }
}

/// A disk that fails after so many bytes.
struct Failing(Cursor<Vec<u8>>, u64);

impl Read for Failing {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.0.position() >= self.1 {
            return Err(io::Error::from_raw_os_error(5));
        }
        let most = usize::try_from(self.1 - self.0.position()).unwrap();
        let most = most.min(into.len());
        self.0.read(&mut into[..most])
    }
}

impl Seek for Failing {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn a_failing_disk_is_not_the_senders_fault() {
    let sealer = Sealer::new();
    let package = package(&sealer);
    let good = Broken {
        what: "good".to_owned(),
        code: "good",
        header: package.header.clone(),
        payload: package.payload.clone(),
        expect: sealer.expect(&package),
    };
    let payload = Cursor::new(package.payload.clone());
    assert_eq!(judged(&sealer, &good, payload), "good");
    for at in (0..package.payload.len()).step_by(9_973) {
        let disk = Failing(Cursor::new(package.payload.clone()), at as u64);
        let end = judged(&sealer, &good, disk);
        let ours = end.starts_with("source: the stored payload") || end.starts_with("not opened");
        assert!(ours, "{at}: {end}");
    }
}

#[test]
fn withheld_items_are_passed_over_and_the_rest_is_judged() {
    let sealer = Sealer::new();
    let package = package(&sealer);
    let (mut tar, expect) = (sealer.tar(&package), sealer.expect(&package));
    let item = &package.sealed.manifest.items[1];
    let head = tape::head_length(&format!("data/{}", item.path), item.size);
    let range = item.offset - head..item.offset + tape::padded(item.size);
    let place = |at: u64| usize::try_from(at).unwrap();
    tar[place(range.start)..place(range.end)].fill(0);
    let judge = |tar: &[u8], withheld: &[std::ops::Range<u64>]| {
        content::read(tar, &expect, withheld, &mut Nowhere).map_err(|halt| halt.to_string())
    };
    let read = judge(&tar, std::slice::from_ref(&range)).unwrap();
    assert_eq!(read.items, 2);
    assert!(judge(&tar, &[]).is_err());
    let other = &package.sealed.manifest.items[0];
    tar[place(other.offset)] ^= 1;
    assert!(judge(&tar, &[range]).unwrap_err().contains("\"d/a\""));
}
