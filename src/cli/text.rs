//! Text for a terminal: what others wrote made harmless, sizes, times, tables.

use std::fmt::Write as _;

use crate::api::types::{FaultView, ListView};
use crate::base::Timestamp;
use crate::base::text::is_unsafe;

/// Text of any origin on one line of a terminal: every character that does more than show itself is spelled `\u{…}`.
pub(crate) fn escape(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unsafe(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// A revocation list in a few words.
pub(crate) fn list(list: &ListView) -> String {
    let until = list.expires.map_or_else(
        || "without an end".to_owned(),
        |at| format!("until {}", time(at)),
    );
    format!("of {}, number {}, {until}", list.ca, list.number)
}

/// Why something does not go on: the code and the cause, or the code once where nothing else is known.
pub(crate) fn fault(FaultView { code, text }: &FaultView) -> String {
    if text.starts_with(code.as_str()) {
        text.clone()
    } else {
        format!("{code}: {text}")
    }
}

/// Text of any origin with its line ends kept, for signed notes.
pub(crate) fn escape_lines(text: &str) -> String {
    let lines: Vec<_> = text.split('\n').map(escape).collect();
    lines.join("\n")
}

/// JSON whose strings are harmless on a terminal, and mean the same: unsafe characters can only stand inside strings.
pub(crate) fn escape_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    let mut units = [0; 2];
    for c in json.chars() {
        if is_unsafe(c) {
            for unit in c.encode_utf16(&mut units) {
                write!(shown, "\\u{unit:04x}").expect("a String takes everything");
            }
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Bytes for people: binary units with three digits.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    let mut hundredths = u128::from(bytes) * 100 / 1_024;
    let mut unit = 0;
    while hundredths >= 102_400 && unit + 1 < UNITS.len() {
        hundredths /= 1_024;
        unit += 1;
    }
    let (whole, part) = (hundredths / 100, hundredths % 100);
    match whole {
        0..10 => format!("{whole}.{part:02} {}", UNITS[unit]),
        10..100 => format!("{whole}.{} {}", part / 10, UNITS[unit]),
        _ => format!("{whole} {}", UNITS[unit]),
    }
}

/// A rate for people.
pub(crate) fn rate(bytes_per_second: u64) -> String {
    format!("{}/s", size(bytes_per_second))
}

/// Seconds for people: the two largest units.
pub(crate) fn seconds(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    if days > 0 {
        format!("{days} d {} h", hours % 24)
    } else if hours > 0 {
        format!("{hours} h {} min", minutes % 60)
    } else if minutes > 0 {
        format!("{minutes} min {} s", seconds % 60)
    } else {
        format!("{seconds} s")
    }
}

/// A time for people: to the second, UTC.
pub(crate) fn time(time: Timestamp) -> String {
    let text = time.to_string();
    match text.split_once('T') {
        Some((day, clock)) => format!("{day} {} UTC", clock.get(..8).unwrap_or(clock)),
        None => text,
    }
}

/// One of something, or several.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// How a cell looks where colours are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Strong,
    Dim,
    Good,
    Warn,
    Bad,
}

impl Tone {
    const fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Strong => Some("1"),
            Self::Dim => Some("2"),
            Self::Good => Some("32"),
            Self::Warn => Some("33"),
            Self::Bad => Some("31"),
        }
    }

    /// The text between the codes of this tone. The text must be harmless already.
    pub(crate) fn paint(self, text: &str, color: bool) -> String {
        match self.code().filter(|_| color) {
            Some(code) => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            None => text.to_owned(),
        }
    }
}

/// One cell; its text is made harmless when it is made.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    pub(crate) fn new(text: impl AsRef<str>, tone: Tone) -> Self {
        let text = escape(text.as_ref());
        Self { text, tone }
    }
}

impl<T: ToString> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text.to_string(), Tone::Plain)
    }
}

/// Columns as wide as their widest cell, two spaces apart; the last one as long as it likes.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A table under dim headings.
    pub(crate) fn headed(headings: &[&str]) -> Self {
        let head = headings
            .iter()
            .map(|heading| Cell::new(heading, Tone::Dim))
            .collect();
        Self { rows: vec![head] }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// A row of a label and what it stands for.
    pub(crate) fn field(&mut self, label: &str, value: impl Into<Cell>) {
        self.row([Cell::new(label, Tone::Dim), value.into()]);
    }

    /// A row as [`Table::field`], where there is a value.
    pub(crate) fn field_if<T: Into<Cell>>(&mut self, label: &str, value: Option<T>) {
        if let Some(value) = value {
            self.field(label, value);
        }
    }

    /// The lines, each with its end.
    pub(crate) fn render(&self, color: bool) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<_> = (0..columns)
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells
                    .map(|cell| cell.text.chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for row in &self.rows {
            for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
                text.push_str(&cell.tone.paint(&cell.text, color));
                if at + 1 < row.len() {
                    let gap = width - cell.text.chars().count() + 2;
                    text.extend(std::iter::repeat_n(' ', gap));
                }
            }
            text.truncate(text.trim_end_matches(' ').len());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, shown: &str) {
        assert_eq!(escape(text), shown);
        let json = serde_json::to_string(text).unwrap();
        let safe = escape_json(&json);
        assert!(!safe.chars().any(is_unsafe), "{safe}");
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), text);
    }

    #[test]
    fn a_fault_says_its_code_once() {
        for (code, cause, want) in [
            ("header-mac", "header-mac", "header-mac"),
            ("role", "role (by terms)", "role (by terms)"),
            ("unreachable", "no answer", "unreachable: no answer"),
        ] {
            let (code, text) = (code.to_owned(), cause.to_owned());
            assert_eq!(fault(&FaultView { code, text }), want);
        }
    }

    #[test]
    fn what_others_write_cannot_drive_the_terminal() {
        check(
            "Ministère de la Justice – Ελλάδα 司法",
            "Ministère de la Justice – Ελλάδα 司法",
        );
        check(
            "\u{1b}[31mred\u{1b}]0;title\u{7}",
            "\\u{1b}[31mred\\u{1b}]0;title\\u{7}",
        );
        check("a\r\nb\tc\0", "a\\r\\nb\\tc\\u{0}");
        check("\u{9b}2J\u{7f}", "\\u{9b}2J\\u{7f}");
        check("gpj.\u{202e}exe", "gpj.\\u{202e}exe");
        check(
            "\u{2066}x\u{2069}\u{200f}\u{61c}",
            "\\u{2066}x\\u{2069}\\u{200f}\\u{61c}",
        );
        check("zero\u{200b}width\u{feff}", "zero\\u{200b}width\\u{feff}");
        check("\u{2028}\u{2029}\u{e000}", "\\u{2028}\\u{2029}\\u{e000}");
        check("\u{e0041}", "\\u{e0041}");
        assert_eq!(escape_lines("a\n\u{1b}\nb\r\n"), "a\n\\u{1b}\nb\\r\n");
    }

    #[test]
    fn sizes_and_times() {
        for (bytes, text) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1.00 KiB"),
            (10_240, "10.0 KiB"),
            (1_048_575, "1023 KiB"),
            (1_048_576, "1.00 MiB"),
            (1_503_238_553, "1.39 GiB"),
            (2 << 40, "2.00 TiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
        for (given, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (61, "1 min 1 s"),
            (3_660, "1 h 1 min"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(seconds(given), text);
        }
        assert_eq!(rate(1_024), "1.00 KiB/s");
        let moment = "2026-11-23T09:00:07.123Z".parse().unwrap();
        assert_eq!(time(moment), "2026-11-23 09:00:07 UTC");
    }

    #[test]
    fn tables_align_and_escape() {
        let mut table = Table::headed(&["peer", "state"]);
        table.row([Cell::new("de\u{1b}[2J", Tone::Good), "up".into()]);
        assert_eq!(
            table.render(false),
            "peer         state\nde\\u{1b}[2J  up\n"
        );
        assert!(
            table
                .render(true)
                .starts_with("\u{1b}[2mpeer\u{1b}[0m         \u{1b}[2mstate")
        );
        let mut fields = Table::new();
        fields.field("len", size(5));
        fields.field_if("none", None::<String>);
        assert_eq!(fields.render(false), "len  5 B\n");
    }
}
