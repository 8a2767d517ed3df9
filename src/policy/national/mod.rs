//! National rules: policies in Cedar's language that restrict what the statutory core permits, and can never loosen it.
//!
//! Only `forbid` policies are taken. They are asked after the core, and only where it permits: a rule has no way to
//! speak for anything. They bind sending, admitting, opening, exporting and passing on; never whether a package is kept
//! or destroyed, since a rule that kept a package from being destroyed would loosen its retention. A rule that cannot
//! be evaluated denies.

#[cfg(feature = "national")]
mod attributes;
#[cfg(feature = "national")]
mod guard;
#[cfg(feature = "national")]
mod lint;
#[cfg(feature = "national")]
mod question;
#[cfg(feature = "national")]
mod rules;

use std::fmt::Debug;

use serde::{Deserialize, Serialize};

use crate::base::Digest;
use crate::policy::decide::Denial;
use crate::policy::facts::Facts;

#[cfg(feature = "national")]
pub use lint::{RuleFault, load};
#[cfg(feature = "national")]
pub use rules::National;

/// A file of rules, as the description of the policy in force names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleFile {
    /// Its name.
    pub name: String,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
}

/// The question to the national rules; where they are not built in, as for the fuzz targets, nothing answers.
pub trait Restrict: Debug + Send + Sync {
    /// The files that they stand in.
    fn files(&self) -> Vec<RuleFile>;

    /// SHA-256 and text of each file.
    fn texts(&self) -> Vec<(Digest, &str)>;

    /// The words of each rule that forbids; the first is the one named.
    fn denials(&self, facts: &Facts<'_>) -> Vec<Denial>;
}

#[cfg(feature = "national")]
#[cfg(test)]
mod tests;
