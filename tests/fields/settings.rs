//! Every key of a configuration, in the file and in the environment.

use std::collections::BTreeMap;
use std::path::Path;

use rogatory::config::keys::{self, Key};
use rogatory::config::{Config, ConfigFault};
use serde_json::Value;

use crate::documents::{Mutant, Tally, is_chosen};
use crate::programs::Program;
use crate::values::tokens;

/// Sizes, times and rates at the ends of what can be said, and TOML that is no JSON.
const MORE: &[&str] = &[
    "\"0 B\"",
    "\"1 B\"",
    "\"-1 B\"",
    "\"1 TiB\"",
    "\"16777216 TiB\"",
    "\"18446744073709551615 TiB\"",
    "\"18446744073709551615 B\"",
    "\"18446744073709551616 B\"",
    "\"1e400 GiB\"",
    "\"0.5 GiB\"",
    "\"GiB\"",
    "\"1GiB\"",
    "\"0 s\"",
    "\"-1 s\"",
    "\"1 s\"",
    "\"5 s\"",
    "\"2 min\"",
    "\"366 days\"",
    "\"213503982334601 days\"",
    "\"18446744073709551615 days\"",
    "\"99999999999999999999 days\"",
    "\"0 bit/s\"",
    "\"64 kbit/s\"",
    "\"18446744073709551615 Gbit/s\"",
    "\"unlimited\"",
    "\"H0\"",
    "\"H9\"",
    "\"[::]:0\"",
    "\"0.0.0.0:65535\"",
    "\"0.0.0.0:65536\"",
    "\"localhost:1\"",
    "\"/\"",
    "\"/dev/null\"",
    "\"/proc/self/mem\"",
    "\"gid:4294967296\"",
    "[\"uid:0\"]",
    "[\"uid:4294967295\"]",
    "[\"uid:-1\"]",
    "[\"a,b\"]",
    "[\"\"]",
    "[[\"a\"]]",
    "inf",
    "nan",
    "-nan",
    "0x7fffffffffffffff",
    "0xffffffffffffffff",
    "0o777",
    "0b1",
    "1_000",
    "1979-05-27T07:32:00Z",
    "1979-05-27",
    "9999-12-31T23:59:60Z",
    "'''x'''",
    "\"\"\"x\"\"\"",
    "{a = 1}",
    "{a.b.c = 1}",
    "\"\\U0010FFFF\"",
    "\"\\UFFFFFFFF\"",
];
/// One in so many goes through the program itself.
const STARTED: u64 = 60;

/// A configuration with every line but that of one key.
struct Written(BTreeMap<String, BTreeMap<String, String>>);

impl Written {
    fn read(text: &str) -> Self {
        let table: toml::Table = text.parse().expect("what init writes");
        let mut sections: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for (name, value) in table {
            if let toml::Value::Table(section) = value {
                let lines = section.into_iter().map(|(key, it)| (key, it.to_string()));
                sections.entry(name).or_default().extend(lines);
            } else {
                let first = sections.entry(String::new()).or_default();
                first.insert(name, value.to_string());
            }
        }
        Self(sections)
    }

    /// The text with this value, whatever it is, for the key.
    fn with(&self, section: &str, name: &str, token: &[u8]) -> Vec<u8> {
        let mut sections = self.0.clone();
        sections.entry(section.to_owned()).or_default().remove(name);
        let mut text = Vec::new();
        for (at, lines) in &sections {
            if !at.is_empty() {
                text.extend(format!("[{at}]\n").bytes());
            }
            if at == section {
                text.extend([name.as_bytes(), b" = ", token, b"\n"].concat());
            }
            for (key, value) in lines {
                text.extend(format!("{key} = {value}\n").bytes());
            }
        }
        text
    }

    /// The text with a section about a peer.
    fn with_peer(&self, name: &str, token: &[u8]) -> Vec<u8> {
        let mut text = self.with("limits", "reserve", b"\"1 GiB\"");
        text.extend(b"[[peer]]\n");
        text.extend([name.as_bytes(), b" = ", token, b"\n"].concat());
        text
    }
}

fn load(
    path: &Path,
    text: &str,
    env: Option<(String, String)>,
) -> Result<Config, Vec<ConfigFault>> {
    let config = Config::parse(path, text, env.into_iter())?;
    config.check_files().map(|()| config)
}

/// Every value for every key to the function that reads it, and some through the program.
pub(crate) fn keys(program: &Program, tally: &mut Tally) {
    let path = program.home.join("rogatory.toml");
    let text = std::fs::read_to_string(&path).expect("what init has written");
    let written = Written::read(&text);
    let fields = keys::KEYS.iter().map(|key| (false, key));
    let fields = fields.chain(keys::PEER_KEYS.iter().map(|key| (true, key)));
    let (mut tried, mut taken) = (0, 0);
    for (is_of_peer, key) in fields {
        tried += 1;
        for (what, token) in values() {
            let name = if is_of_peer {
                format!("peer.{}", key.path)
            } else {
                key.path.to_owned()
            };
            let bytes = if is_of_peer {
                written.with_peer(key.path, &token)
            } else {
                written.with(key.section(), key.name(), &token)
            };
            let mutant = Mutant {
                what: format!("{name} is {what}"),
                field: name,
                bytes,
            };
            tally.add("configuration", &mutant);
            if let Ok(text) = std::str::from_utf8(&mutant.bytes) {
                let read = |_: &[u8]| drop(load(&path, text, None));
                tally.read(&mutant.what, read, &[]);
                taken += u64::from(load(&path, text, None).is_ok());
            }
            if !is_of_peer {
                environment(tally, (&path, &text), key, &mutant.what, &token);
            }
            if is_chosen(&mutant.what, STARTED) {
                std::fs::write(&path, &mutant.bytes).expect("a file");
                program.run(tally, &mutant.what, &["check", "config"]);
                program.run(
                    tally,
                    &mutant.what,
                    &["config", "show", "--origin", "--json"],
                );
            }
        }
    }
    assert_eq!(tried, keys::KEYS.len() + keys::PEER_KEYS.len());
    assert!(taken > 100, "{taken} configurations were taken");
    std::fs::write(&path, text).expect("as it was");
}

fn values() -> Vec<(String, Vec<u8>)> {
    let number = tokens(&Value::Null, &Value::from(7));
    let text = tokens(&Value::Null, &Value::from("2026-11-23"));
    let more = MORE
        .iter()
        .map(|it| ((*it).to_owned(), it.as_bytes().to_vec()));
    number.into_iter().chain(text).chain(more).collect()
}

/// The same text in the variable that overrides the key.
fn environment(
    tally: &mut Tally,
    (path, text): (&Path, &str),
    key: &Key,
    what: &str,
    token: &[u8],
) {
    let Ok(value) = std::str::from_utf8(token) else {
        return;
    };
    let value = value.trim_matches('"').to_owned();
    let env = (key.env(), value);
    let read = |_: &[u8]| drop(load(path, text, Some(env.clone())));
    tally.read(&format!("{what}, in the environment"), read, &[]);
}

/// For the keys that a daemon counts or measures with: the least and the greatest that is taken.
pub(crate) fn ends(program: &Program) -> [Vec<(String, String)>; 2] {
    let path = program.home.join("rogatory.toml");
    let text = std::fs::read_to_string(&path).expect("what init has written");
    let sizes = [
        "0",
        "1",
        "64",
        "1000",
        "1048576",
        "1073741824",
        "1099511627776",
        "18446744073709551615",
    ];
    let units = [
        "", " B", " TiB", " s", " min", " days", " kbit/s", " Gbit/s",
    ];
    let mut least = Vec::new();
    let mut greatest = Vec::new();
    for key in keys::KEYS {
        if !["limits", "serve"].contains(&key.section()) || key.path == "limits.patience" {
            continue;
        }
        let all = units
            .iter()
            .flat_map(|unit| sizes.iter().map(move |size| format!("{size}{unit}")));
        let taken: Vec<_> = all
            .filter(|value| load(&path, &text, Some((key.env(), value.clone()))).is_ok())
            .collect();
        assert!(!taken.is_empty(), "nothing is taken for {}", key.path);
        least.push((key.env(), taken[0].clone()));
        greatest.push((key.env(), taken[taken.len() - 1].clone()));
    }
    [least, greatest]
}
