//! How the values of a kind merge and how finely they can be owned: structured-merge-diff's schema, made from the
//! OpenAPI schema of the kind as `kube-openapi/pkg/schemaconv` does.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// What may stand at a place.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    /// Anything: maps by their fields, lists whole.
    Open,
    /// Only what is declared.
    Declared(Atom),
}

/// The declared possibilities; often there is one.
#[derive(Clone, Debug, Default)]
pub(super) struct Atom {
    scalar: Option<Scalar>,
    list: Option<List>,
    map: Option<Map>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    Number,
    Text,
    Boolean,
    Any,
}

#[derive(Clone, Debug)]
pub(super) struct List {
    pub(super) relation: Relation,
    pub(super) element: Box<Shape>,
}

/// What a list's elements are to each other.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Relation {
    /// The list is one value.
    Atomic,
    /// Scalars, each once.
    Set,
    /// Maps that are told apart by these fields.
    Keyed(Vec<String>),
}

#[derive(Clone, Debug)]
pub(super) struct Map {
    pub(super) atomic: bool,
    fields: BTreeMap<String, Field>,
    /// Undeclared fields; none where there may be none.
    rest: Option<Box<Shape>>,
}

#[derive(Clone, Debug)]
struct Field {
    shape: Shape,
    default: Value,
}

static OPEN: Shape = Shape::Open;

/// What a value is taken for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form<'a> {
    Scalar(Scalar),
    List(&'a Relation, &'a Shape),
    Map(Option<&'a Map>),
}

impl Form<'_> {
    /// Whether both are of one kind; a shape has at most one form of each.
    pub(super) fn is_like(self, other: Form<'_>) -> bool {
        matches!(
            (self, other),
            (Form::Scalar(_), Form::Scalar(_))
                | (Form::List(..), Form::List(..))
                | (Form::Map(_), Form::Map(_))
        )
    }
}

impl Shape {
    /// The form that a value takes. Null and what the shape does not allow take the first that there is.
    pub(super) fn form(&self, value: &Value) -> Form<'_> {
        let atom = match self {
            Self::Open => {
                return match value {
                    Value::Array(_) => Form::List(&Relation::Atomic, &OPEN),
                    Value::Object(_) | Value::Null => Form::Map(None),
                    _ => Form::Scalar(Scalar::Any),
                };
            }
            Self::Declared(atom) => atom,
        };
        let scalar = atom.scalar.map(Form::Scalar);
        let list = atom
            .list
            .as_ref()
            .map(|list| Form::List(&list.relation, &list.element));
        let map = atom.map.as_ref().map(|map| Form::Map(Some(map)));
        let fitting = match value {
            Value::Null => None,
            Value::Array(_) => list,
            Value::Object(_) => map,
            _ => scalar,
        };
        fitting
            .or(map)
            .or(scalar)
            .or(list)
            .unwrap_or(Form::Map(None))
    }

    /// The shape of a map's field, and whether it is declared; none where there must not be one.
    pub(super) fn field(&self, name: &str) -> Option<(&Shape, bool)> {
        match self {
            Self::Open => Some((&OPEN, false)),
            Self::Declared(atom) => field(atom.map.as_ref(), name),
        }
    }

    /// The shape of a list's elements.
    pub(super) fn element(&self) -> &Shape {
        match self {
            Self::Declared(Atom {
                list: Some(list), ..
            }) => &list.element,
            _ => &OPEN,
        }
    }

    /// What a list's key field holds when it is left out.
    pub(super) fn key_default(&self, name: &str) -> &Value {
        match self {
            Self::Declared(Atom { map: Some(map), .. }) => map
                .fields
                .get(name)
                .map_or(&Value::Null, |field| &field.default),
            _ => &Value::Null,
        }
    }
}

/// The shape of a field of a map of this form, as [`Shape::field`].
pub(super) fn field<'a>(map: Option<&'a Map>, name: &str) -> Option<(&'a Shape, bool)> {
    let Some(map) = map else {
        return Some((&OPEN, false));
    };
    match map.fields.get(name) {
        Some(field) => Some((&field.shape, true)),
        None => map.rest.as_deref().map(|rest| (rest, false)),
    }
}

/// The shape of a whole object: metadata has its own, whatever the schema says of it.
pub(super) fn of_kind(schema: Option<&Value>) -> Shape {
    let mut map = match schema.map(|schema| convert(schema, false)) {
        Some(Shape::Declared(Atom { map: Some(map), .. })) => map,
        _ => Map {
            atomic: false,
            fields: BTreeMap::new(),
            rest: Some(Box::new(Shape::Open)),
        },
    };
    for (name, schema) in [
        ("apiVersion", json!({"type": "string"})),
        ("kind", json!({"type": "string"})),
        ("metadata", metadata_schema()),
    ] {
        let shape = convert(&schema, false);
        map.fields.insert(
            name.to_owned(),
            Field {
                shape,
                default: Value::Null,
            },
        );
    }
    Shape::Declared(Atom {
        map: Some(map),
        ..Atom::default()
    })
}

/// `metav1.ObjectMeta`, as far as it says how fields merge.
fn metadata_schema() -> Value {
    let text = json!({"type": "string"});
    let texts = json!({"type": "object", "additionalProperties": text});
    let time = json!({"type": "string", "format": "date-time"});
    json!({"type": "object", "properties": {
        "name": text, "generateName": text, "namespace": text, "selfLink": text, "uid": text,
        "resourceVersion": text, "generation": {"type": "integer"}, "creationTimestamp": time,
        "deletionTimestamp": time, "deletionGracePeriodSeconds": {"type": "integer"},
        "labels": texts, "annotations": texts,
        "finalizers": {"type": "array", "items": text, "x-kubernetes-list-type": "set"},
        "ownerReferences": {
            "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["uid"],
            "items": {"type": "object", "x-kubernetes-map-type": "atomic", "properties": {
                "apiVersion": text, "kind": text, "name": text, "uid": {"type": "string", "default": ""},
                "controller": {"type": "boolean"}, "blockOwnerDeletion": {"type": "boolean"},
            }},
        },
        "managedFields": {"type": "array", "items": {"type": "object"}},
    }})
}

/// `preserve` is inherited: below a field that keeps unknown fields all maps do, for this purpose.
fn convert(schema: &Value, preserve: bool) -> Shape {
    let preserve = preserve || schema["x-kubernetes-preserve-unknown-fields"] == json!(true);
    let atom = match schema["type"].as_str() {
        Some("object") => Atom {
            map: Some(map(schema, preserve)),
            ..Atom::default()
        },
        Some("array") => Atom {
            list: Some(list(schema, preserve)),
            ..Atom::default()
        },
        Some(name) => Atom {
            scalar: Some(scalar(name, schema)),
            ..Atom::default()
        },
        None => Atom {
            scalar: Some(Scalar::Any),
            list: Some(list(schema, preserve)),
            map: Some(map(schema, preserve)),
        },
    };
    Shape::Declared(atom)
}

fn scalar(name: &str, schema: &Value) -> Scalar {
    match name {
        "integer" | "number" => Scalar::Number,
        "boolean" => Scalar::Boolean,
        "string" if matches!(schema["format"].as_str(), None | Some("" | "byte")) => Scalar::Text,
        _ => Scalar::Any,
    }
}

fn list(schema: &Value, preserve: bool) -> List {
    let keys = || {
        schema["x-kubernetes-list-map-keys"]
            .as_array()
            .into_iter()
            .flatten()
    };
    let relation = match schema["x-kubernetes-list-type"].as_str() {
        Some("set") => Relation::Set,
        Some("map") => Relation::Keyed(
            keys()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
        ),
        _ => Relation::Atomic,
    };
    let element = schema
        .get("items")
        .map_or(Shape::Open, |items| convert(items, preserve));
    List {
        relation,
        element: Box::new(element),
    }
}

fn map(schema: &Value, preserve: bool) -> Map {
    let properties = schema["properties"].as_object();
    let fields: BTreeMap<String, Field> = properties
        .into_iter()
        .flatten()
        .map(|(name, property)| {
            let shape = convert(property, preserve);
            (
                name.clone(),
                Field {
                    shape,
                    default: property["default"].clone(),
                },
            )
        })
        .collect();
    let rest = match &schema["additionalProperties"] {
        Value::Object(_) => Some(convert(&schema["additionalProperties"], preserve)),
        Value::Bool(true) => Some(Shape::Open),
        Value::Null if preserve || fields.is_empty() => Some(Shape::Open),
        _ => None,
    };
    Map {
        atomic: schema["x-kubernetes-map-type"] == json!("atomic"),
        fields,
        rest: rest.map(Box::new),
    }
}
