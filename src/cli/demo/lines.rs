//! The lines of the show.

use serde::Serialize;

use crate::cli::terminal::{self, Terminal};

/// One line for a step that held.
#[derive(Debug, Serialize)]
struct StepLine<'a> {
    r#type: &'static str,
    ok: bool,
    ms: u64,
    text: &'a str,
}

pub(super) fn say_step(terminal: Terminal, ok: bool, ms: u64, text: &str) {
    let line = StepLine {
        r#type: "step",
        ok,
        ms,
        text,
    };
    terminal.show(&line, |line, color| {
        use crate::cli::text::{Tone, escape};
        let (mark, tone) = if line.ok {
            ("✓", Tone::Good)
        } else {
            ("✗", Tone::Bad)
        };
        let seconds = format!("{}.{:02} s", line.ms / 1_000, line.ms % 1_000 / 10);
        format!(
            "{} {seconds:>8}  {}\n",
            tone.paint(mark, color),
            escape(line.text)
        )
    });
}

/// Lines beneath a step.
pub(super) fn say_under(terminal: Terminal, lines: &str) {
    for line in lines.lines() {
        terminal.line(&format!("             {line}"));
    }
    if terminal.json() {
        terminal::value(
            &serde_json::json!({ "type": "lines", "lines": lines.lines().collect::<Vec<_>>() }),
        );
    }
}
