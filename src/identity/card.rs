//! An authority's card: its signed description of itself, compared by its fingerprint before it is believed.

use std::collections::BTreeSet;

use bech32::{FromBase32 as _, Variant};
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use crate::base::json::base64_bytes;
use crate::base::text::is_unsafe;
use crate::base::{Alias, AuthorityId, Timestamp, limits};
use crate::identity::ca::check_ca;
use crate::identity::keys::{KeyName, PublicKey, Role, SecretKey};
use crate::identity::revocation::HeldList;
use crate::identity::statement::{Context, Note, StatementFault};
use crate::identity::trust::{TrustedPeer, end_of};
use crate::identity::words;

/// A DER-encoded certificate, written as padded base64.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Der(#[serde(with = "base64_bytes")] pub Vec<u8>);

impl From<Vec<u8>> for Der {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&CertificateDer<'_>> for Der {
    fn from(certificate: &CertificateDer<'_>) -> Self {
        Self(certificate.to_vec())
    }
}

/// The four keys of a card, each under its role's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardKeys {
    /// Signs this card and those that follow it.
    pub card: PublicKey,
    /// Signs checkpoints of the authority's log.
    pub log: PublicKey,
    /// Signs receipts.
    pub receipts: PublicKey,
    /// Cosigns others' checkpoints.
    pub witness: PublicKey,
}

impl CardKeys {
    /// Every key with the role it must have.
    pub const fn all(&self) -> [(Role, &PublicKey); 4] {
        [
            (Role::Card, &self.card),
            (Role::Log, &self.log),
            (Role::Receipts, &self.receipts),
            (Role::Witness, &self.witness),
        ]
    }
}

/// An authority as it describes itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// The version of this form: 1.
    pub v: u64,
    /// Counts the authority's cards from 1; a higher number replaces a lower one.
    pub number: u64,
    /// The authority.
    pub id: AuthorityId,
    /// Its name for people, at most [`limits::AUTHORITY_NAME_BYTES_MAX`] bytes.
    pub name: String,
    /// Its state: two capital letters (ISO 3166-1 alpha-2).
    pub country: String,
    /// The short name that it suggests for itself.
    pub alias: Alias,
    /// Where it listens: 1 to 8 of `host:port`, the host a DNS name, an IPv4 address or an IPv6 address in brackets.
    pub endpoints: Vec<String>,
    /// The CA certificates that may vouch for its TLS certificate: 1 to 4.
    pub tls_cas: Vec<Der>,
    /// Its signing keys.
    pub keys: CardKeys,
    /// The age recipients (X25519) that packages for it are sealed to: 1 to 4.
    pub age: Vec<String>,
    /// When the card was made.
    pub created: Timestamp,
}

/// Why a card is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CardFault {
    /// Not a statement, not well signed, a key that is weak, a field missing or unknown.
    #[error("the card is refused: {0}")]
    Statement(#[from] StatementFault),
    /// A version that this program does not know.
    #[error("the card is of version {0}, this program reads version 1")]
    Version(u64),
    /// A field with a value that it may not have.
    #[error("the card's {field} is refused: {why}")]
    Field {
        /// Which field.
        field: &'static str,
        /// The rule that it breaks.
        why: &'static str,
    },
    /// A key with another name than its role in this card demands.
    #[error("the card names a key {got} where {wanted} belongs")]
    KeyName {
        /// The name it must have.
        wanted: KeyName,
        /// The name it has.
        got: KeyName,
    },
    /// Two roles with one key.
    #[error("the card uses one key for two roles; each role needs its own")]
    SharedKey,
    /// Signed by another key than the card's own.
    #[error("{0} is not the card key that the card itself names")]
    NotOwnKey(KeyName),
}

impl CardFault {
    /// A stable name of the fault.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Statement(fault) => fault.code(),
            Self::Version(_) => "card-version",
            Self::Field { .. } => "card-field",
            Self::KeyName { .. } => "card-key-name",
            Self::SharedKey => "card-shared-key",
            Self::NotOwnKey(_) => "card-not-own-key",
        }
    }
}

impl Card {
    /// Signs the card with its own card key, after the checks that its readers make.
    pub fn issue(&self, key: &SecretKey) -> Result<Note, CardFault> {
        self.check()?;
        if key.public() != self.keys.card {
            return Err(CardFault::NotOwnKey(key.name().clone()));
        }
        let note = Note::issue(Context::Card, self, key)?;
        Self::open(note.bytes())?;
        Ok(note)
    }

    /// Reads a card and verifies that it is complete, within limits and signed by the key it names.
    ///
    /// That this key is the authority's, only the comparison of [`fingerprint`] shows.
    pub fn open(bytes: &[u8]) -> Result<(Self, Note), CardFault> {
        let note = Note::parse(bytes)?;
        note.expect(Context::Card)?;
        let card: Self = note.body()?;
        card.check()?;
        note.verify(&[&card.keys.card])?;
        Ok((card, note))
    }

    /// The CAs that may vouch for its TLS certificate.
    pub fn cas(&self) -> Vec<CertificateDer<'static>> {
        let cas = self.tls_cas.iter();
        cas.map(|der| CertificateDer::from(der.0.clone())).collect()
    }

    /// The authority as [`crate::identity::Trust`] needs it, with its newest revocation lists.
    pub fn trusted(&self, lists: Vec<HeldList>, allow_classic: bool) -> TrustedPeer {
        TrustedPeer {
            id: self.id.clone(),
            alias: self.alias.clone(),
            cas: self.cas(),
            lists,
            others: Vec::new(),
            allow_classic,
        }
    }

    /// When the last of its CAs ends: from then on no connection with this authority is possible under this card.
    pub fn cas_end(&self) -> Option<Timestamp> {
        let ends = |der: &Der| end_of(&der.0);
        self.tls_cas.iter().filter_map(ends).max()
    }

    fn check(&self) -> Result<(), CardFault> {
        if self.v != 1 {
            return Err(CardFault::Version(self.v));
        }
        let number_max = limits::JSON_INTEGER_MAX.unsigned_abs();
        let fields = [
            (
                "number",
                (!(1..=number_max).contains(&self.number)).then_some("it must be 1 to 2^53 - 1"),
            ),
            ("name", name_fault(&self.name)),
            ("country", country_fault(&self.country)),
            (
                "endpoints",
                list_fault(&self.endpoints, limits::CARD_ENDPOINTS_MAX)
                    .or_else(|| self.endpoints.iter().find_map(|one| endpoint_fault(one))),
            ),
            (
                "tls_cas",
                list_fault(&self.tls_cas, limits::CARD_CAS_MAX)
                    .or_else(|| self.tls_cas.iter().find_map(|one| check_ca(&one.0).err())),
            ),
            (
                "age",
                list_fault(&self.age, limits::CARD_RECIPIENTS_MAX)
                    .or_else(|| self.age.iter().find_map(|one| recipient_fault(one))),
            ),
        ];
        if let Some((field, why)) = fields.into_iter().find_map(|(f, why)| Some((f, why?))) {
            return Err(CardFault::Field { field, why });
        }
        self.check_keys()
    }

    fn check_keys(&self) -> Result<(), CardFault> {
        for (role, key) in self.keys.all() {
            let wanted = KeyName::new(self.id.clone(), role);
            if key.name() != &wanted {
                let got = key.name().clone();
                return Err(CardFault::KeyName { wanted, got });
            }
        }
        let points: BTreeSet<_> = self.keys.all().map(|(_, key)| *key.bytes()).into();
        if points.len() == self.keys.all().len() {
            Ok(())
        } else {
            Err(CardFault::SharedKey)
        }
    }
}

/// The six words that two people compare before one accepts the other's card; of the signed text, not of the signature.
pub fn fingerprint(note: &Note) -> String {
    words::words(&note.text_digest())
}

fn list_fault<T: Ord>(list: &[T], max: usize) -> Option<&'static str> {
    if list.is_empty() {
        return Some("at least one is needed");
    }
    if list.len() > max {
        return Some("there are too many");
    }
    let distinct: BTreeSet<_> = list.iter().collect();
    (distinct.len() < list.len()).then_some("one stands twice")
}

/// The fault of a name for people, if it has one: empty, long, not NFC, spaces around it, or characters that cannot be
/// seen or that reorder text.
pub fn name_fault(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("it is empty");
    }
    if name.len() > limits::AUTHORITY_NAME_BYTES_MAX {
        return Some("it is too long");
    }
    if name.trim() != name {
        return Some("it starts or ends with a space");
    }
    if name.chars().any(is_unsafe) {
        return Some("it has a character that cannot be seen, or that reorders text");
    }
    (!unicode_normalization::is_nfc(name)).then_some("it is not in Unicode normal form C")
}

/// The fault of a country code, if it has one.
pub fn country_fault(country: &str) -> Option<&'static str> {
    let good = country.len() == 2 && country.bytes().all(|b| b.is_ascii_uppercase());
    (!good).then_some("it is not two capital letters")
}

/// The fault of an endpoint `host:port`, if it has one.
pub fn endpoint_fault(endpoint: &str) -> Option<&'static str> {
    let Some((host, port)) = endpoint.rsplit_once(':') else {
        return Some("an endpoint is host:port");
    };
    if !port
        .parse::<u16>()
        .is_ok_and(|number| number > 0 && number.to_string() == port)
    {
        return Some("a port is a number from 1 to 65535");
    }
    let good = match host.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
        Some(inner) => inner.parse::<core::net::Ipv6Addr>().is_ok(),
        None => host_is_name(host),
    };
    (!good).then_some("a host is a lower-case DNS name, an IPv4 address, or an IPv6 address in []")
}

fn host_is_name(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    host.len() <= limits::AUTHORITY_ID_BYTES_MAX && host.split('.').all(label)
}

/// X25519 public keys whose shared secret is always zero (RFC 7748 §6.1), the unused top bit cleared.
const LOW_ORDER: [&str; 7] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

/// The fault of an age recipient, if it has one: not X25519 in lower-case bech32, or of low order.
pub fn recipient_fault(recipient: &str) -> Option<&'static str> {
    let Some(mut point) = recipient_point(recipient) else {
        return Some("a recipient is an age X25519 recipient, age1...");
    };
    point[31] &= 0x7f;
    let weak = LOW_ORDER.contains(&hex::encode(point).as_str());
    weak.then_some("a recipient is weak (a point of low order): anybody could open the package")
}

/// The public key of an age X25519 recipient: bech32, lower case, `age`, 32 bytes.
fn recipient_point(recipient: &str) -> Option<[u8; 32]> {
    if recipient.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    match bech32::decode(recipient).ok()? {
        (prefix, symbols, Variant::Bech32) if prefix == "age" => {
            Vec::from_base32(&symbols).ok()?.try_into().ok()
        }
        (_, _, Variant::Bech32 | Variant::Bech32m) => None,
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;

    use super::*;
    use crate::base::Digest;
    use crate::identity::trust::tests::ca::Ca;

    const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

    fn secret(role: Role) -> SecretKey {
        let name = KeyName::new("mla.example.ie".parse().unwrap(), role);
        let seed = Digest::of(role.as_str().as_bytes());
        SecretKey::from_seed(name, seed.as_bytes())
    }

    fn good() -> Card {
        let public = |role| secret(role).public();
        Card {
            v: 1,
            number: 1,
            id: "mla.example.ie".parse().unwrap(),
            name: "Département d’entraide – Příjem".to_owned(),
            country: "IE".to_owned(),
            alias: "ie".parse().unwrap(),
            endpoints: vec![
                "mla.example.ie:7443".to_owned(),
                "[2001:db8::1]:7443".to_owned(),
            ],
            tls_cas: vec![Der::from(&Ca::new("ie ca").der)],
            keys: CardKeys {
                card: public(Role::Card),
                log: public(Role::Log),
                receipts: public(Role::Receipts),
                witness: public(Role::Witness),
            },
            age: vec![RECIPIENT.to_owned()],
            created: "2026-11-23T09:00:00.000Z".parse().unwrap(),
        }
    }

    #[test]
    fn a_card_is_issued_and_opened() {
        let card = good();
        let note = card.issue(&secret(Role::Card)).unwrap();
        let (opened, same) = Card::open(note.bytes()).unwrap();
        assert_eq!((&opened, &same), (&card, &note));
        assert!(words::matches(&fingerprint(&note), &note.text_digest()));
        let peer = card.trusted(Vec::new(), true);
        assert_eq!(
            (peer.id, peer.cas[0].to_vec()),
            (card.id, card.tls_cas[0].0.clone())
        );
    }

    #[test]
    fn a_card_ends_with_its_last_ca() {
        let mut card = good();
        let end = card.cas_end();
        assert_eq!(end, Some("2036-01-01T00:00:00.000Z".parse().unwrap()));
        card.tls_cas.push(Der(vec![0x30]));
        assert_eq!(card.cas_end(), end);
        card.tls_cas.remove(0);
        assert_eq!(card.cas_end(), None);
    }

    fn check(change: impl FnOnce(&mut Card), code: &str, says: &str) {
        let mut card = good();
        change(&mut card);
        let issued = card.issue(&secret(Role::Card)).unwrap_err();
        assert_eq!(issued.code(), code, "{issued}");
        assert!(issued.to_string().contains(says), "{issued}");
        let note = Note::issue(Context::Card, &card, &secret(Role::Card)).unwrap();
        assert_eq!(Card::open(note.bytes()).unwrap_err(), issued);
    }

    #[test]
    fn every_field_has_its_rule() {
        let field = |change: fn(&mut Card), says| check(change, "card-field", says);
        check(|c| c.v = 2, "card-version", "version 2");
        field(|c| c.number = 0, "number");
        field(|c| c.name.clear(), "name");
        field(|c| c.name = "x".repeat(257), "too long");
        field(|c| c.name = " x".to_owned(), "space");
        for hidden in [
            '\u{202e}', '\u{200b}', '\u{7}', '\u{85}', '\u{2028}', '\u{e000}', '\u{2066}',
        ] {
            check(
                |c| c.name.extend([hidden, 'x']),
                "card-field",
                "cannot be seen",
            );
        }
        field(|c| c.name = "e\u{301}".to_owned(), "normal form");
        field(|c| c.country = "ie".to_owned(), "country");
        field(|c| c.country = "IRL".to_owned(), "country");
        field(|c| c.endpoints.clear(), "at least one");
        field(
            |c| c.endpoints = (1..10).map(|n| format!("a.example:{n}")).collect(),
            "too many",
        );
        field(|c| c.endpoints = vec!["a.b:1".to_owned(); 2], "twice");
        for bad in [
            "a.example",
            "a.example:0",
            "a.example:65536",
            "a.example:07",
            "a.example:+7",
            ":7",
            "A.example:7",
            "a b:7",
            "[::1:7",
            "[::g]:7",
            "::1:7",
            "-a.example:7",
            "a..b:7",
            "a\u{202e}.example:7",
        ] {
            check(
                |c| c.endpoints = vec![bad.to_owned()],
                "card-field",
                "endpoints",
            );
        }
        field(|c| c.tls_cas.clear(), "at least one");
        field(|c| c.tls_cas = vec![c.tls_cas[0].clone(); 2], "twice");
        field(|c| c.tls_cas[0].0.push(0), "bytes follow");
        field(|c| c.tls_cas[0].0.truncate(50), "DER-encoded");
        field(
            |c| c.tls_cas[0] = Der::from(&Ca::new("ie ca").leaf("mla.example.ie")),
            "not that of a CA",
        );
        field(|c| c.age.clear(), "at least one");
        field(|c| c.age = vec![RECIPIENT.to_uppercase()], "X25519");
        field(
            |c| c.age = vec![RECIPIENT.replace("ql3z", "ql3q")],
            "X25519",
        );
        field(|c| c.age = vec!["age1tagpq1abc".to_owned()], "X25519");
        field(|c| c.age = vec!["ssh-ed25519 AAAA".to_owned()], "X25519");
    }

    #[test]
    fn keys_are_the_authoritys_own_one_for_each_role() {
        check(
            |c| c.keys.log = secret(Role::Witness).public(),
            "card-key-name",
            "mla.example.ie/log",
        );
        let of = |authority: &str, role, seed| {
            SecretKey::from_seed(KeyName::new(authority.parse().unwrap(), role), &seed).public()
        };
        let other = of("mla.example.fr", Role::Log, [1; 32]);
        check(
            |c| c.keys.log = other,
            "card-key-name",
            "mla.example.fr/log",
        );
        let seed = *Digest::of(b"witness").as_bytes();
        let shared = of("mla.example.ie", Role::Log, seed);
        check(
            |c| c.keys.log = shared,
            "card-shared-key",
            "one key for two roles",
        );
        let fault = good().issue(&secret(Role::Log)).unwrap_err();
        assert_eq!(fault.code(), "card-not-own-key");
    }

    #[test]
    fn what_is_not_a_good_card_is_refused() {
        let note = good().issue(&secret(Role::Card)).unwrap();
        let text = String::from_utf8(note.bytes().to_vec()).unwrap();
        let open = |text: &str| Card::open(text.as_bytes()).unwrap_err().to_string();
        assert!(open(&text.replace("Příjem", "Prijem")).contains("does not verify"));
        assert!(open(&text.replace("\"v\":1}", "\"v\":1,\"z\":1}")).contains("unknown field"));
        let weak = KeyName::new(good().id, Role::Log).to_string();
        let mut blob = vec![1];
        blob.extend([0; 32]);
        let id = crate::identity::note::key_id(&weak, 1, &[0; 32]);
        let blob = base64::engine::general_purpose::STANDARD.encode(blob);
        let weak = text.replace(&good().keys.log.to_vkey(), &format!("{weak}+{id}+{blob}"));
        assert!(open(&weak).contains("weak"));
        let signed = Note::issue(Context::Card, &good(), &secret(Role::Log)).unwrap();
        assert_eq!(
            Card::open(signed.bytes()).unwrap_err().code(),
            "statement-wrong-signer"
        );
        let receipt = Note::issue(Context::Receipt, &good(), &secret(Role::Card)).unwrap();
        assert_eq!(
            Card::open(receipt.bytes()).unwrap_err().code(),
            "statement-wrong-context"
        );
    }

    #[test]
    fn recipients_of_low_order_are_weak() {
        let key = recipient_point(RECIPIENT).unwrap();
        let alphabet = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
        for (point, low) in LOW_ORDER
            .map(|hex| (hex::decode(hex).unwrap(), true))
            .into_iter()
            .chain([(key.to_vec(), false)])
        {
            let ours = aws_lc_rs::agreement::PrivateKey::from_private_key(
                &aws_lc_rs::agreement::X25519,
                &[5; 32],
            )
            .unwrap();
            let theirs =
                aws_lc_rs::agreement::UnparsedPublicKey::new(&aws_lc_rs::agreement::X25519, &point);
            let refused = aws_lc_rs::agreement::agree(&ours, theirs, (), |_| Ok(())).is_err();
            assert_eq!(refused, low, "{}", hex::encode(&point));
            let bits: Vec<u8> = point
                .iter()
                .flat_map(|b| (0..8).rev().map(move |n| (b >> n) & 1))
                .collect();
            let data: Vec<u8> = bits
                .chunks(5)
                .map(|five| {
                    five.iter()
                        .chain(&[0; 4])
                        .take(5)
                        .fold(0, |v, b| v << 1 | b)
                })
                .collect();
            let mut text = "age1".to_owned();
            text.extend(
                data.iter()
                    .chain(&bech32_checksum(&data))
                    .map(|v| char::from(alphabet[usize::from(*v)])),
            );
            assert_eq!(
                recipient_fault(&text).is_some_and(|why| why.contains("weak")),
                low,
                "{text}"
            );
            assert_eq!(text == RECIPIENT, !low);
        }
    }

    /// BIP 173, over the prefix `age`.
    fn bech32_checksum(data: &[u8]) -> [u8; 6] {
        let generator = [
            0x3b6a_57b2_u32,
            0x2650_8e6d,
            0x1ea1_19fa,
            0x3d42_33dd,
            0x2a14_62b3,
        ];
        let prefix = b"age"
            .iter()
            .map(|b| b >> 5)
            .chain([0])
            .chain(b"age".iter().map(|b| b & 31));
        let values = prefix.chain(data.iter().copied()).chain([0; 6]);
        let sum = values.fold(1_u32, |sum, value| {
            let next = ((sum & 0x01ff_ffff) << 5) ^ u32::from(value);
            (0..5).fold(next, |next, bit| {
                if sum >> (25 + bit) & 1 == 1 {
                    next ^ generator[bit]
                } else {
                    next
                }
            })
        }) ^ 1;
        std::array::from_fn(|place| u8::try_from((sum >> (5 * (5 - place))) & 31).unwrap())
    }
}
