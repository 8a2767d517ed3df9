//! Standard output and standard error, for people or for machines.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;
use serde_json::Value;

use crate::cli::failure::Failure;
use crate::cli::hint;
use crate::cli::text::{Table, Tone, escape, escape_json, escape_lines};

/// Whom the output is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    People,
    Machines,
}

/// How much is said beside the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Talk {
    Quiet,
    Normal,
    Verbose,
}

/// How a command speaks. A reader that closed its end (`| head`) is no fault.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    reader: Reader,
    talk: Talk,
    color_out: bool,
    color_err: bool,
    bars: bool,
}

impl Terminal {
    /// As the global options and the two streams say; `plain` forbids colour.
    pub(crate) fn new(reader: Reader, talk: Talk, plain: bool) -> Self {
        let people = reader == Reader::People;
        Self {
            reader,
            talk,
            color_out: people && !plain && io::stdout().is_terminal(),
            color_err: people && !plain && io::stderr().is_terminal(),
            bars: people && talk != Talk::Quiet && io::stderr().is_terminal(),
        }
    }

    /// Whether the output is JSON.
    pub(crate) fn json(self) -> bool {
        self.reader == Reader::Machines
    }

    /// Whether progress bars may be drawn.
    pub(crate) const fn draws_progress(self) -> bool {
        self.bars
    }

    /// Whether anybody wants to hear of progress, in any form.
    pub(crate) fn wants_progress(self) -> bool {
        self.bars || (self.json() && self.talk != Talk::Quiet)
    }

    /// A value as one line of JSON, or what `text` makes of it.
    pub(crate) fn show<T: Serialize>(self, value: &T, text: impl FnOnce(&T, bool) -> String) {
        if self.json() {
            self::value(value);
        } else {
            out(&text(value, self.color_out));
        }
    }

    /// A line of the result, where it is for people.
    pub(crate) fn line(self, text: &str) {
        if !self.json() {
            out(&format!("{}\n", escape(text)));
        }
    }

    /// A remark beside the result, on standard error.
    pub(crate) fn note(self, text: &str) {
        if self.talk != Talk::Quiet && !self.json() {
            err(&format!("{}\n", escape(&hint::here(text))));
        }
    }

    /// A remark that only `-v` wants, on standard error.
    pub(crate) fn detail(self, text: &str) {
        if self.talk == Talk::Verbose {
            err(&format!("{}\n", escape(text)));
        }
    }

    /// A failure, on standard error: a JSON object, or a sentence and what to do.
    pub(crate) fn failure(self, failure: &Failure) {
        if self.json() {
            let json = failure.to_json().to_string();
            err(&format!("{}\n", escape_json(&json)));
        } else {
            err(&failure_text(failure, self.color_err));
        }
    }
}

/// A value as one line of JSON.
pub(crate) fn value<T: Serialize>(value: &T) {
    let json = serde_json::to_string(value).expect("our own types are JSON");
    out(&format!("{}\n", escape_json(&json)));
}

/// Lines of the result as they are, in either mode.
pub(crate) fn raw(text: &str) {
    out(&escape_lines(text));
}

/// Whether a question can be put to a person.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Puts a question, and gives the answer without its line end.
pub(crate) fn ask(question: &str) -> io::Result<String> {
    let mut to = io::stderr().lock();
    write!(to, "{} ", escape(question))?;
    to.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(answer.trim().to_owned())
}

fn failure_text(failure: &Failure, color: bool) -> String {
    let word = if failure.code == 4 {
        "refused"
    } else {
        "error"
    };
    let mut text = format!(
        "{}: {}\n",
        Tone::Bad.paint(word, color),
        escape_lines(&failure.message)
    );
    let mut table = Table::new();
    if let Some(Value::Object(details)) = failure.details.as_deref() {
        for key in ["rule", "term", "reason", "clause"] {
            table.field_if(
                &format!("  {key}"),
                details.get(key).and_then(Value::as_str),
            );
        }
    }
    table.field_if("  next", failure.next.as_deref().map(hint::here).as_deref());
    text.push_str(&table.render(color));
    text
}

#[expect(
    clippy::let_underscore_must_use,
    reason = "a reader that closed its end wants no more"
)]
fn out(text: &str) {
    let mut to = io::stdout().lock();
    let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
}

#[expect(
    clippy::let_underscore_must_use,
    reason = "there is nowhere left to say that standard error is closed"
)]
fn err(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_failure_says_what_and_what_next() {
        let mut failure =
            Failure::refused("purpose-not-permitted", "no\u{1b}[2J").next("ask bfj.example.de");
        failure.details = Some(Box::new(json!({
            "rule": "purpose", "term": "purposes: prosecution", "reason": "purpose-not-permitted", "clause": "Directive (EU) 2016/680 art. 9",
        })));
        assert_eq!(
            failure_text(&failure, false),
            "refused: no\\u{1b}[2J\n  rule    purpose\n  term    purposes: prosecution\n  reason  purpose-not-permitted\n  clause  Directive (EU) 2016/680 art. 9\n  next    ask bfj.example.de\n"
        );
        let plain = Failure::absent("no-such-package", "no package 0011");
        assert_eq!(failure_text(&plain, false), "error: no package 0011\n");
    }
}
