use std::collections::BTreeSet;

use super::*;

const TABLE: &str = include_str!("../../../tests/policy/decisions.toml");

#[test]
fn the_decision_table() {
    let table: DecisionTable = toml::from_str(TABLE).expect("the table is TOML");
    let set = PolicySet::new(None);
    assert!(table.cases.len() >= 150, "{}", table.cases.len());
    for (at, case) in table.cases.iter().enumerate() {
        let judged = case.judge(&table, &set).expect("a case");
        let at = at + 1;
        assert!(case.is_met(&judged), "case {at}, {case:?}: {judged:?}");
        assert!(case.rule.is_some(), "case {at} names no rule");
        let is_denial = case.decision == Outcome::Deny;
        assert_eq!(case.reason.is_some(), is_denial, "case {at}: reason");
        assert_eq!(case.clause.is_some(), is_denial, "case {at}: clause");
    }
}

/// Nothing is left that no case shows: each rule, each reason, each action both ways.
#[test]
fn the_decision_table_is_complete() {
    let table: DecisionTable = toml::from_str(TABLE).expect("the table is TOML");
    let shown = |of: fn(&Case) -> Option<String>| -> BTreeSet<String> {
        table.cases.iter().filter_map(of).collect()
    };
    let reasons = shown(|case| case.reason.map(|it| it.to_string()));
    for reason in ReasonCode::ALL {
        // Terms without a purpose are no terms, some rule always speaks, and national rules are not here: these have
        // tests of their own.
        let elsewhere = [
            ReasonCode::NationalRule,
            ReasonCode::NationalRuleFailed,
            ReasonCode::NoRulePermits,
            ReasonCode::PurposesEmpty,
        ];
        let word = reason.as_str();
        assert_eq!(
            reasons.contains(word),
            !elsewhere.contains(reason),
            "{word}"
        );
    }
    let rules = shown(|case| case.rule.clone());
    for rule in crate::policy::rules::ALL {
        assert!(rules.contains(rule.id), "{}", rule.id);
    }
    let decided = shown(|case| Some(format!("{} {}", case.action, case.decision)));
    assert_eq!(decided.len(), 2 * Action::ALL.len(), "{decided:?}");
}

#[test]
fn a_case_that_cannot_be_judged_says_why() {
    for (change, want) in [
        (("terms = \"t\"", "terms = \"u\""), "no terms \"u\""),
        (
            ("\"trial\"]", "\"trial\"]\nsunset = \"2040-01-01\""),
            "terms t",
        ),
        (
            ("consents = []", "consents = [{ until = \"2030-01-01\" }]"),
            "either",
        ),
    ] {
        let text = "cases = [{ terms = \"t\", action = \"open\", on = \"2027-01-01\", consents = [], decision = \"deny\" }]
[terms.t]
instrument = \"EIO\"
purposes = [\"trial\"]
retain_until = \"2031-12-31\"
onward = \"prohibited\"
use_report = false
";
        let table: DecisionTable = toml::from_str(&text.replace(change.0, change.1)).expect("TOML");
        let fault = table.cases[0]
            .judge(&table, &PolicySet::new(None))
            .unwrap_err();
        assert!(fault.to_string().contains(want), "{fault}");
    }
}

#[test]
fn an_expectation_that_is_not_met_is_seen() {
    let judged = Judged {
        decision: Outcome::Deny,
        rule: "purpose".to_owned(),
        term: None,
        reason: Some(ReasonCode::PurposeNotPermitted),
        clause: Some("terms of the package".to_owned()),
        text: None,
    };
    let text = "terms = \"t\"\naction = \"open\"\non = \"2027-01-01\"\ndecision = ";
    for (rest, met) in [
        ("\"deny\"", true),
        ("\"permit\"", false),
        ("\"deny\"\nrule = \"purpose\"", true),
        ("\"deny\"\nrule = \"sunset\"", false),
        ("\"deny\"\nreason = \"purpose-not-permitted\"", true),
        ("\"deny\"\nreason = \"on-hold\"", false),
        ("\"deny\"\nclause = \"terms of the package\"", true),
        ("\"deny\"\nclause = \"UNTOC art. 18(19)\"", false),
    ] {
        let case: Case = toml::from_str(&format!("{text}{rest}")).expect("a case");
        assert_eq!(case.is_met(&judged), met, "{rest}");
    }
}

#[test]
fn a_case_is_met_by_what_it_names_and_nothing_else() {
    let table: DecisionTable = toml::from_str(TABLE).expect("the table is TOML");
    let denied = table.cases.iter().find(|case| case.reason.is_some());
    let mut case = denied.expect("some are denied").clone();
    let judged = case.judge(&table, &PolicySet::new(None)).expect("a case");
    assert!(case.is_met(&judged));
    for change in [
        |case: &mut Case| case.decision = Outcome::Permit,
        |case: &mut Case| case.rule = Some("other".to_owned()),
        |case: &mut Case| case.reason = Some(ReasonCode::PurposesEmpty),
        |case: &mut Case| case.clause = Some("other".to_owned()),
    ] {
        let mut changed = case.clone();
        change(&mut changed);
        assert!(!changed.is_met(&judged), "{changed:?}");
    }
    (case.rule, case.reason, case.clause) = (None, None, None);
    assert!(case.is_met(&judged));
}
