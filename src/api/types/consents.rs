//! Wishes for consent, and their answers.

use serde::{Deserialize, Serialize};

use crate::base::{AuthorityId, Date, Timestamp, Xid};
use crate::policy::{Purpose, Restriction};

/// `POST /v1/packages/{id}/ask`: asks the sender of a package for its consent to a use, or to passing it on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskConsent {
    /// To use it for this.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub purpose: Option<Purpose>,
    /// To pass it on to this authority.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub third: Option<AuthorityId>,
    /// Why, in words; the sender reads it.
    pub justification: String,
}

/// `POST /v1/consents/{id}/grant`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantConsent {
    /// The last day of it, UTC.
    pub until: Date,
    /// Restrictions under which it is given.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub conditions: Vec<Restriction>,
    /// Why, in words, or what else is to be observed; the receiver reads it.
    pub justification: String,
}

/// `POST /v1/consents/{id}/refuse`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefuseConsent {
    /// Why, in words; the receiver reads it.
    pub justification: String,
}

/// `GET /v1/consents`: a wish for consent, and its answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConsentView {
    /// Its id, 16 hex digits: the first of the SHA-256 of the text of the wish.
    pub id: String,
    /// The package.
    pub package: Xid,
    /// `in`: asked here, of the sender of a package that is held here; `out`: asked of this authority.
    pub direction: String,
    /// The other authority.
    pub peer: AuthorityId,
    /// To use it for this.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub purpose: Option<Purpose>,
    /// To pass it on to this authority.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub third: Option<AuthorityId>,
    /// When it was asked, by the clock of whoever asked.
    pub asked_at: Timestamp,
    /// Why, in the words of whoever asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub justification: Option<String>,
    /// `waiting`, `given`, `refused`; `expired`: given, and its last day is over; `lapsed`: not answered before the
    /// terms of the package were changed, to be asked again.
    pub state: String,
    /// The last day of it, UTC.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until: Option<Date>,
    /// Restrictions under which it is given.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub conditions: Vec<Restriction>,
    /// When it was answered, by the clock of whoever answered.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub answered_at: Option<Timestamp>,
    /// The answer in words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub answer: Option<String>,
}
