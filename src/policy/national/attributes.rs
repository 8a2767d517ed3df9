//! Facts by the names that rules use.

use crate::base::{Date, Timestamp};
use crate::policy::facts::Facts;
use crate::policy::role::Role;
use crate::policy::terms::Handling;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Text(&'a str),
    /// Two of them, one after the other.
    Pair(&'a str, u8),
    Words(Vec<&'a str>),
    Number(i64),
    Flag(bool),
}

/// The attributes of this question that rules can ask for, as the schema names them; what is not known is not there.
#[derive(Debug)]
pub(super) struct Attributes<'a>(Vec<(&'static str, Value<'a>)>);

const fn day(time: Timestamp) -> i64 {
    time.millis().div_euclid(DAY_MS)
}

impl<'a> Attributes<'a> {
    /// Those of these facts.
    pub(super) fn of(facts: &Facts<'a>) -> Self {
        let (terms, more) = (facts.terms, &facts.circumstances);
        let date = |it: Date| Value::Number(day(it.end_of_day()));
        let mut all = vec![
            ("actor", Value::Text(facts.actor)),
            (
                "roles",
                Value::Words(facts.roles.iter().map(Role::as_str).collect()),
            ),
            ("own", Value::Text(facts.own.as_str())),
            ("from", Value::Text(facts.from.as_str())),
            ("to", Value::Text(facts.to.as_str())),
            ("instrument", Value::Text(terms.instrument.as_str())),
            (
                "purposes",
                Value::Words(terms.purposes.iter().map(|it| it.as_str()).collect()),
            ),
            ("onward", Value::Text(terms.onward.as_str())),
            (
                "restrictions",
                Value::Words(terms.restrictions.iter().map(|it| it.as_str()).collect()),
            ),
            ("retain_until", date(terms.retain_until)),
            ("use_report", Value::Flag(terms.use_report)),
            ("related", Value::Flag(more.related)),
            ("today", Value::Number(day(facts.now))),
        ];
        let purpose = facts.opened_for();
        let sometimes = [
            ("third", more.third.map(|it| Value::Text(it.as_str()))),
            ("purpose", purpose.map(|it| Value::Text(it.as_str()))),
            ("legal_basis", terms.legal_basis.as_deref().map(Value::Text)),
            (
                "handling",
                terms
                    .handling
                    .and_then(|it| (0..).zip(Handling::ALL).find(|(_, one)| **one == it))
                    .map(|(number, _)| Value::Number(number)),
            ),
            ("sunset", terms.sunset.map(date)),
            ("review", terms.review.map(date)),
            ("reviewed", more.reviewed.map(date)),
            (
                "evaluation",
                terms
                    .evaluation
                    .map(|it| Value::Pair(it.source.as_str(), it.information)),
            ),
            (
                "exception",
                more.exception.map(|it| Value::Text(it.ground.as_str())),
            ),
            ("team", more.team.map(|it| Value::Text(it.as_str()))),
        ];
        let known = sometimes.into_iter();
        all.extend(known.filter_map(|(name, value)| Some((name, value?))));
        Self(all)
    }

    /// The value of one; `None` where it is not there.
    pub(super) fn get(&self, name: &str) -> Option<&Value<'a>> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value)
    }

    /// All that are there.
    pub(super) fn iter(&self) -> impl Iterator<Item = &(&'static str, Value<'a>)> {
        self.0.iter()
    }
}

#[cfg(test)]
impl Attributes<'static> {
    /// Some of each type.
    pub(super) fn sample() -> Self {
        Self(vec![
            ("instrument", Value::Text("EIO")),
            ("purpose", Value::Text("trial")),
            ("related", Value::Flag(false)),
            ("roles", Value::Words(vec!["officer"])),
            ("today", Value::Number(20_000)),
        ])
    }
}
