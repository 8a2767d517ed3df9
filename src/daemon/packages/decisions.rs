//! The facts that the daemon decides on, and what it would decide.

use crate::api::accounts::Accounts;
use crate::api::server::{ApiFailure, Caller};
use crate::api::types::{Explanation, ItemSays, RuleSays};
use crate::base::{AuthorityId, Date, Xid};
use crate::daemon::Daemon;
use crate::daemon::failure::not_recipient;
use crate::daemon::people::roles;
use crate::exchange::Direction;
use crate::package::ItemPath;
use crate::policy;
use crate::policy::table::{Outcome, judged};
use crate::policy::{
    Action, Circumstances, Consent, Denial, Exception, Facts, PolicySet, Purpose, Role, Roles,
    Team, Terms, Verdict,
};
use crate::store::Exchange;

/// Who wants to use a package, and for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Use<'a> {
    pub(crate) action: Action,
    pub(crate) actor: &'a str,
    pub(crate) roles: Roles,
    pub(crate) purpose: &'a Purpose,
    pub(crate) related: bool,
    pub(crate) team: Option<Team>,
    pub(crate) exception: Option<Exception<'a>>,
    pub(crate) reviewed: Option<Date>,
    pub(crate) consents: &'a [Consent],
    /// Who sent the package first, where another has passed it on.
    pub(crate) first: Option<&'a AuthorityId>,
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
        roles::roles_of(holders, Accounts::remembered(), caller)
    }

    /// Tells how an opening would be answered now, and what each rule says; signs nothing.
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
        let chain = self.chain_of(&exchange).await?;
        let actor = caller.actor();
        let asked = Use {
            action: Action::Open,
            actor: &actor,
            roles: question
                .role
                .map_or_else(|| self.roles_of(caller), |role| Roles::of(&[role])),
            purpose: &question.purpose,
            related: question.related,
            team: self.team_of(&exchange, caller).await?,
            exception: None,
            reviewed: self.reviewed(&xid).await?,
            consents: &chain.consents,
            first: chain.first_sender(),
        };
        let now = self.station.clock();
        let terms = chain.terms_for(question.purpose, now);
        let facts = self.facts_of_use(&exchange, &terms, asked);
        let policy = &self.station.own.policy;
        let items = chain.items_for(&[], question.purpose, now);
        let items = items.into_iter().map(|(item, terms)| ItemSays {
            path: item.path.clone(),
            judged: judged(
                policy,
                &Facts {
                    terms: &terms,
                    ..facts
                },
            ),
            terms: terms.into_owned(),
        });
        let items: Vec<_> = items.collect();
        let sees_names = self.roles_of(caller).meets(Roles::EVIDENCE);
        let mut whole = explained(xid, policy, question.purpose, &facts);
        // The whole is opened where each item may be.
        let denies = |item: &&ItemSays| item.judged.decision == Outcome::Deny;
        if whole.judged.decision == Outcome::Permit
            && let Some(item) = items.iter().find(denies)
        {
            whole.judged = item.judged.clone();
            let text = whole.judged.text.unwrap_or_default();
            whole.judged.text = Some(if sees_names {
                beside(&item.path, &text)
            } else {
                text
            });
        }
        // Names of items can tell of their content.
        let items = if sees_names { items } else { Vec::new() };
        Ok(Explanation { items, ..whole })
    }

    /// Collects the facts about a wish to open or export a package that was received.
    pub(crate) fn facts_of_use<'a>(
        &'a self,
        exchange: &'a Exchange,
        terms: &'a Terms,
        wish: Use<'a>,
    ) -> Facts<'a> {
        Facts {
            action: wish.action,
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
                consents: wish.consents,
                first: wish.first,
                reviewed: wish.reviewed,
                ..Circumstances::default()
            },
        }
    }
}

/// A denial that comes of the terms of an item says so.
pub(crate) fn of_item(item: Option<&ItemPath>, denial: Denial) -> Denial {
    let Some(item) = item else {
        return denial;
    };
    Denial {
        text: beside(item, &denial.text),
        ..denial
    }
}

fn beside(item: &ItemPath, text: &str) -> String {
    format!(
        "{:?} is under stricter terms of its own, open the others with --item: {text}",
        item.as_str()
    )
}

fn explained(id: Xid, set: &PolicySet, purpose: Purpose, facts: &Facts<'_>) -> Explanation {
    let rules = policy::verdicts(set, facts)
        .into_iter()
        .map(|(rule, says)| {
            let (says, denial) = match says {
                Verdict::Permits => ("permits", None),
                Verdict::Denies(denial) => ("denies", Some(denial)),
                Verdict::Silent => ("silent", None),
            };
            RuleSays {
                rule: rule.into_owned(),
                says: says.to_owned(),
                reason: denial.as_ref().map(Denial::code),
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
        items: Vec::new(),
        rules: rules.collect(),
        pol: set.digest(),
    }
}
