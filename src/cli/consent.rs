//! Consent beyond the terms: `consent`, `package ask-use` and `package ask-onward`.

use clap::{Args, Subcommand};

use crate::api::types::{AskConsent, ConsentView, GrantConsent, RefuseConsent};
use crate::base::{AuthorityId, Date};
use crate::cli::call::Call;
use crate::cli::failure::Failure;
use crate::cli::text::{self, Cell, Table, Tone};
use crate::policy::{Purpose, Restriction};

const EXAMPLES: &str = "\
Examples:
  rogatory consent list
  rogatory consent grant 3f2a9c0011d4e5b6 --until 2027-06-30 --justification 'order of 3 December'";
const LIST_EXAMPLES: &str = "\
Examples:
  rogatory consent list
  rogatory consent list --json";
const SHOW_EXAMPLES: &str = "\
Examples:
  rogatory consent show 3f2a9c0011d4e5b6
  rogatory consent show 3f2a9c0011d4e5b6 --json";
const GRANT_EXAMPLES: &str = "\
Examples:
  rogatory consent grant 3f2a9c0011d4e5b6 --until 2027-06-30 --justification 'order of 3 December'
  rogatory consent grant 3f2a9c0011d4e5b6 --until 2027-06-30 --condition confidential --justification 'for this claim alone'";
const REFUSE_EXAMPLES: &str = "\
Examples:
  rogatory consent refuse 3f2a9c0011d4e5b6 --justification 'the offence is not punishable here'
  rogatory consent refuse 3f2a9c0011d4e5b6 --justification 'not within the order' --json";
const ASK_USE_EXAMPLES: &str = "\
Examples:
  rogatory package ask-use 5f0c11aa --use civil-claim --justification 'claim of the injured party, 4 O 12/27'
  rogatory package ask-use 5f0c11aa --use civil-claim --justification 'claim of the injured party' --json";
const ASK_ONWARD_EXAMPLES: &str = "\
Examples:
  rogatory package ask-onward 5f0c11aa --to bepi.justice.example.fr --justification 'joint proceedings'
  rogatory package ask-onward 5f0c11aa --to bepi.justice.example.fr --justification 'joint proceedings' --json";

/// See and answer wishes for consent beyond the terms of packages
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum ConsentCommand {
    /// List what was asked for, here and by others, and what was answered
    #[command(after_help = LIST_EXAMPLES)]
    List,
    /// Show one wish and its answer
    #[command(after_help = SHOW_EXAMPLES)]
    Show(ConsentArgs),
    Grant(GrantArgs),
    Refuse(RefuseArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ConsentArgs {
    /// The wish: its id, or at least 8 digits of it
    id: String,
}

/// Permit what the receiver of a package asks for, for this package and until the end of a day; it is signed and told
#[derive(Debug, Args)]
#[command(after_help = GRANT_EXAMPLES)]
pub(crate) struct GrantArgs {
    /// The wish: its id, or at least 8 digits of it
    id: String,
    /// The last day of the consent
    #[arg(long, value_name = "DATE")]
    until: Date,
    /// A restriction under which it is given, as in `rogatory policy terms`; may be repeated
    #[arg(long = "condition", value_name = "RESTRICTION", value_delimiter = ',', value_parser = Restriction::parse)]
    conditions: Vec<Restriction>,
    /// Why, or what else is to be observed; the receiver reads it
    #[arg(long, value_name = "TEXT")]
    justification: String,
}

/// Do not permit what the receiver of a package asks for; it is signed and told
#[derive(Debug, Args)]
#[command(after_help = REFUSE_EXAMPLES)]
pub(crate) struct RefuseArgs {
    /// The wish: its id, or at least 8 digits of it
    id: String,
    /// Why; the receiver reads it
    #[arg(long, value_name = "TEXT")]
    justification: String,
}

/// Ask the sender of a package for its consent to a use that the terms do not name; it is signed and told
#[derive(Debug, Args)]
#[command(after_help = ASK_USE_EXAMPLES)]
pub(crate) struct AskUseArgs {
    /// The package: its id, or at least 8 digits of it
    id: String,
    /// The one purpose
    #[arg(long = "use", value_name = "PURPOSE", value_parser = Purpose::parse)]
    purpose: Purpose,
    /// Why; the sender reads it
    #[arg(long, value_name = "TEXT")]
    justification: String,
}

/// Ask the sender of a package for its consent to passing it on; it is signed and told
#[derive(Debug, Args)]
#[command(after_help = ASK_ONWARD_EXAMPLES)]
pub(crate) struct AskOnwardArgs {
    /// The package: its id, or at least 8 digits of it
    id: String,
    /// The authority that is to have it: its id, or the alias of a peer
    #[arg(long, value_name = "AUTHORITY")]
    to: String,
    /// Why; the sender reads it
    #[arg(long, value_name = "TEXT")]
    justification: String,
}

impl AskUseArgs {
    pub(crate) fn run(&self, call: &Call) -> Result<(), Failure> {
        let wish = AskConsent {
            purpose: Some(self.purpose),
            third: None,
            justification: self.justification.clone(),
        };
        ask(call, &self.id, &wish)
    }
}

impl AskOnwardArgs {
    pub(crate) fn run(&self, call: &Call) -> Result<(), Failure> {
        // An id has a dot, an alias has none.
        let third = match self.to.parse::<AuthorityId>() {
            Ok(id) => id,
            Err(_) => call.remote.call(call.remote.client().peer(&self.to))?.id,
        };
        let wish = AskConsent {
            purpose: None,
            third: Some(third),
            justification: self.justification.clone(),
        };
        ask(call, &self.id, &wish)
    }
}

fn ask(call: &Call, id: &str, wish: &AskConsent) -> Result<(), Failure> {
    let asked = call.remote.call(call.remote.client().ask(id, wish))?;
    show(call, &asked);
    Ok(())
}

fn show(call: &Call, one: &ConsentView) {
    call.terminal
        .show(one, |one, color| detail(one).render(color));
}

impl ConsentCommand {
    pub(crate) fn run(&self, call: &Call) -> Result<(), Failure> {
        let client = call.remote.client();
        let one = match self {
            Self::List => {
                let all = call.remote.call(client.consents())?;
                call.terminal
                    .show(&all, |all, color| table(all).render(color));
                return Ok(());
            }
            Self::Show(args) => call.remote.call(client.consent(&args.id))?,
            Self::Grant(args) => {
                let grant = GrantConsent {
                    until: args.until,
                    conditions: args.conditions.clone(),
                    justification: args.justification.clone(),
                };
                call.remote.call(client.grant_consent(&args.id, &grant))?
            }
            Self::Refuse(args) => {
                let refuse = RefuseConsent {
                    justification: args.justification.clone(),
                };
                call.remote.call(client.refuse_consent(&args.id, &refuse))?
            }
        };
        show(call, &one);
        Ok(())
    }
}

fn state(one: &ConsentView) -> Cell {
    let tone = match (one.state.as_str(), one.direction.as_str()) {
        ("waiting", "out") => Tone::Warn,
        ("given", _) => Tone::Good,
        _ => Tone::Plain,
    };
    Cell::new(&one.state, tone)
}

/// The use that consent is asked for, in words.
fn wish(one: &ConsentView) -> String {
    match (&one.purpose, &one.third) {
        (_, Some(third)) => format!("pass on to {third}"),
        (Some(purpose), None) => format!("use for {purpose}"),
        (None, None) => String::new(),
    }
}

fn asks(one: &ConsentView) -> String {
    if one.direction == "in" {
        format!("this authority asks {}", one.peer)
    } else {
        format!("{} asks this authority", one.peer)
    }
}

fn table(all: &[ConsentView]) -> Table {
    let mut table = Table::headed(&["wish", "state", "package", "what", "who", "until"]);
    for one in all {
        table.row([
            Cell::new(&one.id, Tone::Strong),
            state(one),
            one.package.to_string().into(),
            wish(one).into(),
            asks(one).into(),
            one.until.map_or(String::new(), |it| it.to_string()).into(),
        ]);
    }
    table
}

fn detail(one: &ConsentView) -> Table {
    let mut table = Table::new();
    table.field("wish", Cell::new(&one.id, Tone::Strong));
    table.field("state", state(one));
    table.field("package", one.package.to_string());
    table.field("what", wish(one));
    table.field(
        "who",
        format!("{}, {}", asks(one), text::time(one.asked_at)),
    );
    table.field_if("why", one.justification.as_deref());
    table.field_if("answered", one.answered_at.map(text::time));
    table.field_if("until", one.until.map(|it| it.to_string()));
    let conditions: Vec<_> = one.conditions.iter().map(|it| it.as_str()).collect();
    table.field_if(
        "conditions",
        (!conditions.is_empty()).then(|| conditions.join(", ")),
    );
    table.field_if("answer", one.answer.as_deref());
    table
}
