//! Facts, as a rule can ask for them.

use std::sync::LazyLock;

use cedar_policy::{
    Context, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression, Schema,
};

use crate::base::Timestamp;
use crate::policy::facts::Facts;
use crate::policy::permit::Action;
use crate::policy::role::Role;

/// The text of the schema: every attribute, with its meaning.
pub(super) const SCHEMA: &str = include_str!("schema.cedarschema");

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// The actions that rules are asked about.
pub(super) const ASKED: [Action; 4] = [Action::Send, Action::Admit, Action::Open, Action::Forward];

/// The place of an action among those that rules are asked about; `None` for the others.
pub(super) fn place(action: Action) -> Option<usize> {
    ASKED.iter().position(|asked| *asked == action)
}

/// The schema, as Cedar reads it.
pub(super) fn schema() -> &'static Schema {
    static READ: LazyLock<Schema> = LazyLock::new(|| {
        let read = Schema::from_cedarschema_str(SCHEMA);
        read.expect("a constant of ours is a schema").0
    });
    &READ
}

fn uid(kind: &str, id: &str) -> EntityUid {
    let kind: EntityTypeName = kind.parse().expect("a constant of ours is a type name");
    EntityUid::from_type_name_and_id(kind, EntityId::new(id))
}

/// The action, as Cedar names it.
pub(super) fn action(action: Action) -> EntityUid {
    uid("Action", action.as_str())
}

const fn day(time: Timestamp) -> i64 {
    time.millis().div_euclid(DAY_MS)
}

fn words<'a>(all: impl Iterator<Item = &'a str>) -> RestrictedExpression {
    RestrictedExpression::new_set(all.map(|it| RestrictedExpression::new_string(it.to_owned())))
}

/// The question that rules are asked.
///
/// # Errors
/// A sentence, where Cedar does not take it: then nothing is permitted.
pub(super) fn question(facts: &Facts<'_>) -> Result<Request, String> {
    let context = Context::from_pairs(pairs(facts)).map_err(|e| e.to_string())?;
    let request = Request::new(
        uid("Person", facts.actor),
        action(facts.action),
        uid("Package", &facts.package.to_string()),
        context,
        None,
    );
    request.map_err(|e| e.to_string())
}

fn pairs(facts: &Facts<'_>) -> Vec<(String, RestrictedExpression)> {
    let text = |it: &str| RestrictedExpression::new_string(it.to_owned());
    let (terms, more) = (facts.terms, &facts.circumstances);
    let always = [
        ("actor", text(facts.actor)),
        ("roles", words(facts.roles.iter().map(Role::as_str))),
        ("own", text(facts.own.as_str())),
        ("from", text(facts.from.as_str())),
        ("to", text(facts.to.as_str())),
        ("instrument", text(terms.instrument.as_str())),
        (
            "purposes",
            words(terms.purposes.iter().map(|it| it.as_str())),
        ),
        ("onward", text(terms.onward.as_str())),
        (
            "restrictions",
            words(terms.restrictions.iter().map(|it| it.as_str())),
        ),
        (
            "retain_until",
            RestrictedExpression::new_long(day(terms.retain_until.end_of_day())),
        ),
        (
            "use_report",
            RestrictedExpression::new_bool(terms.use_report),
        ),
        ("related", RestrictedExpression::new_bool(more.related)),
        ("today", RestrictedExpression::new_long(day(facts.now))),
    ];
    let long = |it: Option<i64>| it.map(RestrictedExpression::new_long);
    let purpose = facts.opened_for();
    let sometimes = [
        ("third", more.third.map(|it| text(it.as_str()))),
        ("purpose", purpose.map(|it| text(it.as_str()))),
        ("legal_basis", terms.legal_basis.as_deref().map(text)),
        ("handling", long(terms.handling.map(|it| it as i64))),
        ("sunset", long(terms.sunset.map(|it| day(it.end_of_day())))),
        (
            "exception",
            more.exception.map(|it| text(it.ground.as_str())),
        ),
        ("team", more.team.map(|it| text(it.as_str()))),
    ];
    let sometimes = sometimes
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    let all = always.into_iter().chain(sometimes);
    all.map(|(name, value)| (name.to_owned(), value)).collect()
}
