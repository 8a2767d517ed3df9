//! Certificate revocation lists (RFC 5280 §5): read, and judged when they arrive.

use rustls_pki_types::CertificateDer;
use x509_parser::prelude::CertificateRevocationList;
use x509_parser::prelude::FromDer as _;
use x509_parser::prelude::X509Certificate;

use crate::base::Timestamp;
use crate::base::limits;
use crate::identity::refusal::Refusal;

fn parse(der: &[u8]) -> Option<CertificateRevocationList<'_>> {
    if der.len() > limits::CRL_BYTES_MAX {
        return None;
    }
    let (rest, crl) = CertificateRevocationList::from_der(der).ok()?;
    rest.is_empty().then_some(crl)
}

/// A time of a certificate or list as ours.
pub(crate) fn timestamp(time: x509_parser::time::ASN1Time) -> Timestamp {
    Timestamp::from_millis(time.timestamp().saturating_mul(1_000))
}

/// The number of a list (RFC 5280 §5.2.3), if it has one of at most 2^53 − 1. Nothing is verified.
pub fn crl_number(der: &[u8]) -> Option<u64> {
    let crl = parse(der)?;
    let number = u64::try_from(crl.crl_number()?).ok()?;
    (number <= limits::JSON_INTEGER_MAX.unsigned_abs()).then_some(number)
}

/// When a list was issued. Nothing is verified.
pub fn crl_this_update(der: &[u8]) -> Option<Timestamp> {
    parse(der).map(|crl| timestamp(crl.last_update()))
}

/// When a list must be replaced by a newer one. Nothing is verified.
pub fn crl_next_update(der: &[u8]) -> Option<Timestamp> {
    parse(der)?.next_update().map(timestamp)
}

/// Whether this CA has signed this list.
pub fn is_list_of(der: &[u8], ca: &CertificateDer<'_>) -> bool {
    let (Some(crl), Ok((_, ca))) = (parse(der), X509Certificate::from_der(ca)) else {
        return false;
    };
    ca.subject().as_raw() == crl.issuer().as_raw() && crl.verify_signature(ca.public_key()).is_ok()
}

/// Judges a list that arrived: of at most [`limits::CRL_BYTES_MAX`] bytes, numbered, signed by one of these CAs, current. Its number.
pub fn check_crl(der: &[u8], cas: &[CertificateDer<'_>], now: Timestamp) -> Result<u64, Refusal> {
    let invalid = |why: &str| Refusal::CrlInvalid {
        why: why.to_owned(),
    };
    if der.len() > limits::CRL_BYTES_MAX {
        return Err(invalid("it has more than 1 MiB"));
    }
    let crl = parse(der).ok_or_else(|| invalid("it is not a DER-encoded list"))?;
    webpki::BorrowedCertRevocationList::from_der(der)
        .map_err(|fault| invalid(&format!("it cannot be used: {fault}")))?;
    let number = crl_number(der).ok_or_else(|| invalid("it has no number up to 2^53 - 1"))?;
    if !cas.iter().any(|ca| is_list_of(der, ca)) {
        return Err(invalid("it is not signed by a CA of that authority's card"));
    }
    let skew = i64::try_from(limits::CLOCK_SKEW_MS_MAX).unwrap_or(i64::MAX);
    if timestamp(crl.last_update()) > now.plus_millis(skew) {
        return Err(invalid("it is dated in the future"));
    }
    match crl.next_update().map(timestamp) {
        Some(at) if at > now => Ok(number),
        Some(at) => Err(Refusal::CrlExpired { at }),
        None => Err(invalid("it does not say when the next one comes")),
    }
}
