//! The policies that were in force: each one that comes into force is stated in the log, and what it takes to run it
//! again is kept. Where the one that was adopted last takes two persons for it, another one comes into force only if a
//! second person has approved it; until then the last one is run again from what is kept.

use std::sync::{Arc, PoisonError};

use serde::{Deserialize, Serialize};

use crate::api::server::{ApiFailure, Caller};
use crate::api::types::{AdoptPolicy, PolicyView, Problem, WaitingPolicy};
use crate::base::{Digest, Timestamp, json};
use crate::config::Verb;
use crate::daemon::Daemon;
use crate::daemon::people::approvals::record::Adoption;
use crate::daemon::process::stop::Stop;
use crate::policy::description::takes_two;
use crate::policy::{Configured, PolicySet, national};
use crate::receipt::Kind;
use crate::store::{Ledger, Op, StoreFault};

/// The ledger key of the digest of the policy that was adopted last.
const LAST: &str = "policy";
/// The acts that need a second person.
const ADOPT: &str = Verb::PolicyAdopt.as_str();

/// The stored form of a policy, beside the texts of its national rules.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// When it last came into force.
    adopted: Timestamp,
    /// The text that its digest is taken over.
    description: String,
}

/// The policy that was adopted last.
struct Last {
    digest: String,
    /// Its text; `None` if what is kept does not have that digest.
    text: Option<String>,
}

/// Which policy is to be in force.
#[derive(Debug, PartialEq, Eq)]
enum Choice<'a> {
    Configured,
    /// The one with this text, which was adopted last.
    Former(&'a str),
    /// The text of the one that was adopted last is lost, and with it whether another one takes two persons.
    Unknown,
}

fn key(policy: &str) -> String {
    format!("{LAST}/{policy}")
}

fn rules_key(text: &Digest) -> String {
    format!("policy-rules/{text}")
}

fn whole(kept: &[u8], digest: &str) -> Option<Kept> {
    let kept: Option<Kept> = serde_json::from_slice(kept).ok();
    kept.filter(|it| Digest::of(it.description.as_bytes()).to_string() == digest)
}

/// Changes that come with the program alone, such as other versions of its rules, need nobody's approval.
fn choose<'a>(last: Option<&'a Last>, configured: &PolicySet, approved: bool) -> Choice<'a> {
    let Some(last) = last else {
        return Choice::Configured;
    };
    if approved || last.digest == configured.digest().to_string() {
        return Choice::Configured;
    }
    match &last.text {
        None => Choice::Unknown,
        Some(text) if !takes_two(text, ADOPT) => Choice::Configured,
        Some(text) if Configured::of(text) == Some(configured.configured()) => Choice::Configured,
        Some(text) => Choice::Former(text),
    }
}

/// The policy that is in force from this start on: the configured one, or the one that was adopted last.
///
/// # Errors
/// When that one cannot be run again, or the ledger cannot be read.
pub(crate) async fn in_force(
    ledger: &Ledger,
    configured: PolicySet,
    now: Timestamp,
) -> Result<PolicySet, Stop> {
    let store = |e: StoreFault| Stop::Store(e.to_string());
    let last = last(ledger).await.map_err(store)?;
    let digest = configured.digest();
    let adoption = Adoption::of(&digest, ledger, now).await.map_err(store)?;
    let approved = adoption.approved_until().is_some();
    let policy = match choose(last.as_ref(), &configured, approved) {
        Choice::Configured => return Ok(configured),
        Choice::Unknown => Err("its text in the ledger is damaged".to_owned()),
        Choice::Former(text) => former(ledger, text).await.map_err(store)?,
    };
    let last = last.map(|it| it.digest).unwrap_or_default();
    let policy = policy.map_err(|why| {
        Stop::Policy(format!(
            "policy {digest} is configured, and no second person has approved it; the policy that was adopted last, {last}, cannot be run instead: {why}; put [policy] and the files of national rules back as they were, start the daemon, and ask for the other policy with: rogatory policy adopt"
        ))
    })?;
    tracing::warn!(configured = %digest, in_force = %policy.digest(), "another policy is configured than was adopted last, which stays in force until a second person has approved the other");
    Ok(policy)
}

/// The policy with this text and the rules of this program, or why there is none.
async fn former(ledger: &Ledger, text: &str) -> Result<Result<PolicySet, String>, StoreFault> {
    let Some(configured) = Configured::of(text) else {
        let why = "this version of the program does not know all of it";
        return Ok(Err(why.to_owned()));
    };
    let mut files = Vec::with_capacity(configured.national.len());
    for file in &configured.national {
        let text = kept_rules(ledger, &file.sha256).await?;
        let text = text.and_then(|text| String::from_utf8(text).ok());
        let Some(text) = text else {
            let name = &file.name;
            let why = format!("the ledger does not hold the text of {name} that it had");
            return Ok(Err(why));
        };
        files.push((file.name.clone(), text));
    }
    let national = match files.as_slice() {
        [] => None,
        [_, ..] => match national::load(&files) {
            Ok(national) => Some(Arc::new(national)),
            Err(faults) => {
                let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
                return Ok(Err(faults.join("; ")));
            }
        },
    };
    Ok(Ok(PolicySet::new(configured.handling_max)
        .needing_to_know(configured.need_to_know)
        .keeping_after_sunset(configured.keep_after_sunset)
        .under_dual_control(configured.dual_control)
        .restricted_by(national)))
}

async fn last(ledger: &Ledger) -> Result<Option<Last>, StoreFault> {
    let Some(digest) = ledger.meta(LAST).await? else {
        return Ok(None);
    };
    let digest = String::from_utf8_lossy(&digest).into_owned();
    let kept = ledger.meta(&key(&digest)).await?;
    let kept = kept.and_then(|kept| whole(&kept, &digest));
    let text = kept.map(|it| it.description);
    Ok(Some(Last { digest, text }))
}

/// The text of a file of national rules, if it is kept as it was.
async fn kept_rules(ledger: &Ledger, sha256: &Digest) -> Result<Option<Vec<u8>>, StoreFault> {
    let kept = ledger.meta(&rules_key(sha256)).await?;
    Ok(kept.filter(|text| Digest::of(text) == *sha256))
}

/// The changes after which this is the policy that was adopted last, whole; and whether it was adopted last already.
async fn to_keep(
    ledger: &Ledger,
    policy: &PolicySet,
    now: Timestamp,
) -> Result<(Vec<Op>, bool), StoreFault> {
    let mut ops = Vec::new();
    let mut keep = |key: String, value: Vec<u8>| ops.push(Op::Meta { key, value });
    for (sha256, text) in policy.national_texts() {
        if kept_rules(ledger, &sha256).await?.is_none() {
            keep(rules_key(&sha256), text.as_bytes().to_vec());
        }
    }
    let digest = policy.digest();
    let written = digest.to_string();
    let last = last(ledger).await?.filter(|last| last.digest == written);
    let stands = last.is_some();
    if last.is_none_or(|last| last.text.is_none()) {
        let kept = Kept {
            adopted: now,
            description: policy.description(),
        };
        keep(key(&written), json::canonical(&kept));
    }
    if !stands {
        keep(LAST.to_owned(), written.into_bytes());
        ops.extend(Adoption::of(&digest, ledger, now).await?.used_up());
    }
    Ok((ops, stands))
}

impl Daemon {
    /// States that another policy is in force than when the daemon last ran, and keeps what it takes to run it again.
    ///
    /// # Errors
    /// A sentence, when the statement cannot be made or kept: nothing may then be decided under this policy.
    pub(crate) async fn adopt_policy(&self) -> Result<(), String> {
        let (policy, ledger) = (&self.station.own.policy, &self.station.ledger);
        let kept = to_keep(ledger, policy, self.station.clock()).await;
        let (mut ops, stands) = kept.map_err(|e| e.to_string())?;
        let digest = policy.digest();
        let before = ledger.meta(LAST).await.map_err(|e| e.to_string())?;
        if !stands {
            let adopted = self.governance(Kind::PolicyAdopted, digest);
            ops.push(adopted.map_err(|e| e.to_string())?);
        }
        if ops.is_empty() {
            return Ok(());
        }
        ledger.commit(ops).await.map_err(|e| e.to_string())?;
        if !stands && before.is_some() {
            tracing::info!(policy = %digest, "another policy is in force than before");
        }
        Ok(())
    }

    /// A policy that is or was in force here; without a digest, the one that is.
    pub(crate) async fn policy_view(
        &self,
        policy: Option<Digest>,
    ) -> Result<PolicyView, ApiFailure> {
        let in_force = self.station.own.policy.digest();
        let pol = policy.unwrap_or(in_force);
        let digest = pol.to_string();
        let kept = self.station.ledger.meta(&key(&digest)).await;
        let kept = kept?.ok_or_else(|| {
            let message = format!("no policy with the digest {pol} was ever in force here");
            ApiFailure::missing("no-such-policy", message).next("rogatory policy show")
        })?;
        let kept = whole(&kept, &digest).ok_or_else(|| {
            let message =
                format!("the text that is kept of policy {pol} does not have that digest");
            ApiFailure::mismatch("ledger-altered", message)
        })?;
        let waiting = if pol == in_force {
            self.waiting_policy().await?
        } else {
            None
        };
        Ok(PolicyView {
            pol,
            in_force: pol == in_force,
            adopted: kept.adopted,
            description: kept.description,
            waiting,
        })
    }

    /// This is the policy that is configured now.
    pub(crate) fn note_configured(&self, policy: &PolicySet) {
        let description = policy.description();
        *self
            .configured
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = description;
    }

    /// The policy that is configured, where it is not the one in force.
    pub(crate) async fn waiting_policy(&self) -> Result<Option<WaitingPolicy>, StoreFault> {
        let description = {
            let configured = self.configured.lock();
            configured.unwrap_or_else(PoisonError::into_inner).clone()
        };
        let (pol, in_force) = (Digest::of(description.as_bytes()), &self.station.own.policy);
        if pol == in_force.digest() {
            return Ok(None);
        }
        let adoption = Adoption::of(&pol, &self.station.ledger, self.station.clock()).await?;
        let (state, approval, message) = if !in_force.takes_two(ADOPT) {
            let message = "it comes into force at the next start".to_owned();
            ("next-start", None, message)
        } else if let Some(until) = adoption.approved_until() {
            let message = format!(
                "it is approved, and comes into force at the next start, if that is before {until}"
            );
            ("approved", None, message)
        } else if let Some(id) = adoption.waiting() {
            let message = format!(
                "it waits for a second person, a supervisor, who looks at it (rogatory approvals show {id}) and decides: rogatory approvals approve {id}"
            );
            ("asked", Some(id.to_owned()), message)
        } else {
            let message =
                "it takes a second person: a supervisor or operator asks for it with: rogatory policy adopt"
                    .to_owned();
            ("second-person", None, message)
        };
        Ok(Some(WaitingPolicy {
            pol,
            state: state.to_owned(),
            approval,
            message,
            description,
        }))
    }

    /// Somebody should know that another policy is configured than the one in force.
    pub(crate) async fn policy_problem(&self) -> Result<Option<Problem>, StoreFault> {
        let waiting = self.waiting_policy().await?;
        Ok(waiting.map(|it| Problem {
            severity: "warning".to_owned(),
            code: "policy-waits".to_owned(),
            subject: "policy".to_owned(),
            message: format!("another policy is configured; {}", it.message),
        }))
    }

    /// Reads the configured policy again, and asks that it comes into force.
    ///
    /// # Errors
    /// If the configuration is wrong, or its policy is in force; and, where it takes two persons, until a second one
    /// has approved it.
    pub(crate) async fn ask_to_adopt(
        self: &Arc<Self>,
        caller: &Caller,
    ) -> Result<WaitingPolicy, ApiFailure> {
        let daemon = Arc::clone(self);
        let judged = tokio::task::spawn_blocking(move || (daemon.judge)()).await;
        let judged = judged.map_err(|e| ApiFailure::failed("internal", e.to_string()))?;
        let config = judged.map_err(|faults| {
            let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
            ApiFailure::configuration("config-invalid", faults.join("; ")).next(
                "correct it, and look with: rogatory check config; rules in a folder that was not configured when the daemon started can be read after a restart",
            )
        })?;
        self.note_configured(&config.policy());
        let waiting = self.waiting_policy().await?;
        let waiting = waiting.ok_or_else(|| {
            let message = "the configured policy is in force already";
            ApiFailure::nothing("policy-in-force", message).next("rogatory policy show")
        })?;
        if waiting.state != "approved" {
            let wish = AdoptPolicy {
                description: waiting.description.clone(),
            };
            let subject = waiting.pol.to_string();
            self.alone(caller, Verb::PolicyAdopt, &subject, &wish)
                .await?;
        }
        Ok(waiting)
    }
}

#[cfg(test)]
mod tests;
