//! The file of own revocation lists, judged before peers do.

use rustls_pki_types::CertificateDer;

use crate::identity::ca::{ca_id, ca_name, is_issued_by};
use crate::identity::card::Card;
use crate::identity::refusal::Refusal;
use crate::identity::revocation;

/// The fault of a file of own lists: each is of a CA of this card or below one, and there is one of each CA that issued
/// a certificate of this chain.
pub(crate) fn faults(file: &[u8], card: &Card, chain: &[CertificateDer<'_>]) -> Vec<String> {
    let cas = card.cas();
    let lists = match revocation::lists_in(file, &cas, chain) {
        Ok(lists) => lists,
        Err(refusal) => return vec![refusal.for_owner()],
    };
    let mut faults = Vec::new();
    for certificate in chain {
        if cas.iter().any(|ca| ca_id(ca) == ca_id(certificate)) {
            break;
        }
        let mut issuers = cas.iter().chain(chain);
        let Some(issuer) = issuers.find(|issuer| is_issued_by(certificate, issuer)) else {
            break;
        };
        if !lists.iter().any(|list| Some(list.ca()) == ca_id(issuer)) {
            let missing = Refusal::CrlMissing {
                id: card.id.clone(),
                ca: ca_name(issuer),
                issued: format!("the certificate of {}", ca_name(certificate)),
            };
            faults.push(missing.for_owner());
        }
    }
    faults
}
