//! Logs: text on a terminal, JSON or journald by choice. No case reference, name of a person or title is ever logged.

use std::io::{self, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt as _;

use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::base::text::is_deceptive;
use crate::config::{LogFormat, Telemetry};
use crate::daemon::process::log_rate::Quiet;

/// Starts logging as configured. A second call changes nothing.
///
/// # Errors
/// When journald was asked for and does not answer.
pub fn start(telemetry: &Telemetry) -> io::Result<()> {
    let filter = EnvFilter::new(format!(
        "{},quinn=warn,rustls=error,hyper=warn",
        telemetry.level.as_str()
    ));
    let registry = tracing_subscriber::registry()
        .with(filter)
        .with(Quiet::new());
    let lines = Lines {
        journal: is_journal(),
        json: telemetry.log == LogFormat::Json,
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
    json: bool,
}

/// Standard error for an event of one level.
struct Line {
    priority: Option<u8>,
    json: bool,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        let priority = self.journal.then_some(priority(Level::INFO));
        let json = self.json;
        Line { priority, json }
    }

    fn make_writer_for(&'a self, event: &Metadata<'_>) -> Line {
        let priority = self.journal.then(|| priority(*event.level()));
        let json = self.json;
        Line { priority, json }
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
        let mut line = match self.priority {
            None => String::new(),
            Some(priority) => format!("<{priority}>"),
        };
        if self.json {
            line += String::from_utf8_lossy(event).trim_end_matches('\n');
        } else {
            one_line(event, &mut line);
        }
        line.push('\n');
        io::stderr().write_all(line.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// An event as one line. Whatever a peer wrote that stands in it can begin no line of its own, and turn no text around:
/// line breaks, other control characters and format characters are written as escapes. ESC is left to the colours of a
/// terminal; in what others wrote, the formatter has escaped it.
fn one_line(event: &[u8], line: &mut String) {
    let event = String::from_utf8_lossy(event);
    for letter in event.trim_end_matches('\n').chars() {
        if is_deceptive(letter) && letter != '\u{1b}' {
            line.extend(letter.escape_default());
        } else {
            line.push(letter);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_for_the_journal_has_the_priority_of_its_level() {
        let lines = |journal| Lines {
            journal,
            json: false,
        };
        assert_eq!(lines(true).make_writer().priority, Some(6));
        assert_eq!(lines(false).make_writer().priority, None);
        assert_eq!([Level::ERROR, Level::WARN].map(priority), [3, 4]);
    }

    #[test]
    fn what_a_peer_wrote_is_one_line() {
        let shown = |event: &str| {
            let mut line = String::new();
            one_line(event.as_bytes(), &mut line);
            line
        };
        assert_eq!(shown(" INFO é – 漢\n"), " INFO é – 漢");
        assert_eq!(
            shown("closed: x\n2026-01-01T00:00:00Z ERROR all is lost\n"),
            "closed: x\\n2026-01-01T00:00:00Z ERROR all is lost"
        );
        for hidden in "\0\r\t\u{7f}\u{85}\u{200e}\u{202e}\u{2028}\u{2029}\u{2066}\u{feff}".chars() {
            let shown = shown(&format!("a{hidden}b"));
            assert!(shown.starts_with("a\\") && shown.ends_with('b'), "{shown}");
        }
    }
}
