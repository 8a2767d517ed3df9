//! The facts that the daemon decides on, and what it would decide.

use crate::api::accounts::Accounts;
use crate::api::server::{ApiFailure, Caller};
use crate::api::types::{Explanation, RuleSays};
use crate::base::Xid;
use crate::daemon::Daemon;
use crate::daemon::openings::{altered, not_recipient};
use crate::daemon::people;
use crate::policy;
use crate::policy::table::judged;
use crate::policy::{
    Action, Circumstances, Exception, Facts, PolicySet, Purpose, Role, Roles, Team, Terms, Verdict,
};
use crate::receipt::Kind;
use crate::store::{Direction, Exchange};

/// Who wants to use a package, and for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Use<'a> {
    pub(crate) actor: &'a str,
    pub(crate) roles: Roles,
    pub(crate) purpose: &'a Purpose,
    pub(crate) related: bool,
    pub(crate) team: Option<Team>,
    pub(crate) exception: Option<Exception<'a>>,
}

/// A question about opening that is answered without opening.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question {
    pub(crate) purpose: Purpose,
    pub(crate) related: bool,
    /// As if asked by somebody with this role alone.
    pub(crate) role: Option<Role>,
}

impl Daemon {
    /// The roles of this caller here.
    pub(crate) fn roles_of(&self, caller: &Caller) -> Roles {
        let holders = self.config.roles.as_deref();
        people::roles_of(holders, Accounts::remembered(), caller)
    }

    /// What an opening would be answered now, and what each rule says; nothing is signed.
    pub(crate) async fn explain(
        &self,
        caller: &Caller,
        xid: Xid,
        question: Question,
    ) -> Result<Explanation, ApiFailure> {
        let exchange = self.exchange(&xid).await?;
        if exchange.direction == Direction::Out {
            return Err(not_recipient());
        }
        let terms = self.terms_of(&exchange).await?;
        let actor = caller.actor();
        let asked = Use {
            actor: &actor,
            roles: question
                .role
                .map_or_else(|| self.roles_of(caller), |role| Roles::of(&[role])),
            purpose: &question.purpose,
            related: question.related,
            team: self.team_of(&exchange, caller).await?,
            exception: None,
        };
        let facts = self.facts_of_use(&exchange, &terms, asked);
        Ok(explained(
            xid,
            &self.station.own.policy,
            question.purpose,
            &facts,
        ))
    }

    /// The terms in force: those of the dispatch that the exchange began with, or what its sender has made of them since.
    pub(crate) async fn terms_of(&self, exchange: &Exchange) -> Result<Terms, ApiFailure> {
        let sealed = self.terms_sealed(exchange).await?;
        let newest = self.shared_notes(exchange).await?.pop();
        let newest = newest.filter(|it| it.receipt.kind == Kind::RestrictionChanged);
        match newest.and_then(|it| it.receipt.terms) {
            Some(newest) if newest.is_within(&sealed) => Ok(newest),
            Some(_) => Err(altered("changed restriction")),
            None => Ok(sealed),
        }
    }

    /// The terms of the dispatch that the exchange began with, which the manifest repeats.
    pub(crate) async fn terms_sealed(&self, exchange: &Exchange) -> Result<Terms, ApiFailure> {
        let dispatch = self.dispatch_of(exchange).await?;
        dispatch.terms.ok_or_else(|| altered("terms"))
    }

    /// What is known about a wish to open a package that was received.
    pub(crate) fn facts_of_use<'a>(
        &'a self,
        exchange: &'a Exchange,
        terms: &'a Terms,
        wish: Use<'a>,
    ) -> Facts<'a> {
        Facts {
            action: Action::Open,
            own: &self.station.own.id,
            from: &exchange.peer,
            to: &self.station.own.id,
            actor: wish.actor,
            roles: wish.roles,
            purpose: Some(wish.purpose),
            terms,
            package: exchange.body,
            now: self.station.clock(),
            circumstances: Circumstances {
                related: wish.related,
                team: wish.team,
                exception: wish.exception,
                ..Circumstances::default()
            },
        }
    }
}

fn explained(id: Xid, set: &PolicySet, purpose: Purpose, facts: &Facts<'_>) -> Explanation {
    let rules = policy::verdicts(set, facts).map(|(rule, says)| {
        let (says, denial) = match says {
            Verdict::Permits => ("permits", None),
            Verdict::Denies(denial) => ("denies", Some(denial)),
            Verdict::Silent => ("silent", None),
        };
        RuleSays {
            rule: rule.to_owned(),
            says: says.to_owned(),
            reason: denial.as_ref().map(|it| it.reason.to_string()),
            clause: denial.map(|it| it.clause),
        }
    });
    Explanation {
        id,
        judged: judged(set, facts),
        from: facts.from.clone(),
        actor: facts.actor.to_owned(),
        roles: facts.roles.iter().collect(),
        purpose,
        related: facts.circumstances.related,
        at: facts.now,
        terms: facts.terms.clone(),
        rules: rules.collect(),
        pol: set.digest(),
    }
}
