//! A connection from hello to its end.

pub mod control;
mod hello;
mod serve;

pub use hello::{HelloFault, VERSION, open};
pub use serve::{send, serve};
