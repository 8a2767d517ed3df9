//! The daemon's time, and how sure it is.

use serde::{Deserialize, Serialize};

use crate::api::types::ListView;
use crate::base::Timestamp;
use crate::base::clock::{Doubt, Past};

/// `GET /v1/clock`, `POST /v1/clock/confirm`
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct ClockView {
    /// The time that the daemon goes by.
    pub at: Timestamp,
    /// The reading of the machine's clock.
    pub read: Timestamp,
    /// Whether that is believed, so that what cannot be taken back goes on.
    pub sure: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub doubt: Option<Doubt>,
    /// The last doubt that is over.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last: Option<Past>,
}

/// `POST /v1/certificate/renew`
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct RenewRequest {
    /// Only what is due.
    #[serde(default)]
    pub if_due: bool,
}

/// `GET /v1/certificate`: own certificate and revocation lists.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct CertificateView {
    /// When the certificate begins to be valid.
    pub certificate_begins: Timestamp,
    /// When it ends.
    pub certificate_expires: Timestamp,
    /// Own revocation lists, one of each CA.
    pub lists: Vec<ListView>,
}
