//! Authorities made for a test: a CA, leaves, lists, an endpoint; and bare TLS for what no endpoint of ours would do.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SerialNumber, SignatureAlgorithm, date_time_ymd,
};
use rogatory::base::AuthorityId;
use rogatory::identity::HeldList;
use rogatory::identity::trust::{Trust, TrustedPeer};
use rogatory::net::{Endpoint, NetLimits, TlsIdentity};
use rustls::NamedGroup;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{
    ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName,
    UnixTime,
};

pub(crate) const IE: &str = "mla.example.ie";
pub(crate) const FR: &str = "bepi.justice.example.fr";
pub(crate) const DE: &str = "bfj.example.de";
const SERIAL: u64 = 7;

pub(crate) fn id(text: &str) -> AuthorityId {
    text.parse().unwrap()
}

/// An authority's CA.
pub(crate) struct Ca {
    pub(crate) der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    pub(crate) fn new(name: &str) -> Self {
        let params = ca_params(name);
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().clone();
        let issuer = Issuer::new(params, key);
        Self { der, issuer }
    }

    /// A certificate for this name, changed by the test, with its key and the certificates above it.
    pub(crate) fn leaf(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2090, 1, 1);
        params.serial_number = Some(SerialNumber::from(SERIAL));
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::ServerAuth,
        ];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        self.certify(&params, &key)
    }

    /// The same with a key of this kind.
    pub(crate) fn leaf_of_kind(&self, name: &str, kind: &'static SignatureAlgorithm) -> Leaf {
        let key = KeyPair::generate_for(kind).unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2090, 1, 1);
        self.certify(&params, &key)
    }

    fn certify(&self, params: &CertificateParams, key: &KeyPair) -> Leaf {
        let der = params.signed_by(key, &self.issuer).unwrap().der().clone();
        Leaf {
            chain: vec![der],
            key: key.serialize_der(),
        }
    }

    /// Its revocation list, next due at the start of this year.
    pub(crate) fn crl(&self, revoked: bool, due: i32) -> CertificateRevocationListDer<'static> {
        let entry = RevokedCertParams {
            serial_number: SerialNumber::from(SERIAL),
            revocation_time: date_time_ymd(2020, 1, 2),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(due, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: if revoked { vec![entry] } else { Vec::new() },
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().der().clone()
    }

    /// This list as one of this CA.
    pub(crate) fn list(&self, der: &CertificateRevocationListDer<'static>) -> HeldList {
        HeldList::of(&self.der, der).unwrap()
    }

    /// A CA below this one.
    pub(crate) fn below(&self, name: &str) -> Self {
        let (params, key) = (ca_params(name), KeyPair::generate().unwrap());
        let der = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        let issuer = Issuer::new(params, key);
        Self { der, issuer }
    }

    /// This CA's authority as its peers hold it when all is well.
    pub(crate) fn trusted(&self, name: &str) -> TrustedPeer {
        TrustedPeer {
            id: id(name),
            alias: name[name.len() - 2..].parse().unwrap(),
            cas: vec![self.der.clone()],
            lists: vec![self.list(&self.crl(false, 2090))],
            others: Vec::new(),
            allow_classic: false,
        }
    }

    /// One more certificate than a chain may have.
    pub(crate) fn long_chain(&self, name: &str) -> Leaf {
        let mut leaf = self.leaf(name, |_| {});
        leaf.chain.extend(vec![self.der.clone(); 4]);
        leaf
    }
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2090, 1, 1);
    params
}

/// A certificate chain and the leaf's key.
#[derive(Clone)]
pub(crate) struct Leaf {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
}

impl Leaf {
    fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.clone()).into()
    }

    pub(crate) fn identity(&self) -> TlsIdentity {
        TlsIdentity {
            chain: self.chain.clone(),
            key: self.private_key(),
        }
    }
}

/// Limits that let a test end soon, on a busy machine too.
pub(crate) fn quick() -> NetLimits {
    NetLimits {
        handshake_timeout: Duration::from_secs(10),
        ..NetLimits::default()
    }
}

pub(crate) fn socket() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").unwrap()
}

/// An endpoint with this certificate and these peers.
pub(crate) fn endpoint(
    name: &str,
    leaf: &Leaf,
    peers: Vec<TrustedPeer>,
    limits: NetLimits,
) -> Endpoint {
    endpoint_on(socket(), name, leaf, peers, limits)
}

pub(crate) fn endpoint_on(
    socket: UdpSocket,
    name: &str,
    leaf: &Leaf,
    peers: Vec<TrustedPeer>,
    limits: NetLimits,
) -> Endpoint {
    let endpoint = Endpoint::bind(socket, id(name), leaf.identity(), &[42; 64], limits).unwrap();
    endpoint.set_trust(Arc::new(Trust::new(id(name), peers)));
    endpoint
}

/// The behaviour of a bare TLS end that none of ours would show.
#[derive(Clone)]
pub(crate) struct Bare {
    pub(crate) leaf: Option<Leaf>,
    pub(crate) alpn: Option<&'static str>,
    pub(crate) groups: Vec<NamedGroup>,
    pub(crate) tickets: Arc<Tickets>,
}

/// Counts tickets for resumption, and keeps none.
#[derive(Debug, Default)]
pub(crate) struct Tickets(AtomicUsize);

impl Tickets {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, _: Tls13ClientSessionValue) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        None
    }
}

impl Bare {
    /// One that behaves.
    pub(crate) fn with(leaf: &Leaf) -> Self {
        Self {
            leaf: Some(leaf.clone()),
            alpn: Some("rogatory/1"),
            groups: vec![NamedGroup::X25519MLKEM768],
            tickets: Arc::default(),
        }
    }

    fn alpn(&self) -> Vec<Vec<u8>> {
        self.alpn
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect()
    }

    fn provider(&self) -> Arc<CryptoProvider> {
        let mut provider = aws_lc_rs::default_provider();
        let group = |name: &NamedGroup| {
            *aws_lc_rs::ALL_KX_GROUPS
                .iter()
                .find(|g| g.name() == *name)
                .unwrap()
        };
        provider.kx_groups = self.groups.iter().map(group).collect();
        Arc::new(provider)
    }

    /// Dials without a look at who answers.
    pub(crate) async fn dial(
        &self,
        to: SocketAddr,
    ) -> Result<quinn::Connection, quinn::ConnectionError> {
        let builder = rustls::ClientConfig::builder_with_provider(self.provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anyone));
        let mut tls = match &self.leaf {
            Some(leaf) => builder
                .with_client_auth_cert(leaf.chain.clone(), leaf.private_key())
                .unwrap(),
            None => builder.with_no_client_auth(),
        };
        tls.alpn_protocols = self.alpn();
        tls.resumption = Resumption::store(Arc::<Tickets>::clone(&self.tickets));
        let crypto = QuicClientConfig::try_from(tls).unwrap();
        let endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        let config = quinn::ClientConfig::new(Arc::new(crypto));
        endpoint.connect_with(config, to, FR).unwrap().await
    }

    /// Answers everybody, asks for no certificate, and keeps what was connected until dropped.
    pub(crate) fn answer(&self) -> SocketAddr {
        let leaf = self.leaf.as_ref().unwrap();
        let mut tls = rustls::ServerConfig::builder_with_provider(self.provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(leaf.chain.clone(), leaf.private_key())
            .unwrap();
        tls.alpn_protocols = self.alpn();
        let crypto = QuicServerConfig::try_from(tls).unwrap();
        let config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
        let endpoint = quinn::Endpoint::server(config, "127.0.0.1:0".parse().unwrap()).unwrap();
        let address = endpoint.local_addr().unwrap();
        tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Some(incoming) = endpoint.accept().await {
                kept.push(incoming.await);
            }
        });
        address
    }
}

/// Takes every certificate: only for a test's own bare end.
#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        vec![rustls::SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}
