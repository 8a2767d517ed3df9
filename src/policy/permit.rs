//! Authority to act, as a value.

use crate::base::{Digest, Timestamp};

/// What somebody wants to do with a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Seal it for another authority and hand it to the daemon.
    Send,
    /// Take it in from another authority.
    Admit,
    /// Read its plaintext.
    Open,
}

/// A permitted decision: bound to one package, action, actor, purpose and time; made by the policy module alone, not copied, not sent anywhere.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    action: Action,
    package: Digest,
    actor: String,
    purpose: Option<String>,
    until: Timestamp,
}

impl Permit {
    /// What is permitted.
    pub const fn action(&self) -> Action {
        self.action
    }

    /// The package (its `body` digest; for sending, a digest that stands for the grant).
    pub const fn package(&self) -> &Digest {
        &self.package
    }

    /// Who may act.
    pub fn actor(&self) -> &str {
        &self.actor
    }

    /// For what, where the action has a purpose.
    pub fn purpose(&self) -> Option<&str> {
        self.purpose.as_deref()
    }

    /// When the permission ends.
    pub const fn until(&self) -> Timestamp {
        self.until
    }
}
