//! Orders: what people here decide about packages, cases and peers and no peer learns of: holds, reviews, teams,
//! breaks. Each is kept as a record, whose SHA-256 a statement in the log names.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::server::ApiFailure;
use crate::base::{Digest, json};
use crate::daemon::Daemon;
use crate::daemon::failure::altered;
use crate::daemon::packages::chain::read;
use crate::receipt::Kind;
use crate::seal;
use crate::store::{self, Op, StatementRow};

/// The record of an order, as its statement names it.
#[derive(Serialize)]
struct Written<'a, T> {
    v: u64,
    /// Random: who guesses the rest cannot tell by the digest that it is so.
    nonce: String,
    /// The act: `hold`, `release`, `review`, `team`, `peer-pause`, `peer-resume`, `peer-revoke`, `peer-remove`.
    order: &'a str,
    /// The ledger key of what it is about.
    subject: &'a str,
    /// The value in force from now on.
    record: &'a T,
}

impl Daemon {
    /// The record that the statement of an order, or of a step of the clock, names; `None` for other statements.
    pub(crate) async fn order_of(
        &self,
        stated: &StatementRow,
    ) -> Result<Option<String>, ApiFailure> {
        if ![Kind::Order, Kind::ClockStep]
            .map(Kind::as_str)
            .contains(&stated.kind.as_str())
        {
            return Ok(None);
        }
        let subject = read(stated)?.receipt.subject;
        let subject = subject.ok_or_else(|| altered("order"))?;
        let kept = self
            .station
            .ledger
            .meta(&store::order_key(&subject))
            .await?;
        let kept = kept.filter(|record| Digest::of(record) == subject);
        let record = kept.ok_or_else(|| altered("record of the order"))?;
        Ok(Some(String::from_utf8_lossy(&record).into_owned()))
    }

    /// The last record under this ledger key, which `what` names in words.
    pub(crate) async fn ordered<T: DeserializeOwned>(
        &self,
        key: &str,
        what: &str,
    ) -> Result<Option<T>, ApiFailure> {
        let Some(kept) = self.station.ledger.meta(key).await? else {
            return Ok(None);
        };
        serde_json::from_slice(&kept).map(Some).map_err(|e| {
            let message = format!("the {what} in the ledger cannot be read: {e}");
            ApiFailure::mismatch("ledger-altered", message).next("rogatory fsck")
        })
    }

    /// Keeps what was ordered under this ledger key, and states it: both or neither.
    pub(crate) async fn order<T: Serialize + Sync>(
        &self,
        order: &str,
        key: String,
        kept: &T,
    ) -> Result<(), ApiFailure> {
        self.order_with(order, key, kept, Vec::new()).await
    }

    /// The same together with other changes.
    pub(crate) async fn order_with<T: Serialize + Sync>(
        &self,
        order: &str,
        key: String,
        kept: &T,
        mut ops: Vec<Op>,
    ) -> Result<(), ApiFailure> {
        let record = json::canonical(&Written {
            v: 1,
            nonce: hex::encode(seal::random::<16>()),
            order,
            subject: &key,
            record: kept,
        });
        let subject = Digest::of(&record);
        let stated = self.governance(Kind::Order, subject);
        ops.extend([
            stated?,
            Op::Meta {
                key: store::order_key(&subject),
                value: record,
            },
            Op::Meta {
                key,
                value: json::canonical(kept),
            },
        ]);
        let committed = self.station.ledger.commit(ops).await;
        committed.map(drop).map_err(ApiFailure::from)
    }
}
