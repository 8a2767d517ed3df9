//! Authority to act, as a value.

use crate::base::{Digest, Timestamp, limits};
use crate::policy::action::Action;
use crate::policy::facts::Facts;
use crate::policy::rules::consent;

/// A permitted decision: bound to one package, action, actor, purpose and time; made by the policy module alone, not
/// copied, not sent anywhere.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    action: Action,
    package: Digest,
    actor: String,
    purpose: Option<String>,
    until: Timestamp,
    rule: &'static str,
}

impl Permit {
    /// The yield of a decision in favour, and the rule that spoke for it. It ends after a day at the latest, with the
    /// terms if it is a use, and with the last day of a consent to it, if there is one: the permission may stand on
    /// that.
    pub(super) fn grant(facts: &Facts<'_>, rule: &'static str) -> Self {
        let purpose = facts.opened_for().map(|it| it.as_str().to_owned());
        let day = facts.now.plus_millis(limits::PERMIT_MS_MAX);
        let day = consent::end(facts).map_or(day, |end| end.min(day));
        Self {
            action: facts.action,
            package: facts.package,
            actor: facts.actor.to_owned(),
            purpose,
            until: match facts.action {
                Action::Keep | Action::Erase => day,
                Action::Send | Action::Admit | Action::Open | Action::Export | Action::Forward => {
                    facts.terms.usable_until().min(day)
                }
            },
            rule,
        }
    }

    /// This permission, ended when the other ends, for the same under further terms; it stands on a consent if either
    /// does.
    pub(super) fn within(mut self, other: &Self) -> Self {
        self.until = self.until.min(other.until);
        if other.is_by_consent() {
            self.rule = other.rule;
        }
        self
    }

    /// Whether it permits this action on this package at this time.
    pub fn covers(&self, action: Action, package: &Digest, now: Timestamp) -> bool {
        self.action == action && self.package == *package && now <= self.until
    }

    /// The permitted act.
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

    /// The rule that permitted it.
    pub const fn rule(&self) -> &'static str {
        self.rule
    }

    /// Whether nothing but a consent of the sender permitted it.
    pub fn is_by_consent(&self) -> bool {
        self.rule == consent::ID
    }

    /// When the permission ends.
    pub const fn until(&self) -> Timestamp {
        self.until
    }
}
