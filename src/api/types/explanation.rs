//! A decision as it would be made, and its reasons.

use serde::{Deserialize, Serialize};

use crate::base::{AuthorityId, Digest, Timestamp, Xid};
use crate::package::ItemPath;
use crate::policy::table::Judged;
use crate::policy::terms::Terms;
use crate::policy::{Purpose, Role};

/// `GET /v1/packages/{id}/decision?use=P`: what an opening would be answered now, and why; nothing is signed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Explanation {
    /// The package.
    pub id: Xid,
    /// The decision that would be made.
    #[serde(flatten)]
    pub judged: Judged,
    /// The authority that sent the package.
    pub from: AuthorityId,
    /// Who asks.
    pub actor: String,
    /// The roles of that person, or the one that was asked about.
    pub roles: Vec<Role>,
    /// For what.
    pub purpose: Purpose,
    /// Whether related proceedings are declared.
    pub related: bool,
    /// The time of the question.
    pub at: Timestamp,
    /// The terms of the package.
    pub terms: Terms,
    /// The decisions on items under terms of their own.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub items: Vec<ItemSays>,
    /// The words of each rule, in the order in which they are asked; the first that denies decides.
    pub rules: Vec<RuleSays>,
    /// The policy in force, as receipts name it.
    pub pol: Digest,
}

/// The decision on an item or a folder under terms of its own; the package has to permit it too.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ItemSays {
    /// Its path in the package.
    pub path: ItemPath,
    /// The decision that would be made.
    #[serde(flatten)]
    pub judged: Judged,
    /// Its terms.
    pub terms: Terms,
}

/// `GET /v1/policy`, `GET /v1/policy/{digest}`: a policy that is or was in force.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PolicyView {
    /// Its digest, as receipts name it: SHA-256 of the description.
    pub pol: Digest,
    /// Whether it is in force.
    pub in_force: bool,
    /// When it last came into force.
    pub adopted: Timestamp,
    /// One line of canonical JSON (RFC 8785): format version, rules with their versions, parameters.
    pub description: String,
    /// Beside the one in force: another one that is configured.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub waiting: Option<WaitingPolicy>,
}

/// `POST /v1/policy`: a policy that is configured and not in force yet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WaitingPolicy {
    /// Its digest.
    pub pol: Digest,
    /// `next-start`: nothing else is missing; `approved`: the same, by a second person; `asked`: one has to decide;
    /// `second-person`: nobody was asked yet.
    pub state: String,
    /// The request that waits for a second person.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub approval: Option<String>,
    /// The condition that it waits for, and the next step.
    pub message: String,
    /// Its text, as in [`PolicyView::description`].
    pub description: String,
}

/// A question to a second person about a policy.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AdoptPolicy {
    /// The text of the policy, as in [`PolicyView::description`].
    pub description: String,
}

/// The words of one rule.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RuleSays {
    /// The rule.
    pub rule: String,
    /// `permits`, `denies` or `silent`.
    pub says: String,
    /// The reason of a denial.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// The clause of a denial.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub clause: Option<String>,
}
