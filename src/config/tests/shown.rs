//! The sample that `init` writes.

use super::*;
use crate::config::keys::Kind;

#[test]
fn the_sample_is_what_init_writes_and_shows_every_default() {
    let example = SampleValues {
        id: &"mla.example.ie".parse().unwrap(),
        name: "Department of Justice, Central Authority",
        country: "IE".parse().unwrap(),
        alias: &"ie".parse().unwrap(),
        quic: "[::]:7443".parse().unwrap(),
        api: "/run/rogatory/api.sock",
        state_dir: "/var/lib/rogatory",
    };
    assert_eq!(sample::fill(&example), sample::SAMPLE);
    let at = "/etc/rogatory/rogatory.toml";
    let written = load_at(at, sample::SAMPLE, &[]).unwrap();
    // Uncommenting every example changes nothing.
    let shown: String = sample::SAMPLE
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            // A list is an example, not a default.
            Some(rest) if rest.contains(" = [") => format!("{line}\n"),
            Some(rest) if rest.starts_with("[[") || is_assignment(rest) => format!("{rest}\n"),
            Some(_) | None => format!("{line}\n"),
        })
        .collect();
    let uncommented = load_at(at, &shown, &[]).unwrap();
    let comparable = |config: &Config| {
        let text = format!("{config:?}");
        text.split("origins:").next().unwrap_or_default().to_owned()
    };
    assert_eq!(comparable(&uncommented), comparable(&written));
    for key in KEYS.iter().chain(PEER_KEYS) {
        let comment = if key.kind == Kind::List { "# " } else { "" };
        let line = format!("{comment}{} = ", key.name());
        assert!(
            shown.lines().any(|it| it.starts_with(&line)),
            "{}",
            key.path
        );
        if let KeyDefault::Value(value) = key.default {
            let quoted = toml::Value::from(value).to_string();
            let any = [format!("{line}{quoted}"), format!("{line}{value}")];
            assert!(
                shown
                    .lines()
                    .any(|it| any.iter().any(|one| it.starts_with(one))),
                "{}",
                key.path
            );
        }
    }
}

fn is_assignment(text: &str) -> bool {
    let word = text.split(" = ").next().unwrap_or_default();
    text.contains(" = ") && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

#[test]
fn a_filled_sample_holds_any_name() {
    for name in ["a\"b", "back\\slash", "Ústředí — 中央", "#", "'"] {
        let filled = sample::fill(&SampleValues {
            id: &"x.example.cz".parse().unwrap(),
            name,
            country: "CZ".parse().unwrap(),
            alias: &"a-long-alias".parse().unwrap(),
            quic: "127.0.0.1:1".parse().unwrap(),
            api: "api.sock",
            state_dir: "state",
        });
        let config = load(&filled, &[]).unwrap();
        assert_eq!(config.authority.name, name);
        assert!(
            filled.contains("# card = \"a-long-alias.card\""),
            "{filled}"
        );
        let journal = "# journal = \"state-destroyed/journal\"";
        assert!(filled.contains(journal), "{filled}");
    }
}
