//! Purpose limitation: terms, and the decision that yields a [`Permit`].

pub mod permit;

pub use permit::{Action, Permit};
