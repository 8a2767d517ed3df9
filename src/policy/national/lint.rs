//! Reading rules: every fault of every file is named, and a set with one fault is not taken.

use std::collections::BTreeMap;
use std::str::FromStr as _;

use cedar_policy::{
    ActionConstraint, Effect, Policy, PolicyId, PolicySet, ValidationMode, Validator,
};
use serde::Serialize;

use super::question::{ASKED, action, schema};
use super::rules::{Cited, National};
use crate::base::{Digest, len_u64, limits};
use crate::policy::code::Code;
use crate::policy::restrict::RuleFile;

/// A fault of a file of rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleFault {
    /// The file.
    pub file: String,
    /// The line of the rule, from 1, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// A stable name of the fault.
    pub code: &'static str,
    /// The fault and the next step.
    pub text: String,
}

impl std::fmt::Display for RuleFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ": {} ({})", self.text, self.code)
    }
}

/// A rule, with the file it stands in.
struct Found {
    file: String,
    line: Option<usize>,
    policy: Policy,
    cited: Cited,
    speaks: [bool; ASKED.len()],
}

/// Reads the rules in these files, by name and text. The same files give the same set.
///
/// # Errors
/// Every fault that was found.
pub fn load(files: &[(String, String)]) -> Result<National, Vec<RuleFault>> {
    let mut faults = Vec::new();
    let mut found: Vec<Found> = Vec::new();
    for (name, text) in files {
        match read(name, text) {
            Ok(set) => found.extend(rules_of(name, text, &set, &mut faults)),
            Err(fault) => faults.push(fault),
        }
    }
    doubles(&found, &mut faults);
    if found.len() > limits::RULES_MAX {
        let text = format!(
            "{} rules, at most {} are allowed",
            found.len(),
            limits::RULES_MAX
        );
        faults.push(fault("", None, "too-many-rules", text));
    }
    if faults.is_empty() {
        faults.extend(validated(&found));
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let described = files.iter().map(|(name, text)| {
        let file = RuleFile {
            name: name.clone(),
            sha256: Digest::of(text.as_bytes()),
        };
        (file, text.clone())
    });
    let rules = found
        .into_iter()
        .map(|it| (it.policy, it.cited, it.speaks))
        .collect();
    National::new(described.collect(), rules)
        .map_err(|text| vec![fault("", None, "rules-together", text)])
}

fn fault(
    file: &str,
    line: Option<usize>,
    code: &'static str,
    text: impl Into<String>,
) -> RuleFault {
    RuleFault {
        file: file.to_owned(),
        line,
        code,
        text: text.into(),
    }
}

/// Limits come before the parser, which goes as deep as the text does.
fn read(name: &str, text: &str) -> Result<PolicySet, RuleFault> {
    if len_u64(text.len()) > limits::RULE_FILE_BYTES_MAX {
        let most = limits::RULE_FILE_BYTES_MAX;
        let text = format!("has {} bytes, at most {most} are allowed", text.len());
        return Err(fault(name, None, "too-large", text));
    }
    if let Some(line) = too_deep(text) {
        let text = format!(
            "brackets, or signs before a value, are nested more than {} deep",
            limits::RULE_DEPTH_MAX
        );
        return Err(fault(name, Some(line), "too-deep", text));
    }
    PolicySet::from_str(text).map_err(|e| fault(name, None, "syntax", e.to_string()))
}

/// The line at which the text is nested deeper than allowed: brackets, and runs of `!` and `-`, which nest as well.
/// Text in quotes and comments counts too: what is too deep there can be written otherwise.
fn too_deep(text: &str) -> Option<usize> {
    let (mut depth, mut run) = (0_usize, 0_usize);
    let too_deep = text.bytes().position(|byte| {
        depth = match byte {
            b'(' | b'[' | b'{' => depth.saturating_add(1),
            b')' | b']' | b'}' => depth.saturating_sub(1),
            _other => depth,
        };
        run = match byte {
            b'!' | b'-' => run.saturating_add(1),
            b' ' | b'\t' | b'\n' | b'\r' => run,
            _other => 0,
        };
        depth.max(run) > limits::RULE_DEPTH_MAX
    });
    too_deep.and_then(|at| line_at(text, at))
}

fn rules_of(name: &str, text: &str, set: &PolicySet, faults: &mut Vec<RuleFault>) -> Vec<Found> {
    for template in set.templates() {
        let line = line_of(text, template.annotation("id"));
        let text = "a template has a slot that nobody fills: write the value";
        faults.push(fault(name, line, "template", text));
    }
    let mut found = Vec::new();
    let mut policies: Vec<_> = set.policies().collect();
    policies.sort_unstable_by_key(|it| it.id().to_string());
    for policy in policies {
        let line = line_of(text, policy.annotation("id"));
        match rule(policy) {
            Ok((policy, cited, speaks)) => found.push(Found {
                file: name.to_owned(),
                line,
                policy,
                cited,
                speaks,
            }),
            Err(wrong) => {
                let of = |(code, text): (&'static str, String)| fault(name, line, code, text);
                faults.extend(wrong.into_iter().map(of));
            }
        }
    }
    found
}

/// The line where this id stands.
fn line_of(text: &str, id: Option<&str>) -> Option<usize> {
    let at = text.find(&format!("@id(\"{}\")", id?))?;
    line_at(text, at)
}

/// The line on which the character at this byte stands.
fn line_at(text: &str, at: usize) -> Option<usize> {
    Some(text.get(..=at)?.split('\n').count())
}

type Rule = (Policy, Cited, [bool; ASKED.len()]);

fn rule(policy: &Policy) -> Result<Rule, Vec<(&'static str, String)>> {
    let mut wrong = Vec::new();
    if policy.effect() == Effect::Permit {
        let text =
            "permits: national rules can only forbid, what may be done the statutory core says";
        wrong.push(("permit", text.to_owned()));
    }
    let mut code = |name: &str, missing: &'static str, bad: &'static str| {
        let Some(text) = policy.annotation(name) else {
            wrong.push((missing, format!("has no @{name}: write one in front of it")));
            return None;
        };
        let code = text.parse::<Code>().ok();
        if code.is_none() {
            let text = format!("@{name} {text:?} is no word of letters, digits, inner . and -");
            wrong.push((bad, text));
        }
        code
    };
    let id = code("id", "no-id", "bad-id");
    let reason = code("reason", "no-reason", "bad-reason");
    let clause = policy.annotation("clause").unwrap_or_default();
    if clause.is_empty() {
        let text = "has no @clause: name the provision that it stands on";
        wrong.push(("no-clause", text.to_owned()));
    } else if clause.len() > limits::CLAUSE_BYTES_MAX
        || !clause.bytes().all(|it| (b' '..=b'~').contains(&it))
    {
        let most = limits::CLAUSE_BYTES_MAX;
        let text = format!("its @clause is not 1 to {most} printable ASCII characters");
        wrong.push(("bad-clause", text));
    }
    let speaks = speaks(policy);
    if !speaks.contains(&true) {
        let text = "is about no action that is asked about: send, admit, open, export or forward";
        wrong.push(("unknown-action", text.to_owned()));
    }
    match (id, reason) {
        (Some(id), Some(reason)) if wrong.is_empty() => {
            let cited = Cited {
                reason,
                clause: clause.to_owned(),
                text: policy.annotation("text").map(str::to_owned),
            };
            Ok((policy.new_id(PolicyId::new(id.as_str())), cited, speaks))
        }
        (None | Some(_), None | Some(_)) => Err(wrong),
    }
}

/// Which of the actions a rule is about.
fn speaks(policy: &Policy) -> [bool; ASKED.len()] {
    let constraint = policy.action_constraint();
    ASKED.map(|asked| match &constraint {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(only) => *only == action(asked),
        ActionConstraint::In(all) => all.contains(&action(asked)),
    })
}

fn doubles(found: &[Found], faults: &mut Vec<RuleFault>) {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for it in found {
        if let Some(first) = seen.insert(it.policy.id().to_string(), &it.file) {
            let text = format!("its @id {} stands in {first} too", it.policy.id());
            faults.push(fault(&it.file, it.line, "double-id", text));
        }
    }
}

/// Finds what the schema does not allow: attributes that there are not, values of another type.
fn validated(found: &[Found]) -> Vec<RuleFault> {
    let policies = found.iter().map(|it| it.policy.clone());
    let set = match PolicySet::from_policies(policies) {
        Ok(set) => set,
        Err(e) => return vec![fault("", None, "rules-together", e.to_string())],
    };
    let result = Validator::new(schema().clone()).validate(&set, ValidationMode::Strict);
    let wrong = result.validation_errors().map(|error| {
        let of = found.iter().find(|it| it.policy.id() == error.policy_id());
        let (file, line) = of.map_or(("", None), |it| (it.file.as_str(), it.line));
        fault(file, line, "schema", error.to_string())
    });
    wrong.collect()
}
