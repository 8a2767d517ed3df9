//! Peers: who they are, their cards and lists, connections to them.

pub(crate) mod acceptor;
pub(crate) mod callback;
pub(crate) mod card_note;
pub(crate) mod cards;
pub(crate) mod courier;
pub(crate) mod dialling;
pub(crate) mod lifecycle;
pub(crate) mod lists;
pub(crate) mod load;
pub(crate) mod mailbox;
pub(crate) mod revocation_lists;
pub(crate) mod roster;
pub(crate) mod updates;
