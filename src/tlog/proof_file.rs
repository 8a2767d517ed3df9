//! A file that proves by itself that an entry is in a log: index, inclusion proof, cosigned checkpoint (C2SP
//! tlog-proof).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::base::{Digest, limits};
use crate::identity::keys::PublicKey;
use crate::tlog::proof::ProofFault;
use crate::tlog::{Checkpoint, CheckpointFault, lines, proof};

/// The first line.
const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// A proof file as read: well-formed, nothing of it verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofFile {
    /// Bytes that nothing vouches for.
    pub extra: Option<Vec<u8>>,
    /// Index of the entry.
    pub index: u64,
    /// Its inclusion proof.
    pub proof: Vec<Digest>,
    /// The checkpoint, a signed note, verbatim.
    pub checkpoint: Vec<u8>,
}

/// Why bytes are not a proof file, or one that does not prove that an entry is in the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofFileFault {
    /// More bytes than a proof file may have.
    #[error("the proof file has {0} bytes, at most {max} are allowed", max = limits::PROOF_FILE_BYTES_MAX)]
    TooLong(usize),
    /// Not UTF-8.
    #[error("the proof file is not UTF-8 text")]
    NotUtf8,
    /// Another first line.
    #[error("the first line of a proof file is {HEADER}")]
    Header,
    /// The extra data is not canonical base64.
    #[error("the extra data of the proof file is not canonical base64")]
    Extra,
    /// No line `index` with a plain decimal.
    #[error("the proof file does not have a line `index` with a plain decimal number")]
    Index,
    /// A line of the proof is not a hash.
    #[error("hash {0} of the proof file is not the base64 of 32 bytes")]
    Hash(usize),
    /// No empty line between proof and checkpoint.
    #[error("no empty line separates proof and checkpoint")]
    NoBlankLine,
    /// The checkpoint is not one of this log.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointFault),
    /// The proof does not lead from the entry to the checkpoint's root.
    #[error(transparent)]
    Proof(#[from] ProofFault),
}

impl ProofFileFault {
    /// A stable name of the fault.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong(_) => "proof-file-too-long",
            Self::NotUtf8 => "proof-file-not-utf8",
            Self::Header => "proof-file-header",
            Self::Extra => "proof-file-extra",
            Self::Index => "proof-file-index",
            Self::Hash(_) => "proof-file-hash",
            Self::NoBlankLine => "proof-file-no-blank-line",
            Self::Checkpoint(fault) => fault.code(),
            Self::Proof(fault) => fault.code(),
        }
    }
}

impl ProofFile {
    /// The bytes of the file.
    pub fn encode(&self) -> Vec<u8> {
        let mut text = format!("{HEADER}\n");
        if let Some(extra) = &self.extra {
            text += &["extra ", &STANDARD.encode(extra), "\n"].concat();
        }
        text += &["index ", &self.index.to_string(), "\n"].concat();
        for hash in &self.proof {
            text.push_str(&lines::write_hash(hash));
            text.push('\n');
        }
        text.push('\n');
        [text.as_bytes(), &self.checkpoint].concat()
    }

    /// Reads a proof file; the checkpoint in it is not looked at.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofFileFault> {
        if bytes.len() > limits::PROOF_FILE_BYTES_MAX {
            return Err(ProofFileFault::TooLong(bytes.len()));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| ProofFileFault::NotUtf8)?;
        let head_and_note = text.split_once("\n\n");
        let (head, checkpoint) = head_and_note.ok_or(ProofFileFault::NoBlankLine)?;
        let mut head = head.split('\n').peekable();
        if head.next() != Some(HEADER) {
            return Err(ProofFileFault::Header);
        }
        let extra = head.next_if_map(|line| line.strip_prefix("extra ").ok_or(line));
        let extra = extra.map(|text| STANDARD.decode(text));
        let extra = extra.transpose().map_err(|_| ProofFileFault::Extra)?;
        let index = head.next().and_then(|line| line.strip_prefix("index "));
        let index = index
            .and_then(lines::decimal)
            .ok_or(ProofFileFault::Index)?;
        let mut proof = Vec::new();
        for (number, line) in (1..).zip(head) {
            if number > limits::PROOF_HASHES_MAX {
                return Err(ProofFault::TooLong(number).into());
            }
            let hash = lines::hash(line).ok_or(ProofFileFault::Hash(number))?;
            proof.push(hash);
        }
        Ok(Self {
            extra,
            index,
            proof,
            checkpoint: checkpoint.as_bytes().to_vec(),
        })
    }

    /// Verifies that the entry with this leaf hash is in the log of this key, and gives the head for which that is
    /// proved. Who cosigned it, [`crate::tlog::cosignature::find`] says.
    pub fn verify(
        &self,
        leaf_hash: &Digest,
        log: &PublicKey,
    ) -> Result<Checkpoint, ProofFileFault> {
        let head = Checkpoint::open(&self.checkpoint, log)?;
        proof::verify_inclusion(leaf_hash, self.index, head.size, &self.proof, &head.root)?;
        Ok(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::keys::{KeyName, Role, SecretKey};
    use crate::tlog::tree;
    use proptest::prelude::*;

    fn key(seed: u8) -> SecretKey {
        let name = KeyName::new("mla.example.ie".parse().unwrap(), Role::Log);
        SecretKey::from_seed(name, &[seed; 32])
    }

    fn leaf(number: u8) -> Digest {
        tree::leaf_hash(&[number])
    }

    /// Leaf 1 of three.
    fn good() -> ProofFile {
        let first = tree::node_hash(&leaf(0), &leaf(1));
        let head = Checkpoint {
            origin: "mla.example.ie/log".to_owned(),
            size: 3,
            root: tree::node_hash(&first, &leaf(2)),
        };
        ProofFile {
            extra: None,
            index: 1,
            proof: vec![leaf(0), leaf(2)],
            checkpoint: head.sign(&key(7)),
        }
    }

    #[test]
    fn a_proof_is_written_read_and_verified() {
        for extra in [None, Some(vec![]), Some(b"extra".to_vec())] {
            let file = ProofFile { extra, ..good() };
            let read = ProofFile::parse(&file.encode()).unwrap();
            assert_eq!(read, file);
            let head = read.verify(&leaf(1), &key(7).public()).unwrap();
            assert_eq!(head.size, 3);
        }
        assert!(
            good()
                .encode()
                .starts_with(b"c2sp.org/tlog-proof@v1\nindex 1\n")
        );
    }

    #[test]
    fn every_rule() {
        let check = |from: &str, to: &str, code: &str| {
            let text = String::from_utf8(good().encode()).unwrap();
            assert!(text.contains(from), "{from:?}");
            let read = ProofFile::parse(text.replacen(from, to, 1).as_bytes());
            let got = read.and_then(|file| file.verify(&leaf(1), &key(7).public()));
            let got = got.map_or_else(|fault| fault.code(), |_| "good");
            assert_eq!(got, code, "{from:?} -> {to:?}");
        };
        check("index", "index", "good");
        check("index", "extra AAAA\nindex", "good");
        check("index", "extra AAA\nindex", "proof-file-extra");
        check("index", "extra AAAA\nextra AAAA\nindex", "proof-file-index");
        check("@v1", "@v2", "proof-file-header");
        check("index 1", "index 01", "proof-file-index");
        check("index 1", "index", "proof-file-index");
        check("index 1", "index 2", "proof-length");
        check("index 1", "index 0", "proof-root");
        check("index 1", "index 3", "proof-outside");
        check("index 1\n", "index 1\nAAAA\n", "proof-file-hash");
        check("index 1\n", "index 1\n\n", "checkpoint-lines");
        check("\n\n", "\n", "proof-file-hash");
        check("\n3\n", "\n4\n", "checkpoint-bad-signature");
        let hash = format!("{}\n", lines::write_hash(&leaf(0)));
        check(&hash, "", "proof-length");
        check(
            &hash,
            &hash.repeat(limits::PROOF_HASHES_MAX),
            "proof-too-long",
        );
        let code = |bytes: &[u8]| ProofFile::parse(bytes).unwrap_err().code();
        assert_eq!(
            code(&vec![b'a'; limits::PROOF_FILE_BYTES_MAX + 1]),
            "proof-file-too-long"
        );
        assert_eq!(code(b"\xff"), "proof-file-not-utf8");
        assert_eq!(code(b"text"), "proof-file-no-blank-line");
        let other = good().verify(&leaf(1), &key(8).public()).unwrap_err();
        assert_eq!(other.code(), "checkpoint-not-signed");
        let other = good().verify(&leaf(2), &key(7).public()).unwrap_err();
        assert_eq!(other.code(), "proof-root");
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let bytes = [b"c2sp.org/tlog-proof@v1\nindex 1\n", bytes.as_slice()].concat();
            if let Ok(read) = ProofFile::parse(&bytes) {
                prop_assert_eq!(read.encode(), bytes);
            }
        }
    }
}
