//! `check storage`: the places of what is durable, and the journal of destructions.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use serde::Serialize;

use crate::base::{AuthorityId, Timestamp};
use crate::cli::check;
use crate::cli::failure::Failure;
use crate::cli::terminal::Terminal;
use crate::cli::text::{self, Table, Tone};
use crate::config::{Config, Home};
use crate::store::journal;

/// The findings of a check.
#[derive(Debug, Serialize)]
struct Report<'a> {
    r#type: &'static str,
    state: &'a Path,
    journal: &'a Path,
    /// Entries of the journal.
    destructions: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Timestamp>,
    /// Whether its last line was cut short, which the next start mends; it may be being written.
    torn: bool,
    ok: bool,
}

pub(super) fn run(
    home: &Home,
    env: impl Iterator<Item = (String, String)>,
    terminal: Terminal,
) -> Result<(), Failure> {
    let config = Config::load(&home.config, env).map_err(|faults| check::invalid(home, &faults))?;
    let found = look(&config.journal, &config.authority.id);
    let is_new = !config.state_dir.join("ledger.db").exists();
    let report = Report {
        r#type: "summary",
        state: &config.state_dir,
        journal: &config.journal,
        destructions: found.as_ref().map_or(0, |it| it.entries),
        last: found.as_ref().ok().and_then(|it| it.last),
        torn: found.as_ref().is_ok_and(|it| it.torn),
        ok: found.is_ok() && (is_new || found.as_ref().is_ok_and(|it| it.bytes > 0)),
    };
    terminal.show(&report, render);
    match found {
        Err(text) => Err(Failure::storage("journal-unusable", text)
            .next("docs/operations.md, Backup and restore, says what to do with it")),
        Ok(sound) if sound.bytes == 0 && !is_new => Err(missing(&config.journal)),
        Ok(_) => Ok(()),
    }
}

/// The journal as far as it is sound; nothing written of it is like no file.
fn look(path: &Path, authority: &AuthorityId) -> Result<journal::Sound, String> {
    let of = |e: String| format!("the journal of destructions {} {e}", path.display());
    match File::open(path) {
        Ok(file) => journal::read(file, authority, |_| {}).map_err(|e| of(e.to_string())),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            journal::read(std::io::empty(), authority, |_| {}).map_err(|e| of(e.to_string()))
        }
        Err(e) => Err(of(format!("cannot be opened: {e}"))),
    }
}

fn missing(path: &Path) -> Failure {
    let text = format!(
        "there is no journal of destructions at {}, though there is a ledger: the next start writes it anew from the ledger, which \
         does not know what was destroyed after it was copied",
        path.display()
    );
    Failure::storage("journal-missing", text)
        .next("if the state was restored from a backup, put the newest journal there first")
}

fn render(report: &Report<'_>, color: bool) -> String {
    let mut table = Table::new();
    table.field("state", report.state.display().to_string());
    table.field("journal", report.journal.display().to_string());
    let last = report
        .last
        .map(|at| format!(", the last at {}", text::time(at)));
    let count = text::count(report.destructions, "destruction", "destructions");
    table.field("it holds", format!("{count}{}", last.unwrap_or_default()));
    if report.torn {
        table.field(
            "its end",
            "a line that is not whole: being written now, or cut short",
        );
    }
    let word = if report.ok {
        Tone::Good.paint("ok", color)
    } else {
        Tone::Bad.paint("not ok", color)
    };
    format!("{}{word}\n", table.render(color))
}
