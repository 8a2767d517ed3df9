//! Headers that hash to what was signed and must not open: the failure is signed.

use rogatory::wire::Frame;

use crate::attack::Attacker;
use crate::script::{Case, Say, Scene};

#[expect(clippy::too_many_lines, reason = "one table")]
pub(crate) fn all(attacker: &Attacker) -> Vec<Case> {
    let good = String::from_utf8(attacker.honest().header).unwrap();
    let stanza = good
        .lines()
        .skip_while(|line| !line.starts_with("-> X25519"))
        .take(2);
    let own = stanza.flat_map(|line| [line, "\n"]).collect::<String>();
    let mac = good.lines().last().unwrap();
    let made = |stanzas: &str| format!("age-encryption.org/v1\n{stanzas}{mac}\n").into_bytes();
    let body = own.lines().nth(1).unwrap();
    let share = own.lines().next().unwrap();
    let grease = |count: usize| {
        let stanzas = (0..count).map(|i| format!("-> {i}-grease x\n\n"));
        stanzas.collect::<Vec<_>>().concat()
    };
    let cut = |end: usize| good.as_bytes()[..good.len() - end].to_vec();
    let table = [
        (
            "another recipient too",
            made(&format!("{own}{own}")),
            "header-recipients",
        ),
        ("nobody", made(""), "header-recipients"),
        (
            "a passphrase",
            made(&format!("-> scrypt AAAAAAAAAAAAAAAAAAAAAA 18\n{body}\n")),
            "header-passphrase",
        ),
        (
            "a passphrase of a day",
            made(&format!(
                "{own}-> scrypt AAAAAAAAAAAAAAAAAAAAAA 60\n{body}\n"
            )),
            "header-passphrase",
        ),
        (
            "a plugin",
            made(&format!("{own}-> yubikey AAAA\n{body}\n")),
            "header-plugin",
        ),
        (
            "an SSH key",
            made(&format!("{own}-> ssh-ed25519 AAAA AAAA\n{body}\n")),
            "header-plugin",
        ),
        (
            "a hybrid recipient",
            made(&format!("{own}-> mlkem768x25519 AAAA\n{body}\n")),
            "header-hybrid",
        ),
        (
            "two greases",
            made(&format!("{own}{}", grease(2))),
            "header-grease",
        ),
        (
            "nine stanzas",
            made(&format!("{own}{}", grease(8))),
            "header-too-many-stanzas|header-grease",
        ),
        (
            "a hundred stanzas",
            made(&format!("{own}{}", grease(100))),
            "header-too-many-stanzas",
        ),
        ("another MAC", made(&own), "not-for-us|header-mac"),
        (
            "no header",
            b"nothing of the kind".to_vec(),
            "header-version",
        ),
        (
            "version 2",
            good.replace("/v1", "/v2").into_bytes(),
            "header-version",
        ),
        ("no MAC line", cut(mac.len() + 1), "header-mac-line"),
        ("half a MAC", cut(20), "header-mac-line"),
        ("a MAC without newline", cut(1), "header-mac-line"),
        (
            "a MAC that is no base64",
            good.replace(mac, &format!("--- {}", "?".repeat(43)))
                .into_bytes(),
            "header-mac-line",
        ),
        (
            "something after the MAC",
            format!("{good}x").into_bytes(),
            "header-mac-line",
        ),
        (
            "a stanza without share",
            made(&format!("-> X25519\n{body}\n")),
            "header-stanza",
        ),
        (
            "a stanza with two shares",
            made(&format!("{share} AAAA\n{body}\n")),
            "header-stanza",
        ),
        (
            "a share of zeros",
            made(&format!("-> X25519 {}\n{body}\n", "A".repeat(43))),
            "not-for-us|header-stanza|header-mac|header-unusable",
        ),
        (
            "a share that is too short",
            made(&format!("-> X25519 AAAA\n{body}\n")),
            "header-stanza",
        ),
        (
            "a body that is too short",
            made(&format!("{share}\nAAAA\n")),
            "header-stanza",
        ),
        (
            "a body that is too long",
            made(&format!("{share}\n{body}{body}\n")),
            "header-stanza",
        ),
        (
            "a body that is no base64",
            made(&format!("{share}\n{}\n", "?".repeat(43))),
            "header-stanza",
        ),
        (
            "a body without a last line",
            made(&format!("{share}\n{}\n", "A".repeat(64))),
            "header-stanza",
        ),
        ("an arrow alone", made("-> \n\n"), "header-stanza"),
        ("a line that is no stanza", made("hello\n"), "header-stanza"),
        (
            "bad UTF-8",
            [
                b"age-encryption.org/v1\n-> \xff\xff\n\n".as_slice(),
                mac.as_bytes(),
                b"\n",
            ]
            .concat(),
            "header-stanza",
        ),
        (
            "16 KiB of stanza",
            made(&format!("-> X25519 {}\n{body}\n", "A".repeat(15_000))),
            "header-stanza|header-too-long",
        ),
        ("a key of somebody else", somebody(), "not-for-us"),
    ];
    (table.into_iter())
        .map(|(what, header, want)| {
            let want: Vec<_> = want
                .split('|')
                .map(|code| format!("handover-failed:{code}"))
                .collect();
            let parcel = attacker.parcel(header.clone(), attacker.honest().payload);
            let name = format!("a header with {what}");
            let header = Frame::Header(header).encode();
            let case = Case::new(Scene::Countersigned, name, want.join("|"), move |_| {
                vec![Say::Bytes(header.clone())]
            });
            case.of(parcel)
        })
        .collect()
}

/// A good header, for another recipient.
fn somebody() -> Vec<u8> {
    let other = age::x25519::Identity::generate().to_public();
    crate::attack::sealed(&other).0
}
