//! Roles of the people of an authority.

use std::fmt;

use crate::policy::code::vocabulary;

vocabulary! {
    /// The duty of an account. Which account has which role, the configuration of the authority says.
    Role: "role" {
        /// Seals and sends, opens, looks at packages and receipts.
        Officer = "officer",
        /// What an officer may.
        Supervisor = "supervisor",
        /// Peers, transfers and the log; never evidence.
        Operator = "operator",
        /// Reads receipts, lists and the log; changes nothing and never sees evidence.
        Auditor = "auditor",
    }
}

impl Role {
    const fn bit(self) -> u8 {
        match self {
            Self::Officer => 1,
            Self::Supervisor => 1 << 1,
            Self::Operator => 1 << 2,
            Self::Auditor => 1 << 3,
        }
    }
}

/// A set of roles, always in the order of [`Role::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Roles(u8);

impl Roles {
    /// No role.
    pub const NONE: Self = Self(0);
    /// Every role.
    pub const ALL: Self = Self::of(Role::ALL);
    /// The roles of those who work with evidence.
    pub const EVIDENCE: Self = Self::of(&[Role::Officer, Role::Supervisor]);

    /// These roles; one that is named twice counts once.
    pub const fn of(mut roles: &[Role]) -> Self {
        let mut bits = 0;
        while let [first, rest @ ..] = roles {
            bits |= first.bit();
            roles = rest;
        }
        Self(bits)
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this role is among them.
    pub const fn contains(self, role: Role) -> bool {
        self.0 & role.bit() != 0
    }

    /// Whether both have a role in common.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The roles of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Each role, in order.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        let all = Role::ALL.iter().copied();
        all.filter(move |role| self.contains(*role))
    }

    /// For people: `officer or supervisor`; `none`.
    pub fn alternatives(self) -> String {
        self.joined(" or ")
    }

    fn joined(self, by: &str) -> String {
        let words: Vec<_> = self.iter().map(Role::as_str).collect();
        if words.is_empty() {
            return "none".to_owned();
        }
        words.join(by)
    }
}

impl fmt::Display for Roles {
    /// As a term names them: `officer,auditor`; `none`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.joined(","))
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        roles
            .into_iter()
            .fold(Self::NONE, |all, role| all.and(Self::of(&[role])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_an_order_and_no_doubles() {
        for (roles, written) in [
            (&[][..], "none"),
            (&[Role::Officer], "officer"),
            (
                &[Role::Auditor, Role::Officer, Role::Auditor],
                "officer,auditor",
            ),
            (Role::ALL, "officer,supervisor,operator,auditor"),
        ] {
            let set = Roles::of(roles);
            assert_eq!(set.to_string(), written);
            assert_eq!(set, roles.iter().copied().collect());
            assert_eq!(set.is_empty(), roles.is_empty());
            for role in Role::ALL {
                let named = roles.contains(role);
                assert_eq!(set.contains(*role), named, "{written}: {role}");
                assert_eq!(set.meets(Roles::of(&[*role])), named, "{written}: {role}");
            }
        }
        assert_eq!(
            Roles::of(&[Role::Supervisor, Role::Officer]).alternatives(),
            "officer or supervisor"
        );
    }
}
