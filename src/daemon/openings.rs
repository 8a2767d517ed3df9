//! Opening, seen from the daemon: a decision, a signed statement, and plaintext by byte range under a permit.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::api::server::{ApiFailure, Caller};
use crate::api::types::{OpenRequest, Opening};
use crate::base::Timestamp;
use crate::base::Xid;
use crate::base::limits;
use crate::config::Verb;
use crate::daemon::Daemon;
use crate::daemon::approvals::Approved;
use crate::daemon::chain::Chain;
use crate::daemon::decisions::{Use, of_item};
use crate::daemon::notices::Notice;
use crate::daemon::statements::{Wish, check_justification};
use crate::package::{ItemTerms, segments};
use crate::policy;
use crate::policy::Action;
use crate::policy::Permit;
use crate::policy::instrument;
use crate::policy::purpose::Purpose;
use crate::policy::{Denial, Exception, Facts, Ground, ReasonCode, Terms};
use crate::receipt;
use crate::receipt::Disclosure;
use crate::receipt::Kind;
use crate::receipt::Reason;
use crate::seal;
use crate::store::Direction;
use crate::store::Exchange;
use crate::store::Phase;

/// Openings at once.
const OPENINGS_MAX: usize = 64;

/// The reason of an opening that stands on a consent of the sender.
const CONSENT: &str = "consent";

/// A permitted opening.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) permit: Arc<Permit>,
    caller: Caller,
    pub(super) xid: Xid,
    /// The terms in force under which it was permitted.
    terms: Terms,
    /// The bytes of items under terms of their own for which it is not permitted; in order.
    pub(super) withheld: Arc<[Range<u64>]>,
}

/// A wish to open, and what it is about.
struct Asked<'a> {
    exchange: &'a Exchange,
    chain: &'a Chain,
    purpose: Purpose,
    /// Who has confirmed the exception that is declared.
    second: Option<&'a str>,
}

impl Asked<'_> {
    fn held(&self, permit: Permit, caller: &Caller, request: &OpenRequest) -> Held {
        let items = self.chain.items.iter();
        let withheld = items.filter(|item| !item.is_opened_by(&request.items));
        Held {
            permit: Arc::new(permit),
            caller: caller.clone(),
            xid: self.exchange.xid,
            terms: self.chain.terms().clone(),
            withheld: withheld.map(ItemTerms::bytes).collect(),
        }
    }
}

/// The openings under way.
#[derive(Default)]
pub(crate) struct Openings(Mutex<HashMap<String, Held>>);

impl Openings {
    pub(super) fn find(
        &self,
        name: &str,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Held, ApiFailure> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match held.get(name) {
            Some(held) if held.caller == *caller && held.permit.until() >= now => Ok(held.clone()),
            Some(_) | None => Err(ApiFailure::missing(
                "no-such-opening",
                "there is no such opening; it may have ended",
            )
            .next("open the package again")),
        }
    }

    /// Ends an opening.
    pub(crate) fn end(&self, name: &str, caller: &Caller) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.get(name).is_some_and(|held| held.caller == *caller) {
            held.remove(name);
        }
    }

    /// The package of an opening.
    pub(crate) fn of(
        &self,
        name: &str,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Xid, ApiFailure> {
        self.find(name, caller, now).map(|held| held.xid)
    }

    /// Ends every opening of a package.
    pub(crate) fn end_all(&self, xid: &Xid) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, held| held.xid != *xid);
    }

    /// Ends every opening of a package that was permitted under other terms than these, which are in force now.
    pub(crate) fn end_others(&self, xid: &Xid, terms: &Terms) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, held| held.xid != *xid || held.terms == *terms);
    }

    /// Drops openings whose time is over.
    pub(crate) fn sweep(&self, now: Timestamp) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, held| held.permit.until() >= now);
    }
}

/// What a statement says of an opening, and why: the denial, or the consent that the opening stands on.
fn outcome(decision: &Result<Permit, Denial>, terms: &Terms) -> (Kind, Option<Reason>) {
    match decision {
        Ok(permit) if permit.is_by_consent() => {
            let clause = instrument::purpose_clause(&terms.instrument).to_owned();
            let code = CONSENT.to_owned();
            (Kind::Access, Some(Reason { clause, code }))
        }
        Ok(_) => (Kind::Access, None),
        Err(denial) => (Kind::AccessDenied, Some(Reason::from(denial))),
    }
}

/// What the sender is told of an opening under a declared exception.
fn exceptional(wish: &Wish<'_>, ground: Ground, second: &str, terms: &Terms) -> Notice {
    let persons = format!("{}, approved by {second}", wish.actor);
    Notice {
        reason: Some(Reason {
            code: ground.to_string(),
            clause: instrument::exception_clause(&terms.instrument, ground).to_owned(),
        }),
        purpose: wish.purpose,
        disclosures: wish.disclosures(&persons),
        ..Notice::of(Kind::Access)
    }
}

pub(crate) fn not_recipient() -> ApiFailure {
    let message = "this authority sent the package; only its recipient can open it";
    ApiFailure::usage("not-recipient", message)
}

impl Daemon {
    /// Decides on an opening; either way, a signed statement says so before anybody is answered.
    pub(crate) async fn open(
        &self,
        caller: &Caller,
        xid: Xid,
        request: &OpenRequest,
    ) -> Result<Opening, ApiFailure> {
        let purpose = check_request(request)?;
        let exchange = self.held(xid).await?;
        let chain = self.chain_of(&exchange).await?;
        let manifest = manifest_digest(&exchange)?;
        let actor = caller.actor();
        // Until it is used up: an approval is for one opening.
        let (turn, approved) = match request.exception {
            Some(_) => (
                Some(self.approvals.lock().await),
                self.approved_exception(caller, &xid, request).await?,
            ),
            None => (None, None),
        };
        let wish = Wish {
            actor: &actor,
            purpose: Some(purpose),
            justification: &request.justification,
            items: &request.items,
            related: request.related,
            export: request.export,
        };
        let asked = Asked {
            exchange: &exchange,
            chain: &chain,
            purpose,
            second: approved.as_ref().map(Approved::second),
        };
        let decision = self.decide_opening(caller, request, &asked).await?;
        let says = outcome(&decision, chain.terms());
        let lacks_second = decision
            .as_ref()
            .is_err_and(|denial| denial.reason == ReasonCode::SecondPersonMissing);
        // Its place is taken before anything is stated: what is stated as opened can be read, and what the sender changes
        // meanwhile ends it.
        let place = decision.map(|permit| self.keep(asked.held(permit, caller, request)));
        let place = match place {
            Ok(kept) => Ok(kept?),
            Err(denial) => Err(denial),
        };
        let exception = request.exception.zip(approved.as_ref());
        let stated = match (&place, exception) {
            (Ok(_), Some((ground, approved))) => {
                let notice = exceptional(&wish, ground, approved.second(), chain.terms());
                let used = vec![approved.used_up()];
                self.notify(&exchange, notice, used).await
            }
            (Ok(_) | Err(_), _) => self.state_access(&xid, &wish, chain.terms(), says).await,
        };
        drop(turn);
        if let (Ok(name), Err(_)) = (&place, &stated) {
            self.openings.end(name, caller);
        }
        let receipt = stated?;
        if lacks_second {
            let id = xid.to_string();
            self.alone(caller, Verb::PackageException, &id, request)
                .await?;
        }
        let opening = place.map_err(|denial| ApiFailure::denied(&denial))?;
        Ok(Opening {
            opening,
            id: xid,
            from: chain.manifest.from,
            to: chain.manifest.to,
            terms: chain.manifest.terms,
            item_terms: chain.items,
            manifest,
            plaintext_bytes: segments::plaintext_bytes(exchange.len),
            receipt,
        })
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
                confirmed_by: asked.second,
            }),
            reviewed: self.reviewed(&exchange.xid).await?,
            consents: &chain.consents,
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
            let message =
                "by the machine's clock, which is in doubt, the package may not be opened any more";
            return Err(ApiFailure::temporary("clock-doubtful", message)
                .next("rogatory clock status says why; rogatory clock confirm ends it"));
        }
        Ok(decision.map_err(|refused| {
            let (at, denial) = *refused;
            let item = at.and_then(|at| items.get(at)).map(|(item, _)| &item.path);
            of_item(item, denial)
        }))
    }

    fn keep(&self, opening: Held) -> Result<String, ApiFailure> {
        let name = hex::encode(seal::random::<16>());
        let mut held = self
            .openings
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if held.len() >= OPENINGS_MAX {
            return Err(ApiFailure::temporary(
                "too-many-openings",
                format!("{OPENINGS_MAX} openings are under way already"),
            ));
        }
        held.insert(name.clone(), opening);
        Ok(name)
    }

    pub(super) async fn held(&self, xid: Xid) -> Result<Exchange, ApiFailure> {
        let exchange = self.exchange(&xid).await?;
        match (exchange.direction, exchange.phase) {
            (Direction::In, Phase::Held) => self.check_readable(&xid).map(|()| exchange),
            (Direction::Out, _) => Err(not_recipient()),
            (Direction::In, Phase::DestructionSigned | Phase::Destroyed) => {
                let message = "the package is destroyed: nobody can open it any more";
                Err(ApiFailure::missing("destroyed", message)
                    .next("rogatory receipt list --package ID shows the receipt of it"))
            }
            (Direction::In, phase) => {
                let message = format!("the package is {}, not held", phase.as_str());
                Err(ApiFailure::temporary("not-held", message)
                    .next("rogatory transfer show ID tells what is missing"))
            }
        }
    }
}

pub(crate) fn altered(what: &str) -> ApiFailure {
    ApiFailure::mismatch(
        "ledger-altered",
        format!("the {what} of this package in the ledger is missing or damaged"),
    )
}

fn manifest_digest(exchange: &Exchange) -> Result<crate::base::Digest, ApiFailure> {
    let disclosed: Result<Vec<_>, _> = exchange
        .disclosures
        .iter()
        .map(|text| Disclosure::parse(text))
        .collect();
    let disclosed = disclosed.map_err(|_| altered("disclosures"))?;
    receipt::disclosure::text(&disclosed, "manifest")
        .and_then(crate::base::Digest::parse)
        .ok_or_else(|| altered("manifest digest"))
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
