//! Facts, as a rule can ask for them.

use std::sync::LazyLock;

use cedar_policy::{
    Context, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression, Schema,
};

use super::attributes::{Attributes, Value};
use crate::policy::action::Action;
use crate::policy::facts::Facts;

/// The text of the schema: every attribute, with its meaning.
pub(super) const SCHEMA: &str = include_str!("schema.cedarschema");

/// The actions that rules are asked about.
pub(super) const ASKED: [Action; 5] = [
    Action::Send,
    Action::Admit,
    Action::Open,
    Action::Export,
    Action::Forward,
];

/// The place of an action among those that rules are asked about; `None` for the others.
pub(super) fn place(action: Action) -> Option<usize> {
    ASKED.iter().position(|asked| *asked == action)
}

/// The schema, as Cedar reads it.
pub(super) fn schema() -> &'static Schema {
    #[expect(clippy::expect_used, reason = "a constant of ours is a schema")]
    static READ: LazyLock<Schema> = LazyLock::new(|| {
        let read = Schema::from_cedarschema_str(SCHEMA);
        read.expect("a constant of ours is a schema").0
    });
    &READ
}

#[expect(clippy::expect_used, reason = "a constant of ours is a type name")]
fn uid(kind: &'static str, id: &str) -> EntityUid {
    let kind: EntityTypeName = kind.parse().expect("a constant of ours is a type name");
    EntityUid::from_type_name_and_id(kind, EntityId::new(id))
}

/// The action, as Cedar names it.
pub(super) fn action(action: Action) -> EntityUid {
    uid("Action", action.as_str())
}

fn words<'a>(all: impl Iterator<Item = &'a str>) -> RestrictedExpression {
    RestrictedExpression::new_set(all.map(|it| RestrictedExpression::new_string(it.to_owned())))
}

/// The question that rules are asked.
///
/// # Errors
/// A sentence, where Cedar does not take it: then nothing is permitted.
pub(super) fn question(facts: &Facts<'_>, attributes: &Attributes<'_>) -> Result<Request, String> {
    let pairs = attributes.iter();
    let pairs = pairs.map(|(name, value)| ((*name).to_owned(), expression(value)));
    let context = Context::from_pairs(pairs).map_err(|e| e.to_string())?;
    let request = Request::new(
        uid("Person", facts.actor),
        action(facts.action),
        uid("Package", &facts.package.to_string()),
        context,
        None,
    );
    request.map_err(|e| e.to_string())
}

fn expression(value: &Value<'_>) -> RestrictedExpression {
    match value {
        Value::Text(text) => RestrictedExpression::new_string((*text).to_owned()),
        Value::Pair(text, number) => RestrictedExpression::new_string(format!("{text}{number}")),
        Value::Words(all) => words(all.iter().copied()),
        Value::Number(number) => RestrictedExpression::new_long(*number),
        Value::Flag(flag) => RestrictedExpression::new_bool(*flag),
    }
}
