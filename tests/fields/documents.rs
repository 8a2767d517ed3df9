//! Documents with an example for each of their fields, and all that can be put in the place of one.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use rogatory::base::Digest;
use serde_json::Value;

use crate::schema::{Node, Schema};
use crate::spelling::spelled;
use crate::values::changes;

/// Which of several that are alike are tried in each run; the same in every run.
const SEED: u64 = 23;
/// With this variable in the environment all are tried.
const WHOLE: &str = "ROGATORY_FIELDS_WHOLE";

/// An example of a document.
pub(crate) struct Document {
    pub(crate) name: String,
    pub(crate) schema: Schema,
    pub(crate) example: Value,
    fields: BTreeMap<String, Node>,
}

/// The document with one field changed.
pub(crate) struct Mutant {
    pub(crate) field: String,
    pub(crate) what: String,
    pub(crate) bytes: Vec<u8>,
}

impl Document {
    pub(crate) fn new(name: &str, schema: Schema, example: Value) -> Self {
        Self {
            name: name.to_owned(),
            fields: schema.fields(),
            schema,
            example,
        }
    }

    /// One without a schema: each place of the example is a field.
    pub(crate) fn inferred(name: &str, example: Value) -> Self {
        Self::new(name, Schema::inferred(&example), example)
    }

    /// The fields that the example has, each with the first place where it stands.
    pub(crate) fn places(&self) -> Vec<(String, String)> {
        let mut pointers = Vec::new();
        places(&self.example, "", &mut pointers);
        let mut seen = BTreeSet::new();
        let named = pointers.into_iter().map(|at| (self.schema.name(&at), at));
        named
            .filter(|(name, _)| seen.insert(name.clone()))
            .collect()
    }

    /// All changes of the field that stands at this place.
    pub(crate) fn mutants_at(&self, field: &str, at: &str) -> Vec<Mutant> {
        let node = self.fields.get(field).unwrap_or_else(|| {
            panic!("{}: the schema has no field {field} at {at}", self.name);
        });
        let now = self.example.pointer(at).expect("it was found there");
        let changes = changes(&node.value, now).into_iter();
        changes
            .map(|(what, change)| Mutant {
                field: field.to_owned(),
                what: format!("{} {field} {what}", self.name),
                bytes: spelled(&self.example, at, &change),
            })
            .collect()
    }

    /// All changes of all fields.
    pub(crate) fn mutants(&self) -> Vec<Mutant> {
        let places = self.places().into_iter();
        places
            .flat_map(|(field, at)| self.mutants_at(&field, &at))
            .collect()
    }
}

/// Every place in a value, as a JSON pointer.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                places(inner, &format!("{at}/{name}"), found);
            }
        }
        Value::Array(members) => {
            for (index, inner) in members.iter().enumerate() {
                places(inner, &format!("{at}/{index}"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The values that were tried, and the faults.
#[derive(Default)]
pub(crate) struct Tally {
    fields: BTreeSet<(String, String)>,
    pub(crate) values: usize,
    pub(crate) wrong: Vec<String>,
}

impl Tally {
    pub(crate) fn add(&mut self, family: &str, mutant: &Mutant) {
        self.fields
            .insert((family.to_owned(), mutant.field.clone()));
        self.values += 1;
    }

    /// Reads the bytes; a panic is what must not be.
    pub(crate) fn read(&mut self, what: &str, reader: impl Fn(&[u8]), bytes: &[u8]) {
        if catch_unwind(AssertUnwindSafe(|| reader(bytes))).is_err() {
            self.wrong.push(format!("a panic: {what}"));
        }
    }

    /// Fails where the schema has a field that was not tried.
    pub(crate) fn assert_all(&self, family: &str, schema: &Schema) {
        let wanted: BTreeSet<_> = schema.fields().into_keys().collect();
        let tried = self.fields.iter().filter(|(of, _)| of == family);
        let tried: BTreeSet<_> = tried.map(|(_, field)| field.clone()).collect();
        let untried: Vec<_> = wanted.difference(&tried).collect();
        assert!(untried.is_empty(), "{family}: no example has {untried:?}");
        assert_eq!(tried.len(), wanted.len(), "{family}");
    }

    pub(crate) fn take(&mut self, other: Self) {
        self.fields.extend(other.fields);
        self.values += other.values;
        self.wrong.extend(other.wrong);
    }

    /// Prints the sum, and fails where something was wrong.
    pub(crate) fn finish(self, campaign: &str, ends: usize) {
        let (fields, values) = (self.fields.len(), self.values);
        println!("{campaign}: fields {fields}, values {values}, ends of the process {ends}");
        let shown: Vec<_> = self.wrong.iter().take(50).collect();
        let count = self.wrong.len();
        assert!(shown.is_empty(), "{count} wrong, the first: {shown:#?}");
        assert_eq!(ends, 0);
    }
}

/// Whether this one of so many that are alike is tried in this run: one in `rate`, or all in a whole campaign.
pub(crate) fn is_chosen(what: &str, rate: u64) -> bool {
    if std::env::var_os(WHOLE).is_some() {
        return true;
    }
    let digest = Digest::of(format!("{SEED} {what}").as_bytes());
    let (number, _) = digest.as_bytes().split_first_chunk().expect("8 of 32");
    u64::from_be_bytes(*number).is_multiple_of(rate)
}
