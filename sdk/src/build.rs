//! For a strategy's build script: JSON schemas of its settings.
//!
//! ```no_run
//! # mod settings {
//! #     use backup_strategy::schema::*;
//! #     #[derive(JsonSchema)] pub struct Spec {}
//! #     #[derive(JsonSchema)] pub struct Options {}
//! # }
//! # use settings::{Spec, Options};
//! use backup_strategy::Nothing;
//!
//! fn main() -> std::io::Result<()> {
//!     backup_strategy::build::schemas::<Spec, Nothing, Options>()
//! }
//! ```

use std::{any::TypeId, env, fs, io, path::Path};

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value};

use crate::{Form, Knob, Nothing, json};

/// Writes the schemas of a strategy's spec, parameters and restore options to where
/// [`export!`](crate::export) looks for them.
///
/// # Errors
///
/// When the file cannot be written, or there is no `OUT_DIR` because this is no build script.
pub fn schemas<Spec, Parameters, Options>() -> io::Result<()>
where
    Spec: JsonSchema,
    Parameters: JsonSchema + 'static,
    Options: JsonSchema + 'static,
{
    written::<Spec, Options>(optional::<Parameters>().map(strings), &[])
}

/// The same for a strategy with knobs: the parameters are described by the settings that they stand for.
///
/// # Errors
///
/// When a knob is of no setting, when the files cannot be written, or there is no `OUT_DIR` because this is no build script.
pub fn schemas_with<Spec, Options>(knobs: &[Knob]) -> io::Result<()>
where
    Spec: JsonSchema,
    Options: JsonSchema + 'static,
{
    let settings = schema::<Spec>();
    let mut parameters = Map::new();
    let mut forms = Vec::new();
    for knob in knobs {
        let (parameter, form) = knob.described(&settings).ok_or_else(|| {
            let place = knob.pointer();
            io::Error::other(format!("knob {}: the spec has no {place}", knob.name))
        })?;
        parameters.insert(knob.name.into(), parameter);
        forms.push(form);
    }
    let parameters = strings(json!({
        "description": "What a BackupClass may set besides; it wins over the strategy's own setting.",
        "type": "object",
        "properties": parameters,
    }));
    written::<Spec, Options>(Some(parameters), &forms)
}

fn written<Spec, Options>(parameters: Option<Value>, forms: &[Form]) -> io::Result<()>
where
    Spec: JsonSchema,
    Options: JsonSchema + 'static,
{
    let directory = env::var_os("OUT_DIR")
        .ok_or_else(|| io::Error::other("OUT_DIR is set in build scripts only"))?;
    let schemas = json!({
        "spec": structural(schema::<Spec>()),
        "parameters": parameters,
        "restoreOptions": optional::<Options>(),
    });
    let directory = Path::new(&directory);
    fs::write(directory.join("schemas.json"), schemas.to_string())?;
    let forms = forms
        .iter()
        .map(|form| format!("backup_strategy::Form::{form:?}, "));
    fs::write(
        directory.join("knobs.rs"),
        format!("&[{}]", forms.collect::<String>()),
    )
}

fn schema<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::openapi3()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator();
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    simplify(&mut schema);
    schema
}

fn optional<T: JsonSchema + 'static>() -> Option<Value> {
    (TypeId::of::<T>() != TypeId::of::<Nothing>()).then(schema::<T>)
}

/// Parameters that the strategy does not know are for the templates of its spec.
fn strings(mut schema: Value) -> Value {
    if let Some(schema) = schema.as_object_mut() {
        schema
            .entry("additionalProperties")
            .or_insert(json!({ "type": "string" }));
    }
    schema
}

/// A CRD's schema has no `additionalProperties` beside `properties`; the API server drops unknown members.
fn structural(mut schema: Value) -> Value {
    each(&mut schema, &|schema| {
        if schema.contains_key("properties") {
            schema.remove("additionalProperties");
        }
    });
    schema
}

/// Drops what says nothing to a reader of the schema, and unfolds what a CRD cannot hold: an optional field is
/// one that may be absent, and the values of an enum are one list.
fn simplify(schema: &mut Value) {
    each(schema, &|schema| {
        for noise in ["$schema", "title", "nullable"] {
            schema.remove(noise);
        }
        if schema.get("default") == Some(&Value::Null) {
            schema.remove("default");
        }
        if schema
            .get("format")
            .and_then(Value::as_str)
            .is_some_and(|format| format.starts_with("uint"))
        {
            schema.remove("format");
        }
        if let Some(description) = schema.get_mut("description") {
            unwrap_lines(description);
        }
        drop_null(schema);
        merge_enum(schema);
        drop_defaults(schema);
        for member in schema
            .get_mut("properties")
            .and_then(Value::as_object_mut)
            .into_iter()
            .flat_map(Map::values_mut)
        {
            allow_anything(member);
        }
        for inner in ["items", "additionalProperties"] {
            schema.get_mut(inner).map(allow_anything);
        }
        for junctor in ["allOf", "anyOf", "oneOf"] {
            bare(schema.get_mut(junctor));
        }
    });
}

/// A schema that asks for nothing says so to a CRD, which would drop all members otherwise.
fn allow_anything(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else {
        return;
    };
    if !["type", "enum", "allOf", "anyOf", "oneOf"]
        .iter()
        .any(|keyword| schema.contains_key(*keyword))
    {
        schema.insert("x-kubernetes-preserve-unknown-fields".into(), true.into());
    }
}

/// Doc comments are wrapped for an editor; a description is wrapped by whoever shows it.
fn unwrap_lines(description: &mut Value) {
    let Some(text) = description.as_str() else {
        return;
    };
    let paragraphs: Vec<String> = text
        .split("\n\n")
        .map(|paragraph| paragraph.replace('\n', " "))
        .collect();
    *description = paragraphs.join("\n\n").into();
}

/// What may be absent need not be allowed to be null, too.
fn drop_null(schema: &mut Map<String, Value>) {
    if let Some(values) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        values.retain(|value| !value.is_null());
    }
    let Some(cases) = schema.get_mut("anyOf").and_then(Value::as_array_mut) else {
        return;
    };
    let nothing =
        |case: &Value| case["type"] == "null" || case["enum"].as_array().is_some_and(Vec::is_empty);
    cases.retain(|case| !nothing(case));
    if let [Value::Object(only)] = cases.as_mut_slice() {
        let only = std::mem::take(only);
        schema.remove("anyOf");
        for (keyword, value) in only {
            schema.entry(keyword).or_insert(value);
        }
    }
}

/// What is required has no default: the API server would fill it in, and ask for nothing.
fn drop_defaults(schema: &mut Map<String, Value>) {
    let Some(required) = schema.get("required").cloned() else {
        return;
    };
    let Some(members) = schema.get_mut("properties").and_then(Value::as_object_mut) else {
        return;
    };
    for name in required
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        if let Some(member) = members.get_mut(name).and_then(Value::as_object_mut) {
            member.remove("default");
        }
    }
}

/// Inside a junctor, a CRD's schema has conditions only.
fn bare(cases: Option<&mut Value>) {
    for case in cases
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
    {
        for keyword in ["type", "description", "default"] {
            case.remove(keyword);
        }
    }
}

/// Variants with docs become a `oneOf` of constants; back into one `enum`.
fn merge_enum(schema: &mut Map<String, Value>) {
    let Some(variants) = schema.get("oneOf").and_then(Value::as_array) else {
        return;
    };
    let constant = |variant: &Value| match &variant["enum"] {
        Value::Array(values) if values.len() == 1 => Some(values[0].clone()),
        _ => variant.get("const").cloned(),
    };
    let Some(constants) = variants.iter().map(constant).collect::<Option<Vec<_>>>() else {
        return;
    };
    schema.remove("oneOf");
    schema.insert("type".into(), "string".into());
    schema.insert("enum".into(), constants.into());
}

/// Visits a schema and all schemas inside it, the inner ones first.
fn each(schema: &mut Value, visit: &dyn Fn(&mut Map<String, Value>)) {
    let Some(schema) = schema.as_object_mut() else {
        return;
    };
    for (keyword, value) in schema.iter_mut() {
        match (keyword.as_str(), value) {
            ("properties", Value::Object(members)) => {
                members.values_mut().for_each(|member| each(member, visit))
            }
            ("items" | "not", value @ Value::Object(_)) => each(value, visit),
            ("additionalProperties", value @ Value::Object(_)) => each(value, visit),
            ("allOf" | "anyOf" | "oneOf", Value::Array(members)) => {
                members.iter_mut().for_each(|member| each(member, visit));
            }
            _ => {}
        }
    }
    visit(schema);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Templated, json, knob};

    /// Settings.
    #[derive(JsonSchema)]
    #[allow(dead_code, reason = "only the schema is used")]
    struct Settings {
        /// A colour, of which
        /// there are two.
        colour: Option<Colour>,
        /// Likewise.
        #[serde(default)]
        template: Option<Templated<Colour>>,
        inner: Option<Inner>,
        list: Vec<Inner>,
        anything: Option<Value>,
    }

    #[derive(JsonSchema)]
    #[serde(rename_all = "lowercase")]
    #[allow(dead_code, reason = "only the schema is used")]
    enum Colour {
        /// Like blood.
        Red,
        /// Like the sky.
        Blue,
    }

    /// Inner settings.
    #[derive(JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only the schema is used")]
    struct Inner {
        size: u32,
    }

    #[test]
    fn a_spec_is_described_as_a_crd_needs_it() {
        let inner = json!({
            "description": "Inner settings.",
            "type": "object",
            "properties": { "size": { "type": "integer", "minimum": 0 } },
            "required": ["size"],
        });
        let schema = structural(schema::<Settings>());
        assert_eq!(schema["description"], "Settings.");
        assert_eq!(schema["required"], json!(["list"]));
        let properties = &schema["properties"];
        let colour = json!({ "description": "A colour, of which there are two.", "type": "string", "enum": ["red", "blue"] });
        assert_eq!(properties["colour"], colour);
        let cases = json!([{ "enum": ["red", "blue"] }, { "pattern": r"^$|\{\{" }]);
        assert_eq!(
            properties["template"],
            json!({ "description": "Likewise.", "type": "string", "anyOf": cases })
        );
        assert_eq!(properties["inner"], inner);
        assert_eq!(
            properties["list"],
            json!({ "type": "array", "items": inner })
        );
        assert_eq!(
            properties["anything"],
            json!({ "x-kubernetes-preserve-unknown-fields": true })
        );
    }

    #[test]
    fn unknown_parameters_are_for_templates() {
        assert_eq!(
            strings(schema::<Settings>())["additionalProperties"],
            json!({ "type": "string" })
        );
        assert_eq!(strings(schema::<Inner>())["additionalProperties"], false);
    }

    #[test]
    fn a_parameter_is_described_by_the_setting_that_it_stands_for() {
        let settings = schema::<Settings>();
        let described = |knob: Knob| knob.below("").described(&settings);
        let colours =
            json!({ "type": "string", "description": "Likewise.", "enum": ["red", "blue"] });
        assert_eq!(described(knob("template")), Some((colours, Form::Text)));
        let number =
            json!({ "type": "string", "description": "How large it is.", "pattern": "^[0-9]+$" });
        let size = knob("inner.size").about("How large it is.");
        assert_eq!(described(size), Some((number, Form::Number)));
        let list =
            json!({ "type": "string", "description": "Several. With commas between the items." });
        let several = knob("list").about("Several.");
        assert_eq!(described(several), Some((list, Form::List)));
        let inside = described(knob("anything.of.it").about("Whatever."));
        assert_eq!(inside.map(|(_, form)| form), Some(Form::Text));
        assert_eq!(described(knob("shape")), None);
    }

    #[test]
    fn what_happens_without_a_setting_is_not_said_of_its_parameter() {
        let settings = json!({ "properties": { "a": {
            "type": "string",
            "description": "The region. When absent: the platform's.",
            "maxLength": 63,
        } } });
        let wanted = json!({ "type": "string", "description": "The region.", "maxLength": 63 });
        let described = knob("a").below("").described(&settings);
        assert_eq!(described, Some((wanted, Form::Text)));
    }

    #[test]
    fn what_is_required_has_no_default() {
        let member = || json!({ "type": "string", "default": "" });
        let mut settings = json!({
            "type": "object",
            "properties": { "a": member(), "b": member() },
            "required": ["a"],
        });
        simplify(&mut settings);
        assert_eq!(settings["properties"]["a"], json!({ "type": "string" }));
        assert_eq!(settings["properties"]["b"], member());
    }

    #[test]
    fn what_cannot_be_set_has_no_schema() {
        assert!(optional::<Nothing>().is_none());
        assert!(optional::<Inner>().is_some());
    }
}
