//! `config`: what is in force, and where it was written.

use clap::Subcommand;
use serde_json::json;

use crate::cli::check::invalid;
use crate::cli::failure::Failure;
use crate::cli::terminal::Terminal;
use crate::config::{Config, Home, Origin};

const EXAMPLES: &str = "\
Examples:
  rogatory config show --home ./ie --origin
  rogatory config show --home ./ie --json";

/// The configuration
#[derive(Debug, Clone, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum ConfigCommand {
    /// Every value in force
    #[command(after_help = EXAMPLES)]
    Show {
        /// Also where each value comes from: a line of the file, a variable of the environment, a default
        #[arg(long)]
        origin: bool,
    },
}

impl ConfigCommand {
    /// Runs it; `env` is the environment.
    pub(crate) fn run(
        &self,
        home: &Home,
        env: impl Iterator<Item = (String, String)>,
        terminal: Terminal,
    ) -> Result<(), Failure> {
        match self {
            Self::Show { origin } => show(home, env, *origin, terminal),
        }
    }
}

fn show(
    home: &Home,
    env: impl Iterator<Item = (String, String)>,
    origin: bool,
    terminal: Terminal,
) -> Result<(), Failure> {
    let config = Config::load(&home.config, env).map_err(|faults| invalid(home, &faults))?;
    let rows = config.origin();
    let values = rows.iter().map(|row| {
        if origin {
            json!({ "key": row.key, "value": row.value, "source": row.source })
        } else {
            json!({ "key": row.key, "value": row.value })
        }
    });
    let object = json!({
        "type": "summary",
        "config": config.file,
        "values": values.collect::<Vec<_>>(),
    });
    terminal.show(&object, |_, _| text(rows, origin));
    Ok(())
}

fn text(rows: &[Origin], origin: bool) -> String {
    let widest = |width: fn(&Origin) -> usize| rows.iter().map(width).max().unwrap_or(0);
    let key = widest(|row| row.key.len());
    let value = widest(|row| row.value.chars().count()).min(60);
    let mut text = String::new();
    for row in rows {
        let line = if origin {
            format!("{:key$}  {:value$}  {}", row.key, row.value, row.source)
        } else {
            format!("{:key$}  {}", row.key, row.value)
        };
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
