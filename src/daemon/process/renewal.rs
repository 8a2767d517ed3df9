//! Renewal of own papers in time, and which papers, of whomever, end soon.

use std::sync::Arc;

use rustls_pki_types::CertificateDer;

use crate::api::types::{PeerView, Problem};
use crate::base::Timestamp;
use crate::base::clock::SureTime;
use crate::config::Config;
use crate::daemon::Daemon;
use crate::daemon::process::credentials::{ShownPapers, read_papers};
use crate::identity::ca::ca_name;
use crate::identity::ca_id;
use crate::identity::revocation::RevocationList;
use crate::keys::keyring::Keyring;
use crate::keys::pki;
use crate::net::TlsIdentity;
use crate::store::PeerState;

/// A day, in milliseconds.
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// Life of an own TLS certificate, in days.
const LEAF_DAYS: i64 = 90;
/// Life of an own revocation list, in days.
const CRL_DAYS: i64 = 30;
/// Certificates and lists are warned of from this many milliseconds before their end.
const WARN_MS: i64 = 14 * 24 * 60 * 60 * 1_000;
/// A CA is not renewed by itself, and a new one needs a new card, which every peer has to compare.
const WARN_CA_MS: i64 = 365 * 24 * 60 * 60 * 1_000;

/// Which of the own papers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WhichPapers {
    leaf: bool,
    crl: bool,
}

impl WhichPapers {
    pub(crate) const ALL: Self = Self {
        leaf: true,
        crl: true,
    };
    pub(crate) const NONE: Self = Self {
        leaf: false,
        crl: false,
    };

    /// Those of which two thirds of the time are over, and those that are not valid yet: issued by a clock that was
    /// ahead.
    pub(crate) fn due(shown: &ShownPapers, now: Timestamp) -> Self {
        let due = |begins: Timestamp, ends: Timestamp, days: i64| {
            begins > now || ends.millis() - now.millis() < days * DAY_MS / 3
        };
        Self {
            leaf: due(
                shown.certificate_begins,
                shown.certificate_expires,
                LEAF_DAYS,
            ),
            crl: match (shown.built_in, shown.renewed_here()) {
                (None, _) => false,
                (Some(_), None) => true,
                (Some(_), Some(list)) => {
                    let (begins, ends) = (list.begins(), list.ends());
                    due(begins, ends.unwrap_or(begins), CRL_DAYS)
                }
            },
        }
    }
}

/// Renews what is due of the own certificate and revocation list, where the built-in CA is here and the clock is sure.
pub(crate) async fn renew_papers(daemon: &Arc<Daemon>) -> Result<(), String> {
    let Ok(sure) = daemon.sure() else {
        return Ok(());
    };
    let which = WhichPapers::due(&daemon.papers.shown(), sure.at());
    if which == WhichPapers::NONE || !daemon.config.identity.tls_ca_key.exists() {
        return Ok(());
    }
    renew(daemon, sure, which).await
}

/// Issues these anew with the built-in CA, and shows them from now on.
pub(crate) async fn renew(
    daemon: &Arc<Daemon>,
    now: SureTime,
    which: WhichPapers,
) -> Result<(), String> {
    let (config, shown) = (daemon.config.clone(), daemon.papers.shown());
    let issued = tokio::task::spawn_blocking(move || issue(&config, now, &shown, which)).await;
    let (tls, shown) = issued.map_err(|e| e.to_string())??;
    daemon
        .endpoint
        .replace_identity(tls)
        .map_err(|e| e.to_string())?;
    daemon.papers.replace(shown);
    tracing::info!(
        leaf = which.leaf,
        crl = which.crl,
        "own certificate or revocation list renewed; peers get the newest list, and the certificate with their next connection"
    );
    Ok(())
}

fn issue(
    config: &Config,
    now: SureTime,
    shown: &ShownPapers,
    which: WhichPapers,
) -> Result<(TlsIdentity, ShownPapers), String> {
    let mut keyring =
        Keyring::load(&config.identity, &config.authority.id).map_err(|e| e.to_string())?;
    let now = now.at();
    if which.leaf {
        keyring
            .renew_leaf(&config.identity, &config.authority.id, now)
            .map_err(|e| e.to_string())?;
    }
    if which.crl {
        let before = shown.renewed_here();
        let revoked = before.map_or_else(|| Ok(Vec::new()), |list| pki::revoked_in(list.list()));
        let revoked = revoked.map_err(|e| e.to_string())?;
        // No lower than the seconds of the time: peers may hold newer lists than a state that came back from a backup.
        let next = before.map_or(0, RevocationList::number).saturating_add(1);
        let number = next.max(u64::try_from(now.millis() / 1_000).unwrap_or(0));
        keyring
            .renew_crl(&config.identity, number, now, &revoked)
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

impl Daemon {
    /// Certificates, revocation lists and CAs that have ended or will soon.
    pub(crate) fn paper_problems(&self, peers: &[PeerView]) -> Vec<Problem> {
        let (reading, papers) = (self.station.clock.now(), self.papers.shown());
        // Of two times that can be right, the one that peers may have.
        let (now, earliest) = (reading.at, reading.at.min(reading.read));
        let ends = |what: &str, end, warn_ms| ending(now, what, end, warn_ms);
        let mut problems = Vec::new();
        problems.extend(ends("own certificate", papers.certificate_expires, WARN_MS));
        for list in &papers.lists {
            let what = format!("own revocation list of the CA {}", list.name());
            let end = list.ends().unwrap_or(papers.certificate_expires);
            problems.extend(ends(&what, end, WARN_MS));
        }
        let end = self.card.cas_end();
        problems.extend(end.and_then(|end| ends("own CA", end, WARN_CA_MS)));
        problems.extend(papers.early(earliest).map(|(what, begins)| Problem {
            severity: "error".to_owned(),
            code: "not-yet-valid".to_owned(),
            subject: what.to_owned(),
            message: format!("valid only from {begins}: connections are refused; set the machine's clock: once it is right and not in doubt, it is issued anew by itself"),
        }));
        let mut missing = Vec::new();
        let is_accepted = |peer: &&PeerView| peer.state == PeerState::Accepted.as_str();
        for peer in peers.iter().filter(is_accepted) {
            let known = self.roster.by_id(&peer.id);
            let end = known.as_ref().and_then(|known| known.card.cas_end());
            let known_cas = known.iter().flat_map(|known| known.card.cas());
            let what = format!("CA of {}", peer.alias);
            problems.extend(end.and_then(|end| ends(&what, end, WARN_CA_MS)));
            for list in peer.lists.iter().filter(|list| list.in_use) {
                let what = format!("revocation list of the CA {} of {}", list.ca, peer.alias);
                problems.extend(list.expires.and_then(|end| ends(&what, end, WARN_MS)));
            }
            missing.extend(known_cas.filter_map(|ca| missing_list(peer, &ca)));
        }
        problems.extend(missing);
        problems
    }
}

/// The problem of a CA on a peer's card of which no list is held: nothing that it has issued is believed.
fn missing_list(peer: &PeerView, ca: &CertificateDer<'_>) -> Option<Problem> {
    let id = ca_id(ca)?;
    if peer.lists.iter().any(|list| list.ca_id == id) {
        return None;
    }
    let has_other = peer.lists.iter().any(|list| list.in_use);
    Some(Problem {
        severity: if has_other { "warning" } else { "error" }.to_owned(),
        code: "crl-missing".to_owned(),
        subject: peer.alias.to_string(),
        message: format!(
            "no revocation list of the CA {} of its card is held: connections with certificates of this CA, or of one below it, are refused; get its .crl file, then: rogatory peer add CARD --crl FILE",
            ca_name(ca)
        ),
    })
}

/// The problem of what has ended, or ends within so many milliseconds.
fn ending(now: Timestamp, what: &str, end: Timestamp, warn_ms: i64) -> Option<Problem> {
    let left = end.millis() - now.millis();
    if left >= warn_ms {
        return None;
    }
    let (severity, code, message) = if left < 0 {
        (
            "error",
            "expired",
            format!("ended at {end}: connections are refused"),
        )
    } else {
        ("warning", "expires-soon", format!("ends at {end}"))
    };
    Some(Problem {
        severity: severity.to_owned(),
        code: code.to_owned(),
        subject: what.to_owned(),
        message,
    })
}
