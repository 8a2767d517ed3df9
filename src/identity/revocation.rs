//! Certificate revocation lists (RFC 5280 §5): read, and judged when they arrive. Each is known by the CA that signed
//! it.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::pem::{PemObject as _, SectionKind};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::oid_registry::OID_X509_EXT_ISSUER_DISTRIBUTION_POINT;
use x509_parser::prelude::{CertificateRevocationList, FromDer as _, X509Certificate};

use crate::base::{Digest, Timestamp, limits};
use crate::identity::ca::{ca_id, check_ca, is_issued_by, readable};
use crate::identity::refusal::Refusal;

/// A revocation list, and the certificates of the CAs between the one that signed it and a CA of the authority's card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationList {
    ca: Digest,
    name: String,
    number: u64,
    begins: Timestamp,
    ends: Option<Timestamp>,
    is_complete: bool,
    bytes: Arc<[u8]>,
    length: usize,
}

/// A list as it is held for the checks of a handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldList {
    /// The CA that signed it, see [`ca_id`].
    pub ca: Digest,
    bytes: Arc<[u8]>,
    length: usize,
}

impl HeldList {
    /// This list of the CA with this id, whether the CA has signed it or not.
    pub fn new(ca: Digest, der: &[u8]) -> Self {
        Self {
            ca,
            bytes: der.into(),
            length: der.len(),
        }
    }

    /// This list of this CA, whether the CA has signed it or not; none where the CA's certificate cannot be read.
    pub fn of(ca: &CertificateDer<'_>, der: &CertificateRevocationListDer<'_>) -> Option<Self> {
        Some(Self::new(ca_id(ca)?, der))
    }

    /// The list, DER.
    pub fn der(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl RevocationList {
    /// Reads a list as it travels: DER, followed by the certificates of the CAs between the one that signed it and one
    /// of `cas`, the signer's first; by none where one of `cas` signed it.
    ///
    /// # Errors
    /// It is longer than [`limits::CRL_BYTES_MAX`] with these certificates, has no number, cannot be used, or no CA of
    /// these or below them has signed it; or there are other certificates than are needed. Dates are for
    /// [`RevocationList::check_dates`].
    pub fn open(bytes: &[u8], cas: &[CertificateDer<'_>]) -> Result<Self, Refusal> {
        let (list, between) = split(bytes)?;
        let opened = Self::of(list, cas, &between)?;
        if *opened.bytes == *bytes {
            Ok(opened)
        } else {
            Err(invalid(
                "other certificates follow it than those of the CAs between its own and the card's, in that order",
            ))
        }
    }

    /// A list that was opened before, from what was stored; nothing is verified again.
    pub fn stored(ca: Digest, bytes: &[u8]) -> Option<Self> {
        let (list, _) = split(bytes).ok()?;
        let parsed = parse(list).ok()?;
        Self::read(ca, &parsed, bytes.into(), list.len()).ok()
    }

    fn of(
        list: &[u8],
        cas: &[CertificateDer<'_>],
        between: &[CertificateDer<'_>],
    ) -> Result<Self, Refusal> {
        let parsed = parse(list)?;
        webpki::BorrowedCertRevocationList::from_der(list)
            .map_err(|fault| invalid(&format!("it cannot be used: {fault}")))?;
        let (signer, path) = signers(&parsed, cas, between).ok_or_else(|| {
            let signer = readable(&parsed.issuer().to_string());
            invalid(&format!(
                "it is not signed by a CA of that authority's card, nor by one below it whose certificate comes with it; it names the CA {signer}: if that is one between the card's CA and the authority's certificate, put its certificate into the same file, as PEM"
            ))
        })?;
        let bytes = path.iter().fold(list.to_vec(), |mut bytes, certificate| {
            bytes.extend_from_slice(certificate);
            bytes
        });
        if bytes.len() > limits::CRL_BYTES_MAX {
            return Err(invalid("it has more than 1 MiB with its CA's certificate"));
        }
        let ca = ca_id(&signer).ok_or_else(|| invalid("its CA cannot be read"))?;
        Self::read(ca, &parsed, bytes.into(), list.len())
    }

    fn read(
        ca: Digest,
        parsed: &CertificateRevocationList<'_>,
        bytes: Arc<[u8]>,
        length: usize,
    ) -> Result<Self, Refusal> {
        let mut extensions = parsed.extensions().iter();
        let number = parsed.crl_number().and_then(|it| u64::try_from(it).ok());
        let most = limits::JSON_INTEGER_MAX.unsigned_abs();
        let number = number.filter(|number| *number <= most);
        Ok(Self {
            ca,
            name: readable(&parsed.issuer().to_string()),
            number: number.ok_or_else(|| invalid("it has no number up to 2^53 - 1"))?,
            begins: timestamp(parsed.last_update()),
            ends: parsed.next_update().map(timestamp),
            is_complete: extensions.all(|it| it.oid != OID_X509_EXT_ISSUER_DISTRIBUTION_POINT),
            bytes,
            length,
        })
    }

    /// Whether this list takes the place of another one of its CA: it has a higher number (RFC 5280 §5.2.3), or it is
    /// newer and the other one has ended. A CA that came back from a backup may count anew; its lists are taken again
    /// from then on.
    pub fn supersedes(&self, other: &Self, now: Timestamp) -> bool {
        self.number > other.number
            || (self.begins > other.begins && other.check_dates(now).is_err())
    }

    /// This list with the content of another one of its CA; how the CA is reached stays. None where that is one of
    /// several that share the CA's certificates among them (an issuing distribution point, RFC 5280 §5.2.5), or too
    /// long.
    pub fn with_content_of(&self, other: &Self) -> Option<Self> {
        let path = self.bytes.get(self.length..).unwrap_or_default();
        let bytes: Arc<[u8]> = [other.list(), path].concat().into();
        let fits = other.is_complete && bytes.len() <= limits::CRL_BYTES_MAX;
        fits.then(|| Self {
            bytes,
            ..other.clone()
        })
    }

    /// Whether it may be relied on now.
    ///
    /// # Errors
    /// It is dated in the future by more than [`limits::CLOCK_SKEW_MS_MAX`], has ended, or does not say when it ends.
    pub fn check_dates(&self, now: Timestamp) -> Result<(), Refusal> {
        let skew = i64::try_from(limits::CLOCK_SKEW_MS_MAX).unwrap_or(i64::MAX);
        if self.begins > now.plus_millis(skew) {
            return Err(invalid("it is dated in the future"));
        }
        match self.ends {
            Some(at) if at > now => Ok(()),
            Some(at) => Err(Refusal::CrlExpired {
                ca: self.name.clone(),
                at,
            }),
            None => Err(invalid("it does not say when the next one comes")),
        }
    }

    /// The CA that signed it, see [`ca_id`].
    pub const fn ca(&self) -> Digest {
        self.ca
    }

    /// The name of that CA, for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its number (RFC 5280 §5.2.3), which grows from list to list of one CA.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// When it was issued.
    pub const fn begins(&self) -> Timestamp {
        self.begins
    }

    /// When it must be replaced by a newer one.
    pub const fn ends(&self) -> Option<Timestamp> {
        self.ends
    }

    /// The list and the certificates, as they travel and are stored.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The list alone, DER.
    pub fn list(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// The list for the checks of a handshake.
    pub fn held(&self) -> HeldList {
        HeldList {
            ca: self.ca,
            bytes: Arc::clone(&self.bytes),
            length: self.length,
        }
    }

    /// The certificates of the CAs between, the signer's first.
    fn between(&self) -> Vec<CertificateDer<'_>> {
        split(&self.bytes).map_or_else(|_| Vec::new(), |(_, between)| between)
    }

    /// How many CAs stand between its own and that of a card; 0 where it is on the card itself.
    pub fn depth(&self) -> usize {
        self.between().len()
    }

    /// Whether its CA is one of these, or below one of them by what its certificates say. Signatures are not looked at.
    pub fn is_under(&self, cas: &[CertificateDer<'_>]) -> bool {
        let path = self.between();
        let is_below = |ca| path.last().is_some_and(|last| is_issued_by(last, ca));
        cas.iter()
            .any(|ca| ca_id(ca) == Some(self.ca) || is_below(ca))
    }

    /// Whether its CA has signed it, and is one of these or below one of them.
    pub fn is_signed_under(&self, cas: &[CertificateDer<'_>]) -> bool {
        Self::of(self.list(), cas, &self.between()).is_ok_and(|it| it.ca == self.ca)
    }
}

/// The lists in a file, the newest of each CA, by their CAs: one list in DER, or PEM with lists (`X509 CRL`) and the
/// certificates of CAs between those that signed them and `cas` (`CERTIFICATE`). Such certificates are also taken from
/// `further`.
///
/// # Errors
/// There is none, or one of them is not good; dates are not looked at.
pub fn lists_in(
    file: &[u8],
    cas: &[CertificateDer<'_>],
    further: &[CertificateDer<'_>],
) -> Result<Vec<RevocationList>, Refusal> {
    let (lists, mut between) = sections(file)?;
    if between.len() > limits::CRL_FILE_CERTIFICATES_MAX {
        return Err(invalid("its file has more than 16 certificates"));
    }
    between.extend(further.iter().map(|it| it.clone().into_owned()));
    let lists = lists
        .iter()
        .map(|list| RevocationList::of(list, cas, &between));
    let lists = newest(lists.collect::<Result<Vec<_>, _>>()?);
    if lists.len() > limits::CRLS_MAX {
        return Err(invalid("its file has lists of more than 8 CAs"));
    }
    Ok(lists)
}

/// The newest of these of each CA, by their CAs.
pub fn newest(lists: Vec<RevocationList>) -> Vec<RevocationList> {
    let mut of_ca: BTreeMap<Digest, RevocationList> = BTreeMap::new();
    for list in lists {
        match of_ca.get(&list.ca) {
            Some(known) if known.number >= list.number => {}
            Some(_) | None => drop(of_ca.insert(list.ca, list)),
        }
    }
    of_ca.into_values().collect()
}

/// These lists as the content of a file for [`lists_in`]: DER where it is one alone, else PEM, with the certificates
/// that say whose they are.
pub fn file_of(lists: &[RevocationList]) -> Vec<u8> {
    if let [one] = lists
        && one.bytes.len() == one.length
    {
        return one.bytes.to_vec();
    }
    let mut between: Vec<CertificateDer<'_>> = Vec::new();
    for certificate in lists.iter().flat_map(RevocationList::between) {
        if !between.contains(&certificate) {
            between.push(certificate);
        }
    }
    let mut file = String::new();
    for list in lists {
        pem(&mut file, "X509 CRL", list.list());
    }
    for certificate in &between {
        pem(&mut file, "CERTIFICATE", certificate);
    }
    file.into_bytes()
}

/// A section of PEM (RFC 7468).
fn pem(to: &mut String, label: &str, der: &[u8]) {
    for part in ["-----BEGIN ", label, "-----\n"] {
        to.push_str(part);
    }
    for line in der.chunks(48) {
        STANDARD.encode_string(line, to);
        to.push('\n');
    }
    for part in ["-----END ", label, "-----\n"] {
        to.push_str(part);
    }
}

type Sections = (Vec<Vec<u8>>, Vec<CertificateDer<'static>>);

/// The lists and the certificates in a file.
fn sections(file: &[u8]) -> Result<Sections, Refusal> {
    let (mut lists, mut certificates) = (Vec::new(), Vec::new());
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(file) {
        match section.map_err(|_| invalid("its file is not well-formed PEM"))? {
            (SectionKind::Crl, der) => lists.push(der),
            (SectionKind::Certificate, der) => certificates.push(der.into()),
            _ => {}
        }
    }
    if lists.is_empty() {
        // No PEM: one list in DER.
        let (list, between) = split(file)?;
        lists.push(list.to_vec());
        certificates.extend(between.into_iter().map(CertificateDer::into_owned));
    }
    Ok((lists, certificates))
}

/// A list and the certificates that follow it.
fn split(bytes: &[u8]) -> Result<(&[u8], Vec<CertificateDer<'_>>), Refusal> {
    if bytes.len() > limits::CRL_BYTES_MAX {
        return Err(invalid("it has more than 1 MiB"));
    }
    let not_list = |_| invalid("it is not a DER-encoded list");
    let (mut rest, _) = CertificateRevocationList::from_der(bytes).map_err(not_list)?;
    let length = bytes.len().saturating_sub(rest.len());
    let list = bytes.get(..length).unwrap_or_default();
    let mut certificates = Vec::new();
    while !rest.is_empty() {
        let after = X509Certificate::from_der(rest).map(|(after, _)| after);
        let after = after.map_err(|_| {
            invalid("it is not a DER-encoded list: what follows it is not a certificate")
        })?;
        let length = rest.len().saturating_sub(after.len());
        certificates.push(CertificateDer::from(rest.get(..length).unwrap_or_default()));
        if certificates.len() >= limits::CHAIN_CERTIFICATES_MAX {
            return Err(invalid("more certificates follow it than a chain may have"));
        }
        rest = after;
    }
    Ok((list, certificates))
}

type Signers<'a> = (CertificateDer<'a>, Vec<CertificateDer<'a>>);

/// The CA that signed this list, and the certificates from it up to, and without, one of `cas`.
fn signers<'a>(
    list: &CertificateRevocationList<'_>,
    cas: &'a [CertificateDer<'_>],
    between: &'a [CertificateDer<'_>],
) -> Option<Signers<'a>> {
    if let Some(ca) = cas.iter().find(|ca| is_list_of(list, ca)) {
        return Some((ca.clone(), Vec::new()));
    }
    let signers = between.iter().filter(|it| is_list_of(list, it));
    signers
        .filter(|signer| check_ca(signer).is_ok())
        .find_map(|signer| {
            let most = limits::CHAIN_CERTIFICATES_MAX.saturating_sub(2);
            let mut path = vec![signer.clone()];
            path.extend(above(signer, cas, between, most)?);
            Some((signer.clone(), path))
        })
}

/// At most so many certificates that lead from this one to, and without, one of `cas`.
fn above<'a>(
    certificate: &CertificateDer<'_>,
    cas: &[CertificateDer<'_>],
    between: &'a [CertificateDer<'_>],
    most: usize,
) -> Option<Vec<CertificateDer<'a>>> {
    if cas.iter().any(|ca| is_issued_by(certificate, ca)) {
        return Some(Vec::new());
    }
    let most = most.checked_sub(1)?;
    let issuers = between.iter().filter(|it| is_issued_by(certificate, it));
    issuers
        .filter(|issuer| check_ca(issuer).is_ok())
        .find_map(|issuer| {
            let mut path = vec![issuer.clone()];
            path.extend(above(issuer, cas, between, most)?);
            Some(path)
        })
}

fn invalid(why: &str) -> Refusal {
    Refusal::CrlInvalid {
        why: why.to_owned(),
    }
}

fn parse(der: &[u8]) -> Result<CertificateRevocationList<'_>, Refusal> {
    if der.len() > limits::CRL_BYTES_MAX {
        return Err(invalid("it has more than 1 MiB"));
    }
    match CertificateRevocationList::from_der(der) {
        Ok(([], list)) => Ok(list),
        Ok(_) | Err(_) => Err(invalid("it is not a DER-encoded list")),
    }
}

/// A time of a certificate or list as ours.
pub(crate) fn timestamp(time: x509_parser::time::ASN1Time) -> Timestamp {
    Timestamp::from_millis(time.timestamp().saturating_mul(1_000))
}

/// Whether this CA has signed this list.
fn is_list_of(list: &CertificateRevocationList<'_>, ca: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(ca).is_ok_and(|(_, ca)| {
        ca.subject().as_raw() == list.issuer().as_raw()
            && list.verify_signature(ca.public_key()).is_ok()
    })
}
