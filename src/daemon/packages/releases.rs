//! The bytes that leave under an opening. No byte leaves before it is durable that bytes begin to, and no more than is
//! durable; when the opening is over, what has left is stated. An opening under which nothing has left is not stated,
//! and uses no approval up.
//!
//! A task with more than one of these locks takes them in this order: the approvals, the statements about access, what
//! has left.

use std::io;
use std::ops::Range;
use std::sync::atomic::Ordering;

use crate::api::server::ApiFailure;
use crate::api::types::Closed;
use crate::base::ranges::Range as Run;
use crate::base::{Digest, Ranges, Xid, json};
use crate::daemon::Daemon;
use crate::daemon::failure::altered;
use crate::daemon::packages::chain::read;
use crate::daemon::packages::notices::tell;
use crate::daemon::packages::openings::{PermittedOpening, no_such_opening};
use crate::daemon::packages::release::{Record, Release, Stage};
use crate::daemon::packages::statements::Stated;
use crate::daemon::people::approvals;
use crate::daemon::people::approvals::record::Approved;
use crate::receipt::{Disclosure, Kind, Receipt, Signed, disclosure};
use crate::seal;
use crate::store::{CommitFault, Exchange, Op, OpeningRow, StatementRow};

/// Bytes that may leave before it is made durable again that more may.
const STEP_BYTES: u64 = 64 << 20;
/// Runs of bytes that are told apart.
const RUNS_MAX: usize = 64;
/// The kinds of statement that both sides hold of a package that was handed over.
const SHARED: &[Kind] = &[Kind::Handover, Kind::RestrictionChanged];
/// Attempts to state an opening while its sender's statements come in.
const ATTEMPTS_MAX: usize = 8;

fn run(range: Range<u64>) -> Run {
    Run {
        first: range.start,
        count: range.end.saturating_sub(range.start),
    }
}

/// These parts without what is withheld.
fn without(ranges: &Ranges, withheld: &[Range<u64>]) -> Ranges {
    let mut left = Ranges::empty();
    for range in ranges.runs() {
        let mut at = range.first;
        for hidden in withheld {
            let (start, end) = (hidden.start.max(at), hidden.end.min(range.end()));
            if start < end {
                left.add(run(at..start));
                at = end;
            }
        }
        left.add(run(at..range.end()));
    }
    left
}

impl Daemon {
    /// Makes durable that bytes leave under this opening, which uses its approval up; done once.
    pub(crate) async fn begin(&self, held: &PermittedOpening) -> Result<(), ApiFailure> {
        let release = &held.release;
        release.touch();
        let turn = match &release.record.approval {
            Some(_) => Some(self.approvals.lock().await),
            None => None,
        };
        let one_at_a_time = self.access.lock().await;
        let mut left = release.left.lock().await;
        match left.stage {
            Stage::Begun => return Ok(()),
            Stage::Over => return Err(no_such_opening()),
            Stage::Waiting => {}
        }
        self.can_state()?;
        let exchange = self.held(release.xid).await?;
        let chain = self.chain_of(&exchange).await?;
        if chain.terms() != &release.record.terms {
            let message = "the sender has changed the terms of the package meanwhile";
            return Err(ApiFailure::temporary("conflict", message).next("give the command again"));
        }
        let approval = release.record.approval.as_ref();
        if let Some(approval) = approval
            && !self.is_unused(approval).await?
        {
            left.stage = Stage::Over;
            drop((left, one_at_a_time, turn));
            return Err(self.used_already(release).await);
        }
        let bound = release.total.min(STEP_BYTES);
        let row = OpeningRow {
            id: release.id,
            xid: release.xid,
            began: self.station.clock(),
            bound,
            record: json::canonical(&release.record),
        };
        let (xid, steps) = (release.xid, exchange.steps);
        let mut ops = vec![Op::Unmoved { xid, steps }, Op::OpeningBegin(row.into())];
        ops.extend(approval.map(Approved::used_up));
        self.station.ledger.commit(ops).await?;
        (left.stage, left.is_kept, left.bound) = (Stage::Begun, true, bound);
        Ok(())
    }

    /// Whether what has left could be stated.
    pub(crate) fn can_state(&self) -> Result<(), ApiFailure> {
        match self.station.ledger.recovering() {
            Some(_) => Err(CommitFault::Recovering.into()),
            None => Ok(()),
        }
    }

    /// Another opening has used the approval up: this one is refused, and that is stated.
    async fn used_already(&self, release: &Release) -> ApiFailure {
        let denial = approvals::used_already();
        let (wish, terms) = (release.record.wish(), &release.record.terms);
        let stated = self.state_denial(&release.xid, &wish, terms, &denial);
        match stated.await {
            Ok(_) => ApiFailure::denied(&denial),
            Err(failure) => failure,
        }
    }

    /// Counts these bytes as released, once it is durable that they may be.
    pub(crate) async fn count(&self, held: &PermittedOpening, range: Range<u64>) -> io::Result<()> {
        let ended = || io::Error::other("the opening has ended");
        let release = &held.release;
        let mut left = release.left.lock().await;
        if left.stage != Stage::Begun || held.permit.until() < self.station.clock() {
            return Err(ended());
        }
        let mut ranges = left.ranges.clone();
        ranges.add(run(range));
        // What is withheld splits some of them again.
        let runs_max = RUNS_MAX.saturating_sub(held.withheld.len());
        ranges.coarsen(runs_max.max(1));
        let most = without(&ranges, &held.withheld).len();
        if most > left.bound && left.bound < release.total {
            let bound = most.saturating_add(STEP_BYTES).min(release.total);
            let raise = Op::OpeningRaise {
                id: release.id,
                bound,
            };
            let raised = self.station.ledger.commit(vec![raise]).await;
            raised.map_err(io::Error::other)?;
            left.bound = bound;
        }
        left.ranges = ranges;
        drop(left);
        release.touch();
        Ok(())
    }

    /// Ends an opening and states what has left under it, once: it answers the same as long as it is remembered.
    pub(crate) async fn end(&self, held: &PermittedOpening) -> Result<Closed, ApiFailure> {
        let _one_at_a_time = self.access.lock().await;
        self.settle(held).await
    }

    /// The same where the caller has the turn to state something about access.
    pub(crate) async fn settle(&self, held: &PermittedOpening) -> Result<Closed, ApiFailure> {
        let release = &held.release;
        release.is_over.store(true, Ordering::Release);
        let mut left = release.left.lock().await;
        left.stage = Stage::Over;
        if let Some(closed) = &left.closed {
            return Ok(closed.clone());
        }
        let ranges = without(&left.ranges, &held.withheld);
        let released = ranges.len();
        let receipt = match (left.is_kept, released) {
            (false, _) => None,
            (true, 0) => {
                let mut ops = vec![Op::OpeningEnd { id: release.id }];
                ops.extend(release.record.approval.as_ref().map(Approved::given_back));
                self.station.ledger.commit(ops).await?;
                None
            }
            (true, _) => {
                let stated = Ended {
                    id: release.id,
                    xid: release.xid,
                    record: &release.record,
                    released,
                    ranges: Some(&ranges),
                };
                Some(self.state_release(&stated).await?)
            }
        };
        let closed = Closed { receipt, released };
        left.closed = Some(closed.clone());
        Ok(closed)
    }

    /// States what an earlier process has left, of one package or of all.
    pub(crate) async fn state_left_over(&self, of: Option<&Xid>) -> Result<(), ApiFailure> {
        for row in self.station.ledger.openings().await? {
            let is_other = of.is_some_and(|xid| row.xid != *xid);
            if is_other || self.openings.has(&hex::encode(row.id)) {
                continue;
            }
            let _one_at_a_time = self.access.lock().await;
            self.state_row(&row).await?;
        }
        Ok(())
    }

    /// States what may have left of a package under openings of an earlier process; the caller has the turn for it.
    pub(crate) async fn settle_left_over(&self, xid: &Xid) -> Result<(), ApiFailure> {
        let rows = self.station.ledger.openings().await;
        for row in rows? {
            if row.xid == *xid {
                self.state_row(&row).await?;
            }
        }
        Ok(())
    }

    async fn state_row(&self, row: &OpeningRow) -> Result<(), ApiFailure> {
        let record: Record =
            serde_json::from_slice(&row.record).map_err(|_| altered("record of an opening"))?;
        let stated = Ended {
            id: row.id,
            xid: row.xid,
            record: &record,
            released: row.bound,
            ranges: None,
        };
        match self.state_release(&stated).await {
            Ok(receipt) => {
                tracing::warn!(xid = %row.xid, %receipt, bytes = row.bound, "an opening that an earlier process left is stated");
                Ok(())
            }
            // It was stated meanwhile.
            Err(failure) if failure.0.error == "opening-over" => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// States `access`: under the terms under which it was permitted, whatever came since.
    async fn state_release(&self, ended: &Ended<'_>) -> Result<Digest, ApiFailure> {
        for _ in 0..ATTEMPTS_MAX {
            let exchange = self.exchange(&ended.xid).await?;
            let follows = Kind::Access.profile().follows;
            let read = self
                .station
                .ledger
                .chain(&ended.xid, SHARED, follows)
                .await?;
            let (ops, receipt) = self.access_of(ended, &exchange, read)?;
            match self.station.ledger.commit(ops).await {
                Ok(_) => {
                    if ended.record.approval.is_some() {
                        self.ring(&exchange.peer);
                    }
                    return Ok(receipt);
                }
                // Something of the sender came in, or another has stated it.
                Err(CommitFault::Conflict { .. }) => {}
                Err(fault) => return Err(fault.into()),
            }
            let all = self.station.ledger.openings().await?;
            if !all.iter().any(|row| row.id == ended.id) {
                return Err(ApiFailure::nothing("opening-over", "it is stated already"));
            }
        }
        let message = "statements of the sender keep coming in; the opening is stated later";
        Err(ApiFailure::temporary("conflict", message))
    }

    fn access_of(
        &self,
        ended: &Ended<'_>,
        exchange: &Exchange,
        (shared, newest): (Vec<StatementRow>, Option<StatementRow>),
    ) -> Result<(Vec<Op>, Digest), ApiFailure> {
        let record = ended.record;
        let fits = |it: &Receipt| it.terms.as_ref() == Some(&record.terms);
        // What the sender is told of follows what it holds.
        let newest = newest.filter(|_| record.approval.is_none());
        let newest = newest.as_ref().map(read).transpose()?;
        let before = match newest.filter(|it| fits(&it.receipt)) {
            Some(newest) => newest,
            None => newest_of(&shared, fits)?,
        };
        let mut disclosures = record.wish().disclosures(&record.persons);
        if let Some(ranges) = ended.ranges {
            let ranges = serde_json::json!(ranges.runs());
            disclosures.push(Disclosure::new(seal::random(), disclosure::RANGES, ranges));
        }
        let follow = before.receipt.follow(&before.note, Kind::Access);
        let mut next = follow.stamped(&self.stamp()).disclosing(&disclosures);
        next.purpose = Some(record.purpose);
        next.reason.clone_from(&record.reason);
        next.released = Some(ended.released);
        let note = self.sign(next)?;
        // Under the terms in force, another one stays the newest where they were changed meanwhile.
        let is_in_force = exchange.terms_now().as_ref() == Some(&record.terms);
        let newest = if is_in_force {
            note.bytes()
        } else {
            exchange.last_note.as_slice()
        };
        let (xid, now) = (ended.xid, self.station.clock());
        let steps = exchange.steps;
        let stays = Stated {
            kind: Kind::Access,
            note: &note,
            disclosures: &disclosures,
        };
        let mut ops = vec![Op::Unmoved { xid, steps }, Op::OpeningEnd { id: ended.id }];
        ops.extend(self.stated_late(xid, &stays, newest));
        if record.approval.is_some() {
            ops.extend(tell(xid, &note, now));
        }
        Ok((ops, note.digest()))
    }
}

/// An opening that is over.
struct Ended<'a> {
    id: [u8; 16],
    xid: Xid,
    record: &'a Record,
    /// No more bytes than this have left.
    released: u64,
    /// Which they are, where that is known.
    ranges: Option<&'a Ranges>,
}

/// The newest of these statements that fits.
fn newest_of(rows: &[StatementRow], fits: impl Fn(&Receipt) -> bool) -> Result<Signed, ApiFailure> {
    let read = rows.iter().rev().map(read);
    let mut fitting = read.filter(|it| it.as_ref().map_or(true, |it| fits(&it.receipt)));
    fitting
        .next()
        .unwrap_or_else(|| Err(altered("chain of statements")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_withheld_does_not_count_as_released() {
        let one = std::slice::from_ref::<Range<u64>>;
        let runs = |of: &[(u64, u64)]| {
            let of = of.iter().map(|run| Run::from(*run)).collect();
            Ranges::from_runs(of).unwrap()
        };
        for (asked, withheld, want) in [
            (&[(0, 10)][..], &[][..], &[(0, 10)][..]),
            (&[(0, 10)], one(&(2..4)), &[(0, 2), (4, 6)]),
            (&[(3, 7)], &[0..4, 4..5, 9..20], &[(5, 4)]),
            (&[(3, 7)], &[0..3, 10..12], &[(3, 7)]),
            (&[(3, 7)], one(&(0..20)), &[]),
            (&[(0, 3), (5, 5)], one(&(2..6)), &[(0, 2), (6, 4)]),
        ] {
            let got = without(&runs(asked), withheld);
            assert_eq!(got, runs(want), "{asked:?} {withheld:?}");
        }
    }

    #[test]
    fn a_gap_that_is_closed_holds_nothing_withheld() {
        let mut asked = Ranges::empty();
        for first in (0..1_000).step_by(4) {
            asked.add(run(first..first + 1));
        }
        asked.coarsen(RUNS_MAX);
        let got = without(&asked, &[1..4, 500..503]);
        assert!(got.runs().iter().all(|it| it.end() <= 1 || it.first >= 4));
        assert!(
            got.runs()
                .iter()
                .all(|it| it.end() <= 500 || it.first >= 503)
        );
        assert!(asked.runs().len() == RUNS_MAX && got.len() == asked.len() - 6);
    }
}
