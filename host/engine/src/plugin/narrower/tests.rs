use serde_json::{Value, json};

use super::narrower;

fn object(properties: Value) -> Value {
    json!({ "type": "object", "properties": properties })
}

/// Each narrower than the one before it, with what is said of it.
#[test]
fn what_refuses_something_is_narrower() {
    let text = json!({ "type": "string" });
    let open = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    let map = json!({ "type": "object", "additionalProperties": { "type": "string" } });
    let bounded = |bounds: Value| {
        let mut schema = bounds;
        schema["type"] = json!("integer");
        schema
    };
    for (old, new, how) in [
        (
            object(json!({ "a": text })),
            object(json!({})),
            "/a is gone",
        ),
        (
            object(json!({ "a": text })),
            json!({ "type": "object", "properties": { "a": text }, "required": ["a"] }),
            "the root: \"a\" is required",
        ),
        (
            object(json!({ "a": { "items": text, "type": "array" } })),
            object(json!({ "a": { "items": { "type": "integer" }, "type": "array" } })),
            "/a/*: the type is \"integer\", not \"string\"",
        ),
        (
            text.clone(),
            json!({ "type": "string", "enum": ["a"] }),
            "the root: only some values",
        ),
        (
            json!({ "type": "string", "enum": ["a", "b"] }),
            json!({ "type": "string", "enum": ["a", "c"] }),
            "the root: \"b\" is refused",
        ),
        (
            bounded(json!({ "minimum": 1 })),
            bounded(json!({ "minimum": 2 })),
            "the root: minimum is 2",
        ),
        (
            bounded(json!({ "maximum": 9 })),
            bounded(json!({ "maximum": 8 })),
            "the root: maximum is 8",
        ),
        (
            bounded(json!({})),
            bounded(json!({ "maximum": 8 })),
            "the root: maximum is 8",
        ),
        (
            json!({ "type": "number" }),
            json!({ "type": "integer" }),
            "the root: the type is \"integer\"",
        ),
        (
            text.clone(),
            json!({ "type": "string", "pattern": "a" }),
            "the root: pattern is \"a\"",
        ),
        (
            json!({ "type": "string", "nullable": true }),
            text.clone(),
            "the root: null is refused",
        ),
        (
            open.clone(),
            json!({ "type": "object" }),
            "unknown members are dropped",
        ),
        (
            open.clone(),
            object(json!({ "a": text })),
            "/a has a schema",
        ),
        (
            map.clone(),
            json!({ "type": "object" }),
            "other members are dropped",
        ),
        (
            map.clone(),
            json!({ "type": "object", "additionalProperties": { "type": "integer" } }),
            "/*: the type is",
        ),
        (
            json!({ "x-kubernetes-int-or-string": true }),
            text.clone(),
            "only \"string\" is accepted",
        ),
        (
            object(json!({})),
            json!({ "type": "object", "properties": {}, "x-kubernetes-validations": [{ "rule": "false" }] }),
            "x-kubernetes-validations is",
        ),
        (
            json!({ "type": "array", "items": text }),
            json!({ "type": "array", "items": text, "x-kubernetes-list-type": "set" }),
            "x-kubernetes-list-type is",
        ),
    ] {
        let said = narrower(&old, &new).unwrap_or_default();
        assert!(said.contains(how), "{old} to {new}: {said}");
    }
}

#[test]
fn what_accepts_as_much_or_more_is_not_narrower() {
    let text = json!({ "type": "string" });
    let open = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    for (old, new) in [
        (
            object(json!({ "a": text })),
            object(json!({ "a": text, "b": text })),
        ),
        (object(json!({ "a": text })), open.clone()),
        (
            json!({ "type": "object", "properties": { "a": text }, "required": ["a"] }),
            object(json!({ "a": text })),
        ),
        (
            object(json!({ "a": text })),
            json!({
                "type": "object", "required": ["b"],
                "properties": { "a": text, "b": { "type": "string", "default": "x" } },
            }),
        ),
        (
            json!({ "type": "integer", "minimum": 2 }),
            json!({ "type": "number", "minimum": 1 }),
        ),
        (
            json!({ "type": "string", "enum": ["a"] }),
            json!({ "type": "string", "enum": ["b", "a"] }),
        ),
        (text.clone(), json!({ "x-kubernetes-int-or-string": true })),
        (json!({ "type": "string", "pattern": "a" }), text.clone()),
        (
            json!({ "type": "string", "description": "old" }),
            json!({ "type": "string", "description": "new", "default": "x" }),
        ),
        (
            json!({ "type": "array", "items": text }),
            json!({ "type": "array", "items": text, "x-kubernetes-list-type": "atomic" }),
        ),
        (
            object(json!({ "a": text })),
            json!({ "type": "object", "additionalProperties": text }),
        ),
    ] {
        assert_eq!(narrower(&old, &new), None, "{old} to {new}");
    }
}

#[test]
fn the_bundled_shape_of_a_definition_is_compared_below_spec() {
    let definition = |spec: Value| json!({ "type": "object", "required": ["spec"], "properties": { "spec": spec } });
    let old = definition(object(
        json!({ "template": object(json!({ "a": { "type": "string" } })) }),
    ));
    let new = definition(object(json!({ "template": object(json!({})) })));
    assert_eq!(narrower(&old, &new).unwrap(), "/spec/template/a is gone");
}
