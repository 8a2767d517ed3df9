//! The process: start and stop, what confines it, its clock, its own papers, its log and what it says of itself.

pub(crate) mod clock_memory;
pub mod confine;
pub(crate) mod credentials;
pub(crate) mod log_rate;
pub(crate) mod renewal;
pub(crate) mod run_state;
pub(crate) mod start;
pub(crate) mod stop;
pub(crate) mod supervisor;
pub(crate) mod sweeper;
pub(crate) mod telemetry;
pub(crate) mod timekeeping;
pub(crate) mod views;
