//! Logs: text on a terminal, JSON or journald by choice. No case reference, name of a person or title is ever logged.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt as _;

use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogFormat, Telemetry};

/// Starts logging as configured. A second call changes nothing.
///
/// # Errors
/// When journald was asked for and does not answer.
pub fn start(telemetry: &Telemetry) -> io::Result<()> {
    let filter = EnvFilter::new(format!(
        "{},quinn=warn,rustls=error,hyper=warn",
        telemetry.level.as_str()
    ));
    let registry = tracing_subscriber::registry().with(filter);
    let lines = Lines {
        journal: is_journal(),
    };
    let layer = tracing_subscriber::fmt::layer().with_writer(lines);
    let started = match telemetry.log {
        LogFormat::Text if lines.journal => {
            // The journal has the time.
            let text = layer.without_time().with_target(false).with_ansi(false);
            registry.with(text).try_init()
        }
        LogFormat::Text => {
            let text = layer.with_target(false);
            let text = text.with_ansi(io::stderr().is_terminal());
            registry.with(text).try_init()
        }
        LogFormat::Json => registry.with(layer.json()).try_init(),
        LogFormat::Journald => registry.with(tracing_journald::layer()?).try_init(),
    };
    // Another subscriber is in place already: its choice stands.
    drop(started);
    Ok(())
}

/// Whether the journal reads standard error, as systemd says in `JOURNAL_STREAM` (systemd.exec(5)).
fn is_journal() -> bool {
    let Some(stream) = std::env::var_os("JOURNAL_STREAM") else {
        return false;
    };
    let stderr = rustix::fs::fstat(io::stderr());
    stderr.is_ok_and(|at| stream.as_bytes() == format!("{}:{}", at.st_dev, at.st_ino).as_bytes())
}

/// Standard error, a line at a time; for the journal each with its priority (sd-daemon(3)).
#[derive(Debug, Clone, Copy)]
struct Lines {
    journal: bool,
}

/// Standard error for an event of one level.
struct Line {
    priority: Option<u8>,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        let priority = self.journal.then_some(priority(Level::INFO));
        Line { priority }
    }

    fn make_writer_for(&'a self, event: &Metadata<'_>) -> Line {
        let priority = self.journal.then(|| priority(*event.level()));
        Line { priority }
    }
}

/// The priority of syslog(3) for a level.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

impl Write for Line {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        match self.priority {
            None => io::stderr().write_all(event)?,
            Some(priority) => io::stderr().write_all(marked(event, priority).as_bytes())?,
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// The lines of an event, each with its priority: the journal makes an entry of each.
fn marked(event: &[u8], priority: u8) -> String {
    let event = String::from_utf8_lossy(event);
    event.lines().fold(String::new(), |mut all, line| {
        // Writing to a text does not fail.
        writeln!(all, "<{priority}>{line}").unwrap_or_default();
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_for_the_journal_has_the_priority_of_its_level() {
        let lines = Lines { journal: true };
        assert_eq!(lines.make_writer().priority, Some(6));
        assert_eq!(Lines { journal: false }.make_writer().priority, None);
        assert_eq!(marked(b" WARN a\n", priority(Level::WARN)), "<4> WARN a\n");
        assert_eq!(marked(b"a\nb\n", priority(Level::ERROR)), "<3>a\n<3>b\n");
    }
}
