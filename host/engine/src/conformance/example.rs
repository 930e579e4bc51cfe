//! The smallest document that a schema allows.

use serde_json::{Map, Value, json};

/// A document, and where it comes from.
pub(super) struct Example {
    /// The document.
    pub document: Value,
    /// Whether it holds texts that the schema says nothing of, or is not what the schema wants.
    pub is_made_up: bool,
}

/// A text where any will do.
const TEXT: &str = "example";

/// So many values are enough for any example. A schema can ask for more than there is memory.
const VALUES: usize = 1_000;

impl Example {
    /// Made from defaults, examples and lists of values where the schema has them.
    pub(super) fn of(schema: &Value) -> Self {
        let mut maker = Maker {
            is_made_up: false,
            left: VALUES,
        };
        let document = maker.smallest(schema);
        let fits = jsonschema::validator_for(schema).is_ok_and(|schema| schema.is_valid(&document));
        Self {
            document,
            is_made_up: maker.is_made_up || !fits,
        }
    }
}

struct Maker {
    is_made_up: bool,
    /// How many values it may make still.
    left: usize,
}

impl Maker {
    fn smallest(&mut self, schema: &Value) -> Value {
        let Some(left) = self.left.checked_sub(1) else {
            self.is_made_up = true;
            return Value::Null;
        };
        self.left = left;
        if let Some(given) = given(schema) {
            return given;
        }
        // Of several cases the first; what they have in common stands beside them.
        let first_case = ["oneOf", "anyOf", "allOf"]
            .iter()
            .filter_map(|junctor| schema.get(junctor)?.get(0))
            .find_map(given);
        if let Some(given) = first_case {
            return given;
        }
        match schema.get("type").and_then(Value::as_str) {
            Some("array") => self.array(schema),
            Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or(json!(0)),
            Some("boolean") => json!(false),
            Some("string") => {
                self.is_made_up = true;
                json!(TEXT)
            }
            _ => self.object(schema),
        }
    }

    fn array(&mut self, schema: &Value) -> Value {
        let items = schema.get("items").unwrap_or(&Value::Null);
        let wanted = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0);
        let mut values = vec![];
        for _ in 0..wanted {
            if self.left == 0 {
                self.is_made_up = true;
                break;
            }
            values.push(self.smallest(items));
        }
        Value::Array(values)
    }

    /// Only what is required.
    fn object(&mut self, schema: &Value) -> Value {
        let required = schema.get("required").and_then(Value::as_array);
        let names = required.into_iter().flatten().filter_map(Value::as_str);
        let mut members = Map::new();
        for name in names {
            let of = schema.get("properties").and_then(|all| all.get(name));
            let value = self.smallest(of.unwrap_or(&Value::Null));
            members.insert(name.to_owned(), value);
        }
        Value::Object(members)
    }
}

/// What the schema itself gives.
fn given(schema: &Value) -> Option<Value> {
    let members = ["default", "example", "const"];
    let one = members.iter().find_map(|member| schema.get(member));
    let lists = ["examples", "enum"];
    let one = one.or_else(|| lists.iter().find_map(|list| schema.get(list)?.get(0)));
    one.cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(schema: &Value) -> (Value, bool) {
        let Example {
            document,
            is_made_up,
        } = Example::of(schema);
        (document, is_made_up)
    }

    #[test]
    fn only_what_is_required_is_there() {
        let schema = json!({
            "type": "object",
            "required": ["mode", "size", "inner", "list"],
            "properties": {
                "mode": { "type": "string", "enum": ["full", "partial"] },
                "size": { "type": "integer", "minimum": 3 },
                "inner": { "type": "object", "properties": { "name": { "type": "string" } } },
                "list": { "type": "array", "minItems": 2, "items": { "type": "boolean" } },
                "other": { "type": "string" },
            },
        });
        let expected = json!({ "mode": "full", "size": 3, "inner": {}, "list": [false, false] });
        assert_eq!(example(&schema), (expected, false));
    }

    #[test]
    fn texts_are_made_up_where_the_schema_gives_none() {
        let with = |name: Value| json!({ "type": "object", "required": ["name"], "properties": { "name": name } });
        let schema = with(json!({ "type": "string" }));
        assert_eq!(example(&schema), (json!({ "name": "example" }), true));
        let schema = with(json!({ "type": "string", "default": "books" }));
        assert_eq!(example(&schema), (json!({ "name": "books" }), false));
        let cases = json!([{ "enum": ["red"] }, { "enum": ["blue"] }]);
        let schema = with(json!({ "type": "string", "anyOf": cases }));
        assert_eq!(example(&schema), (json!({ "name": "red" }), false));
    }

    #[test]
    fn what_the_schema_does_not_allow_counts_as_made_up() {
        let schema = json!({ "type": "object", "minProperties": 1 });
        assert_eq!(example(&schema), (json!({}), true));
    }

    #[test]
    fn a_schema_that_wants_more_than_there_is_memory_gets_a_small_example() {
        let mut schema = json!({ "type": "boolean" });
        for _ in 0..5 {
            schema = json!({ "type": "array", "minItems": u64::MAX, "items": schema });
        }
        let (document, is_made_up) = example(&schema);
        assert!(document.to_string().len() < 10 * VALUES);
        assert!(is_made_up);
    }
}
