//! Certificates of an authority's existing PKI, for those who do not want the built-in one.

use std::path::Path;

use rustls_pki_types::CertificateDer;
use zeroize::Zeroizing;

use crate::base::{AuthorityId, Timestamp};
use crate::config::{SecretFault, files};
use crate::identity::revocation::{self, RevocationList};
use crate::identity::{PeerSide, Refusal, Trust, TrustedPeer};

/// Reads from a folder `tls-ca.pem`, `tls.pem`, `tls.key` (closed to others) and `tls-ca.crl` (DER, or PEM with the
/// lists of all CAs on the way from the leaf to that in `tls-ca.pem`).
pub struct Brought {
    /// The CA's certificate. Its private key is not wanted here.
    pub ca: CertificateDer<'static>,
    /// The chain, leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf's private key, PEM.
    pub key_pem: Zeroizing<String>,
    /// The newest revocation lists of that CA and of those below it.
    pub lists: Vec<RevocationList>,
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
    /// The revocation lists are none, or not those that are needed.
    #[error("tls-ca.crl is refused: {}", .0.for_owner())]
    Crl(Refusal),
    /// Any peer would refuse the chain.
    #[error("every peer would refuse these certificates: {}", .0.for_owner())]
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
        let ca = files::tls_chain(&folder.join("tls-ca.pem"))?.swap_remove(0);
        let chain = files::tls_chain(&folder.join("tls.pem"))?;
        let file = files::crl_file(&crl_path)?;
        let lists = revocation::lists_in(&file, std::slice::from_ref(&ca), &chain);
        let brought = Self {
            lists: lists.map_err(BroughtFault::Crl)?,
            ca,
            chain,
            key_pem: files::secret_text(&key_path)?,
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
        let mut lists = self.lists.iter();
        lists
            .try_for_each(|list| list.check_dates(now))
            .map_err(BroughtFault::Crl)?;
        let peer = TrustedPeer {
            id: id.clone(),
            alias: "own".parse().expect("a good alias"),
            cas,
            lists: self.lists.iter().map(RevocationList::held).collect(),
            others: Vec::new(),
            allow_classic: false,
        };
        // As somebody else would: nobody takes a certificate with the own name from the other end.
        let somebody: AuthorityId = "somebody.invalid".parse().expect("a good name");
        let trust = Trust::new(somebody, vec![peer]);
        let (leaf, intermediates) = self.chain.split_first().ok_or(BroughtFault::NotAPair)?;
        for side in [PeerSide::Client, PeerSide::Server] {
            trust
                .authenticate(leaf, intermediates, side, Some(id), now)
                .map_err(|refusal| {
                    if matches!(refusal, Refusal::CrlMissing { .. }) {
                        BroughtFault::Crl(refusal)
                    } else {
                        BroughtFault::Refused(refusal)
                    }
                })?;
        }
        Ok(())
    }
}
