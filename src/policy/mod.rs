//! Purpose limitation: terms, and the decision that yields a [`Permit`].
//!
//! [`terms`] binds a package, [`purpose`] and [`instrument`] are the vocabulary, [`facts`] is what a decision may know,
//! [`mod@decide`] asks every rule under `rules/` (one a file): deny overrides, silence denies.

pub mod code;
pub mod decide;
pub mod facts;
pub mod instrument;
pub mod permit;
pub mod purpose;
mod rules;
pub mod terms;

pub use code::{Code, CodeFault};
pub use decide::{Denial, PolicySet, ReasonCode, decide};
pub use facts::Facts;
pub use permit::{Action, Permit};
pub use purpose::Purpose;
pub use terms::{Evaluation, Handling, Onward, Restriction, Source, Terms, TermsFault};
