//! What a decision may know, and nothing else.

use crate::base::AuthorityId;
use crate::base::Digest;
use crate::base::Timestamp;
use crate::policy::permit::Action;
use crate::policy::purpose::Purpose;
use crate::policy::terms::Terms;

/// The question: who wants to do what with which package, for what, and when.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// What somebody wants to do.
    pub action: Action,
    /// This authority.
    pub own: &'a AuthorityId,
    /// The authority that sends the package.
    pub from: &'a AuthorityId,
    /// The authority that it is sent to.
    pub to: &'a AuthorityId,
    /// Who wants it: the name of a person or account here.
    pub actor: &'a str,
    /// For what; needed to open, of no meaning to send and admit.
    pub purpose: Option<&'a Purpose>,
    /// The terms that bind the package.
    pub terms: &'a Terms,
    /// The package: its `body` digest; for sending, a digest that stands for the grant.
    pub package: Digest,
    /// When it is asked.
    pub now: Timestamp,
}
