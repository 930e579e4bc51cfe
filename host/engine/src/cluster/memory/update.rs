//! The registry's update of an object that exists: `registry/generic/registry/store.go` and `registry/rest`.

use serde_json::{Value, json};

use super::{
    super::{ApiError, Part},
    decode, errors,
    kinds::{Generation, Kind, StatusWrite},
    metadata, object,
    ownership::Owners,
    store::{Key, State, Stored, shown},
    validation,
    writes::{self, Write},
};

/// Everything after the new state is known: versions, what the part may change, checks, and the last finalizer.
pub(super) fn finish(
    state: &mut State,
    kind: &Kind,
    key: Key,
    existing: &Stored,
    mut new: Value,
    owners: Owners,
    write: &Write<'_>,
) -> Result<Value, ApiError> {
    let old = shown(kind, &existing.object);
    check_version(kind, &key.name, &old, &mut new)?;
    object::copy(&mut new, "generation", &old);
    match write.part {
        Part::Main => prepare_main(kind, &mut new, &old),
        Part::Status => prepare_status(kind, &mut new, &old),
    }
    decode::even_numbers(&mut new);
    keep_system_fields(&mut new, &old);
    let mut problems = metadata::problems(kind, &new);
    problems.extend(metadata::update_problems(&new, &old));
    problems.extend(validation::problems(kind, &new, Some(&old), write.part));
    if !problems.is_empty() {
        return Err(errors::invalid(&kind.subject(), &key.name, problems));
    }
    if ends(&new, &old) {
        if !write.dry_run {
            state.remove(&key);
        }
        return Ok(new);
    }
    if same(&new, &existing.raw) && owners == existing.owners {
        return Ok(old);
    }
    if write.dry_run {
        return Ok(new);
    }
    state.gc_due |= new["metadata"]["ownerReferences"] != old["metadata"]["ownerReferences"]
        || new["metadata"]["finalizers"] != old["metadata"]["finalizers"];
    Ok(shown(kind, &writes::commit(state, kind, key, new, owners)))
}

/// Whether an object would be stored as it is: which version of its kind it was written in does not count.
fn same(new: &Value, stored: &Value) -> bool {
    let content = |object: &Value| {
        let mut map = object.as_object().cloned().unwrap_or_default();
        map.shift_remove("apiVersion");
        map
    };
    content(new) == content(stored)
}

fn check_version(kind: &Kind, name: &str, old: &Value, new: &mut Value) -> Result<(), ApiError> {
    let given = match object::text(new, "resourceVersion") {
        "" => 0,
        text => text.parse::<u64>().map_err(|_| {
            errors::internal(format!(
                "strconv.ParseUint: parsing {text:?}: invalid syntax"
            ))
        })?,
    };
    if given == 0 {
        if !kind.unconditional_update {
            let problem = metadata::problem(
                "metadata.resourceVersion",
                &json!(0),
                "must be specified for an update",
            );
            return Err(errors::invalid(&kind.resource(), name, vec![problem]));
        }
        object::copy(new, "resourceVersion", old);
    } else if given.to_string() != object::text(old, "resourceVersion") {
        return Err(errors::modified(kind, name));
    }
    Ok(())
}

fn prepare_main(kind: &Kind, new: &mut Value, old: &Value) {
    if kind.has_status() {
        object::set_top(new, "status", old.get("status").cloned());
    }
    if kind.is_namespace() {
        object::set_top(new, "spec", old.get("spec").cloned());
    }
    if kind.native {
        decode::native(kind, new);
    }
    if kind.generation == Generation::Content && !object::same_content(new, old) {
        let generation = old["metadata"]["generation"].as_i64().unwrap_or_default();
        object::set(new, "generation", generation + 1);
    }
}

fn prepare_status(kind: &Kind, new: &mut Value, old: &Value) {
    let status = new.get("status").cloned();
    let metadata = new["metadata"].clone();
    *new = old.clone();
    object::set_top(new, "status", status);
    if kind.status == StatusWrite::WithMetadata {
        object::set_top(new, "metadata", Some(metadata));
        object::copy(new, "ownerReferences", old);
    }
}

/// What an update neither changes nor needs to repeat.
fn keep_system_fields(new: &mut Value, old: &Value) {
    if !object::has(new, "uid") {
        object::copy(new, "uid", old);
    }
    object::copy(new, "creationTimestamp", old);
    if object::has(old, "deletionTimestamp") {
        object::copy(new, "deletionTimestamp", old);
    }
    if object::has(old, "deletionGracePeriodSeconds")
        && !object::has(new, "deletionGracePeriodSeconds")
    {
        object::copy(new, "deletionGracePeriodSeconds", old);
    }
}

/// Whether the last finalizer of an object that is to be deleted is gone.
pub(super) fn ends(new: &Value, old: &Value) -> bool {
    object::strings(new, "finalizers").is_empty()
        && object::has(old, "deletionTimestamp")
        && old["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or_default() == 0
        // A namespace also has finalizers of its own, which `endings` sees to.
        && old["spec"]["finalizers"].as_array().is_none_or(|_| old["kind"] != "Namespace")
}
