//! `check`: what is wrong, before the daemon finds it.

use clap::Subcommand;
use serde_json::json;

use crate::cli::failure::Failure;
use crate::cli::terminal::{Terminal, value};
use crate::cli::{sandbox, storage};
use crate::config::{Config, ConfigFault, Home, files};
use crate::daemon::early_papers;
use crate::keys::keyring::Keyring;
use crate::net::clock::civil;

const EXAMPLES: &str = "\
Examples:
  rogatory check config --home ./ie
  rogatory check config --config /etc/rogatory/rogatory.toml";

const SANDBOX_EXAMPLES: &str = "\
Examples:
  rogatory check sandbox --home ./ie
  rogatory check sandbox --json";

const STORAGE_EXAMPLES: &str = "\
Examples:
  rogatory check storage --home ./ie
  rogatory check storage --json";

/// Look for what is wrong
#[derive(Debug, Clone, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum CheckCommand {
    /// The configuration and the files it names, judged by the very functions that the daemon calls at its start
    #[command(after_help = EXAMPLES)]
    Config,
    /// Where the state and the journal of destructions are, and whether the journal is what was written; the daemon may
    /// run
    #[command(after_help = STORAGE_EXAMPLES)]
    Storage,
    /// Confine this process as the daemon confines itself, then try what must be refused
    #[command(after_help = SANDBOX_EXAMPLES)]
    Sandbox,
}

impl CheckCommand {
    /// Runs it; `env` is the environment.
    pub(crate) fn run(
        &self,
        home: &Home,
        env: impl Iterator<Item = (String, String)>,
        terminal: Terminal,
    ) -> Result<(), Failure> {
        match self {
            Self::Config => config(home, env, terminal),
            Self::Storage => storage::run(home, env, terminal),
            Self::Sandbox => sandbox::run(home, env, terminal),
        }
    }
}

fn config(
    home: &Home,
    env: impl Iterator<Item = (String, String)>,
    terminal: Terminal,
) -> Result<(), Failure> {
    let config = match judge(home, env) {
        Ok(config) => config,
        Err(faults) => {
            if terminal.json() {
                faults.iter().for_each(tell);
            }
            return Err(invalid(home, &faults));
        }
    };
    let (now, chain) = (civil(), files::chain_in_use(&config.identity));
    let warnings = chain.map(|chain| early_papers(&config, &chain, now));
    let warnings = warnings.unwrap_or_default();
    let summary = json!({
        "type": "summary",
        "warnings": warnings,
        "config": config.file,
        "id": config.authority.id,
        "alias": config.authority.alias,
        "ok": true,
    });
    terminal.show(&summary, |_, _| {
        let (file, authority) = (config.file.display(), &config.authority);
        let mut shown = format!("ok  {file}  {} ({})\n", authority.id, authority.alias);
        for warning in &warnings {
            shown.push_str("warning  ");
            shown.push_str(warning);
            shown.push('\n');
        }
        shown
    });
    Ok(())
}

/// The configuration, if the daemon could start with it.
pub(crate) fn judge(
    home: &Home,
    env: impl Iterator<Item = (String, String)>,
) -> Result<Config, Vec<ConfigFault>> {
    let config = Config::load(&home.config, env)?;
    config.check_files()?;
    match Keyring::load(&config.identity, &config.authority.id) {
        Ok(_) => Ok(config),
        Err(e) => Err(vec![ConfigFault::of("identity", e.to_string())]),
    }
}

fn tell(fault: &ConfigFault) {
    value(&json!({
        "type": "fault",
        "line": fault.line,
        "key": fault.key,
        "text": fault.text,
        "suggestion": fault.suggestion,
    }));
}

/// Every fault of a configuration as one failure, exit code 3.
pub(crate) fn invalid(home: &Home, faults: &[ConfigFault]) -> Failure {
    let file = home.config.display();
    let count = faults.len();
    let noun = if count == 1 { "fault" } else { "faults" };
    let mut text = format!("{file} has {count} {noun}");
    for fault in faults {
        text.push_str("\n  ");
        text.push_str(&fault.to_string());
    }
    Failure::configuration("config-invalid", text).next(format!(
        "correct {file}; config/rogatory.toml in the source is a sample"
    ))
}

#[cfg(test)]
mod tests;
