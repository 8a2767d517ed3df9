//! Trust with certificates made for the purpose: one table row for each cause of refusal.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};

use super::*;
use crate::identity::revocation::{check_crl, crl_next_update, crl_number};

/// A CA, and what it issues: certificates of 2026 and lists of November 2026.
pub(crate) struct Ca {
    pub(crate) der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2036, 1, 1);
    params
}

fn leaf_params(id: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![id.to_owned()]).unwrap();
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    params.serial_number = Some(SerialNumber::from(7));
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ClientAuth,
        ExtendedKeyUsagePurpose::ServerAuth,
    ];
    params
}

fn crl_params(revoked: &[u64]) -> CertificateRevocationListParams {
    let revoked = revoked.iter().map(|serial| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: date_time_ymd(2026, 11, 2),
        reason_code: None,
        invalidity_date: None,
    });
    CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 11, 1),
        next_update: date_time_ymd(2026, 12, 1),
        crl_number: SerialNumber::from(3),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    }
}

type Crl = CertificateRevocationListDer<'static>;

impl Ca {
    pub(crate) fn new(name: &str) -> Self {
        Self::with(ca_params(name))
    }

    fn with(params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().clone();
        let issuer = Issuer::new(params, key);
        Self { der, issuer }
    }

    fn below(&self, name: &str) -> Self {
        let (params, key) = (ca_params(name), KeyPair::generate().unwrap());
        let der = params.signed_by(&key, &self.issuer).unwrap();
        let der = der.der().clone();
        let issuer = Issuer::new(params, key);
        Self { der, issuer }
    }

    pub(crate) fn leaf(&self, id: &str) -> CertificateDer<'static> {
        self.issue(&leaf_params(id))
    }

    fn issue(&self, params: &CertificateParams) -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        params.signed_by(&key, &self.issuer).unwrap().der().clone()
    }

    fn crl(&self, revoked: &[u64]) -> Crl {
        self.list(&crl_params(revoked))
    }

    fn list(&self, params: &CertificateRevocationListParams) -> Crl {
        params.signed_by(&self.issuer).unwrap().der().clone()
    }
}

const IE: &str = "mla.example.ie";
const FR: &str = "bepi.justice.example.fr";
const DE: &str = "bfj.example.de";

fn id(text: &str) -> AuthorityId {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    "2026-11-23T09:00:00.000Z".parse().unwrap()
}

fn peer(name: &str, ca: &Ca, crl: Option<Crl>) -> TrustedPeer {
    TrustedPeer {
        id: id(name),
        alias: name.split('.').next().unwrap().parse().unwrap(),
        cas: vec![ca.der.clone()],
        crl,
        allow_classic: false,
    }
}

/// Ireland's trust in France and Germany.
struct World {
    fr: Ca,
    de: Ca,
    peers: Vec<TrustedPeer>,
}

impl World {
    fn new() -> Self {
        let (fr, de) = (Ca::new("fr ca"), Ca::new("de ca"));
        let peers = vec![
            peer(FR, &fr, Some(fr.crl(&[]))),
            peer(DE, &de, Some(de.crl(&[]))),
        ];
        Self { fr, de, peers }
    }

    fn judge(
        &self,
        chain: &[CertificateDer<'static>],
        side: PeerSide,
        expected: Option<&str>,
    ) -> Result<Peer, Refusal> {
        let (leaf, rest) = chain.split_first().unwrap();
        let trust = Trust::new(id(IE), self.peers.clone());
        trust.authenticate(leaf, rest, side, expected.map(id).as_ref(), now())
    }

    /// Judged as client and as server, with the same result.
    fn check(&self, chain: &[CertificateDer<'static>], expected: Option<&str>, refusal: &Refusal) {
        for side in [PeerSide::Client, PeerSide::Server] {
            let got = self.judge(chain, side, expected).unwrap_err();
            assert_eq!(&got, refusal, "{side:?}");
            assert_eq!(got.code(), refusal.code());
        }
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn a_good_certificate_makes_a_peer() {
    let world = World::new();
    for side in [PeerSide::Client, PeerSide::Server] {
        for expected in [None, Some(FR)] {
            let chain = [world.fr.leaf(FR)];
            let peer = world.judge(&chain, side, expected).unwrap();
            assert_eq!((peer.id(), peer.alias().as_str()), (&id(FR), "bepi"));
            assert_eq!(peer.leaf_expires(), at("2027-01-01T00:00:00.000Z"));
        }
    }
}

#[test]
fn names() {
    let world = World::new();
    let mut nameless = leaf_params(FR);
    nameless.subject_alt_names = Vec::new();
    world.check(&[world.fr.issue(&nameless)], None, &Refusal::NoName);
    let mut address = leaf_params(FR);
    address.subject_alt_names = vec![SanType::IpAddress([127, 0, 0, 1].into())];
    world.check(&[world.fr.issue(&address)], None, &Refusal::NoName);
    let mut two = leaf_params(FR);
    two.subject_alt_names
        .push(SanType::DnsName(DE.try_into().unwrap()));
    world.check(&[world.fr.issue(&two)], None, &Refusal::SeveralNames);
    for odd in ["*.example.fr", "BEPI.justice.example.fr", "fr"] {
        let got = world.judge(&[world.fr.leaf(odd)], PeerSide::Client, None);
        assert_eq!(got.unwrap_err().code(), "malformed", "{odd}");
    }
    let stranger = "mla.example.it";
    let unknown = Refusal::UnknownAuthority(id(stranger));
    world.check(&[world.fr.leaf(stranger)], None, &unknown);
    world.check(&[world.fr.leaf(IE)], None, &Refusal::OwnName);
    world.check(&[world.fr.leaf(IE)], Some(FR), &Refusal::OwnName);
    let other = Refusal::NotExpected {
        wanted: id(FR),
        got: id(DE),
    };
    world.check(&[world.de.leaf(DE)], Some(FR), &other);
}

#[test]
fn one_authoritys_ca_never_speaks_for_another() {
    let mut world = World::new();
    let wrong = |belongs_to: Option<&str>| Refusal::WrongCa {
        id: id(FR),
        belongs_to: belongs_to.map(id),
    };
    world.check(&[world.de.leaf(FR)], None, &wrong(Some(DE)));
    world.check(&[world.de.leaf(FR)], Some(FR), &wrong(Some(DE)));
    let said = wrong(Some(DE)).to_string();
    assert!(said.contains("but from one of bfj.example.de;"), "{said}");
    world.check(&[Ca::new("no ca").leaf(FR)], None, &wrong(None));
    world.check(&[Ca::new("fr ca").leaf(FR)], None, &wrong(None));
    let renamed = Ca::new("fr ca");
    world.peers.push(peer("mla.example.it", &renamed, None));
    world.check(&[renamed.leaf(FR)], None, &wrong(Some("mla.example.it")));
    let mut selfmade = leaf_params(FR);
    selfmade
        .distinguished_name
        .push(DnType::CommonName, "fr ca");
    let selfmade = selfmade.self_signed(&KeyPair::generate().unwrap()).unwrap();
    world.check(&[selfmade.der().clone()], None, &wrong(None));
    world.peers[0].cas.clear();
    world.check(&[world.fr.leaf(FR)], None, &wrong(None));
}

#[test]
fn dates() {
    let mut world = World::new();
    let mut old = leaf_params(FR);
    old.not_after = date_time_ymd(2026, 11, 1);
    let ended = at("2026-11-01T00:00:00.000Z");
    world.check(
        &[world.fr.issue(&old)],
        None,
        &Refusal::Expired { at: ended },
    );
    let mut young = leaf_params(FR);
    young.not_before = date_time_ymd(2026, 12, 1);
    let from = at("2026-12-01T00:00:00.000Z");
    world.check(
        &[world.fr.issue(&young)],
        None,
        &Refusal::NotYetValid { from },
    );
    let mut old = ca_params("old ca");
    old.not_after = date_time_ymd(2026, 11, 1);
    let old = Ca::with(old);
    world.peers[0].cas = vec![old.der.clone()];
    world.check(&[old.leaf(FR)], None, &Refusal::CaExpired { at: ended });
    let mut young = ca_params("young ca");
    young.not_before = date_time_ymd(2026, 12, 1);
    let young = Ca::with(young);
    world.peers[0].cas.push(young.der.clone());
    world.check(&[young.leaf(FR)], None, &Refusal::NotYetValid { from });
    world.peers[0].cas.push(world.fr.der.clone());
    let good = [world.fr.leaf(FR)];
    assert!(world.judge(&good, PeerSide::Client, None).is_ok());
}

#[test]
fn revocation() {
    let mut world = World::new();
    let leaf = [world.fr.leaf(FR)];
    let mut with = |crl: Option<Crl>| {
        world.peers[0].crl = crl;
        let judged =
            [PeerSide::Client, PeerSide::Server].map(|side| world.judge(&leaf, side, None));
        assert_eq!(judged[0], judged[1]);
        let [one, _] = judged;
        one.map(|_| ())
    };
    let de = Ca::new("de ca");
    assert_eq!(with(None), Err(Refusal::CrlMissing));
    assert_eq!(with(Some(de.crl(&[]))), Err(Refusal::CrlMissing));
    let forged = with(Some(Ca::new("fr ca").crl(&[]))).unwrap_err();
    assert_eq!(forged.code(), "crl-invalid");
    assert!(
        forged.to_string().contains("not that of the CA"),
        "{forged}"
    );
    assert_eq!(
        with(Some(vec![0].into())).unwrap_err().code(),
        "crl-invalid"
    );
    let large = vec![0; limits::CRL_BYTES_MAX + 1];
    assert!(
        with(Some(large.into()))
            .unwrap_err()
            .to_string()
            .contains("1 MiB")
    );
    let mut world = World::new();
    let leaf = world.fr.leaf(FR);
    let refused = |world: &World| world.judge(std::slice::from_ref(&leaf), PeerSide::Client, None);
    world.peers[0].crl = Some(world.fr.crl(&[6, 7]));
    assert_eq!(refused(&world), Err(Refusal::Revoked));
    world.peers[0].crl = Some(world.fr.crl(&[6, 8]));
    assert!(refused(&world).is_ok());
    let mut stale = crl_params(&[]);
    stale.next_update = date_time_ymd(2026, 11, 20);
    world.peers[0].crl = Some(world.fr.list(&stale));
    let ended = at("2026-11-20T00:00:00.000Z");
    assert_eq!(refused(&world), Err(Refusal::CrlExpired { at: ended }));
}

#[test]
fn uses_and_chains() {
    let mut world = World::new();
    let mut ca = leaf_params(FR);
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    world.check(&[world.fr.issue(&ca)], None, &Refusal::WrongUse);
    for (usage, good) in [
        (ExtendedKeyUsagePurpose::ClientAuth, PeerSide::Client),
        (ExtendedKeyUsagePurpose::ServerAuth, PeerSide::Server),
    ] {
        let mut one = leaf_params(FR);
        one.extended_key_usages = vec![usage];
        let one = [world.fr.issue(&one)];
        for side in [PeerSide::Client, PeerSide::Server] {
            let got = world.judge(&one, side, None).map(|_| ());
            let wanted = if side == good {
                Ok(())
            } else {
                Err(Refusal::WrongUse)
            };
            assert_eq!(got, wanted);
        }
    }
    let below = world.fr.below("fr ca 2");
    let chain = [below.leaf(FR), below.der.clone()];
    world.check(&chain, None, &Refusal::CrlMissing);
    world.peers[0].crl = Some(below.crl(&[]));
    assert!(world.judge(&chain, PeerSide::Client, None).is_ok());
    world.peers[0].crl = Some(below.crl(&[7]));
    world.check(&chain, None, &Refusal::Revoked);
    let fake = Ca {
        der: world.fr.leaf(FR),
        issuer: Issuer::new(leaf_params(FR), KeyPair::generate().unwrap()),
    };
    let refused = world
        .judge(&[fake.leaf(FR), fake.der], PeerSide::Client, None)
        .unwrap_err();
    assert!(
        ["wrong-use", "wrong-ca"].contains(&refused.code()),
        "{refused}"
    );
    let long = vec![world.fr.leaf(FR); limits::CHAIN_CERTIFICATES_MAX + 1];
    world.check(&long, None, &Refusal::ChainTooLong(5));
}

#[test]
fn bytes_that_are_no_certificate() {
    let world = World::new();
    let good = world.fr.leaf(FR).to_vec();
    for bad in [
        Vec::new(),
        vec![0; 40],
        good[..good.len() - 1].to_vec(),
        [good.as_slice(), &[0]].concat(),
    ] {
        let got = world.judge(&[bad.into()], PeerSide::Client, None);
        assert_eq!(got.unwrap_err().code(), "malformed");
    }
}

#[test]
fn lists_are_judged_when_they_arrive() {
    let (fr, other) = (Ca::new("fr ca"), Ca::new("fr ca"));
    let cas = [other.der.clone(), fr.der.clone()];
    let check = |crl: &[u8], cas: &[CertificateDer<'_>], says: &str| {
        let fault = check_crl(crl, cas, now()).unwrap_err();
        assert!(fault.to_string().contains(says), "{fault}");
    };
    let good = fr.crl(&[1]);
    assert_eq!(check_crl(&good, &cas, now()), Ok(3));
    assert_eq!(crl_number(&good), Some(3));
    assert_eq!(crl_next_update(&good), Some(at("2026-12-01T00:00:00.000Z")));
    check(&good, &cas[..1], "not signed by a CA");
    check(&good, &[Ca::new("de ca").der], "not signed by a CA");
    check(&[], &cas, "not a DER-encoded");
    check(
        &[good.to_vec(), vec![0]].concat(),
        &cas,
        "not a DER-encoded",
    );
    check(&vec![0; limits::CRL_BYTES_MAX + 1], &cas, "1 MiB");
    let mut bytes = good.to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    check(&bytes, &cas, "not signed by a CA");
    let mut old = crl_params(&[]);
    old.next_update = date_time_ymd(2026, 11, 20);
    check(&fr.list(&old), &cas, "ended at 2026-11-20");
    let mut early = crl_params(&[]);
    early.this_update = date_time_ymd(2026, 11, 24);
    check(&fr.list(&early), &cas, "in the future");
    let mut large = crl_params(&[]);
    large.crl_number = SerialNumber::from(u64::MAX);
    check(&fr.list(&large), &cas, "no number");
}

#[test]
fn cas_are_checked_before_a_card_is_believed() {
    let check = |change: fn(&mut CertificateParams), says: Option<&str>| {
        let mut params = ca_params("ca");
        change(&mut params);
        let got = check_ca(&Ca::with(params).der).err();
        match (got, says) {
            (None, None) => {}
            (Some(got), Some(says)) => assert!(got.contains(says), "{got}"),
            (got, says) => panic!("{got:?} where {says:?} was expected"),
        }
    };
    check(|_| {}, None);
    check(|it| it.key_usages.clear(), None);
    check(|it| it.is_ca = IsCa::ExplicitNoCa, Some("not that of a CA"));
    check(|it| it.key_usages.truncate(1), Some("keyUsage"));
}
