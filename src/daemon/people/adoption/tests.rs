//! Which policy is in force from a start on, and what is kept of it.

use std::path::Path;

use super::*;
use crate::identity::keys::{KeyName, Role, SecretKey};
use crate::policy::Handling;

const RULES: &str = r#"@id("not-abroad") @reason("abroad") @clause("order no. 4")
forbid(principal, action == Action::"forward", resource);"#;

fn open(folder: &Path) -> Ledger {
    let name = KeyName::new("mla.example.ie".parse().unwrap(), Role::Log);
    Ledger::open(folder, SecretKey::from_seed(name, &[3; 32])).unwrap()
}

fn now() -> Timestamp {
    Timestamp::from_millis(1_795_424_400_000)
}

fn plain(ceiling: Handling) -> PolicySet {
    PolicySet::new(Some(ceiling))
}

/// The acts whose change needs two persons.
fn bound(ceiling: Handling) -> PolicySet {
    plain(ceiling).under_dual_control([ADOPT])
}

fn with_rules(policy: PolicySet, text: &str) -> PolicySet {
    let files = [("10-abroad.cedar".to_owned(), text.to_owned())];
    policy.restricted_by(Some(Arc::new(national::load(&files).unwrap())))
}

/// The text of this policy from a program with an older rule.
fn older(policy: &PolicySet) -> String {
    let text = policy.description();
    let older = text.replacen(r#""version":1"#, r#""version":0"#, 1);
    assert_ne!(text, older);
    older
}

/// The policy chosen after one with this text (`None`: it is lost), where this one is configured.
fn chosen(last: Option<String>, configured: &PolicySet, approved: bool) -> &'static str {
    let digest = last.as_ref().map(|text| Digest::of(text.as_bytes()));
    let last = Last {
        digest: digest.map_or_else(|| "lost".to_owned(), |it| it.to_string()),
        text: last,
    };
    match choose(Some(&last), configured, approved) {
        Choice::Configured => "configured",
        Choice::Former(text) => {
            assert_eq!(Some(text), last.text.as_deref());
            "former"
        }
        Choice::Unknown => "unknown",
    }
}

#[test]
fn another_policy_takes_a_second_person_where_the_last_one_says_so() {
    let text = PolicySet::description;
    let (h1, h2) = (bound(Handling::H1), bound(Handling::H2));
    let (free, ruled) = (plain(Handling::H1), with_rules(h1.clone(), RULES));
    let other_rules = with_rules(h1.clone(), &RULES.replace("no. 4", "no. 5"));
    assert_eq!(choose(None, &h1, false), Choice::Configured, "the first");
    for (what, last, set, unapproved) in [
        ("the same", text(&h1), &h1, "configured"),
        ("another", text(&h1), &h2, "former"),
        ("off the list", text(&h1), &free, "former"),
        ("onto the list", text(&free), &h1, "configured"),
        (
            "never on the list",
            text(&free),
            &plain(Handling::H2),
            "configured",
        ),
        ("other national rules", text(&ruled), &other_rules, "former"),
        ("no national rules", text(&ruled), &h1, "former"),
        ("with the program alone", older(&h1), &h1, "configured"),
        ("with the program, and another", older(&h1), &h2, "former"),
    ] {
        assert_eq!(chosen(Some(last.clone()), set, false), unapproved, "{what}");
        assert_eq!(chosen(Some(last), set, true), "configured", "{what}");
    }
    assert_eq!(chosen(None, &h1, false), "unknown");
    assert_eq!(chosen(None, &h1, true), "configured");
}

/// Adopts this policy as a start does, without the statement.
async fn adopt(ledger: &Ledger, policy: &PolicySet) -> bool {
    let (ops, stands) = to_keep(ledger, policy, now()).await.unwrap();
    if !ops.is_empty() {
        ledger.commit(ops).await.unwrap();
    }
    stands
}

async fn put(ledger: &Ledger, key: String, value: &[u8]) {
    let value = value.to_vec();
    ledger.commit(vec![Op::Meta { key, value }]).await.unwrap();
}

#[tokio::test]
async fn the_last_policy_is_run_again_from_what_is_kept() {
    let sha256 = Digest::of(RULES.as_bytes());
    let configured = plain(Handling::H3);
    for last in [
        bound(Handling::H1),
        bound(Handling::H1).needing_to_know(true),
        with_rules(bound(Handling::H2), RULES),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let ledger = open(folder.path());
        assert!(!adopt(&ledger, &last).await);
        assert!(adopt(&ledger, &last).await, "it is adopted once");
        let (ops, _) = to_keep(&ledger, &last, now()).await.unwrap();
        assert!(ops.is_empty(), "and kept once: {ops:?}");
        let run = in_force(&ledger, configured.clone(), now()).await.unwrap();
        assert_eq!(run.description(), last.description());
        assert_eq!(run.national_texts().count(), last.national_texts().count());
        ledger.close().await;
    }
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(folder.path());
    let last = with_rules(bound(Handling::H2), RULES);
    adopt(&ledger, &last).await;
    for (what, key, value) in [
        (
            "altered rules",
            rules_key(&sha256),
            &b"permit(principal, action, resource);"[..],
        ),
        (
            "no rules, as an earlier version kept it",
            rules_key(&sha256),
            b"",
        ),
        ("an altered text", key(&last.digest().to_string()), b"{}"),
        ("an unknown last one", LAST.to_owned(), b"?"),
    ] {
        put(&ledger, key, value).await;
        let stop = in_force(&ledger, configured.clone(), now())
            .await
            .unwrap_err();
        let told = stop.to_string();
        assert_eq!(
            (stop.exit_code(), stop.code()),
            (3, "policy-not-approved"),
            "{what}"
        );
        assert!(told.contains("as they were"), "{what}: {told}");
        // With what it was before it starts, and then everything is kept again.
        let run = in_force(&ledger, last.clone(), now()).await;
        if what != "an unknown last one" {
            assert_eq!(run.unwrap().digest(), last.digest(), "{what}");
            assert!(adopt(&ledger, &last).await, "{what}");
            let run = in_force(&ledger, configured.clone(), now()).await.unwrap();
            assert_eq!(run.description(), last.description(), "{what}");
        }
    }
    ledger.close().await;
}

#[tokio::test]
async fn an_approval_is_of_one_policy_and_used_once() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(folder.path());
    let (last, wanted) = (bound(Handling::H1), bound(Handling::H2));
    adopt(&ledger, &last).await;
    let id = format!("{:016x}", now().millis() << 16);
    let request = |verb: &str, subject: String, state: &str, expires: Timestamp| {
        serde_json::json!({
            "id": id, "verb": verb, "subject": subject, "request": {}, "asked_by": "a.murphy",
            "caller": {"uid": 1_000, "gid": 1_000, "groups": []}, "at": now(), "expires": expires, "state": state,
        })
    };
    let subject = || wanted.digest().to_string();
    let (later, before) = (now().plus_millis(1), now().plus_millis(-1));
    for (kept, in_force_then) in [
        (request(ADOPT, subject(), "waiting", later), &last),
        (request(ADOPT, subject(), "rejected", later), &last),
        (request(ADOPT, subject(), "done", later), &last),
        (request(ADOPT, subject(), "approved", before), &last),
        (request("peer.accept", subject(), "approved", later), &last),
        (
            request(ADOPT, last.digest().to_string(), "approved", later),
            &last,
        ),
        (request(ADOPT, subject(), "approved", later), &wanted),
    ] {
        let key = format!("approval/{id}");
        put(&ledger, key, &json::canonical(&kept)).await;
        let run = in_force(&ledger, wanted.clone(), now()).await.unwrap();
        assert_eq!(run.digest(), in_force_then.digest(), "{kept}");
    }
    assert!(!adopt(&ledger, &wanted).await);
    // Back, and once more: the approval is gone.
    put(
        &ledger,
        LAST.to_owned(),
        last.digest().to_string().as_bytes(),
    )
    .await;
    let run = in_force(&ledger, wanted.clone(), now()).await.unwrap();
    assert_eq!(run.digest(), last.digest());
    ledger.close().await;
}
