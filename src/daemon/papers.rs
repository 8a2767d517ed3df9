//! Own certificate, card and revocation list, as the daemon shows them, and their renewal in time.

use std::sync::PoisonError;
use std::sync::RwLock;

use crate::base::Timestamp;
use crate::daemon::roster::Known;
use crate::identity::card::Card;
use crate::identity::revocation;
use crate::net::control;

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
