//! `package forward`: a package that is held here goes on to a third authority.

use clap::Args;

use crate::api::types::Forward;
use crate::base::Date;
use crate::cli::call::Call;
use crate::cli::failure::Failure;
use crate::cli::package::views;
use crate::policy::{Purpose, Restriction};

const EXAMPLES: &str = "\
Examples:
  rogatory package forward 5f0c11aa --to fr --justification 'joint proceedings in Paris'
  rogatory package forward 5f0c11aa --to fr --purpose trial --retain-until 2028-12-31 --justification 'joint proceedings' --json";

/// Pass a package that is held here on to a third authority, where its sender has consented (package ask-onward)
///
/// Its key is wrapped again for that authority; the payload stays what it is. The terms become no looser, and prohibit
/// to pass it on once more. The dispatch of the first sender goes along. That sender gets a copy of the third
/// authority's receipts, and what it changes in its terms reaches the third authority, by itself.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ForwardArgs {
    /// The package: its id, or at least 8 digits of it
    id: String,
    /// The authority that is to have it: its alias or id
    #[arg(long, value_name = "PEER")]
    to: String,
    /// The purposes that remain, separated by commas [default: all]
    #[arg(long = "purpose", value_name = "P", value_delimiter = ',', value_parser = Purpose::parse)]
    purposes: Vec<Purpose>,
    /// An earlier last day on which it may be kept
    #[arg(long, value_name = "DATE")]
    retain_until: Option<Date>,
    /// An earlier last day on which it may be used
    #[arg(long, value_name = "DATE")]
    sunset: Option<Date>,
    /// Restrictions that are added, separated by commas
    #[arg(long = "restriction", value_name = "R", value_delimiter = ',', value_parser = Restriction::parse)]
    restrictions: Vec<Restriction>,
    /// Ask for a report of what is done with it
    #[arg(long)]
    use_report: bool,
    /// Why, in words; stays here
    #[arg(long, value_name = "TEXT")]
    justification: String,
}

impl ForwardArgs {
    pub(super) fn run(&self, call: &Call) -> Result<(), Failure> {
        let request = Forward {
            to: self.to.clone(),
            justification: self.justification.clone(),
            retain_until: self.retain_until,
            sunset: self.sunset,
            purposes: self.purposes.clone(),
            restrictions: self.restrictions.clone(),
            use_report: self.use_report,
        };
        let client = call.remote.client();
        let package = call.remote.call(client.forward(&self.id, &request))?;
        call.terminal.show(&package, |package, color| {
            views::list(std::slice::from_ref(package)).render(color)
        });
        Ok(())
    }
}
