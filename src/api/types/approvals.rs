//! Requests that wait for a second person.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base::Timestamp;

/// `GET /v1/approvals`: what somebody asked for that takes two persons.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApprovalView {
    /// Its id, 16 hex digits.
    pub id: String,
    /// The act that was asked for, as in `policy.dual_control`.
    pub verb: String,
    /// The package, the peer, or the digest of the policy.
    pub subject: String,
    /// The call itself.
    pub request: Value,
    /// Who asked.
    pub asked_by: String,
    /// When.
    pub at: Timestamp,
    /// Until when it can be decided on.
    pub expires: Timestamp,
    /// `waiting`, `approved` (and not done: approve it again; a policy comes into force at the next start), `done`,
    /// `rejected`, `expired`.
    pub state: String,
    /// Who decided.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub decided_by: Option<String>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub decided_at: Option<Timestamp>,
    /// The text whose SHA-256 the `approval` statement in the log has as its subject.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stated: Option<String>,
    /// The result, in the answer to the approval.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub result: Option<Value>,
}
