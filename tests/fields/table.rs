//! The calls of the local API with an example of each field; and what calls there are, as the daemon's source has them.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::examples::{full_terms, value};

/// The values that are known when a call is made.
pub(crate) struct Names {
    /// A package that is held.
    pub(crate) held: String,
    /// One that may be destroyed.
    pub(crate) spare: String,
    /// The card of a third authority, as text.
    pub(crate) card: String,
    /// Its revocation list, base64.
    pub(crate) crl: String,
}

/// A call, and an example of what it takes.
pub(crate) struct Call {
    pub(crate) method: &'static str,
    /// As the router has it.
    pub(crate) path: &'static str,
    /// The value in the place of its parameter.
    pub(crate) parameter: String,
    /// Makes that value anew, since it can be used once.
    pub(crate) needs: Needs,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) body: Option<Value>,
}

/// The state that a call needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    Nothing,
    /// A new grant to seal.
    Grant,
    /// One whose bytes are here.
    Spooled,
    /// An opening.
    Opening,
}

fn call(method: &'static str, path: &'static str) -> Call {
    Call {
        method,
        path,
        parameter: "aaaaaaaa".to_owned(),
        needs: Needs::Nothing,
        query: Vec::new(),
        body: None,
    }
}

impl Call {
    fn of(mut self, parameter: &str) -> Self {
        parameter.clone_into(&mut self.parameter);
        self
    }

    fn needs(mut self, needs: Needs) -> Self {
        self.needs = needs;
        self
    }

    fn query(mut self, query: &[(&'static str, &str)]) -> Self {
        let pairs = query.iter().map(|(key, text)| (*key, (*text).to_owned()));
        self.query = pairs.collect();
        self
    }

    fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// The call in a word.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

const PART: [(&str, &str); 2] = [("limit", "7"), ("after", "3")];

/// The questions before something is sealed.
pub(crate) fn wish() -> Value {
    json!({
        "to": "at",
        "case": "IE-2026-0117",
        "request": "IE/2026/000001",
        "title": "Bank records",
        "offences": ["fraud", "forgery"],
        "necessity": "The account was used.",
        "proportionality": "No milder means.",
        "terms": value(&full_terms()),
        "item_terms": [{"path": "a/b", "terms": value(&full_terms())}],
        "urgent": true,
    })
}

fn finish() -> Value {
    let terms = value(&full_terms());
    json!({
        "manifest": "ab".repeat(32),
        "item_root": "cd".repeat(32),
        "items": 1,
        "item_terms": [{"offset": 512, "path": "a/b", "size": 1024, "terms": terms}],
    })
}

fn sealing() -> Vec<Call> {
    let query = [
        ("manifest", &*"ab".repeat(32)),
        ("item_root", &"cd".repeat(32)),
        ("items", "1"),
    ];
    vec![
        call("POST", "/v1/seals").body(wish()),
        call("POST", "/v1/seals/many").body(json!({"request": wish(), "count": 2})),
        call("DELETE", "/v1/seals/{grant}").needs(Needs::Grant),
        call("PUT", "/v1/seals/{grant}/package").needs(Needs::Grant),
        call("POST", "/v1/seals/{grant}/finish")
            .needs(Needs::Spooled)
            .body(finish()),
        call("PUT", "/v1/seals/{grant}/whole")
            .needs(Needs::Grant)
            .query(&query),
    ]
}

fn packages(names: &Names) -> Vec<Call> {
    let opening = json!({
        "purpose": "prosecution",
        "justification": "hearing of 3 December",
        "items": ["a/b"],
        "related": true,
        "exception": "threat",
        "export": true,
    });
    let rows = [("direction", "in"), ("state", "held"), PART[0], PART[1]];
    vec![
        call("GET", "/v1/packages").query(&rows),
        call("POST", "/v1/packages/wait").body(json!({"ids": [names.held], "seconds": 0})),
        call("GET", "/v1/packages/{id}"),
        call("GET", "/v1/packages/{id}/wait").query(&[("seconds", "0")]),
        call("POST", "/v1/packages/{id}/verify"),
        call("POST", "/v1/packages/{id}/openings").body(opening),
        call("GET", "/v1/packages/{id}/decision").query(&[
            ("use", "prosecution"),
            ("related", "true"),
            ("as", "officer"),
        ]),
        call("GET", "/v1/packages/{id}/age"),
        call("GET", "/v1/packages/{id}/bundle"),
        call("DELETE", "/v1/openings/{opening}").needs(Needs::Opening),
        call("POST", "/v1/openings/{opening}/mismatch")
            .needs(Needs::Opening)
            .body(json!({"code": "decryption-failed"})),
        call("GET", "/v1/openings/{opening}/plaintext").needs(Needs::Opening),
        call("GET", "/v1/openings/{opening}/age").needs(Needs::Opening),
        call("POST", "/v1/packages/{id}/team").body(json!({"team": "uid:0"})),
        call("POST", "/v1/packages/{id}/report"),
        call("POST", "/v1/packages/{id}/release"),
    ]
    .into_iter()
    .map(|call| {
        let is_of_package = call.path.contains("{id}");
        if is_of_package {
            call.of(&names.held)
        } else {
            call
        }
    })
    .collect()
}

/// Calls that change how long a package is kept, and what may be done with it.
fn duties(names: &Names) -> Vec<Call> {
    let why = "as the law says";
    let stricter = json!({
        "justification": why,
        "withdraw": false,
        "retain_until": "2080-12-31",
        "review": "2050-12-31",
        "sunset": "2070-12-31",
        "purposes": ["trial"],
        "restrictions": ["confidential"],
        "use_report": true,
        "no_onward": true,
    });
    let onward = json!({
        "to": "fr",
        "justification": why,
        "retain_until": "2080-12-31",
        "sunset": "2070-12-31",
        "purposes": ["trial"],
        "restrictions": ["confidential"],
        "use_report": true,
    });
    let wish = json!({"purpose": "civil-claim", "third": "bepi.example.fr", "justification": why});
    let hold = json!({"until": "2080-12-31", "authority": "a court", "reason": why});
    vec![
        call("POST", "/v1/packages/{id}/hold")
            .of(&names.held)
            .body(hold),
        call("POST", "/v1/packages/{id}/review")
            .of(&names.held)
            .body(json!({"justification": why})),
        call("POST", "/v1/packages/{id}/terms")
            .of(&names.held)
            .body(stricter),
        call("POST", "/v1/packages/{id}/ask")
            .of(&names.held)
            .body(wish),
        call("POST", "/v1/packages/{id}/forward")
            .of(&names.held)
            .body(onward),
        call("GET", "/v1/consents").query(&PART),
        call("GET", "/v1/consents/{id}"),
        call("POST", "/v1/consents/{id}/grant").body(
            json!({"until": "2080-12-31", "conditions": ["confidential"], "justification": why}),
        ),
        call("POST", "/v1/consents/{id}/refuse").body(json!({"justification": why})),
        call("GET", "/v1/onward").query(&PART),
        call("GET", "/v1/retention/due"),
        call("POST", "/v1/packages/{id}/destroy")
            .of(&names.spare)
            .body(json!({"justification": why, "dry_run": true})),
    ]
}

fn records() -> Vec<Call> {
    let receipts = [("package", "aaaaaaaa"), PART[0], PART[1]];
    vec![
        call("GET", "/v1/status"),
        call("GET", "/v1/card"),
        call("GET", "/v1/cases").query(&PART),
        call("GET", "/v1/transfers").query(&PART),
        call("GET", "/v1/transfers/{id}"),
        call("GET", "/v1/receipts").query(&receipts),
        call("GET", "/v1/receipts/{seq}").of("1"),
        call("GET", "/v1/log"),
        call("POST", "/v1/log/checkpoint"),
        call("GET", "/v1/log/keys"),
        call("GET", "/v1/log/proofs/{name}").query(&PART),
        call("GET", "/v1/clock"),
        call("POST", "/v1/clock/confirm"),
        call("GET", "/v1/certificate"),
        call("POST", "/v1/certificate/renew").body(json!({"if_due": true})),
        call("GET", "/v1/approvals").query(&PART),
        call("GET", "/v1/approvals/{id}"),
        call("POST", "/v1/approvals/{id}/approve"),
        call("POST", "/v1/approvals/{id}/reject"),
    ]
}

fn authorities(names: &Names) -> Vec<Call> {
    let why = json!({"justification": "as we spoke"});
    let card = json!({"card": names.card, "crl": names.crl});
    let words = json!({"fingerprint": "abandon-ability-able-about-above-absent"});
    vec![
        call("GET", "/v1/policy"),
        call("POST", "/v1/policy"),
        call("GET", "/v1/policy/{digest}"),
        call("GET", "/v1/peers"),
        call("POST", "/v1/peers").body(card),
        call("GET", "/v1/peers/{peer}").of("pl"),
        call("POST", "/v1/peers/{peer}/accept").of("pl").body(words),
        call("POST", "/v1/peers/{peer}/ping").of("at"),
        call("POST", "/v1/peers/{peer}/pause")
            .of("pl")
            .body(why.clone()),
        call("POST", "/v1/peers/{peer}/resume")
            .of("pl")
            .body(why.clone()),
        call("POST", "/v1/peers/{peer}/revoke")
            .of("pl")
            .body(why.clone()),
        call("POST", "/v1/peers/{peer}/remove").of("pl").body(why),
    ]
}

/// All of them; those that end something come last.
pub(crate) fn calls(names: &Names) -> Vec<Call> {
    let mut all = records();
    all.extend(packages(names));
    all.extend(sealing());
    all.extend(duties(names));
    all.extend(authorities(names));
    let known: BTreeSet<_> = all.iter().map(Call::name).collect();
    assert_eq!(known.len(), all.len(), "each stands once");
    assert_eq!(known, routed(), "the calls here and those of the daemon");
    all
}

/// The calls that the daemon's source adds to its router.
fn routed() -> BTreeSet<String> {
    let source = |path: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("src/daemon")
            .join(path);
        std::fs::read_to_string(path).expect("the source")
    };
    let routes = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/daemon/routes");
    let mut found = BTreeSet::new();
    for file in std::fs::read_dir(routes).expect("the routes") {
        let name = file.expect("a file").file_name();
        let text = source(&format!("routes/{}", name.to_string_lossy()));
        for (at, _) in text.match_indices("\"/v1/") {
            let (path, rest) = text[at + 1..].split_once('"').expect("its end");
            let end = rest.find("\n        .").or_else(|| rest.find(";\n"));
            let rest = &rest[..end.unwrap_or(rest.len())];
            let methods = [
                ("get(", "GET"),
                ("post(", "POST"),
                ("put(", "PUT"),
                ("delete(", "DELETE"),
            ];
            let here = methods
                .iter()
                .filter_map(|(word, name)| Some((rest.find(word)?, name)));
            let (_, method) = here.min().unwrap_or((0, &"POST"));
            if !path.contains("{}") {
                found.insert(format!("{method} {path}"));
                continue;
            }
            // The decisions about a peer, each of which names its call.
            let decisions = source("peers/lifecycle.rs");
            let (_, arms) = decisions
                .split_once("fn as_str(self)")
                .expect("the decisions");
            let (arms, _) = arms.split_once("\n    }").expect("the end of the function");
            for word in arms.split('"').skip(1).step_by(2) {
                let path = path.replace("{{peer}}", "{peer}").replace("{}", word);
                found.insert(format!("POST {path}"));
            }
        }
    }
    assert!(found.len() > 50, "{found:?}");
    found
}
