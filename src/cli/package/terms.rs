//! The terms of a package, from options.

use clap::Args;

use crate::base::Date;
use crate::cli::failure::Failure;
use crate::policy::code::{Code, CodeFault};
use crate::policy::{
    Evaluation, Handling, Onward, Purpose, Restriction, Source, Terms, instrument,
};

/// The terms that bind the package; `rogatory policy terms` lists the words.
#[derive(Debug, Args)]
#[command(next_help_heading = "Terms")]
pub(super) struct TermsArgs {
    /// The legal instrument under which it is sent, for example EIO
    #[arg(long, value_name = "NAME", value_parser = instrument_code)]
    instrument: Code,
    /// Purposes that it may be used for, separated by commas
    #[arg(long = "purpose", value_name = "P", value_delimiter = ',', required = true, value_parser = Purpose::parse)]
    purposes: Vec<Purpose>,
    /// The last day on which it may be kept
    #[arg(long, value_name = "DATE")]
    retain_until: Date,
    /// The last day on which it may be used
    #[arg(long, value_name = "DATE")]
    sunset: Option<Date>,
    /// The day on which somebody has to look whether it is still needed
    #[arg(long, value_name = "DATE")]
    review: Option<Date>,
    /// Whether it may be passed on: prohibited or with-consent
    #[arg(long, value_name = "RULE", default_value = "prohibited", value_parser = Onward::parse)]
    onward: Onward,
    /// Europol handling code: H0, H1, H2 or H3
    #[arg(long, value_name = "CODE", value_parser = Handling::parse)]
    handling: Option<Handling>,
    /// Reliability of source (A, B, C, X) and information (1 to 4), for example A1
    #[arg(long, value_name = "CODE", value_parser = evaluation)]
    evaluation: Option<Evaluation>,
    /// Further restrictions, separated by commas
    #[arg(long = "restriction", value_name = "R", value_delimiter = ',', value_parser = Restriction::parse)]
    restrictions: Vec<Restriction>,
    /// The address (ELI) of the provision that is relied on
    #[arg(long, value_name = "URL")]
    legal_basis: Option<String>,
    /// Ask to be told of the use made
    #[arg(long)]
    use_report: bool,
}

impl TermsArgs {
    /// The terms, if they do not contradict themselves.
    pub(super) fn terms(&self) -> Result<Terms, Failure> {
        let purposes = self.purposes.iter().copied();
        let mut terms = Terms::new(self.instrument.clone(), purposes, self.retain_until);
        terms.sunset = self.sunset;
        terms.review = self.review;
        terms.onward = self.onward;
        terms.handling = self.handling;
        terms.evaluation = self.evaluation;
        terms.legal_basis.clone_from(&self.legal_basis);
        terms.use_report = self.use_report;
        terms.restrictions.clone_from(&self.restrictions);
        terms.restrictions.sort_unstable();
        terms.restrictions.dedup();
        match terms.check() {
            Ok(()) => Ok(terms),
            Err(fault) => Err(Failure::usage("terms-contradictory", fault.to_string())),
        }
    }
}

fn instrument_code(text: &str) -> Result<Code, CodeFault> {
    instrument::parse(text)
}

fn evaluation(text: &str) -> Result<Evaluation, String> {
    let parts = text.split_at_checked(1).and_then(|(source, information)| {
        Some((Source::parse(source).ok()?, information.parse().ok()?))
    });
    match parts {
        Some((source, information @ 1..=4)) => Ok(Evaluation {
            source,
            information,
        }),
        Some(_) | None => Err(format!(
            "{text:?} is not a source A, B, C or X followed by 1 to 4"
        )),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        terms: TermsArgs,
    }

    const BARE: &str = "x --instrument eio --purpose trial,prosecution --retain-until 2031-12-31";

    fn read(more: &str) -> Result<String, String> {
        let words = BARE.split(' ').chain(more.split_whitespace());
        let line = Line::try_parse_from(words).map_err(|e| e.to_string())?;
        let terms = line.terms.terms().map_err(|e| e.to_string())?;
        Ok(serde_json::to_string(&terms).unwrap())
    }

    #[test]
    fn options_become_terms() {
        let bare = read("").unwrap();
        assert_eq!(
            bare,
            r#"{"instrument":"EIO","onward":"prohibited","purposes":["prosecution","trial"],"retain_until":"2031-12-31","use_report":false}"#
        );
        let full = read(
            "--sunset 2030-01-01 --review 2029-01-01 --onward with-consent --handling H1 --evaluation B2 --restriction return,confidential --use-report",
        )
        .unwrap();
        for part in [
            r#""sunset":"2030-01-01""#,
            r#""review":"2029-01-01""#,
            r#""onward":"with-consent""#,
            r#""handling":"H1""#,
            r#""evaluation":{"source":"B","information":2}"#,
            r#""restrictions":["confidential","return"]"#,
            r#""use_report":true"#,
        ] {
            assert!(full.contains(part), "{part} in {full}");
        }
    }

    #[test]
    fn wrong_words_are_answered_with_the_right_ones() {
        for (more, want) in [
            ("--purpose prosecutoin", "did you mean \"prosecution\"?"),
            ("--sunset 2032-01-01", "retain_until"),
            ("--onward never", "known are"),
            ("--handling H9", "H"),
            ("--evaluation A5", "A, B, C or X followed by 1 to 4"),
            ("--evaluation É1", "A, B, C or X followed by 1 to 4"),
            ("--review 2031-02-30", "2031-02-30"),
        ] {
            let fault = read(more).unwrap_err();
            assert!(fault.contains(want), "{more}: {fault}");
        }
    }
}
