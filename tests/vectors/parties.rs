//! Two authorities whose every secret follows from a label.

use aws_lc_rs::agreement;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rogatory::base::{AuthorityId, Digest, Timestamp};
use rogatory::identity::card::{Card, CardKeys, Der};
use rogatory::identity::keys::{KeyName, Role, SecretKey};
use serde_json::{Value, json};

/// 2026-11-23T09:00:00.000Z, when the first thing happens.
pub(crate) const START_MS: i64 = 1_795_424_400_000;

/// So many seconds after the start.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(START_MS).plus_millis(seconds * 1_000)
}

fn text_of(label: &str) -> String {
    format!("rogatory vectors: {label}")
}

/// 32 bytes in the place of random ones: SHA-256 of `rogatory vectors: <label>`.
pub(crate) fn seed(label: &str) -> [u8; 32] {
    *Digest::of(text_of(label).as_bytes()).as_bytes()
}

/// The first 16 of these 32 bytes.
pub(crate) fn half(label: &str) -> [u8; 16] {
    let whole = seed(label);
    let (half, _) = whole.split_first_chunk().expect("32 are more than 16");
    *half
}

pub(crate) struct Party {
    pub(crate) id: AuthorityId,
    name: &'static str,
    country: &'static str,
}

pub(crate) fn de() -> Party {
    Party {
        id: "bfj.example.de".parse().expect("an id"),
        name: "Bundesamt für Justiz",
        country: "DE",
    }
}

pub(crate) fn ie() -> Party {
    Party {
        id: "mla.example.ie".parse().expect("an id"),
        name: "An Roinn Dlí agus Cirt, Central Authority",
        country: "IE",
    }
}

/// To whom a package is passed on.
pub(crate) fn fr() -> Party {
    Party {
        id: "bepi.justice.example.fr".parse().expect("an id"),
        name: "Bureau de l'entraide pénale internationale",
        country: "FR",
    }
}

impl Party {
    pub(crate) fn key(&self, role: Role) -> SecretKey {
        let name = KeyName::new(self.id.clone(), role);
        let seed = seed(&name.to_string());
        SecretKey::from_seed(name, &seed)
    }

    pub(crate) fn log_origin(&self) -> String {
        format!("{}/log", self.id)
    }

    fn age_label(&self) -> String {
        format!("{} age", self.id)
    }

    pub(crate) fn age_secret(&self) -> [u8; 32] {
        seed(&self.age_label())
    }

    pub(crate) fn age_point(&self) -> [u8; 32] {
        x25519_point(&self.age_secret())
    }

    pub(crate) fn recipient(&self) -> String {
        bech32("age", &self.age_point())
    }

    pub(crate) fn age_identity(&self) -> String {
        bech32("age-secret-key-", &self.age_secret()).to_uppercase()
    }

    fn ca_key(&self) -> KeyPair {
        let name = KeyName::new(self.id.clone(), Role::Card);
        let seed = seed(&format!("{} ca", self.id));
        let pem = SecretKey::from_seed(name, &seed).to_pkcs8_pem();
        KeyPair::from_pem(&pem).expect("an Ed25519 key")
    }

    fn ca_params(&self) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.not_before = rcgen::date_time_ymd(2026, 11, 1);
        params.not_after = rcgen::date_time_ymd(2036, 11, 1);
        params.serial_number = Some(vec![1].into());
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let name = format!("{} CA", self.id);
        params.distinguished_name.push(DnType::CommonName, name);
        params
    }

    pub(crate) fn ca(&self) -> Vec<u8> {
        let made = self.ca_params().self_signed(&self.ca_key());
        made.expect("a CA").der().to_vec()
    }

    /// A revocation list with number 7 and nobody on it.
    pub(crate) fn crl(&self) -> Vec<u8> {
        let params = rcgen::CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2026, 11, 22),
            next_update: rcgen::date_time_ymd(2026, 12, 22),
            crl_number: vec![7].into(),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        let issuer = Issuer::new(self.ca_params(), self.ca_key());
        let made = params.signed_by(&issuer);
        made.expect("a list").der().to_vec()
    }

    pub(crate) fn card(&self) -> Card {
        let public = |role| self.key(role).public();
        let alias = self.country.to_lowercase();
        Card {
            v: 1,
            number: 1,
            id: self.id.clone(),
            name: self.name.to_owned(),
            country: self.country.to_owned(),
            alias: alias.parse().expect("an alias"),
            endpoints: vec![
                format!("rogatory.{}:7443", self.id),
                "[2001:db8::1]:7443".to_owned(),
            ],
            tls_cas: vec![Der(self.ca())],
            keys: CardKeys {
                card: public(Role::Card),
                log: public(Role::Log),
                receipts: public(Role::Receipts),
                witness: public(Role::Witness),
            },
            age: vec![self.recipient()],
            created: at(-86_400),
        }
    }
}

pub(crate) fn keys(parties: &[&Party]) -> Value {
    let keys = parties.iter().flat_map(|party| {
        Role::ALL.into_iter().map(|role| {
            let key = party.key(role);
            let public = key.public();
            json!({
                "id": public.id(),
                "name": key.name(),
                "pkcs8_pem": key.to_pkcs8_pem().as_str(),
                "public": hex::encode(public.bytes()),
                "seed": hex::encode(seed(&key.name().to_string())),
                "seed_is_sha256_of": text_of(&key.name().to_string()),
                "spki_pem": public.to_spki_pem(),
                "vkey": public.to_vkey(),
            })
        })
    });
    keys.collect()
}

pub(crate) fn age_keys(parties: &[&Party]) -> Value {
    let keys = parties.iter().map(|party| {
        json!({
            "authority": party.id,
            "identity": party.age_identity(),
            "recipient": party.recipient(),
            "public": hex::encode(party.age_point()),
            "secret": hex::encode(party.age_secret()),
            "secret_is_sha256_of": text_of(&party.age_label()),
        })
    });
    keys.collect()
}

pub(crate) fn x25519_point(secret: &[u8; 32]) -> [u8; 32] {
    let secret = agreement::PrivateKey::from_private_key(&agreement::X25519, secret);
    let public = secret.expect("32 bytes").compute_public_key();
    let public = public.expect("a point");
    public.as_ref().try_into().expect("32 bytes")
}

/// Bech32 (BIP 173) of these bytes.
fn bech32(prefix: &str, bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    let (mut held, mut bits) = (0_u32, 0);
    let mut symbols = Vec::new();
    for byte in bytes {
        held = (held << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            symbols.push((held >> bits) & 31);
            held &= (1 << bits) - 1;
        }
    }
    if bits > 0 {
        symbols.push((held << (5 - bits)) & 31);
    }
    let high = prefix.bytes().map(|b| u32::from(b) >> 5);
    let low = prefix.bytes().map(|b| u32::from(b) & 31);
    let checked = high.chain([0]).chain(low);
    let checked = checked.chain(symbols.iter().copied()).chain([0; 6]);
    let sum = checked.fold(1_u32, polymod) ^ 1;
    symbols.extend((0..6).map(|place| (sum >> (25 - 5 * place)) & 31));
    let symbols = symbols.into_iter().map(|symbol| {
        let at = usize::try_from(symbol).expect("below 32");
        char::from(ALPHABET[at])
    });
    format!("{prefix}1{}", symbols.collect::<String>())
}

fn polymod(sum: u32, symbol: u32) -> u32 {
    const STEPS: [u32; 5] = [
        0x3b6a_57b2,
        0x2650_8e6d,
        0x1ea1_19fa,
        0x3d42_33dd,
        0x2a14_62b3,
    ];
    let top = sum >> 25;
    let next = ((sum & 0x01ff_ffff) << 5) ^ symbol;
    let steps = STEPS.iter().enumerate();
    steps
        .filter(|(bit, _)| (top >> bit) & 1 == 1)
        .fold(next, |sum, (_, step)| sum ^ step)
}

#[test]
fn age_reads_the_keys() {
    for party in [de(), ie()] {
        let identity: age::x25519::Identity = party.age_identity().parse().expect("an identity");
        assert_eq!(identity.to_public().to_string(), party.recipient());
    }
}
