//! From a TLS certificate to a [`Peer`]: who is at the other end, or exactly why not.
//!
//! The peer is found by the one DNS name in its certificate, the chain must end in a CA of that peer's card, and the
//! revocation list of each CA on the way must be current: one authority's CA never speaks for another.

use std::collections::BTreeMap;
use std::time::Duration;

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, RevocationOptionsBuilder, UnknownStatusPolicy};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::base::{Alias, AuthorityId, Timestamp, limits};
use crate::identity::ca::{ca_id, ca_name, depth_max, foreign_key_kind};
pub use crate::identity::refusal::Refusal;
use crate::identity::revocation::{HeldList, timestamp};

/// An authority whose card was accepted.
#[derive(Debug, Clone)]
pub struct TrustedPeer {
    /// The authority.
    pub id: AuthorityId,
    /// Its local short name.
    pub alias: Alias,
    /// The CA certificates of its card.
    pub cas: Vec<CertificateDer<'static>>,
    /// The newest revocation lists of its CAs, one of each.
    pub lists: Vec<HeldList>,
    /// Newer lists of the same CAs that other authorities have brought: they can revoke, and make nothing good.
    pub others: Vec<HeldList>,
    /// Whether the operator allows key exchange without ML-KEM with it.
    pub allow_classic: bool,
}

/// Whom this authority talks to.
#[derive(Debug, Clone)]
pub struct Trust {
    own: AuthorityId,
    peers: BTreeMap<AuthorityId, TrustedPeer>,
}

/// The role of the other end in the TLS handshake.
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
    /// The certificates between the leaf and one of these anchors, the leaf's issuer first, if there is such a path.
    fn ends_in(
        &self,
        anchors: &[TrustAnchor<'_>],
        revocation: Option<webpki::RevocationOptions<'_>>,
    ) -> Result<Vec<CertificateDer<'static>>, webpki::Error> {
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
            .map(|path| {
                let between = path.intermediate_certificates();
                between.map(|it| it.der().into_owned()).collect()
            })
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
        if let Some(kind) = foreign_key_kind(leaf) {
            return Err(Refusal::KeyKind { id, kind });
        }
        let leaf = EndEntityCert::try_from(leaf).map_err(|fault| malformed(&fault))?;
        let seconds = u64::try_from(now.seconds()).unwrap_or(0);
        let chain = Chain {
            leaf: &leaf,
            intermediates,
            side,
            now: UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
        };
        self.check_path(&chain, peer, now)?;
        Ok(Peer {
            id,
            alias: peer.alias.clone(),
            leaf_expires,
        })
    }

    /// One way from the leaf to a CA of the card is enough, if nothing on it is revoked.
    fn check_path(
        &self,
        chain: &Chain<'_>,
        peer: &TrustedPeer,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let (mut refusal, mut fault) = (None, None);
        for ca in peer.cas.iter().filter(|ca| is_valid_at(ca, now)) {
            match chain.ends_in(&anchors(std::slice::from_ref(ca)), None) {
                Ok(between) => match check_way(chain, peer, ca, &between) {
                    Ok(()) => return Ok(()),
                    Err(why) => refusal = refusal.or(Some(why)),
                },
                Err(why) if is_stranger(&why) => {}
                Err(why) => fault = fault.or(Some(why)),
            }
        }
        let fault = fault.map(|fault| path_refusal(&fault));
        let stranger = || self.stranger(chain, peer, now);
        Err(refusal.or(fault).unwrap_or_else(stranger))
    }

    /// No CA of the card that is valid now has issued the chain: says whose it is.
    fn stranger(&self, chain: &Chain<'_>, peer: &TrustedPeer, now: Timestamp) -> Refusal {
        let ended = peer.cas.iter().find_map(|ca| {
            let ends = chain.ends_in(&anchors(std::slice::from_ref(ca)), None);
            ends.ok().and_then(|_| validity(ca))
        });
        if let Some((from, until)) = ended {
            return if from > now {
                Refusal::NotYetValid { from }
            } else {
                Refusal::CaExpired { at: until }
            };
        }
        let others = self.peers.values().filter(|other| other.id != peer.id);
        let owner = others
            .filter(|other| chain.ends_in(&anchors(&other.cas), None).is_ok())
            .map(|other| other.id.clone())
            .next();
        Refusal::WrongCa {
            id: peer.id.clone(),
            belongs_to: owner,
        }
    }
}

/// The way from the leaf to this CA of the card: each certificate on it must be on no list of its issuer.
fn check_way(
    chain: &Chain<'_>,
    peer: &TrustedPeer,
    ca: &CertificateDer<'_>,
    between: &[CertificateDer<'_>],
) -> Result<(), Refusal> {
    // webpki does not look at this of an anchor.
    let depth = u32::try_from(between.len()).unwrap_or(u32::MAX);
    if let Some(most) = depth_max(ca).filter(|most| depth > *most) {
        let ca = ca_name(ca);
        return Err(Refusal::Malformed(format!(
            "{depth} CAs stand between it and the CA {ca} of the card, which allows {most} (pathLenConstraint)"
        )));
    }
    let issuers = between.iter().chain(std::iter::once(ca));
    let below = std::iter::once(None).chain(between.iter().map(Some));
    let mut lists = Vec::new();
    for (issuer, certificate) in issuers.zip(below) {
        let held = peer
            .lists
            .iter()
            .find(|list| Some(list.ca) == ca_id(issuer));
        let held = held.ok_or_else(|| Refusal::CrlMissing {
            id: peer.id.clone(),
            ca: ca_name(issuer),
            issued: certificate.map_or_else(
                || format!("the certificate of {}", peer.id),
                |below| {
                    format!(
                        "the CA {} above the certificate of {}",
                        ca_name(below),
                        peer.id
                    )
                },
            ),
        })?;
        lists.push((readable_list(held)?, ca_name(issuer)));
    }
    let held: Vec<_> = lists.iter().map(|(list, _)| list).collect();
    let anchors = anchors(std::slice::from_ref(ca));
    let judged = |depth| {
        let options = revocation_options(&held, depth, UnknownStatusPolicy::Deny)?;
        chain.ends_in(&anchors, Some(options))
    };
    let Err(fault) = judged(webpki::RevocationCheckDepth::Chain) else {
        return check_others(chain, peer, &anchors, &lists);
    };
    let is_leaf = judged(webpki::RevocationCheckDepth::EndEntity).is_err();
    Err(revocation_refusal(&fault, is_leaf, &lists))
}

/// No list that another authority has brought revokes a certificate on the way. What else is wrong with such a list is
/// not held against this one.
fn check_others(
    chain: &Chain<'_>,
    peer: &TrustedPeer,
    anchors: &[TrustAnchor<'_>],
    named: &[NamedList<'_>],
) -> Result<(), Refusal> {
    for other in peer.others.iter().filter_map(|it| readable_list(it).ok()) {
        let revokes = |depth| {
            let lists = [&other];
            let options = revocation_options(&lists, depth, UnknownStatusPolicy::Allow).ok()?;
            chain.ends_in(anchors, Some(options)).err()
        };
        let fault = revokes(webpki::RevocationCheckDepth::Chain);
        if let Some(fault @ webpki::Error::CertRevoked) = fault {
            let is_leaf = revokes(webpki::RevocationCheckDepth::EndEntity).is_some();
            return Err(revocation_refusal(&fault, is_leaf, named));
        }
    }
    Ok(())
}

type NamedList<'a> = (webpki::CertRevocationList<'a>, String);

fn readable_list(held: &HeldList) -> Result<webpki::CertRevocationList<'_>, Refusal> {
    if held.der().len() > limits::CRL_BYTES_MAX {
        let why = "it has more than 1 MiB".to_owned();
        return Err(Refusal::CrlInvalid { why });
    }
    let read = webpki::BorrowedCertRevocationList::from_der(held.der());
    let read = read.map_err(|fault| Refusal::CrlInvalid {
        why: format!("it cannot be read: {fault}"),
    })?;
    Ok(read.into())
}

fn revocation_options<'a>(
    lists: &'a [&'a webpki::CertRevocationList<'a>],
    depth: webpki::RevocationCheckDepth,
    unknown: UnknownStatusPolicy,
) -> Result<webpki::RevocationOptions<'a>, webpki::Error> {
    // Each way has an issuer, and its list.
    let options = RevocationOptionsBuilder::new(lists);
    Ok(options
        .map_err(|_| webpki::Error::UnknownRevocationStatus)?
        .with_depth(depth)
        .with_status_policy(unknown)
        .with_expiration_policy(webpki::ExpirationPolicy::Enforce)
        .build())
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

/// Whether this instant is between a certificate's dates; webpki does not look at an anchor's.
fn is_valid_at(certificate: &CertificateDer<'_>, at: Timestamp) -> bool {
    validity(certificate).is_some_and(|(from, until)| (from..=until).contains(&at))
}

/// The CAs as trust anchors.
fn anchors<'a>(cas: &'a [CertificateDer<'_>]) -> Vec<TrustAnchor<'a>> {
    cas.iter()
        .filter_map(|ca| webpki::anchor_from_trusted_cert(ca).ok())
        .collect()
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

/// The chain itself is known to be good: what is wrong now is its status, that of the leaf or of a CA above it.
fn revocation_refusal(fault: &webpki::Error, is_leaf: bool, lists: &[NamedList<'_>]) -> Refusal {
    if matches!(fault, webpki::Error::CertRevoked) {
        return if is_leaf {
            Refusal::Revoked
        } else {
            Refusal::CaRevoked
        };
    }
    // Of two lists, the faulty one is that of the leaf's issuer if the leaf alone is refused too.
    let mut names = lists.iter().map(|(_, name)| name.clone());
    let own = names.next().unwrap_or_default();
    let name = if is_leaf {
        own
    } else {
        names.next().unwrap_or(own)
    };
    if let webpki::Error::CrlExpired { next_update, .. } = fault {
        let at = from_unix(*next_update);
        return Refusal::CrlExpired { ca: name, at };
    }
    let forged = matches!(
        fault,
        webpki::Error::InvalidCrlSignatureForPublicKey
            | webpki::Error::InvalidSignatureForPublicKey
    );
    let why = if forged {
        format!("its signature is not that of the CA {name}, which it names")
    } else {
        format!("it cannot be used for what the CA {name} issued: {fault}")
    };
    Refusal::CrlInvalid { why }
}

#[cfg(test)]
pub(crate) mod tests;
