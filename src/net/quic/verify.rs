//! Trust at the handshake: who the other end is, decided by [`Trust`] alone, and the exact cause when it is refused.
//!
//! TLS itself only carries an alert class. So each connection has its own [`HandshakeVerdict`], in which the checks
//! that run inside the handshake leave what they found.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, NamedGroup, PeerIncompatible,
    SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::base::{AuthorityId, Timestamp};
use crate::identity::trust::{Peer, PeerSide, Refusal, Trust};
use crate::net::clock::Clock;

/// The protocol's name in ALPN (RFC 7301).
pub(crate) const ALPN: &[u8] = b"rogatory/1";

/// Signatures with which a leaf may prove its key: Ed25519 and ECDSA P-256.
static SIGNATURES: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[
        webpki::aws_lc_rs::ED25519,
        webpki::aws_lc_rs::ECDSA_P256_SHA256,
    ],
    mapping: &[
        (SignatureScheme::ED25519, &[webpki::aws_lc_rs::ED25519]),
        (
            SignatureScheme::ECDSA_NISTP256_SHA256,
            &[webpki::aws_lc_rs::ECDSA_P256_SHA256],
        ),
    ],
};

/// Signatures that are offered: those with which a leaf may prove its key, and those of other kinds of keys. A peer
/// whose leaf has such a key then shows it, and is refused by [`Trust`] with the name of the key's kind; without the
/// offer, its own TLS would end the handshake without a cause. CAs may also have signed certificates by them (RFC 8446
/// §4.2.3).
const OFFERED: [SignatureScheme; 10] = [
    SignatureScheme::ED25519,
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
];

/// The findings of the checks inside one handshake.
#[derive(Clone, Default)]
pub(crate) struct HandshakeVerdict(Arc<Mutex<Found>>);

#[derive(Default)]
struct Found {
    peer: Option<Peer>,
    refusal: Option<Refusal>,
    classic: bool,
}

impl HandshakeVerdict {
    fn found(&self) -> MutexGuard<'_, Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the first cause: what follows a refusal is its consequence.
    fn refuse(&self, refusal: Refusal) {
        self.found().refusal.get_or_insert(refusal);
    }

    /// Why the other end was refused, if it was.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.found().refusal.clone()
    }

    /// Who the other end is; means something only once the handshake is complete.
    pub(crate) fn peer(&self) -> Option<Peer> {
        self.found().peer.clone()
    }

    /// Whether the other end's `ClientHello` led to a key exchange without ML-KEM.
    pub(crate) fn classic(&self) -> bool {
        self.found().classic
    }
}

/// Decides who the other end of one connection is.
pub(crate) struct PeerVerifier {
    trust: Arc<Trust>,
    clock: Option<Clock>,
    expected: Option<AuthorityId>,
    verdict: HandshakeVerdict,
}

impl PeerVerifier {
    /// For an accepted connection (nobody in particular expected) or a dialled one.
    pub(crate) fn new(
        (trust, clock): (Arc<Trust>, Option<Clock>),
        expected: Option<AuthorityId>,
        verdict: HandshakeVerdict,
    ) -> Self {
        Self {
            trust,
            clock,
            expected,
            verdict,
        }
    }

    fn decide(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        side: PeerSide,
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let read = Timestamp::from_millis(seconds.saturating_mul(1_000));
        let authenticate = |now| {
            let expected = self.expected.as_ref();
            self.trust
                .authenticate(leaf, intermediates, side, expected, now)
        };
        let now = self.clock.as_ref().map_or(read, |clock| clock.now().at);
        let decided = authenticate(now).or_else(|refusal| {
            // A peer whose papers are of the time that a clock in doubt says can be the one that confirms it.
            let is_early = matches!(refusal, Refusal::NotYetValid { .. });
            let is_late = matches!(
                refusal,
                Refusal::Expired { .. } | Refusal::CrlExpired { .. }
            );
            let may_be = is_early && read > now || is_late && read < now;
            if may_be {
                authenticate(read)
            } else {
                Err(refusal)
            }
        });
        let decided = decided.and_then(|peer| self.check_key_exchange(peer));
        match decided {
            Ok(peer) => {
                self.verdict.found().peer = Some(peer);
                Ok(())
            }
            Err(refusal) => {
                let alert = alert(&refusal);
                self.verdict.refuse(refusal);
                Err(alert)
            }
        }
    }

    /// A peer that may not use a classic key exchange must not have used one because another peer may.
    fn check_key_exchange(&self, peer: Peer) -> Result<Peer, Refusal> {
        let allowed = self
            .trust
            .peer(peer.id())
            .is_some_and(|peer| peer.allow_classic);
        if self.verdict.classic() && !allowed {
            return Err(Refusal::ClassicKeyExchange);
        }
        Ok(peer)
    }
}

impl fmt::Debug for PeerVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerVerifier({:?})", self.expected)
    }
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.decide(leaf, intermediates, PeerSide::Server, now)
            .map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(PeerIncompatible::Tls13RequiredForQuic.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, leaf, signed, &SIGNATURES)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        OFFERED.to_vec()
    }
}

impl ClientCertVerifier for PeerVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.decide(leaf, intermediates, PeerSide::Client, now)
            .map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(PeerIncompatible::Tls13RequiredForQuic.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, leaf, signed, &SIGNATURES)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        OFFERED.to_vec()
    }
}

/// Shows our certificate, on either side of a handshake, and on the accepting side looks at the `ClientHello` first.
pub(crate) struct OwnCertificate {
    key: Arc<CertifiedKey>,
    groups: Vec<NamedGroup>,
    verdict: HandshakeVerdict,
}

impl OwnCertificate {
    /// `groups` are the key exchanges that this connection can use.
    pub(crate) fn new(
        key: Arc<CertifiedKey>,
        groups: Vec<NamedGroup>,
        verdict: HandshakeVerdict,
    ) -> Self {
        Self {
            key,
            groups,
            verdict,
        }
    }

    /// TLS does not report the negotiated key exchange to its user, and refuses a hello without telling why. The
    /// library takes the first group in the *client's* order that both sides have; so does this. It is asked again
    /// after a `HelloRetryRequest`, and a classic outcome in either round counts.
    fn examine(&self, hello: &ClientHello<'_>) {
        let offered = hello.named_groups().unwrap_or_default();
        match offered.iter().find(|group| self.groups.contains(group)) {
            None => self.verdict.refuse(Refusal::ClassicKeyExchange),
            Some(&NamedGroup::X25519MLKEM768) => {}
            Some(_) => self.verdict.found().classic = true,
        }
        let speaks = hello
            .alpn()
            .is_some_and(|mut protocols| protocols.any(|protocol| protocol == ALPN));
        if !speaks {
            self.verdict.refuse(Refusal::WrongAlpn);
        }
    }
}

impl fmt::Debug for OwnCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OwnCertificate({:?})", self.groups)
    }
}

impl ResolvesServerCert for OwnCertificate {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.examine(&hello);
        Some(Arc::clone(&self.key))
    }
}

impl ResolvesClientCert for OwnCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.key))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// The class of a refusal, which is all that the other end learns.
fn alert(refusal: &Refusal) -> rustls::Error {
    let class = match refusal {
        Refusal::NoName | Refusal::SeveralNames | Refusal::Malformed(_) => {
            CertificateError::BadEncoding
        }
        Refusal::UnknownAuthority(_) | Refusal::OwnName | Refusal::NotExpected { .. } => {
            CertificateError::ApplicationVerificationFailure
        }
        Refusal::WrongCa { .. }
        | Refusal::CrlMissing { .. }
        | Refusal::CrlExpired { .. }
        | Refusal::CrlInvalid { .. }
        | Refusal::CaExpired { .. }
        | Refusal::ChainTooLong(_) => CertificateError::UnknownIssuer,
        Refusal::Expired { .. } | Refusal::NotYetValid { .. } => CertificateError::Expired,
        Refusal::Revoked | Refusal::CaRevoked => CertificateError::Revoked,
        Refusal::WrongUse | Refusal::KeyKind { .. } => CertificateError::InvalidPurpose,
        Refusal::NoCertificate
        | Refusal::ClassicKeyExchange
        | Refusal::WrongAlpn
        | Refusal::TlsVersion => return PeerIncompatible::NoKxGroupsInCommon.into(),
    };
    rustls::Error::InvalidCertificate(class)
}
