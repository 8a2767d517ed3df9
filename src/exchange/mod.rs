//! The life of an exchange: which way its package goes, its phases and the steps between them, and its statements
//! folded.

pub mod chain;
pub mod history;
pub mod phase;

pub use chain::{Bound, Chain, ChainFault, Subject};
pub use history::{History, HistoryFault};
pub use phase::{Direction, Phase, Step};

#[cfg(test)]
mod tests;
