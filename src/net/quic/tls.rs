//! The TLS configuration of one connection: TLS 1.3, mutual certificates, X25519MLKEM768, nothing remembered.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::kx_group;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::NoServerSessionStorage;
use rustls::sign::CertifiedKey;

use crate::base::AuthorityId;
use crate::identity::trust::Trust;
use crate::net::clock::Clock;
use crate::net::quic::verify::{ALPN, HandshakeVerdict, OwnCertificate, PeerVerifier};

/// The crypto of one connection; classic X25519 is in it only where somebody may use it.
pub(crate) fn provider(classic: bool) -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider
        .cipher_suites
        .retain(|suite| suite.tls13().is_some());
    provider.kx_groups = vec![kx_group::X25519MLKEM768];
    if classic {
        provider.kx_groups.push(kx_group::X25519);
    }
    Arc::new(provider)
}

/// The facts that one connection needs about us and about those whom we trust.
pub(crate) struct Side {
    pub(crate) key: Arc<CertifiedKey>,
    pub(crate) trust: Arc<Trust>,
    /// None: certificates are judged by the machine's clock.
    pub(crate) clock: Option<Clock>,
    pub(crate) verdict: HandshakeVerdict,
}

impl Side {
    fn certificate(&self, provider: &CryptoProvider) -> Arc<OwnCertificate> {
        let groups = provider
            .kx_groups
            .iter()
            .map(|group| group.name())
            .collect();
        Arc::new(OwnCertificate::new(
            Arc::clone(&self.key),
            groups,
            self.verdict.clone(),
        ))
    }

    fn verifier(&self, expected: Option<&AuthorityId>) -> Arc<PeerVerifier> {
        Arc::new(PeerVerifier::new(
            (Arc::clone(&self.trust), self.clock.clone()),
            expected.cloned(),
            self.verdict.clone(),
        ))
    }

    /// For a connection that somebody dials to us. No tickets, no stored sessions, no early data.
    pub(crate) fn accepting(&self, classic: bool) -> Result<rustls::ServerConfig, rustls::Error> {
        let provider = provider(classic);
        let certificate = self.certificate(&provider);
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(self.verifier(None))
            .with_cert_resolver(certificate);
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        Ok(config)
    }

    /// For a connection that we dial to this peer.
    pub(crate) fn dialling(
        &self,
        peer: &AuthorityId,
        classic: bool,
    ) -> Result<rustls::ClientConfig, rustls::Error> {
        let provider = provider(classic);
        let certificate = self.certificate(&provider);
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier(Some(peer)))
            .with_client_cert_resolver(certificate);
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        config.enable_early_data = false;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
    use rustls::crypto::SupportedKxGroup;
    use rustls::{NamedGroup, quic};
    use rustls_pki_types::{PrivateKeyDer, ServerName};

    use super::*;

    const X25519: NamedGroup = NamedGroup::X25519;
    const HYBRID: NamedGroup = NamedGroup::X25519MLKEM768;
    const P256: NamedGroup = NamedGroup::secp256r1;

    /// Sends only the key share that it is told to, whatever else is offered.
    #[derive(Debug)]
    struct Hint(Option<NamedGroup>);

    impl ClientSessionStore for Hint {
        fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

        fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
            self.0
        }

        fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

        fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
            None
        }

        fn remove_tls12_session(&self, _: &ServerName<'static>) {}

        fn insert_tls13_ticket(&self, _: ServerName<'static>, _: Tls13ClientSessionValue) {}

        fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
            None
        }
    }

    fn side() -> Side {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(["a.example".to_owned()]).unwrap();
        let leaf = params.self_signed(&key).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let key = CertifiedKey::from_der(vec![leaf.der().clone()], key, &provider(false)).unwrap();
        Side {
            key: Arc::new(key),
            trust: Arc::new(Trust::new("a.example".parse().unwrap(), Vec::new())),
            clock: None,
            verdict: HandshakeVerdict::default(),
        }
    }

    fn client(offers: &[NamedGroup], share: Option<NamedGroup>) -> rustls::ClientConfig {
        let mut provider = aws_lc_rs::default_provider();
        provider
            .cipher_suites
            .retain(|suite| suite.tls13().is_some());
        provider.kx_groups = offers
            .iter()
            .map(|offer| {
                let all = aws_lc_rs::ALL_KX_GROUPS.iter();
                *all.clone().find(|group| group.name() == *offer).unwrap()
            })
            .collect();
        let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(side().verifier(None))
            .with_no_client_auth();
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = Resumption::store(Arc::new(Hint(share)));
        config
    }

    /// The record of the hello must agree with what TLS really negotiated: `None` where it refused.
    fn check(
        allowed: bool,
        offers: &[NamedGroup],
        share: Option<NamedGroup>,
        outcome: Option<NamedGroup>,
    ) {
        let side = side();
        let version = quic::Version::V1;
        let config = side.accepting(allowed).unwrap();
        let mut server =
            quic::ServerConnection::new(Arc::new(config), version, Vec::new()).unwrap();
        let name = ServerName::try_from("b.example").unwrap();
        let mut client =
            quic::ClientConnection::new(Arc::new(client(offers, share)), version, name, Vec::new())
                .unwrap();
        for _ in 0..3 {
            let (mut there, mut back) = (Vec::new(), Vec::new());
            while client.write_hs(&mut there).is_some() {}
            if server.read_hs(&there).is_err() {
                break;
            }
            while server.write_hs(&mut back).is_some() {}
            if client.read_hs(&back).is_err() {
                break;
            }
        }
        let negotiated = server
            .negotiated_key_exchange_group()
            .map(SupportedKxGroup::name);
        let case = format!("classic allowed: {allowed}, offered {offers:?}, share {share:?}");
        assert_eq!(negotiated, outcome, "{case}");
        assert_eq!(side.verdict.classic(), outcome == Some(X25519), "{case}");
        assert_eq!(
            side.verdict.refusal().is_some(),
            outcome.is_none(),
            "{case}"
        );
    }

    #[test]
    fn the_key_exchange_seen_in_the_hello_is_the_negotiated_one() {
        for (offers, share, strict, lenient) in [
            (&[HYBRID][..], None, Some(HYBRID), Some(HYBRID)),
            (&[HYBRID, X25519], None, Some(HYBRID), Some(HYBRID)),
            (&[HYBRID, X25519], Some(X25519), Some(HYBRID), Some(HYBRID)),
            (&[P256, HYBRID], None, Some(HYBRID), Some(HYBRID)),
            (&[X25519, HYBRID], None, Some(HYBRID), Some(X25519)),
            (&[X25519, HYBRID], Some(HYBRID), Some(HYBRID), Some(X25519)),
            (&[P256, X25519, HYBRID], None, Some(HYBRID), Some(X25519)),
            (&[X25519], None, None, Some(X25519)),
            (&[P256], None, None, None),
        ] {
            check(false, offers, share, strict);
            check(true, offers, share, lenient);
        }
    }
}
