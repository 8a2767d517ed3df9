mod roles;
mod shown;
mod values;

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::config::keys::{Default as KeyDefault, KEYS, PEER_KEYS};
use crate::config::sample;
use crate::config::sample::SampleValues;
use crate::config::*;
use crate::policy::Handling;

const MINIMAL: &str = r#"
[authority]
id = "mla.example.ie"
name = "Central Authority"
country = "IE"
[listen]
quic = "127.0.0.1:7443"
"#;

fn load(text: &str, env: &[(&str, &str)]) -> Result<Config, Vec<ConfigFault>> {
    load_at("/home/ie/rogatory.toml", text, env)
}

fn load_at(path: &str, text: &str, env: &[(&str, &str)]) -> Result<Config, Vec<ConfigFault>> {
    let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    Config::parse(Path::new(path), text, env)
}

/// Line, key and suggestion of each fault; every text says something.
fn faults(text: &str, env: &[(&str, &str)]) -> Vec<(Option<u32>, String, Option<String>)> {
    let faults = load(text, env).unwrap_err();
    assert!(
        faults.iter().all(|fault| fault.text.len() > 5),
        "{faults:?}"
    );
    let parts = faults.into_iter();
    parts.map(|it| (it.line, it.key, it.suggestion)).collect()
}

#[test]
fn authority_and_listen_are_enough() {
    let config = load(MINIMAL, &[]).unwrap();
    let home = Path::new("/home/ie");
    assert_eq!(config.file, home.join("rogatory.toml"));
    assert_eq!(config.authority.id.as_str(), "mla.example.ie");
    assert_eq!(config.authority.name, "Central Authority");
    assert_eq!(config.authority.country.as_str(), "IE");
    assert_eq!(config.authority.alias.as_str(), "ie");
    assert_eq!(config.listen.quic.to_string(), "127.0.0.1:7443");
    assert_eq!(config.listen.api, home.join("api.sock"));
    assert_eq!(config.state_dir, home.join("state"));
    assert_eq!(config.journal, home.join("state-destroyed/journal"));
    let keys = home.join("keys");
    let standard = KeyFiles::standard(
        &keys,
        home.join("ie.card"),
        home.join("ie.crl"),
        &home.join("state"),
    );
    assert_eq!(config.identity, standard);
    let limits = Limits {
        package_max: 2 << 40,
        peer_connections: 4,
        transfer_retry_for: Duration::from_hours(168),
        reserve: 1 << 30,
        peer_quota: 4 << 40,
        peer_unopened: 100_000,
        peer_growth: 1 << 30,
        offers_per_second: 5_000,
        control_per_second: 50,
        patience: Duration::from_mins(2),
        send: None,
        receive: None,
        peer_send: None,
        peer_receive: None,
    };
    assert_eq!(config.limits, limits);
    assert!(config.classic.is_empty());
    assert_eq!(config.handling_max, Handling::H3);
    assert_eq!(config.destroy, Destroy::Propose);
    assert_eq!(config.telemetry.log, LogFormat::Text);
    assert_eq!(config.telemetry.level, LogLevel::Info);
    assert_eq!(config.grace, Duration::from_secs(20));
    assert_eq!(config.congestion, Congestion::Model);
}

#[test]
fn system_places_follow_from_the_file() {
    let config = load_at("/etc/rogatory/rogatory.toml", MINIMAL, &[]).unwrap();
    assert_eq!(config.listen.api, Path::new("/run/rogatory/api.sock"));
    assert_eq!(config.state_dir, Path::new("/var/lib/rogatory"));
    let journal = Path::new("/var/lib/rogatory-destroyed/journal");
    assert_eq!(config.journal, journal);
    assert_eq!(
        config.identity.tls_key,
        Path::new("/etc/rogatory/keys/tls.key")
    );
    let here = load_at("rogatory.toml", MINIMAL, &[]).unwrap();
    assert_eq!(here.listen.api, Path::new("api.sock"));
    for (home, config, expected) in [
        (None, None, "/etc/rogatory/rogatory.toml"),
        (Some("ie"), None, "ie/rogatory.toml"),
        (Some("ie"), Some("x/y.toml"), "x/y.toml"),
    ] {
        let home = Home::chosen(home.map(Path::new), config.map(Path::new));
        assert_eq!(home.config, Path::new(expected));
    }
}

#[test]
fn every_value_can_be_written() {
    let text = r#"
version = 1
[authority]
id = "bfj.example.de"
name = "Bundesamt"
country = "DE"
alias = "bund"
[listen]
quic = "[::]:7000"
api = "/run/x.sock"
[identity]
keys = "secrets"
card = "my.card"
tls_key = "/elsewhere/tls.key"
[state]
dir = "../state"
[limits]
package_max = "64 GiB"
peer_connections = 2
transfer_retry_for = "36 h"
reserve = "0 B"
[trust]
require_post_quantum = true
[policy]
handling_max = "H1"
need_to_know = true
[retention]
destroy = "automatic"
keep_after_sunset = true
journal = "../gone"
[roles]
officer = ["user:a"]
[telemetry]
log = "journald"
level = "debug"
[serve]
grace = "1 min"
[net]
congestion = "cubic"
[[peer]]
alias = "ie"
allow_classic = true
[[peer]]
alias = "fr"
"#;
    let config = load(text, &[]).unwrap();
    let home = Path::new("/home/ie");
    assert_eq!(config.authority.alias.as_str(), "bund");
    assert_eq!(config.listen.api, Path::new("/run/x.sock"));
    assert_eq!(config.identity.card, home.join("my.card"));
    assert_eq!(config.identity.crl, home.join("bund.crl"));
    assert_eq!(config.identity.log_key, home.join("secrets/log.key"));
    assert_eq!(config.identity.tls_key, Path::new("/elsewhere/tls.key"));
    assert_eq!(config.state_dir, home.join("../state"));
    assert_eq!(config.limits.package_max, 64 << 30);
    assert_eq!(config.limits.peer_connections, 2);
    assert_eq!(config.limits.transfer_retry_for, Duration::from_hours(36));
    assert_eq!(config.limits.reserve, 0);
    assert_eq!(config.handling_max, Handling::H1);
    assert_eq!(config.destroy, Destroy::Automatic);
    assert_eq!(config.journal, home.join("../gone"));
    assert_eq!(config.telemetry.log, LogFormat::Journald);
    assert_eq!(config.telemetry.level, LogLevel::Debug);
    assert_eq!(config.grace, Duration::from_mins(1));
    assert_eq!(config.congestion, Congestion::Cubic);
    let classic = config.classic.iter().map(crate::base::Alias::as_str);
    assert!(classic.eq(["ie"]));
}

#[test]
fn the_journal_is_not_in_the_folder_that_is_restored() {
    for (state, journal, wanted) in [
        ("state", "state/journal", false),
        ("/srv/x", "/srv/x/a/journal", false),
        ("/srv/x", "/srv/x-destroyed/journal", true),
        ("/srv/x", "/srv/journal", true),
    ] {
        let text =
            format!("{MINIMAL}[state]\ndir = \"{state}\"\n[retention]\njournal = \"{journal}\"\n");
        match load(&text, &[]) {
            Ok(_) => assert!(wanted, "{journal}"),
            Err(found) => {
                assert!(!wanted, "{journal}");
                assert_eq!(found[0].key, "retention.journal");
                assert_eq!(found[0].line, Some(11));
            }
        }
    }
    let text = format!("{MINIMAL}[state]\ndir = \"/srv/x/\"\n");
    let journal = load(&text, &[]).unwrap().journal;
    assert_eq!(journal, Path::new("/srv/x-destroyed/journal"));
}

#[test]
fn unknown_keys_are_refused_with_what_was_meant() {
    for (line, key, suggestion) in [
        ("[stat]\ndir = \"x\"", "stat", Some("[state]")),
        ("[state]\ndri = \"x\"", "state.dri", Some("dir")),
        (
            "[telemetry]\nlevle = \"info\"",
            "telemetry.levle",
            Some("level"),
        ),
        (
            "[state]\nreserve = \"1 GiB\"",
            "state.reserve",
            Some("reserve in [limits]"),
        ),
        (
            "[state]\nversion = 1",
            "state.version",
            Some("version before the first section"),
        ),
        ("[[peers]]\nalias = \"de\"", "peers", Some("[[peer]]")),
        (
            "[[peer]]\nalias = \"de\"\nallow_clasic = true",
            "peer.allow_clasic",
            Some("allow_classic"),
        ),
        ("[state]\nwholly_other = 1", "state.wholly_other", None),
        ("[bananas]", "bananas", None),
        ("[\"\"]", "", None),
    ] {
        let text = format!("{MINIMAL}{line}\n");
        let found = faults(&text, &[]);
        let wanted = suggestion.map(str::to_owned);
        assert_eq!(found.len(), 1, "{line}: {found:?}");
        assert_eq!(
            (&found[0].1, &found[0].2),
            (&key.to_owned(), &wanted),
            "{line}"
        );
        let first = 1 + MINIMAL.lines().count();
        let first = u32::try_from(first).unwrap();
        assert!(found[0].0.unwrap() >= first, "{line}: {found:?}");
    }
    let found = faults(&format!("verison = 1\n{MINIMAL}"), &[]);
    assert_eq!(
        found,
        [(Some(1), "verison".to_owned(), Some("version".to_owned()))]
    );
}

#[test]
fn all_faults_are_told_at_once_with_their_lines() {
    let text = "version = 2
[authority]
id = \"MLA\"
name = \"\"
country = \"Ireland\"
nmae = \"x\"
[listen]
quic = \"localhost\"
[limits]
package_max = \"2\"
peer_connections = 9
reserve = 20
transfer_retry_for = \"7 moons\"
[trust]
require_post_quantum = false
[policy]
handling_max = \"H9\"
[telemetry]
log = \"jason\"
level = true
[serve]
grace = \"2 days\"
[[peer]]
allow_classic = \"yes\"
[[peer]]
alias = \"de\"
[[peer]]
alias = \"de\"
";
    let found: Vec<_> = faults(text, &[])
        .into_iter()
        .map(|(line, key, _)| (line.unwrap_or(0), key))
        .collect();
    let expected = [
        (1, "version"),
        (3, "authority.id"),
        (4, "authority.name"),
        (5, "authority.country"),
        (6, "authority.nmae"),
        (8, "listen.quic"),
        (10, "limits.package_max"),
        (11, "limits.peer_connections"),
        (12, "limits.reserve"),
        (13, "limits.transfer_retry_for"),
        (15, "trust.require_post_quantum"),
        (17, "policy.handling_max"),
        (19, "telemetry.log"),
        (20, "telemetry.level"),
        (22, "serve.grace"),
        (23, "peer.alias"),
        (24, "peer.allow_classic"),
        (28, "peer.alias"),
    ];
    let expected: Vec<_> = expected.map(|(line, key)| (line, key.to_owned())).into();
    assert_eq!(found, expected);
}

#[test]
fn a_missing_key_is_named_once() {
    for (text, missing) in [
        (
            "",
            &[
                "authority.id",
                "authority.name",
                "authority.country",
                "listen.quic",
            ][..],
        ),
        (
            "[listen]\nquic = \"127.0.0.1:1\"",
            &["authority.id", "authority.name", "authority.country"],
        ),
        (
            &MINIMAL.replace("id = \"mla.example.ie\"", "id = 7"),
            &["authority.id"],
        ),
    ] {
        let found = faults(text, &[]);
        let keys: Vec<_> = found.iter().map(|(_, key, _)| key.as_str()).collect();
        assert_eq!(keys, missing);
    }
}

#[test]
fn what_is_no_toml_is_told_with_its_line() {
    for (text, line) in [
        (MINIMAL.replace("[listen]", "[listen"), 6),
        (format!("{MINIMAL}quic = \"127.0.0.1:1\"\n"), 8),
        (format!("{MINIMAL}[state]\ndir = \n"), 9),
        (format!("{MINIMAL}authority = 3\n[authority]\n"), 9),
    ] {
        let found = faults(&text, &[]);
        assert!(
            found.iter().any(|fault| fault.0 == Some(line)),
            "{text}: {found:?}"
        );
    }
    for text in ["state = 3", "peer = 3", "peer = [3]", "[version]\nx = 1"] {
        let found = faults(&format!("{text}\n{MINIMAL}"), &[]);
        assert_eq!((found.len(), found[0].0), (1, Some(1)), "{text}: {found:?}");
    }
}

#[test]
fn the_environment_wins_and_is_judged_alike() {
    let config = load(
        MINIMAL,
        &[
            ("ROGATORY__STATE__DIR", "elsewhere"),
            ("ROGATORY__LISTEN__QUIC", "192.0.2.1:9"),
            ("ROGATORY__LIMITS__PEER_CONNECTIONS", "1"),
            ("ROGATORY__AUTHORITY__NAME", "From, outside"),
            ("ROGATORYX", "not ours"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert_eq!(config.state_dir, Path::new("/home/ie/elsewhere"));
    assert_eq!(config.listen.quic.to_string(), "192.0.2.1:9");
    assert_eq!(config.limits.peer_connections, 1);
    assert_eq!(config.authority.name, "From, outside");
    for (name, value, suggestion) in [
        ("ROGATORY__STATE__DRI", "x", Some("ROGATORY__STATE__DIR")),
        ("ROGATORY__BANANAS__AND__PEARS", "x", None),
        ("rogatory__state__dir", "x", Some("ROGATORY__STATE__DIR")),
        ("ROGATORY__", "x", None),
        ("ROGATORY__LIMITS__PEER_CONNECTIONS", "many", None),
        ("ROGATORY__LIMITS__RESERVE", "20", None),
        ("ROGATORY__TRUST__REQUIRE_POST_QUANTUM", "maybe", None),
    ] {
        let found = faults(MINIMAL, &[(name, value)]);
        let wanted = (None, name.to_owned(), suggestion.map(str::to_owned));
        assert_eq!(found, [wanted]);
    }
    // A good value from outside does not hide that the file's is bad in kind, but it replaces one bad in content.
    let bad = MINIMAL.replace("127.0.0.1:7443", "nowhere");
    load(&bad, &[("ROGATORY__LISTEN__QUIC", "127.0.0.1:1")]).unwrap();
}

#[test]
fn each_value_says_where_it_comes_from() {
    let config = load(MINIMAL, &[("ROGATORY__STATE__DIR", "/s")]).unwrap();
    let row = |key: &str| config.origin().iter().find(|row| row.key == key).unwrap();
    let shown = |key: &str| (row(key).value.clone(), row(key).source.to_string());
    for (key, value, source) in [
        ("authority.id", "mla.example.ie", "line 3"),
        ("authority.alias", "ie", "default"),
        ("limits.reserve", "1 GiB", "default"),
        ("state.dir", "/s", "ROGATORY__STATE__DIR"),
        ("listen.api", "/home/ie/api.sock", "default"),
    ] {
        assert_eq!(shown(key), (value.to_owned(), source.to_owned()));
    }
    let mut shown: Vec<_> = config.origin().iter().map(|row| row.key.as_str()).collect();
    let mut known: Vec<_> = KEYS.iter().map(|key| key.path).collect();
    shown.sort_unstable();
    known.sort_unstable();
    assert_eq!(shown, known);
}

#[test]
fn a_file_that_cannot_be_read_is_one_fault() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("rogatory.toml");
    let load = || Config::load(&path, std::iter::empty());
    assert!(load().unwrap_err()[0].text.contains("cannot be read"));
    fs::write(&path, "#".repeat((1 << 20) + 1)).unwrap();
    assert!(load().unwrap_err()[0].text.contains("longer than"));
    fs::write(&path, [0xff, 0xfe]).unwrap();
    assert!(load().unwrap_err()[0].text.contains("cannot be read"));
    fs::write(&path, MINIMAL).unwrap();
    load().unwrap();
}

#[test]
fn a_client_finds_the_socket_even_in_a_faulty_configuration() {
    let root = tempfile::tempdir().unwrap();
    let home = Home::at(root.path());
    let none = std::iter::empty;
    assert_eq!(home.socket(none()), root.path().join("api.sock"));
    fs::write(
        &home.config,
        "[listen]\napi = \"other.sock\"\nnonsense = 1\n",
    )
    .unwrap();
    assert_eq!(home.socket(none()), root.path().join("other.sock"));
    let env = [("ROGATORY__LISTEN__API".to_owned(), "/run/x".to_owned())];
    assert_eq!(home.socket(env.into_iter()), Path::new("/run/x"));
}
