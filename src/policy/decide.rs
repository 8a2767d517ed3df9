//! The decision: every rule is asked, deny overrides, silence denies.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::base::Digest;
use crate::policy::denial::{Denial, ReasonCode};
use crate::policy::description::{self, Configured, RuleDescription};
use crate::policy::facts::Facts;
use crate::policy::parameters::Parameters;
use crate::policy::permit::Permit;
use crate::policy::restrict::NationalRules;
use crate::policy::terms::{Handling, Terms};
use crate::policy::verdict::{Rule, Verdict};
use crate::policy::{instrument, rules};

/// The policy in force: the rules and their parameters, and the national rules.
#[derive(Debug, Clone)]
pub struct PolicySet {
    dual_control: BTreeSet<String>,
    national: Option<Arc<dyn NationalRules>>,
    rules: &'static [Rule],
    parameters: Parameters,
}

impl PolicySet {
    /// All rules, with the highest handling code that this authority gives and takes (`None`: any).
    pub const fn new(handling_max: Option<Handling>) -> Self {
        Self {
            dual_control: BTreeSet::new(),
            national: None,
            rules: rules::ALL,
            parameters: Parameters {
                handling_max,
                keep_after_sunset: false,
                need_to_know: false,
            },
        }
    }

    /// The same policy, in which only the team of its case may use a package.
    #[must_use]
    pub const fn needing_to_know(mut self, need_to_know: bool) -> Self {
        self.parameters.need_to_know = need_to_know;
        self
    }

    /// The same policy, in which a package is kept until the end of its retention where its use ends before. Otherwise
    /// it is due for destruction when nobody may use it any more (Directive (EU) 2016/680 art. 4(1)(e)).
    #[must_use]
    pub const fn keeping_after_sunset(mut self, keep_after_sunset: bool) -> Self {
        self.parameters.keep_after_sunset = keep_after_sunset;
        self
    }

    /// The same policy, with these national rules.
    #[must_use]
    pub fn restricted_by(mut self, national: Option<Arc<impl NationalRules + 'static>>) -> Self {
        self.national = national.map(|rules| -> Arc<dyn NationalRules> { rules });
        self
    }

    /// The same policy, which takes two persons for these.
    #[must_use]
    pub fn under_dual_control<T: ToString>(mut self, verbs: impl IntoIterator<Item = T>) -> Self {
        self.dual_control = verbs.into_iter().map(|verb| verb.to_string()).collect();
        self
    }

    /// Whether this takes two persons.
    pub fn takes_two(&self, verb: &str) -> bool {
        self.dual_control.contains(verb)
    }

    /// The texts of the national rules, each with its digest.
    pub fn national_texts(&self) -> impl Iterator<Item = (Digest, &str)> {
        let national = self.national.iter();
        national.flat_map(|it| it.texts())
    }

    /// The same rules with other parameters, where they are given.
    pub(super) fn with(
        &self,
        handling_max: Option<Handling>,
        keep_after_sunset: Option<bool>,
        need_to_know: Option<bool>,
    ) -> Self {
        let own = self.parameters;
        let parameters = Parameters {
            handling_max: handling_max.or(own.handling_max),
            keep_after_sunset: keep_after_sunset.unwrap_or(own.keep_after_sunset),
            need_to_know: need_to_know.unwrap_or(own.need_to_know),
        };
        Self {
            parameters,
            ..self.clone()
        }
    }

    /// The policy as one line of canonical JSON (RFC 8785): format version, rules with their versions, parameters.
    pub fn description(&self) -> String {
        let rules = self.rules.iter().map(|rule| RuleDescription {
            id: rule.id,
            version: rule.version,
        });
        description::text(&self.configured(), rules.collect())
    }

    /// The configured part of it.
    pub fn configured(&self) -> Configured {
        Configured {
            dual_control: self.dual_control.clone(),
            handling_max: self.parameters.handling_max,
            national: self
                .national
                .as_ref()
                .map_or_else(Vec::new, |it| it.files()),
            keep_after_sunset: self.parameters.keep_after_sunset,
            need_to_know: self.parameters.need_to_know,
        }
    }

    /// SHA-256 of the description: what `pol` of a receipt holds.
    pub fn digest(&self) -> Digest {
        Digest::of(self.description().as_bytes())
    }
}

/// The words of each rule of the core, in the order in which they are asked; [`decide`] follows the first that denies.
fn core(set: &PolicySet, facts: &Facts<'_>) -> impl Iterator<Item = (&'static str, Verdict)> {
    set.rules
        .iter()
        .map(move |rule| (rule.id, (rule.judge)(set.parameters, facts)))
}

/// The words of each rule: those of the core, then each national rule that denies. Whether a national rule denies says
/// nothing of what is denied before.
pub fn verdicts(set: &PolicySet, facts: &Facts<'_>) -> Vec<(Cow<'static, str>, Verdict)> {
    let national = set.national.as_ref().map(|it| it.denials(facts));
    let national = national.unwrap_or_default().into_iter();
    let national = national.map(|denial| (denial.rule.clone(), Verdict::Denies(denial)));
    let core = core(set, facts).map(|(rule, says)| (rule.into(), says));
    core.chain(national).collect()
}

/// Decides: permitted if at least one rule of the core permits, none denies, and no national rule does. The same facts
/// always get the same answer.
pub fn decide(set: &PolicySet, facts: &Facts<'_>) -> Result<Permit, Denial> {
    let mut permitted = None;
    for (rule, verdict) in core(set, facts) {
        match verdict {
            Verdict::Denies(denial) => return Err(denial),
            Verdict::Permits => permitted = permitted.or(Some(rule)),
            Verdict::Silent => {}
        }
    }
    let rule = permitted.ok_or_else(|| silence(facts))?;
    let denied = set
        .national
        .as_ref()
        .and_then(|it| it.denials(facts).into_iter().next());
    denied.map_or_else(|| Ok(Permit::grant(facts, rule)), Err)
}

/// As [`decide`], for a package with items that are under terms of their own: each of these has to permit it too.
///
/// # Errors
/// The first denial, and the place of its terms among those of the items; `None` for those of the package.
pub fn decide_all<'a>(
    set: &PolicySet,
    facts: &Facts<'_>,
    items: impl IntoIterator<Item = &'a Terms>,
) -> Result<Permit, Box<(Option<usize>, Denial)>> {
    let mut permit = decide(set, facts).map_err(|denial| Box::new((None, denial)))?;
    for (at, terms) in items.into_iter().enumerate() {
        let facts = Facts { terms, ..*facts };
        let item = decide(set, &facts).map_err(|denial| Box::new((Some(at), denial)))?;
        permit = permit.within(&item);
    }
    Ok(permit)
}

fn silence(facts: &Facts<'_>) -> Denial {
    Denial {
        rule: "silence".into(),
        detail: None,
        term: format!("instrument={}", facts.terms.instrument),
        reason: ReasonCode::NoRulePermits,
        clause: instrument::BY_TERMS.to_owned(),
        text: format!(
            "no rule of the policy in force permits to {} this package, and what is not permitted is refused; ask whoever configures the policy here",
            facts.action
        ),
    }
}

#[cfg(test)]
mod tests;
