//! The parameters of a BackupClass: what they must be, before a job begins with them.
//!
//! A parameter has two readers: the strategy, which describes its own in the manifest, and the templates of the strategy
//! object, which may use any others. One that neither of them reads is a misspelt one, and would silently do nothing.

use std::collections::BTreeSet;

use backup_api::StrategyBinding;
use serde_json::{Value, json};

use crate::{object, strategies::Serving};

/// What templates call the parameters.
const ROOT: &str = ".Parameters";

/// What is wrong with a binding's parameters.
pub(crate) fn problem(
    serving: &Serving,
    strategy: &Value,
    binding: &StrategyBinding,
) -> Option<String> {
    let schema = serving.strategy.manifest().parameters.as_ref()?;
    disagreement(schema, binding).or_else(|| {
        let used = Used::in_spec(&strategy["spec"]);
        let mut names = binding.parameters.keys();
        let unread = names.find(|name| !is_described(schema, name) && !used.has(name))?;
        Some(format!(
            "parameters/{unread} is read by nobody: strategy {} has no parameter of that name, and no template of {} uses \
             it{}",
            strategy["kind"].as_str().unwrap_or_default(),
            object::describe(&object::reference(strategy)),
            described(schema)
        ))
    })
}

/// Where they are not what the strategy's schema asks for.
fn disagreement(schema: &Value, binding: &StrategyBinding) -> Option<String> {
    let validator = match jsonschema::validator_for(schema) {
        Ok(validator) => validator,
        Err(error) => {
            return Some(format!(
                "the plugin's schema of parameters is not valid: {error}"
            ));
        }
    };
    let parameters = json!(binding.parameters);
    let problems: Vec<String> = validator
        .iter_errors(&parameters)
        .map(|error| format!("parameters{}: {error}", error.instance_path()))
        .collect();
    (!problems.is_empty()).then(|| problems.join("; "))
}

/// Whether a schema describes a parameter. One that tells names by a pattern, or takes anything, may mean any.
fn is_described(schema: &Value, name: &str) -> bool {
    schema["properties"].get(name).is_some()
        || schema.get("patternProperties").is_some()
        || schema["additionalProperties"] == true
}

/// The names that a schema describes, for the end of a sentence.
fn described(schema: &Value) -> String {
    let names = schema["properties"].as_object().into_iter().flatten();
    let names: Vec<&str> = names.map(|(name, _)| name.as_str()).collect();
    if names.is_empty() {
        return String::new();
    }
    format!("; it has {}", names.join(", "))
}

/// The parameters that the templates of a spec use.
#[derive(Debug, Default, PartialEq, Eq)]
struct Used {
    names: BTreeSet<String>,
    /// Parameters are used in a way that does not tell which.
    any: bool,
}

impl Used {
    fn in_spec(spec: &Value) -> Self {
        let mut used = Self::default();
        used.collect(spec);
        used
    }

    fn has(&self, name: &str) -> bool {
        self.any || self.names.contains(name)
    }

    fn collect(&mut self, value: &Value) {
        match value {
            Value::String(text) if text.contains("{{") => {
                text.split(ROOT).skip(1).for_each(|rest| self.note(rest));
            }
            Value::Array(items) => items.iter().for_each(|item| self.collect(item)),
            Value::Object(members) => members.values().for_each(|member| self.collect(member)),
            _ => {}
        }
    }

    /// What follows the word: `.bucket`, or the name in quotes behind which `index` and `hasKey` have it.
    fn note(&mut self, rest: &str) {
        let name = match rest.strip_prefix('.') {
            Some(field) => field
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .next(),
            None => rest
                .trim_start()
                .strip_prefix('"')
                .and_then(|quoted| quoted.split('"').next())
                .filter(|name| !name.contains('\\')),
        };
        match name.filter(|name| !name.is_empty()) {
            Some(name) => {
                self.names.insert(name.to_owned());
            }
            None => self.any = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(text: &str) -> Used {
        Used::in_spec(&json!({ "a": [{ "b": text }] }))
    }

    #[test]
    fn templates_tell_which_parameters_they_use() {
        let used =
            used(r#"{{ .Parameters.bucket }}/{{ index $.Parameters "data.jobs" | default "1" }}"#);
        assert!(used.has("bucket") && used.has("data.jobs"));
        assert!(!used.has("data") && !used.has("region"));
    }

    #[test]
    fn parameters_that_are_used_as_a_whole_may_be_any() {
        for text in [
            "{{ range $k, $v := .Parameters }}{{ end }}",
            "{{ toJson .Parameters }}",
        ] {
            assert!(used(text).has("region"), "{text}");
        }
    }

    #[test]
    fn what_is_no_template_uses_nothing() {
        assert_eq!(used(".Parameters.bucket"), Used::default());
    }
}
