//! `status`: problems first.

use crate::api::types::{PeerView, Problem, Status};
use crate::cli::call::Call;
use crate::cli::failure::Failure;
use crate::cli::text::{self, Cell, Table, Tone};
use crate::cli::{clock, hint};

pub(crate) const EXAMPLES: &str = "\
Examples:
  rogatory status --home ./ie
  rogatory status --json --timeout 5s";

pub(crate) fn run(call: &Call) -> Result<(), Failure> {
    let status = call.remote.call(call.remote.client().status())?;
    call.terminal.show(&status, render);
    if status.phase == "running" {
        Ok(())
    } else {
        let text = format!("the daemon is {}, it takes no new work", status.phase);
        Err(Failure::not_running("daemon-not-serving", text))
    }
}

fn render(status: &Status, color: bool) -> String {
    let mut shown = problems(&status.problems).render(color);
    if !status.problems.is_empty() {
        shown.push('\n');
    }
    shown.push_str(&authority(status).render(color));
    if !status.peers.is_empty() {
        shown.push('\n');
        shown.push_str(&peers(&status.peers).render(color));
    }
    shown
}

fn problems(problems: &[Problem]) -> Table {
    let mut table = Table::new();
    if problems.is_empty() {
        table.row([Cell::new("no problems", Tone::Good)]);
    }
    for problem in problems {
        let tone = if problem.severity == "error" {
            Tone::Bad
        } else {
            Tone::Warn
        };
        table.row([
            Cell::new(&problem.severity, tone),
            Cell::new(&problem.subject, Tone::Strong),
            hint::here(&problem.message).into(),
        ]);
    }
    table
}

fn authority(status: &Status) -> Table {
    let mut table = Table::new();
    table.field(
        "authority",
        format!("{} ({})", status.authority, status.alias),
    );
    table.field(
        "daemon",
        format!(
            "{}, version {}, process {}, since {}",
            status.phase,
            status.version,
            status.pid,
            text::time(status.started)
        ),
    );
    table.field("listens on", &status.listen);
    table.field(
        "packages",
        format!(
            "{} going out, {} coming in, {} held",
            status.outgoing, status.incoming, status.held
        ),
    );
    let log = &status.log;
    table.field(
        "log",
        format!(
            "{} of {}, checkpoint over {}",
            text::count(log.size, "leaf", "leaves"),
            log.origin,
            log.checkpoint_size
        ),
    );
    table.field("free space", text::size(status.store_free_bytes));
    table.field(
        "certificate",
        format!("until {}", text::time(status.certificate_expires)),
    );
    table.field(
        "revocation list",
        format!("until {}", text::time(status.crl_expires)),
    );
    if let Some(clock) = &status.clock {
        table.field("clock", clock::line(clock));
    }
    if let Some(sandbox) = &status.sandbox {
        table.field(
            "sandbox",
            format!("Landlock {}; seccomp {}", sandbox.landlock, sandbox.seccomp),
        );
    }
    table
}

/// One line for each peer.
pub(crate) fn peers(peers: &[PeerView]) -> Table {
    let mut table = Table::headed(&["peer", "authority", "state", "link", "last seen"]);
    for peer in peers {
        let link = match &peer.fault {
            _ if peer.connected => Cell::new("up", Tone::Good),
            Some(fault) => Cell::new(text::fault(fault), Tone::Warn),
            None => Cell::new("down", Tone::Dim),
        };
        let tone = if peer.state == "accepted" {
            Tone::Plain
        } else {
            Tone::Warn
        };
        table.row([
            Cell::new(peer.alias.as_str(), Tone::Strong),
            peer.id.as_str().into(),
            Cell::new(&peer.state, tone),
            link,
            peer.last_seen
                .map_or_else(|| "never".to_owned(), text::time)
                .into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_come_first_and_are_harmless() {
        let status: Status = serde_json::from_value(serde_json::json!({
            "problems": [{"severity": "error", "code": "peer-unreachable", "subject": "de", "message": "no answer\u{1b}[2J"}],
            "authority": "mla.example.ie", "alias": "ie", "version": "0.1.0", "pid": 7,
            "started": "2026-11-23T09:00:00.000Z", "phase": "running", "listen": "127.0.0.1:7443",
            "peers": [{"id": "bfj.example.de", "alias": "de", "name": "BfJ", "country": "DE", "state": "accepted",
                "fingerprint": "a-b-c-d-e-f", "endpoints": ["127.0.0.1:7444"], "card_number": 1, "connected": false}],
            "outgoing": 1, "incoming": 0, "held": 2,
            "log": {"origin": "mla.example.ie/log", "size": 12, "checkpoint_size": 10, "checkpoint_root": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
            "store_free_bytes": 1_048_576, "certificate_expires": "2027-02-21T09:00:00.000Z", "crl_expires": "2026-12-23T09:00:00.000Z",
        }))
        .unwrap();
        let shown = render(&status, false);
        assert!(
            shown.starts_with("error  de  no answer\\u{1b}[2J\n\n"),
            "{shown}"
        );
        for line in [
            "authority        mla.example.ie (ie)\n",
            "log              12 leaves of mla.example.ie/log, checkpoint over 10\n",
            "free space       1.00 MiB\n",
            "de    bfj.example.de  accepted  down  never\n",
        ] {
            assert!(shown.contains(line), "{line} in\n{shown}");
        }
    }
}
