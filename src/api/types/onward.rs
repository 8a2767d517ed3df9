//! Passing packages on to third authorities.

use serde::{Deserialize, Serialize};

use crate::base::{AuthorityId, Date, Timestamp, Xid};
use crate::policy::{Purpose, Restriction, Terms};

/// `POST /v1/packages/{id}/forward`: to whom, and what becomes stricter on the way; passing on once more is always
/// prohibited.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forward {
    /// The authority that is to have it: its alias or id.
    pub to: String,
    /// Why, in words; kept here, never sent.
    pub justification: String,
    /// An earlier last day of retention.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retain_until: Option<Date>,
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
}

/// `GET /v1/onward`: a package that was passed on, as the third authority has signed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OnwardView {
    /// The package, in the exchange with its first sender.
    pub package: Xid,
    /// `out`: sent by this authority, and passed on by its receiver; `in`: passed on here.
    pub direction: String,
    /// The other authority of that exchange.
    pub peer: AuthorityId,
    /// Who has it from there.
    pub third: AuthorityId,
    /// The exchange in which it was passed on.
    pub onward: Xid,
    /// `held` or `destroyed`.
    pub state: String,
    /// When the third authority signed that, by its clock.
    pub at: Timestamp,
    /// The terms that it signed.
    pub terms: Terms,
    /// Whether the third authority's signature was checked: its key is known only where it is a peer here.
    pub verified: bool,
}
