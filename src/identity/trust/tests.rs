//! Trust with certificates made for the purpose: one table row for each cause of refusal.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType, SerialNumber, date_time_ymd,
};

use self::ca::{Ca, Crl, ca_params, crl_params, leaf_params};
use super::*;
use crate::identity::ca::check_ca;
use crate::identity::revocation::{self, RevocationList};
use rustls_pki_types::pem::PemObject as _;

pub(crate) mod ca;
mod lists;

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
        lists: crl.into_iter().map(|crl| ca.held(&crl)).collect(),
        others: Vec::new(),
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

/// The list of this CA is missing, which issued this.
fn missing(ca: &str, issued: &str) -> Refusal {
    Refusal::CrlMissing {
        id: id(FR),
        ca: ca.to_owned(),
        issued: issued.to_owned(),
    }
}

#[test]
fn revocation() {
    let mut world = World::new();
    let leaf = [world.fr.leaf(FR)];
    let fr = ca_id(&world.fr.der).unwrap();
    let mut with = |list: Option<HeldList>| {
        world.peers[0].lists = list.into_iter().collect();
        let judged =
            [PeerSide::Client, PeerSide::Server].map(|side| world.judge(&leaf, side, None));
        assert_eq!(judged[0], judged[1]);
        let [one, _] = judged;
        one.map(|_| ())
    };
    let of_fr = |der: Crl| Some(HeldList::new(fr, &der));
    let de = Ca::new("de ca");
    let none = missing("\"CN=fr ca\"", &format!("the certificate of {FR}"));
    assert_eq!(with(None), Err(none.clone()));
    let said = none.to_string();
    assert!(
        said.contains("of the CA \"CN=fr ca\" is here, which issued the certificate of bepi.justice.example.fr: get it from"),
        "{said}"
    );
    let said = none.for_owner();
    assert!(said.contains("put the newest list of each CA"), "{said}");
    assert_eq!(with(Some(de.held(&de.crl(&[])))), Err(none));
    let forged = with(of_fr(Ca::new("fr ca").crl(&[]))).unwrap_err();
    assert_eq!(forged.code(), "crl-invalid");
    assert!(
        forged.to_string().contains("not that of the CA"),
        "{forged}"
    );
    assert_eq!(
        with(of_fr(vec![0].into())).unwrap_err().code(),
        "crl-invalid"
    );
    let large = vec![0; limits::CRL_BYTES_MAX + 1];
    assert!(
        with(of_fr(large.into()))
            .unwrap_err()
            .to_string()
            .contains("1 MiB")
    );
    let mut world = World::new();
    let leaf = world.fr.leaf(FR);
    let refused = |world: &World| world.judge(std::slice::from_ref(&leaf), PeerSide::Client, None);
    world.peers[0].lists = vec![world.fr.held(&world.fr.crl(&[6, 7]))];
    assert_eq!(refused(&world), Err(Refusal::Revoked));
    world.peers[0].lists = vec![world.fr.held(&world.fr.crl(&[6, 8]))];
    assert!(refused(&world).is_ok());
    let mut stale = crl_params(&[]);
    stale.next_update = date_time_ymd(2026, 11, 20);
    world.peers[0].lists = vec![world.fr.held(&world.fr.list(&stale))];
    let ended = at("2026-11-20T00:00:00.000Z");
    let ca = "\"CN=fr ca\"".to_owned();
    assert_eq!(refused(&world), Err(Refusal::CrlExpired { ca, at: ended }));
}

/// A root on the card, and a CA below it that issues.
#[test]
fn each_ca_on_the_way_needs_its_list() {
    let mut world = World::new();
    let below = world.fr.below_with("fr issuing", 9);
    let chain = [below.leaf(FR), below.der.clone()];
    let leaf = format!("the certificate of {FR}");
    world.check(&chain, None, &missing("\"CN=fr issuing\"", &leaf));
    let own = below.held(&below.crl(&[]));
    let root = |revoked: &[u64]| world.fr.held(&world.fr.crl(revoked));
    let (sound, revoking) = (root(&[]), root(&[9]));
    world.peers[0].lists = vec![own.clone()];
    let issuing = format!("the CA \"CN=fr issuing\" above {leaf}");
    world.check(&chain, None, &missing("\"CN=fr ca\"", &issuing));
    world.peers[0].lists = vec![own.clone(), sound.clone()];
    assert!(world.judge(&chain, PeerSide::Client, None).is_ok());
    world.peers[0].lists = vec![below.held(&below.crl(&[7])), sound.clone()];
    world.check(&chain, None, &Refusal::Revoked);
    world.peers[0].lists = vec![own, revoking];
    world.check(&chain, None, &Refusal::CaRevoked);
    // The issuing CA stands on the card itself: its own list is all that is needed.
    world.peers[0].cas.push(below.der.clone());
    assert!(world.judge(&chain, PeerSide::Client, None).is_ok());
    world.peers[0].lists = vec![sound];
    world.check(&chain, None, &missing("\"CN=fr issuing\"", &leaf));
}

#[test]
fn a_root_says_how_many_cas_may_be_below_it() {
    let mut params = ca_params("fr root");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let (root, mut world) = (Ca::with(params), World::new());
    let below = root.below("fr issuing");
    let lists = [&root, &below].map(|ca| ca.held(&ca.crl(&[])));
    world.peers[0].cas = vec![root.der.clone()];
    world.peers[0].lists = lists.to_vec();
    let direct = [root.leaf(FR)];
    assert!(world.judge(&direct, PeerSide::Client, None).is_ok());
    let refused = world.judge(&[below.leaf(FR), below.der], PeerSide::Client, None);
    let said = refused.unwrap_err().to_string();
    assert!(said.contains("pathLenConstraint"), "{said}");
}

/// Certificates with keys that prove nothing here, made with openssl: who issued them is looked at only after that.
#[test]
fn a_key_of_another_kind_is_named() {
    let world = World::new();
    for (pem, kind) in [
        (include_str!("tests/rsa-2048.pem"), "RSA (2048 bits)"),
        (include_str!("tests/p-192.pem"), "ECDSA P-192"),
        (
            include_str!("tests/brainpool-p256r1.pem"),
            "ECDSA brainpoolP256r1",
        ),
        (include_str!("tests/ed448.pem"), "Ed448"),
    ] {
        let leaf = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let (id, kind) = (id(FR), kind.to_owned());
        world.check(&[leaf], None, &Refusal::KeyKind { id, kind });
    }
}

#[test]
fn uses_and_chains() {
    let world = World::new();
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
    check(
        |it| it.custom_extensions.push(unknown_extension(false)),
        None,
    );
    check(
        |it| it.custom_extensions.push(unknown_extension(true)),
        Some("critical extension"),
    );
}

fn unknown_extension(is_critical: bool) -> rcgen::CustomExtension {
    let oid = [1, 3, 6, 1, 4, 1, 99_999, 1];
    let mut extension = rcgen::CustomExtension::from_oid_content(&oid, vec![5, 0]);
    extension.set_criticality(is_critical);
    extension
}
