//! Orders: what people here decide about packages and cases and no peer learns of: holds, reviews, teams. Each is kept as a
//! record, whose SHA-256 a statement in the log names.

use serde::Serialize;

use crate::api::server::ApiFailure;
use crate::base::Digest;
use crate::base::json;
use crate::daemon::Daemon;
use crate::daemon::statements::{commit_failure, unsigned};
use crate::receipt::Kind;
use crate::store::Op;

/// The record of an order, as its statement names it.
#[derive(Serialize)]
struct Record<'a, T> {
    v: u64,
    /// What was ordered: `hold`, `release`, `review`, `team`.
    order: &'a str,
    /// The ledger key of what it is about.
    subject: &'a str,
    /// What is in force from now on.
    record: &'a T,
}

impl Daemon {
    /// Keeps what was ordered under this ledger key, and states it: both or neither.
    pub(crate) async fn order<T: Serialize + Sync>(
        &self,
        order: &str,
        key: String,
        kept: &T,
    ) -> Result<(), ApiFailure> {
        let record = json::canonical(&Record {
            v: 1,
            order,
            subject: &key,
            record: kept,
        });
        let subject = Digest::of(&record);
        let stated = self.governance(Kind::Order, subject);
        let ops = vec![
            stated.map_err(|e| unsigned(&e))?,
            Op::Meta {
                key: format!("order/{subject}"),
                value: record,
            },
            Op::Meta {
                key,
                value: json::canonical(kept),
            },
        ];
        let committed = self.station.ledger.commit(ops).await;
        committed.map(drop).map_err(commit_failure)
    }
}
