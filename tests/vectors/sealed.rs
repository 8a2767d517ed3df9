//! One package: tar, manifest, and the age file with fixed bytes in the place of the random ones.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{agreement, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rogatory::base::{Digest, Xid};
use rogatory::package::manifest::{Acquisition, CustodyEvent, Salt};
use rogatory::package::tape::TapeEntry;
use rogatory::package::{Item, ItemPath, Manifest, bag, header, segments, tape};
use rogatory::policy::{Evaluation, Handling, Onward, Purpose, Restriction, Source, Terms};
use rogatory::receipt::Pkg;
use serde_json::{Value, json};

use crate::Files;
use crate::parties::{Party, at, half, seed, x25519_point};

pub(crate) struct Package {
    pub(crate) xid: Xid,
    pub(crate) manifest: Manifest,
    tags: bag::Tags,
    tar: Vec<u8>,
    pub(crate) header: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

pub(crate) fn terms() -> Terms {
    let instrument = "EIO".parse().expect("a code");
    let purposes = [Purpose::Investigation, Purpose::Prosecution, Purpose::Trial];
    let until = "2031-12-31".parse().expect("a date");
    Terms {
        legal_basis: Some("http://data.europa.eu/eli/dir/2014/41/oj".to_owned()),
        handling: Some(Handling::H1),
        evaluation: Some(Evaluation {
            source: Source::A,
            information: 1,
        }),
        review: "2028-06-30".parse().ok(),
        sunset: "2030-06-30".parse().ok(),
        onward: Onward::WithConsent,
        restrictions: vec![Restriction::Confidential, Restriction::Return],
        use_report: true,
        ..Terms::new(instrument, purposes, until)
    }
}

const CONTENTS: [(&str, &str, &str); 3] = [
    ("readme.txt", "text/plain", "Two files and an empty one.\n"),
    (
        "calls/märz 2026.csv",
        "text/csv",
        "when,from,to\n2026-03-01T10:00:00Z,+353,+49\n",
    ),
    ("empty", "application/octet-stream", ""),
];
const ITEM_SECONDS: i64 = -3_600;

fn item(number: usize, from: u64) -> Item {
    let (path, media_type, content) = CONTENTS[number];
    let size = content.len() as u64;
    let first = number == 0;
    let event = CustodyEvent {
        action: "sealed".to_owned(),
        instrument: Some("rogatory 0.1.0".to_owned()),
        location: None,
        performer: "a.becker".to_owned(),
        time: at(0),
    };
    let acquisition = Acquisition {
        start_time: Some(at(-7_200)),
        end_time: at(ITEM_SECONDS),
        exhibit_number: Some("A-1".to_owned()),
        instrument: Some("export of the operator".to_owned()),
        location: Some("Bonn".to_owned()),
        performer: "k.weber".to_owned(),
    };
    Item {
        acquisition: (!first).then(|| Box::new(acquisition)),
        category: (!first).then(|| "traffic-data".to_owned()),
        custody: vec![event],
        media_type: media_type.to_owned(),
        offset: bag::content_offset(from, path, size),
        path: ItemPath::parse(path).expect("a path"),
        salt: Salt(half(&format!("salt of item {path}"))),
        sha256: Digest::of(content.as_bytes()),
        size,
        subjects: vec!["subject-1".to_owned(); usize::from(!first)],
        terms: None,
        title: (!first).then(|| "Verbindungsdaten".to_owned()),
    }
}

fn add(tar: &mut Vec<u8>, path: &str, mtime: i64, content: &[u8]) {
    let entry = TapeEntry {
        path: path.to_owned(),
        size: content.len() as u64,
        mtime: tape::clamped_mtime(mtime),
    };
    tar.extend(entry.head());
    tar.extend(content);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

fn payload_manifest(manifest: &Manifest) -> Vec<u8> {
    let mut text = Vec::new();
    bag::write_payload_manifest(&manifest.items, &mut text).expect("memory takes it");
    text
}

fn tar_of(manifest: &Manifest, tags: &bag::Tags) -> Vec<u8> {
    let mut tar = Vec::new();
    let now = at(0).seconds();
    add(
        &mut tar,
        bag::DECLARATION,
        now,
        bag::DECLARATION_TEXT.as_bytes(),
    );
    for (path, _, content) in CONTENTS {
        let path = format!("{}{path}", bag::PAYLOAD);
        add(
            &mut tar,
            &path,
            at(ITEM_SECONDS).seconds(),
            content.as_bytes(),
        );
    }
    let listed = payload_manifest(manifest);
    add(&mut tar, bag::INFO, now, tags.info.as_bytes());
    add(&mut tar, bag::PAYLOAD_MANIFEST, now, &listed);
    add(&mut tar, bag::MANIFEST, now, &manifest.encode());
    add(
        &mut tar,
        bag::TAG_MANIFEST,
        now,
        tags.tag_manifest.as_bytes(),
    );
    add(&mut tar, bag::INDEX, now, tags.index.as_bytes());
    tar.extend(tape::END);
    tar
}

fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
    tag.as_ref().try_into().expect("32 bytes")
}

/// HKDF-SHA-256 (RFC 5869) for 32 bytes.
fn hkdf(salt: &[u8], secret: &[u8], label: &[u8]) -> [u8; 32] {
    let salt = if salt.is_empty() { &[0; 32] } else { salt };
    let pseudorandom = hmac_sha256(salt, secret);
    hmac_sha256(&pseudorandom, &[label, &[1]].concat())
}

fn seal(key: &[u8; 32], nonce: [u8; 12], text: &[u8]) -> Vec<u8> {
    let key = UnboundKey::new(&CHACHA20_POLY1305, key).expect("32 bytes");
    let nonce = Nonce::assume_unique_for_key(nonce);
    let mut sealed = text.to_vec();
    LessSafeKey::new(key)
        .seal_in_place_append_tag(nonce, Aad::empty(), &mut sealed)
        .expect("it is short");
    sealed
}

fn age_header(file_key: &[u8; 16], recipient: &[u8; 32]) -> Vec<u8> {
    let ephemeral = seed("age ephemeral key");
    let share = x25519_point(&ephemeral);
    let secret = agreement::PrivateKey::from_private_key(&agreement::X25519, &ephemeral);
    let peer = agreement::UnparsedPublicKey::new(&agreement::X25519, recipient);
    let salt = [share, *recipient].concat();
    let wrap = agreement::agree(&secret.expect("a key"), peer, (), |shared| {
        Ok(hkdf(&salt, shared, b"age-encryption.org/v1/X25519"))
    });
    let wrapped = seal(&wrap.expect("a good point"), [0; 12], file_key);
    let base64 = |bytes: &[u8]| STANDARD_NO_PAD.encode(bytes);
    let text = format!(
        "age-encryption.org/v1\n-> X25519 {}\n{}\n---",
        base64(&share),
        base64(&wrapped)
    );
    let mac = hmac_sha256(&hkdf(b"", file_key, b"header"), text.as_bytes());
    format!("{text} {}\n", base64(&mac)).into_bytes()
}

fn age_payload(file_key: &[u8; 16], text: &[u8]) -> Vec<u8> {
    let nonce = half("age payload nonce");
    let key = hkdf(&nonce, file_key, b"payload");
    let chunks: Vec<_> = text.chunks(64 << 10).collect();
    let mut payload = nonce.to_vec();
    for (number, chunk) in chunks.iter().enumerate() {
        let mut nonce = [0; 12];
        nonce[3..11].copy_from_slice(&(number as u64).to_be_bytes());
        nonce[11] = u8::from(number + 1 == chunks.len());
        payload.extend(seal(&key, nonce, chunk));
    }
    payload
}

pub(crate) fn package(from: &Party, to: &Party) -> Package {
    let mut items: Vec<Item> = Vec::new();
    for number in 0..CONTENTS.len() {
        let after = items.last().map_or_else(bag::first_item, |last| {
            last.offset + tape::padded(last.size)
        });
        items.push(item(number, after));
    }
    let manifest = Manifest {
        case: "DE/2026/000042".to_owned(),
        created: at(0),
        from: from.id.clone(),
        items,
        request: Some("IE/2026/000001".to_owned()),
        terms: terms(),
        title: Some("Fernmeldeaufstellung".to_owned()),
        to: to.id.clone(),
        v: 1,
    };
    let tags = bag::Tags::of(&manifest);
    let tar = tar_of(&manifest, &tags);
    let file_key = half("age file key");
    Package {
        xid: Xid::from_bytes(half("xid")),
        header: age_header(&file_key, &to.age_point()),
        payload: age_payload(&file_key, &tar),
        manifest,
        tags,
        tar,
    }
}

impl Package {
    pub(crate) fn pkg(&self) -> Pkg {
        let hashes = self.payload.chunks(1 << 20).map(segments::segment_hash);
        let body = segments::root_of(hashes);
        Pkg::new(body, Digest::of(&self.header), self.payload.len() as u64)
    }

    pub(crate) fn summary(&self) -> Value {
        let leaves = self.manifest.items.iter().map(Item::leaf);
        json!({
            "xid": self.xid,
            "pkg": self.pkg(),
            "manifest_digest": self.manifest.digest(),
            "item_leaves": leaves.collect::<Vec<_>>(),
            "item_root": self.manifest.item_root(),
            "manifest_offset": self.tags.manifest_offset,
            "tar_bytes": self.tags.tar_bytes,
            "index": self.tags.index,
            "age": {
                "file_key": hex::encode(half("age file key")),
                "ephemeral_secret": hex::encode(seed("age ephemeral key")),
                "payload_nonce": hex::encode(half("age payload nonce")),
                "header_bytes": self.header.len(),
                "recipient": self.manifest.to,
            },
        })
    }

    pub(crate) fn files(&self) -> Files {
        let whole = [self.header.clone(), self.payload.clone()].concat();
        let text = |text: &str| text.as_bytes().to_vec();
        [
            ("package.age", whole),
            ("package.tar", self.tar.clone()),
            ("manifest.json", self.manifest.encode()),
            ("bagit.txt", text(bag::DECLARATION_TEXT)),
            ("bag-info.txt", text(&self.tags.info)),
            ("manifest-sha256.txt", payload_manifest(&self.manifest)),
            ("tagmanifest-sha256.txt", text(&self.tags.tag_manifest)),
            ("index", text(&self.tags.index)),
        ]
        .into_iter()
        .map(|(name, bytes)| (format!("package/{name}"), bytes))
        .collect()
    }
}

#[test]
fn the_package_is_one() {
    let to = crate::parties::ie();
    let package = package(&crate::parties::de(), &to);
    let manifest = Manifest::parse(&package.manifest.encode()).expect("a manifest");
    assert_eq!(manifest, package.manifest);
    assert_eq!(package.tar.len() as u64, package.tags.tar_bytes);
    header::check(&package.header, 1).expect("a header");
    let whole = [package.header.clone(), package.payload.clone()].concat();
    assert_eq!(header::split(&whole), Ok(Some(package.header.len())));
    let identity: age::x25519::Identity = to.age_identity().parse().expect("an identity");
    let plain = age::decrypt(&identity, &whole).expect("age opens it");
    assert!(plain == package.tar, "age finds another tar");
    let mut rest = &plain[..];
    let mut paths = Vec::new();
    while let Some(entry) = TapeEntry::read(&mut rest).expect("an entry") {
        let size = usize::try_from(entry.size).expect("it is small");
        rest = &rest[size..];
        tape::read_padding(&mut rest, entry.size).expect("zeros");
        paths.push(entry.path);
    }
    assert!(rest.is_empty());
    assert_eq!(paths.first().map(String::as_str), Some(bag::DECLARATION));
    assert_eq!(paths.last().map(String::as_str), Some(bag::INDEX));
    let index = bag::parse_index(&package.tags.index).expect("an index");
    let start = usize::try_from(index.0).expect("it is small");
    let length = usize::try_from(index.1).expect("it is small");
    assert_eq!(plain[start..start + length], package.manifest.encode());
}
