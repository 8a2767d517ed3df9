//! `policy terms`: the words that terms are made of.

use serde::Serialize;

use crate::cli::terminal::Terminal;
use crate::cli::text::{Cell, Table, Tone};
use crate::policy::instrument::{INSTRUMENTS, Instrument};
use crate::policy::{Handling, Onward, Purpose, Restriction, Source};

pub(super) const EXAMPLES: &str = "\
Examples:
  rogatory policy terms
  rogatory policy terms --json";

/// A word of terms.
#[derive(Debug, Serialize)]
struct Word {
    list: &'static str,
    code: &'static str,
    means: &'static str,
    /// The text of the instrument (ELI).
    #[serde(skip_serializing_if = "Option::is_none")]
    eli: Option<&'static str>,
    /// Clauses that refusals cite.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    clauses: Vec<&'static str>,
    /// The nearest concept of the W3C Data Privacy Vocabulary.
    #[serde(skip_serializing_if = "Option::is_none")]
    dpv: Option<&'static str>,
    /// The nearest term of ODRL 2.2.
    #[serde(skip_serializing_if = "Option::is_none")]
    odrl: Option<&'static str>,
}

pub(super) fn show(terminal: Terminal) {
    terminal.show(&words(), |words, color| table(words).render(color));
}

const fn word(list: &'static str, code: &'static str, means: &'static str) -> Word {
    Word {
        list,
        code,
        means,
        eli: None,
        clauses: Vec::new(),
        dpv: None,
        odrl: None,
    }
}

fn of_instrument(it: &Instrument) -> Word {
    let beyond = it.beyond;
    let mut clauses = vec![it.purpose_clause, it.retention_clause, beyond.onward];
    clauses.extend(
        [
            beyond.related,
            beyond.exculpatory,
            beyond.threat,
            beyond.onward_threat,
        ]
        .into_iter()
        .flatten(),
    );
    clauses.sort_unstable();
    clauses.dedup();
    Word {
        eli: it.eli,
        clauses,
        ..word("instrument", it.code, it.title)
    }
}

fn words() -> Vec<Word> {
    let instruments = INSTRUMENTS.iter().map(of_instrument);
    let purposes = Purpose::ALL.iter().map(|it| Word {
        dpv: Some(it.dpv()),
        odrl: Some(Purpose::ODRL),
        ..word("purpose", it.as_str(), it.means())
    });
    let handling = Handling::ALL
        .iter()
        .map(|it| word("handling", it.as_str(), it.means()));
    let source = Source::ALL
        .iter()
        .map(|it| word("source", it.as_str(), it.means()));
    let onward = Onward::ALL.iter().map(|it| Word {
        odrl: Some(it.odrl()),
        ..word("onward", it.as_str(), it.means())
    });
    let restrictions = Restriction::ALL.iter().map(|it| Word {
        odrl: it.odrl(),
        ..word("restriction", it.as_str(), it.means())
    });
    instruments
        .chain(purposes)
        .chain(handling)
        .chain(source)
        .chain(onward)
        .chain(restrictions)
        .collect()
}

fn table(words: &[Word]) -> Table {
    let mut table = Table::new();
    for Word {
        list, code, means, ..
    } in words
    {
        table.row([
            Cell::new(list, Tone::Dim),
            Cell::new(code, Tone::Strong),
            (*means).into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_is_there() {
        let shown = table(&words()).render(false);
        for line in [
            "instrument   EIO",
            "purpose      prosecution",
            "handling     H0",
            "source       A",
            "onward       prohibited",
            "restriction  speciality",
        ] {
            assert!(shown.contains(line), "{line} in\n{shown}");
        }
    }

    #[test]
    fn every_word_has_a_meaning() {
        for word in words() {
            assert!(word.means.len() > 5, "{word:?}");
            let iri = |it: &str| {
                it.starts_with("https://w3id.org/dpv")
                    || it.starts_with("http://www.w3.org/ns/odrl/2/")
            };
            assert!(
                word.dpv.iter().chain(&word.odrl).all(|it| iri(it)),
                "{word:?}"
            );
        }
    }
}
