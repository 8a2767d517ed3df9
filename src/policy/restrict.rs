//! The form of national rules, whether they are built in or not.

use std::fmt::Debug;

use serde::{Deserialize, Serialize};

use crate::base::Digest;
use crate::policy::denial::Denial;
use crate::policy::facts::Facts;

/// A file of rules, as the description of the policy in force names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleFile {
    /// Its name.
    pub name: String,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
}

/// The question to the national rules; where they are not built in, as for the fuzz targets, nothing answers.
pub trait NationalRules: Debug + Send + Sync {
    /// The files that they stand in.
    fn files(&self) -> Vec<RuleFile>;

    /// SHA-256 and text of each file.
    fn texts(&self) -> Vec<(Digest, &str)>;

    /// The words of each rule that forbids; the first is the one named.
    fn denials(&self, facts: &Facts<'_>) -> Vec<Denial>;
}
