//! Own certificate, card and revocation list, as the daemon shows them, and their renewal in time.

use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;

use rustls_pki_types::CertificateDer;

use crate::base::Timestamp;
use crate::config::Config;
use crate::config::files;
use crate::daemon::Daemon;
use crate::daemon::roster::Known;
use crate::identity::card::Card;
use crate::identity::revocation;
use crate::net::TlsIdentity;
use crate::net::control;
use crate::net::keyring::Keyring;
use crate::net::pki;

/// A day, in milliseconds.
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// Life of an own TLS certificate, in days.
const LEAF_DAYS: i64 = 90;
/// Life of an own revocation list, in days.
const CRL_DAYS: i64 = 30;

/// What is shown to peers now.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) card: Vec<u8>,
    pub(crate) card_number: u64,
    pub(crate) crl: Vec<u8>,
    pub(crate) crl_number: u64,
    pub(crate) crl_expires: Timestamp,
    pub(crate) certificate_expires: Timestamp,
}

/// The papers, replaced as a whole when one is renewed.
#[derive(Debug)]
pub(crate) struct Papers(RwLock<Shown>);

impl Shown {
    pub(crate) fn new(
        card: &Card,
        note: Vec<u8>,
        crl: Vec<u8>,
        certificate_expires: Timestamp,
    ) -> Self {
        let crl_number = revocation::crl_number(&crl).unwrap_or_default();
        let crl_expires = revocation::crl_next_update(&crl).unwrap_or(certificate_expires);
        Self {
            card: note,
            card_number: card.number,
            crl,
            crl_number,
            crl_expires,
            certificate_expires,
        }
    }
}

impl Papers {
    pub(crate) fn new(shown: Shown) -> Self {
        Self(RwLock::new(shown))
    }

    pub(crate) fn shown(&self) -> Shown {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn replace(&self, shown: Shown) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = shown;
    }

    /// What a session with this peer needs of both sides' papers.
    pub(crate) fn for_peer(&self, peer: &Known) -> control::Papers {
        let shown = self.shown();
        control::Papers {
            card: shown.card,
            card_number: shown.card_number,
            crl: shown.crl,
            crl_number: shown.crl_number,
            peer_card: peer.row.number,
            peer_crl: peer.row.crl_number.unwrap_or_default(),
            peer_key: peer.card.keys.receipts.clone(),
        }
    }
}

/// Own card and revocation list from their files, and when the certificate ends.
pub(crate) fn read_papers(
    config: &Config,
    chain: &[CertificateDer<'static>],
) -> Result<(Card, Shown), String> {
    let note = files::public_bytes(&config.identity.card).map_err(|e| e.to_string())?;
    let (card, _) =
        Card::open(&note).map_err(|e| format!("{}: {e}", config.identity.card.display()))?;
    let crl = files::crl_in_use(&config.identity).map_err(|e| e.to_string())?;
    let leaf = chain.first().ok_or("the certificate chain is empty")?;
    let (_, leaf) = x509_parser::parse_x509_certificate(leaf)
        .map_err(|e| format!("the own certificate: {e}"))?;
    let ends = Timestamp::from_millis(leaf.validity().not_after.timestamp().saturating_mul(1_000));
    let shown = Shown::new(&card, note, crl, ends);
    Ok((card, shown))
}

/// Renews the own certificate and revocation list when two thirds of their time are over, where the built-in CA is here.
pub(crate) async fn renew_papers(daemon: &Arc<Daemon>) -> Result<(), String> {
    let (now, shown) = (daemon.station.clock(), daemon.papers.shown());
    let due = |end: Timestamp, days: i64| end.millis() - now.millis() < days * DAY_MS / 3;
    let (leaf, crl) = (
        due(shown.certificate_expires, LEAF_DAYS),
        due(shown.crl_expires, CRL_DAYS),
    );
    if !(leaf || crl) || !daemon.config.identity.tls_ca_key.exists() {
        return Ok(());
    }
    let config = daemon.config.clone();
    let renewed = tokio::task::spawn_blocking(move || renew(&config, now, &shown, leaf, crl)).await;
    let (tls, shown) = renewed.map_err(|e| e.to_string())??;
    daemon
        .endpoint
        .replace_identity(tls)
        .map_err(|e| e.to_string())?;
    daemon.papers.replace(shown);
    tracing::info!(
        leaf,
        crl,
        "own certificate or revocation list renewed; peers get the newest on their next connection"
    );
    Ok(())
}

fn renew(
    config: &Config,
    now: Timestamp,
    shown: &Shown,
    leaf: bool,
    crl: bool,
) -> Result<(TlsIdentity, Shown), String> {
    let mut keyring =
        Keyring::load(&config.identity, &config.authority.id).map_err(|e| e.to_string())?;
    if leaf {
        keyring
            .renew_leaf(&config.identity, &config.authority.id, now)
            .map_err(|e| e.to_string())?;
    }
    if crl {
        let revoked = pki::revoked_in(&shown.crl).map_err(|e| e.to_string())?;
        keyring
            .renew_crl(&config.identity, shown.crl_number + 1, now, &revoked)
            .map_err(|e| e.to_string())?;
    }
    let (_, shown) = read_papers(config, &keyring.chain)?;
    Ok((
        TlsIdentity {
            chain: keyring.chain,
            key: keyring.tls_key,
        },
        shown,
    ))
}
