//! Sets of rules, well and badly written, and what they do to decisions.

use crate::base::Digest;
use crate::policy::action::Action;
use crate::policy::decide::PolicySet;
use crate::policy::denial::ReasonCode;
use crate::policy::table::{Case, DecisionTable, Judged, Outcome};

use super::question::{SCHEMA, schema};
use super::*;
use crate::base::limits;

macro_rules! files {
    ($folder:literal: $($name:literal)*) => {
        [$(($name, include_str!(concat!("../../../", $folder, "/", $name, ".cedar"))),)*]
    };
}

/// The example files.
fn examples() -> Vec<(String, String)> {
    let files = files!("config/policies": "10-special-categories" "20-handling" "30-closing-month" "40-partners" "50-civil-claims");
    files
        .map(|(name, text)| (format!("{name}.cedar"), text.to_owned()))
        .to_vec()
}

fn set_of(files: &[(String, String)]) -> PolicySet {
    let national = load(files).expect("they are well written");
    PolicySet::new(None).restricted_by(Some(std::sync::Arc::new(national)))
}

fn table(text: &str) -> DecisionTable {
    toml::from_str(text).expect("the table is TOML")
}

fn decisions() -> DecisionTable {
    table(include_str!("../../../tests/policy/decisions.toml"))
}

#[test]
fn the_table_of_the_examples() {
    let table = table(include_str!("../../../tests/policy/national.toml"));
    let set = set_of(&examples());
    assert!(table.cases.len() >= 25, "{}", table.cases.len());
    for (at, case) in table.cases.iter().enumerate() {
        let judged = case.judge(&table, &set).expect("a case");
        assert!(
            case.is_met(&judged),
            "case {}, {case:?}: {judged:?}",
            at + 1
        );
    }
}

#[test]
fn each_way_to_write_a_rule_wrong_is_found() {
    let wrong = files!("tests/policy/wrong": "permit" "syntax" "template" "no-id" "bad-id" "no-reason" "bad-reason" "no-clause" "bad-clause" "unknown-action" "double-id" "too-deep" "type-error" "unknown-attribute" "optional-unasked" "unknown-entity" "too-many-signs");
    for (name, text) in wrong {
        let want = match name {
            "type-error" | "unknown-attribute" | "optional-unasked" | "unknown-entity" => "schema",
            "too-many-signs" => "too-deep",
            name => name,
        };
        let files = [(format!("{name}.cedar"), text.to_owned())];
        let faults = load(&files).expect_err(name);
        let codes: Vec<_> = faults.iter().map(|fault| fault.code).collect();
        assert!(codes.contains(&want), "{name}: {faults:?}");
        assert_eq!(faults[0].file, files[0].0, "{name}");
    }
    // A set with one fault is not taken, and every fault is named.
    let mut all = examples();
    all.extend(wrong.map(|(name, text)| (name.to_owned(), text.to_owned())));
    assert!(load(&all).expect_err("faults").len() >= wrong.len() - 4);
}

/// The most that is taken, and one more.
#[test]
fn rules_have_limits() {
    let of = |n: usize| {
        format!("@id(\"a{n}\")@reason(\"b\")@clause(\"c\")\nforbid(principal, action, resource)")
    };
    let rules = |n: usize| (0..n).map(|n| of(n) + ";\n").collect::<String>();
    let padded = |n: usize| rules(1) + &" ".repeat(n - rules(1).len());
    let nested = |n: usize| {
        format!(
            "{} when {{ {}true{} }};",
            of(0),
            "(".repeat(n - 1),
            ")".repeat(n - 1)
        )
    };
    let cited = |n: usize| rules(1).replace("(\"c\")", &format!("(\"{}\")", "c".repeat(n)));
    let bytes = usize::try_from(limits::RULE_FILE_BYTES_MAX).expect("small");
    let check = |text: &dyn Fn(usize) -> String, most: usize, code: &str, line: Option<usize>| {
        let load = |n| load(&[("a.cedar".to_owned(), text(n))]);
        load(most).expect(code);
        let faults = load(most + 1).expect_err(code);
        let faults: Vec<_> = faults
            .iter()
            .map(|fault| (fault.code, fault.line))
            .collect();
        assert_eq!(faults, [(code, line)]);
    };
    check(&rules, limits::RULES_MAX, "too-many-rules", None);
    check(&padded, bytes, "too-large", None);
    check(&nested, limits::RULE_DEPTH_MAX, "too-deep", Some(2));
    check(&cited, limits::CLAUSE_BYTES_MAX, "bad-clause", Some(1));
}

/// A rule that forbids by one of these conditions.
fn rule(number: u64, of: u64) -> (String, String) {
    let conditions = [
        "true",
        "context.today % 2 == 0",
        "context has purpose && context.purpose == \"trial\"",
        "context.roles.contains(\"officer\")",
        "context has handling && context.handling > 0",
        "context.instrument == \"EIO\"",
        "context.use_report || context.related",
        "context has team",
        "!context.related && context has handling && context.handling > 0",
        "[\"own.example\", \"x\"].contains(context.own) && context.restrictions.contains(\"speciality\")",
        "context has exception && context.exception == \"threat\"",
        "context.onward == \"with-consent\"",
    ];
    let conditions: Vec<_> = conditions.iter().filter(|it| !it.contains('%')).collect();
    let at = usize::try_from(of).expect("small") % conditions.len();
    let scope = [
        "action",
        "action == Action::\"open\"",
        "action in [Action::\"send\", Action::\"admit\"]",
    ];
    let scope = scope[usize::try_from(of / 16).expect("small") % scope.len()];
    let text = format!(
        "@id(\"r{number}\")@reason(\"x\")@clause(\"y\")\nforbid(principal, {scope}, resource) when {{ {} }};",
        conditions[at]
    );
    (format!("{number}.cedar"), text)
}

/// Rules never turn a denial into a permit, never change a denial of the core, and say nothing of keeping and
/// destroying.
#[test]
fn no_rule_loosens() {
    let table = decisions();
    let core = PolicySet::new(None);
    let judge =
        |case: &Case, set: &PolicySet| -> Judged { case.judge(&table, set).expect("a case") };
    let base: Vec<_> = table.cases.iter().map(|case| judge(case, &core)).collect();
    let mut seed = 1_u64;
    let mut drawn = || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        seed >> 33
    };
    let mut restricted = 0;
    for _ in 0..60 {
        let files: Vec<_> = (0..=drawn() % 5).map(|n| rule(n, drawn())).collect();
        let set = set_of(&files);
        // What stands in front of a rule so that it begins with no guard changes nothing.
        let unguarded = |(name, text): &(String, String)| {
            (name.clone(), text.replace("when { ", "when { true && "))
        };
        let all_asked = set_of(&files.iter().map(unguarded).collect::<Vec<_>>());
        for (case, before) in table.cases.iter().zip(&base) {
            let after = judge(case, &set);
            assert_eq!(after, judge(case, &all_asked), "{files:?}: {case:?}");
            if after == *before {
                continue;
            }
            restricted += 1;
            assert_eq!(before.decision, Outcome::Permit, "{files:?}: {case:?}");
            assert_eq!(after.reason, Some(ReasonCode::NationalRule), "{after:?}");
            assert!(
                !matches!(case.action, Action::Keep | Action::Erase),
                "{case:?}"
            );
        }
    }
    assert!(restricted > 1_000, "{restricted}");
}

/// The attributes that rules are asked with are those of the schema.
#[test]
fn questions_keep_to_the_schema() {
    let table = decisions();
    // A rule that asks for every attribute, so that one of another type or name could not be evaluated.
    let all = "@id(\"all\")@reason(\"x\")@clause(\"y\")\nforbid(principal, action, resource) when {
        context.actor == \"?\" || context.roles.contains(\"?\") || context.own == \"?\" || context.from == \"?\" || context.to == \"?\"
        || (context has third && context.third == \"?\") || (context has purpose && context.purpose == \"?\")
        || context.instrument == \"?\" || (context has legal_basis && context.legal_basis == \"?\") || context.purposes.contains(\"?\")
        || (context has handling && context.handling > 9) || context.onward == \"?\" || context.restrictions.contains(\"?\")
        || context.retain_until < 0 || (context has sunset && context.sunset < 0)
        || (context has review && context.review < 0) || (context has reviewed && context.reviewed < 0)
        || (context has evaluation && context.evaluation == \"?\") || (context.use_report && context.today < 0)
        || (context.related && context.today < 0) || (context has exception && context.exception == \"?\")
        || (context has team && context.team == \"?\")
    };";
    let set = set_of(&[("all.cedar".to_owned(), all.to_owned())]);
    for case in &table.cases {
        let judged = case.judge(&table, &set).expect("a case");
        assert!(case.is_met(&judged), "{case:?}: {judged:?}");
    }
    assert!(schema().actions().count() == 5 && SCHEMA.contains("type Question"));
}

#[test]
fn the_texts_of_a_set_are_kept() {
    let files = examples();
    let set = set_of(&files);
    let kept: Vec<_> = set.national_texts().collect();
    let digest = |text: &str| Digest::of(text.as_bytes());
    let want: Vec<_> = files
        .iter()
        .map(|(_, text)| (digest(text), text.as_str()))
        .collect();
    assert_eq!(kept, want);
    assert_eq!(PolicySet::new(None).national_texts().count(), 0);
}

#[test]
fn the_set_stands_in_the_digest_only_where_there_is_one() {
    let plain = PolicySet::new(None);
    assert!(!plain.description().contains("national"));
    let one = set_of(&examples());
    let other = set_of(&examples()[..4]);
    assert!(one.description().contains("10-special-categories.cedar"));
    assert_ne!(one.digest(), other.digest());
    assert_ne!(one.digest(), plain.digest());
}

#[test]
fn a_fault_says_where_it_is() {
    let files = [
        (
            "a",
            "// x\n\n@id(\"a\")@reason(\"r r\")@clause(\"c\")\nforbid(principal, action, resource);\n",
        ),
        (
            "b",
            "@reason(\"r\")@clause(\"c\")\nforbid(principal, action, resource);\n",
        ),
    ];
    let files = files.map(|(name, text)| (name.to_owned(), text.to_owned()));
    let faults = load(&files).expect_err("two faults");
    let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        faults,
        [
            "a, line 3: @reason \"r r\" is no word of letters, digits, inner . and - (bad-reason)",
            "b: has no @id: write one in front of it (no-id)",
        ]
    );
}

/// A sum that overflows cannot be seen before it is asked for: that denies, before what other rules say.
#[test]
fn a_rule_that_cannot_be_evaluated_denies() {
    let (table, national) = (decisions(), |when: &str| {
        let text = |id: &str, when: &str| {
            format!(
                "@id(\"{id}\")@reason(\"x\")@clause(\"y\")forbid(principal, action, resource) when {{ {when} }};"
            )
        };
        let text = text("d", "true") + &text("core", "true") + &text("e", when);
        let national = load(&[("rules.cedar".to_owned(), text)]).expect("well written");
        assert_eq!(national.count(), 3);
        assert_eq!(format!("{national:?}"), "National(3 rules)");
        PolicySet::new(None).restricted_by(Some(std::sync::Arc::new(national)))
    });
    let case = |decision| {
        table
            .cases
            .iter()
            .find(move |case| case.decision == decision)
    };
    let permitted = case(Outcome::Permit).expect("some are permitted");
    let overflows = national(&format!("context.today + {} > 0", i64::MAX));
    for (set, rule, term, reason) in [
        (
            &national("true"),
            "core",
            "national=core",
            ReasonCode::NationalRule,
        ),
        (
            &overflows,
            "national",
            "failed=evaluation",
            ReasonCode::NationalRuleFailed,
        ),
    ] {
        let judged = permitted.judge(&table, set).expect("a case");
        let got = (judged.rule.as_str(), judged.term.as_deref(), judged.reason);
        assert_eq!(got, (rule, Some(term), Some(reason)));
    }
}
