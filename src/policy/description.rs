//! The text of a policy, over which its digest is taken, and the part of it that an authority configures.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::base::json;
use crate::policy::restrict::RuleFile;
use crate::policy::terms::Handling;

/// The version of the text.
const VERSION: u64 = 1;

/// The part of a policy that an authority configures; the rest comes with the program. What is not configured stands in
/// no text, so that a policy keeps its digest when there is more to configure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configured {
    /// The acts that need two persons.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub dual_control: BTreeSet<String>,
    /// The highest handling code that is given and taken; `None`: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handling_max: Option<Handling>,
    /// The files of national rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub national: Vec<RuleFile>,
    /// Whether a package is kept until the end of its retention where its use ends before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_after_sunset: bool,
    /// Whether only the team of its case may use a package.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub need_to_know: bool,
}

/// A rule of the core, as the text names it.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct RuleDescription {
    pub(super) id: &'static str,
    pub(super) version: u32,
}

#[derive(Serialize)]
struct Description<'a> {
    #[serde(flatten)]
    configured: &'a Configured,
    rules: Vec<RuleDescription>,
    v: u64,
}

/// The text: one line of canonical JSON (RFC 8785).
pub(super) fn text(configured: &Configured, rules: Vec<RuleDescription>) -> String {
    let description = Description {
        configured,
        rules,
        v: VERSION,
    };
    String::from_utf8_lossy(&json::canonical(&description)).into_owned()
}

impl Configured {
    /// Reads the configured part of the policy with this text; `None` where the text has what this program does not
    /// know.
    pub fn of(description: &str) -> Option<Self> {
        let mut all: Map<String, Value> = serde_json::from_str(description).ok()?;
        let is_known = all.remove("v") == Some(VERSION.into()) && all.remove("rules").is_some();
        is_known.then(|| serde_json::from_value(Value::Object(all)).ok())?
    }
}

/// Whether a policy with this text takes two persons for this. A text that cannot be read is taken to say so.
pub fn takes_two(description: &str, verb: &str) -> bool {
    #[derive(Deserialize)]
    struct Listed {
        #[serde(default)]
        dual_control: BTreeSet<String>,
    }
    let listed: Option<Listed> = serde_json::from_str(description).ok();
    listed.is_none_or(|it| it.dual_control.contains(verb))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::PolicySet;

    #[test]
    fn what_is_configured_is_read_back_from_the_text() {
        let plain = PolicySet::new(Some(Handling::H2));
        for set in [
            PolicySet::new(None),
            plain.clone(),
            plain.clone().needing_to_know(true),
            plain.clone().keeping_after_sunset(true),
            plain.clone().under_dual_control(["policy.adopt"]),
            plain.under_dual_control(["policy.adopt", "package.purge"]),
        ] {
            let text = set.description();
            assert_eq!(Configured::of(&text), Some(set.configured()), "{text}");
        }
    }

    #[test]
    fn the_list_stands_in_the_text_in_order_and_only_where_there_is_one() {
        let plain = PolicySet::new(None);
        let listing = |verbs: &[&str]| plain.clone().under_dual_control(verbs.iter().copied());
        assert_eq!(listing(&[]).digest(), plain.digest());
        let both = listing(&["policy.adopt", "package.purge"]);
        let same = listing(&["package.purge", "policy.adopt", "package.purge"]);
        assert_eq!(both.digest(), same.digest());
        assert_ne!(both.digest(), listing(&["policy.adopt"]).digest());
        assert!(both.takes_two("policy.adopt") && both.takes_two("package.purge"));
        assert!(!both.takes_two("peer.accept") && !plain.takes_two("policy.adopt"));
        let text = both.description();
        let start = r#"{"dual_control":["package.purge","policy.adopt"],"rules":["#;
        assert!(text.starts_with(start), "{text}");
    }

    #[test]
    fn a_text_of_another_program_is_not_half_read() {
        for (text, of, listed) in [
            (r#"{"rules":[],"v":1}"#, true, false),
            (r#"{"rules":[{"id":"x","version":9}],"v":1}"#, true, false),
            (
                r#"{"dual_control":["policy.adopt"],"rules":[],"v":1}"#,
                true,
                true,
            ),
            (
                r#"{"dual_control":["peer.accept"],"rules":[],"v":1}"#,
                true,
                false,
            ),
            (r#"{"rules":[],"v":2}"#, false, false),
            (r#"{"rules":[]}"#, false, false),
            (r#"{"v":1}"#, false, false),
            (r#"{"newer":true,"rules":[],"v":1}"#, false, false),
            (
                r#"{"dual_control":["policy.adopt"],"newer":1,"rules":[],"v":2}"#,
                false,
                true,
            ),
            (
                r#"{"dual_control":"policy.adopt","rules":[],"v":1}"#,
                false,
                true,
            ),
            (r#"{"handling_max":"H9","rules":[],"v":1}"#, false, false),
            ("no JSON", false, true),
            ("", false, true),
        ] {
            let found = (
                Configured::of(text).is_some(),
                takes_two(text, "policy.adopt"),
            );
            assert_eq!(found, (of, listed), "{text}");
        }
    }
}
