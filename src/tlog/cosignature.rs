//! Cosignatures: a witness says when it saw a head and that it continues every one it saw before (C2SP
//! tlog-cosignature, Ed25519).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::base::{KeyId, limits};
use crate::identity::keys::{KeyName, PublicKey, SecretKey};
use crate::identity::note;
use crate::identity::note::SignatureLine;
use crate::tlog::Checkpoint;

/// The signature type of Ed25519 cosignatures.
pub const COSIGNATURE_ED25519: u8 = 0x04;

/// Why a line is not this witness's cosignature on a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CosignatureFault {
    /// No line of this witness.
    #[error("{0} has not cosigned the checkpoint")]
    Absent(KeyName),
    /// Not 8 bytes of time and 64 of signature, or a time outside 0 to 2^53 − 1.
    #[error("the cosignature of {0} is malformed")]
    Malformed(KeyName),
    /// The signature does not verify.
    #[error("the cosignature of {0} does not verify: it was changed or forged")]
    Bad(KeyName),
}

impl CosignatureFault {
    /// A stable name of the fault.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Absent(_) => "cosignature-absent",
            Self::Malformed(_) => "cosignature-malformed",
            Self::Bad(_) => "cosignature-bad",
        }
    }
}

/// The id under which this key cosigns; not the one under which it signs notes.
pub fn cosigner_id(key: &PublicKey) -> KeyId {
    note::key_id(&key.name().to_string(), COSIGNATURE_ED25519, key.bytes())
}

/// The key as the vkey of a cosigner, for other programs: `name+id+base64(0x04 ‖ key)`.
pub fn cosigner_vkey(key: &PublicKey) -> String {
    let mut blob = vec![COSIGNATURE_ED25519];
    blob.extend_from_slice(key.bytes());
    let id = cosigner_id(key);
    format!("{}+{id}+{}", key.name(), STANDARD.encode(blob))
}

/// The signed text: a line that names the format, the time in whole seconds since 1970, the checkpoint's own lines.
pub fn message(checkpoint: &Checkpoint, seconds: u64) -> String {
    format!("cosignature/v1\ntime {seconds}\n{}", checkpoint.text())
}

/// Cosigns a checkpoint. Who calls this has made sure that it continues the newest one cosigned, durably.
pub fn cosign(checkpoint: &Checkpoint, seconds: u64, key: &SecretKey) -> SignatureLine {
    let mut signature = seconds.to_be_bytes().to_vec();
    signature.extend_from_slice(&key.sign(message(checkpoint, seconds).as_bytes()));
    SignatureLine {
        name: key.name().to_string(),
        id: cosigner_id(&key.public()),
        signature,
    }
}

/// Verifies one line as the cosignature of this witness and gives its time, in seconds since 1970.
pub fn verify(
    checkpoint: &Checkpoint,
    line: &SignatureLine,
    witness: &PublicKey,
) -> Result<u64, CosignatureFault> {
    let name = || witness.name().clone();
    if line.name != witness.name().to_string() || line.id != cosigner_id(witness) {
        return Err(CosignatureFault::Absent(name()));
    }
    let Some((seconds, signature)) = line.signature.split_first_chunk::<8>() else {
        return Err(CosignatureFault::Malformed(name()));
    };
    let seconds = u64::from_be_bytes(*seconds);
    if signature.len() != 64 || seconds > limits::JSON_INTEGER_MAX.unsigned_abs() {
        return Err(CosignatureFault::Malformed(name()));
    }
    if witness.verify(message(checkpoint, seconds).as_bytes(), signature) {
        Ok(seconds)
    } else {
        Err(CosignatureFault::Bad(name()))
    }
}

/// When this witness cosigned the checkpoint, by the first line of its name and id among these.
pub fn find(
    checkpoint: &Checkpoint,
    lines: &[SignatureLine],
    witness: &PublicKey,
) -> Result<u64, CosignatureFault> {
    let (name, id) = (witness.name().to_string(), cosigner_id(witness));
    let line = lines.iter().find(|line| line.name == name && line.id == id);
    match line {
        Some(line) => verify(checkpoint, line, witness),
        None => Err(CosignatureFault::Absent(witness.name().clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Digest;
    use crate::identity::keys::Role;

    fn key(authority: &str, role: Role, seed: u8) -> SecretKey {
        SecretKey::from_seed(KeyName::new(authority.parse().unwrap(), role), &[seed; 32])
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            origin: "mla.example.ie/log".to_owned(),
            size: 3,
            root: Digest::of(b"root"),
        }
    }

    #[test]
    fn a_cosignature_verifies_and_stands_on_the_checkpoint() {
        let witness = key("bfj.example.de", Role::Witness, 9);
        let (checkpoint, log) = (checkpoint(), key("mla.example.ie", Role::Log, 7));
        let line = cosign(&checkpoint, 1_795_424_400, &witness);
        let mut note = checkpoint.sign(&log);
        note.extend(line.encode().into_bytes());
        let (read, lines) = Checkpoint::parse(&note).unwrap();
        assert_eq!(lines.len(), 2);
        let witness = witness.public();
        assert_eq!(find(&read, &lines, &witness), Ok(1_795_424_400));
        assert_ne!(cosigner_id(&witness), witness.id());
        assert!(cosigner_vkey(&witness).contains(&cosigner_id(&witness).to_string()));
        assert_eq!(
            find(&read, &lines[..1], &witness).unwrap_err().code(),
            "cosignature-absent"
        );
    }

    /// The example of the specification: its key is not given, so its shape only.
    #[test]
    fn the_example_of_the_specification_reads() {
        let note = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
            \u{2014} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";
        let (_, lines) = note::split(note.as_bytes(), 8).unwrap();
        let time = lines[0].signature.first_chunk::<8>().unwrap();
        assert_eq!(u64::from_be_bytes(*time), 1_679_315_147);
        assert_eq!(lines[0].signature.len(), 72);
    }

    #[test]
    fn every_change_is_refused() {
        let witness = key("bfj.example.de", Role::Witness, 9);
        let good = cosign(&checkpoint(), 5, &witness);
        let check = |change: &dyn Fn(&mut SignatureLine, &mut Checkpoint), code| {
            let (mut line, mut checkpoint) = (good.clone(), checkpoint());
            change(&mut line, &mut checkpoint);
            let got = verify(&checkpoint, &line, &witness.public());
            assert_eq!(got.map_or_else(|fault| fault.code(), |_| "good"), code);
        };
        check(&|_, _| (), "good");
        check(&|line, _| line.signature[7] ^= 1, "cosignature-bad");
        check(&|line, _| line.signature[0] = 0x80, "cosignature-malformed");
        check(&|line, _| line.signature[20] ^= 1, "cosignature-bad");
        check(
            &|line, _| line.signature.truncate(71),
            "cosignature-malformed",
        );
        check(
            &|line, _| line.signature.truncate(7),
            "cosignature-malformed",
        );
        check(&|line, _| line.signature.push(0), "cosignature-malformed");
        check(
            &|line, _| line.id = KeyId::from_bytes([0; 4]),
            "cosignature-absent",
        );
        check(&|line, _| line.name.push('x'), "cosignature-absent");
        check(&|_, checkpoint| checkpoint.size += 1, "cosignature-bad");
        check(
            &|_, checkpoint| checkpoint.root = Digest::of(b""),
            "cosignature-bad",
        );
        check(
            &|_, checkpoint| checkpoint.origin.push('x'),
            "cosignature-bad",
        );
    }
}
