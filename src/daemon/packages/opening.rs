//! Opening, seen from the daemon: a decision, whether it can be done, plaintext by byte range under a permit, and a
//! signed statement of what has left.

use std::sync::Arc;

use crate::api::server::{ApiFailure, Caller};
use crate::api::types::{Closed, OpenRequest, Opening};
use crate::base::{Xid, limits};
use crate::config::Verb;
use crate::daemon::Daemon;
use crate::daemon::failure::not_recipient;
use crate::daemon::packages::decisions::{Use, of_item};
use crate::daemon::packages::openings::{
    OPENINGS_MAX, OPENINGS_OF_ONE_MAX, PermittedOpening, no_such_opening,
};
use crate::daemon::packages::release::{Record, Release};
use crate::daemon::packages::wish::{Wish, check_justification};
use crate::daemon::people::approvals::record::Approved;
use crate::exchange::{Chain, Direction, Phase};
use crate::package::{ItemTerms, segments};
use crate::policy;
use crate::policy::purpose::Purpose;
use crate::policy::{
    Action, Denial, Exception, Facts, Ground, Permit, ReasonCode, Terms, instrument,
};
use crate::receipt::Reason;
use crate::store::Exchange;

/// The reason of an opening that stands on a consent of the sender.
const CONSENT: &str = "consent";

/// A wish to open, and what it is about.
struct Asked<'a> {
    exchange: &'a Exchange,
    chain: &'a Chain,
    purpose: Purpose,
    /// The approval of the exception that is declared.
    approved: Option<Approved>,
}

impl Asked<'_> {
    fn held(self, permit: Permit, caller: &Caller, request: &OpenRequest) -> PermittedOpening {
        let items = self.chain.items.iter();
        let withheld = items.filter(|item| !item.is_opened_by(&request.items));
        let reason = reason(&permit, self.chain.terms(), request.exception);
        let persons = match &self.approved {
            Some(approved) => format!("{}, approved by {}", caller.actor(), approved.second()),
            None => caller.actor(),
        };
        let record = Record {
            purpose: self.purpose,
            reason,
            persons,
            justification: request.justification.clone(),
            items: request.items.clone(),
            related: request.related,
            export: request.export,
            terms: self.chain.terms().clone(),
            approval: self.approved,
        };
        let total = if request.export {
            self.exchange
                .len
                .saturating_add(limits::HEADER_BYTES_MAX as u64)
        } else {
            segments::plaintext_bytes(self.exchange.len)
        };
        PermittedOpening {
            permit: Arc::new(permit),
            caller: caller.clone(),
            xid: self.exchange.xid,
            withheld: withheld.map(ItemTerms::bytes).collect(),
            release: Arc::new(Release::new(self.exchange.xid, total, record)),
        }
    }
}

/// Why a permitted opening has a reason: the exception that was declared, or the consent that it stands on.
fn reason(permit: &Permit, terms: &Terms, exception: Option<Ground>) -> Option<Reason> {
    if let Some(ground) = exception {
        let clause = instrument::exception_clause(&terms.instrument, ground).to_owned();
        let code = ground.to_string();
        return Some(Reason { clause, code });
    }
    permit.is_by_consent().then(|| Reason {
        clause: instrument::purpose_clause(&terms.instrument).to_owned(),
        code: CONSENT.to_owned(),
    })
}

impl Daemon {
    /// Decides on an opening. A refusal is stated before anybody is answered; what is permitted is stated once bytes
    /// have left, and is looked at before: whether it can be done at all.
    pub(crate) async fn open(
        &self,
        caller: &Caller,
        xid: Xid,
        request: &OpenRequest,
    ) -> Result<Opening, ApiFailure> {
        let purpose = check_request(request)?;
        let exchange = self.held(xid).await?;
        let chain = self.chain_of(&exchange).await?;
        let approved = match request.exception {
            Some(_) => self.approved_exception(caller, &xid, request).await?,
            None => None,
        };
        let asked = Asked {
            exchange: &exchange,
            chain: &chain,
            purpose,
            approved,
        };
        let permit = match self.decide_opening(caller, request, &asked).await? {
            Ok(permit) => permit,
            Err(denial) => return Err(self.refuse(caller, request, &asked, denial).await),
        };
        self.can_state()?;
        let held = asked.held(permit, caller, request);
        let manifest = chain.beside.manifest;
        let opened_bytes = self.feasible(&held, &exchange, &manifest).await?;
        let opening = self.keep(held)?;
        Ok(Opening {
            opening,
            id: xid,
            expect: chain.expect(),
            plaintext_bytes: segments::plaintext_bytes(exchange.len),
            opened_bytes,
        })
    }

    /// States that opening is refused; a wish that lacks a second person then waits for one.
    async fn refuse(
        &self,
        caller: &Caller,
        request: &OpenRequest,
        asked: &Asked<'_>,
        denial: Denial,
    ) -> ApiFailure {
        let xid = asked.exchange.xid;
        let actor = caller.actor();
        let wish = Wish {
            actor: &actor,
            purpose: Some(asked.purpose),
            justification: &request.justification,
            items: &request.items,
            related: request.related,
            export: request.export,
        };
        let stated = self.state_denial(&xid, &wish, asked.chain.terms(), &denial);
        if let Err(failure) = stated.await {
            return failure;
        }
        let mut failure = ApiFailure::denied(&denial);
        if denial.reason == ReasonCode::PurposeNotPermitted && asked.chain.first_sender().is_none()
        {
            let purpose = asked.purpose;
            failure = failure.next(format!(
                "rogatory package ask-use {xid} --use {purpose} --justification TEXT"
            ));
        }
        if denial.reason != ReasonCode::SecondPersonMissing {
            return failure;
        }
        let id = xid.to_string();
        let waits = self.alone(caller, Verb::PackageException, &id, request);
        waits.await.err().unwrap_or(failure)
    }

    /// Ends an opening by its name and states what has left under it.
    pub(crate) async fn close(&self, caller: &Caller, name: &str) -> Result<Closed, ApiFailure> {
        let held = self.openings.own(name, caller);
        let held = held.ok_or_else(no_such_opening)?;
        let closed = self.end(&held).await?;
        self.openings.forget(&held);
        Ok(closed)
    }

    /// Ends every opening of a package under other terms than these; all of them, where none are given.
    pub(crate) async fn end_others(&self, xid: &Xid, terms: Option<&Terms>) {
        let other = |held: &PermittedOpening| {
            held.xid == *xid && terms.is_none_or(|terms| held.release.record.terms != *terms)
        };
        self.end_where(other).await;
    }

    /// Ends every opening: the daemon stops.
    pub(crate) async fn end_all(&self) {
        self.end_where(|_| true).await;
    }

    /// Ends openings whose time is over, and states what could not be stated before.
    pub(crate) async fn sweep_openings(&self) {
        let now = self.station.clock();
        let is_due = |held: &PermittedOpening| {
            held.permit.until() < now || held.release.is_idle() || held.release.is_over()
        };
        self.end_where(is_due).await;
        if let Err(e) = self.state_left_over(None).await {
            tracing::error!("an opening cannot be stated: {}", e.0.message);
        }
    }

    /// States all that has left of a package; the caller has the turn to state something about access.
    pub(crate) async fn settle_all(&self, xid: &Xid) -> Result<(), ApiFailure> {
        for held in self.openings.select(|held| held.xid == *xid) {
            self.settle(&held).await?;
        }
        self.settle_left_over(xid).await
    }

    async fn end_where(&self, which: impl Fn(&PermittedOpening) -> bool) {
        for held in self.openings.select(which) {
            match self.end(&held).await {
                Ok(_) => self.openings.forget(&held),
                Err(e) => {
                    let xid = held.xid;
                    tracing::error!(%xid, "an opening cannot be stated yet: {}", e.0.message);
                }
            }
        }
    }

    async fn decide_opening(
        &self,
        caller: &Caller,
        request: &OpenRequest,
        asked: &Asked<'_>,
    ) -> Result<Result<Permit, Denial>, ApiFailure> {
        let (exchange, chain, purpose) = (asked.exchange, asked.chain, asked.purpose);
        let now = self.station.clock();
        let terms = chain.terms_for(purpose, now);
        let items = chain.items_for(&request.items, purpose, now);
        let actor = caller.actor();
        let wish = Use {
            action: if request.export {
                Action::Export
            } else {
                Action::Open
            },
            actor: &actor,
            roles: self.roles_of(caller),
            purpose: &purpose,
            related: request.related,
            team: self.team_of(exchange, caller).await?,
            exception: request.exception.map(|ground| Exception {
                ground,
                declared_by: &actor,
                confirmed_by: asked.approved.as_ref().map(Approved::second),
            }),
            reviewed: self.reviewed(&exchange.xid).await?,
            consents: &chain.consents,
            first: chain.first_sender(),
        };
        let facts = self.facts_of_use(exchange, &terms, wish);
        let each = items.iter().map(|(_, terms)| terms.as_ref());
        let decision = policy::decide_all(&self.station.own.policy, &facts, each.clone());
        let latest = Facts {
            now: self.station.clock.now().latest(),
            ..facts
        };
        let refuses = || policy::decide_all(&self.station.own.policy, &latest, each).is_err();
        if decision.is_ok() && latest.now > facts.now && refuses() {
            let message = "the machine's clock is in doubt, and if it is right, the package may no longer be opened";
            return Err(ApiFailure::temporary("clock-doubtful", message)
                .next("rogatory clock status says why; rogatory clock confirm ends it"));
        }
        Ok(decision.map_err(|refused| {
            let (at, denial) = *refused;
            let item = at.and_then(|at| items.get(at)).map(|(item, _)| &item.path);
            of_item(item, denial)
        }))
    }

    fn keep(&self, opening: PermittedOpening) -> Result<String, ApiFailure> {
        let name = opening.release.name();
        let mut held = self.openings.held();
        let is_own = |it: &&PermittedOpening| it.caller.uid == opening.caller.uid;
        let too_many = |count, whose| {
            let message = format!("{count} openings{whose} are under way already");
            Err(ApiFailure::temporary("too-many-openings", message)
                .next("end one of them, or wait: one that nobody reads ends by itself"))
        };
        if held.len() >= OPENINGS_MAX {
            return too_many(OPENINGS_MAX, "");
        }
        if held.values().filter(is_own).count() >= OPENINGS_OF_ONE_MAX {
            return too_many(OPENINGS_OF_ONE_MAX, " of this account");
        }
        held.insert(name.clone(), opening);
        Ok(name)
    }

    pub(crate) async fn held(&self, xid: Xid) -> Result<Exchange, ApiFailure> {
        let exchange = self.exchange(&xid).await?;
        match (exchange.direction, exchange.phase) {
            (Direction::In, Phase::Held) => self.check_readable(&xid).map(|()| exchange),
            (Direction::Out, _) => Err(not_recipient()),
            (Direction::In, Phase::DestructionSigned | Phase::Destroyed) => {
                let message = "the package is destroyed: nobody can open it any more";
                Err(ApiFailure::missing("destroyed", message)
                    .next("rogatory receipt list --package ID shows the receipt of it"))
            }
            (Direction::In, phase) if phase.is_over_without_handover() => {
                let message = format!("the package is {phase}: it does not come any more");
                Err(ApiFailure::missing("not-here", message)
                    .next(format!("rogatory package show {xid} tells why")))
            }
            (Direction::In, phase) => {
                let message = format!("the package is {phase}, not held");
                Err(ApiFailure::temporary("not-held", message)
                    .next("rogatory transfer show ID tells what is missing"))
            }
        }
    }
}

/// The purpose that is asked for, if the rest of the request is in order too.
fn check_request(request: &OpenRequest) -> Result<Purpose, ApiFailure> {
    let purpose = Purpose::parse(&request.purpose)
        .map_err(|e| ApiFailure::usage("unknown-purpose", e.to_string()))?;
    check_justification(&request.justification)?;
    if request.export && !request.items.is_empty() {
        let message = "an age file is exported whole: name no items, or open them";
        return Err(ApiFailure::usage("export-of-items", message));
    }
    if request.items.len() > limits::OPEN_ITEMS_MAX
        || request
            .items
            .iter()
            .any(|item| item.len() > limits::ITEM_PATH_BYTES_MAX)
    {
        return Err(ApiFailure::usage(
            "too-many-items",
            format!("at most {} items can be named", limits::OPEN_ITEMS_MAX),
        ));
    }
    Ok(purpose)
}
