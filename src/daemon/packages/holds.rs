//! Holds: what a proceeding still needs is not destroyed, whatever its terms say, until a day that somebody answers
//! for.

use serde::{Deserialize, Serialize};

use crate::api::server::ApiFailure;
use crate::api::types::{HoldRequest, HoldView};
use crate::base::{Date, Timestamp, Xid, limits};
use crate::daemon::Daemon;

/// A stored hold.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// The last day.
    until: Date,
    /// Who ordered it.
    authority: String,
    /// Why.
    reason: String,
    /// Who entered it, or who released it.
    by: String,
    /// When.
    at: Timestamp,
    /// Whether it was released.
    released: bool,
}

fn key(xid: &Xid) -> String {
    format!("hold/{xid}")
}

impl Daemon {
    /// The hold on a package, if there is one that was not released; its last day may be over.
    pub(crate) async fn hold_of(&self, xid: &Xid) -> Result<Option<HoldView>, ApiFailure> {
        let kept: Option<Kept> = self.ordered(&key(xid), "hold on a package").await?;
        Ok(kept.filter(|kept| !kept.released).map(|kept| HoldView {
            until: kept.until,
            authority: kept.authority,
            reason: kept.reason,
            by: kept.by,
            at: kept.at,
        }))
    }

    /// Holds a package until the end of a day, in place of the hold that there was.
    pub(crate) async fn hold(
        &self,
        actor: &str,
        xid: Xid,
        wish: &HoldRequest,
    ) -> Result<HoldView, ApiFailure> {
        // Nothing is destroyed while it is being held.
        let _one_at_a_time = self.access.lock().await;
        self.held_here(
            &xid,
            "only a package that is held here can be kept from destruction",
        )
        .await?;
        self.check_there(&xid)?;
        if wish.until.end_of_day() < self.station.clock() {
            let message = format!("{} is past: name the last day of the hold", wish.until);
            return Err(ApiFailure::usage("hold-past", message));
        }
        for (what, text) in [("authority", &wish.authority), ("reason", &wish.reason)] {
            if text.trim().is_empty() || text.len() > limits::TEXT_BYTES_MAX {
                let message = format!("{what} needs 1 to {} bytes", limits::TEXT_BYTES_MAX);
                return Err(ApiFailure::usage("bad-hold", message));
            }
        }
        let kept = Kept {
            until: wish.until,
            authority: wish.authority.clone(),
            reason: wish.reason.clone(),
            by: actor.to_owned(),
            at: self.station.clock(),
            released: false,
        };
        self.keep_hold("hold", &xid, &kept).await?;
        tracing::info!(%xid, by = %kept.by, until = %kept.until, "a package is held");
        self.hold_of(&xid)
            .await?
            .ok_or_else(|| ApiFailure::failed("internal", "the hold is not there"))
    }

    /// Ends the hold on a package.
    pub(crate) async fn release(&self, actor: &str, xid: Xid) -> Result<HoldView, ApiFailure> {
        let _one_at_a_time = self.access.lock().await;
        let hold = self
            .hold_of(&xid)
            .await?
            .ok_or_else(|| ApiFailure::nothing("no-hold", "there is no hold on this package"))?;
        let kept = Kept {
            until: hold.until,
            authority: hold.authority.clone(),
            reason: hold.reason.clone(),
            by: actor.to_owned(),
            at: self.station.clock(),
            released: true,
        };
        self.keep_hold("release", &xid, &kept).await?;
        tracing::info!(%xid, by = %kept.by, "a hold was released");
        Ok(hold)
    }

    async fn keep_hold(&self, order: &str, xid: &Xid, kept: &Kept) -> Result<(), ApiFailure> {
        self.order(order, key(xid), kept).await?;
        self.retention.touch();
        Ok(())
    }
}
