//! The own log and those of others, as the API shows them, and the proofs of what is in the own log.

use crate::api::server::ApiFailure;
use crate::api::types::{AlarmView, CosignedView, LogStatus, Problem, ProofView, RecoveringView};
use crate::base::{Digest, Page};
use crate::daemon::Daemon;
use crate::daemon::logs::publisher;
use crate::daemon::page::Part;
use crate::store::{AlarmKind, StatementRow, StoreFault};
use crate::tlog;

impl Daemon {
    /// The log as it is shown.
    pub(crate) async fn log_status(&self) -> Result<LogStatus, StoreFault> {
        let ledger = &self.station.ledger;
        let head = self.station.own_head();
        let cosigned = ledger
            .cosigned()
            .await?
            .into_iter()
            .map(|row| CosignedView {
                by: row.by,
                size: row.size,
                at: row.at,
            });
        let alarms = ledger.alarms().await?.into_iter().map(|row| AlarmView {
            kind: row.kind.as_str().to_owned(),
            at: row.at,
            earlier: String::from_utf8_lossy(&row.earlier).into_owned(),
            later: String::from_utf8_lossy(&row.later).into_owned(),
            files: publisher::pair_folder(self, &row.of).display().to_string(),
            of: row.of,
        });
        Ok(LogStatus {
            origin: head.origin,
            size: ledger.size(),
            checkpoint_size: head.size,
            checkpoint_root: head.root,
            checkpoint_at: ledger.checkpoint_at(),
            cosigned: cosigned.collect(),
            alarms: alarms.collect(),
            recovering: ledger.recovering().map(|newer| RecoveringView {
                size: newer.size,
                root: newer.root,
            }),
        })
    }

    /// The notes about logs that an operator should see.
    pub(crate) fn log_problems(&self, log: &LogStatus) -> Vec<Problem> {
        let error = |code: &str, subject: &str, message: String| Problem {
            severity: "error".to_owned(),
            code: code.to_owned(),
            subject: subject.to_owned(),
            message,
        };
        let mut problems = Vec::new();
        if let Some(newer) = &log.recovering {
            let message = format!(
                "nothing is signed: others hold a checkpoint of this log over {} leaves, this state has {} or other ones; it was \
                 restored from a backup: stop the daemon, restore the newest state, start it again",
                newer.size, log.size
            );
            problems.push(error("log-recovering", "log", message));
        }
        for alarm in &log.alarms {
            let alias = self
                .roster
                .by_id(&alarm.of)
                .map(|known| known.row.alias.to_string());
            let subject = alias.unwrap_or_else(|| alarm.of.to_string());
            let fork = alarm.kind == AlarmKind::Fork.as_str();
            let (code, message) = if fork {
                (
                    "log-forked",
                    format!(
                        "its log has forked: two checkpoints of one size with different roots, both signed by it, are in {}; \
                         its log is cosigned no more; ask it for an explanation, and show both to those who rely on its log",
                        alarm.files
                    ),
                )
            } else {
                (
                    "log-unproved",
                    format!(
                        "it has not proved that its log continues what was seen of it; both checkpoints are in {}; ask it \
                         whether it has restored a backup or another machine has its keys",
                        alarm.files
                    ),
                )
            };
            problems.push(error(code, &subject, message));
        }
        problems
    }

    /// The proof that a statement is in the own log.
    pub(crate) async fn proof(&self, row: &StatementRow) -> Result<Option<ProofView>, StoreFault> {
        let (Some(index), Some(r)) = (row.leaf, row.r) else {
            return Ok(None);
        };
        let ledger = &self.station.ledger;
        if ledger.recovering().is_some() && ledger.head().is_none_or(|head| head.size <= index) {
            return Ok(None);
        }
        let logged = ledger.prove(index).await?;
        let file = String::from_utf8_lossy(&logged.proof.encode()).into_owned();
        Ok(Some(ProofView {
            seq: row.seq,
            kind: row.kind.clone(),
            receipt: row.digest,
            index,
            r: Digest::from_bytes(r),
            leaf_hash: tlog::leaf_hash(&tlog::leaf_entry(&tlog::commitment(&r, &row.digest))),
            size: logged.size,
            cosigned: logged.witnesses,
            proof: file,
        }))
    }

    /// The proofs of one statement, named by its digest, or a page of those of the statements of one package.
    pub(crate) async fn proofs(
        &self,
        name: &str,
        part: Part,
    ) -> Result<Page<ProofView>, ApiFailure> {
        let ledger = &self.station.ledger;
        let stored = |e: StoreFault| ApiFailure::storage("store", e.to_string());
        let (rows, more) = if let Some(digest) = Digest::parse(name) {
            let found = ledger.statement(&digest).await.map_err(stored)?;
            let missing = || {
                ApiFailure::missing(
                    "no-such-receipt",
                    format!("no statement has the digest {digest}"),
                )
                .next("rogatory receipt list --json")
            };
            (vec![found.ok_or_else(missing)?], None)
        } else {
            let xid = self.find(name).await?;
            self.exchange(&xid).await?;
            let page = ledger.statements(&xid, part.limit, part.after).await;
            page.map_err(stored)?.into_parts()
        };
        let last = rows.iter().filter_map(|row| row.leaf).max();
        if last.is_some_and(|last| ledger.head().is_none_or(|head| head.size <= last)) {
            ledger.checkpoint().await?;
        }
        let mut proofs = Vec::new();
        for row in &rows {
            proofs.extend(self.proof(row).await.map_err(stored)?);
        }
        if proofs.is_empty() && part.after.is_none() && more.is_none() {
            let text = "only what this authority has signed is in its log, and this is not";
            return Err(
                ApiFailure::missing("not-logged", text).next("ask the authority that signed it")
            );
        }
        Ok(Page::new(proofs, more))
    }
}
