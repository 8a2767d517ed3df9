//! The policies that were in force: each one that comes into force is stated in the log, and its text is kept.

use serde::{Deserialize, Serialize};

use crate::api::server::ApiFailure;
use crate::api::types::PolicyView;
use crate::base::Digest;
use crate::base::Timestamp;
use crate::base::json;
use crate::daemon::Daemon;
use crate::daemon::routes::stored;
use crate::receipt::Kind;
use crate::store::Op;

/// The ledger key of the digest of the policy that was adopted last.
const LAST: &str = "policy";

/// What is kept of a policy.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// When it last came into force.
    adopted: Timestamp,
    /// The text that its digest is taken over.
    description: String,
}

fn key(policy: &Digest) -> String {
    format!("{LAST}/{policy}")
}

impl Daemon {
    /// States that another policy is in force than when the daemon last ran.
    ///
    /// # Errors
    /// A sentence, when the statement cannot be made or kept: nothing may then be decided under this policy.
    pub(crate) async fn adopt_policy(&self) -> Result<(), String> {
        let policy = &self.station.own.policy;
        let digest = policy.digest();
        let ledger = &self.station.ledger;
        let last = ledger.meta(LAST).await.map_err(|e| e.to_string())?;
        let written = digest.to_string().into_bytes();
        if last.is_some_and(|last| last == written) {
            return Ok(());
        }
        let kept = Kept {
            adopted: self.station.clock(),
            description: policy.description(),
        };
        let adopted = self.governance(Kind::PolicyAdopted, digest);
        let ops = vec![
            adopted.map_err(|e| e.to_string())?,
            Op::Meta {
                key: key(&digest),
                value: json::canonical(&kept),
            },
            Op::Meta {
                key: LAST.to_owned(),
                value: written,
            },
        ];
        ledger.commit(ops).await.map_err(|e| e.to_string())?;
        tracing::info!(policy = %digest, "another policy is in force than before");
        Ok(())
    }

    /// A policy that is or was in force here; without a digest, the one that is.
    pub(crate) async fn policy_view(
        &self,
        policy: Option<Digest>,
    ) -> Result<PolicyView, ApiFailure> {
        let in_force = self.station.own.policy.digest();
        let pol = policy.unwrap_or(in_force);
        let kept = self
            .station
            .ledger
            .meta(&key(&pol))
            .await
            .map_err(|e| stored(&e))?;
        let kept = kept.ok_or_else(|| {
            let message = format!("no policy with the digest {pol} was ever in force here");
            ApiFailure::missing("no-such-policy", message).next("rogatory policy show")
        })?;
        let kept: Option<Kept> = serde_json::from_slice(&kept).ok();
        let is_whole = |kept: &Kept| Digest::of(kept.description.as_bytes()) == pol;
        let kept = kept.filter(is_whole).ok_or_else(|| {
            let message =
                format!("the text that is kept of policy {pol} does not have that digest");
            ApiFailure::mismatch("ledger-altered", message)
        })?;
        Ok(PolicyView {
            pol,
            in_force: pol == in_force,
            adopted: kept.adopted,
            description: kept.description,
        })
    }
}
