//! The cluster's handle, and access to it beside the trait, for tests, demos and offline rendering.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::{
    super::{ApiError, DeleteOptions, Part},
    decode, definitions, deletion, endings, errors,
    faults::{Operation, Verdict},
    kinds::Kind,
    object, ownership,
    ownership::{Owners, Writer},
    store::{Key, State, shown},
    watch::Changes,
    writes,
};

/// The field manager of what is put.
const SEED: &str = "seed";

/// A cluster in memory. Clones are handles to the same cluster.
///
/// Everything that happens in it is a function of the requests and of the seed: UIDs, generated names, versions.
#[derive(Clone)]
pub struct MemoryCluster {
    state: Arc<Mutex<State>>,
}

impl std::fmt::Debug for MemoryCluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.lock();
        f.debug_struct("MemoryCluster")
            .field("revision", &state.revision)
            .field("objects", &state.objects.len())
            .finish_non_exhaustive()
    }
}

impl Default for MemoryCluster {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryCluster {
    /// An empty cluster, not even with a namespace, that knows the API server's own kinds. It is 1970.
    #[must_use]
    pub fn new() -> Self {
        Self::with_seed(0)
    }

    /// As [`MemoryCluster::new`], with other UIDs and generated names for each seed.
    #[must_use]
    pub fn with_seed(seed: u64) -> Self {
        Self {
            state: Arc::new(Mutex::new(State::new(seed))),
        }
    }

    /// The state is never left half changed by what can panic (a test's interceptor runs outside the lock), so a
    /// poisoned lock is as good as any.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a kind without a schema: as a custom resource whose CRD keeps all unknown fields, lists atomic.
    pub fn install_kind(
        &self,
        api_version: &str,
        kind: &str,
        plural: &str,
        namespaced: bool,
        status: bool,
    ) {
        self.lock()
            .kinds
            .add(Kind::open(api_version, kind, plural, namespaced, status));
    }

    /// Stores a CustomResourceDefinition and serves its versions at once.
    ///
    /// # Errors
    /// `BadRequest` when it is no CustomResourceDefinition.
    pub fn install_crd(&self, definition: &Value) -> Result<(), ApiError> {
        if definition["kind"] != "CustomResourceDefinition" {
            return Err(errors::bad_request(format!(
                "{} is no CustomResourceDefinition",
                definition["kind"]
            )));
        }
        self.put(definition.clone()).map(drop)
    }

    /// Whether it has a kind.
    #[must_use]
    pub fn knows(&self, api_version: &str, kind: &str) -> bool {
        self.lock().kinds.find(api_version, kind).is_some()
    }

    /// Deletes a CustomResourceDefinition (`plural.group`) and its objects, as far as their finalizers let go.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn remove_crd(&self, name: &str) -> Result<(), ApiError> {
        let mut state = self.lock();
        let kind = state.kinds.need(
            &format!("{}/v1", definitions::GROUP),
            "CustomResourceDefinition",
        )?;
        deletion::delete(
            &mut state,
            &kind,
            &Key::new(&kind, "", name),
            &DeleteOptions::default(),
        )?;
        settle(&mut state);
        Ok(())
    }

    /// Creates or replaces an object wholesale, status and all, without checks, and its namespace where there is
    /// none. What the object does not say of itself (UID, times, generation) it keeps or is given; its
    /// `resourceVersion` counts for nothing. Garbage is not looked for: owners may be put after what they own.
    ///
    /// # Errors
    /// `NotFound` for an unknown kind, `BadRequest` for what has not the form of an object.
    pub fn put(&self, object: Value) -> Result<Value, ApiError> {
        let mut state = self.lock();
        let text = |field: &str| object[field].as_str().unwrap_or_default();
        let kind = state.kinds.need(text("apiVersion"), text("kind"))?;
        let mut new = decode::decode(&kind, &object).map_err(errors::bad_request)?;
        let namespace =
            writes::request_namespace(&kind, object::text(&new, "namespace"))?.to_owned();
        if object::text(&new, "name").is_empty() {
            return Err(errors::bad_request("name is required"));
        }
        ensure_namespace(&mut state, &namespace);
        let key = Key::new(&kind, &namespace, object::text(&new, "name"));
        let old = state.objects.get(&key).cloned();
        complete(
            &mut state,
            &kind,
            &mut new,
            old.as_ref().map(|stored| &*stored.object),
        );
        let live = old.as_ref().map(|stored| shown(&kind, &stored.object));
        let mut owners = old.map(|stored| stored.owners).unwrap_or_default();
        let before = owners.clone();
        let writer = Writer {
            manager: SEED,
            part: Part::Main,
            now: state.now,
        };
        owners = ownership::update(&kind, live.as_ref(), &new, &owners, writer);
        if kind.has_status() && (live.is_none() || before != Owners::default()) {
            owners = ownership::update_more(
                &kind,
                live.as_ref(),
                &new,
                &owners,
                Writer {
                    part: Part::Status,
                    ..writer
                },
            );
        }
        Ok(shown(
            &kind,
            &writes::commit(&mut state, &kind, key, new, owners),
        ))
    }

    /// One object as it is stored, as the version of its kind that is asked for shows it.
    #[must_use]
    pub fn read(
        &self,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
        name: &str,
    ) -> Option<Value> {
        let state = self.lock();
        let kind = state.kinds.find(api_version, kind)?;
        let stored = state
            .objects
            .get(&Key::new(&kind, namespace.unwrap_or_default(), name))?;
        Some(shown(&kind, &stored.object))
    }

    /// Who owns which fields of an object: `metadata.managedFields` without times, which no other answer shows.
    /// None when there is no such object.
    #[must_use]
    pub fn managed_fields(
        &self,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
        name: &str,
    ) -> Option<Value> {
        let state = self.lock();
        let kind = state.kinds.find(api_version, kind)?;
        let stored = state
            .objects
            .get(&Key::new(&kind, namespace.unwrap_or_default(), name))?;
        Some(stored.owners.to_json())
    }

    /// All objects, sorted by group, kind, namespace and name.
    #[must_use]
    pub fn objects(&self) -> Vec<Arc<Value>> {
        self.lock()
            .objects
            .values()
            .map(|stored| stored.object.clone())
            .collect()
    }

    /// What a container has written, in its run before the last restart when `previous`.
    pub fn set_log(&self, namespace: &str, pod: &str, container: &str, previous: bool, text: &str) {
        let key = (
            namespace.to_owned(),
            pod.to_owned(),
            container.to_owned(),
            previous,
        );
        self.lock().logs.insert(key, text.to_owned());
    }

    /// Sets the clock, in seconds since the Unix epoch.
    pub fn set_now(&self, seconds: i64) {
        self.lock().now = seconds;
    }

    /// Moves the clock by seconds.
    pub fn advance(&self, seconds: i64) {
        self.lock().now += seconds;
    }

    /// The clock, in seconds since the Unix epoch.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.lock().now
    }

    /// The changes from now on.
    #[must_use]
    pub fn changes(&self) -> Changes {
        self.lock().feed.subscribe()
    }

    /// The `resourceVersion` of the last change.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.lock().revision
    }

    /// Waits until the revision is above `since`, and gives it.
    pub async fn changed(&self, since: u64) -> u64 {
        let mut revisions = self.lock().feed.revisions();
        // Fails only when the cluster is gone, which this handle prevents.
        revisions
            .wait_for(|revision| *revision > since)
            .await
            .map_or(since, |revision| *revision)
    }

    /// Whether garbage waits for [`MemoryCluster::collect_garbage`], as ending namespaces and definitions then do.
    /// Otherwise everything that controllers would do happens within the request that gives cause.
    pub fn defer_gc(&self, defer: bool) {
        self.lock().defer_gc = defer;
    }

    /// Removes what has lost its owners, and ends what is to end.
    pub fn collect_garbage(&self) {
        let mut state = self.lock();
        state.gc_due = true;
        endings::settle(&mut state);
    }

    /// Who may do what, from now on: false refuses. Applying an object that is absent is asked about twice, as
    /// an apply and as a create. Called without any lock: it may ask this cluster, though not through the trait.
    pub fn set_policy(&self, policy: impl Fn(&Operation) -> bool + Send + Sync + 'static) {
        self.lock().policy = Some(Arc::new(policy));
    }

    /// Everybody may do everything again.
    pub fn clear_policy(&self) {
        self.lock().policy = None;
    }

    /// What becomes of requests, from now on. Called without any lock, before each request: it may change the
    /// cluster by [`MemoryCluster::put`], as somebody who came in between.
    pub fn set_interceptor(
        &self,
        interceptor: impl Fn(&Operation) -> Verdict + Send + Sync + 'static,
    ) {
        self.lock().interceptor = Some(Arc::new(interceptor));
    }

    /// Nothing is made to fail any more.
    pub fn clear_interceptor(&self) {
        self.lock().interceptor = None;
    }

    /// Tells somebody of each object that a request through the trait creates, applies or merges, from now on: as it is
    /// behind the request, or as a request that only asks would leave it.
    pub fn set_listener(&self, listener: impl Fn(&Operation, &Value) + Send + Sync + 'static) {
        self.lock().listener = Some(Arc::new(listener));
    }

    /// The requests through the trait, in order, also those that failed or were refused.
    #[must_use]
    pub fn requests(&self) -> Vec<Operation> {
        self.lock().requests.clone()
    }

    /// As [`MemoryCluster::requests`], and forgets them.
    #[must_use]
    pub fn take_requests(&self) -> Vec<Operation> {
        std::mem::take(&mut self.lock().requests)
    }
}

/// Controllers at work, unless they are told to wait.
pub(super) fn settle(state: &mut State) {
    if !state.defer_gc {
        endings::settle(state);
    }
}

fn ensure_namespace(state: &mut State, name: &str) {
    let key = Key::namespace_object(name);
    if name.is_empty() || state.objects.contains_key(&key) {
        return;
    }
    let Some(kind) = state.kinds.find("v1", "Namespace") else {
        return;
    };
    let object = serde_json::json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
        "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
    });
    let mut object = object;
    complete(state, &kind, &mut object, None);
    let writer = Writer {
        manager: SEED,
        part: Part::Main,
        now: state.now,
    };
    let owners = ownership::update(&kind, None, &object, &Owners::default(), writer);
    state.write(key, object, owners);
}

/// Fills in what an object that is put does not say of itself.
fn complete(state: &mut State, kind: &Kind, new: &mut Value, old: Option<&Value>) {
    for field in ["uid", "creationTimestamp", "generation"] {
        if object::has(new, field) {
            continue;
        }
        let value = match (old, field) {
            (Some(old), _) if object::has(old, field) => old["metadata"][field].clone(),
            (_, "uid") => state.uid().into(),
            (_, "creationTimestamp") => state.time().into(),
            _ if kind.generation == super::kinds::Generation::Content => 1.into(),
            _ => Value::Null,
        };
        object::set(new, field, value);
    }
}
