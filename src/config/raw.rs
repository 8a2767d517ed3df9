//! The written configuration: defaults, then the file, then the environment, each value with the place it comes from.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::Serialize;
use toml::de::{DeTable, DeValue};

use crate::config::fault::{ConfigFault, nearest};
use crate::config::keys;
use crate::config::keys::{Default as KeyDefault, Key, Kind};

/// Where a value comes from; the later in this list wins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ValueSource {
    /// Nobody wrote it.
    Default,
    /// A line of the configuration file, from 1.
    File {
        /// The line.
        line: u32,
    },
    /// An environment variable.
    Environment {
        /// Its name.
        name: String,
    },
}

impl fmt::Display for ValueSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { line } => write!(f, "line {line}"),
            Self::Environment { name } => f.write_str(name),
        }
    }
}

/// A value as text, and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenEntry {
    /// The value.
    pub value: String,
    /// Where it comes from.
    pub source: ValueSource,
}

/// One `[[peer]]` as written.
#[derive(Debug, Clone, Default)]
pub struct PeerEntry {
    /// The line of the section.
    pub line: u32,
    /// Key → value and line.
    pub values: BTreeMap<String, WrittenEntry>,
}

/// Everything written under known keys with a value of the right kind.
#[derive(Debug, Default)]
pub struct Written {
    layers: ::config::Config,
    sources: BTreeMap<String, ValueSource>,
    /// The `[[peer]]` sections.
    pub peers: Vec<PeerEntry>,
}

/// The file's part of a [`Written`], while it is read.
struct Reading<'a> {
    text: &'a str,
    kept: BTreeMap<String, String>,
    sources: BTreeMap<String, ValueSource>,
    peers: Vec<PeerEntry>,
    faults: Vec<ConfigFault>,
}

impl Written {
    /// Layers the file's text over the defaults and `env` over both. Unknown keys and values of a wrong kind are
    /// faults and left out, so that the rest can still be judged.
    pub fn read(
        text: &str,
        env: impl Iterator<Item = (String, String)>,
    ) -> (Self, Vec<ConfigFault>) {
        let mut reading = Reading {
            text,
            kept: BTreeMap::new(),
            sources: BTreeMap::new(),
            peers: Vec::new(),
            faults: Vec::new(),
        };
        reading.file();
        let env = reading.env(env);
        let layers = match layer(&reading.kept, env) {
            Ok(layers) => layers,
            Err(fault) => {
                reading.faults.push(ConfigFault::of("", fault.to_string()));
                ::config::Config::default()
            }
        };
        let written = Self {
            layers,
            sources: reading.sources,
            peers: reading.peers,
        };
        (written, reading.faults)
    }

    /// The value at this path, if it is written or has a fixed default.
    pub fn text(&self, path: &str) -> Option<WrittenEntry> {
        let value = self.layers.get_string(path).ok()?;
        let source = self
            .sources
            .get(path)
            .cloned()
            .unwrap_or(ValueSource::Default);
        Some(WrittenEntry { value, source })
    }
}

/// Defaults below, the file's values over them, the environment on top.
fn layer(
    file: &BTreeMap<String, String>,
    env: HashMap<String, String>,
) -> Result<::config::Config, ::config::ConfigError> {
    let mut builder = ::config::Config::builder();
    for key in keys::KEYS {
        if let KeyDefault::Value(value) = key.default {
            builder = builder.set_default(key.path, value)?;
        }
    }
    let mut from_file = ::config::Config::builder();
    for (path, value) in file {
        from_file = from_file.set_override(path, value.as_str())?;
    }
    let from_env = ::config::Environment::with_prefix(keys::ENV_PREFIX.trim_end_matches('_'))
        .prefix_separator("__")
        .separator("__")
        .source(Some(env));
    builder
        .add_source(from_file.build()?)
        .add_source(from_env)
        .build()
}

impl Reading<'_> {
    fn line(&self, at: usize) -> u32 {
        let before = self.text.as_bytes().iter().take(at);
        let newlines = before.filter(|byte| **byte == b'\n').count();
        u32::try_from(newlines).map_or(u32::MAX, |newlines| newlines.saturating_add(1))
    }

    fn fault(&mut self, at: usize, key: &str, text: impl Into<String>, suggestion: Option<String>) {
        let line = Some(self.line(at));
        self.faults.push(ConfigFault {
            line,
            key: key.to_owned(),
            text: text.into(),
            suggestion,
        });
    }

    fn file(&mut self) {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let at = error.span().map_or(0, |span| span.start);
            let message = error.message().lines().collect::<Vec<_>>().join(", ");
            self.fault(at, "", format!("not TOML: {message}"), None);
        }
        for (name, value) in table.get_ref() {
            let at = name.span().start;
            let name: &str = name.get_ref();
            let known_section = !name.is_empty() && keys::of_section(name).next().is_some();
            match (keys::find(name), value.get_ref().as_table()) {
                (Some(key), _) => self.leaf(key, at, value.get_ref()),
                (None, _) if name == keys::PEER => self.peer_list(at, value.get_ref()),
                (None, Some(section)) if known_section => self.section(name, section),
                (None, None) if known_section => {
                    let text = format!("must be a section: write [{name}] on a line of its own");
                    self.fault(at, name, text, None);
                }
                (None, _) => self.unknown(at, "", name),
            }
        }
    }

    fn section(&mut self, section: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let at = name.span().start;
            match keys::find(&format!("{section}.{}", name.get_ref())) {
                Some(key) => self.leaf(key, at, value.get_ref()),
                None => self.unknown(at, section, name.get_ref()),
            }
        }
    }

    fn leaf(&mut self, key: &'static Key, at: usize, value: &DeValue<'_>) {
        match scalar(key.kind, value) {
            Ok(value) => {
                let line = self.line(at);
                self.kept.insert(key.path.to_owned(), value);
                self.sources
                    .insert(key.path.to_owned(), ValueSource::File { line });
            }
            Err(text) => self.fault(at, key.path, text, None),
        }
    }

    fn peer_list(&mut self, at: usize, value: &DeValue<'_>) {
        let Some(list) = value.as_array() else {
            let text = "must be a list: write [[peer]] on a line of its own";
            return self.fault(at, keys::PEER, text, None);
        };
        for peer in list {
            let at = peer.span().start;
            match peer.get_ref().as_table() {
                Some(table) => self.peer(at, table),
                None => self.fault(at, keys::PEER, "must be a section [[peer]]", None),
            }
        }
    }

    fn peer(&mut self, at: usize, table: &DeTable<'_>) {
        let mut peer = PeerEntry {
            line: self.line(at),
            values: BTreeMap::new(),
        };
        for (name, value) in table {
            let at = name.span().start;
            let name: &str = name.get_ref();
            let path = format!("{}.{name}", keys::PEER);
            let Some(key) = keys::PEER_KEYS.iter().find(|key| key.path == name) else {
                let near = nearest(name, keys::PEER_KEYS.iter().map(|key| key.path));
                self.fault(at, &path, "unknown key", near.map(str::to_owned));
                continue;
            };
            match scalar(key.kind, value.get_ref()) {
                Ok(value) => {
                    let source = ValueSource::File {
                        line: self.line(at),
                    };
                    peer.values
                        .insert(name.to_owned(), WrittenEntry { value, source });
                }
                Err(text) => self.fault(at, &path, text, None),
            }
        }
        self.peers.push(peer);
    }

    fn unknown(&mut self, at: usize, section: &str, name: &str) {
        let suggestion = suggest(section, name);
        let (path, what) = if section.is_empty() {
            (name.to_owned(), "unknown key or section")
        } else {
            (format!("{section}.{name}"), "unknown key")
        };
        self.fault(at, &path, what, suggestion);
    }

    /// Takes our variables out of the environment; what is left over is none of ours.
    fn env(&mut self, env: impl Iterator<Item = (String, String)>) -> HashMap<String, String> {
        let mut taken = HashMap::new();
        let ours = |name: &str| name.to_uppercase().starts_with(keys::ENV_PREFIX);
        let mut variables: Vec<_> = env.filter(|(name, _)| ours(name)).collect();
        variables.sort();
        for (name, value) in variables {
            let Some(key) = keys::KEYS.iter().find(|key| key.env() == name) else {
                let known: Vec<_> = keys::KEYS.iter().map(Key::env).collect();
                let near = nearest_env(&name, &known);
                let mut fault = ConfigFault::of(name, "unknown environment variable");
                fault.suggestion = near;
                self.faults.push(fault);
                continue;
            };
            if let Err(text) = scalar_text(key.kind, &value) {
                self.faults.push(ConfigFault::of(name, text));
                continue;
            }
            let path = key.path.to_owned();
            self.sources
                .insert(path, ValueSource::Environment { name: name.clone() });
            taken.insert(name, value);
        }
        taken
    }
}

fn nearest_env(name: &str, known: &[String]) -> Option<String> {
    let bare = name.get(keys::ENV_PREFIX.len()..)?;
    let known: Vec<_> = known
        .iter()
        .filter_map(|known| known.strip_prefix(keys::ENV_PREFIX))
        .map(|known| (known.to_lowercase(), known))
        .collect();
    let near = nearest(bare, known.iter().map(|(lower, _)| lower.as_str()))?;
    Some(format!("{}{}", keys::ENV_PREFIX, near.to_uppercase()))
}

/// The known key that an unknown one stands for: misspelt, in the wrong section, or a misspelt section.
fn suggest(section: &str, name: &str) -> Option<String> {
    let here = keys::of_section(section).map(Key::name);
    if section.is_empty() {
        let sections = keys::KEYS.iter().map(Key::section).chain([keys::PEER]);
        let sections: Vec<_> = sections.filter(|name| !name.is_empty()).collect();
        if let Some(near) = nearest(name, here.chain(sections.iter().copied())) {
            let bracketed = match near {
                keys::PEER => "[[peer]]".to_owned(),
                near if sections.contains(&near) => format!("[{near}]"),
                near => near.to_owned(),
            };
            return Some(bracketed);
        }
    } else if let Some(near) = nearest(name, here) {
        return Some(near.to_owned());
    }
    let elsewhere = keys::KEYS.iter().find(|key| key.name() == name)?;
    Some(match elsewhere.section() {
        "" => format!("{name} before the first section"),
        section => format!("{name} in [{section}]"),
    })
}

/// The value as text, if it is of the right kind.
fn scalar(kind: Kind, value: &DeValue<'_>) -> Result<String, String> {
    let text = match kind {
        Kind::Text => value.as_str().map(str::to_owned),
        Kind::Number => value.as_integer().map(ToString::to_string),
        Kind::Flag => value.as_bool().map(|flag| flag.to_string()),
        Kind::List => value.as_array().and_then(|list| {
            let texts = list.iter().map(|text| text.get_ref().as_str());
            let texts: Option<Vec<_>> = texts
                .map(|text| text.filter(|text| !text.trim().is_empty() && !text.contains(',')))
                .collect();
            Some(texts?.join(", "))
        }),
    };
    let Some(text) = text else {
        return Err(wanted(kind).to_owned());
    };
    scalar_text(kind, &text)?;
    Ok(text)
}

/// Whether a text can stand for a value of this kind.
fn scalar_text(kind: Kind, text: &str) -> Result<(), String> {
    let good = match kind {
        Kind::Text | Kind::List => true,
        Kind::Number => text.parse::<u64>().is_ok(),
        Kind::Flag => text == "true" || text == "false",
    };
    good.then_some(()).ok_or_else(|| wanted(kind).to_owned())
}

fn wanted(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "must be text in quotes",
        Kind::Number => "must be a whole number",
        Kind::Flag => "must be true or false",
        Kind::List => "must be a list of texts: [\"…\", \"…\"]",
    }
}
