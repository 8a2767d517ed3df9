//! Retention: what may no longer be kept is found and destroyed, and the sender gets a receipt of that.
//!
//! Destroying a package overwrites the key of its age header in place and removes the payload. What is stated is this
//! daemon's own doing: of copies that were opened or exported it knows nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::api::server::ApiFailure;
use crate::api::types::{Destruction, DueView};
use crate::base::clock::SureTime;
use crate::base::{Digest, Timestamp, Xid};
use crate::config::Destroy;
use crate::daemon::Daemon;
use crate::daemon::packages::retention::Cause;
use crate::daemon::packages::statements::Stated;
use crate::daemon::packages::wish::who_and_why;
use crate::exchange::{Bound, Direction, Phase};
use crate::identity::statement::Note;
use crate::policy::{self, Action, Circumstances, Denial, Facts, Permit, Roles, Terms};
use crate::receipt::{Disclosure, Kind, Reason};
use crate::store::{self, Exchange, Op, StoreFault};

const UNSEEN: &str = "cannot see what is due for destruction";
/// The clause that is cited when a person orders what no term asks for.
const BY_ORDER: &str = "order of this authority";

impl Daemon {
    async fn facts_of_keeping<'a>(
        &'a self,
        action: Action,
        row: &'a Exchange,
        terms: &'a Terms,
        (actor, now): (&'a str, Timestamp),
    ) -> Result<Facts<'a>, ApiFailure> {
        let hold = self.hold_of(&row.xid).await?;
        Ok(Facts {
            action,
            own: &self.station.own.id,
            from: &row.peer,
            to: &self.station.own.id,
            actor,
            roles: Roles::NONE,
            purpose: None,
            terms,
            package: row.body,
            now,
            circumstances: Circumstances {
                hold: hold.map(|hold| hold.until),
                ..Circumstances::default()
            },
        })
    }

    /// Why this package may no longer be kept; `None` while it may.
    async fn overdue(
        &self,
        row: &Exchange,
        terms: &Terms,
        now: Timestamp,
    ) -> Result<Option<Denial>, ApiFailure> {
        let facts = self.facts_of_keeping(Action::Keep, row, terms, ("", now));
        let facts = facts.await?;
        Ok(policy::decide(&self.station.own.policy, &facts).err())
    }

    /// The packages that may no longer be kept here, with the reason.
    async fn due(&self, now: Timestamp) -> Result<Vec<(Exchange, Denial)>, ApiFailure> {
        let ledger = &self.station.ledger;
        let (mut due, mut unreviewed) = (Vec::new(), 0);
        let mut after = None;
        loop {
            let page = ledger.due(now, after).await?;
            let is_there = |row: &Exchange| {
                row.phase == Phase::Held && ledger.destroyed_before(&row.xid).is_none()
            };
            for row in page.0.into_iter().filter(is_there) {
                let Some(terms) = row.terms_now() else {
                    continue;
                };
                unreviewed += u64::from(self.lacks_review(&row.xid, &terms, now).await?);
                if terms.usable_until() < now
                    && let Some(denial) = self.overdue(&row, &terms, now).await?
                {
                    due.push((row, denial));
                }
            }
            after = page.1;
            if after.is_none() {
                break;
            }
        }
        let count = u64::try_from(due.len()).unwrap_or(u64::MAX);
        self.retention.due.store(count, Ordering::Relaxed);
        let looked_at = &self.retention.unreviewed;
        looked_at.store(unreviewed, Ordering::Relaxed);
        Ok(due)
    }

    /// Whether the day of its review has passed, and none is on record.
    async fn lacks_review(
        &self,
        xid: &Xid,
        terms: &Terms,
        now: Timestamp,
    ) -> Result<bool, ApiFailure> {
        let Some(day) = terms.review.filter(|day| day.end_of_day() < now) else {
            return Ok(false);
        };
        let reviewed = self.reviewed(xid).await?;
        Ok(reviewed.is_none_or(|it| it < day))
    }

    /// The same, for people.
    pub(crate) async fn due_views(&self) -> Result<Vec<DueView>, ApiFailure> {
        let due = self.due(self.station.clock()).await?;
        let view = |(row, denial): &(Exchange, Denial)| {
            Ok(DueView {
                package: self.package_view(row)?,
                reason: denial.code(),
                clause: denial.clause.clone(),
            })
        };
        due.iter().map(view).collect()
    }

    /// Reads which packages the last run left unreadable and not yet stated as destroyed.
    pub(crate) async fn read_unstated(&self) -> Result<(), StoreFault> {
        let found = self.station.ledger.unstated().await?;
        *self.retention.unstated() = found.into_iter().map(|it| (it.xid, it.reason)).collect();
        Ok(())
    }

    /// Makes unreadable what may no longer be kept, where the configuration says that it is destroyed by itself and the
    /// clock is sure. Nothing is signed: this may be a restored backup, whose log must not go on before peers have told
    /// how long it was.
    pub(crate) async fn shred_due(self: &Arc<Self>) {
        let Some(now) = self.sure_to_destroy() else {
            return;
        };
        match self.due(now.at()).await {
            Ok(due) => {
                for (row, denial) in due {
                    // What cannot be stated is not done.
                    match self.would_destroy(row.xid, Cause::Due).await {
                        Ok(_) => self.shred(now, &row, &denial).await,
                        Err(e) => tell_kept(row.xid, &e),
                    }
                }
            }
            Err(e) => tracing::error!("{UNSEEN}: {}", e.0.message),
        }
        self.shred_unanswered(now).await;
    }

    /// A time for destroying what may no longer be kept, where that happens by itself.
    fn sure_to_destroy(&self) -> Option<SureTime> {
        let is_automatic = self.config.destroy != Destroy::Propose;
        is_automatic.then(|| self.sure().ok()).flatten()
    }

    /// The same for packages whose handover their sender has not signed yet: that they are destroyed can be stated only
    /// after that, and the sender may never come back.
    async fn shred_unanswered(&self, sure: SureTime) {
        let now = sure.at();
        let mut after = None;
        loop {
            let page = match self.station.ledger.due(now, after).await {
                Ok(page) => page,
                Err(e) => return tracing::error!("{UNSEEN}: {e}"),
            };
            let is_unanswered = |row: &&Exchange| row.phase == Phase::HandoverSigned;
            for row in page.0.iter().filter(is_unanswered) {
                let terms = row.terms_now().filter(|terms| terms.usable_until() < now);
                let Some(terms) = terms else {
                    continue;
                };
                let denial = match self.unanswered(row) {
                    Ok(_) => self.overdue(row, &terms, now).await,
                    Err(e) => Err(e),
                };
                match denial {
                    Ok(Some(denial)) => self.shred(sure, row, &denial).await,
                    Ok(None) => {}
                    Err(e) => tell_kept(row.xid, &e),
                }
            }
            after = page.1;
            if after.is_none() {
                return;
            }
        }
    }

    /// Overwrites the key of a package and removes its payload, and notes why, without stating it yet.
    async fn shred(&self, _: SureTime, row: &Exchange, denial: &Denial) {
        if self.retention.unstated_reason(&row.xid).is_some() {
            return;
        }
        let reason = Reason::from(denial);
        let ops = vec![
            Op::Shred { xid: row.xid },
            Op::Meta {
                key: store::unreadable_key(&row.xid),
                value: store::unstated(&reason),
            },
        ];
        match self.station.ledger.commit(ops).await {
            Ok(_) => {
                self.retention.unstated().insert(row.xid, reason);
                self.delivered(row);
                self.end_others(&row.xid, None).await;
            }
            Err(e) => {
                tracing::error!(xid = %row.xid, "it may no longer be kept, and its key cannot be overwritten: {e}");
            }
        }
    }

    /// Destroys what may no longer be kept, where the configuration says that this happens by itself; otherwise counts
    /// it. What is unreadable already is stated in any case.
    pub(crate) async fn look_after_retention(self: &Arc<Self>) {
        let is_recovering = self.station.ledger.recovering().is_some();
        let unstated: Vec<_> = self.retention.unstated().keys().copied().collect();
        for xid in unstated.into_iter().filter(|_| !is_recovering) {
            self.destroy_due(xid).await;
        }
        let due = match self.due(self.station.clock()).await {
            Ok(due) => due,
            Err(e) => return tracing::error!("{UNSEEN}: {}", e.0.message),
        };
        let Some(now) = self.sure_to_destroy().filter(|_| !is_recovering) else {
            return;
        };
        self.shred_unanswered(now).await;
        let mut left = 0;
        for (row, _) in due {
            left += u64::from(!self.destroy_due(row.xid).await);
        }
        self.retention.due.store(left, Ordering::Relaxed);
    }

    async fn destroy_due(self: &Arc<Self>, xid: Xid) -> bool {
        match self.destroy(xid, Cause::Due).await {
            Ok(done) => {
                tracing::info!(%xid, reason = %done.reason, "destroyed");
                true
            }
            // Its sender has not signed the handover yet.
            Err(e) if ["not-held", "nothing-held"].contains(&e.0.error.as_str()) => false,
            Err(e) => {
                tell_kept(xid, &e);
                false
            }
        }
    }

    /// Tells how destroying this package would be answered, without doing it.
    pub(crate) async fn would_destroy(
        &self,
        xid: Xid,
        cause: Cause<'_>,
    ) -> Result<Destruction, ApiFailure> {
        let now = self.sure()?;
        let (row, bound) = self.destructible(xid).await?;
        let (permit, reason) = self.may_destroy((&row, &bound), cause, now).await?;
        drop(permit);
        Ok(destruction(&row, reason, None))
    }

    /// Destroys a package under a permit and states so; the sender is told until it has signed too.
    pub(crate) async fn destroy(
        self: &Arc<Self>,
        xid: Xid,
        cause: Cause<'_>,
    ) -> Result<Destruction, ApiFailure> {
        let now = self.sure()?;
        let (row, bound) = self.destructible(xid).await?;
        drop(self.may_destroy((&row, &bound), cause, now).await?);
        // What has left is stated before that it is destroyed, and reported with the rest.
        self.end_others(&xid, None).await;
        if bound.terms()?.use_report {
            // There may be nothing new to report.
            drop(self.report(xid).await);
        }
        let _one_at_a_time = self.access.lock().await;
        self.settle_all(&xid).await?;
        let (row, bound) = self.destructible(xid).await?;
        let (permit, reason) = self.may_destroy((&row, &bound), cause, now).await?;
        let (note, disclosures) = self.destroyed_note(&bound, &reason, cause)?;
        // The clock may have jumped meanwhile.
        if !permit.covers(Action::Erase, &row.body, self.sure()?.at()) {
            let message = "the permission to destroy it has ended; order it again";
            return Err(ApiFailure::temporary("permit-ended", message));
        }
        let stated = Stated {
            kind: Kind::Destroyed,
            note: &note,
            disclosures: &disclosures,
        };
        let mut ops = self.stated(xid, &stated);
        ops.extend([Op::calm(xid), Op::Shred { xid }]);
        self.station.ledger.commit(ops).await?;
        self.retention.unstated().remove(&xid);
        self.delivered(&row);
        self.retention.touch();
        self.ring(&row.peer);
        Ok(destruction(&row, reason, Some(note.digest())))
    }

    /// A package that is held here, and the statements that bind it.
    async fn destructible(&self, xid: Xid) -> Result<(Exchange, Bound), ApiFailure> {
        let row = self.exchange(&xid).await?;
        let already = || {
            let message = "the package is destroyed already";
            ApiFailure::nothing("destroyed-already", message)
        };
        match (row.direction, row.phase) {
            (Direction::In, Phase::Held) if self.check_there(&xid).is_err() => {
                return Err(already());
            }
            (Direction::In, Phase::Held) => {}
            (Direction::Out, _) => {
                let message = "this authority sent the package: what its receiver holds, only that one can destroy";
                return Err(ApiFailure::usage("not-recipient", message)
                    .next("rogatory package withdraw ID asks for it"));
            }
            (Direction::In, Phase::DestructionSigned | Phase::Destroyed) => return Err(already()),
            (Direction::In, phase) if phase.is_over_without_handover() => {
                let message = format!("the package is {phase}: there is nothing of it to destroy");
                return Err(ApiFailure::nothing("nothing-held", message));
            }
            (Direction::In, phase) => {
                let message = format!("the package is {phase}, not held");
                return Err(ApiFailure::temporary("not-held", message));
            }
        }
        let bound = self.bound(&row).await?;
        Ok((row, bound))
    }

    async fn may_destroy(
        &self,
        (row, bound): (&Exchange, &Bound),
        cause: Cause<'_>,
        now: SureTime,
    ) -> Result<(Permit, Reason), ApiFailure> {
        let actor = match cause {
            Cause::Due => "",
            Cause::Order { actor, .. } => actor,
        };
        let terms = bound.terms()?;
        let facts = self.facts_of_keeping(Action::Erase, row, terms, (actor, now.at()));
        let facts = facts.await?;
        let permit = policy::decide(&self.station.own.policy, &facts);
        let permit = permit.map_err(|denial| ApiFailure::denied(&denial))?;
        let overdue = self.overdue(row, terms, now.at()).await?;
        let unstated = self.retention.unstated_reason(&row.xid);
        let reason = match (overdue, cause, unstated) {
            // The sender has ended it itself: its own reason says more than that a day is over.
            (Some(denial), _, _) => bound.reason().unwrap_or_else(|| Reason::from(&denial)),
            (None, _, Some(reason)) => reason,
            (None, Cause::Order { .. }, None) => Reason {
                code: "ordered".to_owned(),
                clause: BY_ORDER.to_owned(),
            },
            (None, Cause::Due, None) => {
                let message = "the package may still be kept";
                return Err(ApiFailure::nothing("not-due", message));
            }
        };
        Ok((permit, reason))
    }

    fn destroyed_note(
        &self,
        bound: &Bound,
        reason: &Reason,
        cause: Cause<'_>,
    ) -> Result<(Note, Vec<Disclosure>), ApiFailure> {
        let last = bound.last()?;
        let disclosures = match cause {
            Cause::Due => Vec::new(),
            Cause::Order {
                actor,
                justification,
            } => who_and_why(actor, justification),
        };
        let next = last
            .receipt
            .follow(&last.note, Kind::Destroyed)
            .stamped(&self.stamp())
            .because(reason.clone())
            .disclosing(&disclosures);
        let note = self.sign(next)?;
        Ok((note, disclosures))
    }
}

fn tell_kept(xid: Xid, e: &ApiFailure) {
    let why = &e.0.message;
    tracing::error!(%xid, "it may no longer be kept, and cannot be destroyed: {why}");
}

fn destruction(row: &Exchange, reason: Reason, receipt: Option<Digest>) -> Destruction {
    Destruction {
        id: row.xid,
        peer: row.peer.clone(),
        reason: reason.code,
        clause: reason.clause,
        receipt,
    }
}
