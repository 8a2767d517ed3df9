//! From a TLS certificate to a [`Peer`]: who is at the other end, or exactly why not.
//!
//! The peer is found by the one DNS name in its certificate, the chain must end in a CA of that peer's card, and that
//! CA's revocation list must be current: one authority's CA never speaks for another.

use std::collections::BTreeMap;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::TrustAnchor;
use rustls_pki_types::UnixTime;
use webpki::{EndEntityCert, KeyUsage, RevocationOptionsBuilder};
use x509_parser::prelude::FromDer as _;
use x509_parser::prelude::GeneralName;
use x509_parser::prelude::X509Certificate;

use crate::base::Alias;
use crate::base::AuthorityId;
use crate::base::Timestamp;
use crate::base::limits;
pub use crate::identity::refusal::Refusal;
use crate::identity::revocation::timestamp;

/// An authority whose card was accepted.
#[derive(Debug, Clone)]
pub struct TrustedPeer {
    /// The authority.
    pub id: AuthorityId,
    /// Its local short name.
    pub alias: Alias,
    /// The CA certificates of its card.
    pub cas: Vec<CertificateDer<'static>>,
    /// The newest revocation list of its CA.
    pub crl: Option<CertificateRevocationListDer<'static>>,
    /// Whether the operator allows key exchange without ML-KEM with it.
    pub allow_classic: bool,
}

/// Whom this authority talks to.
#[derive(Debug, Clone)]
pub struct Trust {
    own: AuthorityId,
    peers: BTreeMap<AuthorityId, TrustedPeer>,
}

/// What the other end is in the TLS handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerSide {
    /// It dialled us.
    Client,
    /// We dialled it.
    Server,
}

/// The authenticated other end of a connection; only [`Trust::authenticate`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    id: AuthorityId,
    alias: Alias,
    leaf_expires: Timestamp,
}

impl Peer {
    /// Who it is.
    pub const fn id(&self) -> &AuthorityId {
        &self.id
    }

    /// Its local short name.
    pub const fn alias(&self) -> &Alias {
        &self.alias
    }

    /// When the certificate it showed ends.
    pub const fn leaf_expires(&self) -> Timestamp {
        self.leaf_expires
    }
}

/// A presented chain and the moment and use it is judged for.
struct Chain<'a> {
    leaf: &'a EndEntityCert<'a>,
    intermediates: &'a [CertificateDer<'a>],
    side: PeerSide,
    now: UnixTime,
}

impl Chain<'_> {
    fn ends_in(
        &self,
        anchors: &[TrustAnchor<'_>],
        revocation: Option<webpki::RevocationOptions<'_>>,
    ) -> Result<(), webpki::Error> {
        let usage = match self.side {
            PeerSide::Client => KeyUsage::client_auth(),
            PeerSide::Server => KeyUsage::server_auth(),
        };
        self.leaf
            .verify_for_usage(
                webpki::ALL_VERIFICATION_ALGS,
                anchors,
                self.intermediates,
                self.now,
                usage,
                revocation,
                None,
            )
            .map(|_| ())
    }
}

impl Trust {
    /// Trust in these authorities, held by this one.
    pub fn new(own: AuthorityId, peers: Vec<TrustedPeer>) -> Self {
        let peers = peers.into_iter().map(|peer| (peer.id.clone(), peer));
        Self {
            own,
            peers: peers.collect(),
        }
    }

    /// Who holds this trust.
    pub const fn own(&self) -> &AuthorityId {
        &self.own
    }

    /// The accepted peer of this id.
    pub fn peer(&self, id: &AuthorityId) -> Option<&TrustedPeer> {
        self.peers.get(id)
    }

    /// Every accepted peer, by id.
    pub fn peers(&self) -> impl Iterator<Item = &TrustedPeer> {
        self.peers.values()
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "what a TLS verifier is given, and the instant"
    )]
    /// Says who showed this certificate chain; `expected` is the authority that was dialled.
    pub fn authenticate(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        side: PeerSide,
        expected: Option<&AuthorityId>,
        now: Timestamp,
    ) -> Result<Peer, Refusal> {
        let length = intermediates.len().saturating_add(1);
        if length > limits::CHAIN_CERTIFICATES_MAX {
            return Err(Refusal::ChainTooLong(length));
        }
        let (id, leaf_expires) = name_and_end(leaf)?;
        if id == self.own {
            return Err(Refusal::OwnName);
        }
        if let Some(wanted) = expected.filter(|wanted| **wanted != id) {
            let wanted = wanted.clone();
            return Err(Refusal::NotExpected { wanted, got: id });
        }
        let Some(peer) = self.peers.get(&id) else {
            return Err(Refusal::UnknownAuthority(id));
        };
        let leaf = EndEntityCert::try_from(leaf).map_err(|fault| malformed(&fault))?;
        let seconds = u64::try_from(now.seconds()).unwrap_or(0);
        let chain = Chain {
            leaf: &leaf,
            intermediates,
            side,
            now: UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
        };
        self.check_path(&chain, peer, now)?;
        check_revocation(&chain, peer, now)?;
        Ok(Peer {
            id,
            alias: peer.alias.clone(),
            leaf_expires,
        })
    }

    fn check_path(
        &self,
        chain: &Chain<'_>,
        peer: &TrustedPeer,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let Err(fault) = chain.ends_in(&anchors(&peer.cas, Some(now)), None) else {
            return Ok(());
        };
        if !is_stranger(&fault) {
            return Err(path_refusal(&fault));
        }
        let ended = peer.cas.iter().find_map(|ca| {
            let ends = chain.ends_in(&anchors(std::slice::from_ref(ca), None), None);
            ends.ok().and_then(|()| validity(ca))
        });
        if let Some((from, until)) = ended {
            return Err(if from > now {
                Refusal::NotYetValid { from }
            } else {
                Refusal::CaExpired { at: until }
            });
        }
        let others = self.peers.values().filter(|other| other.id != peer.id);
        let owner = others
            .filter(|other| chain.ends_in(&anchors(&other.cas, None), None).is_ok())
            .map(|other| other.id.clone())
            .next();
        Err(Refusal::WrongCa {
            id: peer.id.clone(),
            belongs_to: owner,
        })
    }
}

fn check_revocation(chain: &Chain<'_>, peer: &TrustedPeer, now: Timestamp) -> Result<(), Refusal> {
    let Some(der) = &peer.crl else {
        return Err(Refusal::CrlMissing);
    };
    if der.len() > limits::CRL_BYTES_MAX {
        let why = "it has more than 1 MiB".to_owned();
        return Err(Refusal::CrlInvalid { why });
    }
    let crl = webpki::BorrowedCertRevocationList::from_der(der).map_err(|fault| {
        let why = format!("it cannot be read: {fault}");
        Refusal::CrlInvalid { why }
    })?;
    let crls: [&webpki::CertRevocationList<'_>; 1] = [&crl.into()];
    // The leaf must be covered by its issuer's list. The one list we hold of a peer cannot also cover what issued that CA.
    let options = RevocationOptionsBuilder::new(&crls)
        .map_err(|_| Refusal::CrlMissing)?
        .with_depth(webpki::RevocationCheckDepth::EndEntity)
        .with_status_policy(webpki::UnknownStatusPolicy::Deny)
        .with_expiration_policy(webpki::ExpirationPolicy::Enforce)
        .build();
    let anchors = anchors(&peer.cas, Some(now));
    chain
        .ends_in(&anchors, Some(options))
        .map_err(|fault| revocation_refusal(&fault))
}

/// The one DNS name of a certificate as an authority, and when the certificate ends.
fn name_and_end(leaf: &CertificateDer<'_>) -> Result<(AuthorityId, Timestamp), Refusal> {
    let (rest, parsed) = X509Certificate::from_der(leaf)
        .map_err(|_| Refusal::Malformed("it is not a DER-encoded certificate".to_owned()))?;
    if !rest.is_empty() {
        let text = "bytes follow the certificate".to_owned();
        return Err(Refusal::Malformed(text));
    }
    let names = parsed
        .subject_alternative_name()
        .map_err(|_| Refusal::Malformed("its subjectAltName cannot be read".to_owned()))?;
    let names = names.iter().flat_map(|names| &names.value.general_names);
    let mut names = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(*name),
        GeneralName::OtherName(..)
        | GeneralName::RFC822Name(_)
        | GeneralName::X400Address(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EDIPartyName(_)
        | GeneralName::URI(_)
        | GeneralName::IPAddress(_)
        | GeneralName::RegisteredID(_)
        | GeneralName::Invalid(..) => None,
    });
    let name = names.next().ok_or(Refusal::NoName)?;
    if names.next().is_some() {
        return Err(Refusal::SeveralNames);
    }
    let id = name
        .parse()
        .map_err(|fault| Refusal::Malformed(format!("its DNS name is none of ours: {fault}")))?;
    Ok((id, timestamp(parsed.validity().not_after)))
}

/// When a certificate ends.
pub(crate) fn end_of(der: &[u8]) -> Option<Timestamp> {
    validity(&CertificateDer::from(der)).map(|(_, until)| until)
}

fn validity(certificate: &CertificateDer<'_>) -> Option<(Timestamp, Timestamp)> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let validity = parsed.validity();
    Some((
        timestamp(validity.not_before),
        timestamp(validity.not_after),
    ))
}

/// The CAs as trust anchors: all, or those valid at an instant (webpki does not look at an anchor's dates).
fn anchors<'a>(cas: &'a [CertificateDer<'_>], at: Option<Timestamp>) -> Vec<TrustAnchor<'a>> {
    cas.iter()
        .filter(|ca| {
            at.is_none_or(|at| {
                validity(ca).is_some_and(|(from, until)| (from..=until).contains(&at))
            })
        })
        .filter_map(|ca| webpki::anchor_from_trusted_cert(ca).ok())
        .collect()
}

/// What is wrong with a certificate as a CA of a card, if anything.
pub fn check_ca(der: &[u8]) -> Result<(), &'static str> {
    let (rest, parsed) =
        X509Certificate::from_der(der).map_err(|_| "one is not a DER-encoded certificate")?;
    if !rest.is_empty() {
        return Err("bytes follow a certificate");
    }
    if !parsed.is_ca() {
        return Err("a certificate is not that of a CA (basicConstraints CA:TRUE is missing)");
    }
    let usage = parsed
        .key_usage()
        .map_err(|_| "a keyUsage cannot be read")?;
    if usage.is_some_and(|usage| !usage.value.key_cert_sign() || !usage.value.crl_sign()) {
        return Err("a CA may not sign both certificates and revocation lists (keyUsage)");
    }
    let der = CertificateDer::from(der);
    webpki::anchor_from_trusted_cert(&der)
        .map(|_| ())
        .map_err(|_| "a certificate has an extension that is not supported")
}

fn malformed(fault: &webpki::Error) -> Refusal {
    Refusal::Malformed(fault.to_string())
}

/// Whether the fault is that no given CA issued the chain: another name, or the same name and another key.
const fn is_stranger(fault: &webpki::Error) -> bool {
    matches!(
        fault,
        webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey
    )
}

fn from_unix(time: UnixTime) -> Timestamp {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_millis(seconds.saturating_mul(1_000))
}

fn path_refusal(fault: &webpki::Error) -> Refusal {
    if let webpki::Error::CertExpired { not_after, .. } = fault {
        let at = from_unix(*not_after);
        return Refusal::Expired { at };
    }
    if let webpki::Error::CertNotValidYet { not_before, .. } = fault {
        let from = from_unix(*not_before);
        return Refusal::NotYetValid { from };
    }
    let use_fault = matches!(
        fault,
        webpki::Error::CaUsedAsEndEntity
            | webpki::Error::EndEntityUsedAsCa
            | webpki::Error::EmptyEkuExtension
            | webpki::Error::RequiredEkuNotFoundContext(_)
    );
    if use_fault {
        Refusal::WrongUse
    } else {
        malformed(fault)
    }
}

/// The chain itself is known to be good: what is wrong now is its status.
fn revocation_refusal(fault: &webpki::Error) -> Refusal {
    if matches!(fault, webpki::Error::CertRevoked) {
        return Refusal::Revoked;
    }
    if matches!(fault, webpki::Error::UnknownRevocationStatus) {
        return Refusal::CrlMissing;
    }
    if let webpki::Error::CrlExpired { next_update, .. } = fault {
        let at = from_unix(*next_update);
        return Refusal::CrlExpired { at };
    }
    let forged = matches!(
        fault,
        webpki::Error::InvalidCrlSignatureForPublicKey
            | webpki::Error::InvalidSignatureForPublicKey
    );
    let why = if forged {
        "its signature is not that of the CA which issued the peer's certificate".to_owned()
    } else {
        fault.to_string()
    };
    Refusal::CrlInvalid { why }
}

#[cfg(test)]
pub(crate) mod tests;
