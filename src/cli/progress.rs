//! Progress: a bar on a terminal, lines of JSON for machines, nothing where neither is wanted.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::cli::terminal::{self, Terminal};

/// Between two lines of JSON.
const LINE_EVERY: Duration = Duration::from_millis(500);
/// Redraws of a bar per second.
const REDRAWS_PER_SECOND: u8 = 5;

/// Time since it was started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(std::time::Instant);

impl Stopwatch {
    #[expect(
        clippy::disallowed_methods,
        reason = "the command line is shell, and this is where it reads the clock"
    )]
    pub(crate) fn start() -> Self {
        Self(std::time::Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    /// Whole milliseconds.
    pub(crate) fn millis(self) -> u64 {
        u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A line of progress, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Line<'a> {
    r#type: &'static str,
    phase: &'a str,
    unit: &'static str,
    done: u64,
    total: u64,
    rate: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    eta_s: Option<u64>,
}

/// The unit that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Bytes,
    Packages,
}

impl Unit {
    const fn word(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Packages => "packages",
        }
    }

    const fn template(self) -> &'static str {
        match self {
            Self::Bytes => {
                "{msg:9} {bar:28} {binary_bytes} of {binary_total_bytes}  {binary_bytes_per_sec}  {eta} to go"
            }
            Self::Packages => "{msg:9} {bar:28} {pos} of {len}  {per_sec}  {eta} to go",
        }
    }
}

enum Mode {
    Silent,
    Bar(ProgressBar),
    Lines { last: Duration },
}

/// The progress of one phase of a command.
pub(crate) struct ProgressLine {
    mode: Mode,
    phase: &'static str,
    unit: Unit,
    total: u64,
    first: u64,
    watch: Stopwatch,
}

impl ProgressLine {
    /// Starts a phase: a word, and how much there is to do.
    pub(crate) fn start(terminal: Terminal, phase: &'static str, unit: Unit, total: u64) -> Self {
        let mode = if terminal.draws_progress() {
            Mode::Bar(bar(phase, unit, total))
        } else if terminal.wants_progress() {
            Mode::Lines {
                last: Duration::ZERO,
            }
        } else {
            Mode::Silent
        };
        let watch = Stopwatch::start();
        Self {
            mode,
            phase,
            unit,
            total,
            first: 0,
            watch,
        }
    }

    /// So much is done now.
    pub(crate) fn at(&mut self, done: u64) {
        let elapsed = self.watch.elapsed();
        let line = line(
            self.phase,
            self.unit,
            (self.first, done, self.total),
            elapsed,
        );
        match &mut self.mode {
            Mode::Silent => {}
            Mode::Bar(bar) => bar.set_position(done),
            Mode::Lines { last } => {
                if elapsed >= *last + LINE_EVERY {
                    *last = elapsed;
                    terminal::value(&line);
                }
            }
        }
    }

    /// The phase is over; the bar disappears.
    pub(crate) fn finish(self) {
        if let Mode::Bar(bar) = self.mode {
            bar.finish_and_clear();
        }
    }
}

fn bar(phase: &'static str, unit: Unit, total: u64) -> ProgressBar {
    let target = ProgressDrawTarget::stderr_with_hz(REDRAWS_PER_SECOND);
    let style = ProgressStyle::with_template(unit.template())
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
    ProgressBar::with_draw_target(Some(total), target)
        .with_style(style)
        .with_message(phase)
}

fn line(
    phase: &str,
    unit: Unit,
    (first, done, total): (u64, u64, u64),
    elapsed: Duration,
) -> Line<'_> {
    let moved = u128::from(done.saturating_sub(first));
    let rate = moved * 1_000 / elapsed.as_millis().max(1);
    let left = u128::from(total.saturating_sub(done));
    let eta = left
        .checked_div(rate)
        .and_then(|eta| u64::try_from(eta).ok());
    Line {
        r#type: "progress",
        phase,
        unit: unit.word(),
        done,
        total,
        rate: u64::try_from(rate).unwrap_or(u64::MAX),
        eta_s: eta,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(counts: (u64, u64, u64), millis: u64, json: &str) {
        let line = line(
            "sealing",
            Unit::Bytes,
            counts,
            Duration::from_millis(millis),
        );
        assert_eq!(serde_json::to_string(&line).unwrap(), json);
    }

    #[test]
    fn lines_of_progress() {
        check(
            (0, 500, 2_000),
            500,
            r#"{"type":"progress","phase":"sealing","unit":"bytes","done":500,"total":2000,"rate":1000,"eta_s":1}"#,
        );
        check(
            (0, 0, 2_000),
            0,
            r#"{"type":"progress","phase":"sealing","unit":"bytes","done":0,"total":2000,"rate":0}"#,
        );
        check(
            (1_000, 1_500, 1_000),
            1_000,
            r#"{"type":"progress","phase":"sealing","unit":"bytes","done":1500,"total":1000,"rate":500,"eta_s":0}"#,
        );
    }

    #[test]
    fn the_templates_are_understood() {
        for unit in [Unit::Bytes, Unit::Packages] {
            assert!(ProgressStyle::with_template(unit.template()).is_ok());
        }
    }
}
