//! Every cause for which somebody is refused, from both ends of the wire.

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, SanType, date_time_ymd};
use rogatory::identity::trust::TrustedPeer;
use rogatory::net::{DialFault, Link, Refused};
use rustls::NamedGroup;

use crate::authority::{Bare, Ca, DE, FR, IE, Leaf, endpoint, id, quick};

/// The papers that the suspect shows, and those that the other holds of it and of others.
struct Suspect {
    own: Ca,
    third: Ca,
    leaf: Leaf,
    peers: Vec<TrustedPeer>,
}

impl Suspect {
    fn new() -> Self {
        let (own, third) = (Ca::new("ie"), Ca::new("de"));
        Self {
            leaf: own.leaf(IE, |_| {}),
            peers: vec![own.trusted(IE), third.trusted(DE)],
            own,
            third,
        }
    }

    fn show(&mut self, change: impl FnOnce(&mut CertificateParams)) {
        self.leaf = self.own.leaf(IE, change);
    }

    fn held(&mut self) -> &mut TrustedPeer {
        &mut self.peers[0]
    }
}

/// The judgement of each end about a connection.
struct Outcome {
    dialled: Result<Link, DialFault>,
    accepted: Result<Link, Refused>,
}

impl Outcome {
    fn codes(&self) -> (String, String) {
        let dialled = self
            .dialled
            .as_ref()
            .map_or_else(|e| e.code().to_owned(), |_| "ok".to_owned());
        let accepted = self
            .accepted
            .as_ref()
            .map_or_else(|e| e.code().to_owned(), |_| "ok".to_owned());
        (dialled, accepted)
    }
}

/// Connects the suspect, as the end that dials or the one that answers, with an authority beyond doubt.
async fn meet(suspect: Suspect, suspect_dials: bool) -> Outcome {
    let good = Ca::new("fr");
    let judge = endpoint(FR, &good.leaf(FR, |_| {}), suspect.peers, quick());
    let judged = endpoint(IE, &suspect.leaf, vec![good.trusted(FR)], quick());
    let (from, to, wanted) = if suspect_dials {
        (judged, judge, FR)
    } else {
        (judge, judged, IE)
    };
    let address = to.local_addr().unwrap();
    let answering = async { to.accept().await.unwrap().establish().await };
    let (dialled, accepted) =
        tokio::join!(async { from.dial(address, &id(wanted)).await }, answering);
    Outcome { dialled, accepted }
}

/// The cause is known exactly where the suspect was judged; the suspect learns the class.
async fn check(change: impl Fn(&mut Suspect), causes: [&str; 2], class: &str) {
    for (suspect_dials, cause) in [true, false].into_iter().zip(causes) {
        let mut suspect = Suspect::new();
        change(&mut suspect);
        let (dialled, accepted) = meet(suspect, suspect_dials).await.codes();
        let (judge, judged) = if suspect_dials {
            (accepted, dialled)
        } else {
            (dialled, accepted)
        };
        assert_eq!(
            (judge.as_str(), judged.as_str()),
            (cause, class),
            "suspect dials: {suspect_dials}"
        );
    }
}

#[tokio::test]
async fn certificates() {
    check(|_| {}, ["ok"; 2], "ok").await;
    check(
        |s| s.show(|p| p.not_after = date_time_ymd(2021, 1, 1)),
        ["expired"; 2],
        "peer-refused-expired",
    )
    .await;
    check(
        |s| s.show(|p| p.not_before = date_time_ymd(2089, 1, 1)),
        ["not-yet-valid"; 2],
        "peer-refused-expired",
    )
    .await;
    check(
        |s| s.leaf = s.third.leaf(IE, |_| {}),
        ["wrong-ca"; 2],
        "peer-refused-ca",
    )
    .await;
    check(
        |s| s.leaf = Ca::new("xx").leaf(IE, |_| {}),
        ["wrong-ca"; 2],
        "peer-refused-ca",
    )
    .await;
}

#[tokio::test]
async fn names() {
    let other = |name: &'static str| move |s: &mut Suspect| s.leaf = s.own.leaf(name, |_| {});
    check(other(FR), ["own-name"; 2], "peer-refused-authority").await;
    check(
        other("nobody.example"),
        ["unknown-authority", "not-expected"],
        "peer-refused-authority",
    )
    .await;
    check(
        |s| s.show(|p| p.subject_alt_names.clear()),
        ["no-name"; 2],
        "peer-refused-certificate",
    )
    .await;
    let second = || SanType::DnsName(DE.try_into().unwrap());
    check(
        |s| s.show(|p| p.subject_alt_names.push(second())),
        ["several-names"; 2],
        "peer-refused-certificate",
    )
    .await;
}

#[tokio::test]
async fn another_accepted_authority_is_itself_and_nobody_else() {
    let posing = || {
        let mut suspect = Suspect::new();
        suspect.leaf = suspect.third.leaf(DE, |_| {});
        suspect
    };
    let accepted = meet(posing(), true).await.accepted.unwrap();
    assert_eq!(accepted.peer.id(), &id(DE));
    let (dialled, accepted) = meet(posing(), false).await.codes();
    assert_eq!(
        (dialled.as_str(), accepted.as_str()),
        ("not-expected", "peer-refused-authority")
    );
}

#[tokio::test]
async fn revocation() {
    check(
        |s| s.held().lists.clear(),
        ["crl-missing"; 2],
        "peer-refused-ca",
    )
    .await;
    check(
        |s| s.held().lists = vec![s.own.list(&s.own.crl(false, 2021))],
        ["crl-expired"; 2],
        "peer-refused-ca",
    )
    .await;
    check(
        |s| s.held().lists = vec![s.own.list(&s.own.crl(true, 2090))],
        ["revoked"; 2],
        "peer-refused-revoked",
    )
    .await;
    check(
        |s| s.held().lists = vec![s.third.list(&s.third.crl(false, 2090))],
        ["crl-missing"; 2],
        "peer-refused-ca",
    )
    .await;
    check(
        |s| s.held().lists = vec![s.own.list(&Ca::new("ie").crl(false, 2090))],
        ["crl-invalid"; 2],
        "peer-refused-ca",
    )
    .await;
}

/// The suspect has a root, which is on its card, and a CA below it, which issues. What it shows, and what is held of
/// it, are changed by the test.
async fn check_two_tiers(change: impl Fn(&mut Suspect, [&Ca; 2]), cause: &str, class: &str) {
    let two_tiers = |suspect: &mut Suspect| {
        let root = Ca::new("ie root");
        let issuing = root.below("ie issuing");
        let mut leaf = issuing.leaf(IE, |_| {});
        leaf.chain.push(issuing.der.clone());
        *suspect.held() = root.trusted(IE);
        let list = issuing.list(&issuing.crl(false, 2090));
        suspect.held().lists.push(list);
        suspect.leaf = leaf;
        change(suspect, [&root, &issuing]);
    };
    check(two_tiers, [cause; 2], class).await;
}

#[tokio::test]
async fn two_tiers_need_the_list_of_each_ca() {
    check_two_tiers(|_, _| {}, "ok", "ok").await;
    for missing in [0, 1] {
        check_two_tiers(
            move |s, _| drop(s.held().lists.remove(missing)),
            "crl-missing",
            "peer-refused-ca",
        )
        .await;
    }
    check_two_tiers(
        |s, [_, issuing]| s.held().lists[1] = issuing.list(&issuing.crl(true, 2090)),
        "revoked",
        "peer-refused-revoked",
    )
    .await;
    check_two_tiers(
        |s, [root, _]| s.held().lists[0] = root.list(&root.crl(false, 2021)),
        "crl-expired",
        "peer-refused-ca",
    )
    .await;
    check_two_tiers(
        |s, _| drop(s.leaf.chain.pop()),
        "wrong-ca",
        "peer-refused-ca",
    )
    .await;
}

/// Two CAs of one name on a card, as when a CA's key is changed: each leaf is judged by the list of its own CA.
#[tokio::test]
async fn two_cas_of_a_card_have_a_list_each() {
    check(
        |s| {
            let new = Ca::new("ie");
            s.leaf = new.leaf(IE, |_| {});
            let lists = new.trusted(IE).lists;
            s.held().cas.push(new.der.clone());
            s.held().lists.extend(lists);
        },
        ["ok"; 2],
        "ok",
    )
    .await;
    check(|s| s.held().cas.push(Ca::new("ie").der), ["ok"; 2], "ok").await;
    check(
        |s| {
            let new = Ca::new("ie");
            s.leaf = new.leaf(IE, |_| {});
            s.held().cas.push(new.der.clone());
        },
        ["crl-missing"; 2],
        "peer-refused-ca",
    )
    .await;
}

#[tokio::test]
async fn a_key_that_is_not_taken_is_named() {
    check(
        |s| s.leaf = s.own.leaf_of_kind(IE, &rcgen::PKCS_ECDSA_P384_SHA384),
        ["key-kind"; 2],
        "peer-refused-use",
    )
    .await;
    let mut suspect = Suspect::new();
    suspect.leaf = suspect.own.leaf_of_kind(IE, &rcgen::PKCS_ECDSA_P384_SHA384);
    let refused = meet(suspect, true).await.accepted.unwrap_err();
    let said = refused.to_string();
    assert!(said.contains("mla.example.ie is ECDSA P-384"), "{said}");
}

#[tokio::test]
async fn uses() {
    let only = |usage: ExtendedKeyUsagePurpose| {
        move |s: &mut Suspect| s.show(|p| p.extended_key_usages = vec![usage.clone()])
    };
    check(
        only(ExtendedKeyUsagePurpose::EmailProtection),
        ["wrong-use"; 2],
        "peer-refused-use",
    )
    .await;
    check(
        |s| s.leaf = s.own.long_chain(IE),
        ["chain-too-long"; 2],
        "peer-refused-ca",
    )
    .await;
}

/// The judgement of an endpoint about a bare end that dials it.
async fn answer_bare(bare: Bare, peers: Vec<TrustedPeer>) -> Result<Link, Refused> {
    let good = Ca::new("fr");
    let judge = endpoint(FR, &good.leaf(FR, |_| {}), peers, quick());
    let address = judge.local_addr().unwrap();
    let (_dialled, accepted) = tokio::join!(bare.dial(address), async {
        judge.accept().await.unwrap().establish().await
    });
    accepted
}

/// The judgement of an endpoint about a bare end that it dials.
async fn dial_bare(bare: Bare, peers: Vec<TrustedPeer>) -> Result<Link, DialFault> {
    let judge = endpoint(FR, &Ca::new("fr").leaf(FR, |_| {}), peers, quick());
    judge.dial(bare.answer(), &id(IE)).await
}

fn code<T>(outcome: Result<T, &'static str>) -> &'static str {
    outcome.map_or_else(|code| code, |_| "ok")
}

#[tokio::test]
async fn no_certificate_and_other_protocols() {
    let suspect = Suspect::new();
    let good = Bare::with(&suspect.leaf);
    let bare = |change: fn(&mut Bare)| {
        let mut bare = good.clone();
        change(&mut bare);
        bare
    };
    for (change, answered) in [
        ((|_| {}) as fn(&mut Bare), "ok"),
        (|b| b.leaf = None, "no-certificate"),
        (|b| b.alpn = Some("h3"), "wrong-alpn"),
        (|b| b.alpn = Some("rogatory/2"), "wrong-alpn"),
        (|b| b.alpn = None, "wrong-alpn"),
        (
            |b| b.groups = vec![NamedGroup::X25519],
            "classic-key-exchange",
        ),
        (
            |b| b.groups = vec![NamedGroup::secp256r1],
            "classic-key-exchange",
        ),
    ] {
        let outcome = answer_bare(bare(change), suspect.peers.clone()).await;
        assert_eq!(code(outcome.as_ref().map_err(Refused::code)), answered);
    }
    for (change, dialled) in [
        ((|_| {}) as fn(&mut Bare), "ok"),
        (|b| b.alpn = Some("h3"), "peer-refused-protocol"),
        (|b| b.alpn = None, "peer-refused-protocol"),
        (
            |b| b.groups = vec![NamedGroup::X25519],
            "peer-refused-key-exchange",
        ),
    ] {
        let outcome = dial_bare(bare(change), suspect.peers.clone()).await;
        assert_eq!(code(outcome.as_ref().map_err(DialFault::code)), dialled);
    }
}

/// One peer may be classic. It and nobody else may.
#[tokio::test]
async fn classic_for_one_peer_is_classic_for_no_other() {
    const HYBRID: NamedGroup = NamedGroup::X25519MLKEM768;
    const CLASSIC: NamedGroup = NamedGroup::X25519;
    let mut suspect = Suspect::new();
    suspect.peers[1].allow_classic = true;
    let allowed = suspect.third.leaf(DE, |_| {});
    for (leaf, groups, outcome) in [
        (&allowed, &[CLASSIC][..], Ok(Some(false))),
        (&allowed, &[HYBRID, CLASSIC], Ok(Some(true))),
        (&allowed, &[HYBRID], Ok(Some(true))),
        (&suspect.leaf, &[HYBRID, CLASSIC], Ok(Some(true))),
        (&suspect.leaf, &[HYBRID], Ok(Some(true))),
        (&suspect.leaf, &[CLASSIC], Err("classic-key-exchange")),
        (
            &suspect.leaf,
            &[CLASSIC, HYBRID],
            Err("classic-key-exchange"),
        ),
    ] {
        let mut bare = Bare::with(leaf);
        bare.groups = groups.to_vec();
        let accepted = answer_bare(bare, suspect.peers.clone()).await;
        let got = accepted
            .as_ref()
            .map(|link| link.post_quantum)
            .map_err(Refused::code);
        assert_eq!(got, outcome, "{groups:?}");
    }
}

#[tokio::test]
async fn a_peer_that_is_allowed_classic_is_dialled_so() {
    let mut suspect = Suspect::new();
    suspect.held().allow_classic = true;
    let mut bare = Bare::with(&suspect.leaf);
    bare.groups = vec![NamedGroup::X25519];
    let link = dial_bare(bare.clone(), suspect.peers.clone())
        .await
        .unwrap();
    assert_eq!(link.post_quantum, None);
    suspect.held().allow_classic = false;
    let refused = dial_bare(bare, suspect.peers.clone()).await.unwrap_err();
    assert_eq!(refused.code(), "peer-refused-key-exchange");
}

#[tokio::test]
async fn nobody_is_dialled_who_is_not_trusted() {
    let suspect = Suspect::new();
    let judge = endpoint(FR, &Ca::new("fr").leaf(FR, |_| {}), Vec::new(), quick());
    let address = Bare::with(&suspect.leaf).answer();
    let refused = judge.dial(address, &id(IE)).await.unwrap_err();
    assert_eq!(refused.code(), "unknown-authority");
}
