//! `approvals`: what waits for a second person.

use clap::{Args, Subcommand};

use crate::api::types::{AdoptPolicy, ApprovalView};
use crate::cli::call::Call;
use crate::cli::failure::Failure;
use crate::cli::policy::show;
use crate::cli::text::{self, Cell, Table, Tone};

const EXAMPLES: &str = "\
Examples:
  rogatory approvals list
  rogatory approvals approve 3f2a9c0011d4e5b6";
const LIST_EXAMPLES: &str = "\
Examples:
  rogatory approvals list
  rogatory approvals list --json";
const SHOW_EXAMPLES: &str = "\
Examples:
  rogatory approvals show 3f2a9c0011d4e5b6
  rogatory approvals show 3f2a9c0011d4e5b6 --json";
const APPROVE_EXAMPLES: &str = "\
Examples:
  rogatory approvals approve 3f2a9c0011d4e5b6
  rogatory approvals approve 3f2a9c0011d4e5b6 --json";
const REJECT_EXAMPLES: &str = "\
Examples:
  rogatory approvals reject 3f2a9c0011d4e5b6
  rogatory approvals reject 3f2a9c0011d4e5b6 --json";

/// See and decide what takes two persons here (`policy.dual_control`)
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum ApprovalsCommand {
    /// List what was asked for, and what was decided
    #[command(after_help = LIST_EXAMPLES)]
    List,
    /// Show one request
    #[command(after_help = SHOW_EXAMPLES)]
    Show(ApprovalArgs),
    /// Approve what somebody else asked for; it is stated, then done
    #[command(after_help = APPROVE_EXAMPLES)]
    Approve(ApprovalArgs),
    /// Reject what somebody else asked for; it is stated
    #[command(after_help = REJECT_EXAMPLES)]
    Reject(ApprovalArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ApprovalArgs {
    /// The request
    id: String,
}

impl ApprovalsCommand {
    pub(crate) fn run(&self, call: &Call) -> Result<(), Failure> {
        let client = call.remote.client();
        let one = match self {
            Self::List => {
                let all = call.remote.call(client.approvals())?;
                call.terminal
                    .show(&all, |all, color| table(all).render(color));
                return Ok(());
            }
            Self::Show(args) => call.remote.call(client.approval(&args.id))?,
            Self::Approve(args) => call.remote.call(client.decide(&args.id, "approve"))?,
            Self::Reject(args) => call.remote.call(client.decide(&args.id, "reject"))?,
        };
        call.terminal
            .show(&one, |one, color| detail(one).render(color));
        Ok(())
    }
}

fn state(state: &str) -> Cell {
    let tone = match state {
        "waiting" | "approved" => Tone::Warn,
        "done" => Tone::Good,
        _ => Tone::Plain,
    };
    Cell::new(state, tone)
}

fn table(all: &[ApprovalView]) -> Table {
    let mut table = Table::headed(&["request", "state", "what", "of", "asked by", "until"]);
    for one in all {
        table.row([
            Cell::new(&one.id, Tone::Strong),
            state(&one.state),
            one.verb.as_str().into(),
            one.subject.as_str().into(),
            one.asked_by.as_str().into(),
            text::time(one.expires).into(),
        ]);
    }
    table
}

fn detail(one: &ApprovalView) -> Table {
    let mut table = Table::new();
    table.field("request", Cell::new(&one.id, Tone::Strong));
    table.field("state", state(&one.state));
    table.field("what", one.verb.as_str());
    table.field("of", one.subject.as_str());
    let policy: Option<AdoptPolicy> = serde_json::from_value(one.request.clone()).ok();
    if let Some(policy) = policy {
        show::describe(&mut table, &policy.description);
    } else {
        table.field("call", one.request.to_string());
    }
    table.field(
        "asked by",
        format!("{}, {}", one.asked_by, text::time(one.at)),
    );
    table.field("until", text::time(one.expires));
    if let (Some(by), Some(at)) = (&one.decided_by, one.decided_at) {
        table.field("decided by", format!("{by}, {}", text::time(at)));
    }
    table.field_if("stated", one.stated.as_deref());
    table.field_if("result", one.result.as_ref().map(ToString::to_string));
    table
}
