//! Passing on: a package that is held here goes to a third authority, with the consent of its sender, whose dispatch
//! travels along. The payload stays what it is; its file key is wrapped again.
//!
//! The duties that follow from it are done without a person, as often as needed: the sender is told what the third
//! authority has signed, and stricter terms of the sender become terms of what was passed on.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::api::server::{ApiFailure, Caller};
use crate::api::types::{Forward, PackageView, Restrict};
use crate::base::{AuthorityId, Digest, Ranges, Xid, json, limits};
use crate::daemon::Daemon;
use crate::daemon::failure::altered;
use crate::daemon::packages::chain::read;
use crate::daemon::packages::decisions::of_item;
use crate::daemon::packages::restrictions::narrowed;
use crate::daemon::packages::seals::accepted;
use crate::daemon::packages::statements::Stated;
use crate::daemon::packages::wish::{check_justification, who_and_why};
use crate::daemon::peers::roster::KnownPeer;
use crate::exchange::{Chain, Direction, Phase};
use crate::identity::statement::Note;
use crate::policy::{self, Action, Circumstances, Consented, Denial, Facts, Onward, Permit, Terms};
use crate::receipt::{Disclosure, Kind, Pkg, Reason, Receipt, Signed, disclosure};
use crate::seal;
use crate::store::{self, Exchange, Op, Outgoing};

/// The ledger key of the list of what was passed on and is still of interest to its first sender.
const LIST: &str = "onward";

/// A package that is held here, and the exchange in which it is passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pair {
    pub(crate) held: Xid,
    pub(crate) onward: Xid,
}

/// A permitted passing on, about to be done.
struct Ready {
    row: Exchange,
    origin: Signed,
    third: Arc<KnownPeer>,
    terms: Terms,
    permit: Permit,
}

/// The changes that narrow the terms under which a package is passed on; passing it on once more always is.
fn wish(request: &Forward) -> Restrict {
    Restrict {
        justification: request.justification.clone(),
        withdraw: false,
        retain_until: request.retain_until,
        sunset: request.sunset,
        review: None,
        purposes: request.purposes.clone(),
        restrictions: request.restrictions.clone(),
        use_report: request.use_report,
        no_onward: true,
    }
}

impl Daemon {
    /// Whether a package may be passed on so, now. A refusal by policy is stated.
    pub(crate) async fn may_forward(
        &self,
        caller: &Caller,
        xid: Xid,
        request: &Forward,
    ) -> Result<(), ApiFailure> {
        let _one_at_a_time = self.access.lock().await;
        let actor = caller.actor();
        self.ready(caller, &actor, xid, request).await.map(drop)
    }

    /// Passes a package on; from here on the daemon sees to the delivery, and tells the sender.
    pub(crate) async fn forward(
        &self,
        caller: &Caller,
        actor: &str,
        xid: Xid,
        request: &Forward,
    ) -> Result<PackageView, ApiFailure> {
        let _one_at_a_time = self.access.lock().await;
        let ready = self.ready(caller, actor, xid, request).await?;
        let header = self.rewrapped(&ready).await?;
        let onward = Xid::from_bytes(seal::random());
        let disclosures = disclosures(&ready, actor, request)?;
        let own = self.party();
        let receipt = Receipt::dispatch(
            onward,
            own,
            ready.third.keys.newest().clone(),
            Pkg::new(ready.row.body, Digest::of(&header), ready.row.len),
            ready.terms.clone(),
        );
        let receipt = receipt.stamped(&self.stamp()).disclosing(&disclosures);
        let note = self.station.own.keys.sign(&receipt)?;
        let goes = goes_along(&disclosures);
        let row = self.outgoing(&ready, (&receipt, &note), goes);
        let mut ops = vec![
            // What its sender said meanwhile would have been looked at.
            Op::Unmoved {
                xid,
                steps: ready.row.steps,
            },
            Op::Open(Box::new(row.clone())),
            Op::Header {
                xid: onward,
                header,
            },
            self.logged(Some(onward), Kind::Dispatch, &note),
            self.with_pair(Pair { held: xid, onward }).await?,
        ];
        let encoded: Vec<_> = disclosures.iter().map(Disclosure::encode).collect();
        ops.push(Op::Meta {
            key: store::disclosures_key(&note.digest()),
            value: json::canonical(&encoded),
        });
        ops.extend(self.payload_of(&ready.row, onward).await?);
        if !ready
            .permit
            .covers(Action::Forward, &ready.row.body, self.station.clock())
        {
            let message = "the permission to pass it on has ended; order it again";
            return Err(ApiFailure::temporary("permit-ended", message));
        }
        self.station.ledger.commit(ops).await?;
        let exchange = row.clone();
        self.post(Outgoing {
            exchange,
            ahead: None,
        });
        self.package_view(&row).map_err(ApiFailure::from)
    }

    async fn ready(
        &self,
        caller: &Caller,
        actor: &str,
        xid: Xid,
        request: &Forward,
    ) -> Result<Ready, ApiFailure> {
        check_justification(&request.justification)?;
        let third = accepted(self.roster.find(&request.to), &request.to)?;
        let row = self.held(xid).await?;
        if third.row.id == row.peer {
            let message = format!("{} has sent the package itself", row.peer);
            return Err(ApiFailure::usage("same-authority", message));
        }
        let chain = self.chain_of(&row).await?;
        let terms = self.terms_onward(&chain, &third.row.id, request)?;
        let facts = Facts {
            action: Action::Forward,
            own: &self.station.own.id,
            from: &row.peer,
            to: &self.station.own.id,
            actor,
            roles: self.roles_of(caller),
            purpose: None,
            terms: chain.terms(),
            package: row.body,
            now: self.station.clock(),
            circumstances: Circumstances {
                third: Some(&third.row.id),
                team: self.team_of(&row, caller).await?,
                consents: &chain.consents,
                reviewed: self.reviewed(&xid).await?,
                ..Circumstances::default()
            },
        };
        let items = chain.items.iter().map(|item| &item.terms);
        let decision = policy::decide_all(&self.station.own.policy, &facts, items);
        let decision = decision.map_err(|refused| {
            let (at, denial) = *refused;
            of_item(
                at.and_then(|at| chain.items.get(at)).map(|it| &it.path),
                denial,
            )
        });
        match decision {
            Ok(permit) => Ok(Ready {
                origin: self.dispatch_of(&row).await?,
                row,
                third,
                terms,
                permit,
            }),
            Err(denial) => {
                let who = who_and_why(actor, request.justification.trim());
                self.state_refusal(&row, &chain, &third.row.id, (&denial, &who))
                    .await?;
                Err(ApiFailure::denied(&denial))
            }
        }
    }

    /// The terms in force, with what the consent adds and what is narrowed here.
    fn terms_onward(
        &self,
        chain: &Chain,
        third: &AuthorityId,
        request: &Forward,
    ) -> Result<Terms, ApiFailure> {
        let now = self.station.clock();
        let terms = chain.terms_with(&Consented::Onward(third.clone()), now);
        narrowed(&terms, &wish(request), now.date())
    }

    /// States that passing a package on was refused.
    async fn state_refusal(
        &self,
        row: &Exchange,
        chain: &Chain,
        third: &AuthorityId,
        (denial, disclosures): (&Denial, &[Disclosure]),
    ) -> Result<(), ApiFailure> {
        let last = chain.last()?;
        let mut next = last
            .receipt
            .follow(&last.note, Kind::OnwardRefused)
            .stamped(&self.stamp())
            .because(Reason::from(denial))
            .disclosing(disclosures);
        next.third = Some(third.clone());
        let note = self.sign(next)?;
        let stays = Stated {
            kind: Kind::OnwardRefused,
            note: &note,
            disclosures,
        };
        let ops = self.stated(row.xid, &stays);
        self.station.ledger.commit(ops).await?;
        Ok(())
    }

    async fn dispatch_of(&self, row: &Exchange) -> Result<Signed, ApiFailure> {
        let rows = self
            .station
            .ledger
            .statements_of(&row.xid, &[Kind::Dispatch]);
        let rows = rows.await?;
        read(rows.first().ok_or_else(|| altered("dispatch"))?)
    }

    /// The header for the third authority.
    async fn rewrapped(&self, ready: &Ready) -> Result<zeroize::Zeroizing<Vec<u8>>, ApiFailure> {
        let Some(identity) = &self.station.identity else {
            let message =
                "this daemon holds no age identity, so it cannot wrap the key of a package again";
            return Err(ApiFailure::usage("no-age-identity", message));
        };
        let header = self.header(&ready.row.xid).await?;
        seal::rewrap(&ready.permit, &header, identity, &ready.third.card.age)
            .map_err(|e| ApiFailure::mismatch("cannot-rewrap", e.to_string()))
    }

    /// The payload of the held package, for the other exchange too.
    async fn payload_of(&self, row: &Exchange, onward: Xid) -> Result<Option<Op>, ApiFailure> {
        if row.inline {
            let bytes = self.station.ledger.payload(&row.xid).await;
            let bytes = bytes?.ok_or_else(|| {
                ApiFailure::missing("payload-gone", "the payload is no longer here")
            })?;
            return Ok(Some(Op::Payload { xid: onward, bytes }));
        }
        let (blobs, held) = (self.station.blobs.clone(), row.xid);
        let shared = tokio::task::spawn_blocking(move || blobs.share(&held, &onward)).await;
        shared.map_err(|e| ApiFailure::failed("internal", e.to_string()))??;
        Ok(None)
    }

    fn outgoing(
        &self,
        ready: &Ready,
        (receipt, note): (&Receipt, &Note),
        disclosures: Vec<String>,
    ) -> Exchange {
        let now = self.station.clock();
        Exchange {
            xid: receipt.xid.unwrap_or(ready.row.xid),
            direction: Direction::Out,
            peer: ready.third.row.id.clone(),
            phase: Phase::Dispatched,
            created: now,
            updated: now,
            hdr: receipt.pkg.as_ref().map_or(ready.row.hdr, |pkg| pkg.hdr),
            terms: String::from_utf8(json::canonical(&ready.terms)).unwrap_or_default(),
            title: None,
            request_ref: None,
            disclosures,
            have: Ranges::empty(),
            attempts: 0,
            next_try: None,
            fault: None,
            last_note: note.bytes().to_vec(),
            steps: 1,
            urgent: false,
            ..ready.row.clone()
        }
    }

    /// The exchanges that were passed on and still concern their first sender, oldest first.
    pub(crate) async fn pairs(&self) -> Result<Vec<Pair>, ApiFailure> {
        let kept = self.station.ledger.meta(LIST).await;
        let Some(kept) = kept? else {
            return Ok(Vec::new());
        };
        serde_json::from_slice(&kept).map_err(|_| altered("list of what was passed on"))
    }

    async fn with_pair(&self, new: Pair) -> Result<Op, ApiFailure> {
        let mut pairs = self.pairs().await?;
        if pairs.len() >= limits::ONWARD_MAX {
            let message = format!(
                "{} packages were passed on that their receivers have not destroyed yet",
                limits::ONWARD_MAX
            );
            return Err(ApiFailure::temporary("too-many-onward", message));
        }
        pairs.push(new);
        Ok(list(&pairs))
    }
}

/// The papers that go with the dispatch: what the sender has disclosed of the manifest, the case, and the sender's own
/// dispatch; and who passes it on and why, which stays here.
fn disclosures(
    ready: &Ready,
    actor: &str,
    request: &Forward,
) -> Result<Vec<Disclosure>, ApiFailure> {
    let received = ready.row.disclosures.iter();
    let received: Result<Vec<_>, _> = received.map(|text| Disclosure::parse(text)).collect();
    let received = received.map_err(|_| altered("disclosures"))?;
    let salted = |name, value: &str| Disclosure::new(seal::random(), name, value);
    let kept = [
        disclosure::MANIFEST,
        disclosure::ITEM_ROOT,
        disclosure::CASE,
    ];
    let kept = kept.into_iter().filter_map(|name| {
        let value = disclosure::text(&received, name)?;
        Some(salted(name, value))
    });
    let mut all: Vec<_> = kept.collect();
    // Salt and all, so that the third authority finds it in what the first sender has signed.
    let items = received.iter().find(|it| it.name == disclosure::ITEM_TERMS);
    all.extend(items.cloned());
    let origin = String::from_utf8_lossy(ready.origin.note.bytes());
    all.push(salted(disclosure::ORIGIN, &origin));
    let longest = all.iter().map(|it| it.encode().len()).max();
    if longest > Some(limits::DISCLOSURE_BYTES_MAX) {
        let message = "the dispatch of the sender is too long to go along with another";
        return Err(ApiFailure::usage("origin-too-long", message));
    }
    all.extend(who_and_why(actor, request.justification.trim()));
    Ok(all)
}

/// Of these, what the third authority gets.
fn goes_along(disclosures: &[Disclosure]) -> Vec<String> {
    let stays = [disclosure::PERSONS, disclosure::JUSTIFICATION];
    let goes = disclosures.iter();
    let goes = goes.filter(|it| !stays.contains(&it.name.as_str()));
    goes.map(Disclosure::encode).collect()
}

/// The change that keeps this list.
pub(crate) fn list(pairs: &[Pair]) -> Op {
    Op::Meta {
        key: LIST.to_owned(),
        value: json::canonical(&pairs),
    }
}

/// Whether the terms of what was passed on leave something that those in force no longer permit.
pub(crate) fn must_follow(onward: &Terms, in_force: &Terms) -> bool {
    let within = Terms {
        onward: Onward::Prohibited,
        ..in_force.clone()
    };
    !onward.is_within(&within)
}
