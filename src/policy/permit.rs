//! Authority to act, as a value.

use std::fmt;

use crate::base::Digest;
use crate::base::Timestamp;
use crate::base::limits;
use crate::policy::facts::Facts;

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

impl Action {
    /// Every action.
    pub const ALL: &'static [Self] = &[Self::Send, Self::Admit, Self::Open];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Admit => "admit",
            Self::Open => "open",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
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
    /// What a decision in favour yields; ends with the terms, and after a day at the latest.
    pub(super) fn grant(facts: &Facts<'_>) -> Self {
        let purpose = match facts.action {
            Action::Open => facts.purpose.map(|purpose| purpose.as_str().to_owned()),
            Action::Send | Action::Admit => None,
        };
        let day = facts.now.plus_millis(limits::PERMIT_MS_MAX);
        Self {
            action: facts.action,
            package: facts.package,
            actor: facts.actor.to_owned(),
            purpose,
            until: facts.terms.usable_until().min(day),
        }
    }

    /// Whether it permits this action on this package at this time.
    pub fn covers(&self, action: Action, package: &Digest, now: Timestamp) -> bool {
        self.action == action && self.package == *package && now <= self.until
    }

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
