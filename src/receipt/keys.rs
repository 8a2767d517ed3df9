//! The receipts keys of an authority. Each is named by one of its cards, and a signature is judged by the key of the
//! card that its receipt names: keys change, receipts stay.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::AuthorityId;
use crate::identity::card::Card;
use crate::identity::keys::{PublicKey, SecretKey};
use crate::identity::statement::Note;
use crate::receipt::body::Receipt;
use crate::receipt::fault::ReceiptFault;
use crate::receipt::parts::Party;

/// The receipts keys of one authority, each under the number of the card that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartyKeys {
    newest: Party,
    by_card: BTreeMap<u64, PublicKey>,
}

impl PartyKeys {
    /// One key, named by the card with this number.
    pub fn new(card: u64, key: PublicKey) -> Self {
        Self {
            newest: Party::of(card, &key),
            by_card: BTreeMap::from([(card, key)]),
        }
    }

    /// The key that this card names.
    pub fn of(card: &Card) -> Self {
        Self::new(card.number, card.keys.receipts.clone())
    }

    /// The keys that these cards of one authority name; `None` without a card.
    pub fn of_all<'a>(cards: impl IntoIterator<Item = &'a Card>) -> Option<Self> {
        let mut cards = cards.into_iter();
        let mut keys = Self::of(cards.next()?);
        for card in cards {
            keys.add(card.number, card.keys.receipts.clone());
        }
        Some(keys)
    }

    /// Adds the key that another card of the same authority names.
    pub fn add(&mut self, card: u64, key: PublicKey) {
        if card > self.newest.card {
            self.newest = Party::of(card, &key);
        }
        self.by_card.insert(card, key);
    }

    /// The authority.
    pub const fn id(&self) -> &AuthorityId {
        &self.newest.id
    }

    /// The authority with the key of its newest card.
    pub const fn newest(&self) -> &Party {
        &self.newest
    }

    /// The key that a receipt names for this authority; `None` if no card of it that is known here names that one.
    pub fn find(&self, party: &Party) -> Option<&PublicKey> {
        let key = self.by_card.get(&party.card)?;
        party.owns(key).then_some(key)
    }

    /// All keys, oldest first; one that several cards name stands once.
    pub fn all(&self) -> Vec<&PublicKey> {
        let mut all = Vec::new();
        for key in self.by_card.values() {
            if !all.contains(&key) {
                all.push(key);
            }
        }
        all
    }
}

/// The receipts keys of this authority: what it signs with, and what it has signed with.
pub struct OwnKeys {
    secret: Vec<SecretKey>,
    public: Arc<PartyKeys>,
}

impl std::fmt::Debug for OwnKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.public.fmt(f)
    }
}

impl OwnKeys {
    /// The key that the card with this number, the newest, names.
    pub fn new(card: u64, key: SecretKey) -> Self {
        let public = Arc::new(PartyKeys::new(card, key.public()));
        let secret = vec![key];
        Self { secret, public }
    }

    /// Adds a key of an earlier card, with its secret where that is still here.
    #[must_use]
    pub fn with_earlier(mut self, card: u64, key: PublicKey, secret: Option<SecretKey>) -> Self {
        Arc::make_mut(&mut self.public).add(card, key);
        self.secret.extend(secret);
        self
    }

    /// The public keys.
    pub const fn public(&self) -> &Arc<PartyKeys> {
        &self.public
    }

    /// This authority as a party of what it signs now.
    pub fn party(&self) -> &Party {
        self.public.newest()
    }

    /// Checks and signs a receipt of this authority with the key that it names.
    pub fn sign(&self, receipt: &Receipt) -> Result<Note, ReceiptFault> {
        receipt.sign(self.secret(receipt.issuer())?)
    }

    /// Adds this authority's signature to the note of a receipt of the other side, with the key that the receipt names.
    /// That is an earlier one where the other side did not know the newest card yet.
    pub fn countersign(&self, receipt: &Receipt, note: &Note) -> Result<Note, ReceiptFault> {
        receipt.countersign(note, self.secret(receipt.countersigner())?)
    }

    /// The secret key that this card of ours names; several cards may name one. Where the party is none of ours, the
    /// newest, which then does not fit.
    fn secret(&self, party: Option<&Party>) -> Result<&SecretKey, ReceiptFault> {
        let card = party.unwrap_or_else(|| self.party()).card;
        let named = self.public.by_card.get(&card);
        let mut held = self.secret.iter();
        let secret = held.find(|secret| Some(&secret.public()) == named);
        secret.ok_or_else(|| ReceiptFault::KeyGone {
            party: self.public.id().clone(),
            card,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::keys::{KeyName, Role};

    fn key(seed: u8) -> SecretKey {
        let id = "mla.example.ie".parse().unwrap();
        SecretKey::from_seed(KeyName::new(id, Role::Receipts), &[seed; 32])
    }

    #[test]
    fn a_key_is_found_under_its_own_card_only() {
        let mut keys = PartyKeys::new(3, key(3).public());
        keys.add(1, key(1).public());
        assert_eq!(keys.newest(), &Party::of(3, &key(3).public()));
        let find = |card, seed| keys.find(&Party::of(card, &key(seed).public())).is_some();
        assert!(find(1, 1) && find(3, 3));
        for (card, seed) in [(1, 3), (3, 1), (2, 3), (2, 1), (4, 3)] {
            assert!(!find(card, seed), "card {card}, key {seed}");
        }
        assert_eq!(keys.all(), [&key(1).public(), &key(3).public()]);
        keys.add(4, key(3).public());
        keys.add(5, key(1).public());
        assert_eq!(keys.all().len(), 2, "the same keys under new cards");
    }

    #[test]
    fn an_earlier_key_countersigns_what_names_it() {
        let gone = OwnKeys::new(3, key(3)).with_earlier(1, key(1).public(), None);
        let kept = OwnKeys::new(3, key(3)).with_earlier(1, key(1).public(), Some(key(1)));
        let earlier = Party::of(1, &key(1).public());
        let found = |keys: &OwnKeys, party| {
            let secret = keys.secret(party);
            secret.map(SecretKey::public).map_err(|e| e.code())
        };
        assert_eq!(found(&gone, Some(&earlier)), Err("receipt-key-gone"));
        assert_eq!(found(&kept, Some(&earlier)), Ok(key(1).public()));
        assert_eq!(found(&kept, None), Ok(key(3).public()));
        assert_eq!(gone.public(), kept.public());
        let same = OwnKeys::new(3, key(1)).with_earlier(1, key(1).public(), None);
        assert_eq!(
            found(&same, Some(&earlier)),
            Ok(key(1).public()),
            "the key has not changed"
        );
    }
}
