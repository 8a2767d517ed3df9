//! `package`: seal and send, list, verify, open, export, hold, destroy, take back, ask for consent.

mod abroad;
mod each;
mod export;
mod forward;
mod items;
mod mismatch;
mod open;
mod retention;
mod send;
mod small;
mod terms;
mod views;
mod wait;

use clap::{Args, Subcommand, ValueEnum};

use crate::api::client::PackageFilter;
use crate::cli::call::Call;
use crate::cli::consent;
use crate::cli::failure::Failure;
use crate::cli::global::Global;
use crate::cli::terminal::Terminal;
use crate::net::clock::civil;

const EXAMPLES: &str = "\
Examples:
  rogatory package list
  rogatory package show 5f0c11aa";
const SEND_EXAMPLES: &str = "\
Examples:
  rogatory package send --to de --case IE-2026-17 --instrument EIO --purpose prosecution,trial --retain-until 2031-12-31 --wait ./evidence
  rogatory package send --to de --case IE-2026-17 --instrument EIO --purpose trial --retain-until 2031-12-31 --each --json a.eml b.eml";
const OPEN_EXAMPLES: &str = "\
Examples:
  rogatory package open 5f0c11aa --purpose prosecution --justification 'hearing of 3 December' --out ./opened
  rogatory package open 5f0c11aa --purpose trial --justification 'exhibit 4' --out ./one --item evidence/mail.eml";
const LIST_EXAMPLES: &str = "\
Examples:
  rogatory package list --direction in --state held --json
  rogatory package list --abroad";
const SHOW_EXAMPLES: &str = "\
Examples:
  rogatory package show 5f0c11aa
  rogatory package show 5f0c11aa --json";
const VERIFY_EXAMPLES: &str = "\
Examples:
  rogatory package verify 5f0c11aa
  rogatory package verify 5f0c11aa --json";
const REPORT_EXAMPLES: &str = "\
Examples:
  rogatory package report 5f0c11aa
  rogatory package report 5f0c11aa --json";
const RELEASE_EXAMPLES: &str = "\
Examples:
  rogatory package release 5f0c11aa
  rogatory package release 5f0c11aa --json";

/// Seal, send, verify, open and destroy packages of evidence
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum PackageCommand {
    /// Seal files and folders for a peer and send them
    #[command(after_help = SEND_EXAMPLES)]
    Send(Box<send::SendArgs>),
    /// List the packages
    #[command(after_help = LIST_EXAMPLES)]
    List(PackageListArgs),
    /// Show one package and its receipts
    #[command(after_help = SHOW_EXAMPLES)]
    Show(IdArgs),
    /// Read and hash all of a package again, and check its receipts
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(IdArgs),
    /// Open a package, or single items of it, for one purpose; the opening is receipted
    #[command(after_help = OPEN_EXAMPLES)]
    Open(open::OpenArgs),
    Export(export::PackageExportArgs),
    Hold(retention::HoldArgs),
    Review(retention::ReviewArgs),
    /// End the hold on a package
    #[command(after_help = RELEASE_EXAMPLES)]
    Release(IdArgs),
    Purge(retention::PurgeArgs),
    Restrict(retention::RestrictArgs),
    Withdraw(retention::WithdrawArgs),
    /// Report to the sender of a package what was done with it since the last report, without content
    #[command(after_help = REPORT_EXAMPLES)]
    Report(IdArgs),
    AskUse(consent::AskUseArgs),
    AskOnward(consent::AskOnwardArgs),
    Forward(forward::ForwardArgs),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Direction {
    In,
    Out,
}

#[derive(Debug, Args)]
pub(crate) struct PackageListArgs {
    /// Only those that came in, or went out
    #[arg(long, value_enum)]
    direction: Option<Direction>,
    /// Only those in this state, for example held
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// List what other authorities hold of what was sent from here, and until when they may; `overdue` is what they
    /// should have destroyed by now and have not attested
    #[arg(long, conflicts_with_all = ["direction", "state"])]
    abroad: bool,
}

#[derive(Debug, Args)]
pub(crate) struct IdArgs {
    /// The package: its id, or at least 8 digits of it
    id: String,
}

impl PackageCommand {
    pub(crate) fn run(&self, global: &Global, terminal: Terminal) -> Result<(), Failure> {
        let call = || Call::new(global, terminal);
        match self {
            Self::Send(args) => args.run(&call()?),
            Self::Open(args) => args.run(global, terminal),
            Self::List(args) => args.run(&call()?),
            Self::Show(args) => args.show(&call()?),
            Self::Verify(args) => args.verify(&call()?),
            Self::Export(args) => args.run(&call()?),
            Self::Hold(args) => args.run(&call()?),
            Self::Review(args) => args.run(&call()?),
            Self::Release(args) => retention::release(&args.id, &call()?),
            Self::Purge(args) => args.run(&call()?),
            Self::Restrict(args) => args.run(&call()?),
            Self::Withdraw(args) => args.run(&call()?),
            Self::Report(args) => retention::report(&args.id, &call()?),
            Self::AskUse(args) => args.run(&call()?),
            Self::AskOnward(args) => args.run(&call()?),
            Self::Forward(args) => args.run(&call()?),
        }
    }
}

impl PackageListArgs {
    fn run(&self, call: &Call) -> Result<(), Failure> {
        if self.abroad {
            return abroad(call);
        }
        let filter = PackageFilter {
            direction: self.direction.map(|direction| match direction {
                Direction::In => "in",
                Direction::Out => "out",
            }),
            state: self.state.as_deref(),
        };
        let packages = call.remote.call(call.remote.client().packages(filter))?;
        call.terminal.show(&packages, |packages, color| {
            views::list(packages).render(color)
        });
        Ok(())
    }
}

fn abroad(call: &Call) -> Result<(), Failure> {
    let filter = PackageFilter {
        direction: Some("out"),
        state: None,
    };
    let sent = call.remote.call(call.remote.client().packages(filter))?;
    let onward = call.remote.call(call.remote.client().passed_on())?;
    call.terminal
        .show(&abroad::abroad(sent, onward, civil()), |held, color| {
            abroad::table(held).render(color)
        });
    Ok(())
}

impl IdArgs {
    fn show(&self, call: &Call) -> Result<(), Failure> {
        let client = call.remote.client();
        let whole = views::Whole {
            detail: call.remote.call(client.package(&self.id))?,
            receipts: call.remote.call(client.receipts(Some(&self.id)))?,
        };
        call.terminal.show(&whole, views::whole);
        Ok(())
    }

    fn verify(&self, call: &Call) -> Result<(), Failure> {
        let verification = call
            .remote
            .call(call.remote.client().verify_package(&self.id))?;
        call.terminal.show(&verification, |verification, color| {
            views::verification(verification).render(color)
        });
        if verification.ok {
            return Ok(());
        }
        let text = format!(
            "package {} is not what was received: {}",
            verification.id,
            verification.faults.join("; ")
        );
        Err(Failure::verification("package-damaged", text)
            .next("keep it as it is, and ask the sender to send it again"))
    }
}
