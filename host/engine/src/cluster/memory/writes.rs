//! Creating, applying and patching, in the API server's order of steps: decode, own, admit, check, store.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    super::{ApiError, ApiReason, Part},
    decode, definitions, errors,
    kinds::{Generation, Kind},
    metadata, object, ownership,
    ownership::{Owners, Writer},
    patch,
    store::{Key, State, shown},
    update, validation,
};

/// A write as it arrives.
pub(super) struct Write<'a> {
    /// The field manager.
    pub(super) manager: &'a str,
    pub(super) part: Part,
    pub(super) dry_run: bool,
}

impl Write<'_> {
    fn writer(&self, state: &State) -> Writer<'_> {
        Writer {
            manager: self.manager,
            part: self.part,
            now: state.now,
        }
    }
}

/// The namespace that a request for an object names in its path.
///
/// # Errors
/// Where none is named and one is needed.
pub(super) fn request_namespace<'a>(kind: &Kind, namespace: &'a str) -> Result<&'a str, ApiError> {
    match (kind.namespaced, namespace.is_empty()) {
        (true, true) => Err(errors::bad_request(
            "an empty namespace may not be set during creation",
        )),
        (true, false) => Ok(namespace),
        (false, _) => Ok(""),
    }
}

/// POST.
pub(super) fn create(
    state: &mut State,
    kind: &Kind,
    object: &Value,
    write: &Write<'_>,
) -> Result<Value, ApiError> {
    let namespace = request_namespace(kind, object::text(object, "namespace"))?.to_owned();
    let mut new = decode::decode_strictly(kind, object).map_err(|why| {
        errors::bad_request(format!(
            "{} in version {:?} cannot be handled as a {}: {why}",
            kind.kind, kind.version, kind.kind
        ))
    })?;
    for field in [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
    ] {
        object::set(&mut new, field, Value::Null);
    }
    set_namespace(&mut new, &namespace);
    let owners = ownership::update(kind, None, &new, &Owners::default(), write.writer(state));
    admit_creation(state, kind, &new)?;
    let given = object::text(&new, "resourceVersion").to_owned();
    store_new(state, kind, new, owners, write, || match given.as_str() {
        "" | "0" => Ok(()),
        _ if write.dry_run => Ok(()),
        _ => Err(errors::internal(
            "resourceVersion should not be set on objects to be created",
        )),
    })
}

fn set_namespace(object: &mut Value, namespace: &str) {
    object::set(
        object,
        "namespace",
        if namespace.is_empty() {
            Value::Null
        } else {
            namespace.into()
        },
    );
}

/// The NamespaceLifecycle admission plugin, and the custom resource handler's refusal while its CRD ends.
fn admit_creation(state: &State, kind: &Kind, new: &Value) -> Result<(), ApiError> {
    if definitions::is_ending(state, kind) {
        return Err(ApiError::new(
            ApiReason::MethodNotAllowed,
            format!(
                "create not allowed while custom resource definition is terminating: {}",
                kind.resource()
            ),
        ));
    }
    let namespace = object::text(new, "namespace");
    if namespace.is_empty() {
        return Ok(());
    }
    let Some(stored) = state.objects.get(&Key::namespace_object(namespace)) else {
        return Err(ApiError::new(
            ApiReason::NotFound,
            format!("namespaces {namespace:?} not found"),
        ));
    };
    if stored.object["status"]["phase"] != "Terminating" {
        return Ok(());
    }
    let why = format!(
        "unable to create new content in namespace {namespace} because it is being terminated"
    );
    Err(errors::forbidden(
        kind,
        Some(object::text(new, "name")).filter(|name| !name.is_empty()),
        &why,
    ))
}

/// The registry's creation. `last` is asked once everything else is right.
fn store_new(
    state: &mut State,
    kind: &Kind,
    mut new: Value,
    owners: Owners,
    write: &Write<'_>,
    last: impl FnOnce() -> Result<(), ApiError>,
) -> Result<Value, ApiError> {
    let prefix = object::text(&new, "generateName").to_owned();
    let generated = object::text(&new, "name").is_empty() && !prefix.is_empty();
    if generated {
        // The API server cuts the prefix so that the name keeps to 63 characters.
        let cut = prefix
            .char_indices()
            .nth(58)
            .map_or(prefix.len(), |(index, _)| index);
        let name = format!("{}{}", &prefix[..cut], state.suffix());
        object::set(&mut new, "name", name);
    }
    prepare_new(state, kind, &mut new);
    let mut problems = metadata::problems(kind, &new);
    problems.extend(validation::problems(kind, &new, None, Part::Main));
    if !problems.is_empty() {
        return Err(errors::invalid(
            &kind.subject(),
            object::text(&new, "name"),
            problems,
        ));
    }
    last()?;
    let key = Key::new(
        kind,
        object::text(&new, "namespace"),
        object::text(&new, "name"),
    );
    if let Some(existing) = state.objects.get(&key) {
        let mut error = errors::already_exists(kind, &key.name);
        if object::has(&existing.object, "deletionTimestamp") {
            error.message = format!("object is being deleted: {}", error.message);
        }
        return Err(error);
    }
    object::set(&mut new, "resourceVersion", Value::Null);
    if write.dry_run {
        return Ok(new);
    }
    state.gc_due |= object::has(&new, "ownerReferences");
    Ok(shown(kind, &commit(state, kind, key, new, owners)))
}

fn prepare_new(state: &mut State, kind: &Kind, new: &mut Value) {
    object::set(new, "creationTimestamp", state.time());
    object::set(new, "uid", state.uid());
    if kind.has_status() {
        object::set_top(new, "status", None);
    }
    if kind.native {
        decode::native(kind, new);
    }
    let generation = match kind.generation {
        Generation::Content => json!(1),
        Generation::Absent => Value::Null,
    };
    object::set(new, "generation", generation);
    if kind.is_namespace() {
        let name: Value = object::text(new, "name").into();
        let mut labels = new["metadata"]["labels"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        labels.insert("kubernetes.io/metadata.name".to_owned(), name);
        object::set(new, "labels", Value::Object(labels));
    }
}

/// Stores, and learns a definition that is stored.
pub(super) fn commit(
    state: &mut State,
    kind: &Kind,
    key: Key,
    new: Value,
    owners: Owners,
) -> Arc<Value> {
    if kind.is_definition() {
        let new = definitions::established(&new, state);
        definitions::learn(state, &new);
        return state.write(key, new, owners);
    }
    match decode::stored(kind, &new) {
        Ok(object) if object != new => state.write_raw(key, object, Some(new), owners),
        _ => state.write(key, new, owners),
    }
}

/// Server-side apply. `may_create` is the answer to whether the account may also create, which is asked only when
/// the object is new.
pub(super) fn apply(
    state: &mut State,
    kind: &Kind,
    configuration: &Value,
    write: &Write<'_>,
    may_create: Result<(), ApiError>,
) -> Result<Value, ApiError> {
    let namespace = request_namespace(kind, object::text(configuration, "namespace"))?.to_owned();
    let name = object::text(configuration, "name").to_owned();
    if name.is_empty() {
        return Err(errors::bad_request("name is required"));
    }
    if object::has(configuration, "managedFields") {
        return Err(errors::bad_request("metadata.managedFields must be nil"));
    }
    let mut configuration = configuration.clone();
    decode::even_numbers(&mut configuration);
    let key = Key::new(kind, &namespace, &name);
    if let Some(existing) = state.objects.get(&key).cloned() {
        let live = shown(kind, &existing.object);
        let (new, owners) = ownership::apply(
            kind,
            Some(&live),
            &configuration,
            &existing.owners,
            write.writer(state),
        )?;
        let new = decode::after_apply(kind, new).map_err(errors::internal)?;
        return update::finish(state, kind, key, &existing, new, owners, write);
    }
    if write.part == Part::Status {
        return Err(errors::not_found(kind, &name));
    }
    let (new, owners) = ownership::apply(
        kind,
        None,
        &configuration,
        &Owners::default(),
        write.writer(state),
    )?;
    let mut new = decode::after_apply(kind, new).map_err(errors::internal)?;
    let uid = object::text(&new, "uid");
    if !uid.is_empty() {
        let why = format!(
            "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        );
        return Err(errors::conflict(&kind.resource(), &name, &why));
    }
    set_namespace(&mut new, &namespace);
    admit_creation(state, kind, &new)?;
    store_new(state, kind, new, owners, write, || may_create)
}

/// JSON merge patch.
pub(super) fn merge(
    state: &mut State,
    kind: &Kind,
    key: Key,
    changes: &Value,
    write: &Write<'_>,
) -> Result<Value, ApiError> {
    let existing = state
        .objects
        .get(&key)
        .cloned()
        .ok_or_else(|| errors::not_found(kind, &key.name))?;
    if !changes.is_object() {
        return Err(errors::bad_request(
            "error decoding patch: the patch is no JSON object",
        ));
    }
    let live = shown(kind, &existing.object);
    let mut patched = live.clone();
    patch::merge_patch(&mut patched, changes);
    let unreadable = |why: String| {
        errors::invalid(
            "",
            "",
            vec![metadata::problem(
                "patch",
                &patched.to_string().into(),
                &why,
            )],
        )
    };
    check_type(kind, &key.name, &patched)?;
    let mut new = decode::patched(kind, &patched).map_err(unreadable)?;
    // One empty entry is how a client throws the books away.
    let owners = if write.part == Part::Main && patched["metadata"]["managedFields"] == json!([{}])
    {
        Owners::default()
    } else {
        let mut even = new.clone();
        decode::even_numbers(&mut even);
        ownership::update(
            kind,
            Some(&live),
            &even,
            &existing.owners,
            write.writer(state),
        )
    };
    check_place(&key, &new)?;
    set_namespace(&mut new, &key.namespace);
    update::finish(state, kind, key, &existing, new, owners, write)
}

/// A patch that makes the object another one.
fn check_place(key: &Key, patched: &Value) -> Result<(), ApiError> {
    let namespace = object::text(patched, "namespace");
    if !namespace.is_empty() && !key.namespace.is_empty() && namespace != key.namespace {
        return Err(errors::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    let (name, wanted) = (object::text(patched, "name"), &key.name);
    if name.is_empty() {
        return Err(errors::bad_request(format!(
            "the name of the object ({wanted} based on URL) was undeterminable: name must be provided"
        )));
    }
    if name != wanted {
        return Err(errors::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({wanted})"
        )));
    }
    Ok(())
}

/// A patch that makes the object another kind's.
fn check_type(kind: &Kind, name: &str, patched: &Value) -> Result<(), ApiError> {
    let (found, version) = (&patched["kind"], &patched["apiVersion"]);
    if *found != kind.kind {
        let subject = Kind {
            kind: found.as_str().unwrap_or_default().to_owned(),
            ..kind.clone()
        }
        .subject();
        let problem = metadata::problem("kind", found, &format!("must be {}", kind.kind));
        return Err(errors::invalid(&subject, name, vec![problem]));
    }
    if *version != kind.api_version() {
        let problem = metadata::problem(
            "apiVersion",
            version,
            &format!("must be {}", kind.api_version()),
        );
        return Err(errors::invalid(&kind.subject(), name, vec![problem]));
    }
    Ok(())
}
