use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use clap::Parser;

use super::*;
use crate::cli::check::judge;
use crate::cli::config::ConfigCommand;
use crate::cli::terminal::{Reader, Talk};
use crate::identity::revocation::{HeldList, RevocationList, lists_in};
use crate::identity::{PeerSide, Trust};
use crate::net::TlsIdentity;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    init: InitArgs,
}

fn args(more: &[&str]) -> InitArgs {
    let line = [
        "init",
        "--authority",
        "mla.example.ie",
        "--name",
        "Department of Justice, \"Central\" Authority",
        "--country",
        "ie",
        "--listen",
        "127.0.0.1:7443",
    ];
    Line::try_parse_from(line.iter().chain(more)).unwrap().init
}

fn now() -> Timestamp {
    "2026-11-23T09:00:00.000Z".parse().unwrap()
}

fn none() -> impl Iterator<Item = (String, String)> {
    std::iter::empty()
}

fn listing(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn opened(made: &Made) -> (Card, crate::identity::Note) {
    Card::open(&fs::read(&made.card).unwrap()).unwrap()
}

#[test]
fn an_authority_from_nothing() {
    let root = tempfile::tempdir().unwrap();
    let home = Home::at(root.path().join("deep/ie"));
    let made = establish(&args(&[]), &home, now()).unwrap();
    assert_eq!(
        listing(home.folder()),
        ["ie.card", "ie.crl", "keys", "rogatory.toml", "state"]
    );
    assert_eq!(
        listing(&made.keys),
        [
            "age.key",
            "card.key",
            "log.key",
            "receipts.key",
            "reset.key",
            "tls-ca.key",
            "tls-ca.pem",
            "tls.key",
            "tls.pem",
            "witness.key",
        ]
    );
    assert_eq!(mode(&made.keys), 0o700);
    for name in listing(&made.keys) {
        let path = made.keys.join(&name);
        let public = path.extension().is_some_and(|it| it == "pem");
        let wanted = if public { 0o644 } else { 0o600 };
        assert_eq!(mode(&path), wanted, "{name}");
    }
    assert_eq!(mode(&home.state), 0o700);
    assert_eq!(mode(&made.config) & 0o022, 0);
    let config = judge(&home, none()).unwrap();
    assert_eq!(config.authority.id.as_str(), "mla.example.ie");
    assert_eq!(config.authority.alias.as_str(), "ie");
    assert_eq!(config.listen.api, home.api);
    assert_eq!(config.state_dir, home.state);
}

#[test]
fn the_card_opens_and_its_words_are_the_ones_printed() {
    let root = tempfile::tempdir().unwrap();
    let home = Home::at(root.path());
    let made = establish(&args(&[]), &home, now()).unwrap();
    let (card, note) = opened(&made);
    assert_eq!(card.id, made.id);
    assert_eq!(card.country, "IE");
    assert_eq!(card.endpoints, ["127.0.0.1:7443"]);
    assert_eq!(card::fingerprint(&note), made.fingerprint);
    assert_eq!(made.fingerprint.split('-').count(), 6);
    let text = text(&made);
    assert!(text.contains(&made.fingerprint), "{text}");
    let cas: Vec<_> = card.cas();
    let crl = fs::read(&made.crl).unwrap();
    let list = RevocationList::open(&crl, &cas).unwrap();
    assert_eq!((list.check_dates(now()), list.number()), (Ok(()), 1));
}

/// The lists in a file of this authority, as its peers hold them.
fn held(card: &Card, file: &[u8]) -> Vec<HeldList> {
    let lists = lists_in(file, &card.cas(), &[]).unwrap();
    lists.iter().map(RevocationList::held).collect()
}

#[test]
fn peers_take_the_certificate_that_was_made() {
    let root = tempfile::tempdir().unwrap();
    let home = Home::at(root.path());
    let made = establish(&args(&[]), &home, now()).unwrap();
    let (card, _) = opened(&made);
    let crl = fs::read(&made.crl).unwrap();
    let peer = card.trusted(held(&card, &crl), false);
    let trust = Trust::new("bfj.example.de".parse().unwrap(), vec![peer]);
    let config = judge(&home, none()).unwrap();
    let keyring = Keyring::load(&config.identity, &made.id).unwrap();
    let identity = TlsIdentity {
        chain: keyring.chain,
        key: keyring.tls_key,
    };
    for side in [PeerSide::Client, PeerSide::Server] {
        let peer = trust.authenticate(&identity.chain[0], &[], side, Some(&made.id), now());
        assert_eq!(*peer.unwrap().id(), made.id);
    }
}

#[test]
fn the_summary_for_machines() {
    let root = tempfile::tempdir().unwrap();
    let home = Home::at(root.path());
    let made = establish(&args(&["--alias", "irl"]), &home, now()).unwrap();
    let json = serde_json::to_value(&made).unwrap();
    assert_eq!(json["type"], "summary");
    assert_eq!(json["id"], "mla.example.ie");
    assert_eq!(json["alias"], "irl");
    assert_eq!(json["fingerprint"], made.fingerprint.as_str());
    for (field, name) in [("card", "irl.card"), ("crl", "irl.crl")] {
        assert_eq!(json[field], root.path().join(name).to_str().unwrap());
    }
    let next = json["next"].as_array().unwrap();
    let serve = format!("rogatory serve --home {}", root.path().display());
    assert_eq!(next[0], serve.as_str());
}

#[test]
fn nothing_is_overwritten_and_nothing_is_left() {
    for name in [
        "keys",
        "ie.card",
        "ie.crl",
        "rogatory.toml",
        ".init.partial",
        "state",
    ] {
        let root = tempfile::tempdir().unwrap();
        let home = Home::at(root.path());
        fs::create_dir(root.path().join(name)).unwrap();
        fs::write(root.path().join(name).join("precious"), "x").unwrap();
        let failure = establish(&args(&[]), &home, now()).unwrap_err();
        assert_eq!(
            (failure.code, failure.error.as_str()),
            (2, "target-exists"),
            "{name}"
        );
        assert!(failure.message.contains(name), "{}", failure.message);
        assert_eq!(listing(root.path()), [name]);
    }
}

#[test]
fn bad_values_are_refused_before_anything_is_made() {
    let long = "x".repeat(257);
    let too_many = ["--endpoint", "a.example:1"].repeat(9);
    for (what, more) in [
        ("name", &["--name", " spaced"][..]),
        ("name", &["--name", "a\u{202e}b"]),
        ("name", &["--name", &long]),
        ("port", &["--listen", "127.0.0.1:0"]),
        ("endpoints", &["--endpoint", "no-port"]),
        ("endpoints", &too_many),
        ("tls-ca.pem", &["--pki", "/nonexistent"]),
    ] {
        let root = tempfile::tempdir().unwrap();
        let home = Home::at(root.path().join("a/b"));
        let mut line = args(&[]);
        let replaced = Line::try_parse_from(
            [
                &["init", "--authority", "mla.example.ie", "--country", "IE"][..],
                if more.contains(&"--name") {
                    &[]
                } else {
                    &["--name", "N"]
                },
                if more.contains(&"--listen") {
                    &[]
                } else {
                    &["--listen", "127.0.0.1:7443"]
                },
                more,
            ]
            .concat(),
        );
        line.clone_from(&replaced.unwrap().init);
        let failure = establish(&line, &home, now()).unwrap_err();
        assert_eq!(failure.code, 2, "{what}: {}", failure.message);
        assert!(
            failure.message.contains(what),
            "{what}: {}",
            failure.message
        );
        assert!(listing(root.path()).is_empty(), "{what}");
    }
}

#[test]
fn an_unwritable_place_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("file"), "x").unwrap();
    let below_a_file = Home::at(root.path().join("file/ie"));
    assert!(establish(&args(&[]), &below_a_file, now()).is_err());
    // The state cannot be made: what was placed before is taken away again.
    let home = Home {
        state: root.path().join("file/state"),
        ..Home::at(root.path().join("new/ie"))
    };
    assert!(establish(&args(&[]), &home, now()).is_err());
    assert_eq!(listing(root.path()), ["file"]);
}

#[test]
fn endpoints_follow_the_listen_address() {
    for (listen, expected) in [
        ("192.0.2.7:7443", "192.0.2.7:7443"),
        ("[2001:db8::7]:7443", "[2001:db8::7]:7443"),
        ("[::]:7443", "mla.example.ie:7443"),
        ("0.0.0.0:7000", "mla.example.ie:7000"),
    ] {
        let mut args = args(&[]);
        args.listen = listen.parse().unwrap();
        assert_eq!(endpoints(&args), [expected]);
    }
    let named = args(&["--endpoint", "a.example:1", "--endpoint", "b.example:2"]);
    assert_eq!(endpoints(&named), ["a.example:1", "b.example:2"]);
}

#[test]
fn places_apart_are_written_into_the_configuration() {
    let root = tempfile::tempdir().unwrap();
    let home = Home {
        config: root.path().join("etc/rogatory.toml"),
        state: root.path().join("var/state"),
        api: root.path().join("run/api.sock"),
    };
    let made = establish(&args(&[]), &home, now()).unwrap();
    let config = Config::load(&made.config, none()).unwrap();
    assert_eq!(config.state_dir, home.state);
    assert_eq!(config.listen.api, home.api);
    assert_eq!(home.socket(none()), home.api);
}

#[test]
fn what_was_made_can_be_shown() {
    let root = tempfile::tempdir().unwrap();
    let home = Home::at(root.path());
    establish(&args(&[]), &home, now()).unwrap();
    let terminal = Terminal::new(Reader::Machines, Talk::Normal, true);
    ConfigCommand::Show { origin: true }
        .run(&home, none(), terminal)
        .unwrap();
}

/// The script of `certs/` makes what `--pki` takes; and what it takes is judged.
#[test]
fn certificates_of_another_pki_are_taken() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("certs/make-dev-pki.sh");
    let root = tempfile::tempdir().unwrap();
    let certify = |id: &str, out: &str| {
        let out = root.path().join(out);
        let made = Command::new("sh").arg(&script).arg(id).arg(&out).output();
        let made = made.unwrap();
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        out.join("for-init")
    };
    let own = certify("mla.example.ie", "own");
    let other = certify("bfj.example.de", "other");
    let real_now = Timestamp::from_millis(jiff::Timestamp::now().as_millisecond());

    let mut args = args(&[]);
    args.pki = Some(own.clone());
    let home = Home::at(root.path().join("ie"));
    let made = establish(&args, &home, real_now).unwrap();
    let config = judge(&home, none()).unwrap();
    assert!(!config.identity.tls_ca_key.exists());
    let (card, _) = opened(&made);
    let peer = card.trusted(held(&card, &fs::read(&made.crl).unwrap()), false);
    let trust = Trust::new("bfj.example.de".parse().unwrap(), vec![peer]);
    let keyring = Keyring::load(&config.identity, &made.id).unwrap();
    let leaf = &keyring.chain[0];
    let taken = trust.authenticate(leaf, &[], PeerSide::Client, None, real_now);
    assert_eq!(*taken.unwrap().id(), made.id);

    let refused = |folder: &Path, word: &str| {
        let mut args = args.clone();
        args.pki = Some(folder.to_owned());
        let home = Home::at(root.path().join("refused"));
        let failure = establish(&args, &home, real_now).unwrap_err();
        assert!(
            failure.message.contains(word),
            "{word}: {}",
            failure.message
        );
        assert!(!home.folder().exists());
    };
    refused(&other, "mla.example.ie");
    fs::copy(other.join("tls.key"), own.join("tls.key")).unwrap();
    refused(&own, "not the key");
    fs::copy(other.join("tls-ca.crl"), own.join("tls-ca.crl")).unwrap();
    refused(&own, "tls-ca.crl");
    fs::remove_file(own.join("tls-ca.crl")).unwrap();
    refused(&own, "does not exist");
}
