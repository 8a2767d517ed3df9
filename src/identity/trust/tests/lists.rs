//! Revocation lists: which one holds, which come together.

use super::*;

#[test]
fn lists_are_judged_when_they_arrive() {
    let (fr, other) = (Ca::new("fr ca"), Ca::new("fr ca"));
    let cas = [other.der.clone(), fr.der.clone()];
    let check = |crl: &[u8], cas: &[CertificateDer<'_>], says: &str| {
        let judged = RevocationList::open(crl, cas).and_then(|list| list.check_dates(now()));
        let fault = judged.unwrap_err();
        assert!(fault.to_string().contains(says), "{fault}");
    };
    let good = fr.crl(&[1]);
    let list = RevocationList::open(&good, &cas).unwrap();
    assert_eq!((list.check_dates(now()), list.number()), (Ok(()), 3));
    assert_eq!(list.ends(), Some(at("2026-12-01T00:00:00.000Z")));
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

/// Of a CA that two authorities share, a list that the other one brought revokes, and makes nothing good.
#[test]
fn a_list_that_another_authority_brought_can_only_revoke() {
    let mut world = World::new();
    let leaf = [world.fr.leaf(FR)];
    let mut ended = crl_params(&[7]);
    ended.next_update = date_time_ymd(2026, 11, 20);
    let stranger = Ca::new("fr ca");
    for (own, other, want) in [
        (world.fr.crl(&[]), world.fr.crl(&[7]), Err(Refusal::Revoked)),
        (world.fr.crl(&[]), world.fr.crl(&[8]), Ok(())),
        (world.fr.crl(&[7]), world.fr.crl(&[]), Err(Refusal::Revoked)),
        (world.fr.crl(&[]), world.fr.list(&ended), Ok(())),
        (world.fr.crl(&[]), stranger.crl(&[7]), Ok(())),
        (world.fr.crl(&[]), Vec::new().into(), Ok(())),
    ] {
        world.peers[0].lists = vec![world.fr.held(&own)];
        world.peers[0].others = vec![world.fr.held(&other)];
        let judged = world.judge(&leaf, PeerSide::Client, None).map(|_| ());
        assert_eq!(judged, want);
    }
    world.peers[0].lists.clear();
    let judged = world.judge(&leaf, PeerSide::Client, None).map(|_| ());
    assert_eq!(judged.unwrap_err().code(), "crl-missing");
}

#[test]
fn a_list_takes_the_place_of_one_with_a_lower_number_or_of_one_that_ended() {
    let fr = Ca::new("fr ca");
    let list = |number: u64, from: u8, until: u8| {
        let mut params = crl_params(&[]);
        params.crl_number = SerialNumber::from(number);
        params.this_update = date_time_ymd(2026, 11, from);
        params.next_update = date_time_ymd(2026, 11, until);
        let cas = std::slice::from_ref(&fr.der);
        RevocationList::open(&fr.list(&params), cas).unwrap()
    };
    for (came, held, want) in [
        (list(5, 1, 30), list(4, 1, 30), true),
        (list(5, 1, 30), list(4, 2, 30), true),
        (list(4, 1, 30), list(4, 1, 30), false),
        (list(4, 2, 30), list(5, 1, 30), false),
        (list(4, 2, 30), list(5, 1, 20), true),
        (list(4, 1, 30), list(5, 1, 20), false),
        (list(4, 1, 20), list(5, 2, 20), false),
    ] {
        assert_eq!(came.supersedes(&held, now()), want, "{came:?} {held:?}");
    }
}

/// Lists of two tiers in one file, and on the wire.
#[test]
fn a_list_of_a_ca_below_the_cards_comes_with_its_certificates() {
    let root = Ca::new("root");
    let (policy, stranger) = (root.below("policy"), Ca::new("stranger"));
    let issuing = policy.below("issuing");
    let cas = [root.der.clone()];
    let wire = [&issuing.crl(&[])[..], &issuing.der, &policy.der].concat();
    let list = RevocationList::open(&wire, &cas).unwrap();
    assert_eq!(
        (list.ca(), list.number()),
        (issuing.held(&issuing.crl(&[])).ca, 3)
    );
    assert_eq!(list.name(), "\"CN=issuing\"");
    assert!(list.is_under(&cas) && !list.is_under(std::slice::from_ref(&stranger.der)));
    assert_eq!(
        RevocationList::stored(list.ca(), list.bytes()),
        Some(list.clone())
    );
    let refused = |parts: &[&[u8]], says: &str| {
        let fault = RevocationList::open(&parts.concat(), &cas).unwrap_err();
        assert!(fault.to_string().contains(says), "{fault}");
    };
    let crl = issuing.crl(&[]);
    refused(&[&crl], "names the CA \"CN=issuing\"");
    refused(&[&crl, &issuing.der], "below it whose certificate");
    refused(&[&crl, &policy.der, &issuing.der], "in that order");
    refused(
        &[&crl, &issuing.der, &policy.der, &root.der],
        "in that order",
    );
    refused(&[&root.crl(&[]), &policy.der], "in that order");
    refused(
        &[&crl, &issuing.der, &policy.der, b"x"],
        "is not a certificate",
    );
    refused(&[&crl, &[&policy.der[..]; 4].concat()], "more certificates");
    refused(&[&stranger.crl(&[]), &stranger.der], "not signed by a CA");
    // A leaf is no CA, whatever it signs.
    let false_ca = Ca {
        der: root.leaf(FR),
        issuer: Issuer::new(leaf_params(FR), KeyPair::generate().unwrap()),
    };
    refused(&[&false_ca.crl(&[]), &false_ca.der], "not signed by a CA");
}

#[test]
fn a_file_has_the_lists_of_all_cas() {
    let root = Ca::new("root");
    let issuing = root.below("issuing");
    let (cas, chain) = ([root.der.clone()], [issuing.der.clone()]);
    let mut older = crl_params(&[]);
    older.crl_number = SerialNumber::from(2);
    let pem = |label: &str, der: &[u8]| {
        let text = STANDARD.encode(der);
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    };
    let file = [
        pem("X509 CRL", &issuing.list(&older)),
        pem("X509 CRL", &root.crl(&[])),
        pem("X509 CRL", &issuing.crl(&[])),
    ]
    .concat();
    let lists = revocation::lists_in(file.as_bytes(), &cas, &chain).unwrap();
    assert_eq!(lists.len(), 2);
    assert!(lists.iter().all(|list| list.number() == 3));
    let written = revocation::file_of(&lists);
    assert!(written.starts_with(b"-----BEGIN X509 CRL-----\n"));
    assert_eq!(revocation::lists_in(&written, &cas, &[]), Ok(lists));
    let fault = revocation::lists_in(file.as_bytes(), &cas, &[]).unwrap_err();
    assert!(
        fault.to_string().contains("into the same file, as PEM"),
        "{fault}"
    );
    let one = revocation::lists_in(&root.crl(&[]), &cas, &[]).unwrap();
    assert_eq!(
        revocation::lists_in(&revocation::file_of(&one), &cas, &[]),
        Ok(one)
    );
    for bad in ["", "text", "-----BEGIN X509 CRL-----\nAA\n"] {
        assert!(revocation::lists_in(bad.as_bytes(), &cas, &[]).is_err());
    }
}
