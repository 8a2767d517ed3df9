//! The checks of each fuzz target: the parser neither panics nor takes two spellings for one value, and what it takes
//! it can write again, byte for byte where the protocol has one spelling.

mod local;
mod log;
mod machines;

pub use local::{bundle, call, fetch};
pub use log::{add_checkpoint, checkpoint, cosignature, proof, proof_file, tile, tlog};
pub use machines::{receiver, sender};

use rogatory::base::{Alias, AuthorityId, Date, Digest, KeyId, Timestamp, Xid, json, limits};
use rogatory::identity::statement::Note;
use rogatory::identity::{
    Card, KeyName, PeerSide, PublicKey, RevocationList, Trust, TrustedPeer, card, revocation,
};
use rogatory::package::path::ItemPath;
use rogatory::package::{Expect, Manifest, PathSet, bag, content, header, media, tape};
use rogatory::policy::Terms;
use rogatory::receipt;
use rogatory::receipt::Disclosure;
use rogatory::wire::{DataHead, Frame, HEAD_BYTES};
use rustls_pki_types::CertificateDer;

fn now() -> Timestamp {
    Timestamp::from_millis(1_795_000_000_000)
}

/// A signed note of two lines.
pub fn statement(bytes: &[u8]) {
    let Ok(note) = Note::parse(bytes) else { return };
    assert_eq!(note.bytes(), bytes, "what is stored is what was read");
    assert!(bytes.len() <= limits::STATEMENT_BYTES_MAX, "a limit");
    assert_eq!(note.text_digest(), Digest::of(note.text().as_bytes()));
    let alone = note.without_countersignature();
    assert_eq!(alone.text(), note.text(), "a signature changes no text");
    assert_eq!(Note::parse(alone.bytes()).as_ref(), Ok(&alone));
    assert!(note.fields().is_ok(), "the second line is an object");
}

/// A receipt in a note.
pub fn receipt(bytes: &[u8]) {
    let Ok(note) = Note::parse(bytes) else { return };
    let Ok(opened) = receipt::open(&note) else {
        return;
    };
    assert_eq!(opened.check(), Ok(()), "what is opened has been checked");
    let again = json::canonical(&opened);
    assert_eq!(again, note.json().as_bytes(), "one spelling");
}

/// A salted disclosure (RFC 9901).
pub fn disclosure(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(disclosure) = Disclosure::parse(text) {
        assert_eq!(disclosure.encode(), text, "one spelling");
    }
}

/// A card: a signed note that an authority brings about itself; and the keys that it may name.
pub fn card(bytes: &[u8]) {
    if let Ok((card, note)) = Card::open(bytes) {
        assert_eq!(note.bytes(), bytes, "what is kept is what was signed");
        assert_eq!(json::canonical(&card), note.json().as_bytes());
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(key) = PublicKey::parse_vkey(text)
    {
        assert_eq!(key.to_vkey(), text, "one spelling");
    }
}

/// The chain of certificates that a peer shows in the handshake; the first two bytes say how long the leaf is.
pub fn certificate(bytes: &[u8]) {
    let Some((&split, der)) = bytes.split_first_chunk() else {
        return;
    };
    let (leaf, rest) = der.split_at(der.len().min(usize::from(u16::from_be_bytes(split))));
    let own = "mla.example.ie".parse().expect("a name");
    let peer = TrustedPeer {
        id: "bfj.example.de".parse().expect("a name"),
        alias: "de".parse().expect("a name"),
        cas: vec![CertificateDer::from(rest.to_vec())],
        lists: Vec::new(),
        others: Vec::new(),
        allow_classic: false,
    };
    let trust = Trust::new(own, vec![peer]);
    let chain = [CertificateDer::from(rest)];
    for side in [PeerSide::Client, PeerSide::Server] {
        let shown = trust.authenticate(&CertificateDer::from(leaf), &chain, side, None, now());
        assert!(shown.is_err(), "without a revocation list nobody is let in");
    }
    let _judged: Result<(), _> = rogatory::identity::ca::check_ca(der);
}

/// A revocation list that a peer sends.
pub fn crl(bytes: &[u8]) {
    assert!(
        RevocationList::open(bytes, &[]).is_err(),
        "a list that no CA signed is refused"
    );
    let in_file = revocation::lists_in(bytes, &[], &[]);
    assert!(in_file.is_err(), "nor is one in a file");
    let ca = Digest::of(b"");
    if let Some(list) = RevocationList::stored(ca, bytes) {
        assert!(list.number() < 1 << 53, "a limit");
        assert_eq!(list.bytes(), bytes);
        let _usable: Result<(), _> = list.check_dates(now());
    }
}

/// A frame: head, then a body of the length that it says.
pub fn frame(bytes: &[u8]) {
    let Some((head, body)) = bytes.split_first_chunk::<HEAD_BYTES>() else {
        return;
    };
    let Ok(head) = Frame::head(head) else { return };
    assert!(head.kind.length().contains(&head.length), "a limit");
    let Some(body) = body.get(..head.length) else {
        return;
    };
    if let Ok(frame) = Frame::decode(head.kind, body) {
        assert_eq!(frame.encode(), &bytes[..HEAD_BYTES + head.length]);
    }
}

/// The head of a data stream.
pub fn data_head(bytes: &[u8]) {
    if let Ok(head) = DataHead::decode(bytes) {
        assert_eq!(head.encode(), bytes, "one spelling");
    }
}

/// The header of an age file, as it arrives and as it is checked.
pub fn header(bytes: &[u8]) {
    if let Ok(Some(end)) = header::split(bytes) {
        assert!(end <= bytes.len() && end <= limits::HEADER_BYTES_MAX);
    }
    let allowed = (0..4).filter(|recipients| header::check(bytes, *recipients).is_ok());
    let allowed = allowed.count();
    assert!(allowed <= 1, "a header has one number of recipients");
    if allowed == 1 {
        assert_eq!(header::check_grammar(bytes), Ok(()));
        assert_eq!(header::split(bytes), Ok(Some(bytes.len())));
    }
}

/// The manifest of a package.
pub fn manifest(bytes: &[u8]) {
    if let Ok(manifest) = Manifest::parse(bytes) {
        assert_eq!(manifest.encode(), bytes, "one spelling");
    }
}

/// Entries of the tar in a package, one after the other; and the index at its end.
pub fn tape(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Some((offset, length)) = bag::parse_index(text)
    {
        assert_eq!(bag::index_text(offset, length), text, "one spelling");
    }
    let mut rest = bytes;
    loop {
        let before = rest;
        let Ok(Some(entry)) = tape::TapeEntry::read(&mut rest) else {
            return;
        };
        let head = entry.head();
        assert_eq!(before.len() - rest.len(), head.len(), "one length");
        let again = tape::TapeEntry::read(&mut &head[..]).expect("ours is read");
        assert_eq!(again, Some(entry.clone()), "one meaning");
        let content = usize::try_from(entry.size).unwrap_or(usize::MAX);
        let Some(after) = rest.get(content..) else {
            return;
        };
        rest = after;
        if tape::read_padding(&mut rest, entry.size).is_err() {
            return;
        }
    }
}

/// A whole package; and one whose manifest these bytes are.
pub fn content(bytes: &[u8]) {
    let expect = |manifest: &[u8]| Expect {
        from: "bfj.example.de".parse().expect("an authority"),
        to: "mla.example.ie".parse().expect("an authority"),
        terms: serde_json::from_str(TERMS).expect("terms"),
        item_terms: Vec::new(),
        manifest: Digest::of(manifest),
        item_root: Digest::of(b""),
        case: "C-1".to_owned(),
        request: None,
        title: None,
        passed_on: false,
    };
    let judge = |tar: &[u8], expect: &Expect| {
        let read = content::read(tar, expect, &[], &mut content::Nowhere);
        match read {
            Err(content::Halt::Content(fault)) => assert!(!fault.code().is_empty()),
            Err(other) => panic!("memory can be read: {other}"),
            Ok(read) => assert!(read.items > 0, "a package has an item"),
        }
    };
    judge(bytes, &expect(b"{}"));
    let mut tar = Vec::new();
    for (path, text) in [
        (bag::DECLARATION, bag::DECLARATION_TEXT.as_bytes()),
        (bag::INFO, &b""[..]),
        (bag::PAYLOAD_MANIFEST, &b""[..]),
        (bag::MANIFEST, bytes),
    ] {
        let size = text.len() as u64;
        let path = path.to_owned();
        tar.extend(
            tape::TapeEntry {
                path,
                size,
                mtime: 0,
            }
            .head(),
        );
        tar.extend(text);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    judge(&tar, &expect(bytes));
}

const TERMS: &str = r#"{"instrument":"EIO","onward":"prohibited","purposes":["prosecution"],"retain_until":"2031-12-31","use_report":false}"#;

/// Paths of items, one a line.
pub fn path(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let mut paths = PathSet::new();
    for line in text.split('\n') {
        let Ok(path) = ItemPath::parse(line) else {
            continue;
        };
        assert_eq!(path.as_str(), line, "one spelling");
        assert!(!line.starts_with('/') && line.split('/').all(|part| part != ".."));
        let again = paths.insert(&path).is_ok() && paths.insert(&path).is_ok();
        assert!(!again, "a path is taken once");
    }
}

/// JSON, where depth, double keys and numbers are checked while it is read.
pub fn json(bytes: &[u8]) {
    let Ok(value) = json::parse_strict(bytes, limits::FRAME_BYTES_MAX) else {
        return;
    };
    let canonical = json::canonical(&value);
    let again: Result<_, _> = json::parse_strict(&canonical, canonical.len());
    assert_eq!(again.as_ref(), Ok(&value), "the same value");
    let same =
        json::parse_canonical::<rogatory::wire::FaultMessage>(bytes, limits::FRAME_BYTES_MAX);
    if same.is_ok() {
        assert_eq!(canonical, bytes, "one spelling");
    }
}

/// Names, ids, digests, times and dates, as they stand in statements, cards and paths of the local API, one a line.
pub fn names(bytes: &[u8]) {
    fn one<T: std::str::FromStr + std::fmt::Display>(text: &str) {
        if let Ok(value) = text.parse::<T>() {
            assert_eq!(value.to_string(), text, "one spelling");
        }
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    for line in text.split('\n') {
        one::<AuthorityId>(line);
        one::<Alias>(line);
        one::<Xid>(line);
        one::<KeyId>(line);
        one::<KeyName>(line);
        one::<Timestamp>(line);
        one::<Date>(line);
        if let Some(digest) = Digest::parse(line) {
            assert_eq!(digest.to_string(), line, "one spelling");
        }
        let _kind: &str = media::guess(line);
        let _fault: Option<&str> = card::endpoint_fault(line);
    }
}

/// Terms of a package.
pub fn terms(bytes: &[u8]) {
    let Ok(terms) = json::parse_canonical::<Terms>(bytes, limits::FRAME_BYTES_MAX) else {
        return;
    };
    assert_eq!(json::canonical(&terms), bytes, "one spelling");
    if terms.check().is_ok() {
        assert!(!terms.purposes_text().is_empty(), "a purpose is named");
        let _until: Timestamp = terms.usable_until();
    }
}
