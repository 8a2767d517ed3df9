//! Where an authority's files are.

use std::path::{Path, PathBuf};

/// The name of the configuration file in its folder.
pub const CONFIG_FILE: &str = "rogatory.toml";

const SYSTEM_CONFIG: &str = "/etc/rogatory";

/// The places of an authority: one folder with everything, or the system's folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// The configuration file.
    pub config: PathBuf,
    /// Where the state is, unless the configuration names another folder.
    pub state: PathBuf,
    /// The socket of the local API, unless the configuration names another.
    pub api: PathBuf,
}

impl Home {
    /// Configuration, keys, state and socket in one folder.
    pub fn at(folder: impl AsRef<Path>) -> Self {
        let folder = folder.as_ref();
        Self {
            config: folder.join(CONFIG_FILE),
            state: folder.join("state"),
            api: folder.join("api.sock"),
        }
    }

    /// `/etc/rogatory`, `/var/lib/rogatory` and `/run/rogatory`.
    pub fn system() -> Self {
        Self {
            config: Path::new(SYSTEM_CONFIG).join(CONFIG_FILE),
            state: PathBuf::from("/var/lib/rogatory"),
            api: PathBuf::from("/run/rogatory/api.sock"),
        }
    }

    /// The home whose configuration is this file: the system's for a file in `/etc/rogatory`, else its folder.
    pub fn of_config(file: &Path) -> Self {
        let folder = file.parent().unwrap_or_else(|| Path::new(""));
        let home = if folder == Path::new(SYSTEM_CONFIG) {
            Self::system()
        } else {
            Self::at(folder)
        };
        let config = file.to_owned();
        Self { config, ..home }
    }

    /// The home that the options `--home` and `--config` name; the system's without either. `--config` wins.
    pub fn chosen(home: Option<&Path>, config: Option<&Path>) -> Self {
        match (home, config) {
            (_, Some(file)) => Self::of_config(file),
            (Some(folder), None) => Self::at(folder),
            (None, None) => Self::system(),
        }
    }

    /// The folder of the configuration; relative paths in it start here.
    pub fn folder(&self) -> &Path {
        self.config.parent().unwrap_or_else(|| Path::new(""))
    }

    /// The socket of the local API for a client: as the configuration and `env` say, else the default.
    /// Other faults of the configuration are none of a client's business.
    pub fn socket(&self, env: impl Iterator<Item = (String, String)>) -> PathBuf {
        let written = std::fs::read_to_string(&self.config).unwrap_or_default();
        let (written, _) = crate::config::raw::Written::read(&written, env);
        match written.text("listen.api") {
            Some(entry) => self.folder().join(entry.value),
            None => self.api.clone(),
        }
    }
}
