//! What ties an object to others: the host's own marks, and owners.

use backup_sandbox::contract::ObjectRef;
use serde_json::Value;

use crate::{admit::Case, object, shown::Shown};
use backup_api::names::GROUP;

/// Before the names of the host's labels, annotations and finalizers.
const HOST_PREFIX: &str = "backups.cozystack.io/";

/// Who may own what a case writes.
pub(super) struct Owned<'a> {
    job: &'a str,
    shown: &'a Shown,
}

impl<'a> Owned<'a> {
    pub(super) fn by(case: &'a Case) -> Self {
        Self {
            job: &case.request.job.uid,
            shown: &case.shown,
        }
    }

    /// Labels, annotations, finalizers and owners, of the object and of the templates in it.
    pub(super) fn check(&self, document: &Value) -> Result<(), String> {
        let mut broken = Ok(());
        object::visit_members(document, &mut |pointer, name, value| {
            if broken.is_ok() && name == "metadata" {
                broken = self.metadata(pointer, value);
            }
        });
        broken
    }

    fn metadata(&self, pointer: &str, metadata: &Value) -> Result<(), String> {
        for (field, what) in [("labels", "label"), ("annotations", "annotation")] {
            let names = metadata.get(field).and_then(Value::as_object);
            let own = names
                .into_iter()
                .flatten()
                .find(|(name, _)| name.starts_with(HOST_PREFIX));
            if let Some((name, _)) = own {
                return Err(format!("sets the {what} {name}, which is the host's"));
            }
        }
        let finalizers = list(metadata, "finalizers").filter_map(Value::as_str);
        if let Some(own) = finalizers
            .into_iter()
            .find(|name| name.starts_with(HOST_PREFIX))
        {
            return Err(format!("sets the finalizer {own}, which is the host's"));
        }
        list(metadata, "ownerReferences")
            .try_for_each(|owner| self.owner(owner))
            .map_err(|rule| format!("{rule} ({pointer}/ownerReferences)"))
    }

    /// An owner decides when an object goes. The job may, and what the strategy was shown, which is its job's business.
    fn owner(&self, owner: &Value) -> Result<(), String> {
        let uid = object::text(owner, &["uid"]);
        if uid == self.job {
            return Ok(());
        }
        let of = format!(
            "{} {}",
            object::text(owner, &["kind"]),
            object::text(owner, &["name"])
        );
        let group = object::group(object::text(owner, &["apiVersion"]));
        if group == GROUP || group.ends_with(".backups.cozystack.io") {
            return Err(format!("names {of} as owner, a kind of the host's own"));
        }
        if uid.is_empty() || !self.shown.knows(uid) {
            return Err(format!(
                "names {of} as owner, which the strategy has not read"
            ));
        }
        Ok(())
    }
}

fn list<'a>(metadata: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    metadata
        .get(field)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

/// A patch changes the object that it is for: it neither says that this is another, nor takes away what it is found by.
pub(super) fn patch(target: &ObjectRef, patch: &Value) -> Result<(), String> {
    let wanted = [
        (vec!["apiVersion"], Some(&target.api_version)),
        (vec!["kind"], Some(&target.kind)),
        (vec!["metadata", "name"], Some(&target.name)),
        (vec!["metadata", "namespace"], target.namespace.as_ref()),
    ];
    for (path, wanted) in wanted {
        let pointer = format!("/{}", path.join("/"));
        let differs = |said: &&Value| said.as_str() != wanted.map(String::as_str);
        if let Some(said) = patch.pointer(&pointer).filter(differs) {
            return Err(format!(
                "says {pointer} is {said}, in a patch for {}",
                object::describe(target)
            ));
        }
    }
    for pointer in ["/metadata", "/metadata/labels", "/metadata/annotations"] {
        if patch
            .pointer(pointer)
            .is_some_and(|value| !value.is_object())
        {
            return Err(format!(
                "replaces {pointer} of {}, which holds marks of the host and of others",
                object::describe(target)
            ));
        }
    }
    Ok(())
}
