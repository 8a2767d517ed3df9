//! Calls about many packages at once.

use serde::{Deserialize, Serialize};

use crate::api::types::{FaultView, SealRequest};
use crate::base::Xid;

/// `POST /v1/seals/many`: grants for several packages with the same terms, each single use; answers a list of
/// [`crate::api::types::SealGrant`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealMany {
    /// The fields that hold for each of them.
    pub request: SealRequest,
    /// How many, 1 to [`GRANTS_AT_ONCE`].
    pub count: usize,
}

/// Grants that one call gives at most.
pub const GRANTS_AT_ONCE: usize = 64;

/// `POST /v1/packages/wait`: waits for all of these; answers a list of [`Waited`] for those that are known, when each
/// is where [`Waited::settled`] or the time is over.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaitMany {
    /// Ids, at most [`WAITED_AT_ONCE`].
    pub ids: Vec<Xid>,
    /// How long, at most 60.
    pub seconds: u64,
}

/// Packages that one call waits for at most.
pub const WAITED_AT_ONCE: usize = 256;

/// How far a package has come.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Waited {
    /// Its id.
    pub id: Xid,
    /// Its state, as in [`crate::api::types::PackageView::state`].
    pub state: String,
    /// Whether nothing more is to be waited for.
    pub settled: bool,
    /// The reason why it is held up or failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fault: Option<FaultView>,
}
