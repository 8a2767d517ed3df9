//! Duties that follow from passing on, and are done without a person: the first sender gets a copy of what the third
//! authority has signed, and what it changes in its terms reaches the third authority. Whatever is missing is done at
//! the next look, after a kill too.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::api::server::ApiFailure;
use crate::api::types::{OnwardView, Restrict};
use crate::base::{Page, Timestamp, Xid};
use crate::daemon::Daemon;
use crate::daemon::failure::altered;
use crate::daemon::packages::chain::read;
use crate::daemon::packages::notices::Notice;
use crate::daemon::packages::onward::{self, Pair, must_follow};
use crate::daemon::page::Part;
use crate::daemon::process::run_state::draining;
use crate::exchange::{Chain, Phase};
use crate::policy::Terms;
use crate::receipt::{self, Disclosure, Kind, Signed, disclosure};
use crate::seal;
use crate::store::{self, Exchange, StatementRow};

/// How often everything is looked at that was passed on, whatever was heard.
const LOOK_EVERY: Duration = Duration::from_hours(1);
/// How soon everything is looked at again if something could not be done; twice as late after each time.
const LOOK_AGAIN: Duration = Duration::from_secs(15);
/// The kinds of statement that a third authority has signed of what was passed on, once both have.
const FINAL: &[Kind] = &[Kind::Handover, Kind::Destroyed];
/// The kind of statement that says that a package was passed on.
const ONWARD: &[Kind] = &[Kind::Onward];
/// Who changes the terms of what was passed on, where its sender has changed them.
const BY_ITSELF: &str = "rogatory";
const WHY: &str = "the authority that sent the package first has changed its terms";

/// Looks at the start, when something was heard, every hour, and sooner after something failed, until the daemon
/// drains.
pub(crate) async fn run(daemon: Arc<Daemon>) {
    let mut phase = daemon.phase();
    let mut again = LOOK_AGAIN;
    loop {
        let is_recovering = daemon.station.ledger.recovering().is_some();
        let is_done = is_recovering || daemon.follow_up().await;
        let wait = if is_done { LOOK_EVERY } else { again };
        again = if is_done {
            LOOK_AGAIN
        } else {
            again.saturating_mul(2).min(LOOK_EVERY)
        };
        tokio::select! {
            () = daemon.onward.notified() => {}
            () = tokio::time::sleep(wait) => {}
            () = draining(&mut phase) => return,
        }
    }
}

/// Both exchanges, as they are now.
struct Both {
    held: Exchange,
    chain: Chain,
    onward: Exchange,
    statements: Vec<StatementRow>,
}

impl Daemon {
    /// Follows up everything that was passed on; whether all of it could be.
    async fn follow_up(&self) -> bool {
        let pairs = match self.pairs().await {
            Ok(pairs) => pairs,
            Err(e) => {
                tracing::error!("{}", e.0.message);
                return false;
            }
        };
        let mut is_done = true;
        for pair in pairs {
            let followed = self.follow(pair).await;
            if let Err(e) = followed {
                tracing::error!(package = %pair.held, onward = %pair.onward, "what was passed on cannot be followed up: {}", e.0.message);
                is_done = false;
            }
        }
        is_done
    }

    async fn follow(&self, pair: Pair) -> Result<(), ApiFailure> {
        let held = self.exchange(&pair.held).await?;
        let onward = self.exchange(&pair.onward).await?;
        let statements = self.station.ledger.statements_of(&pair.onward, FINAL).await;
        let both = Both {
            chain: self.chain_of(&held).await?,
            held,
            onward,
            statements: statements?,
        };
        let all_told = self.tell_sender(&both).await?;
        match both.onward.phase {
            Phase::Destroyed if all_told => self.forget_pair(pair).await,
            Phase::Rejected | Phase::Expired | Phase::Withdrawn | Phase::Failed => {
                self.forget_pair(pair).await
            }
            Phase::Dispatched | Phase::Closed | Phase::RestrictionSigned => {
                self.pass_terms_on(&both).await
            }
            Phase::Consigned
            | Phase::Delivered
            | Phase::DestructionSigned
            | Phase::Destroyed
            | Phase::Receiving
            | Phase::HandoverSigned
            | Phase::Held
            | Phase::Refused
            | Phase::Lapsed => Ok(()),
        }
    }

    /// Tells the first sender what the third authority has signed, and says whether it was told all of it.
    async fn tell_sender(&self, both: &Both) -> Result<bool, ApiFailure> {
        // While its destruction is being told, nothing else is; that ends by itself.
        let may_be_told = both.held.phase.was_held();
        let told = self.told(&both.held).await?;
        let mut all = true;
        for row in &both.statements {
            if row.signatures != 2 {
                continue;
            }
            let signed = read(row)?;
            let subject = signed.note.text_digest();
            if told.contains(&subject) {
                continue;
            }
            if !may_be_told {
                all = false;
                continue;
            }
            let copy = String::from_utf8_lossy(signed.note.bytes()).into_owned();
            let notice = Notice {
                third: Some(both.onward.peer.clone()),
                subject: Some(subject),
                disclosures: vec![Disclosure::new(seal::random(), disclosure::RECEIPT, copy)],
                ..Notice::of(Kind::Onward)
            };
            self.notify(&both.held, notice, Vec::new()).await?;
        }
        Ok(all)
    }

    /// The receipts of third authorities of which the sender of this package was told.
    async fn told(&self, held: &Exchange) -> Result<BTreeSet<crate::base::Digest>, ApiFailure> {
        let rows = self.station.ledger.statements_of(&held.xid, ONWARD).await?;
        let read: Vec<Signed> = rows.iter().map(read).collect::<Result<_, _>>()?;
        Ok(read.iter().filter_map(|it| it.receipt.subject).collect())
    }

    /// Binds what was passed on by what its first sender has changed since.
    async fn pass_terms_on(&self, both: &Both) -> Result<(), ApiFailure> {
        let passed = self.chain_of(&both.onward).await?;
        let Some(wish) = stricter(&both.chain, passed.terms(), self.station.clock()) else {
            return Ok(());
        };
        if both.onward.phase == Phase::Dispatched && !wish.withdraw {
            // Before it was handed over it can only be taken back.
            return Ok(());
        }
        tracing::info!(package = %both.held.xid, onward = %both.onward.xid, third = %both.onward.peer, "stricter terms go on to whoever the package was passed on to");
        self.restrict(BY_ITSELF, both.onward.xid, &wish).await?;
        Ok(())
    }

    async fn forget_pair(&self, done: Pair) -> Result<(), ApiFailure> {
        let _one_at_a_time = self.access.lock().await;
        let mut pairs = self.pairs().await?;
        pairs.retain(|pair| *pair != done);
        let committed = self.station.ledger.commit(vec![onward::list(&pairs)]).await;
        committed.map(drop).map_err(ApiFailure::from)
    }

    /// A page of what was passed on of what this authority has sent or received, newest first.
    pub(crate) async fn onward_views(&self, part: Part) -> Result<Page<OnwardView>, ApiFailure> {
        let page = self.station.ledger.passed_on(part.limit, part.after).await;
        let (rows, more) = page?.into_parts();
        let mut views = Vec::with_capacity(rows.len());
        let mut newest: HashMap<Xid, BTreeMap<Xid, i64>> = HashMap::new();
        for row in rows {
            let view = self.onward_view(&row).await?;
            // A receipt of destruction comes after that of the handover, and stands for both.
            let known = match newest.entry(view.package) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(self.newest_onward(&view.package).await?),
            };
            if known.get(&view.onward) == Some(&row.seq) {
                views.push(view);
            }
        }
        Ok(Page::new(views, more))
    }

    /// The newest statement about each exchange in which this package was passed on.
    async fn newest_onward(&self, package: &Xid) -> Result<BTreeMap<Xid, i64>, ApiFailure> {
        let rows = self.station.ledger.statements_of(package, ONWARD).await;
        let mut newest = BTreeMap::new();
        for row in rows? {
            newest.insert(self.onward_view(&row).await?.onward, row.seq);
        }
        Ok(newest)
    }

    async fn onward_view(&self, row: &StatementRow) -> Result<OnwardView, ApiFailure> {
        let altered = || altered("statement of passing on");
        let signed = read(row)?;
        let xid = signed.receipt.xid.ok_or_else(altered)?;
        let exchange = self.exchange(&xid).await?;
        let key = store::disclosures_key(&signed.note.digest());
        let kept = self.station.ledger.meta(&key).await;
        let kept = kept?.ok_or_else(altered)?;
        let kept: Vec<String> = serde_json::from_slice(&kept).map_err(|_| altered())?;
        let read = disclosure::check_against(&signed.receipt.sd, &kept).map_err(|_| altered())?;
        let along = receipt::onward::along(&read, disclosure::RECEIPT);
        let (note, copy) = along.ok().flatten().ok_or_else(altered)?;
        let third = signed.receipt.third.ok_or_else(altered)?;
        let passed_on_by = self.parties(&exchange).map(|(_, receiver)| receiver);
        let verified = self.roster.keys(&third).is_some_and(|keys| {
            passed_on_by.is_some_and(|by| receipt::verify(&note, &copy, &by, &keys, true).is_ok())
        });
        Ok(OnwardView {
            package: xid,
            direction: exchange.direction.to_string(),
            peer: exchange.peer,
            third,
            onward: copy.xid.ok_or_else(altered)?,
            state: if copy.kind == Kind::Destroyed {
                "destroyed".to_owned()
            } else {
                "held".to_owned()
            },
            at: copy.t,
            terms: copy.terms.ok_or_else(altered)?,
            verified,
        })
    }
}

/// Finds what has to become stricter in the terms of what was passed on, so that they stay within those of its first
/// sender.
fn stricter(chain: &Chain, passed: &Terms, now: Timestamp) -> Option<Restrict> {
    let terms = chain.terms();
    if !must_follow(passed, terms) {
        return None;
    }
    let left = passed.purposes.iter().copied();
    let left: Vec<_> = left.filter(|it| terms.purposes.contains(it)).collect();
    let by_sender = chain
        .shared
        .last()
        .and_then(|it| it.receipt.reason.as_ref());
    let is_withdrawn = by_sender.is_some_and(|reason| reason.code == "withdrawn");
    let is_over = terms.retain_until.end_of_day() < now;
    Some(Restrict {
        justification: WHY.to_owned(),
        withdraw: is_withdrawn || is_over || left.is_empty(),
        retain_until: Some(terms.retain_until),
        sunset: terms.sunset,
        review: terms.review,
        purposes: left,
        restrictions: terms.restrictions.clone(),
        use_report: terms.use_report,
        no_onward: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Onward, Purpose, Restriction};

    fn terms() -> Terms {
        let instrument = "EIO".parse().unwrap();
        let purposes = [Purpose::Prosecution, Purpose::Trial];
        let mut terms = Terms::new(instrument, purposes, "2031-12-31".parse().unwrap());
        terms.onward = Onward::WithConsent;
        terms
    }

    #[test]
    fn terms_follow_only_where_they_permit_too_much() {
        let passed = Terms {
            onward: Onward::Prohibited,
            ..terms()
        };
        let check = |change: &dyn Fn(&mut Terms), want: bool| {
            let mut in_force = terms();
            change(&mut in_force);
            assert_eq!(must_follow(&passed, &in_force), want, "{in_force:?}");
        };
        check(&|_| {}, false);
        check(&|it| it.onward = Onward::Prohibited, false);
        check(&|it| it.retain_until = "2031-12-30".parse().unwrap(), true);
        check(&|it| it.purposes = vec![Purpose::Trial], true);
        check(&|it| it.restrictions = vec![Restriction::Return], true);
        check(&|it| it.use_report = true, true);
        check(&|it| it.sunset = "2031-01-01".parse().ok(), true);
        check(&|it| it.review = "2031-01-01".parse().ok(), true);
    }
}
