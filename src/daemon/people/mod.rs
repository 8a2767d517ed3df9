//! People: their roles and teams, second persons, the policy that is in force.

pub(crate) mod adoption;
pub(crate) mod approvals;
pub(crate) mod cases;
pub(crate) mod orders;
pub(crate) mod roles;
