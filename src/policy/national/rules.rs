//! Rules that were found well written, and what they say.

use std::collections::BTreeMap;
use std::fmt;

use cedar_policy::{Authorizer, Entities, Policy, PolicySet, Response};

use super::attributes::Attributes;
use super::guard::{self, Guard};
use super::question::{ASKED, place, question};
use crate::base::Digest;
use crate::policy::code::Code;
use crate::policy::denial::{Denial, ReasonCode};
use crate::policy::facts::Facts;
use crate::policy::restrict::{NationalRules, RuleFile};

/// The clause of a denial that comes of a rule that cannot be evaluated.
const UNEVALUATED: &str = "national rules of this authority";

/// The annotations in front of a rule.
#[derive(Debug, Clone)]
pub(super) struct Cited {
    pub(super) reason: Code,
    pub(super) clause: String,
    pub(super) text: Option<String>,
}

/// The rules that can speak of one action.
#[derive(Default)]
struct Speaking {
    /// Those that begin with no guard, together.
    always: Option<PolicySet>,
    /// The others, each by itself.
    guarded: Vec<(Vec<Guard>, PolicySet)>,
}

impl Speaking {
    fn add(&mut self, policy: &Policy, guards: &[Guard]) -> Result<(), String> {
        if guards.is_empty() {
            let set = self.always.take().unwrap_or_default();
            self.always = Some(with(set, policy)?);
        } else {
            self.guarded
                .push((guards.to_vec(), with(PolicySet::new(), policy)?));
        }
        Ok(())
    }

    /// The sets in which some rule may forbid.
    fn sets<'a>(&'a self, attributes: &'a Attributes<'_>) -> impl Iterator<Item = &'a PolicySet> {
        let holds = |(guards, _): &&(Vec<Guard>, PolicySet)| guard::hold(guards, attributes);
        let guarded = self.guarded.iter().filter(holds).map(|(_, set)| set);
        self.always.iter().chain(guarded)
    }
}

/// A set of national rules.
pub struct National {
    /// Each with its text.
    files: Vec<(RuleFile, String)>,
    cited: BTreeMap<String, Cited>,
    /// For each action that rules are asked about, in the order of [`ASKED`].
    speaking: [Speaking; ASKED.len()],
    authorizer: Authorizer,
    none: Entities,
}

impl fmt::Debug for National {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "National({} rules)", self.cited.len())
    }
}

impl National {
    /// Rules by their id, with the actions that each can speak of.
    ///
    /// # Errors
    /// A sentence, where Cedar does not take them together.
    pub(super) fn new(
        files: Vec<(RuleFile, String)>,
        rules: Vec<(Policy, Cited, [bool; ASKED.len()])>,
    ) -> Result<Self, String> {
        let mut speaking: [Speaking; ASKED.len()] = Default::default();
        let mut cited = BTreeMap::new();
        for (policy, cites, speaks) in rules {
            let id: &str = policy.id().as_ref();
            cited.insert(id.to_owned(), cites);
            let guards = guard::guards(&policy);
            let actions = speaking.iter_mut().zip(speaks);
            for (speaking, _) in actions.filter(|(_, speaks)| *speaks) {
                speaking.add(&policy, &guards)?;
            }
        }
        Ok(Self {
            files,
            cited,
            speaking,
            authorizer: Authorizer::new(),
            none: Entities::empty(),
        })
    }

    /// How many rules there are.
    pub fn count(&self) -> usize {
        self.cited.len()
    }
}

impl NationalRules for National {
    fn files(&self) -> Vec<RuleFile> {
        self.files.iter().map(|(file, _)| file.clone()).collect()
    }

    fn texts(&self) -> Vec<(Digest, &str)> {
        let files = self.files.iter();
        files
            .map(|(file, text)| (file.sha256, text.as_str()))
            .collect()
    }

    /// In the order of the rules' ids; a rule that cannot be evaluated comes first.
    fn denials(&self, facts: &Facts<'_>) -> Vec<Denial> {
        let Some(speaking) = place(facts.action).and_then(|at| self.speaking.get(at)) else {
            return Vec::new();
        };
        let attributes = Attributes::of(facts);
        let mut sets = speaking.sets(&attributes).peekable();
        if sets.peek().is_none() {
            return Vec::new();
        }
        let asked = match question(facts, &attributes) {
            Ok(asked) => asked,
            Err(why) => return vec![unevaluated("question", &why)],
        };
        // Nothing in a set permits, so the answer is never yes; what counts is who says no.
        let (mut failed, mut forbids) = (Vec::new(), Vec::new());
        for set in sets {
            let answer = self.authorizer.is_authorized(&asked, set, &self.none);
            failed.extend(failures(&answer));
            forbids.extend(answer.diagnostics().reason().map(ToString::to_string));
        }
        forbids.sort_unstable();
        let forbids = forbids.iter().filter_map(|id| self.cited.get_key_value(id));
        let forbids = forbids.map(|(id, cited)| forbidden(id, cited, facts));
        failed.into_iter().chain(forbids).collect()
    }
}

fn with(mut set: PolicySet, policy: &Policy) -> Result<PolicySet, String> {
    set.add(policy.clone()).map_err(|e| e.to_string())?;
    Ok(set)
}

fn failures(answer: &Response) -> Vec<Denial> {
    let errors = answer.diagnostics().errors();
    errors
        .map(|e| unevaluated("evaluation", &e.to_string()))
        .collect()
}

fn unevaluated(what: &'static str, why: &str) -> Denial {
    Denial {
        rule: "national".into(),
        detail: None,
        term: format!("failed={what}"),
        reason: ReasonCode::NationalRuleFailed,
        clause: UNEVALUATED.to_owned(),
        text: format!(
            "a national rule cannot be evaluated, and what cannot be judged is refused: {why}; ask whoever configures the policy here, and run: rogatory policy lint"
        ),
    }
}

fn forbidden(id: &str, cited: &Cited, facts: &Facts<'_>) -> Denial {
    let text = cited.text.clone().unwrap_or_else(|| {
        format!(
            "the national rule {id} forbids to {} this package ({})",
            facts.action, cited.clause
        )
    });
    Denial {
        rule: id.to_owned().into(),
        detail: Some(Box::new(cited.reason.clone())),
        term: format!("national={id}"),
        reason: ReasonCode::NationalRule,
        clause: cited.clause.clone(),
        text,
    }
}
