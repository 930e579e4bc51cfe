//! The reference of the kinds, made from their definitions.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{Chart, UPDATE};

/// Fields whose members are told once, above the tables, or are nobody's business.
const CLOSED: [&str; 2] = ["status.conditions", "status.strategy"];

/// How deep fields are told: what lies deeper is an operator's or Kubernetes' own.
const DEPTH: usize = 6;

impl Chart {
    /// A page in Markdown with every kind that the chart defines, field by field.
    ///
    /// # Errors
    /// When a definition cannot be read.
    pub fn reference(&self) -> Result<String> {
        let mut definitions = self.definitions()?;
        definitions.sort_by_key(|definition| {
            let spec = &definition["spec"];
            (
                text(&spec["group"]).len(),
                text(&spec["names"]["kind"]).to_owned(),
            )
        });
        let mut page = format!(
            "<!-- Made from the definitions in charts/{} by its tests, with {UPDATE}=1. Not to be edited. -->\n\n\
             # The kinds, field by field\n\n\
             Required fields are marked. What the API server checks beside types stands under the table of each kind.\n\n\
             Each of `status.conditions` has `type`, `status` (`True`, `False`, `Unknown`), `reason`, `message`, \
             `lastTransitionTime` and `observedGeneration`. `status.strategy` is the host's own record, and may change with \
             any version.\n\n",
            self.name
        );
        page.push_str(&contents(&definitions));
        for definition in &definitions {
            page.push_str(&kind(definition));
        }
        Ok(page)
    }

    /// The page is what the definitions say; it is made so where that is asked for.
    ///
    /// # Errors
    /// When it is not.
    pub fn has_reference(&self, page: &str) -> Result<()> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .join(page);
        let text = self.reference()?;
        if std::env::var_os(UPDATE).is_some() {
            std::fs::write(&path, &text).with_context(|| path.display().to_string())?;
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        ensure!(
            found == text,
            "{page} is not what the definitions say: run this test once with {UPDATE}=1"
        );
        Ok(())
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A table of the kinds, with links to their sections.
fn contents(definitions: &[Value]) -> String {
    let mut table = "| kind | scope | short | what |\n|---|---|---|---|\n".to_owned();
    for definition in definitions {
        let spec = &definition["spec"];
        let kind = text(&spec["names"]["kind"]);
        let short = spec["names"]["shortNames"][0].as_str().unwrap_or_default();
        let schema = &spec["versions"][0]["schema"]["openAPIV3Schema"];
        let row = format!(
            "| [{kind}](#{}) | {} | {short} | {} |\n",
            title(definition)
                .to_lowercase()
                .replace('.', "")
                .replace(' ', "-"),
            text(&spec["scope"]),
            cell(text(&schema["description"]))
        );
        table.push_str(&row);
    }
    table.push('\n');
    table
}

/// The title of a kind's section: two groups have kinds of one name.
fn title(definition: &Value) -> String {
    let spec = &definition["spec"];
    format!(
        "{} in {}",
        text(&spec["names"]["kind"]),
        text(&spec["group"])
    )
}

/// The section of a kind.
fn kind(definition: &Value) -> String {
    let spec = &definition["spec"];
    let mut section = String::new();
    for version in spec["versions"].as_array().into_iter().flatten() {
        let schema = &version["schema"]["openAPIV3Schema"];
        section.push_str(&format!(
            "## {}\n\n{}\n\n`apiVersion: {}/{}`\n\n| field | type | default | meaning |\n|---|---|---|---|\n",
            title(definition),
            text(&schema["description"]),
            text(&spec["group"]),
            text(&version["name"]),
        ));
        let mut rules = rules(schema, "");
        for part in ["spec", "status"] {
            let schema = &schema["properties"][part];
            fields(schema, part, 1, &mut section, &mut rules);
        }
        section.push('\n');
        for rule in &rules {
            section.push_str(&format!("- {rule}\n"));
        }
        if !rules.is_empty() {
            section.push('\n');
        }
    }
    section
}

/// The rows of the fields of an object, or of the items of a list.
fn fields(schema: &Value, path: &str, depth: usize, rows: &mut String, found: &mut Vec<String>) {
    found.extend(rules(schema, path));
    let members = schema["properties"].as_object().into_iter().flatten();
    for (name, member) in members {
        let path = format!("{path}.{name}");
        let required = schema["required"].as_array().into_iter().flatten();
        let required = required.into_iter().any(|one| one == name);
        rows.push_str(&row(&path, member, required));
        if CLOSED.contains(&path.as_str()) {
            continue;
        }
        let (inner, path) = match member["type"].as_str() {
            Some("array") => (&member["items"], format!("{path}[]")),
            _ if member.get("additionalProperties").is_some() => {
                (&member["additionalProperties"], format!("{path}.*"))
            }
            _ => (member, path),
        };
        if depth < DEPTH {
            fields(inner, &path, depth + 1, rows, found);
        }
    }
}

fn row(path: &str, schema: &Value, required: bool) -> String {
    let default = schema.get("default").map(|value| format!("`{value}`"));
    let mark = if required { " (required)" } else { "" };
    format!(
        "| `{path}`{mark} | {} | {} | {} |\n",
        type_of(schema),
        default.unwrap_or_default(),
        cell(text(&schema["description"]))
    )
}

/// The type of a field, with what it is limited to.
fn type_of(schema: &Value) -> String {
    if let Some(values) = schema["enum"].as_array() {
        let values = values.iter().filter(|value| !value.is_null());
        let values: Vec<String> = values.map(|value| format!("`{}`", text(value))).collect();
        return values.join(", ");
    }
    match (text(&schema["type"]), text(&schema["format"])) {
        ("array", _) => format!("list of {}", type_of(&schema["items"])),
        ("object", _) if schema["additionalProperties"].is_object() => {
            format!("map to {}", type_of(&schema["additionalProperties"]))
        }
        ("object", _) => "object".to_owned(),
        ("string", "date-time") => "time".to_owned(),
        ("", _) if schema["x-kubernetes-int-or-string"] == true => "integer or text".to_owned(),
        ("", _) => "any".to_owned(),
        ("string", _) => format!("text{}", pattern(schema)),
        (other, _) => format!("{other}{}", range(schema)),
    }
}

fn pattern(schema: &Value) -> String {
    let pattern = schema["pattern"].as_str();
    pattern.map_or(String::new(), |pattern| {
        format!(", `{}`", pattern.replace('|', "\\|"))
    })
}

fn range(schema: &Value) -> String {
    let number = |value: &Value| value.as_f64().map(|number| number.to_string());
    match (number(&schema["minimum"]), number(&schema["maximum"])) {
        (Some(from), Some(to)) => format!(", {from} to {to}"),
        (Some(from), None) => format!(", {from} and more"),
        (None, Some(to)) => format!(", up to {to}"),
        (None, None) => String::new(),
    }
}

/// What the API server checks beside types, in the words that it refuses with.
fn rules(schema: &Value, path: &str) -> Vec<String> {
    let rules = schema["x-kubernetes-validations"].as_array();
    let messages = rules.into_iter().flatten().map(|rule| {
        let message = rule["message"].as_str().or_else(|| rule["rule"].as_str());
        let message = cell(message.unwrap_or_default());
        match path {
            "" => message,
            path => format!("`{path}`: {message}"),
        }
    });
    messages.collect()
}

/// A text as a cell of a table has it. In backticks Markdown takes `<` as it is.
fn cell(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let words = words.join(" ").replace('|', "\\|");
    let parts = words.split('`').enumerate();
    let parts = parts.map(|(index, part)| match index % 2 {
        0 => part.replace('<', "&lt;"),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("`")
}
