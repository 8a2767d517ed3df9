//! `policy show`: the policy in force, or one that was.

use clap::Args;
use serde::Deserialize;

use crate::api::types::PolicyView;
use crate::cli::call::Call;
use crate::cli::failure::Failure;
use crate::cli::hint;
use crate::cli::text::{self, Cell, Table, Tone};

const EXAMPLES: &str = "\
Examples:
  rogatory policy show
  rogatory policy show 16388047bb41976f46b222d9ab3f7aad31444e2250cf28ee7dde2db40a3e3b8c --json";

/// Show the policy in force, or the one that a receipt names: its rules with their versions, and its parameters
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PolicyShowArgs {
    /// The digest in `pol` of a receipt [default: the policy in force]
    digest: Option<String>,
}

/// As far as people want to read it.
#[derive(Debug, Deserialize)]
struct Description {
    rules: Vec<Rule>,
    handling_max: Option<String>,
    #[serde(default)]
    keep_after_sunset: bool,
    #[serde(default)]
    need_to_know: bool,
    #[serde(default)]
    dual_control: Vec<String>,
    #[serde(default)]
    national: Vec<National>,
}

#[derive(Debug, Deserialize)]
struct National {
    name: String,
    sha256: String,
}

#[derive(Debug, Deserialize)]
struct Rule {
    id: String,
    version: u32,
}

impl PolicyShowArgs {
    pub(super) fn run(&self, call: &Call) -> Result<(), Failure> {
        let client = call.remote.client();
        let view = call.remote.call(client.policy(self.digest.as_deref()))?;
        call.terminal
            .show(&view, |view, color| table(view).render(color));
        Ok(())
    }
}

fn table(view: &PolicyView) -> Table {
    let mut table = Table::new();
    table.field("policy", Cell::new(view.pol.to_string(), Tone::Strong));
    table.field("in force", if view.in_force { "yes" } else { "no" });
    table.field("adopted", text::time(view.adopted));
    if let Some(waiting) = &view.waiting {
        let configured = format!("policy {}; {}", waiting.pol, hint::here(&waiting.message));
        table.field("configured", Cell::new(configured, Tone::Warn));
    }
    describe(&mut table, &view.description);
    table
}

/// The content of a policy's text.
pub(crate) fn describe(table: &mut Table, text: &str) {
    // What a newer daemon writes in another way is shown as it stands.
    let Ok(description) = serde_json::from_str::<Description>(text) else {
        table.field("text", text);
        return;
    };
    table.field_if("highest handling", description.handling_max);
    if description.keep_after_sunset {
        table.field("kept after use ends", "yes");
    }
    if description.need_to_know {
        table.field("need to know", "yes");
    }
    if !description.dual_control.is_empty() {
        table.field("two persons for", description.dual_control.join(", "));
    }
    for rule in description.rules {
        table.field(
            &format!("rule {}", rule.id),
            format!("version {}", rule.version),
        );
    }
    for file in description.national {
        table.field(&format!("rules in {}", file.name), file.sha256);
    }
}
