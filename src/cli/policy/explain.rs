//! `policy explain`: what opening a package for a purpose would be answered, and what each rule says.

use clap::Args;

use crate::api::types::Explanation;
use crate::cli::call::Call;
use crate::cli::failure::Failure;
use crate::cli::text::{Cell, Table, Tone};
use crate::policy::table::Outcome;
use crate::policy::{Purpose, ReasonCode, Role, Roles};

const EXAMPLES: &str = "\
Examples:
  rogatory policy explain 4f1c22ab --use trial --as auditor
  rogatory policy explain 4f1c22ab --use civil-claim --related --json";

/// Say what opening a package for a purpose would be answered now, and why; nothing is opened, nothing is signed
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExplainArgs {
    /// The package: its id, or at least 8 digits of it
    id: String,
    /// The purpose
    #[arg(long = "use", value_name = "P", value_parser = Purpose::parse)]
    purpose: Purpose,
    /// As if the proceedings were declared to be directly related to those of the request
    #[arg(long)]
    related: bool,
    /// As if asked by somebody with this role alone
    #[arg(long = "as", value_name = "ROLE", value_parser = Role::parse)]
    role: Option<Role>,
}

impl ExplainArgs {
    pub(super) fn run(&self, call: &Call) -> Result<(), Failure> {
        let client = call.remote.client();
        let asked = client.explain(&self.id, self.purpose, self.related, self.role);
        let explanation = call.remote.call(asked)?;
        call.terminal
            .show(&explanation, |it, color| text(it).render(color));
        Ok(())
    }
}

fn text(it: &Explanation) -> Table {
    let mut table = Table::new();
    let judged = &it.judged;
    let tone = match judged.decision {
        Outcome::Permit => Tone::Good,
        Outcome::Deny => Tone::Bad,
    };
    table.field("decision", Cell::new(judged.decision.as_str(), tone));
    table.field("rule", judged.rule.as_str());
    table.field_if("term", judged.term.as_deref());
    table.field_if("reason", judged.reason.map(ReasonCode::as_str));
    table.field_if("clause", judged.clause.as_deref());
    table.field_if("means", judged.text.as_deref());
    table.field("package", it.id.to_string());
    table.field("from", it.from.to_string());
    table.field("asked by", it.actor.as_str());
    let roles: Roles = it.roles.iter().copied().collect();
    table.field("roles", roles.to_string());
    table.field("for", it.purpose.as_str());
    if it.related {
        table.field("declared", "directly related proceedings");
    }
    table.field("at", it.at.to_string());
    table.field("instrument", it.terms.instrument.to_string());
    table.field("permitted use", it.terms.purposes_text());
    table.field("keep until", it.terms.retain_until.to_string());
    table.field_if("use until", it.terms.sunset.map(|day| day.to_string()));
    table.field_if("handling", it.terms.handling.map(|code| code.to_string()));
    let restrictions: Vec<_> = it.terms.restrictions.iter().map(|r| r.as_str()).collect();
    table.field_if(
        "restrictions",
        (!restrictions.is_empty()).then(|| restrictions.join(", ")),
    );
    for item in &it.items {
        let judged = &item.judged;
        let mut words = judged.decision.as_str().to_owned();
        if let Some(text) = &judged.text {
            words.push_str(": ");
            words.push_str(text);
        }
        table.field(&format!("item {}", item.path), words);
    }
    for said in &it.rules {
        let mut words = said.says.clone();
        for more in [&said.reason, &said.clause].into_iter().flatten() {
            words.push_str(", ");
            words.push_str(more);
        }
        table.field(&format!("rule {}", said.rule), words);
    }
    table
}
