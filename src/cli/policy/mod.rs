//! `policy`: what terms can say, what is in force and what is to be, what would be decided, and whether the policy
//! decides as somebody expects.

mod adopt;
mod cases;
mod explain;
mod lint;
pub(super) mod show;
mod terms;

use clap::Subcommand;

use crate::cli::call::Call;
use crate::cli::failure::Failure;
use crate::cli::global::Global;
use crate::cli::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  rogatory policy explain 4f1c22ab --use trial
  rogatory policy test decisions.toml";

/// See what terms can say, what is in force, what would be decided and why
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum PolicyCommand {
    /// List the words that terms are made of, with their meaning and source
    #[command(after_help = terms::EXAMPLES)]
    Terms,
    Show(show::PolicyShowArgs),
    /// Have the configured policy read again, and ask a second person for it where that takes one (`policy.adopt` in
    /// `policy.dual_control` of the policy in force); it comes into force at the next start of the daemon
    #[command(after_help = adopt::EXAMPLES)]
    Adopt,
    Explain(explain::ExplainArgs),
    Test(cases::TestArgs),
    Lint(lint::LintArgs),
}

impl PolicyCommand {
    pub(crate) fn run(&self, global: &Global, terminal: Terminal) -> Result<(), Failure> {
        match self {
            Self::Terms => {
                terms::show(terminal);
                Ok(())
            }
            Self::Show(args) => args.run(&Call::new(global, terminal)?),
            Self::Adopt => adopt::run(&Call::new(global, terminal)?),
            Self::Explain(args) => args.run(&Call::new(global, terminal)?),
            Self::Test(args) => args.run(global, terminal),
            Self::Lint(args) => args.run(global, terminal),
        }
    }
}
