//! How long packages are kept: what is due, what is held, what is destroyed, and terms that become stricter.

use serde::{Deserialize, Serialize};

use crate::api::types::PackageView;
use crate::base::{AuthorityId, Date, Digest, Timestamp, Xid};
use crate::policy::{Purpose, Restriction};
use crate::receipt::Used;

/// `GET /v1/retention/due`: a package that may no longer be kept here.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DueView {
    /// The package.
    #[serde(flatten)]
    pub package: PackageView,
    /// Why: the reason code.
    pub reason: String,
    /// The clause behind it.
    pub clause: String,
}

/// `POST /v1/packages/{id}/destroy`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DestroyRequest {
    /// Why, in words; kept here, never sent.
    pub justification: String,
    /// Only say what would be done.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub dry_run: bool,
}

/// A package that was destroyed, or would be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Destruction {
    /// The package.
    pub id: Xid,
    /// Its sender, which gets the receipt.
    pub peer: AuthorityId,
    /// Why: the reason code of the receipt.
    pub reason: String,
    /// The clause behind it.
    pub clause: String,
    /// SHA-256 of the `destroyed` receipt's bytes; absent where nothing was done.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub receipt: Option<Digest>,
}

/// `POST /v1/packages/{id}/hold`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldRequest {
    /// The last day of the hold, UTC.
    pub until: Date,
    /// Who ordered it: a court, a prosecutor's office.
    pub authority: String,
    /// Why.
    pub reason: String,
}

/// A hold on a package.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HoldView {
    /// The last day of the hold, UTC.
    pub until: Date,
    /// Who ordered it.
    pub authority: String,
    /// Why.
    pub reason: String,
    /// Who entered it.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// `POST /v1/packages/{id}/review`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReviewRequest {
    /// Why it is still needed; kept here, never sent.
    pub justification: String,
}

/// A review of whether a package is still needed here.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReviewView {
    /// Why it is.
    pub justification: String,
    /// Who found so.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// `POST /v1/packages/{id}/terms`: what is to become stricter; what is not named stays.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restrict {
    /// Why, in words; kept here, never sent.
    pub justification: String,
    /// Take it back: it may be kept no longer.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub withdraw: bool,
    /// An earlier last day of retention.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retain_until: Option<Date>,
    /// A day of review, or an earlier one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub review: Option<Date>,
    /// An earlier last day of use.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sunset: Option<Date>,
    /// The purposes that remain.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub purposes: Vec<Purpose>,
    /// Restrictions that are added.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub restrictions: Vec<Restriction>,
    /// Whether a report of use is asked for.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub use_report: bool,
    /// Whether passing on is prohibited from now on.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub no_onward: bool,
}

/// `POST /v1/packages/{id}/report`: what was done with a package since the last report, as its sender is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UseReport {
    /// The package.
    pub id: Xid,
    /// Its sender.
    pub to: AuthorityId,
    /// The acts, oldest first.
    pub uses: Vec<Used>,
    /// SHA-256 of each `use-report` receipt's bytes.
    pub receipts: Vec<Digest>,
}
