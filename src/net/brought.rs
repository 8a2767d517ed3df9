//! Certificates of an authority's existing PKI, for those who do not want the built-in one.

use std::path::Path;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use crate::base::AuthorityId;
use crate::base::Timestamp;
use crate::config::SecretFault;
use crate::config::files;
use crate::identity::PeerSide;
use crate::identity::Refusal;
use crate::identity::Trust;
use crate::identity::TrustedPeer;
use crate::identity::check_crl;

/// What is read from a folder: `tls-ca.pem`, `tls.pem`, `tls.key` (closed to others) and `tls-ca.crl` (DER or PEM).
pub struct Brought {
    /// The CA's certificate. Its private key is not wanted here.
    pub ca: CertificateDer<'static>,
    /// The chain, leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf's private key, PEM.
    pub key_pem: Zeroizing<String>,
    /// The CA's newest revocation list.
    pub crl: CertificateRevocationListDer<'static>,
}

impl std::fmt::Debug for Brought {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Brought")
    }
}

/// Why certificates that were brought along are not taken.
#[derive(Debug, thiserror::Error)]
pub enum BroughtFault {
    /// A file of them cannot be used.
    #[error(transparent)]
    File(#[from] SecretFault),
    /// The revocation list is none.
    #[error("tls-ca.crl is refused: {0}")]
    Crl(Refusal),
    /// Any peer would refuse the chain.
    #[error("every peer would refuse these certificates: {0}")]
    Refused(Refusal),
    /// Key and certificate do not belong together.
    #[error(
        "tls.key is not the key of the first certificate in tls.pem, or of a kind that cannot be used: take ECDSA P-256"
    )]
    NotAPair,
}

impl Brought {
    /// Reads the folder and judges its certificates as a peer would.
    pub fn read(folder: &Path, id: &AuthorityId, now: Timestamp) -> Result<Self, BroughtFault> {
        let crl_path = folder.join("tls-ca.crl");
        let key_path = folder.join("tls.key");
        let brought = Self {
            ca: files::tls_chain(&folder.join("tls-ca.pem"))?.swap_remove(0),
            chain: files::tls_chain(&folder.join("tls.pem"))?,
            key_pem: files::secret_text(&key_path)?,
            crl: crl(files::public_bytes(&crl_path)?),
        };
        let key = files::tls_key(&key_path)?;
        brought.judge(id, now)?;
        let pair = brought
            .chain
            .first()
            .is_some_and(|leaf| files::are_pair(&key, leaf));
        pair.then_some(brought).ok_or(BroughtFault::NotAPair)
    }

    #[expect(clippy::expect_used, reason = "constants of ours are names")]
    fn judge(&self, id: &AuthorityId, now: Timestamp) -> Result<(), BroughtFault> {
        let cas = vec![self.ca.clone()];
        check_crl(&self.crl, &cas, now).map_err(BroughtFault::Crl)?;
        let peer = TrustedPeer {
            id: id.clone(),
            alias: "own".parse().expect("a good alias"),
            cas,
            crl: Some(self.crl.clone()),
            allow_classic: false,
        };
        // As somebody else would: nobody takes a certificate with the own name from the other end.
        let somebody: AuthorityId = "somebody.invalid".parse().expect("a good name");
        let trust = Trust::new(somebody, vec![peer]);
        let (leaf, intermediates) = self.chain.split_first().ok_or(BroughtFault::NotAPair)?;
        for side in [PeerSide::Client, PeerSide::Server] {
            trust
                .authenticate(leaf, intermediates, side, Some(id), now)
                .map_err(BroughtFault::Refused)?;
        }
        Ok(())
    }
}

/// OpenSSL writes PEM unless it is told otherwise; peers take DER.
fn crl(bytes: Vec<u8>) -> CertificateRevocationListDer<'static> {
    match CertificateRevocationListDer::from_pem_slice(&bytes) {
        Ok(der) => der,
        Err(_) => bytes.into(),
    }
}
