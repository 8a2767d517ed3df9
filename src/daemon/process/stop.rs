//! Why the daemon ended.

use crate::config::ConfigFault;

/// Why the daemon ended, other than by being asked to.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// The configuration is wrong: all its faults.
    #[error("the configuration is not valid")]
    Config(Vec<ConfigFault>),
    /// Keys, card or certificate are missing or do not fit together.
    #[error("{0}")]
    Identity(String),
    /// Which policy is to be in force cannot be made out.
    #[error("{0}")]
    Policy(String),
    /// An address cannot be listened on.
    #[error("{0}")]
    Listen(String),
    /// The store cannot be opened or has failed.
    #[error("{0}")]
    Store(String),
}

impl Stop {
    /// The exit code that the process ends with.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Policy(_) => 3,
            Self::Identity(_) => 6,
            Self::Listen(_) => 1,
            Self::Store(_) => 11,
        }
    }

    /// Stable kebab-case word.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Config(_) => "config-invalid",
            Self::Identity(_) => "identity-unusable",
            Self::Policy(_) => "policy-not-approved",
            Self::Listen(_) => "cannot-listen",
            Self::Store(_) => "store-failed",
        }
    }
}
