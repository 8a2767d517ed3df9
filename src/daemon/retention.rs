//! Retention: what may no longer be kept is found and destroyed, and the sender gets a receipt of that.
//!
//! Destroying a package overwrites the key of its age header in place and removes the payload. What is stated is this
//! daemon's own doing: of copies that were opened or exported it knows nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::api::server::ApiFailure;
use crate::api::types::{Destruction, DueView};
use crate::base::Digest;
use crate::base::Timestamp;
use crate::base::Xid;
use crate::config::Destroy;
use crate::daemon::Daemon;
use crate::daemon::chain::Chain;
use crate::daemon::routes::stored;
use crate::daemon::statements::{Stated, commit_failure, unsigned, who_and_why};
use crate::identity::statement::Note;
use crate::policy::{self, Action, Circumstances, Denial, Facts, Permit, Roles, Terms};
use crate::receipt::{self, Disclosure, Kind, Reason};
use crate::store::{self, Direction, Exchange, Op, Phase};

const UNSEEN: &str = "cannot see what is due for destruction";
/// The clause that is cited when a person orders what no term asks for.
const BY_ORDER: &str = "order of this authority";

/// What the last look at the packages here has found.
#[derive(Debug, Default)]
pub(crate) struct Retention {
    due: AtomicU64,
    unreviewed: AtomicU64,
    stale: AtomicBool,
}

impl Retention {
    /// Packages that may no longer be kept, when they were last counted.
    pub(crate) fn due(&self) -> u64 {
        self.due.load(Ordering::Relaxed)
    }

    /// Packages whose review is due, when they were last counted.
    pub(crate) fn unreviewed(&self) -> u64 {
        self.unreviewed.load(Ordering::Relaxed)
    }

    /// They are to be counted again soon.
    pub(crate) fn touch(&self) {
        self.stale.store(true, Ordering::Relaxed);
    }

    /// Whether they are to be counted again; asked once.
    pub(crate) fn take_stale(&self) -> bool {
        self.stale.swap(false, Ordering::Relaxed)
    }
}

/// Why a package is destroyed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cause<'a> {
    /// It may no longer be kept.
    Due,
    /// A person orders it.
    Order {
        /// Who.
        actor: &'a str,
        /// Why, in their own words.
        justification: &'a str,
    },
}

impl Daemon {
    async fn facts_of_keeping<'a>(
        &'a self,
        action: Action,
        row: &'a Exchange,
        terms: &'a Terms,
        actor: &'a str,
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
            now: self.station.clock(),
            circumstances: Circumstances {
                hold: hold.map(|hold| hold.until),
                ..Circumstances::default()
            },
        })
    }

    /// Why this package may no longer be kept; `None` while it may.
    async fn overdue(&self, row: &Exchange, terms: &Terms) -> Result<Option<Denial>, ApiFailure> {
        let facts = self.facts_of_keeping(Action::Keep, row, terms, "").await?;
        Ok(policy::decide(&self.station.own.policy, &facts).err())
    }

    /// The packages that may no longer be kept here, with the reason.
    pub(crate) async fn due(&self) -> Result<Vec<(Exchange, Denial)>, ApiFailure> {
        let ledger = &self.station.ledger;
        let now = self.station.clock();
        let (mut due, mut unreviewed) = (Vec::new(), 0);
        let mut after = None;
        loop {
            let page = ledger.due(now, after).await.map_err(|e| stored(&e))?;
            let is_there = |row: &Exchange| {
                row.phase == Phase::Held && ledger.destroyed_before(&row.xid).is_none()
            };
            for row in page.0.into_iter().filter(is_there) {
                let Some(terms) = terms_now(&row) else {
                    continue;
                };
                unreviewed += u64::from(self.lacks_review(&row.xid, &terms, now).await?);
                if terms.usable_until() < now
                    && let Some(denial) = self.overdue(&row, &terms).await?
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
        let due = self.due().await?;
        let view = |(row, denial): &(Exchange, Denial)| {
            Ok(DueView {
                package: self.package_view(row).map_err(|e| stored(&e))?,
                reason: denial.code(),
                clause: denial.clause.clone(),
            })
        };
        due.iter().map(view).collect()
    }

    /// Makes unreadable what may no longer be kept, where the configuration says that it is destroyed by itself. Nothing is
    /// signed: this may be a restored backup, whose log must not go on before peers have told how long it was.
    pub(crate) async fn shred_due(self: &Arc<Self>) {
        if self.config.destroy == Destroy::Propose {
            return;
        }
        match self.due().await {
            Ok(due) => {
                for (row, _) in due {
                    self.shred(&row).await;
                }
            }
            Err(e) => tracing::error!("{UNSEEN}: {}", e.0.message),
        }
        self.shred_unanswered().await;
    }

    /// The same for packages whose handover their sender has not signed yet: that they are destroyed can be stated only after
    /// that, and the sender may never come back.
    async fn shred_unanswered(&self) {
        let now = self.station.clock();
        let mut after = None;
        loop {
            let page = match self.station.ledger.due(now, after).await {
                Ok(page) => page,
                Err(e) => return tracing::error!("{UNSEEN}: {e}"),
            };
            let is_unanswered = |row: &&Exchange| row.phase == Phase::HandoverSigned;
            for row in page.0.iter().filter(is_unanswered) {
                let terms = terms_now(row).filter(|terms| terms.usable_until() < now);
                let Some(terms) = terms else {
                    continue;
                };
                match self.overdue(row, &terms).await {
                    Ok(Some(_)) => self.shred(row).await,
                    Ok(None) => {}
                    Err(e) => tracing::error!(xid = %row.xid, "{UNSEEN}: {}", e.0.message),
                }
            }
            after = page.1;
            if after.is_none() {
                return;
            }
        }
    }

    /// Overwrites the key of a package and removes its payload, without stating it.
    async fn shred(&self, row: &Exchange) {
        let ops = vec![
            Op::Shred { xid: row.xid },
            Op::Meta {
                key: store::unreadable_key(&row.xid),
                value: store::UNSTATED.to_vec(),
            },
        ];
        match self.station.ledger.commit(ops).await {
            Ok(_) => {
                self.delivered(row);
                self.end_others(&row.xid, None).await;
            }
            Err(e) => {
                tracing::error!(xid = %row.xid, "it may no longer be kept, and its key cannot be overwritten: {e}");
            }
        }
    }

    /// Destroys what may no longer be kept, where the configuration says that this happens by itself; otherwise counts it.
    pub(crate) async fn look_after_retention(self: &Arc<Self>) {
        let due = match self.due().await {
            Ok(due) => due,
            Err(e) => return tracing::error!("{UNSEEN}: {}", e.0.message),
        };
        if self.config.destroy == Destroy::Propose || self.station.ledger.recovering().is_some() {
            return;
        }
        self.shred_unanswered().await;
        let mut left = 0;
        for (row, _) in due {
            let xid = row.xid;
            match self.destroy(xid, Cause::Due).await {
                Ok(done) => tracing::info!(%xid, reason = %done.reason, "destroyed"),
                Err(e) => {
                    left += 1;
                    tracing::error!(%xid, "it may no longer be kept, and cannot be destroyed: {}", e.0.message);
                }
            }
        }
        self.retention.due.store(left, Ordering::Relaxed);
    }

    /// What destroying this package would be answered, without doing it.
    pub(crate) async fn would_destroy(
        &self,
        xid: Xid,
        cause: Cause<'_>,
    ) -> Result<Destruction, ApiFailure> {
        let (row, chain) = self.destructible(xid).await?;
        let (permit, reason) = self.may_destroy(&row, &chain, cause).await?;
        drop(permit);
        Ok(destruction(&row, reason, None))
    }

    /// Destroys a package under a permit and states so; the sender is told until it has signed too.
    pub(crate) async fn destroy(
        self: &Arc<Self>,
        xid: Xid,
        cause: Cause<'_>,
    ) -> Result<Destruction, ApiFailure> {
        let (row, chain) = self.destructible(xid).await?;
        drop(self.may_destroy(&row, &chain, cause).await?);
        // What has left is stated before that it is destroyed, and reported with the rest.
        self.end_others(&xid, None).await;
        if chain.terms().use_report {
            // There may be nothing new to report.
            drop(self.report(xid).await);
        }
        let _one_at_a_time = self.access.lock().await;
        self.settle_all(&xid).await?;
        let (row, chain) = self.destructible(xid).await?;
        let (permit, reason) = self.may_destroy(&row, &chain, cause).await?;
        let (note, disclosures) = self.destroyed_note(&chain, &reason, cause)?;
        if !permit.covers(Action::Erase, &row.body, self.station.clock()) {
            let message = "the permission to destroy it has ended; order it again";
            return Err(ApiFailure::temporary("permit-ended", message));
        }
        let stated = Stated {
            kind: Kind::Destroyed,
            note: &note,
            disclosures: &disclosures,
            from: Phase::Held,
            to: Phase::DestructionSigned,
        };
        let mut ops = self.stated(xid, &stated);
        ops.extend([Op::calm(xid), Op::Shred { xid }]);
        let committed = self.station.ledger.commit(ops).await;
        committed.map_err(commit_failure)?;
        self.delivered(&row);
        self.retention.touch();
        self.ring(&row.peer);
        Ok(destruction(&row, reason, Some(note.digest())))
    }

    /// A package that is held here, and the statements that bind it.
    async fn destructible(&self, xid: Xid) -> Result<(Exchange, Chain), ApiFailure> {
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
            (Direction::In, phase) => {
                let message = format!("the package is {phase}, not held");
                return Err(ApiFailure::temporary("not-held", message));
            }
        }
        let chain = self.chain_of(&row).await?;
        Ok((row, chain))
    }

    async fn may_destroy(
        &self,
        row: &Exchange,
        chain: &Chain,
        cause: Cause<'_>,
    ) -> Result<(Permit, Reason), ApiFailure> {
        let actor = match cause {
            Cause::Due => "",
            Cause::Order { actor, .. } => actor,
        };
        let facts = self
            .facts_of_keeping(Action::Erase, row, chain.terms(), actor)
            .await?;
        let permit = policy::decide(&self.station.own.policy, &facts);
        let permit = permit.map_err(|denial| ApiFailure::denied(&denial))?;
        let overdue = self.overdue(row, chain.terms()).await?;
        let by_sender = chain
            .shared
            .iter()
            .rev()
            .find_map(|it| it.receipt.reason.clone());
        let reason = match (overdue, cause) {
            // The sender has ended it itself: its own reason says more than that a day is over.
            (Some(denial), _) => by_sender.unwrap_or_else(|| Reason::from(&denial)),
            (None, Cause::Order { .. }) => Reason {
                code: "ordered".to_owned(),
                clause: BY_ORDER.to_owned(),
            },
            (None, Cause::Due) => {
                let message = "the package may still be kept";
                return Err(ApiFailure::nothing("not-due", message));
            }
        };
        Ok((permit, reason))
    }

    fn destroyed_note(
        &self,
        chain: &Chain,
        reason: &Reason,
        cause: Cause<'_>,
    ) -> Result<(Note, Vec<Disclosure>), ApiFailure> {
        let last = chain.last()?;
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
        let note = next.sign(&self.station.own.key).map_err(|e| unsigned(&e))?;
        Ok((note, disclosures))
    }
}

/// The terms in force of a package that was handed over, as its newest statement repeats them; not verified again.
pub(crate) fn terms_now(row: &Exchange) -> Option<Terms> {
    let note = Note::parse(&row.last_note).ok()?;
    receipt::open(&note).ok()?.terms
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
