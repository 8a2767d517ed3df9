//! How long packages are kept: `package hold`, `release`, `purge`, `restrict`, `withdraw` and `report`.

use clap::Args;
use serde::Serialize;

use crate::api::types::{
    DestroyRequest, Destruction, HoldRequest, PackageView, Restrict, ReviewRequest,
};
use crate::base::Date;
use crate::cli::call::Call;
use crate::cli::failure::Failure;
use crate::cli::package::views;
use crate::cli::terminal;
use crate::cli::text::{Cell, Table, Tone};
use crate::policy::{Purpose, Restriction};

const HOLD_EXAMPLES: &str = "\
Examples:
  rogatory package hold 5f0c11aa --until 2033-06-30 --authority 'Landgericht Köln' --reason 'appeal 4 Ns 17/31'
  rogatory package hold 5f0c11aa --until 2033-06-30 --authority 'Landgericht Köln' --reason 'appeal' --json";
const REVIEW_EXAMPLES: &str = "\
Examples:
  rogatory package review 5f0c11aa --justification 'appeal pending until spring'
  rogatory package review 5f0c11aa --justification 'appeal pending until spring' --json";
const PURGE_EXAMPLES: &str = "\
Examples:
  rogatory package purge --due --dry-run
  rogatory package purge 5f0c11aa --justification 'sent to us by mistake' --yes";
const RESTRICT_EXAMPLES: &str = "\
Examples:
  rogatory package restrict 5f0c11aa --retain-until 2028-12-31 --justification 'proceedings closed'
  rogatory package restrict 5f0c11aa --restriction return --no-onward --justification 'order of 3 December'";
const WITHDRAW_EXAMPLES: &str = "\
Examples:
  rogatory package withdraw 5f0c11aa --justification 'the order was annulled'
  rogatory package withdraw 5f0c11aa --justification 'the order was annulled' --json";

/// Keep a package from being destroyed until the end of a day, whatever its terms say; it can still not be opened after
/// its term
#[derive(Debug, Args)]
#[command(after_help = HOLD_EXAMPLES)]
pub(crate) struct HoldArgs {
    /// The package: its id, or at least 8 digits of it
    id: String,
    /// The last day of the hold
    #[arg(long, value_name = "DATE")]
    until: Date,
    /// Who ordered it: a court, a prosecutor's office
    #[arg(long, value_name = "NAME")]
    authority: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Record that somebody looked whether a package is still needed here, and that it is
///
/// Where its terms name a day for that, it is not opened, exported or passed on after that day until this was recorded
/// on it or later. What is not needed any more is destroyed instead: rogatory package purge.
#[derive(Debug, Args)]
#[command(after_help = REVIEW_EXAMPLES)]
pub(crate) struct ReviewArgs {
    /// The package: its id, or at least 8 digits of it
    id: String,
    /// Why it is still needed; stays here
    #[arg(long, value_name = "TEXT")]
    justification: String,
}

/// Destroy packages that are held here, for good; their senders get receipts, and sign them too
///
/// The key of the package's header is overwritten and its payload removed. What was opened or exported before is not
/// reached by this: the receipt attests the copies of this daemon.
#[derive(Debug, Args)]
#[command(after_help = PURGE_EXAMPLES)]
pub(crate) struct PurgeArgs {
    /// The packages: ids, or at least 8 digits of each
    #[arg(required_unless_present = "due")]
    ids: Vec<String>,
    /// All that may no longer be kept
    #[arg(long, conflicts_with = "ids")]
    due: bool,
    /// Why, in words; stays here
    #[arg(long, value_name = "TEXT", required_unless_present_any = ["due", "dry_run"])]
    justification: Option<String>,
    /// Only show what would be destroyed
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Bind a package that its receiver holds by stricter terms; they reach it by themselves. Terms never become looser
#[derive(Debug, Args)]
#[command(after_help = RESTRICT_EXAMPLES)]
pub(crate) struct RestrictArgs {
    /// The package: its id, or at least 8 digits of it
    id: String,
    /// An earlier last day on which it may be kept
    #[arg(long, value_name = "DATE")]
    retain_until: Option<Date>,
    /// An earlier last day on which it may be used
    #[arg(long, value_name = "DATE")]
    sunset: Option<Date>,
    /// A day on which somebody has to look whether it is still needed, or an earlier one
    #[arg(long, value_name = "DATE")]
    review: Option<Date>,
    /// The purposes that remain, separated by commas
    #[arg(long = "purpose", value_name = "P", value_delimiter = ',', value_parser = Purpose::parse)]
    purposes: Vec<Purpose>,
    /// Restrictions that are added, separated by commas
    #[arg(long = "restriction", value_name = "R", value_delimiter = ',', value_parser = Restriction::parse)]
    restrictions: Vec<Restriction>,
    /// Ask for a report of what was done with it, now and when it is destroyed
    #[arg(long)]
    use_report: bool,
    /// Prohibit to pass it on
    #[arg(long)]
    no_onward: bool,
    /// Why, in words; stays here
    #[arg(long, value_name = "TEXT")]
    justification: String,
}

/// Take a package back: one that is not received yet is not sent any more; one that is held may be kept no longer
#[derive(Debug, Args)]
#[command(after_help = WITHDRAW_EXAMPLES)]
pub(crate) struct WithdrawArgs {
    /// The package: its id, or at least 8 digits of it
    id: String,
    /// Why, in words; stays here
    #[arg(long, value_name = "TEXT")]
    justification: String,
}

/// The end of one package.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Purged {
    /// It was, or would be, destroyed.
    Destroyed(Destruction),
    /// It is still there.
    Kept {
        /// As it was named.
        id: String,
        /// Why it was not, or would not be, destroyed.
        refused: String,
    },
}

impl HoldArgs {
    pub(super) fn run(&self, call: &Call) -> Result<(), Failure> {
        let request = HoldRequest {
            until: self.until,
            authority: self.authority.clone(),
            reason: self.reason.clone(),
        };
        let hold = call
            .remote
            .call(call.remote.client().hold(&self.id, &request))?;
        call.terminal.show(&hold, |hold, _| {
            format!(
                "{} is not destroyed before {} is over\n",
                self.id, hold.until
            )
        });
        Ok(())
    }
}

impl ReviewArgs {
    pub(super) fn run(&self, call: &Call) -> Result<(), Failure> {
        let request = ReviewRequest {
            justification: self.justification.clone(),
        };
        let review = call
            .remote
            .call(call.remote.client().review(&self.id, &request))?;
        call.terminal.show(&review, |review, _| {
            format!("{}: reviewed on {}\n", self.id, review.at.date())
        });
        Ok(())
    }
}

/// Ends the hold on a package.
pub(super) fn release(id: &str, call: &Call) -> Result<(), Failure> {
    let hold = call.remote.call(call.remote.client().release(id))?;
    call.terminal.show(&hold, |hold, _| {
        format!("released: the hold until {} on {id} is over\n", hold.until)
    });
    Ok(())
}

impl PurgeArgs {
    pub(super) fn run(&self, call: &Call) -> Result<(), Failure> {
        let ids = self.ids(call)?;
        if ids.is_empty() {
            return Err(Failure::nothing(
                "nothing-due",
                "nothing is due for destruction",
            ));
        }
        if !self.dry_run {
            self.confirm(ids.len())?;
        }
        let (mut purged, mut first) = (Vec::new(), None);
        for id in ids {
            match self.one(call, &id) {
                Ok(destroyed) => purged.push(Purged::Destroyed(destroyed)),
                Err(failure) => {
                    let refused = failure.message.clone();
                    purged.push(Purged::Kept { id, refused });
                    first.get_or_insert(failure);
                }
            }
        }
        call.terminal
            .show(&purged, |purged, color| self.table(purged).render(color));
        first.map_or(Ok(()), Err)
    }

    fn ids(&self, call: &Call) -> Result<Vec<String>, Failure> {
        if !self.due {
            return Ok(self.ids.clone());
        }
        let due = call.remote.call(call.remote.client().due())?;
        Ok(due.iter().map(|it| it.package.id.to_string()).collect())
    }

    fn confirm(&self, count: usize) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        let unconfirmed = |text: &str| Failure::usage("unconfirmed", text);
        if !terminal::can_ask() {
            return Err(unconfirmed(
                "destruction is for good: give --yes, or run this on a terminal",
            ));
        }
        let question = format!("Destroy {count} packages for good? Type yes:");
        let answer = terminal::ask(&question)
            .map_err(|e| Failure::failed("no-answer", format!("the answer cannot be read: {e}")))?;
        if answer.eq_ignore_ascii_case("yes") {
            Ok(())
        } else {
            Err(unconfirmed("nothing was destroyed"))
        }
    }

    fn one(&self, call: &Call, id: &str) -> Result<Destruction, Failure> {
        let justification = self.justification.as_deref();
        let request = DestroyRequest {
            justification: justification.unwrap_or("its time is over").to_owned(),
            dry_run: self.dry_run,
        };
        call.remote.call(call.remote.client().destroy(id, &request))
    }

    fn table(&self, purged: &[Purged]) -> Table {
        let mut table = Table::headed(&["package", "from", "", "reason"]);
        let done = if self.dry_run {
            "would be destroyed"
        } else {
            "destroyed"
        };
        for one in purged {
            let (id, from, what, reason) = match one {
                Purged::Destroyed(it) => (
                    it.id.to_string(),
                    it.peer.to_string(),
                    Cell::new(done, Tone::Good),
                    it.reason.clone(),
                ),
                Purged::Kept { id, refused } => (
                    id.clone(),
                    String::new(),
                    Cell::new("kept", Tone::Warn),
                    refused.clone(),
                ),
            };
            table.row([
                Cell::new(id, Tone::Strong),
                from.into(),
                what,
                reason.into(),
            ]);
        }
        table
    }
}

impl RestrictArgs {
    pub(super) fn run(&self, call: &Call) -> Result<(), Failure> {
        let wish = Restrict {
            justification: self.justification.clone(),
            withdraw: false,
            retain_until: self.retain_until,
            sunset: self.sunset,
            review: self.review,
            purposes: self.purposes.clone(),
            restrictions: self.restrictions.clone(),
            use_report: self.use_report,
            no_onward: self.no_onward,
        };
        restrict(call, &self.id, &wish)
    }
}

impl WithdrawArgs {
    pub(super) fn run(&self, call: &Call) -> Result<(), Failure> {
        let wish = Restrict {
            justification: self.justification.clone(),
            withdraw: true,
            retain_until: None,
            sunset: None,
            review: None,
            purposes: Vec::new(),
            restrictions: Vec::new(),
            use_report: false,
            no_onward: false,
        };
        restrict(call, &self.id, &wish)
    }
}

fn restrict(call: &Call, id: &str, wish: &Restrict) -> Result<(), Failure> {
    let package = call.remote.call(call.remote.client().restrict(id, wish))?;
    call.terminal.show(&package, |package, color| {
        views::list(std::slice::from_ref::<PackageView>(package)).render(color)
    });
    Ok(())
}

/// Reports to the sender of a package what was done with it.
pub(super) fn report(id: &str, call: &Call) -> Result<(), Failure> {
    let report = call.remote.call(call.remote.client().report(id))?;
    call.terminal.show(&report, |report, color| {
        let mut table = Table::headed(&["time", "what", "for", "reason"]);
        for used in &report.uses {
            table.row([
                used.at.into(),
                used.kind.as_str().into(),
                used.purpose.map_or("", Purpose::as_str).into(),
                used.reason.as_ref().map_or("", |it| it.as_str()).into(),
            ]);
        }
        format!("{} is told:\n{}", report.to, table.render(color))
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_named_once() {
        let destroyed = serde_json::json!({
            "id": "00112233445566778899aabbccddeeff", "peer": "mla.example.ie", "reason": "retention-ended", "clause": "terms",
        });
        let destroyed = Purged::Destroyed(serde_json::from_value(destroyed).unwrap());
        let kept = Purged::Kept {
            id: "5f0c11aa".to_owned(),
            refused: "on hold".to_owned(),
        };
        for one in [destroyed, kept] {
            let line = serde_json::to_string(&one).unwrap();
            assert_eq!(line.matches(r#""id":"#).count(), 1, "{line}");
        }
    }
}
