//! Packages that were destroyed before the state was restored from a backup: what the ledger says of them is older than
//! that.
//!
//! Their keys and payloads are gone before the daemon serves ([`crate::store::journal`]). Nothing is signed for them:
//! the destruction was stated in the time that is lost, and the sender has the receipt.

use crate::api::server::ApiFailure;
use crate::api::types::{FaultView, Problem};
use crate::base::{Timestamp, Xid};
use crate::daemon::Daemon;

const CODE: &str = "destroyed-before-restore";
const UNSTATED: &str = "destruction-unstated";

fn text(at: Timestamp) -> String {
    format!(
        "the package was destroyed at {at}; this state was restored from an older backup, so the receipt of that is not here"
    )
}

impl Daemon {
    /// Refuses whatever needs a package that was destroyed before this state was restored.
    pub(crate) fn check_there(&self, xid: &Xid) -> Result<(), ApiFailure> {
        let Some(at) = self.station.ledger.destroyed_before(xid) else {
            return Ok(());
        };
        Err(ApiFailure::missing(CODE, text(at))
            .next("its sender has the receipt; restoring the newest state brings it back here too"))
    }

    /// Refuses whatever needs the content of a package that was made unreadable, whether that is stated or not.
    pub(crate) fn check_readable(&self, xid: &Xid) -> Result<(), ApiFailure> {
        self.check_there(xid)?;
        self.unstated_fault(xid).map_or(Ok(()), |fault| {
            Err(ApiFailure::missing(UNSTATED, fault.text)
                .next("the receipt follows; rogatory status tells what it waits for"))
        })
    }

    /// The fault shown of a package that is unreadable and not yet stated as destroyed, wherever it is listed.
    pub(crate) fn unstated_fault(&self, xid: &Xid) -> Option<FaultView> {
        let reason = self.retention.unstated_reason(xid)?;
        Some(FaultView {
            code: UNSTATED.to_owned(),
            text: format!(
                "the package could no longer be kept ({}) and was made unreadable; that is still to be stated",
                reason.code
            ),
        })
    }

    /// The words about such a package wherever it is listed.
    pub(crate) fn lost_receipt(&self, xid: &Xid) -> Option<FaultView> {
        let at = self.station.ledger.destroyed_before(xid)?;
        Some(FaultView {
            code: CODE.to_owned(),
            text: text(at),
        })
    }

    /// The notes for an operator about destructions that this state does not know, or that its journal did not.
    pub(crate) fn journal_problems(&self) -> Vec<Problem> {
        let ledger = &self.station.ledger;
        let warning = |code: &str, subject: String, message: String| Problem {
            severity: "warning".to_owned(),
            code: code.to_owned(),
            subject,
            message,
        };
        let mut problems = Vec::new();
        let unstated = self.retention.unstated_count();
        if unstated > 0 {
            let message = format!(
                "{unstated} are unreadable after their term, and not yet stated as destroyed: that follows once their senders \
                 have signed the handover and the clock is sure"
            );
            problems.push(warning(UNSTATED, "packages".to_owned(), message));
        }
        let gone = ledger.all_destroyed_before().count();
        if gone > 0 {
            let message = format!(
                "{gone} were destroyed before this state was restored from a backup: they stay unreadable, and their receipts are \
                 with their senders; restore the newest state if there is one"
            );
            problems.push(warning(CODE, "packages".to_owned(), message));
        }
        if ledger.has_new_journal() {
            let message = "the journal of destructions was missing at the start and was written anew from the ledger: if this state \
                 was restored from a backup, what was destroyed after that backup is readable again; stop the daemon, put the newest \
                 journal in its place, then start it";
            let subject = self.config.journal.display().to_string();
            problems.push(warning("journal-rebuilt", subject, message.to_owned()));
        }
        problems
    }
}
