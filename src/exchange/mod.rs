//! What an exchange is: which way its package goes, and how far it has come.

pub mod phase;

pub use phase::{Direction, Phase};
