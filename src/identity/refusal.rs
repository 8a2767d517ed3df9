//! Why the other end of a connection is not talked to.

use crate::base::{AuthorityId, Timestamp, limits};

/// Why the other end is not talked to: for the own log and operator, never told to the other end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The certificate has no DNS name.
    #[error(
        "the peer's certificate names no authority: it needs one DNS subjectAltName, the authority's id"
    )]
    NoName,
    /// The certificate has more than one DNS name.
    #[error(
        "the peer's certificate names several authorities: it may have one DNS subjectAltName only"
    )]
    SeveralNames,
    /// Nobody whose card was accepted.
    #[error(
        "{0} is not an accepted peer: add its card, compare the fingerprint and accept it first"
    )]
    UnknownAuthority(AuthorityId),
    /// The certificate claims to be us.
    #[error(
        "the peer shows a certificate with our own name: the address leads to ourselves, or somebody has our key"
    )]
    OwnName,
    /// Another authority than the one that was dialled.
    #[error("{wanted} was dialled and {got} answered: check the endpoint in the card of {wanted}")]
    NotExpected {
        /// Who was dialled.
        wanted: AuthorityId,
        /// Who answered, by its certificate.
        got: AuthorityId,
    },
    /// The chain does not end in a CA of that authority's card.
    #[error("the certificate of {id} is not from a CA of its card{}; if it changed its CA, ask it for its newest card",
        .belongs_to.as_ref().map(|owner| format!(" but from one of {owner}")).unwrap_or_default())]
    WrongCa {
        /// Who the certificate claims to be.
        id: AuthorityId,
        /// The accepted peer whose CA it is, if it is one's.
        belongs_to: Option<AuthorityId>,
    },
    /// The certificate, or one between it and the CA, has ended.
    #[error(
        "the peer's certificate ended at {at}: the peer must renew it; if that time is still to come, check this machine's clock"
    )]
    Expired {
        /// When it ended.
        at: Timestamp,
    },
    /// The CA certificate in the card has ended.
    #[error("the peer's CA certificate ended at {at}: ask the peer for a new card")]
    CaExpired {
        /// When it ended.
        at: Timestamp,
    },
    /// The certificate is for later.
    #[error(
        "the peer's certificate is valid only from {from}: compare the clocks of both machines"
    )]
    NotYetValid {
        /// When it begins.
        from: Timestamp,
    },
    /// The certificate is on its CA's revocation list.
    #[error("the peer's certificate was revoked by its CA: talk to the peer before anything else")]
    Revoked,
    /// A CA between the certificate and the CA of the card is on the list of the CA above it.
    #[error(
        "a CA between the peer's certificate and the CA of its card was revoked: talk to the peer before anything else"
    )]
    CaRevoked,
    /// No revocation list of a CA between the certificate and, or on, the card.
    #[error(
        "no revocation list of the CA {ca} is here, which issued {issued}: get it from {id}, then: rogatory peer add CARD --crl FILE"
    )]
    CrlMissing {
        /// Whose certificate it is.
        id: AuthorityId,
        /// The CA whose list is missing.
        ca: String,
        /// Which certificate that CA has issued.
        issued: String,
    },
    /// The newest revocation list of a CA has ended.
    #[error(
        "the peer's revocation list of the CA {ca} ended at {at}: get its newest one, then: rogatory peer add CARD --crl FILE"
    )]
    CrlExpired {
        /// The CA whose list it is.
        ca: String,
        /// When it ended.
        at: Timestamp,
    },
    /// A revocation list that cannot be relied on.
    #[error("the peer's revocation list is refused: {why}; get its newest one")]
    CrlInvalid {
        /// The fault, in words.
        why: String,
    },
    /// A certificate for another use, such as a CA, or a client's shown by a server.
    #[error(
        "the peer's certificate is not for this use: it must be an end-entity certificate for clientAuth and serverAuth"
    )]
    WrongUse,
    /// A certificate with a key that proves nothing here.
    #[error(
        "the key of the certificate of {id} is {kind}: it must be ECDSA P-256 or Ed25519, so {id} needs a certificate for such a key"
    )]
    KeyKind {
        /// Whose certificate it is.
        id: AuthorityId,
        /// The kind of the key.
        kind: String,
    },
    /// Something in the chain cannot be read or is not supported.
    #[error("the peer's certificate is refused: {0}")]
    Malformed(String),
    /// More certificates than a chain may have.
    #[error("the peer shows {0} certificates, at most {max} are allowed", max = limits::CHAIN_CERTIFICATES_MAX)]
    ChainTooLong(usize),
    /// No certificate at all.
    #[error(
        "the peer shows no certificate: its key is not ECDSA P-256 or Ed25519, or it is not a rogatory, or something between us ends its TLS"
    )]
    NoCertificate,
    /// Key exchange without ML-KEM.
    #[error(
        "the peer offers no X25519MLKEM768 key exchange: it must be updated, or allow classic key exchange for it in the configuration"
    )]
    ClassicKeyExchange,
    /// Another application protocol.
    #[error(
        "the peer does not speak rogatory/1: the address leads to another service, or it runs another version"
    )]
    WrongAlpn,
    /// An older TLS.
    #[error("the peer does not speak TLS 1.3")]
    TlsVersion,
}

impl Refusal {
    /// The same for the authority whose certificates and lists these are: what a peer would refuse, and what to do
    /// here.
    pub fn for_owner(&self) -> String {
        match self {
        Self::CrlMissing { ca, issued, .. } => format!(
            "it has no revocation list of the CA {ca}, which issued {issued}: put the newest list of each CA on the way, the issuing one's and the root's, into the file, as PEM"
        ),
        Self::CrlExpired { ca, at } => format!(
            "the revocation list of the CA {ca} ended at {at}: get its newest one from that CA"
        ),
        Self::CrlInvalid { why } => format!("a revocation list is refused: {why}"),
        Self::KeyKind { kind, .. } => format!(
            "the key of the own certificate is {kind}: have the CA issue one for an ECDSA P-256 key"
        ),
        Self::Expired { at } => format!(
            "the own certificate, or a CA's, ended at {at}: have the CA issue a new one; if that time is still to come, set this machine's clock"
        ),
        Self::NotYetValid { from } => format!(
            "the own certificate, or a CA's, is valid only from {from}: set this machine's clock, or wait"
        ),
        Self::Revoked | Self::CaRevoked => {
            "the own certificate, or a CA between it and the card's, is revoked: have the CA issue a new one".to_owned()
        }
        Self::WrongCa { .. } => {
            "the chain does not lead from the own certificate to the CA of the card: put the certificates of the CAs between into tls.pem, after the leaf's".to_owned()
        }
        Self::NoName | Self::SeveralNames => {
            "the own certificate needs one DNS subjectAltName, the authority's id, and no other".to_owned()
        }
        Self::WrongUse => {
            "the own certificate is not for this use: it must be an end-entity certificate with extendedKeyUsage clientAuth and serverAuth".to_owned()
        }
        Self::Malformed(why) => format!("the own certificate is refused: {why}"),
        Self::UnknownAuthority(_)
        | Self::OwnName
        | Self::NotExpected { .. }
        | Self::CaExpired { .. }
        | Self::ChainTooLong(_)
        | Self::NoCertificate
        | Self::ClassicKeyExchange
        | Self::WrongAlpn
        | Self::TlsVersion => self.to_string(),
    }
    }

    /// A stable name of the cause.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoName => "no-name",
            Self::SeveralNames => "several-names",
            Self::UnknownAuthority(_) => "unknown-authority",
            Self::OwnName => "own-name",
            Self::NotExpected { .. } => "not-expected",
            Self::WrongCa { .. } => "wrong-ca",
            Self::Expired { .. } => "expired",
            Self::CaExpired { .. } => "ca-expired",
            Self::NotYetValid { .. } => "not-yet-valid",
            Self::Revoked => "revoked",
            Self::CaRevoked => "ca-revoked",
            Self::CrlMissing { .. } => "crl-missing",
            Self::CrlExpired { .. } => "crl-expired",
            Self::CrlInvalid { .. } => "crl-invalid",
            Self::WrongUse => "wrong-use",
            Self::KeyKind { .. } => "key-kind",
            Self::Malformed(_) => "malformed",
            Self::ChainTooLong(_) => "chain-too-long",
            Self::NoCertificate => "no-certificate",
            Self::ClassicKeyExchange => "classic-key-exchange",
            Self::WrongAlpn => "wrong-alpn",
            Self::TlsVersion => "tls-version",
        }
    }
}
