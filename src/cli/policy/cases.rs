//! `policy test`: does the policy decide as a table of cases expects?

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use crate::cli::check::invalid;
use crate::cli::failure::Failure;
use crate::cli::global::Global;
use crate::cli::input::read_limited;
use crate::cli::policy::lint;
use crate::cli::remote;
use crate::cli::terminal::{self, Terminal};
use crate::cli::text::count;
use crate::config::{Config, rules};
use crate::policy::table::{Case, DecisionTable, Judged, Outcome};
use crate::policy::{PolicySet, ReasonCode};

/// Bytes of a table.
const TABLE_BYTES_MAX: usize = 4 << 20;

const EXAMPLES: &str = "\
Examples:
  rogatory policy test decisions.toml
  rogatory policy test decisions.toml --home ./ie --json";

/// Judge the cases of a table by the policy of the configuration (the built-in one where there is none); exit code 1
/// where one is decided otherwise than expected. A table is TOML: named terms, and cases with their facts and the
/// decision that is expected; docs/legal-model.md shows one
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TestArgs {
    /// The table
    file: PathBuf,
    /// National rules in place of those that the configuration names
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
}

/// A case that was decided otherwise.
#[derive(Debug, Serialize)]
struct Differs<'a> {
    r#type: &'static str,
    case: usize,
    terms: &'a str,
    action: &'a str,
    expected: Outcome,
    #[serde(flatten)]
    got: Judged,
}

/// The last line of JSON.
#[derive(Debug, Serialize)]
struct Summary {
    r#type: &'static str,
    cases: usize,
    as_expected: usize,
    policy: crate::base::Digest,
}

impl TestArgs {
    pub(super) fn run(&self, global: &Global, terminal: Terminal) -> Result<(), Failure> {
        let table = self.read()?;
        let mut set = policy_of(global)?;
        if let Some(folder) = &self.rules {
            let national = rules::judge(folder)
                .map_err(|faults| lint::invalid(&folder.display().to_string(), &faults))?;
            set = set.restricted_by(Some(Arc::new(national)));
        }
        let mut as_expected = 0;
        for (at, case) in table.cases.iter().enumerate() {
            let judged = case
                .judge(&table, &set)
                .map_err(|fault| self.invalid(&format!("case {}: {fault}", at + 1)))?;
            if case.is_met(&judged) {
                as_expected += 1;
            } else {
                differs(at + 1, case, judged, terminal);
            }
        }
        let summary = Summary {
            r#type: "summary",
            cases: table.cases.len(),
            as_expected,
            policy: set.digest(),
        };
        let cases = summary.cases;
        terminal.show(&summary, |_, _| {
            let cases = count(cases as u64, "case", "cases");
            format!("{as_expected} of {cases} decided as expected\n")
        });
        if as_expected == cases {
            return Ok(());
        }
        let text = format!(
            "{} decided otherwise than expected",
            count((cases - as_expected) as u64, "case is", "cases are")
        );
        Err(Failure::failed("decided-otherwise", text).next("correct the table, or the policy"))
    }

    fn read(&self) -> Result<DecisionTable, Failure> {
        let bytes = read_limited(&self.file, TABLE_BYTES_MAX)?;
        let text = String::from_utf8(bytes).map_err(|e| self.invalid(&e.to_string()))?;
        let table: DecisionTable =
            toml::from_str(&text).map_err(|e| self.invalid(&e.to_string()))?;
        if table.cases.is_empty() {
            return Err(self.invalid("it has no cases"));
        }
        Ok(table)
    }

    fn invalid(&self, why: &str) -> Failure {
        let text = format!("{}: {}", self.file.display(), why.trim_end());
        Failure::usage("bad-table", text)
    }
}

/// The policy of the configuration, the built-in one where there is no configuration.
fn policy_of(global: &Global) -> Result<PolicySet, Failure> {
    let home = remote::home(global);
    if !home.config.exists() {
        return Ok(PolicySet::new(None));
    }
    let config = Config::load(&home.config, remote::environment())
        .map_err(|faults| invalid(&home, &faults))?;
    Ok(config.policy())
}

/// The folder of the national rules that the configuration names.
pub(super) fn folder_of(global: &Global) -> Result<PathBuf, Failure> {
    let home = remote::home(global);
    let config = Config::load(&home.config, remote::environment())
        .map_err(|faults| invalid(&home, &faults))?;
    config.cedar.ok_or_else(|| {
        let text = "the configuration names no folder of national rules (policy.cedar)";
        Failure::usage("no-rules", text).next("name one: rogatory policy lint DIR")
    })
}

fn differs(number: usize, case: &Case, got: Judged, terminal: Terminal) {
    if terminal.json() {
        terminal::value(&Differs {
            r#type: "differs",
            case: number,
            terms: &case.terms,
            action: case.action.as_str(),
            expected: case.decision,
            got,
        });
        return;
    }
    let reason = got.reason.map(|it| format!(", {it}")).unwrap_or_default();
    let clause = got.clause.map(|it| format!(", {it}")).unwrap_or_default();
    let of = |it: Option<&str>| it.map(|it| format!(", {it}")).unwrap_or_default();
    terminal.line(&format!(
        "case {number} ({} under {}, {}): expected {}{}{}{}, got {}, {}{reason}{clause}",
        case.action,
        case.terms,
        case.on,
        case.decision,
        of(case.rule.as_deref()),
        of(case.reason.map(ReasonCode::as_str)),
        of(case.clause.as_deref()),
        got.decision,
        got.rule,
    ));
}
