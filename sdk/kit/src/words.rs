//! `$(Kind/path)` in the texts of a step: what an object says of itself. `$(now)` is the time.

use serde_json::{Map, Value};

use crate::seen::{Seen, Which};

const BEGIN: &str = "$(";

/// The same document with all texts filled in, and the names of members.
///
/// # Errors
/// When an object or a field is not there.
pub(crate) fn filled_in(value: &Value, seen: &Seen, now: &str) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => text_filled_in(text, seen, now)?,
        Value::Array(items) => {
            let items = items.iter().map(|item| filled_in(item, seen, now));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Value::Object(members) => {
            let mut filled = Map::new();
            for (name, value) in members {
                let name = match text_filled_in(name, seen, now)? {
                    Value::String(name) => name,
                    other => other.to_string(),
                };
                filled.insert(name, filled_in(value, seen, now)?);
            }
            Value::Object(filled)
        }
        other => other.clone(),
    })
}

/// A text that is nothing but one reference becomes what that is of, whatever its type.
fn text_filled_in(text: &str, seen: &Seen, now: &str) -> Result<Value, String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once(BEGIN) {
        let (words, behind) = behind
            .split_once(')')
            .ok_or_else(|| format!("{text:?}: there is a $( without a )"))?;
        let value = looked_up(words, seen, now)?;
        if before.is_empty() && behind.is_empty() && filled.is_empty() {
            return Ok(value);
        }
        filled.push_str(before);
        match value {
            Value::String(text) => filled.push_str(&text),
            other => filled.push_str(&other.to_string()),
        }
        rest = behind;
    }
    filled.push_str(rest);
    Ok(Value::String(filled))
}

fn looked_up(words: &str, seen: &Seen, now: &str) -> Result<Value, String> {
    if words == "now" {
        return Ok(now.into());
    }
    let (which, path) = words.split_once('/').ok_or_else(|| {
        format!("$({words}): a reference is $(now), or $(Kind/path) such as $(Dump/metadata/name)")
    })?;
    let object = seen
        .one(&Which::named(which))
        .map_err(|why| format!("$({words}): {why}"))?;
    let found = object.pointer(&format!("/{path}"));
    found
        .cloned()
        .ok_or_else(|| format!("$({words}): the {which} has no /{path}"))
}

#[cfg(test)]
mod tests {
    use backup_engine::cluster::memory::MemoryCluster;
    use serde_json::json;

    use super::*;

    fn filled(value: &Value) -> Result<Value, String> {
        let cluster = MemoryCluster::new();
        for (kind, name) in [("Dump", "one"), ("Store", "a"), ("Store", "b")] {
            if !cluster.knows("example.org/v1", kind) {
                cluster.install_kind("example.org/v1", kind, &format!("{kind}s"), true, true);
            }
            let metadata = json!({ "name": name, "namespace": "n" });
            let object = json!({
                "apiVersion": "example.org/v1", "kind": kind, "metadata": metadata, "spec": { "size": 3 },
            });
            cluster.put(object).unwrap();
        }
        filled_in(value, &Seen::of(&cluster), "2026-01-01T00:00:00Z")
    }

    #[test]
    fn texts_and_names_are_filled_in() {
        let value = json!({ "dumps/$(Dump/metadata/name).sql": ["$(Dump.example.org/spec/size)", "$(now)", 1] });
        assert_eq!(
            filled(&value).unwrap(),
            json!({ "dumps/one.sql": [3, "2026-01-01T00:00:00Z", 1] })
        );
        assert_eq!(
            filled(&json!("$(Store:b/metadata/name)/$(Store:a/spec/size)")).unwrap(),
            json!("b/3")
        );
    }

    #[test]
    fn what_is_not_there_is_said() {
        for (text, why) in [
            ("$(Dump", "\"$(Dump\": there is a $( without a )"),
            ("$(Other/x)", "$(Other/x): there is no Other"),
            (
                "$(Dump/spec/no)",
                "$(Dump/spec/no): the Dump has no /spec/no",
            ),
            (
                "$(Store/x)",
                "$(Store/x): there is more than one Store: Store n/a, Store n/b; say which",
            ),
        ] {
            assert_eq!(filled(&json!(text)).unwrap_err(), why);
        }
    }
}
