//! `log`: the own Merkle log, and the keys that everything is checked against.

use clap::Subcommand;
use serde::Serialize;

use crate::api::types::{AnchorView, LogStatus};
use crate::cli::Call;
use crate::cli::failure::Failure;
use crate::cli::text::{self, Cell, Table, Tone};

const EXAMPLES: &str = "\
Examples:
  rogatory log status
  rogatory log keys --json";
const STATUS_EXAMPLES: &str = "\
Examples:
  rogatory log status
  rogatory log status --json";
const CHECKPOINT_EXAMPLES: &str = "\
Examples:
  rogatory log checkpoint
  rogatory log checkpoint --json";
const KEYS_EXAMPLES: &str = "\
Examples:
  rogatory log keys
  rogatory log keys --json";

/// See the log of this authority and the keys to check it with
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum LogCommand {
    /// Show how long the log is, and its last checkpoint
    #[command(after_help = STATUS_EXAMPLES)]
    Status,
    /// Sign a checkpoint over all that is committed, and print it
    #[command(after_help = CHECKPOINT_EXAMPLES)]
    Checkpoint,
    /// Print the trust anchors of this authority and its peers as verifier keys
    #[command(after_help = KEYS_EXAMPLES)]
    Keys,
}

#[derive(Debug, Serialize)]
struct Checkpoint {
    note: String,
}

impl LogCommand {
    pub(crate) fn run(&self, call: &Call) -> Result<(), Failure> {
        let client = call.remote.client();
        match self {
            Self::Status => {
                let log = call.remote.call(client.log())?;
                call.terminal
                    .show(&log, |log, color| status(log).render(color));
            }
            Self::Checkpoint => {
                let note = call.remote.call(client.checkpoint())?;
                call.terminal.show(&Checkpoint { note }, |made, _| {
                    text::escape_lines(&made.note)
                });
            }
            Self::Keys => {
                let anchors = call.remote.call(client.anchors())?;
                call.terminal
                    .show(&anchors, |anchors, color| keys(anchors).render(color));
            }
        }
        Ok(())
    }
}

fn status(log: &LogStatus) -> Table {
    let mut table = Table::new();
    table.field("log", Cell::new(&log.origin, Tone::Strong));
    table.field("leaves", log.size);
    table.field(
        "checkpoint",
        format!(
            "over {}",
            text::count(log.checkpoint_size, "leaf", "leaves")
        ),
    );
    table.field("root", log.checkpoint_root);
    table
}

fn keys(anchors: &[AnchorView]) -> Table {
    let mut table = Table::headed(&["authority", "role", "state", "verifier key"]);
    for anchor in anchors {
        table.row([
            anchor.id.as_str().into(),
            (&anchor.role).into(),
            (&anchor.state).into(),
            (&anchor.vkey).into(),
        ]);
    }
    table
}
