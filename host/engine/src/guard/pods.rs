//! Pods: what a strategy has run, by itself or by an operator, in a namespace of a tenant.
//!
//! Templates of Pods stand anywhere: in a Pod, in a Job, in the object of an operator under a name of the operator's
//! choice. So a document is walked through whole. Each field that weakens a Pod is judged by its name wherever it stands,
//! and what hardens one is required of each object that has the shape of a Pod's spec: a list `containers`.
//!
//! | file | holds |
//! |---|---|
//! | `standard` | the controls of Kubernetes' Pod Security Standards, as one table |
//! | `templates` | where the spec of a Pod is, and what is required of it |
//! | `access` | Secrets, ServiceAccounts and tokens |

mod access;
mod standard;
mod templates;

use backup_api::PodSecurityLevel;
use serde_json::Value;

use super::Form;
use crate::{admit::Case, object};

/// What the Pods of a case may do.
pub(super) struct Pods<'a> {
    level: PodSecurityLevel,
    /// Patterns of names of Secrets, filled in.
    secrets: &'a [String],
}

impl<'a> Pods<'a> {
    pub(super) fn granted(case: &'a Case) -> Self {
        let pods = case.binding.serving.grant.pods.as_ref();
        Self {
            level: pods.map(|pods| pods.security_level).unwrap_or_default(),
            secrets: &case.pod_secrets,
        }
    }

    /// Every template of Pods in what is written into an object of a kind.
    pub(super) fn check(&self, kind: &str, document: &Value, form: Form) -> Result<(), String> {
        // What a field says is told before what is missing.
        Self::each(document, |pointer, name, value| {
            self.member(pointer, name, value, form)
        })?;
        let known = templates::known(kind);
        Self::each(document, |pointer, _, value| match value {
            Value::Object(spec) if known == Some(pointer) || templates::is_spec(value) => {
                self.spec(spec, form)
            }
            _ => Ok(()),
        })
    }

    /// The first value of a document that breaks a rule.
    fn each(
        document: &Value,
        rule: impl Fn(&str, &str, &Value) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut broken = Ok(());
        object::visit_members(document, &mut |pointer, name, value| {
            if broken.is_ok() {
                broken = rule(pointer, name, value)
                    .map_err(|rule| format!("would run a Pod that {rule} ({pointer})"));
            }
        });
        broken
    }

    /// What a single field says, wherever it stands.
    fn member(&self, pointer: &str, name: &str, value: &Value, form: Form) -> Result<(), String> {
        access::member(self.secrets, pointer, name, value, form)?;
        standard::setting(self.level, name, value)
            .map_err(|control| format!("breaks the level {}: {control}", self.level.as_str()))?;
        if form == Form::Patch && value.is_null() && standard::hardens(self.level, name) {
            return Err(format!(
                "breaks the level {}: the patch removes {name}",
                self.level.as_str()
            ));
        }
        Ok(())
    }

    /// What is required of a Pod.
    fn spec(&self, spec: &serde_json::Map<String, Value>, form: Form) -> Result<(), String> {
        access::spec(spec, form)?;
        templates::required(self.level, spec, form)
            .map_err(|control| format!("breaks the level {}: {control}", self.level.as_str()))
    }
}

#[cfg(test)]
mod tests;
