//! Reports of use: what was done with a package, from the log, without content and without persons; signed, and told to
//! its sender.

use std::collections::BTreeSet;

use crate::api::server::ApiFailure;
use crate::api::types::UseReport;
use crate::base::{Xid, limits};
use crate::daemon::Daemon;
use crate::daemon::failure::altered;
use crate::daemon::packages::chain::read;
use crate::daemon::packages::notices::Notice;
use crate::exchange::Phase;
use crate::identity::statement::Note;
use crate::receipt::{self, Kind, Signed, Used};
use crate::store::Exchange;

/// Statements read at a time.
const PAGE: u32 = 1_000;

/// The use of a package, as its statements have it.
struct Uses {
    /// The uses that no report has listed yet.
    fresh: Vec<Used>,
    /// Whether there was a report before.
    is_reported: bool,
}

impl Daemon {
    /// Reports what was done with a package since the last report; a first report may have nothing to list.
    pub(crate) async fn report(&self, xid: Xid) -> Result<UseReport, ApiFailure> {
        let row = self
            .held_here(&xid, "only a package that is held here is reported on")
            .await?;
        self.check_there(&xid)?;
        let _one_at_a_time = self.reports.lock().await;
        let uses = self.uses(&row).await?;
        if uses.fresh.is_empty() && uses.is_reported {
            let message = "nothing was done with the package since the last report";
            return Err(ApiFailure::nothing("nothing-to-report", message));
        }
        self.send_report(&row, uses.fresh).await
    }

    /// The sender of a package may have said something of it: how long it may be kept, or that it wants a report.
    pub(crate) async fn heard_of(&self, xid: Xid) {
        self.retention.touch();
        self.onward.notify_one();
        self.end_openings(xid).await;
        if let Err(e) = self.report_if_asked(xid).await {
            untold(xid, &e);
        }
    }

    /// Makes the report that the sender of a package has asked for by its newest terms, if it is still to be made, and
    /// answers the exchange as it is then; `None` if it is as it was.
    ///
    /// # Errors
    /// It cannot be made now; what is damaged is logged, and does not keep the rest from being told.
    pub(crate) async fn report_owed(&self, row: &Exchange) -> Result<Option<Exchange>, ApiFailure> {
        if !asks(row) {
            return Ok(None);
        }
        match self.report_if_asked(row.xid).await {
            Ok(true) => self.exchange(&row.xid).await.map(Some),
            Ok(false) => Ok(None),
            Err(e) if e.0.error == "ledger-altered" => {
                untold(row.xid, &e);
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }

    /// Ends openings that were permitted under terms which are not in force any more.
    async fn end_openings(&self, xid: Xid) {
        let chain = match self.exchange(&xid).await {
            Ok(row) => self.chain_of(&row).await,
            Err(e) => Err(e),
        };
        match chain {
            Ok(chain) => self.end_others(&xid, Some(chain.terms())).await,
            // Under which terms they were permitted cannot be told any more.
            Err(_) => self.end_others(&xid, None).await,
        }
    }

    /// Reports by itself where the sender has asked for it by its newest terms, and nothing answers that yet; whether
    /// it has.
    async fn report_if_asked(&self, xid: Xid) -> Result<bool, ApiFailure> {
        let row = self.exchange(&xid).await?;
        if !asks(&row) || self.check_there(&xid).is_err() {
            return Ok(false);
        }
        let _one_at_a_time = self.reports.lock().await;
        let chain = self.chain_of(&row).await?;
        let shared = &chain.shared;
        let wants = |at: usize| {
            let terms = shared.get(at).and_then(|it| it.receipt.terms.as_ref());
            terms.is_some_and(|terms| terms.use_report)
        };
        let Some(last) = shared.len().checked_sub(1).filter(|last| *last > 0) else {
            return Ok(false);
        };
        if !wants(last) || wants(last - 1) || self.is_reported(&xid, &shared[last]).await? {
            return Ok(false);
        }
        // What was opened under the terms before belongs into it, by an earlier process too.
        self.end_others(&xid, Some(chain.terms())).await;
        self.state_left_over(Some(&xid)).await?;
        let uses = self.uses(&row).await?;
        self.send_report(&row, uses.fresh).await?;
        Ok(true)
    }

    /// Whether a report follows this statement.
    async fn is_reported(&self, xid: &Xid, asked: &Signed) -> Result<bool, ApiFailure> {
        let ledger = &self.station.ledger;
        for row in ledger.statements_of(xid, &[Kind::UseReport]).await? {
            if read(&row)?.receipt.prev == Some(asked.note.text_digest()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Signs as many reports as these uses take, at least one.
    async fn send_report(&self, row: &Exchange, fresh: Vec<Used>) -> Result<UseReport, ApiFailure> {
        let mut receipts = Vec::new();
        let mut parts: Vec<_> = fresh
            .chunks(limits::USES_MAX)
            .map(<[Used]>::to_vec)
            .collect();
        if parts.is_empty() {
            parts.push(Vec::new());
        }
        for uses in parts {
            let notice = Notice {
                uses,
                ..Notice::of(Kind::UseReport)
            };
            receipts.push(self.notify(row, notice, Vec::new()).await?);
        }
        Ok(UseReport {
            id: row.xid,
            to: row.peer.clone(),
            uses: fresh,
            receipts,
        })
    }

    async fn uses(&self, row: &Exchange) -> Result<Uses, ApiFailure> {
        let (mut listed, mut is_reported) = (BTreeSet::new(), false);
        let mut all = Vec::new();
        let mut next = Some(None);
        while let Some(after) = next {
            let page = self.station.ledger.statements(&row.xid, PAGE, after).await;
            let (rows, more) = page?.into_parts();
            next = more.map(Some);
            for statement in &rows {
                let note = Note::parse(&statement.note).map_err(|_| altered("statements"))?;
                let receipt = receipt::open(&note).map_err(|_| altered("statements"))?;
                if receipt.kind == Kind::UseReport {
                    is_reported = true;
                    listed.extend(receipt.uses.iter().map(|used| used.receipt));
                } else if let Some(used) = Used::of(&receipt, &note) {
                    all.push(used);
                }
            }
        }
        all.retain(|used| !listed.contains(&used.receipt));
        Ok(Uses {
            fresh: all,
            is_reported,
        })
    }
}

/// Whether the sender of this package, which is held here, asks for reports by its newest terms.
fn asks(row: &Exchange) -> bool {
    row.phase == Phase::Held && row.terms_now().is_some_and(|terms| terms.use_report)
}

fn untold(xid: Xid, e: &ApiFailure) {
    tracing::error!(%xid, "the sender asks what was done with its package, and cannot be told: {}", e.0.message);
}
