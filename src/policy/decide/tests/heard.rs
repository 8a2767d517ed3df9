//! How a set of rules is heard.

use super::*;

#[test]
fn silence_denies() {
    for action in Action::ALL {
        let empty = PolicySet {
            rules: &[],
            ..PolicySet::new(None)
        };
        let denial = ask(&row(*action), &empty).unwrap_err();
        assert_eq!(
            (denial.rule, denial.reason),
            ("silence".into(), ReasonCode::NoRulePermits)
        );
    }
}

/// A national rule that forbids everything.
#[derive(Debug)]
pub(super) struct Nothing;

impl NationalRules for Nothing {
    fn files(&self) -> Vec<crate::policy::restrict::RuleFile> {
        Vec::new()
    }

    fn texts(&self) -> Vec<(Digest, &str)> {
        Vec::new()
    }

    fn denials(&self, facts: &Facts<'_>) -> Vec<Denial> {
        let mut denial = silence(facts);
        denial.rule = "nothing".into();
        denial.detail = Some(Box::new("no-agreement".parse().unwrap()));
        vec![denial]
    }
}

#[test]
fn every_rule_is_heard_and_the_first_that_denies_is_followed() {
    let core: Vec<_> = rules::ALL.iter().map(|rule| rule.id).collect();
    let restricted = PolicySet::new(None).restricted_by(Some(Arc::new(Nothing)));
    let (late, beyond) = ("2032-01-01T00:00:00.000Z", Purpose::CivilClaim);
    for (now, purpose, denying) in [
        (NOW, Purpose::Prosecution, &[][..]),
        (late, Purpose::Prosecution, &["retention", "sunset"]),
        (NOW, beyond, &["purpose"]),
        (late, beyond, &["retention", "sunset", "purpose"]),
    ] {
        let mut row = row(Action::Open);
        (row.now, row.purpose) = (now, Some(purpose));
        for (set, national) in [
            (PolicySet::new(None), None),
            (restricted.clone(), Some("nothing")),
        ] {
            let heard = asked(&row, |facts| verdicts(&set, facts));
            let names: Vec<_> = heard.iter().map(|(rule, _)| rule.as_ref()).collect();
            let want: Vec<_> = core.iter().copied().chain(national).collect();
            assert_eq!(names, want, "{denying:?}");
            let denials: Vec<_> = heard
                .iter()
                .filter_map(|(_, says)| match says {
                    Verdict::Denies(denial) => Some(denial.clone()),
                    Verdict::Permits | Verdict::Silent => None,
                })
                .collect();
            let names: Vec<_> = denials.iter().map(|denial| denial.rule.as_ref()).collect();
            let want: Vec<_> = denying.iter().copied().chain(national).collect();
            assert_eq!(names, want);
            assert_eq!(ask(&row, &set).err(), denials.into_iter().next());
            let permits = heard.iter().find(|(_, says)| *says == Verdict::Permits);
            let permits = permits.map(|(rule, _)| rule.as_ref());
            assert_eq!(permits, (purpose != beyond).then_some("purpose"));
        }
    }
}
