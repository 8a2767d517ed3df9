//! Reviews: somebody looks whether a package is still needed here, as its terms may ask for by a day.

use serde::{Deserialize, Serialize};

use crate::api::server::ApiFailure;
use crate::api::types::{ReviewRequest, ReviewView};
use crate::base::{Date, Timestamp, Xid};
use crate::daemon::Daemon;
use crate::daemon::packages::wish::check_justification;

/// The stored form of the newest review.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// Why it is still needed.
    justification: String,
    /// Who found so.
    by: String,
    /// When.
    at: Timestamp,
}

fn key(xid: &Xid) -> String {
    format!("review/{xid}")
}

impl Daemon {
    /// The newest review of a package, if there is one.
    pub(crate) async fn review_of(&self, xid: &Xid) -> Result<Option<ReviewView>, ApiFailure> {
        let kept: Option<Kept> = self.ordered(&key(xid), "review of a package").await?;
        Ok(kept.map(|kept| ReviewView {
            justification: kept.justification,
            by: kept.by,
            at: kept.at,
        }))
    }

    /// The day of the newest review, UTC.
    pub(crate) async fn reviewed(&self, xid: &Xid) -> Result<Option<Date>, ApiFailure> {
        Ok(self.review_of(xid).await?.map(|review| review.at.date()))
    }

    /// Records that somebody looked, and found that the package is still needed here.
    pub(crate) async fn review(
        &self,
        actor: &str,
        xid: Xid,
        wish: &ReviewRequest,
    ) -> Result<ReviewView, ApiFailure> {
        check_justification(&wish.justification)?;
        let _one_at_a_time = self.access.lock().await;
        self.held_here(&xid, "only a package that is held here can be reviewed")
            .await?;
        self.check_there(&xid)?;
        let kept = Kept {
            justification: wish.justification.trim().to_owned(),
            by: actor.to_owned(),
            at: self.station.clock(),
        };
        self.order("review", key(&xid), &kept).await?;
        self.retention.touch();
        tracing::info!(%xid, by = %kept.by, "a package was reviewed, and is still needed");
        Ok(ReviewView {
            justification: kept.justification,
            by: kept.by,
            at: kept.at,
        })
    }
}
