//! `transfer`: what moves, what waits and why.

use clap::{Args, Subcommand};

use crate::api::types::TransferView;
use crate::cli::call::Call;
use crate::cli::failure::Failure;
use crate::cli::text::{self, Cell, Table, Tone};

const EXAMPLES: &str = "\
Examples:
  rogatory transfer list
  rogatory transfer show 5f0c11aa";
const LIST_EXAMPLES: &str = "\
Examples:
  rogatory transfer list
  rogatory transfer list --json";
const SHOW_EXAMPLES: &str = "\
Examples:
  rogatory transfer show 5f0c11aa
  rogatory transfer show 5f0c11aa --json";

/// See the transfers under way or waiting
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum TransferCommand {
    /// List the transfers
    #[command(after_help = LIST_EXAMPLES)]
    List,
    /// Show one transfer
    #[command(after_help = SHOW_EXAMPLES)]
    Show(TransferShowArgs),
}

#[derive(Debug, Args)]
pub(crate) struct TransferShowArgs {
    /// The package: its id, or at least 8 digits of it
    id: String,
}

impl TransferCommand {
    pub(crate) fn run(&self, call: &Call) -> Result<(), Failure> {
        let client = call.remote.client();
        match self {
            Self::List => {
                let transfers = call.remote.call(client.transfers())?;
                call.terminal
                    .show(&transfers, |transfers, color| list(transfers).render(color));
            }
            Self::Show(args) => {
                let transfer = call.remote.call(client.transfer(&args.id))?;
                call.terminal
                    .show(&transfer, |transfer, color| fields(transfer).render(color));
            }
        }
        Ok(())
    }
}

fn peer(transfer: &TransferView) -> String {
    match &transfer.peer_alias {
        Some(alias) => alias.to_string(),
        None => transfer.peer.to_string(),
    }
}

fn percent(transfer: &TransferView) -> String {
    let done = u128::from(transfer.done_bytes) * 100;
    match done.checked_div(u128::from(transfer.len)) {
        Some(percent) => format!("{percent} %"),
        None => "-".to_owned(),
    }
}

/// The transfers that go on or wait.
fn doing(transfer: &TransferView) -> Cell {
    let moves = [
        "dispatched",
        "receiving",
        "consigned",
        "handover-signed",
        "delivered",
    ];
    if !moves.contains(&transfer.state.as_str()) {
        return Cell::new("over", Tone::Dim);
    }
    if let Some(fault) = &transfer.fault
        && !transfer.active
    {
        let again = transfer
            .next_try
            .map(|at| format!("; next try {}", text::time(at)));
        let said = format!("{}{}", text::fault(fault), again.unwrap_or_default());
        return Cell::new(said, Tone::Warn);
    }
    if !transfer.active {
        return Cell::new("waiting", Tone::Dim);
    }
    let eta = transfer
        .eta_s
        .map(|eta| format!(", {} to go", text::seconds(eta)));
    Cell::new(
        format!("{}{}", text::rate(transfer.rate), eta.unwrap_or_default()),
        Tone::Good,
    )
}

fn list(transfers: &[TransferView]) -> Table {
    let mut table = Table::headed(&["package", "way", "peer", "state", "size", "done", ""]);
    for transfer in transfers {
        table.row([
            Cell::new(transfer.id.to_string(), Tone::Strong),
            (&transfer.direction).into(),
            peer(transfer).into(),
            (&transfer.state).into(),
            text::size(transfer.len).into(),
            percent(transfer).into(),
            doing(transfer),
        ]);
    }
    table
}

fn fields(transfer: &TransferView) -> Table {
    let mut table = Table::new();
    table.field("package", Cell::new(transfer.id.to_string(), Tone::Strong));
    table.field("way", format!("{}, {}", transfer.direction, transfer.peer));
    table.field("state", &transfer.state);
    table.field(
        "done",
        format!(
            "{} of {} ({})",
            text::size(transfer.done_bytes),
            text::size(transfer.len),
            percent(transfer)
        ),
    );
    table.field(
        "moved",
        format!(
            "{} since the daemon started",
            text::size(transfer.sent_bytes)
        ),
    );
    table.field("attempts", transfer.attempts);
    if transfer.urgent {
        table.field("urgent", "yes: it goes before the others");
    }
    table.field("now", doing(transfer));
    table
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(change: impl FnOnce(&mut TransferView), last: &str) {
        let mut transfer = serde_json::from_value(json!({
            "id": "00112233445566778899aabbccddeeff", "direction": "out", "peer": "bfj.example.de", "peer_alias": "de",
            "state": "dispatched", "active": true, "len": 4_194_304, "done_bytes": 1_048_576, "sent_bytes": 1_048_576,
            "rate": 1_048_576, "eta_s": 3, "attempts": 1,
        }))
        .unwrap();
        change(&mut transfer);
        let shown = list(&[transfer]).render(false);
        let want =
            format!("00112233445566778899aabbccddeeff  out  de    dispatched  4.00 MiB  {last}\n");
        assert_eq!(
            shown.lines().nth(1).map(|line| format!("{line}\n")),
            Some(want),
            "{shown}"
        );
    }

    #[test]
    fn a_line_says_what_goes_on() {
        check(|_| (), "25 %  1.00 MiB/s, 3 s to go");
        check(
            |t| {
                t.active = false;
                t.fault = Some(crate::api::types::FaultView {
                    code: "unreachable".to_owned(),
                    text: "no answer".to_owned(),
                });
                t.next_try = "2026-11-23T09:00:00.000Z".parse().ok();
            },
            "25 %  unreachable: no answer; next try 2026-11-23 09:00:00 UTC",
        );
        check(|t| t.active = false, "25 %  waiting");
        check(
            |t| {
                t.active = false;
                t.done_bytes = 0;
            },
            "0 %   waiting",
        );
    }
}
