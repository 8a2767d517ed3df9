//! The fields of a JSON Schema, so that a field that is added to one is tried by itself.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

/// How deep a schema is followed; none of ours refers to itself.
const DEPTH_MAX: usize = 12;

/// A schema file and those that it refers to, by file name.
pub(crate) struct Schema {
    files: BTreeMap<String, Value>,
    root: Node,
}

/// A place in a schema: the file, for references within it, and what stands there.
#[derive(Clone)]
pub(crate) struct Node {
    file: String,
    pub(crate) value: Value,
}

fn read(file: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/protocol");
    let text = std::fs::read_to_string(folder.join(file)).expect("the schema is there");
    serde_json::from_str(&text).expect("it is JSON")
}

impl Schema {
    /// The schema of this name in `docs/protocol`, or the part of it at a JSON pointer.
    pub(crate) fn of(name: &str, part: &str) -> Self {
        let file = format!("{name}.schema.json");
        let mut files = BTreeMap::new();
        for known in ["terms.schema.json", &file] {
            files.insert(known.to_owned(), read(known));
        }
        let value = files[&file].pointer(part).expect("the part is there");
        let root = Node {
            file: file.clone(),
            value: value.clone(),
        };
        let mut schema = Self { files, root };
        schema.root = schema.resolved(schema.root.clone());
        schema
    }

    /// A schema for what has none: of the types that an example has.
    pub(crate) fn inferred(example: &Value) -> Self {
        let file = String::new();
        let value = infer(example);
        Self {
            files: BTreeMap::from([(file.clone(), value.clone())]),
            root: Node { file, value },
        }
    }

    /// Follows `$ref`; what stands beside it is added.
    fn resolved(&self, mut node: Node) -> Node {
        while let Some(target) = node.value["$ref"].as_str().map(str::to_owned) {
            let (file, pointer) = target.split_once('#').unwrap_or((&target, ""));
            let file = if file.is_empty() { &node.file } else { file };
            let found = self.files.get(file).and_then(|root| root.pointer(pointer));
            let mut value = found.expect("references resolve").clone();
            let beside = node.value.as_object().into_iter().flatten();
            for (key, more) in beside.filter(|(key, _)| *key != "$ref") {
                value[key] = more.clone();
            }
            node = Node {
                file: file.to_owned(),
                value,
            };
        }
        node
    }

    fn child(&self, node: &Node, value: &Value) -> Node {
        let file = node.file.clone();
        let value = value.clone();
        self.resolved(Node { file, value })
    }

    /// Every field: how it is called, and its schema. A member of a list is called `[]`, or by its place where places
    /// differ.
    pub(crate) fn fields(&self) -> BTreeMap<String, Node> {
        let mut fields = BTreeMap::new();
        self.walk(&self.root, String::new(), DEPTH_MAX, &mut fields);
        fields
    }

    fn walk(&self, node: &Node, name: String, depth: usize, fields: &mut BTreeMap<String, Node>) {
        assert!(depth > 0, "{name}: a schema that refers to itself");
        for (key, inner) in node.value["properties"].as_object().into_iter().flatten() {
            if inner.is_object() {
                let name = format!("{name}/{key}");
                self.walk(&self.child(node, inner), name, depth - 1, fields);
            }
        }
        let items = &node.value["items"];
        if items.is_object() && items.get("prefixItems").is_none() || items["type"] == "array" {
            let name = format!("{name}/[]");
            self.walk(&self.child(node, items), name, depth - 1, fields);
        }
        if items.is_null() {
            let places = node.value["prefixItems"].as_array().into_iter().flatten();
            for (place, inner) in places.enumerate() {
                let name = format!("{name}/[{place}]");
                self.walk(&self.child(node, inner), name, depth - 1, fields);
            }
        }
        fields.insert(name, node.clone());
    }

    /// The name of a place in a document.
    pub(crate) fn name(&self, pointer: &str) -> String {
        let mut node = self.root.clone();
        let mut name = String::new();
        for part in pointer.split('/').skip(1) {
            let items = &node.value["items"];
            let inner = if let Some(inner) = node.value["properties"].get(part) {
                name = format!("{name}/{part}");
                inner.clone()
            } else if items.is_object() {
                name.push_str("/[]");
                items.clone()
            } else {
                name = format!("{name}/[{part}]");
                let place: usize = part.parse().unwrap_or(usize::MAX);
                node.value["prefixItems"][place].clone()
            };
            node = self.child(&node, &inner);
        }
        name
    }
}

fn infer(example: &Value) -> Value {
    match example {
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(key, inner)| (key.clone(), infer(inner)));
            let properties: Map<_, _> = fields.collect();
            json!({"type": "object", "properties": properties})
        }
        Value::Array(members) => {
            let places: Vec<_> = members.iter().map(infer).collect();
            let alike = places.windows(2).all(|pair| pair[0] == pair[1]);
            match places.first() {
                Some(first) if alike => json!({"type": "array", "items": first}),
                Some(_) => json!({"type": "array", "prefixItems": places}),
                None => json!({"type": "array"}),
            }
        }
        Value::String(_) => json!({"type": "string"}),
        Value::Bool(_) => json!({"type": "boolean"}),
        Value::Number(_) => json!({"type": "integer"}),
        Value::Null => json!({}),
    }
}
