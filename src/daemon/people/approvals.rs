//! Dual control: what the policy in force lists is done only after a second person has approved it. Who asked, who
//! decided and what was decided is stated in the log before anything is done.

pub(crate) mod record;

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::api::server::{ApiFailure, Caller};
use crate::api::types::{
    AcceptPeer, ApprovalView, DestroyRequest, Forward, HoldRequest, OpenRequest, Restrict,
};
use crate::base::{Digest, Page, Timestamp, Xid, limits};
use crate::config::Verb;
use crate::daemon::Daemon;
use crate::daemon::packages::retention::Cause;
use crate::daemon::page::Part;
use crate::daemon::people::approvals::record::{Approved, Kept, State};
use crate::daemon::people::roles::roles_for;
use crate::daemon::process::views;
use crate::policy::{Denial, ReasonCode, instrument, lacking};
use crate::receipt::Kind;
use crate::seal;
use crate::store::{Op, StoreFault};

fn over(kept: &Kept, now: Timestamp) -> ApiFailure {
    let state = kept.view(now, None).state;
    let message = format!(
        "the request {} is {state}: nothing waits for a decision",
        kept.id
    );
    ApiFailure::nothing("approval-over", message).next("rogatory approvals list")
}

fn unread(e: StoreFault) -> ApiFailure {
    if let StoreFault::Damaged(_) = e {
        return ApiFailure::mismatch("ledger-altered", e.to_string()).next("rogatory fsck");
    }
    e.into()
}

fn second_missing(verb: Verb, text: String) -> ApiFailure {
    ApiFailure::denied(&lacks_second(verb, text))
}

fn lacks_second(verb: Verb, text: String) -> Denial {
    Denial {
        rule: "dual-control".into(),
        detail: None,
        term: format!("dual_control={verb}"),
        reason: ReasonCode::SecondPersonMissing,
        clause: instrument::BY_CONFIGURATION.to_owned(),
        text,
    }
}

/// Another opening was first to use an approval.
pub(crate) fn used_already() -> Denial {
    let text = "the approval was used by another opening meanwhile, and is for one alone";
    lacks_second(Verb::PackageException, text.to_owned())
}

impl Daemon {
    /// Whether this person may do this alone. If not, the wish is kept for a second person, and the refusal names it.
    ///
    /// # Errors
    /// Refused by policy, with the request that now waits.
    pub(crate) async fn alone(
        &self,
        caller: &Caller,
        verb: Verb,
        subject: &str,
        request: &impl Serialize,
    ) -> Result<(), ApiFailure> {
        // An exception never takes one person alone.
        if verb != Verb::PackageException && !self.station.own.policy.takes_two(verb.as_str()) {
            return Ok(());
        }
        if caller.uid.is_none() {
            let text = "who asks is not known, so no second person can be told from the first";
            return Err(second_missing(verb, text.to_owned()));
        }
        let request = serde_json::to_value(request)
            .map_err(|e| ApiFailure::failed("internal", e.to_string()))?;
        let _one_at_a_time = self.approvals.lock().await;
        let now = self.station.clock();
        let all = self.kept_approvals(now).await?;
        let same = |it: &&Kept| {
            let what = (it.verb, it.subject.as_str(), &it.request, it.caller.uid);
            what == (verb, subject, &request, caller.uid) && it.state == State::Waiting
        };
        let waiting = all.iter().filter(|it| !it.is_over(now)).find(same).cloned();
        let kept = if let Some(kept) = waiting {
            kept
        } else {
            let kept = Kept {
                id: record::new_id(now, seal::random()),
                verb,
                subject: subject.to_owned(),
                request,
                asked_by: caller.actor(),
                caller: caller.clone(),
                at: now,
                expires: now.plus_millis(limits::APPROVAL_MS_MAX),
                state: State::Waiting,
                decided_by: None,
                decided_at: None,
                stated: None,
            };
            self.keep_new(&all, &kept).await?;
            kept
        };
        let text = format!(
            "{verb} takes a second person: the request {} of {} waits until {}; somebody else approves it with: rogatory approvals approve {}",
            kept.id, kept.asked_by, kept.expires, kept.id
        );
        Err(second_missing(verb, text))
    }

    /// The approval of this opening under an exception, if a second person gave one that was not used yet.
    pub(crate) async fn approved_exception(
        &self,
        caller: &Caller,
        xid: &Xid,
        request: &OpenRequest,
    ) -> Result<Option<Approved>, ApiFailure> {
        let request = serde_json::to_value(request)
            .map_err(|e| ApiFailure::failed("internal", e.to_string()))?;
        let (now, subject) = (self.station.clock(), xid.to_string());
        let all = self.kept_approvals(now).await?;
        let found = all.into_iter().find(|it| {
            let is_this = it.verb == Verb::PackageException && it.subject == subject;
            let is_asked = it.request == request && caller.uid == it.caller.uid;
            is_this && is_asked && it.state == State::Approved && !it.is_over(now)
        });
        Ok(found.map(Approved))
    }

    /// Whether this approval can still be used; asked with the turn for decisions.
    pub(crate) async fn is_unused(&self, approved: &Approved) -> Result<bool, ApiFailure> {
        let now = self.station.clock();
        let kept = self.kept_approval(&approved.0.id).await?;
        Ok(kept.state == State::Approved && !kept.is_over(now))
    }

    /// Keeps a new request, unless too many wait already.
    async fn keep_new(&self, all: &[Kept], new: &Kept) -> Result<(), ApiFailure> {
        let open = all.iter().filter(|it| !it.is_over(new.at)).count();
        if open >= limits::APPROVALS_MAX {
            let message = format!("{open} requests wait for a second person already");
            return Err(ApiFailure::temporary("too-many-approvals", message)
                .next("rogatory approvals list"));
        }
        self.keep_approval(new, Vec::new()).await
    }

    async fn keep_approval(&self, kept: &Kept, mut ops: Vec<Op>) -> Result<(), ApiFailure> {
        ops.push(kept.put());
        let committed = self.station.ledger.commit(ops).await;
        committed.map(drop).map_err(ApiFailure::from)
    }

    async fn kept_approvals(&self, now: Timestamp) -> Result<Vec<Kept>, ApiFailure> {
        let recent = record::recent(&self.station.ledger, now).await;
        recent.map_err(unread)
    }

    async fn kept_approval(&self, name: &str) -> Result<Kept, ApiFailure> {
        let found = record::one(name, &self.station.ledger).await;
        found.map_err(unread)?.ok_or_else(|| {
            let message = format!("no request for approval is called {name}");
            ApiFailure::missing("no-such-approval", message).next("rogatory approvals list")
        })
    }

    /// A page of all requests, oldest first.
    pub(crate) async fn approval_views(
        &self,
        part: Part,
    ) -> Result<Page<ApprovalView>, ApiFailure> {
        let now = self.station.clock();
        let page = record::page(&self.station.ledger, part.limit, part.after).await;
        let (all, more) = page.map_err(unread)?.into_parts();
        let views = all.iter().map(|kept| kept.view(now, None));
        Ok(Page::new(views.collect(), more))
    }

    /// One request.
    pub(crate) async fn approval_view(&self, name: &str) -> Result<ApprovalView, ApiFailure> {
        let now = self.station.clock();
        Ok(self.kept_approval(name).await?.view(now, None))
    }

    /// States the decision of a second person; what was approved is then done.
    pub(crate) async fn decide_approval(
        self: &Arc<Self>,
        caller: &Caller,
        name: &str,
        approves: bool,
    ) -> Result<ApprovalView, ApiFailure> {
        let _one_at_a_time = self.approvals.lock().await;
        let now = self.station.clock();
        let mut kept = self.kept_approval(name).await?;
        let roles = self.roles_of(caller);
        let takes = roles_for(kept.verb);
        if !roles.meets(takes) {
            let denial = lacking("to decide on this", &caller.actor(), roles, takes);
            return Err(ApiFailure::denied(&denial));
        }
        if kept.is_over(now) || !approves && kept.state != State::Waiting {
            return Err(over(&kept, now));
        }
        if caller.uid.is_none() || caller.uid == kept.caller.uid {
            let text = format!("{} has asked for it: somebody else decides", kept.asked_by);
            return Err(second_missing(kept.verb, text));
        }
        if kept.state == State::Waiting {
            self.state_decision(&mut kept, caller, approves).await?;
        }
        if !approves {
            return Ok(kept.view(now, None));
        }
        if matches!(kept.verb, Verb::PackageException | Verb::PolicyAdopt) {
            // It is used once: by whoever asked, or by the next start.
            return Ok(kept.view(now, None));
        }
        let result = self.carry_out(&kept).await?;
        kept.state = State::Done;
        self.keep_approval(&kept, Vec::new()).await?;
        Ok(kept.view(now, Some(result)))
    }

    async fn state_decision(
        &self,
        kept: &mut Kept,
        caller: &Caller,
        approves: bool,
    ) -> Result<(), ApiFailure> {
        let (now, by) = (self.station.clock(), caller.actor());
        let (decision, state) = if approves {
            ("approved", State::Approved)
        } else {
            ("rejected", State::Rejected)
        };
        let text = kept.statement(decision, &by, now);
        let stated = self.governance(Kind::Approval, Digest::of(text.as_bytes()))?;
        kept.state = state;
        kept.decided_by = Some(by);
        kept.decided_at = Some(now);
        kept.stated = Some(text);
        self.keep_approval(kept, vec![stated]).await?;
        tracing::info!(id = %kept.id, verb = %kept.verb, decision, "a second person has decided");
        Ok(())
    }

    /// Does what was approved, in the name of both.
    async fn carry_out(self: &Arc<Self>, kept: &Kept) -> Result<Value, ApiFailure> {
        let second = kept.decided_by.as_deref().unwrap_or_default();
        let actor = format!("{}, approved by {second}", kept.asked_by);
        let bad = |e: serde_json::Error| ApiFailure::failed("internal", e.to_string());
        let request = kept.request.clone();
        let xid = || -> Result<Xid, ApiFailure> {
            let xid = kept.subject.parse();
            xid.map_err(|_| ApiFailure::failed("internal", "the request names no package"))
        };
        let done = match kept.verb {
            Verb::PackagePurge => {
                let request: DestroyRequest = serde_json::from_value(request).map_err(bad)?;
                let cause = Cause::Order {
                    actor: &actor,
                    justification: &request.justification,
                };
                serde_json::to_value(self.destroy(xid()?, cause).await?)
            }
            Verb::PackageHold => {
                let request: HoldRequest = serde_json::from_value(request).map_err(bad)?;
                serde_json::to_value(self.hold(&actor, xid()?, &request).await?)
            }
            Verb::PackageRelease => serde_json::to_value(self.release(&actor, xid()?).await?),
            Verb::PackageRestrict | Verb::PackageWithdraw => {
                let request: Restrict = serde_json::from_value(request).map_err(bad)?;
                serde_json::to_value(self.restrict(&actor, xid()?, &request).await?)
            }
            Verb::PackageForward => {
                let request: Forward = serde_json::from_value(request).map_err(bad)?;
                // With the rights that whoever has asked had then.
                let done = self.forward(&kept.caller, &actor, xid()?, &request);
                let done = done.await?;
                serde_json::to_value(done)
            }
            Verb::PackageException | Verb::PolicyAdopt => Ok(Value::Null),
            Verb::PeerAccept => {
                let request: AcceptPeer = serde_json::from_value(request).map_err(bad)?;
                let known = self.accept_card(&kept.subject, &request.fingerprint);
                serde_json::to_value(views::peer(self, &*known.await?))
            }
        };
        done.map_err(bad)
    }
}
