//! A CA, made for the purpose.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};

use crate::identity::revocation::HeldList;

/// A CA, and what it issues: certificates of 2026 and lists of November 2026.
pub(crate) struct Ca {
    pub(crate) der: CertificateDer<'static>,
    pub(super) issuer: Issuer<'static, KeyPair>,
}

pub(super) fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2036, 1, 1);
    params
}

pub(super) fn leaf_params(id: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![id.to_owned()]).unwrap();
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    params.serial_number = Some(SerialNumber::from(7));
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ClientAuth,
        ExtendedKeyUsagePurpose::ServerAuth,
    ];
    params
}

pub(super) fn crl_params(revoked: &[u64]) -> CertificateRevocationListParams {
    let revoked = revoked.iter().map(|serial| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: date_time_ymd(2026, 11, 2),
        reason_code: None,
        invalidity_date: None,
    });
    CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 11, 1),
        next_update: date_time_ymd(2026, 12, 1),
        crl_number: SerialNumber::from(3),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    }
}

pub(crate) type Crl = CertificateRevocationListDer<'static>;

impl Ca {
    pub(crate) fn new(name: &str) -> Self {
        Self::with(ca_params(name))
    }

    pub(super) fn with(params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().clone();
        let issuer = Issuer::new(params, key);
        Self { der, issuer }
    }

    pub(crate) fn below(&self, name: &str) -> Self {
        self.below_with(name, 8)
    }

    /// A CA below this one, whose certificate has this serial number.
    pub(super) fn below_with(&self, name: &str, serial: u64) -> Self {
        let (mut params, key) = (ca_params(name), KeyPair::generate().unwrap());
        params.serial_number = Some(SerialNumber::from(serial));
        let der = params.signed_by(&key, &self.issuer).unwrap();
        let der = der.der().clone();
        let issuer = Issuer::new(params, key);
        Self { der, issuer }
    }

    pub(crate) fn leaf(&self, id: &str) -> CertificateDer<'static> {
        self.issue(&leaf_params(id))
    }

    pub(super) fn issue(&self, params: &CertificateParams) -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        params.signed_by(&key, &self.issuer).unwrap().der().clone()
    }

    /// This list as one of this CA.
    pub(super) fn held(&self, crl: &Crl) -> HeldList {
        HeldList::of(&self.der, crl).unwrap()
    }

    pub(crate) fn crl(&self, revoked: &[u64]) -> Crl {
        self.list(&crl_params(revoked))
    }

    pub(super) fn list(&self, params: &CertificateRevocationListParams) -> Crl {
        params.signed_by(&self.issuer).unwrap().der().clone()
    }

    /// A list of this number, until this day of November 2026.
    pub(crate) fn numbered(&self, number: u64, revoked: &[u64], until: u8) -> Crl {
        let mut params = crl_params(revoked);
        params.crl_number = SerialNumber::from(number);
        params.next_update = date_time_ymd(2026, 11, until);
        self.list(&params)
    }
}
