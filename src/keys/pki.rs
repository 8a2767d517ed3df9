//! The built-in PKI of one authority: a TLS CA, its leaf certificates, its revocation lists (RFC 5280).
//!
//! Keys are ECDSA P-256. The CA is constrained to the authority's own DNS name, so that even a verifier without
//! rogatory's rules takes nothing else from it.

use std::ops::Add;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, NameConstraints, RevokedCertParams, SerialNumber,
};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::Zeroizing;

use crate::base::{AuthorityId, Timestamp};

/// How long a CA made here is valid, in days: ten years.
pub const CA_DAYS: u32 = 3_653;
/// How long a leaf made here is valid, in days.
pub const LEAF_DAYS: u32 = 90;
/// How long a revocation list made here is current, in days.
pub const CRL_DAYS: u32 = 30;
/// Certificates and lists are valid from this long before they are made, in milliseconds: peers' clocks differ.
const BACKDATED_MS: i64 = 3_600_000;
const DAY_MS: i64 = 86_400_000;
/// The longest common name (RFC 5280 appendix A.1, `ub-common-name`), in characters.
const COMMON_NAME_MAX: usize = 64;

/// Why a certificate or revocation list could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PkiFault {
    /// A revocation list that cannot be parsed.
    #[error(
        "the own revocation list cannot be read; run certs/README.md's steps to make a new one"
    )]
    UnreadableCrl,
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    Randomness,
    /// The CA's certificate cannot be read, or its key is of a kind that cannot sign here.
    #[error("{what} cannot be used: {source}")]
    Unusable {
        /// Which part.
        what: &'static str,
        /// Why.
        source: rcgen::Error,
    },
    /// Signing failed.
    #[error("{what} could not be made: {source}")]
    NotMade {
        /// The file that was to be made.
        what: &'static str,
        /// Why.
        source: rcgen::Error,
    },
}

/// A TLS certificate authority: its certificate and its private key.
pub struct Ca {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Ca {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ca")
    }
}

/// A leaf certificate and its private key.
pub struct Leaf {
    /// The certificate, DER.
    pub certificate: CertificateDer<'static>,
    /// The private key, PKCS#8 PEM.
    pub key_pem: Zeroizing<String>,
}

impl std::fmt::Debug for Leaf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Leaf")
    }
}

/// A certificate that its CA has revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// The serial number, big-endian.
    pub serial: Vec<u8>,
    /// Since when.
    pub at: Timestamp,
}

impl Ca {
    /// The CA with this certificate and this private key (PKCS#8 PEM).
    pub fn from_parts(
        certificate: CertificateDer<'static>,
        key_pem: &str,
    ) -> Result<Self, PkiFault> {
        let unusable = |what| move |source| PkiFault::Unusable { what, source };
        let key = KeyPair::from_pem(key_pem).map_err(unusable("the CA's private key"))?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key)
            .map_err(unusable("the CA's certificate"))?;
        Ok(Self {
            certificate,
            issuer,
        })
    }

    /// The certificate.
    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The private key, PKCS#8 PEM.
    pub fn key_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.issuer.key().serialize_pem())
    }
}

/// A new CA for this authority, valid for ten years.
pub fn make_ca(id: &AuthorityId, now: Timestamp) -> Result<Ca, PkiFault> {
    let not_made = |source| PkiFault::NotMade {
        what: "a CA",
        source,
    };
    let mut params = valid(now, CA_DAYS)?;
    params.distinguished_name = common_name(&format!("TLS CA of {id}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName(id.to_string())],
        excluded_subtrees: Vec::new(),
    });
    let key = KeyPair::generate().map_err(not_made)?;
    let certificate = params.self_signed(&key).map_err(not_made)?.into();
    let issuer = Issuer::new(params, key);
    Ok(Ca {
        certificate,
        issuer,
    })
}

/// A new key and leaf certificate for this authority, for both sides of TLS.
pub fn issue_leaf(ca: &Ca, id: &AuthorityId, now: Timestamp, days: u32) -> Result<Leaf, PkiFault> {
    let not_made = |source| PkiFault::NotMade {
        what: "a TLS key",
        source,
    };
    let key = KeyPair::generate().map_err(not_made)?;
    let certificate = certify(ca, id, &key, (now, days))?;
    let key_pem = Zeroizing::new(key.serialize_pem());
    Ok(Leaf {
        certificate,
        key_pem,
    })
}

/// A new leaf certificate for a key that is in use (PKCS#8 PEM).
pub fn renew_leaf(
    ca: &Ca,
    id: &AuthorityId,
    key_pem: &str,
    now: Timestamp,
    days: u32,
) -> Result<CertificateDer<'static>, PkiFault> {
    let key = KeyPair::from_pem(key_pem).map_err(|source| PkiFault::Unusable {
        what: "the TLS private key",
        source,
    })?;
    certify(ca, id, &key, (now, days))
}

fn certify(
    ca: &Ca,
    id: &AuthorityId,
    key: &KeyPair,
    (now, days): (Timestamp, u32),
) -> Result<CertificateDer<'static>, PkiFault> {
    let not_made = |source| PkiFault::NotMade {
        what: "a certificate",
        source,
    };
    let mut params = valid(now, days)?;
    let name = id.as_str().try_into().map_err(not_made)?;
    params.subject_alt_names = vec![rcgen::SanType::DnsName(name)];
    params.distinguished_name = common_name(id.as_str());
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(key, &ca.issuer).map_err(not_made)?;
    Ok(certificate.into())
}

/// The serial numbers that a revocation list of ours revokes, so that its successor does too.
pub fn revoked_in(crl: &[u8]) -> Result<Vec<Revoked>, PkiFault> {
    let (_, list) = x509_parser::parse_x509_crl(crl).map_err(|_| PkiFault::UnreadableCrl)?;
    let revoked = list.iter_revoked_certificates().map(|one| Revoked {
        serial: one.raw_serial().to_vec(),
        at: Timestamp::from_millis(one.revocation_date.timestamp().saturating_mul(1_000)),
    });
    Ok(revoked.collect())
}

/// The revocation list with this number (it must grow from list to list), current for 30 days.
pub fn make_crl(
    ca: &Ca,
    number: u64,
    now: Timestamp,
    revoked: &[Revoked],
) -> Result<CertificateRevocationListDer<'static>, PkiFault> {
    let revoked = revoked.iter().map(|one| RevokedCertParams {
        serial_number: SerialNumber::from_slice(&one.serial),
        revocation_time: after(rcgen::date_time_ymd(1970, 1, 1), one.at),
        reason_code: None,
        invalidity_date: None,
    });
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let params = CertificateRevocationListParams {
        this_update: after(epoch, now.plus_millis(-BACKDATED_MS)),
        next_update: after(
            epoch,
            now.plus_millis(i64::from(CRL_DAYS).saturating_mul(DAY_MS)),
        ),
        crl_number: SerialNumber::from(number),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect(),
        key_identifier_method: key_id(&ca.certificate),
    };
    let crl = params
        .signed_by(&ca.issuer)
        .map_err(|source| PkiFault::NotMade {
            what: "a revocation list",
            source,
        })?;
    Ok(crl.into())
}

/// The CA's own key identifier, which its lists repeat (RFC 5280 §5.2.1); computed where the CA names none.
fn key_id(ca: &CertificateDer<'_>) -> KeyIdMethod {
    let Ok((_, ca)) = X509Certificate::from_der(ca) else {
        return KeyIdMethod::Sha256;
    };
    let own = ca.extensions().iter().find_map(|extension| {
        if let ParsedExtension::SubjectKeyIdentifier(id) = extension.parsed_extension() {
            Some(KeyIdMethod::PreSpecified(id.0.to_vec()))
        } else {
            None
        }
    });
    own.unwrap_or(KeyIdMethod::Sha256)
}

/// Parameters of a certificate valid for so many days from (a little before) now, with a random serial number.
fn valid(now: Timestamp, days: u32) -> Result<CertificateParams, PkiFault> {
    let mut serial = [0; 16];
    aws_lc_rs::rand::fill(&mut serial).map_err(|_| PkiFault::Randomness)?;
    // Positive, and of the same length always.
    serial[0] = serial[0] & 0x7f | 0x40;
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = after(epoch, now.plus_millis(-BACKDATED_MS));
    params.not_after = after(
        epoch,
        now.plus_millis(i64::from(days).saturating_mul(DAY_MS)),
    );
    Ok(params)
}

fn common_name(name: &str) -> DistinguishedName {
    let name: String = name.chars().take(COMMON_NAME_MAX).collect();
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// This instant in the calendar of certificates, which begins here; they know nothing finer than whole seconds.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "both calendars end with the year 9999, and a timestamp is before"
)]
fn after<T: Add<Duration, Output = T>>(epoch: T, at: Timestamp) -> T {
    epoch + since_1970(at)
}

fn since_1970(at: Timestamp) -> Duration {
    Duration::from_secs(u64::try_from(at.seconds()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::UnixTime;
    use webpki::{
        BorrowedCertRevocationList, CertRevocationList, EndEntityCert, KeyUsage,
        RevocationOptionsBuilder, anchor_from_trusted_cert,
    };

    use super::*;

    fn id(text: &str) -> AuthorityId {
        text.parse().unwrap()
    }

    fn now() -> Timestamp {
        "2026-11-23T09:00:00.000Z".parse().unwrap()
    }

    fn serial(certificate: &CertificateDer<'_>) -> Vec<u8> {
        let (_, parsed) = X509Certificate::from_der(certificate).unwrap();
        parsed.raw_serial().to_vec()
    }

    /// Webpki's judgement of a leaf under a CA and a revocation list, so many days from now.
    fn check(ca: &Ca, leaf: &CertificateDer<'_>, crl: &[u8], days: i64) -> Result<(), String> {
        let crl = BorrowedCertRevocationList::from_der(crl).map_err(|e| e.to_string())?;
        let crl = CertRevocationList::from(crl);
        let crls = [&crl];
        let revocation = RevocationOptionsBuilder::new(&crls).unwrap();
        let anchor = anchor_from_trusted_cert(&ca.certificate).map_err(|e| e.to_string())?;
        let at = now().plus_millis(days * DAY_MS + 1_000);
        let at = UnixTime::since_unix_epoch(since_1970(at));
        let leaf = EndEntityCert::try_from(leaf).map_err(|e| e.to_string())?;
        for usage in [KeyUsage::client_auth(), KeyUsage::server_auth()] {
            let revocation = revocation
                .with_expiration_policy(webpki::ExpirationPolicy::Enforce)
                .build();
            leaf.verify_for_usage(
                webpki::ALL_VERIFICATION_ALGS,
                std::slice::from_ref(&anchor),
                &[],
                at,
                usage,
                Some(revocation),
                None,
            )
            .map_err(|e| format!("{e:?}"))?;
        }
        Ok(())
    }

    #[test]
    fn a_leaf_lives_ninety_days_and_its_list_thirty() {
        let ca = make_ca(&id("mla.example.ie"), now()).unwrap();
        let leaf = issue_leaf(&ca, &id("mla.example.ie"), now(), LEAF_DAYS).unwrap();
        let at = |days| now().plus_millis(days * DAY_MS);
        for (made_on_day, judged_on_day, good) in [
            (0, 0, true),
            (0, 29, true),
            (0, 30, false),
            (60, 89, true),
            (60, 90, false),
        ] {
            let crl = make_crl(&ca, 1, at(made_on_day), &[]).unwrap();
            let verdict = check(&ca, &leaf.certificate, &crl, judged_on_day);
            assert_eq!(verdict.is_ok(), good, "{judged_on_day}: {verdict:?}");
        }
    }

    #[test]
    fn a_revoked_certificate_is_refused_and_its_successor_is_not() {
        let own = id("mla.example.ie");
        let ca = make_ca(&own, now()).unwrap();
        let leaf = issue_leaf(&ca, &own, now(), LEAF_DAYS).unwrap();
        let successor = renew_leaf(&ca, &own, &leaf.key_pem, now(), LEAF_DAYS).unwrap();
        assert_ne!(serial(&leaf.certificate), serial(&successor));
        let revoked = Revoked {
            serial: serial(&leaf.certificate),
            at: now(),
        };
        let crl = make_crl(&ca, 2, now(), &[revoked]).unwrap();
        let verdict = check(&ca, &leaf.certificate, &crl, 0);
        assert_eq!(verdict.unwrap_err(), "CertRevoked");
        assert_eq!(check(&ca, &successor, &crl, 0), Ok(()));
    }

    #[test]
    fn a_ca_speaks_for_its_own_name_only() {
        let ca = make_ca(&id("mla.example.ie"), now()).unwrap();
        let crl = make_crl(&ca, 1, now(), &[]).unwrap();
        for (name, good) in [
            ("mla.example.ie", true),
            ("bfj.example.de", false),
            ("example.ie", false),
        ] {
            let leaf = issue_leaf(&ca, &id(name), now(), LEAF_DAYS).unwrap();
            let verdict = check(&ca, &leaf.certificate, &crl, 0);
            assert_eq!(verdict.is_ok(), good, "{name}: {verdict:?}");
        }
    }

    #[test]
    fn a_ca_read_back_is_the_same_ca() {
        let long = format!("{}.{}.example", "a".repeat(63), "b".repeat(63));
        let own = id(&long);
        let made = make_ca(&own, now()).unwrap();
        let ca = Ca::from_parts(made.certificate.clone(), &made.key_pem()).unwrap();
        let leaf = issue_leaf(&ca, &own, now(), LEAF_DAYS).unwrap();
        let crl = make_crl(&ca, u64::MAX, now(), &[]).unwrap();
        assert_eq!(check(&made, &leaf.certificate, &crl, 0), Ok(()));
        assert_eq!(serial(&leaf.certificate).len(), 16);
        assert!(Ca::from_parts(made.certificate, "not a key").is_err());
    }
}
