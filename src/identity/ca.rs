//! CAs as they are known here: by name and key, judged before a card with them is believed.

use rustls_pki_types::CertificateDer;
use x509_parser::der_parser::oid;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::base::Digest;

/// The longest name of a CA that is shown, in characters.
const NAME_SHOWN_MAX: usize = 120;

/// Names a CA: SHA-256 of its subject and its `SubjectPublicKeyInfo`, both DER. A CA whose certificate is renewed stays
/// the same; one with another key is another, whatever its name.
pub fn ca_id(certificate: &[u8]) -> Option<Digest> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let named = [parsed.subject().as_raw(), parsed.public_key().raw].concat();
    Some(Digest::of(&named))
}

/// The subject of a CA's certificate, for people.
pub fn ca_name(certificate: &[u8]) -> String {
    X509Certificate::from_der(certificate).map_or_else(
        |_| "of an unreadable certificate".to_owned(),
        |(_, parsed)| readable(&parsed.subject().to_string()),
    )
}

/// A name from a certificate, fit for a line of a log or a terminal.
pub(crate) fn readable(name: &str) -> String {
    let shown: String = name.chars().take(NAME_SHOWN_MAX).collect();
    format!("\"{}\"", shown.escape_debug())
}

/// Whether this CA has signed this certificate.
pub(crate) fn is_issued_by(certificate: &[u8], ca: &[u8]) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else {
        return false;
    };
    X509Certificate::from_der(ca).is_ok_and(|(_, ca)| {
        certificate.issuer().as_raw() == ca.subject().as_raw()
            && certificate.verify_signature(Some(ca.public_key())).is_ok()
    })
}

/// How many CAs may stand between this one and a leaf (RFC 5280 §4.2.1.9), if it says so.
pub(crate) fn depth_max(ca: &[u8]) -> Option<u32> {
    let (_, parsed) = X509Certificate::from_der(ca).ok()?;
    let constraints = parsed.basic_constraints().ok()??;
    constraints.value.path_len_constraint
}

/// Checks a certificate as a CA of a card.
///
/// # Errors
/// It cannot be read, is not that of a CA, may not sign certificates and revocation lists, or has a critical extension
/// that is not processed here (RFC 5280 §4.2: such a certificate must be rejected).
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
    // keyUsage, subjectAltName, basicConstraints, nameConstraints.
    let processed = [
        oid!(2.5.29.15),
        oid!(2.5.29.17),
        oid!(2.5.29.19),
        oid!(2.5.29.30),
    ];
    let mut extensions = parsed.extensions().iter();
    if extensions.any(|it| it.critical && !processed.contains(&it.oid)) {
        return Err(
            "a CA's certificate has a critical extension that is not supported: only basicConstraints, keyUsage, nameConstraints and subjectAltName may be critical",
        );
    }
    let der = CertificateDer::from(der);
    webpki::anchor_from_trusted_cert(&der)
        .map(|_| ())
        .map_err(|_| "a certificate has an extension that is not supported")
}

/// The kind of a leaf's key, where it is not one that proves a leaf here: ECDSA P-256 and Ed25519 are.
pub fn foreign_key_kind(certificate: &[u8]) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let key = parsed.public_key();
    let algorithm = &key.algorithm.algorithm;
    if *algorithm == oid!(1.3.101.112) {
        return None;
    }
    if *algorithm == oid!(1.2.840.10045.2.1) {
        return foreign_curve(key);
    }
    Some(match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => format!("RSA ({} bits)", rsa.key_size()),
        Ok(_) | Err(_) if *algorithm == oid!(1.3.101.113) => "Ed448".to_owned(),
        Ok(_) | Err(_) => format!("of the algorithm {algorithm}"),
    })
}

fn foreign_curve(key: &SubjectPublicKeyInfo<'_>) -> Option<String> {
    let parameters = key.algorithm.parameters.as_ref();
    let Some(curve) = parameters.and_then(|any| any.as_oid().ok()) else {
        return Some("ECDSA on a curve without a name".to_owned());
    };
    let known = [
        (oid!(1.2.840.10045.3.1.1), "P-192"),
        (oid!(1.3.132.0.33), "P-224"),
        (oid!(1.3.132.0.34), "P-384"),
        (oid!(1.3.132.0.35), "P-521"),
        (oid!(1.3.132.0.10), "secp256k1"),
        (oid!(1.3.36.3.3.2.8.1.1.7), "brainpoolP256r1"),
        (oid!(1.3.36.3.3.2.8.1.1.11), "brainpoolP384r1"),
        (oid!(1.3.36.3.3.2.8.1.1.13), "brainpoolP512r1"),
    ];
    if curve == oid!(1.2.840.10045.3.1.7) {
        return None;
    }
    let name = known.iter().find(|(oid, _)| *oid == curve);
    Some(name.map_or_else(
        || format!("ECDSA on the curve {curve}"),
        |(_, name)| format!("ECDSA {name}"),
    ))
}
