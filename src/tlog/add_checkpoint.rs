//! The submission of a log's owner to a witness: a newer checkpoint and the proof that it continues an older one (C2SP
//! tlog-witness, body of add-checkpoint).

use crate::base::{Digest, limits};
use crate::identity::note::NoteFault;
use crate::tlog::lines;

/// A submission, not verified in any way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size from which the proof leads on; 0 if the witness has seen none.
    pub old: u64,
    /// The consistency proof from there.
    pub proof: Vec<Digest>,
    /// The checkpoint, a signed note, verbatim.
    pub checkpoint: Vec<u8>,
}

/// Why bytes are not a submission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddFault {
    /// More bytes than a submission may have.
    #[error("the submission has {0} bytes, at most {max} are allowed", max = limits::ADD_CHECKPOINT_BYTES_MAX)]
    TooLong(usize),
    /// Not a signed note at its end, or not text at all.
    #[error(transparent)]
    Note(#[from] NoteFault),
    /// The first line is not `old` and a size.
    #[error("a submission begins with `old` and a plain decimal size")]
    Old,
    /// A line of the proof is not a hash.
    #[error("line {0} of the proof is not the base64 of 32 bytes")]
    Hash(usize),
    /// More hashes than a proof may have.
    #[error("the proof has more than {max} hashes", max = limits::PROOF_HASHES_MAX)]
    Hashes,
    /// No empty line between proof and checkpoint.
    #[error("no empty line separates proof and checkpoint")]
    NoBlankLine,
}

impl AddFault {
    /// A stable name of the fault.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong(_) => "add-checkpoint-too-long",
            Self::Note(fault) => fault.code(),
            Self::Old => "add-checkpoint-old",
            Self::Hash(_) => "add-checkpoint-hash",
            Self::Hashes => "add-checkpoint-hashes",
            Self::NoBlankLine => "add-checkpoint-no-blank-line",
        }
    }
}

impl AddCheckpoint {
    /// The bytes of the submission.
    pub fn encode(&self) -> Vec<u8> {
        let mut text = format!("old {}\n", self.old);
        for hash in &self.proof {
            text.push_str(&lines::write_hash(hash));
            text.push('\n');
        }
        text.push('\n');
        [text.as_bytes(), &self.checkpoint].concat()
    }

    /// Reads a submission; the checkpoint in it is not looked at.
    pub fn parse(bytes: &[u8]) -> Result<Self, AddFault> {
        if bytes.len() > limits::ADD_CHECKPOINT_BYTES_MAX {
            return Err(AddFault::TooLong(bytes.len()));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| NoteFault::NotUtf8)?;
        let (head, checkpoint) = text.split_once("\n\n").ok_or(AddFault::NoBlankLine)?;
        let mut head = head.split('\n');
        let old = head.next().and_then(|line| line.strip_prefix("old "));
        let old = old.and_then(lines::decimal).ok_or(AddFault::Old)?;
        let mut proof = Vec::new();
        for (number, line) in (1..).zip(head) {
            if number > limits::PROOF_HASHES_MAX {
                return Err(AddFault::Hashes);
            }
            let hash = lines::hash(line).ok_or(AddFault::Hash(number))?;
            proof.push(hash);
        }
        Ok(Self {
            old,
            proof,
            checkpoint: checkpoint.as_bytes().to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The example of the specification.
    const EXAMPLE: &str = "old 20852014\n\
        PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n\
        jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n\
        5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n\
        /6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n\
        \n\
        example.com/behind-the-sofa\n\
        20852163\n\
        CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\
        \n\
        \u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";

    #[test]
    fn the_example_of_the_specification() {
        let read = AddCheckpoint::parse(EXAMPLE.as_bytes()).unwrap();
        assert_eq!((read.old, read.proof.len()), (20_852_014, 4));
        assert!(
            read.checkpoint
                .starts_with(b"example.com/behind-the-sofa\n")
        );
        assert_eq!(read.encode(), EXAMPLE.as_bytes());
        let first = AddCheckpoint::parse(b"old 0\n\nnote").unwrap();
        assert_eq!((first.old, first.proof), (0, vec![]));
    }

    #[test]
    fn every_rule() {
        let check = |bytes: &[u8], code: &str| {
            let got = AddCheckpoint::parse(bytes).map_or_else(|fault| fault.code(), |_| "good");
            assert_eq!(got, code, "{}", String::from_utf8_lossy(bytes));
        };
        let line = format!("{}\n", lines::write_hash(&Digest::of(b"")));
        let with = |count| format!("old 1\n{}\nnote", line.repeat(count)).into_bytes();
        check(&with(limits::PROOF_HASHES_MAX), "good");
        check(&with(limits::PROOF_HASHES_MAX + 1), "add-checkpoint-hashes");
        check(
            &vec![b'a'; limits::ADD_CHECKPOINT_BYTES_MAX + 1],
            "add-checkpoint-too-long",
        );
        for (text, code) in [
            ("", "add-checkpoint-no-blank-line"),
            ("old 0\nnote", "add-checkpoint-no-blank-line"),
            ("\n\nnote", "add-checkpoint-old"),
            ("old\n\nnote", "add-checkpoint-old"),
            ("old 01\n\nnote", "add-checkpoint-old"),
            ("old -1\n\nnote", "add-checkpoint-old"),
            ("old 1\r\n\nnote", "add-checkpoint-old"),
            ("new 1\n\nnote", "add-checkpoint-old"),
            ("old 1\nAAAA\n\nnote", "add-checkpoint-hash"),
            ("old 1\n \n\nnote", "add-checkpoint-hash"),
        ] {
            check(text.as_bytes(), code);
        }
        check(b"old 1\n\n\xff", "note-not-utf8");
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(read) = AddCheckpoint::parse(&bytes) {
                prop_assert_eq!(read.encode(), bytes);
            }
        }
    }
}
