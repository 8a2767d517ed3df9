//! The stored form of a request that needs two persons.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::server::Caller;
use crate::api::types::ApprovalView;
use crate::base::{Cursor, Digest, Page, Timestamp, json, limits};
use crate::config::Verb;
use crate::store::{Ledger, Op, StoreFault};

/// The bound that the ledger keys of all requests are below.
const BELOW: &str = "approval0";

/// A stored request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) id: String,
    pub(super) verb: Verb,
    /// A package, a peer or a policy.
    pub(super) subject: String,
    /// The call, as it is carried out.
    pub(super) request: Value,
    pub(super) asked_by: String,
    pub(super) caller: Caller,
    pub(super) at: Timestamp,
    pub(super) expires: Timestamp,
    pub(super) state: State,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) decided_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) decided_at: Option<Timestamp>,
    /// The text whose SHA-256 is the subject of the `approval` statement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stated: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum State {
    Waiting,
    /// Decided in favour; what was asked for may not be done yet.
    Approved,
    Rejected,
    /// Approved and done.
    Done,
}

impl Kept {
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        match self.state {
            State::Waiting | State::Approved => now > self.expires,
            State::Rejected | State::Done => true,
        }
    }

    pub(super) fn view(&self, now: Timestamp, result: Option<Value>) -> ApprovalView {
        let state = match self.state {
            State::Waiting | State::Approved if now > self.expires => "expired",
            State::Waiting => "waiting",
            State::Approved => "approved",
            State::Rejected => "rejected",
            State::Done => "done",
        };
        ApprovalView {
            id: self.id.clone(),
            verb: self.verb.to_string(),
            subject: self.subject.clone(),
            request: self.request.clone(),
            asked_by: self.asked_by.clone(),
            at: self.at,
            expires: self.expires,
            state: state.to_owned(),
            decided_by: self.decided_by.clone(),
            decided_at: self.decided_at,
            stated: self.stated.clone(),
            result,
        }
    }

    /// The change that keeps it as it is.
    pub(super) fn put(&self) -> Op {
        Op::Meta {
            key: key(&self.id),
            value: json::canonical(self),
        }
    }

    fn used_up(&self) -> Op {
        let used = Self {
            state: State::Done,
            ..self.clone()
        };
        used.put()
    }

    /// The text that is stated: who asked for what, and what was decided.
    pub(super) fn statement(&self, decision: &str, by: &str, at: Timestamp) -> String {
        let text = serde_json::json!({
            "v": 1,
            "verb": self.verb,
            "subject": self.subject,
            "request": Digest::of(&json::canonical(&self.request)),
            "asked_by": self.asked_by,
            "asked_at": self.at,
            "decision": decision,
            "decided_by": by,
            "decided_at": at,
        });
        String::from_utf8_lossy(&json::canonical(&text)).into_owned()
    }
}

/// The approval of an opening under an exception, to be used once.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Approved(pub(super) Kept);

impl Approved {
    /// Who gave it.
    pub(crate) fn second(&self) -> &str {
        self.0.decided_by.as_deref().unwrap_or_default()
    }

    /// The change that uses it up.
    pub(crate) fn used_up(&self) -> Op {
        self.0.used_up()
    }

    /// The change that makes it usable again: nothing came of its use.
    pub(crate) fn given_back(&self) -> Op {
        self.0.put()
    }
}

/// The requests to adopt one policy that can still be decided on or used.
pub(crate) struct Adoption(Vec<Kept>);

impl Adoption {
    /// Of the policy with this digest.
    pub(crate) async fn of(
        policy: &Digest,
        ledger: &Ledger,
        now: Timestamp,
    ) -> Result<Self, StoreFault> {
        let mut all = recent(ledger, now).await?;
        let subject = policy.to_string();
        all.retain(|it| it.verb == Verb::PolicyAdopt && it.subject == subject && !it.is_over(now));
        Ok(Self(all))
    }

    /// The last moment at which it can be used, if a second person has approved it.
    pub(crate) fn approved_until(&self) -> Option<Timestamp> {
        self.approved().map(|it| it.expires).max()
    }

    /// The request that waits for a second person.
    pub(crate) fn waiting(&self) -> Option<&str> {
        let mut waiting = self.0.iter().filter(|it| it.state == State::Waiting);
        waiting.next().map(|it| it.id.as_str())
    }

    /// The changes that use up every approval of it.
    pub(crate) fn used_up(&self) -> impl Iterator<Item = Op> {
        self.approved().map(Kept::used_up)
    }

    fn approved(&self) -> impl Iterator<Item = &Kept> {
        self.0.iter().filter(|it| it.state == State::Approved)
    }
}

pub(super) fn key(id: &str) -> String {
    format!("approval/{id}")
}

/// The name of a new request. In the order of names, requests are in that of their times.
pub(super) fn new_id(now: Timestamp, salt: [u8; 2]) -> String {
    name(first_at(now) | u64::from(u16::from_be_bytes(salt)))
}

/// The first name of this time.
fn first_at(time: Timestamp) -> u64 {
    u64::try_from(time.millis()).unwrap_or(0) << 16
}

fn name(number: u64) -> String {
    format!("{number:016x}")
}

fn altered(e: &serde_json::Error) -> StoreFault {
    StoreFault::Damaged(format!("a request for approval cannot be read: {e}"))
}

/// This request.
pub(super) async fn one(id: &str, ledger: &Ledger) -> Result<Option<Kept>, StoreFault> {
    let kept = ledger.meta(&key(id)).await?;
    let kept = kept.map(|kept| serde_json::from_slice(&kept));
    kept.transpose().map_err(|e| altered(&e))
}

/// All requests on which something may still be decided or done, and younger ones, oldest first.
pub(super) async fn recent(ledger: &Ledger, now: Timestamp) -> Result<Vec<Kept>, StoreFault> {
    let since = now.plus_millis(-limits::APPROVAL_MS_MAX);
    let from = key(&name(first_at(since)));
    let found = ledger.named(from, BELOW.to_owned(), None).await?;
    let read = found.iter().map(|(_, kept)| serde_json::from_slice(kept));
    read.collect::<Result<_, _>>().map_err(|e| altered(&e))
}

/// A page of all requests that there ever were, oldest first.
pub(super) async fn page(
    ledger: &Ledger,
    limit: u32,
    after: Option<Cursor>,
) -> Result<Page<Kept>, StoreFault> {
    let after = after.and_then(|after| u64::try_from(after.number()).ok());
    let from = key(&name(after.map_or(0, |after| after.saturating_add(1))));
    let found = ledger
        .named(from, BELOW.to_owned(), Some(limit.saturating_add(1)))
        .await?;
    let read = found.iter().map(|(_, kept)| {
        let kept: Kept = serde_json::from_slice(kept).map_err(|e| altered(&e))?;
        let number = i64::from_str_radix(&kept.id, 16);
        let number = number
            .map_err(|e| StoreFault::Damaged(format!("a request for approval has no name: {e}")))?;
        Ok((number, kept))
    });
    let numbered = read.collect::<Result<_, StoreFault>>()?;
    Ok(Page::cut(numbered, limit as usize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::keys::{KeyName, Role, SecretKey};

    fn kept() -> Kept {
        let at = Timestamp::from_millis(1_795_424_400_000);
        Kept {
            id: "0011223344556677".to_owned(),
            verb: Verb::PackagePurge,
            subject: "00112233445566778899aabbccddeeff".to_owned(),
            request: serde_json::json!({"justification": "by mistake"}),
            asked_by: "a.murphy".to_owned(),
            caller: Caller {
                uid: Some(1_000),
                gid: Some(1_000),
                groups: vec![27],
            },
            at,
            expires: at.plus_millis(limits::APPROVAL_MS_MAX),
            state: State::Waiting,
            decided_by: None,
            decided_at: None,
            stated: None,
        }
    }

    #[test]
    fn a_request_waits_a_week_and_is_decided_once() {
        let before = kept().expires;
        let after = before.plus_millis(1);
        for (state, now, shown, is_over) in [
            (State::Waiting, before, "waiting", false),
            (State::Waiting, after, "expired", true),
            (State::Approved, before, "approved", false),
            (State::Approved, after, "expired", true),
            (State::Rejected, before, "rejected", true),
            (State::Done, before, "done", true),
            (State::Done, after, "done", true),
        ] {
            let kept = Kept { state, ..kept() };
            let found = (kept.view(now, None).state, kept.is_over(now));
            assert_eq!(found, (shown.to_owned(), is_over), "{state:?}");
        }
    }

    #[test]
    fn names_are_in_the_order_of_time() {
        let at = |millis| Timestamp::from_millis(millis);
        let early = new_id(at(1_795_424_399_999), [0xff; 2]);
        let late = new_id(at(1_795_424_400_000), [0; 2]);
        assert_eq!((early.len(), late.len()), (16, 16));
        assert!(
            name(first_at(at(0))) < early && early < late,
            "{early} {late}"
        );
        assert_eq!(late, name(first_at(at(1_795_424_400_000))));
        assert!(i64::from_str_radix(&late, 16).is_ok());
    }

    #[tokio::test]
    async fn requests_are_listed_however_many_there_were() {
        const COUNT: i64 = 3_000;
        let folder = tempfile::tempdir().unwrap();
        let name = KeyName::new("mla.example.ie".parse().unwrap(), Role::Log);
        let log_key = SecretKey::from_seed(name, &[3; 32]);
        let ledger = Ledger::open(folder.path(), log_key).unwrap();
        // One an hour, and what stands beside them in the ledger.
        let ids: Vec<_> = (0..COUNT)
            .map(|hours| new_id(kept().at.plus_millis(hours * 3_600_000), [7; 2]))
            .collect();
        let puts = ids.iter().map(|id| {
            let kept = Kept {
                id: id.clone(),
                ..kept()
            };
            (key(id), json::canonical(&kept))
        });
        let others = ["approvals", "approval", "approval0", "approvam/1"];
        let others = others.map(|key| (key.to_owned(), b"no request".to_vec()));
        let puts = puts.chain(others);
        let ops = puts.map(|(key, value)| Op::Meta { key, value }).collect();
        ledger.commit(ops).await.unwrap();
        let (mut all, mut next) = (Vec::new(), Some(None));
        while let Some(after) = next {
            let (items, more) = page(&ledger, 999, after).await.unwrap().into_parts();
            all.extend(items.into_iter().map(|it| it.id));
            next = more.map(Some);
        }
        assert_eq!(all, ids);
        let last = kept().at.plus_millis((COUNT - 1) * 3_600_000);
        let recent = recent(&ledger, last).await.unwrap();
        assert_eq!(recent.len(), 7 * 24 + 1);
        let first = one(&ids[0], &ledger).await.unwrap();
        assert_eq!(first.map(|it| it.id).as_ref(), ids.first());
        assert!(one("none", &ledger).await.unwrap().is_none());
        ledger.close().await;
    }

    #[test]
    fn what_is_stated_names_both_persons_and_not_the_reason() {
        let text = kept().statement("approved", "s.byrne", kept().at);
        for word in [
            "a.murphy",
            "s.byrne",
            "approved",
            "package.purge",
            &kept().subject,
        ] {
            assert!(text.contains(word), "{word} in {text}");
        }
        assert!(!text.contains("by mistake"), "{text}");
    }
}
