//! The clock in doubt: what is stated and kept of it, what waits for it, and how a person ends it.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::api::server::{ApiFailure, Caller};
use crate::api::types::{ClockView, Problem};
use crate::base::clock::{CHANGES_MAX, Change, Doubt, Judge, SureTime, Witness};
use crate::base::{Digest, Timestamp, json};
use crate::daemon::Daemon;
use crate::daemon::peers::callback;
use crate::daemon::process::clock_memory::{ClockMemory, KEY};
use crate::daemon::process::renewal;
use crate::daemon::process::run_state::draining;
use crate::net::clock::Clock;
use crate::receipt::Kind;
use crate::seal;
use crate::store::{self, Ledger, Op, StoreFault};

/// How often the clock is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looks after which it is kept that the daemon was running; a failure is logged as often again.
const KEEP_EVERY: u32 = 3_600;
const COMPLAIN_EVERY: u32 = 60;
/// Nothing is stated of the clock before the daemon has run so long.
const STATE_AFTER_MS: u64 = 10_000;

/// The record that a `clock-step` statement names.
#[derive(Serialize)]
struct Record<'a> {
    v: u64,
    /// Random, as in the record of an order.
    nonce: String,
    /// `began` or `ended`.
    step: &'a str,
    doubt: &'a Doubt,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'a str>,
}

/// The clock, compared with what the last run left, and that.
pub(crate) async fn start(ledger: &Ledger) -> Result<(Clock, ClockMemory), StoreFault> {
    let kept = ledger.meta(KEY).await?;
    // A value that cannot be read is told by fsck; every statement counts then.
    let kept = kept.and_then(|kept| serde_json::from_slice::<ClockMemory>(&kept).ok());
    let mut kept = kept.unwrap_or_default();
    let (seq, newest) = ledger.newest_own(kept.seq).await?;
    (kept.seq, kept.at) = (seq, kept.at.max(newest));
    Ok((Clock::start(Judge::new(kept.at, kept.doubt)), kept))
}

/// Looks at the clock until the daemon drains, so that no jump goes unnoticed for long.
pub(crate) async fn run(daemon: Arc<Daemon>) {
    let mut phase = daemon.phase();
    let mut round = 0_u32;
    loop {
        daemon.station.clock.ask_system();
        if let Err(e) = daemon.note_clock().await
            && round.is_multiple_of(COMPLAIN_EVERY)
        {
            tracing::error!("what the clock did cannot be stated: {}", e.0.message);
        }
        round = round.wrapping_add(1);
        if round.is_multiple_of(KEEP_EVERY) {
            daemon.keep_time().await;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = draining(&mut phase) => break,
        }
    }
}

impl Daemon {
    /// A time for what cannot be taken back.
    pub(crate) fn sure(&self) -> Result<SureTime, ApiFailure> {
        self.station.clock.now().sure().ok_or_else(|| {
            let message = "the machine's clock is in doubt: until it is right or confirmed, nothing is destroyed, expired or renewed";
            ApiFailure::temporary("clock-doubtful", message)
                .next("rogatory clock status says why; rogatory clock confirm ends it")
        })
    }

    /// Keeps each change of the clock, carries out what waited for a sure one, and states the changes.
    pub(crate) async fn note_clock(self: &Arc<Self>) -> Result<(), ApiFailure> {
        let mut kept = self.timekeeping.lock().await;
        if self.keep_changes(&mut kept).await? {
            self.shred_due().await;
            if let Err(e) = renewal::renew_papers(self).await {
                tracing::error!("own certificate or revocation list could not be renewed: {e}");
            }
            for known in self.roster.all() {
                self.ring(&known.row.id);
            }
            let peers = callback::whom(self).await?;
            let daemon = Arc::clone(self);
            tokio::spawn(async move {
                // On a restored backup they tell how long the log was, before more is stated.
                callback::run(Arc::clone(&daemon), peers).await;
                daemon.retention.touch();
            });
        }
        // This may be a restored backup, whose log must not go on before peers have told how long it was.
        if self.station.instant().0 < STATE_AFTER_MS || self.station.ledger.recovering().is_some() {
            return Ok(());
        }
        while let Some(change) = kept.unstated.first().cloned() {
            let mut next = kept.clone();
            next.unstated.remove(0);
            let ops = self.clock_step(&change, &next)?;
            self.station.ledger.commit(ops).await?;
            *kept = next;
        }
        Ok(())
    }

    /// Makes changes of the clock durable, so that a kill forgets no doubt. Says whether one has ended.
    async fn keep_changes(&self, kept: &mut ClockMemory) -> Result<bool, ApiFailure> {
        let clock = &self.station.clock;
        clock.now();
        let (changes, doubt) = clock.changes();
        if changes.is_empty() {
            return Ok(false);
        }
        changes.iter().for_each(tell);
        let mut next = kept.clone();
        let past = changes.iter().rev().find_map(Change::past).cloned();
        if let Some(past) = &past {
            let seq = self.station.ledger.newest_own(kept.seq).await;
            (next.seq, _) = seq?;
            (next.at, next.last) = (Some(past.ended), Some(past.clone()));
        }
        next.doubt = doubt;
        next.unstated.extend_from_slice(&changes);
        next.unstated.truncate(CHANGES_MAX);
        self.station.ledger.commit(vec![next.op()]).await?;
        *kept = next;
        clock.kept(changes.len());
        Ok(past.is_some())
    }

    fn clock_step(&self, change: &Change, next: &ClockMemory) -> Result<Vec<Op>, ApiFailure> {
        let (step, doubt, past) = match change {
            Change::Began(doubt) => ("began", doubt, None),
            Change::Ended(past) => ("ended", &past.doubt, Some(past)),
        };
        let record = json::canonical(&Record {
            v: 1,
            nonce: hex::encode(seal::random::<16>()),
            step,
            doubt,
            ended: past.map(|past| past.ended),
            by: past.map(|past| past.by.as_str()),
        });
        let subject = Digest::of(&record);
        let stated = self.governance(Kind::ClockStep, subject);
        Ok(vec![
            stated?,
            Op::Meta {
                key: store::order_key(&subject),
                value: record,
            },
            next.op(),
        ])
    }

    /// Keeps that the daemon was running now, for the next start to compare its clock with.
    pub(crate) async fn keep_time(&self) {
        let Some(sure) = self.station.clock.now().sure() else {
            return;
        };
        let mut kept = self.timekeeping.lock().await;
        let seq = match self.station.ledger.newest_own(kept.seq).await {
            Ok((seq, _)) => seq,
            Err(e) => return tracing::warn!("the time cannot be kept: {e}"),
        };
        let next = ClockMemory {
            at: Some(sure.at()),
            seq,
            ..kept.clone()
        };
        match self.station.ledger.commit(vec![next.op()]).await {
            Ok(_) => *kept = next,
            Err(e) => tracing::warn!("the time cannot be kept: {e}"),
        }
    }

    /// The clock, for people.
    pub(crate) async fn clock_view(&self) -> ClockView {
        // Once it is sure, what waited for that is done.
        let last = self.timekeeping.lock().await.last.clone();
        let now = self.station.clock.now();
        ClockView {
            at: now.at,
            read: now.read,
            sure: now.sure().is_some(),
            doubt: now.doubt,
            last,
        }
    }

    /// A person says that the machine's clock is right.
    pub(crate) async fn confirm_clock(
        self: &Arc<Self>,
        caller: &Caller,
    ) -> Result<ClockView, ApiFailure> {
        if !self
            .station
            .clock
            .confirm(&Witness::Operator(caller.actor()))
        {
            let message = "the clock is not in doubt";
            return Err(ApiFailure::nothing("not-doubtful", message));
        }
        self.note_clock().await?;
        Ok(self.clock_view().await)
    }

    /// Reports that the clock is in doubt, and what waits for it.
    pub(crate) fn clock_problem(&self) -> Option<Problem> {
        let now = self.station.clock.now();
        let doubt = now.doubt?;
        Some(Problem {
            severity: "error".to_owned(),
            code: doubt.code().to_owned(),
            subject: "clock".to_owned(),
            message: format!(
                "the machine's clock is in doubt since {}: {doubt}; it says {} now, and the daemon goes by {}: nothing is destroyed, \
                 expired or renewed; set the clock, or if it is right: rogatory clock confirm",
                doubt.since, now.read, now.at
            ),
        })
    }
}

/// Logs a change.
fn tell(change: &Change) {
    match change {
        Change::Began(doubt) => {
            tracing::error!(
                code = doubt.code(),
                "the machine's clock is in doubt: {doubt}; nothing is destroyed, expired or renewed"
            );
        }
        Change::Ended(past) => {
            tracing::warn!(at = %past.ended, by = %past.by, "the machine's clock is believed again");
        }
    }
}
