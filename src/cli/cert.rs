//! `cert`: the own TLS certificate and revocation list.

use clap::{Args, Subcommand};

use crate::api::types::{CertificateView, RenewRequest};
use crate::cli::call::Call;
use crate::cli::failure::Failure;
use crate::cli::text::{self, Table};

const EXAMPLES: &str = "\
Examples:
  rogatory cert status
  rogatory cert renew --if-due";
const STATUS_EXAMPLES: &str = "\
Examples:
  rogatory cert status
  rogatory cert status --json";
const RENEW_EXAMPLES: &str = "\
Examples:
  rogatory cert renew
  rogatory cert renew --if-due --json";

/// See and renew the own TLS certificate and revocation list
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum CertCommand {
    /// Show from when until when they are valid
    #[command(after_help = STATUS_EXAMPLES)]
    Status,
    /// Issue both anew with the built-in CA; the daemon shows them from the next connection on
    #[command(after_help = RENEW_EXAMPLES)]
    Renew(RenewArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RenewArgs {
    /// Only what has a third of its time left or is not valid yet; exit code 9 if that is nothing
    #[arg(long)]
    if_due: bool,
}

impl CertCommand {
    pub(crate) fn run(&self, call: &Call) -> Result<(), Failure> {
        let client = call.remote.client();
        let papers = match self {
            Self::Status => call.remote.call(client.certificate())?,
            Self::Renew(args) => {
                let request = RenewRequest {
                    if_due: args.if_due,
                };
                call.remote.call(client.renew_certificate(&request))?
            }
        };
        call.terminal
            .show(&papers, |papers, color| table(papers).render(color));
        Ok(())
    }
}

fn table(papers: &CertificateView) -> Table {
    let mut table = Table::new();
    let times = |begins, ends| format!("{} to {}", text::time(begins), text::time(ends));
    let certificate = times(papers.certificate_begins, papers.certificate_expires);
    table.field("certificate", certificate);
    for list in &papers.lists {
        table.field("revocation list", text::list(list));
    }
    table
}
