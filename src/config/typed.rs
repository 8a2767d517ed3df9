//! The meaning of a configuration: the written entries as values, and their faults.

pub mod rules;

use std::collections::BTreeSet;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::base::{Alias, AuthorityId, len_u64, limits};
use crate::config::fault::ConfigFault;
use crate::config::holders::Holder;
use crate::config::home::Home;
use crate::config::raw::{ValueSource, Written, WrittenEntry};
use crate::config::values::{
    Authority, Congestion, Country, Destroy, KeyFiles, Limits, Listen, Telemetry, Verb,
};
use crate::config::{keys, units};
use crate::identity::card::name_fault;
use crate::policy::{Handling, National, Role};

mod bounds;
mod places;
mod roles;

/// A valid configuration. Every path is already joined to the folder of the file.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from.
    pub file: PathBuf,
    /// Whose configuration this is.
    pub authority: Authority,
    /// Where the daemon listens.
    pub listen: Listen,
    /// Files with keys, certificates, card and revocation list.
    pub identity: KeyFiles,
    /// The folder of the state: ledger, blobs, slots.
    pub state_dir: PathBuf,
    /// Bounds that the operator sets, each within [`crate::base::limits`].
    pub limits: Limits,
    /// Peers with which a classic (not post-quantum) key exchange is allowed.
    pub classic: BTreeSet<Alias>,
    /// The highest handling code that may be sent or admitted.
    pub handling_max: Handling,
    /// Whether only the team of its case may use a package.
    pub need_to_know: bool,
    /// The acts that need two persons.
    pub dual_control: Vec<Verb>,
    /// The folder of the national rules.
    pub cedar: Option<PathBuf>,
    /// The national rules.
    pub national: Option<Arc<National>>,
    /// The fate of packages that may no longer be kept.
    pub destroy: Destroy,
    /// Whether packages are kept until the end of their retention where their use ends before.
    pub keep_after_sunset: bool,
    /// The file with what was destroyed, outside the folder of the state.
    pub journal: PathBuf,
    /// Who has which role. `None`: no role is written, so everybody who may use the socket has all of them.
    pub roles: Option<Vec<(Role, Holder)>>,
    /// Logging.
    pub telemetry: Telemetry,
    /// How long the daemon may drain after SIGTERM.
    pub grace: Duration,
    /// The congestion controller of every connection.
    pub congestion: Congestion,
    /// The Unix socket of the process that resolves peers' names; `None`: the daemon asks the system itself.
    pub fetcher: Option<PathBuf>,
    origins: Vec<Origin>,
}

/// One effective value and where it comes from: a row of `config show --origin`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// `section.key`.
    pub key: String,
    /// The value in force.
    pub value: String,
    /// Where it comes from.
    pub source: ValueSource,
}

impl Config {
    /// Reads and judges the configuration at `path`, with overrides from `env` (name and value; others' variables are
    /// ignored). Reports every fault at once.
    pub fn load(
        path: &Path,
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Vec<ConfigFault>> {
        let text = read(path).map_err(|fault| vec![fault])?;
        Self::parse(path, &text, env)
    }

    /// The same for a text that stands for the file at `path`.
    pub fn parse(
        path: &Path,
        text: &str,
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Vec<ConfigFault>> {
        let (written, faults) = Written::read(text, env);
        let mut meaning = Meaning {
            home: Home::of_config(path),
            written,
            faults,
            origins: Vec::new(),
        };
        let config = meaning.config();
        let Meaning {
            mut faults,
            origins,
            ..
        } = meaning;
        faults.sort_by_key(|fault| fault.line.unwrap_or(u32::MAX));
        match config {
            Some(config) if faults.is_empty() => Ok(Self { origins, ..config }),
            Some(_) | None => Err(faults),
        }
    }

    /// Every effective value and where it comes from, in the order of the sample.
    pub fn origin(&self) -> &[Origin] {
        &self.origins
    }
}

fn read(path: &Path) -> Result<String, ConfigFault> {
    let key = path.display().to_string();
    let cannot = |e: std::io::Error| ConfigFault::of(key.clone(), format!("cannot be read: {e}"));
    let file = std::fs::File::open(path).map_err(cannot)?;
    let mut text = String::new();
    let limit = limits::CONFIG_BYTES_MAX;
    file.take(limit.saturating_add(1))
        .read_to_string(&mut text)
        .map_err(cannot)?;
    if len_u64(text.len()) > limit {
        return Err(ConfigFault::of(key, format!("longer than {limit} bytes")));
    }
    Ok(text)
}

/// Turns entries into values and collects what is wrong with them.
struct Meaning {
    home: Home,
    written: Written,
    faults: Vec<ConfigFault>,
    origins: Vec<Origin>,
}

impl Meaning {
    fn config(&mut self) -> Option<Config> {
        let version = self.value("version", |text| match text {
            "1" => Ok(()),
            other => Err(format!(
                "version {other} is not known; this program reads 1"
            )),
        });
        let authority = self.authority();
        let alias = authority.as_ref().map(|it| it.alias.clone());
        let quic = self.value("listen.quic", quic);
        let api_default = self.home.api.clone();
        let api = self.path("listen.api", api_default);
        let state_default = self.home.state.clone();
        let state_dir = self.path("state.dir", state_default);
        let identity = self.identity(alias.as_ref(), state_dir.as_deref());
        let limits = self.limits();
        let only_post_quantum = self.value("trust.require_post_quantum", require_post_quantum);
        let handling_max = self.value("policy.handling_max", |text| {
            text.parse::<Handling>().map_err(|e| e.to_string())
        });
        let roles = self.roles();
        let need_to_know = self.value("policy.need_to_know", |text| match (text, &roles) {
            ("true", None) => Err(
                "true means nothing while everybody has every role: write [roles] too".to_owned(),
            ),
            (text, _) => Ok(text == "true"),
        });
        let dual_control = self.value("policy.dual_control", Verb::list);
        let national = self.national();
        let destroy = self.value("retention.destroy", str::parse);
        let keep_after_sunset =
            self.value("retention.keep_after_sunset", |text| Ok(text == "true"));
        let journal = state_dir.as_deref().and_then(|dir| self.journal(dir));
        let log = self.value("telemetry.log", str::parse);
        let level = self.value("telemetry.level", str::parse);
        let grace = self.value("serve.grace", grace);
        let congestion = self.value("net.congestion", str::parse);
        let fetcher = self.fetcher();
        let classic = self.peers(alias.as_ref());
        version?;
        only_post_quantum?;
        let (cedar, national) = national?;
        Some(Config {
            file: self.home.config.clone(),
            authority: authority?,
            listen: Listen {
                quic: quic?,
                api: api.and_then(|api| self.socket_path("listen.api", api))?,
            },
            identity: identity?,
            state_dir: state_dir?,
            limits: limits?,
            classic,
            handling_max: handling_max?,
            need_to_know: need_to_know?,
            dual_control: dual_control?,
            cedar,
            national,
            destroy: destroy?,
            keep_after_sunset: keep_after_sunset?,
            journal: journal?,
            roles,
            telemetry: Telemetry {
                log: log?,
                level: level?,
            },
            grace: grace?,
            congestion: congestion?,
            fetcher,
            origins: Vec::new(),
        })
    }

    fn authority(&mut self) -> Option<Authority> {
        let id = self.value("authority.id", |text| {
            text.parse::<AuthorityId>().map_err(|e| e.to_string())
        });
        let name = self.value("authority.name", name);
        let country = self.value("authority.country", str::parse::<Country>);
        let alias = match country {
            Some(country) => {
                self.value_or("authority.alias", &country.as_str().to_lowercase(), alias)
            }
            None => self.value_if_written("authority.alias", alias),
        };
        Some(Authority {
            id: id?,
            name: name?,
            country: country?,
            alias: alias?,
        })
    }

    fn peers(&mut self, own: Option<&Alias>) -> BTreeSet<Alias> {
        let mut seen = BTreeSet::new();
        let mut classic = BTreeSet::new();
        for peer in std::mem::take(&mut self.written.peers) {
            let Some(entry) = peer.values.get("alias") else {
                self.fault_at(Some(peer.line), "peer.alias", "is missing: name the peer");
                continue;
            };
            let line = line_of(&entry.source);
            let name = match alias(&entry.value) {
                Ok(name) => name,
                Err(text) => {
                    self.fault_at(line, "peer.alias", text);
                    continue;
                }
            };
            if own == Some(&name) {
                self.fault_at(line, "peer.alias", "is this authority itself");
            }
            if !seen.insert(name.clone()) {
                self.fault_at(line, "peer.alias", format!("{name} has two sections"));
            }
            let Some(allow) = peer.values.get("allow_classic") else {
                continue;
            };
            self.origins.push(Origin {
                key: format!("peer.{name}.allow_classic"),
                value: allow.value.clone(),
                source: allow.source.clone(),
            });
            if allow.value == "true" {
                classic.insert(name);
            }
        }
        classic
    }

    /// The value at `path`; a fault if it must be written and is not.
    fn value<T>(&mut self, path: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let Some(entry) = self.written.text(path) else {
            self.missing(path);
            return None;
        };
        self.judge(path, entry, parse)
    }

    fn value_if_written<T>(
        &mut self,
        path: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let entry = self.written.text(path)?;
        self.judge(path, entry, parse)
    }

    fn value_or<T>(
        &mut self,
        path: &str,
        default: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let entry = self.written.text(path).unwrap_or_else(|| WrittenEntry {
            value: default.to_owned(),
            source: ValueSource::Default,
        });
        self.judge(path, entry, parse)
    }

    /// A path, joined to the folder of the configuration.
    fn path(&mut self, path: &str, default: PathBuf) -> Option<PathBuf> {
        let folder = self.home.folder().to_owned();
        let entry = self.written.text(path);
        let written = entry.filter(|entry| entry.source != ValueSource::Default);
        let Some(entry) = written else {
            self.origins.push(Origin {
                key: path.to_owned(),
                value: default.display().to_string(),
                source: ValueSource::Default,
            });
            return Some(default);
        };
        self.judge(path, entry, |text| {
            if text.is_empty() || text.contains('\0') {
                return Err("is not a path".to_owned());
            }
            Ok(folder.join(text))
        })
    }

    /// A socket's path must fit into `sockaddr_un` (unix(7)).
    fn socket_path(&mut self, key: &str, path: PathBuf) -> Option<PathBuf> {
        let bytes = path.as_os_str().len();
        if bytes <= SOCKET_PATH_BYTES_MAX {
            return Some(path);
        }
        let text = format!(
            "the path of a Unix socket has at most {SOCKET_PATH_BYTES_MAX} bytes, this has {bytes}: {}",
            path.display()
        );
        let line = self.line(key);
        self.fault_at(line, key, text);
        None
    }

    fn judge<T>(
        &mut self,
        path: &str,
        entry: WrittenEntry,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        match parse(&entry.value) {
            Ok(value) => {
                self.origins.push(Origin {
                    key: path.to_owned(),
                    value: entry.value,
                    source: entry.source,
                });
                Some(value)
            }
            Err(text) => {
                let key = match &entry.source {
                    ValueSource::Environment { name } => name,
                    ValueSource::Default | ValueSource::File { .. } => path,
                };
                self.fault_at(line_of(&entry.source), key, text);
                None
            }
        }
    }

    fn missing(&mut self, path: &str) {
        // A value of a wrong kind was reported already.
        if self.faults.iter().any(|fault| fault.key == path) {
            return;
        }
        let (section, name) = path.split_once('.').unwrap_or(("", path));
        let env = keys::find(path).map_or_else(String::new, keys::Key::env);
        let text = format!("is missing: write {name} = … in [{section}], or set {env}");
        self.faults.push(ConfigFault::of(path, text));
    }

    fn line(&self, path: &str) -> Option<u32> {
        self.written
            .text(path)
            .and_then(|entry| line_of(&entry.source))
    }

    fn fault_at(&mut self, line: Option<u32>, key: &str, text: impl Into<String>) {
        let mut fault = ConfigFault::of(key, text);
        fault.line = line;
        self.faults.push(fault);
    }
}

/// The longest path of a Unix socket, without the final NUL (unix(7)).
const SOCKET_PATH_BYTES_MAX: usize = 107;
const GRACE_MAX: Duration = Duration::from_mins(10);

fn line_of(source: &ValueSource) -> Option<u32> {
    match source {
        ValueSource::File { line } => Some(*line),
        ValueSource::Default | ValueSource::Environment { .. } => None,
    }
}

/// A value between two others; each goes with its name.
fn within<T: PartialOrd + Copy>(
    value: T,
    (min, min_text): (T, &str),
    (max, max_text): (T, &str),
) -> Result<T, String> {
    if value < min {
        Err(format!("is less than {min_text}"))
    } else if value > max {
        Err(format!("is more than {max_text}"))
    } else {
        Ok(value)
    }
}

fn alias(text: &str) -> Result<Alias, String> {
    text.parse::<Alias>().map_err(|e| e.to_string())
}

fn name(text: &str) -> Result<String, String> {
    match name_fault(text) {
        Some(why) => Err(format!("{text:?}: {why}")),
        None => Ok(text.to_owned()),
    }
}

fn quic(text: &str) -> Result<SocketAddr, String> {
    let form = "an address and port like \"[::]:7443\" or \"192.0.2.7:7443\"";
    let address: SocketAddr = text
        .parse()
        .map_err(|_| format!("{text:?} is not {form}"))?;
    if address.port() == 0 {
        return Err(format!(
            "{text:?} has no port that a peer could be told; write {form}"
        ));
    }
    Ok(address)
}

fn grace(text: &str) -> Result<Duration, String> {
    units::duration(text).and_then(|it| within(it, (Duration::ZERO, "0 s"), (GRACE_MAX, "10 min")))
}

fn require_post_quantum(text: &str) -> Result<(), String> {
    if text == "true" {
        return Ok(());
    }
    Err("a classic key exchange can be allowed only for a named peer: [[peer]] with alias = \"…\" and allow_classic = true".to_owned())
}
