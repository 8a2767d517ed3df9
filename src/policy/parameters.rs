//! The choices that the core's rules leave to an authority.

use crate::policy::terms::Handling;

/// The parameters of rules.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameters {
    /// The highest handling code that is given and taken; `None`: any.
    pub(super) handling_max: Option<Handling>,
    /// Whether a package is kept until the end of its retention where its use ends before.
    pub(super) keep_after_sunset: bool,
    /// Whether only the team of its case may use a package.
    pub(super) need_to_know: bool,
}
