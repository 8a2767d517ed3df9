//! Segments, heads of data streams, heads of tar entries, the session.

use rogatory::base::{Digest, Xid};
use rogatory::package::segments;
use rogatory::package::tape::TapeEntry;
use rogatory::wire::DataHead;
use serde_json::{Value, json};

use crate::parties::{half, seed};

/// Byte `i` of a payload is `i mod 251`.
pub(crate) fn segments() -> Value {
    let lengths = [0, 1, 1 << 20, (1 << 20) + 1, 3 << 20];
    let cases = lengths.map(|length: usize| {
        let payload: Vec<u8> = (0..=250).cycle().take(length).collect();
        let hashes: Vec<Digest> = payload
            .chunks(1 << 20)
            .map(segments::segment_hash)
            .collect();
        assert_eq!(segments::count(length as u64), hashes.len() as u64);
        let root = segments::root_of(hashes.iter().copied());
        json!({"length": length, "hashes": hashes, "root": root})
    });
    json!({"payload": "byte i is i mod 251", "segment_bytes": 1 << 20, "cases": cases})
}

pub(crate) fn data_heads() -> Value {
    let xid = Xid::from_bytes(half("xid"));
    let segments = |first| DataHead::Segments { xid, first };
    let heads = [DataHead::List { xid }, segments(0), segments(0x0102_0304)];
    let heads = heads.map(|head| {
        let bytes = head.encode();
        assert_eq!(DataHead::decode(&bytes), Ok(head));
        match head {
            DataHead::List { xid } => {
                json!({"type": 1, "xid": xid, "bytes": hex::encode(bytes)})
            }
            DataHead::Segments { xid, first } => {
                json!({"type": 2, "xid": xid, "first": first, "bytes": hex::encode(bytes)})
            }
        }
    });
    json!(heads)
}

pub(crate) fn exporter() -> [u8; 32] {
    seed("tls exporter")
}

pub(crate) fn session() -> Value {
    json!({
        "alpn": "rogatory/1",
        "exporter_label": "EXPORTER-rogatory-1",
        "exporter_context": "",
        "exporter_bytes": 32,
        "exporter_value": hex::encode(exporter()),
        "ses": Digest::of(&exporter()),
    })
}

pub(crate) fn tar_heads() -> Value {
    let deep = format!("data/{}/{}", "a".repeat(90), "b".repeat(60));
    let long = format!("data/{}", "c".repeat(200));
    let cases = [
        ("ustar", "data/a", 5),
        ("ustar, with a prefix", &deep, 1),
        ("pax: the path is too long for ustar", &long, 1),
        ("pax: the path is not ASCII", "data/märz.csv", 1_234),
        ("ustar: the largest size", "data/large", 8_589_934_591),
        (
            "pax: the size is too large for ustar",
            "data/larger",
            8_589_934_592,
        ),
    ];
    let heads = cases.map(|(what, path, size)| {
        let entry = TapeEntry {
            path: path.to_owned(),
            size,
            mtime: 1_795_424_400,
        };
        let bytes = hex::encode(entry.head());
        json!({"what": what, "path": path, "size": size, "mtime": entry.mtime, "bytes": bytes})
    });
    json!(heads)
}
