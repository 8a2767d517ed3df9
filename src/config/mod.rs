//! Configuration: what is written, and what is meant by it.
//!
//! [`keys`] lists every key that may be written, with its default; [`raw`] layers defaults, the file and the
//! environment and finds unknown keys; [`typed`] turns the rest into values that cannot be wrong. All faults are
//! reported at once. `rogatory check config` and the daemon call the same [`Config::load`] and [`Config::check_files`].

mod crls;
pub mod fault;
pub mod files;
pub mod holders;
pub mod home;
pub mod keys;
pub mod raw;
pub mod sample;
pub mod typed;
pub mod units;
pub mod values;

pub use fault::ConfigFault;
pub use files::SecretFault;
pub use holders::Holder;
pub use home::Home;
pub use raw::ValueSource;
pub use typed::{Config, Origin, rules};
pub use values::{
    Authority, Congestion, Country, Destroy, KeyFiles, Limits, Listen, LogFormat, LogLevel,
    Telemetry, Verb,
};

#[cfg(test)]
mod tests;
