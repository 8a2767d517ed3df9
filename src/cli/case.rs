//! `case`: which team a case belongs to.

use clap::{Args, Subcommand};

use crate::api::types::{AssignTeam, CaseView};
use crate::cli::call::Call;
use crate::cli::failure::Failure;
use crate::cli::text::{Cell, Table, Tone};
use crate::config::Holder;

const EXAMPLES: &str = "\
Examples:
  rogatory case list
  rogatory case assign 4f1c22ab --team group:fraud-team";
const LIST_EXAMPLES: &str = "\
Examples:
  rogatory case list
  rogatory case list --json";
const ASSIGN_EXAMPLES: &str = "\
Examples:
  rogatory case assign 4f1c22ab --team group:fraud-team
  rogatory case assign 4f1c22ab --team user:a.murphy --json";

/// See and set who needs to know: the teams of cases
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum CaseCommand {
    /// List the cases of packages that came, with their teams
    #[command(after_help = LIST_EXAMPLES)]
    List,
    Assign(AssignArgs),
}

/// Give the case of a package to a team: all packages of that sender and case, those to come too
#[derive(Debug, Args)]
#[command(after_help = ASSIGN_EXAMPLES)]
pub(crate) struct AssignArgs {
    /// A package of the case: its id, or at least 8 digits of it
    id: String,
    /// An account or group of this system: user:NAME, uid:N, group:NAME, gid:N
    #[arg(long, value_name = "TEAM")]
    team: Holder,
}

impl CaseCommand {
    pub(crate) fn run(&self, call: &Call) -> Result<(), Failure> {
        let client = call.remote.client();
        match self {
            Self::List => {
                let mut cases = call.remote.call(client.cases())?;
                cases.sort_by(|a, b| (&a.peer, &a.case).cmp(&(&b.peer, &b.case)));
                call.terminal
                    .show(&cases, |cases, color| table(cases).render(color));
            }
            Self::Assign(args) => {
                let team = AssignTeam {
                    team: args.team.to_string(),
                };
                let case = call.remote.call(client.assign_team(&args.id, &team))?;
                call.terminal.show(&case, |case, color| {
                    table(std::slice::from_ref(case)).render(color)
                });
            }
        }
        Ok(())
    }
}

fn table(cases: &[CaseView]) -> Table {
    let mut table = Table::headed(&["from", "case", "packages", "team"]);
    for case in cases {
        let team = match &case.team {
            Some(team) => Cell::new(team, Tone::Strong),
            None => Cell::new("none", Tone::Warn),
        };
        table.row([
            case.peer.to_string().into(),
            case.case.as_str().into(),
            case.packages
                .map(|it| it.to_string())
                .unwrap_or_default()
                .into(),
            team,
        ]);
    }
    table
}
