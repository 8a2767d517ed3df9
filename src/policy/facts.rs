//! The facts that a decision may know, and nothing else.

use crate::base::{AuthorityId, Date, Digest, Timestamp};
use crate::policy::action::Action;
use crate::policy::code::vocabulary;
use crate::policy::consent::Consent;
use crate::policy::exception::Exception;
use crate::policy::purpose::Purpose;
use crate::policy::role::Roles;
use crate::policy::terms::Terms;

/// The question: who wants to do what with which package, for what, and when.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The act that somebody wants to do.
    pub action: Action,
    /// This authority.
    pub own: &'a AuthorityId,
    /// The authority that sends the package.
    pub from: &'a AuthorityId,
    /// The authority that it is sent to.
    pub to: &'a AuthorityId,
    /// Who wants it: the name of a person or account here.
    pub actor: &'a str,
    /// The roles of that person; none for a peer, whose package is admitted without one.
    pub roles: Roles,
    /// For what; needed to open and to export, of no meaning otherwise.
    pub purpose: Option<&'a Purpose>,
    /// The terms that bind the package.
    pub terms: &'a Terms,
    /// The package: its `body` digest; for sending, a digest that stands for the grant.
    pub package: Digest,
    /// When it is asked.
    pub now: Timestamp,
    /// The facts beyond the terms that bear on it.
    pub circumstances: Circumstances<'a>,
}

impl Facts<'_> {
    /// Whether the terms name this purpose.
    pub(super) fn terms_name(&self, purpose: Purpose) -> bool {
        self.terms.purposes.contains(&purpose)
    }

    /// The purpose, where somebody wants to open or to export and names one.
    pub fn opened_for(&self) -> Option<Purpose> {
        self.purpose.copied().filter(|_| self.action.is_use())
    }

    /// The next step towards consent; of a package that was passed on, the authority that passed it on has to ask.
    pub(super) fn asking(&self) -> String {
        let from = self.from;
        self.circumstances.first.map_or_else(
            || format!("ask {from} for consent"),
            |first| format!("ask {from} to ask {first} for consent"),
        )
    }
}

vocabulary! {
    /// How a person stands to the team of a package's case.
    Team: "team" {
        /// The person is in it.
        Member = "member",
        /// The person is not in it.
        Other = "other",
    }
}

/// Facts beyond the terms that bear on a decision; by default none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Circumstances<'a> {
    /// The authority that sent the package first, where another has passed it on: it alone consents to more.
    pub first: Option<&'a AuthorityId>,
    /// To forward: the authority that is to receive the package.
    pub third: Option<&'a AuthorityId>,
    /// The sender's consents, for whatever package, expired ones included.
    pub consents: &'a [Consent],
    /// Whether the proceedings are declared to be directly related to those of the request (MLA Convention 2000 art.
    /// 23(1)(b)).
    pub related: bool,
    /// An exception that is declared.
    pub exception: Option<Exception<'a>>,
    /// How the person who acts stands to the team of the case, if it has one.
    pub team: Option<Team>,
    /// The last day of a hold on the package here.
    pub hold: Option<Date>,
    /// The day on which somebody last found that the package is still needed here.
    pub reviewed: Option<Date>,
}
