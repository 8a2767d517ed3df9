//! Cases and their teams.

use serde::{Deserialize, Serialize};

use crate::base::{AuthorityId, Timestamp};

/// `GET /v1/cases`: a case of packages that came.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CaseView {
    /// The authority that sends its packages.
    pub peer: AuthorityId,
    /// That authority's name for it.
    pub case: String,
    /// How many packages of it came, where they were counted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub packages: Option<u64>,
    /// The account or group that it is for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub team: Option<String>,
    /// Who assigned it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub by: Option<String>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub at: Option<Timestamp>,
}

/// `POST /v1/packages/{id}/team`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssignTeam {
    /// `user:NAME`, `uid:N`, `group:NAME` or `gid:N`.
    pub team: String,
}
