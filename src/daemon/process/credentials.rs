//! Own certificate, card and revocation lists, as the daemon shows them, and their renewal in time; and which papers,
//! of whomever, end soon.

use std::sync::{Arc, PoisonError, RwLock};

use rustls_pki_types::CertificateDer;
use tokio::sync::watch;

use crate::base::{Digest, Timestamp};
use crate::config::files::SecretFault;
use crate::config::{Config, files};
use crate::daemon::peers::card_note::CardNote;
use crate::daemon::peers::roster::KnownPeer;
use crate::identity::card::Card;
use crate::identity::keys::{Role, SecretKey};
use crate::identity::revocation::RevocationList;
use crate::identity::{ca_id, revocation};
use crate::net::connection::control;
use crate::net::connection::control::OwnLists;
use crate::receipt::OwnKeys;
use crate::store::Ledger;
use crate::wire::ListNumber;

/// Own certificate and revocation list, as they are shown to peers now.
#[derive(Debug, Clone)]
pub(crate) struct ShownPapers {
    /// The newest list of each CA, by CA.
    pub(crate) lists: Vec<RevocationList>,
    /// The built-in CA, whose list is renewed here; none where every CA is kept elsewhere.
    pub(crate) built_in: Option<Digest>,
    pub(crate) certificate_begins: Timestamp,
    pub(crate) certificate_expires: Timestamp,
}

/// The own cards, which stay until the next start, for receipts name them and the log has announced them; and what is
/// replaced when it is renewed.
#[derive(Debug)]
pub(crate) struct OwnPapers {
    /// With their numbers, oldest first; the last one is that in use.
    cards: Vec<(u64, Vec<u8>)>,
    shown: RwLock<ShownPapers>,
    /// The lists in it, for the connections that are up.
    lists: watch::Sender<OwnLists>,
}

impl ShownPapers {
    /// When the first of the lists ends.
    pub(crate) fn crl_expires(&self) -> Timestamp {
        let ends = self.lists.iter().filter_map(RevocationList::ends).min();
        ends.unwrap_or(self.certificate_expires)
    }

    fn own_lists(&self) -> OwnLists {
        let of_one = |list: &RevocationList| (number_of(list), list.bytes().to_vec());
        self.lists.iter().map(of_one).collect()
    }

    /// The list of the built-in CA.
    pub(crate) fn renewed_here(&self) -> Option<&RevocationList> {
        let ca = self.built_in?;
        self.lists.iter().find(|list| list.ca() == ca)
    }

    /// Those that are not valid yet, and from when on they are.
    pub(crate) fn early(&self, now: Timestamp) -> impl Iterator<Item = (&'static str, Timestamp)> {
        let lists = self.lists.iter();
        let lists = lists.map(|list| ("own revocation list", list.begins()));
        let all = std::iter::once(("own certificate", self.certificate_begins)).chain(lists);
        all.filter(move |(_, begins)| *begins > now)
    }
}

impl OwnPapers {
    pub(crate) fn new(cards: Vec<(u64, Vec<u8>)>, shown: ShownPapers) -> Self {
        Self {
            cards,
            lists: watch::Sender::new(shown.own_lists()),
            shown: RwLock::new(shown),
        }
    }

    /// The own card that is in use, as a note.
    pub(crate) fn card(&self) -> &[u8] {
        self.cards.last().map_or(&[], |(_, card)| card)
    }

    pub(crate) fn shown(&self) -> ShownPapers {
        let shown = self.shown.read();
        shown.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Shows these from now on; peers that are connected get the lists that are new.
    pub(crate) fn replace(&self, shown: ShownPapers) {
        self.lists.send_replace(shown.own_lists());
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = shown;
    }

    /// The papers of both sides that a session with this peer needs.
    pub(crate) fn for_peer(&self, peer: &KnownPeer) -> control::Papers {
        control::Papers {
            cards: self.cards.clone(),
            crls: self.lists.subscribe(),
            peer_card: peer.row.number,
            peer_crls: peer.lists.iter().map(number_of).collect(),
            peer_keys: Arc::clone(&peer.keys),
        }
    }
}

fn number_of(list: &RevocationList) -> ListNumber {
    ListNumber {
        ca: list.ca(),
        number: list.number(),
    }
}

/// Own card and revocation lists from their files, and when the certificate ends.
pub(crate) fn read_papers(
    config: &Config,
    chain: &[CertificateDer<'static>],
) -> Result<(CardNote, ShownPapers), String> {
    let card = files::public_bytes(&config.identity.card).map_err(|e| e.to_string())?;
    let card = CardNote::open(&card);
    let card = card.map_err(|e| format!("{}: {e}", config.identity.card.display()))?;
    let lists = files::lists_in_use(&config.identity, &card.card.cas(), chain)?;
    let leaf = chain.first().ok_or("the certificate chain is empty")?;
    let (_, leaf) = x509_parser::parse_x509_certificate(leaf)
        .map_err(|e| format!("the own certificate: {e}"))?;
    let validity = leaf.validity();
    let validity = [validity.not_before, validity.not_after];
    let [begins, ends] = validity.map(revocation::timestamp);
    let shown = ShownPapers {
        lists,
        built_in: files::built_in_ca(&config.identity).and_then(|ca| ca_id(&ca)),
        certificate_begins: begins,
        certificate_expires: ends,
    };
    Ok((card, shown))
}

/// The receipts keys of this authority and its cards: of the card in use, and of earlier ones, which the ledger keeps.
/// An earlier secret key is `receipts.key.N` beside the one in use, N being the number of the card that names it: with
/// it, what the other side has signed before it knew the newest card can still be countersigned.
///
/// # Errors
/// The card in use has the number of another one that was in use before, or a lower one.
pub(crate) async fn own_cards(
    config: &Config,
    ledger: &Ledger,
    own: &CardNote,
    key: SecretKey,
) -> Result<(OwnKeys, Vec<(u64, Vec<u8>)>), String> {
    let (id, number) = (&own.card.id, own.card.number);
    let rows = ledger.cards_of(id).await.map_err(|e| e.to_string())?;
    let (mut keys, mut cards) = (OwnKeys::new(number, key), Vec::new());
    for row in rows.into_iter().filter(|row| row.digest != own.digest()) {
        if row.number >= number {
            return Err(format!(
                "{}: it has number {number}, and another card with number {} was in use before: a new card needs a higher number",
                config.identity.card.display(),
                row.number
            ));
        }
        let (earlier, _) = Card::open(&row.note).map_err(|e| e.to_string())?;
        let public = earlier.keys.receipts;
        let mut path = config.identity.receipts_key.clone().into_os_string();
        path.push(format!(".{}", row.number));
        let secret = match files::signing_key(path.as_ref(), id, Role::Receipts) {
            Ok(secret) => Some(secret),
            Err(SecretFault::Missing(_)) => None,
            Err(fault) => return Err(fault.to_string()),
        };
        let secret = secret.filter(|secret| secret.public() == public);
        keys = keys.with_earlier(row.number, public, secret);
        cards.push((row.number, row.note));
    }
    cards.push((number, own.note.bytes().to_vec()));
    Ok((keys, cards))
}

/// Tells a person of own papers that are not valid yet by this clock, a sentence each.
pub(crate) fn early_papers(
    config: &Config,
    chain: &[CertificateDer<'static>],
    now: Timestamp,
) -> Vec<String> {
    let Ok((_, shown)) = read_papers(config, chain) else {
        return Vec::new();
    };
    let say = |(what, begins)| {
        format!(
            "{what}: valid only from {begins}: set the machine's clock; once it is right, the daemon issues it anew"
        )
    };
    shown.early(now).map(say).collect()
}
