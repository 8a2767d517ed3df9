//! `policy`: the words that terms are made of.

use clap::Subcommand;
use serde::Serialize;

use crate::cli::terminal::Terminal;
use crate::cli::text::{Cell, Table, Tone};
use crate::policy::instrument::INSTRUMENTS;
use crate::policy::{Handling, Onward, Purpose, Restriction};

const EXAMPLES: &str = "\
Examples:
  rogatory policy terms
  rogatory policy terms --json";

/// See what terms can say
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum PolicyCommand {
    /// List the instruments, purposes, handling codes, onward rules and restrictions
    #[command(after_help = EXAMPLES)]
    Terms,
}

#[derive(Debug, Serialize)]
struct Word {
    list: &'static str,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    means: Option<&'static str>,
}

impl PolicyCommand {
    pub(crate) fn run(&self, terminal: Terminal) {
        match self {
            Self::Terms => terminal.show(&words(), |words, color| table(words).render(color)),
        }
    }
}

fn words() -> Vec<Word> {
    let instruments = INSTRUMENTS.iter().map(|it| Word {
        list: "instrument",
        code: it.code,
        means: Some(it.title),
    });
    let purposes = Purpose::ALL.iter().map(|it| Word {
        list: "purpose",
        code: it.as_str(),
        means: Some(it.dpv()),
    });
    let bare = |list, code| Word {
        list,
        code,
        means: None,
    };
    instruments
        .chain(purposes)
        .chain(Handling::ALL.iter().map(|it| bare("handling", it.as_str())))
        .chain(Onward::ALL.iter().map(|it| bare("onward", it.as_str())))
        .chain(
            Restriction::ALL
                .iter()
                .map(|it| bare("restriction", it.as_str())),
        )
        .collect()
}

fn table(words: &[Word]) -> Table {
    let mut table = Table::new();
    for Word { list, code, means } in words {
        table.row([
            Cell::new(list, Tone::Dim),
            Cell::new(code, Tone::Strong),
            means.unwrap_or_default().into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_is_there() {
        let shown = table(&words()).render(false);
        for line in [
            "instrument   EIO",
            "purpose      prosecution",
            "handling     H0",
            "onward       prohibited",
            "restriction  speciality",
        ] {
            assert!(shown.contains(line), "{line} in\n{shown}");
        }
    }
}
