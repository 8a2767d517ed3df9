//! Purpose limitation: terms, and the decision that yields a [`Permit`].
//!
//! [`terms`] binds a package, [`purpose`] and [`instrument`] are the vocabulary, [`facts`] is what a decision may know,
//! [`mod@decide`] asks every rule under `rules/` (one a file): deny overrides, silence denies; [`description`] is the
//! text of a policy, which its digest is taken over. [`national`] rules can only restrict what comes of that. [`table`]
//! reads tables of cases with the decisions that are expected.

pub mod action;
pub mod code;
pub mod consent;
pub mod decide;
pub mod denial;
pub mod description;
pub mod exception;
pub mod facts;
pub mod instrument;
pub mod national;
mod parameters;
pub mod permit;
pub mod purpose;
pub mod restrict;
pub mod role;
mod rules;
pub mod table;
pub mod terms;
mod verdict;

pub use action::Action;
pub use code::{Code, CodeFault};
pub use consent::{Consent, Consented};
pub use decide::{PolicySet, decide, decide_all, verdicts};
pub use denial::{Denial, ReasonCode};
pub use description::Configured;
pub use exception::{Exception, Ground};
pub use facts::{Circumstances, Facts, Team};
#[cfg(feature = "national")]
pub use national::National;
pub use permit::Permit;
pub use purpose::Purpose;
pub use role::{Role, Roles};
#[cfg(feature = "shell")]
pub(crate) use rules::lacking;
pub use terms::{Evaluation, Handling, Onward, Restriction, Source, Terms, TermsFault};
pub use verdict::Verdict;
