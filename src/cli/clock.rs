//! `clock`: the daemon's time, and how sure it is.

use clap::Subcommand;

use crate::api::types::ClockView;
use crate::cli::call::Call;
use crate::cli::failure::Failure;
use crate::cli::hint;
use crate::cli::text::{self, Table};

const EXAMPLES: &str = "\
Examples:
  rogatory clock status
  rogatory clock confirm";
const STATUS_EXAMPLES: &str = "\
Examples:
  rogatory clock status
  rogatory clock status --json";
const CONFIRM_EXAMPLES: &str = "\
Examples:
  rogatory clock confirm
  rogatory clock confirm --json";

/// See whether the machine's clock is believed, and say that it is right
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum ClockCommand {
    /// Show the time, whether it is sure, and the last doubt about it
    #[command(after_help = STATUS_EXAMPLES)]
    Status,
    /// Say that the machine's clock is right although it jumped; look at it first. What waited for a sure clock goes
    /// on: packages are destroyed, expire, and papers are renewed. Exit code 9 if the clock is not in doubt
    #[command(after_help = CONFIRM_EXAMPLES)]
    Confirm,
}

impl ClockCommand {
    pub(crate) fn run(&self, call: &Call) -> Result<(), Failure> {
        let client = call.remote.client();
        let clock = match self {
            Self::Status => call.remote.call(client.clock())?,
            Self::Confirm => call.remote.call(client.confirm_clock())?,
        };
        call.terminal
            .show(&clock, |clock, color| table(clock).render(color));
        Ok(())
    }
}

fn table(clock: &ClockView) -> Table {
    let mut table = Table::new();
    table.field("time", clock.at.to_string());
    table.field("clock", line(clock));
    if let Some(doubt) = &clock.doubt {
        table.field("machine says", clock.read.to_string());
        table.field("in doubt since", text::time(doubt.since));
        table.field("because", doubt.to_string());
        let waits = "destroying, expiring and renewing; set the clock, or if it is right: rogatory clock confirm";
        table.field("waits", hint::here(waits));
    }
    table
}

/// The state of the clock in one line.
pub(crate) fn line(clock: &ClockView) -> String {
    let state = match (&clock.doubt, clock.sure) {
        (Some(doubt), _) => doubt.code(),
        (None, true) => "sure",
        (None, false) => "sure once that is kept",
    };
    let last = clock.last.as_ref().map(|past| {
        let (doubt, ended, by) = (&past.doubt, text::time(past.ended), &past.by);
        format!("; last doubt: {doubt}; over at {ended} ({by})")
    });
    format!("{state}{}", last.unwrap_or_default())
}
