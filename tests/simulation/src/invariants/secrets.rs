//! No secret value stands in what a tenant reads.

use backup_engine::cluster::memory::ChangeKind;
use serde_json::Value;

use super::{Invariant, Seen, Verdict, broken};
use crate::{
    ground::{KEYS, PASSWORD, text},
    record::named,
};

pub(crate) struct Secrets;

impl Invariant for Secrets {
    fn changed(&mut self, seen: &Seen<'_>) -> Verdict {
        let object = &seen.change.object;
        let is_its_place = text(object, "/kind") == "Secret"
            || text(object, "/apiVersion").starts_with("apps.cozystack.io/");
        if !seen.by_host || is_its_place || seen.change.kind == ChangeKind::Deleted {
            return Ok(());
        }
        if holds_secret(object) {
            return broken("no secret stands where a tenant reads", named(object));
        }
        Ok(())
    }
}

fn holds_secret(value: &Value) -> bool {
    match value {
        Value::String(text) => KEYS
            .iter()
            .chain([&PASSWORD])
            .any(|secret| text.contains(secret)),
        Value::Array(items) => items.iter().any(holds_secret),
        Value::Object(members) => members.values().any(holds_secret),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
