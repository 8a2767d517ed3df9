//! Cases and their teams: who needs to know. The team of a case is kept here alone; no peer learns of it.

use serde::{Deserialize, Serialize};

use crate::api::accounts::Accounts;
use crate::api::server::{ApiFailure, Caller};
use crate::api::types::CaseView;
use crate::base::{AuthorityId, Digest, Page, Timestamp, Xid};
use crate::config::Holder;
use crate::daemon::Daemon;
use crate::daemon::page::Part;
use crate::daemon::people::roles;
use crate::exchange::Direction;
use crate::policy::facts::Team;
use crate::store::Exchange;

/// A stored team.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// The account or group, as in `[roles]`.
    team: String,
    /// Who assigned it.
    by: String,
    /// When.
    at: Timestamp,
}

/// A case is named by the authority that sends its packages, in words of its own.
fn key(peer: &AuthorityId, case: &str) -> String {
    format!("team/{peer}/{}", Digest::of(case.as_bytes()))
}

fn view(peer: AuthorityId, case: String, packages: Option<u64>, kept: Option<Kept>) -> CaseView {
    let (team, by, at) = match kept {
        Some(kept) => (Some(kept.team), Some(kept.by), Some(kept.at)),
        None => (None, None, None),
    };
    CaseView {
        peer,
        case,
        packages,
        team,
        by,
        at,
    }
}

impl Daemon {
    /// How this caller stands to the team of the package's case.
    pub(crate) async fn team_of(
        &self,
        exchange: &Exchange,
        caller: &Caller,
    ) -> Result<Option<Team>, ApiFailure> {
        let Some(case) = &exchange.case_ref else {
            return Ok(None);
        };
        let kept = self.kept_team(&exchange.peer, case).await?;
        let holder = kept.and_then(|kept| kept.team.parse::<Holder>().ok());
        Ok(holder.map(|holder| {
            if roles::is_held(&holder, Accounts::remembered(), caller) {
                Team::Member
            } else {
                Team::Other
            }
        }))
    }

    /// Gives the case of this package to a team, in place of the one that it had.
    pub(crate) async fn assign(
        &self,
        caller: &Caller,
        xid: Xid,
        team: &Holder,
    ) -> Result<CaseView, ApiFailure> {
        let exchange = self.exchange(&xid).await?;
        let case = exchange.case_ref.clone().ok_or_else(|| {
            ApiFailure::usage("no-case", "the sender has named no case for this package")
        })?;
        if exchange.direction == Direction::Out {
            let message = "this authority sent the package; what others hold is for their teams";
            return Err(ApiFailure::usage("not-recipient", message));
        }
        if roles::is_unknown(team, Accounts::remembered()) {
            let text = format!("this system did not know {team} when the daemon started");
            return Err(ApiFailure::usage("team-unknown", text)
                .next("correct it, or name it by number: uid:N or gid:N"));
        }
        let kept = Kept {
            team: team.to_string(),
            by: caller.actor(),
            at: self.station.clock(),
        };
        self.order("team", key(&exchange.peer, &case), &kept)
            .await?;
        tracing::info!(by = %kept.by, team = %kept.team, peer = %exchange.peer, "a case has a new team");
        Ok(view(exchange.peer, case, None, Some(kept)))
    }

    /// A page of the cases of packages that came, with their teams.
    pub(crate) async fn cases(&self, part: Part) -> Result<Page<CaseView>, ApiFailure> {
        let page = self.station.ledger.cases(part.limit, part.after).await;
        let (rows, more) = page?.into_parts();
        let mut cases = Vec::with_capacity(rows.len());
        for row in rows {
            let kept = self.kept_team(&row.peer, &row.case).await?;
            cases.push(view(row.peer, row.case, Some(row.packages), kept));
        }
        Ok(Page::new(cases, more))
    }

    async fn kept_team(&self, peer: &AuthorityId, case: &str) -> Result<Option<Kept>, ApiFailure> {
        self.ordered(&key(peer, case), "team of a case").await
    }
}
