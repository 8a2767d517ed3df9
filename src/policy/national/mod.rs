//! National rules: policies in Cedar's language that restrict what the statutory core permits, and can never loosen it.
//!
//! Only `forbid` policies are taken. They are asked after the core, and only where it permits: a rule has no way to speak for
//! anything. They bind sending, admitting, opening, exporting and passing on; never whether a package is kept or destroyed, since a rule that
//! kept a package from being destroyed would loosen its retention. A rule that cannot be evaluated denies.

#[cfg(not(feature = "shell"))]
mod absent;
#[cfg(feature = "shell")]
mod attributes;
#[cfg(feature = "shell")]
mod guard;
#[cfg(feature = "shell")]
mod lint;
#[cfg(feature = "shell")]
mod question;
#[cfg(feature = "shell")]
mod rules;

use serde::Serialize;

use crate::base::Digest;

#[cfg(not(feature = "shell"))]
pub use absent::National;
#[cfg(feature = "shell")]
pub use lint::{RuleFault, load};
#[cfg(feature = "shell")]
pub use rules::National;

/// A file of rules, as the description of the policy in force names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleFile {
    /// Its name.
    pub name: String,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
}

#[cfg(all(test, feature = "shell"))]
mod tests;
