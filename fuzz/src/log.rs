//! Documents about logs that others send and publish: checkpoints, cosignatures, submissions, proofs, tiles.

use rogatory::base::{Digest, limits};
use rogatory::identity::keys::{KeyName, PublicKey, Role, SecretKey};
use rogatory::identity::note;
use rogatory::tlog::{
    self, AddCheckpoint, Checkpoint, Frontier, ProofFile, Tile, TileKind, cosignature as cosigning,
    proof as proving, tile as tiles,
};

/// The log and the witness of the protocol's test vectors.
const LOG: &str = "bfj.example.de";
const WITNESS: &str = "mla.example.ie";

fn key(authority: &str, role: Role) -> PublicKey {
    let name = KeyName::new(authority.parse().expect("a name"), role);
    let seed = Digest::of(format!("rogatory vectors: {name}").as_bytes());
    SecretKey::from_seed(name, seed.as_bytes()).public()
}

/// A signed tree head.
pub fn checkpoint(bytes: &[u8]) {
    let Ok((checkpoint, signatures)) = Checkpoint::parse(bytes) else {
        return;
    };
    let lines: String = signatures.iter().map(note::SignatureLine::encode).collect();
    let again = format!("{}\n{lines}", checkpoint.text());
    assert_eq!(again.as_bytes(), bytes, "one spelling");
    if let Ok(opened) = Checkpoint::open(bytes, &key(LOG, Role::Log)) {
        assert_eq!(opened, checkpoint, "what is signed is what is read");
    }
}

/// The line with which a witness answers a submission, and every line of a cosigned checkpoint.
pub fn cosignature(bytes: &[u8]) {
    let witness = key(WITNESS, Role::Witness);
    let whole = [b"cosignature\n\n", bytes].concat();
    let head = Checkpoint {
        origin: format!("{LOG}/log"),
        size: 3,
        root: Digest::of(b"root"),
    };
    if let Ok((text, lines)) = note::split(&whole, limits::CHECKPOINT_SIGNATURES_MAX) {
        let again: String = lines.iter().map(note::SignatureLine::encode).collect();
        assert_eq!(format!("{text}\n{again}").as_bytes(), whole, "one spelling");
        assert!(lines.len() <= limits::CHECKPOINT_SIGNATURES_MAX, "a limit");
        for line in &lines {
            let judged = cosigning::verify(&head, line, &witness);
            assert!(judged.is_err(), "nobody has cosigned this head");
        }
    }
    let Ok((head, lines)) = Checkpoint::parse(bytes) else {
        return;
    };
    if let Ok(seconds) = cosigning::find(&head, &lines, &witness) {
        assert!(
            seconds <= limits::JSON_INTEGER_MAX.unsigned_abs(),
            "a limit"
        );
    }
}

/// A submission of a log's owner to a witness: the newer checkpoint and the proof.
pub fn add_checkpoint(bytes: &[u8]) {
    let Ok(add) = AddCheckpoint::parse(bytes) else {
        return;
    };
    assert_eq!(add.encode(), bytes, "one spelling");
    assert!(add.proof.len() <= limits::PROOF_HASHES_MAX, "a limit");
    let Ok((head, _)) = Checkpoint::parse(&add.checkpoint) else {
        return;
    };
    let (old, new) = ((add.old, &Digest::of(b"")), (head.size, &head.root));
    if proving::verify_consistency(old, new, &add.proof).is_ok() {
        assert!(add.old <= head.size, "a log does not shrink");
        let is_bare = add.old == 0 || add.old == head.size;
        assert_eq!(
            add.proof.is_empty(),
            is_bare,
            "what was added is on the way"
        );
    }
}

/// A C2SP tlog-proof file.
pub fn proof_file(bytes: &[u8]) {
    let Ok(file) = ProofFile::parse(bytes) else {
        return;
    };
    assert_eq!(file.encode(), bytes, "one spelling");
    assert!(file.proof.len() <= limits::PROOF_HASHES_MAX, "a limit");
    let leaf = tlog::leaf_hash(bytes);
    let judged = file.verify(&leaf, &key(LOG, Role::Log));
    assert!(judged.is_err(), "the file itself is in no log");
}

/// Proofs of any sizes: two numbers, a root, hashes.
pub fn proof(bytes: &[u8]) {
    let Some((numbers, rest)) = bytes.split_first_chunk::<16>() else {
        return;
    };
    let (one, two) = numbers.split_at(8);
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("8 bytes"));
    let (one, two) = (number(one), number(two));
    let (hashes, _) = rest.as_chunks::<32>();
    let hashes: Vec<_> = hashes.iter().copied().map(Digest::from_bytes).collect();
    let Some((root, path)) = hashes.split_first() else {
        return;
    };
    let leaf = Digest::of(b"leaf");
    if proving::verify_inclusion(&leaf, one, two, path, root).is_ok() {
        assert!(one < two, "a leaf is within the log");
        assert_eq!(path.is_empty(), two == 1, "others are on the way");
        let other = Digest::of(b"other");
        let judged = proving::verify_inclusion(&other, one, two, path, root);
        assert!(judged.is_err(), "one leaf at one place");
    }
    if proving::verify_consistency((one, &leaf), (two, root), path).is_ok() {
        assert!(one <= two, "a log does not shrink");
        let is_bare = one == 0 || one == two;
        assert_eq!(path.is_empty(), is_bare, "what was added is on the way");
    }
}

/// A tile or a bundle of entries: its path, a newline, its content.
pub fn tile(bytes: &[u8]) {
    let Some(at) = bytes.iter().position(|byte| *byte == b'\n') else {
        return;
    };
    let (path, content) = (&bytes[..at], &bytes[at + 1..]);
    let Ok(path) = std::str::from_utf8(path) else {
        return;
    };
    let Ok(tile) = Tile::parse_path(path) else {
        return;
    };
    assert_eq!(tile.path(), path, "one spelling");
    match tile.kind {
        TileKind::Hashes(_) => {
            if let Ok(hashes) = tile.hashes(content) {
                assert_eq!(hashes.len() as u64, tile.width);
                assert_eq!(tiles::write_hashes(&hashes), content, "one spelling");
            }
        }
        TileKind::Entries => {
            let Ok(entries) = tile.entries(content) else {
                return;
            };
            assert_eq!(entries.len() as u64, tile.width);
            assert_eq!(
                tiles::write_entries(entries.iter().copied()).as_deref(),
                Ok(content),
                "one spelling"
            );
            for entry in entries {
                if let Some(commitment) = tlog::parse_leaf_entry(entry) {
                    assert_eq!(tlog::leaf_entry(&commitment), entry, "one spelling");
                }
            }
        }
    }
}

/// A stored frontier of the log, as little-endian size and peaks.
pub fn tlog(bytes: &[u8]) {
    let Some((size, rest)) = bytes.split_first_chunk::<8>() else {
        return;
    };
    let peaks = rest.chunks_exact(32).map(|peak| {
        let peak: [u8; 32] = peak.try_into().expect("chunks of 32");
        Digest::from_bytes(peak)
    });
    let size = u64::from_le_bytes(*size) >> 1;
    let Some(mut frontier) = Frontier::from_parts(size, peaks.collect()) else {
        return;
    };
    frontier.append(Digest::of(bytes));
    assert_eq!(frontier.size(), size + 1, "one leaf more");
}
