//! `fsck`: the stored state compared with the statements, without the daemon.

use clap::Args;
use serde::Serialize;

use crate::cli::failure::Failure;
use crate::cli::global::Global;
use crate::cli::terminal::{self, Terminal};
use crate::cli::text::{self, Tone};
use crate::cli::{check, remote};
use crate::config::{Config, files};
use crate::identity::card::Card;
use crate::store::StoreFault;
use crate::store::check::{Difference, Report, Severity};

const EXAMPLES: &str = "\
Examples:
  rogatory fsck --home ./ie
  rogatory fsck --home ./ie --repair --json";

/// Compare the stored state with the signed statements; the daemon must be stopped. Exit code 7 where they differ
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct FsckArgs {
    /// Write anew what the statements determine, then compare again; statements are never touched
    #[arg(long)]
    repair: bool,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    r#type: &'static str,
    #[serde(flatten)]
    finding: &'a Difference,
}

#[derive(Debug, Serialize)]
struct Summary<'a> {
    r#type: &'static str,
    damaged: bool,
    repaired: usize,
    #[serde(flatten)]
    report: &'a Report,
}

impl FsckArgs {
    pub(crate) fn run(&self, global: &Global, terminal: Terminal) -> Result<(), Failure> {
        let home = remote::home(global);
        let config = Config::load(&home.config, remote::environment())
            .map_err(|faults| check::invalid(&home, &faults))?;
        let card = &config.identity.card;
        let unusable = |e: String| Failure::configuration("card-unusable", e);
        let note = files::public_bytes(card).map_err(|e| unusable(e.to_string()))?;
        let (card, _) =
            Card::open(&note).map_err(|e| unusable(format!("{}: {e}", card.display())))?;
        let looked = if self.repair {
            crate::store::check::repair(&config.state_dir, &config.journal, &card)
        } else {
            crate::store::check::check(&config.state_dir, &config.journal, &card)
                .map(|report| (Report::default(), report))
        };
        let (before, report) = looked.map_err(|fault| unread(&fault))?;
        let repaired = before.findings.len().saturating_sub(report.findings.len());
        if self.repair {
            told(&before, terminal, "was");
        }
        if !self.repair || !report.findings.is_empty() {
            told(&report, terminal, "is");
        }
        summed(&report, repaired, terminal);
        if report.is_damaged() {
            return Err(damaged(&report, self.repair));
        }
        Ok(())
    }
}

fn told(report: &Report, terminal: Terminal, verb: &str) {
    for finding in &report.findings {
        if terminal.json() {
            let r#type = if verb == "was" { "found" } else { "finding" };
            terminal::value(&Line { r#type, finding });
            continue;
        }
        let word = match finding.severity {
            Severity::Damage => "damaged",
            Severity::Leftover => "left over",
        };
        let Difference {
            code,
            place,
            expected,
            found,
            ..
        } = finding;
        terminal.line(&format!("{word}  {place}: {code}"));
        terminal.line(&format!("    expected  {expected}"));
        terminal.line(&format!("    found     {found}"));
    }
}

fn summed(report: &Report, repaired: usize, terminal: Terminal) {
    let summary = Summary {
        r#type: "summary",
        damaged: report.is_damaged(),
        repaired,
        report,
    };
    terminal.show(&summary, |summary, color| {
        let word = if summary.damaged {
            Tone::Bad.paint("damaged", color)
        } else {
            Tone::Good.paint("clean", color)
        };
        let Report {
            statements,
            signatures,
            unverified,
            leaves,
            exchanges,
            payloads,
            payload_bytes,
            headers,
            peers,
            heads,
            destructions,
            unstated,
            unreadable,
            ..
        } = summary.report;
        let before = match unstated {
            0 => String::new(),
            count => format!(" ({count} of them before this state was restored from a backup)"),
        };
        let waits = match unreadable {
            0 => String::new(),
            count => format!(", {count} unreadable and not yet stated as destroyed"),
        };
        let size = text::size(*payload_bytes);
        let payloads = text::count(*payloads, "payload", "payloads");
        let headers = text::count(*headers, "header", "headers");
        let peers = text::count(*peers, "peer", "peers");
        let (statements, signatures) = (
            text::count(*statements, "statement", "statements"),
            text::count(*signatures, "signature", "signatures"),
        );
        let leaves = text::count(*leaves, "leaf", "leaves");
        let exchanges = text::count(*exchanges, "exchange", "exchanges");
        let destructions = text::count(*destructions, "destruction", "destructions");
        format!(
            "{word}  {statements}, {signatures} verified, {unverified} by keys that are not here, \
             {leaves}, {exchanges}, {payloads} ({size}), {headers}, {peers}, \
             {heads} heads, alarms and cosignatures of logs, {destructions} in the journal{before}{waits}\n"
        )
    });
}

fn damaged(report: &Report, repaired: bool) -> Failure {
    let count = report.findings.len() as u64 + report.more;
    let text = format!(
        "the stored state has {}",
        text::count(count, "finding", "findings")
    );
    let can = report.findings.iter().any(|finding| finding.repairable);
    Failure::verification("state-damaged", text).next(if can && !repaired {
        "rogatory fsck --repair writes anew what the statements determine; keep a copy of the state directory first"
    } else {
        "restore the state directory from a backup; docs/operations.md says how"
    })
}

fn unread(fault: &StoreFault) -> Failure {
    match fault {
        StoreFault::Locked { .. } => Failure::temporary("state-in-use", fault.to_string())
            .next("stop the daemon, then check again"),
        StoreFault::Newer { .. }
        | StoreFault::Damaged(_)
        | StoreFault::Journal(_)
        | StoreFault::Sql(_)
        | StoreFault::Disk(_)
        | StoreFault::Closed => Failure::storage("state-unreadable", fault.to_string())
            .next("restore the state directory from a backup, or copy it away first"),
    }
}
