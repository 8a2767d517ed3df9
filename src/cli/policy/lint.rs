//! `policy lint`: are national rules well written?

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::cli::failure::Failure;
use crate::cli::global::Global;
use crate::cli::policy::cases::folder_of;
use crate::cli::terminal::{self, Terminal};
use crate::cli::text::count;
use crate::config::rules;
use crate::policy::national::RuleFault;

const EXAMPLES: &str = "\
Examples:
  rogatory policy lint config/policies
  rogatory policy lint --home ./ie --json";

/// Judge files of national rules (Cedar) by the function that the daemon calls at its start; exit code 3 if anything is
/// wrong. docs/policies.md says what a rule must have
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LintArgs {
    /// The folder with the files, whose names end with .cedar [default: policy.cedar of the configuration]
    folder: Option<PathBuf>,
}

/// A line of JSON for each fault.
#[derive(Debug, Serialize)]
struct LintLine<'a> {
    r#type: &'static str,
    #[serde(flatten)]
    fault: &'a RuleFault,
}

/// The last line of JSON.
#[derive(Debug, Serialize)]
struct Summary {
    r#type: &'static str,
    folder: PathBuf,
    rules: usize,
    ok: bool,
}

impl LintArgs {
    pub(super) fn run(&self, global: &Global, terminal: Terminal) -> Result<(), Failure> {
        let folder = match &self.folder {
            Some(folder) => folder.clone(),
            None => folder_of(global)?,
        };
        match rules::judge(&folder) {
            Ok(national) => {
                let summary = Summary {
                    r#type: "summary",
                    rules: national.count(),
                    folder,
                    ok: true,
                };
                terminal.show(&summary, |it, _| {
                    let rules = count(it.rules as u64, "rule", "rules");
                    format!("ok  {}  {rules}\n", it.folder.display())
                });
                Ok(())
            }
            Err(faults) => {
                if terminal.json() {
                    for fault in &faults {
                        let r#type = "fault";
                        terminal::value(&LintLine { r#type, fault });
                    }
                }
                Err(invalid(&folder.display().to_string(), &faults))
            }
        }
    }
}

/// Every fault as one failure, exit code 3.
pub(super) fn invalid(folder: &str, faults: &[RuleFault]) -> Failure {
    let mut text = format!(
        "{folder}: {}",
        count(faults.len() as u64, "fault", "faults")
    );
    for fault in faults {
        text.push_str("\n  ");
        text.push_str(&fault.to_string());
    }
    Failure::configuration("rules-invalid", text)
        .next("correct the rules; docs/policies.md says what one must have")
}
