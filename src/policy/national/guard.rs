//! Conditions with which rules begin, looked at without Cedar.
//!
//! Most rules concern an instrument, a partner or a purpose, and say so first: `when { context.instrument == "EIO" && …
//! }`. Of many rules few concern one question, and to have Cedar evaluate a rule takes about a microsecond. A
//! conjunction whose first members are false is false and cannot fail, whatever follows: so a rule that begins with
//! such members is handed to Cedar only where they hold. What is not understood here is no guard, and left to Cedar.

use cedar_policy::Policy;
use serde_json::Value as Json;

use super::attributes::{Attributes, Value};

/// A condition on one attribute that can be looked at here: one that cannot fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Guard {
    attribute: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    /// `context has a`
    Has,
    /// `context.a == "x"`
    Is(String),
    /// `["x", "y"].contains(context.a)`
    OneOf(Vec<String>),
    /// `context.a.contains("x")`
    Contains(String),
    /// `context.a`, `!context.a`
    Flag(bool),
}

impl Guard {
    /// Whether it holds; `None` where that cannot be told here.
    fn holds(&self, of: &Attributes<'_>) -> Option<bool> {
        Some(match (&self.test, of.get(&self.attribute)) {
            (Test::Has, value) => value.is_some(),
            (Test::Is(word), Some(Value::Text(text))) => word == text,
            (Test::OneOf(words), Some(Value::Text(text))) => words.iter().any(|it| it == text),
            (Test::Contains(word), Some(Value::Words(words))) => words.contains(&word.as_str()),
            (Test::Flag(want), Some(Value::Flag(is))) => want == is,
            (Test::Is(_) | Test::OneOf(_) | Test::Contains(_) | Test::Flag(_), _) => return None,
        })
    }
}

/// Whether the rule is to be asked: all its guards hold, in the order in which it has them, or Cedar has to tell.
pub(super) fn hold(guards: &[Guard], of: &Attributes<'_>) -> bool {
    let told = guards.iter().map(|guard| guard.holds(of));
    told.take_while(Option::is_some)
        .all(|holds| holds == Some(true))
}

/// The guards with which this rule begins; none where it begins otherwise.
pub(super) fn guards(policy: &Policy) -> Vec<Guard> {
    let json = policy.to_json().unwrap_or_default();
    let conditions = json.get("conditions").and_then(Json::as_array);
    let first = conditions.and_then(|all| all.first());
    let first = first.filter(|it| it["kind"] == "when");
    let mut found = Vec::new();
    if let Some(condition) = first {
        collect(&condition["body"], &mut found);
    }
    found
}

/// Adds the guards with which this expression begins; says whether it is made of guards alone, so that what follows it
/// may be one.
fn collect(body: &Json, found: &mut Vec<Guard>) -> bool {
    if let Some(both) = body.get("&&") {
        return collect(&both["left"], found) && collect(&both["right"], found);
    }
    let guard = guard(body);
    let is_guard = guard.is_some();
    found.extend(guard);
    is_guard
}

fn guard(body: &Json) -> Option<Guard> {
    let is_context = |it: &Json| it["Var"] == "context";
    let attribute = |it: &Json| {
        let of = it.get(".").filter(|of| is_context(&of["left"]));
        of.and_then(|of| of["attr"].as_str()).map(str::to_owned)
    };
    let text = |it: &Json| it["Value"].as_str().map(str::to_owned);
    let on = |attribute: String, test| Some(Guard { attribute, test });
    if let Some(name) = attribute(body) {
        return on(name, Test::Flag(true));
    }
    let (operator, parts) = body.as_object()?.iter().next()?;
    let (left, right) = (&parts["left"], &parts["right"]);
    match operator.as_str() {
        "has" if is_context(left) => on(parts["attr"].as_str()?.to_owned(), Test::Has),
        "!" => on(attribute(&parts["arg"])?, Test::Flag(false)),
        "==" => {
            let (of, word) = if text(right).is_some() {
                (left, right)
            } else {
                (right, left)
            };
            on(attribute(of)?, Test::Is(text(word)?))
        }
        "contains" => {
            if let Some(word) = text(right) {
                return on(attribute(left)?, Test::Contains(word));
            }
            let words = left["Set"].as_array()?.iter().map(text);
            let words = words.collect::<Option<_>>()?;
            on(attribute(right)?, Test::OneOf(words))
        }
        _operator => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(condition: &str, want: &[(&str, Test)]) {
        let rule = format!("forbid(principal, action, resource) {condition};");
        let policy = Policy::parse(None, &rule).expect(condition);
        let want: Vec<_> = want
            .iter()
            .map(|(name, test)| Guard {
                attribute: (*name).to_owned(),
                test: test.clone(),
            })
            .collect();
        assert_eq!(guards(&policy), want, "{condition}");
    }

    #[test]
    fn guards_are_what_a_rule_begins_with() {
        let is = |word: &str| Test::Is(word.to_owned());
        check("", &[]);
        check("when { true }", &[]);
        check("when { context.own == \"x\" }", &[("own", is("x"))]);
        check("when { \"x\" == context.own }", &[("own", is("x"))]);
        check("when { context.own == context.from }", &[]);
        check("when { context.own != \"x\" }", &[]);
        check("when { context.own == \"x\" || context.related }", &[]);
        check("unless { context.own == \"x\" }", &[]);
        check("when { context.today > 3 && context.own == \"x\" }", &[]);
        check("when { principal has purpose }", &[]);
        check("when { context.handling == 3 }", &[]);
        check("when { context.a.b == \"x\" }", &[]);
        check("when { principal == Person::\"x\" }", &[]);
        check("when { context.related }", &[("related", Test::Flag(true))]);
        check(
            "when { !context.related && context.today > 3 && context.own == \"x\" }",
            &[("related", Test::Flag(false))],
        );
        check(
            "when { context has purpose && context.purpose == \"trial\" && context.roles.contains(\"officer\") }",
            &[
                ("purpose", Test::Has),
                ("purpose", is("trial")),
                ("roles", Test::Contains("officer".to_owned())),
            ],
        );
        check(
            "when { [\"x\", \"y\"].contains(context.from) }",
            &[("from", Test::OneOf(vec!["x".to_owned(), "y".to_owned()]))],
        );
        check("when { [\"x\", context.to].contains(context.from) }", &[]);
        check(
            "when { context.own == \"x\" } unless { context.to == \"y\" }",
            &[("own", is("x"))],
        );
    }

    #[test]
    fn a_guard_holds_or_leaves_it_to_cedar() {
        let facts_say = |name: &str, test: Test, want: Option<bool>| {
            let guard = Guard {
                attribute: name.to_owned(),
                test,
            };
            let of = Attributes::sample();
            assert_eq!(guard.holds(&of), want, "{guard:?}");
        };
        let word = str::to_owned;
        facts_say("purpose", Test::Has, Some(true));
        facts_say("third", Test::Has, Some(false));
        facts_say("instrument", Test::Is(word("EIO")), Some(true));
        facts_say("instrument", Test::Is(word("UNTOC")), Some(false));
        facts_say(
            "instrument",
            Test::OneOf(vec![word("x"), word("EIO")]),
            Some(true),
        );
        facts_say("instrument", Test::OneOf(vec![word("x")]), Some(false));
        facts_say("roles", Test::Contains(word("officer")), Some(true));
        facts_say("roles", Test::Contains(word("auditor")), Some(false));
        facts_say("related", Test::Flag(false), Some(true));
        facts_say("related", Test::Flag(true), Some(false));
        // Of another type, or not there: to be told by Cedar.
        facts_say("roles", Test::Is(word("officer")), None);
        facts_say("third", Test::Is(word("x")), None);
        facts_say("today", Test::Flag(true), None);
        facts_say("instrument", Test::Contains(word("x")), None);
        // What cannot be told hides what comes after it.
        let guard = |name: &str, test: Test| Guard {
            attribute: name.to_owned(),
            test,
        };
        let (unknown, fails) = (
            guard("third", Test::Is(word("x"))),
            guard("related", Test::Flag(true)),
        );
        let of = Attributes::sample();
        assert!(hold(&[unknown.clone(), fails.clone()], &of));
        assert!(!hold(&[fails, unknown], &of));
    }
}
