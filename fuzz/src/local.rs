//! Input from the same machine: calls on the local socket, the fetcher's questions and answers, and the files that
//! an auditor is given.

use std::path::Path;

use rogatory::api::types::{
    AcceptPeer, AddPeer, ApiError, OpenRequest, SealFinish, SealMany, SealRequest, WaitMany,
};
use rogatory::audit::{self, Anchors, Files, explain};
use rogatory::base::limits;
use rogatory::identity::card;
use rogatory::wire::fetch::{FetchAnswer, FetchQuestion};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The body of a call on the local socket: the first byte says of which.
pub fn call(bytes: &[u8]) {
    fn one<T: Serialize + DeserializeOwned>(body: &[u8]) {
        let Ok(value) = serde_json::from_slice::<T>(body) else {
            return;
        };
        let written = serde_json::to_vec(&value).expect("what was read can be written");
        let again: T = serde_json::from_slice(&written).expect("what was written can be read");
        let again = serde_json::to_vec(&again).expect("what was read can be written");
        assert_eq!(again, written, "the same value");
    }
    let Some((which, body)) = bytes.split_first() else {
        return;
    };
    match which {
        b'a' => one::<AddPeer>(body),
        b'b' => one::<AcceptPeer>(body),
        b'c' => one::<SealRequest>(body),
        b'd' => one::<SealMany>(body),
        b'e' => one::<SealFinish>(body),
        b'f' => one::<OpenRequest>(body),
        b'g' => one::<WaitMany>(body),
        _ => one::<ApiError>(body),
    }
}

/// Questions to the fetcher, and its answers.
pub fn fetch(bytes: &[u8]) {
    let endpoint = "bfj.example.de:7443";
    if let Ok(asked) = FetchQuestion::read(bytes) {
        let _fault: Option<&str> = card::endpoint_fault(&asked);
    }
    if let Ok(addresses) = FetchAnswer::read(bytes, endpoint) {
        assert!((1..=limits::FETCH_ADDRESSES_MAX).contains(&addresses.len()));
        let right = addresses.iter().all(|address| address.port() == 7443);
        assert!(right, "the port is the card's");
    }
}

/// A bundle for auditors: files, each as its path, a line with its length, its content; the one without a path is the
/// file of keys.
pub fn bundle(bytes: &[u8]) {
    let mut files = Files::new();
    let mut rest = bytes;
    while let Some((path, length, after)) = head(rest) {
        let (content, after) = after.split_at(after.len().min(length));
        files.insert(path, content.to_vec());
        rest = after;
    }
    let anchors = files.remove("").unwrap_or_default();
    let anchors = Anchors::parse(&anchors).unwrap_or_default();
    for (path, content) in &files {
        if let Ok(told) = explain::explain(Path::new(path), content, &anchors) {
            assert!(!told.words.is_empty(), "something is said");
        }
    }
    let judged = audit::verify(&files, &anchors, 1);
    if !audit::intact(&files).is_empty() {
        assert!(!judged.faults.is_empty(), "a changed bundle is not good");
    }
    if anchors.all().is_empty() {
        assert!(
            judged.signatures != audit::Answered::Good,
            "without keys nothing is proved"
        );
    }
}

/// `path\nlength\n`, the first at most 200 bytes, the second at most 5 digits; and what comes after.
fn head(bytes: &[u8]) -> Option<(String, usize, &[u8])> {
    let line = |bytes: &[u8], most: usize| {
        let at = bytes
            .iter()
            .take(most + 1)
            .position(|byte| *byte == b'\n')?;
        String::from_utf8(bytes[..at].to_vec()).ok()
    };
    let path = line(bytes, 200)?;
    let rest = &bytes[path.len() + 1..];
    let length = line(rest, 5)?;
    Some((path, length.parse().ok()?, &rest[length.len() + 1..]))
}
