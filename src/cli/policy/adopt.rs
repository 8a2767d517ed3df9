//! `policy adopt`: the configured policy is to come into force.

use crate::api::types::WaitingPolicy;
use crate::cli::call::Call;
use crate::cli::failure::Failure;
use crate::cli::hint;
use crate::cli::policy::show;
use crate::cli::text::{Cell, Table, Tone};

pub(super) const EXAMPLES: &str = "\
Examples:
  rogatory policy adopt
  rogatory policy adopt --json";

pub(super) fn run(call: &Call) -> Result<(), Failure> {
    let waiting = call.remote.call(call.remote.client().adopt_policy())?;
    call.terminal
        .show(&waiting, |it, color| table(it).render(color));
    Ok(())
}

fn table(waiting: &WaitingPolicy) -> Table {
    let mut table = Table::new();
    table.field("policy", Cell::new(waiting.pol.to_string(), Tone::Strong));
    table.field("in force", format!("no: {}", hint::here(&waiting.message)));
    show::describe(&mut table, &waiting.description);
    table
}
