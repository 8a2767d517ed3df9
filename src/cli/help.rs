//! `help`: of a command, or of the exit codes.

use clap::Args;
use serde::Serialize;

use crate::cli::failure::Failure;
use crate::cli::terminal::{self, Terminal};
use crate::cli::text::{Cell, Table, Tone};

const EXAMPLES: &str = "\
Examples:
  rogatory help exit-codes
  rogatory help package send";

/// Explain a command, or the exit codes
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct HelpArgs {
    /// A command, or exit-codes
    #[arg(value_name = "TOPIC")]
    topic: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ExitCode {
    code: u8,
    meaning: &'static str,
}

const EXIT_CODES: [ExitCode; 14] = {
    const fn code(code: u8, meaning: &'static str) -> ExitCode {
        ExitCode { code, meaning }
    }
    [
        code(0, "done"),
        code(1, "failed, for a reason that no other code names"),
        code(2, "usage: the command line does not make sense"),
        code(3, "the configuration is invalid"),
        code(
            4,
            "refused by policy or law; the reason code is in the JSON",
        ),
        code(5, "temporary, a retry is sensible: peer unreachable, busy"),
        code(
            6,
            "trust failure: a peer or key is unknown, revoked, expired",
        ),
        code(7, "verification failed: tampering or mismatch"),
        code(8, "no such object"),
        code(9, "nothing to do, or not due"),
        code(10, "the daemon is not running"),
        code(11, "storage or log cannot be written"),
        code(12, "timed out waiting; the work goes on"),
        code(
            128,
            "+ N: ended by signal N, once what was half done is cleaned up",
        ),
    ]
};

impl HelpArgs {
    pub(crate) fn run(&self, mut root: clap::Command, terminal: Terminal) -> Result<(), Failure> {
        if let [topic] = self.topic.as_slice()
            && topic == "exit-codes"
        {
            terminal.show(&EXIT_CODES, |codes, color| table(codes).render(color));
            return Ok(());
        }
        root.build();
        let mut command = &mut root;
        for word in &self.topic {
            command = command.find_subcommand_mut(word).ok_or_else(|| {
                Failure::usage(
                    "no-such-command",
                    format!("there is no command {:?}", self.topic.join(" ")),
                )
                .next("rogatory help")
            })?;
        }
        terminal::raw(&command.render_help().to_string());
        Ok(())
    }
}

fn table(codes: &[ExitCode]) -> Table {
    let mut table = Table::new();
    for ExitCode { code, meaning } in codes {
        table.row([
            Cell::new(format!("{code:>3}"), Tone::Strong),
            (*meaning).into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_in_order() {
        let codes: Vec<_> = EXIT_CODES.iter().map(|it| it.code).collect();
        let wanted: Vec<_> = (0..=12).chain([128]).collect();
        assert_eq!(codes, wanted);
        assert!(table(&EXIT_CODES).render(false).starts_with("  0  done\n"));
    }
}
