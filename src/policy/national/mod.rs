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

#[cfg(feature = "national")]
pub use lint::{RuleFault, load};
#[cfg(feature = "national")]
pub use rules::National;

#[cfg(feature = "national")]
#[cfg(test)]
mod tests;
